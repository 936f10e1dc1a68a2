package redislimit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Fallback says what happens while Redis is away.
type Fallback struct {
	closed   bool
	fraction float64
}

// FailOpen lets calls go while Redis is away. Each process by itself then paces
// them at a fraction of every quota, with no burst at first. The fractions of all
// processes together should be at most 0.9: the rest is for what the fleet has
// used just before Redis went, and for its burst when it is back.
func FailOpen(fraction float64) Fallback { return Fallback{fraction: fraction} }

// FailClosed refuses calls while Redis is away, with a *pinterest.PaceError whose
// reason is PaceUnavailable and which says when Redis will be asked again.
func FailClosed() Fallback { return Fallback{closed: true} }

// probeEvery is how often one of the calls asks a Redis that is away.
const probeEvery = time.Second

// errRetryRedis ends a wait of the fallback: it is time to ask Redis.
var errRetryRedis = errors.New("it is time to ask Redis")

// away knows whether Redis is away.
type circuit struct {
	fallback Fallback
	observer func(error)

	mu        sync.Mutex
	since     *outage   // nil: it is there
	probe     time.Time // when to ask it again
	pending   []error   // that the observer has not been told yet
	notifying bool      // somebody does
}

// outage is one time that Redis is away.
type outage struct {
	cause    *downError
	fraction float64
	pacer    *pinterest.Pacer // nil when failing closed
	over     context.Context  // ends with the outage
	end      context.CancelFunc
	circuit  *circuit

	mu   sync.Mutex
	met  map[string]struct{} // the keys of the limits that the pacer has begun with
	old  map[string]struct{} // those of the generation before
	turn time.Time           // when the next generation begins
}

// forgets is after how long, or twice as long, a limit that is not used is
// forgotten, as the pacer does.
const forgets = 2 * time.Minute

// outage returns the one that Redis is in, or nil.
func (c *circuit) outage() *outage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since
}

// now returns the outage, or nil when Redis is there or when it is time to ask it
// again.
func (c *circuit) now(now time.Time) *outage {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil || !now.Before(c.probe) {
		return nil
	}
	return c.since
}

// admit lets a request go to Redis, and while it is away one in a second.
func (c *circuit) admit(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil {
		return nil
	}
	if now.Before(c.probe) {
		return c.since.cause
	}
	c.probe = now.Add(probeEvery)
	return nil
}

// lost notes that Redis has not answered, and returns the error that says so.
func (c *circuit) lost(err error, l *Limiter) error {
	down := &downError{err}
	c.mu.Lock()
	c.probe = l.clock.Now().Add(probeEvery)
	if c.since != nil {
		c.since.cause = down
		c.mu.Unlock()
		return down
	}
	over, end := context.WithCancel(context.Background()) //nolint:gosec // back ends it
	c.since = &outage{cause: down, fraction: c.fallback.fraction, over: over, end: end, circuit: c}
	if !c.fallback.closed {
		c.since.pacer = l.ownPacer(c.fallback.fraction)
	}
	c.notify(down)
	return down
}

// back notes that Redis has answered.
func (c *circuit) back() {
	c.mu.Lock()
	if c.since == nil {
		c.mu.Unlock()
		return
	}
	c.since.end() // who waits in the process's own line goes back to the fleet's
	c.since = nil
	c.notify(nil)
}

// tell tells the observer, in order and one after the other. It is called with
// the lock held, and gives it back.
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

// ownPacer paces this process alone.
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

// portion is a limit's part: at least 1, since 0 would be none.
func portion(limit int, fraction float64) int { return max(1, int(float64(limit)*fraction)) }

// refusal is the error of one who may not go without Redis.
func (o *outage) refusal() error {
	o.circuit.mu.Lock()
	defer o.circuit.mu.Unlock()
	return pinterest.NewPaceError(pinterest.PaceWait{Reason: pinterest.PaceUnavailable, Until: o.circuit.probe}, o.cause)
}

// wait is Limiter.Wait without Redis. It returns errRetryRedis when it is time to
// ask it, or when it is back.
func (o *outage) wait(ctx context.Context, pm pinterest.Permit, limits []limit, l *Limiter) error {
	o.meet(ctx, &pm, limits, l)
	turn, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.over, cancel)()
	// Not all of those who wait at the same moment.
	timer := time.AfterFunc(probeEvery+rand.N(probeEvery), cancel)
	defer timer.Stop()
	err := o.pacer.Wait(turn, pm)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return errRetryRedis
	}
	return err
}

// meet has the pacer begin with limits that it has not seen in this outage: they
// are as Redis has last said, closed if they were, and without a burst, which the
// fleet may have had a moment ago.
func (o *outage) meet(ctx context.Context, pm *pinterest.Permit, limits []limit, l *Limiter) {
	now := l.clock.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range limits {
		x := &limits[i]
		if x.quota.Limit == 0 || o.knows(x.key, now) {
			continue
		}
		s, _ := l.known.state(x)
		policy := pinterest.RatePolicy{Name: x.name + userScope, Limit: x.quota.Limit, Window: x.quota.Window}
		if x.app {
			policy.Name = x.name + appScope
		}
		rate := pinterest.RateLimit{Remaining: -1, Policies: []pinterest.RatePolicy{policy}}
		if x.quota.Window >= counted && s.ends.After(now) { // what is used of a day stays used
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

// knows reports whether the pacer has begun with a limit, which it does now. The
// lock is held.
func (o *outage) knows(key string, now time.Time) bool {
	if now.After(o.turn) {
		o.old, o.met, o.turn = o.met, map[string]struct{}{}, now.Add(forgets)
	}
	_, young := o.met[key]
	_, old := o.old[key]
	o.met[key] = struct{}{}
	return young || old
}

// observe and penalize tell the pacer, of its part.
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

// part is this process's part of what the API said: otherwise the first answer
// would have the pacer follow the whole quota.
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
			own.Remaining = 1 // used up is what the API calls used up
		}
	}
	return own
}
