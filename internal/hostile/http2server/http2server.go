// Package http2server is for tests: it serves HTTP/2 frame by frame, so that it can
// break what the server of the standard library always keeps. A handler can have its
// stream reset with any code after it took effect, or have the whole connection sent
// away.
package http2server

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Break is how a request ends without an answer. The zero Break closes the connection.
type Break struct {
	Reset      http2.ErrCode // RST_STREAM with this code
	GoAway     bool          // GOAWAY with last stream 0, which says that nothing was processed
	CloseAfter bool          // the connection is closed after the reset, too
}

// BreakOff ends the request of w in this way when its handler returns. It reports
// false if w is not of this package.
func BreakOff(w http.ResponseWriter, b Break) bool {
	own, ok := w.(*writer)
	if ok {
		own.broken = &b
	}
	return ok
}

// Serve serves one connection until it ends. Each request is handled in a goroutine
// of its own, and its context ends when the client resets the stream. Serve does not
// watch the client's flow-control windows, which are large in net/http. streams is
// how many requests the client may have in flight.
func Serve(tlsConn *tls.Conn, handler http.Handler, streams uint32) {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer func() { _ = tlsConn.Close() }()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(tlsConn, preface); err != nil || string(preface) != http2.ClientPreface {
		return
	}
	c := &conn{tls: tlsConn, framer: http2.NewFramer(tlsConn, tlsConn), ctx: ctx, handler: handler, handlers: &handlers, open: map[uint32]*request{}}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.hpack = hpack.NewEncoder(&c.encoded)
	if !c.write(func() error {
		return c.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: streams})
	}) {
		return
	}
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil || !c.handle(frame) {
			return
		}
	}
}

// conn is one connection.
type conn struct {
	tls      *tls.Conn
	framer   *http2.Framer
	ctx      context.Context // ends with the connection
	handler  http.Handler
	handlers *sync.WaitGroup
	open     map[uint32]*request // by stream, for the goroutine that reads

	mu      sync.Mutex // of writing
	encoded bytes.Buffer
	hpack   *hpack.Encoder
}

// request is a request that is being received or handled.
type request struct {
	headers *http2.MetaHeadersFrame
	body    bytes.Buffer
	cancel  context.CancelFunc
}

// write calls f while nobody else writes, and reports whether it succeeded.
func (c *conn) write(f func() error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f() == nil
}

// handle deals with one frame and reports whether the connection goes on.
func (c *conn) handle(frame http2.Frame) bool {
	id := frame.Header().StreamID
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return c.write(c.framer.WriteSettingsAck)
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.write(func() error { return c.framer.WritePing(true, f.Data) })
		}
	case *http2.MetaHeadersFrame:
		c.open[id] = &request{headers: f}
		if f.StreamEnded() {
			c.start(id)
		}
	case *http2.DataFrame:
		r := c.open[id]
		if r == nil {
			return true
		}
		r.body.Write(f.Data())
		if n := uint32(len(f.Data())); n > 0 && !c.write(func() error { return c.framer.WriteWindowUpdate(0, n) }) {
			return false
		}
		if f.StreamEnded() {
			c.start(id)
		}
	case *http2.RSTStreamFrame:
		if r := c.open[id]; r != nil && r.cancel != nil {
			r.cancel()
		}
		delete(c.open, id)
	case *http2.GoAwayFrame:
		return false
	}
	return true
}

// start handles a request that was received whole.
func (c *conn) start(id uint32) {
	r := c.open[id]
	ctx, cancel := context.WithCancel(c.ctx) //nolint:gosec // the goroutine calls it
	in := httptest.NewRequestWithContext(ctx, r.headers.PseudoValue("method"), r.headers.PseudoValue("path"), bytes.NewReader(r.body.Bytes()))
	for _, field := range r.headers.RegularFields() {
		in.Header.Add(field.Name, field.Value)
	}
	c.open[id] = &request{cancel: cancel} // the rest is not needed any more
	c.handlers.Go(func() {
		defer cancel()
		if !c.serve(id, in) {
			_ = c.tls.Close() // which ends the reading, too
		}
	})
}

// writer records an answer, or how the request is to break.
type writer struct {
	*httptest.ResponseRecorder
	broken *Break
}

// serve carries out a request and reports whether the connection goes on.
func (c *conn) serve(id uint32, in *http.Request) bool {
	w := &writer{ResponseRecorder: httptest.NewRecorder()}
	w.run(c.handler, in)
	c.mu.Lock()
	defer c.mu.Unlock()
	b := w.broken
	switch {
	case b == nil:
		return c.respond(id, w.ResponseRecorder, true)
	case w.Flushed && !c.respond(id, w.ResponseRecorder, false):
		return false
	case b.GoAway:
		// The connection stays open until the client has read this and left.
		return c.framer.WriteGoAway(0, http2.ErrCodeNo, nil) == nil
	case b.Reset != 0:
		return c.framer.WriteRSTStream(id, b.Reset) == nil && !b.CloseAfter
	}
	return false
}

// run calls the handler. One that aborts has its stream reset, as in net/http.
func (w *writer) run(handler http.Handler, in *http.Request) {
	defer func() {
		switch p := recover(); {
		case p == http.ErrAbortHandler: //nolint:errorlint // compared as net/http does
			w.broken = &Break{Reset: http2.ErrCodeInternal}
		case p != nil:
			panic(p)
		}
	}()
	handler.ServeHTTP(w, in)
}

// respond sends what was recorded. Without end, the answer stays incomplete.
func (c *conn) respond(id uint32, w *httptest.ResponseRecorder, end bool) bool {
	c.encoded.Reset()
	field := func(name, value string) {
		_ = c.hpack.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	field(":status", strconv.Itoa(w.Code))
	for name, values := range w.Header() {
		for _, v := range values {
			field(strings.ToLower(name), v)
		}
	}
	body := w.Body.Bytes()
	if c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: c.encoded.Bytes(), EndHeaders: true, EndStream: end && len(body) == 0,
	}) != nil {
		return false
	}
	for len(body) > 0 {
		part := body[:min(len(body), 16_000)]
		body = body[len(part):]
		if c.framer.WriteData(id, end && len(body) == 0, part) != nil {
			return false
		}
	}
	return true
}
