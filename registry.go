package pinterest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// memory is how long a client remembers what an equal create made. It has to
// outlast the tolerance of a timeframe by far, and no more.
const memory = 10 * time.Minute

// registry knows the creates of an account that are under way or were lately
// done: it lets equal ones go one after another and remembers what each of them
// made. Two equal creates in flight at once could otherwise both adopt the pin of
// one.
type registry struct {
	keep    func() // keeps this registry in memory for as long as it matters
	mu      sync.Mutex
	clock   Clock
	pending map[string]*pendingCreate // by key
	made    map[string][]madeThing    // what was made, by the list it should be in
	lists   map[string]string         // the list of each id in made
	expiry  []expiry                  // what is to be forgotten, in the order of time
	lagSeen time.Time                 // when a list was last seen to lag longer than the settle time
}

// expiry is something to forget some time after.
type expiry struct {
	key  string // of a pending create, or
	list string // of made things
	at   time.Time
}

// madeThing is something that this client made and was told the id of.
type madeThing struct {
	id      string
	created time.Time // by the API's clock
	known   time.Time // by ours
}

// pendingCreate is the record of the creates of one key. Its things and counts
// belong to the call whose turn it is.
type pendingCreate struct {
	turn       chan struct{} // holds one token: the call that put it there has the turn
	users      int
	leftAt     time.Time
	things     []madeThing       // what creates of the key have made, of late
	unresolved int               // how many of them ended uncertain
	resolved   map[string]string // what stored ones were resolved to here since; "" for absent
	own        string            // the one that is looked for, where it is known already
}

// remember adds what a create of the key has made, and forgets what is too old
// to be mistaken for what another makes.
func (p *pendingCreate) remember(id string, now time.Time) {
	old := 0
	for old < len(p.things) && now.Sub(p.things[old].known) > memory {
		old++
	}
	p.things = append(p.things[old:], madeThing{id: id, known: now})
}

// knows reports whether another create of the key has made the thing.
func (p *pendingCreate) knows(id string) bool {
	return slices.ContainsFunc(p.things, func(thing madeThing) bool { return thing.id == id })
}

// ids returns what creates of the key have made.
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

// enter waits for the turn of a create's key and returns how to give it back.
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

// forget drops what has not been used for as long as the memory lasts. The
// caller holds the lock.
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

// disown forgets what a create of the key made, for a maker who could not
// record it and will look for it again.
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

// add remembers something that was made, and the list that has to show it.
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

// remove forgets something that was deleted or moved: its list need not show it.
func (g *registry) remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, thing := range g.made[g.lists[id]] {
		if thing.id == id {
			g.made[g.lists[id]][i].id = "" // it still expires in its turn
			delete(g.lists, id)
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
func (g *registry) proves(list string, last, began time.Time, settle, offset time.Duration, seen listing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	lacks, fresh := false, false
	for _, thing := range g.made[list] {
		switch {
		case thing.id == "", !seen.oldest.IsZero() && !thing.created.After(seen.oldest):
			// Deleted or moved, or older than what was read.
		case seen.ids[thing.id]:
			// Its time is in whole seconds, and so is our knowledge of the API's clock.
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
