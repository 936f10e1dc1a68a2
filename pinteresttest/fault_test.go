package pinteresttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestFaultsOfTheAPI(t *testing.T) {
	tests := map[string]struct {
		fault        pinteresttest.Fault
		status, code int
		message      string
	}{
		"server error": {pinteresttest.ServerError(503), 503, 503, "Service Unavailable"},
		"throttled":    {pinteresttest.Throttled(0), 429, 8, "exceeded your rate limit"},
		"spam block":   {pinteresttest.SpamBlock(), 429, 9, "hit a block (Pins)"},
		"blocked link": {pinteresttest.BlockedLink(), 429, 9, "We blocked this link"},
		"went wrong":   {pinteresttest.SomethingWentWrong(), 400, 2787, "Something went wrong on our end."},
		"fetch":        {pinteresttest.CouldNotFetchImage(), 400, 1, "could not fetch the image"},
		"lock":         {pinteresttest.NoExclusiveAccess(), 409, 409, "exclusive access"},
		"code":         {pinteresttest.Fault{Status: 401, Code: 7, Message: "Not authorized to access board or Pin."}, 401, 7, "Not authorized"},
		"status":       {pinteresttest.Fault{Status: 403}, 403, 403, "Forbidden"},
		"code as text": {pinteresttest.Fault{Status: 400, Body: `{"code": 12, "message": "x"}`}, 400, 12, "x"},
		"only a code":  {pinteresttest.Fault{Code: 5, Message: "x"}, 201, 5, "x"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			f.Inject(test.fault)
			assertError(t, f.call("POST", "/pins", f.pinBody()), test.status, test.code, test.message)
			assert.Empty(t, f.Pins(f.board.ID), "it did not take effect")
			assert.Equal(t, http.StatusCreated, f.call("POST", "/pins", f.pinBody()).status, "once only")

			f.Inject(test.fault.AfterTheCommit())
			assertError(t, f.call("POST", "/pins", f.pinBody()), test.status, test.code, test.message)
			assert.Len(t, f.Pins(f.board.ID), 2, "it took effect")
			last := f.Requests()[2]
			assert.True(t, last.Committed)
			assert.True(t, last.Fault)
			assert.Equal(t, test.status, last.Status)
		})
	}
}

func TestThrottledRetryAfter(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.Throttled(0), pinteresttest.Throttled(1500*time.Millisecond))
	assert.Empty(t, f.call("GET", "/boards", "").header.Get("Retry-After"))
	assert.Equal(t, "2", f.call("GET", "/boards", "").header.Get("Retry-After"))
}

func TestHTMLError(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.HTMLError(502))
	a := f.call("GET", "/boards", "")
	assert.Equal(t, http.StatusBadGateway, a.status)
	assert.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"))
	assert.Contains(t, a.body, "<h1>502 Bad Gateway</h1>")
}

func TestFaultHeaders(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.Fault{Header: http.Header{
		"X-Ratelimit-Reset": {"67150"}, "X-Ratelimit-Limit": nil, "Content-Type": {"text/plain"}, "X-Cdn": {"a", "b"},
	}})
	a := f.call("GET", "/boards", "")
	assert.Equal(t, http.StatusOK, a.status, "the operation's own answer")
	assert.Len(t, a.ids(t), 1)
	assert.Equal(t, "67150", a.header.Get("X-Ratelimit-Reset"))
	assert.NotContains(t, a.header, "X-Ratelimit-Limit")
	assert.Equal(t, "text/plain", a.header.Get("Content-Type"))
	assert.Equal(t, []string{"a", "b"}, a.header.Values("X-Cdn"))
}

func TestFaultWithoutBody(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.Fault{Status: http.StatusNoContent})
	a := f.call("POST", "/pins", f.pinBody())
	assert.Equal(t, http.StatusNoContent, a.status)
	assert.Empty(t, a.body)
	assert.Empty(t, f.Pins(f.board.ID))
}

func TestBrokenWires(t *testing.T) {
	noAnswer := func(t *testing.T, a answer, err error) {
		require.Error(t, err)
		assert.Zero(t, a.status)
	}
	tests := map[string]struct {
		fault      pinteresttest.Fault
		takeEffect bool // without AfterCommit
		status     int  // in the request log
		check      func(t *testing.T, a answer, err error)
	}{
		"reset": {pinteresttest.ConnectionReset(), false, 0, func(t *testing.T, a answer, err error) {
			noAnswer(t, a, err)
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}},
		"close": {pinteresttest.NoAnswer(), false, 0, func(t *testing.T, a answer, err error) {
			noAnswer(t, a, err)
			require.ErrorIs(t, err, io.EOF)
		}},
		"truncate": {pinteresttest.Truncated(), true, 201, func(t *testing.T, a answer, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.Equal(t, http.StatusCreated, a.status)
			assert.NotEmpty(t, a.body)
		}},
		"truncate another answer": {pinteresttest.Fault{Status: 500, Delivery: pinteresttest.Truncate}, false, 500, func(t *testing.T, a answer, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.Equal(t, http.StatusInternalServerError, a.status)
			assert.Equal(t, `{"code":500,"message":"`, a.body)
		}},
		"garble": {pinteresttest.Garbled(), true, 201, func(t *testing.T, a answer, err error) {
			require.NoError(t, err)
			assert.Equal(t, http.StatusCreated, a.status)
			assert.False(t, json.Valid([]byte(a.body)), a.body)
			assert.True(t, strings.HasPrefix(a.body, `{"alt_text"`), a.body)
		}},
		"garble another answer": {pinteresttest.Fault{Status: 500, Delivery: pinteresttest.Garble}, false, 500, func(t *testing.T, a answer, err error) {
			require.NoError(t, err)
			assert.Equal(t, http.StatusInternalServerError, a.status)
			assert.False(t, json.Valid([]byte(a.body)), a.body)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			f.Inject(test.fault, test.fault.AfterTheCommit())
			for _, afterCommit := range []bool{false, true} {
				f.ResetRequests()
				before := len(f.Pins(f.board.ID))
				a, err := f.send(f.request("POST", "/pins", f.pinBody()))
				test.check(t, a, err)
				performed := len(f.Pins(f.board.ID)) - before
				want := map[bool]int{true: 1}[afterCommit || test.takeEffect]
				assert.Equal(t, want, performed)
				require.Len(t, f.Requests(), 1)
				entry := f.Requests()[0]
				assert.Equal(t, want == 1, entry.Committed)
				assert.True(t, entry.Fault)
				assert.Equal(t, test.status, entry.Status)
			}
			assert.Empty(t, f.PendingFaults())
		})
	}
}

func TestTruncatedWithoutBody(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.Truncated())
	_, err := f.send(f.request("DELETE", "/boards/"+f.board.ID, ""))
	require.Error(t, err)
	assert.Empty(t, f.Boards(f.alice))
}

func TestHanging(t *testing.T) {
	for _, afterCommit := range []bool{false, true} {
		f := setup(t)
		fault := pinteresttest.Hanging()
		fault.AfterCommit = afterCommit
		f.Inject(fault)
		cause := errors.New("the client has waited enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		r := f.request("POST", "/pins", f.pinBody()).WithContext(ctx)
		go func() {
			_, err := f.send(r)
			result <- err
		}()
		until(t, func() bool { return len(f.Requests()) == 1 && f.Requests()[0].Fault })
		assert.Len(t, f.Pins(f.board.ID), map[bool]int{true: 1}[afterCommit])
		cancel(cause)
		require.ErrorIs(t, <-result, cause)
		assert.Zero(t, f.Requests()[0].Status)
	}
}

func TestDelays(t *testing.T) {
	pins := func(f *fixture) int { return len(f.Pins(f.board.ID)) }
	for name, test := range map[string]struct {
		fault          pinteresttest.Fault
		meanwhile, end int
		status         int
	}{
		"slow":                   {pinteresttest.Slow(time.Minute), 0, 1, 201},
		"slow after the commit":  {pinteresttest.Slow(time.Minute).AfterTheCommit(), 1, 1, 201},
		"error":                  {pinteresttest.ServerError(500).Delayed(time.Minute), 0, 0, 500},
		"error after the commit": {pinteresttest.ServerError(500).AfterTheCommit().Delayed(time.Minute), 1, 1, 500},
	} {
		t.Run(name, func(t *testing.T) {
			clock := pinteresttest.NewManualClock(start)
			f := setupOn(t, clock)
			f.Inject(test.fault)
			result := make(chan answer)
			r := f.request("POST", "/pins", f.pinBody())
			go func() {
				a, err := f.send(r)
				assert.NoError(t, err)
				result <- a
			}()
			require.NoError(t, clock.BlockUntil(soon(t), 1))
			assert.Equal(t, test.meanwhile, pins(f))
			clock.Advance(time.Minute)
			assert.Equal(t, test.status, (<-result).status)
			assert.Equal(t, test.end, pins(f))
			assert.Empty(t, clock.Slept(), "only the client's sleeps are recorded")
		})
		t.Run(name+", client leaves", func(t *testing.T) {
			clock := pinteresttest.NewManualClock(start)
			f := setupOn(t, clock)
			f.Inject(test.fault)
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			r := f.request("POST", "/pins", f.pinBody()).WithContext(ctx)
			go func() {
				_, err := f.send(r)
				result <- err
			}()
			require.NoError(t, clock.BlockUntil(soon(t), 1))
			cancel()
			require.ErrorIs(t, <-result, context.Canceled)
			until(t, func() bool { return clock.Waiters() == 0 }) // the server has noticed
			clock.Advance(time.Hour)
			assert.Equal(t, test.meanwhile, pins(f))
			assert.Zero(t, f.Requests()[0].Status)
		})
	}
}

func TestFaultsByOrderAndCondition(t *testing.T) {
	f := setup(t)
	f.Inject(
		pinteresttest.ServerError(501).On("pins/create"),
		pinteresttest.ServerError(502).On("boards/list").After(1).Repeat(2),
		pinteresttest.Fault{Status: 503, Times: pinteresttest.Forever, Match: func(r *http.Request, body []byte) bool {
			return r.Method == "POST" && strings.Contains(string(body), "poison")
		}},
		pinteresttest.ServerError(504).On("boards/list"),
	)
	list := func() int { return f.call("GET", "/boards", "").status }
	assert.Equal(t, []int{504, 502, 502, 200}, []int{list(), list(), list(), list()}, "the first passes 502 by and meets 504")
	for range 3 {
		assert.Equal(t, 503, f.call("POST", "/boards", `{"name": "poison"}`).status)
	}
	assert.Equal(t, 501, f.call("POST", "/pins", f.pinBody(`"title": "poison"`)).status)
	assert.Equal(t, 503, f.call("POST", "/pins", f.pinBody(`"title": "poison"`)).status)
	assert.Equal(t, 201, f.call("POST", "/pins", f.pinBody()).status)
}

func TestFaultMeetsUnknownPaths(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.ServerError(503), pinteresttest.ServerError(503).On("pins/create"))
	assert.Equal(t, 503, f.call("GET", "/nowhere", "").status)
	assert.Equal(t, 404, f.call("GET", "/nowhere", "").status)
}

func TestPendingFaults(t *testing.T) {
	f := setup(t)
	assert.Empty(t, f.PendingFaults())
	f.Inject(
		pinteresttest.ServerError(500).Repeat(3).After(1).Named("three"),
		pinteresttest.ConnectionReset().On("pins/create").Named("one"),
		pinteresttest.SpamBlock().On("pins/save").Repeat(pinteresttest.Forever).Named("always"),
	)
	for range 3 {
		f.call("GET", "/boards", "")
	}
	pending := f.PendingFaults()
	require.Len(t, pending, 3)
	assert.Equal(t, []any{"three", 0, 1}, []any{pending[0].Name, pending[0].Skip, pending[0].Times})
	assert.Equal(t, []any{"one", 0, 1}, []any{pending[1].Name, pending[1].Skip, pending[1].Times})
	assert.Equal(t, []any{"always", 0, pinteresttest.Forever}, []any{pending[2].Name, pending[2].Skip, pending[2].Times})

	f.call("GET", "/boards", "")
	assert.Len(t, f.PendingFaults(), 2)
	f.ClearFaults()
	assert.Empty(t, f.PendingFaults())
	assert.Equal(t, http.StatusCreated, f.call("POST", "/pins", f.pinBody()).status)
}

// A fault with AfterCommit waits for a request that succeeds.
func TestFaultAfterCommitSkipsFailures(t *testing.T) {
	f := setup(t)
	f.Inject(
		pinteresttest.ServerError(500).On("pins/create").AfterTheCommit().Named("first"),
		pinteresttest.ServerError(503).On("boards/create").Named("second"),
	)
	assertError(t, f.call("POST", "/pins", "{}"), http.StatusBadRequest, 1, "")
	assertError(t, f.callAs("nobody", "POST", "/pins", f.pinBody()), http.StatusUnauthorized, 2, "")
	assert.False(t, f.Requests()[0].Fault)
	require.Len(t, f.PendingFaults(), 2)
	assert.Equal(t, "first", f.PendingFaults()[0].Name, "back in its place")
	assert.Equal(t, 500, f.call("POST", "/pins", f.pinBody()).status)
	assert.Len(t, f.Pins(f.board.ID), 1)
}

func TestFaultsAndQuotas(t *testing.T) {
	f := setup(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_write": {Limit: 1}}))
	f.Inject(pinteresttest.ServerError(500).Repeat(2))
	assert.Equal(t, 500, f.call("POST", "/pins", f.pinBody()).status, "a fault uses quota up")
	assert.Equal(t, 429, f.call("POST", "/pins", f.pinBody()).status, "and meets nothing beyond it")
	assert.Len(t, f.PendingFaults(), 1)
}

func TestChance(t *testing.T) {
	strikes := func(seed uint64) []bool {
		f := setup(t, pinteresttest.WithSeed(seed), pinteresttest.WithoutQuotas())
		f.Inject(pinteresttest.Fault{Status: 500, Chance: 0.3, Times: pinteresttest.Forever})
		var struck []bool
		for range 200 {
			struck = append(struck, f.call("GET", "/boards", "").status == 500)
		}
		return struck
	}
	first := strikes(1)
	hits := 0
	for _, struck := range first {
		if struck {
			hits++
		}
	}
	assert.InDelta(t, 60, hits, 25)
	assert.Equal(t, first, strikes(1))
	assert.NotEqual(t, first, strikes(2))
}

func TestInjectFunc(t *testing.T) {
	f := setup(t)
	f.Inject(pinteresttest.ServerError(500).On("pins/list"))
	f.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
		if r.Account != "alice" || r.Operation != "pins/list" {
			return nil
		}
		fault := pinteresttest.HTMLError(502)
		return &fault
	})
	assert.Equal(t, 500, f.call("GET", "/pins", "").status, "injected faults go first")
	assert.Equal(t, 502, f.call("GET", "/pins", "").status)
	assert.Equal(t, 502, f.call("GET", "/pins", "").status)
	assert.Equal(t, 200, f.call("GET", "/boards", "").status)
	f.ClearFaults()
	assert.Equal(t, 200, f.call("GET", "/pins", "").status)
}

func TestFaultsStrikeOnceEach(t *testing.T) {
	f := setup(t, pinteresttest.WithoutQuotas())
	const faults, requests = 50, 300
	for range faults {
		f.Inject(pinteresttest.ServerError(500).AfterTheCommit())
	}
	var group sync.WaitGroup
	for i := range requests {
		body := f.pinBody()
		if i%3 == 0 {
			body = "{}" // is refused, and returns its fault
		}
		r := f.request("POST", "/pins", body)
		group.Go(func() {
			_, err := f.send(r)
			assert.NoError(t, err)
		})
	}
	group.Wait()
	struck := 0
	for _, r := range f.Requests() {
		if r.Status == 500 {
			struck++
		}
	}
	assert.Equal(t, faults, struck+len(f.PendingFaults()))
	assert.Len(t, f.Pins(f.board.ID), requests*2/3)
	for range len(f.PendingFaults()) {
		require.Equal(t, 500, f.call("POST", "/pins", f.pinBody()).status)
	}
	assert.Empty(t, f.PendingFaults())
}

// A connection that is not of TCP, or wraps one, is reset in its own way.
func TestResetOfAnotherConnection(t *testing.T) {
	srv := pinteresttest.NewMemoryServer()
	defer srv.Close()
	srv.Inject(pinteresttest.ConnectionReset())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: srv.Handler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(wrappingListener{listener}) }()
	defer server.Close()

	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Post("http://"+listener.Addr().String()+"/v5/pins", "application/json", strings.NewReader("{}"))
	if err == nil {
		_ = res.Body.Close()
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

type wrappingListener struct{ net.Listener }

func (l wrappingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		return struct{ *net.TCPConn }{tcp}, err
	}
	return conn, err
}
