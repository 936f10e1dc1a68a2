package pinteresttest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// start is the time at which every test begins, in the middle of a minute.
var start = time.Date(2026, time.July, 9, 9, 33, 55, 804_801_000, time.UTC)

// fixture is a server on a fake clock with one account and one board.
type fixture struct {
	*pinteresttest.Server
	t     *testing.T
	clock *pinteresttest.Clock
	alice pinteresttest.Account
	board pinteresttest.Board
	http  *http.Client
}

func setup(t *testing.T, opts ...pinteresttest.Option) *fixture {
	t.Helper()
	clock := pinteresttest.NewClock(start)
	return setupOn(t, clock, opts...)
}

func setupOn(t *testing.T, clock *pinteresttest.Clock, opts ...pinteresttest.Option) *fixture {
	t.Helper()
	srv := pinteresttest.NewServer(append([]pinteresttest.Option{pinteresttest.WithClock(clock)}, opts...)...)
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
	})
	f := &fixture{Server: srv, t: t, clock: clock, http: &http.Client{Transport: transport}}
	f.alice = srv.AddAccount("alice")
	f.board = srv.AddBoard(f.alice, "Kitchens")
	return f
}

// answer is the answer that the client got.
type answer struct {
	status int
	header http.Header
	body   string
}

// decode reads the answer's JSON object.
func (a answer) decode(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.body), &object), "body: %s", a.body)
	return object
}

// text returns a string property of the answer.
func (a answer) text(t *testing.T, name string) string {
	t.Helper()
	value, ok := a.decode(t)[name].(string)
	require.True(t, ok, "no string %q in %s", name, a.body)
	return value
}

// ids returns the ids of a page's items.
func (a answer) ids(t *testing.T) []string {
	t.Helper()
	ids := []string{}
	items, ok := a.decode(t)["items"].([]any)
	require.True(t, ok, "no items in %s", a.body)
	for _, item := range items {
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	return ids
}

// request makes a request as alice. A body is sent as JSON.
func (f *fixture) request(method, path, body string) *http.Request {
	f.t.Helper()
	return f.requestWith(f.alice.AccessToken, method, path, body)
}

func (f *fixture) requestWith(token, method, path, body string) *http.Request {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.URL+path, strings.NewReader(body))
	require.NoError(f.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send sends a request and returns its answer or the connection's error.
func (f *fixture) send(r *http.Request) (answer, error) {
	res, err := f.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(body)}, err
}

// call makes a request that is answered.
func (f *fixture) call(method, path, body string) answer {
	f.t.Helper()
	a, err := f.send(f.request(method, path, body))
	require.NoError(f.t, err, "%s %s", method, path)
	return a
}

// callAs is call with another token.
func (f *fixture) callAs(token, method, path, body string) answer {
	f.t.Helper()
	a, err := f.send(f.requestWith(token, method, path, body))
	require.NoError(f.t, err, "%s %s", method, path)
	return a
}

// pinBody is the body of a valid pins/create with further properties, such as
// `"title": "x"`.
func (f *fixture) pinBody(more ...string) string {
	fields := append([]string{
		`"board_id": "` + f.board.ID + `"`,
		`"media_source": {"source_type": "image_url", "url": "https://example.com/a.jpg"}`,
	}, more...)
	return "{" + strings.Join(fields, ", ") + "}"
}

// assertError checks an error's status, code and, in part, its message.
func assertError(t *testing.T, a answer, status, code int, message string) {
	t.Helper()
	assert.Equal(t, status, a.status, a.body)
	object := a.decode(t)
	assert.EqualValues(t, code, object["code"], a.body)
	assert.Contains(t, object["message"], message)
	assert.Equal(t, "application/json", a.header.Get("Content-Type"))
}

// soon is a context for what should happen at once.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// until waits for a condition that is about to become true.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	for ctx := soon(t); !condition(); runtime.Gosched() {
		require.NoError(t, ctx.Err(), "waited in vain")
	}
}
