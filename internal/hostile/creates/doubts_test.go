package creates_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// A server that escapes texts, or drops trackers: with a marker.
func TestMarkerInAnEscapedLink(t *testing.T) {
	for name, c := range map[string]struct {
		marker string
		render func(p *pin, item map[string]any)
	}{
		"escaped as HTML": {"job=42", func(p *pin, item map[string]any) { item["link"] = html.EscapeString(p.link) }},
		"the query dropped": {"job=42", func(p *pin, item map[string]any) {
			u, _ := url.Parse(p.link)
			u.RawQuery = ""
			item["link"] = u.String()
		}},
		"link is null": {"job=42", func(p *pin, item map[string]any) { item["link"] = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			r := &record{name: name}
			for seed := range 4 {
				w := newWorld(t, seed)
				client := w.client()
				w.render = c.render
				p := w.pin(fmt.Sprint("marked-", seed))
				p.Marker = c.marker
				w.onCreate = first(committed(server500))
				_ = w.create(r, client, p, fmt.Sprint("seed ", seed))
			}
			r.report(t, 1)
		})
	}
}

// localTime is a time of a zone that it does not name.
func localTime(t time.Time) any {
	return t.In(time.FixedZone("", -7*3600)).Format("2006-01-02T15:04:05")
}

// The create takes effect some seconds after it was sent; times are local ones without a zone.
func TestLocalTimeOfASlowCommit(t *testing.T) {
	for _, takes := range []time.Duration{0, 10 * time.Second} {
		t.Run(fmt.Sprint(takes), func(t *testing.T) {
			r := &record{name: "slow commit"}
			for seed := range 6 {
				w := newWorld(t, seed)
				w.createdAt = localTime
				client := w.client()
				w.onCreate = func(_ string, n int) *fault {
					if n > 1 {
						return nil
					}
					w.clock.Advance(takes)
					return committed(server500)
				}
				_ = w.create(r, client, w.pin(fmt.Sprint("slow-", seed)), fmt.Sprint("seed ", seed))
			}
			r.report(t, 1)
		})
	}
}

// The same, resolved in another process.
func TestResolveLocalTimeOfASlowCommit(t *testing.T) {
	for _, takes := range []time.Duration{0, 10 * time.Second} {
		t.Run(fmt.Sprint(takes), func(t *testing.T) {
			r := &record{name: "slow commit, resolved"}
			for seed := range 6 {
				w := newWorld(t, seed)
				w.createdAt = localTime
				client := w.client()
				w.warm(client)
				p := w.pin(fmt.Sprint("slow-", seed))
				w.change(func(h *habits) {
					h.onCreate = func(_ string, n int) *fault {
						if n > 1 {
							return nil
						}
						w.clock.Advance(takes)
						return committed(broken)
					}
					h.onList = func(int) *fault { return uncommitted(broken) }
				})
				_, err := client.Pins.Create(w.context(), p)
				u := uncertain(t, err)
				w.change(func(h *habits) { h.onCreate, h.onList = nil, nil })
				w.resolve(r, w.client(), u, image(p), fmt.Sprint("seed ", seed))
			}
			r.report(t, 1)
		})
	}
}

// A near match with a time that cannot be relied on, or not be read.
func TestNearMatchWithAnotherTime(t *testing.T) {
	for name, at := range map[string]func(time.Time) any{
		"right":            nil,
		"null":             func(time.Time) any { return nil },
		"local time, west": localTime,
		"date only":        func(t time.Time) any { return t.UTC().Format(time.DateOnly) },
		"5 s behind":       func(t time.Time) any { return t.UTC().Add(-5 * time.Second).Format("2006-01-02T15:04:05") },
	} {
		t.Run(name, func(t *testing.T) {
			r := &record{name: name}
			for seed := range 6 {
				w := newWorld(t, seed)
				w.createdAt = at
				client := w.client()
				if seed%2 == 0 {
					w.teach(client, w.pin("taught"))
				}
				w.render = func(p *pin, item map[string]any) { item["title"] = strings.ToUpper(p.title) }
				w.onCreate = first(committed(server500))
				_ = w.create(r, client, w.pin(fmt.Sprint("near-", seed)), fmt.Sprint("seed ", seed))
			}
			r.report(t, 1)
		})
	}
}

// The list of the board leaves the board's id out.
func TestBoardIDMissing(t *testing.T) {
	r := &record{name: "no board_id"}
	for seed := range 4 {
		w := newWorld(t, seed)
		client := w.client()
		w.render = func(p *pin, item map[string]any) { item["board_id"] = nil }
		w.onCreate = first(committed(server500))
		_ = w.create(r, client, w.pin(fmt.Sprint("b-", seed)), fmt.Sprint("seed ", seed))
	}
	r.report(t, 1)
}

// The result could not be recorded; another key of equal content follows at once.
func TestEqualKeyAfterAResultThatWasNotRecorded(t *testing.T) {
	b := newBooks(t)
	inner := pinterest.NewMemoryLedger()
	full := &fullLedger{Ledger: inner}
	client := b.process(t, full)
	p := job()
	full.failAt = 2
	one, err := client.Pins.CreateOnce(t.Context(), "job-1", p)
	if one == nil || err == nil {
		t.Fatal(one, err)
	}
	b.set(func() {
		b.fail = atNth(2, uncommitted(server500))
	})
	two, err := client.Pins.CreateOnce(t.Context(), "job-2", p)
	if two != nil && two.ID == one.ID {
		t.Errorf("job-1 and job-2 were both told %s (%v)", one.ID, err)
	}
	t.Log(two, err)
	again, err := client.Pins.CreateOnce(t.Context(), "job-1", p)
	if again != nil && again.ID != one.ID {
		t.Errorf("job-1 was told %s, and then %s", one.ID, again.ID)
	}
	t.Log(again, err, b.made("pin", image(p)))
}

type fullLedger struct {
	pinterest.Ledger
	saves, failAt int
}

func (l *fullLedger) Save(ctx context.Context, records map[string][]byte) error {
	if l.saves++; l.saves == l.failAt {
		return errors.New("the disk is full")
	}
	return l.Ledger.Save(ctx, records)
}

// The lock is lost, and the caller's context ends as well.
func TestLostLockAndCanceled(t *testing.T) {
	for _, canceled := range []bool{false, true} {
		t.Run(fmt.Sprint("canceled ", canceled), func(t *testing.T) {
			b := newBooks(t)
			inner := pinterest.NewMemoryLedger()
			losing := &losingLedger{Ledger: inner, strict: true}
			p := job()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var two *pinterest.Pin
			s := &steps{when: func(_ int, trail string) bool { return strings.HasSuffix(trail, "after POST") }}
			s.then = func(string) error {
				losing.lose()
				if canceled {
					cancel()
				}
				b.set(func() {
					b.fail = atNth(2, uncommitted(server500))
				})
				var err error
				two, err = b.process(t, inner).Pins.CreateOnce(t.Context(), "job-2", p)
				t.Log("job-2", two, err)
				return nil
			}
			one, err := b.stepping(t, losing, s).Pins.CreateOnce(ctx, "job-1", p)
			t.Log("job-1", one, err)
			if one != nil && two != nil && one.ID == two.ID {
				t.Errorf("job-1 and job-2 were both told %s", one.ID)
			}
		})
	}
}

// A process died with the intent of a video that was never sent.
func TestVideoIntentIsNotStuckForEver(t *testing.T) {
	w := newWorld(t, 1)
	ledger := pinterest.NewMemoryLedger()
	full := &fullLedger{Ledger: ledger}
	p := w.pin("video")
	p.MediaSource = pinterest.VideoID("1234567890", pinterest.CoverURL("https://images.example/video.jpg"))
	ctx, cancel := context.WithCancel(t.Context())
	w.onCreate = func(string, int) *fault { return uncommitted(broken) }
	full.failAt = 2 // the uncertain end is not recorded either, as after a crash
	_ = cancel
	_, err := w.client(pinterest.WithLedger(full)).Pins.CreateOnce(ctx, "job-1", p)
	t.Log(err)
	w.onCreate = nil
	for range 5 {
		w.clock.Advance(2 * time.Hour)
		made, err := w.client(pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job-1", p)
		t.Log(made, err)
		if err == nil {
			return
		}
	}
	t.Error("ten hours later the key is still uncertain")
}

// An Uncertain of a section names the sections that are known to be others'.
func TestNotIDsOfSections(t *testing.T) {
	b := newBooks(t)
	client := b.process(t, nil)
	section := pinterest.SectionCreate{Name: "Islands"}
	one, err := client.Sections.Create(t.Context(), madeBoard, section)
	if err != nil {
		t.Fatal(err)
	}
	b.set(func() { b.down = true; b.fail = func(post) *fault { return uncommitted(broken) } })
	_, err = client.Sections.Create(t.Context(), madeBoard, section)
	u := uncertain(t, err)
	b.set(func() { b.down = false })
	t.Log("not ids", u.NotIDs)
	b.clock.Advance(time.Hour)
	got, err := b.process(t, nil).Sections.Resolve(t.Context(), u)
	if err == nil && got.Result != nil && got.Result.ID == one.ID {
		t.Errorf("the second create was told the section of the first, %s", one.ID)
	}
	t.Log(got, err)
}

// Intent, then the create of another pin whose key is equal, then that of the intent.
func TestIntentOfAnotherPin(t *testing.T) {
	w := newWorld(t, 1)
	client := w.client()
	w.warm(client)
	a, other := w.pin("a"), w.pin("a")
	other.AltText = "Another kitchen"
	u, err := client.Pins.Intent(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Pins.Create(w.context(), other); err != nil {
		t.Fatal(err)
	}
	made, err := client.Pins.Create(w.context(), a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Pins.Resolve(w.context(), *u)
	if err != nil || got.Outcome != pinterest.OutcomeCreated || got.Result.ID != made.ID {
		t.Errorf("the intent has made %s: %v %v", made.ID, got, err)
	}
}

// before is a transport that does something before each request.
type before func()

func (f before) RoundTrip(r *http.Request) (*http.Response, error) {
	f()
	return http.DefaultTransport.RoundTrip(r)
}

// A section's name comes back in another form.
func TestSectionNameInAnotherForm(t *testing.T) {
	for name, c := range map[string]struct{ sent, kept string }{
		"spaces": {"Islands  and bars", "Islands and bars"},
		"HTML":   {"Islands & bars", "Islands &amp; bars"},
		"NFD":    {"Caf\u00e9", "Cafe\u0301"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBooks(t)
			client := b.process(t, nil, pinterest.WithHTTPClient(&http.Client{Transport: before(func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				for _, th := range b.things {
					if th.title == c.sent {
						th.title = c.kept
					}
				}
			})}))
			n := 0
			b.fail = func(p post) *fault {
				if n++; n == 1 {
					return committed(server500)
				}
				return nil
			}
			_, err := client.Sections.Create(t.Context(), madeBoard, pinterest.SectionCreate{Name: c.sent})
			made := append(b.made("section", c.sent), b.made("section", c.kept)...)
			t.Log(err, made)
			if len(made) != 1 && !errors.Is(err, pinterest.ErrUncertain) {
				t.Errorf("one create made %v", made)
			}
		})
	}
}

// Three equal creates ended uncertain, of which the first and the last were made.
func TestALaterEqualCreateDoesNotBlockAnEarlierOne(t *testing.T) {
	w := newWorld(t, 1)
	client := w.client()
	w.warm(client)
	var all []pinterest.Uncertain
	for i, commit := range []bool{true, false, true} {
		all = append(all, w.leaveUncertain(client, w.equal(fmt.Sprint("twin-", i)), commit))
		w.clock.Advance(3 * time.Second)
	}
	created := 0
	for range 3 {
		created = 0
		w.clock.Advance(5 * time.Minute)
		for i, u := range all {
			got, err := client.Pins.Resolve(w.context(), u)
			t.Log(i, u.Equals, got.Outcome, err)
			if got.Outcome == pinterest.OutcomeCreated {
				created++
			}
		}
	}
	if created != 2 {
		t.Errorf("two pins were made, and %d found in a quarter of an hour", created)
	}
}

// The lock is lost before the record of the key is read.
func TestALostLockIsNotACancellation(t *testing.T) {
	b := newBooks(t)
	client := b.process(t, &lateLedger{pinterest.NewMemoryLedger()})
	_, err := client.Pins.CreateOnce(t.Context(), "job-1", job())
	t.Log(err)
	if errors.Is(err, pinterest.ErrCanceled) || !errors.Is(err, pinterest.ErrLedger) {
		t.Error("nobody has canceled it: the ledger failed")
	}
}

// lateLedger loses each lock before anything is loaded.
type lateLedger struct{ pinterest.Ledger }

func (l *lateLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	held, unlock, err := l.Ledger.Lock(ctx, names...)
	held, cancel := context.WithCancelCause(held)
	cancel(errLost)
	return held, unlock, err
}

func (l *lateLedger) Load(ctx context.Context, name string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return l.Ledger.Load(ctx, name)
}

// An observer ends its goroutine, as t.FailNow of a test does.
func TestAWorkerOfABatchThatEndsDoesNotHang(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		pinterest.CreateAll(t.Context(), 3, func(context.Context, int, ...pinterest.CallOption) (*pinterest.Pin, error) {
			runtime.Goexit()
			return nil, nil
		}, pinterest.Concurrency(1))
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("CreateAll hangs")
	}
}
