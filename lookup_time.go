package pinterest

import (
	"time"

	"github.com/pinterest-go/pinterest/internal/apiclock"
)

// timeframe is the period in which a create can have taken effect.
type timeframe struct {
	sent   time.Time // the first attempt, by the client's clock
	last   time.Time // the last one, by the client's clock; zero: not known
	offset *apiclock.Offset
	fixed  time.Time     // the first attempt by the API's clock, if that was known
	late   time.Time     // the end, on the clock of fixed or else of sent; zero if there is none
	now    time.Time     // when the list is read, by the client's clock
	loose  time.Duration // by how much sent may be wrong, since its clock may have been set
}

const (
	// clockResolution is how long before the first attempt a creation time may be and
	// still belong to it. The API's creation times are whole seconds, and so is the
	// Date header from which we learn its clock.
	clockResolution = 2 * time.Second
	// nearStart is how long before the time frame a match is still too close to be
	// taken for something older.
	nearStart = 15 * time.Second
	// longestClockStep is by how much the client's clock may have been set since an
	// intent was stored.
	longestClockStep = 10 * time.Minute
	// longestZoneError is by how much a time without its zone can be wrong, with an hour
	// to spare.
	longestZoneError = 27 * time.Hour
)

// since returns the earliest creation time, on the API's clock, that the result
// can have. It is exact only after the first answer of the API, so call it after
// reading, not before.
func (f timeframe) since() time.Time {
	since := f.fixed
	if since.IsZero() {
		lower, _ := f.offset.Bounds()
		since = f.sent.Add(lower - clockResolution)
	}
	return since.Truncate(time.Second)
}

// contains reports whether the create can have made something with this creation
// time, on the API's clock.
func (f timeframe) contains(created time.Time) bool {
	late := f.late
	if !late.IsZero() && f.fixed.IsZero() {
		_, upper := f.offset.Bounds()
		late = late.Add(upper)
	}
	return !f.after(created) && (late.IsZero() || !created.After(late))
}

// after reports whether the time frame begins after this time.
func (f timeframe) after(created time.Time) bool { return created.Before(f.since()) }

// future reports whether a creation time has not come yet, so that it is wrong.
func (f timeframe) future(created time.Time) bool {
	_, upper := f.offset.Bounds()
	return !f.now.IsZero() && created.After(f.now.Add(upper+longestCommit))
}

// mayContain reports whether a creation time outside of the time frame may stand for
// one in it: since it is only just before it, or since the clocks or the form of the
// time cannot be relied on.
func (f timeframe) mayContain(created time.Time, times trust) bool {
	since := f.since()
	early := since.Sub(created)
	switch {
	case early > 0 && early <= nearStart:
		return true
	case f.future(created):
		return true
	case f.loose > 0 && early <= f.loose && early >= -f.loose, times == timesWrong && early <= longestZoneError && early >= -longestZoneError:
		return true
	case times != timesUnknown || early <= 0:
		return false
	}
	// Nothing is known of the API's times yet. A date alone, and a local time without
	// a zone, both look like an earlier time.
	if h, m, s := created.Clock(); h+m+s == 0 && early < 48*time.Hour {
		return true
	}
	const zones = 15 * time.Minute
	_, upper := f.offset.Bounds()
	length := clockResolution
	end := f.late
	if end.IsZero() {
		end = f.last
	}
	if f.late.IsZero() || f.fixed.IsZero() { // by the client's clock
		end = end.Add(upper)
	}
	length += end.Sub(since)
	return early <= 14*time.Hour && (length >= zones || zones-early%zones <= length)
}
