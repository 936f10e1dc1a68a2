package limitertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinterest-go/pinterest"
)

func crowdTests() []test {
	return []test{
		{"64 goroutines on 50 keys", crowd},
		{"64 goroutines on one key get what one would", oneKeyCrowd},
	}
}

// crowd does everything at once. It is for the race detector, and finds waiters
// that are forgotten: a bubble does not end while one waits.
func crowd(r *rig) {
	limits := pinterest.AccessStandard.Limits()
	limits.App = map[pinterest.Category]pinterest.Quota{pinterest.CategoryAll: {Limit: 3000, Window: time.Minute}}
	l := r.limiter(limits)
	s := &server{policies: writePolicies(100)}
	var served atomic.Int64
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 64))
			for range 40 {
				p := write(fmt.Sprint("account ", rnd.IntN(25)))
				if rnd.IntN(2) == 0 {
					p.Category = pinterest.CategoryOrgRead
				}
				p.Priority = pinterest.Priority(rnd.IntN(3) - 1)
				p.MaxHold = time.Duration(rnd.IntN(3)) * 20 * time.Second
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rnd.IntN(30_000))*time.Millisecond)
				if rnd.IntN(5) == 0 {
					time.AfterFunc(time.Duration(rnd.IntN(1000))*time.Millisecond, cancel)
				}
				err := l.Wait(ctx, p)
				switch {
				case err == nil:
					served.Add(1)
					rate, _ := s.serve(p)
					l.Observe(ctx, p, rate)
				case errors.Is(err, pinterest.ErrPaced), ctx.Err() != nil && errors.Is(err, ctx.Err()):
				default:
					r.Errorf("Wait: %v", err)
				}
				if rnd.IntN(200) == 0 {
					l.Penalize(ctx, p, pinterest.RateLimit{Remaining: -1}, time.Duration(rnd.IntN(10))*time.Second)
				}
				if _, err := l.Usage(context.Background(), "app", p.Account); err != nil {
					r.Errorf("Usage: %v", err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	between(r, "calls that went", served.Load(), 500, 64*40)
}

func oneKeyCrowd(r *rig) {
	l := r.limiter(perMinute(1000))
	at := r.saturate(l, write("a"), 64, 3*time.Minute)
	between(r, "calls in 3 minutes", len(at), 2940, 3000)
	between(r, "calls in the worst minute", most(at, time.Minute), 980, 1000)
}
