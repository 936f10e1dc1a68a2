package pinterest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// TestWindowStaysWithinItsLimit sends at random, as soon as it may or later, and
// counts what went in the worst stretch of a window's length.
func TestWindowStaysWithinItsLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := Quota{rapid.IntRange(1, 1000).Draw(t, "limit"), time.Duration(rapid.SampledFrom([]int{1, 7, 60, 600}).Draw(t, "window")) * time.Second}
		now := int64(1_700_000_000_000_000_000)
		w := newWindow(q, now)
		var sent []int64
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				now += rapid.Int64Range(0, 2*w.span()).Draw(t, "rest")
			case 1: // reserved, and given back
				w.advance(now)
				w.reserve(1)
				now += rapid.Int64Range(0, w.span()/50).Draw(t, "regret")
				w.advance(now)
				w.take(-1)
			default:
				cost := 1
				if rapid.IntRange(0, 3).Draw(t, "large") == 0 {
					cost = rapid.IntRange(1, q.Limit).Draw(t, "cost")
				}
				w.advance(now)
				now = max(now, w.reserve(float64(cost)))
				for range cost {
					sent = append(sent, now)
				}
			}
		}
		first := 0
		for i, at := range sent {
			for at-sent[first] >= w.span() {
				first++
			}
			if n := i - first + 1; n > q.Limit {
				t.Fatalf("%d of %+v within a window", n, q)
			}
		}
	})
}

// minute returns a window of 100 a minute and the time of its beginning.
func minute() (w window, now int64) {
	now = time.Date(2027, time.March, 4, 5, 6, 0, 0, time.UTC).UnixNano()
	return newWindow(Quota{100, time.Minute}, now), now
}

const second = int64(time.Second)

func TestWindowIsFullAgainWhenItSaysSo(t *testing.T) {
	w, now := minute()
	w.take(10)
	u := w.usage(now)
	assert.Equal(t, 10, u.Used)
	now += int64(u.Reset)
	w.advance(now)
	assert.InDelta(t, w.burst(), w.level, 0.01)
}

func TestWindowChargesOthers(t *testing.T) {
	w, now := minute()
	w.take(1)
	w.observe(now, 100, 60, 30*second) // 39 are others'
	assert.InDelta(t, 10-1-39, w.level, 0.01)
	w.observe(now, 100, 5, 30*second) // and 55 more
	assert.InDelta(t, 10-1-94, w.level, 0.01)
	w.observe(now, 100, 60, 30*second) // a late answer
	assert.InDelta(t, 10-1-94, w.level, 0.01)
	w.advance(now + 30*second) // the API's next window, in which nothing is owed for that
	assert.InDelta(t, 0, w.level, 0.01)
}

func TestWindowDoesNotChargeItsOwnCalls(t *testing.T) {
	w, now := minute()
	w.take(6) // in flight together, and answered in another order
	for _, remaining := range []int32{99, 94, 96, 95, 97, 98} {
		w.observe(now, 100, remaining, 30*second)
	}
	assert.InDelta(t, 4, w.level, 0.01)
}

func TestWindowKeepsItsEndWhenOneAnswerIsLate(t *testing.T) {
	w, now := minute()
	w.take(1)
	w.observe(now, 100, 99, 30*second)
	end := w.end
	now += 5 * second
	w.observe(now, 100, 99, 30*second) // underway for 5 seconds
	assert.Equal(t, end, w.end)
	w.observe(now, 100, 98, 26*second) // reset is rounded up
	assert.Equal(t, end, w.end)
	w.observe(now, 100, 97, 24*second)
	assert.Equal(t, end-second, w.end)
	for range believed {
		w.observe(now, 100, 96, 50*second)
	}
	assert.Equal(t, now+50*second, w.end)
	assert.Greater(t, w.level, 8.0) // and nobody is charged for it
}

func TestWindowForgetsNothingThatIsOwedAtAHold(t *testing.T) {
	w, now := minute()
	w.take(10)
	w.hold(now + 5*second)
	w.advance(now + 5*second)
	assert.InDelta(t, 1, w.level, 0.01)
	// The burst before the hold is still paid back.
	sent := 11
	for at := now + 5*second; at < now+60*second; sent++ {
		w.advance(at)
		at = w.reserve(1)
	}
	assert.LessOrEqual(t, sent, 100+1)
}

func TestCountedWindow(t *testing.T) {
	now := time.Date(2027, time.March, 4, 20, 0, 0, 0, time.UTC).UnixNano()
	w := newWindow(Quota{300, day}, now)
	assert.LessOrEqual(t, w.due(300), now)
	w.take(300)
	midnight := now + 4*int64(time.Hour)
	assert.Equal(t, midnight, w.due(1))
	w.take(1) // reserved for the next day
	w.take(300)
	assert.Equal(t, midnight+int64(day), w.due(1), "the next day is reserved in full")
	w.take(-300)
	w.advance(midnight)
	assert.InDelta(t, 299, w.level, 0.01)
	w.observe(midnight, 300, 250, 5*int64(time.Hour))
	assert.InDelta(t, 250, w.level, 0.01)
	assert.Equal(t, midnight+5*int64(time.Hour), w.end)
	w.resize(100)
	assert.InDelta(t, 50, w.level, 0.01)
	w.resize(10)
	assert.InDelta(t, 0, w.level, 0.01)
}

func TestLongWindowsAreNotForgotten(t *testing.T) {
	now := time.Now().UnixNano()
	for _, test := range []struct {
		window time.Duration
		want   bool
	}{{time.Second, false}, {time.Minute, false}, {10 * time.Minute, true}, {day, true}} {
		w := newWindow(Quota{100, test.window}, now)
		w.take(1)
		assert.Equal(t, test.want, w.matters(now+5*int64(time.Minute)), test.window)
	}
}
