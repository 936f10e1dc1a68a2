package pinterest

import (
	"context"
	"fmt"
	"time"
)

// This file finds out whether an ambiguous create took effect. Where its result
// is looked for, and what it looks like, is said by its [Lookup].

// verdict is what looking has shown.
type verdict uint8

const (
	verdictUnknown verdict = iota // it cannot be known: nothing is sent again
	verdictFound                  // it took effect, and the result is at hand
	verdictAbsent                 // it did not take effect
)

// ownTime bounds the one look-up that is made after the caller's context ended.
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
	// The caller's context ended while the create was unanswered. One look in a
	// short time of our own can still find it; absence would take longer.
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
	call    uint64    // its number
	last    time.Time // when the create was last sent, by the client's clock
	in      timeframe
	pending *pendingCreate
	opts    []CallOption
}

// longestLag bounds how long is waited for a list that is seen to lag.
const longestLag = 2 * time.Minute

// prove looks until the result is found or shown to be absent. Lists lag behind
// writes, so one absent read proves nothing: absence counts only when reads
// spread until the settle time after the last sending all say so, and what this
// client has made of late does not show that lists lag longer than that. If it
// does, longer is waited. A hit counts at once. Where reading fails, nothing is
// known.
func (s *search) prove(ctx context.Context) (verdict, error) {
	settle := s.cl.opts.policy.SettleTime
	for n := 1; ; n++ {
		// What a read shows is as old as its beginning, however long it took.
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

// next returns when, after the last sending, to read again: spread over the
// settle time, and beyond it twice as late each time.
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

// pause waits until this long after the last sending. A wait that does not fit
// the caller's deadline is not begun.
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

// look looks once.
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

// withError adds what went wrong besides, if anything.
func withError(err, besides error) error {
	if besides == nil {
		return err
	}
	return fmt.Errorf("%w; %w", err, besides)
}
