package creates_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest/internal/hostile/http2server"
)

// server is a hostile Pinterest. What it does where no habit is set is what the
// real one was seen to do: lists are newest first, times are whole seconds of UTC
// without a zone, an empty description comes back as one space. Its record of
// what was made goes by the image's URL, which the API never echoes, so that
// it knows for each intent what became of it.
type server struct {
	*httptest.Server
	clock *simClock
	rnd   *rand.Rand // guarded by mu

	mu     sync.Mutex
	serial int64
	boards []*board
	pins   []*pin
	posts  map[string]int // creates received, by image URL (a board's name, a section's name, "save "+id)
	log    []entry
	reads  int // list reads of pins and boards received

	habits
}

// habits are what a test changes of the server's behaviour, before it is used.
type habits struct {
	lag         func() time.Duration                    // until a new thing is listed
	onCreate    func(image string, n int) *fault        // what goes wrong with the n-th create of an image
	beforeTaken func(image string, n int) *fault        // what goes wrong with a board before its name is looked at
	onList      func(n int) *fault                      // what goes wrong with the n-th list read
	render      func(p *pin, item map[string]any)       // how a pin is shown, in lists and in answers
	listed      func(p *pin, item map[string]any)       // how a pin is shown in lists, after render
	createdAt   func(t time.Time) any                   // the form of times
	date        func(n int, now time.Time) time.Time    // the Date header of the n-th answer; zero for none
	order       func(items []*pin, pageSize int) []*pin // another order than newest first
	empty       func(n int) bool                        // the n-th list read of pins shows nothing
	endless     bool                                    // the list of pins never ends, and all pages differ
	maxPage     int                                     // items a page at the most
	answers     int
}

// fault is what happens to one request. Without a status the connection breaks.
type fault struct {
	commit     bool          // it takes effect all the same
	takes      time.Duration // passes before the answer
	early      time.Duration // slept before it takes effect, for a world of several actors
	late       time.Duration // slept after it took effect
	succeeds   bool          // after early and late it is answered as it should be
	status     int
	code       int
	message    string
	retryAfter int
	raw        *string // the body as it is
	noDate     bool
	partial    bool // the answer of a success, cut off in the middle
	http2      http2server.Break
}

type board struct {
	id, name, description string
	created, visible      time.Time
	hidden                int // pins that only pin_count knows
	post                  int // which create made it; 0: it was there before
}

type pin struct {
	id, image, board, section     string
	title, description, link, alt string
	parent, media                 string
	owner                         bool
	created, visible              time.Time
	deleted                       bool
	serial                        int64
}

// entry is one request in the server's log.
type entry struct {
	kind  string // "post", "list", "other"
	what  string // the image of a post, the board of a list
	start time.Time
}

const account = "1089952847340"

func newServer(t *testing.T, clock *simClock, seed int) *server {
	t.Helper()
	s := unstarted(clock, seed)
	s.Server = httptest.NewServer(s.handler())
	t.Cleanup(s.Close)
	return s
}

func unstarted(clock *simClock, seed int) *server {
	return &server{
		clock: clock, posts: map[string]int{}, serial: 549755885000000000,
		rnd: rand.New(rand.NewPCG(uint64(seed), 8841)),
	}
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pins", s.createPin)
	mux.HandleFunc("GET /pins", func(w http.ResponseWriter, r *http.Request) { s.listPins(w, r, "", "") })
	mux.HandleFunc("GET /pins/{id}", s.getPin)
	mux.HandleFunc("DELETE /pins/{id}", s.deletePin)
	mux.HandleFunc("POST /pins/{id}/save", s.savePin)
	mux.HandleFunc("GET /boards", s.listBoards)
	mux.HandleFunc("POST /boards", s.createBoard)
	mux.HandleFunc("GET /boards/{id}", s.getBoard)
	mux.HandleFunc("GET /boards/{id}/pins", func(w http.ResponseWriter, r *http.Request) { s.listPins(w, r, r.PathValue("id"), "") })
	mux.HandleFunc("GET /boards/{id}/sections", func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, http.StatusOK, map[string]any{"items": []any{}, "bookmark": nil})
	})
	mux.HandleFunc("GET /boards/{id}/sections/{section}/pins", func(w http.ResponseWriter, r *http.Request) {
		s.listPins(w, r, r.PathValue("id"), r.PathValue("section"))
	})
	mux.HandleFunc("GET /user_account", func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, http.StatusOK, map[string]any{"id": account, "username": "oakshop", "account_type": "BUSINESS", "monthly_views": -1})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, &fault{status: http.StatusNotFound, code: 5, message: "Method not allowed"})
	})
	below := http.StripPrefix("/v5", mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		latency := time.Duration(40+s.rnd.IntN(90)) * time.Millisecond
		s.mu.Unlock()
		s.clock.Advance(latency)
		below.ServeHTTP(w, r)
	})
}

// nextID returns an id that was never used. The caller holds mu.
func (s *server) nextID() string {
	s.serial += int64(1 + s.rnd.IntN(1000))
	return strconv.FormatInt(s.serial, 10)
}

func (s *server) lagged(now time.Time) time.Time {
	if s.lag == nil {
		return now
	}
	return now.Add(s.lag())
}

// addBoard makes a board that was there before, with some unlike pins on it.
func (s *server) addBoard(pins int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.clock.Now().Add(-90 * 24 * time.Hour)
	b := &board{id: s.nextID(), name: "Kitchens " + strconv.Itoa(len(s.boards)), created: old, visible: old}
	s.boards = append(s.boards, b)
	for i := range pins {
		age := time.Duration(pins-i) * 47 * time.Minute
		s.put(&pin{
			board: b.id, image: fmt.Sprintf("https://old.example/%s/%d.jpg", b.id, i),
			title: fmt.Sprintf("Older thing %d of %s", i, b.id), link: fmt.Sprintf("https://old.example/%d", i), created: s.clock.Now().Add(-age),
		})
	}
	return b.id
}

// byHand puts a pin on a board that no client has made.
func (s *server) byHand(p pin) *pin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(&p)
}

// put enters a pin. The caller holds mu.
func (s *server) put(p *pin) *pin {
	p.id = s.nextID()
	p.serial = s.serial
	if p.created.IsZero() {
		p.created = s.clock.Now()
	}
	if p.visible.IsZero() {
		p.visible = p.created
	}
	if p.media == "" {
		p.media, p.owner = "image", true
	}
	s.pins = append(s.pins, p)
	return p
}

// made returns all pins of an image.
func (s *server) made(image string) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pins {
		if p.image == image {
			ids = append(ids, p.id)
		}
	}
	for _, b := range s.boards {
		if b.post > 0 && "board "+b.name == image {
			ids = append(ids, b.id)
		}
	}
	return ids
}

func (s *server) removeByHand(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pins {
		if p.id == id {
			p.deleted = true
		}
	}
}

func (s *server) sent(image string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts[image]
}

func (s *server) listReads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// entries returns the log.
func (s *server) entries() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]entry(nil), s.log...)
}

// change sets habits while the server runs.
func (s *server) change(f func(h *habits)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.habits)
}

func (s *server) createPin(w http.ResponseWriter, r *http.Request) {
	var in struct {
		BoardID     string `json:"board_id"`
		Section     string `json:"board_section_id"`
		Title       string `json:"title"`
		Description string `json:"description"`
		Link        string `json:"link"`
		Alt         string `json:"alt_text"`
		Parent      string `json:"parent_pin_id"`
		Source      struct {
			Type  string `json:"source_type"`
			URL   string `json:"url"`
			Cover string `json:"cover_image_url"`
		} `json:"media_source"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		s.refuse(w, &fault{status: http.StatusBadRequest, code: 1, message: "Invalid request"})
		return
	}
	p := &pin{
		board: in.BoardID, section: in.Section, title: in.Title, description: in.Description, link: in.Link, alt: in.Alt,
		parent: in.Parent, media: "image", owner: true, image: in.Source.URL,
	}
	if in.Source.Type == "video_id" {
		p.media, p.image = "video", in.Source.Cover
	}
	s.create(w, p.image, func() any {
		p.visible = s.lagged(s.clock.Now())
		s.put(p)
		return s.show(p)
	})
}

func (s *server) savePin(w http.ResponseWriter, r *http.Request) {
	var in struct {
		BoardID string `json:"board_id"`
		Section string `json:"board_section_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		s.refuse(w, &fault{status: http.StatusBadRequest, code: 1, message: "Invalid request"})
		return
	}
	id := r.PathValue("id")
	s.create(w, "save "+id, func() any {
		p := &pin{board: in.BoardID, section: in.Section, image: "save " + id, parent: id, media: "image", owner: true}
		for _, source := range s.pins {
			if source.id == id {
				p.title, p.description, p.link, p.alt = source.title, source.description, source.link, source.alt
			}
		}
		p.visible = s.lagged(s.clock.Now())
		s.put(p)
		return s.show(p)
	})
}

func (s *server) createBoard(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, Description string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		s.refuse(w, &fault{status: http.StatusBadRequest, code: 1, message: "Invalid request"})
		return
	}
	s.mu.Lock()
	taken := false
	for _, b := range s.boards {
		taken = taken || strings.EqualFold(b.name, in.Name)
	}
	n := s.posts["board "+in.Name]
	before := s.beforeTaken
	s.mu.Unlock()
	if taken {
		s.note("post", "board "+in.Name)
		s.mu.Lock()
		s.posts["board "+in.Name]++
		n = s.posts["board "+in.Name]
		s.mu.Unlock()
		if before != nil {
			if f := before("board "+in.Name, n); f != nil {
				s.refuse(w, f)
				return
			}
		}
		s.mu.Lock()
		status := http.StatusBadRequest
		if s.rnd.IntN(2) == 0 {
			status = http.StatusConflict
		}
		s.mu.Unlock()
		s.refuse(w, &fault{status: status, code: 58, message: "Try a different name. You already have a board with this name!"})
		return
	}
	s.create(w, "board "+in.Name, func() any {
		now := s.clock.Now()
		b := &board{id: s.nextID(), name: in.Name, description: in.Description, created: now, visible: s.lagged(now), post: n + 1}
		s.boards = append(s.boards, b)
		return s.showBoard(b)
	})
}

// create carries out a create, or what is to go wrong with it. commit is called
// with mu held.
func (s *server) create(w http.ResponseWriter, image string, commit func() any) {
	s.note("post", image)
	s.mu.Lock()
	s.posts[image]++
	n := s.posts[image]
	onCreate := s.onCreate
	s.mu.Unlock()
	var f *fault
	if onCreate != nil {
		f = onCreate(image, n)
	}
	if f != nil {
		_ = s.clock.Sleep(context.Background(), f.early)
	}
	var made any
	if f == nil || f.commit {
		s.mu.Lock()
		made = commit()
		s.mu.Unlock()
	}
	if f != nil {
		_ = s.clock.Sleep(context.Background(), f.late)
	}
	if f == nil || f.succeeds {
		s.answer(w, http.StatusCreated, made)
		return
	}
	if f.takes > 0 {
		s.clock.Advance(f.takes)
	}
	if f.partial {
		body, _ := json.Marshal(made)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
	s.refuse(w, f)
}

func (s *server) getPin(w http.ResponseWriter, r *http.Request) {
	s.note("other", "")
	s.mu.Lock()
	for _, p := range s.pins {
		if p.id == r.PathValue("id") && !p.deleted {
			item := s.show(p)
			s.mu.Unlock()
			s.answer(w, http.StatusOK, item)
			return
		}
	}
	s.mu.Unlock()
	s.refuse(w, &fault{status: http.StatusNotFound, code: 50, message: "Pin not found."})
}

func (s *server) deletePin(w http.ResponseWriter, r *http.Request) {
	s.note("other", "")
	s.removeByHand(r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) note(kind, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, entry{kind, what, s.clock.Now()})
}

func (s *server) header(w http.ResponseWriter, noDate bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers++
	now := s.clock.Now()
	if s.date != nil {
		now = s.date(s.answers, now)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Pinterest-Rid", strconv.FormatInt(4826385612345678+int64(s.answers), 10))
	if noDate || now.IsZero() {
		h["Date"] = nil
	} else {
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
}

func (s *server) answer(w http.ResponseWriter, status int, body any) {
	s.header(w, false)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // what cannot be encoded is seen by the client
}

// refuse answers as a fault says.
func (s *server) refuse(w http.ResponseWriter, f *fault) {
	if f.status == 0 {
		if http2server.BreakOff(w, f.http2) {
			return
		}
		panic(http.ErrAbortHandler)
	}
	s.header(w, f.noDate)
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
	w.WriteHeader(f.status)
	switch {
	case f.raw != nil:
		_, _ = w.Write([]byte(*f.raw))
	case f.status != http.StatusNoContent:
		_ = json.NewEncoder(w).Encode(map[string]any{"code": f.code, "message": f.message})
	}
}
