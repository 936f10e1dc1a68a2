package redislimit

import (
	"context"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/waitqueue"
)

// fleetQueue is the wait queue of one account and category in this process, and
// its source of slots, which come from Redis. The limiter's lock guards it.
type fleetQueue struct {
	l       *Limiter
	permit  pinterest.Permit // the app, account and category
	key     string           // of the category's limit
	queue   *waitqueue.Queue
	callers int // in the queue, or about to enter or leave it

	limits []limit          // of the reservation
	epochs []float64        // of these limits
	last   waitqueue.Slot   // the slot that was reserved last
	pace   time.Duration    // the time of the slowest limit for one request
	gaps   [2]time.Duration // between the last slots, for one request; 0: not known
}

// enter returns the queue of the permit's key, with the lock held.
func (l *Limiter) enter(pm *pinterest.Permit) *fleetQueue {
	key := l.queueKey(pm)
	l.mu.Lock()
	q := l.queues[key]
	if q == nil {
		q = &fleetQueue{l: l, permit: pinterest.Permit{App: pm.App, Account: pm.Account, Category: pm.Category}, key: key}
		q.queue = waitqueue.New(&l.mu, l.clock, q)
		l.queues[key] = q
	}
	q.callers++
	return q
}

// leave removes one caller, and drops the queue after the last.
func (l *Limiter) leave(q *fleetQueue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.callers--; q.callers == 0 {
		delete(l.queues, q.key)
	}
}

// waiting returns how many calls wait in the queue of a key.
func (l *Limiter) waiting(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q := l.queues[key]; q != nil {
		return q.queue.Len()
	}
	return 0
}

// changed notifies the queues of this process that wait for a limit that it was
// closed. Other processes learn it when their slot is due.
func (l *Limiter) changed(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.queues {
		for i := range q.limits {
			if q.limits[i].key == key {
				q.queue.Changed()
			}
		}
	}
}

// Reserve implements [waitqueue.Source].
func (q *fleetQueue) Reserve(ctx context.Context, cost int) (waitqueue.Slot, error) {
	limits := q.l.of(&q.permit)
	for i := range limits {
		q.l.sendHold(ctx, &limits[i])
	}
	return q.slot(ctx, request{operation: reserve, cost: cost, limits: limits})
}

// Confirm implements [waitqueue.Source]. Where a limit was closed since, the
// reservation is void and the script makes it again.
func (q *fleetQueue) Confirm(ctx context.Context, cost int) (waitqueue.Slot, error) {
	q.l.mu.Lock()
	req := request{operation: confirm, cost: cost, limits: q.limits, epochs: q.epochs}
	q.l.mu.Unlock()
	return q.slot(ctx, req)
}

// slot runs a request and returns the slot that it reserved, or the zero Slot if
// the reservation was confirmed.
func (q *fleetQueue) slot(ctx context.Context, req request) (slot waitqueue.Slot, err error) {
	rep, err := q.l.run(ctx, req)
	if err != nil {
		return slot, err
	}
	now := q.l.clock.Now()
	at := func(t float64) time.Time { return now.Add(time.Duration(t-rep.now) * time.Microsecond) }
	epochs := make([]float64, len(req.limits))
	pace, reserved, holder := 0.0, false, ""
	for i := range rep.results {
		x, res := &req.limits[i], &rep.results[i]
		q.l.known.put(x, res.state)
		epochs[i], pace = res.epoch, max(pace, res.b)
		due, held := res.a, res.held
		if due < 0 {
			continue
		}
		reserved = true
		if due > rep.now {
			if t := at(due); t.After(slot.Due) {
				slot.Due, slot.Limit = t, x.name
			}
			if t := at(due); res.quota.Window >= counted && t.After(held) {
				held = t
			}
		}
		if held.After(slot.Held) {
			slot.Held, holder = held, x.name
		}
	}
	q.l.mu.Lock()
	defer q.l.mu.Unlock()
	q.limits, q.epochs = req.limits, epochs
	if !reserved {
		return slot, nil
	}
	if slot.Due.IsZero() {
		slot = waitqueue.Slot{Due: now}
	} else if holder != "" {
		slot.Limit = holder
	}
	q.pace = time.Duration(pace) * time.Microsecond
	q.remember(slot, now, req)
	return slot, nil
}

// remember stores the slot and its distance from the one before. If others use the
// limit as well, the distance is longer than the limit's pace.
func (q *fleetQueue) remember(slot waitqueue.Slot, now time.Time, req request) {
	q.gaps[0], q.gaps[1] = q.gaps[1], 0
	if req.operation == reserve && slot.Due.After(now) && q.last.Due.After(now.Add(-time.Second)) && slot.Held.IsZero() && q.last.Held.IsZero() {
		q.gaps[1] = slot.Due.Sub(q.last.Due) / time.Duration(req.cost)
	}
	q.last = slot
}

// GiveBack implements [waitqueue.Source].
func (q *fleetQueue) GiveBack(cost int) {
	q.l.mu.Lock()
	req := request{operation: give, cost: cost, limits: q.limits, epochs: q.epochs}
	q.l.mu.Unlock()
	// The caller's context may have ended, so this has its own. If Redis does not
	// answer, one permit is lost and no more.
	_, _ = q.l.run(context.Background(), req)
}

// Estimate implements [waitqueue.Source]. It assumes that calls go one after
// another after the last reserved slot: at the pace of the slowest limit or, if
// others use it as well, at nearly the pace that was observed.
func (q *fleetQueue) Estimate(cost int) waitqueue.Slot {
	slot, now := q.last, q.l.clock.Now()
	if !slot.Held.After(now) {
		slot.Held = time.Time{}
	}
	if slot.Due.Before(now) {
		slot.Due = now
	}
	slot.Due = slot.Due.Add(time.Duration(cost) * max(q.pace, min(q.gaps[0], q.gaps[1])*9/10))
	return slot
}
