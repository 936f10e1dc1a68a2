// Package apiclock learns how far the API's clock is from ours.
package apiclock

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxAge is how long an answer that disagrees with others counts: clocks are set,
// and one wrong Date must not be believed for ever.
const maxAge = 10 * time.Minute

// Offset is how far the API's clock is from ours, as the Date headers of its
// answers tell. Each answer gives a range in which the offset lies. Answers that
// agree make the range narrower; answers that do not make it wider, since one of
// the clocks was set, or one Date was wrong, and nobody can tell which. The zero
// value knows nothing yet. It is safe for concurrent use.
type Offset struct {
	mu     sync.Mutex
	ranges []span // that disagree with one another; the latest last
}

// span is a range of offsets in which answers agreed.
type span struct {
	lower, upper time.Duration
	at           time.Time // of the last answer that agreed
}

func (s span) agrees(other span) bool { return s.lower <= other.upper && other.lower <= s.upper }

// maxRanges bounds how many disagreeing ranges are kept.
const maxRanges = 8

// Observe learns from the headers of one answer, sent and received at these
// times by our clock. A Date that is missing or cannot be read teaches nothing.
func (o *Offset) Observe(h http.Header, sent, received time.Time) {
	values := h["Date"]
	if len(values) == 0 {
		return
	}
	date, err := http.ParseTime(values[0])
	if err != nil {
		return
	}
	// The answer was made between sent and received, and its Date has no fraction.
	s := span{date.Sub(received), date.Add(time.Second).Sub(sent), received}
	if received.Before(sent) { // our clock was set back in between
		s.lower, s.upper = date.Sub(sent), date.Add(time.Second).Sub(received)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ranges = slices.DeleteFunc(o.ranges, func(old span) bool {
		age := received.Sub(old.at)
		return age >= maxAge || age <= -maxAge
	})
	agreed := s
	for _, old := range o.ranges {
		if old.agrees(s) {
			agreed.lower, agreed.upper = max(agreed.lower, old.lower), min(agreed.upper, old.upper)
		}
	}
	if agreed.lower > agreed.upper {
		return // it agrees with ranges that disagree: it was slow, or under way when a clock was set
	}
	o.ranges = slices.DeleteFunc(o.ranges, s.agrees)
	s = agreed
	if o.ranges = append(o.ranges, s); len(o.ranges) > maxRanges {
		first, second := o.ranges[0], &o.ranges[1]
		second.lower, second.upper = min(first.lower, second.lower), max(first.upper, second.upper)
		o.ranges = o.ranges[1:]
	}
}

// Known reports whether anything was learned.
func (o *Offset) Known() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.ranges) > 0
}

// Bounds returns between what and what the offset lies: what to add to our time for
// the API's at the least, and at the most. Both are 0 while nothing is known.
func (o *Offset) Bounds() (lower, upper time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, s := range o.ranges {
		if i == 0 {
			lower, upper = s.lower, s.upper
		}
		lower, upper = min(lower, s.lower), max(upper, s.upper)
	}
	return lower, upper
}
