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

// A Request is one that the server received.
type Request struct {
	ID        string // the x-pinterest-rid of its answer
	Operation string // such as "pins/create"; empty when the API has none of the path and method
	Method    string
	Path      string // escaped, as it was sent
	Query     url.Values
	Header    http.Header
	Body      []byte
	Account   string    // user name of the token's account; empty when the token is unknown
	Grant     string    // grant_type of a request to the token endpoint
	At        time.Time // when it arrived, on the server's clock
	Status    int       // the HTTP status answered; 0 when there was no answer, or none yet
	Code      int       // the API's own error code answered; 0 when none
	Committed bool      // it took effect: a write that the server performed
	Fault     bool      // a fault struck it
	Reused    bool      // a refresh with a refresh token in whose place another had been issued

	number int // since the start
}

// requestLog records of what the server received.
type requestLog struct {
	keep        bool
	connections atomic.Int64

	mu       sync.Mutex
	received int // since the start, for the request ids
	requests []*Request
	counts   map[string]int
	refused  map[string]int // by account: for its quota
	grants   map[tokenCall]int
	reuses   []*Request // kept in any case, as they are few
}

type tokenCall struct{ account, grant string }

func newRequestLog(keep bool) *requestLog {
	return &requestLog{keep: keep, counts: map[string]int{}, refused: map[string]int{}, grants: map[tokenCall]int{}}
}

// enter gives a request its id and writes it down. What is known at this point
// does not change any more.
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

// close writes down how a request ended. It is called before the answer is
// sent, so that whoever has the answer finds it in the books.
func (l *requestLog) finish(r *Request, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.delivery.answers() {
		r.Status, r.Code = o.answer.status, o.answer.code
	}
	r.Committed, r.Fault = o.committed, o.fault != nil
}

// Requests returns every request received, in the order of arrival. Their maps
// and bodies are the server's own, for reading only. It is empty on a server
// made with [WithoutRequestLog].
func (s *Server) Requests() []Request {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	requests := make([]Request, len(s.requestLog.requests))
	for i, r := range s.requestLog.requests {
		requests[i] = *r
	}
	return requests
}

// Count returns how many requests for an operation were received, for all of
// them together when it is empty.
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

// refuse writes down that a request was beyond the quotas.
func (l *requestLog) throttled(r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[r.Account]++
}

// reuse writes down that a refresh was made with a refresh token in whose place
// another had been issued.
func (l *requestLog) reused(r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !r.Reused {
		r.Reused = true
		l.reuses = append(l.reuses, r)
	}
}

// CountTokenCalls returns how many requests to the token endpoint an account's
// grants of a type, such as "refresh_token", have taken, whatever became of them.
// The zero Account counts those of all, of unknown ones as well, and an empty
// grant those of every type.
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

// Reuses returns the refreshes that were made with a refresh token in whose place
// another had been issued, whether they succeeded or not, in the order in which
// they were noticed. A client that keeps each new token, and refreshes once for all
// its goroutines and processes, has none, unless an answer was lost.
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
// because a quota of this server was used up, of all accounts together for the
// zero Account. Answers of an injected [Throttled] are not among them: a client
// that paces itself has none.
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

// ResetRequests forgets the requests and their counts. The number of connections
// and what the accounts own stay.
func (s *Server) ResetRequests() {
	s.requestLog.mu.Lock()
	defer s.requestLog.mu.Unlock()
	s.requestLog.requests = nil
	clear(s.requestLog.counts)
	clear(s.requestLog.refused)
	clear(s.requestLog.grants)
	s.requestLog.reuses = nil
}

// Duplicates returns the pins of which there are two or more alike, each group
// in the order of creation: same account, board, section, title, description,
// link, alt text, media source and parent pin. A test that asked for different
// pins and finds a group here has caught its client creating one twice.
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
