package pinterest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestTimeReadsEveryFormat(t *testing.T) {
	whole := time.Date(2026, 7, 9, 9, 33, 55, 0, time.UTC)
	for text, want := range map[string]time.Time{
		`"2026-07-09T09:33:55"`:        whole,
		`"2026-07-09T09:33:55.801000"`: whole.Add(801 * time.Millisecond),
		`"2026-07-09T09:33:55Z"`:       whole,
		`"2026-07-09T11:33:55+02:00"`:  whole,
		`"2026-07-09T09:33:55.5Z"`:     whole.Add(500 * time.Millisecond),
		`"2026-07-09 09:33:55"`:        whole,
		`"2026-07-09"`:                 whole.Truncate(24 * time.Hour),
		`1783589635`:                   whole,
		`1783589635000`:                whole,
		`1783589635000000`:             whole,
		`"1783589635"`:                 whole,
		`null`:                         {},
		`""`:                           {},
		`"yesterday"`:                  {},
		`0`:                            {},
		`-5`:                           {},
		`1e300`:                        {},
		`true`:                         {},
		`{"a":1}`:                      {},
	} {
		var around struct {
			At    pinterest.Time `json:"at"`
			After string         `json:"after"`
		}
		require.NoError(t, json.Unmarshal([]byte(`{"at":`+text+`,"after":"x"}`), &around), text)
		assert.True(t, want.Equal(around.At.Time), "%s is %v", text, around.At)
		assert.Equal(t, time.UTC, around.At.Location(), text)
		assert.Equal(t, "x", around.After, "a strange time does not cost what follows it")
	}
}

func TestTimeRoundTrip(t *testing.T) {
	for _, want := range []pinterest.Time{
		{}, {Time: time.Date(2026, 7, 9, 9, 33, 55, 123456000, time.UTC)},
		{Time: time.Date(2026, 7, 9, 9, 33, 55, 0, time.FixedZone("", 7200))},
	} {
		data, err := json.Marshal(want)
		require.NoError(t, err)
		var got pinterest.Time
		require.NoError(t, json.Unmarshal(data, &got))
		assert.True(t, want.Equal(got.Time), string(data))
	}
}

func FuzzTime(f *testing.F) {
	f.Add(`"2026-07-09T09:33:55"`)
	f.Add(`1783589635000`)
	f.Add(`"x`)
	f.Fuzz(func(t *testing.T, text string) {
		var got pinterest.Time
		if err := got.UnmarshalJSON([]byte(text)); err != nil {
			t.Errorf("a timestamp must not fail an answer: %v", err)
		}
		if got.IsZero() || got.Year() < 1 || got.Year() > 9999 {
			return
		}
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var again pinterest.Time
		if err := json.Unmarshal(data, &again); err != nil || !again.Equal(got.Time) {
			t.Errorf("%s became %v, not %v", data, again, got)
		}
	})
}
