package pinteresttest_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// rate is what the rate headers of an answer say.
type rate struct{ limit, remaining, reset string }

func rateOf(a answer) rate {
	h := a.header
	return rate{h.Get("X-Ratelimit-Limit"), h.Get("X-Ratelimit-Remaining"), h.Get("X-Ratelimit-Reset")}
}

func TestRateHeadersByteForByte(t *testing.T) {
	const (
		reads  = `100, 100;w=1;name="safety_net_app_id_user_id", 1000;w=60;name="org_read_app_id_user_id"`
		writes = `100, 100;w=1;name="safety_net_app_id_user_id", 100;w=60;name="org_write_app_id_user_id"`
		none   = `100, 100;w=1;name="safety_net_app_id_user_id"`
	)
	f := setup(t)
	assert.Equal(t, rate{reads, "99", "1"}, rateOf(f.call("GET", "/boards", "")))
	assert.Equal(t, rate{writes, "98", "1"}, rateOf(f.call("POST", "/boards", `{"name": "A"}`)))
	assert.Equal(t, rate{writes, "97", "1"}, rateOf(f.call("POST", "/boards", `{}`)), "errors cost quota")
	assert.Equal(t, rate{none, "96", "1"}, rateOf(f.call("GET", "/nowhere", "")))

	// A second later the minute's window is the nearer to exhaustion: it began
	// with the minute and ends with it. The clock stands at 09:33:56.8.
	f.clock.Advance(time.Second)
	assert.Equal(t, rate{writes, "97", "4"}, rateOf(f.call("POST", "/boards", `{"name": "B"}`)))
	assert.Equal(t, rate{reads, "98", "1"}, rateOf(f.call("GET", "/boards", "")))
}

func TestLeadingPolicy(t *testing.T) {
	f := setup(t)
	assert.Equal(t, "1", f.call("POST", "/boards", "{}").header.Get("X-Ratelimit-Reset"),
		"with 99 left in both windows the safety net leads")

	f = setup(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{
		pinteresttest.SafetyNet: {Limit: 3}, "org_write": {Limit: 2},
	}))
	for range 2 {
		f.call("POST", "/boards", "{}")
	}
	refused := f.call("POST", "/boards", "{}")
	assert.Equal(t, http.StatusTooManyRequests, refused.status)
	assert.Equal(t, "5", refused.header.Get("X-Ratelimit-Reset"), "nothing is left in both, but one of them refuses")
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.HTMLError(502).On("pins/list"))
	for _, a := range []answer{
		f.call("GET", "/boards", ""),
		f.call("POST", "/boards", `{"name": "Gone"}`),
		f.call("GET", "/pins", ""),
		f.call("GET", "/nowhere", ""),
		f.call("PUT", "/boards", `{}`),
		f.callAs("nobody", "GET", "/boards", ""),
	} {
		assert.Regexp(t, `^\d{16}$`, a.header.Get("X-Pinterest-Rid"))
		assert.Regexp(t, `^[0-9a-f]{32}$`, a.header.Get("X-Pinterest-Rid-128bit"))
		assert.NotEmpty(t, a.header.Get("Pinterest-Version"))
		assert.Regexp(t, `^\d+$`, a.header.Get("X-Envoy-Upstream-Service-Time"))
		assert.NotEmpty(t, a.header.Get("X-Cdn"))
		assert.NotEmpty(t, a.header.Get("X-Ratelimit-Limit"))
		assert.Equal(t, "Thu, 09 Jul 2026 09:33:55 GMT", a.header.Get("Date"))
	}
}

func TestQuotaOfTheMinute(t *testing.T) {
	f := setup(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_write": {Limit: 2}}))
	for i := range 2 {
		require.Equal(t, http.StatusCreated, f.call("POST", "/pins", f.pinBody()).status, i)
	}
	refused := f.call("POST", "/pins", f.pinBody())
	assertError(t, refused, http.StatusTooManyRequests, 8, "exceeded your rate limit")
	assert.Equal(t, rate{
		`2, 100;w=1;name="safety_net_app_id_user_id", 2;w=60;name="org_write_app_id_user_id"`, "0", "5",
	}, rateOf(refused))
	assert.Empty(t, refused.header.Get("Retry-After"))
	assert.Equal(t, "true", refused.header.Get("X-Envoy-Ratelimited"))
	assert.Len(t, f.Pins(f.board.ID), 2, "a refused request is not executed")

	assert.Equal(t, http.StatusOK, f.call("GET", "/boards", "").status, "another category")
	bob := f.AddAccount("bob")
	assert.Equal(t, http.StatusCreated, f.callAs(bob.AccessToken, "POST", "/boards", `{"name": "x"}`).status, "another account")
	again := f.AddAccount("alice")
	assert.Equal(t, http.StatusTooManyRequests, f.callAs(again.AccessToken, "POST", "/pins", f.pinBody()).status, "another token of the account")

	// The window's edge: 09:34:00 exactly.
	edge := start.Truncate(time.Minute).Add(time.Minute)
	f.clock.Advance(edge.Sub(f.clock.Now()) - 1)
	assert.Equal(t, http.StatusTooManyRequests, f.call("POST", "/pins", f.pinBody()).status)
	f.clock.Advance(1)
	fresh := f.call("POST", "/pins", f.pinBody())
	assert.Equal(t, http.StatusCreated, fresh.status)
	assert.Equal(t, "1", fresh.header.Get("X-Ratelimit-Remaining"))
	assert.Equal(t, "60", fresh.header.Get("X-Ratelimit-Reset"))
}

func TestSafetyNet(t *testing.T) {
	f := setup(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{pinteresttest.SafetyNet: {Limit: 3}}))
	for range 3 {
		require.Equal(t, http.StatusOK, f.call("GET", "/boards", "").status)
	}
	refused := f.call("GET", "/nowhere", "")
	assertError(t, refused, http.StatusTooManyRequests, 8, "")
	assert.Equal(t, rate{`3, 3;w=1;name="safety_net_app_id_user_id"`, "0", "1"}, rateOf(refused))
	f.clock.Advance(time.Second)
	assert.Equal(t, http.StatusOK, f.call("GET", "/boards", "").status)
}

func TestStandardQuotas(t *testing.T) {
	tests := []struct {
		name, method, path, body string
		perMinute                int
	}{
		{"org_write", "POST", "/boards", "{}", 100},
		{"org_read", "GET", "/boards", "", 1000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := setup(t)
			f.clock.Advance(5 * time.Second) // to the begin of a minute
			for sent := range test.perMinute {
				if sent > 0 && sent%100 == 0 {
					f.clock.Advance(time.Second)
				}
				require.NotEqual(t, http.StatusTooManyRequests, f.call(test.method, test.path, test.body).status, sent)
			}
			f.clock.Advance(time.Second)
			assert.Equal(t, http.StatusTooManyRequests, f.call(test.method, test.path, test.body).status)
		})
	}
}

func TestQuotasLifted(t *testing.T) {
	t.Run("all", func(t *testing.T) {
		f := setup(t, pinteresttest.WithoutQuotas())
		for range 150 {
			a := f.call("GET", "/boards", "")
			require.Equal(t, http.StatusOK, a.status)
			require.Equal(t, rate{}, rateOf(a))
		}
	})
	t.Run("one", func(t *testing.T) {
		f := setup(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{pinteresttest.SafetyNet: {}}))
		assert.Equal(t, rate{`1000, 1000;w=60;name="org_read_app_id_user_id"`, "999", "5"}, rateOf(f.call("GET", "/boards", "")))
		assert.Equal(t, rate{}, rateOf(f.call("GET", "/nowhere", "")))
	})
}

func TestRetryAfter(t *testing.T) {
	f := setup(t, pinteresttest.WithRetryAfter(true),
		pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_read": {Limit: 1, Window: 90 * time.Second}}))
	assert.Empty(t, f.call("GET", "/boards", "").header.Get("Retry-After"))
	refused := f.call("GET", "/boards", "")
	assert.Equal(t, http.StatusTooManyRequests, refused.status)
	left := 90 - start.Unix()%90
	assert.Equal(t, strconv.FormatInt(left, 10), refused.header.Get("Retry-After"))
}

func TestTrialAccess(t *testing.T) {
	f := setup(t, pinteresttest.WithTrialAccess())
	assertError(t, f.call("POST", "/pins", f.pinBody()), http.StatusForbidden, 29, "Apps with Trial access may not create Pins")
	assert.Empty(t, f.Pins(f.board.ID))
	assert.Equal(t, http.StatusCreated, f.call("POST", "/boards", `{"name": "Allowed"}`).status)

	for range 298 {
		require.Equal(t, http.StatusBadRequest, f.call("POST", "/boards", "{}").status)
	}
	bob := f.AddAccount("bob")
	refused := f.callAs(bob.AccessToken, "POST", "/boards", `{"name": "x"}`)
	assertError(t, refused, http.StatusTooManyRequests, 8, "") // the quota is the app's, not the account's
	midnight := start.Truncate(24 * time.Hour).Add(24 * time.Hour)
	untilMidnight := midnight.Unix() - start.Unix()
	assert.Equal(t, rate{
		`300, 1000;w=86400;name="safety_net_app_id", 300;w=86400;name="org_write_app_id"`,
		"0", strconv.FormatInt(untilMidnight, 10),
	}, rateOf(refused))

	assert.Equal(t, http.StatusOK, f.call("GET", "/boards", "").status)
	f.clock.Advance(midnight.Sub(start))
	assert.Equal(t, http.StatusCreated, f.callAs(bob.AccessToken, "POST", "/boards", `{"name": "x"}`).status)
}

func TestAppQuota(t *testing.T) {
	f := setup(t, pinteresttest.WithAppQuota("org_write", "org_write_app_id", pinteresttest.Quota{Limit: 3}),
		pinteresttest.WithAppQuota("ads_analytics", "analytics_get_report_app_id", pinteresttest.Quota{Limit: 800}))
	const list = `100;w=1;name="safety_net_app_id_user_id", 100;w=60;name="org_write_app_id_user_id", 3;w=60;name="org_write_app_id"`
	bob := f.AddAccount("bob")
	assert.Equal(t, rate{"3, " + list, "2", "5"}, rateOf(f.call("POST", "/boards", "{}")), "the nearest to exhaustion leads")
	assert.Equal(t, rate{"3, " + list, "1", "5"}, rateOf(f.callAs(bob.AccessToken, "POST", "/boards", "{}")))
	f.Spend(f.alice, "org_write", 98)
	f.clock.Advance(time.Second)
	assert.Equal(t, 429, f.callAs(bob.AccessToken, "POST", "/boards", "{}").status, "what alice spends is bob's as well")
	assert.Equal(t, 200, f.callAs(bob.AccessToken, "GET", "/boards", "").status)
	assert.Equal(t, 101, f.Quota(bob, "org_write_app_id").Used)
	assert.Equal(t, 2, f.Quota(bob, "org_write").Used)
	assert.Equal(t, 800, f.Quota(bob, "analytics_get_report_app_id").Limit)

	t.Run("over all categories", func(t *testing.T) {
		f := setup(t, pinteresttest.WithAppQuota(pinteresttest.SafetyNet, "all_app_id", pinteresttest.Quota{Limit: 2}))
		f.call("GET", "/boards", "")
		f.call("POST", "/boards", "{}")
		refused := f.call("GET", "/nowhere", "")
		assert.Equal(t, 429, refused.status)
		assert.Equal(t, rate{`2, 100;w=1;name="safety_net_app_id_user_id", 2;w=1;name="all_app_id"`, "0", "1"}, rateOf(refused))
	})
	t.Run("alone", func(t *testing.T) {
		f := setup(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{pinteresttest.SafetyNet: {}, "org_read": {}}),
			pinteresttest.WithAppQuota("org_read", "reads", pinteresttest.Quota{Limit: 9}))
		assert.Equal(t, rate{`9, 9;w=60;name="reads"`, "8", "5"}, rateOf(f.call("GET", "/boards", "")))
	})
}

func TestQuotaUsage(t *testing.T) {
	f := setup(t)
	minute := start.Truncate(time.Minute)
	untouched := pinteresttest.QuotaUsage{
		Name: "org_write_app_id_user_id", Limit: 100, Remaining: 100, Begin: minute, Reset: minute.Add(time.Minute),
	}
	assert.Equal(t, untouched, f.Quota(f.alice, "org_write"))
	f.call("POST", "/boards", "{}")
	f.Spend(f.alice, "org_write", 4)
	used := f.Quota(f.alice, "org_write")
	assert.Equal(t, []int{5, 95}, []int{used.Used, used.Remaining})
	assert.Equal(t, 5, f.Quota(f.alice, pinteresttest.SafetyNet).Used)
	assert.Zero(t, f.Quota(f.alice, "org_read").Used)
	assert.Zero(t, f.Quota(f.AddAccount("bob"), "org_write").Used)
	assert.Equal(t, pinteresttest.QuotaUsage{}, f.Quota(f.alice, "no_such_category"))
	assert.Equal(t, 1, f.Count(""), "what is spent is not in the request log")

	f.clock.Advance(time.Minute)
	assert.Zero(t, f.Quota(f.alice, "org_write").Used, "another window")
	assert.Equal(t, minute.Add(2*time.Minute), f.Quota(f.alice, "org_write").Reset)

	f.Spend(f.alice, pinteresttest.SafetyNet, 100)
	assert.Equal(t, 429, f.call("GET", "/boards", "").status)
	assert.Equal(t, 101, f.Quota(f.alice, pinteresttest.SafetyNet).Used, "refused ones count")
	assert.Zero(t, f.Quota(f.alice, pinteresttest.SafetyNet).Remaining)
}

func TestCountThrottled(t *testing.T) {
	f := setup(t, pinteresttest.WithoutRequestLog(),
		pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_write": {Limit: 1}}))
	bob := f.AddAccount("bob")
	f.Inject(pinteresttest.Throttled(0).On("pins/list"))
	f.call("GET", "/pins", "")
	for range 3 {
		f.call("POST", "/boards", "{}")
	}
	for range 2 {
		f.callAs(bob.AccessToken, "POST", "/boards", "{}")
	}
	assert.Equal(t, []int{2, 1, 3}, []int{f.CountThrottled(f.alice), f.CountThrottled(bob), f.CountThrottled(pinteresttest.Account{})})
	f.ResetRequests()
	assert.Zero(t, f.CountThrottled(pinteresttest.Account{}))
}

func TestRateHeaderForms(t *testing.T) {
	plain := setup(t, pinteresttest.WithRateHeaders(pinteresttest.PlainRateHeaders))
	assert.Equal(t, rate{"100", "99", "1"}, rateOf(plain.call("GET", "/boards", "")))

	none := setup(t, pinteresttest.WithRateHeaders(pinteresttest.NoRateHeaders), pinteresttest.WithRetryAfter(true),
		pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_read": {Limit: 1}}))
	assert.Equal(t, rate{}, rateOf(none.call("GET", "/boards", "")))
	refused := none.call("GET", "/boards", "")
	assert.Equal(t, 429, refused.status, "the quotas hold all the same")
	assert.Equal(t, "5", refused.header.Get("Retry-After"))

	garbled := setup(t, pinteresttest.WithRateHeaders(pinteresttest.GarbledRateHeaders))
	seen := map[rate]bool{}
	for range 10 {
		seen[rateOf(garbled.call("GET", "/boards", ""))] = true
	}
	assert.Greater(t, len(seen), 5)

	f := setup(t)
	f.Inject(pinteresttest.Fault{Header: http.Header{"X-Ratelimit-Limit": {"7"}, "X-Ratelimit-Reset": nil}})
	assert.Equal(t, rate{"7", "99", ""}, rateOf(f.call("GET", "/boards", "")), "of one answer")
}
