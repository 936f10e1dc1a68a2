package creates_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// many are pins with texts and images of their own.
func many(n int) (pins []pinterest.PinCreate) {
	for i := range n {
		p := job()
		p.Title = fmt.Sprintf("Kitchen number %d, in %s", i, strings.Repeat("oak ", 1+i%5))
		p.Link = fmt.Sprintf("https://shop.example/kitchens/%d", i)
		p.MediaSource = pinterest.ImageURL(fmt.Sprintf("https://images.example/%d.jpg", i))
		pins = append(pins, p)
	}
	return pins
}

func keyed(pins []pinterest.PinCreate) (all []pinterest.KeyedPin) {
	for i, p := range pins {
		all = append(all, pinterest.KeyedPin{Key: fmt.Sprint("job-", i), Pin: p})
	}
	return all
}

// judge compares the results of distinct pins with the books.
func (b *books) judge(t *testing.T, pins []pinterest.PinCreate, results []pinterest.Result[pinterest.Pin], note string) (made, failed, uncertain int) {
	t.Helper()
	if len(results) != len(pins) {
		t.Fatalf("%s: %d results for %d pins", note, len(results), len(pins))
	}
	for i, r := range results {
		ids := b.made("pin", pins[i].MediaSource.URL)
		if len(ids) > 1 {
			t.Errorf("%s: pin %d was made %d times", note, i, len(ids))
		}
		switch {
		case r.Value != nil && !contains(ids, r.Value.ID):
			t.Errorf("%s: pin %d was told %s, there is %s", note, i, r.Value.ID, quoted(ids))
		case r.Err == nil && r.Value == nil:
			t.Errorf("%s: pin %d has neither a value nor an error", note, i)
		case r.Value != nil:
			made++
		case errors.Is(r.Err, pinterest.ErrUncertain):
			uncertain++
			var failure *pinterest.Error
			if !errors.As(r.Err, &failure) || failure.RetryAt.IsZero() || failure.Uncertain == nil {
				t.Errorf("%s: pin %d is uncertain, without a time or a way to resolve it: %v", note, i, r.Err)
			}
		case len(ids) > 0:
			t.Errorf("%s: pin %d was told %v, there is %s", note, i, r.Err, quoted(ids))
		default:
			failed++
		}
		if (r.Value != nil) != (r.Response.Origin != "") {
			t.Errorf("%s: pin %d has the origin %q and the error %v", note, i, r.Response.Origin, r.Err)
		}
	}
	return made, failed, uncertain
}

// Each pin has its result at its place, whatever happens to the others.
func TestABatchHasAResultForEachInOrder(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{false, true} {
		for _, n := range []int{0, 1, 2, 7, 8, 9, 60} {
			t.Run(fmt.Sprintf("once %v, %d", once, n), func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				client := b.process(t, pinterest.NewMemoryLedger())
				pins := many(n)
				want := n
				for i := range pins {
					switch i % 10 {
					case 3: // refused before it is sent
						pins[i].BoardID = "kitchens"
						want--
					case 5: // refused by the API
						want--
					}
				}
				b.fail = func(p post) *fault {
					var i int
					_, _ = fmt.Sscanf(p.what, "https://images.example/%d.jpg", &i)
					switch {
					case i%10 == 5:
						return &fault{status: 403, code: 29, message: "You are not permitted to access that resource."}
					case i%10 == 7 && p.n == 1:
						return committed(server500)
					case i%10 == 8 && p.n == 1:
						return uncommitted(broken)
					case i%10 == 9 && p.n == 1:
						return &fault{status: 429, code: 8, message: "This request exceeded a rate limit."}
					}
					return nil
				}
				var results []pinterest.Result[pinterest.Pin]
				if once {
					results = client.Pins.CreateAllOnce(t.Context(), keyed(pins))
				} else {
					results = client.Pins.CreateAll(t.Context(), pins)
				}
				made, _, _ := b.judge(t, pins, results, "first")
				if made != want || len(b.all()) != want {
					t.Errorf("%d of %d were made, want %d", made, n, want)
				}
				for i, r := range results {
					switch {
					case i%10 == 3 && !errors.Is(r.Err, pinterest.ErrInvalid):
						t.Errorf("%d: %v", i, r.Err)
					case i%10 == 5 && !errors.Is(r.Err, pinterest.ErrForbidden):
						t.Errorf("%d: %v", i, r.Err)
					}
				}
			})
		}
	}
}

// The bound holds, and is made use of.
func TestABatchHoldsItsBound(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, 8, 20, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			var now, most atomic.Int32
			full := make(chan struct{})
			want, opts := int32(8), []pinterest.CallOption{}
			if n > 0 {
				want, opts = int32(n), append(opts, pinterest.Concurrency(n))
			}
			var once sync.Once
			b.fail = func(post) *fault {
				at := now.Add(1)
				defer now.Add(-1)
				for {
					old := most.Load()
					if at <= old || most.CompareAndSwap(old, at) {
						break
					}
				}
				if at >= want {
					once.Do(func() { close(full) })
				}
				select { // the first ones wait until as many have come as may
				case <-full:
				case <-time.After(15 * time.Second):
				}
				return nil
			}
			pins := many(3*int(want) + 1)
			results := b.process(t, pinterest.NewMemoryLedger()).Pins.CreateAll(t.Context(), pins, opts...)
			b.judge(t, pins, results, "bound")
			if most.Load() != want {
				t.Errorf("at most %d at a time, want %d", most.Load(), want)
			}
		})
	}
	b := newBooks(t)
	client := b.process(t, pinterest.NewMemoryLedger())
	for _, bad := range []int{0, -1} {
		for i, r := range client.Pins.CreateAll(t.Context(), many(3), pinterest.Concurrency(bad)) {
			if r.Err == nil {
				t.Errorf("a bound of %d, pin %d: made", bad, i)
			}
		}
	}
	var res pinterest.Response
	var raw []byte
	var dry pinterest.DryRun
	for i, opt := range []pinterest.CallOption{pinterest.ResponseTo(&res), pinterest.RawTo(&raw), pinterest.DryRunTo(&dry)} {
		results := client.Pins.CreateAll(t.Context(), many(3), opt)
		for j, r := range results {
			if !errors.Is(r.Err, pinterest.ErrInvalid) {
				t.Errorf("option %d, pin %d: %v", i, j, r.Err)
			}
		}
		if len(results) != 3 {
			t.Errorf("option %d: %d results", i, len(results))
		}
	}
	if _, err := client.Pins.Create(t.Context(), job(), pinterest.Concurrency(2)); err == nil {
		t.Error("a single create with Concurrency was carried out")
	}
	if b.sent() > 0 {
		t.Errorf("%d were sent", b.sent())
	}
}

// Equal pins are as many as were asked for, though answers are lost.
func TestEqualPinsOfABatchAreAsManyAsAskedFor(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{false, true} {
		for seed := range 12 {
			t.Run(fmt.Sprintf("once %v, seed %d", once, seed), func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				b.lag = time.Duration(seed%3) * time.Second
				const n = 12
				var count atomic.Int32
				b.fail = func(post) *fault {
					i := int(count.Add(1))
					f := ambiguous[(i+seed)%len(ambiguous)]
					switch (i*7 + seed) % 4 {
					case 0:
						return committed(f)
					case 1:
						return uncommitted(f)
					}
					return nil
				}
				client := b.process(t, pinterest.NewMemoryLedger())
				pins := make([]pinterest.PinCreate, n)
				for i := range pins {
					pins[i] = job()
				}
				var results []pinterest.Result[pinterest.Pin]
				if once {
					results = client.Pins.CreateAllOnce(t.Context(), keyed(pins))
				} else {
					results = client.Pins.CreateAll(t.Context(), pins)
				}
				told := map[string]int{}
				unsure := 0
				for i, r := range results {
					switch {
					case r.Value != nil:
						if other, ok := told[r.Value.ID]; ok {
							t.Errorf("pins %d and %d were both told %s", other, i, r.Value.ID)
						}
						told[r.Value.ID] = i
						if _, ok := b.find(r.Value.ID); !ok {
							t.Errorf("pin %d was told %s, which does not exist", i, r.Value.ID)
						}
					case errors.Is(r.Err, pinterest.ErrUncertain):
						unsure++
					default:
						t.Logf("pin %d: %v", i, r.Err)
					}
				}
				if all := b.all(); len(all) < len(told) || len(all) > len(told)+unsure {
					t.Errorf("%d pins exist, %d were told, %d are uncertain", len(all), len(told), unsure)
				}
				t.Logf("%d made, %d uncertain", len(told), unsure)
			})
		}
	}
}

// A batch is canceled in the middle: there is a result for each, nothing is sent
// afterwards, and with keys the rest is made later.
func TestABatchThatIsCanceled(t *testing.T) {
	t.Parallel()
	for _, once := range []bool{false, true} {
		for _, at := range []int{0, 1, 5, 12, 24} {
			for _, commit := range []bool{false, true} {
				t.Run(fmt.Sprintf("once %v, at %d, committed %v", once, at, commit), func(t *testing.T) {
					t.Parallel()
					b := newBooks(t)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var count atomic.Int32
					if at == 0 {
						cancel()
					}
					b.fail = func(post) *fault {
						switch i := int(count.Add(1)); {
						case i == at:
							cancel()
							return &fault{commit: commit}
						case ctx.Err() != nil && i > at+4:
							t.Errorf("create %d was sent after the batch was canceled at %d", i, at)
						}
						return nil
					}
					ledger := pinterest.NewMemoryLedger()
					client := b.process(t, ledger)
					pins := many(24)
					var results []pinterest.Result[pinterest.Pin]
					if once {
						results = client.Pins.CreateAllOnce(ctx, keyed(pins), pinterest.Concurrency(4))
					} else {
						results = client.Pins.CreateAll(ctx, pins, pinterest.Concurrency(4))
					}
					sent := b.sent()
					made, failed, unsure := b.judge(t, pins, results, "canceled")
					for i, r := range results {
						if r.Err != nil && !errors.Is(r.Err, pinterest.ErrUncertain) && !errors.Is(r.Err, context.Canceled) {
							t.Errorf("pin %d: %v", i, r.Err)
						}
					}
					t.Logf("%d made, %d failed, %d uncertain", made, failed, unsure)
					if at == 0 && sent > 0 {
						t.Errorf("%d were sent, though the context had ended", sent)
					}
					b.set(func() { b.fail = nil })
					if !once {
						return
					}
					made = 0
					for range 4 { // what is uncertain is made later
						b.clock.Advance(3 * time.Minute)
						results = b.process(t, ledger).Pins.CreateAllOnce(t.Context(), keyed(pins))
						if made, _, unsure = b.judge(t, pins, results, "again"); unsure == 0 {
							break
						}
					}
					if made != len(pins) || len(b.all()) != len(pins) {
						t.Errorf("again: %d results, %d pins, of %d", made, len(b.all()), len(pins))
						for i, r := range results {
							if r.Err != nil {
								t.Errorf("again: pin %d: %v", i, r.Err)
							}
						}
					}
				})
			}
		}
	}
}

// A process dies in the middle of a batch, or its ledger fails for some: another
// one makes what is missing.
func TestABatchAfterACrashMakesOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"dies", "fails"} {
		for at := 1; at < 120; at += 5 {
			t.Run(fmt.Sprintf("%s at %d", how, at), func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				ledger := pinterest.NewMemoryLedger()
				s := &steps{at: at}
				s.then = s.die
				if how == "fails" {
					s.then = func(string) error { return errors.New("this step failed") }
				}
				pins := many(20)
				first := b.stepping(t, ledger, s).Pins.CreateAllOnce(t.Context(), keyed(pins), pinterest.Concurrency(3))
				b.judge(t, pins, first, how)
				before := map[int]string{}
				for i, r := range first {
					if r.Value != nil {
						before[i] = r.Value.ID
					}
				}
				b.clock.Advance(10 * time.Minute)
				sent, had := b.sent(), len(b.all())
				again := b.process(t, ledger).Pins.CreateAllOnce(t.Context(), keyed(pins))
				made, _, unsure := b.judge(t, pins, again, "again")
				for range 3 {
					if unsure == 0 {
						break
					}
					b.clock.Advance(3 * time.Minute)
					again = b.process(t, ledger).Pins.CreateAllOnce(t.Context(), keyed(pins))
					made, _, unsure = b.judge(t, pins, again, "once more")
				}
				if made != len(pins) || len(b.all()) != len(pins) || b.sent()-sent != len(pins)-had {
					t.Errorf("again: %d of %d made, %d pins; %d were sent, %d were missing", made, len(pins), len(b.all()), b.sent()-sent, len(pins)-had)
				}
				for i, id := range before {
					if again[i].Value == nil || again[i].Value.ID != id {
						t.Errorf("pin %d was %s, now %+v", i, id, again[i].Err)
					}
				}
			})
		}
	}
}

// A key that stands in a batch more than once.
func TestTheSameKeyTwiceInABatch(t *testing.T) {
	t.Parallel()
	for _, first := range firsts[:3] {
		for _, n := range []int{1, 8} {
			t.Run(fmt.Sprintf("%s, %d at a time", first.name, n), func(t *testing.T) {
				t.Parallel()
				b := newBooks(t)
				b.fail = atNth(1, first.fault)
				client := b.process(t, pinterest.NewMemoryLedger())
				pins := many(2)
				batch := []pinterest.KeyedPin{
					{Key: "a", Pin: pins[0]}, {Key: "b", Pin: pins[1]}, {Key: "a", Pin: pins[0]}, {Key: "a", Pin: pins[0]}, {Key: "b", Pin: pins[1]},
				}
				results := client.Pins.CreateAllOnce(t.Context(), batch, pinterest.Concurrency(n))
				for i, r := range results {
					if r.Err != nil {
						t.Fatalf("%d: %v", i, r.Err)
					}
				}
				if all := b.all(); len(all) != 2 || results[2].Value.ID != results[0].Value.ID || results[3].Value.ID != results[0].Value.ID || results[4].Value.ID != results[1].Value.ID {
					t.Errorf("%d pins", len(all))
				}
				// The same key with other content: one of them is made.
				results = client.Pins.CreateAllOnce(t.Context(), []pinterest.KeyedPin{{Key: "c", Pin: pins[0]}, {Key: "c", Pin: pins[1]}}, pinterest.Concurrency(n))
				good, bad := 0, 0
				for _, r := range results {
					switch {
					case r.Err == nil:
						good++
					case errors.Is(r.Err, pinterest.ErrKeyReused):
						bad++
					}
				}
				if good != 1 || bad != 1 || len(b.all()) != 3 {
					t.Errorf("a key with two contents: %d made, %d refused, %d pins: %+v", good, bad, len(b.all()), results)
				}
			})
		}
	}
}

// A function of the caller's that does odd things.
func TestCreateAllOfAnythingElse(t *testing.T) {
	t.Parallel()
	var most, now atomic.Int32
	got := pinterest.CreateAll(t.Context(), 20, func(_ context.Context, i int, _ ...pinterest.CallOption) (*int, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if i%3 == 0 {
			return nil, fmt.Errorf("number %d", i)
		}
		return &i, nil
	}, pinterest.Concurrency(2))
	for i, r := range got {
		if i%3 == 0 && (r.Err == nil || r.Err.Error() != fmt.Sprint("number ", i)) || i%3 != 0 && (r.Err != nil || *r.Value != i) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if most.Load() > 2 || len(got) != 20 {
		t.Errorf("%d at a time, %d results", most.Load(), len(got))
	}
	if got := pinterest.CreateAll[int](t.Context(), 0, nil); len(got) != 0 {
		t.Errorf("%d results of none", len(got))
	}
}
