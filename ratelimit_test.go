package pinterest

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/pinterest-go/pinterest/internal/redact"
)

func rateHeader(limit, remaining, reset string) http.Header {
	return http.Header{"X-Ratelimit-Limit": {limit}, "X-Ratelimit-Remaining": {remaining}, "X-Ratelimit-Reset": {reset}}
}

func TestParseRateLimit(t *testing.T) {
	safety := RatePolicy{"safety_net_app_id_user_id", 100, time.Second}
	read := RatePolicy{"org_read_app_id_user_id", 1000, time.Minute}
	write := RatePolicy{"org_write_app_id_user_id", 100, time.Minute}
	ads := RatePolicy{"ads_analytics_app_id_user_id", 300, time.Minute}
	report := RatePolicy{"analytics_get_report_app_id", 800, time.Minute}
	const safetyText = `100;w=1;name="safety_net_app_id_user_id"`
	for name, tt := range map[string]struct {
		header http.Header
		want   RateLimit
		ok     bool
	}{
		"captured": {
			rateHeader(`100, `+safetyText+`, 1000;w=60;name="org_read_app_id_user_id"`, "99", "1"),
			RateLimit{100, 99, time.Second, safety, []RatePolicy{safety, read}}, true,
		},
		"equal limits, the second": {
			rateHeader(`100, `+safetyText+`, 100;w=60;name="org_write_app_id_user_id"`, "99", "1"),
			RateLimit{100, 99, time.Second, safety, []RatePolicy{safety, write}}, true,
		},
		"equal limits, the minute": {
			rateHeader(`100, `+safetyText+`, 100;w=60;name="org_write_app_id_user_id"`, "98", "47"),
			RateLimit{100, 98, 47 * time.Second, write, []RatePolicy{safety, write}}, true,
		},
		"three policies": {
			rateHeader(`800, `+safetyText+`, 300;w=60;name="ads_analytics_app_id_user_id", 800;w=60;name="analytics_get_report_app_id"`, "3", "9"),
			RateLimit{800, 3, 9 * time.Second, report, []RatePolicy{safety, ads, report}}, true,
		},
		"plain":               {rateHeader("100", "7", "67150"), RateLimit{Limit: 100, Remaining: 7, Reset: 67150 * time.Second}, true},
		"no leading number":   {rateHeader(safetyText, "1", "1"), RateLimit{0, 1, time.Second, RatePolicy{}, []RatePolicy{safety}}, true},
		"absent":              {http.Header{}, RateLimit{}, false},
		"garbage":             {rateHeader("many; w=x", "few", "soon"), RateLimit{}, false},
		"garbage in the list": {rateHeader(`100, ;;, 5;w=, `+safetyText+`, -1;w=1`, "99", "1"), RateLimit{100, 99, time.Second, safety, []RatePolicy{safety}}, true},
		"huge": {
			rateHeader("99999999999999999999", "99999999999999999999", "99999999999999999999"),
			RateLimit{Limit: math.MaxInt32, Remaining: math.MaxInt32, Reset: maxDuration}, true,
		},
		"negative": {rateHeader("-5", "-1", "-9"), RateLimit{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := new(rateParser).parse(tt.header, redact.New())
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 7, 9, 9, 0, 0, 0, time.UTC)
	const date = "Thu, 09 Jul 2026 12:00:00 GMT" // the API's clock is three hours ahead of ours
	for value, want := range map[string]time.Duration{
		"":                                    0,
		"0":                                   0,
		"30":                                  30 * time.Second,
		" 30 ":                                30 * time.Second,
		"9999999999":                          maxDuration,
		"99999999999999999999999":             maxDuration,
		"-5":                                  0,
		"1.5":                                 0,
		"soon":                                0,
		"Thu, 09 Jul 2026 12:00:40 GMT":       40 * time.Second,
		"Thursday, 09-Jul-26 12:00:40 GMT":    40 * time.Second,
		"Thu Jul  9 12:00:40 2026":            40 * time.Second,
		"Thu, 09 Jul 2026 11:59:00 GMT":       0,
		"Thu, 09 Jul 2026 12:00:40 PARIS ...": 0,
	} {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		assert.Equal(t, want, retryAfter(h, now), value)
	}
	h := http.Header{"Retry-After": {"Thu, 09 Jul 2026 09:00:40 GMT"}}
	assert.Equal(t, 40*time.Second, retryAfter(h, now), "without a Date the local clock is used")
}

func FuzzParseRateLimit(f *testing.F) {
	f.Add(`100, 100;w=1;name="safety_net", 1000;w=60;name="org_read"`, "99", "1")
	f.Add("100", "-1", "99999999999999999999")
	f.Add(`;w=,,"`, "", "x")
	f.Fuzz(func(t *testing.T, limit, remaining, reset string) {
		r, ok := new(rateParser).parse(rateHeader(limit, remaining, reset), redact.New())
		if !ok {
			assert.Equal(t, RateLimit{}, r, "what cannot be parsed says nothing")
		}
		if r.Limit < 0 || r.Remaining < -1 || r.Reset < 0 || r.Policy.Window < 0 {
			t.Errorf("negative: %+v", r)
		}
		for _, p := range r.Policies {
			if p.Limit < 0 || p.Window <= 0 {
				t.Errorf("not a policy: %+v", p)
			}
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("30", "")
	f.Add("Thu, 09 Jul 2026 12:00:40 GMT", "Thu, 09 Jul 2026 12:00:00 GMT")
	f.Add("9999999999", "x")
	f.Fuzz(func(t *testing.T, value, date string) {
		h := http.Header{"Retry-After": {value}, "Date": {date}}
		if wait := retryAfter(h, time.Unix(0, 0)); wait < 0 {
			t.Errorf("a negative wait: %v", wait)
		}
	})
}
