package pinterest_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
)

// These tests are of logins in which something fails.

// connectShop answers a new login of shop-1 with a code.
func connectShop(ctx context.Context, t *testing.T, app *pinterest.App) (*pinterest.Connection, error) {
	t.Helper()
	login, err := app.OAuth.Login("shop-1")
	require.NoError(t, err)
	return app.OAuth.Callback(ctx, answerTo(t, login, "code=abcd"), "shop-1")
}

// failingTimes is a store whose Load or Save fails so often, for names with a prefix.
type failingTimes struct {
	*pinterest.MemoryTokenStore
	prefix       string
	loads, saves int
	lost         int // so many answers of saves are lost
}

var errReset = errors.New("connection reset by peer")

func (s *failingTimes) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if strings.HasPrefix(account, s.prefix) && s.loads > 0 {
		s.loads--
		return nil, errReset
	}
	return s.MemoryTokenStore.Load(ctx, account)
}

func (s *failingTimes) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	if strings.HasPrefix(account, s.prefix) && s.saves > 0 {
		s.saves--
		return "", errReset
	}
	version, err := s.MemoryTokenStore.Save(ctx, account, tok)
	if strings.HasPrefix(account, s.prefix) && s.lost > 0 {
		s.lost--
		return "", errReset
	}
	return version, err
}

// A code can be exchanged once, so a store that fails for a moment is tried again, at
// each of its calls.
func TestLoginAndAStoreThatFailsForAMoment(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]failingTimes{
		"a load of the account": {prefix: "shop-", loads: 3},
		"a save of the account": {prefix: "shop-", saves: 3},
		"the answer of a save":  {prefix: "shop-", lost: 2},
		"a load of the login":   {prefix: "pinterest:", loads: 3},
		"a save of the login":   {prefix: "pinterest:", saves: 3},
		"the answer of that":    {prefix: "pinterest:", lost: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store.MemoryTokenStore = pinterest.NewMemoryTokenStore()
			conn, err := connectShop(t.Context(), t, oauthApp(t, newServer(t, userIs("1", "alice")).onToken(fresh()), &store))
			require.NoError(t, err)
			tok, err := store.Load(t.Context(), "shop-1")
			require.NoError(t, err)
			require.NotNil(t, tok)
			assert.Equal(t, newAccess, tok.AccessToken)
			assert.Equal(t, tok.Version, conn.Token.Version)
		})
	}
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		store := &failingTimes{MemoryTokenStore: pinterest.NewMemoryTokenStore(), prefix: "shop-", saves: 1 << 30}
		s := newServer(t, userIs("1", "alice")).onToken(fresh())
		began := s.clock.Now()
		_, err := connectShop(t.Context(), t, oauthApp(t, s, store))
		require.ErrorIs(t, err, pinterest.ErrTokenStore)
		require.ErrorIs(t, err, errReset)
		require.ErrorContains(t, err, "connect the account again")
		assert.LessOrEqual(t, s.clock.Now().Sub(began), 10*time.Second)
		assert.Less(t, 1<<30-store.saves, 30, "with pauses")
	})
}

// onlyTokenCalls is the Wait of a limiter that is shut for all others.
func onlyTokenCalls(_ context.Context, p pinterest.Permit) error {
	if p.Priority > pinterest.PriorityInteractive {
		return nil
	}
	return pinterest.NewPaceError(pinterest.PaceWait{Reason: pinterest.PaceHeld, Until: time.Now().Add(time.Hour)}, nil)
}

// The owner of a disconnected account connects it again while Pinterest throttles. A
// fresh token is not thrown away because nobody can read at once whose it is.
func TestLoginWhilePinterestThrottles(t *testing.T) {
	t.Parallel()
	known := oldToken()
	known.User = &pinterest.PinterestUser{ID: "1", Username: "alice"}
	known.Disconnected = &pinterest.Disconnection{Reason: "refused"}
	throttled := fault(429, 8, "You have exceeded your rate limit.")
	tests := map[string]struct {
		stored  pinterest.Token
		answers []reply
		change  bool
		saved   bool
		user    string
	}{
		"for a moment":               {known, []reply{throttled, answer(500, ""), hangUp(), userIs("1", "alice")}, false, true, "alice"},
		"for good, a known user":     {known, []reply{throttled.always()}, false, false, ""},
		"for good, any user allowed": {known, []reply{throttled.always()}, true, true, ""},
		"for good, no user known":    {oldToken(), []reply{throttled.always()}, false, true, ""},
		"then another user":          {known, []reply{throttled, userIs("2", "bob")}, false, false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newTokenStore(t, tt.stored)
			s := newServer(t, tt.answers...).onToken(fresh())
			limiter := &fakeLimiter{wait: onlyTokenCalls}
			app := oauthApp(t, s, store, pinterest.WithLimiter(limiter), pinterest.WithOAuth(pinterest.OAuth{
				ClientID: appID, ClientSecret: appSecret, RedirectURL: "https://scheduler.example/callback",
				Scopes: pinterest.ScopesFor(pinterest.OpUserAccountGet), AllowUserChange: tt.change,
			}))
			began := s.clock.Now()
			conn, err := connectShop(t.Context(), t, app)
			assert.LessOrEqual(t, s.clock.Now().Sub(began), 20*time.Second)
			assert.Less(t, s.count(toCall), 15, "with pauses")
			stored := store.stored(t)
			if !tt.saved {
				require.Error(t, err)
				assert.Equal(t, tt.stored.AccessToken, stored.AccessToken, "jobs do not go on as somebody else")
				assert.Contains(t, failure(t, err).UserMessage(), "The Pinterest account was not connected.")
				if name != "then another user" {
					e := failure(t, err)
					assert.Equal(t, pinterest.DispositionPark, e.Disposition)
					require.ErrorIs(t, err, pinterest.ErrThrottled)
					require.ErrorContains(t, err, "connect it again")
				}
				return
			}
			require.NoError(t, err)
			assert.Equal(t, newAccess, stored.AccessToken)
			assert.Nil(t, stored.Disconnected)
			if tt.user != "" {
				assert.Equal(t, tt.user, conn.User.Username)
			} else {
				assert.Nil(t, conn.User)
			}
		})
	}
}

func aeadOf(t *testing.T, key byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher([]byte("0123456789abcde" + string(key)))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	return aead
}

// A key is lost, and the operator asks the owners to connect again. What the library has
// stored for itself under that key is in nobody's way.
func TestLoginAfterAKeyWasLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newServer(t, userIs("1", "alice").always()).onToken(fresh().always())
	open := func(key byte) (*filestore.Store, *pinterest.App) {
		store, err := filestore.Open(dir, filestore.WithAEAD(aeadOf(t, key)))
		require.NoError(t, err)
		return store, oauthApp(t, s, store, pinterest.WithoutPacing())
	}
	store, app := open('a')
	records := func() (n int) {
		for name, err := range store.Accounts(t.Context()) {
			require.NoError(t, err)
			if strings.HasPrefix(name, "pinterest:logins:") {
				n++
			}
		}
		return n
	}
	for records() < 200 { // of 256
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		_, err = app.OAuth.Callback(t.Context(), answerTo(t, login, "error=access_denied"), "shop-1")
		require.ErrorIs(t, err, pinterest.ErrAccessDenied)
	}
	runOnce := func(app *pinterest.App) {
		ctx, stop := context.WithCancel(t.Context())
		runs := 0
		err := app.RefreshEvery(ctx, time.Hour, func(_ pinterest.RefreshReport, err error) {
			assert.NoError(t, err)
			runs++
			stop()
		})
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 1, runs)
	}
	runOnce(app)

	next, app := open('b')
	_, err := next.Load(t.Context(), "pinterest:refresh-due")
	require.ErrorIs(t, err, pinterest.ErrTokenUnreadable)
	for _, err := range next.Due(t.Context(), s.clock.Now().Add(time.Hour)) {
		require.NoError(t, err)
	}
	_, err = app.RefreshDue(t.Context())
	require.NoError(t, err)
	_, err = next.Reencrypt(t.Context())
	require.NoError(t, err)
	for range 20 {
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		_, err = app.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-1")
		require.NoError(t, err)
		_, err = app.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-1")
		require.ErrorIs(t, err, pinterest.ErrState)
	}
	runOnce(app)
}

// The token of an account that cannot be read stays: a new connection does not replace
// it, because it may be that of another user.
func TestUnreadableAccountIsNotReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, err := filestore.Open(dir, filestore.WithAEAD(aeadOf(t, 'a')))
	require.NoError(t, err)
	tok := oldToken()
	_, err = old.Save(t.Context(), "shop-1", &tok)
	require.NoError(t, err)
	next, err := filestore.Open(dir, filestore.WithAEAD(aeadOf(t, 'b')))
	require.NoError(t, err)
	_, err = connectShop(t.Context(), t, oauthApp(t, newServer(t, userIs("1", "alice")).onToken(fresh()), next))
	require.ErrorIs(t, err, pinterest.ErrTokenStore)
	require.ErrorIs(t, err, pinterest.ErrTokenUnreadable)
	stored, err := old.Load(t.Context(), "shop-1")
	require.NoError(t, err)
	assert.Equal(t, accessToken, stored.AccessToken)
}

// The browser keeps the cookie of a login that can still be answered, by another
// process or after another try.
func TestCookieOfALoginThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	session := func(name string, err error) func(*http.Request) (string, error) {
		return func(*http.Request) (string, error) { return name, err }
	}
	for name, tt := range map[string]struct {
		session func(*http.Request) (string, error)
		prepare func(t *testing.T, app *pinterest.App, store *tokenStore)
		is      error
		kept    bool
	}{
		"the app is shut down": {
			session("shop-1", nil), func(t *testing.T, app *pinterest.App, _ *tokenStore) { require.NoError(t, app.Shutdown(t.Context())) }, pinterest.ErrShutdown, true,
		},
		"no session":       {session("", errReset), nil, pinterest.ErrState, true},
		"another session":  {session("shop-2", nil), nil, pinterest.ErrState, true},
		"an empty session": {session("", nil), nil, pinterest.ErrState, true},
		"the store fails":  {session("shop-1", nil), func(_ *testing.T, _ *pinterest.App, store *tokenStore) { store.set("Load", errReset) }, pinterest.ErrTokenStore, true},
		"it was answered":  {session("shop-1", nil), nil, nil, false},
		"it cannot be saved": {session("shop-1", nil), func(_ *testing.T, _ *pinterest.App, store *tokenStore) {
			store.before = func(tok *pinterest.Token) {
				if tok.AccessToken == newAccess {
					store.set("Save", errReset)
				}
			}
		}, pinterest.ErrTokenStore, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, userIs("1", "alice").always()).onToken(fresh().always())
			store := newTokenStore(t, oldToken())
			app, second := oauthApp(t, s, store), oauthApp(t, s, store)
			login, err := app.OAuth.Login("shop-1")
			require.NoError(t, err)
			if tt.prepare != nil {
				tt.prepare(t, app, store)
			}
			w := httptest.NewRecorder()
			app.OAuth.CallbackHandler(tt.session, func(_ http.ResponseWriter, _ *http.Request, _ *pinterest.Connection, err error) {
				require.ErrorIs(t, err, tt.is)
			}).ServeHTTP(w, answerTo(t, login, "code=abcd"))
			if !tt.kept {
				require.Len(t, w.Result().Cookies(), 1)
				assert.Negative(t, w.Result().Cookies()[0].MaxAge)
				return
			}
			assert.Empty(t, w.Result().Cookies())
			store.set("Load", nil)
			_, err = second.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-1")
			require.NoError(t, err)
		})
	}
	t.Run("it is over", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		app := oauthApp(t, s, newTokenStore(t, oldToken()))
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		s.clock.advance(11 * time.Minute)
		w := httptest.NewRecorder()
		app.OAuth.CallbackHandler(session("shop-1", nil), func(http.ResponseWriter, *http.Request, *pinterest.Connection, error) {}).
			ServeHTTP(w, answerTo(t, login, "code=abcd"))
		require.Len(t, w.Result().Cookies(), 1)
		assert.Negative(t, w.Result().Cookies()[0].MaxAge)
	})
}

// leavingStore runs a function before a record of logins is read.
type leavingStore struct {
	*pinterest.MemoryTokenStore
	leave func()
}

func (s *leavingStore) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if strings.HasPrefix(account, "pinterest:logins:") {
		s.leave()
	}
	return s.MemoryTokenStore.Load(ctx, account)
}

// A browser that leaves is no failure of the store.
func TestBrowserLeavesBeforeTheCodeIsUsed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx, leave := context.WithCancel(t.Context())
	_, err := connectShop(ctx, t, oauthApp(t, s, &leavingStore{pinterest.NewMemoryTokenStore(), leave}))
	require.ErrorIs(t, err, pinterest.ErrCanceled)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, pinterest.ErrTokenStore)
	assert.Empty(t, s.kinds(), "the code can be exchanged yet")
}

// A session function that returns "" for whoever is not logged in would connect the
// account of all of them.
func TestAccountWithoutAName(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	app := oauthApp(t, s, pinterest.NewMemoryTokenStore())
	_, login := app.OAuth.Login("")
	for name, err := range map[string]error{"a login": login, "a disconnection": app.OAuth.Disconnect(t.Context(), "")} {
		require.ErrorIs(t, err, pinterest.ErrInvalid, name)
		require.ErrorContains(t, err, "account", name)
	}
	begun, err := app.OAuth.Login("shop-1")
	require.NoError(t, err)
	_, err = app.OAuth.Callback(t.Context(), answerTo(t, begun, "code=abcd"), "")
	require.ErrorIs(t, err, pinterest.ErrState)
	w := httptest.NewRecorder()
	app.OAuth.LoginHandler(func(*http.Request) (string, error) { return "", nil }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login", nil))
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Empty(t, s.kinds())

	single, err := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithBaseURL(s.URL+"/v5"))
	require.NoError(t, err)
	require.NoError(t, get(t.Context(), single), "the client of New has no name")
}
