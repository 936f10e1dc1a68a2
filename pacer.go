package pinterest

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"math"
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

// pacedLine is the line of one lane, and its source of slots.
type pacedLine struct {
	p       *Pacer
	sh      *pacedShard
	app     *pacedApp
	acct    *pacedAccount
	lane    *lane
	line    *line.Line
	callers int             // in the line, or on their way in or out
	joined  []*sharedWindow // the shared limits that the line counts in
	waiting atomic.Int64    // the cost of all callers

	mu     sync.Mutex      // for the reservation; taken before the other locks
	shared []*sharedWindow // its shared limits
	epochs []int32         // of its windows: the account's, the lane's, the shared
}

// open makes it the line of its lane. The shard's lock is held.
func (l *pacedLine) open() {
	l.line = line.New(&l.sh.mu, l.p.clock, l)
	l.lane.line = l
	l.join(l.app.of(l.lane.category))
}

// join counts the line in with these limits, and no others. The shard's lock is
// held.
func (l *pacedLine) join(shared []*sharedWindow) {
	for _, s := range l.joined {
		s.mu.Lock()
		delete(s.lines, l)
		s.mu.Unlock()
	}
	l.joined = shared
	for _, s := range l.joined {
		s.mu.Lock()
		s.lines[l] = struct{}{}
		s.mu.Unlock()
	}
}

// left counts one caller out, and drops the line after the last.
func (l *pacedLine) left(cost int64) {
	l.sh.mu.Lock()
	defer l.sh.mu.Unlock()
	l.waiting.Add(-cost)
	if l.callers--; l.callers == 0 {
		l.lane.line = nil
		l.join(nil)
	}
}

// Reserve implements [line.Source].
func (l *pacedLine) Reserve(_ context.Context, cost int) (line.Slot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.p.clock.Now()
	slot := latest{now: now.UnixNano()}
	l.shared, l.epochs = l.app.of(l.lane.category), l.epochs[:0]
	l.sh.mu.Lock()
	if len(l.shared) != len(l.joined) { // one was revealed
		l.join(l.shared)
	}
	l.sh.mu.Unlock()
	l.each(func(_ int, w *window, name string) {
		slot.reserve(w, float64(cost), name)
		l.epochs = append(l.epochs, w.epoch)
	})
	return slot.slot(now), nil
}

// Confirm implements [line.Source]. A limit that was closed since has forgotten
// the reservation, which is made anew; those of the others are good.
func (l *pacedLine) Confirm(_ context.Context, cost int) (again line.Slot, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.p.clock.Now()
	slot := latest{now: now.UnixNano()}
	l.each(func(i int, w *window, name string) {
		if w.epoch == l.epochs[i] {
			return
		}
		slot.reserve(w, float64(cost), name)
		l.epochs[i] = w.epoch
		again = slot.slot(now)
	})
	return again, nil
}

// each visits the limits of the reservation, each under its lock.
func (l *pacedLine) each(f func(i int, w *window, name string)) {
	l.sh.mu.Lock()
	f(0, &l.acct.all, limitName(CategoryAll))
	f(1, &l.lane.quota, string(l.lane.category))
	l.sh.mu.Unlock()
	for i, s := range l.shared {
		s.mu.Lock()
		f(2+i, &s.window, s.name)
		s.mu.Unlock()
	}
}

// GiveBack implements [line.Source]. A limit that was closed since has forgotten
// what was reserved.
func (l *pacedLine) GiveBack(cost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.each(func(i int, w *window, _ string) {
		if w.epoch == l.epochs[i] {
			w.take(-float64(cost))
		}
	})
}

// Estimate implements [line.Source].
func (l *pacedLine) Estimate(cost int) line.Slot {
	now := l.p.clock.Now()
	slot := latest{now: now.UnixNano()}
	slot.estimate(&l.acct.all, float64(cost), limitName(CategoryAll))
	slot.estimate(&l.lane.quota, float64(cost), string(l.lane.category))
	for _, s := range l.joined {
		s.mu.Lock()
		slot.estimate(&s.window, float64(cost)+s.between(l, float64(cost-1)), s.name)
		s.mu.Unlock()
	}
	return slot.slot(now)
}

// between returns how many requests of other lines, which take turns with this
// one, come before it has had so many of its own.
func (s *sharedWindow) between(own *pacedLine, cost float64) (n float64) {
	seen := 0
	for l := range s.lines {
		if seen == sampled {
			return n * float64(len(s.lines)) / sampled
		}
		seen++
		if l != own {
			n += max(0, min(float64(l.waiting.Load()-1), cost)) // less the one it has reserved
		}
	}
	return n
}

// changed tells the lines that wait for the limit that it was closed.
func (s *sharedWindow) changed() {
	s.mu.Lock()
	lines := slices.Collect(maps.Keys(s.lines))
	s.mu.Unlock()
	for _, l := range lines {
		l.sh.mu.Lock()
		l.line.Changed()
		l.sh.mu.Unlock()
	}
}

// changed tells the account's lines that one of its limits was closed.
func (a *pacedAccount) changed() {
	for ln := &a.lane; ln != nil; ln = ln.next {
		if ln.line != nil {
			ln.line.line.Changed()
		}
	}
}

// latest finds the limit that decides: the one that is due last, or else the one
// that is closed for longest.
type latest struct {
	now, due, held int64
	name, holder   string
}

func (t *latest) later(w *window, due int64, name string) {
	if due > t.due {
		t.due, t.name = due, name
	}
	held := w.held
	if w.counts() && due > t.now {
		held = max(held, due)
	}
	if held > t.now && held > t.held {
		t.held, t.holder = held, name
	}
}

// reserve takes the cost, now or when it is due.
func (t *latest) reserve(w *window, cost float64, name string) {
	w.advance(t.now)
	t.later(w, w.reserve(cost), name)
}

// estimate looks at a copy of the window.
func (t *latest) estimate(w *window, cost float64, name string) {
	guess := *w
	guess.advance(t.now)
	guess.level -= cost // as many calls, and not one as large
	t.later(&guess, guess.due(0), name)
}

func (t *latest) slot(now time.Time) line.Slot {
	if t.due <= t.now {
		return line.Slot{Due: now}
	}
	slot := line.Slot{Due: now.Add(time.Duration(t.due - t.now)), Limit: t.name}
	if t.held > 0 {
		slot.Held, slot.Limit = now.Add(time.Duration(t.held-t.now)), t.holder
	}
	return slot
}

// Observe implements [Limiter].
func (p *Pacer) Observe(_ context.Context, pm Permit, rate RateLimit) {
	app := p.app(pm.App)
	sh, now := p.shard(app, pm.Account), p.clock.Now().UnixNano()
	app.observe(&pm, &rate, now)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	acct, ln := p.find(sh, &pm, now)
	before := acct.all.epoch + ln.quota.epoch
	acct.all.learn(now, acct.policy(ln, &acct.all, &rate))
	ln.quota.learn(now, acct.policy(ln, &ln.quota, &rate))
	if w := acct.attributed(ln, &rate); w != nil && rate.Known() {
		w.see(now, &rate)
	}
	if acct.all.epoch+ln.quota.epoch != before {
		acct.changed()
	}
}

// observe takes in what the rate says of limits that all accounts share.
func (a *pacedApp) observe(pm *Permit, rate *RateLimit, now int64) {
	for i := range rate.Policies {
		policy := &rate.Policies[i]
		name, app := policy.Scope()
		quota, ok := policy.quota()
		if !app || !ok {
			continue
		}
		s := a.named(name, pm.Category)
		if s == nil {
			if len(a.of(pm.Category)) >= maxShared {
				continue
			}
			w := newWindow(quota, now)
			w.take(pm.cost()) // the call that brought it
			a.share(name, pm.Category, w)
			s = a.named(name, pm.Category)
		}
		s.mu.Lock()
		before := s.epoch
		s.learn(now, policy)
		if rate.Known() && rate.Policy == *policy {
			s.see(now, rate)
		}
		changed := s.epoch != before
		s.mu.Unlock()
		if changed {
			s.changed()
		}
	}
}

// window returns the account's limit that a policy means, which its name tells.
// One of another name or of none is told by its numbers, or else it is the
// category's if nothing is known of that.
func (a *pacedAccount) window(ln *lane, policy *RatePolicy) *window {
	name, app := policy.Scope()
	switch {
	case app:
		return nil
	case name == safetyNet:
		return &a.all
	case name == string(ln.category), ln.quota.is(policy):
		return &ln.quota
	case a.all.is(policy):
		return &a.all
	case ln.quota.limit == 0:
		return &ln.quota
	}
	return nil
}

func (w *window) is(policy *RatePolicy) bool {
	return int(w.limit) == policy.Limit && w.span() == int64(policy.Window)
}

// policy returns the policy that the limit is to follow: of several the one that
// it follows already, or else the longest.
func (a *pacedAccount) policy(ln *lane, w *window, rate *RateLimit) (found *RatePolicy) {
	for i := range rate.Policies {
		p := &rate.Policies[i]
		if a.window(ln, p) != w {
			continue
		}
		if p.Window == time.Duration(w.span()) {
			return p
		}
		if found == nil || p.Window > found.Window {
			found = p
		}
	}
	return found
}

// attributed returns the account's limit that the rate speaks of, nil if that
// cannot be told. In the plain form, without policies, the number tells, or
// else the reset.
func (a *pacedAccount) attributed(ln *lane, rate *RateLimit) *window {
	if rate.Policy.Limit > 0 {
		if w := a.window(ln, &rate.Policy); w != nil && w.span() == int64(rate.Policy.Window) {
			return w
		}
		return nil
	}
	if len(rate.Policies) > 0 || rate.Limit <= 0 {
		return nil
	}
	for _, w := range []*window{&a.all, &ln.quota} {
		if int(w.limit) == rate.Limit && int64(rate.Reset) <= w.span() {
			return w
		}
	}
	return nil
}

// quota returns what the policy allows, if that can be meant.
func (p *RatePolicy) quota() (q Quota, ok bool) {
	q = Quota{p.Limit, p.Window.Truncate(time.Second)}
	return q, q.Limit > 0 && q.Window > 0 && q.Window <= 366*day
}

// learn takes over a limit that is not known yet, or that has changed.
func (w *window) learn(now int64, policy *RatePolicy) {
	if policy == nil {
		return
	}
	quota, ok := policy.quota()
	if !ok {
		return
	}
	if w.limit == 0 || w.span() != int64(quota.Window) {
		held, epoch := w.held, w.epoch
		*w = newWindow(quota, now)
		w.epoch = epoch + 1
		if held > now {
			w.hold(held)
		}
		return
	}
	w.resize(int32(min(quota.Limit, math.MaxInt32)))
}

func (w *window) see(now int64, rate *RateLimit) {
	w.observe(now, int32(min(rate.Limit, math.MaxInt32)), int32(min(rate.Remaining, math.MaxInt32)), int64(rate.Reset))
}

// Penalize implements [Limiter].
func (p *Pacer) Penalize(_ context.Context, pm Permit, rate RateLimit, wait time.Duration) {
	app := p.app(pm.App)
	now := p.clock.Now()
	until := now.UnixNano() + int64(min(max(wait, 0), 366*day))
	if name, shared := rate.Policy.Scope(); shared {
		app.observe(&pm, &rate, now.UnixNano()) // nobody may know of it yet
		if s := app.named(name, pm.Category); s != nil {
			s.mu.Lock()
			s.hold(until)
			s.mu.Unlock()
			s.changed()
			return
		}
	}
	sh := p.shard(app, pm.Account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	acct, ln := p.find(sh, &pm, now.UnixNano())
	w := acct.attributed(ln, &rate)
	if w == nil {
		w = &ln.quota
	}
	if w.limit == 0 { // nothing is known of it but that it is used up
		*w = newWindow(Quota{100, time.Second}, now.UnixNano())
	}
	w.hold(until)
	acct.changed()
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
