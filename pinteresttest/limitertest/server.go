package limitertest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// server is a model of how the API counts: in fixed windows, by its own clock.
// A call that it refuses is counted, too.
type server struct {
	policies map[pinterest.Category][]pinterest.RatePolicy
	ahead    func(account string) time.Duration // how far its clock is ahead of the bubble's; nil: not at all
	form     form
	latency  func() time.Duration // of one way; nil: none

	mu       sync.Mutex
	used     map[counter]int
	answered int
	refused  int
}

// counter is one window of one policy.
type counter struct {
	policy, app, account string
	index                int64
}

// form is how a server reports its limits.
type form uint8

const (
	structured form = iota
	plain           // without the policies
	silent
	garbled
)

const (
	userScope = "_app_id_user_id"
	appScope  = "_app_id"
)

var safetyNet = pinterest.RatePolicy{Name: "safety_net" + userScope, Limit: 100, Window: time.Second}

// writePolicies are those of a server that allows so many writes a minute.
func writePolicies(n int) map[pinterest.Category][]pinterest.RatePolicy {
	return map[pinterest.Category][]pinterest.RatePolicy{pinterest.CategoryOrgWrite: {safetyNet, writePolicy(n)}}
}

func writePolicy(n int) pinterest.RatePolicy {
	return pinterest.RatePolicy{Name: "org_write" + userScope, Limit: n, Window: time.Minute}
}

// serve counts one call. It returns what the answer says, as the library reads
// it, and whether the call was let through.
func (s *server) serve(p pinterest.Permit) (rate pinterest.RateLimit, ok bool) {
	now := time.Now()
	if s.ahead != nil {
		now = now.Add(s.ahead(p.Account))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == nil {
		s.used = map[counter]int{}
	}
	ok = true
	for i, policy := range s.policies[p.Category] {
		key := counter{policy: policy.Name, app: p.App, account: p.Account, index: now.UnixNano() / int64(policy.Window)}
		if !strings.HasSuffix(policy.Name, userScope) {
			key.account = ""
		}
		s.used[key]++
		left := policy.Limit - s.used[key]
		if i == 0 || left < rate.Remaining {
			end := time.Duration((key.index+1)*int64(policy.Window) - now.UnixNano())
			rate.Limit, rate.Remaining = policy.Limit, left
			rate.Reset = (end + time.Second - 1).Truncate(time.Second)
		}
		ok = ok && left >= 0
	}
	rate.Remaining = max(0, rate.Remaining)
	s.answered++
	if !ok {
		s.refused++
	}
	return s.form.read(rate, s.policies[p.Category]), ok
}

// count returns how many calls were answered and refused.
func (s *server) count() (answered, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered, s.refused
}

// read returns what the library reads in headers of this form.
func (f form) read(r pinterest.RateLimit, policies []pinterest.RatePolicy) pinterest.RateLimit {
	switch f {
	case structured:
		r.Policies = policies
		for _, p := range policies {
			if p.Limit == r.Limit && p.Window >= r.Reset && (r.Policy.Limit == 0 || p.Window < r.Policy.Window) {
				r.Policy = p
			}
		}
		return r
	case plain:
		return r
	case garbled:
		return pinterest.RateLimit{Limit: 7, Remaining: 1 << 20, Reset: 1 << 62, Policies: []pinterest.RatePolicy{{Name: "\x00", Limit: 3, Window: time.Hour}}}
	case silent:
	}
	return pinterest.RateLimit{Remaining: -1}
}

// call makes a call as an App does: it waits for its turn, sends it, and when
// it is refused waits and sends it again.
func (r *rig) call(ctx context.Context, l pinterest.Limiter, s *server, p pinterest.Permit) error {
	p.Since = r.clock.Now()
	for {
		if err := l.Wait(ctx, p); err != nil {
			return err
		}
		s.travel()
		rate, ok := s.serve(p)
		s.travel()
		l.Observe(ctx, p, rate)
		if ok {
			return nil
		}
		wait := rate.Reset
		if wait <= 0 || wait > time.Hour {
			wait = 5 * time.Second
		}
		l.Penalize(ctx, p, rate, wait)
		if err := r.clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (s *server) travel() {
	if s.latency != nil {
		time.Sleep(s.latency())
	}
}

// calls makes calls as fast as the limiter lets them go, for a time, and returns
// how many succeeded.
func (r *rig) calls(l pinterest.Limiter, s *server, p pinterest.Permit, workers int, d time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var done times
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for r.call(ctx, l, s, p) == nil {
				done.add()
			}
		})
	}
	wg.Wait()
	return len(done.sorted())
}
