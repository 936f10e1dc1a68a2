package creates_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// A key belongs to an app and an account, whatever their names are, with and
// without lost answers, on a board that all of them share.
func TestAKeyBelongsToAnAppAndAnAccount(t *testing.T) {
	t.Parallel()
	type who struct{ app, account, key, token string }
	for _, c := range []struct {
		name string
		a, b who
	}{
		{"another account", who{"1", "oakshop", "job", "oakshop"}, who{"1", "birchshop", "job", "birch"}},
		{"another app", who{"1", "oakshop", "job", "oakshop"}, who{"2", "oakshop", "job", "oakshop"}},
		{"an account without a name", who{"1", "", "job", "oakshop"}, who{"1", "oakshop", "job", "birch"}},
		{"a slash", who{"1", "a/b", "c", "oakshop"}, who{"1", "a", "b/c", "birch"}},
		{"a colon", who{"1", "a:b", "c", "oakshop"}, who{"1", "a", "b:c", "birch"}},
		{"a bar", who{"1", "a|b", "c", "oakshop"}, who{"1", "a", "b|c", "birch"}},
		{"a zero byte", who{"1", "a\x00b", "c", "oakshop"}, who{"1", "a", "b\x00c", "birch"}},
		{"a space", who{"1", "a b", "c", "oakshop"}, who{"1", "a", "b c", "birch"}},
		{"another letter", who{"1", "a", "c", "oakshop"}, who{"1", "A", "c", "birch"}},
		{"a length", who{"1", "1:a", "c", "oakshop"}, who{"1:1", "a", "c", "birch"}},
		{"the app and the account", who{"1", "2/3", "c", "oakshop"}, who{"1/2", "3", "c", "birch"}},
	} {
		for _, first := range firsts[:3] {
			t.Run(c.name+", "+first.name, func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				ledger := pinterest.NewMemoryLedger()
				b.fail = func(p post) *fault {
					if len(b.posts) <= 2 && p.n == 1 {
						return first.fault
					}
					return nil
				}
				var told [2]string
				for i := range 4 {
					w := []who{c.a, c.b}[i%2]
					client := b.as(t, w.token, ledger, pinterest.WithAppID(w.app), pinterest.WithAccount(w.account))
					got, err := client.Pins.CreateOnce(t.Context(), w.key, job())
					if err != nil {
						t.Fatal(i, err)
					}
					if i >= 2 && got.ID != told[i%2] {
						t.Errorf("%d: told %s, then %s", i%2, told[i%2], got.ID)
					}
					told[i%2] = got.ID
				}
				all := b.all()
				if len(all) != 2 || told[0] != all[0].id || told[1] != all[1].id || all[0].account != c.a.token || all[1].account != c.b.token {
					t.Errorf("there is %+v, told were %v", all, told)
				}
			})
		}
	}
}

// The keys of one account differ in every byte.
func TestKeysDifferInEveryByte(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	client := b.process(t, pinterest.NewMemoryLedger())
	keys := []string{
		"job", "Job", "job ", " job", "job\x00", "job\n", "jo\u0301b", "j\u00f3b", strings.Repeat("k", 4000), strings.Repeat("k", 4001),
		"../job", "job/../job", "%6aob", "\xff", "\xfe", "\uFFFD",
	}
	told := map[string]string{}
	for range 2 {
		for _, key := range keys {
			got, err := client.Pins.CreateOnce(t.Context(), key, job())
			var failure *pinterest.Error
			if errors.As(err, &failure) && failure.Class == pinterest.ClassInvalid {
				t.Logf("key %.20q is refused: %.150v", key, err)
				continue
			}
			if err != nil {
				t.Errorf("key %.20q: %v", key, err)
				continue
			}
			for other, id := range told {
				if (other == key) != (id == got.ID) {
					t.Errorf("key %.20q got %s, and key %.20q %s", key, got.ID, other, id)
				}
			}
			told[key] = got.ID
		}
	}
	if all := b.all(); len(all) != len(told) {
		t.Errorf("%d keys made %d pins", len(told), len(all))
	}
	if _, err := client.Pins.CreateOnce(t.Context(), "", job()); !errors.Is(err, pinterest.ErrInvalid) {
		t.Errorf("an empty key: %v", err)
	}
}

// The same content may be written in several ways, and the same key may be used
// for another kind of thing.
func TestWhatIsTheContentOfAKey(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	client := b.process(t, pinterest.NewMemoryLedger())
	ctx := t.Context()
	p := job()
	p.Marker = "job=8841"
	got, err := client.Pins.CreateOnce(ctx, "job", p)
	if err != nil {
		t.Fatal(err)
	}
	// A program may put the marker into the link itself.
	p.Link = b.all()[0].link
	again, err := client.Pins.CreateOnce(ctx, "job", p)
	if err != nil || again.ID != got.ID {
		t.Errorf("the marker in the link, too: %v", err)
	}
	// As JSON the pin has no marker. What is sent is the same.
	p.Marker = ""
	again, err = client.Pins.CreateOnce(ctx, "job", p)
	switch {
	case err == nil && again.ID != got.ID:
		t.Errorf("the marker in the link alone made %s beside %s", again.ID, got.ID)
	case err != nil:
		t.Logf("the marker in the link alone: %v", err)
	}
	if _, err := client.Pins.CreateOnce(ctx, "job", p, pinterest.AdAccount("549755885175")); !errors.Is(err, pinterest.ErrKeyReused) {
		t.Logf("as the owner of an ad account: %v", err)
	}
	n := b.sent()
	if _, err := client.Boards.CreateOnce(ctx, "job", pinterest.BoardCreate{Name: "Oak"}); !errors.Is(err, pinterest.ErrKeyReused) {
		t.Errorf("a board with the key of a pin: %v", err)
	}
	if _, err := client.Sections.CreateOnce(ctx, "job", madeBoard, pinterest.SectionCreate{Name: "Oak"}); !errors.Is(err, pinterest.ErrKeyReused) {
		t.Errorf("a section with the key of a pin: %v", err)
	}
	if _, err := client.Pins.SaveOnce(ctx, "job", got.ID, pinterest.PinSave{BoardID: madeBoard}); !errors.Is(err, pinterest.ErrKeyReused) {
		t.Errorf("a save with the key of a pin: %v", err)
	}
	if _, err := client.Pins.SaveOnce(ctx, "job-2", got.ID, pinterest.PinSave{}); !errors.Is(err, pinterest.ErrInvalid) {
		t.Errorf("a save without a board: %v", err)
	}
	if b.sent() > n {
		t.Error("one of these was sent")
	}
}

// What is edited of boards, sections and saves is as it is with pins.
func TestOtherThingsThatAreEdited(t *testing.T) {
	t.Parallel()
	source := func(b *books, i int) string {
		return b.things[1+i].id
	}
	type call func(c *pinterest.Client, b *books) (string, error)
	board := func(n pinterest.BoardCreate) call {
		return func(c *pinterest.Client, _ *books) (string, error) {
			got, err := c.Boards.CreateOnce(context.Background(), "job", n)
			return ids(got, func(b *pinterest.Board) string { return b.ID }), err
		}
	}
	section := func(in, name string) call {
		return func(c *pinterest.Client, _ *books) (string, error) {
			got, err := c.Sections.CreateOnce(context.Background(), "job", in, pinterest.SectionCreate{Name: name})
			return ids(got, func(s *pinterest.Section) string { return s.ID }), err
		}
	}
	save := func(i int, to pinterest.PinSave) call {
		return func(c *pinterest.Client, b *books) (string, error) {
			got, err := c.Pins.SaveOnce(context.Background(), "job", source(b, i), to)
			return ids(got, pinID), err
		}
	}
	for _, c := range []struct {
		name          string
		first, second call
	}{
		{"a board's name", board(pinterest.BoardCreate{Name: "Oak"}), board(pinterest.BoardCreate{Name: "Birch"})},
		{"a board's description", board(pinterest.BoardCreate{Name: "Oak"}), board(pinterest.BoardCreate{Name: "Oak", Description: "For oak"})},
		{"a board's privacy", board(pinterest.BoardCreate{Name: "Oak"}), board(pinterest.BoardCreate{Name: "Oak", Privacy: pinterest.BoardSecret})},
		{"a section's name", section(madeBoard, "Oak"), section(madeBoard, "Birch")},
		{"a section's board", section(madeBoard, "Oak"), section("549755885176", "Oak")},
		{"a save's pin", save(0, pinterest.PinSave{BoardID: madeBoard}), save(1, pinterest.PinSave{BoardID: madeBoard})},
		{"a save's board", save(0, pinterest.PinSave{BoardID: madeBoard}), save(0, pinterest.PinSave{BoardID: "549755885176"})},
		{"a save's section", save(0, pinterest.PinSave{BoardID: madeBoard}), save(0, pinterest.PinSave{BoardID: madeBoard, BoardSectionID: "549755885177"})},
	} {
		for _, made := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, made %v", c.name, made), func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				for i := range 2 {
					b.before(thing{kind: "pin", account: "birch", board: "1", title: fmt.Sprint("Birch ", i)})
				}
				b.things = append(b.things, &thing{kind: "board", id: "549755885176", account: "oakshop", title: "Bathrooms", created: epoch.Add(-time.Hour), old: true})
				lost := broken
				lost.commit = made
				b.down, b.fail = true, func(post) *fault { return &lost }
				ledger := pinterest.NewMemoryLedger()
				if _, err := c.first(b.process(t, ledger), b); b.dud(err, "job") != "" {
					t.Errorf("the first error %s: %v", b.dud(err, "job"), err)
				}
				b.set(func() { b.fail = nil })
				_, err := c.second(b.process(t, ledger), b)
				if wrong := b.dud(err, "job"); wrong != "" || !errors.Is(err, pinterest.ErrUncertain) {
					t.Fatalf("the edited job's error %s: %v", wrong, err)
				}
				u := uncertain(t, err)
				b.set(func() { b.down = false })
				b.clock.Advance(10 * time.Minute)
				var outcome string
				client := b.process(t, ledger)
				switch {
				case strings.HasPrefix(u.Operation, "pins"):
					got, err := client.Pins.Resolve(t.Context(), u)
					if err != nil {
						t.Fatal(err)
					}
					outcome = string(got.Outcome)
				case strings.HasPrefix(u.Operation, "boards"):
					got, err := client.Boards.Resolve(t.Context(), u)
					if err != nil {
						t.Fatal(err)
					}
					outcome = string(got.Outcome)
				default:
					got, err := client.Sections.Resolve(t.Context(), u)
					if err != nil {
						t.Fatal(err)
					}
					outcome = string(got.Outcome)
				}
				if (outcome == "created") != made || (outcome == "absent") == made {
					t.Errorf("resolved as %s", outcome)
				}
				first, second := c.first, c.second
				if !made {
					first, second = c.second, c.first
				}
				id, err := first(b.process(t, ledger), b)
				if all := b.all(); err != nil || len(all) != 1 || id != all[0].id {
					t.Errorf("the key has %s, %v, there is %+v", id, err, all)
				}
				if _, err := second(b.process(t, ledger), b); !errors.Is(err, pinterest.ErrKeyReused) || errors.Is(err, pinterest.ErrUncertain) {
					t.Errorf("the other content: %v", err)
				}
				if again, err := first(b.process(t, ledger), b); err != nil || again != id {
					t.Errorf("the key has %s, %v, it had %s", again, err, id)
				}
				if n := len(b.all()); n != 1 {
					t.Errorf("there are %d", n)
				}
			})
		}
	}
}

// Where a result came from is in the Response and in the last event.
func TestOriginTellsWhereAResultCameFrom(t *testing.T) {
	t.Parallel()
	for _, m := range makers {
		for _, first := range firsts {
			t.Run(m.kind+", "+first.name, func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				what := b.place(m.kind)
				b.fail = func(p post) *fault {
					if p.n == 1 {
						return first.fault
					}
					return nil
				}
				ledger := pinterest.NewMemoryLedger()
				var done []pinterest.Event
				observed := func() *pinterest.Client {
					return b.process(t, ledger, pinterest.WithObserver(func(e pinterest.Event) {
						if e.Type == pinterest.EventDone && e.JobKey != "" {
							done = append(done, e)
						}
					}))
				}
				want := pinterest.OriginAnswer
				switch {
				case first.fault != nil && first.commit:
					want = pinterest.OriginLookup
				case first.fault != nil && first.status == 403:
					want = ""
				}
				for i := range 2 {
					_, err := m.once(t.Context(), observed(), "job", b, what)
					if len(done) != i+1 {
						t.Fatalf("call %d: %d events of an end", i, len(done))
					}
					if done[i].Origin != want || (err == nil) == (want == "") {
						t.Errorf("call %d: origin %q, want %q, error %v", i, done[i].Origin, want, err)
					}
					if want == "" {
						return
					}
					want = pinterest.OriginLedger
				}
			})
		}
	}
	b := newBooks(t)
	ledger := pinterest.NewMemoryLedger()
	left := b.leave(t, ledger, "job", job(), "", committed(broken))
	var res pinterest.Response
	if _, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job", job(), pinterest.ResponseTo(&res)); err != nil || res.Origin != pinterest.OriginLookup {
		t.Errorf("a key that was left: %q, %v", res.Origin, err)
	}
	if _, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job", job(), pinterest.ResponseTo(&res)); err != nil || res.Origin != pinterest.OriginLedger {
		t.Errorf("a key that is done: %q, %v", res.Origin, err)
	}
	edited := job()
	edited.Title = "Birch"
	if _, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job", edited, pinterest.ResponseTo(&res)); err == nil || res.Origin != "" {
		t.Errorf("a key that is reused: %q, %v", res.Origin, err)
	}
	if got, err := b.process(t, ledger).Pins.Resolve(t.Context(), uncertain(t, left), pinterest.ResponseTo(&res)); err != nil || got.Outcome != pinterest.OutcomeCreated {
		t.Errorf("%+v, %v", got, err)
	}
	t.Logf("the origin of a Resolve of a key that is done: %q", res.Origin)
}

// Every uncertain error has a time.
func TestEveryUncertainErrorHasARetryAt(t *testing.T) {
	t.Parallel()
	opOdd := pinterest.Operation{ID: "odd/create", Method: http.MethodPost, Path: "/odd", Kind: pinterest.KindCreate}
	video := pinterest.PinCreate{BoardID: madeBoard, MediaSource: pinterest.VideoID("549755885188", pinterest.CoverURL("https://images.example/v.jpg"))}
	for _, c := range []struct {
		name  string
		first *fault
		setup func(b *books)
		call  func(ctx context.Context, c *pinterest.Client, b *books) error
	}{
		{"create, lists down", &broken, func(b *books) { b.down = true }, func(ctx context.Context, c *pinterest.Client, _ *books) error {
			_, err := c.Pins.Create(ctx, job())
			return err
		}},
		{"create, one attempt", &broken, func(b *books) { b.down = true }, func(ctx context.Context, c *pinterest.Client, _ *books) error {
			_, err := c.Pins.Create(ctx, job(), pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1}))
			return err
		}},
		{"create, the context ends", &broken, func(b *books) { b.down = true }, func(ctx context.Context, c *pinterest.Client, b *books) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			b.set(func() { b.fail = func(post) *fault { cancel(); return &broken } })
			_, err := c.Pins.Create(ctx, job())
			return err
		}},
		{"create, the deadline is near", &broken, nil, func(ctx context.Context, c *pinterest.Client, b *books) error {
			ctx, cancel := context.WithDeadline(ctx, b.clock.Now().Add(3*time.Second))
			defer cancel()
			if time.Until(b.clock.Now()) < 0 {
				ctx = context.WithoutCancel(ctx) // the simulated time is over
			}
			b.set(func() { b.down = true })
			_, err := c.Pins.Create(ctx, job())
			return err
		}},
		{"a near match", &broken, nil, func(ctx context.Context, c *pinterest.Client, b *books) error {
			b.set(func() {
				b.enter(&thing{kind: "pin", account: "oakshop", board: madeBoard, title: "Oak kitchen, seen from the door", description: job().Description, created: b.clock.Now().Add(time.Second)})
			})
			_, err := c.Pins.Create(ctx, job())
			return err
		}},
		{"a video", &broken, nil, func(ctx context.Context, c *pinterest.Client, _ *books) error {
			_, err := c.Pins.Create(ctx, video)
			return err
		}},
		{"a video, once", &broken, nil, func(ctx context.Context, c *pinterest.Client, _ *books) error {
			_, err := c.Pins.CreateOnce(ctx, "job", video)
			return err
		}},
		{"a save without a board", &broken, nil, func(ctx context.Context, c *pinterest.Client, b *books) error {
			_, err := c.Pins.Save(ctx, b.before(thing{kind: "pin", board: "1"}), pinterest.PinSave{})
			return err
		}},
		{"a board whose name is taken", &fault{status: 503}, func(b *books) { b.lag = time.Hour }, func(ctx context.Context, c *pinterest.Client, b *books) error {
			b.set(func() { b.fail = func(p post) *fault { return map[bool]*fault{true: committed(broken)}[p.n == 1] } })
			_, err := c.Boards.Create(ctx, pinterest.BoardCreate{Name: "Oak"})
			return err
		}},
		{"a section, lists down", &broken, func(b *books) { b.down = true }, func(ctx context.Context, c *pinterest.Client, _ *books) error {
			_, err := c.Sections.Create(ctx, madeBoard, pinterest.SectionCreate{Name: "Oak"})
			return err
		}},
		{"no lookup", nil, nil, func(ctx context.Context, c *pinterest.Client, _ *books) error {
			b := pinterest.OpPinsCreate
			_, err := pinterest.Call[pinterest.Pin](ctx, c, b, pinterest.Request{Body: json.RawMessage(`{"media_source":{"url":"x"}}`)})
			return err
		}},
		{"an unknown answer, no lookup", nil, nil, func(ctx context.Context, c *pinterest.Client, b *books) error {
			_ = b
			return c.Do(ctx, opOdd, pinterest.Request{}, new(json.RawMessage), pinterest.RetryWithoutLookup())
		}},
		{"the retry budget is empty", &broken, func(b *books) { b.down = true }, func(ctx context.Context, _ *pinterest.Client, b *books) error {
			c := b.process(t, pinterest.NewMemoryLedger(), pinterest.WithRetry(pinterest.RetryPolicy{Budget: 1}))
			_, err := c.Pins.Create(ctx, job())
			return err
		}},
		{"resolve, lists down", &broken, func(b *books) { b.down = true }, func(ctx context.Context, c *pinterest.Client, b *books) error {
			_, err := c.Pins.Create(ctx, job())
			b.clock.Advance(5 * time.Minute)
			_, err = c.Pins.Resolve(ctx, uncertain(t, err))
			if !errors.Is(err, pinterest.ErrUncertain) {
				t.Logf("an outcome that is not known: %v", err)
			}
			return err
		}},
		{"resolve, a video", &broken, nil, func(ctx context.Context, c *pinterest.Client, b *books) error {
			_, err := c.Pins.Create(ctx, video)
			b.clock.Advance(5 * time.Minute)
			_, err = c.Pins.Resolve(ctx, uncertain(t, err))
			return err
		}},
		{"resolve, the context ends", &broken, func(b *books) { b.down = true }, func(ctx context.Context, c *pinterest.Client, b *books) error {
			_, err := c.Pins.Create(ctx, job())
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_, err = c.Pins.Resolve(ctx, uncertain(t, err))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			first := c.first
			if first == nil {
				first = &broken
			}
			b.fail = func(post) *fault { return first }
			if c.setup != nil {
				c.setup(b)
			}
			client := b.process(t, pinterest.NewMemoryLedger())
			err := c.call(t.Context(), client, b)
			var failure *pinterest.Error
			if !errors.As(err, &failure) {
				t.Fatalf("%T %v", err, err)
			}
			t.Logf("%v", err)
			if failure.Disposition == pinterest.DispositionUncertain && failure.RetryAt.Before(b.clock.Now()) {
				t.Errorf("it is uncertain, and its RetryAt is %v: %v", failure.RetryAt, err)
			}
		})
	}
}
