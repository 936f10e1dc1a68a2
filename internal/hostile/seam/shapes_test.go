package seam_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pinterest-go/pinterest"
)

// hits counts and keeps requests, and answers as told.
type hits struct {
	mu     sync.Mutex
	seen   []string // "METHOD /escaped/path?query body"
	auth   []string
	answer func(n int, w http.ResponseWriter, r *http.Request)
}

func (h *hits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	h.seen = append(h.seen, fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body))
	h.auth = append(h.auth, r.Header.Get("Authorization"))
	n := len(h.seen)
	h.mu.Unlock()
	if h.answer != nil {
		h.answer(n, w, r)
		return
	}
	reply(w, 200, `{"id":"1","items":[]}`)
}

func (h *hits) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.seen...)
}

func newHits(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request), opts ...pinterest.Option) (*hits, *pinterest.Client) {
	t.Helper()
	h := &hits{answer: answer}
	base, more := serve(t, "h1", h)
	return h, client(t, base, append(more, opts...)...)
}

var garbage = map[string]func(w http.ResponseWriter){
	"{}":        func(w http.ResponseWriter) { reply(w, 200, `{}`) },
	"null":      func(w http.ResponseWriter) { reply(w, 200, `null`) },
	"204":       func(w http.ResponseWriter) { w.WriteHeader(204) },
	"empty":     func(w http.ResponseWriter) { reply(w, 200, ``) },
	"[]":        func(w http.ResponseWriter) { reply(w, 200, `[]`) },
	"id object": func(w http.ResponseWriter) { reply(w, 200, `{"id":{}}`) },
	"id number": func(w http.ResponseWriter) { reply(w, 200, `{"id":5}`) },
	"html":      func(w http.ResponseWriter) { reply(w, 200, "<!DOCTYPE html><title>Login</title>") },
	"cut":       func(w http.ResponseWriter) { reply(w, 200, `{"id":"1","name":"o`) },
	"trailing":  func(w http.ResponseWriter) { reply(w, 200, `{"id":"1"}<html>`) },
	"text":      func(w http.ResponseWriter) { reply(w, 200, `OK`) },
	"nul":       func(w http.ResponseWriter) { reply(w, 200, "\x00\x00") },
}

// Promise: a read whose 2xx answer is not complete is sent again; where it stays so, the call ends with an error, never with an empty result.
// Writes the same, but for a 204: the write has certainly taken effect, so it is a success whose DecodeError says that the result is missing.
func TestReadsAndWritesWantACompleteAnswer(t *testing.T) {
	for name, bad := range garbage {
		for _, op := range []pinterest.Operation{opThingsGet, opThingsUpdate} {
			t.Run(op.ID+" "+name, func(t *testing.T) {
				t.Parallel()
				req := pinterest.Request{Path: []string{"1"}}
				h, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) { bad(w) })
				if op.Kind == pinterest.KindWrite && name == "204" { // it has certainly taken effect
					var res pinterest.Response
					x, err := pinterest.Call[whole](context.Background(), c, op, req, pinterest.ResponseTo(&res))
					if err != nil || *x != (whole{}) || res.DecodeError == nil || len(h.list()) != 1 {
						t.Errorf("%+v, %v, DecodeError %v, %d requests", x, err, res.DecodeError, len(h.list()))
					}
					return
				}
				x, err := pinterest.Call[whole](context.Background(), c, op, req)
				if err == nil {
					t.Errorf("a success: %+v", x)
				} else {
					words(t, err)
				}
				if n := len(h.list()); n < 2 {
					t.Errorf("not sent again (%d): %v", n, err)
				}
				_, c = newHits(t, func(n int, w http.ResponseWriter, _ *http.Request) {
					if n == 1 {
						bad(w)
						return
					}
					reply(w, 200, `{"id":"1"}`)
				})
				x, err = pinterest.Call[whole](context.Background(), c, op, req)
				if err != nil || x.ID != "1" {
					t.Errorf("second answer was good: %+v %v", x, err)
				}
			})
		}
	}
}

// Promise: an answer without any body or that is not JSON is no result, even for a type that is no Completer.
func TestPlainTypesWantABody(t *testing.T) {
	for _, name := range []string{"204", "empty", "html", "cut", "text", "nul", "[]"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) { garbage[name](w) })
			if x, err := pinterest.Call[thing](context.Background(), c, opThingsGet, pinterest.Request{Path: []string{"1"}}); err == nil {
				t.Errorf("Call: a success %+v", x)
			}
			m := map[string]any{}
			if err := c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, &m); err == nil {
				t.Errorf("Do: a success %+v", m)
			}
		})
	}
}

// Promise: where Operation.NoBody, a success may come without a body, with a result asked for or not; elsewhere it may where no result was asked for.
func TestNoBody(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204} {
		for _, body := range []string{"", "null", "{}"} {
			if status == 204 && body != "" {
				continue
			}
			h, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) { reply(w, status, body) })
			for _, op := range []pinterest.Operation{opThingsDelete, opThingsArchive} {
				if err := c.Do(context.Background(), op, pinterest.Request{Path: []string{"1"}}, nil); err != nil {
					t.Errorf("Do nil %s %d %q: %v", op, status, body, err)
				}
				if _, err := pinterest.Call[struct{ OK bool }](context.Background(), c, op, pinterest.Request{Path: []string{"1"}}); err != nil {
					t.Errorf("Call %s %d %q: %v", op, status, body, err)
				}
			}
			if err := c.Do(context.Background(), opThingsUpdate, pinterest.Request{Path: []string{"1"}}, nil); err != nil {
				t.Errorf("Do nil of an operation with a body %d %q: %v", status, body, err)
			}
			if n := len(h.list()); n != 5 {
				t.Errorf("%d %q: %d requests for 5 calls", status, body, n)
			}
		}
	}
	// a create that has no body (NoBody) and no lookup, answered 200 without one, is made: sent once, a success
	op := pinterest.Operation{ID: "msot_events/create", Method: "POST", Path: "/x", Kind: pinterest.KindCreate, NoBody: true}
	h, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) { reply(w, 200, "") })
	if err := c.Do(context.Background(), op, pinterest.Request{Body: map[string]int{"a": 1}}, nil); err != nil || len(h.list()) != 1 {
		t.Errorf("create without a body: %v %v", err, h.list())
	}
	if _, err := pinterest.Call[struct{}](context.Background(), c, op, pinterest.Request{Body: map[string]int{"a": 1}}); err != nil || len(h.list()) != 2 {
		t.Errorf("create without a body, by Call: %v %v", err, h.list())
	}
}

// Promise: All ends, whatever the bookmarks do, and gives every item once.
func TestAllEnds(t *testing.T) {
	for name, page := range map[string]func(n int) string{
		"same page for ever":           func(int) string { return `{"items":[{"id":"1"}],"bookmark":"x"}` },
		"same items, other bookmarks":  func(n int) string { return fmt.Sprintf(`{"items":[{"id":"1"}],"bookmark":"x%d"}`, n) },
		"empty pages for ever":         func(n int) string { return fmt.Sprintf(`{"items":[],"bookmark":"x%d"}`, n) },
		"two pages in turn":            func(n int) string { return fmt.Sprintf(`{"items":[{"id":"%d"}],"bookmark":"x%d"}`, n%2, n%2) },
		"two in turn, other bookmarks": func(n int) string { return fmt.Sprintf(`{"items":[{"id":"%d"}],"bookmark":"y%d"}`, n%2, n) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, c := newHits(t, func(n int, w http.ResponseWriter, _ *http.Request) {
				if n > 20000 {
					panic(http.ErrAbortHandler)
				}
				reply(w, 200, page(n))
			})
			var err error
			for _, e := range pinterest.All[thing](context.Background(), c, opThingsList, pinterest.Request{Path: []string{"7"}}) {
				err = e
			}
			if !errors.Is(err, pinterest.ErrEndlessPages) {
				t.Fatalf("%d requests, err %v", len(h.list()), err)
			}
			t.Log(len(h.list()), "requests")
			words(t, err)
		})
	}
	h, c := newHits(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 1:
			reply(w, 200, `{"items":[{"id":"1"}],"bookmark":"a b&c=d"}`)
		case 2:
			reply(w, 200, `{"items":[],"bookmark":"z"}`)
		case 3:
			reply(w, 200, `{"items":null,"bookmark":"z"}`)
		case 4:
			reply(w, 200, `{"items":[{"id":"2"}],"bookmark":""}`)
		}
	})
	var ids []string
	q := url.Values{"keep": {"1"}}
	for x, err := range pinterest.All[thing](context.Background(), c, opThingsList, pinterest.Request{Path: []string{"7"}, Query: q}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, x.ID)
	}
	if strings.Join(ids, ",") != "1,2" || q.Get("bookmark") != "" {
		t.Errorf("ids %v query of the caller %v", ids, q)
	}
	if s := h.list(); !strings.Contains(s[1], "bookmark=a+b%26c%3Dd") && !strings.Contains(s[1], "bookmark=a%20b%26c%3Dd") || !strings.Contains(s[1], "keep=1") {
		t.Errorf("second page asked as %s", s[1])
	}
	for range pinterest.All[thing](context.Background(), c, opThingsList, pinterest.Request{Path: []string{"7"}}) {
		break // must not panic or go on
	}
}

// joined is a body whose check finds several faults.
type joined struct{}

func (joined) Validate() error {
	return errors.Join(
		pinterest.FieldError{Field: "alpha", Value: "a", Problem: "is bad"},
		fmt.Errorf("wrapped: %w", pinterest.FieldError{Field: "beta", Problem: "is bad"}),
		errors.Join(errors.New("no field here, gamma"), errors.Join(pinterest.FieldError{Field: "delta", Problem: "is bad"})),
		fmt.Errorf("two %w and %w", pinterest.FieldError{Field: "eps", Problem: "p"}, pinterest.FieldError{Field: "zeta", Problem: "p"}),
		nil,
	)
}

type byPointer struct{ Name string }

func (b *byPointer) Validate() error {
	if b == nil {
		return nil
	}
	var check pinterest.Check
	check.Required("name", b.Name)
	check.ID("ad_account_id", "x1")
	return check.Err()
}

type single struct{ bad bool }

func (s single) Validate() error {
	if s.bad {
		return pinterest.FieldError{Field: "single", Problem: "is bad"}
	}
	return nil
}

type plainErr struct{}

func (plainErr) Validate() error { return errors.New("the moon is full") }

type panics struct{}

func (panics) Validate() error { panic("validate") }

// Promise: whatever a body's or options' Validate returns, every field is named, and nothing is sent.
func TestValidation(t *testing.T) {
	h, c := newHits(t, nil)
	for name, test := range map[string]struct {
		req  pinterest.Request
		want []string
	}{
		"joined":                {pinterest.Request{Body: joined{}}, []string{"alpha", "beta", "gamma", "delta", "eps", "zeta"}},
		"pointer to joined":     {pinterest.Request{Body: &joined{}}, []string{"alpha", "zeta"}},
		"pointer receiver":      {pinterest.Request{Body: &byPointer{}}, []string{"name", "ad_account_id"}},
		"value, pointer method": {pinterest.Request{Body: byPointer{}}, []string{"name", "ad_account_id"}},
		"slice":                 {pinterest.Request{Body: []single{{}, {true}, {}, {true}}}, []string{"[1]", "[3]", "single"}},
		"slice, pointer method": {pinterest.Request{Body: []byPointer{{Name: "ok"}, {}}}, []string{"[0]", "[1]", "name"}},
		"slice of pointers":     {pinterest.Request{Body: []*byPointer{{}, nil}}, []string{"[0]", "name"}},
		"slice of any":          {pinterest.Request{Body: []any{single{true}, &byPointer{}}}, []string{"[0]", "[1]", "single"}},
		"pointer to slice":      {pinterest.Request{Body: &[]single{{true}}}, []string{"[0]", "single"}},
		"array":                 {pinterest.Request{Body: [2]single{{}, {true}}}, []string{"[1]", "single"}},
		"plain":                 {pinterest.Request{Body: plainErr{}}, []string{"moon"}},
		"options":               {pinterest.Request{Options: badOptions{}}, []string{"opt_a", "opt_b"}},
		"options and body":      {pinterest.Request{Options: badOptions{}, Body: joined{}}, []string{"opt_a", "opt_b", "alpha", "beta", "zeta"}},
		"path, options, body":   {pinterest.Request{Path: []string{"x"}, Options: badOptions{}, Body: joined{}}, []string{"opt_a", "alpha", "shop_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.req.Path == nil {
				test.req.Path = []string{"7"}
			}
			op := opThingsCreate
			op.Kind = pinterest.KindWrite
			_, err := pinterest.Call[thing](context.Background(), c, op, test.req)
			if err == nil {
				t.Fatal("accepted")
			}
			e := failure(t, err)
			var text strings.Builder
			text.WriteString(e.Message + " " + e.Error())
			for _, f := range e.Fields {
				text.WriteString(" " + f.Field)
			}
			for _, w := range test.want {
				if !strings.Contains(text.String(), w) {
					t.Errorf("%s is not named: %v (fields %+v)", w, e, e.Fields)
				}
			}
			var fields int
			for _, f := range e.Fields {
				if f.Field != "" {
					fields++
				}
			}
			if name == "joined" && fields < 5 {
				t.Errorf("Fields names %d of 5: %+v", fields, e.Fields)
			}
			if !errors.Is(err, pinterest.ErrInvalid) || e.Disposition != pinterest.DispositionFix {
				t.Errorf("class %v disposition %v", e.Class, e.Disposition)
			}
			words(t, err)
		})
	}
	if n := h.list(); len(n) != 0 {
		t.Errorf("sent: %v", n)
	}
}

// Promise: arrays as bodies, DELETE with a body, comma-joined, repeated and deep query parameters reach the server as given.
func TestShapes(t *testing.T) {
	h, c := newHits(t, nil)
	ctx := context.Background()
	op := pinterest.Operation{ID: "x/write", Method: "POST", Path: "/x", Kind: pinterest.KindWrite}
	del := pinterest.Operation{ID: "x/delete", Method: "DELETE", Path: "/x", Kind: pinterest.KindWrite}
	check := func(want string) {
		t.Helper()
		l := h.list()
		if got := l[len(l)-1]; strings.TrimSpace(got) != want {
			t.Errorf("sent %q\nwant %q", got, want)
		}
	}
	do := func(op pinterest.Operation, req pinterest.Request) {
		t.Helper()
		if err := c.Do(ctx, op, req, nil); err != nil {
			t.Error(err)
		}
	}
	do(op, pinterest.Request{Body: []map[string]int{{"a": 1}, {"a": 2}}})
	check(`POST /v5/x [{"a":1},{"a":2}]`)
	do(op, pinterest.Request{Body: []string{}})
	check(`POST /v5/x []`)
	do(del, pinterest.Request{Body: map[string][]string{"ids": {"1", "2"}}})
	check(`DELETE /v5/x {"ids":["1","2"]}`)
	do(del, pinterest.Request{Body: []string{"<&>"}})
	if l := h.list(); !strings.Contains(l[len(l)-1], `&`) && !strings.Contains(l[len(l)-1], `\u0026`) {
		t.Errorf("body %s", l[len(l)-1])
	}
	q := url.Values{"ids": {"1,2,3"}, "rep": {"a", "b"}, "parameters[start]": {"x y"}, "parameters[end]": {"ü&="}}
	do(opThingsList, pinterest.Request{Path: []string{"7"}, Query: q})
	l := h.list()
	u, err := url.ParseRequestURI(strings.Fields(l[len(l)-1])[1])
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Query(); fmt.Sprint(got) != fmt.Sprint(q) {
		t.Errorf("query %v want %v", got, q)
	}
	var d pinterest.DryRun
	if err := c.Do(ctx, del, pinterest.Request{Body: []string{"1"}, Query: q}, nil, pinterest.DryRunTo(&d)); err != nil || string(d.Body) != `["1"]` || d.Method != "DELETE" {
		t.Errorf("%+v %v", d, err)
	}
	absent(t, "DryRun", show(d), token)
	if n := len(h.list()); n != len(l) {
		t.Errorf("a dry run was sent")
	}
	// AdAccount and Query and Options together
	do(opThingsList, pinterest.Request{Path: []string{"7"}, Query: url.Values{"page_size": {"3"}}, Options: &pinterest.ListOptions{PageSize: 9, Bookmark: "b"}})
	l = h.list()
	if got := l[len(l)-1]; !strings.Contains(got, "page_size=3") || strings.Contains(got, "page_size=9") || !strings.Contains(got, "bookmark=b") {
		t.Errorf("Query takes precedence over Options: %s", got)
	}
	var none *pinterest.ListOptions
	do(opThingsList, pinterest.Request{Path: []string{"7"}, Options: none})
	check(`GET /v5/shops/7/things`)
}

// Promise: a path value that does not fit its pattern is refused before anything is sent; one without a pattern never reaches another path.
func TestPathPatterns(t *testing.T) {
	for _, test := range []struct {
		path   string
		ok     []string
		refuse []string
	}{
		{`/a/{id:\d+}/b`, []string{"1", "0", "123456789012345678901234567890"}, []string{"", "a", "1a", "a1", "-1", "+1", " 1", "1 ", "1\n", "\n1", "１２", "1/2", "1%2f", "..", "1?x=y", "1#", "٣"}},
		{`/a/{id:\d{1,18}}/b`, []string{"1", "123456789012345678"}, []string{"", "1234567890123456789", "x", "1\n", "１"}},
		{`/a/{kind:one|two|three}/b`, []string{"one", "two", "three"}, []string{"", "four", "one|two", "on", "onetwo", "one\n", "ONE", "one/b", "|"}},
		{`/a/{name}/b`, nil, []string{"", ".", ".."}},
	} {
		op := pinterest.Operation{ID: "x/get", Method: "GET", Path: test.path, Kind: pinterest.KindRead}
		h, c := newHits(t, nil)
		for _, v := range test.ok {
			if err := c.Do(context.Background(), op, pinterest.Request{Path: []string{v}}, nil); err != nil {
				t.Errorf("%s: %q refused: %v", test.path, v, err)
			}
		}
		if n := len(h.list()); n != len(test.ok) {
			t.Errorf("%s: %v", test.path, h.list())
		}
		for i, v := range test.ok {
			if want := "GET /v5/a/" + v + "/b "; h.list()[i] != want {
				t.Errorf("%q, want %q", h.list()[i], want)
			}
		}
		for _, v := range test.refuse {
			err := c.Do(context.Background(), op, pinterest.Request{Path: []string{v}}, nil)
			if err == nil {
				t.Errorf("%s: %q accepted", test.path, v)
				continue
			}
			words(t, err)
			if e := failure(t, err); !errors.Is(err, pinterest.ErrInvalid) || len(e.Fields) == 0 {
				t.Errorf("%s %q: class %v fields %v", test.path, v, e.Class, e.Fields)
			}
		}
		if n := len(h.list()); n != len(test.ok) {
			t.Errorf("%s: a refused one was sent: %v", test.path, h.list()[len(test.ok):])
		}
	}
	for _, v := range []string{"x/y", "../../z", "a?b=c", "a#b", "a%2fb", "a;b", "%2e%2e", "a b", "ü", "a\\b", "//evil.example"} {
		op := pinterest.Operation{ID: "x/get", Method: "GET", Path: "/a/{name}/b", Kind: pinterest.KindRead}
		h, c := newHits(t, nil)
		err := c.Do(context.Background(), op, pinterest.Request{Path: []string{v}}, nil)
		if err != nil {
			continue // refused: fine
		}
		u, perr := url.ParseRequestURI(strings.Fields(h.list()[0])[1])
		if perr != nil || u.RawQuery != "" || u.Path != "/v5/a/"+v+"/b" || strings.Count(u.EscapedPath(), "/") != 4 {
			t.Errorf("%q sent as %s", v, h.list()[0])
		}
	}
	h, c := newHits(t, nil)
	for name, run := range map[string]func() error{
		"too few values": func() error { return c.Do(context.Background(), opThingsGet, pinterest.Request{}, nil) },
		"too many values": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1", "2"}}, nil)
		},
		"no id": func() error {
			return c.Do(context.Background(), pinterest.Operation{Method: "GET", Path: "/x"}, pinterest.Request{}, nil)
		},
		"no method": func() error {
			return c.Do(context.Background(), pinterest.Operation{ID: "x", Path: "/x"}, pinterest.Request{}, nil)
		},
		"bad method": func() error {
			return c.Do(context.Background(), pinterest.Operation{ID: "x", Method: "GE T", Path: "/x"}, pinterest.Request{}, nil)
		},
		"no path": func() error {
			return c.Do(context.Background(), pinterest.Operation{ID: "x", Method: "GET"}, pinterest.Request{}, nil)
		},
		"relative path": func() error {
			return c.Do(context.Background(), pinterest.Operation{ID: "x", Method: "GET", Path: "@evil.example/x"}, pinterest.Request{}, nil)
		},
		"bad pattern": func() error {
			return c.Do(context.Background(), pinterest.Operation{ID: "x", Method: "GET", Path: `/x/{id:(}`}, pinterest.Request{Path: []string{"1"}}, nil)
		},
		"open brace": func() error {
			return c.Do(context.Background(), pinterest.Operation{ID: "x", Method: "GET", Path: `/x/{id`}, pinterest.Request{Path: []string{"1"}}, nil)
		},
		"nil option": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil, nil)
		},
		"nil context": func() error { return c.Do(nil, opThingsGet, pinterest.Request{Path: []string{"1"}}, nil) }, //nolint:staticcheck // the attack
		"out no pointer": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, thing{})
		},
		"out nil pointer": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, (*thing)(nil))
		},
		"body a channel": func() error {
			return c.Do(context.Background(), opThingsCreate, pinterest.Request{Path: []string{"1"}, Body: make(chan int)}, nil)
		},
		"empty token": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil, pinterest.UsingToken(""))
		},
		"Bearer token": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil, pinterest.UsingToken("Bearer pina_x"))
		},
		"refresh token": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil, pinterest.UsingToken("pinr.x123456789"))
		},
		"newline token": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil, pinterest.UsingToken("pina_x\r\nX-Evil: 1"))
		},
		"validate panics": func() (err error) {
			defer func() {
				if r := recover(); r != nil {
					err = &pinterest.Error{Message: "a panic of the caller's own passes through"}
				}
			}()
			return c.Do(context.Background(), opThingsCreate, pinterest.Request{Path: []string{"1"}, Body: panics{}}, nil)
		},
	} {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s: panic %v", name, r)
				}
			}()
			if err := run(); err == nil {
				t.Errorf("%s: accepted", name)
			} else {
				t.Logf("%s: %v", name, err)
				words(t, err)
			}
		}()
	}
	if len(h.list()) != 0 {
		t.Errorf("sent: %v", h.list())
	}
	for name, opts := range map[string][]pinterest.Option{
		"Bearer token":  {pinterest.WithAccessToken("Bearer pina_abc")},
		"refresh token": {pinterest.WithAccessToken("pinr.abcdefghijkl")},
		"empty token":   {pinterest.WithAccessToken("")},
		"no /v5":        {pinterest.WithAccessToken(token), pinterest.WithBaseURL("https://api.pinterest.com")},
		"http":          {pinterest.WithAccessToken(token), pinterest.WithBaseURL("http://api.pinterest.com/v5")},
		"nil option":    {nil},
	} {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("New, %s: panic %v", name, r)
				}
			}()
			if _, err := pinterest.New(opts...); err == nil {
				t.Errorf("New accepts %s", name)
			}
		}()
	}
}

// Promise: RawTo gives the bytes of a successful answer as sent, beside the typed result; nothing for a failure.
func TestRawTo(t *testing.T) {
	body := `{"id":"1",  "odd":"` + token + `", "name":"\u00e9"}` + "\n"
	_, c := newHits(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 1:
			reply(w, 500, `{"code":1,"message":"no"}`)
		case 2:
			reply(w, 200, body)
		case 3:
			reply(w, 404, `{"code":50}`)
		default:
			reply(w, 200, `{"items":[{"id":"1"}],"bookmark":null}`)
		}
	})
	var raw []byte
	x, err := pinterest.Call[thing](context.Background(), c, opThingsGet, pinterest.Request{Path: []string{"1"}}, pinterest.RawTo(&raw))
	if err != nil || x.ID != "1" || string(raw) != body {
		t.Errorf("%+v %v %q", x, err, raw)
	}
	raw = nil
	if _, err := pinterest.Call[thing](context.Background(), c, opThingsGet, pinterest.Request{Path: []string{"1"}}, pinterest.RawTo(&raw)); err == nil || len(raw) != 0 {
		t.Errorf("%v %q", err, raw)
	}
	if err := c.Do(context.Background(), opThingsList, pinterest.Request{Path: []string{"1"}}, nil, pinterest.RawTo(&raw)); err != nil || !strings.Contains(string(raw), "bookmark") {
		t.Errorf("%v %q", err, raw)
	}
}
