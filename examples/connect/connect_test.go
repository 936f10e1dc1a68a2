package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestConnect(t *testing.T) {
	f := newFixture(t)
	v := f.visitor()
	page := v.open("/")
	assert.Equal(t, "Not connected", page.title())
	page.has(t, "<h1>No account is connected</h1>", "publish, change and delete your Pins <code>pins:write</code>", "Connect Pinterest</button>")

	page = v.connect("oakandlinen")
	assert.Equal(t, "Connected as oakandlinen", page.title())
	assert.Equal(t, f.base+"/", page.url.String(), "the code does not stay in the address bar")
	page.has(
		t, "<h1>Connected as oakandlinen</h1>", "Oak &amp; Linen", "Business account", "<dt>Boards</dt><dd>2</dd>", "<dt>Pins</dt><dd>3</dd>",
		"<dt>Followers</dt><dd>0</dd>", "see your Pins <code>pins:read</code>", "Disconnect</button>",
		`Ends on <time datetime="2026-08-08T09:30:00Z">8 August 2026, 09:30 UTC</time> (in 30 days).`,
		`<time datetime="2026-09-07T09:30:00Z">7 September 2026, 09:30 UTC</time> (in 60 days).`,
	)
	assert.NotContains(t, page.body, "Permissions that are missing")

	page = v.press("/disconnect")
	assert.Equal(t, "The account is disconnected", page.title())
	page.has(t, "<h1>No account is connected</h1>")
	assert.Nil(t, v.token())
}

func TestPersonalAccount(t *testing.T) {
	page := newFixture(t).visitor().connect("alice")
	page.has(t, "Personal account", "<dt>Boards</dt><dd>0</dd>")
	assert.NotContains(t, page.body, "Business")
}

func TestMissingPermissions(t *testing.T) {
	f := newFixture(t)
	v := f.visitor()
	v.open("/")
	consent := v.press("/connect")
	redirect, err := f.srv.Authorize(consent.url.String(), f.demo.accounts[1], "user_accounts:read", "pins:read")
	require.NoError(t, err)
	page := v.send("GET", redirect, nil)
	assert.Equal(t, "Connected as alice, permissions missing", page.title())
	page.has(t, "Permissions that are missing", "create, change and delete your boards <code>boards:write</code>", "Ask again</button>")

	page = v.connect("alice")
	assert.Equal(t, "Connected as alice", page.title())

	page = v.press("/demo/narrow")
	assert.Equal(t, "Connected as alice, permissions missing", page.title(), "a refreshed token has lost some")
	page.has(t, "<code>pins:write</code>")

	f.srv.SetScopes(f.demo.accounts[1], "boards:read")
	page = v.open("/")
	page.has(t, "An account is connected", "its counts <code>user_accounts:read</code>", "Ask again</button>")
	assert.Contains(t, page.body, "<code>pins:read</code>", "what else is gone shows when the token is refreshed")
	assert.Equal(t, "Connected as alice", v.connect("alice").title())
}

func TestDisconnectedByPinterest(t *testing.T) {
	f := newFixture(t)
	v := f.visitor()
	v.connect("alice")
	f.clock.Advance(3 * time.Hour)
	page := v.press("/demo/revoke")
	assert.Equal(t, "Disconnected by Pinterest", page.title())
	page.has(t, "the refresh token was refused", "9 July 2026, 12:30 UTC</time> (now)", "Connect again</button>", "Forget the account</button>")

	calls := f.srv.Count("")
	f.clock.Advance(time.Hour)
	v.open("/").has(t, "12:30 UTC</time> (60 minutes ago)")
	assert.Equal(t, calls, f.srv.Count(""), "nothing is sent for it any more")

	assert.Equal(t, "Connected as alice", v.connect("alice").title())
	v.press("/demo/revoke")
	v.press("/disconnect")
	assert.Equal(t, "Not connected", v.open("/").title())
}

func TestNotConnected(t *testing.T) {
	f := newFixture(t)
	cancel := url.Values{"decision": {"cancel"}}

	v := f.visitor()
	v.open("/")
	page := v.send("POST", v.press("/connect").url.String(), cancel)
	assert.Equal(t, "You have not given access", page.title())
	page.has(t, "No account is connected", "Connect Pinterest</button>")

	v.connect("alice")
	page = v.send("POST", v.press("/connect").url.String(), cancel)
	assert.Equal(t, "You have not given access", page.title())
	page.has(t, "<h1>Connected as alice</h1>")

	v.connect("alice")
	callback := v.way[0]
	require.Equal(t, callbackPath, callback.Path)
	assert.Equal(t, "This login is over", v.send("GET", callback.String(), nil).title(), "the same answer again")

	stranger := f.visitor()
	stranger.open("/")
	stranger.secrets = append(stranger.secrets, callback.Query().Get("code"))
	assert.Equal(t, "This login is over", stranger.send("GET", callback.String(), nil).title())
	stranger.open("/").has(t, "No account is connected")
	assert.Equal(t, "Not connected", stranger.open("/?notice=nothing").title())
}

func TestFailures(t *testing.T) {
	f := newFixture(t)
	v := f.visitor()
	f.srv.Inject(pinteresttest.ServerError(503).On("oauth/token").Repeat(5))
	assert.Equal(t, "Pinterest did not answer", v.connect("alice").title())
	f.srv.ClearFaults()

	v.connect("alice")
	f.srv.Inject(pinteresttest.ServerError(503).On("user_account/get").Repeat(5))
	page := v.open("/")
	assert.Equal(t, "Connected", page.title())
	page.has(t, "Pinterest did not answer, or not in time. The connection is kept")
	f.srv.ClearFaults()

	f.srv.Inject(pinteresttest.Throttled(10 * time.Minute).On("user_account/get"))
	v.open("/").has(t, "try again after 09:4")
	f.clock.Advance(time.Hour)

	f.srv.Inject(pinteresttest.Fault{Status: 403, Message: "Not permitted."}.On("user_account/get"))
	v.open("/").has(t, "The account could not be read.", "Try again</a>")
	assert.Equal(t, "Connected as alice", v.open("/").title())

	f.srv.Inject(pinteresttest.Fault{Status: 400, Code: 283, Message: "Invalid redirect URI"}.On("oauth/token"))
	assert.Equal(t, "Pinterest refused the connection", v.connect("alice").title())

	page = v.connect("oakandlinen")
	assert.Equal(t, "That is another Pinterest account", page.title())
	page.has(t, "<h1>Connected as alice</h1>")

	v.open("/")
	failed, err := f.srv.FailLogin(v.press("/connect").url.String(), "server_error")
	require.NoError(t, err)
	assert.Equal(t, "Pinterest did not answer", v.send("GET", failed, nil).title())

	require.NoError(t, os.RemoveAll(f.dir))
	assert.Equal(t, "Token store", v.open("/").title())
	assert.Equal(t, "The account is still connected", v.press("/disconnect").title())
	assert.Equal(t, "The access could not be saved", v.connect("alice").title())
}

// TestBrowsers holds that a browser sees its own account alone, also after a
// restart of the program.
func TestBrowsers(t *testing.T) {
	f := newFixture(t)
	one, other := f.visitor(), f.visitor()
	one.connect("alice")
	other.open("/").has(t, "No account is connected")
	other.connect("oakandlinen")
	one.open("/").has(t, "Connected as alice")
	one.press("/disconnect")
	other.open("/").has(t, "Connected as oakandlinen")

	other.f = f.start(f.demo)
	other.open("/").has(t, "Connected as oakandlinen")

	for _, path := range []string{"/connect", "/disconnect"} {
		assert.Equal(t, "Your browser has sent no cookie", f.visitor().press(path).title())
	}
}

func TestOtherSites(t *testing.T) {
	f := newFixture(t)
	v := f.visitor()
	v.connect("alice")
	for _, path := range []string{"/connect", "/disconnect", "/demo/revoke", "/demo/narrow"} {
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"}, // another port of this machine
			{"Origin", "https://elsewhere.example"},
			{"Origin", "null"},
		} {
			page := v.send("POST", f.base+path, url.Values{}, header...)
			assert.Equal(t, http.StatusForbidden, page.status, "%s %v", path, header)
			page.has(t, "That came from another site")
		}
		assert.Equal(t, http.StatusNotFound, v.open(path).status, "a link changes nothing")
	}
	v.open("/").has(t, "Connected as alice")
	assert.NotContains(t, v.open("/").body, "Permissions that are missing")

	r, err := http.NewRequestWithContext(t.Context(), "GET", f.base+"/", nil)
	require.NoError(t, err)
	r.Host = "elsewhere.example"
	res, err := v.http.Do(r)
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, http.StatusMisdirectedRequest, res.StatusCode)
	assert.Empty(t, res.Cookies())
}

func TestHeaders(t *testing.T) {
	f := newFixture(t)
	v := f.visitor()
	first := v.open("/")
	cookie := first.header.Get("Set-Cookie")
	assert.Regexp(t, `^connect_session=[A-Z2-7]{26}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax$`, cookie)
	for _, page := range []shown{first, v.connect("alice"), v.open("/nowhere"), v.open("/style.css"), v.send("POST", f.base+"/", nil, "Sec-Fetch-Site", "cross-site")} {
		assert.Equal(t, "no-store", page.header.Get("Cache-Control"))
		assert.Equal(t, "nosniff", page.header.Get("X-Content-Type-Options"))
		assert.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'self'; ")
		assert.NotContains(t, page.body, "<script")
		assert.NotContains(t, page.body, "style=")
	}
	assert.Contains(t, (&site{}).contentPolicy(), "form-action 'self' https:;", "of Pinterest itself")
}

func TestRefresh(t *testing.T) {
	f := newFixture(t)
	v := f.visitor()
	v.connect("alice")
	before := v.token()
	f.clock.Advance(25 * 24 * time.Hour)
	f.logRefresh(f.app.RefreshDue(t.Context()))
	after := v.token()
	assert.NotEqual(t, before.AccessToken, after.AccessToken)
	assert.Contains(t, f.logs.String(), `msg="refreshing tokens" refreshed=1 current=0 failed=0`)
	v.open("/").has(t, "(in 30 days)", "(in 60 days)")

	require.NoError(t, os.RemoveAll(f.dir))
	f.logRefresh(f.app.RefreshDue(t.Context()))
	assert.Contains(t, f.logs.String(), `level=ERROR msg="refreshing tokens"`)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	f.refreshOften(ended)
	require.NoError(t, f.drain(ended))
	_, err := f.app.RefreshDue(t.Context())
	require.ErrorIs(t, err, pinterest.ErrShutdown)
}
