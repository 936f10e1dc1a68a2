package creates_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/hostile/http2server"
)

// overHTTP2 makes a pin over HTTP/2 and enters what came of it. The client's own
// count of attempts must agree with what the server has received, and no attempt
// that reached the server may be called "not sent".
func overHTTP2(t *testing.T, r *record, seed int, fail func(n int) *fault, failedDials int32, warm bool, note string) (posts int, s *server) {
	t.Helper()
	clock := newSimClock()
	s, httpClient, noDial := newHTTP2Server(t, clock, seed)
	w := &world{server: s, t: t, seed: seed, clock: clock, board: s.addBoard(seed % 5)}
	client := w.client(pinterest.WithHTTPClient(httpClient))
	if warm {
		w.warm(client)
	}
	s.onCreate = func(_ string, n int) *fault {
		f := fail(n)
		if f != nil && n == 1 {
			noDial.Store(failedDials)
		}
		return f
	}
	var res pinterest.Response
	p := w.pin(fmt.Sprint("h2-", seed))
	_ = w.create(r, client, p, note, pinterest.ResponseTo(&res))
	posts = s.sent(image(p))
	reached := 0
	for _, a := range res.Attempts {
		if a.Phase != pinterest.PhaseNotSent {
			reached++
		}
	}
	if reached != posts {
		r.wrong("%s: the server received %d creates, the call knows of %d that were sent: %+v", note, posts, reached, phases(res.Attempts))
	}
	return posts, s
}

func phases(attempts []pinterest.Attempt) (all []string) {
	for _, a := range attempts {
		all = append(all, fmt.Sprintf("%v/%d/%s", a.Phase, a.Status, a.Rule))
	}
	return all
}

// resets are the ways in which a server of HTTP/2 takes back a request.
var resets = []struct {
	name string
	http2server.Break
}{
	{"PROTOCOL_ERROR", http2server.Break{Reset: http2.ErrCodeProtocol}},
	{"PROTOCOL_ERROR and closed", http2server.Break{Reset: http2.ErrCodeProtocol, CloseAfter: true}},
	{"REFUSED_STREAM", http2server.Break{Reset: http2.ErrCodeRefusedStream}},
	{"REFUSED_STREAM and closed", http2server.Break{Reset: http2.ErrCodeRefusedStream, CloseAfter: true}},
	{"GOAWAY(0)", http2server.Break{GoAway: true}},
	{"INTERNAL_ERROR", http2server.Break{Reset: http2.ErrCodeInternal}},
	{"CANCEL", http2server.Break{Reset: http2.ErrCodeCancel}},
	{"ENHANCE_YOUR_CALM", http2server.Break{Reset: http2.ErrCodeEnhanceYourCalm}},
	{"connection closed", http2server.Break{}},
}

// Rows 2 and 3.
func TestHTTP2NeverResendsACreateThatTookEffect(t *testing.T) {
	t.Parallel()
	for i, how := range resets {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: "rows 2 and 3, " + how.name + " after the commit"}
			away := &record{name: "rows 2 and 3, " + how.name + " after the commit, and the server stays away"}
			for seed := range 5 {
				for _, dials := range []int32{0, 1, 2, 1000} {
					r := r
					if dials > 2 {
						r = away // where a connection is needed again, nothing can be looked up
					}
					note := fmt.Sprintf("%s, failed dials %d, seed %d", how.name, dials, seed)
					posts, _ := overHTTP2(t, r, i*1000+seed*10+int(dials), func(n int) *fault {
						if n == 1 {
							return &fault{commit: true, http2: how.Break}
						}
						return nil
					}, dials, seed%2 == 0, note)
					if posts != 1 {
						r.wrong("%s: sent %d times", note, posts)
					}
				}
			}
			r.report(t, 0)
			away.report(t, 1)
		})
	}
}

// Rows 2 and 3: what did not take effect is sent again by the library, and made.
func TestHTTP2ResetBeforeTheCommitIsMadeOnce(t *testing.T) {
	t.Parallel()
	for i, how := range resets {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: "rows 2 and 3, " + how.name + " before the commit"}
			for seed := range 6 {
				overHTTP2(t, r, i*1000+seed, func(n int) *fault {
					if n == 1 {
						return &fault{http2: how.Break}
					}
					return nil
				}, int32(seed%3), seed%2 == 0, fmt.Sprintf("%s, seed %d", how.name, seed))
			}
			r.report(t, 0)
		})
	}
}

// Row 2: with every request reset, the library's own pace and number of attempts hold.
func TestHTTP2EveryCreateResetIsBoundedAndPaced(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 2, every create reset", mayFail: true}
	for i, how := range resets {
		for seed := range 3 {
			note := fmt.Sprintf("%s, seed %d", how.name, seed)
			posts, s := overHTTP2(t, r, i*1000+seed, func(n int) *fault {
				if n > 40 {
					return nil // it has failed by then, and should end
				}
				return &fault{http2: how.Break}
			}, 0, seed%2 == 0, note)
			if posts > 5 {
				r.wrong("%s: sent %d times, five are allowed", note, posts)
			}
			var last time.Time
			for _, e := range s.entries() {
				if e.kind != "post" {
					continue
				}
				if !last.IsZero() && e.start.Sub(last) < time.Second {
					r.wrong("%s: sent again after %v", note, e.start.Sub(last))
					break
				}
				last = e.start
			}
		}
	}
	r.report(t, 0)
}

// Row 2, with HTTP/1.1: a connection that was kept and breaks under a create.
func TestHTTP1NeverResendsACreateOnAKeptConnection(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 2, HTTP/1.1"}
	for seed := range 20 {
		w := newWorld(t, seed)
		client := w.client()
		w.warm(client)
		w.onCreate = first(committed([]fault{broken, cutOff}[seed%2]))
		p := w.pin("kept")
		var res pinterest.Response
		_ = w.create(r, client, p, fmt.Sprint("seed ", seed), pinterest.ResponseTo(&res))
		if posts := w.sent(image(p)); posts != 1 || len(res.Attempts) != 1 {
			r.wrong("seed %d: %d creates received, %d attempts", seed, posts, len(res.Attempts))
		}
	}
	r.report(t, 0)
}

// The attacks are real: a plain client of net/http sends such a create again by
// itself, and so makes a second one.
func TestThePlainClientOfNetHTTPIsMadeToResend(t *testing.T) {
	t.Parallel()
	for _, how := range resets {
		if how.CloseAfter || how.Reset != http2.ErrCodeProtocol && how.Reset != http2.ErrCodeRefusedStream && !how.GoAway {
			continue // net/http does not resend, or not always
		}
		s, client, _ := newHTTP2Server(t, newSimClock(), 1)
		boardID := s.addBoard(0)
		s.onCreate = func(_ string, n int) *fault {
			if n == 1 {
				return &fault{commit: true, http2: how.Break}
			}
			return nil
		}
		body := `{"board_id":"` + boardID + `","media_source":{"source_type":"image_url","url":"https://images.example/plain.jpg"}}`
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v5/pins", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Errorf("%s: %v", how.name, err)
			continue
		}
		_ = res.Body.Close()
		if n := s.sent("https://images.example/plain.jpg"); res.ProtoMajor != 2 || n != 2 {
			t.Errorf("%s: HTTP/%d, sent %d times", how.name, res.ProtoMajor, n)
		}
	}
}
