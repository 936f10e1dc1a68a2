package pinteresttest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
)

// A Server is a fake of the Pinterest v5 API on the loopback interface. It is
// safe for concurrent use.
type Server struct {
	// URL is the base URL to give to a client, such as
	// "http://127.0.0.1:40123/v5".
	URL string

	config
	app        App
	operations []*operation
	world      *world
	tokens     *tokens
	quotas     *quotas
	script     *script
	books      *books
	http       *httptest.Server
	cancel     context.CancelFunc // ends the contexts of all requests
	closing    sync.Once
}

// NewServer starts a server. Close it when done.
func NewServer(opts ...Option) *Server {
	c := defaults()
	for _, opt := range opts {
		opt(&c)
	}
	if c.clock == nil {
		c.clock = RealClock()
	}
	s := &Server{
		config:     c,
		app:        App{ID: "1478036", Secret: "a3f1c05d9e27b864a3f1c05d9e27b864a3f1c05d"},
		operations: operations(),
		world:      newWorld(c.seed),
		tokens:     newTokens(c),
		quotas:     newQuotas(c),
		script:     newScript(c.seed),
		books:      newBooks(c.keepBooks),
	}
	s.start()
	return s
}

func (s *Server) start() {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.books.connections.Add(1)
		}
	}
	s.http.Start()
	s.URL = s.http.URL + "/v5"
}

// Close ends every answer under way, delayed and hanging ones as well, and shuts
// the server down. What it holds and its books can still be read.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.cancel()
		s.http.Close()
	})
}

// Clock returns the clock that the server lives by.
func (s *Server) Clock() *Clock { return s.clock }
