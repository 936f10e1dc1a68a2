package pinteresttest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// memoryURL is the origin of a server without a socket. Its host does not exist. It
// has https, because clients send no token without it.
const memoryURL = "https://pinterest.test"

// NewMemoryServer returns a server that does not listen and starts no goroutine.
// Use it through [Server.Transport] or [Server.Handler]. Its URL works only with
// that transport.
//
// It is for bubbles of testing/synctest, where a client that waits on a socket
// would keep time from advancing. The server waits for nothing but its [Clock],
// which with the default, [RealClock], is the bubble's time. Make the server and
// its clock within the bubble.
func NewMemoryServer(opts ...Option) *Server {
	s := newServer(opts)
	s.setOrigin(memoryURL)
	return s
}

// Handler returns the handler that answers the requests, also of a server made with
// [NewServer]. Where a fault ends the connection, it takes the connection over
// ([http.Hijacker]). Where that is not supported, it panics with
// [http.ErrAbortHandler].
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.handle) }

// handle serves a request and cancels it when the server is closed.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	s.serve(w, r.WithContext(ctx))
}

// Transport returns a transport that sends every request to the server without a
// socket, whatever its host. A request is answered in the goroutine that makes it.
// Faults end it like a connection: the error, or the error of reading the body, is
// the one that a socket gives.
func (s *Server) Transport() http.RoundTripper { return memoryTransport{s} }

type memoryTransport struct{ server *Server }

// RoundTrip answers one request.
func (t memoryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close() //nolint:errcheck // the client's own body, which was read
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if t.server.ctx.Err() != nil {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}

	got := r.Clone(ctx)
	got.RequestURI = r.URL.RequestURI()
	got.URL, _ = url.ParseRequestURI(got.RequestURI)
	got.Host, got.RemoteAddr = r.URL.Host, "memory"
	got.Proto, got.ProtoMajor, got.ProtoMinor = "HTTP/1.1", 1, 1
	if r.Body == nil {
		got.Body = http.NoBody
	}
	got.Close = false
	trace := httptrace.ContextClientTrace(ctx)
	body := &tracedBody{ReadCloser: got.Body, trace: trace}
	got.Body = body
	if trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}

	w := &memoryWriter{header: http.Header{}, length: -1}
	t.run(w, got)
	switch {
	case body.err != nil:
		return nil, body.err // from reading the client's body
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case w.status == 0:
		return nil, w.broken
	}
	if trace != nil && trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
	return w.response(r), nil
}

// run serves the request until the answer is complete or aborted.
func (t memoryTransport) run(w *memoryWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
			panic(p)
		}
	}()
	t.server.handle(w, r)
}

// tracedBody is a request's body. The request is written when it has been read.
type tracedBody struct {
	io.ReadCloser
	trace *httptrace.ClientTrace
	err   error
	ended bool
}

func (b *tracedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || b.ended {
		return n, err
	}
	b.ended = true
	if err != io.EOF {
		b.err = err
	}
	if b.trace != nil && b.trace.WroteRequest != nil {
		b.trace.WroteRequest(httptrace.WroteRequestInfo{Err: b.err})
	}
	return n, err
}

// memoryWriter takes the answer to one request.
type memoryWriter struct {
	header http.Header // which the server may still change
	sent   http.Header // a copy made when the status was written
	status int
	length int64 // the Content-Length; -1 for none
	body   strings.Builder
	broken error // why the answer was aborted
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if n, err := fmt.Sscan(w.sent.Get("Content-Length"), &w.length); n != 1 || err != nil {
		w.length = -1
	}
}

func (w *memoryWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush implements http.Flusher. Nothing is buffered.
func (w *memoryWriter) Flush() {}

// breakOff aborts the answer with the error that a client's socket would give.
func (w *memoryWriter) breakOff(err error) { w.broken = err }

// response returns the answer that the client gets.
func (w *memoryWriter) response(r *http.Request) *http.Response {
	res := &http.Response{
		Status:     fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: w.length, Request: r,
	}
	var rest io.Reader = strings.NewReader("")
	if w.broken != nil {
		rest = failingReader{io.ErrUnexpectedEOF}
	}
	res.Body = io.NopCloser(io.MultiReader(strings.NewReader(w.body.String()), rest))
	return res
}

// failingReader is a connection that was closed within the body.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// errReset is what a client gets from a connection that was reset.
var errReset = &net.OpError{Op: "read", Net: "memory", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
