package accounts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

const (
	clientID = "1480123"
	secret   = "s3cr3t/App+Key=0123456789abcdef"
	day      = 24 * time.Hour
)

// owner is a user of the server, with the tokens that are good now.
type owner struct {
	id, name string
	access   map[string]time.Time // until when each is good
	refresh  string
	dead     bool // the grant is gone
}

// tokenCall is one request to the token endpoint.
type tokenCall struct {
	at      time.Time
	grant   string
	refresh string
	owner   *owner // nil: nobody's
}

// world is a Pinterest with a mind of its own. It is a handler, and a transport
// in memory for bubbles of testing/synctest.
type world struct {
	mu     sync.Mutex
	serial int
	owners map[string]*owner // by id
	codes  map[string]*owner
	calls  []tokenCall
	reads  []string // access tokens of the API's requests

	lifetime any // expires_in
	// before answers a token request in place of the server; false: it does not.
	before func(w http.ResponseWriter, r *http.Request, call tokenCall) bool
	// after answers a token request that took effect, with the answer that it replaces.
	after func(w http.ResponseWriter, r *http.Request, call tokenCall, answer map[string]any) bool
	// api answers a request to the API.
	api func(w http.ResponseWriter, r *http.Request, token string, u *owner) bool
}

func newWorld() *world {
	return &world{owners: map[string]*owner{}, codes: map[string]*owner{}, lifetime: 2592000}
}

// owner adds a user with an access token that is good for so long.
func (w *world) owner(id string, good time.Duration) *owner {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := &owner{id: id, name: "user" + id, access: map[string]time.Time{}}
	w.owners[id] = u
	w.mint(u, good)
	return u
}

func (w *world) mint(u *owner, good time.Duration) (access string) {
	w.serial++
	access = fmt.Sprintf("pina_ACCESS%06d%sxyzxyzxyzxyzxyzxyz", w.serial, u.id)
	u.access[access] = time.Now().Add(good)
	u.refresh = fmt.Sprintf("pinr.REFRESH%06d%sabcabcabcabcabcabc", w.serial, u.id)
	return access
}

func (u *owner) current() (access string, until time.Time) {
	for a, e := range u.access {
		if access == "" || e.After(until) {
			access, until = a, e
		}
	}
	return access, until
}

// token is what a store has of the user.
func (w *world) token(u *owner) *pinterest.Token {
	w.mu.Lock()
	defer w.mu.Unlock()
	access, until := u.current()
	return &pinterest.Token{
		AccessToken: access, RefreshToken: u.refresh, Expiry: until.UTC().Round(0), RefreshExpiry: until.Add(30 * day).UTC().Round(0),
		User: &pinterest.PinterestUser{ID: u.id, Username: u.name},
	}
}

// put connects an account, as if long ago.
func (w *world) put(t testing.TB, store pinterest.TokenStore, account, id string, good time.Duration) *owner {
	t.Helper()
	u := w.owner(id, good)
	_, err := store.Save(t.Context(), account, w.token(u))
	require.NoError(t, err)
	return u
}

func (w *world) kill(u *owner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u.dead = true
	u.access = map[string]time.Time{}
}

func (w *world) code(u *owner) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serial++
	code := fmt.Sprintf("code%06d", w.serial)
	w.codes[code] = u
	return code
}

// tokenCalls counts the refreshes; of one user with an id.
func (w *world) tokenCalls(id string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.grant == "refresh_token" && (id == "" || c.owner != nil && c.owner.id == id) {
			n++
		}
	}
	return n
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// say answers with JSON, or HTML where the text begins so.
func say(w http.ResponseWriter, status int, body string) {
	ct := "application/json"
	if strings.HasPrefix(body, "<") {
		ct = "text/html; charset=utf-8"
	}
	w.Header().Set("Content-Type", ct)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (w *world) ownerOfAccess(token string) *owner {
	for _, u := range w.owners {
		if until, ok := u.access[token]; ok && time.Now().Before(until) {
			return u
		}
	}
	return nil
}

func (w *world) ownerOfRefresh(token string) *owner {
	for _, u := range w.owners {
		if strings.HasSuffix(token, u.id+"abcabcabcabcabcabc") {
			return u
		}
	}
	return nil
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/oauth/token") {
		w.serveToken(rw, r)
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	w.mu.Lock()
	w.reads = append(w.reads, token)
	u, api := w.ownerOfAccess(token), w.api
	w.mu.Unlock()
	switch {
	case api != nil && api(rw, r, token, u):
	case u == nil:
		say(rw, 401, `{"code":2,"message":"Authentication failed.","status":"failure"}`)
	default:
		say(rw, 200, fmt.Sprintf(`{"id":%q,"username":%q,"account_type":"BUSINESS"}`, u.id, u.name))
	}
}

const dead283 = `{"status":"failure","code":283,"data":"Invalid refresh token","message":"The authorization grant is invalid","endpoint_name":"oauth_connect"}`

func (w *world) serveToken(rw http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	call := tokenCall{at: time.Now(), grant: r.PostForm.Get("grant_type"), refresh: r.PostForm.Get("refresh_token")}
	code := r.PostForm.Get("code")
	w.mu.Lock()
	switch call.grant {
	case "refresh_token":
		call.owner = w.ownerOfRefresh(call.refresh)
	case "authorization_code":
		call.owner = w.codes[code]
	}
	w.calls = append(w.calls, call)
	before, after := w.before, w.after
	w.mu.Unlock()
	if before != nil && before(rw, r, call) {
		return
	}
	w.mu.Lock()
	u := call.owner
	good := u != nil && (call.grant == "authorization_code" || call.refresh == u.refresh && !u.dead)
	var answer map[string]any
	if good {
		delete(w.codes, code)
		good := 30 * day
		if n, ok := w.lifetime.(int); ok {
			good = time.Duration(n) * time.Second
		}
		if call.grant == "authorization_code" {
			u.dead = false
		}
		answer = map[string]any{
			"access_token": w.mint(u, good), "refresh_token": u.refresh, "token_type": "bearer", "expires_in": w.lifetime,
			"refresh_token_expires_in": 5184000, "response_type": call.grant, "scope": "user_accounts:read boards:read pins:read boards:write pins:write",
		}
	}
	w.mu.Unlock()
	if !good {
		say(rw, 401, dead283)
		return
	}
	if after != nil && after(rw, r, call, answer) {
		return
	}
	b, _ := json.Marshal(answer)
	say(rw, 200, string(b))
}

var errCut = errors.New("the connection was cut")

// RoundTrip makes the world a transport in memory.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	r2 := r.Clone(r.Context())
	r2.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- errCut
				return
			}
			ended <- nil
		}()
		w.ServeHTTP(rec, r2)
	}()
	select {
	case err := <-ended:
		if err != nil {
			return nil, err
		}
		resp := rec.Result()
		resp.Request = r
		return resp, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// witness collects the events.
type witness struct {
	mu   sync.Mutex
	list []pinterest.Event
}

func (o *witness) see(e pinterest.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, e)
}

func (o *witness) count(typ pinterest.EventType, account string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.list {
		if e.Type == typ && (account == "" || e.Account == account) {
			n++
		}
	}
	return n
}

func (w *world) app(t testing.TB, store pinterest.TokenStore, opts ...pinterest.Option) (*pinterest.App, *witness) {
	t.Helper()
	return w.appOf(t, pinterest.OAuth{
		ClientID: clientID, ClientSecret: secret, RedirectURL: "https://app.example/callback",
		Scopes: []pinterest.Scope{pinterest.ScopeUserAccountsRead, pinterest.ScopeBoardsRead},
	}, store, opts...)
}

func (w *world) appOf(t testing.TB, o pinterest.OAuth, store pinterest.TokenStore, opts ...pinterest.Option) (*pinterest.App, *witness) {
	t.Helper()
	seen := &witness{}
	app, err := pinterest.NewApp(append([]pinterest.Option{
		pinterest.WithBaseURL("https://pinterest.example/v5"), pinterest.WithHTTPClient(&http.Client{Transport: w}),
		pinterest.WithTokenStore(store), pinterest.WithOAuth(o), pinterest.WithObserver(seen.see), pinterest.WithoutPacing(),
	}, opts...)...)
	require.NoError(t, err)
	return app, seen
}

func get(app *pinterest.App, account string) error {
	_, err := app.Client(account).Account.Get(context.Background())
	return err
}

func load(t testing.TB, store pinterest.TokenStore, account string) *pinterest.Token {
	t.Helper()
	tok, err := store.Load(context.Background(), account)
	require.NoError(t, err)
	return tok
}

// marked lists the accounts that the store says are disconnected.
func marked(t testing.TB, store pinterest.TokenStore) (accounts []string) {
	t.Helper()
	for account, err := range store.Accounts(context.Background()) {
		require.NoError(t, err)
		if tok := load(t, store, account); tok != nil && tok.Disconnected != nil {
			accounts = append(accounts, account)
		}
	}
	return accounts
}

func disposition(err error) string {
	var e *pinterest.Error
	if errors.As(err, &e) {
		return e.Disposition.String()
	}
	return fmt.Sprint(err)
}

// login takes a browser through a login, up to the request of the callback.
func (w *world) login(t testing.TB, app *pinterest.App, account string, u *owner) *http.Request {
	t.Helper()
	l, err := app.OAuth.Login(account)
	require.NoError(t, err)
	at, err := url.Parse(l.URL)
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodGet, "https://app.example/callback?"+url.Values{
		"code": {w.code(u)}, "state": {at.Query().Get("state")},
	}.Encode(), nil)
	r.AddCookie(&http.Cookie{Name: l.Cookie.Name, Value: l.Cookie.Value})
	return r
}

func (w *world) connect(t testing.TB, app *pinterest.App, account string, u *owner) (*pinterest.Connection, error) {
	t.Helper()
	return app.OAuth.Callback(context.Background(), w.login(t, app, account, u), account)
}
