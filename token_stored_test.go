package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// tokenStore is a store that fails on demand and writes down what is asked of it.
type tokenStore struct {
	*pinterest.MemoryTokenStore
	mu     sync.Mutex
	fail   map[string]error // by method
	saved  []pinterest.Token
	before func(tok *pinterest.Token) // a save
}

func newTokenStore(t *testing.T, tok pinterest.Token) *tokenStore {
	t.Helper()
	s := &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}
	_, err := s.MemoryTokenStore.Save(t.Context(), "shop-1", &tok)
	require.NoError(t, err)
	return s
}

func (s *tokenStore) failure(method string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail[method]
}

func (s *tokenStore) set(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[method] = err
}

func (s *tokenStore) Lock(ctx context.Context, account string) (func(), error) {
	if err := s.failure("Lock"); err != nil {
		return nil, err
	}
	return s.MemoryTokenStore.Lock(ctx, account)
}

func (s *tokenStore) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if err := s.failure("Load"); err != nil {
		return nil, err
	}
	return s.MemoryTokenStore.Load(ctx, account)
}

func (s *tokenStore) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	if s.before != nil {
		s.before(tok)
	}
	if err := s.failure("Save"); err != nil {
		return "", err
	}
	version, err := s.MemoryTokenStore.Save(ctx, account, tok)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.saved = append(s.saved, *tok)
	}
	return version, err
}

func (s *tokenStore) stored(t *testing.T) *pinterest.Token {
	t.Helper()
	tok, err := s.MemoryTokenStore.Load(t.Context(), "shop-1")
	require.NoError(t, err)
	return tok
}

// storedApp is an App of that store: one more process.
func storedApp(t *testing.T, s *server, store pinterest.TokenStore, opts ...pinterest.Option) *pinterest.App {
	t.Helper()
	app, err := pinterest.NewApp(append([]pinterest.Option{
		pinterest.WithTokenStore(store), pinterest.WithBaseURL(s.base()), pinterest.WithClock(s.clock), pinterest.WithRetry(exact),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: appID, ClientSecret: appSecret}),
	}, opts...)...)
	require.NoError(t, err)
	return app
}

func oldToken() pinterest.Token {
	return pinterest.Token{AccessToken: accessToken, RefreshToken: oldRefresh}
}

func shop(app *pinterest.App) *pinterest.Client { return app.Client("shop-1") }

func TestAccountThatWasNeverConnected(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	app := storedApp(t, s, pinterest.NewMemoryTokenStore())
	err := get(t.Context(), shop(app))
	require.ErrorIs(t, err, pinterest.ErrDisconnected)
	assert.Equal(t, reauthorize, failure(t, err).Disposition)
	assert.Empty(t, s.kinds())
}

func TestOneRefreshForAllClientsAndProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	store := newTokenStore(t, oldToken())
	apps := []*pinterest.App{storedApp(t, s, store), storedApp(t, s, store), storedApp(t, s, store)}
	var wg sync.WaitGroup
	for i := range 150 {
		wg.Go(func() { assert.NoError(t, get(t.Context(), shop(apps[i%3]))) })
	}
	wg.Wait()
	assert.Equal(t, 1, s.count(toToken))
	tok := store.stored(t)
	assert.Equal(t, newAccess, tok.AccessToken)
	assert.Equal(t, newRefresh, tok.RefreshToken)
	assert.WithinDuration(t, s.clock.Now().Add(60*24*time.Hour), tok.RefreshExpiry, time.Minute)
}

func TestRotatedTokenIsSavedBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	store := newTokenStore(t, oldToken())
	store.before = func(*pinterest.Token) {
		assert.NotContains(t, s.bearers(), "Bearer "+newAccess)
	}
	require.NoError(t, get(t.Context(), shop(storedApp(t, s, store))))
	assert.Len(t, store.saved, 1)
}

// A token that cannot be saved is heard of, kept in memory and saved by the next
// call; even a process that has met the spent refresh token meanwhile, and has
// marked the account, does not lose it.
func TestTokenThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	for name, otherMarks := range map[string]bool{"alone": false, "and another process marks the account": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken()).onToken(granted(), grantRefused)
			store := newTokenStore(t, oldToken())
			app := storedApp(t, s, store)
			full := errors.New("the disk is full")
			store.set("Save", full)
			for range 2 {
				err := get(t.Context(), shop(app))
				require.ErrorIs(t, err, pinterest.ErrTokenStore)
				require.ErrorIs(t, err, full)
				assert.Equal(t, review, failure(t, err).Disposition)
				assert.NotContains(t, fmt.Sprintf("%v %#v", err, err), newAccess)
			}
			assert.Equal(t, 1, s.count(toToken), "it is not refreshed again")
			store.set("Save", nil)
			if otherMarks {
				require.ErrorIs(t, get(t.Context(), shop(storedApp(t, s, store))), pinterest.ErrUnauthenticated)
				require.NotNil(t, store.stored(t).Disconnected)
			}
			require.NoError(t, get(t.Context(), shop(app)))
			tok := store.stored(t)
			assert.Nil(t, tok.Disconnected)
			assert.Equal(t, newRefresh, tok.RefreshToken)
		})
	}
}

// However long nobody calls for the account, the only copy of its token stays.
func TestTokenThatCannotBeSavedOutlivesIdleness(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store)
	store.set("Save", errors.New("the disk is full"))
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrTokenStore)
	for range 5 {
		s.clock.advance(time.Hour)
		for i := range 1000 { // other accounts, in every shard
			app.Client(fmt.Sprint("other-", i))
		}
		runtime.GC()
	}
	store.set("Save", nil)
	require.NoError(t, get(t.Context(), shop(app)))
	assert.Equal(t, 1, s.count(toToken))
	assert.Equal(t, newRefresh, store.stored(t).RefreshToken)
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

// A refused refresh token disconnects the account, once and for all processes,
// until it is connected again.
func TestAccountIsDisconnected(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(grantRefused)
	store := newTokenStore(t, oldToken())
	var seen recorder
	app, other := storedApp(t, s, store, pinterest.WithObserver(seen.observe)), storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	first := get(t.Context(), shop(app))
	require.ErrorIs(t, first, pinterest.ErrDisconnected)
	assert.Contains(t, first.Error(), "283", "the token endpoint's answer")
	for _, a := range []*pinterest.App{app, other, app, other} {
		requests := len(s.kinds())
		err := get(t.Context(), shop(a))
		require.ErrorIs(t, err, pinterest.ErrDisconnected)
		assert.Equal(t, reauthorize, failure(t, err).Disposition)
		assert.Contains(t, err.Error(), "283")
		assert.Len(t, s.kinds(), requests, "nothing is sent")
		s.clock.advance(2 * time.Second)
	}
	mark := store.stored(t).Disconnected
	require.NotNil(t, mark)
	assert.Contains(t, mark.Reason, "283")
	assert.False(t, mark.At.IsZero())
	events := slices.DeleteFunc(seen.all(), func(e pinterest.Event) bool { return e.Type != pinterest.EventDisconnected })
	require.Len(t, events, 1, "once")
	assert.Equal(t, "shop-1", events[0].Account)
	assert.ErrorIs(t, events[0].Err, pinterest.ErrDisconnected)

	// Another process connects it again.
	tok := store.stored(t)
	_, err := store.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: newAccess, RefreshToken: newRefresh, Version: tok.Version})
	require.NoError(t, err)
	s.clock.advance(2 * time.Second)
	require.NoError(t, get(t.Context(), shop(app)))
	require.NoError(t, get(t.Context(), shop(other)))
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
		"a wrong app secret":     {refused, refused, reauthorize, 1},
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

// The owner connects the account again while a refresh with the old token is
// refused: the new connection stands, and is used.
func TestNewConnectionWinsOverARefusedRefresh(t *testing.T) {
	t.Parallel()
	store := newTokenStore(t, oldToken())
	s := newServer(t, byToken()).onToken(reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		tok := store.stored(t)
		_, err := store.MemoryTokenStore.Save(context.Background(), "shop-1", &pinterest.Token{AccessToken: newAccess, RefreshToken: newRefresh, Version: tok.Version})
		assert.NoError(t, err)
		w.WriteHeader(grantRefused.status)
		_, _ = io.WriteString(w, grantRefused.body)
	}})
	require.NoError(t, get(t.Context(), shop(storedApp(t, s, store))))
	assert.Nil(t, store.stored(t).Disconnected)
	assert.Equal(t, newRefresh, store.stored(t).RefreshToken)
}

func TestAccessTokenAloneThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken())
	store := newTokenStore(t, pinterest.Token{AccessToken: accessToken, Expiry: time.Now().Add(-time.Hour)})
	app := storedApp(t, s, store)
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrDisconnected)
	assert.Equal(t, 1, s.count(toCall), "only the API can tell that a token which seems old is refused")
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrDisconnected)
	assert.Equal(t, 1, s.count(toCall))
}

// A clock that is wrong by an hour costs a refresh at the most.
func TestClockThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken()).onToken(granted())
			tok := oldToken()
			tok.Expiry = s.clock.Now().Add(-off) // by the clock of the process that saved it
			store := newTokenStore(t, tok)
			for range 10 {
				require.NoError(t, get(t.Context(), shop(storedApp(t, s, store))))
			}
			assert.Equal(t, 1, s.count(toToken))
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
	app := storedApp(t, s, store, pinterest.WithRetry(pinterest.RetryPolicy{AttemptTimeout: 300 * time.Millisecond, Jitter: -1}))
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- get(ctx, shop(app)) }()
	require.Eventually(t, func() bool { return s.count(toToken) == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-left, pinterest.ErrCanceled)
	require.Eventually(t, func() bool { return store.stored(t).AccessToken == newAccess }, 10*time.Second, time.Millisecond, "the refresh outlives its caller")
	require.NoError(t, get(t.Context(), shop(app)))
	assert.Equal(t, 2, s.count(toToken))
}

// A token is revoked in the middle of a hundred calls.
func TestTokenThatEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	valid, calls := accessToken, 0
	s := newServer(t, reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls == 50 {
			valid = newAccess
		}
		if r.Header.Get("Authorization") != "Bearer "+valid {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, refused.body)
			return
		}
		_, _ = io.WriteString(w, okPin().body)
	}}).onToken(granted())
	app := storedApp(t, s, newTokenStore(t, oldToken()))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { assert.NoError(t, get(t.Context(), shop(app))) })
	}
	wg.Wait()
	assert.Equal(t, 1, s.count(toToken))
}

func TestEventsOfAToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	tok := oldToken()
	tok.Scopes = []pinterest.Scope{"ads:read", "boards:read", "boards:write", "pins:read", "pins:write"}
	tok.RefreshExpiry = s.clock.Now().Add(10 * 24 * time.Hour)
	var seen recorder
	app := storedApp(t, s, newTokenStore(t, tok), pinterest.WithObserver(seen.observe))
	require.NoError(t, get(t.Context(), shop(app)))
	require.NoError(t, get(t.Context(), shop(app)))
	var expiring, lost []pinterest.Event
	for _, e := range seen.all() {
		switch e.Type {
		case pinterest.EventExpiring:
			expiring = append(expiring, e)
		case pinterest.EventScopesLost:
			lost = append(lost, e)
		default:
		}
	}
	require.Len(t, expiring, 1, "once a token")
	assert.Equal(t, 10*24*time.Hour, expiring[0].Wait)
	require.Len(t, lost, 1)
	assert.Equal(t, []pinterest.Scope{"ads:read"}, lost[0].Scopes)
	assert.Equal(t, "shop-1", lost[0].Account)
}

func TestScopesAreCheckedBeforeSending(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		granted []pinterest.Scope
		opts    []pinterest.Option
		missing string
	}{
		"one is missing":       {[]pinterest.Scope{"boards:read"}, nil, "pins:read"},
		"all are missing":      {[]pinterest.Scope{}, nil, "boards:read,pins:read"},
		"none is missing":      {[]pinterest.Scope{"boards:read", "pins:read"}, nil, ""},
		"it is not known":      {nil, nil, ""},
		"nobody wants to know": {[]pinterest.Scope{"ads:read"}, []pinterest.Option{pinterest.WithoutScopeCheck()}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always())
			tok := oldToken()
			tok.Scopes = tt.granted
			err := get(t.Context(), shop(storedApp(t, s, newTokenStore(t, tok), tt.opts...)))
			if tt.missing == "" {
				require.NoError(t, err)
				return
			}
			e := failure(t, err)
			require.ErrorIs(t, err, pinterest.ErrMissingScope)
			assert.Equal(t, tt.missing, e.RequiredScope)
			assert.Equal(t, fix, e.Disposition)
			assert.Empty(t, s.kinds())
		})
	}
}

// An owner who connects again to give more is heard of, whichever process it was.
func TestScopeThatIsGivenLater(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	tok := oldToken()
	tok.Scopes = []pinterest.Scope{"boards:read"}
	store := newTokenStore(t, tok)
	app := storedApp(t, s, store)
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrMissingScope)
	_, err := store.MemoryTokenStore.Save(t.Context(), "shop-1", &pinterest.Token{
		AccessToken: newAccess, RefreshToken: newRefresh, Scopes: []pinterest.Scope{"boards:read", "pins:read"}, Version: store.stored(t).Version,
	})
	require.NoError(t, err)
	s.clock.advance(2 * time.Second)
	require.NoError(t, get(t.Context(), shop(app)))
	assert.Equal(t, []string{"Bearer " + newAccess}, s.bearers())
}

func TestRefreshDueRefreshesWhatEndsSoon(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted().always())
	store := pinterest.NewMemoryTokenStore()
	now := s.clock.Now()
	for account, tok := range map[string]pinterest.Token{
		"access ends":   {Expiry: now.Add(6 * 24 * time.Hour), RefreshExpiry: now.Add(50 * 24 * time.Hour)},
		"refresh ends":  {Expiry: now.Add(20 * 24 * time.Hour), RefreshExpiry: now.Add(6 * 24 * time.Hour)},
		"both are good": {Expiry: now.Add(8 * 24 * time.Hour), RefreshExpiry: now.Add(50 * 24 * time.Hour)},
		"disconnected":  {Expiry: now, Disconnected: &pinterest.Disconnection{At: now, Reason: "x"}},
		"not known":     {},
	} {
		tok.AccessToken, tok.RefreshToken = accessToken, "pinr."+account
		_, err := store.Save(t.Context(), account, &tok)
		require.NoError(t, err)
	}
	app := storedApp(t, s, store)
	report, err := app.RefreshDue(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, report.Refreshed)
	assert.Empty(t, report.Failed)
	var refreshed []string
	for _, r := range s.received(toToken) {
		refreshed = append(refreshed, string(r.body))
	}
	assert.Len(t, refreshed, 2)
	for _, account := range []string{"access ends", "refresh ends"} {
		tok, err := store.Load(t.Context(), account)
		require.NoError(t, err)
		assert.Equal(t, newRefresh, tok.RefreshToken, account)
	}
	again, err := app.RefreshDue(t.Context())
	require.NoError(t, err)
	assert.Zero(t, again.Refreshed)
	assert.Equal(t, 2, s.count(toToken))
}

func TestRefreshDueOfManyAccounts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer    reply
		refreshed int
		failed    int // at least
		calls     int // at most
		err       string
	}{
		"all is well":          {granted(), 60, 0, 60, ""},
		"every grant is dead":  {grantRefused, 0, 60, 60, ""},
		"the endpoint is down": {bare(503), 0, 20, 30, "seems to be down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).onToken(tt.answer.always())
			store := pinterest.NewMemoryTokenStore()
			for i := range 60 {
				tok := pinterest.Token{AccessToken: accessToken, RefreshToken: fmt.Sprint("pinr.", i), Expiry: s.clock.Now()}
				_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
				require.NoError(t, err)
			}
			began := s.clock.Now()
			report, err := storedApp(t, s, store, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1})).RefreshDue(t.Context())
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
			} else {
				require.NoError(t, err)
				assert.GreaterOrEqual(t, s.clock.Now().Sub(began), 60*50*time.Millisecond, "paced")
			}
			assert.Equal(t, tt.refreshed, report.Refreshed)
			assert.GreaterOrEqual(t, len(report.Failed), tt.failed)
			assert.LessOrEqual(t, s.count(toToken), tt.calls)
			for account, err := range report.Failed {
				require.Error(t, failure(t, err))
				assert.Equal(t, tt.err == "", errors.Is(err, pinterest.ErrDisconnected), account)
			}
		})
	}
}

func TestRefreshDueOfTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t).onToken(granted().always())
	store := pinterest.NewMemoryTokenStore()
	for i := range 30 {
		tok := pinterest.Token{AccessToken: accessToken, RefreshToken: fmt.Sprint("pinr.", i), Expiry: s.clock.Now()}
		_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
		require.NoError(t, err)
	}
	var wg sync.WaitGroup
	for range 2 {
		app := storedApp(t, s, store)
		wg.Go(func() {
			_, err := app.RefreshDue(t.Context())
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Equal(t, 30, s.count(toToken), "one token call an account")
}

func TestDisconnectForgetsTheAccount(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store)
	require.NoError(t, get(t.Context(), shop(app)))
	require.NoError(t, app.OAuth.Disconnect(t.Context(), "shop-1"))
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrDisconnected)
	assert.Nil(t, store.stored(t))
}

// Two clients of one account, asked for one after the other, know of each
// other's creates: the twin of a create whose answer was lost does not adopt it.
func TestTwinCreatesOfTwoClients(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	store := pinterest.NewMemoryTokenStore()
	_, err := store.Save(t.Context(), "alice", &pinterest.Token{AccessToken: s.alice.AccessToken})
	require.NoError(t, err)
	app, err := pinterest.NewApp(pinterest.WithTokenStore(store), pinterest.WithBaseURL(s.srv.URL), pinterest.WithClock(s.clock),
		pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1}))
	require.NoError(t, err)
	first, err := app.Client("alice").Pins.Create(t.Context(), s.pin())
	require.NoError(t, err)
	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
	second, err := app.Client("alice").Pins.Create(t.Context(), s.pin())
	require.NoError(t, err)
	assert.NotEqual(t, first.ID, second.ID)
	assert.Len(t, s.ids(), 2)
}
