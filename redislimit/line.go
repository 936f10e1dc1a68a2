package redislimit

import (
	"context"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/line"
)

// fleetLine is the line of one account and category in this process, and its
// source of slots, which come from Redis. The limiter's lock guards it.
type fleetLine struct {
	l       *Limiter
	permit  pinterest.Permit // whose: app, account and category
	key     string           // of the category's limit
	line    *line.Line
	callers int

	limits []limit       // of the reservation
	epochs []float64     // of these limits
	last   line.Slot     // the last that was reserved
	pace   time.Duration // what the slowest limit takes for a request
	gaps   [2]time.Duration
}

// enter returns the line of the permit's key, with the lock held.
func (l *Limiter) enter(pm *pinterest.Permit) *fleetLine {
	key := l.lineKey(pm)
	l.mu.Lock()
	fl := l.lines[key]
	if fl == nil {
		fl = &fleetLine{l: l, permit: pinterest.Permit{App: pm.App, Account: pm.Account, Category: pm.Category}, key: key}
		fl.line = line.New(&l.mu, l.clock, fl)
		l.lines[key] = fl
	}
	fl.callers++
	return fl
}

// left counts one caller out, and drops the line after the last.
func (l *Limiter) left(fl *fleetLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fl.callers--; fl.callers == 0 {
		delete(l.lines, fl.key)
	}
}

// waiting returns how many wait in the line of a key.
func (l *Limiter) waiting(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fl := l.lines[key]; fl != nil {
		return fl.line.Len()
	}
	return 0
}

// changed tells the lines of this process that wait for a limit that it was
// closed. Those of others hear of it when their slot is due.
func (l *Limiter) changed(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fl := range l.lines {
		for i := range fl.limits {
			if fl.limits[i].key == key {
				fl.line.Changed()
			}
		}
	}
}

// Reserve implements [line.Source].
func (f *fleetLine) Reserve(ctx context.Context, cost int) (line.Slot, error) {
	limits := f.l.of(&f.permit)
	for i := range limits {
		f.l.tellHold(ctx, &limits[i])
	}
	return f.slot(ctx, question{operation: reserve, cost: cost, limits: limits})
}

// Confirm implements [line.Source]. A limit that was closed since has forgotten
// the reservation, which the script makes anew.
func (f *fleetLine) Confirm(ctx context.Context, cost int) (line.Slot, error) {
	f.l.mu.Lock()
	q := question{operation: confirm, cost: cost, limits: f.limits, epochs: f.epochs}
	f.l.mu.Unlock()
	return f.slot(ctx, q)
}

func (f *fleetLine) slot(ctx context.Context, q question) (slot line.Slot, err error) {
	a, err := f.l.ask(ctx, q)
	if err != nil {
		return slot, err
	}
	now := f.l.clock.Now()
	at := func(t float64) time.Time { return now.Add(time.Duration(t-a.now) * time.Microsecond) }
	epochs := make([]float64, len(q.limits))
	pace, anew, holder := 0.0, false, ""
	for i := range a.about {
		x, about := &q.limits[i], &a.about[i]
		f.l.known.put(x, about.state)
		epochs[i], pace = about.epoch, max(pace, about.b)
		due, held := about.a, about.held
		if due < 0 {
			continue
		}
		anew = true
		if due > a.now {
			if t := at(due); t.After(slot.Due) {
				slot.Due, slot.Limit = t, x.name
			}
			if t := at(due); about.quota.Window >= counted && t.After(held) {
				held = t
			}
		}
		if held.After(slot.Held) {
			slot.Held, holder = held, x.name
		}
	}
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	f.limits, f.epochs = q.limits, epochs
	if !anew {
		return slot, nil // the one that was reserved is good
	}
	if slot.Due.IsZero() {
		slot = line.Slot{Due: now}
	} else if holder != "" {
		slot.Limit = holder
	}
	f.pace = time.Duration(pace) * time.Microsecond
	f.remember(slot, now, q)
	return slot, nil
}

// remember keeps the slot, and how far it is from the one before: where others
// have a part in the limit, that is further than the limit's pace.
func (f *fleetLine) remember(slot line.Slot, now time.Time, q question) {
	f.gaps[0], f.gaps[1] = f.gaps[1], 0
	if q.operation == reserve && slot.Due.After(now) && f.last.Due.After(now.Add(-time.Second)) && slot.Held.IsZero() && f.last.Held.IsZero() {
		f.gaps[1] = slot.Due.Sub(f.last.Due) / time.Duration(q.cost)
	}
	f.last = slot
}

// GiveBack implements [line.Source].
func (f *fleetLine) GiveBack(cost int) {
	f.l.mu.Lock()
	q := question{operation: give, cost: cost, limits: f.limits, epochs: f.epochs}
	f.l.mu.Unlock()
	// Whoever leaves may have no time left: it goes back all the same. If Redis is
	// away it is lost, which costs no more than this permit.
	_, _ = f.l.ask(context.Background(), q)
}

// Estimate implements [line.Source]: after the last reserved slot, one after
// another at the pace of the slowest limit or, if others have a part in it, at
// the one that was seen, less a little.
func (f *fleetLine) Estimate(cost int) line.Slot {
	slot, now := f.last, f.l.clock.Now()
	if !slot.Held.After(now) {
		slot.Held = time.Time{}
	}
	if slot.Due.Before(now) {
		slot.Due = now
	}
	slot.Due = slot.Due.Add(time.Duration(cost) * max(f.pace, min(f.gaps[0], f.gaps[1])*9/10))
	return slot
}
