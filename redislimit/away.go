package redislimit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Fallback says what happens while Redis is away.
type Fallback struct {
	closed   bool
	fraction float64
}

// FailOpen lets calls go while Redis is away, paced within each process below a
// fraction of every quota: 1 divided by the number of processes is safe.
func FailOpen(fraction float64) Fallback { return Fallback{fraction: fraction} }

// FailClosed refuses calls while Redis is away, with a pinterest.PaceError whose
// reason is PaceUnavailable.
func FailClosed() Fallback { return Fallback{closed: true} }

// probeEvery is how often a call asks a Redis that is away, at the price of one
// timeout.
const probeEvery = time.Second

// away knows whether Redis is away, and does without it.
type away struct {
	fallback Fallback
	observe  func(error)
	pacer    *pinterest.Pacer

	mu    sync.Mutex
	down  bool
	err   error
	probe time.Time // when to ask again
}

func (a *away) prepare(limits pinterest.Limits, clock pinterest.Clock) error {
	if a.fallback.closed {
		a.fallback.fraction = 1 // of headers and 429s is learned all the same
	}
	f := a.fallback.fraction
	if !(f > 0 && f <= 1) {
		return fmt.Errorf("redislimit: FailOpen: the fraction must be more than 0 and at most 1, is %v", f)
	}
	part := func(quotas map[pinterest.Category]pinterest.Quota) map[pinterest.Category]pinterest.Quota {
		out := map[pinterest.Category]pinterest.Quota{}
		for c, q := range quotas {
			if q.Limit > 0 {
				q.Limit = max(1, int(float64(q.Limit)*f))
			}
			out[c] = q
		}
		return out
	}
	var err error
	a.pacer, err = pinterest.NewPacer(pinterest.Limits{Account: part(limits.Account), App: part(limits.App)}, clock)
	return err
}

// ask reports whether to ask Redis: it is there, or it is time to see whether it
// is there again.
func (a *away) ask(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.down {
		return true
	}
	if now.Before(a.probe) {
		return false
	}
	a.probe = now.Add(probeEvery)
	return true
}

// lost notes that Redis could not be asked.
func (a *away) lost(err error, now time.Time) {
	a.mu.Lock()
	first := !a.down
	a.down, a.err, a.probe = true, err, now.Add(probeEvery)
	a.mu.Unlock()
	if first && a.observe != nil {
		a.observe(err)
	}
}

// back notes that Redis has answered.
func (a *away) back() {
	a.mu.Lock()
	was := a.down
	a.down = false
	a.mu.Unlock()
	if was && a.observe != nil {
		a.observe(nil)
	}
}

// wait is Limiter.Wait without Redis.
func (a *away) wait(ctx context.Context, pm pinterest.Permit) error {
	if !a.fallback.closed {
		return a.pacer.Wait(ctx, pm)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return pinterest.NewPaceError(pinterest.PaceWait{Reason: pinterest.PaceUnavailable, Until: a.probe}, a.err)
}
