package apiclock

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 7, 9, 9, 33, 55, 0, time.UTC)

// date is the headers of an answer that the API made at a time by its own clock.
func date(at time.Time) http.Header {
	return http.Header{"Date": {at.UTC().Format(http.TimeFormat)}}
}

func TestNothingKnown(t *testing.T) {
	t.Parallel()
	var o Offset
	assert.False(t, o.Known())
	lower, upper := o.Bounds()
	assert.Zero(t, lower)
	assert.Zero(t, upper)
}

func TestObserve(t *testing.T) {
	t.Parallel()
	const s = time.Second
	type answer struct {
		after, took, ahead time.Duration // ahead: the API's Date minus the time it was received
	}
	for name, tt := range map[string]struct {
		answers      []answer
		lower, upper time.Duration
	}{
		"ahead":                    {[]answer{{0, s, time.Hour}}, time.Hour, time.Hour + 2*s},
		"behind":                   {[]answer{{0, s, -time.Hour}}, -time.Hour, -time.Hour + 2*s},
		"at once":                  {[]answer{{0, 0, 0}}, 0, s},
		"a quicker one is closer":  {[]answer{{0, 2 * s, 5 * s}, {s, s, 6 * s}}, 6 * s, 8 * s},
		"a slower one says less":   {[]answer{{0, s, 6 * s}, {s, 4 * s, 4 * s}}, 6 * s, 8 * s},
		"one that disagrees":       {[]answer{{0, 0, 0}, {s, 0, 60 * s}}, 0, 61 * s},
		"one of many disagrees":    {[]answer{{0, 0, 0}, {s, 0, 60 * s}, {2 * s, 0, 0}, {3 * s, 0, 0}}, 0, 61 * s},
		"it is forgotten in time":  {[]answer{{0, 0, 60 * s}, {s, 0, 0}, {maxAge, 0, 0}}, 0, s},
		"our clock was set ahead":  {[]answer{{0, 0, 0}, {30 * s, 0, -30 * s}}, -30 * s, s},
		"our clock was set back":   {[]answer{{0, 0, 0}, {-30 * s, 0, 30 * s}}, 0, 31 * s},
		"set ahead under way":      {[]answer{{0, 0, 0}, {30 * s, 0, -30 * s}, {30 * s, 30 * s, -30 * s}}, -30 * s, s},
		"set back under way":       {[]answer{{-30 * s, -30 * s, 30 * s}}, 0, 31 * s},
		"our clock was set by far": {[]answer{{0, 0, 0}, {-time.Hour, 0, time.Hour}}, time.Hour, time.Hour + s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o Offset
			for _, a := range tt.answers {
				received := now.Add(a.after)
				o.Observe(date(received.Add(a.ahead)), received.Add(-a.took), received)
			}
			assert.True(t, o.Known())
			lower, upper := o.Bounds()
			assert.Equal(t, tt.lower, lower, "lower")
			assert.Equal(t, tt.upper, upper, "upper")
		})
	}
}

// However many answers disagree, all of them are within the bounds, and few are kept.
func TestManyThatDisagree(t *testing.T) {
	t.Parallel()
	var o Offset
	for i := range 100 {
		at := now.Add(time.Duration(i) * time.Second)
		o.Observe(date(at.Add(time.Duration(i)*time.Minute)), at, at)
		assert.LessOrEqual(t, len(o.ranges), maxRanges)
	}
	lower, upper := o.Bounds()
	assert.Zero(t, lower)
	assert.Equal(t, 99*time.Minute+time.Second, upper)
}

// What is known stays when an answer comes without a Date.
func TestNoDateForgetsNothing(t *testing.T) {
	t.Parallel()
	var o Offset
	o.Observe(date(now.Add(time.Hour)), now, now)
	o.Observe(nil, now.Add(2*maxAge), now.Add(2*maxAge))
	assert.True(t, o.Known())
	lower, _ := o.Bounds()
	assert.Equal(t, time.Hour, lower)
}

// Whatever the answers of one clock, its offset is within the bounds, and these are
// apart by no more than the quickest answer took and the part of a second that a
// Date does not tell.
func TestPropertyWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		duration := func(name string, from, to time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(int64(from), int64(to)).Draw(t, name))
		}
		ahead := duration("the API's clock is ahead by", -48*time.Hour, 48*time.Hour)
		var o Offset
		quickest := time.Duration(1 << 62)
		for range rapid.IntRange(1, 5).Draw(t, "answers") {
			took := duration("answer took", 0, time.Second)
			stamped := duration("stamped after", 0, took)
			sent := now.Add(duration("sent", 0, maxAge/2))
			o.Observe(date(sent.Add(stamped+ahead)), sent, sent.Add(took))
			quickest = min(quickest, took)
		}
		if lower, upper := o.Bounds(); lower > ahead || upper < ahead || upper-lower > quickest+time.Second {
			t.Fatalf("from %v to %v was learned of a clock that is ahead by %v; the quickest answer took %v", lower, upper, ahead, quickest)
		}
	})
}

// A Date that is missing or cannot be read teaches nothing.
func FuzzObserve(f *testing.F) {
	for _, text := range []string{"", "now", "0", "2026-07-09T09:33:55Z", "Thu, 09 Jul 2026 09:33:55 GMT"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var o Offset
		o.Observe(http.Header{"Date": {text}}, now, now.Add(time.Second))
		date, err := http.ParseTime(text)
		lower, _ := o.Bounds()
		switch {
		case err != nil && (o.Known() || lower != 0):
			t.Errorf("an offset of %v was learned from %q", lower, text)
		case err == nil && (!o.Known() || lower != date.Sub(now.Add(time.Second))):
			t.Errorf("an offset of %v was learned from %q", lower, text)
		}
	})
}

func TestOffsetIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var o Offset
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				at := now.Add(time.Duration(g*100+i) * time.Second)
				o.Observe(date(at.Add(time.Minute)), at, at)
				assert.True(t, o.Known())
				lower, _ := o.Bounds()
				assert.LessOrEqual(t, lower, time.Minute)
			}
		})
	}
	wg.Wait()
}
