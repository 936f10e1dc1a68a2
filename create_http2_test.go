package pinterest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pinterest-go/pinterest"
)

// http2Server speaks HTTP/2 frame by frame. It commits every POST and keeps what
// was made; how the stream of a POST ends is up to the test. The board and its list
// are one answer.
type http2Server struct {
	t        *testing.T
	listener net.Listener
	end      func(f *http2.Framer, stream uint32, post int) // ends a POST's stream after the commit

	mu    sync.Mutex
	posts int
	pins  []string // JSON, newest first
	conns sync.WaitGroup
}

func newHTTP2Server(t *testing.T, end func(f *http2.Framer, stream uint32, post int)) *http2Server {
	t.Helper()
	certificates := httptest.NewUnstartedServer(http.NotFoundHandler())
	certificates.StartTLS()
	defer certificates.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	s := &http2Server{t: t, listener: listener, end: end}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() { s.serve(conn) })
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	return s
}

// client returns a client whose connections end with the test.
func (s *http2Server) client(opts ...pinterest.Option) *testClient {
	s.t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	s.t.Cleanup(func() { transport.CloseIdleConnections(); _ = s.listener.Close(); s.conns.Wait() })
	c, err := pinterest.New(append([]pinterest.Option{
		pinterest.WithAccessToken(accessToken), pinterest.WithBaseURL("https://" + s.listener.Addr().String() + "/v5"),
		pinterest.WithClock(newClock()), pinterest.WithRetry(exact), pinterest.WithHTTPClient(&http.Client{Transport: transport}),
	}, opts...)...)
	require.NoError(s.t, err)
	return wrap(c)
}

func (s *http2Server) count() (posts, pins int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts, len(s.pins)
}

func (s *http2Server) serve(conn net.Conn) {
	defer conn.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = f.WriteSettings()
	methods := map[uint32]string{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			methods[frame.StreamID] = frame.PseudoValue("method")
			if frame.StreamEnded() {
				s.answer(f, frame.StreamID, methods[frame.StreamID])
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				s.answer(f, frame.StreamID, methods[frame.StreamID])
			}
		}
	}
}

func (s *http2Server) answer(f *http2.Framer, stream uint32, method string) {
	s.mu.Lock()
	if method == http.MethodPost {
		s.posts++
		post := s.posts
		pin := fmt.Sprintf(`{"id":"%d","board_id":%q,"title":"Oak table","description":"Two metres of oak","link":"https://shop.example/tables/7","created_at":"2026-11-21T10:00:00"}`, 900+post, boardID)
		s.pins = append([]string{pin}, s.pins...)
		s.mu.Unlock()
		s.end(f, stream, post)
		return
	}
	body := fmt.Sprintf(`{"items":[%s],"bookmark":null,"id":%q,"pin_count":%d}`, strings.Join(s.pins, ","), boardID, len(s.pins))
	s.mu.Unlock()
	respond(f, stream, 200, body)
}

// respond writes an answer with a Date that fits the pins' times.
func respond(f *http2.Framer, stream uint32, status int, body string) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: itoa(status)})
	_ = enc.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/json"})
	_ = enc.WriteField(hpack.HeaderField{Name: "date", Value: "Sat, 21 Nov 2026 10:00:00 GMT"})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = f.WriteData(stream, true, []byte(body))
}

// A stream that is reset, or refused, or ended by GOAWAY after the commit is an
// answer that was lost. net/http would send such a request again by itself.
func TestCreateOverHTTP2IsNeverResentUnseen(t *testing.T) {
	for name, end := range map[string]func(f *http2.Framer, stream uint32, post int){
		"protocol error": func(f *http2.Framer, stream uint32, _ int) { _ = f.WriteRSTStream(stream, http2.ErrCodeProtocol) },
		"refused stream": func(f *http2.Framer, stream uint32, _ int) { _ = f.WriteRSTStream(stream, http2.ErrCodeRefusedStream) },
		"internal error": func(f *http2.Framer, stream uint32, _ int) { _ = f.WriteRSTStream(stream, http2.ErrCodeInternal) },
		"goaway":         func(f *http2.Framer, _ uint32, _ int) { _ = f.WriteGoAway(0, http2.ErrCodeNo, nil) },
	} {
		for _, body := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, with a body: %v", name, body), func(t *testing.T) {
				t.Parallel()
				s := newHTTP2Server(t, end)
				c := s.client()
				ctx := context.Background()
				var res pinterest.Response
				var pin pinterest.Pin
				var err error
				if body {
					var made *pinterest.Pin
					if made, err = c.Pins.Create(ctx, pinCreate(), pinterest.ResponseTo(&res)); err == nil {
						pin = *made
					}
				} else { // a create without a body is sent again even without a GetBody
					err = c.Do(ctx, pinterest.Operation{ID: "boards/copy", Method: http.MethodPost, Path: "/copy", Kind: pinterest.KindCreate},
						pinterest.Request{Lookup: boardPins(boardID)}, &pin, pinterest.ResponseTo(&res))
				}
				require.NoError(t, err)
				assert.Equal(t, "901", pin.ID)
				assert.Equal(t, pinterest.OriginLookup, res.Origin)
				posts, pins := s.count()
				assert.Equal(t, 1, posts, "POSTs")
				assert.Equal(t, 1, pins, "pins")
			})
		}
	}
}

// boardPins finds any pin of the board.
func boardPins(id string) pinterest.Lookup[pinterest.Pin] {
	return pinterest.Lookup[pinterest.Pin]{
		Want: id, List: pinterest.OpBoardsListPins, In: pinterest.Request{Path: []string{id}},
		Match: func(*pinterest.Pin) bool { return true }, Untimed: true,
		Made: func(p *pinterest.Pin) (id string, created time.Time) { return p.ID, p.CreatedAt.Time },
	}
}

// When every POST is reset, the attempts are counted, paced and looked up like any.
func TestCreateOverHTTP2ThatIsAlwaysReset(t *testing.T) {
	t.Parallel()
	s := newHTTP2Server(t, nil)
	s.end = func(f *http2.Framer, stream uint32, _ int) {
		s.mu.Lock()
		s.pins = nil // nothing came of it
		s.mu.Unlock()
		_ = f.WriteRSTStream(stream, http2.ErrCodeProtocol)
	}
	_, err := s.client().Pins.Create(context.Background(), pinCreate())
	e := failure(t, err)
	posts, _ := s.count()
	assert.Len(t, e.Attempts, 5)
	assert.Equal(t, 5, posts)
	assert.Equal(t, pinterest.DispositionPark, e.Disposition, "each was shown to be absent")
}

// Once a request was written whole it counts as sent, whatever comes after it: here
// net/http's own second dial fails.
func TestCreateOverHTTP2WhoseRedialFails(t *testing.T) {
	t.Parallel()
	s := newHTTP2Server(t, nil)
	s.end = func(f *http2.Framer, stream uint32, _ int) {
		_ = s.listener.Close()
		_ = f.WriteGoAway(0, http2.ErrCodeNo, nil)
	}
	_, err := s.client(pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 2, Jitter: -1})).Pins.Create(context.Background(), pinCreate())
	e := failure(t, err)
	posts, pins := s.count()
	assert.Equal(t, 1, posts)
	assert.Equal(t, 1, pins)
	assert.Equal(t, pinterest.DispositionUncertain, e.Disposition, "the pin is there, and nobody could look")
	assert.Equal(t, pinterest.PhaseUnanswered, e.Attempts[0].Phase)
}
