package pinteresttest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Request is a request that the server received.
type Request struct {
	ID        string // the x-pinterest-rid of its answer
	Operation string // such as "pins/create"; empty when no operation has the path and method
	Method    string
	Path      string // escaped, as it was sent
	Query     url.Values
	Header    http.Header
	Body      []byte
	Account   string    // user name of the token's account; empty when the token is unknown
	Grant     string    // grant_type of a request to the token endpoint
	At        time.Time // when it arrived, on the server's clock
	Status    int       // the HTTP status answered; 0 when there was no answer, or none yet
	Code      int       // the API's error code answered; 0 for none
	Committed bool      // whether it took effect: a write that the server performed
	Fault     bool      // whether a fault was applied to it
	Reused    bool      // whether it is a refresh with a refresh token that had been replaced

	number int // since the server's start
}

// requestLog records the requests that the server received.
type requestLog struct {
	keep        bool
	connections atomic.Int64

	mu       sync.Mutex
	received int // since the server's start, for the request ids
	requests []*Request
	counts   map[string]int
	refused  map[string]int // requests over quota, by account
	grants   map[tokenCall]int
	reuses   []*Request // always kept, because they are few
}

type tokenCall struct{ account, grant string }

func newRequestLog(keep bool) *requestLog {
	return &requestLog{keep: keep, counts: map[string]int{}, refused: map[string]int{}, grants: map[tokenCall]int{}}
}

// add gives a request its id and records it. The fields set so far do not change
// any more.
func (l *requestLog) add(r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received++
	r.number = l.received
	r.ID = fmt.Sprint(4_826_385_600_000_000 + l.received)
	l.counts[r.Operation]++
	if r.Operation == opToken {
		l.grants[tokenCall{r.Account, r.Grant}]++
	}
	if l.keep {
		l.requests = append(l.requests, r)
	}
}

// finish records how a request ended. It is called before the answer is sent, so
// that a client that has the answer also finds it in the request log.
func (l *requestLog) finish(r *Request, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.delivery.answers() {
		r.Status, r.Code = o.answer.status, o.answer.code
	}
	r.Committed, r.Fault = o.committed, o.fault != nil
}

// Requests returns every request received, in the order of arrival. Their maps
// and bodies belong to the server and must not be changed. It returns none for a
// server made with [WithoutRequestLog].
func (s *Server) Requests() []Request {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	requests := make([]Request, len(s.requestLog.requests))
	for i, r := range s.requestLog.requests {
		requests[i] = *r
	}
	return requests
}

// Count returns how many requests for an operation were received. An empty
// operation counts all requests.
func (s *Server) Count(operation string) int {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	if operation != "" {
		return s.requestLog.counts[operation]
	}
	total := 0
	for _, n := range s.requestLog.counts {
		total += n
	}
	return total
}

// throttled records that a request exceeded a quota.
func (l *requestLog) throttled(r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[r.Account]++
}

// reused records that a refresh was made with a refresh token that had been
// replaced.
func (l *requestLog) reused(r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !r.Reused {
		r.Reused = true
		l.reuses = append(l.reuses, r)
	}
}

// CountTokenCalls returns how many requests an account's grants of a type, such as
// "refresh_token", have sent to the token endpoint, successful or not. The zero
// Account counts the requests of all accounts, including unknown ones. An empty
// grant counts every type.
func (s *Server) CountTokenCalls(a Account, grant string) int {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	total := 0
	for call, n := range s.requestLog.grants {
		if (a.Username == "" || a.Username == call.account) && (grant == "" || grant == call.grant) {
			total += n
		}
	}
	return total
}

// Reuses returns the refreshes that were made with a refresh token that had already
// been replaced, successful or not, in the order in which they were noticed. There
// are none for a client that keeps each new token and refreshes once for all its
// goroutines and processes, unless an answer was lost.
func (s *Server) Reuses() []Request {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	var reuses []Request
	for _, r := range s.requestLog.reuses {
		reuses = append(reuses, *r)
	}
	return reuses
}

// CountThrottled returns how many requests of the account were refused with 429
// because a quota of this server was exceeded. The zero Account counts those of all
// accounts. Answers of an injected [Throttled] are not counted, so the number is 0
// for a client that paces itself.
func (s *Server) CountThrottled(a Account) int {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	if a.Username != "" {
		return s.requestLog.refused[a.Username]
	}
	total := 0
	for _, n := range s.requestLog.refused {
		total += n
	}
	return total
}

// Connections returns how many TCP connections the server has accepted.
func (s *Server) Connections() int { return int(s.requestLog.connections.Load()) }

// ResetRequests clears the request log and its counts. It does not change the
// number of connections or what the accounts own.
func (s *Server) ResetRequests() {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	s.requestLog.requests = nil
	clear(s.requestLog.counts)
	clear(s.requestLog.refused)
	clear(s.requestLog.grants)
	s.requestLog.reuses = nil
}

// Duplicates returns the groups of two or more equal pins, each in the order of
// creation. Equal pins have the same account, board, section, title, description,
// link, alt text, media source and parent pin. If a test created different pins
// and finds a group here, its client has created a pin twice.
func (s *Server) Duplicates() [][]Pin {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	groups := map[Pin][]Pin{}
	for _, p := range s.world.pins {
		like := p.Pin
		like.ID, like.CreatedAt, like.DominantColor = "", time.Time{}, ""
		groups[like] = append(groups[like], p.Pin)
	}

	var duplicates [][]Pin
	byID := func(a, b Pin) int { return cmp.Compare(a.ID, b.ID) }
	for _, group := range groups {
		if len(group) > 1 {
			slices.SortFunc(group, byID)
			duplicates = append(duplicates, group)
		}
	}
	slices.SortFunc(duplicates, func(a, b []Pin) int { return byID(a[0], b[0]) })
	return duplicates
}
