package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// fixture is the site against a fake of Pinterest, at a time that stands still.
type fixture struct {
	*site
	t     *testing.T
	clock *pinteresttest.Clock
	srv   *pinteresttest.Server
	dir   string
	logs  *buffer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	clock := pinteresttest.NewClock(time.Date(2026, time.July, 9, 9, 30, 0, 0, time.UTC))
	d := startDemo("", clock)
	t.Cleanup(d.close)
	f := &fixture{t: t, clock: clock, srv: d.srv, dir: t.TempDir(), logs: &buffer{}}
	return f.start(d)
}

// start starts the program, or another one with the same tokens.
func (f *fixture) start(d *demo) *fixture {
	f.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	d.srv.AddRedirectURI(base + callbackPath)
	log := slog.New(slog.NewTextHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	site, err := newSite(settings{store: f.dir}, base, d, log)
	require.NoError(f.t, err)
	server.Config.Handler = site.handler()
	server.Start()
	f.t.Cleanup(server.Close)
	started := *f
	started.site = site
	return &started
}

// buffer is where the program logs to, from several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// visitor is a browser without a screen.
type visitor struct {
	f       *fixture
	http    *http.Client
	way     []*url.URL // where it was sent since its last request
	seen    string     // all that it was shown
	secrets []string   // what it must not be shown
}

func (f *fixture) visitor() *visitor {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(f.t, err)
	v := &visitor{f: f, http: &http.Client{Jar: jar}, secrets: []string{f.oauth.ClientSecret}}
	v.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		v.way = append(v.way, r.URL)
		for _, name := range []string{"code", "state"} {
			if secret := r.URL.Query().Get(name); secret != "" {
				v.secrets = append(v.secrets, secret)
			}
		}
		return nil
	}
	// No secret is ever shown or logged, whatever a test does.
	f.t.Cleanup(func() {
		for _, secret := range v.secrets {
			assert.NotContains(f.t, v.seen, secret)
			assert.NotContains(f.t, f.logs.String(), secret)
		}
	})
	return v
}

// shown is a page as a visitor sees it.
type shown struct {
	status int
	url    *url.URL
	header http.Header
	body   string
}

func (v *visitor) send(method, target string, form url.Values, header ...string) shown {
	v.f.t.Helper()
	r, err := http.NewRequestWithContext(v.f.t.Context(), method, target, strings.NewReader(form.Encode()))
	require.NoError(v.f.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	v.way = nil
	res, err := v.http.Do(r)
	require.NoError(v.f.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(v.f.t, err)
	v.seen += string(body)
	v.secrets = append(v.secrets, v.session())
	if tok := v.token(); tok != nil {
		v.secrets = append(v.secrets, tok.AccessToken, tok.RefreshToken)
	}
	return shown{res.StatusCode, res.Request.URL, res.Header, string(body)}
}

func (v *visitor) open(path string) shown {
	v.f.t.Helper()
	return v.send("GET", v.f.base+path, nil)
}

// press uses a button of the page.
func (v *visitor) press(path string) shown {
	v.f.t.Helper()
	return v.send("POST", v.f.base+path, url.Values{}, "Sec-Fetch-Site", "same-origin", "Origin", v.f.base)
}

// connect goes the whole way, with the account of that name.
func (v *visitor) connect(username string) shown {
	v.f.t.Helper()
	v.open("/")
	consent := v.press("/connect")
	require.True(v.f.t, strings.HasPrefix(consent.url.String(), v.f.srv.AuthorizeURL()), consent.url)
	return v.send("POST", consent.url.String(), url.Values{"account": {username}, "decision": {"allow"}})
}

// session is the value of the visitor's cookie.
func (v *visitor) session() string {
	v.f.t.Helper()
	base, err := url.Parse(v.f.base)
	require.NoError(v.f.t, err)
	for _, c := range v.http.Jar.Cookies(base) {
		if c.Name == sessionCookie {
			return c.Value
		}
	}
	return "no session"
}

// token is what is stored for the visitor.
func (v *visitor) token() *pinterest.Token {
	tok, err := v.f.store.Load(context.Background(), accountOf(v.session()))
	if err != nil {
		return nil
	}
	return tok
}

func (s shown) has(t *testing.T, parts ...string) {
	t.Helper()
	for _, part := range parts {
		assert.Contains(t, s.body, part)
	}
}

func (s shown) title() string {
	_, rest, _ := strings.Cut(s.body, "<title>")
	title, _, _ := strings.Cut(rest, " – Pinterest connection</title>")
	return title
}
