package creates_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// twins are jobs of equal content, each with its key.
type twins struct {
	*books
	t      *testing.T
	rnd    *rand.Rand
	ledger pinterest.Ledger
	procs  []*pinterest.Client
	note   string
	left   [][]pinterest.Uncertain // by job
	told   []string                // by job
	trail  []string
	fails  *fault
}

func (w *twins) key(i int) string { return fmt.Sprint("job-", i) }

func (w *twins) wrong(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("%s: %s\n\tafter %v", w.note, fmt.Sprintf(format, args...), w.trail)
}

// proc returns one of the processes, or a new one.
func (w *twins) proc() *pinterest.Client {
	if i := w.rnd.IntN(len(w.procs) + 1); i < len(w.procs) {
		return w.procs[i]
	}
	return w.process(w.t, w.ledger)
}

// hear enters what was told of a job.
func (w *twins) hear(i int, id, how string) {
	w.t.Helper()
	if _, ok := w.find(id); !ok {
		w.wrong("%s of job %d told %q, which does not exist", how, i, id)
	}
	for j, other := range w.told {
		if j != i && other == id {
			w.wrong("%s of job %d told %s, which is that of job %d", how, i, id, j)
		}
	}
	if w.told[i] != "" && w.told[i] != id {
		w.wrong("%s of job %d told %s, before it was %s", how, i, id, w.told[i])
	}
	w.told[i] = id
}

func (w *twins) once(c *pinterest.Client, i int) error {
	w.t.Helper()
	w.trail = append(w.trail, fmt.Sprint("once ", i))
	got, err := c.Pins.CreateOnce(w.t.Context(), w.key(i), job())
	switch {
	case err == nil:
		w.hear(i, got.ID, "CreateOnce")
	case errors.Is(err, pinterest.ErrUncertain):
		if wrong := w.dud(err, w.key(i)); wrong != "" {
			w.wrong("the uncertain error of job %d %s: %v", i, wrong, err)
			return err
		}
		if w.told[i] != "" {
			w.wrong("job %d had %s, now it is uncertain: %v", i, w.told[i], err)
		}
		w.left[i] = append(w.left[i], uncertain(w.t, err))
	default:
		// A definite failure is right as long as what there is may belong to others.
		others := 0
		for j := range w.told {
			if j != i && (w.told[j] != "" || len(w.left[j]) > 0) {
				others++
			}
		}
		if w.fails == nil || w.told[i] != "" || len(w.all()) > others {
			w.wrong("job %d failed, others have at most %d of %d: %v", i, others, len(w.all()), err)
		}
	}
	w.trail = append(w.trail, fmt.Sprint("= ", w.told[i]))
	return err
}

func (w *twins) resolve(c *pinterest.Client, i int) {
	w.t.Helper()
	if len(w.left[i]) == 0 {
		return
	}
	n := w.rnd.IntN(len(w.left[i]))
	w.trail = append(w.trail, fmt.Sprintf("resolve %d.%d", i, n))
	got, err := c.Pins.Resolve(w.t.Context(), w.left[i][n])
	outcome := pinterest.OutcomeUnknown
	if got != nil {
		outcome = got.Outcome
	}
	w.trail = append(w.trail, "= "+string(outcome))
	switch outcome {
	case pinterest.OutcomeCreated:
		w.hear(i, got.Result.ID, "Resolve")
	case pinterest.OutcomeAbsent:
		// Of a job that was done by a later call see
		// TestResolveKnowsWhatTheKeyHasMade.
	default:
		if err == nil {
			w.wrong("resolve of job %d is unknown, without an error", i)
		}
	}
}

// failOne lets the next create fail, perhaps.
func (w *twins) failOne(faults []fault) {
	w.set(func() {
		w.fail, w.fails = nil, nil
		if w.rnd.IntN(3) > 0 {
			return
		}
		f := faults[w.rnd.IntN(len(faults))]
		f.commit = w.rnd.IntN(2) == 0
		w.trail = append(w.trail, fmt.Sprintf("committed %v", f.commit))
		w.fails, w.fail = &f, func(post) *fault {
			w.set(func() { w.fail = nil })
			return &f
		}
	})
}

// Several processes with one ledger do jobs of equal content whose answers are
// lost. Whatever is resolved then, in which order, how often and by whom, each
// key gets a pin of its own, and there are no others.
func TestEqualJobsAreResolvedInAnyOrder(t *testing.T) {
	t.Parallel()
	faults := append([]fault{cutOff}, ambiguous...)
	for _, gap := range []time.Duration{0, 2 * time.Second, time.Minute, 10 * time.Minute} {
		t.Run(gap.String(), func(t *testing.T) {
			t.Parallel()
			unresolved := 0
			const seeds = 16
			for seed := range seeds {
				b := newBooks(t)
				w := &twins{
					books: b, t: t, rnd: rand.New(rand.NewPCG(uint64(seed), uint64(gap))), ledger: pinterest.NewMemoryLedger(),
					note: fmt.Sprintf("gap %v, seed %d", gap, seed),
				}
				w.procs = []*pinterest.Client{b.process(t, w.ledger), b.process(t, w.ledger)}
				jobs := 2 + w.rnd.IntN(2)
				w.told, w.left = make([]string, jobs), make([][]pinterest.Uncertain, jobs)
				for i := range jobs {
					f := faults[w.rnd.IntN(len(faults))]
					f.commit = w.rnd.IntN(2) == 0
					b.set(func() {
						b.fail = func(post) *fault { return &f }
						b.down = w.rnd.IntN(4) > 0
					})
					w.fails = &f
					w.trail = append(w.trail, fmt.Sprintf("committed %v", f.commit))
					_ = w.once(w.procs[i%2], i)
					b.clock.Advance(gap)
				}
				b.set(func() { b.fail = nil })
				w.fails = nil
				for range 14 {
					b.set(func() { b.down = w.rnd.IntN(3) == 0 })
					w.failOne(faults)
					i := w.rnd.IntN(jobs)
					switch w.rnd.IntN(4) {
					case 0:
						_ = w.once(w.proc(), i)
					case 1:
						b.clock.Advance([]time.Duration{time.Second, 3 * time.Minute, time.Hour}[w.rnd.IntN(3)])
					default:
						w.resolve(w.proc(), i)
					}
				}
				b.set(func() { b.down, b.fail, w.fails = false, nil, nil })
				b.clock.Advance(time.Hour)
				for range 2 {
					for i := range jobs {
						w.resolve(w.proc(), i)
						_ = w.once(w.proc(), i)
						b.clock.Advance(3 * time.Minute)
					}
				}
				all := b.all()
				known := 0
				for _, id := range w.told {
					if id != "" {
						known++
					}
				}
				if known < jobs {
					unresolved++
				} else if len(all) != jobs {
					w.wrong("%d jobs have made %d pins, told were %v", jobs, len(all), w.told)
				}
				if len(all) > jobs {
					w.wrong("%d jobs have made %d pins", jobs, len(all))
				}
				b.Close()
				if t.Failed() {
					return
				}
			}
			t.Logf("%d of %d ended with something uncertain", unresolved, seeds)
		})
	}
}

// A create ends uncertain, and CreateOnce is called again and makes the pin. The
// first error is still stored somewhere and resolved: the key has its pin.
func TestResolveKnowsWhatTheKeyHasMade(t *testing.T) {
	t.Parallel()
	for _, later := range []time.Duration{0, 10 * time.Minute} {
		b := newBooks(t)
		ledger := pinterest.NewMemoryLedger()
		u := uncertain(t, b.leave(t, ledger, "job-1", job(), "", uncommitted(broken)))
		b.clock.Advance(later)
		made, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job-1", job())
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.process(t, ledger).Pins.Resolve(t.Context(), u)
		if err != nil || got.Outcome != pinterest.OutcomeCreated || got.Result.ID != made.ID {
			t.Errorf("%v later: key %s has made %s, and Resolve says %+v, %v", later, u.Key, made.ID, got, err)
		}
	}
}

// A key ends uncertain twice: the first create was never made, the second was.
// Resolving the first, which is absent, says nothing about the second.
func TestResolvingAnOldUncertainDoesNotFreeTheKey(t *testing.T) {
	t.Parallel()
	for _, gap := range []time.Duration{0, time.Minute, 2 * time.Minute, 10 * time.Minute, time.Hour} {
		for _, second := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v apart, the second is resolved, too: %v", gap, second), func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				ledger := pinterest.NewMemoryLedger()
				u0 := uncertain(t, b.leave(t, ledger, "job-1", job(), "", uncommitted(broken)))
				b.clock.Advance(gap)
				// The lists work until it was sent again.
				b.set(func() {
					b.fail = func(post) *fault {
						b.set(func() { b.down = true })
						return committed(broken)
					}
				})
				_, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job-1", job())
				u1 := uncertain(t, err)
				b.set(func() { b.down, b.fail = false, nil })
				b.clock.Advance(gap)
				client := b.process(t, ledger)
				r0, err := client.Pins.Resolve(t.Context(), u0)
				t.Logf("the first, of the id %s, the second has %s: %+v, %v", u0.ID, u1.ID, r0, err)
				if second {
					r1, err := client.Pins.Resolve(t.Context(), u1)
					if err != nil || r1.Outcome != pinterest.OutcomeCreated || r1.Result.ID != b.all()[0].id {
						t.Errorf("the second: %+v, %v", r1, err)
					}
				}
				got, err := client.Pins.CreateOnce(t.Context(), "job-1", job())
				if all := b.all(); err != nil || len(all) != 1 || got.ID != all[0].id {
					t.Errorf("the key has %v, %v; the server has made %d pins", ids(got, pinID), err, len(all))
				}
			})
		}
	}
}

// Several processes do the same jobs of equal content at the same time, while
// answers are lost.
func TestEqualJobsAtTheSameTime(t *testing.T) {
	t.Parallel()
	faults := append([]fault{cutOff}, ambiguous...)
	for seed := range 24 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			rnd := rand.New(rand.NewPCG(uint64(seed), 77))
			ledger := pinterest.NewMemoryLedger()
			b.fail = func(p post) *fault {
				if p.n > 6 {
					return nil
				}
				f := faults[(p.n+seed)%len(faults)]
				f.commit = (p.n*5+seed)%3 == 0
				return &f
			}
			const jobs, workers = 3, 4
			told := make([][]string, jobs)
			var mu sync.Mutex
			var group sync.WaitGroup
			for range workers {
				order := rnd.Perm(jobs)
				client := b.process(t, ledger)
				group.Go(func() {
					for _, i := range order {
						got, err := client.Pins.CreateOnce(t.Context(), fmt.Sprint("job-", i), job())
						mu.Lock()
						switch {
						case err == nil:
							told[i] = append(told[i], got.ID)
						case errors.Is(err, pinterest.ErrUncertain):
							if wrong := b.dud(err, fmt.Sprint("job-", i)); wrong != "" && wrong[:5] != "has a" {
								t.Errorf("the uncertain error %s: %v", wrong, err)
							}
						}
						mu.Unlock()
					}
				})
			}
			group.Wait()
			b.set(func() { b.fail = nil })
			b.clock.Advance(time.Hour)
			for i := range jobs {
				id, err := b.settle(t, ledger, func(c *pinterest.Client) (string, error) {
					got, err := c.Pins.CreateOnce(t.Context(), fmt.Sprint("job-", i), job())
					return ids(got, pinID), err
				})
				if err != nil {
					t.Fatal(err)
				}
				told[i] = append(told[i], id)
			}
			all := b.all()
			if len(all) != jobs {
				t.Errorf("%d jobs have made %d pins: %v", jobs, len(all), told)
			}
			owner := map[string]int{}
			for i, list := range told {
				for _, id := range list {
					if _, ok := b.find(id); !ok || id != list[0] {
						t.Errorf("job %d was told %v", i, list)
					}
					if j, ok := owner[id]; ok && j != i {
						t.Errorf("jobs %d and %d were both told %s", i, j, id)
					}
					owner[id] = i
				}
			}
		})
	}
}

// The same with an edited job: the first content is resolved as absent, the
// edited job ends uncertain, and the first is resolved once more.
func TestResolvingTheFirstContentAgainDoesNotFreeTheKey(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ledger := pinterest.NewMemoryLedger()
	u0 := uncertain(t, b.leave(t, ledger, "job-1", job(), "", uncommitted(broken)))
	edited := job()
	edited.Title = "Birch bathroom"
	var u1 pinterest.Uncertain
	for range 2 {
		b.clock.Advance(10 * time.Minute)
		got, err := b.process(t, ledger).Pins.Resolve(t.Context(), u0)
		if err != nil || got.Outcome != pinterest.OutcomeAbsent {
			t.Fatal(got, err)
		}
		if u1.Key == "" {
			u1 = uncertain(t, b.leave(t, ledger, "job-1", edited, "", committed(broken)))
		}
	}
	got, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job-1", edited)
	if all := b.all(); err != nil || len(all) != 1 || got.ID != all[0].id {
		t.Errorf("the key has %v, %v; the server has made %d pins", ids(got, pinID), err, len(all))
	}
	if _, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job-1", job()); !errors.Is(err, pinterest.ErrKeyReused) {
		t.Errorf("the first content: %v", err)
	}
}

// A key is used again after it was resolved as absent, and ended uncertain: what
// was resolved before says nothing about that, whoever does it again.
func TestResolvingTwiceDoesNotFreeTheKey(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ledger := pinterest.NewMemoryLedger()
	u0 := uncertain(t, b.leave(t, ledger, "job-1", job(), "", uncommitted(broken)))
	for _, want := range []pinterest.Outcome{pinterest.OutcomeAbsent, pinterest.OutcomeCreated} { // the second by what the key has made since
		b.clock.Advance(10 * time.Minute)
		if got, err := b.process(t, ledger).Pins.Resolve(t.Context(), u0); err != nil || got.Outcome != want {
			t.Fatal(got, err)
		}
		if len(b.all()) == 0 {
			_ = b.leave(t, ledger, "job-1", job(), "", committed(broken))
		}
	}
	got, err := b.process(t, ledger).Pins.CreateOnce(t.Context(), "job-1", job())
	if all := b.all(); err != nil || len(all) != 1 || got.ID != all[0].id {
		t.Errorf("the key has %v, %v; the server has made %d pins", ids(got, pinID), err, len(all))
	}
}
