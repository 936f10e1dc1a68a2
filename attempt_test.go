package pinterest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// Connections are reused, and there are never more than 64. On a busy machine
// net/http may close one: it does not reuse a connection whose writing goroutine has
// not reported the end of the request 50 ms after the answer was read. Another one
// then takes its place, which is no fault of ours.
func TestTenThousandReadsOpenAtMost64Connections(t *testing.T) {
	s := newServer(t, okPin().always())
	c := newClient(t, s)
	const workers, calls, patience = 64, 10_000, 50 * time.Millisecond
	var left, replaced atomic.Int64
	left.Store(calls)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				var kept atomic.Bool
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					PutIdleConn: func(err error) { kept.Store(err == nil) },
				})
				began := time.Now()
				if !assert.NoError(t, get(ctx, c)) {
					return
				}
				if !kept.Load() && time.Since(began) >= patience {
					replaced.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, calls, s.count(toCall))
	assert.LessOrEqual(t, s.conns.Load(), workers+replaced.Load())
}

func TestFailingAnswersLeaveTheConnectionInUse(t *testing.T) {
	t.Parallel()
	large := fault(500, 1, strings.Repeat("x", 100<<10))
	tests := map[string][]reply{
		"large errors":     {large, large, large, large, large},
		"throttled":        {bare(429), bare(429), bare(429), okPin()},
		"redirect":         {answer(302, strings.Repeat("x", 100<<10)).with("Location", "/elsewhere")},
		"not JSON":         {html(200), html(502), okPin()},
		"a body on delete": {answer(200, strings.Repeat("x", 100<<10))},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, append(steps, okPin())...)
			c := newClient(t, s)
			if name == "a body on delete" {
				require.NoError(t, c.Pins.Delete(t.Context(), pinID))
			} else {
				_ = get(t.Context(), c)
			}
			for s.count(toCall) <= len(steps)-1 {
				require.NoError(t, get(t.Context(), c))
			}
			_ = get(t.Context(), c)
			assert.Equal(t, int64(1), s.conns.Load(), "connections")
		})
	}
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	t.Parallel()
	s := newUnstarted(t)
	var handshakes atomic.Int64
	s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		handshakes.Add(1)
		return nil, nil
	}}
	s.StartTLS()
	for name, change := range map[string]func(*http.Transport){
		"unknown authority": nil,
		"another host's": func(tr *http.Transport) {
			tr.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			tr.TLSClientConfig.ServerName = "api.pinterest.com"
		},
	} {
		handshakes.Store(0)
		c := newClient(t, s, pinterest.WithHTTPClient(ownClient(t, change)))
		_, err := c.Pins.Create(t.Context(), pinCreate())
		e := failure(t, err)
		assert.Equal(t, int64(1), handshakes.Load(), name)
		assert.ErrorIs(t, err, pinterest.ErrTransport, name)
		assert.Equal(t, review, e.Disposition, name)
		assert.Equal(t, pinterest.PhaseNotSent, e.Phase, name)
		var verification *tls.CertificateVerificationError
		assert.ErrorAs(t, err, &verification, "the cause is reached")
	}
	assert.Empty(t, s.kinds())
	assertSlept(t, s, nil)
}

// dialing returns a client whose first dials are refused.
func dialing(t *testing.T, refused int) *http.Client {
	port := closedPort(t)
	var dials atomic.Int64
	return ownClient(t, func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) <= int64(refused) {
				addr = port
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
}

func TestRefusedConnectionIsNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	var seen recorder
	var res pinterest.Response
	c := newClient(t, s, pinterest.WithHTTPClient(dialing(t, 2)), pinterest.WithObserver(seen.observe))
	_, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.ResponseTo(&res))
	require.NoError(t, err)
	assert.Equal(t, []string{toCall}, s.kinds(), "it is sent again without a look-up")
	assert.Zero(t, seen.lookups())
	require.Len(t, res.Attempts, 3)
	assert.Equal(t, pinterest.PhaseNotSent, res.Attempts[0].Phase)
	assert.Equal(t, "not sent", res.Attempts[0].Rule)
	assertSlept(t, s, seconds(2, 4))
}

func TestRefusedConnectionKeepsItsCause(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := newClient(t, s, pinterest.WithHTTPClient(dialing(t, 99)))
	err := get(t.Context(), c)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	var op *net.OpError
	assert.ErrorAs(t, err, &op)
	assert.Len(t, failure(t, err).Attempts, 5)
}

// A request that was written only in part cannot have taken effect.
func TestRequestThatIsNotWrittenWholeIsNotSent(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	var dials atomic.Int64
	h := ownClient(t, func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil && dials.Add(1) == 1 {
				return &shortConn{Conn: conn}, nil
			}
			return conn, err
		}
	})
	var res pinterest.Response
	pin := pinCreate()
	pin.MediaSource = pinterest.ImageBase64(pinterest.PNG, bytes.Repeat([]byte("png!"), 64<<10))
	_, err := newClient(t, s, pinterest.WithHTTPClient(h)).Pins.Create(t.Context(), pin, pinterest.ResponseTo(&res))
	require.NoError(t, err)
	require.Len(t, res.Attempts, 2)
	assert.Equal(t, pinterest.PhaseNotSent, res.Attempts[0].Phase)
	assert.Zero(t, s.count(toLookup))
}

// shortConn breaks after 100 KiB were written.
type shortConn struct {
	net.Conn
	n int
}

func (c *shortConn) Write(p []byte) (int, error) {
	if c.n += len(p); c.n > 100<<10 {
		_ = c.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

func TestResetAfterTheBodyIsUnanswered(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]reply{"reset": reset(), "closed": hangUp(), "half a body": halfBody(201, `{"id":"8`)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, broken, okPin())
			var res pinterest.Response
			_, err := newClient(t, s).Pins.Create(t.Context(), pinCreate(), pinterest.ResponseTo(&res))
			require.NoError(t, err)
			require.Len(t, res.Attempts, 2)
			assert.Equal(t, pinterest.PhaseUnanswered, res.Attempts[0].Phase)
			assert.Equal(t, pinterest.ClassTransport, res.Attempts[0].Class)
			assert.Equal(t, pinterest.PhaseAnswered, res.Attempts[1].Phase)
			assertProved(t, s, 5*time.Second, serverWaits)
		})
	}
}

// The create reuses a connection, and http.Transport may retry by itself when a
// reused connection breaks. It must not do so for a create.
func TestResetOfAConnectionInUseIsUnanswered(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin(), reset(), okPin())
	c := newClient(t, s)
	require.NoError(t, get(t.Context(), c))
	pin, err := c.Pins.Create(t.Context(), pinCreate())
	require.NoError(t, err)
	assert.Equal(t, pinID, pin.ID)
	assertProved(t, s, 5*time.Second, serverWaits)
}

func TestRedirectIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(itoa(status), func(t *testing.T) {
			t.Parallel()
			other := newServer(t) // no request is expected
			s := newServer(t, answer(status, "").with("Location", other.base()+"/pins?token=abc"))
			h := ownClient(t, nil)
			h.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // would follow redirects
			_, err := newClient(t, s, pinterest.WithHTTPClient(h)).Pins.Create(t.Context(), pinCreate())
			e := failure(t, err)
			assert.ErrorIs(t, err, pinterest.ErrTransport)
			assert.Equal(t, review, e.Disposition)
			assert.Equal(t, status, e.Status)
			assert.Contains(t, err.Error(), other.Listener.Addr().String(), "it says where to")
			assert.NotContains(t, err.Error(), "token=abc")
			assert.Empty(t, other.kinds(), "the other host sees nothing")
			assert.Zero(t, other.conns.Load())
		})
	}
}
