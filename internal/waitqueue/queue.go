// Package waitqueue is the queue in which the calls of one key wait for their
// permits. It is first come, first served within a priority, and uses no
// goroutine and no timer beyond those of the callers.
//
// One of the waiters is the leader. It reserves the next slot, sleeps until the
// slot is due and grants it to whoever is first in the queue by then. All others
// wait for that. A leader that leaves passes its role to the first waiter.
package waitqueue

import (
	"context"
	"sync"
	"time"
)

// Slot is a reserved moment at which one waiter may go.
type Slot struct {
	Due   time.Time
	Held  time.Time // until when the quota is closed or used up; zero if the slot only waits for the pace
	Limit string    // the limit that decides
}

// Source provides slots. Its methods are called by one waiter at a time, except
// GiveBack and Estimate.
type Source interface {
	// Reserve takes the next slot.
	Reserve(ctx context.Context, cost int) (Slot, error)
	// Confirm checks the reserved slot, when it is due or earlier. It returns the
	// zero Slot if the reservation is still valid. If the quota was closed in the
	// meantime, it returns the slot that it reserved instead.
	Confirm(ctx context.Context, cost int) (Slot, error)
	// GiveBack returns what was reserved for so many requests. It may be called
	// while another method runs.
	GiveBack(cost int)
	// Estimate returns the earliest time at which the last of so many requests
	// could go, in addition to those that a slot is reserved for. It is called with
	// the queue's lock held.
	Estimate(cost int) Slot
}

// Clock tells the time and sleeps.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Waiter is one call in the queue.
type Waiter struct {
	Cost     int
	Priority int8
	Since    time.Time
	Deadline time.Time     // zero: none
	MaxHold  time.Duration // 0: no bound
	// Waiting, if set, is called once, when it is clear that the call has to wait.
	Waiting func(slot Slot, ahead int)

	prev, next *Waiter
	ready      chan struct{} // closed when state changes
	state      state
	refusal    *Refusal
}

type state uint8

const (
	waiting state = iota
	leading
	granted
	refused
)

// Refusal is the error of a waiter whose slot would come too late.
type Refusal struct {
	Slot     Slot
	Ahead    int  // how many waiters were ahead
	Deadline bool // the slot is due after the deadline
}

func (r *Refusal) Error() string { return "the slot comes too late" }

// Queue is a queue of waiters. Use New: the zero Queue is not ready.
type Queue struct {
	mu     sync.Locker
	clock  Clock
	source Source
	list
	leader   *Waiter
	reserved bool // slot is reserved
	slot     Slot
	cost     int                // of the slot
	changed  bool               // the slot has to be confirmed before it is due
	wake     context.CancelFunc // ends the leader's sleep; nil: it does not sleep
}

// New returns an empty queue. mu guards it, and may guard more besides.
func New(mu sync.Locker, clock Clock, source Source) *Queue {
	return &Queue{mu: mu, clock: clock, source: source}
}

// Len returns the number of waiters. It is called with the lock held.
func (q *Queue) Len() int { return q.n }

// Changed notifies the queue that the quota was closed, so that waiters for whom
// it is closed for too long are refused now and not when the reserved slot is
// due. It is called with the lock held.
func (q *Queue) Changed() {
	q.changed = true
	if q.wake != nil {
		q.wake()
	}
}

// Wait puts w into the queue and returns nil when it may go. It returns ctx's
// error when ctx ends, a *Refusal when the slot would come too late, or the error
// of the source. It is called with the lock held and releases it.
func (q *Queue) Wait(ctx context.Context, w *Waiter) error {
	var slot Slot
	cost, ahead := q.ahead(w)
	if q.n > 0 {
		if slot = q.source.Estimate(cost + w.Cost); w.tooLate(slot, q.clock.Now()) {
			q.mu.Unlock()
			return w.refuse(slot, ahead)
		}
	}
	w.ready = make(chan struct{})
	q.insert(w)
	if q.leader == nil {
		q.leader, w.state = w, leading
		q.mu.Unlock()
		return q.lead(ctx, w)
	}
	q.mu.Unlock()
	w.notify(slot, ahead)
	select {
	case <-w.ready:
	case <-ctx.Done():
		return q.leave(w, ctx.Err())
	}
	switch w.state {
	case granted:
		return nil
	case refused:
		return w.refusal
	default:
		return q.lead(ctx, w)
	}
}

// ahead returns the number of waiters that go before w, and the part of their
// cost for which no slot is reserved yet.
func (q *Queue) ahead(w *Waiter) (cost, n int) {
	cost, n = q.before(w)
	if q.reserved {
		cost -= q.cost
	}
	return cost, n
}

// lead grants slots until one goes to w itself.
func (q *Queue) lead(ctx context.Context, w *Waiter) error {
	for {
		slot, err := q.next(ctx)
		if err != nil {
			return q.leave(w, err)
		}
		now := q.clock.Now()
		if wait := slot.Due.Sub(now); wait > 0 {
			if q.refuseLate(w, slot, now) {
				return q.leave(w, w.refuse(slot, 0))
			}
			w.notify(slot, 0)
			if err := q.sleep(ctx, wait); err != nil {
				return q.leave(w, err)
			}
		} else if q.grant(w) {
			return nil
		}
	}
}

// next returns the reserved slot. It reserves or confirms it as needed.
func (q *Queue) next(ctx context.Context) (Slot, error) {
	q.mu.Lock()
	reserved, slot := q.reserved, q.slot
	if reserved && !q.changed && slot.Due.After(q.clock.Now()) { // reserved by the leader before
		q.mu.Unlock()
		return slot, nil
	}
	q.changed = false
	if !reserved {
		q.cost = q.first.Cost
	}
	cost := q.cost
	q.mu.Unlock()
	if !reserved {
		return q.keep(q.source.Reserve(ctx, cost))
	}
	again, err := q.source.Confirm(ctx, cost)
	if again.Due.After(slot.Due) {
		slot = again
	}
	return q.keep(slot, err)
}

// keep stores the slot that was reserved.
func (q *Queue) keep(slot Slot, err error) (Slot, error) {
	if err != nil {
		return slot, err
	}
	q.mu.Lock()
	q.reserved, q.slot = true, slot
	q.mu.Unlock()
	return slot, nil
}

// sleep sleeps until the slot is due or the quota has changed.
func (q *Queue) sleep(ctx context.Context, d time.Duration) error {
	sleepCtx, wake := context.WithCancel(ctx)
	defer wake()
	q.mu.Lock()
	if q.changed {
		q.mu.Unlock()
		return nil
	}
	q.wake = wake
	q.mu.Unlock()
	err := q.clock.Sleep(sleepCtx, d)
	q.mu.Lock()
	q.wake = nil
	q.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if sleepCtx.Err() != nil {
		return nil
	}
	return err
}

// grant gives the slot, which is due, to the first waiter. It reports whether
// that was w, the leader.
func (q *Queue) grant(w *Waiter) bool {
	q.mu.Lock()
	first, rest := q.first, q.cost-q.first.Cost
	q.reserved = false
	switch {
	case rest < 0: // the first has come since and needs a larger slot
		rest = q.cost
	case first == w:
		q.remove(w)
		w.state = granted
		q.promote()
	default:
		q.remove(first)
		first.state = granted
		close(first.ready)
	}
	done := w.state == granted
	q.mu.Unlock()
	if rest > 0 {
		q.source.GiveBack(rest)
	}
	return done
}

// refuseLate refuses waiters for whom the slot comes too late: all of them if
// the quota is closed, otherwise those at the front. It reports whether w, the
// leader, is one of them.
func (q *Queue) refuseLate(w *Waiter, slot Slot, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	ahead := 0
	for f := q.first; f != nil; {
		next := f.next
		switch late := f.tooLate(slot, now); {
		case late && f != w:
			q.remove(f)
			f.state, f.refusal = refused, f.refuse(slot, ahead)
			close(f.ready)
		case !late && slot.Held.IsZero():
			next = nil
		default:
			ahead++
		}
		f = next
	}
	return w.tooLate(slot, now)
}

// leave takes w out of the queue and returns the reason. A slot that was granted
// to it in this moment is given back.
func (q *Queue) leave(w *Waiter, reason error) error {
	q.mu.Lock()
	unused := 0
	switch w.state {
	case granted:
		unused = w.Cost
	case refused:
	case waiting:
		q.remove(w)
	case leading:
		q.remove(w)
		if q.n == 0 && q.reserved {
			q.reserved, unused = false, q.cost
		}
		q.promote()
	}
	q.mu.Unlock()
	if unused > 0 {
		q.source.GiveBack(unused)
	}
	return reason
}

// promote makes the first waiter the leader.
func (q *Queue) promote() {
	q.leader = q.first
	if q.leader != nil {
		q.leader.state = leading
		close(q.leader.ready)
	}
}

// tooLate reports whether there is no point in waiting for the slot.
func (w *Waiter) tooLate(slot Slot, now time.Time) bool {
	if !slot.Due.After(now) {
		return false
	}
	return w.missesDeadline(slot) || w.MaxHold > 0 && !slot.Held.IsZero() && slot.Held.Sub(now) > w.MaxHold
}

func (w *Waiter) missesDeadline(slot Slot) bool {
	return !w.Deadline.IsZero() && slot.Due.After(w.Deadline)
}

func (w *Waiter) refuse(slot Slot, ahead int) *Refusal {
	return &Refusal{Slot: slot, Ahead: ahead, Deadline: w.missesDeadline(slot)}
}

// notify tells the caller, once, that it has to wait.
func (w *Waiter) notify(slot Slot, ahead int) {
	if w.Waiting != nil {
		w.Waiting(slot, ahead)
		w.Waiting = nil
	}
}
