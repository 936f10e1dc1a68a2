package pinteresttest_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

const (
	callback = "https://app.example/callback"
	scopes   = "boards:read,pins:read,user_accounts:read"
)

// authURL returns the URL of a connect button. more replaces parameters; empty ones
// are removed.
func (f *fixture) authURL(more ...string) string {
	query := url.Values{
		"client_id": {f.App().ID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {scopes}, "state": {"st&te"},
	}
	for i := 0; i < len(more); i += 2 {
		query.Set(more[i], more[i+1])
		if more[i+1] == "" {
			query.Del(more[i])
		}
	}
	return f.AuthorizeURL() + "?" + query.Encode()
}

// authorize gives access and returns the code.
func (f *fixture) authorize(more ...string) string {
	f.t.Helper()
	redirect, err := f.Authorize(f.authURL(more...), f.alice)
	require.NoError(f.t, err)
	u, err := url.Parse(redirect)
	require.NoError(f.t, err)
	return u.Query().Get("code")
}

// tokenRequest is a request of the app to an endpoint with a form.
func (f *fixture) tokenRequest(path string, fields ...string) *http.Request {
	f.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r, err := http.NewRequestWithContext(f.t.Context(), "POST", f.URL+path, strings.NewReader(form.Encode()))
	require.NoError(f.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(f.App().ID, f.App().Secret)
	return r
}

func (f *fixture) post(path string, fields ...string) answer {
	f.t.Helper()
	a, err := f.send(f.tokenRequest(path, fields...))
	require.NoError(f.t, err)
	return a
}

// exchange is the grant of a code.
func (f *fixture) exchange(code string, more ...string) answer {
	f.t.Helper()
	return f.post("/oauth/token", append([]string{
		"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "continuous_refresh", "true",
	}, more...)...)
}

// browse makes a request of a browser, which follows no redirect here.
func (f *fixture) browse(method, target string, form url.Values) answer {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, target, strings.NewReader(form.Encode()))
	require.NoError(f.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{Transport: f.http.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	res, err := client.Do(r)
	require.NoError(f.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(f.t, err)
	return answer{status: res.StatusCode, header: res.Header, body: string(body)}
}

func setupConnect(t *testing.T, opts ...pinteresttest.Option) *fixture {
	t.Helper()
	return setup(t, append([]pinteresttest.Option{pinteresttest.WithRedirectURIs(callback)}, opts...)...)
}

func TestAuthorizePage(t *testing.T) {
	f := setupConnect(t)
	f.AddAccount(`bob <b>`)
	page := f.browse("GET", f.authURL("scope", "pins:read boards:read", "refreshable", "true"), nil)
	require.Equal(t, http.StatusOK, page.status)
	assert.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
	assert.Equal(t, "no-store", page.header.Get("Cache-Control"))
	for _, part := range []string{
		`<html lang="en">`, `name="viewport"`, `<title>Give Example app access?</title>`, "Example app", f.App().ID,
		"See your public Pins", "<code>boards:read</code>", "<legend>Account</legend>",
		`<label><input type="radio" name="account" value="alice" checked> alice</label>`,
		`<label><input type="radio" name="account" value="bob &lt;b&gt;"> bob &lt;b&gt;</label>`,
		"Give access</button>", "Cancel</button>", ":focus-visible",
	} {
		assert.Contains(t, page.body, part)
	}
	assert.NotContains(t, page.body, "pins:write")
	assert.Equal(t, page.status, f.browse("HEAD", f.authURL(), nil).status)
	assert.Equal(t, http.StatusMethodNotAllowed, f.browse("PUT", f.authURL(), nil).status)
	assert.Zero(t, f.Count(""), "the page is no part of the API")
}

func TestAuthorizePageWithoutAccounts(t *testing.T) {
	srv := pinteresttest.NewMemoryServer(pinteresttest.WithRedirectURIs(callback))
	f := &fixture{Server: srv, t: t, http: &http.Client{Transport: srv.Transport()}}
	page := f.browse("GET", f.authURL(), nil)
	assert.Contains(t, page.body, "There is no account on this server yet.")
	assert.Contains(t, page.body, `value="allow" disabled`)
}

// TestGiveAccess does everything that a browser does.
func TestGiveAccess(t *testing.T) {
	f := setupConnect(t, pinteresttest.WithRedirectURIs("http://127.0.0.1:1/cb?from=pinterest"))
	bob := f.AddAccount("bob")
	target := f.authURL("redirect_uri", "http://127.0.0.1:1/cb?from=pinterest")
	require.Equal(t, http.StatusOK, f.browse("GET", target, nil).status)
	given := f.browse("POST", target, url.Values{"account": {"bob"}, "decision": {"allow"}})
	require.Equal(t, http.StatusSeeOther, given.status)
	to, err := url.Parse(given.header.Get("Location"))
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:1/cb", to.Host+to.Path)
	query := to.Query()
	assert.Equal(t, "st&te", query.Get("state"))
	assert.Equal(t, "pinterest", query.Get("from"), "what the redirect URI had is kept")
	assert.Regexp(t, `^[0-9a-f]{40}$`, query.Get("code"))

	a := f.exchange(query.Get("code"), "redirect_uri", "http://127.0.0.1:1/cb?from=pinterest")
	require.Equal(t, http.StatusOK, a.status, a.body)
	assert.Equal(t, "bob", f.callAs(a.text(t, "access_token"), "GET", "/user_account", "").text(t, "username"))
	assert.Equal(t, bob.Username, f.Requests()[0].Account)
	assert.Equal(t, "authorization_code", f.Requests()[0].Grant)

	cancelled := f.browse("POST", f.authURL(), url.Values{"decision": {"cancel"}})
	assert.Equal(t, http.StatusSeeOther, cancelled.status)
	assert.Equal(t, callback+"?error=access_denied&state=st%26te", cancelled.header.Get("Location"))
	stateless := f.browse("POST", f.authURL("state", ""), url.Values{"decision": {"cancel"}})
	assert.Equal(t, callback+"?error=access_denied", stateless.header.Get("Location"))
}

func TestAuthorizePageRefuses(t *testing.T) {
	f := setupConnect(t)
	tests := map[string]struct {
		change  []string
		message string
	}{
		"no client":          {[]string{"client_id", ""}, "There is no app"},
		"wrong client":       {[]string{"client_id", "1"}, "There is no app"},
		"no redirect URI":    {[]string{"redirect_uri", ""}, "is not registered"},
		"wrong redirect URI": {[]string{"redirect_uri", "https://evil.example"}, "is not registered"},
		"longer one":         {[]string{"redirect_uri", callback + "/"}, "is not registered"},
		"response type":      {[]string{"response_type", "token"}, "has to be code"},
		"no scope":           {[]string{"scope", " "}, "scope is missing"},
		"unknown scope":      {[]string{"scope", "pins:read,pins:fly"}, "There is no scope"},
		"plain challenge":    {[]string{"code_challenge", "x"}, "has to be S256"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, a := range []answer{
				f.browse("GET", f.authURL(test.change...), nil),
				f.browse("POST", f.authURL(test.change...), url.Values{"account": {"alice"}, "decision": {"allow"}}),
			} {
				assert.Equal(t, http.StatusBadRequest, a.status)
				assert.Empty(t, a.header.Get("Location"))
				assert.Contains(t, a.body, test.message)
				assert.NotContains(t, a.body, "<form")
			}
			_, err := f.Authorize(f.authURL(test.change...), f.alice)
			require.ErrorContains(t, err, test.message)
			_, err = f.Decline(f.authURL(test.change...))
			require.ErrorContains(t, err, test.message)
			_, err = f.FailLogin(f.authURL(test.change...), "server_error")
			require.ErrorContains(t, err, test.message)
		})
	}
	for name, form := range map[string]url.Values{
		"unknown account": {"account": {"nobody"}, "decision": {"allow"}},
		"no decision":     {"account": {"alice"}},
	} {
		assert.Equal(t, http.StatusBadRequest, f.browse("POST", f.authURL(), form).status, name)
	}
	_, err := f.Authorize(f.authURL(), pinteresttest.Account{Username: "nobody"})
	require.ErrorContains(t, err, "There is no account")
	_, err = f.Authorize(f.URL+"/pins", f.alice)
	require.ErrorContains(t, err, "path of the authorize page")
	_, err = f.Authorize(":", f.alice)
	require.Error(t, err)
	_, err = f.Authorize(f.authURL(), f.alice, "ads:write")
	require.ErrorContains(t, err, "did not ask")
}

func TestAuthorizeWithoutABrowser(t *testing.T) {
	f := setup(t)
	theirs := "https://www.pinterest.com/oauth/" + strings.TrimPrefix(f.authURL(), f.AuthorizeURL())
	_, err := f.Authorize(theirs, f.alice)
	require.ErrorContains(t, err, "not registered")
	f.AddRedirectURI(callback)
	assert.Equal(t, []string{callback}, f.App().RedirectURIs)
	redirect, err := f.Authorize(theirs, f.alice)
	require.NoError(t, err)
	assert.Regexp(t, `^https://app\.example/callback\?code=[0-9a-f]{40}&state=st%26te$`, redirect)
	declined, err := f.Decline(theirs)
	require.NoError(t, err)
	assert.Equal(t, callback+"?error=access_denied&state=st%26te", declined)
	failed, err := f.FailLogin(theirs, "server_error")
	require.NoError(t, err)
	assert.Equal(t, callback+"?error=server_error&state=st%26te", failed)
	older := f.authURL("client_id", "", "consumer_id", f.App().ID)
	_, err = f.Authorize(older, f.alice)
	assert.NoError(t, err, "the parameter's older name")
}

// TestAuthorizePageMarkup checks that every element is closed and every control has
// a label.
func TestAuthorizePageMarkup(t *testing.T) {
	f := setupConnect(t)
	for _, page := range []answer{f.browse("GET", f.authURL(), nil), f.browse("GET", f.AuthorizeURL(), nil)} {
		var open []string
		for _, tag := range regexp.MustCompile(`<(/?)([a-z][a-z0-9]*)[^>]*>`).FindAllStringSubmatch(page.body, -1) {
			switch {
			case tag[2] == "meta" || tag[2] == "link":
			case tag[2] == "input":
				require.NotEmpty(t, open)
				assert.Equal(t, "label", open[len(open)-1])
			case tag[1] == "":
				open = append(open, tag[2])
			default:
				require.NotEmpty(t, open)
				require.Equal(t, open[len(open)-1], tag[2])
				open = open[:len(open)-1]
			}
		}
		assert.Empty(t, open)
		assert.Equal(t, 1, strings.Count(page.body, "<h1>"))
	}
}
