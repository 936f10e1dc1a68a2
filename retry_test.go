package pinterest_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

const structuredLimit = `100, 100;w=1;name="safety_net_app_id_user_id", 1000;w=60;name="org_read_app_id_user_id"`

func TestWaitThatTheAPIAsksForIsKept(t *testing.T) {
	t.Parallel()
	const date = "Thu, 09 Jul 2026 09:33:55 GMT"
	own := throttleWaits[0]
	tests := []struct {
		name  string
		reply reply
		want  time.Duration
	}{
		{"Retry-After in seconds", bare(429).with("Retry-After", "7"), 7 * time.Second},
		{"Retry-After with spaces", bare(429).with("Retry-After", " 7 "), 7 * time.Second},
		{"Retry-After shorter than our own wait", bare(429).with("Retry-After", "1"), time.Second},
		{"Retry-After at the cap", bare(429).with("Retry-After", "60"), time.Minute},
		{"Retry-After as a date", bare(429).with("Date", date, "Retry-After", "Thu, 09 Jul 2026 09:34:04 GMT"), 9 * time.Second},
		{"Retry-After as a date in RFC 850", bare(429).with("Date", date, "Retry-After", "Thursday, 09-Jul-26 09:34:04 GMT"), 9 * time.Second},
		{"Retry-After as a date in the past", bare(429).with("Date", date, "Retry-After", "Thu, 09 Jul 2026 09:33:00 GMT"), own},
		{"Retry-After negative", bare(429).with("Retry-After", "-5"), own},
		{"Retry-After zero", bare(429).with("Retry-After", "0"), own},
		{"Retry-After with a fraction", bare(429).with("Retry-After", "1.5"), own},
		{"Retry-After garbage", bare(429).with("Retry-After", "soon"), own},
		{"Retry-After empty", bare(429).with("Retry-After", ""), own},
		{"Retry-After on a 503", bare(503).with("Retry-After", "3"), 3 * time.Second},
		{"Retry-After goes before the reset", bare(429).with("Retry-After", "7", "X-Ratelimit-Reset", "30"), 7 * time.Second},
		{"reset beside a plain limit", bare(429).with("X-Ratelimit-Limit", "100", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", "17"), 17 * time.Second},
		{"reset beside a structured limit", bare(429).with("X-Ratelimit-Limit", structuredLimit, "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", "12"), 12 * time.Second},
		{"reset alone", bare(429).with("X-Ratelimit-Reset", "12"), 12 * time.Second},
		{"reset zero", bare(429).with("X-Ratelimit-Reset", "0"), own},
		{"reset negative", bare(429).with("X-Ratelimit-Reset", "-3"), own},
		{"reset garbage", bare(429).with("X-Ratelimit-Limit", "many", "X-Ratelimit-Reset", "later"), own},
		{"reset on a 500 is not a wait", bare(500).with("X-Ratelimit-Reset", "30"), serverWaits[0]},
		{"reset goes before the body", answer(429, `{"code":8,"message":"slow","retry_after":4}`).with("X-Ratelimit-Reset", "6"), 6 * time.Second},
		{"retry_after in the body", answer(429, `{"code":8,"message":"slow","retry_after":4}`), 4 * time.Second},
		{"retry_after in the body as text", answer(429, `{"code":8,"details":{"retry_after":"4"}}`), 4 * time.Second},
		{"retry_after in the body negative", answer(429, `{"code":8,"retry_after":-4}`), own},
		{"the words of the analytics endpoints", fault(400, 1, "Too many. Retry after 11 seconds"), 11 * time.Second},
		{"the same words on a 429", fault(429, 8, "Too many. Retry after 11 seconds"), 11 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply, okPin())
			s.clock.advance(-5000 * time.Hour) // a local clock that is wrong must not matter
			require.NoError(t, get(t.Context(), newClient(t, s)))
			assertSlept(t, s, []time.Duration{tt.want})
		})
	}
}

func TestWaitOverTheCapParksAtOnce(t *testing.T) {
	t.Parallel()
	const huge = 100 * 365 * 24 * time.Hour
	tests := []struct {
		name  string
		reply reply
		least time.Duration
	}{
		{"just over", bare(429).with("Retry-After", "61"), 61 * time.Second},
		{"to the daily reset", bare(429).with("X-Ratelimit-Limit", "1000", "X-Ratelimit-Reset", "67150"), 67150 * time.Second},
		{"more seconds than a Duration holds", bare(429).with("Retry-After", "9999999999"), huge},
		{"more digits than an int64 holds", bare(429).with("Retry-After", "99999999999999999999999"), huge},
		{"a reset beyond all bounds", bare(429).with("X-Ratelimit-Reset", "9999999999"), huge},
		{"a reset of more digits", bare(429).with("X-Ratelimit-Reset", "99999999999999999999999"), huge},
		{"a body beyond all bounds", answer(429, `{"retry_after":9999999999}`), huge},
		{"words beyond all bounds", fault(400, 1, "Retry after 99999999999999999999999 seconds"), huge},
		{"a date far off", bare(429).with("Date", "Thu, 09 Jul 2026 09:33:55 GMT", "Retry-After", "Fri, 09 Jul 2027 09:33:55 GMT"), 364 * 24 * time.Hour},
		{"a 503", bare(503).with("Retry-After", "3600"), time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply)
			err := get(t.Context(), newClient(t, s))
			e := failure(t, err)
			assert.Equal(t, park, e.Disposition)
			assert.GreaterOrEqual(t, e.RetryAt.Sub(s.clock.Now()), tt.least)
			assert.Equal(t, 1, s.count(toCall))
			assertSlept(t, s, nil)
			assert.Contains(t, err.Error(), e.RetryAt.UTC().Format(time.RFC3339), "the time stands in the text")
		})
	}
}

// With an unlimited cap the jitter must not overflow, which would end in no wait at all.
func TestLongestWaitDoesNotOverflow(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(429).with("Retry-After", "9999999999"), okPin())
	c := newClient(t, s, pinterest.WithRetry(pinterest.RetryPolicy{MaxServerWait: math.MaxInt64, Jitter: 1}))
	_ = get(t.Context(), c)
	for _, d := range s.clock.sleeps() {
		assert.GreaterOrEqual(t, d, 100*365*24*time.Hour)
	}
}

func TestOwnWaitsDoubleUpToTheCap(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(429).always())
	c := newClient(t, s, pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, MaxAttempts: 8, ThrottleDelay: 7 * time.Second, MaxDelay: 50 * time.Second}))
	e := failure(t, get(t.Context(), c))
	assert.Len(t, e.Attempts, 8)
	assertSlept(t, s, seconds(7, 14, 28, 50, 50, 50, 50))
}

// Throttling and server failures are counted separately, each with its own delays.
func TestOwnWaitsByKindOfFailure(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(429), bare(503), bare(429), bare(503), okPin())
	require.NoError(t, get(t.Context(), newClient(t, s)))
	assertSlept(t, s, seconds(5, 2, 10, 4))
}

func TestJitterIsAddedAndNeverTakenAway(t *testing.T) {
	t.Parallel()
	const calls = 200
	asked := newServer(t, repeated(2*calls, bare(429).with("Retry-After", "10"))...)
	own := newServer(t, repeated(2*calls, bare(503))...)
	for _, tt := range []struct {
		s    *server
		wait time.Duration
	}{{asked, 10 * time.Second}, {own, 2 * time.Second}} {
		c := newClient(t, tt.s, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 2, Budget: -1}))
		for range calls {
			require.Error(t, get(t.Context(), c))
		}
		different := map[time.Duration]bool{}
		for _, d := range tt.s.clock.sleeps() {
			assert.GreaterOrEqual(t, d, tt.wait)
			assert.LessOrEqual(t, d, tt.wait*13/10)
			different[d] = true
		}
		assert.Greater(t, len(different), calls/2, "the waits are spread")
	}
}

func quotaOf(n int) pinterest.Option {
	return pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, Budget: n})
}

func TestRetryQuotaEndsRetrying(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(500).always())
	c := newClient(t, s, quotaOf(25))
	err := get(t.Context(), c)
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrRetryBudget)
	assert.ErrorIs(t, err, pinterest.ErrServer, "the real class")
	assert.Contains(t, err.Error(), "local")
	assert.Equal(t, park, e.Disposition)
	assert.Equal(t, 4*2*time.Second, e.RetryAt.Sub(s.clock.Now()), "the wait that was due goes to the caller")
	assert.Len(t, e.Attempts, 3, "two retries at 10 each")
	assertSlept(t, s, seconds(2, 4))

	err = get(t.Context(), c)
	assert.ErrorIs(t, err, pinterest.ErrRetryBudget)
	assert.Len(t, failure(t, err).Attempts, 1, "the quota is the client's")
	assert.Equal(t, 4, s.count(toCall))
}

func TestRetryQuotaByOutcome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		quota int
		steps []reply // of the first call
		spent bool    // whether the retries of the next call are refused
	}{
		{"a success pays back", 20, []reply{bare(500), bare(500), okPin()}, false},
		{"a definite answer pays back", 20, []reply{bare(500), bare(500), bare(404)}, false},
		{"a failed call does not", 20, repeated(3, bare(500)), true},
		{"an unanswered call does not", 20, repeated(3, reset()), true},
		{"a call that ends throttled does not", 20, repeated(5, bare(429)), true},
		{"throttling costs half", 20, []reply{bare(429), bare(429), bare(429), bare(429), okPin()}, false},
		{"no limit", -1, repeated(5, bare(500)), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, append(tt.steps, bare(500), bare(500), okPin())...)
			c := newClient(t, s, quotaOf(tt.quota))
			_ = get(t.Context(), c)
			require.Equal(t, len(tt.steps), s.count(toCall), "requests of the first call")
			err := get(t.Context(), c)
			if tt.spent {
				assert.ErrorIs(t, err, pinterest.ErrRetryBudget)
				return
			}
			assert.NoError(t, err)
		})
	}
}

func TestRetryQuotaFillsAgainWithSuccess(t *testing.T) {
	t.Parallel()
	s := newServer(t, append(append(repeated(4, bare(500)), repeated(10, okPin())...), bare(500), okPin())...)
	c := newClient(t, s, quotaOf(20))
	assert.ErrorIs(t, get(t.Context(), c), pinterest.ErrRetryBudget) // three requests
	assert.ErrorIs(t, get(t.Context(), c), pinterest.ErrRetryBudget) // one
	for range 10 {
		require.NoError(t, get(t.Context(), c))
	}
	require.NoError(t, get(t.Context(), c))
	assert.Equal(t, 16, s.count(toCall))
}

func TestDeleteThatFindsNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		first reply
		gone  reply
		ok    bool
	}{
		{"after a 500", bare(500), bare(404), true},
		{"after a 503 by 410", bare(503), bare(410), true},
		{"after a reset", reset(), bare(404), true},
		{"after a 429", bare(429), bare(404), false},
		{"after a 409", fault(409, 0, "Could not get exclusive access"), bare(404), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.first, tt.gone)
			err := newClient(t, s).Pins.Delete(t.Context(), pinID)
			if tt.ok {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, pinterest.ErrNotFound)
		})
	}
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(404))
		assert.ErrorIs(t, newClient(t, s).Pins.Delete(t.Context(), pinID), pinterest.ErrNotFound)
	})
	t.Run("after a refused connection", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(404))
		c := newClient(t, s, pinterest.WithHTTPClient(dialing(t, 1)))
		assert.ErrorIs(t, c.Pins.Delete(t.Context(), pinID), pinterest.ErrNotFound)
	})
	t.Run("update is not deleted", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(500), bare(404))
		_, err := newClient(t, s).Pins.Update(t.Context(), pinID, pinUpdate())
		assert.ErrorIs(t, err, pinterest.ErrNotFound)
	})
}

func TestRetryOfOneCall(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503).always())
	c := newClient(t, s)
	e := failure(t, get(t.Context(), c, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 2, ServerDelay: time.Second, Jitter: -1})))
	assert.Len(t, e.Attempts, 2)
	e = failure(t, get(t.Context(), c, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1})))
	assert.Len(t, e.Attempts, 1)
	assert.Equal(t, 3, s.count(toCall))
	assertSlept(t, s, seconds(1))
	assert.Len(t, failure(t, get(t.Context(), c)).Attempts, 5, "the client's own policy is as it was")
}
