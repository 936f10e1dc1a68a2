package limitertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

func paceTests() []test {
	return []test{
		{"a fresh account may burst a little", freshBurst},
		{"a rested account may burst again", restedBurst},
		{"never more than the quota in any stretch of a window's length", neverMore},
		{"the quota is used in full, with the first burst and without", fullSpeed},
		{"a limit of one a window", oneAWindow},
		{"without a limit calls are not paced", noLimit},
		{"the limit over all categories holds over all", overAll},
		{"accounts, apps and categories do not share", keysApart},
		{"a clock of any time", anyClock},
	}
}

// category returns one of many categories.
func category(n int) pinterest.Category { return pinterest.Category(fmt.Sprint("category_", n)) }

// manyLimits are limits of so many categories, numbered from 0.
func manyLimits(window time.Duration, limits ...int) pinterest.Limits {
	l := pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{}}
	for i, n := range limits {
		l.Account[category(i)] = pinterest.Quota{Limit: n, Window: window}
	}
	return l
}

func freshBurst(r *rig) {
	limits := []int{20, 60, 100, 1000}
	l := r.limiter(manyLimits(time.Minute, limits...))
	for i, limit := range limits {
		p := pinterest.Permit{App: "app", Account: "a", Category: category(i)}
		between(r, fmt.Sprintf("at once of %d a minute", limit), r.grab(l, p, limit), 2, max(2, limit/5))
	}
}

func restedBurst(r *rig) {
	l := r.limiter(perMinute(100))
	fresh := r.grab(l, write("a"), 100)
	time.Sleep(3 * time.Minute)
	rested := r.grab(l, write("a"), 100)
	between(r, "at once after a rest", rested, fresh-1, fresh+1)
	between(r, "at once a moment later", r.grab(l, write("a"), 100), 0, 1)
}

// neverMore takes permits in random patterns.
func neverMore(r *rig) {
	limits := []int{1, 2, 3, 5, 7, 10, 13, 19, 20, 21, 33, 50, 60, 66, 67, 76, 77, 99, 100, 101, 150, 333, 999, 1000}
	for _, window := range []time.Duration{time.Second, time.Minute} {
		l := r.limiter(manyLimits(window, limits...))
		var wg sync.WaitGroup
		for i, limit := range limits {
			wg.Go(func() {
				p := pinterest.Permit{App: "app", Account: fmt.Sprint("account ", window), Category: category(i)}
				at := r.pattern(l, p, limit, window, rand.New(rand.NewPCG(uint64(limit), uint64(window))))
				if n := most(at, window); n > limit {
					r.Errorf("%d of %d went within %v", n, limit, window)
				}
			})
		}
		wg.Wait()
	}
}

// pattern takes permits for a few windows: one after another, many at once, with
// pauses in between, and some calls that are canceled.
func (r *rig) pattern(l pinterest.Limiter, p pinterest.Permit, limit int, window time.Duration, rnd *rand.Rand) []time.Time {
	end := time.Now().Add(6 * window)
	var got times
	for n := 0; n < 2*limit+5 && time.Now().Before(end); {
		switch rnd.IntN(4) {
		case 0: // a pause
			time.Sleep(time.Duration(rnd.Float64() * rnd.Float64() * 1.3 * float64(window)))
		case 1: // one after another
			for range 1 + rnd.IntN(limit/2+1) {
				r.must(l, p)
				got.add()
				n++
			}
		default: // at once, and some are canceled
			var wg sync.WaitGroup
			for range 1 + rnd.IntN(16) {
				ctx, cancel := context.WithCancel(context.Background())
				if rnd.IntN(3) == 0 {
					time.AfterFunc(time.Duration(rnd.Float64()*float64(window)/4), cancel)
				}
				wg.Go(func() {
					defer cancel()
					if l.Wait(ctx, p) == nil {
						got.add()
					}
				})
				n++
			}
			wg.Wait()
		}
	}
	return got.sorted()
}

func fullSpeed(r *rig) {
	limits := []int{60, 100, 1000}
	l := r.limiter(manyLimits(time.Minute, limits...))
	var wg sync.WaitGroup
	for i, limit := range limits {
		wg.Go(func() {
			p := pinterest.Permit{App: "app", Account: "a", Category: category(i)}
			began := time.Now()
			at := r.saturate(l, p, 4, 11*time.Minute)
			with, without := 0, 0
			for _, one := range at {
				if one.Sub(began) < 10*time.Minute {
					with++
				}
				if one.Sub(began) >= time.Minute {
					without++
				}
			}
			between(r, fmt.Sprintf("10 minutes of %d a minute", limit), with, limit*98/10, limit*10)
			between(r, fmt.Sprintf("10 minutes of %d a minute, after the first", limit), without, limit*98/10, limit*10)
		})
	}
	wg.Wait()
}

func oneAWindow(r *rig) {
	l := r.limiter(perMinute(1))
	took := elapsed(func() { r.must(l, write("a")) })
	between(r, "the first", took, 0, tick)
	took = elapsed(func() { r.must(l, write("a")) })
	between(r, "the second", took, time.Minute, 62*time.Second)
}

func noLimit(r *rig) {
	l := r.limiter(pinterest.Limits{})
	took := elapsed(func() {
		for range 500 {
			r.must(l, write("a"))
		}
	})
	between(r, "500 calls", took, 0, tick)
}

func overAll(r *rig) {
	l := r.limiter(pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{
		pinterest.CategoryAll:      {Limit: 20, Window: time.Second},
		pinterest.CategoryOrgRead:  {Limit: 6000, Window: time.Minute},
		pinterest.CategoryOrgWrite: {Limit: 6000, Window: time.Minute},
	}})
	var reads, writes []time.Time
	var wg sync.WaitGroup
	wg.Go(func() { reads = r.saturate(l, read("a"), 2, 10*time.Second) })
	wg.Go(func() { writes = r.saturate(l, write("a"), 2, 10*time.Second) })
	wg.Wait()
	all := times{list: append(reads, writes...)}
	between(r, "calls in 10 seconds", len(all.list), 190, 200)
	between(r, "calls in the worst second", most(all.sorted(), time.Second), 1, 20)
}

func keysApart(r *rig) {
	l := r.limiter(pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{
		pinterest.CategoryOrgRead:  {Limit: 100, Window: time.Minute},
		pinterest.CategoryOrgWrite: {Limit: 100, Window: time.Minute},
	}})
	n := r.grab(l, write("a"), 100)
	other := write("a")
	other.App = "another app"
	for what, p := range map[string]pinterest.Permit{"another account": write("b"), "another category": read("a"), "another app": other} {
		between(r, what, r.grab(l, p, 100), n, n)
	}
}

func anyClock(r *rig) {
	for _, ahead := range []time.Duration{-29 * 365 * 24 * time.Hour, -time.Nanosecond, 26*365*24*time.Hour + 17*time.Hour + 59*time.Second + 987654321} {
		r.clock.ahead = ahead
		l := r.limiter(perMinute(60))
		p := write(fmt.Sprint("clock ", ahead))
		took := elapsed(func() {
			for range 70 {
				r.must(l, p)
			}
		})
		between(r, "70 calls", took, 61*time.Second, 75*time.Second)
	}
}
