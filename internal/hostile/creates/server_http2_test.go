package creates_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/pinterest-go/pinterest/internal/hostile/http2server"
)

// newHTTP2Server serves HTTP/2 so that requests can break in the middle. The client it
// returns may be kept from dialing: while *noDial is above zero each dial fails and
// lowers it.
func newHTTP2Server(t *testing.T, clock *simClock, seed int) (s *server, client *http.Client, noDial *atomic.Int32) {
	t.Helper()
	s = unstarted(clock, seed)
	handler := s.handler()
	s.Server = httptest.NewUnstartedServer(handler)
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) { http2server.Serve(conn, handler, 100) },
	}
	s.TLS = &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	noDial = new(atomic.Int32)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if noDial.Load() > 0 {
				noDial.Add(-1)
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &http.Client{Transport: transport}, noDial
}
