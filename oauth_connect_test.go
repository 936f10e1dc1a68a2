package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// answerTo is the request of a browser that comes back from the login with a code.
func answerTo(t *testing.T, login *pinterest.Login, query string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/callback?"+query+"&state="+mustQuery(t, login.URL).Get("state"), nil)
	r.AddCookie(login.Cookie)
	return r
}

// oauthApp is an App that can connect accounts.
func oauthApp(t *testing.T, s *server, store pinterest.TokenStore, opts ...pinterest.Option) *pinterest.App {
	t.Helper()
	return storedApp(t, s, store, append([]pinterest.Option{pinterest.WithOAuth(pinterest.OAuth{
		ClientID: appID, ClientSecret: appSecret, RedirectURL: "https://scheduler.example/callback",
		Scopes: pinterest.ScopesFor(pinterest.OpPinsCreate, pinterest.OpUserAccountGet),
	})}, opts...)...)
}

// fresh is the token endpoint's answer to a code.
func fresh() reply {
	return answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","expires_in":2592000}`)
}

func userIs(id, name string) reply {
	return answer(200, `{"id":"`+id+`","username":"`+name+`"}`)
}

// A page of a sibling subdomain plants the cookie of a login that its owner has begun,
// and sends the victim to Pinterest. The victim's Pinterest account must not be
// connected to the attacker's.
func TestCookieThatAnotherPlanted(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	attacker, victim := browser(t), browser(t)
	s.signIn(attacker, "attacker")
	_, login := s.open(attacker, s.web.URL+"/login")
	home, err := url.Parse(s.web.URL)
	require.NoError(t, err)
	planted := loginCookies(attacker.Jar.Cookies(home))
	require.Len(t, planted, 1)
	s.signIn(victim, "victim")
	victim.Jar.SetCookies(home, planted)
	back, err := s.srv.Authorize(login, s.alice) // the victim gives access
	require.NoError(t, err)
	calls := s.srv.CountTokenCalls(pinteresttest.Account{}, "")

	s.open(victim, back)
	require.ErrorIs(t, s.err, pinterest.ErrState)
	assert.Equal(t, reauthorize, failure(t, s.err).Disposition)
	assert.Equal(t, calls, s.srv.CountTokenCalls(pinteresttest.Account{}, ""), "no token call")
	for _, account := range []string{"attacker", "victim"} {
		tok, err := s.store.Load(t.Context(), account)
		require.NoError(t, err)
		assert.Nil(t, tok, account)
		assert.NotContains(t, s.err.Error(), account)
	}

	nobody := browser(t)
	nobody.Jar.SetCookies(home, planted)
	s.open(nobody, back)
	require.ErrorIs(t, s.err, pinterest.ErrState)
	require.ErrorContains(t, s.err, "no session")
}

// Over http anyone can plant cookies of the same name as well. They do not hide the
// browser's own.
func TestPlantedCookieHidesNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, userIs("1", "alice")).onToken(fresh())
	app := oauthApp(t, s, pinterest.NewMemoryTokenStore())
	login, err := app.OAuth.Login("shop-1")
	require.NoError(t, err)
	other, err := app.OAuth.Login("attacker")
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "/callback?code=abcd&state="+mustQuery(t, login.URL).Get("state"), nil)
	for _, value := range []string{"", "garbage", other.Cookie.Value, login.Cookie.Value} {
		r.AddCookie(&http.Cookie{Name: login.Cookie.Name, Value: value})
	}
	_, err = app.OAuth.Callback(t.Context(), r, "shop-1")
	require.NoError(t, err)
}

// A session with several accounts asks for the account of the login.
func TestLoginAccount(t *testing.T) {
	t.Parallel()
	app := oauthApp(t, newServer(t), pinterest.NewMemoryTokenStore())
	login, err := app.OAuth.Login("shop-2")
	require.NoError(t, err)
	r := answerTo(t, login, "code=abcd")
	for range 2 {
		account, err := app.OAuth.LoginAccount(r)
		require.NoError(t, err)
		assert.Equal(t, "shop-2", account)
	}
	_, err = app.OAuth.LoginAccount(httptest.NewRequest(http.MethodGet, "/callback?code=abcd&state=efgh", nil))
	require.ErrorIs(t, err, pinterest.ErrState)
	assert.Equal(t, reauthorize, failure(t, err).Disposition)
}

// hookedStore runs a function before each save of an account's token.
type hookedStore struct {
	*pinterest.MemoryTokenStore
	before func(ctx context.Context, account string) error
}

func (s *hookedStore) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	if strings.HasPrefix(account, "shop-") {
		if err := s.before(ctx, account); err != nil {
			return "", err
		}
	}
	return s.MemoryTokenStore.Save(ctx, account, tok)
}

// A code can be exchanged once: whatever else happens, its token is saved.
func TestFreshTokenIsSaved(t *testing.T) {
	t.Parallel()
	connect := func(ctx context.Context, t *testing.T, app *pinterest.App) (*pinterest.Connection, error) {
		t.Helper()
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		return app.OAuth.Callback(ctx, answerTo(t, login, "code=abcd"), "shop-1")
	}
	t.Run("the account is locked elsewhere", func(t *testing.T) {
		t.Parallel()
		store := newTokenStore(t, oldToken())
		unlock, err := store.Lock(t.Context(), "shop-1")
		require.NoError(t, err)
		defer unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // as long as a browser would wait
		defer cancel()
		_, err = connect(ctx, t, oauthApp(t, newServer(t, userIs("1", "alice")).onToken(fresh()), store))
		require.NoError(t, err)
		assert.Equal(t, newAccess, store.stored(t).AccessToken)
	})
	t.Run("a refresh elsewhere saves first", func(t *testing.T) {
		t.Parallel()
		store := &hookedStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
		times := 0
		store.before = func(ctx context.Context, account string) error {
			if times++; times > 3 {
				return nil
			}
			tok, err := store.Load(ctx, account)
			require.NoError(t, err)
			if tok == nil {
				tok = &pinterest.Token{}
			}
			tok.AccessToken = fmt.Sprintf("refreshed-%d", times)
			_, err = store.MemoryTokenStore.Save(ctx, account, tok)
			return err
		}
		conn, err := connect(t.Context(), t, oauthApp(t, newServer(t, userIs("1", "alice")).onToken(fresh()), store))
		require.NoError(t, err)
		tok, err := store.Load(t.Context(), "shop-1")
		require.NoError(t, err)
		assert.Equal(t, newAccess, tok.AccessToken)
		assert.Equal(t, tok.Version, conn.Token.Version)
	})
	for name, at := range map[string]string{"during the token call": toToken, "while the user is read": toCall} {
		t.Run("the browser leaves "+name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			leaving := func(kind string, st reply) reply {
				return reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
					if kind == at {
						leave()
					}
					_, _ = io.WriteString(w, st.body)
				}}
			}
			store := newTokenStore(t, oldToken())
			app := oauthApp(t, newServer(t, leaving(toCall, userIs("1", "alice"))).onToken(leaving(toToken, fresh())), store)
			_, err := connect(ctx, t, app)
			require.NoError(t, err)
			require.Error(t, ctx.Err())
			assert.Equal(t, newAccess, store.stored(t).AccessToken)
			assert.Equal(t, "alice", store.stored(t).User.Username)
		})
	}
	t.Run("the browser has left before", func(t *testing.T) {
		t.Parallel()
		ctx, leave := context.WithCancel(t.Context())
		leave()
		s := newServer(t)
		_, err := connect(ctx, t, oauthApp(t, s, newTokenStore(t, oldToken())))
		require.ErrorIs(t, err, pinterest.ErrCanceled)
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, s.kinds(), "the code can be exchanged yet")
	})
	t.Run("the store does not answer", func(t *testing.T) {
		t.Parallel()
		var left time.Duration
		store := &hookedStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
		store.before = func(ctx context.Context, _ string) error {
			end, ok := ctx.Deadline()
			assert.True(t, ok, "the save has a bound")
			left = time.Until(end)
			return context.DeadlineExceeded
		}
		_, err := connect(t.Context(), t, oauthApp(t, newServer(t, userIs("1", "alice")).onToken(fresh()), store))
		require.ErrorIs(t, err, pinterest.ErrTokenStore)
		assert.LessOrEqual(t, left, 10*time.Second)
	})
	t.Run("the token is always changed by another", func(t *testing.T) {
		t.Parallel()
		store := &hookedStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
		store.before = func(context.Context, string) error { return pinterest.ErrTokenConflict }
		_, err := connect(t.Context(), t, oauthApp(t, newServer(t, userIs("1", "alice")).onToken(fresh()), store))
		require.ErrorIs(t, err, pinterest.ErrTokenStore)
		require.ErrorContains(t, err, "others have changed the record again and again")
	})
}

// A login is answered once by all processes that share the store, whatever the
// answer was.
func TestStateIsUsedOnceInTheFleet(t *testing.T) {
	t.Parallel()
	memory := func(t *testing.T) func() pinterest.TokenStore {
		store := pinterest.NewMemoryTokenStore()
		return func() pinterest.TokenStore { return store }
	}
	files := func(t *testing.T) func() pinterest.TokenStore {
		dir := t.TempDir()
		return func() pinterest.TokenStore {
			store, err := filestore.Open(dir)
			require.NoError(t, err)
			return store
		}
	}
	for name, open := range map[string]func(*testing.T) func() pinterest.TokenStore{"memory": memory, "files": files} {
		for kind, first := range map[string]string{"after a connection": "code=abcd", "after a refusal": "error=access_denied", "after a failure": "code=wrong"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				store := open(t)
				s := newServer(t, userIs("1", "alice"))
				if first == "code=wrong" {
					s.onToken(grantRefused)
				} else {
					s.onToken(fresh())
				}
				one, two := oauthApp(t, s, store()), oauthApp(t, s, store())
				login, err := one.OAuth.Login("shop-1")
				require.NoError(t, err)
				_, _ = one.OAuth.Callback(t.Context(), answerTo(t, login, first), "shop-1")
				calls := len(s.kinds())
				_, err = two.OAuth.Callback(t.Context(), answerTo(t, login, "code=efgh"), "shop-1")
				require.ErrorIs(t, err, pinterest.ErrState)
				assert.Len(t, s.kinds(), calls, "nothing was sent")
			})
		}
		t.Run(name+", at once", func(t *testing.T) {
			t.Parallel()
			store := open(t)
			s := newServer(t, userIs("1", "alice").always()).onToken(fresh().always())
			login, err := oauthApp(t, s, store()).OAuth.Login("shop-1")
			require.NoError(t, err)
			var connected atomic.Int64
			var group sync.WaitGroup
			for range 8 {
				app := oauthApp(t, s, store())
				group.Go(func() {
					_, err := app.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-1")
					if err == nil {
						connected.Add(1)
						return
					}
					assert.ErrorIs(t, err, pinterest.ErrState)
				})
			}
			group.Wait()
			assert.EqualValues(t, 1, connected.Load())
			assert.Equal(t, 1, s.count(toToken))
		})
	}
}

// countingStore counts the records that it has and the bytes that are written.
type countingStore struct {
	*pinterest.MemoryTokenStore
	calls, bytes int
	names        map[string]bool
}

func (s *countingStore) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	s.calls++
	return s.MemoryTokenStore.Load(ctx, account)
}

func (s *countingStore) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	s.calls++
	s.bytes = len(tok.AccessToken)
	s.names[account] = true
	return s.MemoryTokenStore.Save(ctx, account, tok)
}

// What is remembered of logins does not grow, and no callback pays for those before.
func TestStatesThatWereUsed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := &countingStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), names: map[string]bool{}}
	app := oauthApp(t, s, store)
	answerOne := func() (calls, bytes int) {
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		store.calls = 0
		_, err = app.OAuth.Callback(t.Context(), answerTo(t, login, "error=access_denied"), "shop-1")
		require.ErrorIs(t, err, pinterest.ErrAccessDenied)
		return store.calls, store.bytes
	}
	for range 4000 {
		calls, bytes := answerOne()
		require.Equal(t, 2, calls, "one load and one save")
		require.Less(t, bytes, 2000)
	}
	assert.LessOrEqual(t, len(store.names), 256)
	s.clock.advance(21 * time.Minute)
	for range 100 {
		_, bytes := answerOne()
		assert.Less(t, bytes, 200, "what is over is forgotten")
	}
	for account, err := range store.Due(t.Context(), s.clock.Now().Add(1000*time.Hour)) {
		require.NoError(t, err)
		t.Errorf("%q is due", account)
	}
}

// A process whose clock is ahead does not forget a login that others still accept.
func TestStatesAndClocks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	store := pinterest.NewMemoryTokenStore()
	ahead := newClock()
	ahead.advance(19 * time.Minute)
	slow, fast := oauthApp(t, s, store), oauthApp(t, s, store, pinterest.WithClock(ahead))
	login, err := slow.OAuth.Login("shop-1")
	require.NoError(t, err)
	_, err = slow.OAuth.Callback(t.Context(), answerTo(t, login, "error=access_denied"), "shop-1")
	require.ErrorIs(t, err, pinterest.ErrAccessDenied)
	for range 3000 { // so many that some are remembered in the same record
		other, err := fast.OAuth.Login("shop-2")
		require.NoError(t, err)
		_, err = fast.OAuth.Callback(t.Context(), answerTo(t, other, "error=access_denied"), "shop-2")
		require.ErrorIs(t, err, pinterest.ErrAccessDenied)
	}
	_, err = slow.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-1")
	require.ErrorIs(t, err, pinterest.ErrState)
}

func TestStateAndAStoreThatFails(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Load", "Save"} {
		s := newServer(t)
		store := newTokenStore(t, oldToken())
		app := oauthApp(t, s, store)
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		store.set(method, errors.New("the disk is full"))
		_, err = app.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-1")
		require.ErrorIs(t, err, pinterest.ErrTokenStore)
		require.ErrorContains(t, err, "the disk is full")
		assert.Empty(t, s.kinds(), "no code is exchanged")
	}
}

// Names that are not valid UTF-8 could become one name, and some names are the
// library's own.
func TestNamesThatNoAccountCanHave(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{"bytes": "shop-\xff", "cut": "shop-\xe2\x82", "reserved": "pinterest:logins:3f", "the schedule": "pinterest:refresh-due"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			app := oauthApp(t, s, pinterest.NewMemoryTokenStore(), pinterest.WithLedger(pinterest.NewMemoryLedger()))
			c := app.Client(bad)
			ctx := t.Context()
			_, login := app.OAuth.Login(bad)
			_, conversion := app.OAuth.ConversionToken(ctx, bad)
			_, usage := app.Usage(ctx, bad)
			_, once := c.Pins.CreateOnce(ctx, "job", pinCreate())
			_, client := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithAccount(bad))
			var list error
			for _, err := range c.Boards.All(ctx, nil) {
				list = err
			}
			for entry, err := range map[string]error{
				"App.Client": get(ctx, c), "a list": list, "a key": once, "a login": login, "a disconnection": app.OAuth.Disconnect(ctx, bad),
				"a conversion token": conversion, "the usage": usage, "WithAccount": client,
			} {
				require.ErrorIs(t, err, pinterest.ErrInvalid, entry)
				assert.Contains(t, err.Error(), "account", entry)
			}
			assert.Equal(t, fix, failure(t, get(ctx, c)).Disposition)
			assert.Equal(t, fix, failure(t, login).Disposition)
			assert.Empty(t, s.kinds(), "nothing was sent")

			answer := httptest.NewRecorder()
			app.OAuth.LoginHandler(func(*http.Request) (string, error) { return bad, nil }).
				ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/login", nil))
			assert.Equal(t, http.StatusForbidden, answer.Code)
			assert.Empty(t, answer.Result().Cookies())
		})
	}
}

// Two names that JSON would make one are refused at the callback, too.
func TestNamesAreNotRewritten(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	app := oauthApp(t, s, pinterest.NewMemoryTokenStore())
	login, err := app.OAuth.Login("shop-\ufffd")
	require.NoError(t, err)
	_, err = app.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-\xff")
	require.ErrorIs(t, err, pinterest.ErrState)
	assert.Empty(t, s.kinds())
}

func TestErrorsOfTheAuthorizePage(t *testing.T) {
	t.Parallel()
	for code, tt := range map[string]struct {
		is          error
		disposition pinterest.Disposition
		user        string
	}{
		"access_denied":             {pinterest.ErrAccessDenied, reauthorize, "Please connect"},
		"server_error":              {pinterest.ErrServer, pinterest.DispositionPark, "Please try again later."},
		"temporarily_unavailable":   {pinterest.ErrUnavailable, pinterest.DispositionPark, "Please try again later."},
		"invalid_scope":             {pinterest.ErrInvalid, pinterest.DispositionReview, "tell the people who run this app"},
		"invalid_request":           {pinterest.ErrInvalid, pinterest.DispositionReview, "tell the people who run this app"},
		"unauthorized_client":       {pinterest.ErrInvalid, pinterest.DispositionReview, "tell the people who run this app"},
		"unsupported_response_type": {pinterest.ErrInvalid, pinterest.DispositionReview, "tell the people who run this app"},
		"something\r\nelse":         {pinterest.ErrUnknown, pinterest.DispositionReview, "tell the people who run this app"},
		"":                          {pinterest.ErrResponse, pinterest.DispositionReview, "tell the people who run this app"},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			b := browser(t)
			back, err := s.srv.FailLogin(s.begin(b), code)
			require.NoError(t, err)
			s.open(b, back+"&error_description=because+of+the+scope")
			require.ErrorIs(t, s.err, tt.is)
			e := failure(t, s.err)
			assert.Equal(t, tt.disposition, e.Disposition)
			assert.Equal(t, tt.disposition == pinterest.DispositionPark, e.RetryAt.After(s.clock.Now()))
			assert.Contains(t, e.UserMessage(), "The Pinterest account was not connected.")
			assert.Contains(t, e.UserMessage(), tt.user)
			assert.NotContains(t, s.err.Error(), "\n")
			if code != "access_denied" {
				require.NotErrorIs(t, s.err, pinterest.ErrAccessDenied)
			}
			if code != "" && code != "access_denied" {
				assert.Contains(t, e.Message, "because of the scope")
				assert.Contains(t, e.CodeName, code[:9])
			}
			tok, err := s.store.Load(t.Context(), "shop-1")
			require.NoError(t, err)
			assert.Nil(t, tok)
		})
	}
}

// Only a GET answers a login: a HEAD comes from programs that look at links, and a
// POST from forms of other sites.
func TestCallbackIsAGet(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := browser(t)
	back, err := s.srv.Authorize(s.begin(b), s.alice)
	require.NoError(t, err)
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		req, err := http.NewRequestWithContext(t.Context(), method, back, nil)
		require.NoError(t, err)
		res, err := b.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusMethodNotAllowed, res.StatusCode, method)
		assert.Equal(t, "GET", res.Header.Get("Allow"), method)
		assert.Nil(t, s.conn, method)
		require.NoError(t, s.err, "done is not called")

		_, err = s.app.OAuth.Callback(t.Context(), req, "shop-1")
		require.ErrorIs(t, err, pinterest.ErrState, method)
	}
	s.open(b, back)
	require.NoError(t, s.err, "the login was not used up")
	assert.Equal(t, "shop-1", s.conn.Account)
}

// Logins that are begun and left do not fill the browser with cookies.
func TestLoginsThatAreLeft(t *testing.T) {
	t.Parallel()
	for name, account := range map[string]string{"a short name": "shop-1", "a long name": strings.Repeat("n", 2000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			b := browser(t)
			s.signIn(b, account)
			home, err := url.Parse(s.web.URL)
			require.NoError(t, err)
			var login string
			for range 40 {
				_, login = s.open(b, s.web.URL+"/login")
				s.clock.Advance(time.Second)
				cookies, size := loginCookies(b.Jar.Cookies(home)), 0
				for _, c := range cookies {
					size += len(c.Name) + len(c.Value)
				}
				assert.LessOrEqual(t, len(cookies), 5)
				assert.LessOrEqual(t, size, 4096)
			}
			back, err := s.srv.Authorize(login, s.alice)
			require.NoError(t, err)
			s.open(b, back)
			require.NoError(t, s.err, "the last one can be answered")
			assert.Equal(t, account, s.conn.Account)
		})
	}
	t.Run("the oldest go first, and those that are over", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, nil)
		b := browser(t)
		var logins []string
		for range 7 {
			logins = append(logins, s.begin(b))
			s.clock.Advance(time.Second)
		}
		for i, login := range logins {
			back, err := s.srv.Authorize(login, s.alice)
			require.NoError(t, err)
			s.open(b, back)
			if i < 2 {
				require.ErrorIs(t, s.err, pinterest.ErrState)
			} else {
				require.NoError(t, s.err)
			}
		}
		s.begin(b)
		s.clock.Advance(11 * time.Minute)
		s.begin(b)
		home, err := url.Parse(s.web.URL)
		require.NoError(t, err)
		assert.Len(t, loginCookies(b.Jar.Cookies(home)), 1)
	})
}

// Browsers drop a cookie of more than 4,096 bytes without a word.
func TestAccountNameThatIsTooLong(t *testing.T) {
	t.Parallel()
	app := oauthApp(t, newServer(t), pinterest.NewMemoryTokenStore())
	longest := 0
	for n := 2000; n < 3500; n++ {
		login, err := app.OAuth.Login(strings.Repeat("n", n))
		if err == nil {
			assert.LessOrEqual(t, len(login.Cookie.String()), 4096)
			longest = n
			continue
		}
		require.ErrorIs(t, err, pinterest.ErrInvalid)
		e := failure(t, err)
		assert.Equal(t, fix, e.Disposition)
		require.Len(t, e.Fields, 1)
		assert.Equal(t, "account", e.Fields[0].Field)
		assert.Contains(t, e.Fields[0].Problem, "4096")
		assert.Less(t, len(err.Error()), 500)
	}
	assert.InDelta(t, 2900, longest, 100, "as the comment of Login says")
}

func TestUserOfAConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := browser(t)
	s.connect(b)
	require.NoError(t, s.err)
	alice := &pinterest.PinterestUser{ID: s.alice.ID, Username: "alice"}
	assert.Equal(t, alice, s.conn.User)
	stored := func() *pinterest.Token {
		tok, err := s.store.Load(t.Context(), "shop-1")
		require.NoError(t, err)
		require.NotNil(t, tok)
		return tok
	}
	assert.Equal(t, alice, stored().User)
	before := stored().AccessToken
	s.srv.ExpireAllTokens()
	_, err := s.app.Client("shop-1").Account.Get(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, before, stored().AccessToken)
	assert.Equal(t, alice, stored().User, "a refresh does not change it")
	s.connect(b)
	require.NoError(t, s.err, "the same user again")
}

// Whoever is logged in at Pinterest is who gives access, which may be the wrong one.
func TestConnectionOfAnotherUser(t *testing.T) {
	t.Parallel()
	connectAs := func(s *site, b *http.Client, a pinteresttest.Account) {
		back, err := s.srv.Authorize(s.begin(b), a)
		require.NoError(s.t, err)
		s.open(b, back)
	}
	t.Run("is refused", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, nil)
		b, bob := browser(t), s.srv.AddAccount("bob")
		connectAs(s, b, s.alice)
		require.NoError(t, s.err)
		before, err := s.store.Load(t.Context(), "shop-1")
		require.NoError(t, err)

		connectAs(s, b, bob)
		require.ErrorIs(t, s.err, pinterest.ErrOtherUser)
		var other *pinterest.OtherUserError
		require.ErrorAs(t, s.err, &other)
		assert.Equal(t, pinterest.PinterestUser{ID: s.alice.ID, Username: "alice"}, other.Connected)
		assert.Equal(t, pinterest.PinterestUser{ID: bob.ID, Username: "bob"}, other.Now)
		assert.Contains(t, s.err.Error(), "alice")
		assert.Contains(t, s.err.Error(), "bob")
		assert.Equal(t, reauthorize, failure(t, s.err).Disposition)
		assert.Equal(t, "The Pinterest account was not connected. Please connect the Pinterest account again.", failure(t, s.err).UserMessage())
		after, err := s.store.Load(t.Context(), "shop-1")
		require.NoError(t, err)
		assert.Equal(t, before, after, "nothing has changed")
		account, err := s.app.Client("shop-1").Account.Get(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "alice", account.Username)
		assert.NotContains(t, s.seen.words(), "oauth/token user changed")

		require.NoError(t, s.app.OAuth.Disconnect(t.Context(), "shop-1"))
		connectAs(s, b, bob)
		require.NoError(t, s.err, "after a disconnection it is another account")
	})
	t.Run("is allowed", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, func(o *pinterest.OAuth) { o.AllowUserChange = true })
		b, bob := browser(t), s.srv.AddAccount("bob")
		connectAs(s, b, s.alice)
		connectAs(s, b, bob)
		require.NoError(t, s.err)
		assert.Equal(t, "bob", s.conn.User.Username)
		account, err := s.app.Client("shop-1").Account.Get(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "bob", account.Username)
		var changed []pinterest.Event
		for _, e := range s.seen.all() {
			if e.Type == pinterest.EventUserChanged {
				changed = append(changed, e)
			}
		}
		require.Len(t, changed, 1)
		assert.Equal(t, "shop-1", changed[0].Account)
		var other *pinterest.OtherUserError
		require.ErrorAs(t, changed[0].Err, &other)
		assert.Equal(t, "alice", other.Connected.Username)
		assert.Equal(t, "bob", other.Now.Username)
	})
}

func TestUserThatCannotBeRead(t *testing.T) {
	t.Parallel()
	known := oldToken()
	known.User = &pinterest.PinterestUser{ID: "1", Username: "alice"}
	connect := func(t *testing.T, s *server, store pinterest.TokenStore, change func(*pinterest.OAuth)) (*pinterest.Connection, error) {
		t.Helper()
		o := pinterest.OAuth{ClientID: appID, ClientSecret: appSecret, RedirectURL: "https://scheduler.example/callback", Scopes: []pinterest.Scope{"pins:read"}}
		if change != nil {
			change(&o)
		}
		app := oauthApp(t, s, store, pinterest.WithOAuth(o))
		login, err := app.OAuth.Login("shop-1")
		require.NoError(t, err)
		return app.OAuth.Callback(t.Context(), answerTo(t, login, "code=abcd"), "shop-1")
	}
	for name, tt := range map[string]struct {
		token reply
		user  []reply
		is    error
	}{
		"the API fails":        {fresh(), []reply{bare(503).always()}, pinterest.ErrUnavailable},
		"the scope is refused": {fresh(), []reply{fault(401, 3, "Your token does not have sufficient permissions").always()}, pinterest.ErrMissingScope},
		"the scope is missing": {answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","scope":"pins:read"}`), nil, pinterest.ErrMissingScope},
		"the token is refused": {fresh(), []reply{refused.always()}, pinterest.ErrUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newTokenStore(t, oldToken())
			conn, err := connect(t, newServer(t, tt.user...).onToken(tt.token), store, nil)
			require.NoError(t, err, "the token is kept")
			assert.Nil(t, conn.User)
			assert.Equal(t, newAccess, store.stored(t).AccessToken)

			store = newTokenStore(t, known)
			_, err = connect(t, newServer(t, tt.user...).onToken(tt.token), store, nil)
			require.ErrorIs(t, err, tt.is, "nobody can tell whether it is still alice")
			assert.Equal(t, accessToken, store.stored(t).AccessToken)

			conn, err = connect(t, newServer(t, tt.user...).onToken(tt.token), store, func(o *pinterest.OAuth) { o.AllowUserChange = true })
			require.NoError(t, err)
			assert.Nil(t, conn.User)
			assert.Equal(t, newAccess, store.stored(t).AccessToken)
		})
	}
	t.Run("the user has another name now", func(t *testing.T) {
		t.Parallel()
		store := newTokenStore(t, known)
		_, err := connect(t, newServer(t, userIs("1", "alice.kitchens")).onToken(fresh()), store, nil)
		require.NoError(t, err)
		assert.Equal(t, "alice.kitchens", store.stored(t).User.Username)
	})
	t.Run("without an id", func(t *testing.T) {
		t.Parallel()
		store := newTokenStore(t, known)
		_, err := connect(t, newServer(t, userIs("", "alice")).onToken(fresh()), store, nil)
		require.NoError(t, err)
		_, err = connect(t, newServer(t, userIs("", "bob")).onToken(fresh()), store, nil)
		require.ErrorIs(t, err, pinterest.ErrOtherUser)
	})
}

// No cookie that the library did not make answers a login, whatever it is and
// whatever the query says.
func FuzzCallback(f *testing.F) {
	s := newServer(f)
	app, err := pinterest.NewApp(
		pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()), pinterest.WithBaseURL(s.base()), pinterest.WithOAuth(pinterest.OAuth{
			ClientID: appID, ClientSecret: appSecret, RedirectURL: "https://scheduler.example/callback", Scopes: []pinterest.Scope{"pins:read"},
		}),
	)
	require.NoError(f, err)
	login, err := app.OAuth.Login("shop-1")
	require.NoError(f, err)
	f.Add("code=abcd&state=ABCDEFGHIJKL", "__Host-pinterest_login_ABCDEFGH="+login.Cookie.Value)
	f.Add("state=", "__Host-pinterest_login_=AAAA")
	f.Add("error=access_denied&state=A%00;B", login.Cookie.Name+"="+login.Cookie.Value[1:])
	f.Add("%zz", ";;=")
	f.Fuzz(func(t *testing.T, query, cookies string) {
		r := httptest.NewRequest(http.MethodGet, "/callback", nil)
		r.URL.RawQuery = query
		r.Header.Set("Cookie", cookies)
		if r.URL.Query().Get("state") == mustQuery(t, login.URL).Get("state") {
			return // it has guessed 128 bits
		}
		_, err := app.OAuth.Callback(t.Context(), r, "shop-1")
		require.ErrorIs(t, err, pinterest.ErrState)
		answer := httptest.NewRecorder()
		account := func(*http.Request) (string, error) { return "shop-1", nil }
		app.OAuth.CallbackHandler(account, func(_ http.ResponseWriter, _ *http.Request, _ *pinterest.Connection, err error) {
			require.ErrorIs(t, err, pinterest.ErrState)
		}).ServeHTTP(answer, r)
		app.OAuth.LoginHandler(account).ServeHTTP(answer, r)
		assert.Equal(t, http.StatusSeeOther, answer.Code, "another login can begin")
	})
}
