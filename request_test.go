package pinterest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

var (
	opXGet    = pinterest.Operation{ID: "x/get", Method: http.MethodGet, Path: "/x"}
	opXDelete = pinterest.Operation{ID: "x/delete", Method: http.MethodDelete, Path: "/x"}
	opXPatch  = pinterest.Operation{ID: "x/update", Method: http.MethodPatch, Path: "/x"}
	opXCreate = pinterest.Operation{ID: "x/create", Method: http.MethodPost, Path: "/x"}
	opXSearch = pinterest.Operation{ID: "x/search", Method: http.MethodPost, Path: "/x/search", Kind: pinterest.KindRead}
)

// xOptions are options of a caller's own.
type xOptions struct {
	values url.Values
	err    error
}

func (o *xOptions) Query() url.Values { return o.values }
func (o *xOptions) Validate() error   { return o.err }

func TestQueryOfARequest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		req  pinterest.Request
		opts []pinterest.CallOption
		want string
	}{
		"none":                      {pinterest.Request{}, nil, ""},
		"a nil pointer is none":     {pinterest.Request{Options: (*xOptions)(nil)}, nil, ""},
		"options":                   {pinterest.Request{Options: &xOptions{values: url.Values{"a": {"1"}}}}, nil, "a=1"},
		"options and query":         {pinterest.Request{Options: &xOptions{values: url.Values{"a": {"1"}}}, Query: url.Values{"b": {"2"}}}, nil, "a=1&b=2"},
		"query takes precedence":    {pinterest.Request{Options: &xOptions{values: url.Values{"a": {"1", "3"}}}, Query: url.Values{"a": {"2"}}}, nil, "a=2"},
		"commas stay":               {pinterest.Request{Query: url.Values{"columns": {"SPEND_IN_DOLLAR,CTR,A&B"}}}, nil, "columns=SPEND_IN_DOLLAR,CTR,A%26B"},
		"repeated":                  {pinterest.Request{Query: url.Values{"ids": {"1", "2", "1"}}}, nil, "ids=1&ids=2&ids=1"},
		"a deep object":             {pinterest.Request{Query: url.Values{"parameters[start]": {"2026-01-01"}, "parameters[end]": {"x y"}}}, nil, "parameters%5Bend%5D=x+y&parameters%5Bstart%5D=2026-01-01"},
		"the ad account":            {pinterest.Request{Query: url.Values{"a": {"1"}}}, []pinterest.CallOption{pinterest.AdAccount("12")}, "a=1&ad_account_id=12"},
		"the ad account, by itself": {pinterest.Request{}, []pinterest.CallOption{pinterest.AdAccount("12")}, "ad_account_id=12"},
		"the ad account of the call, not of the request": {
			pinterest.Request{Query: url.Values{"ad_account_id": {"7"}}}, []pinterest.CallOption{pinterest.AdAccount("12")}, "ad_account_id=12",
		},
		"a comma that was escaped before": {pinterest.Request{Query: url.Values{"q": {"a%2Cb"}}}, nil, "q=a%252Cb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, answer(200, `{}`))
			before := tt.req.Query.Encode()
			require.NoError(t, newClient(t, s).Do(t.Context(), opXGet, tt.req, nil, tt.opts...))
			assert.Equal(t, tt.want, s.received(toCall)[0].query)
			assert.Equal(t, before, tt.req.Query.Encode(), "the caller's map is left alone")
		})
	}
}

// entry is an element of an array body.
type entry struct {
	ID string `json:"id"`
}

func (e entry) Validate() error {
	var c pinterest.Check
	c.ID("id", e.ID)
	if e.ID == "13" {
		return errors.Join(c.Err(), errors.New("thirteen is refused"))
	}
	return c.Err()
}

// pointerEntry validates by its pointer.
type pointerEntry struct{ entry }

func (e *pointerEntry) Validate() error { return e.entry.Validate() }

func TestArrayBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `{}`).always())
	c := newClient(t, s)
	require.NoError(t, c.Do(t.Context(), opXPatch, pinterest.Request{Body: []entry{{"1"}, {"2"}}}, nil))
	require.NoError(t, c.Do(t.Context(), opXDelete, pinterest.Request{Body: []string{"a", "b"}}, nil))
	require.NoError(t, c.Do(t.Context(), opXPatch, pinterest.Request{Body: []*pointerEntry{{entry{"1"}}}}, nil))
	assert.JSONEq(t, `[{"id":"1"},{"id":"2"}]`, string(s.received(toCall)[0].body))
	assert.JSONEq(t, `["a","b"]`, string(s.received(toCall)[1].body), "a DELETE can have a body")
	assert.Equal(t, "application/json", s.received(toCall)[1].header.Get("Content-Type"))
	sent := s.count(toCall)

	for name, body := range map[string]any{
		"values":              []entry{{"1"}, {"x"}, {""}},
		"pointers":            []*pointerEntry{{entry{"1"}}, {entry{"x"}}, {entry{""}}},
		"values of a pointer": []pointerEntry{{entry{"1"}}, {entry{"x"}}, {entry{""}}},
		"a pointer to a list": &[]entry{{"1"}, {"x"}, {""}},
	} {
		e := failure(t, c.Do(t.Context(), opXPatch, pinterest.Request{Body: body}, nil))
		var fields []string
		for _, f := range e.Fields {
			fields = append(fields, f.Field)
		}
		assert.Equal(t, []string{"[1].id", "[2].id"}, fields, name)
	}
	err := c.Do(t.Context(), opXPatch, pinterest.Request{Body: []entry{{"1"}, {"13"}}}, nil)
	assert.ErrorContains(t, err, "[1]: thirteen is refused")
	err = c.Do(t.Context(), opXPatch, pinterest.Request{Body: []*pointerEntry{nil}}, nil)
	assert.ErrorContains(t, err, "[0]")
	for name, body := range map[string]any{"a list of anything": []any{(*pinterest.PinCreate)(nil)}, "a pointer to it": &[]any{(*pinterest.PinCreate)(nil)}} {
		err = c.Do(t.Context(), opXPatch, pinterest.Request{Body: body}, nil)
		assert.ErrorContains(t, err, "[0] must not be nil", name)
	}
	err = c.Do(t.Context(), opXPatch, pinterest.Request{Options: &xOptions{err: pinterest.FieldError{Field: "o", Problem: "is wrong"}}, Body: []entry{{"x"}}}, nil)
	assert.Len(t, failure(t, err).Fields, 2, "options and body are checked together")
	assert.Equal(t, sent, s.count(toCall), "nothing invalid is sent")
}

func TestFormBody(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503), answer(200, `{}`))
	require.NoError(t, newClient(t, s).Do(t.Context(), opXPatch, pinterest.Request{Body: url.Values{"b": {"1 2"}, "a": {"x&y", "z"}}}, nil))
	for _, r := range s.received(toCall) {
		assert.Equal(t, "application/x-www-form-urlencoded", r.header.Get("Content-Type"))
		assert.Equal(t, "a=x%26y&a=z&b=1+2", string(r.body))
	}
	assert.Equal(t, 2, s.count(toCall))
}

// A POST that reads is sent again like a GET. One that is not known to read is not.
func TestPostThatReads(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503), reset(), answer(200, `{"id":"1"}`))
	got, err := pinterest.Call[entry](t.Context(), newClient(t, s).Client, opXSearch, pinterest.Request{Body: map[string]int{"a": 1}})
	require.NoError(t, err)
	assert.Equal(t, "1", got.ID)
	assert.Equal(t, 3, s.count(toCall))
	assert.Len(t, s.kinds(), 3, "nothing is looked up")

	s = newServer(t, bare(503).always())
	err = newClient(t, s).Do(t.Context(), opXCreate, pinterest.Request{Body: map[string]int{"a": 1}}, nil)
	assert.ErrorIs(t, err, pinterest.ErrUncertain)
	assert.Equal(t, 1, s.count(toCall))
}

func TestAnswersWithoutABody(t *testing.T) {
	t.Parallel()
	one := pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1})
	noBody := func(op pinterest.Operation) pinterest.Operation { op.NoBody = true; return op }
	for name, tt := range map[string]struct {
		op     pinterest.Operation
		reply  reply
		out    bool // a result is wanted
		failed bool
	}{
		"GET, a result":             {opXGet, answer(200, ""), true, true},
		"GET, none wanted":          {opXGet, answer(200, ""), false, false},
		"GET, described so":         {noBody(opXGet), answer(200, ""), true, false},
		"PATCH 204":                 {opXPatch, answer(204, ""), true, false},
		"PATCH 200":                 {opXPatch, answer(200, ""), true, true},
		"PATCH 200, described so":   {noBody(opXPatch), answer(200, ""), true, false},
		"create 204":                {opXCreate, answer(204, ""), true, true},
		"create, described so":      {noBody(opXCreate), answer(204, ""), true, false},
		"create, none wanted":       {opXCreate, answer(201, ""), false, false},
		"create {}":                 {opXCreate, answer(201, "{}"), true, true},
		"create {}, described so":   {noBody(opXCreate), answer(201, "{}"), true, false},
		"described so, not JSON":    {noBody(opXPatch), answer(200, "OK"), true, true},
		"a part of the whole (206)": {opXPatch, answer(206, `{"id":"1"}`), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.reply.always())
			var out entry
			var err error
			if tt.out {
				err = newClient(t, s).Do(t.Context(), tt.op, pinterest.Request{}, &out, one)
			} else {
				err = newClient(t, s).Do(t.Context(), tt.op, pinterest.Request{}, nil, one)
			}
			if !tt.failed {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, pinterest.ErrResponse)
			assert.Equal(t, tt.op.Method == http.MethodPost, errors.Is(err, pinterest.ErrUncertain))
		})
	}
}

// A create whose answer has nothing in it is incomplete, whatever it is decoded into.
func TestCreateIntoAMap(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body  string
		out   any
		empty bool
	}{
		"a map":                    {`{}`, new(map[string]any), true},
		"a map, null":              {`null`, new(map[string]any), true},
		"anything":                 {`{}`, new(any), true},
		"anything, null":           {`null`, new(any), true},
		"anything, a list":         {`[]`, new(any), true},
		"a list":                   {`[]`, new([]entry), true},
		"a pointer":                {`{}`, new(*entry), true},
		"a map, with a result":     {`{"id":"1"}`, new(map[string]any), false},
		"anything, with a result":  {`{"id":"1"}`, new(any), false},
		"a list, with a result":    {`[{"id":"1"}]`, new([]entry), false},
		"a pointer, with a result": {`{"id":"1"}`, new(*entry), false},
	} {
		s := newServer(t, answer(201, tt.body).always())
		err := newClient(t, s).Do(t.Context(), opXCreate, pinterest.Request{}, tt.out)
		assert.Equal(t, 1, s.count(toCall), name)
		if !tt.empty {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorIs(t, err, pinterest.ErrUncertain, name)
		assert.ErrorIs(t, err, pinterest.ErrResponse, name)
	}
	s := newServer(t, answer(200, `{}`).always())
	assert.NoError(t, newClient(t, s).Do(t.Context(), opXPatch, pinterest.Request{}, new(map[string]any)), "a write may have nothing to say")
}

// A path with too few or too many values says so.
func TestPathValues(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s)
	for name, tt := range map[string]struct {
		op   pinterest.Operation
		path []string
		want string
	}{
		"none":     {pinterest.OpPinsGet, nil, `Request.Path has no value for {pin_id} of ` + pinterest.OpPinsGet.Path},
		"one less": {pinterest.OpSectionsUpdate, []string{"1"}, `Request.Path has no value for {section_id} of ` + pinterest.OpSectionsUpdate.Path},
		"one more": {pinterest.OpPinsGet, []string{"1", "2"}, `Request.Path has 2 values, but ` + pinterest.OpPinsGet.Path + ` takes 1`},
		"no place": {opXGet, []string{"1"}, `Request.Path has 1 values, but /x takes 0`},
	} {
		err := c.Do(t.Context(), tt.op, pinterest.Request{Path: tt.path}, nil)
		assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
		assert.ErrorContains(t, err, tt.want, name)
	}
	assert.Zero(t, s.count(toCall))
}

func TestRawTo(t *testing.T) {
	t.Parallel()
	const body = `{"id":"1","unknown":{"x":[1,2]}}`
	s := newServer(t, bare(503), answer(206, body), answer(200, body), answer(404, body))
	c := newClient(t, s)
	var raw []byte
	got, err := pinterest.Call[entry](t.Context(), c.Client, opXGet, pinterest.Request{}, pinterest.RawTo(&raw))
	require.NoError(t, err)
	assert.Equal(t, "1", got.ID)
	assert.Equal(t, body, string(raw))

	var res pinterest.Response
	raw = nil
	require.NoError(t, c.Do(t.Context(), opXGet, pinterest.Request{}, nil, pinterest.RawTo(&raw), pinterest.ResponseTo(&res)), "without a result, too")
	assert.Equal(t, body, string(raw))
	assert.Equal(t, 200, res.Status)

	raw = []byte("old")
	require.Error(t, c.Do(t.Context(), opXGet, pinterest.Request{}, nil, pinterest.RawTo(&raw)))
	assert.Equal(t, "old", string(raw), "an error's body stands in the error")
}

// The token of one call is no business of the account's.
func TestUsingToken(t *testing.T) {
	t.Parallel()
	const own = "conversion-token-without-a-shape"
	s := newServer(t, answer(200, `{}`), fault(401, 2, "Authentication failed, "+own))
	cfg := refreshConfig()
	cfg.AccessToken = accessToken
	var seen recorder
	c := newBareClient(t, s, pinterest.WithRefreshToken(cfg), pinterest.WithObserver(seen.observe))
	require.NoError(t, c.Do(t.Context(), opXGet, pinterest.Request{}, nil, pinterest.UsingToken(own)))
	assert.Equal(t, "Bearer "+own, s.received(toCall)[0].header.Get("Authorization"))

	err := c.Do(t.Context(), opXGet, pinterest.Request{}, nil, pinterest.UsingToken(own))
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
	assert.ErrorContains(t, err, "the token of UsingToken was not accepted, and only the account's own is refreshed")
	assert.Equal(t, fix, e.Disposition, "nobody has to connect the account again for it")
	assert.NotContains(t, err.Error()+string(e.Body), own)
	assert.Zero(t, s.count(toToken), "nothing is refreshed")
	for _, event := range seen.all() {
		assert.NotEqual(t, pinterest.EventDisconnected, event.Type)
	}
}

// Another host gets the request and nothing of the account.
func TestRequestToAnotherHost(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(401).always())
	cfg := refreshConfig()
	cfg.AccessToken = accessToken
	c := newBareClient(t, s, pinterest.WithRefreshToken(cfg))
	target := s.URL + "/elsewhere?sig=" + signature
	e := failure(t, c.Do(t.Context(), opXPatch, pinterest.Request{URL: target, Body: url.Values{"key": {"1"}}}, nil))
	assert.Equal(t, review, e.Disposition, "a 401 of another host does not disconnect the account")
	assert.ErrorIs(t, e, pinterest.ErrUnauthenticated)
	assert.Zero(t, s.count(toToken))
	assert.Empty(t, s.received(toCall)[0].header.Get("Authorization"))

	for name, req := range map[string]pinterest.Request{
		"a path":     {URL: target, Path: []string{"1"}},
		"a query":    {URL: target, Query: url.Values{"a": {"1"}}},
		"options":    {URL: target, Options: &xOptions{}},
		"plain http": {URL: "http://elsewhere.example/?sig=" + signature},
		"no URL":     {URL: "://?sig=" + signature},
	} {
		err := c.Do(t.Context(), opXPatch, req, nil)
		assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
		assertErrorClean(t, err)
	}
	assert.Equal(t, 1, s.count(toCall))
}

// What a caller calls a secret is one, in whatever an answer says.
func TestSecretsOfARequest(t *testing.T) {
	t.Parallel()
	const secret = "policy-of-an-upload-form"
	s := newServer(t, fault(400, 1, "bad: "+secret))
	err := newClient(t, s).Do(t.Context(), opXPatch, pinterest.Request{Body: map[string]string{"p": secret}, Secrets: []string{secret, ""}}, nil)
	e := failure(t, err)
	assert.NotContains(t, err.Error()+e.Message+string(e.Body), secret)
	assert.Contains(t, e.Message, "bad: [redacted]")
}

func TestNilBodiesAndResults(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s)
	for name, call := range map[string]func() error{
		"a nil body": func() error { return c.Do(t.Context(), opXPatch, pinterest.Request{Body: (*entry)(nil)}, nil) },
		"a nil stream": func() error {
			return c.Do(t.Context(), opXPatch, pinterest.Request{Body: (*pinterest.Stream)(nil)}, nil)
		},
		"a nil lookup": func() error {
			return c.Do(t.Context(), opXCreate, pinterest.Request{Lookup: (*pinterest.Lookup[entry])(nil)}, nil)
		},
		"no pointer":  func() error { return c.Do(t.Context(), opXGet, pinterest.Request{}, entry{}) },
		"nil pointer": func() error { return c.Do(t.Context(), opXGet, pinterest.Request{}, (*entry)(nil)) },
		"nil context": func() error { return c.Do(nilContext(), opXGet, pinterest.Request{}, nil) },
	} {
		assert.ErrorIs(t, call(), pinterest.ErrInvalid, name)
	}
	var empty io.Reader = strings.NewReader("")
	err := c.Do(t.Context(), opXPatch, pinterest.Request{Body: &pinterest.Stream{Reader: empty, ContentType: "x/y"}}, nil)
	assert.ErrorIs(t, err, pinterest.ErrInvalid)
}

func nilContext() context.Context { return nil }
