package bucket

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// TestBucketStaysWithinItsLimit sends at random, as soon as it may or later, and
// counts what went in the worst stretch of a window's length.
func TestBucketStaysWithinItsLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 1000).Draw(t, "limit")
		window := time.Duration(rapid.SampledFrom([]int{1, 7, 60, 600}).Draw(t, "window")) * time.Second
		now := int64(1_700_000_000_000_000_000)
		b := New(limit, window, now)
		var sent []int64
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				now += rapid.Int64Range(0, 2*b.span()).Draw(t, "rest")
			case 1: // reserved, and given back
				b.Advance(now)
				b.Reserve(1)
				now += rapid.Int64Range(0, b.span()/50).Draw(t, "regret")
				b.Advance(now)
				b.Take(-1)
			default:
				cost := 1
				if rapid.IntRange(0, 3).Draw(t, "large") == 0 {
					cost = rapid.IntRange(1, limit).Draw(t, "cost")
				}
				b.Advance(now)
				now = max(now, b.Reserve(float64(cost)))
				for range cost {
					sent = append(sent, now)
				}
			}
		}
		first := 0
		for i, at := range sent {
			for at-sent[first] >= b.span() {
				first++
			}
			if n := i - first + 1; n > limit {
				t.Fatalf("%d of %d went within %v", n, limit, window)
			}
		}
	})
}

// minute returns a bucket of 100 a minute and the time at which it was made.
func minute() (b Bucket, now int64) {
	now = time.Date(2027, time.March, 4, 5, 6, 0, 0, time.UTC).UnixNano()
	return New(100, time.Minute, now), now
}

const (
	second = int64(time.Second)
	day    = 24 * time.Hour
)

func TestBucketIsFullAgainWhenItSaysSo(t *testing.T) {
	b, now := minute()
	b.Take(10)
	s := b.State(now)
	assert.Equal(t, 10, s.Used)
	now += int64(s.Reset)
	b.Advance(now)
	assert.InDelta(t, b.burst(), b.level, 0.01)
}

func TestBucketChargesOthers(t *testing.T) {
	b, now := minute()
	b.Take(1)
	b.Observe(now, 100, 60, 30*time.Second) // 39 are others'
	assert.InDelta(t, 10-1-39, b.level, 0.01)
	b.Observe(now, 100, 5, 30*time.Second) // and 55 more
	assert.InDelta(t, 10-1-94, b.level, 0.01)
	b.Observe(now, 100, 60, 30*time.Second) // a late answer
	assert.InDelta(t, 10-1-94, b.level, 0.01)
	b.Advance(now + 30*second) // in the next window of the API nobody is charged for that
	assert.InDelta(t, 0, b.level, 0.01)
}

func TestBucketDoesNotChargeItsOwnCalls(t *testing.T) {
	b, now := minute()
	b.Take(6) // in flight together, and answered in another order
	for _, remaining := range []int{99, 94, 96, 95, 97, 98} {
		b.Observe(now, 100, remaining, 30*time.Second)
	}
	assert.InDelta(t, 4, b.level, 0.01)
}

func TestBucketKeepsItsEndWhenOneAnswerIsLate(t *testing.T) {
	b, now := minute()
	b.Take(1)
	b.Observe(now, 100, 99, 30*time.Second)
	end := b.end
	now += 5 * second
	b.Observe(now, 100, 99, 30*time.Second) // underway for 5 seconds
	assert.Equal(t, end, b.end)
	b.Observe(now, 100, 98, 26*time.Second) // reset is rounded up
	assert.Equal(t, end, b.end)
	b.Observe(now, 100, 97, 24*time.Second)
	assert.Equal(t, end-second, b.end)
	for range believed {
		b.Observe(now, 100, 96, 50*time.Second)
	}
	assert.Equal(t, now+50*second, b.end)
	assert.Greater(t, b.level, 8.0) // and nobody is charged for it
}

func TestBucketForgetsNothingThatIsOwedAtAHold(t *testing.T) {
	b, now := minute()
	b.Take(10)
	b.Hold(now + 5*second)
	b.Advance(now + 5*second)
	assert.InDelta(t, 1, b.level, 0.01)
	// The burst before the hold is still paid back.
	sent := 11
	for at := now + 5*second; at < now+60*second; sent++ {
		b.Advance(at)
		at = b.Reserve(1)
	}
	assert.LessOrEqual(t, sent, 100+1)
}

func TestCountedBucket(t *testing.T) {
	now := time.Date(2027, time.March, 4, 20, 0, 0, 0, time.UTC).UnixNano()
	b := New(300, day, now)
	assert.LessOrEqual(t, b.Due(300), now)
	b.Take(300)
	midnight := now + 4*int64(time.Hour)
	assert.Equal(t, midnight, b.Due(1))
	b.Take(1) // reserved for the next day
	b.Take(300)
	assert.Equal(t, midnight+int64(day), b.Due(1), "the next day is reserved in full")
	b.Take(-300)
	b.Advance(midnight)
	assert.InDelta(t, 299, b.level, 0.01)
	b.Observe(midnight, 300, 250, 5*time.Hour)
	assert.InDelta(t, 250, b.level, 0.01)
	assert.Equal(t, midnight+5*int64(time.Hour), b.end)
	b.resize(100)
	assert.InDelta(t, 50, b.level, 0.01)
	b.resize(10)
	assert.InDelta(t, 0, b.level, 0.01)
}

func TestLongWindowsStayInUse(t *testing.T) {
	now := time.Now().UnixNano()
	for _, test := range []struct {
		window time.Duration
		want   bool
	}{{time.Second, false}, {time.Minute, false}, {10 * time.Minute, true}, {day, true}} {
		b := New(100, test.window, now)
		b.Take(1)
		assert.Equal(t, test.want, b.InUse(now+5*int64(time.Minute), 2*time.Minute), test.window)
	}
}
