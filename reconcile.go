package pinterest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Lookup says how to find out whether a create whose answer was lost took
// effect. The creates of this package bring their own.
type Lookup struct {
	// Key is what creates have in common that could be taken for one another.
	// Those with equal keys are carried out one after another by a client, so
	// that none of them adopts what another made. Empty: no such care.
	Key string
	// Find reads what the API holds. When the thing is there it puts it into the
	// call's out value and returns true.
	Find func(ctx context.Context, w Window) (found bool, err error)
}

// seeker is a Lookup as a call carries it: it knows what equal creates have
// made, and the id of its own result.
type seeker struct {
	key  string
	find func(ctx context.Context, w Window, in *intent, opts []CallOption) (found bool, err error)
	id   func() string
}

func (l *Lookup) seeker() *seeker {
	if l == nil || l.Find == nil {
		return nil
	}
	return &seeker{
		key:  l.Key,
		find: func(ctx context.Context, w Window, _ *intent, _ []CallOption) (bool, error) { return l.Find(ctx, w) },
		id:   func() string { return "" },
	}
}

// Window is the time in which a create can have taken effect.
type Window struct {
	sent time.Time
	skew *skew
}

// tolerance is how far a creation time may lie before the first attempt and
// still belong to it: the API gives whole seconds, as does the Date header
// that its clock is learned from.
const tolerance = 2 * time.Second

// Since returns the earliest creation time, on the API's clock, that the
// create can have. It is most exact after an answer of the API was seen, so ask
// for it after reading, not before.
func (w Window) Since() time.Time {
	return w.sent.Add(w.skew.offset() - tolerance).Truncate(time.Second)
}

// Contains reports whether a thing made at this time, on the API's clock, can
// be what the create made.
func (w Window) Contains(created time.Time) bool { return !created.Before(w.Since()) }

type state uint8

const (
	stateUnknown state = iota // it cannot be known: nothing is sent again
	stateFound                // it took effect, and the result is in out
	stateAbsent               // it did not take effect
)

var (
	errNoLookup = errors.New("there is no way to look this operation up, so it is not sent again")
	errUnproved = errors.New("it was not found, but there was no time left to prove that it is absent")
)

// ownTime bounds the one look-up that is made after the caller's context ended.
const ownTime = 5 * time.Second

// reconcile looks up whether an ambiguous create took effect. Lists lag behind
// writes, so one absent read proves nothing: absence counts only when reads
// spread over the settle time all say so. A hit counts at once. Where reading
// fails, nothing is known.
func (r *run) reconcile(ctx context.Context) (state, error) {
	if r.cl.seek == nil {
		return stateUnknown, errNoLookup
	}
	if ctx.Err() != nil {
		return r.lastLook(ctx)
	}
	settle := r.policy.SettleTime
	for _, pause := range []time.Duration{0, settle / 2, settle - settle/2} {
		if deadline, ok := ctx.Deadline(); ok && r.c.clock.Now().Add(pause).After(deadline) {
			return stateUnknown, errors.Join(errUnproved, context.DeadlineExceeded)
		}
		if pause > 0 && r.c.clock.Sleep(ctx, pause) != nil {
			return stateUnknown, errors.Join(errUnproved, ctx.Err())
		}
		switch found, err := r.look(ctx); {
		case err != nil && ctx.Err() != nil:
			return r.lastLook(ctx)
		case err != nil:
			return stateUnknown, err
		case found:
			return stateFound, nil
		}
	}
	return stateAbsent, nil
}

// lastLook makes one look-up in a short time of its own, for a create whose
// caller's context ended while it was unanswered. It can only find: absence
// would take longer to prove.
func (r *run) lastLook(ctx context.Context) (state, error) {
	cause := ctx.Err()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	found, err := r.look(ctx)
	if err == nil && found {
		return stateFound, nil
	}
	return stateUnknown, errors.Join(errUnproved, cause, err)
}

func (r *run) look(ctx context.Context) (found bool, err error) {
	started := r.c.clock.Now()
	found, err = r.cl.seek.find(ctx, Window{sent: r.sentAt, skew: r.c.skew}, r.cl.intent, r.cl.shared())
	r.adopted = r.adopted || found && err == nil
	if r.c.watched() {
		r.c.observe(Event{Type: EventLookup, Operation: r.cl.op.ID, Time: started, Found: found, Err: err})
	}
	return found, err
}

// finder is how the result of one kind of create is found again.
type finder[T any] struct {
	key  string
	id   func(*T) string
	find func(ctx context.Context, w Window, opts []CallOption) ([]T, error) // all that match, newest first
}

// create is invoke for a create that can be looked up.
func create[T any](ctx context.Context, c *Client, op Operation, req Request, f finder[T], opts []CallOption) (*T, error) {
	out := new(T)
	cl := &call{op: op, req: req, out: out, opts: callOptions{list: opts}}
	if f.find != nil {
		cl.seek = &seeker{key: f.key, id: func() string { return f.id(out) }, find: f.into(out)}
	}
	if err := c.do(ctx, cl); err != nil {
		return nil, err
	}
	return out, nil
}

// into returns how to look for the create's result and put it into out. What
// another create of the same key made is not this one's.
func (f finder[T]) into(out *T) func(context.Context, Window, *intent, []CallOption) (bool, error) {
	return func(ctx context.Context, w Window, in *intent, opts []CallOption) (bool, error) {
		matches, err := f.find(ctx, w, opts)
		if err != nil {
			return false, err
		}
		matches = slices.DeleteFunc(matches, func(m T) bool { return slices.Contains(in.ids, f.id(&m)) })
		switch {
		case len(matches) == 0:
			return false, nil
		case len(matches) <= in.unresolved:
			return false, errTwin
		}
		*out = matches[0]
		return true, nil
	}
}

var errTwin = errors.New("what was found may belong to an equal create that ended uncertain")

// fingerprint turns what identifies a create into a key of fixed size.
func fingerprint(parts ...string) string {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return string(h.Sum(nil))
}

// memory is how long a client remembers what an equal create made. It has to
// outlast the tolerance of Window by far, and no more.
const memory = 10 * time.Minute

// creates is a client's books of the creates under way and lately done: it lets
// equal ones go one after another and remembers what each of them made.
type creates struct {
	mu      sync.Mutex
	clock   Clock
	intents map[string]*intent
	left    []departure // in the order of leaving, for forgetting
}

type departure struct {
	key string
	at  time.Time
}

// intent is the books of one key. Its ids and unresolved count belong to the
// call whose turn it is.
type intent struct {
	turn       chan struct{} // holds one token: whoever has it goes
	users      int
	leftAt     time.Time
	ids        []string
	unresolved int
}

func newCreates(clock Clock) *creates {
	return &creates{clock: clock, intents: map[string]*intent{}}
}

// enter waits for the turn of a create's key and returns how to give it back.
func (cs *creates) enter(ctx context.Context, cl *call) (leave func(), err error) {
	if cl.seek == nil || cl.seek.key == "" {
		cl.intent = &intent{}
		return func() {}, nil
	}
	key := cl.op.ID + "\x00" + cl.seek.key
	cs.mu.Lock()
	cs.forget()
	in := cs.intents[key]
	if in == nil {
		in = &intent{turn: make(chan struct{}, 1)}
		cs.intents[key] = in
	}
	in.users++
	cs.mu.Unlock()
	select {
	case in.turn <- struct{}{}:
		cl.intent = in
		return func() { cs.leave(key, in); <-in.turn }, nil
	case <-ctx.Done():
		cs.leave(key, in)
		return nil, ctx.Err()
	}
}

func (cs *creates) leave(key string, in *intent) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	in.users--
	in.leftAt = cs.clock.Now()
	cs.left = append(cs.left, departure{key, in.leftAt})
}

// forget drops what has not been used for as long as the memory lasts. The
// caller holds the lock.
func (cs *creates) forget() {
	horizon := cs.clock.Now().Add(-memory)
	n := 0
	for ; n < len(cs.left) && cs.left[n].at.Before(horizon); n++ {
		if in := cs.intents[cs.left[n].key]; in != nil && in.users == 0 && in.leftAt.Before(horizon) {
			delete(cs.intents, cs.left[n].key)
		}
	}
	cs.left = slices.Delete(cs.left, 0, n)
}

// skew learns how far the API's clock is from ours, from Date headers.
type skew struct {
	mu     sync.Mutex
	known  bool
	lower  time.Duration // the API's time minus ours is at least this
	spread time.Duration // how long the exchange took that it was learned from
	at     time.Time
}

// observe learns from one answer, sent and received at these times. Between
// two answers the quicker one says more; an old one is replaced.
func (s *skew) observe(h http.Header, sent, received time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spread := received.Sub(sent)
	if s.known && spread >= s.spread && received.Sub(s.at) < memory {
		return
	}
	date, err := http.ParseTime(headerValue(h, "Date"))
	if err != nil {
		return
	}
	s.known, s.lower, s.spread, s.at = true, date.Sub(received), spread, received
}

func (s *skew) offset() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lower
}
