package pinterest_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest"
)

// No goroutine may outlive its call. The run fails if any are left after all tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Values that the tests share.
const (
	accessToken = "pina_AMAC3TQXADK4EAAAGBAFYDZKQ5QTHGABABGSPYL"
	pinID       = "813744226420795884"
	boardID     = "549755885175"
	newPinID    = "900000000000000001"
	requestID   = "4826385612345678"
	emptyPage   = `{"items":[],"bookmark":null}`
)

// exact is the default policy without jitter, so that waits can be compared.
var exact = pinterest.RetryPolicy{Jitter: -1}

// fakeClock sleeps without waiting: it advances at once and records the sleep.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
	// onSleep, if set, is called before a sleep. Its error ends the sleep.
	onSleep func(ctx context.Context, d time.Duration) error
}

// newClock starts at the real time, so that it agrees with deadlines of contexts.
func newClock() *fakeClock { return &fakeClock{now: time.Now().Truncate(time.Second)} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.onSleep != nil {
		if err := c.onSleep(ctx, d); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d != 0 { // a negative one is recorded, too, because it is a defect
		c.slept = append(c.slept, d)
	}
	c.now = c.now.Add(max(d, 0))
	return nil
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *fakeClock) sleeps() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.slept)
}

// ownClient returns an http.Client whose connections are closed with the test.
func ownClient(t testing.TB, change func(*http.Transport)) *http.Client {
	t.Helper()
	tr := http.DefaultTransport.(*http.Transport).Clone()
	if change != nil {
		change(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// closedPort returns an address of this machine that refuses connections. The port is
// below those that the system hands out, so that no other test gets it in the meantime.
func closedPort(t testing.TB) string {
	t.Helper()
	const address = "127.0.0.1:1"
	conn, err := net.Dial("tcp", address)
	if err == nil {
		_ = conn.Close()
	}
	require.Error(t, err, "something listens at %s", address)
	return address
}

func pinCreate() pinterest.PinCreate {
	return pinterest.PinCreate{
		BoardID: boardID, Title: "Oak table", Description: "Two metres of oak", Link: "https://shop.example/tables/7",
		MediaSource: pinterest.ImageURL("https://shop.example/tables/7.jpg"),
	}
}

func pinUpdate() pinterest.PinUpdate { return pinterest.PinUpdate{Title: pinterest.Set("Oak table")} }

// failure returns the *Error in err and fails the test if there is none.
func failure(t testing.TB, err error) *pinterest.Error {
	t.Helper()
	require.Error(t, err)
	var e *pinterest.Error
	require.ErrorAs(t, err, &e)
	return e
}

// promptly runs f and returns its error. It fails the test if f does not return soon.
func promptly(t testing.TB, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the call did not return")
		return nil
	}
}

// recorder is an observer that keeps all events.
type recorder struct {
	mu     sync.Mutex
	events []pinterest.Event
}

func (r *recorder) observe(e pinterest.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) all() []pinterest.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// lookups counts the look-ups among the events.
func (r *recorder) lookups() (n int) {
	for _, e := range r.all() {
		if e.Type == pinterest.EventLookup {
			n++
		}
	}
	return n
}

// words returns the events in the form "operation type".
func (r *recorder) words() []string {
	var list []string
	for _, e := range r.all() {
		list = append(list, e.Operation+" "+e.Type.String())
	}
	return list
}

// seconds returns a list of waits.
func seconds(list ...float64) []time.Duration {
	out := make([]time.Duration, len(list))
	for i, s := range list {
		out[i] = time.Duration(s * float64(time.Second))
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }

// chain returns err and everything it wraps.
func chain(err error) []error {
	if err == nil {
		return nil
	}
	list := []error{err}
	switch w := err.(type) { //nolint:errorlint // it walks the chain itself
	case interface{ Unwrap() []error }:
		for _, e := range w.Unwrap() {
			list = append(list, chain(e)...)
		}
	case interface{ Unwrap() error }:
		list = append(list, chain(errors.Unwrap(err))...)
	}
	return list
}

func contains(text []byte, part string) bool { return bytes.Contains(text, []byte(part)) }
