package creates_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Row 1.
func TestKeysOfEqualContentGetTheirOwnPinFromTwoProcesses(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 1, one process after the other"}
	both := &record{name: "row 1, at the same time"}
	for i, f := range ambiguous {
		for j, apart := range []time.Duration{0, 300 * time.Millisecond, time.Second, 1700 * time.Millisecond, 3 * time.Second} {
			for k, commit := range []bool{false, true} {
				seed := i*100 + j*10 + k
				note := fmt.Sprintf("%v apart, %s, committed %v, seed %d", apart, faultName(f), commit, seed)
				f.commit = commit
				fault := f
				t.Run(note, func(t *testing.T) {
					oneAfterAnother(t, r, seed, apart, &fault, note)
					sameTime(t, both, seed, apart, &fault, note)
				})
			}
		}
	}
	r.report(t, 0)
	both.report(t, 0)
}

func failOnly(img string, f *fault) func(string, int) *fault {
	return func(image string, n int) *fault {
		if image == img && n == 1 {
			return f
		}
		return nil
	}
}

func oneAfterAnother(t *testing.T, r *record, seed int, apart time.Duration, f *fault, note string) {
	w := newWorld(t, seed)
	ledger := pinterest.NewMemoryLedger()
	a, b := w.client(pinterest.WithLedger(ledger)), w.client(pinterest.WithLedger(ledger))
	pinA, pinB := w.equal("a"), w.equal("b")
	w.onCreate = failOnly(image(pinB), f)
	idA, errA := w.once(a, "key-a", pinA)
	w.clock.Advance(apart)
	idB, errB := w.once(b, "key-b", pinB)
	r.judge(w.server, image(pinA), idA, errA, "A: "+note)
	r.judge(w.server, image(pinB), idB, errB, "B: "+note)
	if again, err := w.once(w.client(pinterest.WithLedger(ledger)), "key-b", pinB); err == nil && again != idB {
		r.wrong("%s: the ledger has %s for B, which was told %s", note, again, idB)
	}
}

// slow are the ways in which the first of two is still under way when the second begins.
var slow = []struct {
	name string
	fault
}{
	{"quick", fault{commit: true, succeeds: true}},
	{"made at once, answered after 4 s", fault{commit: true, succeeds: true, late: 4 * time.Second}},
	{"made after 4 s", fault{commit: true, succeeds: true, early: 4 * time.Second}},
	{"lost before the commit", fault{}},
	{"lost after the commit", fault{commit: true}},
	{"lost 2 s after the commit", fault{commit: true, late: 2 * time.Second}},
}

func sameTime(t *testing.T, r *record, seed int, apart time.Duration, f *fault, note string) {
	w := newWorld(t, seed)
	ledger := pinterest.NewMemoryLedger()
	a, b := w.client(pinterest.WithLedger(ledger)), w.client(pinterest.WithLedger(ledger))
	pinA, pinB := w.equal("a"), w.equal("b")
	how := slow[(seed/100+seed/10+seed)%len(slow)]
	w.onCreate = func(img string, n int) *fault {
		switch {
		case n > 1:
			return nil
		case img == image(pinB):
			return f
		}
		return &how.fault
	}
	note += ", A " + how.name
	w.lag = func() time.Duration { return time.Duration(seed%3) * time.Second }
	var idA, idB string
	var errA, errB error
	w.clock.together(t,
		func() { idA, errA = w.once(a, "key-a", pinA) },
		func() {
			_ = w.clock.Sleep(w.context(), apart)
			idB, errB = w.once(b, "key-b", pinB)
		})
	r.judge(w.server, image(pinA), idA, errA, "A: "+note)
	r.judge(w.server, image(pinB), idB, errB, "B: "+note)
}

// Row 12.
func TestEqualKeysLeftUncertainAreResolvedOnceAndForAll(t *testing.T) {
	t.Parallel()
	r := &record{name: "row 12"}
	for seed := range 16 {
		// Of creates sent at the same moment nobody can tell whose the one result is.
		gap := []time.Duration{3 * time.Minute, 10 * time.Minute, 2 * time.Hour}[seed%3]
		for _, order := range []string{"AB", "BA", "BABA"} {
			for _, oneProcess := range []bool{false, true} {
				note := fmt.Sprintf("gap %v, order %s, left by one process %v, seed %d", gap, order, oneProcess, seed)
				t.Run(note, func(t *testing.T) { equalKeysLeftUncertain(t, r, seed, gap, order, oneProcess, note) })
			}
		}
	}
	r.report(t, 0)
}

func equalKeysLeftUncertain(t *testing.T, r *record, seed int, gap time.Duration, order string, oneProcess bool, note string) {
	w := newWorld(t, seed)
	ledger := pinterest.NewMemoryLedger()
	pins := map[rune]pinterest.PinCreate{'A': w.equal("a"), 'B': w.equal("b")}
	onlyMade := []rune{'B', 'A'}[seed/4%2]
	var down atomic.Bool
	down.Store(true)
	w.onCreate = func(img string, _ int) *fault {
		if !down.Load() {
			return nil
		}
		if img == image(pins[onlyMade]) {
			return committed(broken)
		}
		return uncommitted(broken)
	}
	w.onList = func(int) *fault {
		if down.Load() {
			return uncommitted(server503)
		}
		return nil
	}
	client := w.client(pinterest.WithLedger(ledger))
	for i, who := range []rune{'A', 'B'} {
		if i > 0 {
			w.clock.Advance(gap)
		}
		if !oneProcess {
			client = w.client(pinterest.WithLedger(ledger))
		}
		if _, err := w.once(client, "key-"+string(who), pins[who]); err == nil {
			t.Fatal("the first process cannot know")
		}
	}
	down.Store(false)
	w.clock.Advance(time.Hour)
	// Every submission is a new process. After the given order, each key is
	// submitted twice more: by then both have to be known for good.
	var id [2]string
	var err [2]error
	told := map[rune]string{}
	for _, who := range order + "ABAB" {
		k := who - 'A'
		id[k], err[k] = w.once(w.client(pinterest.WithLedger(ledger)), "key-"+string(who), pins[who])
		if before := told[who]; err[k] == nil && before != "" && before != id[k] {
			r.wrong("%s: key %c has had two pins, %s and %s", note, who, before, id[k])
		}
		if err[k] == nil {
			told[who] = id[k]
		}
		w.clock.Advance(time.Minute)
	}
	for _, who := range "AB" {
		r.judge(w.server, image(pins[who]), id[who-'A'], err[who-'A'], string(who)+": "+note)
	}
}

// blockingLedger counts the names that are held.
type blockingLedger struct {
	pinterest.Ledger
	held atomic.Int32
}

func (l *blockingLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	held, unlock, err := l.Ledger.Lock(ctx, names...)
	if err != nil {
		return held, unlock, err
	}
	l.held.Add(1)
	var once sync.Once
	return held, func() { once.Do(func() { l.held.Add(-1); unlock() }) }, nil
}

// Row 17.
func TestTheContextHoldsWhileAnEqualCreateIsStuck(t *testing.T) {
	t.Parallel()
	var cases sync.WaitGroup
	for _, how := range []string{"new key", "key left", "key left, made", "key done by another process", "plain create", "resolve", "resolve, made"} {
		for _, where := range []string{"in its send", "in its look-up"} {
			for _, during := range []bool{false, true} {
				for seed := range 2 {
					cases.Go(contextHolds(t, seed, how, where, during))
				}
			}
		}
	}
	cases.Wait()
}

// contextHolds has an equal create that gets stuck before the call or, if during
// is set, while the call looks up what it has left, and ends the call's context.
// It prepares the case and returns what carries it out.
func contextHolds(t *testing.T, seed int, how, where string, during bool) func() {
	t.Helper()
	w := newWorld(t, seed)
	ledger := &blockingLedger{Ledger: pinterest.NewMemoryLedger()}
	client := w.client(pinterest.WithLedger(ledger))
	pinA, pinB := w.equal("a"), w.equal("b")
	leaver := client
	if seed%2 == 0 {
		leaver = w.client(pinterest.WithLedger(ledger)) // another process
	}
	left := w.leaveBehind(how, leaver, pinB)
	w.clock.Advance(time.Duration(seed) * 20 * time.Second)
	return func() {
		note := fmt.Sprintf("%s, the other is stuck %s, since the look-up %v, seed %d", how, where, during, seed)
		w.holdContext(client, ledger, left, pinA, pinB, how, where, during, note)
	}
}

func (w *world) holdContext(client *pinterest.Client, ledger *blockingLedger, left pinterest.Uncertain, pinA, pinB pinterest.PinCreate, how, where string, during bool, note string) {
	t := w.t
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var stuck sync.WaitGroup
	var stuckErr error
	getStuck := func(patience time.Duration) {
		once.Do(func() {
			stuck.Go(func() { _, stuckErr = client.Pins.Create(w.context(), pinA) })
		})
		select {
		case <-reached:
		case <-time.After(patience): // it waits for the call, as it may
		}
	}
	var sent, stopped atomic.Bool
	stop := func() {
		if stopped.CompareAndSwap(false, true) {
			close(reached)
			<-release
		}
	}
	w.change(func(h *habits) {
		h.onCreate = func(img string, n int) *fault {
			switch {
			case img != image(pinA) || n > 1:
				return nil
			case where == "in its send":
				stop()
				return nil
			}
			sent.Store(true)
			return uncommitted(broken)
		}
		h.onList = func(int) *fault {
			if sent.Load() {
				stop()
			} else if during {
				getStuck(100 * time.Millisecond)
			}
			return nil
		}
	})
	if !during {
		getStuck(10 * time.Second)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begin := time.Now()
	done := make(chan error, 1)
	go func() {
		var err error
		switch {
		case how == "plain create":
			_, err = client.Pins.Create(ctx, pinB)
		case strings.HasPrefix(how, "resolve"):
			_, err = client.Pins.Resolve(ctx, left)
		default:
			_, err = client.Pins.CreateOnce(ctx, "key-b", pinB)
		}
		done <- err
	}()
	// Nothing of it is unanswered, so that no last look is owed. Two seconds are
	// for a busy machine.
	var err error
	select {
	case err = <-done:
		if held := ledger.held.Load(); held != 0 {
			t.Errorf("%s: %d locks of the ledger are still held", note, held)
		}
		close(release)
	case <-time.After(2500 * time.Millisecond):
		t.Errorf("%s: the context ended after 500ms, %v later the call has not returned; %d locks of the ledger are held",
			note, time.Since(begin)-500*time.Millisecond, ledger.held.Load())
		close(release)
		err = <-done
	}
	stuck.Wait()
	if stuckErr != nil {
		t.Errorf("%s: the create that was only slow failed: %v", note, stuckErr)
	}
	for _, p := range []pinterest.PinCreate{pinA, pinB} {
		if ids := w.made(image(p)); len(ids) > 1 {
			t.Errorf("%s: duplicates: %s", note, quoted(ids))
		}
	}
	if err == nil && !strings.HasPrefix(how, "resolve") && len(w.made(image(pinB))) == 0 {
		t.Errorf("%s: told made, which it is not", note)
	}
}

// leaveBehind has another process leave p as how says.
func (w *world) leaveBehind(how string, other *pinterest.Client, p pinterest.PinCreate) (left pinterest.Uncertain) {
	w.t.Helper()
	lost := broken
	lost.commit = strings.HasSuffix(how, ", made")
	if how != "key done by another process" {
		w.onCreate, w.onList = func(string, int) *fault { return &lost }, listsDown
	}
	switch how {
	case "key left", "key left, made":
		if _, err := w.once(other, "key-b", p); err == nil {
			w.t.Fatal("the first try cannot know")
		}
	case "key done by another process":
		if _, err := w.once(other, "key-b", p); err != nil {
			w.t.Fatal(err)
		}
	case "resolve", "resolve, made":
		_, err := other.Pins.Create(w.context(), p)
		left = uncertain(w.t, err)
	}
	return left
}

// countingLedger measures what a create costs.
type countingLedger struct {
	pinterest.Ledger
	mu                   sync.Mutex
	saved, loaded, calls int
	largest, names       int
	longest              string
}

func (l *countingLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	l.mu.Lock()
	l.names += len(names)
	l.calls++
	l.mu.Unlock()
	return l.Ledger.Lock(ctx, names...)
}

func (l *countingLedger) Load(ctx context.Context, name string) ([]byte, error) {
	record, err := l.Ledger.Load(ctx, name)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded += len(record)
	l.calls++
	return record, err
}

func (l *countingLedger) Save(ctx context.Context, records map[string][]byte) error {
	l.mu.Lock()
	l.calls++
	for name, record := range records {
		l.saved += len(record)
		if len(record) > l.largest {
			l.largest, l.longest = len(record), name
		}
	}
	l.mu.Unlock()
	return l.Ledger.Save(ctx, records)
}

func (l *countingLedger) cost() (bytes, calls int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.saved + l.loaded, l.calls + l.names
}

// Row 18.
func TestWorkInTheLedgerDoesNotGrowWithTheBoard(t *testing.T) {
	t.Parallel()
	for _, texts := range []string{"none", "none, every tenth answer lost", "equal", "own"} {
		t.Run("texts "+texts, func(t *testing.T) {
			t.Parallel()
			const batch, batches = 100, 6
			w := newWorld(t, 1)
			r := &record{name: "row 18, texts " + texts}
			ledger := &countingLedger{Ledger: pinterest.NewMemoryLedger()}
			client := w.client(pinterest.WithLedger(ledger))
			if strings.HasSuffix(texts, "lost") {
				w.onCreate = func(img string, n int) *fault {
					if n == 1 && strings.HasSuffix(img, "7.jpg") {
						return committed(server500)
					}
					return nil
				}
			}
			var bytes, calls []int
			for b := range batches {
				bytes0, calls0 := ledger.cost()
				for i := range batch {
					name := fmt.Sprintf("%d-%d", b, i)
					p := pinterest.PinCreate{BoardID: w.board, MediaSource: pinterest.ImageURL(w.image(name))}
					switch texts {
					case "equal":
						p = w.equal(name)
					case "own":
						p = w.pin(name)
					}
					if err := w.createOnce(r, client, "key-"+name, p, name); err != nil {
						t.Fatal(err)
					}
					w.clock.Advance(time.Second)
				}
				bytes1, calls1 := ledger.cost()
				bytes, calls = append(bytes, bytes1-bytes0), append(calls, calls1-calls0)
			}
			t.Logf("bytes for each %d creates %v, operations %v, largest record %d bytes (%s)", batch, bytes, calls, ledger.largest, strings.ToValidUTF8(ledger.longest, "?"))
			if early, late := bytes[1], bytes[batches-1]; late*10 > early*13 {
				t.Errorf("the last %d creates moved %d bytes, the second %d moved %d", batch, late, batch, early)
			}
			if early, late := calls[1], calls[batches-1]; late*10 > early*13 {
				t.Errorf("the last %d creates took %d operations, the second %d took %d", batch, late, batch, early)
			}
			if ledger.largest > 16<<10 {
				t.Errorf("a record has %d bytes", ledger.largest)
			}
			r.report(t, 0)
		})
	}
}
