package pinterest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

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

// blockingSource returns no token until it is released.
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
			for kind, call := range map[string]func(context.Context, *testClient) error{
				"read":   func(ctx context.Context, c *testClient) error { return get(ctx, c) },
				"delete": func(ctx context.Context, c *testClient) error { return c.Pins.Delete(ctx, pinID) },
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
	ctx, pass := context.WithCancel(t.Context())
	defer pass()
	s := newServer(t, hang(pass))
	err := promptly(t, func() error { return get(overdue{ctx}, newClient(t, s)) })
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, pinterest.ErrCanceled)
	assert.Equal(t, 1, s.count(toCall))
}

// overdue is a context whose deadline passes when the one in it is canceled.
type overdue struct{ context.Context }

func (o overdue) Err() error {
	if o.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

// Value hides what is in o from package context, which would cancel with its error.
func (overdue) Value(any) any { return nil }

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
			c := newClient(t, s, pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, AttemptTimeout: 2 * time.Second}))
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
	short := pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, AttemptTimeout: time.Second, MaxAttempts: 3})
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
		require.NoError(t, get(t.Context(), newClient(t, s), pinterest.AttemptTimeout(time.Second)))
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
