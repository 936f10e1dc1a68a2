// Package bucket is the arithmetic of pacing: it says how many requests of one
// limit can go now, and when the next can.
//
// A limit allows so many requests in a window. A [Bucket] fills at the pace of
// the limit, and is kept such that no stretch of time as long as the window,
// wherever the API begins it, sees more requests than the limit.
//
// A bucket that has rested holds a burst, a tenth of the limit. Requests that
// spend the burst pay it back over the next window: until the bucket has been low
// for a whole window, it fills more slowly, by as much as the burst was large. A
// bucket that is kept low fills at 98.5 % of the limit.
//
// A window of an hour or more is not paced but counted, because nobody wants the
// quota of a day spread over the day. Its bucket is filled when the API's window
// ends.
//
// The script of module redislimit does the same, function for function.
package bucket

import (
	"math"
	"time"
)

// Bucket is the state of one limit. The zero Bucket has no limit: everything may
// go at once. A Bucket may be copied. It is not safe for concurrent use.
//
// Times are nanoseconds since 1970, on the clock of the caller. Methods that have
// no parameter for the time work on the state as of the last Advance.
type Bucket struct {
	limit  int32   // requests in a window; 0: no limit is known
	length int32   // of the window, in seconds
	level  float64 // requests that could go; negative while requests that reserved have yet to go
	at     int64   // the time that level is of
	high   int64   // when level was last above low
	held   int64   // the API has asked to send nothing until then
	end    int64   // when the API's own window ends; 0: not known
	own    int32   // what was sent in the API's window ...
	others int32   // ... and what others sent, as far as it was charged here
	epoch  int32   // grows when reservations become void
	doubts uint8   // how many answers in a row named another end
}

const (
	// counted is the shortest window that is counted, not paced.
	counted = time.Hour
	// smallLimit is the lowest limit that leaves room for bursts.
	smallLimit = 20
	// edge is how far the API's and our idea of a window's end may be apart: the
	// API tells it in whole seconds, and an answer takes time to arrive.
	edge = int64(2 * time.Second)
	// believed is how many answers in a row have to name another end: a single
	// one may have come late.
	believed = 3
)

// New returns a bucket that has rested. The limit is cut to an int32, the window
// to whole seconds; with a limit of 0 there is none.
func New(limit int, window time.Duration, now int64) Bucket {
	b := Bucket{limit: clamp(limit), length: int32(window / time.Second), at: now, high: now}
	b.level = b.burst()
	if b.Counted() {
		b.level = float64(b.limit)
		b.end = now - now%b.span() + b.span() // in UTC, until the API says otherwise
	}
	return b
}

func clamp(n int) int32 { return int32(min(n, math.MaxInt32)) }

// Limit returns how many requests a window allows, 0 if no limit is known.
func (b *Bucket) Limit() int { return int(b.limit) }

// Window returns the length of the window.
func (b *Bucket) Window() time.Duration { return time.Duration(b.span()) }

// Counted reports whether the window is so long that it is counted, not paced.
func (b *Bucket) Counted() bool { return b.span() >= int64(counted) }

// HeldUntil returns until when the limit is closed. The time may have passed.
func (b *Bucket) HeldUntil() int64 { return b.held }

// Epoch returns a number that changes when reservations become void: when the
// limit is closed or replaced.
func (b *Bucket) Epoch() int32 { return b.epoch }

func (b *Bucket) span() int64 { return int64(b.length) * int64(time.Second) }

// burst is how many requests a rested bucket holds.
func (b *Bucket) burst() float64 {
	if b.limit < smallLimit {
		return 1
	}
	return max(2, float64(b.limit)/10)
}

// low is the level below which a bucket counts as low. It is a little more than
// one request, so that a timer that fires late does not cost speed.
func (b *Bucket) low() float64 {
	if b.limit < smallLimit {
		return 2 // never reached: there is no burst to pay back
	}
	return max(1.15, 0.015*float64(b.limit))
}

// fast and slow are how much the bucket gains in a nanosecond.
func (b *Bucket) fast() float64 { return 0.985 * float64(b.limit) / float64(b.span()) }
func (b *Bucket) slow() float64 {
	if b.limit < smallLimit {
		return b.fast()
	}
	return (0.99*float64(b.limit) - b.burst()) / float64(b.span())
}

// Advance brings the bucket to now.
func (b *Bucket) Advance(now int64) {
	if b.limit == 0 {
		return
	}
	if b.end != 0 && now >= b.end {
		b.fill(b.end)
		b.roll(now)
	}
	b.fill(now)
}

// fill lets the bucket fill until the given time.
func (b *Bucket) fill(now int64) {
	from := b.at
	if now <= from { // or closed until then
		return
	}
	b.at = now
	if b.Counted() {
		return
	}
	low := b.low()
	if b.level < low {
		if until := min(now, b.high+b.span()); until > from { // still paying back
			rise := min((low-b.level)/b.slow(), float64(until-from))
			b.level += b.slow() * rise
			from += int64(rise)
		}
		if b.level < low-1e-9 && from < now {
			rise := min((low-b.level)/b.fast(), float64(now-from))
			b.level += b.fast() * rise
			from += int64(rise)
		}
	}
	if b.level >= low-1e-9 {
		b.level += b.slow() * float64(now-from)
		b.high = now
	}
	b.level = min(b.level, b.burst())
}

// roll begins the API's next window when its end has passed. What others used in
// the old one is no longer charged. What is reserved still is.
func (b *Bucket) roll(now int64) {
	periods := (now - b.end) / b.span()
	began := b.end + periods*b.span()
	b.end = began + b.span()
	if b.Counted() {
		b.level = min(float64(b.limit), b.level+float64(1+periods)*float64(b.limit))
		b.at = max(b.at, began)
	} else if b.level < 0 {
		b.level = min(0, b.level+float64(b.others))
	}
	b.own, b.others = 0, 0
}

// Due returns when so many requests could go at once. It is a time that has
// passed if they can go now.
func (b *Bucket) Due(cost float64) int64 {
	if b.limit == 0 {
		return b.held
	}
	cost = min(cost, float64(b.limit))
	if b.Counted() {
		missing := cost - b.level
		if missing <= 0 {
			return b.held
		}
		periods := math.Ceil(missing/float64(b.limit)) - 1
		return max(b.at, b.end) + int64(periods)*b.span()
	}
	missing := cost - b.level
	if missing <= 0 {
		return b.held
	}
	due := b.at
	if pay := b.high + b.span() - b.at; pay > 0 {
		slow := min(missing/b.slow(), float64(pay))
		missing -= slow * b.slow()
		due += int64(math.Ceil(slow))
	}
	if missing > 1e-9 {
		due += int64(math.Ceil(missing / b.fast()))
	}
	return due
}

// DueLast returns when the last of n requests could go if they go one after
// another from now on. It does not change the bucket.
func (b *Bucket) DueLast(now int64, n float64) int64 {
	guess := *b
	guess.Advance(now)
	guess.level -= n
	return guess.Due(0)
}

// Take spends cost; a negative cost gives back. What is more than a burst is
// spent twice, because it was saved up and goes at once: the next window needs
// as much room for it as the last one had.
func (b *Bucket) Take(cost float64) {
	if b.limit == 0 {
		return
	}
	limit := float64(b.limit)
	cost = min(max(cost, -limit), limit)
	b.own = int32(max(0, float64(b.own)+cost))
	if b.Counted() {
		b.level -= cost
		return
	}
	burst := b.burst()
	b.level = min(burst, b.level-cost-max(0, cost-burst)-min(0, cost+burst))
}

// Reserve takes cost for the time when it is due, and returns that time.
func (b *Bucket) Reserve(cost float64) int64 {
	due := b.Due(cost)
	b.Take(cost)
	if cost > b.low() && b.limit > 0 {
		b.high = max(b.high, due) // it goes all at once then, and is paid back
	}
	return due
}

// Hold closes the limit until the given time. All reservations become void and
// have to be made again. When the hold ends, requests go one after another at the
// pace.
func (b *Bucket) Hold(until int64) {
	if b.limit == 0 || until <= b.held {
		return
	}
	b.held = until
	b.at = max(b.at, until)
	b.epoch++
	if b.Counted() {
		b.level, b.end = 0, until
		return
	}
	b.level = 1 // one may go then
}

// Learn follows a limit that was not known or that has changed. A hold stays.
func (b *Bucket) Learn(limit int, window time.Duration, now int64) {
	if b.limit != 0 && b.Window() == window {
		b.resize(clamp(limit))
		return
	}
	held, epoch := b.held, b.epoch
	*b = New(limit, window, now)
	b.epoch = epoch + 1
	if held > now {
		b.Hold(held)
	}
}

// Observe follows what the API said of this limit: how many requests are left of
// its window, and how long until it ends. What others have used is charged here.
func (b *Bucket) Observe(now int64, limit, remaining int, reset time.Duration) {
	b.Advance(now)
	b.resize(clamp(limit))
	b.observe(now, clamp(remaining), int64(reset))
}

func (b *Bucket) observe(now int64, remaining int32, reset int64) {
	if reset <= 0 || reset > b.span()+edge || b.span() < 2*edge {
		// An end in whole seconds says nothing about a window of a few seconds.
		if remaining == 0 && reset > 0 && reset <= b.span()+edge {
			b.Hold(now + reset)
		}
		return
	}
	end, used := now+reset, b.limit-remaining
	if !b.follow(end, used) {
		return
	}
	if b.Counted() {
		b.own = max(b.own, used)
		b.level = min(b.level, float64(remaining))
	}
	if others := used - b.own; others > b.others && (b.others > 0 || float64(others) > 2+0.02*float64(b.limit)) {
		b.level -= float64(others - b.others)
		b.others = others
	}
	if remaining == 0 {
		b.Hold(end)
	}
}

// follow compares our idea of the window's end with the API's, and corrects it.
// It reports whether the answer is about the current window.
func (b *Bucket) follow(end int64, used int32) bool {
	apart := end - b.end
	ours := used
	if !b.Counted() {
		ours += int32(b.burst()) // at most, because answers overtake each other
	}
	switch {
	case b.end == 0:
		b.end, b.own = end, min(b.own, ours)
	case apart > -edge && apart < edge:
		b.end = min(b.end, end) // a reset is rounded up, and an answer takes time to arrive
	case apart <= 2*edge-b.span():
		return false // it is about the previous window
	case apart < b.span()-2*edge && !b.Counted() && b.doubts+1 < believed:
		b.doubts++
		return false
	default: // we were wrong, or the next window has begun
		b.end, b.own, b.others = end, ours, 0
	}
	b.doubts = 0
	return true
}

// resize follows a limit that has changed.
func (b *Bucket) resize(limit int32) {
	if limit <= 0 || limit == b.limit {
		return
	}
	if b.Counted() {
		if b.level > 0 {
			b.level = max(0, b.level+float64(limit-b.limit))
		}
		b.limit = limit
		return
	}
	b.limit = limit
	b.level = min(b.level, b.burst())
}

// InUse reports whether the state still matters to a caller who forgets limits
// that were not used for the given time.
func (b *Bucket) InUse(now int64, idle time.Duration) bool {
	return b.held > now || b.Counted() && b.end > now || b.span() > int64(idle) && b.at+b.span() > now
}

// State is where a limit stands.
type State struct {
	Used  int           // in this window, including what others used as far as it is known
	Free  int           // how many could still go in this window; 0 while held
	Reset time.Duration // until the window ends or, if that is not known, until the bucket is full
	Held  int64         // until when the limit is closed; 0 if it is open
}

// State returns where the limit stands now.
func (b *Bucket) State(now int64) (s State) {
	b.Advance(now)
	full := b.burst()
	if b.Counted() {
		full = float64(b.limit)
	}
	missing := math.Ceil(max(0, full-b.level)) // what is not free again yet
	s.Used = int(missing)
	if b.end != 0 {
		s.Used = max(int(b.own+b.others), 0)
		s.Reset = time.Duration(b.end - now)
	} else if missing > 0 {
		s.Reset = time.Duration(b.Due(b.burst()) - now)
	}
	s.Free = max(0, int(b.limit)-s.Used)
	if b.held > now {
		s.Held, s.Free = b.held, 0
		s.Reset = max(s.Reset, time.Duration(b.held-now))
	}
	return s
}
