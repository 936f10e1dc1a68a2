package pinterest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// reply is one answer of a server: status, header and body, or whatever act sends.
type reply struct {
	status int
	header map[string]string
	body   string
	act    func(s *server, w http.ResponseWriter, r *http.Request)
	sticky bool // answers all further requests, too
}

// always makes the reply answer all further requests, too.
func (st reply) always() reply { st.sticky = true; return st }

// with adds header fields, given as alternating names and values.
func (st reply) with(pairs ...string) reply {
	st.header = maps.Clone(st.header)
	if st.header == nil {
		st.header = map[string]string{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		st.header[pairs[i]] = pairs[i+1]
	}
	return st
}

func answer(status int, body string) reply { return reply{status: status, body: body} }

// fault is an error answer in the API's usual shape.
func fault(status, code int, message string) reply {
	body, err := json.Marshal(map[string]any{"code": code, "message": message})
	if err != nil {
		panic(err)
	}
	return answer(status, string(body))
}

func bare(status int) reply { return fault(status, 0, "") }

// okPin is the successful answer to a get or a create.
func okPin() reply { return answer(200, `{"id":"`+pinID+`","board_id":"`+boardID+`","title":"made"}`) }

func html(status int) reply {
	return answer(status, "<html><head><title>oh</title></head><body>gateway</body></html>").with("Content-Type", "text/html")
}

// hijack reads the whole request and takes over the connection.
func hijack(w http.ResponseWriter, r *http.Request) net.Conn {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

// reset resets the connection after the whole request was read.
func reset() reply {
	return reply{act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		conn := hijack(w, r)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}}
}

// hangUp closes the connection without an answer.
func hangUp() reply {
	return reply{act: func(_ *server, w http.ResponseWriter, r *http.Request) { _ = hijack(w, r).Close() }}
}

// halfBody promises more than it sends, and closes the connection.
func halfBody(status int, body string) reply {
	return reply{act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		conn := hijack(w, r)
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, 2*len(body)+100, body)
		_ = conn.Close()
	}}
}

// hang sends no answer until the client is gone or the test is over. onRequest may be nil.
func hang(onRequest func()) reply {
	return reply{act: func(s *server, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if onRequest != nil {
			onRequest()
		}
		s.wait(r)
	}}
}

// hangInBody sends the header and half a body, and then nothing.
func hangInBody(status int, onRequest func()) reply {
	return reply{act: func(s *server, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"id":"8137`)
		_ = http.NewResponseController(w).Flush()
		if onRequest != nil {
			onRequest()
		}
		s.wait(r)
	}}
}

// The scripts of a server.
const (
	toCall   = "call"    // everything else
	toLookup = "look-up" // GET /boards/{id}/pins, which looks up a pin
	toToken  = "token"   // POST /oauth/token
	toBoard  = "board"   // GET /boards/{id}, which tells how many pins there are
)

// request is what a server received.
type request struct {
	kind   string
	method string
	path   string
	query  string
	host   string
	header http.Header
	body   []byte
	at     time.Time // by the fake clock
}

// server answers requests with the replies of its scripts, in order, and records
// them. A request that has no reply fails the test.
type server struct {
	*httptest.Server
	t     testing.TB
	clock *fakeClock
	conns atomic.Int64 // connections that were opened
	quit  chan struct{}

	mu       sync.Mutex
	scripts  map[string][]reply
	requests []request
}

// newServer starts a server whose calls are answered with steps. Look-ups find
// nothing unless onLookup says more.
func newServer(t testing.TB, steps ...reply) *server {
	t.Helper()
	s := newUnstarted(t, steps...)
	s.Start()
	return s
}

func newUnstarted(t testing.TB, steps ...reply) *server {
	t.Helper()
	s := &server{
		t: t, clock: newClock(), quit: make(chan struct{}),
		scripts: map[string][]reply{toCall: steps, toLookup: {answer(200, emptyPage).always()}, toBoard: {answer(200, `{"id":"`+boardID+`","pin_count":0}`).always()}},
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	t.Cleanup(func() {
		close(s.quit)
		s.Close()
	})
	return s
}

func (s *server) onLookup(steps ...reply) *server { s.scripts[toLookup] = steps; return s }

func (s *server) onToken(steps ...reply) *server { s.scripts[toToken] = steps; return s }

func (s *server) base() string { return s.URL + "/v5" }

// wait returns when the client is gone or the test is over.
func (s *server) wait(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.quit:
	}
}

func kindOf(r *http.Request) string {
	switch {
	case r.URL.Path == "/v5/oauth/token":
		return toToken
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v5/boards/") && strings.HasSuffix(r.URL.Path, "/pins"):
		return toLookup
	case r.Method == http.MethodGet && r.URL.Path == "/v5/boards/"+boardID:
		return toBoard
	}
	return toCall
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client gave up: this does not count as a request
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	req := request{
		kind: kindOf(r), method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, host: r.Host,
		header: r.Header.Clone(), body: body, at: s.clock.Now(),
	}
	s.mu.Lock()
	s.requests = append(s.requests, req)
	script := s.scripts[req.kind]
	if len(script) == 0 {
		s.mu.Unlock()
		s.t.Errorf("the %s %s was not expected", req.method, req.path)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	st := script[0]
	if !st.sticky {
		s.scripts[req.kind] = script[1:]
	}
	s.mu.Unlock()
	w.Header().Set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Pinterest-Rid", requestID)
	if st.act != nil {
		st.act(s, w, r)
		return
	}
	for name, value := range st.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(st.status)
	if st.status != http.StatusNoContent && st.status != http.StatusNotModified {
		_, _ = io.WriteString(w, st.body)
	}
}

// received returns the requests of one kind, in order.
func (s *server) received(kind string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []request
	for _, r := range s.requests {
		if r.kind == kind {
			list = append(list, r)
		}
	}
	return list
}

func (s *server) count(kind string) int { return len(s.received(kind)) }

// kinds returns the kinds of all requests, in order.
func (s *server) kinds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]string, len(s.requests))
	for i, r := range s.requests {
		list[i] = r.kind
	}
	return list
}

// madePin is the answer to a look-up that contains the pin of pinCreate.
func (s *server) madePin() reply {
	return reply{act: func(s *server, w http.ResponseWriter, _ *http.Request) {
		pin := pinCreate()
		_ = json.NewEncoder(w).Encode(map[string]any{"bookmark": nil, "items": []any{map[string]any{
			"id": newPinID, "created_at": s.clock.Now().UTC().Format("2006-01-02T15:04:05"),
			"board_id": pin.BoardID, "title": pin.Title, "description": pin.Description, "link": pin.Link, "alt_text": nil,
		}}})
	}}
}

// assertSlept compares the sleeps. An empty list means none.
func assertSlept(t testing.TB, s *server, want []time.Duration) {
	t.Helper()
	if len(want) == 0 {
		assert.Empty(t, s.clock.sleeps(), "nothing is slept")
		return
	}
	assert.Equal(t, want, s.clock.sleeps(), "the waits")
}

func repeated(n int, st reply) []reply { return slices.Repeat([]reply{st}, n) }

// assertProved checks that every failed POST was followed by reads, that the last of
// them came after the settle time, and that the next POST kept its wait.
func assertProved(t *testing.T, s *server, settle time.Duration, waits []time.Duration) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var posted, lastRead time.Time
	posts, reads := 0, 0
	proved := func() {
		if posts == 0 {
			return
		}
		assert.GreaterOrEqual(t, reads, 2, "reads after POST %d", posts)
		assert.GreaterOrEqual(t, lastRead.Sub(posted), settle, "time from POST %d to the last read", posts)
	}
	for _, req := range s.requests {
		switch {
		case req.kind == toLookup:
			reads++
			lastRead = req.at
		case req.method == http.MethodPost:
			proved()
			if posts > 0 && waits != nil {
				assert.GreaterOrEqual(t, req.at.Sub(posted), waits[posts-1], "the wait after POST %d", posts)
			}
			posts, reads, posted = posts+1, 0, req.at
		}
	}
	if reads > 0 { // the last one failed, too
		proved()
	}
}
