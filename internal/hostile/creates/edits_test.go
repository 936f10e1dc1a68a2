package creates_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// job is a pin with everything that can be edited.
func job() pinterest.PinCreate {
	return pinterest.PinCreate{
		BoardID: madeBoard, Title: "Oak kitchen", Description: "An oak kitchen, seen from the door.", Link: "https://shop.example/oak?size=2",
		AltText: "A kitchen of oak", MediaSource: pinterest.ImageURL("https://images.example/oak.jpg"),
	}
}

var edits = []struct {
	name string
	edit func(p *pinterest.PinCreate)
}{
	{"title", func(p *pinterest.PinCreate) { p.Title = "Birch bathroom" }},
	{"title, a little", func(p *pinterest.PinCreate) { p.Title = "Oak kitchen!" }},
	{"title, in another form", func(p *pinterest.PinCreate) { p.Title = "Oak  kitchen" }},
	{"description", func(p *pinterest.PinCreate) { p.Description = "Another text altogether." }},
	{"no description", func(p *pinterest.PinCreate) { p.Description = "" }},
	{"link", func(p *pinterest.PinCreate) { p.Link = "https://shop.example/oak?size=3" }},
	{"link, a tracker", func(p *pinterest.PinCreate) { p.Link += "&utm_source=pins" }},
	{"alt text", func(p *pinterest.PinCreate) { p.AltText = "A bathroom of birch" }},
	{"no alt text", func(p *pinterest.PinCreate) { p.AltText = "" }},
	{"image", func(p *pinterest.PinCreate) { p.MediaSource = pinterest.ImageURL("https://images.example/birch.jpg") }},
	{"board", func(p *pinterest.PinCreate) { p.BoardID = "549755885176" }},
	{"section", func(p *pinterest.PinCreate) { p.BoardSectionID = "549755885177" }},
	{"marker", func(p *pinterest.PinCreate) { p.Marker = "job=2" }},
}

// leavings are the states in which a process can leave a key.
var leavings = []struct {
	name  string
	dies  string // the step at which it dies
	first *fault
	made  bool
}{
	{"crashed before the send", "before POST", nil, false},
	{"crashed during the send", "after POST", uncommitted(broken), false},
	{"crashed during the answer", "after POST", committed(broken), true},
	{"crashed after the answer", "after POST,save", nil, true},
	{"lists down, not made", "", uncommitted(server503), false},
	{"lists down, made", "", committed(server503), true},
}

// leave has a process leave a key as a state says, and returns its error.
func (b *books) leave(t *testing.T, ledger pinterest.Ledger, key string, p pinterest.PinCreate, dies string, first *fault) error {
	t.Helper()
	n := b.sent()
	b.set(func() {
		b.down = dies == ""
		b.fail = func(post) *fault { return first }
	})
	s := &steps{}
	if dies != "" {
		s.when = func(_ int, trail string) bool { return strings.HasSuffix(trail, dies) }
		s.then = s.die
	}
	_, err := b.stepping(t, ledger, s).Pins.CreateOnce(t.Context(), key, p)
	if dies != "" && s.was() == "" {
		t.Fatalf("it did not die at %q: %v", dies, s.trail)
	}
	if dies != "before POST" && b.sent() == n {
		t.Fatal("nothing was sent")
	}
	b.set(func() { b.down, b.fail = false, nil })
	return err
}

// An edited job in every state that its key can be left in.
func TestAnEditedJobIsUncertainAsLongAsItsKeyIs(t *testing.T) {
	t.Parallel()
	for i, e := range edits {
		for _, marked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, marked %v", e.name, marked), func(t *testing.T) {
				t.Parallel()
				for j, left := range leavings {
					for k, how := range []string{"resolve the first", "resolve the edited", "resolve, no ledger", "edited again", "original again"} {
						for _, later := range []time.Duration{0, time.Hour} {
							// A half of the combinations, so that each pair occurs.
							if (i+j+k)%2 == 0 != (marked == (later > 0)) {
								continue
							}
							if left.dies != "" && how == "resolve the first" {
								continue // a dead process tells nobody its error
							}
							b := newBooks(t)
							b.things = append(b.things, &thing{kind: "board", id: "549755885176", account: "oakshop", title: "Bathrooms", created: epoch.Add(-time.Hour), old: true})
							p := job()
							if marked {
								p.Marker = "job=1"
							}
							edited := p
							e.edit(&edited)
							ledger := pinterest.NewMemoryLedger()
							err := b.leave(t, ledger, "job-1", p, left.dies, left.first)
							b.clock.Advance(later)
							note := fmt.Sprintf("%s, %v later, %s", left.name, later, how)
							edit(t, b, ledger, p, edited, err, left.made, how, note)
							b.Close()
						}
					}
				}
			})
		}
	}
}

func edit(t *testing.T, b *books, ledger pinterest.Ledger, p, edited pinterest.PinCreate, leftErr error, made bool, how, note string) {
	t.Helper()
	once := func(p pinterest.PinCreate) func(c *pinterest.Client) (string, error) {
		return func(c *pinterest.Client) (string, error) {
			got, err := c.Pins.CreateOnce(t.Context(), "job-1", p)
			return ids(got, pinID), err
		}
	}
	original := ""
	if made {
		original = b.all()[0].id
	}
	// While the lists are down nobody can know.
	b.set(func() { b.down = true })
	id, err := once(edited)(b.process(t, ledger))
	b.set(func() { b.down = false })
	if id != "" || !errors.Is(err, pinterest.ErrUncertain) {
		t.Errorf("%s: the edited job, lists down: %s %v", note, id, err)
		return
	}
	if wrong := b.dud(err, "job-1"); wrong != "" {
		t.Errorf("%s: the edited job's error %s: %v", note, wrong, err)
		return
	}
	u := uncertain(t, err)
	absent := false
	switch how {
	case "resolve the first", "resolve the edited", "resolve, no ledger":
		if left := (*pinterest.Error)(nil); how == "resolve the first" && errors.As(leftErr, &left) && left.Uncertain != nil {
			u = *left.Uncertain
		}
		clients := []*pinterest.Client{b.process(t, ledger)}
		if how == "resolve, no ledger" {
			clients = append([]*pinterest.Client{b.process(t, pinterest.NewMemoryLedger())}, clients...)
		}
		for _, c := range clients {
			got, err := c.Pins.Resolve(t.Context(), u)
			switch {
			case got == nil || got.Outcome == pinterest.OutcomeUnknown:
				t.Errorf("%s: resolve: %+v %v", note, got, err)
			case made && (got.Outcome != pinterest.OutcomeCreated || got.Result.ID != original):
				t.Errorf("%s: resolve: %+v, it is %s", note, got, original)
			case !made && got.Outcome != pinterest.OutcomeAbsent:
				t.Errorf("%s: resolve: %+v, there is nothing", note, got)
			}
		}
		absent = !made
	case "edited again":
		id, err = once(edited)(b.process(t, ledger))
		switch {
		case errors.Is(err, pinterest.ErrUncertain):
			if wrong := b.dud(err, "job-1"); wrong != "" {
				t.Errorf("%s: the edited job's error %s: %v", note, wrong, err)
			}
			if n := len(b.all()); made && n != 1 || !made && n != 0 {
				t.Errorf("%s: uncertain, and there are %d pins", note, n)
			}
			if _, err := b.process(t, ledger).Pins.Resolve(t.Context(), uncertain(t, err)); err != nil {
				t.Errorf("%s: %v", note, err)
			}
		case errors.Is(err, pinterest.ErrKeyReused):
			if !made {
				t.Errorf("%s: the key has no result, and is reused: %v", note, err)
			}
		case err != nil:
			t.Errorf("%s: %v", note, err)
		case made:
			t.Errorf("%s: the edited job was told %s, and its key had made %s", note, id, original)
		}
		absent = !made
	case "original again":
		id, err = b.settle(t, ledger, once(p))
		if all := b.all(); err != nil || len(all) != 1 || id != all[0].id || !all[0].is(p) {
			t.Errorf("%s: the original again: %s %v, there is %+v", note, id, err, all)
			return
		}
		original = id
	}
	first, second := p, edited
	if absent {
		first, second = edited, p
	}
	var ends [2]string
	for i := range ends {
		if ends[i], err = b.settle(t, ledger, once(first)); err != nil {
			t.Errorf("%s: afterwards: %v", note, err)
			return
		}
		n := b.sent()
		id, err = once(second)(b.process(t, ledger))
		var failure *pinterest.Error
		switch {
		case id != "" || !errors.Is(err, pinterest.ErrKeyReused) || errors.Is(err, pinterest.ErrUncertain) || !errors.As(err, &failure):
			t.Errorf("%s: the other content, when the key has a result: %s %v", note, id, err)
		case failure.Disposition != pinterest.DispositionFix || !failure.RetryAt.IsZero() || failure.Uncertain != nil:
			t.Errorf("%s: the key is reused: %+v", note, failure)
		}
		if b.sent() > n {
			t.Errorf("%s: the other content was sent with a key that has a result", note)
		}
	}
	all := b.all()
	if len(all) != 1 || ends != [2]string{all[0].id, all[0].id} || !all[0].is(first) || original != "" && all[0].id != original {
		t.Errorf("%s: there is %+v, the key has %v", note, all, ends)
	}
}

// The ledger fails for a moment, so that it cannot record that a create ended
// uncertain. Its error can be resolved all the same, and then the key is free.
func TestAKeyFollowsResolveAfterTheLedgerFailed(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{false, true} {
		t.Run(fmt.Sprintf("made %v", made), func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			b.down = true
			lost := broken
			lost.commit = made
			b.fail = func(post) *fault { return &lost }
			ledger := pinterest.NewMemoryLedger()
			s := &steps{when: func(_ int, trail string) bool {
				return strings.HasSuffix(trail, ",save") && strings.Contains(trail, "POST")
			}}
			s.then = func(string) error { return errors.New("the disk is full") }
			_, err := b.stepping(t, ledger, s).Pins.CreateOnce(t.Context(), "job-1", job())
			b.set(func() { b.down, b.fail = false, nil })
			if s.was() == "" || !errors.Is(err, pinterest.ErrUncertain) || !errors.Is(err, pinterest.ErrLedger) {
				t.Fatalf("want an uncertain end and the ledger's failure, got %v", err)
			}
			got, err := b.process(t, ledger).Pins.Resolve(t.Context(), uncertain(t, err))
			if err != nil || (got.Outcome == pinterest.OutcomeCreated) != made {
				t.Fatal(got, err)
			}
			edited := job()
			edited.Title = "Birch bathroom"
			_, err = b.process(t, ledger).Pins.CreateOnce(t.Context(), "job-1", edited)
			if made && !errors.Is(err, pinterest.ErrKeyReused) || !made && err != nil {
				t.Errorf("resolved as %s, then the edited job: %v", got.Outcome, err)
			}
		})
	}
}
