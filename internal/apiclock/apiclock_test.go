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
	assert.Zero(t, o.Offset())
}

func TestObserve(t *testing.T) {
	t.Parallel()
	type answer struct {
		after, took, ahead time.Duration // ahead: the API's Date minus the time it was received
	}
	for name, tt := range map[string]struct {
		answers []answer
		want    time.Duration
	}{
		"ahead":                       {[]answer{{0, time.Second, time.Hour}}, time.Hour},
		"behind":                      {[]answer{{0, time.Second, -time.Hour}}, -time.Hour},
		"equal":                       {[]answer{{0, time.Second, 0}}, 0},
		"a quicker one":               {[]answer{{0, 2 * time.Second, 5 * time.Second}, {time.Second, time.Second, 6 * time.Second}}, 6 * time.Second},
		"a slower one":                {[]answer{{0, time.Second, 6 * time.Second}, {time.Second, 2 * time.Second, 5 * time.Second}}, 6 * time.Second},
		"one as quick":                {[]answer{{0, time.Second, 6 * time.Second}, {time.Second, time.Second, 5 * time.Second}}, 6 * time.Second},
		"a slower one just before":    {[]answer{{0, time.Second, 6 * time.Second}, {maxAge - time.Second, 2 * time.Second, 5 * time.Second}}, 6 * time.Second},
		"a slower one after too long": {[]answer{{0, time.Second, 6 * time.Second}, {maxAge, 2 * time.Second, 5 * time.Second}}, 5 * time.Second},
		"our clock was set back":      {[]answer{{0, time.Second, 0}, {-time.Hour, 2 * time.Second, time.Hour}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o Offset
			for _, a := range tt.answers {
				received := now.Add(a.after)
				o.Observe(date(received.Add(a.ahead)), received.Add(-a.took), received)
			}
			assert.True(t, o.Known())
			assert.Equal(t, tt.want, o.Offset())
		})
	}
}

// What is known stays when an answer comes without a Date.
func TestNoDateForgetsNothing(t *testing.T) {
	t.Parallel()
	var o Offset
	o.Observe(date(now.Add(time.Hour)), now, now)
	o.Observe(nil, now.Add(2*maxAge), now.Add(2*maxAge))
	assert.True(t, o.Known())
	assert.Equal(t, time.Hour, o.Offset())
}

// Whatever the answers, the offset is never more than the API's clock is ahead,
// and less by no more than the quickest of them took and the part of a second
// that a Date does not tell.
func TestPropertyNeverTooMuch(t *testing.T) {
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
		if got := o.Offset(); got > ahead || got < ahead-quickest-time.Second {
			t.Fatalf("an offset of %v was learned of a clock that is ahead by %v; the quickest answer took %v", got, ahead, quickest)
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
		switch {
		case err != nil && (o.Known() || o.Offset() != 0):
			t.Errorf("an offset of %v was learned from %q", o.Offset(), text)
		case err == nil && (!o.Known() || o.Offset() != date.Sub(now.Add(time.Second))):
			t.Errorf("an offset of %v was learned from %q", o.Offset(), text)
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
				assert.Equal(t, time.Minute, o.Offset())
			}
		})
	}
	wg.Wait()
}
