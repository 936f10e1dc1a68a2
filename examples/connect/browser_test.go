package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// TestBrowser goes through the whole life of a connection in Chromium, by
// keyboard alone, and looks at every page on the way.
func TestBrowser(t *testing.T) {
	b := newChromium(t)
	f := newFixture(t)
	const disconnect, narrow, revoke = "Disconnect", "Take permissions back", "Take all access away"

	b.open(f.base)
	b.look("not connected", "No account is connected", "publish, change and delete your Pins", "Demonstration")
	b.enter("Connect Pinterest")
	b.look("consent", "Give Example app access?", "oakandlinen", "boards:write")
	b.enter("oakandlinen", "Give access", "Cancel")
	b.look("denied", "No account is connected", "You have not given access", "Nothing was changed.")

	b.enter("Connect Pinterest")
	b.enter("oakandlinen", "Give access")
	b.look("connected", "Connected as oakandlinen", "Oak & Linen", "Business account", "see your boards", "8 August 2026, 09:30 UTC (in 30 days)")
	assert.Equal(t, f.base+"/", eval[string](b, `location.href`))
	assert.Equal(t, "Connected as oakandlinen – Pinterest connection", eval[string](b, `document.title`))
	assert.Empty(t, eval[string](b, `document.cookie`), "scripts cannot read the session")

	b.enter(disconnect, narrow)
	b.look("permissions missing", "Connected as oakandlinen", "Permissions that are missing", "publish, change and delete your Pins")
	b.enter("Ask again")
	b.enter("oakandlinen", "Give access")
	assert.NotContains(t, eval[string](b, `document.body.innerText`), "Permissions that are missing")

	b.enter(disconnect, narrow, revoke)
	b.look("disconnected by Pinterest", "Pinterest has disconnected the account", "The refresh token was refused", "9 July 2026, 09:30 UTC (now)")
	b.enter("Connect again")
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.ArrowDown))
	assert.Equal(t, "alice", b.focused().Name)
	b.enter("Give access")
	b.look("another user", "Pinterest has disconnected the account", "That is another Pinterest account", "Nothing was changed.")
	b.enter("Connect again", "Forget the account")
	b.enter("Connect Pinterest")
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.ArrowDown))
	assert.Equal(t, "alice", b.focused().Name)
	b.enter("Give access")
	b.look("personal", "Connected as alice", "Personal account")

	f.srv.Inject(pinteresttest.ServerError(503).On("user_account/get").Repeat(5))
	b.open(f.base)
	b.look("no answer", "An account is connected", "Pinterest did not answer")
	f.srv.ClearFaults()
	b.enter("Try again")
	b.enter(disconnect)
	b.look("disconnected", "No account is connected", "The account is disconnected")

	f.srv.Inject(pinteresttest.Fault{Status: 400, Code: 283, Message: "Invalid redirect URI"}.On("oauth/token"))
	b.enter("Connect Pinterest")
	b.enter("oakandlinen", "Give access")
	b.look("refused", "No account is connected", "Pinterest refused the connection")
	for _, url := range b.history() {
		assert.NotContains(t, url, "code=")
	}
	assert.Empty(t, b.said(), "nothing is wrong with any page")
}

// TestBrowserOtherSite holds that a form on another site, even on another port of
// this machine, to which the browser sends the session's cookie, changes nothing.
func TestBrowserOtherSite(t *testing.T) {
	b := newChromium(t)
	f := newFixture(t)
	b.open(f.base)
	b.enter("Connect Pinterest")
	b.enter("oakandlinen", "Give access")

	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<link rel="icon" href="data:,"><form method="post" action="%s/disconnect"><button>Win a prize</button></form>`, f.base)
	}))
	t.Cleanup(elsewhere.Close)
	b.open(elsewhere.URL)
	b.do(chromedp.KeyEvent(kb.Tab))
	b.leave()
	b.look("another site", "That came from another site", "Nothing was changed.")
	b.enter("Show how the account stands")
	assert.Equal(t, "Connected as oakandlinen", eval[string](b, `document.querySelector("h1").innerText`))
}
