package pinterest

import (
	"cmp"
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

// looksUp reports whether the call is a create that may have taken effect, so that
// it is neither sent again nor given up before it was looked up.
func (r *run) looksUp() bool {
	return r.cl.op.Kind == KindCreate && r.mayExist && !r.cl.opts.withoutLookup
}

// reconcile looks up whether an ambiguous create took effect. exists says that a
// conflict has shown that something of its name is there; final that the call has
// failed for certain but for that, so that there is time to look longer.
func (r *run) reconcile(exists, final bool) (verdict, error) {
	if r.cl.lookup == nil {
		return verdictUnknown, errNoLookup
	}
	s := r.search()
	s.exists, s.patient = exists, final
	if r.ctx.Err() == nil {
		verdict, err := s.prove(r.ctx)
		r.proved = verdict == verdictAbsent
		if verdict == verdictFound {
			r.origin = OriginLookup
		}
		if r.ctx.Err() == nil || verdict == verdictFound {
			return verdict, err
		}
	}
	return r.lastLook()
}

// lastLook looks once more, right before a create is sent again or given up, since
// lists lag: what was shown to be absent may be there by now. Where the caller's
// context has ended it takes a short time of its own.
func (r *run) lastLook() (verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), ownTime)
	defer cancel()
	if r.ctx.Err() == nil {
		ctx = r.ctx
	}
	f, err := r.search().look(ctx)
	switch {
	case err == nil && f.found:
		r.origin = OriginLookup
		return verdictFound, nil
	case err == nil && f.doubt == nil && r.proved:
		return verdictAbsent, nil
	}
	return verdictUnknown, withError(withError(cmp.Or(f.doubt, errUnproved), r.ctx.Err()), err)
}

// search returns the search for the result of the run's call.
func (r *run) search() *search {
	open, _ := r.c.registry.uncertain(r.cl.pending, r.owner())
	return &search{
		c: r.c, cl: r.cl, ctx: r.ctx, last: r.c.clock.Now(), owner: r.owner(), unresolved: open,
		in: timeframe{sent: r.sentAt, last: r.c.clock.Now(), offset: r.c.apiClock}, opts: r.cl.shared(),
	}
}

// search is one search for the result of a create.
type search struct {
	c          *Client
	cl         *call
	ctx        context.Context // of the events
	owner      string          // of the result
	last       time.Time       // when the create was last sent, by the client's clock
	in         timeframe
	others     []string // ids that are known to be others'
	unresolved int      // how many equal creates before it may have made something
	exists     bool     // a conflict has shown that the result, or another of its name, is there
	patient    bool     // absence counts only after the longest lag that is usual
	asked      int      // how many results that the list lacks were asked for
	opts       []CallOption
}

const (
	// longestLag bounds how long is waited for a list that is seen to lag.
	longestLag = 2 * time.Minute
	// longestLate is how long after its creation a thing may be listed that is processed
	// first.
	longestLate = time.Hour
)

// prove looks until the result is found or shown to be absent. Lists lag behind
// writes, so one absent read proves nothing: absence counts only when reads
// spread until the settle time after the last sending all say so, and what this
// client has made of late does not show that lists lag longer than that. If it
// does, longer is waited. A match counts at once. Where reading fails, or something
// in the list may be the result in another form, nothing is known.
func (s *search) prove(ctx context.Context) (verdict, error) {
	settle := s.cl.opts.policy.SettleTime
	for n := 1; ; n++ {
		// What a read shows is as old as its beginning, however long it took.
		began := s.c.clock.Now()
		f, err := s.look(ctx)
		age := began.Sub(s.last)
		if err == nil && !f.found {
			s.forgetDeleted(ctx, began.Add(-settle), f.listing)
		}
		// A list that was not read to where it had to be shows nothing about what it lacks.
		proves := err == nil && !f.found && s.c.registry.proves(s.cl.lookup.list, s.last, began, settle, f.listing)
		switch {
		case err != nil:
			return verdictUnknown, err
		case f.found:
			return verdictFound, nil
		case s.exists && f.older:
			return verdictAbsent, nil // the name belongs to something that was there before
		case age >= settle && f.doubt != nil:
			return verdictUnknown, f.doubt
		case age >= settle && age < longestLate && s.cl.lookup.late:
			return verdictUnknown, errLate
		case age >= settle && proves && !s.exists && (!s.patient || age >= longestMissing):
			hidden, err := s.cl.lookup.hidden(ctx, s, f.listing)
			switch {
			case err != nil:
				return verdictUnknown, err
			case hidden == 0, age >= longestLag && len(f.ids) > 0: // else some pins are never listed, it seems
				return verdictAbsent, nil
			case age >= longestLag:
				return verdictUnknown, fmt.Errorf("the list is empty although it should have %d items", hidden)
			}
		case age >= max(settle, longestLag) && s.exists:
			return verdictUnknown, errExists
		case age >= max(settle, longestLag):
			return verdictUnknown, errLag
		}
		if err := s.pause(ctx, s.next(n, age)); err != nil {
			return verdictUnknown, err
		}
	}
}

// maxAsked bounds how many results that a list lacks are asked for.
const maxAsked = 3

// forgetDeleted finds out whether results from before that time that the list lacks
// were deleted, so that they are not held against it.
func (s *search) forgetDeleted(ctx context.Context, before time.Time, seen listing) {
	for _, id := range s.c.registry.lacking(s.cl.lookup.list, before, seen) {
		if s.asked == maxAsked {
			return
		}
		s.asked++
		if s.cl.lookup.deleted(ctx, s, id) {
			s.c.registry.remove(id)
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
func (s *search) look(ctx context.Context) (finding, error) {
	began := s.c.clock.Now()
	s.in.now = began
	f, err := s.cl.lookup.find(ctx, s)
	if s.c.watched() {
		e := s.cl.event(s.ctx, s.c, EventLookup)
		e.Time, e.Found, e.Err = began, f.found, err
		s.c.observe(e)
	}
	return f, err
}

// withError adds a second error to err, unless that is nil.
func withError(err, besides error) error {
	if besides == nil {
		return err
	}
	return fmt.Errorf("%w; %w", err, besides)
}
