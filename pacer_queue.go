package pinterest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinterest-go/pinterest/internal/bucket"
	"github.com/pinterest-go/pinterest/internal/waitqueue"
)

// sampled is how many of the queues that share a limit are counted to estimate
// how long one of them will take.
const sampled = 64

// pacedQueue is the wait queue of one account and category, and its source of
// slots. The shard's lock guards it where nothing else is said.
type pacedQueue struct {
	p        *Pacer
	sh       *pacedShard
	app      *pacedApp
	acct     *pacedAccount
	category *pacedCategory
	queue    *waitqueue.Queue
	callers  int            // in the queue, or about to enter or leave it
	joined   []*sharedLimit // the shared limits that know of the queue
	cost     atomic.Int64   // of all callers

	mu     sync.Mutex     // guards the reservation; taken before the other locks
	shared []*sharedLimit // its shared limits
	epochs []int32        // of its buckets: the account's, the category's, the shared
}

// open makes q the queue of its category. The shard's lock is held.
func (q *pacedQueue) open() {
	q.queue = waitqueue.New(q.sh, q.p.clock, q)
	q.category.queue = q
	q.join(q.app.limits(q.category.name))
}

// join registers the queue with these limits, and with no others. The shard's
// lock is held.
func (q *pacedQueue) join(shared []*sharedLimit) {
	for _, s := range q.joined {
		s.mu.Lock()
		delete(s.queues, q)
		s.mu.Unlock()
	}
	q.joined = shared
	for _, s := range q.joined {
		s.mu.Lock()
		s.queues[q] = struct{}{}
		s.mu.Unlock()
	}
}

// leave removes one caller, and drops the queue after the last.
func (q *pacedQueue) leave(cost int64) {
	q.sh.Lock()
	defer q.sh.Unlock()
	q.cost.Add(-cost)
	if q.callers--; q.callers == 0 {
		q.category.queue = nil
		q.join(nil)
	}
}

// Reserve implements [waitqueue.Source].
func (q *pacedQueue) Reserve(_ context.Context, cost int) (waitqueue.Slot, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.p.clock.Now()
	slot := latest{now: now.UnixNano()}
	q.shared, q.epochs = q.app.limits(q.category.name), q.epochs[:0]
	q.sh.Lock()
	if len(q.shared) != len(q.joined) { // a header has revealed one
		q.join(q.shared)
	}
	q.sh.Unlock()
	q.each(func(_ int, b *bucket.Bucket, name string) {
		slot.reserve(b, float64(cost), name)
		q.epochs = append(q.epochs, b.Epoch())
	})
	return slot.slot(now), nil
}

// Confirm implements [waitqueue.Source]. Where a limit was closed since, the
// reservation is void and is made again. Those of the other limits stay valid.
func (q *pacedQueue) Confirm(_ context.Context, cost int) (again waitqueue.Slot, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.p.clock.Now()
	slot := latest{now: now.UnixNano()}
	q.each(func(i int, b *bucket.Bucket, name string) {
		if b.Epoch() == q.epochs[i] {
			return
		}
		slot.reserve(b, float64(cost), name)
		q.epochs[i] = b.Epoch()
		again = slot.slot(now)
	})
	return again, nil
}

// each calls f for the limits of the reservation, each under its lock.
func (q *pacedQueue) each(f func(i int, b *bucket.Bucket, name string)) {
	q.sh.Lock()
	f(0, &q.acct.all, limitName(CategoryAll))
	f(1, &q.category.bucket, string(q.category.name))
	q.sh.Unlock()
	for i, s := range q.shared {
		s.mu.Lock()
		f(2+i, &s.bucket, s.name)
		s.mu.Unlock()
	}
}

// GiveBack implements [waitqueue.Source]. Where a limit was closed since, the
// reservation is void and there is nothing to give back.
func (q *pacedQueue) GiveBack(cost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.each(func(i int, b *bucket.Bucket, _ string) {
		if b.Epoch() == q.epochs[i] {
			b.Take(-float64(cost))
		}
	})
}

// Estimate implements [waitqueue.Source].
func (q *pacedQueue) Estimate(cost int) waitqueue.Slot {
	now := q.p.clock.Now()
	slot := latest{now: now.UnixNano()}
	slot.estimate(&q.acct.all, float64(cost), limitName(CategoryAll))
	slot.estimate(&q.category.bucket, float64(cost), string(q.category.name))
	for _, s := range q.joined {
		s.mu.Lock()
		slot.estimate(&s.bucket, float64(cost)+s.between(q, float64(cost-1)), s.name)
		s.mu.Unlock()
	}
	return slot.slot(now)
}

// between returns how many requests of other queues, which take turns with this
// one, go before it has had so many of its own.
func (s *sharedLimit) between(own *pacedQueue, cost float64) (n float64) {
	seen := 0
	for q := range s.queues {
		if seen == sampled {
			return n * float64(len(s.queues)) / sampled
		}
		seen++
		if q != own {
			n += max(0, min(float64(q.cost.Load()-1), cost)) // less the one it has reserved
		}
	}
	return n
}

// changed notifies the queues that wait for the limit that it was closed.
func (s *sharedLimit) changed() {
	s.mu.Lock()
	queues := slices.Collect(maps.Keys(s.queues))
	s.mu.Unlock()
	for _, q := range queues {
		q.sh.Lock()
		q.queue.Changed()
		q.sh.Unlock()
	}
}

// changed notifies the account's queues that one of its limits was closed. The
// shard's lock is held.
func (a *pacedAccount) changed() {
	for cat := &a.category; cat != nil; cat = cat.next {
		if cat.queue != nil {
			cat.queue.queue.Changed()
		}
	}
}

// latest finds the limit that decides: the one that is due last or, if limits are
// closed, the one that is closed for longest.
type latest struct {
	now, due, held int64
	name, holder   string
}

func (t *latest) add(b *bucket.Bucket, due int64, name string) {
	if due > t.due {
		t.due, t.name = due, name
	}
	held := b.HeldUntil()
	if b.Counted() && due > t.now {
		held = max(held, due)
	}
	if held > t.now && held > t.held {
		t.held, t.holder = held, name
	}
}

// reserve takes the cost, now or for when it is due.
func (t *latest) reserve(b *bucket.Bucket, cost float64, name string) {
	b.Advance(t.now)
	t.add(b, b.Reserve(cost), name)
}

// estimate looks ahead without taking anything. The cost is that of as many
// calls, and not of one large one.
func (t *latest) estimate(b *bucket.Bucket, cost float64, name string) {
	t.add(b, b.DueLast(t.now, cost), name)
}

func (t *latest) slot(now time.Time) waitqueue.Slot {
	if t.due <= t.now {
		return waitqueue.Slot{Due: now}
	}
	slot := waitqueue.Slot{Due: now.Add(time.Duration(t.due - t.now)), Limit: t.name}
	if t.held > 0 {
		slot.Held, slot.Limit = now.Add(time.Duration(t.held-t.now)), t.holder
	}
	return slot
}
