// Package seam_test attacks the public seam of the library (Operation, Request, Lookup, Do, Call, ...) with servers
// that were written from the promises alone. It uses exported names only.
package seam_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

const token = "pina_HOSTILESEAMTOKEN0123456789abcdefghij"

// jump is a clock whose sleeps take no time.
type jump struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *jump) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *jump) Slept() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}

func (c *jump) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	if d > 0 {
		c.off += d
	}
	c.mu.Unlock()
	return nil
}

// serve starts a server of one protocol and returns its base URL and client options that reach it.
func serve(t *testing.T, proto string, h http.Handler) (string, []pinterest.Option) {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelError)
	if proto == "h2" {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv.URL, []pinterest.Option{pinterest.WithHTTPClient(srv.Client())}
}

var protos = []string{"h1", "h2"}

// recorder keeps all that an observer and a log are told.
type recorder struct {
	mu     sync.Mutex
	events []pinterest.Event
	log    bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *recorder) observe(e pinterest.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all() []pinterest.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]pinterest.Event(nil), r.events...)
}

func (r *recorder) options() []pinterest.Option {
	return []pinterest.Option{
		pinterest.WithObserver(r.observe),
		pinterest.WithLogger(slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}
}

// show writes everything that can be seen of a value.
func show(v any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%+v\n%#v\n%s\n%q\n", v, v, v, v, v)
	if j, err := json.Marshal(v); err == nil {
		b.Write(j)
	}
	if err, ok := v.(error); ok {
		showError(&b, err, 0)
	}
	return b.String()
}

func showError(b *strings.Builder, err error, depth int) {
	if err == nil || depth > 8 {
		return
	}
	fmt.Fprintf(b, "\n%d: %v %+v %#v", depth, err, err, err)
	var e *pinterest.Error
	if errors.As(err, &e) {
		fmt.Fprintf(b, " body=%s details=%s msg=%s", string(e.Body), string(e.Details), e.Message)
		for _, f := range e.Fields {
			fmt.Fprintf(b, " field=%+v", f)
		}
	}
	switch u := err.(type) { //nolint:errorlint // Every level is shown in turn.
	case interface{ Unwrap() error }:
		showError(b, u.Unwrap(), depth+1)
	case interface{ Unwrap() []error }:
		for _, c := range u.Unwrap() {
			showError(b, c, depth+1)
		}
	}
}

func (r *recorder) text() string {
	var b strings.Builder
	for _, e := range r.all() {
		e.Context = context.Background()
		b.WriteString(show(e))
		if e.Err != nil {
			b.WriteString(show(e.Err))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b.Write(r.log.Bytes())
	return b.String()
}

// absent fails when a secret stands in a text.
func absent(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("%s shows %q: ...%s...", where, s, text[max(0, i-120):min(len(text), i+len(s)+60)])
		}
	}
}

func client(t *testing.T, base string, opts ...pinterest.Option) *pinterest.Client {
	t.Helper()
	all := append([]pinterest.Option{
		pinterest.WithAccessToken(token), pinterest.WithBaseURL(base + "/v5"),
		pinterest.WithClock(&jump{}), pinterest.WithoutPacing(),
	}, opts...)
	c, err := pinterest.New(all...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return c
}

func failure(t *testing.T, err error) *pinterest.Error {
	t.Helper()
	var e *pinterest.Error
	if !errors.As(err, &e) {
		t.Fatalf("want an *Error, got %T %v", err, err)
	}
	return e
}

// said collects what is wrong with the words of errors, for TestMain, so that it is told apart from the rest.
var said = struct {
	sync.Mutex
	faults map[string]string
}{faults: map[string]string{}}

func fault(t *testing.T, what, text string) {
	t.Helper()
	said.Lock()
	defer said.Unlock()
	said.faults[t.Name()+": "+what] = text
}

// words checks what is promised of the words of every error. TestMain reports it.
func words(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var e *pinterest.Error
	if !errors.As(err, &e) {
		fault(t, fmt.Sprintf("%T is no *Error", err), err.Error())
		return
	}
	text := e.Error()
	if strings.TrimSpace(e.Message) == "" {
		fault(t, "Message is empty", text)
	}
	if len(text) > 2048 {
		fault(t, fmt.Sprintf("Error() has %d bytes", len(text)), text[:200])
	}
	for _, r := range text {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r <= 0x9f) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			fault(t, fmt.Sprintf("Error() has control character %U", r), text[:min(len(text), 200)])
			break
		}
	}
}

// safely turns a panic of the library into a failure of the test.
func safely(t *testing.T, f func() error) (err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("the library panics: %v", r)
			err = &pinterest.Error{Message: "panic"}
		}
	}()
	return f()
}
