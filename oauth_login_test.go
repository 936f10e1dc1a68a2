package pinterest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// site is an application with the two handlers mounted, the API, and a browser.
type site struct {
	t     *testing.T
	srv   *pinteresttest.Server
	clock *pinteresttest.Clock
	store *pinterest.MemoryTokenStore
	app   *pinterest.App
	web   *httptest.Server
	seen  recorder
	alice pinteresttest.Account

	conn *pinterest.Connection // of the last callback
	err  error
}

func newSite(t *testing.T, change func(*pinterest.OAuth), opts ...pinteresttest.Option) *site {
	t.Helper()
	s := &site{t: t, store: pinterest.NewMemoryTokenStore(), clock: pinteresttest.NewManualClock(time.Now())}
	s.srv = pinteresttest.NewServer(append([]pinteresttest.Option{pinteresttest.WithClock(s.clock)}, opts...)...)
	t.Cleanup(s.srv.Close)
	s.alice = s.srv.AddAccount("alice")
	mux := http.NewServeMux()
	s.web = httptest.NewServer(mux)
	t.Cleanup(s.web.Close)
	s.srv.AddRedirectURI(s.web.URL + "/callback")
	s.app = s.newApp(change)
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: r.URL.Query().Get("as")})
	})
	mux.Handle("GET /login", s.app.OAuth.LoginHandler(sessionAccount))
	mux.Handle("/callback", s.app.OAuth.CallbackHandler(sessionAccount, func(w http.ResponseWriter, _ *http.Request, conn *pinterest.Connection, err error) {
		s.conn, s.err = conn, err
		w.WriteHeader(http.StatusNoContent)
	}))
	return s
}

// sessionAccount returns the account of a browser's session.
func sessionAccount(r *http.Request) (string, error) {
	session, err := r.Cookie("session")
	if err != nil {
		return "", errors.New("no session")
	}
	return session.Value, nil
}

// signIn gives the browser a session.
func (s *site) signIn(b *http.Client, account string) {
	s.t.Helper()
	s.open(b, s.web.URL+"/session?as="+url.QueryEscape(account))
}

func (s *site) newApp(change func(*pinterest.OAuth)) *pinterest.App {
	s.t.Helper()
	o := pinterest.OAuth{
		ClientID: s.srv.App().ID, ClientSecret: s.srv.App().Secret, RedirectURL: s.web.URL + "/callback",
		AuthorizeURL: s.srv.AuthorizeURL(), Scopes: pinterest.ScopesFor(pinterest.OpPinsCreate, pinterest.OpUserAccountGet),
	}
	if change != nil {
		change(&o)
	}
	app, err := pinterest.NewApp(pinterest.WithTokenStore(s.store), pinterest.WithBaseURL(s.srv.URL), pinterest.WithOAuth(o),
		pinterest.WithClock(s.clock), pinterest.WithObserver(s.seen.observe), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
	require.NoError(s.t, err)
	return app
}

// browser keeps cookies and does not follow redirects by itself.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &http.Transport{} // of its own: a server that closes breaks requests of the default one
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// open returns the status and where it leads.
func (s *site) open(b *http.Client, target string) (status int, location string) {
	s.t.Helper()
	res, err := b.Get(target)
	require.NoError(s.t, err)
	require.NoError(s.t, res.Body.Close())
	return res.StatusCode, res.Header.Get("Location")
}

// begin sends the browser of shop-1 to the login and returns where it leads.
func (s *site) begin(b *http.Client) string {
	s.t.Helper()
	s.signIn(b, "shop-1")
	status, location := s.open(b, s.web.URL+"/login")
	require.Equal(s.t, http.StatusSeeOther, status)
	return location
}

// connect goes through the whole flow.
func (s *site) connect(b *http.Client, scopes ...string) {
	s.t.Helper()
	back, err := s.srv.Authorize(s.begin(b), s.alice, scopes...)
	require.NoError(s.t, err)
	s.open(b, back)
}

func TestAccountIsConnected(t *testing.T) {
	t.Parallel()
	for name, pkce := range map[string]bool{"plain": false, "with PKCE": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *pinterest.OAuth) { o.PKCE = pkce })
			s.connect(browser(t))
			require.NoError(t, s.err)
			assert.Equal(t, "shop-1", s.conn.Account)
			assert.Empty(t, s.conn.Missing)
			assert.Equal(t, []pinterest.Scope{"boards:read", "boards:write", "pins:read", "pins:write", "user_accounts:read"}, s.conn.Granted)
			assert.WithinDuration(t, s.clock.Now().Add(60*24*time.Hour), s.conn.Token.RefreshExpiry, time.Minute, "continuous_refresh was asked for")
			account, err := s.app.Client("shop-1").Account.Get(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "alice", account.Username)
			assert.Contains(t, s.seen.words(), "oauth/token connected")
			for _, text := range []string{fmt.Sprint(s.conn.Token), fmt.Sprintf("%#v", *s.conn.Token), fmt.Sprintf("%+v", s.conn)} {
				assert.NotContains(t, text, "pina_")
				assert.NotContains(t, text, "pinr.")
			}
		})
	}
}

func TestLoginURLAndCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *pinterest.OAuth) { o.PKCE = true; o.RedirectURL = "https://scheduler.example/cb" })
	one, err := s.app.OAuth.Login("shop-1")
	require.NoError(t, err)
	two, err := s.app.OAuth.Login("shop-1")
	require.NoError(t, err)
	u, err := url.Parse(one.URL)
	require.NoError(t, err)
	q := u.Query()
	assert.Equal(t, "boards:read,boards:write,pins:read,pins:write,user_accounts:read", q.Get("scope"), "joined by commas")
	assert.Equal(t, "code", q.Get("response_type"))
	assert.Equal(t, s.srv.App().ID, q.Get("client_id"))
	assert.Equal(t, "https://scheduler.example/cb", q.Get("redirect_uri"))
	assert.Equal(t, "S256", q.Get("code_challenge_method"))
	assert.GreaterOrEqual(t, len(q.Get("state")), 26, "128 bits and more")
	assert.NotContains(t, two.URL, q.Get("state"))
	assert.NotEqual(t, one.Cookie.Name, two.Cookie.Name, "two tabs do not disturb each other")
	assert.True(t, one.Cookie.HttpOnly && one.Cookie.Secure)
	assert.True(t, strings.HasPrefix(one.Cookie.Name, "__Host-"), "no other host can set it")
	assert.Equal(t, "/", one.Cookie.Path)
	assert.Empty(t, one.Cookie.Domain)
	assert.Equal(t, http.SameSiteLaxMode, one.Cookie.SameSite)
	assert.Equal(t, 600, one.Cookie.MaxAge)
	for _, secret := range []string{"shop-1", q.Get("state"), s.srv.App().Secret} {
		assert.NotContains(t, one.Cookie.Value, secret)
	}
	assert.NotContains(t, one.URL, s.srv.App().Secret)
}

// What does not answer a login of this browser is refused before any token call.
func TestCallbackThatIsNotTheAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(s *site, b *http.Client, back string) (*http.Client, string){
		"of another browser": func(s *site, _ *http.Client, back string) (*http.Client, string) {
			other := browser(s.t)
			s.signIn(other, "shop-1")
			return other, back
		},
		"with another state": func(_ *site, b *http.Client, back string) (*http.Client, string) {
			u, _ := url.Parse(back)
			q := u.Query()
			q.Set("state", q.Get("state")[:8]+strings.Repeat("A", len(q.Get("state"))-8))
			u.RawQuery = q.Encode()
			return b, u.String()
		},
		"without a state": func(s *site, b *http.Client, _ string) (*http.Client, string) {
			return b, s.web.URL + "/callback?code=0123456789"
		},
		"too late": func(s *site, b *http.Client, back string) (*http.Client, string) {
			s.clock.Advance(10*time.Minute + time.Second)
			return b, back
		},
		"used before": func(s *site, b *http.Client, back string) (*http.Client, string) {
			u, _ := url.Parse(back)
			kept := b.Jar.Cookies(u)
			s.open(b, back)
			require.NoError(s.t, s.err)
			require.Len(s.t, b.Jar.Cookies(u), 1, "the cookie is taken back")
			again := browser(s.t)
			again.Jar.SetCookies(u, kept)
			return again, back
		},
		"with a cookie that was changed": func(s *site, b *http.Client, back string) (*http.Client, string) {
			u, _ := url.Parse(back)
			cookies := b.Jar.Cookies(u)
			cookie := loginCookies(cookies)[0]
			changed := "A"
			if cookie.Value[:1] == changed {
				changed = "B"
			}
			cookie.Value = changed + cookie.Value[1:]
			other := browser(s.t)
			other.Jar.SetCookies(u, cookies)
			return other, back
		},
		"with the cookie of another login": func(s *site, b *http.Client, back string) (*http.Client, string) {
			u, _ := url.Parse(back)
			cookies := b.Jar.Cookies(u)
			other := browser(s.t)
			s.begin(other)
			loginCookies(cookies)[0].Value = loginCookies(other.Jar.Cookies(u))[0].Value
			third := browser(s.t)
			third.Jar.SetCookies(u, cookies)
			return third, back
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			b := browser(t)
			back, err := s.srv.Authorize(s.begin(b), s.alice)
			require.NoError(t, err)
			who, target := answer(s, b, back)
			calls := s.srv.CountTokenCalls(pinteresttest.Account{}, "")
			s.open(who, target)
			require.ErrorIs(t, s.err, pinterest.ErrState)
			e := failure(t, s.err)
			assert.Equal(t, reauthorize, e.Disposition)
			assert.Nil(t, s.conn)
			assert.Equal(t, calls, s.srv.CountTokenCalls(pinteresttest.Account{}, ""), "no token call")
			code := mustQuery(t, back).Get("code")
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", s.err, s.err, s.err), code)
		})
	}
}

// loginCookies returns those of the logins.
func loginCookies(all []*http.Cookie) (cookies []*http.Cookie) {
	for _, c := range all {
		if strings.Contains(c.Name, "pinterest_login_") {
			cookies = append(cookies, c)
		}
	}
	return cookies
}

func mustQuery(t *testing.T, target string) url.Values {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	return u.Query()
}

// Two tabs of one browser, each with a login of its own.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := browser(t)
	one, two := s.begin(b), s.begin(b)
	for _, login := range []string{two, one} {
		back, err := s.srv.Authorize(login, s.alice)
		require.NoError(t, err)
		s.open(b, back)
		require.NoError(t, s.err)
	}
}

func TestOwnerWhoDeclines(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := browser(t)
	back, err := s.srv.Decline(s.begin(b))
	require.NoError(t, err)
	s.open(b, back)
	require.ErrorIs(t, s.err, pinterest.ErrAccessDenied)
	tok, err := s.store.Load(t.Context(), "shop-1")
	require.NoError(t, err)
	assert.Nil(t, tok)
}

func TestOwnerWhoGivesLess(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.connect(browser(t), "boards:read", "pins:read")
	require.NoError(t, s.err)
	assert.Equal(t, []pinterest.Scope{"boards:write", "pins:write", "user_accounts:read"}, s.conn.Missing)
	requests := len(s.srv.Requests())
	_, err := s.app.Client("shop-1").Account.Get(t.Context())
	e := failure(t, err)
	require.ErrorIs(t, err, pinterest.ErrMissingScope)
	assert.Equal(t, "user_accounts:read", e.RequiredScope)
	assert.Contains(t, err.Error(), "user_accounts:read")
	assert.Equal(t, fix, e.Disposition)
	assert.Len(t, s.srv.Requests(), requests, "nothing was sent")
	_, err = s.app.Client("shop-1").Boards.List(t.Context(), nil)
	require.NoError(t, err)
}

func TestLoginWithoutASession(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	status, _ := s.open(browser(t), s.web.URL+"/login")
	assert.Equal(t, http.StatusForbidden, status)
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
