package pinterest_test

import (
	"bytes"
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// failures are the ways in which a call can fail, each through a server, with
// some words of its message.
var failures = map[string]struct {
	message string
	fail    func(t *testing.T) error
}{
	"fields": {"board_id must be the numeric id", func(t *testing.T) error {
		_, err := newClient(t, newServer(t)).Pins.Create(t.Context(), pinterest.PinCreate{})
		return err
	}},
	"invalid without a field": {"negative", func(t *testing.T) error {
		return get(t.Context(), newClient(t, newServer(t)), pinterest.AttemptTimeout(-1))
	}},
	"never connected": {"the account is not connected", func(t *testing.T) error {
		return get(t.Context(), shop(storedApp(t, newServer(t), pinterest.NewMemoryTokenStore())))
	}},
	"refresh refused": {"The grant is gone.", func(t *testing.T) error {
		s := newServer(t, fault(401, 2, "")).onToken(fault(400, 283, "The grant is gone."))
		cfg := refreshConfig()
		cfg.AccessToken = accessToken
		return get(t.Context(), newBareClient(t, s, pinterest.WithRefreshToken(cfg)))
	}},
	"refresh refused without words": {"Bad Request, without a message", func(t *testing.T) error {
		return get(t.Context(), newBareClient(t, newServer(t).onToken(answer(400, "")), pinterest.WithRefreshToken(refreshConfig())))
	}},
	"token source": {"no coffee", func(t *testing.T) error {
		return get(t.Context(), newBareClient(t, newServer(t), pinterest.WithTokenSource(failingSource{errors.New("no coffee")})))
	}},
	"missing scope": {"pins:read", func(t *testing.T) error {
		store := pinterest.NewMemoryTokenStore()
		_, err := store.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: accessToken, Scopes: []pinterest.Scope{pinterest.ScopeAdsRead}})
		require.NoError(t, err)
		return get(t.Context(), shop(storedApp(t, newServer(t), store)))
	}},
	"uncertain": {"Service Unavailable, without a message", func(t *testing.T) error {
		s := newServer(t, html(503)).onLookup(bare(404).always())
		_, err := newClient(t, s).Pins.Create(t.Context(), pinCreate())
		require.ErrorIs(t, err, pinterest.ErrUncertain)
		return err
	}},
	"uncertain without an answer": {"EOF", func(t *testing.T) error {
		s := newServer(t, hangUp()).onLookup(bare(404).always())
		_, err := newClient(t, s).Pins.Create(t.Context(), pinCreate())
		require.ErrorIs(t, err, pinterest.ErrUncertain)
		return err
	}},
	"deadline": {"does not fit the caller's deadline", func(t *testing.T) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := get(ctx, newClient(t, newServer(t, bare(429).with("Retry-After", "30"))))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Contains(t, failure(t, err).Message, "Too Many Requests")
		return errors.New(err.Error()) // the message tells of the answer
	}},
	"dial": {"connection refused", func(t *testing.T) error {
		s := newServer(t)
		return get(t.Context(), newClient(t, s, pinterest.WithBaseURL("http://"+closedPort(t)+"/v5")))
	}},
	"dial and deadline": {"connection refused", func(t *testing.T) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := newServer(t)
		return get(ctx, newClient(t, s, pinterest.WithBaseURL("http://"+closedPort(t)+"/v5")))
	}},
	"canceled": {"context canceled", func(t *testing.T) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return get(ctx, newClient(t, newServer(t)))
	}},
	"canceled while it waits for an equal create": {"waiting for equal creates of this client", func(t *testing.T) error {
		ctx, cancel := context.WithCancel(t.Context())
		entered := make(chan struct{})
		s := newServer(t, hang(func() { close(entered) })).onLookup(answer(200, emptyPage).always())
		c := newClient(t, s)
		first, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _, _ = c.Pins.Create(first, pinCreate()) }()
		<-entered
		cancel()
		_, err := c.Pins.Create(ctx, pinCreate())
		stop()
		<-done
		return err
	}},
	"paced": {"", func(t *testing.T) error {
		s := newServer(t)
		l := &fakeLimiter{wait: func(context.Context, pinterest.Permit) error {
			return pinterest.NewPaceError(pinterest.PaceWait{Limit: "org_read", Until: s.clock.Now().Add(time.Hour)}, nil)
		}}
		err := get(t.Context(), newClient(t, s, pinterest.WithLimiter(l)))
		require.ErrorIs(t, err, pinterest.ErrPaced)
		return err
	}},
	"TLS": {"certificate", func(t *testing.T) error {
		s := newUnstarted(t)
		s.StartTLS()
		return get(t.Context(), newClient(t, s, pinterest.WithHTTPClient(ownClient(t, nil))))
	}},
	"retry budget": {"slow down", func(t *testing.T) error {
		s := newServer(t, fault(429, 8, "slow down"))
		err := get(t.Context(), newClient(t, s, pinterest.WithRetry(pinterest.RetryPolicy{Budget: 1, Jitter: -1})))
		require.ErrorIs(t, err, pinterest.ErrRetryBudget)
		return err
	}},
	"garbled": {"decoding the answer (200", func(t *testing.T) error {
		return get(t.Context(), newClient(t, newServer(t, answer(200, `{"id":`).always())))
	}},
	"too long": {"longer than 8 bytes", func(t *testing.T) error {
		return get(t.Context(), newClient(t, newServer(t, okPin()), pinterest.WithMaxResponse(8)))
	}},
	"redirect": {"a redirect to https://elsewhere.example was refused", func(t *testing.T) error {
		return get(t.Context(), newClient(t, newServer(t, answer(302, "").with("Location", "https://elsewhere.example/x"))))
	}},
	"ledger lock":   {"the ledger failed: lock fails", func(t *testing.T) error { return failingOnce(t, "lock") }},
	"ledger load":   {"the ledger failed: load fails", func(t *testing.T) error { return failingOnce(t, "load") }},
	"ledger save":   {"the ledger failed: save fails", func(t *testing.T) error { return failingOnce(t, "save") }},
	"ledger record": {"the ledger failed: save fails", func(t *testing.T) error { return failingOnce(t, "save", "save") }},
	"interrupted key": {`an earlier call with the key "job" was interrupted`, func(t *testing.T) error {
		s := newServer(t, bare(503)).onLookup(bare(404).always())
		c := newClient(t, s, pinterest.WithLedger(pinterest.NewMemoryLedger()))
		for range 2 {
			_, err := c.Pins.CreateOnce(t.Context(), "job", pinCreate())
			require.ErrorIs(t, err, pinterest.ErrUncertain)
		}
		_, err := c.Pins.CreateOnce(t.Context(), "job", pinCreate())
		return err
	}},
	"store load": {"the disk is full", func(t *testing.T) error {
		store := newTokenStore(t, oldToken())
		store.set("Load", errors.New("the disk is full"))
		return get(t.Context(), shop(storedApp(t, newServer(t), store)))
	}},
	"store lock": {"the disk is full", func(t *testing.T) error { return failingRefresh(t, "Lock") }},
	"store save": {"the disk is full", func(t *testing.T) error { return failingRefresh(t, "Save") }},
	"login": {"the login was not begun in this browser", func(t *testing.T) error {
		app := storedApp(t, newServer(t), pinterest.NewMemoryTokenStore())
		_, err := app.OAuth.Callback(t.Context(), httptest.NewRequest(http.MethodGet, "/back?state=abcdefghijkl&code=x", nil))
		require.ErrorIs(t, err, pinterest.ErrState)
		return err
	}},
	"code without words":    {"missing_scope", func(t *testing.T) error { return answered(t, 403, `{"error":"Forbidden","code":"missing_scope"}`) }},
	"words beside the code": {"Not on weekends", func(t *testing.T) error { return answered(t, 403, `{"code":7,"reason":"Not on weekends"}`) }},
	"only fields": {"title is too long", func(t *testing.T) error {
		return answered(t, 400, `{"errors":[{"field":"title","reason":"is too long"}]}`)
	}},
	"empty object":          {"Forbidden, without a message (application/json, 2 bytes)", func(t *testing.T) error { return answered(t, 403, `{}`) }},
	"blank message":         {"Forbidden, without a message", func(t *testing.T) error { return answered(t, 403, `{"message":" \n\t "}`) }},
	"control characters":    {"\uFFFD", func(t *testing.T) error { return answered(t, 403, `{"message":"\u0000\u001b"}`) }},
	"null":                  {"without a message", func(t *testing.T) error { return answered(t, 403, `null`) }},
	"nothing":               {"without a message", func(t *testing.T) error { return answered(t, 403, ``) }},
	"HTML":                  {"without a message (text/html", func(t *testing.T) error { return get(t.Context(), newClient(t, newServer(t, html(403)))) }},
	"status without a name": {"status 499, without a message", func(t *testing.T) error { return answered(t, 499, `{}`) }},
	"item of a batch": {"does not say why", func(t *testing.T) error {
		s := newServer(t, answer(200, `[{"exceptions":[{"code":1}]}]`))
		op := pinterest.Operation{ID: "things/get", Method: http.MethodGet, Path: "/things"}
		res, err := pinterest.Call[pinterest.BatchResult[pinterest.Pin]](t.Context(), newClient(t, s).Client, op, pinterest.Request{})
		require.NoError(t, err)
		return res.Items[0].Err
	}},
}

func answered(t *testing.T, status int, body string) error {
	t.Helper()
	return get(t.Context(), newClient(t, newServer(t, answer(status, body))))
}

// failingOnce is a CreateOnce whose ledger fails at the last of these steps.
func failingOnce(t *testing.T, steps ...string) error {
	t.Helper()
	n := 0
	ledger := &watchedLedger{Ledger: pinterest.NewMemoryLedger(), on: func(step, _ string) error {
		if step != steps[0] {
			return nil
		}
		if n++; n == len(steps) {
			return errors.New(step + " fails")
		}
		return nil
	}}
	_, err := newClient(t, newServer(t, okPin()), pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job", pinCreate())
	return err
}

// failingRefresh is a call that needs a refresh, in which the store fails.
func failingRefresh(t *testing.T, method string) error {
	t.Helper()
	s := newServer(t, bare(401).always()).onToken(answer(200, `{"access_token":"pina_new","refresh_token":"pinr.new","expires_in":2592000}`).always())
	store := newTokenStore(t, oldToken())
	store.set(method, errors.New("the disk is full"))
	return get(t.Context(), shop(storedApp(t, s, store)))
}

func TestEveryFailureHasAMessage(t *testing.T) {
	t.Parallel()
	for name, tt := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.fail(t)
			require.Error(t, err)
			assertOneLine(t, err.Error())
			e, ok := errors.AsType[*pinterest.Error](err)
			if !ok {
				assert.Contains(t, err.Error(), tt.message)
				return
			}
			assert.NotEmpty(t, strings.TrimSpace(e.Message))
			assert.Contains(t, e.Message, tt.message)
			assert.NotContains(t, e.Message, "pinterest: ")
			assert.NotEmpty(t, e.UserMessage())
			assertSaidOnce(t, e)
		})
	}
}

// assertSaidOnce looks for explanations that the text of an error repeats.
func assertSaidOnce(t *testing.T, e *pinterest.Error) {
	t.Helper()
	text := strings.TrimPrefix(e.Error(), "pinterest: ")
	assert.LessOrEqual(t, strings.Count(text, e.Message), 1, text)
	for _, f := range e.Fields {
		assert.Equal(t, 1, strings.Count(text, f.Error()), text)
	}
	for _, cause := range e.Unwrap() {
		assert.Equal(t, 1, strings.Count(text, strings.ReplaceAll(strings.TrimPrefix(cause.Error(), "pinterest: "), " pinterest: ", " ")), text)
	}
}

// assertOneLine looks for what a line of a log must not have in it.
func assertOneLine(t *testing.T, text string) {
	t.Helper()
	assert.True(t, utf8.ValidString(text), "%q", text)
	assert.LessOrEqual(t, len(text), 2<<10)
	assertNoControls(t, text)
}

func assertNoControls(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			t.Fatalf("%q is in %.200q", r, text)
		}
	}
}

// Whatever a server sends, the error is one short line of valid text.
func TestErrorIsOneLine(t *testing.T) {
	t.Parallel()
	const odd = `a\r\nb\u001b[31mc\u0000d\u007fe\u0085f\u009bg\u202eh\u2066i\u2069j\u200fk\u2028l\u2029m\tn`
	raw := "a\xff\xfe\xc3(\xed\xa0\x80b"
	long := strings.Repeat("ü", 5000)
	for name, body := range map[string]string{
		"message":    `{"code":50,"message":"` + odd + `"}`,
		"not UTF-8":  `{"code":50,"message":"` + raw + `"}`,
		"code":       `{"code":"` + odd + long + `","message":"m"}`,
		"fields":     `{"errors":[{"field":"` + odd + `","reason":"` + odd + `","value":"` + odd + `"}]}`,
		"long field": `{"errors":[{"field":"` + long + `","reason":"` + long + `","value":"` + long + `"}]}`,
		"many":       `{"errors":[` + strings.Repeat(`{"field":"title","reason":"`+odd+`"},`, 500) + `{}]}`,
		"too many":   `{"errors":["x"` + strings.Repeat(`,"y"`, 15_000) + `]}`,
		"long":       `{"code":50,"message":"` + long + `"}`,
		"request id": `{"request_id":"` + odd + long + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, answer(404, body).with("X-Pinterest-Rid", ""))
			var log bytes.Buffer
			err := get(t.Context(), newClient(t, s, pinterest.WithLogger(slog.New(slog.NewJSONHandler(&log, nil)))))
			e := failure(t, err)
			assertOneLine(t, err.Error())
			assert.True(t, strings.HasSuffix(err.Error(), "]"), "what to do is not cut off: %s", err)
			assertNoControls(t, e.Message)
			assert.True(t, utf8.ValidString(e.Message))
			assert.NotEmpty(t, e.Message)
			for _, f := range e.Fields {
				assertOneLine(t, f.Error())
			}
			for _, attr := range e.LogValue().Group() {
				if attr.Key == "message" {
					assertOneLine(t, attr.Value.String())
				}
			}
			assertOneLine(t, e.UserMessage())
			assert.Equal(t, 1, strings.Count(strings.TrimRight(log.String(), "\n"), "\n")+1, "one line of a log")
			if name == "long" {
				assert.Greater(t, len(e.Message), 9000, "the message itself is whole")
				assert.Contains(t, err.Error(), "...")
			}
			if name == "message" {
				assert.Contains(t, e.Message, "a b\uFFFD[31mc\uFFFDd", "it can still be read")
			}
		})
	}
}

func TestFieldErrorIsOneLine(t *testing.T) {
	t.Parallel()
	for _, f := range []pinterest.FieldError{
		{Field: "a\nb", Problem: "c\x1bd\u202e", Value: "e\r\n\u2067"},
		{Problem: strings.Repeat("long ", 1000)},
		{Value: strings.Repeat("\x00", 5000), Problem: "is odd"},
		{Field: "x\xff"},
	} {
		assertOneLine(t, f.Error())
	}
}

func TestErrorDoesNotRepeatItself(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"code":1,"message":"title is too long","errors":[{"field":"title","reason":"is too long"}]}`: "invalid (400/1): title is too long [fix]",
		`{"errors":[{"field":"title","reason":"is too long"},{"field":"link","reason":"is odd"}]}`:     "invalid (400): title is too long; link is odd [fix]",
		`{"code":"invalid_parameter"}`:                 "invalid (400/invalid_parameter) [fix]",
		`{"message":"invalid"}`:                        "invalid (400) [fix]",
		`{"message":"no","errors":["no board","no"]}`:  "invalid (400): no board [fix]",
		`{"message":"late","errors":["translate it"]}`: "invalid (400): late; translate it [fix]",
	} {
		s := newServer(t, answer(400, body).with("X-Pinterest-Rid", ""))
		err := get(t.Context(), newClient(t, s))
		assert.Equal(t, "pinterest: pins/get: "+want, err.Error())
	}
}

// There is one place in which an Error is made, so that none is without a message.
func TestErrorsAreMadeInOnePlace(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			unary, ok := n.(*ast.UnaryExpr)
			if !ok || unary.Op != token.AND {
				return true
			}
			if lit, ok := unary.X.(*ast.CompositeLit); ok {
				if id, ok := lit.Type.(*ast.Ident); ok && id.Name == "Error" {
					t.Errorf("%s: an Error that newError has not completed", fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}
