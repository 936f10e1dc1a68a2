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

// An access token without a refresh token was the caller's to choose: the account
// has to be connected, but nothing says that it was disconnected.
func TestAccessTokenAloneThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused, okPin(), refused)
	store := newTokenStore(t, pinterest.Token{AccessToken: accessToken, Expiry: time.Now().Add(-time.Hour)})
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for _, ok := range []bool{false, true, false} {
		err := get(t.Context(), shop(app))
		if ok {
			require.NoError(t, err, "the API takes it again")
			continue
		}
		require.ErrorIs(t, err, pinterest.ErrUnauthenticated)
		require.NotErrorIs(t, err, pinterest.ErrDisconnected)
		assert.Equal(t, reauthorize, failure(t, err).Disposition)
		assert.Nil(t, store.stored(t).Disconnected)
		again := get(t.Context(), shop(app))
		assert.Equal(t, reauthorize, failure(t, again).Disposition, "shared for a moment")
		s.clock.advance(2 * time.Second)
	}
	assert.Equal(t, []string{toCall, toCall, toCall}, s.kinds())
	assert.NotContains(t, seen.words(), "oauth/token disconnected")
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

// Two clients of one account, asked for one after the other, know of each
// other's creates: the twin of a create whose answer was lost does not adopt it.
func TestEqualCreatesOfTwoClients(t *testing.T) {
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
