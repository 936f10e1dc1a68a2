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
	Held  bool   // it is not the pace but a closed quota that is waited for
	Limit string // the limit that decides
}

// Source gives slots. Its methods are called by one of the line at a time.
type Source interface {
	// Reserve takes the next slot.
	Reserve(ctx context.Context, cost int) (Slot, error)
	// Confirm returns a reserved slot whose time has come: the same one or, if the
	// quota was closed meanwhile, a later one.
	Confirm(ctx context.Context, cost int) (Slot, error)
	// Adjust changes what was reserved by so many requests; a negative number
	// gives back.
	Adjust(cost int)
	// Estimate returns, at the best, when a slot would be due for the last of so
	// many requests. It is called with the line's lock held.
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
	ahead    [4]int // the cost in line, by priority, bulk first
	reserved bool
	cost     int // of what is reserved
}

// New returns an empty line. mu guards it, and may guard more beside it.
func New(mu sync.Locker, clock Clock, source Source) *Line {
	return &Line{mu: mu, clock: clock, source: source}
}

// Len returns how many wait. It is called with the lock held.
func (l *Line) Len() int { return l.n }

// Wait puts w into the line and returns when it may go. It returns ctx's error
// when ctx ends, a *Refusal when the slot comes too late, or what the source
// failed with. It is called with the lock held and gives it back.
func (l *Line) Wait(ctx context.Context, w *Waiter) error {
	cost, ahead := l.inFront(w)
	if l.n > 0 {
		if slot := l.source.Estimate(cost + w.Cost); w.tooLate(slot, l.clock.Now()) {
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
	slot := l.source.Estimate(cost + w.Cost)
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
		slot, err := l.slot(ctx)
		if err != nil {
			return l.leave(w, err)
		}
		now := l.clock.Now()
		done, err := l.give(w, slot, now)
		if done || err != nil {
			return err
		}
		if wait := slot.Due.Sub(now); wait > 0 {
			w.tell(slot, 0)
			if err := l.clock.Sleep(ctx, wait); err != nil {
				return l.leave(w, err)
			}
		}
	}
}

// slot reserves the next slot, or confirms the one that is reserved.
func (l *Line) slot(ctx context.Context) (Slot, error) {
	l.mu.Lock()
	again := l.reserved
	if !again {
		l.cost = l.first.Cost
	}
	cost := l.cost
	l.mu.Unlock()
	if again {
		return l.source.Confirm(ctx, cost)
	}
	slot, err := l.source.Reserve(ctx, cost)
	if err == nil {
		l.mu.Lock()
		l.reserved = true
		l.mu.Unlock()
	}
	return slot, err
}

// give gives a slot that is due to the first in line. Of one that is not due it
// refuses those in front for whom it comes too late. It reports whether w, who
// keeps watch, is done.
func (l *Line) give(w *Waiter, slot Slot, now time.Time) (done bool, err error) {
	l.mu.Lock()
	if !slot.Due.After(now) {
		f := l.first
		l.remove(f)
		more := f.Cost - l.cost
		l.reserved = false
		if f == w {
			l.handOver()
			done = true
		} else {
			f.state = granted
			close(f.ready)
		}
		l.mu.Unlock()
		if more != 0 {
			l.source.Adjust(more)
		}
		return done, nil
	}
	for f := l.first; f != nil && f != w && f.tooLate(slot, now); f = l.first {
		l.remove(f)
		f.state, f.refusal = refused, f.refuse(slot, 0)
		close(f.ready)
	}
	late := w.tooLate(slot, now)
	l.mu.Unlock()
	if late {
		return true, l.leave(w, w.refuse(slot, 0))
	}
	return false, nil
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
		l.source.Adjust(-back)
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
	l.n++
	l.ahead[w.level()] += w.Cost
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
	l.n--
	l.ahead[w.level()] -= w.Cost
}

// inFront returns the cost and the number of those who go before w.
func (l *Line) inFront(w *Waiter) (cost, n int) {
	for _, c := range l.ahead[w.level():] {
		cost += c
	}
	return cost, min(cost, l.n)
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
	wait := slot.Due.Sub(now)
	return wait > 0 && (w.passes(slot) || slot.Held && w.MaxHold > 0 && wait > w.MaxHold)
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
