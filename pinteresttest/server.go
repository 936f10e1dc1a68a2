package pinteresttest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
)

// A Server is a fake of the Pinterest v5 API. It is safe for concurrent use.
type Server struct {
	// URL is the base URL to give to a client, such as
	// "http://127.0.0.1:40123/v5".
	URL string

	config
	origin     string // the URL's scheme and host
	app        App
	operations []*operation
	world      *world
	tokens     *tokens
	codes      *codes
	redirects  redirects
	quotas     *quotas
	script     *script
	requestLog *requestLog
	ctx        context.Context // when it ends, all requests end
	cancel     context.CancelFunc
	http       *httptest.Server // nil without a socket
	closing    sync.Once
}

// NewServer starts a server on the loopback interface. Close it when done.
func NewServer(opts ...Option) *Server {
	s := newServer(opts)
	s.http = httptest.NewUnstartedServer(s.Handler())
	s.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.requestLog.connections.Add(1)
		}
	}
	s.http.Start()
	s.setOrigin(s.http.URL)
	return s
}

func newServer(opts []Option) *Server {
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if c.clock == nil {
		c.clock = RealClock()
	}
	s := &Server{
		config:     c,
		app:        App{Name: "Example app", ID: "1478036", Secret: "a3f1c05d9e27b864a3f1c05d9e27b864a3f1c05d"},
		operations: operations(),
		world:      newWorld(c.seed),
		tokens:     newTokens(c),
		codes:      newCodes(c.seed),
		redirects:  redirects{uris: slices.Clone(c.redirectURIs)},
		quotas:     newQuotas(c),
		script:     newScript(c.seed),
		requestLog: newRequestLog(c.keepRequests),
	}
	if status := c.tokenShape.Status; status != 0 {
		i := slices.IndexFunc(s.operations, func(op *operation) bool { return op.id == opToken })
		s.operations[i].status = status
	}
	s.ctx, s.cancel = context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	return s
}

func (s *Server) setOrigin(origin string) { s.origin, s.URL = origin, origin+"/v5" }

// Close ends every request in progress, including delayed and hanging ones, and
// shuts the server down. Its contents and its request log can still be read.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.cancel()
		if s.http != nil {
			s.http.Close()
		}
	})
}

// Clock returns the server's clock.
func (s *Server) Clock() *Clock { return s.clock }
