package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// shop is an application over https on app.shop.example, whose users have sessions.
type shop struct {
	base  string
	store *pinterest.MemoryTokenStore
	srv   *pinteresttest.Server
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{store: pinterest.NewMemoryTokenStore(), srv: pinteresttest.NewServer()}
	t.Cleanup(s.srv.Close)
	mux := http.NewServeMux()
	s.base = serveAt(t, "app.shop.example", mux)
	s.srv.AddRedirectURI(s.base + "/callback")
	app, err := pinterest.NewApp(
		pinterest.WithTokenStore(s.store), pinterest.WithBaseURL(s.srv.URL), pinterest.WithOAuth(pinterest.OAuth{
			ClientID: s.srv.App().ID, ClientSecret: s.srv.App().Secret, RedirectURL: s.base + "/callback",
			AuthorizeURL: s.srv.AuthorizeURL(), Scopes: pinterest.ScopesFor(pinterest.OpUserAccountGet),
		}),
	)
	require.NoError(t, err)
	const session = "__Host-session"
	user := func(r *http.Request) (string, error) {
		c, err := r.Cookie(session)
		if err != nil {
			return "", errors.New("nobody is logged in")
		}
		return c.Value, nil
	}
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: session, Value: r.URL.Query().Get("as"), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	})
	mux.Handle("GET /login", app.OAuth.LoginHandler(user))
	mux.Handle("/callback", app.OAuth.CallbackHandler(user, func(w http.ResponseWriter, _ *http.Request, conn *pinterest.Connection, err error) {
		if err != nil {
			fmt.Fprint(w, "not connected: ", err)
			return
		}
		fmt.Fprint(w, conn.Account, " is connected to ", conn.User.Username)
	}))
	return s
}

// serveAt serves https, and returns the URL of the host, which only the browsers of
// newShopper know.
func serveAt(t *testing.T, host string, handler http.Handler) string {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", host, 1)
}

func newShopper(t *testing.T) *chromium {
	t.Helper()
	return newChromium(t, chromedp.IgnoreCertErrors, chromedp.Flag("host-resolver-rules", "MAP *.shop.example 127.0.0.1"))
}

// logins returns the cookies of logins that the browser would send to the application.
func (s *shop) logins(b *chromium) (cookies []*network.Cookie) {
	b.t.Helper()
	all, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{s.base + "/callback"}})
	require.NoError(b.t, err)
	for _, c := range all.Cookies {
		if strings.Contains(c.Name, "pinterest_login_") {
			cookies = append(cookies, c)
		}
	}
	return cookies
}

// connected returns the accounts that are connected.
func (s *shop) connected(t *testing.T, accounts ...string) (list []string) {
	t.Helper()
	for _, account := range accounts {
		tok, err := s.store.Load(t.Context(), account)
		require.NoError(t, err)
		if tok != nil {
			list = append(list, account)
		}
	}
	return list
}

func text(b *chromium) string {
	b.t.Helper()
	return eval[string](b, `document.body.innerText`)
}

// TestBrowserHostileSibling holds that a page of a sibling subdomain, which can set
// cookies for the whole domain, cannot get a visitor's Pinterest account connected to
// the account of its owner.
func TestBrowserHostileSibling(t *testing.T) {
	attacker, victim := newShopper(t), newShopper(t)
	s := newShop(t)
	s.srv.AddAccount("alice")

	attacker.open(s.base + "/session?as=attacker")
	attacker.open(s.base + "/login")
	consent := eval[string](attacker, `location.href`)
	require.True(t, strings.HasPrefix(consent, s.srv.AuthorizeURL()), consent)
	own := s.logins(attacker)
	require.Len(t, own, 1, "a browser keeps the cookie of its own login")

	planted := 0
	evil := serveAt(t, "evil.shop.example", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		plain := strings.TrimPrefix(own[0].Name, "__Host-")
		for _, name := range []string{own[0].Name, plain} {
			for _, path := range []string{"/", "/callback"} {
				w.Header().Add("Set-Cookie", name+"="+own[0].Value+"; Domain=shop.example; Path="+path+"; Secure")
				planted++
			}
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<link rel="icon" href="data:,"><p>hello</p><script>
			document.cookie = "%[1]s=%[2]s; domain=shop.example; path=/; secure";
			document.cookie = "%[1]s=%[2]s; domain=.shop.example; path=/callback; secure; samesite=none";
		</script>`, own[0].Name, own[0].Value)
	}))
	victim.open(s.base + "/session?as=victim")
	victim.open(evil)
	require.Equal(t, 4, planted)
	for _, c := range s.logins(victim) {
		assert.NotEqual(t, own[0].Name, c.Name, "the browser takes no such cookie from another host")
	}
	victim.open(consent)
	victim.enter("alice", "Give access")
	assert.Contains(t, text(victim), "not connected: ")
	assert.Contains(t, text(victim), "not begun in this browser")
	assert.Empty(t, s.connected(t, "attacker", "victim"))

	// The same answer in the attacker's own browser: the code is the victim's.
	victim.open(s.base + "/login")
	victim.enter("alice", "Give access")
	assert.Equal(t, "victim is connected to alice", text(victim), "planted cookies are in nobody's way")
	attacker.open(eval[string](victim, `location.href`))
	assert.Contains(t, text(attacker), "not connected: ")
	assert.Equal(t, []string{"victim"}, s.connected(t, "attacker", "victim"))
}

// TestBrowserManyLogins holds that a browser keeps the cookie of the longest name that
// is accepted, and few of many logins.
func TestBrowserManyLogins(t *testing.T) {
	b := newShopper(t)
	s := newShop(t)
	s.srv.AddAccount("alice")
	for name, logins := range map[string]int{"shop-1": 12, strings.Repeat("n", 2850): 3} {
		b.open(s.base + "/session?as=" + name)
		for range logins {
			b.open(s.base + "/login")
		}
		size := 0
		for _, c := range s.logins(b) {
			size += len(c.Name) + len(c.Value)
		}
		assert.LessOrEqual(t, len(s.logins(b)), 5)
		assert.LessOrEqual(t, size, 4096)
		b.enter("alice", "Give access")
		assert.Equal(t, name+" is connected to alice", text(b))
	}
	b.open(s.base + "/session?as=" + strings.Repeat("n", 3100))
	b.open(s.base + "/login")
	assert.Contains(t, text(b), "This account cannot be connected.")
}
