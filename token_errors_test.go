package pinterest_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestErrorOfATokenSource(t *testing.T) {
	t.Parallel()
	errVault := errors.New("the vault is sealed")
	s := newServer(t)
	err := get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(failingSource{errVault})))
	e := failure(t, err)
	assert.ErrorIs(t, err, errVault)
	assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
	assert.Equal(t, review, e.Disposition, "what a source of the caller's says only its owner can read")
	assert.Equal(t, pinterest.PhaseNotSent, e.Phase)
	assert.Empty(t, s.kinds())
}

func TestOAuth2SourceWhoseEndpointIsDownDoesNotDisconnect(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]reply{"500": bare(500), "429": bare(429), "reset": reset()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).onToken(st.always())
			err := get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(oauthSource(t, s))))
			e := failure(t, err)
			assert.NotEqual(t, reauthorize, e.Disposition)
			assert.Equal(t, park, e.Disposition)
			assert.NotErrorIs(t, err, pinterest.ErrUnauthenticated)
			assert.Zero(t, s.count(toCall))
		})
	}
}

func TestRefreshThatIsRefusedDisconnects(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]reply{"401/283": grantRefused, "400": answer(400, `{"error":"invalid_grant"}`)} {
		for when, change := range map[string]func(*pinterest.RefreshConfig){
			"after a 401":       nil,
			"at the first call": func(cfg *pinterest.RefreshConfig) { cfg.AccessToken = "" },
			"expired":           func(cfg *pinterest.RefreshConfig) { cfg.Expiry = time.Now().Add(-time.Hour) },
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, byToken()).onToken(st)
				a := newAccount(t, s, change)
				err := get(t.Context(), a.Client)
				e := failure(t, err)
				assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
				assert.Equal(t, reauthorize, e.Disposition)
				assert.Equal(t, "pins/get", e.Operation)
				assert.Empty(t, a.tokens())
				assert.Equal(t, 1, s.count(toToken))
				assertSlept(t, s, nil)
				if name == "401/283" {
					assert.Contains(t, err.Error(), "The authorization grant is invalid", "the cause is told")
				}
			})
		}
	}
}

func TestFailedRefreshIsShared(t *testing.T) {
	t.Parallel()
	const calls = 100
	s := newServer(t, byToken()).onToken(grantRefused.always())
	a := newAccount(t, s, nil)
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			err := get(t.Context(), a.Client)
			assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
			var e *pinterest.Error
			if assert.ErrorAs(t, err, &e) {
				assert.Equal(t, reauthorize, e.Disposition)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, s.count(toToken), "token calls")

	s.clock.advance(time.Minute)
	err := get(t.Context(), a.Client)
	require.ErrorIs(t, err, pinterest.ErrDisconnected)
	assert.Equal(t, 1, s.count(toToken), "the account is disconnected")
}

func TestTokenEndpointThatIsDownParks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reply reply
		class error
		calls int
		waits []time.Duration
		least time.Duration
	}{
		"500":                   {bare(500), pinterest.ErrServer, 5, serverWaits, time.Second},
		"503 HTML":              {html(503), pinterest.ErrUnavailable, 5, serverWaits, time.Second},
		"unanswered":            {reset(), pinterest.ErrTransport, 5, serverWaits, time.Second},
		"throttled":             {fault(429, 8, "slow"), pinterest.ErrThrottled, 5, throttleWaits, time.Second},
		"throttled for an hour": {fault(429, 8, "slow").with("Retry-After", "3600"), pinterest.ErrThrottled, 1, nil, time.Hour},
	}
	for name, tt := range tests {
		for when, change := range map[string]func(*pinterest.RefreshConfig){
			"after a 401":       nil,
			"at the first call": func(cfg *pinterest.RefreshConfig) { cfg.AccessToken = "" },
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, byToken()).onToken(tt.reply.always())
				a := newAccount(t, s, change)
				err := get(t.Context(), a.Client)
				e := failure(t, err)
				assert.Equal(t, park, e.Disposition)
				assert.ErrorIs(t, err, tt.class)
				assert.NotErrorIs(t, err, pinterest.ErrUnauthenticated)
				assert.GreaterOrEqual(t, e.RetryAt.Sub(s.clock.Now()), tt.least)
				assert.Equal(t, tt.calls, s.count(toToken))
				assertSlept(t, s, tt.waits)
			})
		}
	}
}

func TestStoreThatIsDown(t *testing.T) {
	t.Parallel()
	gone := errors.New("no connection to the database")
	for _, method := range []string{"Load", "Lock"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken()).onToken(granted())
			store := newTokenStore(t, oldToken())
			store.set(method, gone)
			app := storedApp(t, s, store)
			err := get(t.Context(), shop(app))
			require.ErrorIs(t, err, pinterest.ErrTokenStore)
			require.ErrorIs(t, err, gone)
			assert.Equal(t, park, failure(t, err).Disposition)
			assert.Zero(t, s.count(toToken))
			store.set(method, nil)
			s.clock.advance(2 * time.Second)
			require.NoError(t, get(t.Context(), shop(app)))
			store.set(method, gone)
			require.NoError(t, get(t.Context(), shop(app)), "a token in memory is good without the store")
		})
	}
}

// What does not say that the grant is dead marks nobody.
func TestWhatDoesNotDisconnect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call  reply
		token reply
		after pinterest.Disposition
		asks  int // token calls
	}{
		"403":                    {fault(403, 29, "You are not permitted to access that resource."), granted(), review, 0},
		"401/3":                  {fault(401, 3, "Your token does not have sufficient permissions"), granted(), fix, 0},
		"401/7":                  {fault(401, 7, "Not authorized to access board or Pin."), granted(), fix, 0},
		"401/29":                 {fault(401, 29, "You are not permitted to access that resource."), granted(), fix, 0},
		"a wrong app secret":     {refused, refused, review, 1},
		"token endpoint is down": {refused, bare(503), park, 1},
		"token endpoint is busy": {refused, fault(429, 8, "").with("Retry-After", "3600"), park, 1},
		"no answer":              {refused, hangUp(), park, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.call.always()).onToken(tt.token.always())
			store := newTokenStore(t, oldToken())
			var seen recorder
			app := storedApp(t, s, store, pinterest.WithObserver(seen.observe), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
			e := failure(t, get(t.Context(), shop(app)))
			assert.Equal(t, tt.after, e.Disposition)
			require.NotErrorIs(t, e, pinterest.ErrDisconnected)
			assert.Equal(t, tt.asks, s.count(toToken))
			assert.Nil(t, store.stored(t).Disconnected)
			assert.Equal(t, oldRefresh, store.stored(t).RefreshToken)
			assert.NotContains(t, seen.words(), "oauth/token disconnected")
		})
	}
}

// The token endpoint fails for half a minute. Calls are parked meanwhile, and
// then go on by themselves.
func TestTokenEndpointThatRecovers(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(bare(503).always())
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
	for range 10 {
		e := failure(t, get(t.Context(), shop(app)))
		assert.Equal(t, park, e.Disposition)
		assert.False(t, e.RetryAt.IsZero())
		s.clock.advance(3 * time.Second)
	}
	assert.Equal(t, 10, s.count(toToken))
	s.mu.Lock()
	s.scripts[toToken] = []reply{granted()}
	s.mu.Unlock()
	require.NoError(t, get(t.Context(), shop(app)))
}

// A refresh that hangs holds nobody who wants to leave, and ends by itself.
func TestRefreshThatHangs(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(reply{act: func(s *server, _ http.ResponseWriter, r *http.Request) { s.wait(r) }}, granted())
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store, pinterest.WithRetry(pinterest.RetryPolicy{AttemptTimeout: 3 * time.Second, Jitter: -1}))
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- get(ctx, shop(app)) }()
	require.Eventually(t, func() bool { return s.count(toToken) == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-left, pinterest.ErrCanceled)
	require.Eventually(t, func() bool { return store.stored(t).AccessToken == newAccess }, time.Minute, time.Millisecond, "the refresh outlives its caller")
	require.NoError(t, get(t.Context(), shop(app)))
	assert.Equal(t, 2, s.count(toToken))
}
