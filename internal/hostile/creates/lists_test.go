package creates_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Row 7: the order of the list is not what it should be.
var orders = map[string]func(items []*pin, pageSize int) []*pin{
	"an old pin was moved and stands last on page 1": func(items []*pin, pageSize int) []*pin {
		if len(items) <= pageSize {
			return items
		}
		oldest := items[len(items)-1]
		return slices.Insert(slices.Clone(items[:len(items)-1]), pageSize-1, oldest)
	},
	"old pins were moved and stand first on page 1": func(items []*pin, _ int) []*pin {
		n := min(3, len(items))
		return append(slices.Clone(items[len(items)-n:]), items[:len(items)-n]...)
	},
	"oldest first": func(items []*pin, _ int) []*pin {
		items = slices.Clone(items)
		slices.Reverse(items)
		return items
	},
	"no order": func(items []*pin, _ int) []*pin {
		items = slices.Clone(items)
		rand.New(rand.NewPCG(uint64(len(items)), 7)).Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		return items
	},
	"newest first": nil,
}

func TestALateLookUpReadsFarEnough(t *testing.T) {
	t.Parallel()
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: "row 7, " + name}
			for seed := range 5 {
				for _, page := range []int{25, 250} {
					w := newWorld(t, seed)
					w.order, w.maxPage = order, page
					w.addOld(100)
					client := w.client()
					w.warm(client)
					p := w.pin(fmt.Sprint("late-", seed))
					u := w.leaveUncertain(client, p, true)
					w.clock.Advance(2 * time.Minute)
					// Others' work since, enough to push it from the first page.
					for i := range page/2 + 60*seed {
						w.byHand(pin{board: w.board, title: fmt.Sprint("Later thing ", i), image: fmt.Sprint("https://later.example/", i)})
						w.clock.Advance(11 * time.Second)
					}
					w.resolve(r, w.client(), u, image(p), fmt.Sprintf("page %d, seed %d", page, seed))
				}
			}
			r.report(t, 0)
		})
	}
}

// addOld puts old unlike pins on the board.
func (w *world) addOld(n int) {
	for i := range n {
		w.byHand(pin{
			board: w.board, title: fmt.Sprint("Old thing ", i), link: fmt.Sprint("https://old.example/more/", i),
			image: fmt.Sprint("https://old.example/more/", i, ".jpg"), created: w.clock.Now().Add(-time.Duration(30+i) * time.Hour),
		})
	}
}

// Row 7: the same lists, read at once after the failure.
func TestALookUpOfAListInAnotherOrderFindsTheResult(t *testing.T) {
	t.Parallel()
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: "row 7, at once, " + name}
			for seed := range 12 {
				w := newWorld(t, seed)
				w.order, w.maxPage = order, []int{25, 250}[seed%2]
				w.addOld(150)
				client := w.client()
				f := ambiguous[seed%len(ambiguous)]
				f.commit = seed%3 != 2
				w.onCreate = first(&f)
				_ = w.create(r, client, w.pin(fmt.Sprint("order-", seed)), fmt.Sprintf("%s, committed %v, seed %d", faultName(f), f.commit, seed))
			}
			r.report(t, 0)
		})
	}
}

// Row 13.
func TestAnOwnPinDeletedByHandDoesNotBlockTheBoard(t *testing.T) {
	t.Parallel()
	for _, age := range []time.Duration{20 * time.Second, time.Minute, 150 * time.Second, 10 * time.Minute, 3 * time.Hour} {
		for _, seen := range []bool{false, true} {
			t.Run(fmt.Sprintf("made %v ago, seen %v", age, seen), func(t *testing.T) {
				t.Parallel()
				soon := &record{name: fmt.Sprintf("row 13, deleted pin made %v ago, seen in a list %v, first create", age, seen)}
				later := &record{name: fmt.Sprintf("row 13, deleted pin made %v ago, seen in a list %v, later creates", age, seen)}
				for seed := range 5 {
					deletedByHand(t, soon, later, seed, age, seen)
				}
				// A pin that was made a moment ago and never listed may be a list that lags.
				share := 0.0
				if age <= time.Minute && !seen {
					share = 1
				}
				soon.report(t, share)
				later.report(t, 0)
			})
		}
	}
}

func deletedByHand(t *testing.T, soon, later *record, seed int, age time.Duration, seen bool) {
	w := newWorld(t, seed)
	client := w.client()
	id := w.teach(client, w.pin("deleted"))
	w.clock.Advance(age)
	if seen {
		// An ambiguous create whose look-up sees the pin.
		w.onCreate = failOnly(w.image("looked"), committed(server500))
		w.teach(client, w.pin("looked"))
	}
	w.removeByHand(id)
	for i := range 3 {
		p := w.pin(fmt.Sprintf("after-%d-%d", seed, i))
		f := ambiguous[(seed+i)%len(ambiguous)]
		w.change(func(h *habits) { h.onCreate = failOnly(image(p), uncommitted(f)) })
		r, begin := soon, w.clock.Now()
		if i > 0 {
			r = later
		}
		_ = w.create(r, client, p, fmt.Sprintf("%s, create %d, seed %d", faultName(f), i, seed))
		if took := w.clock.Now().Sub(begin); i > 0 && took > time.Minute {
			r.wrong("create %d, seed %d took %v", i, seed, took)
		}
		w.clock.Advance(3 * time.Minute)
	}
}

// Row 15.
func TestAnEmptyListOfABoardThatHasPinsProvesNothing(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(n int) bool{
		"always empty":         func(int) bool { return true },
		"the first is empty":   func(n int) bool { return n == 1 },
		"the first 4 are":      func(n int) bool { return n <= 4 },
		"every other is empty": func(n int) bool { return n%2 == 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &record{name: "row 15, " + name}
			for seed := range 14 { // seed 0 and 7: nothing else is on the board
				w := newWorld(t, seed)
				w.empty = empty
				client := w.client()
				if seed%2 == 0 {
					w.warm(client)
				}
				f := ambiguous[seed%len(ambiguous)]
				w.onCreate = first(committed(f))
				_ = w.create(r, client, w.pin(fmt.Sprint("empty-", seed)), fmt.Sprintf("%s, seed %d", faultName(f), seed))
			}
			share := 0.0
			if name == "always empty" {
				share = 1
			}
			r.report(t, share)
		})
	}
	t.Run("the board is empty", func(t *testing.T) {
		r := &record{name: "row 15, a board that is empty"}
		for seed := range 10 {
			w := newWorld(t, seed*7)
			f := ambiguous[seed%len(ambiguous)]
			w.onCreate = first(uncommitted(f))
			_ = w.create(r, w.client(), w.pin(fmt.Sprint("first-", seed)), fmt.Sprintf("%s, seed %d", faultName(f), seed))
		}
		r.report(t, 0)
	})
}

// Row 16.
func TestALookUpOfEndlessPagesIsBounded(t *testing.T) {
	t.Parallel()
	const bound = 1000 // generous: a call may look several times
	r := &record{name: "row 16"}
	for seed := range 2 {
		w := newWorld(t, seed)
		w.endless = true
		f := ambiguous[seed%len(ambiguous)]
		f.commit = seed%2 == 0
		w.onCreate = first(&f)
		ctx, cancel := context.WithCancel(w.context())
		defer cancel()
		w.onList = func(n int) *fault {
			if n > bound {
				cancel()
				return uncommitted(answered(404, 40, "Board not found."))
			}
			return nil
		}
		client := w.client()
		begin := w.clock.Now()
		p := w.pin(fmt.Sprint("endless-", seed))
		made, err := client.Pins.Create(ctx, p)
		id := ""
		if made != nil {
			id = made.ID
		}
		r.judge(w.server, image(p), id, err, fmt.Sprint("seed ", seed))
		if !errors.Is(err, pinterest.ErrUncertain) {
			r.wrong("seed %d: want uncertain, got %v", seed, err)
		}
		if n := w.listReads(); n > bound {
			r.wrong("seed %d: more than %d reads", seed, bound)
		}
		if took := w.clock.Now().Sub(begin); took > 10*time.Minute {
			r.wrong("seed %d: it took %v", seed, took)
		}
	}
	r.report(t, 1)
}

// Row 19.
func TestWhatIsListedMinutesLateIsNeverMadeTwice(t *testing.T) {
	t.Parallel()
	for _, late := range []time.Duration{20 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute} {
		r := &record{name: fmt.Sprintf("row 19, a video listed after %v", late)}
		for seed := range 10 {
			w := newWorld(t, seed)
			w.lag = func() time.Duration { return late }
			client := w.client()
			if seed%2 == 0 {
				w.warm(client)
			}
			p := w.pin(fmt.Sprint("video-", seed))
			p.MediaSource = pinterest.VideoID("8412", pinterest.CoverURL(w.image(fmt.Sprint("cover-", seed))))
			f := ambiguous[seed%len(ambiguous)]
			w.onCreate = first(committed(f))
			_ = w.create(r, client, p, fmt.Sprintf("%s, seed %d", faultName(f), seed))
		}
		r.report(t, 1)
	}
}

// Row 19: a pin with the same texts was saved from another one. Whether it is what
// was made cannot be told; it is not adopted, and nothing is made twice.
func TestAnEqualRepinIsNotTakenForTheResult(t *testing.T) {
	t.Parallel()
	for _, commit := range []bool{false, true} {
		r := &record{name: fmt.Sprintf("row 19, an equal repin, committed %v", commit)}
		for seed := range 10 {
			w := newWorld(t, seed)
			client := w.client()
			w.warm(client)
			p := w.pin(fmt.Sprint("repin-", seed))
			f := ambiguous[seed%len(ambiguous)]
			f.commit = commit
			w.onCreate = func(_ string, n int) *fault {
				if n > 1 {
					return nil
				}
				w.byHand(pin{
					board: w.board, title: p.Title, description: p.Description, link: p.Link, alt: p.AltText, parent: "549755885000000001",
					image: "https://images.example/repin.jpg",
				})
				return &f
			}
			_ = w.create(r, client, p, fmt.Sprintf("%s, seed %d", faultName(f), seed))
		}
		r.report(t, 1)
	}
}

// Row 19: saving a pin, listed within the settle time.
func TestASaveIsNeverMadeTwice(t *testing.T) {
	t.Parallel()
	for _, late := range []time.Duration{0, 3 * time.Second} {
		r := &record{name: fmt.Sprintf("row 19, a save listed after %v", late)}
		for seed := range 10 {
			w := newWorld(t, seed)
			source := w.byHand(pin{board: "549755880000000000", title: "Saved", image: "https://other.example/1.jpg", created: epoch.Add(-time.Hour)})
			w.lag = func() time.Duration { return late }
			f := ambiguous[seed%len(ambiguous)]
			w.onCreate = first(committed(f))
			made, err := w.client().Pins.Save(w.context(), source.id, pinterest.PinSave{BoardID: w.board})
			id := ""
			if made != nil {
				id = made.ID
			}
			r.judge(w.server, "save "+source.id, id, err, fmt.Sprintf("%s, seed %d", faultName(f), seed))
		}
		r.report(t, 0)
	}
}
