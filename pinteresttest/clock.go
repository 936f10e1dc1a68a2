package pinteresttest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Clock tells the time to a [Server], and to a client under test when that
// client is given the same clock. It comes in three kinds:
//
//   - [NewClock]: a fake whose Sleep moves the time forward itself and returns
//     at once, so that waiting costs nothing.
//   - [NewManualClock]: a fake that stands still until Advance is called.
//   - [RealClock]: the time of the machine.
//
// A Clock is safe for concurrent use. Make one with its constructors.
type Clock struct {
	kind clockKind

	mu      sync.Mutex
	now     time.Time     // of a fake clock
	ahead   time.Duration // of a real clock: how far Advance has moved it
	slept   []time.Duration
	waiters []*waiter
	changed chan struct{} // closed and replaced whenever waiters changes
}

type clockKind uint8

const (
	autoClock clockKind = iota
	manualClock
	realClock
)

// A waiter is one Sleep under way.
type waiter struct {
	until time.Time
	woken chan struct{}
}

// NewClock returns a fake clock that shows start and moves by itself: a Sleep
// takes the clock forward by its whole length and returns at once. Sleeps of
// several goroutines therefore add up, each beginning where the one before it
// ended. Use [NewManualClock] where they have to overlap.
func NewClock(start time.Time) *Clock { return newClock(autoClock, start) }

// NewManualClock returns a fake clock that shows start and stands still: a
// Sleep lasts until [Clock.Advance] has brought the clock to its end.
func NewManualClock(start time.Time) *Clock { return newClock(manualClock, start) }

// RealClock returns a clock that shows the time of the machine and really
// sleeps. Advance moves it ahead of the machine.
func RealClock() *Clock { return newClock(realClock, time.Time{}) }

func newClock(kind clockKind, start time.Time) *Clock {
	return &Clock{kind: kind, now: start, changed: make(chan struct{})}
}

// Now returns the time the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time()
}

// time is Now for callers that hold the lock.
func (c *Clock) time() time.Time {
	if c.kind == realClock {
		return time.Now().Add(c.ahead)
	}
	return c.now
}

// Sleep waits until d has passed on the clock, or returns the cause of ctx's
// end as soon as ctx is done. A d of zero or less does not wait.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if d > 0 && ctx.Err() == nil {
		c.mu.Lock()
		c.slept = append(c.slept, d)
		c.mu.Unlock()
	}
	return c.wait(ctx, d)
}

// wait is Sleep without the record. The server waits with it, so that Slept
// shows the sleeps of the client alone.
func (c *Clock) wait(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}

	c.mu.Lock()
	if c.kind == autoClock {
		c.now = c.now.Add(d)
		c.mu.Unlock()
		return nil
	}
	w := &waiter{until: c.time().Add(d), woken: make(chan struct{})}
	c.waiters = append(c.waiters, w)
	c.announce()
	c.mu.Unlock()

	var expired <-chan time.Time // never, on a manual clock
	if c.kind == realClock {
		timer := time.NewTimer(d)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-w.woken:
		return nil
	case <-expired:
		c.leave(w)
		return nil
	case <-ctx.Done():
		c.leave(w)
		return context.Cause(ctx)
	}
}

// leave takes a waiter that was not woken off the list.
func (c *Clock) leave(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiters, w); i >= 0 {
		c.waiters = slices.Delete(c.waiters, i, i+1)
		c.announce()
	}
}

// announce tells those in BlockUntil that the waiters are others now.
func (c *Clock) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Advance moves the clock forward by d and wakes every sleeper whose end has
// been reached. A d of zero or less does nothing.
func (c *Clock) Advance(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kind == realClock {
		c.ahead += d
	} else {
		c.now = c.now.Add(d)
	}

	now := c.time()
	c.waiters = slices.DeleteFunc(c.waiters, func(w *waiter) bool {
		due := !w.until.After(now)
		if due {
			close(w.woken)
		}
		return due
	})
	c.announce()
}

// Waiters returns how many sleeps are under way, delays of the server's faults
// included. It is always 0 on a clock of [NewClock].
func (c *Clock) Waiters() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiters)
}

// BlockUntil returns when at least n sleeps are under way, or with the cause of
// ctx's end when that comes first.
func (c *Clock) BlockUntil(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		enough, changed := len(c.waiters) >= n, c.changed
		c.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Slept returns the length of every Sleep, in the order in which they began,
// whether or not they lasted to their end. Delays of the server's faults are
// not among them.
func (c *Clock) Slept() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.slept)
}
