package pinterest

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinterest-go/pinterest/internal/line"
)

// Pacer is the [Limiter] of one process. It keeps state only for accounts in use
// and forgets an account that has been idle for longer than its windows.
type Pacer struct {
	clock  Clock
	limits Limits
	seed   maphash.Seed

	mu   sync.Mutex // for adding to apps
	apps atomic.Pointer[map[string]*pacedApp]
}

// NewPacer returns a limiter that knows these limits and learns of others and
// of changes from the API's headers. It is what an [App] uses by default, with
// the limits of its access. A nil clock is the real one.
func NewPacer(limits Limits, clock Clock) (*Pacer, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	if clock == nil {
		clock = realClock{}
	}
	p := &Pacer{clock: clock, limits: limits, seed: maphash.MakeSeed()}
	p.apps.Store(&map[string]*pacedApp{})
	return p, nil
}

// shardCount keeps the accounts of an app apart, so that many cores do not
// meet on one lock.
const shardCount = 256

const (
	// idleTime is after how long without a call an account is forgotten, unless one
	// of its windows is longer.
	idleTime = 2 * time.Minute
	// maxShared bounds the limits of an app that headers reveal for one category.
	maxShared = 16
	// sampled is how many of the lines that share a limit are looked at to tell
	// how long one of them will take.
	sampled = 64
)

// pacedApp is what is kept of one app.
type pacedApp struct {
	shards [shardCount]pacedShard
	mu     sync.Mutex // for changing shared
	shared atomic.Pointer[map[Category][]*sharedWindow]
}

// pacedShard holds some of the accounts, in two generations: who is not used for
// a generation's time goes with the old one.
type pacedShard struct {
	mu    sync.Mutex
	young map[string]*pacedAccount
	old   map[string]*pacedAccount
	turn  atomic.Int64 // when the next generation begins
	next  uint8        // the shard to look after next
	_     [31]byte     // a cache line's end
}

// pacedAccount is what is kept of one account. It is small, since there may be
// a million.
type pacedAccount struct {
	all  window
	lane lane // the first category; others hang from it
}

// lane is the calls of one account and category.
type lane struct {
	category Category
	quota    window
	line     *pacedLine // nil when nobody waits
	next     *lane
}

// sharedWindow is a limit that all accounts of an app share.
type sharedWindow struct {
	name     string
	category Category
	mu       sync.Mutex
	lines    map[*pacedLine]struct{} // that wait for it, among others
	window
}

// Wait implements [Limiter].
func (p *Pacer) Wait(ctx context.Context, pm Permit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	app := p.app(pm.App)
	sh, now := p.shard(app, pm.Account), p.clock.Now()
	sh.mu.Lock()
	app.lookAfter(sh, now.UnixNano())
	acct, ln := p.find(sh, &pm, now.UnixNano())
	shared := app.of(pm.Category)
	if ln.line == nil && p.take(acct, ln, shared, now.UnixNano(), pm.cost()) {
		sh.mu.Unlock()
		return nil
	}
	return p.wait(ctx, pm, &pacedLine{p: p, sh: sh, app: app, acct: acct, lane: ln}, now)
}

// take is the quick way, without a line.
func (p *Pacer) take(acct *pacedAccount, ln *lane, shared []*sharedWindow, now int64, cost float64) bool {
	acct.all.advance(now)
	ln.quota.advance(now)
	if acct.all.due(cost) > now || ln.quota.due(cost) > now {
		return false
	}
	if len(shared) > 0 {
		if !takeShared(shared, now, cost) {
			return false
		}
	}
	acct.all.take(cost)
	ln.quota.take(cost)
	return true
}

func takeShared(shared []*sharedWindow, now int64, cost float64) bool {
	for i, s := range shared {
		s.mu.Lock()
		s.advance(now)
		ok := s.due(cost) <= now
		if ok {
			s.take(cost)
		}
		s.mu.Unlock()
		if !ok {
			for _, taken := range shared[:i] {
				taken.giveBack(cost)
			}
			return false
		}
	}
	return true
}

func (s *sharedWindow) giveBack(cost float64) {
	s.mu.Lock()
	s.take(-cost)
	s.mu.Unlock()
}

// wait is the slow way: the line. It is called with the shard's lock held.
func (p *Pacer) wait(ctx context.Context, pm Permit, pl *pacedLine, now time.Time) error {
	if pl.lane.line == nil {
		pl.open()
	}
	pl = pl.lane.line
	pl.callers++
	pl.waiting.Add(int64(pm.cost()))
	w := &line.Waiter{Cost: int(pm.cost()), Priority: int8(pm.Priority), Since: pm.Since, MaxHold: pm.MaxHold}
	if w.Since.IsZero() {
		w.Since = now
	}
	w.Deadline, _ = ctx.Deadline()
	if tell := pm.Waiting; tell != nil {
		w.Waiting = func(slot line.Slot, ahead int) { tell(paceWait(slot, ahead)) }
	}
	err := pl.line.Wait(ctx, w)
	pl.left(int64(pm.cost()))
	var refusal *line.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	var cause error
	if refusal.Deadline {
		cause = context.DeadlineExceeded
	}
	return NewPaceError(paceWait(refusal.Slot, refusal.Ahead), cause)
}

func paceWait(slot line.Slot, ahead int) PaceWait {
	w := PaceWait{Reason: PacePace, Limit: slot.Limit, Ahead: ahead, Until: slot.Due}
	switch {
	case !slot.Held.IsZero():
		w.Reason = PaceHeld
	case ahead > 0:
		w.Reason = PaceLine
	}
	return w
}

func (p *Permit) cost() float64 { return float64(max(1, p.Cost)) }

// app returns what is kept of the app.
func (p *Pacer) app(name string) *pacedApp {
	if app := (*p.apps.Load())[name]; app != nil {
		return app
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	apps := maps.Clone(*p.apps.Load())
	app := apps[name]
	if app == nil {
		app = &pacedApp{}
		now := p.clock.Now().UnixNano()
		for c, q := range p.limits.App {
			if q.Limit > 0 {
				app.share(limitName(c), c, newWindow(q, now))
			}
		}
		apps[name] = app
		p.apps.Store(&apps)
	}
	return app
}

// of returns the shared limits that hold for a category.
func (a *pacedApp) of(c Category) []*sharedWindow {
	shared := a.shared.Load()
	if shared == nil {
		return nil
	}
	if list, ok := (*shared)[c]; ok {
		return list
	}
	return (*shared)[CategoryAll]
}

// share has a limit hold for a category, or for all: a new one, or the one of
// that name which holds for other categories already.
func (a *pacedApp) share(name string, c Category, w window) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.named(name, c) != nil {
		return
	}
	lists := map[Category][]*sharedWindow{CategoryAll: nil}
	s := &sharedWindow{name: name, category: c, window: w, lines: map[*pacedLine]struct{}{}}
	if old := a.shared.Load(); old != nil {
		maps.Copy(lists, *old)
		for other := range lists {
			if known := a.named(name, other); known != nil {
				s = known
			}
		}
	}
	if lists[c] == nil {
		lists[c] = lists[CategoryAll]
	}
	for other, list := range lists {
		if (other == c || c == CategoryAll) && !slices.Contains(list, s) {
			lists[other] = append(slices.Clip(list), s)
		}
	}
	a.shared.Store(&lists)
}

// named returns the shared limit of this name that holds for the category.
func (a *pacedApp) named(name string, c Category) *sharedWindow {
	for _, s := range a.of(c) {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (p *Pacer) shard(app *pacedApp, account string) *pacedShard {
	return &app.shards[maphash.String(p.seed, account)%shardCount]
}

// find returns what is kept of the permit's account and category, and begins to
// keep it. It is called with the shard's lock held.
func (p *Pacer) find(sh *pacedShard, pm *Permit, now int64) (*pacedAccount, *lane) {
	acct := sh.young[pm.Account]
	if acct == nil {
		if acct = sh.old[pm.Account]; acct != nil {
			delete(sh.old, pm.Account)
		} else {
			acct = &pacedAccount{all: newWindow(p.limits.Account[CategoryAll], now)}
			acct.lane.category, acct.lane.quota = pm.Category, p.quota(pm.Category, now)
		}
		if sh.young == nil {
			sh.young = map[string]*pacedAccount{}
		}
		sh.young[pm.Account] = acct
	}
	ln := &acct.lane
	for ln.category != pm.Category {
		if ln.next == nil {
			ln.next = &lane{category: pm.Category, quota: p.quota(pm.Category, now)}
		}
		ln = ln.next
	}
	return acct, ln
}

func (p *Pacer) quota(c Category, now int64) window {
	if c == CategoryAll {
		return window{at: now}
	}
	return newWindow(p.limits.Account[c], now)
}

// lookAfter begins the shard's next generation when it is time, and that of one
// other shard, so that those go whom nobody calls for any more. It is called
// with the shard's lock held.
func (a *pacedApp) lookAfter(sh *pacedShard, now int64) {
	if now >= sh.turn.Load() {
		sh.generation(now)
	}
	sh.next++
	other := &a.shards[sh.next]
	if now >= other.turn.Load() && other != sh && other.mu.TryLock() {
		other.generation(now)
		other.mu.Unlock()
	}
}

// generation makes the young ones old and lets the old ones go, but for those
// that somebody waits for or that are closed.
func (sh *pacedShard) generation(now int64) {
	var kept map[string]*pacedAccount
	keep := func(name string, acct *pacedAccount) {
		if kept == nil {
			kept = map[string]*pacedAccount{}
		}
		kept[name] = acct
	}
	for name, acct := range sh.old {
		if acct.busy(now) {
			keep(name, acct)
		}
	}
	if now-sh.turn.Load() > int64(idleTime) { // nobody has been here for two generations
		for name, acct := range sh.young {
			if acct.busy(now) {
				keep(name, acct)
			}
		}
		sh.young = nil
	}
	sh.old, sh.young = sh.young, kept
	sh.turn.Store(now + int64(idleTime))
}

func (a *pacedAccount) busy(now int64) bool {
	if a.all.matters(now) {
		return true
	}
	for ln := &a.lane; ln != nil; ln = ln.next {
		if ln.line != nil || ln.quota.matters(now) {
			return true
		}
	}
	return false
}

// Usage implements [Limiter].
func (p *Pacer) Usage(_ context.Context, appName, account string) ([]Usage, error) {
	app := p.app(appName)
	sh, now := p.shard(app, account), p.clock.Now().UnixNano()
	var list []Usage
	sh.mu.Lock()
	acct := sh.young[account]
	if acct == nil {
		acct = sh.old[account]
	}
	if acct != nil {
		list = acct.usage(now)
	}
	sh.mu.Unlock()
	if shared := app.shared.Load(); shared != nil {
		seen := map[*sharedWindow]bool{}
		for _, windows := range *shared {
			for _, s := range windows {
				if !seen[s] {
					seen[s] = true
					list = append(list, s.report(now))
				}
			}
		}
	}
	sortUsage(list)
	return list, nil
}

func (a *pacedAccount) usage(now int64) []Usage {
	var list []Usage
	if a.all.limit > 0 {
		u := a.all.usage(now)
		u.Limit = limitName(CategoryAll)
		list = append(list, u)
	}
	for ln := &a.lane; ln != nil; ln = ln.next {
		if ln.quota.limit == 0 {
			continue
		}
		u := ln.quota.usage(now)
		u.Limit, u.Category = string(ln.category), ln.category
		if ln.line != nil {
			u.Waiting = ln.line.line.Len()
		}
		list = append(list, u)
	}
	return list
}

func (s *sharedWindow) report(now int64) Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.usage(now)
	u.Limit, u.Category, u.App = s.name, s.category, true
	return u
}

// sortUsage brings the limits into an order: the account's before the app's, by name.
func sortUsage(list []Usage) {
	slices.SortFunc(list, func(a, b Usage) int {
		if a.App != b.App {
			if a.App {
				return 1
			}
			return -1
		}
		return strings.Compare(a.Limit, b.Limit)
	})
}
