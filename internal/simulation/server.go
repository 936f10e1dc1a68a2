package simulation

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/realclock"
)

// Server answers as the API does, without a connection. It counts in fixed windows
// and reports them in the real headers. The token names the account of a call.
type Server struct {
	Phase   time.Duration // how much of its windows has passed at the start
	Quota   int           // writes a minute of each account; 0: 100
	App     int           // calls a minute of the app, all accounts together; 0: no limit
	Silent  bool          // it sends no rate headers
	Blocked string        // the account that is refused everything, for half an hour
	Seed    uint64        // of the latency

	mu      sync.Mutex
	random  *rand.Rand
	used    map[window]int
	served  map[string]int // by account
	refused int
}

type window struct {
	policy, account string
	index           int64
}

// The latency of the real API, both ways together.
const (
	leastLatency = 80 * time.Millisecond
	mostLatency  = 300 * time.Millisecond
)

const pin = `{"id":"813744226420795884","created_at":"2026-07-09T09:33:55","title":"Linen curtains","board_id":"549755885175"}`

// RoundTrip implements [http.RoundTripper].
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	latency := s.latency()
	if err := realclock.Sleep(req.Context(), latency/2); err != nil {
		return nil, err
	}
	account := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	category := pinterest.CategoryOrgWrite
	if req.Method == http.MethodGet {
		category = pinterest.CategoryOrgRead
	}
	header, ok := s.count(account, category, time.Now().Add(s.Phase))
	if err := realclock.Sleep(req.Context(), latency-latency/2); err != nil {
		return nil, err
	}
	status, body := http.StatusOK, pin
	if !ok {
		status, body = http.StatusTooManyRequests, `{"code":8,"message":"You have exceeded your rate limit. Try again later."}`
	} else if req.Method == http.MethodPost {
		status = http.StatusCreated
	}
	header.Set("Content-Type", "application/json")
	return &http.Response{
		StatusCode: status, Header: header, Request: req, Proto: "HTTP/2.0", ProtoMajor: 2,
		Body: io.NopCloser(bytes.NewBufferString(body)), ContentLength: int64(len(body)),
	}, nil
}

func (s *Server) latency() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random == nil {
		s.random = rand.New(rand.NewPCG(s.Seed, 1))
		s.used, s.served = map[window]int{}, map[string]int{}
	}
	return leastLatency + time.Duration(s.random.Float64()*float64(mostLatency-leastLatency))
}

// policies are the limits of a category.
func (s *Server) policies(category pinterest.Category) []pinterest.RatePolicy {
	limit := 1000
	if category == pinterest.CategoryOrgWrite {
		if limit = s.Quota; limit == 0 {
			limit = 100
		}
	}
	list := []pinterest.RatePolicy{
		{Name: "safety_net_app_id_user_id", Limit: 100, Window: time.Second},
		{Name: string(category) + "_app_id_user_id", Limit: limit, Window: time.Minute},
	}
	if s.App > 0 {
		list = append(list, pinterest.RatePolicy{Name: "app_app_id", Limit: s.App, Window: time.Minute})
	}
	return list
}

// count counts a call in all its windows. The headers are about the one with the
// least left. A call that is refused is counted, too.
func (s *Server) count(account string, category pinterest.Category, now time.Time) (h http.Header, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h = http.Header{}
	if account == s.Blocked {
		s.refused++
		h.Set("X-Ratelimit-Reset", "1800")
		return h, false
	}
	var list strings.Builder
	least, limit, reset := -1, 0, time.Duration(0)
	ok = true
	for _, p := range s.policies(category) {
		key := window{policy: p.Name, account: account, index: now.UnixNano() / int64(p.Window)}
		if strings.HasSuffix(p.Name, "app_app_id") {
			key.account = ""
		}
		s.used[key]++
		left := max(0, p.Limit-s.used[key])
		ok = ok && s.used[key] <= p.Limit
		if least < 0 || left < least {
			least, limit, reset = left, p.Limit, time.Duration((key.index+1)*int64(p.Window)-now.UnixNano())
		}
		fmt.Fprintf(&list, `, %d;w=%d;name="%s"`, p.Limit, int(p.Window.Seconds()), p.Name)
	}
	if ok {
		s.served[account]++
	} else {
		s.refused++
	}
	if !s.Silent {
		h.Set("X-Ratelimit-Limit", strconv.Itoa(limit)+list.String())
		h.Set("X-Ratelimit-Remaining", strconv.Itoa(least))
		h.Set("X-Ratelimit-Reset", strconv.Itoa(int((reset+time.Second-1)/time.Second)))
	}
	return h, ok
}

// Served returns how many calls of an account had an answer that was not a 429.
func (s *Server) Served(account string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[account]
}

// Refused returns how many calls were answered 429.
func (s *Server) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}
