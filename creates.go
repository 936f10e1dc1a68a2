package pinterest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"time"
)

// memory is how long a client remembers what an equal create made. It has to
// outlast the tolerance of a Window by far, and no more.
const memory = 10 * time.Minute

// creates is a client's books of the creates under way and lately done: it lets
// equal ones go one after another and remembers what each of them made. Two
// equal creates in flight at once could otherwise both adopt the pin of one.
type creates struct {
	hold    func() // keeps these books for as long as they matter
	mu      sync.Mutex
	clock   Clock
	intents map[string]*intent
	own     map[string][]ownThing // what was made, by the list it should be in
	where   map[string]string     // the list of each id in own
	left    []departure           // in the order of leaving, for forgetting
	lagSeen time.Time             // when a list was last seen to lag longer than the settle time
}

// departure is something to forget some time after.
type departure struct {
	key string // of an intent, or
	own string // of a list
	at  time.Time
}

// ownThing is something that this client made and was told the id of.
type ownThing struct {
	id      string
	created time.Time // by the API's clock
	known   time.Time // by ours
}

// intent is the books of one key. Its ids and unresolved count belong to the
// call whose turn it is.
type intent struct {
	turn       chan struct{} // holds one token: whoever put it there goes
	users      int
	leftAt     time.Time
	things     []ownThing        // what creates of the key have made, of late
	unresolved int               // how many of them ended uncertain
	resolved   map[string]string // what stored ones were resolved to here since; "" for absent
	own        string            // the one that is looked for, where it is known already
}

// remember adds what a create of the key has made, and forgets what is too old
// to be mistaken for what another makes.
func (in *intent) remember(id string, now time.Time) {
	old := 0
	for old < len(in.things) && now.Sub(in.things[old].known) > memory {
		old++
	}
	in.things = append(in.things[old:], ownThing{id: id, known: now})
}

// ids returns what creates of the key have made.
func (in *intent) ids() []string {
	ids := make([]string, len(in.things))
	for i, thing := range in.things {
		ids[i] = thing.id
	}
	return ids
}

func newCreates(clock Clock) *creates {
	return &creates{clock: clock, intents: map[string]*intent{}, own: map[string][]ownThing{}, where: map[string]string{}}
}

// enter waits for the turn of a create's key and returns how to give it back.
func (cs *creates) enter(ctx context.Context, cl *call) (leave func(), err error) {
	if cl.seek == nil || cl.seek.key == "" {
		cl.intent = &intent{}
		return func() {}, nil
	}
	cs.hold()
	key := cl.seek.key
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
	cs.left = append(cs.left, departure{key: key, at: in.leftAt})
}

// forget drops what has not been used for as long as the memory lasts. The
// caller holds the lock.
func (cs *creates) forget() {
	horizon := cs.clock.Now().Add(-memory)
	n := 0
	for ; n < len(cs.left) && cs.left[n].at.Before(horizon); n++ {
		if list := cs.left[n].own; list != "" {
			cs.forgetOldest(list)
		} else if in := cs.intents[cs.left[n].key]; in != nil && in.users == 0 && in.leftAt.Before(horizon) {
			delete(cs.intents, cs.left[n].key)
		}
	}
	cs.left = slices.Delete(cs.left, 0, n)
}

// disown forgets what a create of the key made, for a maker who could not
// record it and will look for it again.
func (cs *creates) disown(key, id string) {
	cs.mu.Lock()
	in := cs.intents[key]
	cs.mu.Unlock()
	if in == nil {
		return
	}
	in.turn <- struct{}{}
	defer func() { <-in.turn }()
	in.things = slices.DeleteFunc(in.things, func(thing ownThing) bool { return thing.id == id })
}

// made remembers something that was made, and the list that has to show it.
func (cs *creates) made(list, id string, created time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	now := cs.clock.Now()
	cs.own[list] = append(cs.own[list], ownThing{id, created, now})
	cs.where[id] = list
	cs.left = append(cs.left, departure{own: list, at: now})
}

func (cs *creates) forgetOldest(list string) {
	things := cs.own[list]
	if len(things) > 0 {
		delete(cs.where, things[0].id)
		things = things[1:]
	}
	if cs.own[list] = things; len(things) == 0 {
		delete(cs.own, list)
	}
}

// gone forgets something that was deleted or moved: its list need not show it.
func (cs *creates) gone(id string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for i, thing := range cs.own[cs.where[id]] {
		if thing.id == id {
			cs.own[cs.where[id]][i].id = "" // its departure still counts
			delete(cs.where, id)
			return
		}
	}
}

const (
	// longestMissing is how long something may be missing from a list and still
	// show that lists lag: after that it was rather deleted by someone else.
	longestMissing = time.Minute
	// lagMemory is how long a lag beyond the settle time is held against lists.
	lagMemory = time.Hour
)

// proves reports whether a reading of a list that began at this time can prove
// that something sent last is absent. It cannot if it lacks what this client
// made before that. And where lists have lately been seen to lag longer than
// the settle time, it can only if it shows something made since.
func (cs *creates) proves(list string, last, began time.Time, settle, offset time.Duration, seen listing) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	lacks, fresh := false, false
	for _, thing := range cs.own[list] {
		switch {
		case thing.id == "", !seen.oldest.IsZero() && !thing.created.After(seen.oldest):
			// Deleted or moved, or older than what was read.
		case seen.ids[thing.id]:
			// Its time is in whole seconds, and so is our knowledge of the API's clock.
			fresh = fresh || thing.created.After(last.Add(offset+time.Second))
		default:
			lacks = lacks || !thing.known.After(last)
			if age := began.Sub(thing.known); age >= settle && age <= longestMissing {
				cs.lagSeen = began
			}
		}
	}
	lagging := !cs.lagSeen.IsZero() && began.Sub(cs.lagSeen) <= lagMemory
	return !lacks && (fresh || !lagging || began.Sub(last) >= longestLag)
}

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

func (s *skew) isKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// offset returns what to add to our time for the API's, never too much; 0
// while nothing is known.
func (s *skew) offset() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lower
}
