package redislimit

import (
	"context"
	"time"

	"github.com/pinterest-go/pinterest"
)

// This file is what a limiter learns from the headers of answers and from 429s.

const (
	// edge is how far the API's and our idea of a window's end may be apart.
	edge = 2 * time.Second
	// minShift is by how much the end that an answer names has to differ from the
	// known one to be worth a request to Redis.
	minShift = 250 * time.Millisecond
)

// Observe implements [pinterest.Limiter]. It sends Redis only what Redis did not
// know when it was last asked.
func (l *Limiter) Observe(ctx context.Context, pm pinterest.Permit, rate pinterest.RateLimit) {
	now := l.clock.Now()
	if o := l.circuit.open(now); o != nil {
		o.observe(ctx, pm, &rate)
		return
	}
	for i := range rate.Policies {
		l.reveal(&pm, &rate.Policies[i])
	}
	limits := l.of(&pm)
	speaks := attributed(limits, &rate)
	for i := range limits {
		x := &limits[i]
		policy := policyFor(limits, x, &rate)
		revised := policy != nil && (policy.Limit != x.quota.Limit || policy.Window != x.quota.Window)
		if revised {
			x.quota = pinterest.Quota{Limit: policy.Limit, Window: policy.Window}
		}
		s, asked := l.known.state(x)
		says := x == speaks && rate.Known()
		revealed := x.app && s.quota.Limit == 0 // or Redis has lost it
		switch {
		case revised, revealed, says && isNew(&s, asked, x.quota, &rate, now):
		default:
			continue
		}
		q := request{operation: observe, limits: []limit{*x}}
		if x.app {
			q.cost = max(1, pm.Cost)
		}
		if says {
			q.first, q.second = int64(rate.Remaining), rate.Reset.Microseconds()
		}
		if a, err := l.run(ctx, q); err == nil && l.known.put(x, a.results[0].state) {
			l.changed(x.key)
		}
	}
}

// isNew reports whether what is left of a limit is news to Redis. It follows what
// the script would do with it.
func isNew(s *state, asked bool, quota pinterest.Quota, rate *pinterest.RateLimit, now time.Time) bool {
	end := now.Add(rate.Reset)
	switch {
	case rate.Reset > quota.Window+edge:
		return false
	case rate.Remaining == 0:
		return end.After(s.held.Add(minShift)) // mostly known from a 429
	case quota.Window < 2*edge:
		return false // an end in whole seconds says nothing of a window of seconds
	case !asked || s.doubted || s.ends.IsZero():
		return true
	}
	apart := end.Sub(s.ends)
	if apart <= 2*edge-quota.Window && quota.Window < counted {
		return false // it is about the previous window
	}
	if apart < -minShift || apart >= edge {
		return true // the end has moved
	}
	others := float64(quota.Limit-rate.Remaining) - s.used
	if s.others == 0 && quota.Window < counted {
		others -= 2 + 0.02*float64(quota.Limit) // calls that are under way
	}
	return others > 0
}

// Penalize implements [pinterest.Limiter].
func (l *Limiter) Penalize(ctx context.Context, pm pinterest.Permit, rate pinterest.RateLimit, wait time.Duration) {
	l.reveal(&pm, &rate.Policy) // the limit may not be known yet
	for i := range rate.Policies {
		l.reveal(&pm, &rate.Policies[i])
	}
	limits := l.of(&pm)
	x := attributed(limits, &rate)
	if x == nil {
		x = &limits[1]
	}
	wait = min(max(wait, 0), longest)
	if o := l.circuit.open(l.clock.Now()); o != nil {
		o.penalize(ctx, pm, &rate, wait)
		l.keepHold(x, wait)
		return
	}
	// The call may be over, but the hold is for all others, too.
	if err := l.hold(context.WithoutCancel(ctx), x, wait); isDown(err) {
		l.keepHold(x, wait)
		if o := l.circuit.outage(); o != nil {
			o.penalize(ctx, pm, &rate, wait)
		}
	}
}

// hold closes a limit for the whole fleet.
func (l *Limiter) hold(ctx context.Context, x *limit, wait time.Duration) error {
	a, err := l.run(ctx, request{operation: hold, first: wait.Microseconds(), limits: []limit{*x}})
	if err != nil {
		return err
	}
	l.known.put(x, a.results[0].state)
	l.changed(x.key)
	return nil
}

// keepHold remembers a hold that could not be sent to Redis.
func (l *Limiter) keepHold(x *limit, wait time.Duration) {
	s, _ := l.known.state(x)
	if until := l.clock.Now().Add(wait); until.After(s.held) {
		s.held, s.unsent = until, true
		l.known.put(x, s)
	}
}

// sendHold sends Redis a hold that could not be sent earlier.
func (l *Limiter) sendHold(ctx context.Context, x *limit) {
	if s, _ := l.known.state(x); s.unsent {
		if wait := s.held.Sub(l.clock.Now()); wait > 0 {
			_ = l.hold(ctx, x, wait) // if it fails, the next call tries again
		}
	}
}
