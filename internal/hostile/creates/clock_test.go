package creates_test

import (
	"context"
	"sync"
	"testing"
	"time"
)

// simClock is the time of one simulated world. It stands still while anybody works and
// jumps to the next wake-up when everybody sleeps, so that no test takes real
// time. With several actors one of them may wait for a lock that a sleeper
// holds; then the time moves on after a short while in which nothing happened.
type simClock struct {
	mu       sync.Mutex
	now      time.Time
	actors   int
	sleepers []*sleeper
	activity uint64
}

type sleeper struct {
	due  time.Time
	wake chan struct{}
}

var epoch = time.Date(2026, time.November, 20, 9, 30, 7, 345_000_000, time.UTC)

func newSimClock() *simClock { return &simClock{now: epoch, actors: 1} }

func (c *simClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.activity++
	return c.now
}

// Advance lets time pass without anybody having slept.
func (c *simClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.activity++
	c.now = c.now.Add(d)
	for i := 0; i < len(c.sleepers); {
		if s := c.sleepers[i]; !s.due.After(c.now) {
			close(s.wake)
			c.sleepers = append(c.sleepers[:i], c.sleepers[i+1:]...)
			continue
		}
		i++
	}
}

func (c *simClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	c.mu.Lock()
	s := &sleeper{due: c.now.Add(d), wake: make(chan struct{})}
	c.sleepers = append(c.sleepers, s)
	c.activity++
	c.jump(false)
	c.mu.Unlock()
	select {
	case <-s.wake:
		return ctx.Err()
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, other := range c.sleepers {
			if other == s {
				c.sleepers = append(c.sleepers[:i], c.sleepers[i+1:]...)
				break
			}
		}
		return ctx.Err()
	}
}

// jump wakes the next sleeper when all actors sleep, or in any case when forced.
func (c *simClock) jump(force bool) {
	if len(c.sleepers) == 0 || !force && len(c.sleepers) < c.actors {
		return
	}
	next := 0
	for i, s := range c.sleepers {
		if s.due.Before(c.sleepers[next].due) {
			next = i
		}
	}
	s := c.sleepers[next]
	c.sleepers = append(c.sleepers[:next], c.sleepers[next+1:]...)
	if s.due.After(c.now) {
		c.now = s.due
	}
	c.activity++
	close(s.wake)
}

// together runs the actors at the same time and returns when all are done.
func (c *simClock) together(t *testing.T, actors ...func()) {
	t.Helper()
	c.mu.Lock()
	c.actors = len(actors)
	c.mu.Unlock()
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { c.watch(stop) })
	var group sync.WaitGroup
	for _, actor := range actors {
		group.Go(func() {
			actor()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.actors--
			c.jump(false)
		})
	}
	group.Wait()
	close(stop)
	watch.Wait()
	c.mu.Lock()
	c.actors = 1
	c.mu.Unlock()
}

func (c *simClock) watch(stop <-chan struct{}) {
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	var last uint64
	for quiet := 0; ; {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		if c.activity == last {
			quiet++
		} else {
			quiet = 0
		}
		if quiet >= 2 {
			c.jump(true)
			quiet = 0
		}
		last = c.activity
		c.mu.Unlock()
	}
}

// wallClock is what one process takes for the time: the world's, and an error
// that can change.
type wallClock struct {
	*simClock
	off sync.Mutex
	by  time.Duration
}

func (c *wallClock) Now() time.Time {
	c.off.Lock()
	defer c.off.Unlock()
	return c.simClock.Now().Add(c.by)
}

// step sets the clock forward or, with a negative duration, back.
func (c *wallClock) step(d time.Duration) {
	c.off.Lock()
	defer c.off.Unlock()
	c.by += d
}
