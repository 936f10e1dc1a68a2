package seam_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/pinterest-go/pinterest"
)

type ctxKey struct{}

// ctxHandler logs what the caller's context carries.
type ctxHandler struct{ slog.Handler }

func (h ctxHandler) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.Any("trace", ctx.Value(ctxKey{})))
	return h.Handler.Handle(ctx, r)
}

func (h ctxHandler) WithAttrs(a []slog.Attr) slog.Handler { return ctxHandler{h.Handler.WithAttrs(a)} }
func (h ctxHandler) WithGroup(n string) slog.Handler      { return ctxHandler{h.Handler.WithGroup(n)} }

// Promise: each event carries the caller's context and the call's number, which stands in Response, Error and log lines; EventDone tells the call's
// own outcome: an adopted create is a success.
func TestEventsSeeTheCaller(t *testing.T) {
	rec := &recorder{}
	var log bytes.Buffer
	s, c, _, _ := newStudio(t, "h1", pinterest.WithObserver(rec.observe),
		pinterest.WithLogger(slog.New(ctxHandler{slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})})))
	s.create = func(n int, name string, commit func() thing, w http.ResponseWriter, _ *http.Request) bool {
		if name == "adopted" && n == 1 {
			commit()
			reply(w, 500, `{"message":"lost"}`)
			return true
		}
		if name == "refused" {
			reply(w, 403, `{"error":"Forbidden","code":"missing_scope"}`)
			return true
		}
		return false
	}
	for _, name := range []string{"adopted", "plain", "refused", "invalid"} {
		log.Reset()
		rec.mu.Lock()
		rec.events = nil
		rec.mu.Unlock()
		trace := "trace-" + name
		ctx := context.WithValue(context.Background(), ctxKey{}, trace)
		req := thingRequest(name)
		if name == "invalid" {
			req.Path = []string{"x"}
		}
		var res pinterest.Response
		_, err := pinterest.Call[thing](ctx, c, opThingsCreate, req, pinterest.ResponseTo(&res))
		words(t, err)
		var done int
		for _, e := range rec.all() {
			if e.Context == nil || e.Context.Value(ctxKey{}) != trace {
				t.Errorf("%s: event %v has another context", name, e.Type)
			}
			if e.Operation == opThingsList.ID {
				continue // a look-up is a call of its own
			}
			if e.Call == 0 || e.Call != res.Call || e.Operation == "" {
				t.Errorf("%s: event %v of call %d, response %d, operation %q", name, e.Type, e.Call, res.Call, e.Operation)
			}
			if e.Type != pinterest.EventDone {
				continue
			}
			done++
			switch name {
			case "adopted":
				if e.Class != pinterest.ClassNone || e.Disposition != pinterest.DispositionNone || e.Origin != pinterest.OriginLookup || e.Err != nil || e.Attempts != 1 {
					t.Errorf("adopted: %+v", e)
				}
			case "plain":
				if e.Class != pinterest.ClassNone || e.Origin != pinterest.OriginAnswer || e.Attempts != 1 {
					t.Errorf("plain: %+v", e)
				}
			default:
				f := failure(t, err)
				if e.Class != f.Class || e.Disposition != f.Disposition || e.Class == pinterest.ClassNone || f.Call != e.Call || e.Err == nil {
					t.Errorf("%s: event %v %v call %d, error %v %v call %d", name, e.Class, e.Disposition, e.Call, f.Class, f.Disposition, f.Call)
				}
			}
		}
		if done != 1 {
			t.Errorf("%s: %d EventDone", name, done)
		}
		for line := range strings.Lines(log.String()) {
			if !strings.Contains(line, "trace="+trace) {
				t.Errorf("%s: logged without the caller's context: %s", name, line)
			}
			if res.Call != 0 && !strings.Contains(line, opThingsList.ID) && !strings.Contains(line, fmt.Sprint("call=", res.Call)) {
				t.Errorf("%s: logged without the call's number %d: %s", name, res.Call, line)
			}
		}
		if log.Len() == 0 && name != "plain" {
			t.Errorf("%s: nothing was logged", name)
		}
	}
}

// Promise: Message is never empty, Error() is one line below 2 KB, whatever the server sends.
func TestErrorsOfAnyBody(t *testing.T) {
	long := strings.Repeat("Ünïcode long\\n", 2000)
	for i, body := range []string{
		``, `{}`, `null`, `[]`, `""`, `{"message":""}`, `{"message":null,"code":null}`, `{"message":" \n\t "}`, `{"error":"Forbidden","code":"missing_scope"}`, `{"message":{"a":1}}`, `{"message":["a","b"]}`,
		`{"code":3,"message":"a\nb\u001b[31mred\u2028x\u202Ey\u0085z\u0000"}`, `{"code":1,"message":"` + long + `"}`, strings.Repeat("<p>x</p>\n", 100000), "\xff\xfe\x00", "plain \x1b[2J text\r\n",
		`{"code":1,"message":"m","details":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, strings.Repeat("[", 200000), `{"code":9999999999999999999999,"message":"m"}`,
		`{"code":-5}`, `{"code":1.5,"message":"x"}`, `{"message":"` + token + `"}`, `{"message":"bad 'board_id' value '\n' must match"}`, `{"code":"` + long + `","message":"m"}`, `{"code":1,"message":"x","details":{"` + long + `":"` + long + `"}}`,
		`{"message":"\u001b\u0007"}`, `{"status":"failure","code":5,"data":"405 Method\nNot Allowed","message":"","endpoint_name":"` + long + `"}`, `{"message":"Bearer ` + token + ` and pinr.0123456789012345678901234567890123456789"}`,
	} {
		for _, status := range []int{400, 401, 403, 404, 409, 429, 500, 599, 302, 600} {
			t.Run(fmt.Sprint(i, "/", status), func(t *testing.T) {
				t.Parallel()
				rec := &recorder{}
				_, c := newHits(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("x-pinterest-rid", strings.Repeat("r", 3000))
					w.Header().Set("Retry-After", "soon")
					w.Header().Set("Content-Type", strings.Repeat("x/", 2000))
					w.WriteHeader(status)
					_, _ = w.Write([]byte(body))
				}, rec.options()...)
				err := safely(t, func() error {
					return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, &thing{})
				})
				if err == nil {
					t.Fatal("a success")
				}
				words(t, err)
				e := failure(t, err)
				if e.Disposition == pinterest.DispositionNone || e.Class == pinterest.ClassNone || len(e.Body) > 64<<10 {
					t.Errorf("%v %v body %d", e.Disposition, e.Class, len(e.Body))
				}
				absent(t, "error", show(err), token, "pinr.0123456789")
				absent(t, "events", rec.text(), token, "pinr.0123456789")
			})
		}
	}
}

// Promise: failures without an answer have words, too.
func TestErrorsWithoutAnAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, c := newHits(t, func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	dead := client(t, "http://127.0.0.1:1", pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 2}))
	noHost := client(t, "https://nowhere.invalid", pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
	_, tls := serve(t, "h2", http.NotFoundHandler())
	_ = tls
	for name, run := range map[string]func() error{
		"canceled": func() error { return c.Do(ctx, opThingsGet, pinterest.Request{Path: []string{"1"}}, nil) },
		"reset": func() error {
			return c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil)
		},
		"uncertain": func() error {
			return c.Do(context.Background(), opThingsCreate, pinterest.Request{Path: []string{"1"}, Body: thing{}}, nil)
		},
		"dial": func() error {
			return dead.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil)
		},
		"dns": func() error {
			return noHost.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil)
		},
		"no credentials of the app": func() error {
			return c.Do(context.Background(), pinterest.Operation{ID: "x/app", Method: "GET", Path: "/x", AppAuth: true}, pinterest.Request{}, nil)
		},
	} {
		err := safely(t, run)
		if err == nil {
			t.Errorf("%s: a success", name)
			continue
		}
		e := failure(t, err)
		if strings.TrimSpace(e.Message) == "" {
			fault(t, name+": Message is empty", e.Error())
		}
	}
}

// Promise: UsingToken is sent in place of the account's token, is not refreshed on a 401, is sent to no other host and stands in no error, event or log.
func TestUsingToken(t *testing.T) {
	for _, other := range []string{"pina_CONVERSIONTOKEN000111222333444555", "opaque-conversion-token-without-shape"} {
		rec := &recorder{}
		var refreshes int
		h, c := newHits(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "oauth") {
				refreshes++
			}
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			reply(w, 401, `{"code":2,"message":"bad token `+other+` `+base64.StdEncoding.EncodeToString([]byte("x"))+`","details":{"t":"`+other+`"}}`)
		}, rec.options()...)
		var res pinterest.Response
		err := c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, &thing{}, pinterest.UsingToken(other), pinterest.ResponseTo(&res))
		if !errors.Is(err, pinterest.ErrUnauthenticated) || len(h.list()) != 1 || refreshes != 0 || h.auth[0] != "Bearer "+other {
			t.Errorf("%v, requests %v, auth %v", err, h.list(), h.auth)
		}
		words(t, err)
		absent(t, "error", show(err), other)
		absent(t, "events", rec.text(), other)
		res.Header = nil
		absent(t, "Response", show(res), other)
		var d pinterest.DryRun
		if err := c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil, pinterest.UsingToken(other), pinterest.DryRunTo(&d)); err != nil {
			t.Error(err)
		}
		absent(t, "DryRun", show(d), other)
		// to another host
		s, c2, u, rec2 := newStorage(t, "h1", nil)
		err = c2.Do(context.Background(), opUpload, pinterest.Request{URL: u, Body: []string{"x"}}, nil, pinterest.UsingToken(other))
		for len(s.got) > 0 {
			g := <-s.got
			if g.header.Get("Authorization") != "" {
				t.Errorf("sent to another host: %q", g.header.Get("Authorization"))
			}
		}
		absent(t, "events of the upload", rec2.text(), other)
		t.Logf("UsingToken with URL: %v", err)
	}
}

// Promise: a 401 to a call UsingToken does not disconnect the account nor spend its refresh token.
func TestUsingTokenKeepsTheAccount(t *testing.T) {
	h := &hits{}
	base, more := serve(t, "h1", h)
	h.answer = func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+token {
			reply(w, 200, `{"id":"1"}`)
			return
		}
		reply(w, 401, `{"code":2,"message":"no"}`)
	}
	store := pinterest.NewMemoryTokenStore()
	if _, err := store.Save(context.Background(), "a", &pinterest.Token{AccessToken: token, RefreshToken: "pinr.REFRESHTOKEN0123456789012345"}); err != nil {
		t.Fatal(err)
	}
	app, err := pinterest.NewApp(append(more, pinterest.WithTokenStore(store), pinterest.WithBaseURL(base+"/v5"), pinterest.WithClock(&jump{}),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: "1", ClientSecret: "APPSECRET998877", RedirectURL: "https://x.example/cb"}))...)
	if err != nil {
		t.Fatal(err)
	}
	c := app.Client("a")
	if err := c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil, pinterest.UsingToken("pina_ANOTHER0123456789012345678")); err == nil {
		t.Error("a success")
	}
	if err := c.Do(context.Background(), opThingsGet, pinterest.Request{Path: []string{"1"}}, nil); err != nil {
		t.Errorf("the account is spoilt: %v", err)
	}
	tok, _ := store.Load(context.Background(), "a")
	if tok == nil || tok.Disconnected != nil || len(h.list()) != 2 {
		t.Errorf("requests %v", h.list())
	}
}

// Promise: AuthApp sends the app's id and secret to the API alone; the secret is shown nowhere; a 401 neither refreshes nor disconnects.
func TestAuthApp(t *testing.T) {
	const secret = "APPSECRET998877"
	basic := base64.StdEncoding.EncodeToString([]byte("1478:" + secret))
	op := pinterest.Operation{ID: "x/app", Method: "POST", Path: "/app", Kind: pinterest.KindWrite, AppAuth: true}
	for _, status := range []int{200, 401, 500} {
		rec := &recorder{}
		h, c := newHits(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Echo", r.Header.Get("Authorization"))
			reply(w, status, fmt.Sprintf(`{"id":"1","code":2,"message":"echo %s %s"}`, secret, r.Header.Get("Authorization")))
		}, append(rec.options(), pinterest.WithOAuth(pinterest.OAuth{ClientID: "1478", ClientSecret: secret, RedirectURL: "https://x.example/cb"}))...)
		var res pinterest.Response
		err := c.Do(context.Background(), op, pinterest.Request{Body: map[string]string{"a": "b"}}, &thing{}, pinterest.ResponseTo(&res))
		if (err == nil) != (status == 200) {
			t.Errorf("%d: %v", status, err)
		}
		for _, a := range h.auth {
			if a != "Basic "+basic {
				t.Errorf("%d: Authorization %q", status, a)
			}
		}
		if status == 401 && len(h.list()) != 1 {
			t.Errorf("401: %d requests", len(h.list()))
		}
		if status == 401 {
			if e := failure(t, err); e.Disposition == pinterest.DispositionReauthorize {
				t.Errorf("a wrong secret of the app says that the account has to be connected again: %v", err)
			}
		}
		words(t, err)
		if err != nil {
			absent(t, "error", show(err), secret, basic)
		}
		absent(t, "events", rec.text(), secret, basic)
		var d pinterest.DryRun
		if err := c.Do(context.Background(), op, pinterest.Request{}, nil, pinterest.DryRunTo(&d)); err != nil {
			t.Error(err)
		}
		absent(t, "DryRun", show(d), secret, basic)
		// UsingToken does not turn the app's credentials into the token's, or says so
		err = c.Do(context.Background(), op, pinterest.Request{}, nil, pinterest.UsingToken("pina_x0123456789012345678"))
		t.Logf("AuthApp with UsingToken: %v %q", err, h.auth[len(h.auth)-1])
	}
}
