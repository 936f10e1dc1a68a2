package pinterest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pinterest-go/pinterest/internal/line"
)

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
