package pinterest

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinterest-go/pinterest/internal/bucket"
	"github.com/pinterest-go/pinterest/internal/genmap"
	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/internal/waitqueue"
)

// Pacer is the [Limiter] of one process. It keeps state only for accounts that
// are in use: an account is forgotten some minutes after its last call, or when
// its longest window has ended.
type Pacer struct {
	clock  Clock
	limits Limits

	mu   sync.Mutex // for adding to apps
	apps atomic.Pointer[map[string]*pacedApp]
}

// NewPacer returns a limiter that starts with these limits. It learns of others,
// and of changes, from the API's headers. An [App] uses a Pacer by default, with
// the limits of the app's access. If clock is nil, it is the real one. The error
// is a [FieldError] for a quota that is not valid.
func NewPacer(limits Limits, clock Clock) (*Pacer, error) {
	if err := limits.check(); err != nil {
		return nil, err
	}
	if clock == nil {
		clock = realclock.Clock{}
	}
	p := &Pacer{clock: clock, limits: limits}
	p.apps.Store(&map[string]*pacedApp{})
	return p, nil
}

// idleTime is how long an account is kept after its last call, at least.
const idleTime = 2 * time.Minute

// pacedAccount is the state of one account. It is small because there may be a
// million. The lock of its shard guards it.
type pacedAccount struct {
	all      bucket.Bucket // the limit over all categories
	category pacedCategory // the first in use; the others hang from it
}

// pacedCategory is the state of one account and category.
type pacedCategory struct {
	name   Category
	bucket bucket.Bucket
	queue  *pacedQueue // nil when nobody waits
	next   *pacedCategory
}

// pacedShard holds some of the accounts of an app.
type pacedShard = genmap.Shard[pacedAccount]

// Wait implements [Limiter].
func (p *Pacer) Wait(ctx context.Context, pm Permit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	app := p.app(pm.App)
	sh, now := app.accounts.Shard(pm.Account), p.clock.Now()
	sh.Lock()
	sh.Age(now.UnixNano())
	acct, cat := p.find(sh, &pm, now.UnixNano())
	shared := app.limits(pm.Category)
	if cat.queue == nil && take(acct, cat, shared, now.UnixNano(), pm.cost()) {
		sh.Unlock()
		return nil
	}
	return p.wait(ctx, pm, &pacedQueue{p: p, sh: sh, app: app, acct: acct, category: cat}, now)
}

// take takes a permit that is free, without a queue.
func take(acct *pacedAccount, cat *pacedCategory, shared []*sharedLimit, now int64, cost float64) bool {
	acct.all.Advance(now)
	cat.bucket.Advance(now)
	if acct.all.Due(cost) > now || cat.bucket.Due(cost) > now {
		return false
	}
	if len(shared) > 0 {
		if !takeShared(shared, now, cost) {
			return false
		}
	}
	acct.all.Take(cost)
	cat.bucket.Take(cost)
	return true
}

// wait waits in the queue of q's category, which is q if there is none yet. It is
// called with the shard's lock held and releases it.
func (p *Pacer) wait(ctx context.Context, pm Permit, q *pacedQueue, now time.Time) error {
	if q.category.queue == nil {
		q.open()
	}
	q = q.category.queue
	q.callers++
	q.cost.Add(int64(pm.cost()))
	w := &waitqueue.Waiter{Cost: int(pm.cost()), Priority: int8(pm.Priority), Since: pm.Since, MaxHold: pm.MaxHold}
	if w.Since.IsZero() {
		w.Since = now
	}
	w.Deadline, _ = ctx.Deadline()
	if notify := pm.Waiting; notify != nil {
		w.Waiting = func(slot waitqueue.Slot, ahead int) { notify(paceWait(slot, ahead)) }
	}
	err := q.queue.Wait(ctx, w)
	q.leave(int64(pm.cost()))
	var refusal *waitqueue.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	var cause error
	if refusal.Deadline {
		cause = context.DeadlineExceeded
	}
	return NewPaceError(paceWait(refusal.Slot, refusal.Ahead), cause)
}

func paceWait(slot waitqueue.Slot, ahead int) PaceWait {
	w := PaceWait{Reason: PacePace, Limit: slot.Limit, Ahead: ahead, Until: slot.Due}
	switch {
	case !slot.Held.IsZero():
		w.Reason = PaceHeld
	case ahead > 0:
		w.Reason = PaceQueued
	}
	return w
}

func (p *Permit) cost() float64 { return float64(max(1, p.Cost)) }

// app returns the state of an app, and creates it if needed.
func (p *Pacer) app(name string) *pacedApp {
	if app := (*p.apps.Load())[name]; app != nil {
		return app
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	apps := maps.Clone(*p.apps.Load())
	app := apps[name]
	if app == nil {
		app = newPacedApp(p.limits.App, p.clock.Now().UnixNano())
		apps[name] = app
		p.apps.Store(&apps)
	}
	return app
}

// find returns the state of the permit's account and category, and creates it if
// needed. It is called with the shard's lock held.
func (p *Pacer) find(sh *pacedShard, pm *Permit, now int64) (*pacedAccount, *pacedCategory) {
	acct := sh.Get(pm.Account)
	if acct == nil {
		acct = &pacedAccount{all: newBucket(p.limits.Account[CategoryAll], now)}
		acct.category.name, acct.category.bucket = pm.Category, p.newBucket(pm.Category, now)
		sh.Put(pm.Account, acct)
	}
	cat := &acct.category
	for cat.name != pm.Category {
		if cat.next == nil {
			cat.next = &pacedCategory{name: pm.Category, bucket: p.newBucket(pm.Category, now)}
		}
		cat = cat.next
	}
	return acct, cat
}

func newBucket(q Quota, now int64) bucket.Bucket { return bucket.New(q.Limit, q.Window, now) }

// newBucket returns the bucket of a category's own limit. CategoryAll has none
// besides the limit over all categories.
func (p *Pacer) newBucket(c Category, now int64) bucket.Bucket {
	if c == CategoryAll {
		return bucket.Bucket{}
	}
	return newBucket(p.limits.Account[c], now)
}

// inUse reports whether the account must not be forgotten yet: a call waits for
// it, or one of its limits is closed or has a long window.
func (a *pacedAccount) inUse(now int64) bool {
	if a.all.InUse(now, idleTime) {
		return true
	}
	for cat := &a.category; cat != nil; cat = cat.next {
		if cat.queue != nil || cat.bucket.InUse(now, idleTime) {
			return true
		}
	}
	return false
}
