package pinterest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// memory is how long the registry remembers the result of a create. It has to be
// much longer than nearStart.
const memory = 10 * time.Minute

// registry records the creates of an account: those in flight, and the results of
// recent ones. It carries out equal creates one after another, and knows whose
// result a thing is. Otherwise two equal creates in flight could adopt the same pin.
type registry struct {
	keep    func() // keeps the account, and with it this registry, in memory
	mu      sync.Mutex
	clock   Clock
	pending map[string]*pendingCreate // by the key of the lookup
	active  map[*call]time.Time       // the calls that have their turn, and since when
	results map[string]*ownResult     // recent results, by id
	lists   map[string][]*ownResult   // and by the list that should contain them
	expiry  []expiry                  // what to forget, the oldest first
	lagSeen time.Time                 // when a list was last seen to lag longer than the settle time
	times   trust                     // whether creation times are what they should be
}

// trust is what answers have shown of the API's creation times.
type trust int8

const (
	timesUnknown trust = iota
	timesRight         // they agree with the Date of the same answer
	timesWrong         // they do not
)

// expiry is an entry of the registry that is due to be forgotten.
type expiry struct {
	key   string     // of a pending create, or
	thing *ownResult // a result
	at    time.Time
}

// ownResult is the result of a create of this account.
type ownResult struct {
	id, owner string
	list      string
	created   time.Time // by the API's clock
	known     time.Time // when we learned of it, by our clock
	removed   bool      // it was deleted or moved, so its list need not show it
}

// pendingCreate is the record of the creates of one key.
type pendingCreate struct {
	turn      chan struct{}     // of capacity 1: the call that has sent to it has the turn
	list      string            // that should contain the results
	matches   func(any) bool    // tells a result of one of the creates
	users     int               // calls that have the turn or wait for it
	leftAt    time.Time         // when a call last left
	uncertain []uncertainCreate // those that ended uncertain, the oldest first
	intents   []intent
}

// intent is a create that is about to be made.
type intent struct{ id, want string }

// uncertainCreate is a create that ended uncertain.
type uncertainCreate struct {
	owner    string
	resolved bool // it was resolved since
}

func newRegistry(clock Clock) *registry {
	return &registry{clock: clock, pending: map[string]*pendingCreate{}, active: map[*call]time.Time{}, results: map[string]*ownResult{}, lists: map[string][]*ownResult{}}
}

// enter waits for the turn of a create's key and returns how to give it back.
func (g *registry) enter(ctx context.Context, cl *call) (leave func(), err error) {
	if cl.lookup == nil {
		cl.pending = &pendingCreate{}
		return func() {}, nil
	}
	g.keep()
	g.mu.Lock()
	g.forget()
	p := g.pendingOf(cl.lookup)
	p.users++
	g.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
		cl.pending = p
		g.mu.Lock()
		g.active[cl] = g.clock.Now()
		if i := slices.IndexFunc(p.intents, func(in intent) bool { return in.want == string(cl.lookup.want) }); i >= 0 && cl.opts.jobKey == "" {
			cl.name = p.intents[i].id
		}
		g.mu.Unlock()
		return func() { g.leave(cl, p); <-p.turn }, nil
	case <-ctx.Done():
		g.leave(cl, p)
		return nil, ctx.Err()
	}
}

// pendingOf returns the record of a key. The caller holds the lock.
func (g *registry) pendingOf(l *lookup) *pendingCreate {
	p := g.pending[l.key]
	if p == nil {
		p = &pendingCreate{turn: make(chan struct{}, 1), list: l.list, matches: l.matches}
		g.pending[l.key] = p
	}
	return p
}

// intend records that a create is about to be made: the next of its key.
func (g *registry) intend(l *lookup, id string) {
	g.keep()
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pendingOf(l)
	p.intents = append(p.intents, intent{id, string(l.want)})
	p.leftAt = g.clock.Now()
	g.expiry = append(g.expiry, expiry{key: l.key, at: p.leftAt})
}

// leaveOpen records that a create ended uncertain. What the caller has of it stands for
// an intended one from now on.
func (g *registry) leaveOpen(p *pendingCreate, u *Uncertain) {
	g.setUncertain(p, u, false)
}

// resolve records that the outcome of a create that ended uncertain is known.
func (g *registry) resolve(p *pendingCreate, u *Uncertain) {
	g.setUncertain(p, u, true)
}

func (g *registry) setUncertain(p *pendingCreate, u *Uncertain, resolved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.fulfill(u.id())
	for i := range p.uncertain {
		if p.uncertain[i].owner == u.owner() {
			p.uncertain[i].resolved = resolved
			return
		}
	}
	p.uncertain = append(p.uncertain, uncertainCreate{u.owner(), resolved})
}

// uncertain returns how many creates of the key, other than that of this owner, ended
// uncertain and are open, and how many were resolved.
func (g *registry) uncertain(p *pendingCreate, owner string) (open, resolved int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return countUncertain(p.uncertain, owner)
}

// uncertainBefore is uncertain for those that ended before that of the owner.
func (g *registry) uncertainBefore(p *pendingCreate, owner string) (open, resolved int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := slices.IndexFunc(p.uncertain, func(u uncertainCreate) bool { return u.owner == owner })
	if n < 0 {
		n = len(p.uncertain)
	}
	return countUncertain(p.uncertain[:n], owner)
}

// countUncertain is registry.uncertain. The caller holds the lock.
func countUncertain(all []uncertainCreate, owner string) (open, resolved int) {
	for _, other := range all {
		switch {
		case other.owner == owner:
		case other.resolved:
			resolved++
		default:
			open++
		}
	}
	return open, resolved
}

// fulfill records that the outcome of an intended create is known or in the hands
// of the caller.
func (g *registry) fulfill(p *pendingCreate, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.fulfill(id)
}

// fulfill is registry.fulfill. The caller holds the lock.
func (p *pendingCreate) fulfill(id string) {
	p.intents = slices.DeleteFunc(p.intents, func(in intent) bool { return in.id == id })
}

func (g *registry) leave(cl *call, p *pendingCreate) {
	key := cl.lookup.key
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.active, cl)
	p.users--
	p.leftAt = g.clock.Now()
	g.expiry = append(g.expiry, expiry{key: key, at: p.leftAt})
}

// forget removes what has not been used for as long as the memory lasts, and can be
// mistaken for the result of no create in flight. The caller holds the lock.
func (g *registry) forget() {
	horizon := g.clock.Now().Add(-memory)
	for _, began := range g.active {
		if began = began.Add(-time.Minute); began.Before(horizon) {
			horizon = began
		}
	}
	n := 0
	for ; n < len(g.expiry) && g.expiry[n].at.Before(horizon); n++ {
		if thing := g.expiry[n].thing; thing != nil {
			g.drop(thing)
		} else if p := g.pending[g.expiry[n].key]; p != nil && p.users == 0 && p.leftAt.Before(horizon) {
			delete(g.pending, g.expiry[n].key)
		}
	}
	g.expiry = slices.Delete(g.expiry, 0, n)
}

func (g *registry) drop(thing *ownResult) {
	if g.results[thing.id] == thing {
		delete(g.results, thing.id)
	}
	things := slices.DeleteFunc(g.lists[thing.list], func(other *ownResult) bool { return other == thing })
	if g.lists[thing.list] = things; len(things) == 0 {
		delete(g.lists, thing.list)
	}
}

// own records the result of a create, whose it is, and the list that has to show it.
func (g *registry) own(owner string, l *lookup, id string, created time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.results[id]; known != nil {
		known.owner = owner
		return
	}
	now := g.clock.Now()
	thing := &ownResult{id: id, owner: owner, list: l.list, created: created, known: now}
	g.results[id] = thing
	g.lists[l.list] = append(g.lists[l.list], thing)
	g.expiry = append(g.expiry, expiry{thing: thing, at: now})
}

// disown forgets whose result a thing is, for an owner who could not record it and
// will look for it again.
func (g *registry) disown(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if thing := g.results[id]; thing != nil {
		thing.owner = ""
	}
}

// ownerOf returns whose result a thing is, "" if that is not known.
func (g *registry) ownerOf(id string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if thing := g.results[id]; thing != nil {
		return thing.owner
	}
	return ""
}

// maxOthers bounds how many results of others are stored with a create.
const maxOthers = 500

// ids returns the recent results in a list that were made at this time or later.
func (g *registry) ids(list string, since time.Time) (ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, thing := range g.lists[list] {
		if thing.owner != "" && (thing.created.IsZero() || !thing.created.Before(since)) {
			ids = append(ids, thing.id)
		}
	}
	return ids[max(0, len(ids)-maxOthers):]
}

// remove records that a thing was deleted or moved: its list need not show it.
func (g *registry) remove(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if thing := g.results[id]; thing != nil {
		thing.removed = true
	}
}

// accountsFor reports whether an item of the list can be the result of another
// create of this account that is in flight or ended uncertain.
func (g *registry) accountsFor(l *lookup, item any) bool {
	var others []func(any) bool
	g.mu.Lock()
	for key, p := range g.pending {
		if open, _ := countUncertain(p.uncertain, ""); key != l.key && p.list == l.list && p.users+open > 0 {
			others = append(others, p.matches)
		}
	}
	g.mu.Unlock()
	// The caller's function must not run under the lock.
	return slices.ContainsFunc(others, func(matches func(any) bool) bool { return matches(item) })
}

// learnTime compares the creation time in the answer to a create with the time in
// which, by the API's clock, it was made.
func (g *registry) learnTime(created, earliest, latest time.Time) {
	if created.IsZero() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times = timesRight
	if created.Before(earliest) || created.After(latest) {
		g.times = timesWrong
	}
}

func (g *registry) trustsTimes() trust {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.times
}

const (
	// longestMissing is how long something may be missing from a list and still
	// show that lists lag. After that, someone else has probably deleted it.
	longestMissing = time.Minute
	// lagMemory is how long a lag beyond the settle time is held against lists.
	lagMemory = time.Hour
)

// lacking returns the results of this client, known before that time, that a reading
// of their list should have shown and did not.
func (g *registry) lacking(list string, before time.Time, seen listing) (ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, thing := range g.lists[list] {
		if !thing.known.After(before) && thing.missing(seen) {
			ids = append(ids, thing.id)
		}
	}
	return ids
}

// missing reports whether a reading of the thing's list should have shown it and did
// not.
func (thing *ownResult) missing(seen listing) bool {
	return !thing.removed && !seen.ids[thing.id] && (seen.oldest.IsZero() || thing.created.After(seen.oldest))
}

// proves reports whether a reading of a list that began at this time can prove
// that something sent last is absent. It cannot if it lacks what this client made
// before that. And where lists have lately been seen to lag longer than the settle
// time, it can only after the longest lag. That it shows something made since does not
// help, because one thing may lag longer than another.
func (g *registry) proves(list string, last, began time.Time, settle time.Duration, seen listing) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	lacks := false
	for _, thing := range g.lists[list] {
		if !thing.missing(seen) {
			continue
		}
		lacks = lacks || !thing.known.After(last)
		if age := began.Sub(thing.known); age >= settle && age <= longestMissing {
			g.lagSeen = began
		}
	}
	lagging := !g.lagSeen.IsZero() && began.Sub(g.lagSeen) <= lagMemory
	return !lacks && (!lagging || began.Sub(last) >= longestLag)
}
