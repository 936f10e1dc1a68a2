package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

func TestEveryAttemptSendsTheSameBytes(t *testing.T) {
	t.Parallel()
	aborted := reply{act: func(_ *server, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}}
	half := reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"8`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			s := newUnstarted(t, bare(503), aborted, half, bare(429), okPin())
			s.EnableHTTP2 = proto == "HTTP/2.0"
			s.StartTLS()
			pin := pinCreate()
			pin.Description = strings.Repeat("ü<&>\u2028", 150)
			_, err := newClient(t, s).Pins.Create(t.Context(), pin, pinterest.RetryWithoutLookup())
			require.NoError(t, err)
			sent := s.received(toCall)
			require.Len(t, sent, 5)
			require.NotEmpty(t, sent[0].body)
			for _, req := range sent {
				assert.Equal(t, string(sent[0].body), string(req.body))
				assert.Equal(t, itoa(len(sent[0].body)), req.header.Get("Content-Length"))
				assert.Equal(t, sent[0].header, req.header, "and the same header")
			}
			assert.Equal(t, "application/json", sent[0].header.Get("Content-Type"))
			assert.Equal(t, "Bearer "+accessToken, sent[0].header.Get("Authorization"))
			assert.True(t, strings.HasPrefix(sent[0].header.Get("User-Agent"), "pinterest-go/"))
		})
	}
}

func TestReadSendsNoBody(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	require.NoError(t, get(t.Context(), newClient(t, s, pinterest.WithUserAgent("scheduler/2.1"))))
	req := s.received(toCall)[0]
	assert.Empty(t, req.body)
	assert.Empty(t, req.header.Get("Content-Type"))
	assert.Equal(t, "/v5/pins/"+pinID, req.path)
	assert.True(t, strings.HasPrefix(req.header.Get("User-Agent"), "scheduler/2.1 pinterest-go/"))
}

func TestAdAccountIsSentAndSharedWithLookups(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503).always())
	c := newClient(t, s)
	_, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.AdAccount("549755885175"), pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1}))
	require.Error(t, err)
	for _, kind := range []string{toCall, toLookup} {
		for _, req := range s.received(kind) {
			q, err := url.ParseQuery(req.query)
			require.NoError(t, err)
			assert.Equal(t, []string{"549755885175"}, q["ad_account_id"], kind)
		}
	}
	before := len(s.kinds())
	err = get(t.Context(), c, pinterest.AdAccount("my account"))
	assert.ErrorIs(t, err, pinterest.ErrInvalid)
	assert.Equal(t, fix, failure(t, err).Disposition)
	assert.Len(t, s.kinds(), before, "nothing invalid is sent")
}

func TestInvalidCallsAreNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"id":              func() error { _, err := c.Pins.Get(ctx, "https://www.pinterest.com/pin/1"); return err },
		"empty id":        func() error { return c.Pins.Delete(ctx, "") },
		"dots":            func() error { return c.Pins.Delete(ctx, "..") },
		"empty update":    func() error { _, err := c.Pins.Update(ctx, pinID, pinterest.PinUpdate{}); return err },
		"no board":        func() error { _, err := c.Pins.Create(ctx, pinterest.PinCreate{}); return err },
		"policy":          func() error { return get(ctx, c, pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: -1})) },
		"attempt timeout": func() error { return get(ctx, c, pinterest.AttemptTimeout(-1)) },
		"body": func() error {
			return c.Do(ctx, pinterest.OpPinsUpdate, pinterest.Request{Path: []string{pinID}, Body: make(chan int)}, nil)
		},
		"few path values":  func() error { return c.Do(ctx, pinterest.OpPinsGet, pinterest.Request{}, nil) },
		"many path values": func() error { return c.Do(ctx, pinterest.OpPinsGet, pinterest.Request{Path: []string{"1", "2"}}, nil) },
	} {
		err := call()
		e := failure(t, err)
		assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
		assert.Equal(t, fix, e.Disposition, name)
		assert.Equal(t, pinterest.PhaseNotSent, e.Phase, name)
	}
	assert.Empty(t, s.kinds())
}

func TestPathValuesAreEscaped(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{}`).always())
	op := pinterest.Operation{ID: "x/get", Method: http.MethodGet, Path: "/x/{name}/y"}
	var uri string
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uri = r.RequestURI
		s.serve(w, r)
	})
	require.NoError(t, newClient(t, s).Do(t.Context(), op, pinterest.Request{Path: []string{"a/../b?c#d e%2f"}}, nil))
	assert.Equal(t, "/v5/x/"+url.PathEscape("a/../b?c#d e%2f")+"/y", uri)
}

func TestDryRunSendsNothingAndRedacts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cfg := refreshConfig()
	cfg.AccessToken = accessToken
	for name, c := range map[string]*testClient{
		"token":   newClient(t, s),
		"source":  newBareClient(t, s, pinterest.WithTokenSource(failingSource{errors.New("must not be asked")})),
		"refresh": newBareClient(t, s, pinterest.WithRefreshToken(cfg)),
	} {
		var d pinterest.DryRun
		pin, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.DryRunTo(&d), pinterest.AdAccount("12"))
		require.NoError(t, err, name)
		assert.Equal(t, &pinterest.Pin{}, pin, name)
		assert.Equal(t, http.MethodPost, d.Method)
		assert.Equal(t, s.base()+"/pins?ad_account_id=12", d.URL)
		assert.JSONEq(t, `{"board_id":"549755885175","title":"Oak table","description":"Two metres of oak","link":"https://shop.example/tables/7",
			"media_source":{"source_type":"image_url","url":"https://shop.example/tables/7.jpg"}}`, string(d.Body))
		assert.NotEmpty(t, d.Header.Get("Authorization"))
		assert.NotContains(t, fmt.Sprintf("%+v", d), accessToken)

		_, err = c.Pins.Create(t.Context(), pinterest.PinCreate{}, pinterest.DryRunTo(&d))
		assert.ErrorIs(t, err, pinterest.ErrInvalid, "a dry run validates")
	}
	assert.Empty(t, s.kinds())
}

type failingSource struct{ err error }

func (f failingSource) Token() (*oauth2.Token, error) { return nil, f.err }

// A programming mistake is told where it is made, and nothing is sent.
func TestMistakesOfTheProgramAreNamed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s, pinterest.WithLedger(pinterest.NewMemoryLedger()))
	ctx := t.Context()
	do := func(op pinterest.Operation) error { return c.Do(ctx, op, pinterest.Request{}, nil) }
	var none context.Context
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"call option":               {get(ctx, c, pinterest.AtPriority(pinterest.PriorityBulk), nil), "call option 2 is nil"},
		"call option of a list":     {last(c.Boards.AllPins(ctx, boardID, nil, nil)), "call option 1 is nil"},
		"call option of a key":      {second(c.Pins.CreateOnce(ctx, "job", pinCreate(), nil)), "call option 1 is nil"},
		"call option of Download":   {second(c.Download(ctx, s.URL, io.Discard, nil)), "call option 1 is nil"},
		"call option of Resolve":    {second(c.Pins.Resolve(ctx, pinterest.Uncertain{Version: 1, Operation: "pins/create", Since: s.clock.Now()}, nil)), "call option 1 is nil"},
		"context":                   {get(none, c), "the context is nil"},
		"context of Do":             {c.Do(none, pinterest.OpPinsGet, pinterest.Request{Path: []string{pinID}}, nil), "the context is nil"},
		"context of a create":       {second(c.Pins.Create(none, pinCreate())), "the context is nil"},
		"context of a key":          {second(c.Pins.CreateOnce(none, "job", pinCreate())), "the context is nil"},
		"context of a list":         {last(c.Boards.AllPins(none, boardID, nil)), "the context is nil"},
		"context of Download":       {second(c.Download(none, s.URL, io.Discard)), "the context is nil"},
		"context of Resolve":        {second(c.Pins.Resolve(none, pinterest.Uncertain{})), "the context is nil"},
		"operation":                 {do(pinterest.Operation{}), "Operation.ID is required"},
		"operation without ID":      {do(pinterest.Operation{Method: http.MethodGet, Path: "/pins"}), "Operation.ID is required"},
		"operation without method":  {do(pinterest.Operation{ID: "pins/list", Path: "/pins"}), "Operation.Method is required"},
		"operation of no such kind": {do(pinterest.Operation{ID: "pins/list", Method: http.MethodGet, Kind: 9}), "Operation.Kind is not a Kind"},
		"result that is no pointer": {c.Do(ctx, pinterest.OpPinsGet, pinterest.Request{Path: []string{pinID}}, pinterest.Pin{}), "out must be a pointer"},
	} {
		e := failure(t, tt.err)
		require.ErrorIs(t, tt.err, pinterest.ErrInvalid, name)
		assert.Equal(t, fix, e.Disposition, name)
		assert.Contains(t, e.Message, tt.want, name)
		assert.NotZero(t, e.Call, name)
		assert.LessOrEqual(t, strings.Count(tt.err.Error(), ";"), strings.Count(tt.want, ";")+1, "%s: nothing beside it: %v", name, tt.err)
	}
	assert.Empty(t, s.kinds())

	_, err := storedApp(t, s, pinterest.NewMemoryTokenStore()).RefreshDue(none)
	require.ErrorContains(t, err, "the context is nil")
}

// Nil where nothing has to be given is no mistake.
func TestNilWhereNothingIsMeant(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(404)).onLookup(answer(200, emptyPage))
	c := newClient(t, s, pinterest.WithRules(pinterest.Rule{Name: "no wait, no message", Status: 404, Wait: nil, Message: nil}))
	assert.Equal(t, "no wait, no message", failure(t, get(t.Context(), c)).Rule)
	_, err := c.Boards.ListPins(t.Context(), boardID, nil)
	require.NoError(t, err)
}

func second[T any](_ T, err error) error { return err }

// last returns the error that an iterator ends with.
func last[T any](seq iter.Seq2[*T, error]) (err error) {
	for _, e := range seq {
		err = e
	}
	return err
}
