package limitertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

func serverTests() []test {
	return []test{
		{"no call is refused, wherever the API's windows begin", noRefusals},
		{"full speed against the API, whatever it reports", speedAgainstServer},
		{"a burst at a window's edge", edgeBurst},
		{"another process that uses half of the quota leaves half", othersShare},
		{"what others have used is taken off", othersUsed},
		{"answers that come late and in any order", lateAnswers},
		{"an API that restarts its windows", windowsMove},
	}
}

// noRefusals calls servers with any clock, that report their limits in any form
// and take some time to answer.
func noRefusals(r *rig) {
	limits := pinterest.AccessStandard.Limits()
	l := r.limiter(limits)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 4))
			ahead := time.Duration((rnd.Float64() - 0.5) * float64(10*time.Hour))
			var mu sync.Mutex
			s := &server{
				policies: writePolicies(100), ahead: func(string) time.Duration { return ahead }, form: form(i % 4),
				latency: func() time.Duration {
					mu.Lock()
					defer mu.Unlock()
					return time.Duration(rnd.Float64() * float64(150*time.Millisecond))
				},
			}
			p := write(fmt.Sprint("account ", i))
			for _, spell := range []time.Duration{100 * time.Second, 30 * time.Second} {
				r.calls(l, s, p, 8, spell)
				time.Sleep(time.Duration(rnd.Float64() * float64(90*time.Second)))
			}
			if answered, refused := s.count(); refused > 0 {
				r.Errorf("a server %v ahead, form %d: %d of %d calls refused", ahead, s.form, refused, answered)
			}
		})
	}
	wg.Wait()
}

func speedAgainstServer(r *rig) {
	limits := []int{60, 100, 1000}
	l := r.limiter(manyLimits(time.Minute, limits...))
	var wg sync.WaitGroup
	for i, limit := range limits {
		for form := range garbled + 1 {
			if limit == 1000 && form != structured {
				continue
			}
			wg.Go(func() {
				c := category(i)
				s := &server{form: form, policies: map[pinterest.Category][]pinterest.RatePolicy{
					c: {safetyNet, {Name: string(c) + userScope, Limit: limit, Window: time.Minute}},
				}}
				s.ahead = func(string) time.Duration { return time.Duration(limit) * 317 * time.Millisecond }
				s.latency = func() time.Duration { return 40 * time.Millisecond }
				n := r.calls(l, s, pinterest.Permit{App: "app", Account: fmt.Sprint("form ", form), Category: c}, 8, 5*time.Minute)
				between(r, fmt.Sprintf("5 minutes of %d a minute, form %d", limit, form), n, limit*98*5/100-1, limit*5)
				if _, refused := s.count(); refused > 0 {
					r.Errorf("of %d a minute, form %d: %d calls refused", limit, form, refused)
				}
			})
		}
	}
	wg.Wait()
}

// edgeBurst sends a burst where one window ends and the next begins.
func edgeBurst(r *rig) {
	l := r.limiter(perMinute(100))
	s := &server{policies: writePolicies(100)}
	for i := range 4 {
		p := write(fmt.Sprint("account ", i))
		next := time.Now().Truncate(time.Minute).Add(3*time.Minute - time.Duration(i)*700*time.Millisecond)
		r.calls(l, s, p, 1, 20*time.Second)
		time.Sleep(time.Until(next))
		r.calls(l, s, p, 32, 70*time.Second)
	}
	if answered, refused := s.count(); refused > 0 {
		r.Errorf("%d of %d calls refused", refused, answered)
	}
}

// othersShare has another process use half of the quota, evenly.
func othersShare(r *rig) {
	l := r.limiter(perMinute(100))
	s := &server{policies: writePolicies(100), ahead: func(string) time.Duration { return 23 * time.Second }}
	const minutes = 6
	r.wg.Go(func() {
		for range 50 * minutes {
			s.serve(write("a"))
			time.Sleep(time.Minute / 50)
		}
	})
	n := r.calls(l, s, write("a"), 4, minutes*time.Minute)
	r.end()
	between(r, "calls", n, minutes*42, minutes*54)
	answered, refused := s.count()
	between(r, fmt.Sprintf("refused of %d", answered), refused, 0, answered/20)
}

func othersUsed(r *rig) {
	l := r.limiter(perMinute(100))
	p := write("a")
	r.must(l, p)
	l.Observe(context.Background(), p, writeRate(100, 10, 30*time.Second))
	at := r.saturate(l, p, 2, 29*time.Second)
	between(r, "calls in 29 seconds, of the 10 that are left", len(at), 0, 12)
	at = r.saturate(l, p, 2, 3*time.Minute)
	between(r, "calls in the three minutes after", len(at), 250, 300)
}

// writeRate is what an answer says whose leading policy is that of the writes.
func writeRate(limit, remaining int, reset time.Duration) pinterest.RateLimit {
	return pinterest.RateLimit{
		Limit: limit, Remaining: remaining, Reset: reset, Policy: writePolicy(limit), Policies: writePolicies(limit)[pinterest.CategoryOrgWrite],
	}
}

// lateAnswers has a few of the answers take seconds.
func lateAnswers(r *rig) {
	l := r.limiter(perMinute(100))
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(4, 2))
	s := &server{
		policies: writePolicies(100),
		ahead:    func(string) time.Duration { return 41 * time.Second },
		latency: func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			if rnd.IntN(4) == 0 {
				return time.Duration(rnd.Float64() * float64(8*time.Second))
			}
			return 100 * time.Millisecond
		},
	}
	n := r.calls(l, s, write("a"), 64, 6*time.Minute)
	between(r, "calls in 6 minutes", n, 565, 600)
	answered, refused := s.count()
	// What is sent in one window may arrive in the next.
	between(r, fmt.Sprintf("refused of %d", answered), refused, 0, answered/20)
}

// windowsMove changes the server's clock, as if its windows started again.
func windowsMove(r *rig) {
	l := r.limiter(perMinute(100))
	var mu sync.Mutex
	var ahead time.Duration
	s := &server{policies: writePolicies(100), ahead: func(string) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return ahead
	}}
	total := 0
	for range 6 {
		total += r.calls(l, s, write("a"), 4, 100*time.Second)
		mu.Lock()
		ahead += time.Hour + 17*time.Second
		mu.Unlock()
	}
	between(r, "calls in 10 minutes", total, 900, 1000)
	answered, refused := s.count()
	between(r, fmt.Sprintf("refused of %d", answered), refused, 0, answered/20)
}

func costTests() []test {
	return []test{
		{"a call may stand for several requests", severalRequests},
		{"a call may stand for more requests than a burst", moreThanABurst},
		{"calls of any cost stay within the quota", anyCost},
	}
}

func severalRequests(r *rig) {
	l := r.limiter(perMinute(100))
	one := r.grab(l, write("a"), 100)
	p := write("b")
	p.Cost = 2
	between(r, "calls of cost 2 at once", r.grab(l, p, 100), one/2, one/2)
	p.Cost = 0
	between(r, "calls of cost 0 at once, after them", r.grab(l, p, 100), one%2, one%2)
}

func moreThanABurst(r *rig) {
	l := r.limiter(perMinute(100))
	p := write("a")
	p.Cost = 90
	took := elapsed(func() { r.must(l, p) })
	between(r, "the first", took, 0, 62*time.Second)
	took = elapsed(func() { r.must(l, p) })
	between(r, "the second", took, 48*time.Second, 2*time.Minute)
	p.Cost = 1
	if err := within(l, p, time.Millisecond); !errors.Is(err, pinterest.ErrPaced) {
		r.Errorf("a call at once after it: %v, want a refusal", err)
	}
	took = elapsed(func() { r.must(l, p) })
	between(r, "a call after it", took, 100*time.Millisecond, time.Minute)
	p.Cost = 1000 // more than there will ever be
	took = elapsed(func() { r.must(l, p) })
	between(r, "a call of more than the quota", took, 30*time.Second, 4*time.Minute)
}

func anyCost(r *rig) {
	l := r.limiter(perMinute(100))
	rnd := rand.New(rand.NewPCG(7, 7))
	var mu sync.Mutex
	var at times // one entry for each request
	end := time.Now().Add(8 * time.Minute)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for time.Now().Before(end) {
				p := write("a")
				mu.Lock()
				p.Cost = 1 + rnd.IntN(1+rnd.IntN(40))
				rest := time.Duration(rnd.IntN(20)) * time.Second
				p.Priority = pinterest.Priority(rnd.IntN(3) - 1)
				mu.Unlock()
				r.must(l, p)
				for range p.Cost {
					at.add()
				}
				if rest > 15*time.Second {
					time.Sleep(rest)
				}
			}
		})
	}
	wg.Wait()
	between(r, "requests in the worst minute", most(at.sorted(), time.Minute), 50, 100)
}
