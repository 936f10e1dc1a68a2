package pinterest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

func get(ctx context.Context, c *pinterest.Client, opts ...pinterest.CallOption) error {
	_, err := c.Pins.Get(ctx, pinID, opts...)
	return err
}

// --- what the API asks for -------------------------------------------------

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

// A cap without bounds must not let the jitter overflow into no wait at all.
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

// Throttling and server failures have intervals of their own.
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
		c := newClient(t, tt.s, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 2, Quota: -1}))
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

// --- deadlines and cancellation ----------------------------------------------

func TestWaitThatDoesNotFitTheDeadlineIsNotBegun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		reply  reply
		class  error
		status int
	}{
		{"throttled", fault(429, 8, "slow down").with("Retry-After", "30"), pinterest.ErrThrottled, 429},
		{"server", fault(503, 0, "down").with("Retry-After", "30"), pinterest.ErrUnavailable, 503},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply)
			ctx, cancel := context.WithDeadline(t.Context(), s.clock.Now().Add(25*time.Second))
			defer cancel()
			began := time.Now()
			err := get(ctx, newClient(t, s))
			e := failure(t, err)
			assert.Less(t, time.Since(began), 5*time.Second, "it returns at once")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorIs(t, err, tt.class)
			assert.NotErrorIs(t, err, pinterest.ErrCanceled)
			assert.Equal(t, tt.status, e.Status)
			assert.Equal(t, park, e.Disposition)
			assert.GreaterOrEqual(t, e.RetryAt.Sub(s.clock.Now()), 30*time.Second)
			assert.Equal(t, 1, s.count(toCall))
			assertSlept(t, s, nil)
		})
	}
}

func TestWaitThatFitsTheDeadlineIsSlept(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(429).with("Retry-After", "30"), okPin())
	ctx, cancel := context.WithDeadline(t.Context(), s.clock.Now().Add(35*time.Second))
	defer cancel()
	require.NoError(t, get(ctx, newClient(t, s)))
	assertSlept(t, s, seconds(30))
}

func TestContextThatHasEndedSendsNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"read":   func() error { return get(ctx, c) },
		"delete": func() error { return c.Pins.Delete(ctx, pinID) },
		"create": func() error { _, err := c.Pins.Create(ctx, pinCreate()); return err },
	}
	for name, call := range calls {
		err := promptly(t, call)
		e := failure(t, err)
		assert.ErrorIs(t, err, pinterest.ErrCanceled, name)
		assert.ErrorIs(t, err, context.Canceled, name)
		assert.Equal(t, park, e.Disposition, name)
		assert.Equal(t, pinterest.PhaseNotSent, e.Phase, name)
	}
	assert.Empty(t, s.kinds(), "requests")
}

// blockingSource gives no token until it is released.
type blockingSource struct{ asked, release chan struct{} }

func (b blockingSource) Token() (*oauth2.Token, error) {
	close(b.asked)
	<-b.release
	return &oauth2.Token{AccessToken: accessToken}, nil
}

func TestCancelWhileATokenIsFetched(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	src := blockingSource{make(chan struct{}), make(chan struct{})}
	t.Cleanup(func() { close(src.release) })
	c := newBareClient(t, s, pinterest.WithTokenSource(src))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-src.asked; cancel() }()
	err := promptly(t, func() error { _, err := c.Pins.Create(ctx, pinCreate()); return err })
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrCanceled)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, park, e.Disposition)
	assert.Equal(t, pinterest.PhaseNotSent, e.Phase)
	assert.Empty(t, s.kinds())
}

func TestCancelWhileInFlight(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(func()) reply{
		"before the answer": hang,
		"in the body":       func(f func()) reply { return hangInBody(200, f) },
		"in an error body":  func(f func()) reply { return hangInBody(503, f) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, call := range map[string]func(context.Context, *pinterest.Client) error{
				"read":   func(ctx context.Context, c *pinterest.Client) error { return get(ctx, c) },
				"delete": func(ctx context.Context, c *pinterest.Client) error { return c.Pins.Delete(ctx, pinID) },
			} {
				ctx, cancel := context.WithCancel(t.Context())
				s := newServer(t, broken(cancel))
				c := newClient(t, s)
				err := promptly(t, func() error { return call(ctx, c) })
				e := failure(t, err)
				assert.ErrorIs(t, err, pinterest.ErrCanceled, kind)
				assert.ErrorIs(t, err, context.Canceled, kind)
				assert.Equal(t, park, e.Disposition, kind)
				assert.Equal(t, pinterest.PhaseUnanswered, e.Phase, kind)
				assert.Equal(t, 1, s.count(toCall), kind)
				assertSlept(t, s, nil)
			}
		})
		t.Run(name+", a create that took effect", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			s := newServer(t, broken(cancel))
			s.onLookup(s.madePin())
			c := newClient(t, s)
			var pin *pinterest.Pin
			err := promptly(t, func() (err error) { pin, err = c.Pins.Create(ctx, pinCreate()); return err })
			require.NoError(t, err, "what was made is returned although the context ended")
			assert.Equal(t, newPinID, pin.ID)
			assert.Equal(t, 1, s.count(toCall))
		})
		t.Run(name+", a create of which nothing is seen", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			s := newServer(t, broken(cancel))
			c := newClient(t, s)
			err := promptly(t, func() error { _, err := c.Pins.Create(ctx, pinCreate()); return err })
			e := failure(t, err)
			assert.ErrorIs(t, err, pinterest.ErrUncertain)
			assert.ErrorIs(t, err, pinterest.ErrCanceled)
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, uncertain, e.Disposition)
			require.NotNil(t, e.Uncertain)
			assert.Equal(t, 1, s.count(toCall))
			assert.Equal(t, 1, s.count(toLookup), "one look in a time of its own")
		})
	}
}

func TestDeadlineOfTheCallerIsTerminal(t *testing.T) {
	t.Parallel()
	s := newServer(t, hang(nil))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := promptly(t, func() error { return get(ctx, newClient(t, s)) })
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, pinterest.ErrCanceled)
	assert.Equal(t, 1, s.count(toCall))
}

func TestCancelWhileWaitingBetweenAttempts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reply reply
		class error
		wait  time.Duration
		body  string
	}{
		{"throttled", fault(429, 8, "slow down").with("Retry-After", "30"), pinterest.ErrThrottled, 30 * time.Second, `{"code":8,"message":"slow down"}`},
		{"HTML", html(502), pinterest.ErrUnavailable, 2 * time.Second, html(502).body},
		{"an empty body", answer(503, ""), pinterest.ErrUnavailable, 2 * time.Second, ""},
		{"a reset", reset(), pinterest.ErrTransport, 2 * time.Second, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply)
			ctx, cancel := context.WithCancel(t.Context())
			s.clock.onSleep = func(ctx context.Context, _ time.Duration) error {
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
			var res pinterest.Response
			err := promptly(t, func() (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = fmt.Errorf("panic: %v", p)
					}
				}()
				return get(ctx, newClient(t, s), pinterest.ResponseTo(&res))
			})
			e := failure(t, err)
			assert.ErrorIs(t, err, tt.class, "the real class")
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, park, e.Disposition)
			assert.Len(t, e.Attempts, 1, "one request was made")
			assert.Len(t, res.Attempts, 1)
			assert.Equal(t, 1, s.count(toCall))
			assert.Equal(t, tt.body, string(e.Body), "the body is kept")
			assert.False(t, e.RetryAt.Before(s.clock.Now().Add(tt.wait)), "parked until what was asked for, is %v after now", e.RetryAt.Sub(s.clock.Now()))
		})
	}
}

func TestCancelWhileACreateIsLookedUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		lookups func(s *server, cancel func()) []reply
		adopted bool
	}{
		{"and the last look finds nothing", func(_ *server, cancel func()) []reply {
			return []reply{hang(cancel), answer(200, emptyPage)}
		}, false},
		{"and the last look finds it", func(s *server, cancel func()) []reply {
			return []reply{hang(cancel), s.madePin()}
		}, true},
		{"and the last look fails", func(_ *server, cancel func()) []reply {
			return []reply{hang(cancel), bare(403)}
		}, false},
		{"and the last look hangs", func(_ *server, cancel func()) []reply {
			return []reply{hang(cancel), hang(nil).always()}
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			s := newServer(t, fault(500, 0, "oh"))
			s.onLookup(tt.lookups(s, cancel)...)
			c := newClient(t, s, pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, AttemptTimeout: 500 * time.Millisecond}))
			var pin *pinterest.Pin
			err := promptly(t, func() (err error) { pin, err = c.Pins.Create(ctx, pinCreate()); return err })
			assert.Equal(t, 1, s.count(toCall))
			if tt.adopted {
				require.NoError(t, err)
				assert.Equal(t, newPinID, pin.ID)
				return
			}
			e := failure(t, err)
			assert.Equal(t, uncertain, e.Disposition)
			assert.ErrorIs(t, err, pinterest.ErrUncertain)
			assert.ErrorIs(t, err, pinterest.ErrServer, "the real class")
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, 500, e.Status)
			assert.NotNil(t, e.Uncertain)
		})
	}
}

func TestSettleTimeThatDoesNotFitTheDeadlineEndsUncertain(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503))
	ctx, cancel := context.WithDeadline(t.Context(), s.clock.Now().Add(4*time.Second))
	defer cancel()
	_, err := newClient(t, s).Pins.Create(ctx, pinCreate())
	assert.Equal(t, uncertain, failure(t, err).Disposition)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, 1, s.count(toCall))
	assert.NotZero(t, s.count(toLookup))
}

func TestAttemptTimeoutIsTriedAgain(t *testing.T) {
	t.Parallel()
	short := pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, AttemptTimeout: 50 * time.Millisecond, MaxAttempts: 3})
	t.Run("and then answered", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, hang(nil), hangInBody(200, nil), okPin())
		require.NoError(t, get(t.Context(), newClient(t, s, short)))
		assert.Equal(t, 3, s.count(toCall))
		assertSlept(t, s, seconds(2, 4))
	})
	t.Run("to no avail", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, hang(nil).always())
		err := get(t.Context(), newClient(t, s, short))
		e := failure(t, err)
		assert.ErrorIs(t, err, pinterest.ErrTransport)
		assert.NotErrorIs(t, err, pinterest.ErrCanceled, "the caller's context goes on")
		assert.Equal(t, park, e.Disposition)
		assert.Equal(t, 3, s.count(toCall))
	})
	t.Run("of one call", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, hang(nil), okPin())
		require.NoError(t, get(t.Context(), newClient(t, s), pinterest.AttemptTimeout(50*time.Millisecond)))
		assert.Equal(t, 2, s.count(toCall))
	})
	t.Run("in an error body keeps the status", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, hangInBody(404, nil))
		err := get(t.Context(), newClient(t, s, short))
		assert.ErrorIs(t, err, pinterest.ErrNotFound)
		assert.Equal(t, 404, failure(t, err).Status)
	})
	t.Run("of the caller's http.Client", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, hang(nil), hangInBody(200, nil), okPin())
		h := ownClient(t, nil)
		h.Timeout = 50 * time.Millisecond
		require.NoError(t, get(t.Context(), newClient(t, s, pinterest.WithHTTPClient(h))))
		assert.Equal(t, 3, s.count(toCall))
		assert.Nil(t, h.CheckRedirect, "the caller's client is not changed")
	})
	t.Run("while a token is fetched", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, okPin())
		src := blockingSource{make(chan struct{}), make(chan struct{})}
		s.clock.onSleep = func(context.Context, time.Duration) error { close(src.release); return nil }
		c := newBareClient(t, s, short, pinterest.WithTokenSource(src))
		require.NoError(t, get(t.Context(), c))
		assert.Equal(t, 1, s.count(toCall))
	})
}

// --- the retry quota -----------------------------------------------------------

func quotaOf(n int) pinterest.Option {
	return pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, Quota: n})
}

func TestRetryQuotaEndsRetrying(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(500).always())
	c := newClient(t, s, quotaOf(25))
	err := get(t.Context(), c)
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrRetryQuota)
	assert.ErrorIs(t, err, pinterest.ErrServer, "the real class")
	assert.Contains(t, err.Error(), "local")
	assert.Equal(t, park, e.Disposition)
	assert.Equal(t, 4*2*time.Second, e.RetryAt.Sub(s.clock.Now()), "the wait that was due goes to the caller")
	assert.Len(t, e.Attempts, 3, "two retries at 10 each")
	assertSlept(t, s, seconds(2, 4))

	err = get(t.Context(), c)
	assert.ErrorIs(t, err, pinterest.ErrRetryQuota)
	assert.Len(t, failure(t, err).Attempts, 1, "the quota is the client's")
	assert.Equal(t, 4, s.count(toCall))
}

func TestRetryQuotaByOutcome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		quota int
		steps []reply // of the first call
		spent bool    // whether the next call's retries are refused
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
				assert.ErrorIs(t, err, pinterest.ErrRetryQuota)
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
	assert.ErrorIs(t, get(t.Context(), c), pinterest.ErrRetryQuota) // three requests
	assert.ErrorIs(t, get(t.Context(), c), pinterest.ErrRetryQuota) // one
	for range 10 {
		require.NoError(t, get(t.Context(), c))
	}
	require.NoError(t, get(t.Context(), c))
	assert.Equal(t, 16, s.count(toCall))
}

// --- what is sent ----------------------------------------------------------------

func TestEveryAttemptSendsTheSameBytes(t *testing.T) {
	t.Parallel()
	aborted := reply{act: func(_ *server, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}}
	half := reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"8`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			s := newUnstarted(t, bare(503), aborted, half, bare(429), okPin())
			s.EnableHTTP2 = proto == "HTTP/2.0"
			s.StartTLS()
			pin := pinCreate()
			pin.Description = strings.Repeat("ü<&>\u2028", 150)
			_, err := newClient(t, s).Pins.Create(t.Context(), pin, pinterest.ResendUnseen())
			require.NoError(t, err)
			sent := s.received(toCall)
			require.Len(t, sent, 5)
			require.NotEmpty(t, sent[0].body)
			for _, req := range sent {
				assert.Equal(t, string(sent[0].body), string(req.body))
				assert.Equal(t, itoa(len(sent[0].body)), req.header.Get("Content-Length"))
				assert.Equal(t, sent[0].header, req.header, "and the same header")
			}
			assert.Equal(t, "application/json", sent[0].header.Get("Content-Type"))
			assert.Equal(t, "Bearer "+accessToken, sent[0].header.Get("Authorization"))
			assert.True(t, strings.HasPrefix(sent[0].header.Get("User-Agent"), "pinterest-go/"))
		})
	}
}

func TestReadSendsNoBody(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	require.NoError(t, get(t.Context(), newClient(t, s, pinterest.WithUserAgent("scheduler/2.1"))))
	req := s.received(toCall)[0]
	assert.Empty(t, req.body)
	assert.Empty(t, req.header.Get("Content-Type"))
	assert.Equal(t, "/v5/pins/"+pinID, req.path)
	assert.True(t, strings.HasPrefix(req.header.Get("User-Agent"), "scheduler/2.1 pinterest-go/"))
}

func TestAdAccountIsSentAndSharedWithLookups(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503).always())
	c := newClient(t, s)
	_, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.AdAccount("549755885175"), pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1}))
	require.Error(t, err)
	for _, kind := range []string{toCall, toLookup} {
		for _, req := range s.received(kind) {
			q, err := url.ParseQuery(req.query)
			require.NoError(t, err)
			assert.Equal(t, []string{"549755885175"}, q["ad_account_id"], kind)
		}
	}
	before := len(s.kinds())
	err = get(t.Context(), c, pinterest.AdAccount("my account"))
	assert.ErrorIs(t, err, pinterest.ErrInvalid)
	assert.Equal(t, fix, failure(t, err).Disposition)
	assert.Len(t, s.kinds(), before, "nothing invalid is sent")
}

func TestInvalidCallsAreNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"id":              func() error { _, err := c.Pins.Get(ctx, "https://www.pinterest.com/pin/1"); return err },
		"empty id":        func() error { return c.Pins.Delete(ctx, "") },
		"dots":            func() error { return c.Pins.Delete(ctx, "..") },
		"empty update":    func() error { _, err := c.Pins.Update(ctx, pinID, pinterest.PinUpdate{}); return err },
		"no board":        func() error { _, err := c.Pins.Create(ctx, pinterest.PinCreate{}); return err },
		"policy":          func() error { return get(ctx, c, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: -1})) },
		"attempt timeout": func() error { return get(ctx, c, pinterest.AttemptTimeout(-1)) },
		"body": func() error {
			return c.Do(ctx, pinterest.OpPinsUpdate, pinterest.Request{Path: []string{pinID}, Body: make(chan int)}, nil)
		},
		"few path values":  func() error { return c.Do(ctx, pinterest.OpPinsGet, pinterest.Request{}, nil) },
		"many path values": func() error { return c.Do(ctx, pinterest.OpPinsGet, pinterest.Request{Path: []string{"1", "2"}}, nil) },
	} {
		err := call()
		e := failure(t, err)
		assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
		assert.Equal(t, fix, e.Disposition, name)
		assert.Equal(t, pinterest.PhaseNotSent, e.Phase, name)
	}
	assert.Empty(t, s.kinds())
}

func TestPathValuesAreEscaped(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{}`).always())
	op := pinterest.Operation{ID: "x/get", Method: http.MethodGet, Path: "/x/{name}/y"}
	var uri string
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uri = r.RequestURI
		s.serve(w, r)
	})
	require.NoError(t, newClient(t, s).Do(t.Context(), op, pinterest.Request{Path: []string{"a/../b?c#d e%2f"}}, nil))
	assert.Equal(t, "/v5/x/"+url.PathEscape("a/../b?c#d e%2f")+"/y", uri)
}

func TestDryRunSendsNothingAndRedacts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := refreshConfig()
	cfg.AccessToken = accessToken
	for name, c := range map[string]*pinterest.Client{
		"token":   newClient(t, s),
		"source":  newBareClient(t, s, pinterest.WithTokenSource(failingSource{errors.New("must not be asked")})),
		"refresh": newBareClient(t, s, pinterest.WithRefreshToken(cfg)),
	} {
		var d pinterest.DryRun
		pin, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.DryRunTo(&d), pinterest.AdAccount("12"))
		require.NoError(t, err, name)
		assert.Equal(t, &pinterest.Pin{}, pin, name)
		assert.Equal(t, http.MethodPost, d.Method)
		assert.Equal(t, s.base()+"/pins?ad_account_id=12", d.URL)
		assert.JSONEq(t, `{"board_id":"549755885175","title":"Oak table","description":"Two metres of oak","link":"https://shop.example/tables/7",
			"media_source":{"source_type":"image_url","url":"https://shop.example/tables/7.jpg"}}`, string(d.Body))
		assert.NotEmpty(t, d.Header.Get("Authorization"))
		assert.NotContains(t, fmt.Sprintf("%+v", d), accessToken)

		_, err = c.Pins.Create(t.Context(), pinterest.PinCreate{}, pinterest.DryRunTo(&d))
		assert.ErrorIs(t, err, pinterest.ErrInvalid, "a dry run validates")
	}
	assert.Empty(t, s.kinds())
}

type failingSource struct{ err error }

func (f failingSource) Token() (*oauth2.Token, error) { return nil, f.err }

// --- connections -------------------------------------------------------------------

func TestTenThousandReadsOpenAtMost64Connections(t *testing.T) {
	s := newServer(t, okPin().always())
	c := newClient(t, s)
	const workers, calls = 64, 10_000
	var left atomic.Int64
	left.Store(calls)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if !assert.NoError(t, get(t.Context(), c)) {
					return
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, calls, s.count(toCall))
	assert.LessOrEqual(t, s.conns.Load(), int64(workers))
}

func TestFailingAnswersLeaveTheConnectionInUse(t *testing.T) {
	t.Parallel()
	large := fault(500, 1, strings.Repeat("x", 100<<10))
	tests := map[string][]reply{
		"large errors":     {large, large, large, large, large},
		"throttled":        {bare(429), bare(429), bare(429), okPin()},
		"redirect":         {answer(302, strings.Repeat("x", 100<<10)).with("Location", "/elsewhere")},
		"not JSON":         {html(200), html(502), okPin()},
		"a body on delete": {answer(200, strings.Repeat("x", 100<<10))},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, append(steps, okPin())...)
			c := newClient(t, s)
			if name == "a body on delete" {
				require.NoError(t, c.Pins.Delete(t.Context(), pinID))
			} else {
				_ = get(t.Context(), c)
			}
			for s.count(toCall) <= len(steps)-1 {
				require.NoError(t, get(t.Context(), c))
			}
			_ = get(t.Context(), c)
			assert.Equal(t, int64(1), s.conns.Load(), "connections")
		})
	}
}

func TestLargeErrorBodyIsKeptInPart(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(404, strings.Repeat("x", 10<<20)))
	e := failure(t, get(t.Context(), newClient(t, s)))
	assert.Equal(t, 404, e.Status)
	assert.Len(t, e.Body, 64<<10)
	assert.Less(t, len(e.Error()), 1000, "a body is not printed")
}

func TestCertificateThatIsNotTrustedIsMetOnce(t *testing.T) {
	t.Parallel()
	s := newUnstarted(t)
	var handshakes atomic.Int64
	s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		handshakes.Add(1)
		return nil, nil
	}}
	s.StartTLS()
	for name, change := range map[string]func(*http.Transport){
		"unknown authority": nil,
		"another host's": func(tr *http.Transport) {
			tr.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			tr.TLSClientConfig.ServerName = "api.pinterest.com"
		},
	} {
		handshakes.Store(0)
		c := newClient(t, s, pinterest.WithHTTPClient(ownClient(t, change)))
		_, err := c.Pins.Create(t.Context(), pinCreate())
		e := failure(t, err)
		assert.Equal(t, int64(1), handshakes.Load(), name)
		assert.ErrorIs(t, err, pinterest.ErrTransport, name)
		assert.Equal(t, review, e.Disposition, name)
		assert.Equal(t, pinterest.PhaseNotSent, e.Phase, name)
		var verification *tls.CertificateVerificationError
		assert.ErrorAs(t, err, &verification, "the cause is reached")
	}
	assert.Empty(t, s.kinds())
	assertSlept(t, s, nil)
}

// dialing returns a client whose first dials go to a port that refuses.
func dialing(t *testing.T, refused int) *http.Client {
	port := closedPort(t)
	var dials atomic.Int64
	return ownClient(t, func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) <= int64(refused) {
				addr = port
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
}

func TestRefusedConnectionIsNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	var seen recorder
	var res pinterest.Response
	c := newClient(t, s, pinterest.WithHTTPClient(dialing(t, 2)), pinterest.WithObserver(seen.observe))
	_, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.ResponseTo(&res))
	require.NoError(t, err)
	assert.Equal(t, []string{toCall}, s.kinds(), "it is sent again without a look-up")
	assert.Zero(t, seen.lookups())
	require.Len(t, res.Attempts, 3)
	assert.Equal(t, pinterest.PhaseNotSent, res.Attempts[0].Phase)
	assert.Equal(t, "not sent", res.Attempts[0].Rule)
	assertSlept(t, s, seconds(2, 4))
}

func TestRefusedConnectionKeepsItsCause(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s, pinterest.WithHTTPClient(dialing(t, 99)))
	err := get(t.Context(), c)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	var op *net.OpError
	assert.ErrorAs(t, err, &op)
	assert.Len(t, failure(t, err).Attempts, 5)
}

// A request that breaks off while it is written cannot have taken effect.
func TestRequestThatIsNotWrittenWholeIsNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	var dials atomic.Int64
	h := ownClient(t, func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil && dials.Add(1) == 1 {
				return &shortConn{Conn: conn}, nil
			}
			return conn, err
		}
	})
	var res pinterest.Response
	pin := pinCreate()
	pin.MediaSource = pinterest.ImageBase64(pinterest.PNG, bytes.Repeat([]byte("png!"), 64<<10))
	_, err := newClient(t, s, pinterest.WithHTTPClient(h)).Pins.Create(t.Context(), pin, pinterest.ResponseTo(&res))
	require.NoError(t, err)
	require.Len(t, res.Attempts, 2)
	assert.Equal(t, pinterest.PhaseNotSent, res.Attempts[0].Phase)
	assert.Zero(t, s.count(toLookup))
}

// shortConn breaks after 100 KiB were written.
type shortConn struct {
	net.Conn
	n int
}

func (c *shortConn) Write(p []byte) (int, error) {
	if c.n += len(p); c.n > 100<<10 {
		_ = c.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

func TestResetAfterTheBodyIsUnanswered(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]reply{"reset": reset(), "closed": hangUp(), "half a body": halfBody(201, `{"id":"8`)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, broken, okPin())
			var res pinterest.Response
			_, err := newClient(t, s).Pins.Create(t.Context(), pinCreate(), pinterest.ResponseTo(&res))
			require.NoError(t, err)
			require.Len(t, res.Attempts, 2)
			assert.Equal(t, pinterest.PhaseUnanswered, res.Attempts[0].Phase)
			assert.Equal(t, pinterest.ClassTransport, res.Attempts[0].Class)
			assert.Equal(t, pinterest.PhaseAnswered, res.Attempts[1].Phase)
			assertProved(t, s, 5*time.Second, serverWaits)
		})
	}
}

// The second create of a client goes over a connection in use, where a
// transport is tempted to send again by itself.
func TestResetOfAConnectionInUseIsUnanswered(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin(), reset(), okPin())
	c := newClient(t, s)
	require.NoError(t, get(t.Context(), c))
	pin, err := c.Pins.Create(t.Context(), pinCreate())
	require.NoError(t, err)
	assert.Equal(t, pinID, pin.ID)
	assertProved(t, s, 5*time.Second, serverWaits)
}

// --- answers ---------------------------------------------------------------------

func TestAnswerThatIsNotJSONKeepsItsStatus(t *testing.T) {
	t.Parallel()
	s := newServer(t, html(502).always())
	err := get(t.Context(), newClient(t, s))
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrUnavailable)
	assert.Equal(t, 502, e.Status)
	assert.Equal(t, html(502).body, string(e.Body))
	assert.Contains(t, err.Error(), "502")
	assert.NotContains(t, err.Error(), "<html>")
	assert.Equal(t, requestID, e.RequestID)
	assert.Contains(t, err.Error(), requestID)
}

func TestTruncatedSuccessIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]reply{
		"shorter than its Content-Length": halfBody(200, `{"id":"8137442264`),
		"half of the JSON":                answer(200, `{"id":"8137442264`),
		"HTML":                            html(200),
		"null":                            answer(200, `null`),
		"an array":                        answer(200, `[]`),
		"another object":                  answer(200, `{"items":[]}`),
		"an id of another type":           answer(200, `{"id":5}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, broken, okPin())
			c := newClient(t, s)
			pin, err := c.Pins.Get(t.Context(), pinID)
			require.NoError(t, err)
			assert.Equal(t, pinID, pin.ID)
			assertSlept(t, s, seconds(2))

			s = newServer(t, broken)
			s.onLookup(s.madePin())
			pin, err = newClient(t, s).Pins.Create(t.Context(), pinCreate())
			require.NoError(t, err)
			assert.Equal(t, newPinID, pin.ID, "a create is looked up")
		})
	}
}

func TestGarbledAnswerLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{"title":"the first","alt_text":"one"}`), okPin())
	pin, err := newClient(t, s).Pins.Get(t.Context(), pinID)
	require.NoError(t, err)
	assert.Equal(t, "made", pin.Title)
	assert.Empty(t, pin.AltText, "of an answer that was not used")
}

func TestRedirectIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(itoa(status), func(t *testing.T) {
			t.Parallel()
			other := newServer(t) // no request is expected
			s := newServer(t, answer(status, "").with("Location", other.base()+"/pins?token=abc"))
			h := ownClient(t, nil)
			h.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // would follow
			_, err := newClient(t, s, pinterest.WithHTTPClient(h)).Pins.Create(t.Context(), pinCreate())
			e := failure(t, err)
			assert.ErrorIs(t, err, pinterest.ErrTransport)
			assert.Equal(t, review, e.Disposition)
			assert.Equal(t, status, e.Status)
			assert.Contains(t, err.Error(), other.Listener.Addr().String(), "it says where to")
			assert.NotContains(t, err.Error(), "token=abc")
			assert.Empty(t, other.kinds(), "the other host sees nothing")
			assert.Zero(t, other.conns.Load())
		})
	}
}

func TestAnswerOverTheBound(t *testing.T) {
	t.Parallel()
	body := func(n int) string {
		const frame = `{"id":"1","title":""}`
		return `{"id":"1","title":"` + strings.Repeat("x", n-len(frame)) + `"}`
	}
	zipped := reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, body(8<<20))
		_ = z.Close()
	}}
	tests := []struct {
		name  string
		reply reply
		ok    bool
	}{
		{"at the bound", answer(200, body(1024)), true},
		{"one byte over", answer(200, body(1025)), false},
		{"far over", answer(200, body(1<<20)), false},
		{"packed", zipped, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply)
			err := get(t.Context(), newClient(t, s, pinterest.WithMaxResponse(1024)))
			if tt.ok {
				assert.NoError(t, err)
				return
			}
			e := failure(t, err)
			assert.ErrorIs(t, err, pinterest.ErrResponse)
			assert.Equal(t, review, e.Disposition)
			assert.Contains(t, err.Error(), "1024")
			assert.Equal(t, 200, e.Status, "an answer came: its status is kept")
			assert.Equal(t, 1, s.count(toCall))
		})
	}
}

func TestSuccessesOfDelete(t *testing.T) {
	t.Parallel()
	for _, st := range []reply{answer(204, ""), answer(200, ""), answer(200, `{}`), answer(202, "accepted")} {
		s := newServer(t, st)
		var res pinterest.Response
		require.NoError(t, newClient(t, s).Pins.Delete(t.Context(), pinID, pinterest.ResponseTo(&res)))
		assert.Equal(t, st.status, res.Status)
	}
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

func TestFieldOfAnotherTypeIsTolerated(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{"id":"5","title":7,"link":"https://shop.example","is_owner":"yes","unknown":{"a":1}}`))
	var res pinterest.Response
	var seen recorder
	pin, err := newClient(t, s, pinterest.WithObserver(seen.observe)).Pins.Get(t.Context(), pinID, pinterest.ResponseTo(&res))
	require.NoError(t, err)
	assert.Equal(t, "5", pin.ID)
	assert.Equal(t, "https://shop.example", pin.Link, "the rest is decoded")
	assert.Error(t, res.Odd)
	assert.Error(t, seen.all()[0].Err, "observers hear of it")
	assert.Equal(t, 1, s.count(toCall))
}

func TestEveryAnswer2xxIsASuccess(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 202, 203, 206, 226, 299} {
		s := newServer(t, answer(status, okPin().body))
		assert.NoError(t, get(t.Context(), newClient(t, s)), status)
	}
}

func TestErrorSaysWhatTheAPISaid(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(400, `{"code":"1","message":"Invalid parameters.","details":{"a":[1,2]},"errors":[{"field":"title","value":"x","message":"too long"}]}`))
	err := get(t.Context(), newClient(t, s))
	e := failure(t, err)
	assert.Equal(t, "pins/get", e.Operation)
	assert.Equal(t, 1, e.Code)
	assert.Equal(t, "Invalid parameters.", e.Message)
	assert.JSONEq(t, `{"a":[1,2]}`, string(e.Details))
	assert.Equal(t, []pinterest.FieldError{{Field: "title", Value: "x", Problem: "too long"}}, e.Fields)
	assert.Equal(t, requestID, e.RequestID)
	assert.Equal(t, `pinterest: pins/get: invalid (400/1): Invalid parameters.; title too long (got "x") [fix; request `+requestID+`]`, err.Error())
}

// --- options ---------------------------------------------------------------------

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for base, ok := range map[string]bool{
		"https://api.pinterest.com/v5":                true,
		"https://api.pinterest.com/v5/":               true,
		"https://api.pinterest.com":                   true,
		"HTTPS://api.pinterest.com/v5":                true,
		"http://127.0.0.1:8080/v5":                    true,
		"http://127.8.9.1/v5":                         true,
		"http://localhost:8080":                       true,
		"http://[::1]:8080/v5":                        true,
		"http://api.pinterest.com/v5":                 false,
		"http://127.0.0.1.example.com/v5":             false,
		"http://localhost.example.com/v5":             false,
		"http://0.0.0.0/v5":                           false,
		"http://10.0.0.1/v5":                          false,
		"https://user:hunter22@api.pinterest.com":     false,
		"http://user:hunter22@127.0.0.1/v5":           false,
		"https://api.pinterest.com/v5?token=hunter22": false,
		"https://api.pinterest.com/v5#hunter22":       false,
		"ftp://api.pinterest.com":                     false,
		"api.pinterest.com/v5":                        false,
		"//api.pinterest.com/v5":                      false,
		"https://":                                    false,
		"":                                            false,
		"https://api.pinterest.com:port/hunter22":     false,
		"https://api.pinterest.com/%zzhunter22":       false,
	} {
		c, err := pinterest.New(pinterest.WithAccessToken("t"), pinterest.WithBaseURL(base))
		if ok {
			require.NoError(t, err, base)
			assert.False(t, strings.HasSuffix(strings.TrimSuffix(c.String(), ")"), "/"), c.String())
			continue
		}
		require.Error(t, err, base)
		assert.NotContains(t, err.Error(), "hunter22")
		assert.True(t, strings.HasPrefix(err.Error(), "pinterest: "), err.Error())
	}
}

func TestNewRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	token := pinterest.WithAccessToken(accessToken)
	without := func(change func(*pinterest.RefreshConfig)) pinterest.Option {
		cfg := refreshConfig()
		change(&cfg)
		return pinterest.WithRefreshToken(cfg)
	}
	for name, opts := range map[string][]pinterest.Option{
		"no token":           {},
		"two tokens":         {token, token},
		"empty token":        {pinterest.WithAccessToken("")},
		"nil source":         {pinterest.WithTokenSource(nil)},
		"no http.Client":     {token, pinterest.WithHTTPClient(nil)},
		"no clock":           {token, pinterest.WithClock(nil)},
		"no response":        {token, pinterest.WithMaxResponse(0)},
		"user agent":         {token, pinterest.WithUserAgent("a\r\nX: y")},
		"negative attempts":  {token, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: -1})},
		"negative delay":     {token, pinterest.WithRetry(pinterest.RetryPolicy{ServerDelay: -1})},
		"jitter over all":    {token, pinterest.WithRetry(pinterest.RetryPolicy{Jitter: 1.5})},
		"jitter not a share": {token, pinterest.WithRetry(pinterest.RetryPolicy{Jitter: math.NaN()})},
		"no client id":       {without(func(c *pinterest.RefreshConfig) { c.ClientID = "" })},
		"no client secret":   {without(func(c *pinterest.RefreshConfig) { c.ClientSecret = "" })},
		"no refresh token":   {without(func(c *pinterest.RefreshConfig) { c.RefreshToken = "" })},
		"no store":           {without(func(c *pinterest.RefreshConfig) { c.Store = nil })},
	} {
		_, err := pinterest.New(opts...)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), accessToken)
	}
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

// --- what is told ----------------------------------------------------------------

func TestAttemptsAreListed(t *testing.T) {
	t.Parallel()
	// The reset comes first, on a new connection: a transport sends a read again
	// by itself when a connection in use breaks.
	steps := []reply{reset(), fault(429, 8, "slow").with("Retry-After", "3"), bare(503)}
	check := func(t *testing.T, list []pinterest.Attempt, began time.Time) {
		t.Helper()
		require.GreaterOrEqual(t, len(list), 3)
		assert.Equal(t, pinterest.Attempt{
			Number: 1, Start: began, Phase: pinterest.PhaseUnanswered, Class: pinterest.ClassTransport,
			Action: pinterest.ActionBackOff, Rule: "unanswered", Wait: 2 * time.Second,
		}, list[0])
		assert.Equal(t, pinterest.Attempt{
			Number: 2, Start: began.Add(2 * time.Second), Phase: pinterest.PhaseAnswered, Status: 429, Code: 8, Class: pinterest.ClassThrottled,
			Action: pinterest.ActionBackOff, Rule: "throttled", Wait: 3 * time.Second, RequestID: requestID,
		}, list[1])
		assert.Equal(t, 3, list[2].Number)
		assert.Equal(t, pinterest.ClassUnavailable, list[2].Class)
	}
	t.Run("in an error", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, append(steps, bare(404))...)
		began := s.clock.Now()
		var res pinterest.Response
		e := failure(t, get(t.Context(), newClient(t, s), pinterest.ResponseTo(&res)))
		check(t, e.Attempts, began)
		require.Len(t, e.Attempts, 4)
		assert.Zero(t, e.Attempts[3].Wait)
		assert.Equal(t, "not found", e.Attempts[3].Rule)
		assert.Equal(t, e.Attempts, res.Attempts)
		assert.Equal(t, 404, res.Status)
		assert.Contains(t, e.Error(), "4 attempts")
	})
	t.Run("in a response", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, append(steps, okPin().with("X-Ratelimit-Limit", structuredLimit, "X-Ratelimit-Remaining", "99", "X-Ratelimit-Reset", "1"))...)
		began := s.clock.Now()
		var res pinterest.Response
		require.NoError(t, get(t.Context(), newClient(t, s), pinterest.ResponseTo(&res)))
		check(t, res.Attempts, began)
		require.Len(t, res.Attempts, 4)
		last := res.Attempts[3]
		assert.Equal(t, pinterest.ClassNone, last.Class)
		assert.Equal(t, pinterest.PhaseAnswered, last.Phase)
		assert.Equal(t, 200, res.Status)
		assert.Equal(t, requestID, res.RequestID)
		assert.False(t, res.Adopted)
		assert.NoError(t, res.Odd)
		assert.Equal(t, pinterest.RateLimit{
			Limit: 100, Remaining: 99, Reset: time.Second,
			Policy:   pinterest.RatePolicy{Name: "safety_net_app_id_user_id", Limit: 100, Window: time.Second},
			Policies: []pinterest.RatePolicy{{Name: "safety_net_app_id_user_id", Limit: 100, Window: time.Second}, {Name: "org_read_app_id_user_id", Limit: 1000, Window: time.Minute}},
		}, res.Rate)
	})
}

func TestRateHeadersNeverFailACall(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", ",", ";;;", "100;w=", "-1", "1e9", `100, 100;w=x;name=`, `"`, strings.Repeat("9", 400), "100, 100;w=99999999999999999999"} {
		s := newServer(t, okPin().with("X-Ratelimit-Limit", value, "X-Ratelimit-Remaining", value, "X-Ratelimit-Reset", value))
		assert.NoError(t, get(t.Context(), newClient(t, s)), value)
	}
}

func TestEventsComeInOrder(t *testing.T) {
	t.Parallel()
	t.Run("of a call with retries", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(429).with("Retry-After", "3"), okPin())
		var seen recorder
		require.NoError(t, get(t.Context(), newClient(t, s, pinterest.WithObserver(seen.observe))))
		assert.Equal(t, []string{"pins/get attempt", "pins/get attempt", "pins/get done"}, seen.words())
		events := seen.all()
		assert.Equal(t, 3*time.Second, events[0].Wait)
		assert.Equal(t, 2, events[2].Attempts)
		assert.NoError(t, events[2].Err)
		assert.Equal(t, 200, events[2].Attempt.Status)
	})
	t.Run("of a failed call", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(404))
		var seen recorder
		err := get(t.Context(), newClient(t, s, pinterest.WithObserver(seen.observe)))
		events := seen.all()
		require.Len(t, events, 2)
		assert.Equal(t, err, events[1].Err)
	})
	t.Run("of an ambiguous create", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(503), okPin())
		var seen recorder
		_, err := newClient(t, s, pinterest.WithObserver(seen.observe)).Pins.Create(t.Context(), pinCreate())
		require.NoError(t, err)
		words := seen.words()
		assert.Equal(t, "pins/create attempt", words[0], "an attempt is told of as it ends, before what follows it: %q", words)
		var own []string
		for _, w := range words {
			if strings.HasPrefix(w, "pins/create") {
				own = append(own, w)
			}
		}
		assert.Equal(t, "pins/create lookup", own[1], "%q", own)
		assert.Equal(t, []string{"pins/create attempt", "pins/create done"}, own[len(own)-2:])
	})
	t.Run("of an adopted create", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(503))
		s.onLookup(s.madePin())
		var seen recorder
		_, err := newClient(t, s, pinterest.WithObserver(seen.observe)).Pins.Create(t.Context(), pinCreate())
		require.NoError(t, err)
		events := seen.all()
		last := events[len(events)-1]
		assert.Equal(t, pinterest.EventDone, last.Type)
		assert.True(t, last.Found)
		assert.NoError(t, last.Err)
		for _, e := range events {
			if e.Type == pinterest.EventAttempt && e.Operation == "pins/create" {
				assert.Equal(t, pinterest.ClassUnavailable, e.Attempt.Class, "the attempt itself failed")
			}
		}
	})
	t.Run("of a refresh", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, fault(401, 2, "Authentication failed."), okPin()).onToken(answer(200, `{"access_token":"pina_new","refresh_token":"pinr.new","expires_in":2592000}`))
		cfg := refreshConfig()
		cfg.AccessToken = accessToken
		var seen recorder
		require.NoError(t, get(t.Context(), newBareClient(t, s, pinterest.WithRefreshToken(cfg), pinterest.WithObserver(seen.observe))))
		assert.Equal(t, []string{
			"pins/get attempt", "oauth/token attempt", "oauth/token done", "oauth/token refresh", "pins/get attempt", "pins/get done",
		}, seen.words())
	})
}

func TestLogContainsNoToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, reset(), fault(429, 8, "token "+accessToken), fault(503, 0, "Bearer "+accessToken), bare(404))
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	require.Error(t, get(t.Context(), newClient(t, s, pinterest.WithLogger(logger))))
	text := out.String()
	assert.NotContains(t, text, accessToken)
	assert.Contains(t, text, "pins/get")
	assert.Contains(t, text, requestID)
	assert.Equal(t, 3, strings.Count(text, `"level":"INFO"`), "waits are at Info:\n%s", text)
	assert.Equal(t, 1, strings.Count(text, `"level":"WARN"`), "the failure is at Warn:\n%s", text)
}
