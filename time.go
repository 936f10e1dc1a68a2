package pinterest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Time is a timestamp of the API. Its formats differ by endpoint: RFC 3339, the
// same without a zone (which means UTC), with or without fractions, Unix seconds
// and Unix milliseconds. It is always UTC. The zero Time means null, "" or an
// unknown format.
type Time struct{ time.Time }

// IsZero reports whether there is no time, for omitzero.
func (t Time) IsZero() bool { return t.Time.IsZero() }

// MarshalJSON writes RFC 3339, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().AppendFormat([]byte{'"'}, time.RFC3339Nano+`"`), nil
}

// UnmarshalJSON reads any of the API's formats. Other text becomes the zero Time,
// because one strange timestamp must not fail a whole answer.
func (t *Time) UnmarshalJSON(data []byte) error {
	*t = Time{}
	if len(data) > 1 && data[0] == '"' {
		if parsed, err := ParseTime(string(bytes.Trim(data, `"`))); err == nil {
			*t = Time{parsed}
		}
		return nil
	}
	if n, err := strconv.ParseFloat(string(data), 64); err == nil {
		*t = Time{fromUnix(n)}
	}
	return nil
}

// The layouts seen in answers, with and without a zone. time.Parse accepts a
// fraction after the seconds in each of them.
const (
	layoutZone   = "2006-01-02T15:04:05Z07:00"
	layoutNoZone = "2006-01-02T15:04:05"
	layoutSpace  = "2006-01-02 15:04:05"
	layoutDate   = "2006-01-02"
)

// ParseTime reads a timestamp in any of the API's text formats, as UTC.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range [...]string{layoutNoZone, layoutZone, layoutSpace, layoutDate} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
		return fromUnix(float64(n)), nil
	}
	return time.Time{}, fmt.Errorf("pinterest: not a timestamp: %.40q", s)
}

// fromUnix distinguishes seconds, milliseconds and microseconds by size: in seconds,
// 1e11 is the year 5138.
func fromUnix(n float64) time.Time {
	switch {
	case n <= 0 || n >= 1e17:
		return time.Time{}
	case n >= 1e14:
		return time.UnixMicro(int64(n)).UTC()
	case n >= 1e11:
		return time.UnixMilli(int64(n)).UTC()
	}
	return time.Unix(int64(n), 0).UTC()
}
