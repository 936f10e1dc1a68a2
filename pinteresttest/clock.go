package pinteresttest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Clock is the time of a [Server], and of a client under test when that
// client uses the same clock. There are three kinds:
//
//   - [NewClock]: a fake whose Sleep advances the time and returns at once, so that
//     waiting takes no time.
//   - [NewManualClock]: a fake whose time changes only by Advance.
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

// A waiter is a Sleep in progress.
type waiter struct {
	until time.Time
	woken chan struct{}
}

// NewClock returns a fake clock that starts at start. A Sleep advances it by its
// whole length and returns at once. The sleeps of several goroutines therefore add
// up: each begins where the one before it ended. Use [NewManualClock] if they have
// to overlap.
func NewClock(start time.Time) *Clock { return newClock(autoClock, start) }

// NewManualClock returns a fake clock that starts at start and does not move by
// itself. A Sleep lasts until [Clock.Advance] has moved the clock to its end.
func NewManualClock(start time.Time) *Clock { return newClock(manualClock, start) }

// RealClock returns a clock with the time of the machine, whose Sleep really
// sleeps. Advance moves it ahead of the machine's time.
func RealClock() *Clock { return newClock(realClock, time.Time{}) }

func newClock(kind clockKind, start time.Time) *Clock {
	return &Clock{kind: kind, now: start, changed: make(chan struct{})}
}

// Now returns the current time of the clock.
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

// Sleep waits until d has passed on the clock. If ctx ends first, it returns the
// context's cause. It does not wait if d is zero or negative.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if d > 0 && ctx.Err() == nil {
		c.mu.Lock()
		c.slept = append(c.slept, d)
		c.mu.Unlock()
	}
	return c.wait(ctx, d)
}

// wait is Sleep without recording it. The server uses it, so that Slept returns the
// sleeps of the client only.
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

// leave removes a waiter that was not woken from the list.
func (c *Clock) leave(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiters, w); i >= 0 {
		c.waiters = slices.Delete(c.waiters, i, i+1)
		c.announce()
	}
}

// announce wakes the callers of BlockUntil after the waiters have changed.
func (c *Clock) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Advance moves the clock forward by d and wakes every sleeper whose time has come.
// It does nothing if d is zero or negative.
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

// Waiters returns how many sleeps are in progress, including delays of the server's
// faults. It is always 0 for a clock of [NewClock].
func (c *Clock) Waiters() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiters)
}

// BlockUntil waits until at least n sleeps are in progress. If ctx ends first, it
// returns the context's cause.
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

// Slept returns the length of every Sleep in the order in which they began, even if
// they were canceled. Delays of the server's faults are not included.
func (c *Clock) Slept() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.slept)
}
