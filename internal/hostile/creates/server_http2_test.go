package creates_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Fault is how a request of HTTP/2 breaks.
type http2Fault struct {
	reset      http2.ErrCode // RST_STREAM with this code
	goAway     bool          // GOAWAY with last stream 0, which says that nothing was processed
	closeAfter bool          // the connection is closed, too
}

// newHTTP2Server serves HTTP/2 frame by frame, so that it can break what the
// standard library's server always keeps. The client it returns may be kept
// from dialing: while *noDial is above zero each dial fails and lowers it.
func newHTTP2Server(t *testing.T, clock *simClock, seed int) (s *server, client *http.Client, noDial *atomic.Int32) {
	t.Helper()
	s = unstarted(clock, seed)
	handler := s.handler()
	s.Server = httptest.NewUnstartedServer(handler)
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) { serveHTTP2(conn, handler) },
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

// frameConn is one connection of the HTTP/2 server.
type frameConn struct {
	*http2.Framer
	conn    *tls.Conn
	encoded bytes.Buffer
	hpack   *hpack.Encoder
	open    map[uint32]*halfRequest
}

type halfRequest struct {
	headers *http2.MetaHeadersFrame
	body    bytes.Buffer
}

func serveHTTP2(conn *tls.Conn, handler http.Handler) {
	defer func() { _ = conn.Close() }()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	c := &frameConn{Framer: http2.NewFramer(conn, conn), conn: conn, open: map[uint32]*halfRequest{}}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.hpack = hpack.NewEncoder(&c.encoded)
	if c.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100}) != nil {
		return
	}
	for {
		frame, err := c.ReadFrame()
		if err != nil || !c.handle(frame, handler) {
			return
		}
	}
}

// handle deals with one frame and reports whether the connection goes on.
func (c *frameConn) handle(frame http2.Frame, handler http.Handler) bool {
	id := frame.Header().StreamID
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return c.WriteSettingsAck() == nil
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.WritePing(true, f.Data) == nil
		}
	case *http2.MetaHeadersFrame:
		c.open[id] = &halfRequest{headers: f}
		if f.StreamEnded() {
			return c.serve(id, handler)
		}
	case *http2.DataFrame:
		if half := c.open[id]; half != nil {
			half.body.Write(f.Data())
			if n := uint32(len(f.Data())); n > 0 && c.WriteWindowUpdate(0, n) != nil {
				return false
			}
			if f.StreamEnded() {
				return c.serve(id, handler)
			}
		}
	case *http2.RSTStreamFrame:
		delete(c.open, id)
	case *http2.GoAwayFrame:
		return false
	}
	return true
}

// http2Writer records an answer, or how the stream is to break.
type http2Writer struct {
	*httptest.ResponseRecorder
	broken *fault
}

func (w *http2Writer) breakOff(f *fault) { w.broken = f }

func (c *frameConn) serve(id uint32, handler http.Handler) bool {
	half := c.open[id]
	delete(c.open, id)
	r := httptest.NewRequest(half.headers.PseudoValue("method"), half.headers.PseudoValue("path"), bytes.NewReader(half.body.Bytes()))
	for _, field := range half.headers.RegularFields() {
		r.Header.Add(field.Name, field.Value)
	}
	w := &http2Writer{ResponseRecorder: httptest.NewRecorder()}
	handler.ServeHTTP(w, r)
	if f := w.broken; f != nil {
		switch {
		case f.http2.goAway:
			// The connection stays open until the client has read this and left.
			return c.WriteGoAway(0, http2.ErrCodeNo, nil) == nil
		case f.http2.reset != 0:
			return c.WriteRSTStream(id, f.http2.reset) == nil && !f.http2.closeAfter
		default:
			return false
		}
	}
	return c.respond(id, w.ResponseRecorder)
}

func (c *frameConn) respond(id uint32, w *httptest.ResponseRecorder) bool {
	c.encoded.Reset()
	write := func(name, value string) {
		_ = c.hpack.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	write(":status", strconv.Itoa(w.Code))
	for name, values := range w.Header() {
		for _, v := range values {
			write(strings.ToLower(name), v)
		}
	}
	body := w.Body.Bytes()
	if c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.encoded.Bytes(), EndHeaders: true, EndStream: len(body) == 0}) != nil {
		return false
	}
	for len(body) > 0 {
		part := body[:min(len(body), 16_000)]
		body = body[len(part):]
		if c.WriteData(id, len(body) == 0, part) != nil {
			return false
		}
	}
	return true
}
