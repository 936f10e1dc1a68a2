// Package limitertest tests implementations of pinterest.Limiter: everything that
// an App relies on, and calls against a model of how the API counts.
//
//	func TestLimiter(t *testing.T) {
//		limitertest.Run(t, func(t *testing.T, limits pinterest.Limits, clock pinterest.Clock) pinterest.Limiter {
//			return newLimiter(t, limits, clock)
//		})
//	}
//
// Run it with the race detector. Each test runs in a bubble of testing/synctest,
// where hours pass in no time. The limiter is opened inside the bubble. It may talk
// to a server over a socket if it takes the time from the clock that it is given:
// time stands still while a goroutine waits for a socket.
package limitertest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/realclock"
)

// Open returns a new limiter with these limits, which uses the clock and has
// counted nothing yet. It closes the limiter at the end of the test.
type Open = func(t *testing.T, limits pinterest.Limits, clock pinterest.Clock) pinterest.Limiter

// tick is how long a limiter may take for what should take no time at all.
const tick = 50 * time.Millisecond

// test is one behavior.
type test struct {
	name string
	run  func(r *rig)
}

// Run runs all tests, each with a limiter of its own from open.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, test := range slices.Concat(
		paceTests(), serverTests(), costTests(), headerTests(), refusalTests(), queueTests(), deadlineTests(), trialTests(), usageTests(), crowdTests(),
	) {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test.run(&rig{T: t, open: open}) })
		})
	}
}

// rig is a test with its limiter, its clock and its calls.
type rig struct {
	*testing.T
	open  Open
	clock clock
	wg    sync.WaitGroup // the calls in the background
}

// clock shows the time of the bubble, shifted by ahead.
type clock struct {
	realclock.Clock
	ahead time.Duration
}

func (c clock) Now() time.Time { return time.Now().Add(c.ahead) }

// limiter opens a limiter.
func (r *rig) limiter(limits pinterest.Limits) pinterest.Limiter {
	r.Helper()
	l := r.open(r.T, limits, r.clock)
	if l == nil {
		r.Fatal("open returned no limiter")
	}
	return l
}

// perMinute are limits of one category, CategoryOrgWrite.
func perMinute(n int) pinterest.Limits {
	return accountLimits(pinterest.CategoryOrgWrite, n, time.Minute)
}

func accountLimits(c pinterest.Category, n int, window time.Duration) pinterest.Limits {
	return pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{c: {Limit: n, Window: window}}}
}

// write is a permit for a write of an account.
func write(account string) pinterest.Permit {
	return pinterest.Permit{App: "app", Account: account, Category: pinterest.CategoryOrgWrite}
}

// read is a permit for a read of an account.
func read(account string) pinterest.Permit {
	p := write(account)
	p.Category = pinterest.CategoryOrgRead
	return p
}

// settle waits until nothing more can happen now: time moves on only when every
// goroutine of the bubble is blocked.
func (r *rig) settle() { time.Sleep(time.Millisecond) }

// must waits for a permit.
func (r *rig) must(l pinterest.Limiter, p pinterest.Permit) {
	r.Helper()
	if err := l.Wait(context.Background(), p); err != nil {
		r.Errorf("Wait: %v", err)
	}
}

// within waits for a permit with a deadline after d.
func within(l pinterest.Limiter, p pinterest.Permit, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return l.Wait(ctx, p)
}

// grab takes all permits that are free now, up to a bound, and returns how many.
func (r *rig) grab(l pinterest.Limiter, p pinterest.Permit, bound int) int {
	r.Helper()
	for n := range bound {
		if err := within(l, p, time.Millisecond); err != nil {
			if !errors.Is(err, pinterest.ErrPaced) {
				r.Errorf("Wait: %v, want a refusal", err)
			}
			return n
		}
	}
	return bound
}

// empty takes all permits that are free now.
func (r *rig) empty(l pinterest.Limiter, p pinterest.Permit) {
	r.Helper()
	if n := r.grab(l, p, 1000); n == 1000 {
		r.Fatal("1000 permits at once: it is not paced")
	}
}

// saturate takes permits as fast as they come for a time, and returns when each
// came.
func (r *rig) saturate(l pinterest.Limiter, p pinterest.Permit, workers int, d time.Duration) []time.Time {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	end := time.Now().Add(d)
	var got times
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := l.Wait(ctx, p); err == nil {
					got.add()
				} else if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
					r.Errorf("Wait: %v", err)
					return
				} else {
					return // the next permit comes after the end
				}
			}
		})
	}
	wg.Wait()
	time.Sleep(time.Until(end))
	return got.sorted()
}

// times records when things happened.
type times struct {
	mu   sync.Mutex
	list []time.Time
}

func (t *times) add() {
	t.mu.Lock()
	t.list = append(t.list, time.Now())
	t.mu.Unlock()
}

func (t *times) sorted() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortFunc(t.list, time.Time.Compare)
	return t.list
}

// most returns how many of the times fall into the worst stretch of a length.
func most(at []time.Time, window time.Duration) (n int) {
	first := 0
	for i := range at {
		for at[i].Sub(at[first]) >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

// outcome is how a call in the background ended.
type outcome struct {
	name string
	err  error
	at   time.Duration // after the first was started
}

// outcomes are those of several, in the order in which they ended.
type outcomes struct {
	mu    sync.Mutex
	begun time.Time
	list  []outcome
}

// begin starts a call in the background, and returns when it waits.
func (r *rig) begin(ctx context.Context, o *outcomes, name string, l pinterest.Limiter, p pinterest.Permit) {
	if o.begun.IsZero() {
		o.begun = time.Now()
	}
	r.wg.Go(func() {
		err := l.Wait(ctx, p)
		o.mu.Lock()
		o.list = append(o.list, outcome{name, err, time.Since(o.begun)})
		o.mu.Unlock()
	})
	r.settle()
}

// all returns the calls that have ended by now.
func (o *outcomes) all() []outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.list)
}

// granted returns the calls that got a permit, in order.
func (o *outcomes) granted() (names []string) {
	for _, one := range o.all() {
		if one.err == nil {
			names = append(names, one.name)
		}
	}
	return names
}

// end waits for all calls in the background.
func (r *rig) end() { r.wg.Wait() }

// between checks that a number is in a range.
func between[N int | int64 | float64 | time.Duration](r *rig, what string, got, least, most N) {
	r.Helper()
	if got < least || got > most {
		r.Errorf("%s: %v, want %v to %v", what, got, least, most)
	}
}

// elapsed returns how long f takes.
func elapsed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
