// Package line is the line in which calls of one key wait for their permits:
// first come, first served within a priority, and without a goroutine or a timer
// beyond the callers' own.
//
// One of those who wait keeps watch: it reserves the next slot, sleeps until the
// slot is due and gives it to whoever is first by then. All others wait for
// that. Who keeps watch and leaves hands the watch over.
package line

import (
	"context"
	"sync"
	"time"
)

// Slot is a reserved moment at which one of the line may go.
type Slot struct {
	Due   time.Time
	Held  time.Time // until when the quota is closed or used up; zero when only the pace is waited for
	Limit string    // the limit that decides
}

// Source gives slots. Its methods are called by one of the line at a time, but
// for GiveBack and Estimate.
type Source interface {
	// Reserve takes the next slot.
	Reserve(ctx context.Context, cost int) (Slot, error)
	// Confirm looks after the reserved slot, when its time has come or before. It
	// returns the zero Slot if that is good or, if the quota was closed meanwhile,
	// the one that it reserved instead.
	Confirm(ctx context.Context, cost int) (Slot, error)
	// GiveBack gives back what was reserved for so many requests. It may be called
	// while another method runs.
	GiveBack(cost int)
	// Estimate returns, at the best, when a slot would be due for the last of so
	// many requests, beside those that a slot is reserved for. It is called with
	// the line's lock held.
	Estimate(cost int) Slot
}

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Waiter is one call in the line.
type Waiter struct {
	Cost     int
	Priority int8
	Since    time.Time
	Deadline time.Time     // zero: none
	MaxHold  time.Duration // 0: no bound
	// Waiting, if set, is called once, when it is clear that it has to wait.
	Waiting func(slot Slot, ahead int)

	prev, next *Waiter
	ready      chan struct{} // closed when state is set
	state      state
	refusal    *Refusal
}

type state uint8

const (
	waits   state = iota
	watches       // it keeps watch
	granted
	refused
)

// Refusal is the error of one for whom the slot comes too late.
type Refusal struct {
	Slot     Slot
	Ahead    int  // how many were in front
	Deadline bool // the deadline comes first
}

func (r *Refusal) Error() string { return "the slot comes too late" }

// Line is a line of waiters. The zero Line is not ready: use New.
type Line struct {
	mu       sync.Locker
	clock    Clock
	source   Source
	first    *Waiter
	last     *Waiter
	watch    *Waiter
	n        int
	inLine   [4]rank // by priority, bulk first
	reserved bool    // slot is
	slot     Slot
	cost     int                // of the slot
	changed  bool               // the slot is to be confirmed before it is due
	wake     context.CancelFunc // ends the watcher's sleep; nil: it does not sleep
}

// rank is how many of one priority are in line.
type rank struct{ n, cost int }

// New returns an empty line. mu guards it, and may guard more beside it.
func New(mu sync.Locker, clock Clock, source Source) *Line {
	return &Line{mu: mu, clock: clock, source: source}
}

// Len returns how many wait. It is called with the lock held.
func (l *Line) Len() int { return l.n }

// Changed tells the line that the quota was closed, so that those for whom it is
// closed for too long do not wait for the reserved slot to hear of it. It is
// called with the lock held.
func (l *Line) Changed() {
	l.changed = true
	if l.wake != nil {
		l.wake()
	}
}

// Wait puts w into the line and returns when it may go. It returns ctx's error
// when ctx ends, a *Refusal when the slot comes too late, or what the source
// failed with. It is called with the lock held and gives it back.
func (l *Line) Wait(ctx context.Context, w *Waiter) error {
	var slot Slot
	cost, ahead := l.inFront(w)
	if l.n > 0 {
		if slot = l.source.Estimate(cost + w.Cost); w.tooLate(slot, l.clock.Now()) {
			l.mu.Unlock()
			return w.refuse(slot, ahead)
		}
	}
	w.ready = make(chan struct{})
	l.insert(w)
	if l.watch == nil {
		l.watch, w.state = w, watches
		l.mu.Unlock()
		return l.keepWatch(ctx, w)
	}
	l.mu.Unlock()
	w.tell(slot, ahead)
	select {
	case <-w.ready:
	case <-ctx.Done():
		return l.leave(w, ctx.Err())
	}
	switch w.state {
	case granted:
		return nil
	case refused:
		return w.refusal
	default:
		return l.keepWatch(ctx, w)
	}
}

// keepWatch gives out slots until one goes to w itself.
func (l *Line) keepWatch(ctx context.Context, w *Waiter) error {
	for {
		slot, err := l.next(ctx)
		if err != nil {
			return l.leave(w, err)
		}
		now := l.clock.Now()
		if wait := slot.Due.Sub(now); wait > 0 {
			if l.refuseLate(w, slot, now) {
				return l.leave(w, w.refuse(slot, 0))
			}
			w.tell(slot, 0)
			if err := l.sleep(ctx, wait); err != nil {
				return l.leave(w, err)
			}
		} else if l.give(w) {
			return nil
		}
	}
}

// next returns the reserved slot, which it reserves or confirms as needed.
func (l *Line) next(ctx context.Context) (Slot, error) {
	l.mu.Lock()
	reserved, slot := l.reserved, l.slot
	if reserved && !l.changed && slot.Due.After(l.clock.Now()) { // of who kept watch before
		l.mu.Unlock()
		return slot, nil
	}
	l.changed = false
	if !reserved {
		l.cost = l.first.Cost
	}
	cost := l.cost
	l.mu.Unlock()
	if !reserved {
		return l.keep(l.source.Reserve(ctx, cost))
	}
	again, err := l.source.Confirm(ctx, cost)
	if again.Due.After(slot.Due) {
		slot = again
	}
	return l.keep(slot, err)
}

// keep keeps the slot that was reserved.
func (l *Line) keep(slot Slot, err error) (Slot, error) {
	if err != nil {
		return slot, err
	}
	l.mu.Lock()
	l.reserved, l.slot = true, slot
	l.mu.Unlock()
	return slot, nil
}

// sleep sleeps until the slot is due or the quota has changed.
func (l *Line) sleep(ctx context.Context, d time.Duration) error {
	rest, wake := context.WithCancel(ctx)
	defer wake()
	l.mu.Lock()
	if l.changed {
		l.mu.Unlock()
		return nil
	}
	l.wake = wake
	l.mu.Unlock()
	err := l.clock.Sleep(rest, d)
	l.mu.Lock()
	l.wake = nil
	l.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if rest.Err() != nil {
		return nil
	}
	return err
}

// give gives the slot, which is due, to the first in line. It reports whether
// that was w, who keeps watch.
func (l *Line) give(w *Waiter) bool {
	l.mu.Lock()
	f, rest := l.first, l.cost-l.first.Cost
	l.reserved = false
	switch {
	case rest < 0: // it is for another who came since: a larger one is needed
		rest = l.cost
	case f == w:
		l.remove(w)
		w.state = granted
		l.handOver()
	default:
		l.remove(f)
		f.state = granted
		close(f.ready)
	}
	done := w.state == granted
	l.mu.Unlock()
	if rest > 0 {
		l.source.GiveBack(rest)
	}
	return done
}

// refuseLate refuses those for whom the slot comes too late: of a closed quota
// all of them, otherwise those in front. It reports whether w, who keeps watch,
// is one.
func (l *Line) refuseLate(w *Waiter, slot Slot, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ahead := 0
	for f := l.first; f != nil; {
		next := f.next
		switch late := f.tooLate(slot, now); {
		case late && f != w:
			l.remove(f)
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

// leave takes w out of the line, with the reason for it. What it may have been
// given in this moment is given back.
func (l *Line) leave(w *Waiter, reason error) error {
	l.mu.Lock()
	back := 0
	switch w.state {
	case granted:
		back = w.Cost
	case refused:
	case waits:
		l.remove(w)
	case watches:
		l.remove(w)
		if l.n == 0 && l.reserved {
			l.reserved, back = false, l.cost
		}
		l.handOver()
	}
	l.mu.Unlock()
	if back > 0 {
		l.source.GiveBack(back)
	}
	return reason
}

// handOver gives the watch to the first in line.
func (l *Line) handOver() {
	l.watch = l.first
	if l.watch != nil {
		l.watch.state = watches
		close(l.watch.ready)
	}
}

// insert puts w behind those who go before it.
func (l *Line) insert(w *Waiter) {
	after := l.last
	for after != nil && w.before(after) {
		after = after.prev
	}
	w.prev = after
	if after == nil {
		w.next, l.first = l.first, w
	} else {
		w.next, after.next = after.next, w
	}
	if w.next == nil {
		l.last = w
	} else {
		w.next.prev = w
	}
	l.count(w, 1)
}

func (l *Line) remove(w *Waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	l.count(w, -1)
}

func (l *Line) count(w *Waiter, n int) {
	l.n += n
	r := &l.inLine[w.level()]
	r.n += n
	r.cost += n * w.Cost
}

// inFront returns the number of those who go before w, and the cost for which
// no slot is reserved yet.
func (l *Line) inFront(w *Waiter) (cost, n int) {
	for _, r := range l.inLine[w.level():] {
		cost += r.cost
		n += r.n
	}
	if l.reserved {
		cost -= l.cost
	}
	return cost, n
}

func (w *Waiter) before(o *Waiter) bool {
	if w.Priority != o.Priority {
		return w.Priority > o.Priority
	}
	return w.Since.Before(o.Since)
}

func (w *Waiter) level() int { return min(max(int(w.Priority)+1, 0), 3) }

// tooLate reports whether waiting for the slot would be in vain.
func (w *Waiter) tooLate(slot Slot, now time.Time) bool {
	if !slot.Due.After(now) {
		return false
	}
	return w.passes(slot) || w.MaxHold > 0 && !slot.Held.IsZero() && slot.Held.Sub(now) > w.MaxHold
}

func (w *Waiter) passes(slot Slot) bool { return !w.Deadline.IsZero() && slot.Due.After(w.Deadline) }

func (w *Waiter) refuse(slot Slot, ahead int) *Refusal {
	return &Refusal{Slot: slot, Ahead: ahead, Deadline: w.passes(slot)}
}

// tell says once that it has to wait.
func (w *Waiter) tell(slot Slot, ahead int) {
	if w.Waiting != nil {
		w.Waiting(slot, ahead)
		w.Waiting = nil
	}
}
