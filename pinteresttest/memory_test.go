package pinteresttest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// setupMemory is a fixture without a socket, on the time of the machine or of
// the bubble.
func setupMemory(t *testing.T, opts ...pinteresttest.Option) *fixture {
	t.Helper()
	srv := pinteresttest.NewMemoryServer(opts...)
	t.Cleanup(srv.Close)
	f := &fixture{Server: srv, t: t, clock: srv.Clock(), http: &http.Client{Transport: srv.Transport()}}
	f.alice = srv.AddAccount("alice")
	f.board = srv.AddBoard(f.alice, "Kitchens")
	return f
}

// TestMemoryServerInABubble would deadlock if anything waited for a socket or if a
// goroutine were left behind.
func TestMemoryServerInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setupMemory(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_write": {Limit: 2}}))
		began := time.Now()
		for range 2 {
			require.Equal(t, http.StatusCreated, f.call("POST", "/pins", f.pinBody()).status)
		}
		refused := f.call("POST", "/pins", f.pinBody())
		require.Equal(t, http.StatusTooManyRequests, refused.status)
		reset, err := time.ParseDuration(refused.header.Get("X-Ratelimit-Reset") + "s")
		require.NoError(t, err)
		time.Sleep(reset)
		assert.Equal(t, http.StatusCreated, f.call("POST", "/pins", f.pinBody()).status)
		assert.Equal(t, time.Minute, time.Since(began), "a bubble begins with a minute")

		f.Inject(pinteresttest.Slow(time.Hour).On("boards/list"), pinteresttest.Hanging().On("pins/list"))
		assert.Equal(t, http.StatusOK, f.call("GET", "/boards", "").status)
		assert.Equal(t, time.Hour+time.Minute, time.Since(began))

		f.http.Timeout = time.Minute
		_, err = f.send(f.request("GET", "/pins", ""))
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())
		assert.Equal(t, time.Hour+2*time.Minute, time.Since(began))
	})
}

func TestMemoryTransport(t *testing.T) {
	f := setupMemory(t)
	assert.Equal(t, "https://pinterest.test/v5", f.URL)
	created := f.call("POST", "/boards", `{"name": "Baths"}`)
	require.Equal(t, http.StatusCreated, created.status)
	assert.Equal(t, "Baths", created.text(t, "name"))
	assert.NotEmpty(t, created.header.Get("X-Pinterest-Rid"))
	assert.Equal(t, http.StatusNoContent, f.call("DELETE", "/boards/"+created.text(t, "id"), "").status)
	assert.Equal(t, http.StatusNotFound, f.call("GET", "/pins/a%2Fb/c", "").status)

	r := f.requestWith("nobody", "GET", "/boards?page_size=1", "")
	r.URL.Host = "elsewhere.test"
	a, err := f.send(r)
	require.NoError(t, err)
	assertError(t, a, http.StatusUnauthorized, 2, "Authentication failed.")
	assert.Equal(t, "1", f.Requests()[3].Query.Get("page_size"))
	assert.Zero(t, f.Connections())

	t.Run("of a server with a socket", func(t *testing.T) {
		f := setup(t)
		f.http = &http.Client{Transport: f.Transport()}
		assert.Equal(t, http.StatusOK, f.call("GET", "/boards", "").status)
		assert.Zero(t, f.Connections())
	})
}

func TestMemoryTransportBreaksOff(t *testing.T) {
	f := setupMemory(t)
	tests := map[string]struct {
		fault     pinteresttest.Fault
		committed bool
		want      error
	}{
		"reset":              {pinteresttest.ConnectionReset(), false, syscall.ECONNRESET},
		"reset after commit": {pinteresttest.ConnectionReset().AfterTheCommit(), true, syscall.ECONNRESET},
		"close":              {pinteresttest.NoAnswer(), false, io.EOF},
		"truncated":          {pinteresttest.Truncated(), true, io.ErrUnexpectedEOF},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f.Inject(test.fault)
			_, err := f.send(f.request("POST", "/pins", f.pinBody()))
			require.ErrorIs(t, err, test.want)
			requests := f.Requests()
			assert.Equal(t, test.committed, requests[len(requests)-1].Committed)
		})
	}
	t.Run("truncated without a body", func(t *testing.T) {
		pin := f.AddPin(f.board, pinteresttest.Pin{})
		f.Inject(pinteresttest.Truncated())
		_, err := f.send(f.request("DELETE", "/pins/"+pin.ID, ""))
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
	t.Run("the client leaves", func(t *testing.T) {
		why := errors.New("no more")
		ctx, cancel := context.WithCancelCause(t.Context())
		f.Inject(pinteresttest.Fault{Delivery: pinteresttest.Hang, Match: func(*http.Request, []byte) bool {
			cancel(why)
			return true
		}})
		_, err := f.send(f.request("GET", "/pins", "").WithContext(ctx))
		require.ErrorIs(t, err, why)
		_, err = f.send(f.request("GET", "/pins", "").WithContext(ctx))
		require.ErrorIs(t, err, why)
	})
	t.Run("a body that fails", func(t *testing.T) {
		why := errors.New("disk on fire")
		r := f.request("POST", "/pins", "{}")
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), brokenReader{why}))
		_, err := f.send(r)
		assert.ErrorIs(t, err, why)
	})
	t.Run("closed", func(t *testing.T) {
		f.Close()
		_, err := f.send(f.request("GET", "/pins", ""))
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

func TestMemoryServerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setupMemory(t)
		f.Inject(pinteresttest.Hanging())
		ended := make(chan error)
		go func() {
			_, err := f.send(f.request("GET", "/pins", ""))
			ended <- err
		}()
		synctest.Wait()
		f.Close()
		assert.ErrorIs(t, <-ended, io.EOF)
	})
}

// TestMemoryTransportTraces checks the trace that clients rely on: a request that
// was written may have taken effect.
func TestMemoryTransportTraces(t *testing.T) {
	f := setupMemory(t)
	var steps []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { steps = append(steps, "connection") },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			assert.NoError(t, info.Err)
			steps = append(steps, "written")
		},
		GotFirstResponseByte: func() { steps = append(steps, "answer") },
	})
	f.Inject(pinteresttest.NoAnswer())
	_, err := f.send(f.request("POST", "/pins", f.pinBody()).WithContext(ctx))
	require.Error(t, err)
	assert.Equal(t, []string{"connection", "written"}, steps)
	steps = nil
	_, err = f.send(f.request("GET", "/pins", "").WithContext(ctx))
	require.NoError(t, err)
	assert.Equal(t, []string{"connection", "written", "answer"}, steps)
}

func TestHandler(t *testing.T) {
	f := setupMemory(t)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/v5/boards", nil)
	r.Header.Set("Authorization", "Bearer "+f.alice.AccessToken)
	f.Handler().ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Contains(t, w.Body.String(), "Kitchens")

	f.Inject(pinteresttest.NoAnswer())
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { f.Handler().ServeHTTP(httptest.NewRecorder(), r) })
}
