package creates_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// books is a Pinterest that serves several accounts and keeps books of all that
// was made: pins, boards, sections and saves. The books go by what was sent,
// the image's URL included, which no list and no answer shows.
type books struct {
	*httptest.Server
	clock *simClock

	flights atomic.Int64
	flying  sync.Map // by number: a channel that is closed when the server has handled it

	mu     sync.Mutex
	serial int64
	things []*thing
	posts  []post
	reads  int

	// Habits, to be changed by set.
	fail func(p post) *fault // what goes wrong with a create
	down bool                // lists fail
	lag  time.Duration       // until a new thing is listed
}

// thing is something that was made. Those that were there before have no post.
type thing struct {
	kind, id, account             string
	image, board, section, parent string
	title, description, link, alt string
	created                       time.Time
	old, deleted                  bool
}

// post is a create that arrived.
type post struct {
	kind, what, account string // what: the image, the name, the pin that is saved
	n                   int    // the n-th of this kind, what and account
}

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{clock: newSimClock(), serial: 617283940000000000}
	b.things = append(b.things, &thing{kind: "board", id: madeBoard, account: "oakshop", title: "Kitchens", created: epoch.Add(-60 * 24 * time.Hour), old: true})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /pins", b.postPin)
	mux.HandleFunc("POST /pins/{id}/save", b.postSave)
	mux.HandleFunc("POST /boards", b.postBoard)
	mux.HandleFunc("POST /boards/{board}/sections", b.postSection)
	mux.HandleFunc("GET /boards", b.list("board"))
	mux.HandleFunc("GET /boards/{board}/sections", b.list("section"))
	mux.HandleFunc("GET /boards/{board}/pins", b.list("pin"))
	mux.HandleFunc("GET /boards/{board}/sections/{section}/pins", b.list("pin"))
	mux.HandleFunc("GET /boards/{id}", b.get("board"))
	mux.HandleFunc("GET /pins/{id}", b.get("pin"))
	below := http.StripPrefix("/v5", mux)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.clock.Advance(70 * time.Millisecond)
		if done, ok := b.flying.LoadAndDelete(r.Header.Get("X-Flight")); ok {
			defer close(done.(chan struct{}))
		}
		below.ServeHTTP(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *books) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// token is the access token of an account.
func token(account string) string {
	return "pina_" + account + "0TESTTOKEN0123456789abcdefghijklmnopqr"
}

// atNth lets the nth request of a create go wrong.
func atNth(n int, f *fault) func(p post) *fault {
	return func(p post) *fault {
		if p.n == n {
			return f
		}
		return nil
	}
}

func (b *books) account(r *http.Request) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer pina_"), "0TESTTOKEN")
	return name
}

// enter puts a thing into the books. The caller holds mu.
func (b *books) enter(th *thing) *thing {
	b.serial += 17
	th.id = strconv.FormatInt(b.serial, 10)
	if th.created.IsZero() {
		th.created = b.clock.Now()
	}
	b.things = append(b.things, th)
	return th
}

// before enters a thing that was there long before.
func (b *books) before(th thing) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	th.old, th.created = true, b.clock.Now().Add(-60*24*time.Hour)
	th.account = cmp.Or(th.account, "oakshop")
	return b.enter(&th).id
}

// create carries out a create, or what is to go wrong with it.
func (b *books) create(w http.ResponseWriter, r *http.Request, kind, what string, th *thing) {
	p := post{kind: kind, what: what, account: b.account(r)}
	b.mu.Lock()
	for _, other := range b.posts {
		if other.kind == kind && other.what == what && other.account == p.account {
			p.n++
		}
	}
	p.n++
	b.posts = append(b.posts, p)
	fail := b.fail
	b.mu.Unlock()
	var f *fault
	if fail != nil {
		f = fail(p)
	}
	var item map[string]any
	if f == nil || f.commit {
		b.mu.Lock()
		taken := kind == "board" && slices.ContainsFunc(b.things, func(o *thing) bool {
			return o.kind == "board" && o.account == p.account && strings.EqualFold(o.title, th.title)
		})
		if !taken {
			th.kind, th.account = kind, p.account
			b.enter(th)
			item = b.show(th, p.account)
		}
		b.mu.Unlock()
		if taken && f == nil {
			f = &fault{status: http.StatusBadRequest, code: 58, message: "Try a different name. You already have a board with this name!"}
		}
	}
	switch {
	case f == nil || f.succeeds:
		b.reply(w, http.StatusCreated, item)
	case f.partial && item != nil:
		body, _ := json.Marshal(item) //nolint:errchkjson // texts only
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	default:
		b.refuse(w, f)
	}
}

func (b *books) reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", b.clock.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // texts only
}

func (b *books) refuse(w http.ResponseWriter, f *fault) {
	switch {
	case f.status == 0 || f.partial:
		panic(http.ErrAbortHandler)
	case f.raw != nil:
		w.Header().Set("Date", b.clock.Now().UTC().Format(http.TimeFormat))
		w.WriteHeader(f.status)
		_, _ = io.WriteString(w, *f.raw)
	default:
		b.reply(w, f.status, map[string]any{"code": f.code, "message": f.message})
	}
}

// sentPin is a pin as it is sent.
type sentPin struct {
	Board       string `json:"board_id"`
	Section     string `json:"board_section_id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Link        string `json:"link"`
	Alt         string `json:"alt_text"`
	Parent      string `json:"parent_pin_id"`
	Source      struct {
		URL string `json:"url"`
	} `json:"media_source"`
}

func (b *books) postPin(w http.ResponseWriter, r *http.Request) {
	var in sentPin
	if !b.read(w, r, &in) {
		return
	}
	b.create(w, r, "pin", in.Source.URL, &thing{
		image: in.Source.URL, board: in.Board, section: in.Section, parent: in.Parent,
		title: in.Title, description: in.Description, link: in.Link, alt: in.Alt,
	})
}

func (b *books) postSave(w http.ResponseWriter, r *http.Request) {
	var in sentPin
	if !b.read(w, r, &in) {
		return
	}
	th := &thing{board: in.Board, section: in.Section, parent: r.PathValue("id")}
	b.mu.Lock()
	for _, source := range b.things {
		if source.id == th.parent {
			th.title, th.description, th.link, th.alt = source.title, source.description, source.link, source.alt
		}
	}
	b.mu.Unlock()
	b.create(w, r, "save", th.parent, th)
}

func (b *books) postBoard(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, Description string }
	if b.read(w, r, &in) {
		b.create(w, r, "board", in.Name, &thing{title: in.Name, description: in.Description})
	}
}

func (b *books) postSection(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name string }
	if b.read(w, r, &in) {
		b.create(w, r, "section", in.Name, &thing{title: in.Name, board: r.PathValue("board")})
	}
}

func (b *books) read(w http.ResponseWriter, r *http.Request, in any) bool {
	if err := json.NewDecoder(r.Body).Decode(in); err != nil {
		b.refuse(w, &fault{status: http.StatusBadRequest, code: 1, message: "Invalid request"})
		return false
	}
	return true
}

// show is a thing as the API shows it to an account. The caller holds mu.
func (b *books) show(th *thing, account string) map[string]any {
	text := func(v string) any {
		if v == "" {
			return nil
		}
		return v
	}
	at := th.created.UTC().Format("2006-01-02T15:04:05")
	switch th.kind {
	case "section":
		return map[string]any{"id": th.id, "name": th.title}
	case "board":
		count := 0
		for _, o := range b.things {
			if o.board == th.id && (o.kind == "pin" || o.kind == "save") && !o.deleted {
				count++
			}
		}
		return map[string]any{
			"id": th.id, "name": th.title, "description": th.description, "privacy": "PUBLIC", "created_at": at, "pin_count": count,
			"owner": map[string]any{"username": th.account},
		}
	}
	return map[string]any{
		"id": th.id, "created_at": at, "title": text(th.title), "description": cmp.Or(th.description, " "), "link": text(th.link), "alt_text": text(th.alt),
		"board_id": th.board, "board_section_id": text(th.section), "parent_pin_id": text(th.parent), "creative_type": "REGULAR",
		"is_owner": th.account == account, "media": map[string]any{"media_type": "image", "images": map[string]any{}},
	}
}

func (b *books) list(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		account, now := b.account(r), b.clock.Now()
		b.mu.Lock()
		b.reads++
		if b.down {
			b.mu.Unlock()
			b.refuse(w, &server503)
			return
		}
		items := []any{}
		for _, th := range slices.Backward(b.things) {
			is := th.kind == kind || kind == "pin" && th.kind == "save"
			if !is || th.deleted || !th.old && th.created.Add(b.lag).After(now) || kind == "board" && th.account != account {
				continue
			}
			if board := r.PathValue("board"); board != "" && th.board != board {
				continue
			}
			if section := r.PathValue("section"); section != "" && th.section != section {
				continue
			}
			items = append(items, b.show(th, account))
		}
		b.mu.Unlock()
		size, _ := strconv.Atoi(r.URL.Query().Get("page_size"))
		size = cmp.Or(size, 25)
		from, _ := strconv.Atoi(r.URL.Query().Get("bookmark"))
		from = min(from, len(items))
		page := map[string]any{"items": items[from:min(from+size, len(items))], "bookmark": nil}
		if from+size < len(items) {
			page["bookmark"] = strconv.Itoa(from + size)
		}
		b.reply(w, http.StatusOK, page)
	}
}

func (b *books) get(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		for _, th := range b.things {
			if th.id == r.PathValue("id") && !th.deleted && (th.kind == kind || kind == "pin" && th.kind == "save") {
				item := b.show(th, b.account(r))
				b.mu.Unlock()
				b.reply(w, http.StatusOK, item)
				return
			}
		}
		b.mu.Unlock()
		b.refuse(w, &fault{status: http.StatusNotFound, code: 50, message: "Pin not found."})
	}
}

// made returns the ids of what was made of a kind and of what, by any account.
func (b *books) made(kind, what string) (ids []string) {
	for _, th := range b.all() {
		is := map[string]string{"pin": th.image, "save": th.parent, "board": th.title, "section": th.title}[kind]
		if th.kind == kind && is == what {
			ids = append(ids, th.id)
		}
	}
	return ids
}

// all returns what was made.
func (b *books) all() (made []thing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, th := range b.things {
		if !th.old {
			made = append(made, *th)
		}
	}
	return made
}

// find returns what was made with an id.
func (b *books) find(id string) (thing, bool) {
	for _, th := range b.all() {
		if th.id == id {
			return th, true
		}
	}
	return thing{}, false
}

// sent returns how many creates have arrived.
func (b *books) sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.posts)
}

// is reports whether a thing is what a pin asks for.
func (th *thing) is(p pinterest.PinCreate) bool {
	link := p.Link
	if p.Marker != "" && !strings.Contains(link, p.Marker) {
		u, _ := url.Parse(link)
		got, err := url.Parse(th.link)
		if err != nil || u.Host != got.Host || !strings.Contains(got.RawQuery, p.Marker) {
			return false
		}
		link = th.link
	}
	return th.kind == "pin" && th.image == p.MediaSource.URL && th.board == p.BoardID && th.section == p.BoardSectionID &&
		th.title == p.Title && th.description == p.Description && th.link == link && th.alt == p.AltText
}

// steps are what a process does towards the outside, one after another: calls of
// its ledger, requests, and waits. One of them is where something happens.
type steps struct {
	mu    sync.Mutex
	trail []string
	at    int                            // the step, from 1, at which then is called; 0 for none
	when  func(i int, trail string) bool // instead of at
	then  func(step string) error        // its error is that of the step
	dead  bool
	fired string
}

var errDead = errors.New("the process is dead")

func (s *steps) step(what string) error {
	s.mu.Lock()
	s.trail = append(s.trail, what)
	n := len(s.trail)
	if s.dead {
		s.mu.Unlock()
		return errDead
	}
	hit := s.fired == "" && s.then != nil && (n == s.at || s.when != nil && s.when(n, strings.Join(s.trail, ",")))
	if hit {
		s.fired = what
	}
	then := s.then
	s.mu.Unlock()
	if hit {
		return then(what)
	}
	return nil
}

// die makes this step and all that follow fail.
func (s *steps) die(string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	return errDead
}

func (s *steps) where() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("step %d, %s", s.at, s.fired)
}

func (s *steps) was() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// stepTransport makes a step of each request and of each answer.
type stepTransport struct {
	*steps
	next http.RoundTripper
}

func (s stepTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	what := r.Method
	if err := s.step("before " + what); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	res, err := s.next.RoundTrip(r)
	if failed := s.step("after " + what); failed != nil {
		if err == nil {
			_ = res.Body.Close()
		}
		return nil, failed
	}
	return res, err
}

// stepLedger makes steps of the calls of a ledger.
type stepLedger struct {
	*steps
	pinterest.Ledger
}

func (s stepLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	if err := s.step("lock"); err != nil {
		return nil, nil, err
	}
	return s.Ledger.Lock(ctx, names...)
}

func (s stepLedger) Load(ctx context.Context, name string) ([]byte, error) {
	if err := s.step("load"); err != nil {
		return nil, err
	}
	return s.Ledger.Load(ctx, name)
}

func (s stepLedger) Save(ctx context.Context, records map[string][]byte) error {
	if err := s.step("save"); err != nil {
		return err
	}
	if err := s.Ledger.Save(ctx, records); err != nil {
		return err
	}
	return s.step("saved")
}

// stepClock makes steps of the waits. They cannot fail.
type stepClock struct {
	*steps
	*simClock
}

func (s stepClock) Sleep(ctx context.Context, d time.Duration) error {
	_ = s.step("sleep")
	return s.simClock.Sleep(ctx, d)
}

// flightTransport sends requests to the server. One that was given up, as by a
// context that ended, returns only when the server is done with it: on a busy
// machine it could otherwise be carried out minutes later, by the simulated time.
type flightTransport struct{ *books }

func (f flightTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	number := strconv.FormatInt(f.flights.Add(1), 10)
	handled, wrote := make(chan struct{}), make(chan error, 1)
	f.flying.Store(number, handled)
	defer f.flying.Delete(number)
	var began atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { began.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			select {
			case wrote <- info.Err:
			default:
			}
		},
	})
	r = r.Clone(ctx)
	r.Header.Set("X-Flight", number)
	res, err := f.Client().Transport.RoundTrip(r)
	if err != nil && began.Load() {
		patience := time.After(time.Second)
		select {
		case failed := <-wrote:
			if failed == nil {
				select {
				case <-handled:
				case <-patience:
				}
			}
		case <-patience:
		}
	}
	return res, err
}

// process returns a client that shares nothing with others but the ledger.
func (b *books) process(t *testing.T, ledger pinterest.Ledger, opts ...pinterest.Option) *pinterest.Client {
	t.Helper()
	return b.as(t, "oakshop", ledger, opts...)
}

// as is process for any account of the server.
func (b *books) as(t *testing.T, account string, ledger pinterest.Ledger, opts ...pinterest.Option) *pinterest.Client {
	t.Helper()
	client, err := pinterest.New(append([]pinterest.Option{
		pinterest.WithAccessToken(token(account)), pinterest.WithBaseURL(b.URL + "/v5"), pinterest.WithAccount("oakshop"),
		pinterest.WithAppID("1478036"), pinterest.WithoutPacing(), pinterest.WithClock(b.clock), pinterest.WithLedger(ledger),
		pinterest.WithHTTPClient(&http.Client{Transport: flightTransport{b}}),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// stepping returns a process whose steps are counted.
func (b *books) stepping(t *testing.T, ledger pinterest.Ledger, s *steps, opts ...pinterest.Option) *pinterest.Client {
	t.Helper()
	return b.process(t, stepLedger{s, ledger}, append([]pinterest.Option{
		pinterest.WithHTTPClient(&http.Client{Transport: stepTransport{s, flightTransport{b}}}),
		pinterest.WithClock(stepClock{s, b.clock}),
	}, opts...)...)
}

// dud returns what is wrong with an uncertain error, "" for nothing.
func (b *books) dud(err error, key string) string {
	var failure *pinterest.Error
	switch now := b.clock.Now(); {
	case !errors.As(err, &failure):
		return "is no *Error"
	case failure.Disposition != pinterest.DispositionUncertain:
		return "has the disposition " + failure.Disposition.String()
	case failure.RetryAt.IsZero():
		return "has no RetryAt"
	case failure.RetryAt.Before(now):
		return fmt.Sprintf("has a RetryAt %v ago", now.Sub(failure.RetryAt))
	case failure.Uncertain == nil:
		return "has nothing to resolve"
	case failure.Uncertain.Key != key:
		return fmt.Sprintf("has the key %q, not %q", failure.Uncertain.Key, key)
	case errors.Is(err, pinterest.ErrKeyReused):
		return "is uncertain, and the key is reused for certain"
	}
	return ""
}

func ids[T any](v *T, id func(*T) string) string {
	if v == nil {
		return ""
	}
	return id(v)
}

func pinID(p *pinterest.Pin) string { return p.ID }

// maker is one of the methods that create once.
type maker struct {
	kind string
	once func(ctx context.Context, c *pinterest.Client, key string, b *books, what string) (id string, err error)
}

// place makes the board that a maker's things go to and the thing that it needs.
func (b *books) place(kind string) (what string) {
	what = "Oak kitchen " + strconv.Itoa(int(b.serial%1000))
	switch kind {
	case "pin":
		return "https://images.example/oak.jpg"
	case "save":
		return b.before(thing{kind: "pin", account: "birch", board: "1", title: what, link: "https://birch.example/"})
	}
	return what
}

const madeBoard = "549755885175"

var makers = []maker{
	{"pin", func(ctx context.Context, c *pinterest.Client, key string, _ *books, what string) (string, error) {
		got, err := c.Pins.CreateOnce(ctx, key, pinterest.PinCreate{
			BoardID: madeBoard, Title: "Oak kitchen", Link: "https://shop.example/oak", MediaSource: pinterest.ImageURL(what),
		})
		return ids(got, pinID), err
	}},
	{"board", func(ctx context.Context, c *pinterest.Client, key string, _ *books, what string) (string, error) {
		got, err := c.Boards.CreateOnce(ctx, key, pinterest.BoardCreate{Name: what})
		return ids(got, func(b *pinterest.Board) string { return b.ID }), err
	}},
	{"section", func(ctx context.Context, c *pinterest.Client, key string, _ *books, what string) (string, error) {
		got, err := c.Sections.CreateOnce(ctx, key, madeBoard, pinterest.SectionCreate{Name: what})
		return ids(got, func(s *pinterest.Section) string { return s.ID }), err
	}},
	{"save", func(ctx context.Context, c *pinterest.Client, key string, _ *books, what string) (string, error) {
		got, err := c.Pins.SaveOnce(ctx, key, what, pinterest.PinSave{BoardID: madeBoard})
		return ids(got, pinID), err
	}},
}

// settle calls again with fresh processes, when the errors say so, until the
// outcome is certain.
func (b *books) settle(t *testing.T, ledger pinterest.Ledger, once func(c *pinterest.Client) (string, error)) (id string, err error) {
	t.Helper()
	for range 5 {
		id, err = once(b.process(t, ledger))
		var failure *pinterest.Error
		if !errors.Is(err, pinterest.ErrUncertain) || !errors.As(err, &failure) {
			return id, err
		}
		if wait := failure.RetryAt.Sub(b.clock.Now()); wait > 0 {
			b.clock.Advance(wait)
		}
	}
	return id, err
}
