package accounts

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// Who has given access, as strange servers say it.
func TestConnectedUser(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		ok   bool // a user can be known from it
	}{
		"string":     {`{"id":"77","username":"u","account_type":"BUSINESS"}`, true},
		"no id":      {`{"username":"u","account_type":"BUSINESS"}`, false},
		"empty id":   {`{"id":"","username":"u"}`, false},
		"null":       {`null`, false},
		"list":       {`[{"id":"77"}]`, false},
		"HTML":       {`<html>77</html>`, false},
		"nothing":    {``, false},
		"id object":  {`{"id":{"a":1},"username":"u"}`, false},
		"name wrong": {`{"id":"77","username":7}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				u := w.owner("77", 0)
				w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
					say(rw, 200, c.body)
					return true
				}
				app, _ := w.app(t, store)
				conn, err := w.connect(t, app, "new", u)
				require.NotNil(t, load(t, store, "new"), "an account that was nobody's is connected: %v", err)
				require.NoError(t, err)
				if c.ok {
					require.NotNil(t, conn.User)
					assert.Equal(t, "77", conn.User.ID)
				} else {
					assert.True(t, conn.User == nil || conn.User.ID == "", "%v", conn.User)
				}
				// One that is known to be another's is not connected on such words.
				w.put(t, store, "known", "66", 20*day)
				was := load(t, store, "known")
				_, err = w.connect(t, app, "known", u)
				require.Error(t, err)
				assert.Equal(t, was, load(t, store, "known"))
			})
		})
	}
}

// An API that gives ids as numbers: another user is noticed even so.
func TestConnectedUserByNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		one, two := w.owner("77", 0), w.owner("88", 0)
		w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, u *owner) bool {
			say(rw, 200, `{"id":`+u.id+`,"username":"`+u.name+`"}`)
			return true
		}
		app, _ := w.app(t, store)
		_, err := w.connect(t, app, "shop", one)
		require.NoError(t, err)
		_, err = w.connect(t, app, "shop", two)
		require.ErrorIs(t, err, pinterest.ErrOtherUser)
		_, err = w.connect(t, app, "shop", one)
		require.NoError(t, err)
	})
}

// A renewal without scopes, with fewer or with none: an event where some are lost,
// and calls go on where nothing is known.
func TestScopesOfARenewal(t *testing.T) {
	for name, c := range map[string]struct {
		scope any
		lost  int
	}{"same": {"user_accounts:read,boards:read", 0}, "fewer": {"user_accounts:read", 1}, "missing": {nil, 0}, "spaces": {"boards:read user_accounts:read", 0}, "more": {"user_accounts:read boards:read ads:read new:scope", 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.put(t, store, "shop", "77", -time.Hour)
				tok := load(t, store, "shop")
				tok.Scopes = []pinterest.Scope{pinterest.ScopeUserAccountsRead, pinterest.ScopeBoardsRead}
				_, err := store.Save(t.Context(), "shop", tok)
				require.NoError(t, err)
				w.after = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall, answer map[string]any) bool {
					if answer["scope"] = c.scope; c.scope == nil {
						delete(answer, "scope")
					}
					b, _ := json.Marshal(answer)
					say(rw, 200, string(b))
					return true
				}
				app, seen := w.app(t, store)
				require.NoError(t, get(app, "shop"))
				assert.Equal(t, c.lost, seen.count(pinterest.EventScopesLost, "shop"))
				if name == "missing" {
					assert.Len(t, load(t, store, "shop").Scopes, 2)
				}
			})
		})
	}
}

// Over plain http, for tests, the cookie has no prefix, and all else holds.
func TestLoginOverHTTP(t *testing.T) {
	w := newWorld()
	store := pinterest.NewMemoryTokenStore()
	app, _ := w.appOf(t, pinterest.OAuth{ClientID: clientID, ClientSecret: secret, RedirectURL: "http://localhost:8080/callback", PKCE: true, Scopes: []pinterest.Scope{pinterest.ScopeUserAccountsRead}}, store)
	l, err := app.OAuth.Login("shop")
	require.NoError(t, err)
	assert.False(t, strings.HasPrefix(l.Cookie.Name, "__Host-"))
	assert.True(t, l.Cookie.HttpOnly)
	u, err := url.Parse(l.URL)
	require.NoError(t, err)
	assert.NotEmpty(t, u.Query().Get("code_challenge"))
	assert.NotContains(t, l.URL, secret)
	r := httptest.NewRequest(http.MethodGet, "http://localhost:8080/callback?"+url.Values{"code": {w.code(w.owner("77", 0))}, "state": {u.Query().Get("state")}}.Encode(), nil)
	r.AddCookie(l.Cookie)
	_, err = app.OAuth.Callback(t.Context(), r, "other")
	require.ErrorIs(t, err, pinterest.ErrState)
	account, err := app.OAuth.LoginAccount(r)
	require.NoError(t, err)
	assert.Equal(t, "shop", account)
}

// A login ends after ten minutes, whatever the clock of the browser says.
func TestLoginEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		app, _ := w.app(t, store)
		u := w.owner("77", 0)
		late, soon := w.login(t, app, "shop", u), w.login(t, app, "shop", u)
		time.Sleep(9*time.Minute + 50*time.Second)
		_, err := app.OAuth.Callback(t.Context(), soon, "shop")
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		_, err = app.OAuth.Callback(t.Context(), late, "shop")
		require.ErrorIs(t, err, pinterest.ErrState)
		_, err = app.OAuth.LoginAccount(late)
		assert.ErrorIs(t, err, pinterest.ErrState)
	})
}

// Cookies of another app, and of an older secret, are not this one's.
func TestCookieOfAnotherApp(t *testing.T) {
	w, store := newWorld(), pinterest.NewMemoryTokenStore()
	a, _ := w.app(t, store)
	b, _ := w.appOf(t, pinterest.OAuth{ClientID: clientID, ClientSecret: "another secret", RedirectURL: "https://app.example/callback", Scopes: []pinterest.Scope{pinterest.ScopeUserAccountsRead}}, store)
	r := w.login(t, a, "shop", w.owner("77", 0))
	_, err := b.OAuth.Callback(t.Context(), r, "shop")
	require.ErrorIs(t, err, pinterest.ErrState)
	assert.Empty(t, w.calls)
}
