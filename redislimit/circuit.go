package redislimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Fallback says what happens to calls while Redis does not answer. It is made by
// [FailOpen] or [FailClosed].
type Fallback struct {
	closed   bool
	fraction float64
}

// FailOpen lets calls go while Redis does not answer. Each process then paces its
// calls by itself, at a fraction of every quota and with no burst at first. The
// fraction is more than 0 and at most 1. The fractions of all processes should
// add up to at most 0.9: the rest is for what the fleet used just before the
// outage, and for its burst after it.
func FailOpen(fraction float64) Fallback { return Fallback{fraction: fraction} }

// FailClosed refuses calls while Redis does not answer. The error is a
// *pinterest.PaceError with the reason PaceUnavailable. Its Until is the time at
// which Redis will be asked again.
func FailClosed() Fallback { return Fallback{closed: true} }

// probeEvery is how often one of the calls asks a Redis that does not answer.
const probeEvery = time.Second

// errRetryRedis ends a wait of the fallback when it is time to ask Redis again.
var errRetryRedis = errors.New("it is time to ask Redis")

// circuit is the circuit breaker: it is open while Redis does not answer.
type circuit struct {
	fallback Fallback
	observer func(error)

	mu        sync.Mutex
	current   *outage   // nil: Redis answers
	probe     time.Time // when to ask Redis again
	pending   []error   // what the observer has not been called with yet
	notifying bool      // a goroutine is calling the observer
}

// outage is one period in which Redis does not answer.
type outage struct {
	cause    *downError
	fraction float64
	pacer    *pinterest.Pacer // nil when failing closed
	over     context.Context  // ends with the outage
	end      context.CancelFunc
	circuit  *circuit

	mu        sync.Mutex
	seeded    map[string]struct{} // the keys of the limits that the pacer was given
	oldSeeded map[string]struct{} // those of the previous generation
	turn      time.Time           // when the next generation begins
}

// seedLifetime is how long a limit counts as given to the pacer, which forgets
// limits that are not used for as long.
const seedLifetime = 2 * time.Minute

// outage returns the current outage, or nil.
func (c *circuit) outage() *outage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// open returns the current outage, or nil if Redis is to be asked: it answers, or
// it is time to try again.
func (c *circuit) open(now time.Time) *outage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || !now.Before(c.probe) {
		return nil
	}
	return c.current
}

// admit lets a request go to Redis: all of them while Redis answers, else one a
// second.
func (c *circuit) admit(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return nil
	}
	if now.Before(c.probe) {
		return c.current.cause
	}
	c.probe = now.Add(probeEvery)
	return nil
}

// failed records that Redis has not answered, and returns the error that says so.
func (c *circuit) failed(err error, l *Limiter) error {
	down := &downError{err}
	c.mu.Lock()
	c.probe = l.clock.Now().Add(probeEvery)
	if c.current != nil {
		c.current.cause = down
		c.mu.Unlock()
		return down
	}
	over, end := context.WithCancel(context.Background()) //nolint:gosec // succeeded ends it
	c.current = &outage{cause: down, fraction: c.fallback.fraction, over: over, end: end, circuit: c}
	if !c.fallback.closed {
		c.current.pacer = l.ownPacer(c.fallback.fraction)
	}
	c.notify(down)
	return down
}

// succeeded records that Redis has answered.
func (c *circuit) succeeded() {
	c.mu.Lock()
	if c.current == nil {
		c.mu.Unlock()
		return
	}
	c.current.end() // calls that wait for the process's own pacer go back to the fleet's queue
	c.current = nil
	c.notify(nil)
}

// notify calls the observer, in order and never twice at the same time. It is
// called with the lock held and releases it.
func (c *circuit) notify(err error) {
	defer c.mu.Unlock()
	if c.observer == nil {
		return
	}
	c.pending = append(c.pending, err)
	if c.notifying {
		return
	}
	c.notifying = true
	for len(c.pending) > 0 {
		next := c.pending[0]
		c.pending = c.pending[1:]
		c.mu.Unlock()
		c.observer(next)
		c.mu.Lock()
	}
	c.notifying = false
}

// ownPacer returns a pacer for this process alone, at a fraction of the quotas.
func (l *Limiter) ownPacer(fraction float64) *pinterest.Pacer {
	part := func(quotas map[pinterest.Category]pinterest.Quota) map[pinterest.Category]pinterest.Quota {
		own := map[pinterest.Category]pinterest.Quota{}
		for c, q := range quotas {
			if q.Limit > 0 {
				q.Limit = portion(q.Limit, fraction)
			}
			own[c] = q
		}
		return own
	}
	p, err := pinterest.NewPacer(pinterest.Limits{Account: part(l.limits.Account), App: part(l.limits.App)}, l.clock)
	if err != nil {
		panic("redislimit: " + err.Error()) // New has checked the limits
	}
	return p
}

// portion returns a fraction of a limit: at least 1, because 0 would mean no limit.
func portion(limit int, fraction float64) int { return max(1, int(float64(limit)*fraction)) }

// refusal is the error of a call that may not go without Redis.
func (o *outage) refusal() error {
	o.circuit.mu.Lock()
	defer o.circuit.mu.Unlock()
	return pinterest.NewPaceError(pinterest.PaceWait{Reason: pinterest.PaceUnavailable, Until: o.circuit.probe}, o.cause)
}

// wait is Limiter.Wait without Redis. It returns errRetryRedis when it is time to
// ask Redis again, or when Redis has answered another call.
func (o *outage) wait(ctx context.Context, pm pinterest.Permit, limits []limit, l *Limiter) error {
	o.seed(ctx, &pm, limits, l)
	turn, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.over, cancel)()
	// Not all waiting calls ask at the same moment.
	timer := time.AfterFunc(probeEvery+rand.N(probeEvery), cancel)
	defer timer.Stop()
	err := o.pacer.Wait(turn, pm)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return errRetryRedis
	}
	return err
}

// seed gives the pacer the limits that it has not seen in this outage: as Redis
// last reported them, closed if they were closed, and without a burst, because the
// fleet may have spent it a moment ago.
func (o *outage) seed(ctx context.Context, pm *pinterest.Permit, limits []limit, l *Limiter) {
	now := l.clock.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range limits {
		x := &limits[i]
		if x.quota.Limit == 0 || o.isSeeded(x.key, now) {
			continue
		}
		s, _ := l.known.state(x)
		policy := pinterest.RatePolicy{Name: x.name + userScope, Limit: x.quota.Limit, Window: x.quota.Window}
		if x.app {
			policy.Name = x.name + appScope
		}
		rate := pinterest.RateLimit{Remaining: -1, Policies: []pinterest.RatePolicy{policy}}
		if x.quota.Window >= counted && s.ends.After(now) { // what is used of a day's quota stays used
			rate.Limit, rate.Remaining, rate.Reset = policy.Limit, max(0, policy.Limit-int(s.used)), s.ends.Sub(now)
			rate.Policy = policy
		}
		o.observe(ctx, *pm, &rate)
		rate.Policy = policy
		switch hold := s.held.Sub(now); {
		case hold > 0:
			o.penalize(ctx, *pm, &rate, hold)
		case x.quota.Window < counted:
			o.penalize(ctx, *pm, &rate, 0) // one may go, the others at the pace
		}
	}
}

// isSeeded reports whether the pacer was given a limit before, and records that it
// is now. The lock is held.
func (o *outage) isSeeded(key string, now time.Time) bool {
	if now.After(o.turn) {
		o.oldSeeded, o.seeded, o.turn = o.seeded, map[string]struct{}{}, now.Add(seedLifetime)
	}
	_, young := o.seeded[key]
	_, old := o.oldSeeded[key]
	o.seeded[key] = struct{}{}
	return young || old
}

// observe and penalize pass on to the pacer what the API said, scaled to its part.
func (o *outage) observe(ctx context.Context, pm pinterest.Permit, rate *pinterest.RateLimit) {
	if o.pacer != nil {
		o.pacer.Observe(ctx, pm, o.part(rate))
	}
}

func (o *outage) penalize(ctx context.Context, pm pinterest.Permit, rate *pinterest.RateLimit, wait time.Duration) {
	if o.pacer != nil {
		o.pacer.Penalize(ctx, pm, o.part(rate), wait)
	}
}

// part scales what the API said to this process's fraction. Otherwise the pacer
// would follow the whole quota from the first answer on.
func (o *outage) part(rate *pinterest.RateLimit) pinterest.RateLimit {
	own := *rate
	scale := func(p pinterest.RatePolicy) pinterest.RatePolicy {
		if p.Limit > 0 {
			p.Limit = portion(p.Limit, o.fraction)
		}
		return p
	}
	own.Policy = scale(own.Policy)
	own.Policies = make([]pinterest.RatePolicy, len(rate.Policies))
	for i, p := range rate.Policies {
		own.Policies[i] = scale(p)
	}
	if own.Limit > 0 {
		own.Limit = portion(own.Limit, o.fraction)
	}
	if own.Remaining > 0 {
		own.Remaining = int(float64(own.Remaining) * o.fraction)
		if own.Remaining == 0 && own.Limit > 1 {
			own.Remaining = 1 // 0 is only for what the API says is used up
		}
	}
	return own
}
