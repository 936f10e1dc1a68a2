package pinterest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// memory is how long the registry remembers the result of a create. It has to be
// much longer than the tolerance of a timeframe.
const memory = 10 * time.Minute

// registry records the creates of an account: those in flight, and the results of
// recent ones. It carries out equal creates one after another and remembers the
// result of each. Otherwise two equal creates in flight could adopt the same pin.
type registry struct {
	keep    func() // keeps the account, and with it this registry, in memory
	mu      sync.Mutex
	clock   Clock
	pending map[string]*pendingCreate // by the key of the lookup
	made    map[string][]madeThing    // recent results, by the list that should contain them
	lists   map[string]string         // by the id of a result: its list
	expiry  []expiry                  // what to forget, the oldest first
	lagSeen time.Time                 // when a list was last seen to lag longer than the settle time
}

// expiry is an entry of the registry that is due to be forgotten.
type expiry struct {
	key  string // of a pending create, or
	list string // of a result
	at   time.Time
}

// madeThing is the result of a create of this account.
type madeThing struct {
	id      string
	created time.Time // by the API's clock
	known   time.Time // when we learned of it, by our clock
}

// pendingCreate is the record of the creates of one key. Only the call whose turn
// it is may use things, unresolved, resolved and own.
type pendingCreate struct {
	turn       chan struct{}     // of capacity 1: the call that has sent to it has the turn
	users      int               // calls that have the turn or wait for it
	leftAt     time.Time         // when a call last left
	things     []madeThing       // recent results of creates of the key
	unresolved int               // how many creates of the key ended uncertain
	resolved   map[string]string // what stored ones were resolved to since: an id, or "" for absent
	own        string            // the result of the create that is looked for, if it is known already
}

// remember adds the result of a create of the key. It forgets results that are too
// old to be mistaken for the result of another.
func (p *pendingCreate) remember(id string, now time.Time) {
	old := 0
	for old < len(p.things) && now.Sub(p.things[old].known) > memory {
		old++
	}
	p.things = append(p.things[old:], madeThing{id: id, known: now})
}

// knows reports whether this is the result of another create of the key.
func (p *pendingCreate) knows(id string) bool {
	return slices.ContainsFunc(p.things, func(thing madeThing) bool { return thing.id == id })
}

// ids returns the recent results of creates of the key.
func (p *pendingCreate) ids() []string {
	ids := make([]string, len(p.things))
	for i, thing := range p.things {
		ids[i] = thing.id
	}
	return ids
}

func newRegistry(clock Clock) *registry {
	return &registry{clock: clock, pending: map[string]*pendingCreate{}, made: map[string][]madeThing{}, lists: map[string]string{}}
}

// enter waits for the call's turn among the creates of its key. The call must call
// leave at its end.
func (g *registry) enter(ctx context.Context, cl *call) (leave func(), err error) {
	if cl.lookup == nil {
		cl.pending = &pendingCreate{}
		return func() {}, nil
	}
	g.keep()
	key := cl.lookup.key
	g.mu.Lock()
	g.forget()
	p := g.pending[key]
	if p == nil {
		p = &pendingCreate{turn: make(chan struct{}, 1)}
		g.pending[key] = p
	}
	p.users++
	g.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
		cl.pending = p
		return func() { g.leave(key, p); <-p.turn }, nil
	case <-ctx.Done():
		g.leave(key, p)
		return nil, ctx.Err()
	}
}

func (g *registry) leave(key string, p *pendingCreate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.users--
	p.leftAt = g.clock.Now()
	g.expiry = append(g.expiry, expiry{key: key, at: p.leftAt})
}

// forget drops the entries that are older than memory. The caller must have locked
// g.mu.
func (g *registry) forget() {
	horizon := g.clock.Now().Add(-memory)
	n := 0
	for ; n < len(g.expiry) && g.expiry[n].at.Before(horizon); n++ {
		if list := g.expiry[n].list; list != "" {
			g.forgetOldest(list)
		} else if p := g.pending[g.expiry[n].key]; p != nil && p.users == 0 && p.leftAt.Before(horizon) {
			delete(g.pending, g.expiry[n].key)
		}
	}
	g.expiry = slices.Delete(g.expiry, 0, n)
}

// disown forgets a result of the key. A CreateOnce that could not record its
// result uses it, because the next call with its job key will look it up again.
func (g *registry) disown(key, id string) {
	g.mu.Lock()
	p := g.pending[key]
	g.mu.Unlock()
	if p == nil {
		return
	}
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.things = slices.DeleteFunc(p.things, func(thing madeThing) bool { return thing.id == id })
}

// add remembers a result and the list that should show it.
func (g *registry) add(list, id string, created time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	g.made[list] = append(g.made[list], madeThing{id, created, now})
	g.lists[id] = list
	g.expiry = append(g.expiry, expiry{list: list, at: now})
}

func (g *registry) forgetOldest(list string) {
	things := g.made[list]
	if len(things) > 0 {
		delete(g.lists, things[0].id)
		things = things[1:]
	}
	if g.made[list] = things; len(things) == 0 {
		delete(g.made, list)
	}
}

// remove forgets a result that was deleted or moved. Its list need not show it any
// more.
func (g *registry) remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, thing := range g.made[g.lists[id]] {
		if thing.id == id {
			g.made[g.lists[id]][i].id = "" // the entry itself expires later
			delete(g.lists, id)
			return
		}
	}
}

const (
	// longestMissing is how long a result may be missing from a list and still show
	// that lists lag. After that, someone else has probably deleted it.
	longestMissing = time.Minute
	// lagMemory is how long the registry distrusts lists after it saw a lag beyond the
	// settle time.
	lagMemory = time.Hour
)

// proves reports whether a read of a list can prove that the result of a create is
// absent. The create was last sent at last; the read began at began. The read
// proves nothing if it lacks an earlier result of this client. If lists have
// recently lagged for longer than the settle time, the read proves something only
// if it shows a result that is newer than last, or if longestLag has passed.
func (g *registry) proves(list string, last, began time.Time, settle, offset time.Duration, seen listing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	lacks, fresh := false, false
	for _, thing := range g.made[list] {
		switch {
		case thing.id == "", !seen.oldest.IsZero() && !thing.created.After(seen.oldest):
			// Deleted or moved, or older than what was read.
		case seen.ids[thing.id]:
			// Creation times are whole seconds, and so is our offset to the API's clock.
			fresh = fresh || thing.created.After(last.Add(offset+time.Second))
		default:
			lacks = lacks || !thing.known.After(last)
			if age := began.Sub(thing.known); age >= settle && age <= longestMissing {
				g.lagSeen = began
			}
		}
	}
	lagging := !g.lagSeen.IsZero() && began.Sub(g.lagSeen) <= lagMemory
	return !lacks && (fresh || !lagging || began.Sub(last) >= longestLag)
}
