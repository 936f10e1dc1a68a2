package redislimit

import (
	"context"
	"time"

	"github.com/pinterest-go/pinterest"
)

// This file is what a limiter learns: from the headers of answers, and from 429s.

const (
	// edge is how far the API's and our idea of a window's end may be apart.
	edge = 2 * time.Second
	// finer is by how much an end that an answer tells has to be earlier than the
	// known one to be worth notifying.
	finer = 250 * time.Millisecond
)

// Observe implements [pinterest.Limiter]. Redis is asked only where the answer
// tells what it did not know when it was last asked.
func (l *Limiter) Observe(ctx context.Context, pm pinterest.Permit, rate pinterest.RateLimit) {
	now := l.clock.Now()
	if o := l.circuit.now(now); o != nil {
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
		policy := follows(limits, x, &rate)
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

// isNew reports whether what is left of a limit tells Redis something. It
// follows what the script would make of it.
func isNew(s *state, asked bool, quota pinterest.Quota, rate *pinterest.RateLimit, now time.Time) bool {
	end := now.Add(rate.Reset)
	switch {
	case rate.Reset > quota.Window+edge:
		return false
	case rate.Remaining == 0:
		return end.After(s.held.Add(finer)) // a 429 has told it, mostly
	case quota.Window < 2*edge:
		return false // an end in whole seconds says nothing of a window of seconds
	case !asked || s.doubted || s.ends.IsZero():
		return true
	}
	apart := end.Sub(s.ends)
	if apart <= 2*edge-quota.Window && quota.Window < counted {
		return false // it is of the window before
	}
	if apart < -finer || apart >= edge {
		return true // of the end
	}
	others := float64(quota.Limit-rate.Remaining) - s.used
	if s.others == 0 && quota.Window < counted {
		others -= 2 + 0.02*float64(quota.Limit) // calls that are under way
	}
	return others > 0
}

// Penalize implements [pinterest.Limiter].
func (l *Limiter) Penalize(ctx context.Context, pm pinterest.Permit, rate pinterest.RateLimit, wait time.Duration) {
	l.reveal(&pm, &rate.Policy) // nobody may know of it yet
	for i := range rate.Policies {
		l.reveal(&pm, &rate.Policies[i])
	}
	limits := l.of(&pm)
	x := attributed(limits, &rate)
	if x == nil {
		x = &limits[1]
	}
	wait = min(max(wait, 0), longest)
	if o := l.circuit.now(l.clock.Now()); o != nil {
		o.penalize(ctx, pm, &rate, wait)
		l.keepHold(x, wait)
		return
	}
	// The call may be over, and the others still have to know.
	if err := l.hold(context.WithoutCancel(ctx), x, wait); isDown(err) {
		l.keepHold(x, wait)
		if o := l.circuit.outage(); o != nil {
			o.penalize(ctx, pm, &rate, wait)
		}
	}
}

// hold closes a limit for all.
func (l *Limiter) hold(ctx context.Context, x *limit, wait time.Duration) error {
	a, err := l.run(ctx, request{operation: hold, first: wait.Microseconds(), limits: []limit{*x}})
	if err != nil {
		return err
	}
	l.known.put(x, a.results[0].state)
	l.changed(x.key)
	return nil
}

// keepHold remembers a hold that Redis could not be told of.
func (l *Limiter) keepHold(x *limit, wait time.Duration) {
	s, _ := l.known.state(x)
	if until := l.clock.Now().Add(wait); until.After(s.held) {
		s.held, s.unsent = until, true
		l.known.put(x, s)
	}
}

// sendHold tells Redis of a hold that it could not be told of.
func (l *Limiter) sendHold(ctx context.Context, x *limit) {
	if s, _ := l.known.state(x); s.unsent {
		if wait := s.held.Sub(l.clock.Now()); wait > 0 {
			_ = l.hold(ctx, x, wait) // or the next who asks
		}
	}
}
