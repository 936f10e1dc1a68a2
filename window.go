package pinterest

import (
	"math"
	"time"
)

// window is what is known of one limit: how many requests could go now, and
// when the next can. It is a bucket that fills at the pace of the limit, kept
// such that no stretch of time as long as the limit's window, wherever the API
// begins it, sees more requests than the limit.
//
// A rested bucket holds a burst, a tenth of the limit. Who spends it pays it back
// over the next window: until the bucket has been low for a whole window, it
// fills as much slower as the burst was large. A bucket that is kept low fills
// at 98.5 % of the limit.
//
// A window of an hour or more is not paced but counted, since nobody would want
// the quota of a day spread over the day: it fills when the API's window ends.
//
// Times are nanoseconds since 1970 on the pacer's clock. The lock is its owner's.
type window struct {
	limit  int32   // requests in a window; 0: none is known
	length int32   // seconds
	level  float64 // requests that could go; below zero it owes, to those who reserved
	at     int64   // when the level was right
	high   int64   // when the level was last above what a low one is
	held   int64   // the API has asked to stay away until then
	end    int64   // when the API's own window ends; 0: not known
	own    int32   // what we sent in the API's window ...
	others int32   // ... and what others did, as far as it was charged here
	epoch  int32   // grows when reservations become void
	doubts uint8   // how many answers in a row told of another end
}

const (
	// counted is from which length on a window is counted, not paced.
	counted = time.Hour
	// smallLimit is below which a limit leaves no room for bursts.
	smallLimit = 20
	// edge is how far the API's and our idea of a window's end may be apart: the
	// API tells it in whole seconds, and an answer takes its time.
	edge = int64(2 * time.Second)
	// believed is how many answers in a row have to tell of another end: one alone
	// may have come late.
	believed = 3
)

func newWindow(q Quota, now int64) window {
	w := window{limit: int32(min(q.Limit, math.MaxInt32)), length: int32(q.Window / time.Second), at: now, high: now}
	w.level = w.burst()
	if w.counts() {
		w.level = float64(w.limit)
		w.end = now - now%w.span() + w.span() // in UTC, until the API says otherwise
	}
	return w
}

func (w *window) span() int64  { return int64(w.length) * int64(time.Second) }
func (w *window) counts() bool { return w.span() >= int64(counted) }

// burst is how many requests a rested bucket holds.
func (w *window) burst() float64 {
	if w.limit < smallLimit {
		return 1
	}
	return max(2, float64(w.limit)/10)
}

// low is the level under which a bucket counts as low. It is a little more than
// one request, so that a timer that comes late does not cost speed.
func (w *window) low() float64 {
	if w.limit < smallLimit {
		return 2 // never reached: there is no burst to pay back
	}
	return max(1.15, 0.015*float64(w.limit))
}

// fast and slow are how much the bucket gains in a nanosecond.
func (w *window) fast() float64 { return 0.985 * float64(w.limit) / float64(w.span()) }
func (w *window) slow() float64 {
	if w.limit < smallLimit {
		return w.fast()
	}
	return (0.99*float64(w.limit) - w.burst()) / float64(w.span())
}

// advance brings the level to now.
func (w *window) advance(now int64) {
	if w.limit == 0 {
		return
	}
	if w.end != 0 && now >= w.end {
		w.fill(w.end)
		w.roll(now)
	}
	w.fill(now)
}

// fill lets the bucket fill until the given time.
func (w *window) fill(now int64) {
	from := w.at
	if now <= from { // or closed until then
		return
	}
	w.at = now
	if w.counts() {
		return
	}
	low := w.low()
	if w.level < low {
		if until := min(now, w.high+w.span()); until > from { // still paying back
			rise := min((low-w.level)/w.slow(), float64(until-from))
			w.level += w.slow() * rise
			from += int64(rise)
		}
		if w.level < low-1e-9 && from < now {
			rise := min((low-w.level)/w.fast(), float64(now-from))
			w.level += w.fast() * rise
			from += int64(rise)
		}
	}
	if w.level >= low-1e-9 {
		w.level += w.slow() * float64(now-from)
		w.high = now
	}
	w.level = min(w.level, w.burst())
}

// roll begins the API's next window when its end has passed. What is owed for
// others' use goes with the old one; what is reserved does not.
func (w *window) roll(now int64) {
	periods := (now - w.end) / w.span()
	began := w.end + periods*w.span()
	w.end = began + w.span()
	if w.counts() {
		w.level = min(float64(w.limit), w.level+float64(1+periods)*float64(w.limit))
		w.at = max(w.at, began)
	} else if w.level < 0 {
		w.level = min(0, w.level+float64(w.others))
	}
	w.own, w.others = 0, 0
}

// due returns when so many requests could go, some time in the past if that is
// now. advance comes first.
func (w *window) due(cost float64) int64 {
	if w.limit == 0 {
		return w.held
	}
	cost = min(cost, float64(w.limit))
	if w.counts() {
		missing := cost - w.level
		if missing <= 0 {
			return w.held
		}
		periods := math.Ceil(missing/float64(w.limit)) - 1
		return max(w.at, w.end) + int64(periods)*w.span()
	}
	missing := cost - w.level
	if missing <= 0 {
		return w.held
	}
	due := w.at
	if pay := w.high + w.span() - w.at; pay > 0 {
		slow := min(missing/w.slow(), float64(pay))
		missing -= slow * w.slow()
		due += int64(math.Ceil(slow))
	}
	if missing > 1e-9 {
		due += int64(math.Ceil(missing / w.fast()))
	}
	return due
}

// take spends cost, a negative one gives back. What is more than a burst is
// spent twice, since it is saved for and goes at once: the next window has to
// have room for it as the last one had.
func (w *window) take(cost float64) {
	if w.limit == 0 {
		return
	}
	limit := float64(w.limit)
	cost = min(max(cost, -limit), limit)
	w.own = int32(max(0, float64(w.own)+cost))
	if w.counts() {
		w.level -= cost
		return
	}
	burst := w.burst()
	w.level = min(burst, w.level-cost-max(0, cost-burst)-min(0, cost+burst))
}

// reserve takes cost for when it is due, and returns when that is.
func (w *window) reserve(cost float64) int64 {
	due := w.due(cost)
	w.take(cost)
	if cost > w.low() && w.limit > 0 {
		w.high = max(w.high, due) // it goes all at once then, and is paid back
	}
	return due
}

// hold closes the limit until the given time. Whoever had reserved has to do so
// again, and then they go one after another at the pace.
func (w *window) hold(until int64) {
	if w.limit == 0 || until <= w.held {
		return
	}
	w.held = until
	w.at = max(w.at, until)
	w.epoch++
	if w.counts() {
		w.level, w.end = 0, until
		return
	}
	w.level = 1 // one may go then, the others one after another
}

// observe learns what the API said of this limit: how many of its window are
// left, and when it ends. What others have used counts as ours.
func (w *window) observe(now int64, limit, remaining int32, reset int64) {
	w.advance(now)
	w.resize(limit)
	if reset <= 0 || reset > w.span()+edge || w.span() < 2*edge {
		// An end that is in whole seconds says nothing of a window of seconds.
		if remaining == 0 && reset > 0 && reset <= w.span()+edge {
			w.hold(now + reset)
		}
		return
	}
	end, used := now+reset, w.limit-remaining
	if !w.ends(end, used) {
		return
	}
	if w.counts() {
		w.own = max(w.own, used)
		w.level = min(w.level, float64(remaining))
	}
	if others := used - w.own; others > w.others && (w.others > 0 || float64(others) > 2+0.02*float64(w.limit)) {
		w.level -= float64(others - w.others)
		w.others = others
	}
	if remaining == 0 {
		w.hold(end)
	}
}

// ends compares our idea of the window's end with the API's. It reports whether
// the answer speaks of this window.
func (w *window) ends(end int64, used int32) bool {
	apart := end - w.end
	ours := used
	if !w.counts() {
		ours += int32(w.burst()) // at the most, as answers overtake each other
	}
	switch {
	case w.end == 0:
		w.end, w.own = end, min(w.own, ours)
	case apart > -edge && apart < edge:
		w.end = min(w.end, end) // a reset is rounded up, and an answer takes its time
	case apart <= 2*edge-w.span():
		return false // it is of the window before
	case apart < w.span()-2*edge && !w.counts() && w.doubts+1 < believed:
		w.doubts++
		return false
	default: // we had it wrong, or the next one has begun
		w.end, w.own, w.others = end, ours, 0
	}
	w.doubts = 0
	return true
}

// resize follows a limit that has changed.
func (w *window) resize(limit int32) {
	if limit <= 0 || limit == w.limit {
		return
	}
	if w.counts() {
		if w.level > 0 {
			w.level = max(0, w.level+float64(limit-w.limit))
		}
		w.limit = limit
		return
	}
	w.limit = limit
	w.level = min(w.level, w.burst())
}

// matters reports whether the window cannot be forgotten yet.
func (w *window) matters(now int64) bool {
	return w.held > now || w.counts() && w.end > now || w.span() > int64(idleTime) && w.at+w.span() > now
}

// usage is where the limit stands.
func (w *window) usage(now int64) Usage {
	u := Usage{Max: int(w.limit), Window: time.Duration(w.span())}
	w.advance(now)
	burst := w.burst()
	if w.counts() {
		burst = float64(w.limit)
	}
	missing := math.Ceil(max(0, burst-w.level)) // what is not free again yet
	u.Used = int(missing)
	if w.end != 0 {
		u.Used = max(int(w.own+w.others), 0)
		u.Reset = time.Duration(w.end - now)
	} else if missing > 0 {
		u.Reset = time.Duration(w.fullAt() - now)
	}
	u.Free = max(0, u.Max-u.Used)
	if w.held > now {
		u.HeldUntil = time.Unix(0, w.held)
		u.Free, u.Reset = 0, max(u.Reset, time.Duration(w.held-now))
	}
	return u
}

// fullAt is when the bucket will be full if nothing is taken.
func (w *window) fullAt() int64 { return w.due(w.burst()) }
