package creates_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// record compares what callers were told with what the server made.
type record struct {
	name string

	mu                                         sync.Mutex
	tries, made, uncertain, duplicates, ghosts int
	lost, lies, other                          int
	problems                                   []string
	mayFail                                    bool // a definite failure is not a loss: the server refuses for good
}

func (r *record) problem(count *int, format string, args ...any) {
	*count++
	if len(r.problems) < 12 {
		r.problems = append(r.problems, fmt.Sprintf(format, args...))
	}
}

// judge enters one intent: its image, and what its caller was told.
func (r *record) judge(s *server, image, id string, err error, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	ids := s.made(image)
	if len(ids) > 1 {
		r.problem(&r.duplicates, "%s: %d of them were made, %s", note, len(ids), quoted(ids))
	}
	switch {
	case err == nil:
		r.made++
		if !contains(ids, id) {
			r.problem(&r.lies, "%s: told %q, its own are %s", note, id, quoted(ids))
		}
	case errors.Is(err, pinterest.ErrUncertain):
		r.uncertain++
		if r.uncertain <= 3 {
			r.problems = append(r.problems, fmt.Sprintf("(uncertain) %s: %v", note, short(err)))
		}
	case len(ids) > 0:
		r.problem(&r.ghosts, "%s: told %v, exists as %s", note, short(err), quoted(ids))
	case !r.mayFail:
		r.problem(&r.lost, "%s: told %v, and never made", note, short(err))
	}
}

// wrong enters another thing that must not be.
func (r *record) wrong(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem(&r.other, format, args...)
}

// report fails the test for whatever is wrong, and for more uncertain ends
// than the share allows.
func (r *record) report(t *testing.T, uncertainShare float64) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Logf("%s: %d tries, %d made, uncertain %d (%.1f %%), duplicates %d, ghosts %d, lost %d, lies %d, other %d",
		r.name, r.tries, r.made, r.uncertain, 100*float64(r.uncertain)/float64(max(r.tries, 1)), r.duplicates, r.ghosts, r.lost, r.lies, r.other)
	if r.tries == 0 {
		t.Errorf("%s: nothing was tried", r.name)
	}
	tooUncertain := float64(r.uncertain) > uncertainShare*float64(r.tries)
	if tooUncertain || r.duplicates+r.ghosts+r.lost+r.lies+r.other > 0 {
		t.Errorf("%s: the promise is broken (at most %.0f %% may be uncertain):\n\t%s", r.name, 100*uncertainShare, strings.Join(r.problems, "\n\t"))
	}
}

func short(err error) string {
	if text := err.Error(); len(text) > 260 {
		return text[:260] + "..."
	}
	return err.Error()
}

// world is one case: a server, the true time, and what may differ from try to try.
type world struct {
	*server
	t     *testing.T
	seed  int
	clock *simClock
	board string
}

// newWorld makes a server with a board on which there are some older pins.
func newWorld(t *testing.T, seed int) *world {
	t.Helper()
	clock := newSimClock()
	clock.Advance(time.Duration(seed*137) * time.Millisecond)
	s := newServer(t, clock, seed)
	return &world{server: s, t: t, seed: seed, clock: clock, board: s.addBoard(seed % 7 * 3)}
}

// client is one process: it shares nothing with others but what it is given.
func (w *world) client(opts ...pinterest.Option) *pinterest.Client {
	w.t.Helper()
	return newClient(w.t, w.server, append([]pinterest.Option{pinterest.WithClock(w.clock)}, opts...)...)
}

func newClient(t *testing.T, s *server, opts ...pinterest.Option) *pinterest.Client {
	t.Helper()
	client, err := pinterest.New(append([]pinterest.Option{
		pinterest.WithAccessToken("pina_AMATESTTOKEN0123456789abcdefghijklmnopqrstuv"), pinterest.WithBaseURL(s.URL + "/v5"),
		pinterest.WithAccount("oakshop"), pinterest.WithAppID("1478036"), pinterest.WithoutPacing(),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// warm makes a call that tells the client the API's time.
func (w *world) warm(client *pinterest.Client) {
	w.t.Helper()
	if _, err := client.Boards.Get(w.context(), w.board); err != nil {
		w.t.Fatal(err)
	}
}

// context returns one without a deadline, which ends when a try hangs.
func (w *world) context() context.Context {
	ctx, cancel := context.WithCancelCause(w.t.Context())
	timer := time.AfterFunc(20*time.Second, func() { cancel(errors.New("the try hangs")) })
	w.t.Cleanup(func() { timer.Stop(); cancel(nil) })
	return ctx
}

// pin is an intent with texts of its own and an image of its own.
func (w *world) pin(name string) pinterest.PinCreate {
	return pinterest.PinCreate{
		BoardID: w.board, Title: "Oak kitchen " + name, Description: "An oak kitchen, number " + name + ", seen from the door.",
		Link: "https://shop.example/oak/" + name + "?size=2&colour=red", AltText: "A kitchen of oak, " + name,
		MediaSource: pinterest.ImageURL(w.image(name)),
	}
}

func (w *world) image(name string) string { return "https://images.example/" + name + ".jpg" }

// equal is an intent with the texts of all its equals and an image of its own.
func (w *world) equal(name string) pinterest.PinCreate {
	p := w.pin("twin")
	p.MediaSource = pinterest.ImageURL(w.image(name))
	return p
}

func image(p pinterest.PinCreate) string {
	if p.MediaSource.SourceType == pinterest.SourceVideoID {
		return p.MediaSource.CoverImageURL
	}
	return p.MediaSource.URL
}

// create makes a pin and enters the outcome.
func (w *world) create(r *record, client *pinterest.Client, p pinterest.PinCreate, note string, opts ...pinterest.CallOption) error {
	w.t.Helper()
	made, err := client.Pins.Create(w.context(), p, opts...)
	id := ""
	if made != nil {
		id = made.ID
	}
	r.judge(w.server, image(p), id, err, note)
	return err
}

// once makes a pin for a key. It is the only place that knows the form of
// CreateOnce.
func (w *world) once(client *pinterest.Client, key string, p pinterest.PinCreate, opts ...pinterest.CallOption) (id string, err error) {
	made, err := client.Pins.CreateOnce(w.context(), key, p, opts...)
	if made != nil {
		id = made.ID
	}
	return id, err
}

// createOnce makes a pin for a key and enters the outcome.
func (w *world) createOnce(r *record, client *pinterest.Client, key string, p pinterest.PinCreate, note string) error {
	w.t.Helper()
	id, err := w.once(client, key, p)
	r.judge(w.server, image(p), id, err, note)
	return err
}

// teach makes a pin without trouble, so that the client has been at work.
func (w *world) teach(client *pinterest.Client, p pinterest.PinCreate) string {
	w.t.Helper()
	made, err := client.Pins.Create(w.context(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID
}

// uncertain returns what an error keeps for Resolve.
func uncertain(t *testing.T, err error) pinterest.Uncertain {
	t.Helper()
	var failure *pinterest.Error
	if !errors.As(err, &failure) || failure.Uncertain == nil {
		t.Fatalf("want an uncertain end with something to resolve, got %v", err)
	}
	return *failure.Uncertain
}

// resolve asks what became of a create and enters the answer: absent is wrong
// where it exists.
func (w *world) resolve(r *record, client *pinterest.Client, u pinterest.Uncertain, img, note string) {
	w.t.Helper()
	got, err := client.Pins.Resolve(w.context(), u)
	switch {
	case got == nil || got.Outcome == pinterest.OutcomeUnknown:
		r.judge(w.server, img, "", fmt.Errorf("%w (resolve: %w)", pinterest.ErrUncertain, errOr(err)), note)
	case got.Outcome == pinterest.OutcomeAbsent:
		r.judge(w.server, img, "", errors.New("resolved as absent"), note)
	default:
		r.judge(w.server, img, got.Result.ID, nil, note)
	}
}

func errOr(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// freshBeforeResend enters every resend that had no list read right before it.
func (w *world) freshBeforeResend(r *record, note string) {
	seen := map[string]int{}
	var last time.Time
	for _, e := range w.entries() {
		switch e.kind {
		case "list":
			last = e.start
		case "post":
			seen[e.what]++
			if ago := e.start.Sub(last); seen[e.what] > 1 && ago > 2*time.Second {
				r.wrong("%s: send %d of %s came %v after the last look", note, seen[e.what], e.what, ago)
			}
		}
	}
}

func faultName(f fault) string {
	switch {
	case f.partial:
		return "answer cut off"
	case f.status == 0:
		return "connection broken"
	default:
		return fmt.Sprintf("status %d code %d", f.status, f.code)
	}
}

// add enters what another record holds.
func (r *record) add(other *record) {
	other.mu.Lock()
	defer other.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries += other.tries
	r.made += other.made
	r.uncertain += other.uncertain
	r.duplicates += other.duplicates
	r.ghosts += other.ghosts
	r.lost += other.lost
	r.lies += other.lies
	r.other += other.other
	r.problems = append(r.problems, other.problems[:min(2, len(other.problems))]...)
}
