package pinterest

import (
	"context"
	"fmt"
	"time"
)

// This file finds out whether an ambiguous create took effect. Its [Lookup] says
// where its result would be and which item matches.

// verdict is what the look-ups have shown.
type verdict uint8

const (
	verdictUnknown verdict = iota // nobody can tell: it is not sent again
	verdictFound                  // it took effect, and the call has the result
	verdictAbsent                 // it did not take effect
)

// ownTime bounds the last look-up, after the caller's context has ended.
const ownTime = 5 * time.Second

// reconcile looks up whether an ambiguous create took effect.
func (r *run) reconcile() (verdict, error) {
	lookup := r.cl.lookup
	if lookup == nil {
		return verdictUnknown, errNoLookup
	}
	s := search{
		c: r.c, cl: r.cl, call: r.call, last: r.c.clock.Now(),
		in: timeframe{sent: r.sentAt, offset: r.c.apiClock}, pending: r.cl.pending, opts: r.cl.shared(),
	}
	if r.ctx.Err() == nil {
		verdict, err := s.prove(r.ctx)
		r.adopted = verdict == verdictFound
		if r.ctx.Err() == nil || r.adopted {
			return verdict, err
		}
	}
	// The caller's context ended while the create was unanswered. One more look-up,
	// with a short timeout, can still find the result. To prove that it is absent
	// would take too long.
	own, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), ownTime)
	defer cancel()
	found, _, err := s.look(own)
	if r.adopted = found && err == nil; r.adopted {
		return verdictFound, nil
	}
	return verdictUnknown, withError(withError(errUnproved, r.ctx.Err()), err)
}

// search is one search for the result of a create.
type search struct {
	c       *Client
	cl      *call
	call    uint64    // the number of the call
	last    time.Time // when the create was last sent, by the client's clock
	in      timeframe
	pending *pendingCreate
	opts    []CallOption
}

// longestLag bounds the wait for a list that is known to lag.
const longestLag = 2 * time.Minute

// prove reads the list until it finds the result or has shown that it is absent.
// Lists lag behind writes, so a single read without a match proves nothing. The
// result counts as absent if no read up to the settle time after the last sending
// has it, and if the list has everything else that this client made recently. If
// it lacks some of that, the list lags for longer, and prove waits longer. A match
// counts at once. If a read fails, the answer is unknown.
func (s *search) prove(ctx context.Context) (verdict, error) {
	settle := s.cl.opts.policy.SettleTime
	for n := 1; ; n++ {
		// A read shows the state of the list when the read began.
		began := s.c.clock.Now()
		found, seen, err := s.look(ctx)
		age := began.Sub(s.last)
		proves := s.c.registry.proves(s.cl.lookup.list, s.last, began, settle, s.c.apiClock.Offset(), seen)
		switch {
		case err != nil:
			return verdictUnknown, err
		case found:
			return verdictFound, nil
		case age >= settle && proves:
			return verdictAbsent, nil
		case age >= max(settle, longestLag):
			return verdictUnknown, errLag
		}
		if err := s.pause(ctx, s.next(n, age)); err != nil {
			return verdictUnknown, err
		}
	}
}

// next returns how long after the last sending to read again. The reads are
// spread over the settle time. After it, each read comes at twice the age of the
// one before.
func (s *search) next(n int, age time.Duration) time.Duration {
	settle, reads := s.cl.opts.policy.SettleTime, s.cl.opts.policy.SettleReads
	switch {
	case age >= settle:
		return min(2*age, max(settle, longestLag))
	case n < reads-1:
		return settle * time.Duration(n) / time.Duration(reads-1)
	}
	return settle
}

// pause waits until the given time after the last sending. It fails at once if
// the wait does not fit the caller's deadline.
func (s *search) pause(ctx context.Context, after time.Duration) error {
	wait := max(0, after-s.c.clock.Now().Sub(s.last))
	if deadline, ok := ctx.Deadline(); ok && s.c.clock.Now().Add(wait).After(deadline) {
		return withError(errUnproved, context.DeadlineExceeded)
	}
	if err := s.c.clock.Sleep(ctx, wait); err != nil {
		return withError(errUnproved, err)
	}
	return nil
}

// look reads the list once and tells the observers.
func (s *search) look(ctx context.Context) (bool, listing, error) {
	began := s.c.clock.Now()
	found, seen, err := s.cl.lookup.find(ctx, s)
	if s.c.watched() {
		e := s.cl.event(ctx, s.c, EventLookup, s.call)
		e.Time, e.Found, e.Err = began, found, err
		s.c.observe(e)
	}
	return found, seen, err
}

// withError adds a second error to err, unless that is nil.
func withError(err, besides error) error {
	if besides == nil {
		return err
	}
	return fmt.Errorf("%w; %w", err, besides)
}
