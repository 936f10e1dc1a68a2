package pinterest

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Lookup says how to find out whether a create whose answer was lost took
// effect. The creates of this package bring their own; an operation called
// through [Client.Do] may bring one.
type Lookup struct {
	// Key is what creates have in common that could be taken for one another.
	// Those with equal keys are carried out one after another by a client, so
	// that none of them adopts what another made. Empty: no such care.
	Key string
	// Find reads what the API holds. When the thing is there it puts it into the
	// call's out value and returns true.
	Find func(ctx context.Context, w Window) (found bool, err error)
}

// seeker is how a call looks for what its create has made.
type seeker struct {
	key  string
	want *Uncertain // what to look for; nil for a caller's own Lookup
	find func(ctx context.Context, w Window, in *intent, opts []CallOption) (found bool, seen listing, err error)
	made func() (id string, created time.Time) // the call's result
}

func (l *Lookup) seeker(op Operation) *seeker {
	if l == nil || l.Find == nil {
		return nil
	}
	key := l.Key
	if key != "" {
		key = fingerprint(op.ID, key)
	}
	return &seeker{
		key: key,
		find: func(ctx context.Context, w Window, _ *intent, _ []CallOption) (bool, listing, error) {
			found, err := l.Find(ctx, w)
			return found, listing{}, err
		},
	}
}

// finder is how the results of one kind of create are found and told apart.
type finder[T any] struct {
	find func(ctx context.Context, u *Uncertain, w Window, opts []CallOption) (found []T, seen listing, err error)
	made func(*T) (id string, created time.Time)
}

func madePin(p *Pin) (string, time.Time)         { return p.ID, p.CreatedAt.Time }
func madeBoard(b *Board) (string, time.Time)     { return b.ID, b.CreatedAt.Time }
func madeSection(s *Section) (string, time.Time) { return s.ID, time.Time{} }

// create is invoke for a create that can be looked up: want says what its
// result looks like.
func create[T any](ctx context.Context, c *Client, op Operation, req Request, want Uncertain, f finder[T], opts []CallOption) (*T, error) {
	out := new(T)
	cl := &call{op: op, req: req, out: out, opts: callOptions{list: opts}}
	if want.findable() {
		made := func() (string, time.Time) { return f.made(out) }
		cl.seek = &seeker{key: want.key(), want: &want, made: made, find: f.into(out, &want)}
	}
	if err := c.do(ctx, cl); err != nil {
		return nil, err
	}
	return out, nil
}

// into returns how to look for the create's result and put it into out. What
// another create of the same key made is not this one's.
func (f finder[T]) into(out *T, want *Uncertain) func(context.Context, Window, *intent, []CallOption) (bool, listing, error) {
	return func(ctx context.Context, w Window, in *intent, opts []CallOption) (bool, listing, error) {
		matches, seen, err := f.find(ctx, want, w, opts)
		if err != nil {
			return false, seen, err
		}
		if i := slices.IndexFunc(matches, func(m T) bool { id, _ := f.made(&m); return in.own != "" && id == in.own }); i >= 0 {
			*out = matches[i] // it was found before: the answer stays the same
			return true, seen, nil
		}
		unresolved := in.unresolved
		if want.Marker != "" {
			unresolved = 0 // only one thing can carry it
		} else {
			matches = slices.DeleteFunc(matches, func(m T) bool {
				id, _ := f.made(&m)
				return slices.ContainsFunc(in.things, func(thing ownThing) bool { return thing.id == id })
			})
		}
		if len(matches) == 0 {
			return false, seen, nil
		}
		// Those of earlier equal creates are older, those of later ones newer.
		own := len(matches) - 1 - unresolved
		if own < 0 {
			return false, seen, errTwin
		}
		*out = matches[own]
		return true, seen, nil
	}
}

var (
	errTwin     = errors.New("what was found may belong to an equal create that ended uncertain")
	errNoLookup = errors.New("there is no way to look this operation up, so it is not sent again")
	errLag      = errors.New("the list lags behind: it lacks what this client made before, so that it proves nothing")
	errUnproved = errors.New("it was not found, but there was no time to prove that it is absent")
)

// Window is the time in which a create can have taken effect.
type Window struct {
	sent  time.Time // by the client's clock
	skew  *skew
	fixed time.Time // by the API's clock, where it is known
	late  time.Time // after it nothing belongs to the create, on the clock of the one above; zero: open
}

// tolerance is how far a creation time may lie before the first attempt and
// still belong to it: the API gives whole seconds, as does the Date header
// that its clock is learned from.
const tolerance = 2 * time.Second

// Since returns the earliest creation time, on the API's clock, that the
// create can have. It is exact once an answer of the API was seen, so ask for
// it after reading, not before.
func (w Window) Since() time.Time {
	since := w.fixed
	if since.IsZero() {
		since = w.sent.Add(w.skew.offset() - tolerance)
	}
	return since.Truncate(time.Second)
}

// Contains reports whether a thing made at this time, on the API's clock, can
// be what the create made.
func (w Window) Contains(created time.Time) bool {
	late := w.late
	if !late.IsZero() && w.fixed.IsZero() {
		late = late.Add(w.skew.offset())
	}
	return !w.after(created) && (late.IsZero() || !created.After(late))
}

// after reports whether the window begins after this time.
func (w Window) after(created time.Time) bool { return created.Before(w.Since()) }

// state is what looking has shown.
type state uint8

const (
	stateUnknown state = iota // it cannot be known: nothing is sent again
	stateFound                // it took effect, and the result is at hand
	stateAbsent               // it did not take effect
)

// ownTime bounds the one look-up that is made after the caller's context ended.
const ownTime = 5 * time.Second

// reconcile looks up whether an ambiguous create took effect.
func (r *run) reconcile(ctx context.Context) (state, error) {
	seek := r.cl.seek
	if seek == nil {
		return stateUnknown, errNoLookup
	}
	s := search{c: r.c, op: r.cl.op, call: r.call, want: seek.want, last: r.c.clock.Now(), settle: r.cl.opts.policy.SettleTime, reads: r.cl.opts.policy.SettleReads}
	s.find = func(ctx context.Context) (bool, listing, error) {
		return seek.find(ctx, Window{sent: r.sentAt, skew: r.c.skew}, r.cl.intent, r.cl.shared())
	}
	if ctx.Err() == nil {
		state, err := s.prove(ctx)
		r.adopted = state == stateFound
		if ctx.Err() == nil || r.adopted {
			return state, err
		}
	}
	// The caller's context ended while the create was unanswered. One look in a
	// short time of our own can still find it; absence would take longer.
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	found, _, err := s.look(own)
	if r.adopted = found && err == nil; r.adopted {
		return stateFound, nil
	}
	return stateUnknown, withError(withError(errUnproved, ctx.Err()), err)
}

// search is one looking for the result of a create.
type search struct {
	c      *Client
	op     Operation
	call   uint64 // its number
	want   *Uncertain
	last   time.Time     // when the create was last sent, by the client's clock
	settle time.Duration // how long lists may lag behind
	reads  int           // how many reads are spread over it
	find   func(ctx context.Context) (found bool, seen listing, err error)
}

// longestLag bounds how long is waited for a list that is seen to lag.
const longestLag = 2 * time.Minute

// prove looks until the result is found or shown to be absent. Lists lag behind
// writes, so one absent read proves nothing: absence counts only when reads
// spread until the settle time after the last sending all say so, and what this
// client has made of late does not show that lists lag longer than that. If it
// does, longer is waited. A hit counts at once. Where reading fails, nothing is
// known.
func (s *search) prove(ctx context.Context) (state, error) {
	for n := 1; ; n++ {
		// What a read shows is as old as its beginning, however long it took.
		began := s.c.clock.Now()
		found, seen, err := s.look(ctx)
		age := began.Sub(s.last)
		proves := s.want == nil || s.c.creates.proves(s.want.list(), s.last, began, s.settle, s.c.skew.offset(), seen)
		switch {
		case err != nil:
			return stateUnknown, err
		case found:
			return stateFound, nil
		case age >= s.settle && proves:
			return stateAbsent, nil
		case age >= max(s.settle, longestLag):
			return stateUnknown, errLag
		}
		if err := s.pause(ctx, s.next(n, age)); err != nil {
			return stateUnknown, err
		}
	}
}

// next returns when, after the last sending, to read again: spread over the
// settle time, and beyond it twice as late each time.
func (s *search) next(n int, age time.Duration) time.Duration {
	switch {
	case age >= s.settle:
		return min(2*age, max(s.settle, longestLag))
	case n < s.reads-1:
		return s.settle * time.Duration(n) / time.Duration(s.reads-1)
	}
	return s.settle
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
	found, seen, err := s.find(ctx)
	if s.c.watched() {
		s.c.observe(Event{Type: EventLookup, Account: s.c.name, Call: s.call, Operation: s.op.ID, Time: began, Found: found, Err: err})
	}
	return found, seen, err
}
