package pinterest_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	escape "html"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/text/unicode/norm"

	"github.com/pinterest-go/pinterest/internal/hostile/http2server"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// chaosServer is the fake with the habits of a mix that it does not have by itself.
type chaosServer struct {
	*pinteresttest.Server
	fake http.Handler
	mix  chaosMix
	seed uint64

	mu    sync.Mutex
	items map[string][]byte // the pins as lists show them
}

// breakHeader, in an answer of the fake, has it replaced by one of the breaks.
const breakHeader = "X-Chaos-Break"

var breaks = map[string]http2server.Break{
	"PROTOCOL_ERROR":  {Reset: http2.ErrCodeProtocol},
	"REFUSED_STREAM":  {Reset: http2.ErrCodeRefusedStream},
	"INTERNAL_ERROR":  {Reset: http2.ErrCodeInternal},
	"reset and close": {Reset: http2.ErrCodeRefusedStream, CloseAfter: true},
	"GOAWAY":          {GoAway: true},
}

func (s *chaosServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(rand.N(100 * time.Millisecond))
	board := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v5/boards/"), "/pins")
	switch {
	case r.URL.Path == "/v5/boards/"+board+"/pins" && (s.mix.reordered || s.mix.rewritten || s.mix.lagUpTo > 0):
		s.list(w, r, board)
	case s.mix.rewritten:
		rewriter := &rewriter{ResponseWriter: w, how: s.rewriting}
		s.fake.ServeHTTP(rewriter, r)
		rewriter.end()
	default:
		s.fake.ServeHTTP(w, r)
		if b, ok := breaks[w.Header().Get(breakHeader)]; ok {
			http2server.BreakOff(w, b)
		}
	}
}

// chance returns a number that depends on the seed and the text only.
func chance(seed uint64, text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return rand.New(rand.NewPCG(seed, h.Sum64())).Uint64()
}

// list shows the pins of a board in the order and with the lags of the mix. Its
// bookmarks are positions. A pin that becomes visible in between moves others back,
// so a reader may see one twice but misses none.
func (s *chaosServer) list(w http.ResponseWriter, r *http.Request, board string) {
	const longestPage = 50
	size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
	size = min(max(size, 1), longestPage)
	start, _ := strconv.Atoi(r.URL.Query().Get("bookmark"))

	now := time.Now()
	pins := slices.DeleteFunc(s.Pins(board), func(p pinteresttest.Pin) bool {
		lag := s.mix.lag
		if s.mix.lagUpTo > 0 {
			lag = time.Duration(chance(s.seed, p.ID) % uint64(s.mix.lagUpTo))
		}
		return p.CreatedAt.Add(lag).After(now)
	})
	slices.Reverse(pins)
	if s.mix.reordered {
		s.reorder(board, pins, size)
	}
	var items [][]byte
	for _, p := range pins[min(start, len(pins)):min(start+size, len(pins))] {
		items = append(items, s.item(p.ID, r.Header))
	}
	bookmark := "null"
	if end := start + size; end < len(pins) {
		bookmark = strconv.Quote(strconv.Itoa(end))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	_, _ = fmt.Fprintf(w, `{"items":[%s],"bookmark":%s}`, bytes.Join(items, []byte(",")), bookmark)
}

// reorder puts pins, the newest first, into the order of the board.
func (s *chaosServer) reorder(board string, pins []pinteresttest.Pin, size int) {
	switch chance(s.seed, board) % 4 {
	case 0: // the oldest first
		slices.Reverse(pins)
	case 1: // in no order at all
		slices.SortFunc(pins, func(a, b pinteresttest.Pin) int { return cmp.Compare(chance(s.seed, a.ID), chance(s.seed, b.ID)) })
	case 2: // each page the oldest first
		for page := range slices.Chunk(pins, size) {
			slices.Reverse(page)
		}
	case 3: // the newest first, but an older one that was moved is the last of page 1
		if last := len(pins) - 1; last >= size {
			old := pins[last]
			copy(pins[size:], pins[size-1:last])
			pins[size-1] = old
		}
	}
}

// item returns a pin as lists show it.
func (s *chaosServer) item(id string, header http.Header) []byte {
	s.mu.Lock()
	raw := s.items[id]
	s.mu.Unlock()
	if raw != nil {
		return raw
	}
	r := httptest.NewRequest(http.MethodGet, "/v5/pins/"+id, nil)
	r.Header = header
	w := httptest.NewRecorder()
	s.fake.ServeHTTP(w, r)
	raw = w.Body.Bytes()
	if s.mix.rewritten {
		raw = rewrite(raw, s.rewriting)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[id] = raw
	return raw
}

// A rewriting changes the texts of a pin.
type rewriting func(pin map[string]any, seed uint64)

// eachText rewrites the texts of a pin.
func eachText(f func(string) string) rewriting {
	return func(pin map[string]any, _ uint64) {
		for _, field := range []string{"title", "description", "alt_text"} {
			if v, ok := pin[field].(string); ok {
				pin[field] = f(v)
			}
		}
	}
}

// theLink rewrites the link of a pin.
func theLink(f func(u *url.URL, seed uint64)) rewriting {
	return func(pin map[string]any, seed uint64) {
		if v, ok := pin["link"].(string); ok {
			if u, err := url.Parse(v); err == nil {
				f(u, seed)
				pin["link"] = u.String()
			}
		}
	}
}

// rewritings are forms in which texts come back.
var rewritings = []rewriting{
	eachText(func(v string) string { return strings.Join(strings.Fields(v), " ") }),
	eachText(escape.EscapeString),
	theLink(func(u *url.URL, _ uint64) { u.Host = strings.ToLower(u.Host) }),
	theLink(func(u *url.URL, seed uint64) {
		added := []string{"utm_source=Pinterest", "utm_source=Pinterest&utm_medium=organic", "utm_medium=social&utm_campaign=x&utm_content=y&utm_term=z"}
		u.RawQuery += "&" + added[seed%uint64(len(added))]
	}),
	theLink(func(u *url.URL, _ uint64) {
		parts := strings.Split(u.RawQuery, "&")
		slices.Sort(parts)
		u.RawQuery = strings.Join(parts, "&")
	}),
	eachText(func(v string) string { return strings.ReplaceAll(v, "\r\n", "\n") }),
	eachText(norm.NFD.String),
	func(pin map[string]any, _ uint64) { // the API's limit before 5.12
		if v, ok := pin["description"].(string); ok {
			runes := []rune(v)
			pin["description"] = string(runes[:min(len(runes), 500)])
		}
	},
	func(pin map[string]any, _ uint64) { pin["alt_text"] = nil },
}

// rewriting rewrites a pin in one to three ways, which depend on its id.
func (s *chaosServer) rewriting(pin map[string]any) {
	id, _ := pin["id"].(string)
	seed := chance(s.seed, id)
	for range 1 + seed%3 {
		rewritings[seed/3%uint64(len(rewritings))](pin, seed)
		seed /= 29
	}
}

// rewriter holds an answer back, until it is complete and can be rewritten or until
// it is flushed.
type rewriter struct {
	http.ResponseWriter
	how     func(pin map[string]any)
	status  int
	body    bytes.Buffer
	flushed bool
}

func (w *rewriter) WriteHeader(status int)      { w.status = status }
func (w *rewriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *rewriter) Write(p []byte) (int, error) {
	if w.flushed {
		return w.ResponseWriter.Write(p)
	}
	return w.body.Write(p)
}

// Flush implements http.Flusher.
func (w *rewriter) Flush() {
	w.send(w.body.Bytes())
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *rewriter) send(body []byte) {
	w.flushed = true
	w.ResponseWriter.WriteHeader(w.status)
	_, _ = w.ResponseWriter.Write(body)
}

// end sends what was held back.
func (w *rewriter) end() {
	if w.flushed || w.status == 0 { // or the connection was taken over
		return
	}
	body := rewrite(w.body.Bytes(), w.how)
	if len(body) != w.body.Len() {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.send(body)
}

// rewrite rewrites an answer that is a pin.
func rewrite(answer []byte, how func(pin map[string]any)) []byte {
	var pin map[string]any
	if json.Unmarshal(answer, &pin) != nil || pin["board_id"] == nil {
		return answer
	}
	how(pin)
	body, err := json.Marshal(pin)
	if err != nil {
		return answer
	}
	return body
}
