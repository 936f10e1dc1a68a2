package redislimit

import (
	"context"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/line"
)

// fleetLine is the line of one account and category in this process, and its
// source of slots, which come from Redis.
type fleetLine struct {
	l       *Limiter
	permit  pinterest.Permit // whose: app, account and category
	key     string           // of the category's limit
	line    *line.Line
	callers int

	limits []limit   // of the reservation
	epochs []float64 // of these limits
	last   time.Time // when the last reserved slot is due
	pace   time.Duration
	name   string // of the limit that decides
}

// downError says that Redis could not be asked.
type downError struct{ err error }

func (e *downError) Error() string { return "redislimit: " + e.err.Error() }
func (e *downError) Unwrap() error { return e.err }

// enter returns the line of the permit's key, with the lock held.
func (l *Limiter) enter(pm *pinterest.Permit) *fleetLine {
	key := l.accountKey(pm) + "c:" + string(pm.Category)
	l.mu.Lock()
	fl := l.lines[key]
	if fl == nil {
		fl = &fleetLine{l: l, permit: *pm, key: key}
		fl.line = line.New(&l.mu, l, fl)
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
func (l *Limiter) changed(x *limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fl := range l.lines {
		for _, own := range fl.limits {
			if own.key == x.key {
				fl.line.Changed()
			}
		}
	}
}

// Reserve implements line.Source.
func (f *fleetLine) Reserve(ctx context.Context, cost int) (line.Slot, error) {
	limits := f.l.of(&f.permit)
	return f.ask(ctx, "reserve", cost, limits, nil)
}

// Confirm implements line.Source.
func (f *fleetLine) Confirm(ctx context.Context, cost int) (line.Slot, error) {
	f.l.mu.Lock()
	limits, epochs := f.limits, f.epochs
	f.l.mu.Unlock()
	return f.ask(ctx, "confirm", cost, limits, epochs)
}

func (f *fleetLine) ask(ctx context.Context, operation string, cost int, limits []limit, epochs []float64) (line.Slot, error) {
	began := f.l.Now()
	reply, err := f.l.run(ctx, operation, cost, nil, limits, epochs)
	if err != nil {
		if ctx.Err() != nil {
			return line.Slot{}, ctx.Err()
		}
		return line.Slot{}, &downError{err}
	}
	f.l.away.back()
	// By our clock: Redis looked at its own some time after we asked.
	at := func(t float64) time.Time { return began.Add(time.Duration(t-reply.now) * time.Microsecond) }
	if f.l.clock == nil {
		began = f.l.Now()
	}
	var slot line.Slot
	pace, decides := 0.0, 0.0
	epochs = make([]float64, len(limits))
	for i := range limits {
		n := reply.of(i, 4)
		epochs[i] = n[1]
		if n[0] > decides {
			decides = n[0]
			if n[0] > reply.now {
				slot.Due, slot.Limit, slot.Held = at(n[0]), limits[i].name, time.Time{}
				if n[2] > reply.now {
					slot.Held = at(n[2])
				}
			}
		}
		pace = max(pace, n[3])
	}
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	f.limits, f.epochs = limits, epochs
	if operation == "confirm" && decides == 0 {
		return line.Slot{}, nil
	}
	if slot.Due.IsZero() {
		slot.Due = began
	}
	f.last, f.pace, f.name = slot.Due, time.Duration(pace)*time.Microsecond, slot.Limit
	return slot, nil
}

// GiveBack implements line.Source.
func (f *fleetLine) GiveBack(cost int) {
	f.l.mu.Lock()
	limits, epochs := f.limits, f.epochs
	f.l.mu.Unlock()
	// The caller may have left for good: the permit goes back all the same.
	if _, err := f.l.run(context.Background(), "give back", cost, nil, limits, epochs); err != nil {
		f.l.away.lost(err, f.l.Now())
	}
}

// Estimate implements line.Source: after the reserved slot, one after another at
// the pace of the slowest limit.
func (f *fleetLine) Estimate(cost int) line.Slot {
	from := f.last
	if now := f.l.Now(); from.Before(now) {
		from = now
	}
	return line.Slot{Due: from.Add(time.Duration(cost) * f.pace), Limit: f.name}
}
