// Package ledgertest tests implementations of pinterest.Ledger against everything
// that CreateOnce relies on.
//
//	func TestLedger(t *testing.T) {
//		ledgertest.Run(t, func(t *testing.T) pinterest.Ledger { return newLedger(t) })
//	}
//
// Run it with the race detector. The implementation's own tests must cover what one
// process cannot show: that records survive a crash, that a Save that is killed
// saves all of its records or none, and that locks exclude other processes and are
// released when their holder dies.
package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

const (
	// patience is how long a call may take if it has nothing to wait for. It is
	// long, so that a slow machine is not mistaken for a deadlock.
	patience = 10 * time.Second
	// brief is how long a call waits for a lock that it must not get.
	brief = 50 * time.Millisecond
)

// Run runs the suite. open returns an empty ledger, and closes it with the test.
func Run(t *testing.T, open func(t *testing.T) pinterest.Ledger) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, l pinterest.Ledger)
	}{
		{"nothing saved", nothingSaved},
		{"save, load, replace", saveLoadReplace},
		{"records are copies", recordsAreCopies},
		{"records of any bytes", anyRecord},
		{"names of any bytes", anyName},
		{"several records at once", severalAtOnce},
		{"concurrent saves", concurrentSaves},
		{"the context of a lock", contextOfLock},
		{"locks exclude", locksExclude},
		{"locks of any name", locksOfAnyName},
		{"a waiter leaves with its context", waiterLeaves},
		{"a waiter that left holds nothing", waiterHoldsNothing},
		{"many names in any order", anyOrder},
		{"one name twice", oneNameTwice},
		{"unlock twice", unlockTwice},
		{"unlock lets the next in", nextIsLetIn},
		{"different names do not wait", differentNames},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// names are names as callers may choose them: keys of jobs, URLs, file names,
// texts in any language. No two are the same.
func names() []string {
	return []string{
		"job-8841", "JOB-8841", " job-8841", "job-8841 ", "job/8841", "job\\8841", "/job-8841", "../job-8841", "../../job-8841",
		".", "..", "con", "*", "?", "%", "%41", "A", "a", "a.", "#", "'; DROP TABLE ledger; --",
		"line\nbreak", "tab\tstop", "zero\x00byte", "zero\x00", "zero", "\xff\xfe", "\xff",
		"küche", "ku\u0308che", "台所", "\U0001f36a", "\u202eright to left",
		strings.Repeat("long", 50), strings.Repeat("long", 50) + "er", strings.Repeat("台", 200),
		"https://shop.example/oak?job=8841&x=%20#top",
	}
}

func nothingSaved(t *testing.T, l pinterest.Ledger) {
	for _, name := range append(names(), "") {
		if record, err := l.Load(t.Context(), name); record != nil || err != nil {
			t.Errorf("Load(%.20q) of an empty ledger: %q, %v, want nil, nil", name, record, err)
		}
	}
}

func saveLoadReplace(t *testing.T, l pinterest.Ledger) {
	for _, record := range []string{"first", "the second, which is longer", "3rd"} {
		save(t, l, "key", []byte(record))
		want(t, l, "key", []byte(record))
		want(t, l, "key", []byte(record)) // loading does not remove it
	}
	want(t, l, "another key", nil)
}

func recordsAreCopies(t *testing.T, l pinterest.Ledger) {
	record := []byte("as it was saved")
	save(t, l, "key", record)
	clear(record)
	want(t, l, "key", []byte("as it was saved"))

	loaded, err := l.Load(t.Context(), "key")
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	clear(loaded)
	want(t, l, "key", []byte("as it was saved"))
}

func anyRecord(t *testing.T, l pinterest.Ledger) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, record := range [][]byte{every, bytes.Repeat(every, 4096), []byte("\x00"), []byte("null"), []byte("台所"), {}} {
		name := fmt.Sprint("record ", i)
		save(t, l, name, record)
		want(t, l, name, record)
	}
	// An empty record is a record: it can replace another.
	save(t, l, "emptied", []byte("full"))
	save(t, l, "emptied", []byte{})
	want(t, l, "emptied", []byte{})
}

func anyName(t *testing.T, l pinterest.Ledger) {
	for i, name := range names() {
		save(t, l, name, fmt.Appendf(nil, "record %d", i))
	}
	for i, name := range names() {
		want(t, l, name, fmt.Appendf(nil, "record %d", i))
	}
}

func severalAtOnce(t *testing.T, l pinterest.Ledger) {
	save(t, l, "kept", []byte("kept"))
	if err := l.Save(t.Context(), nil); err != nil {
		t.Errorf("Save of nothing: %v", err)
	}
	// Under a lock, both records are always of the same save.
	const goroutines, rounds = 8, 8
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				record := fmt.Appendf(nil, "%d of %d", i, g)
				unlock := lock(t, l, "both")
				err := l.Save(t.Context(), map[string][]byte{"one": record, "two": record})
				if err != nil {
					t.Errorf("Save of two records: %v", err)
				}
				want(t, l, "one", record)
				want(t, l, "two", record)
				unlock()
			}
		})
	}
	wg.Wait()
	want(t, l, "kept", []byte("kept"))
	// A Save that fails saves nothing, and one that succeeds saves both.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := l.Save(ctx, map[string][]byte{"three": []byte("3"), "four": []byte("4")})
	three, _ := l.Load(t.Context(), "three")
	four, _ := l.Load(t.Context(), "four")
	if (three == nil) != (four == nil) || err == nil && three == nil {
		t.Errorf("Save with a context that has ended: %v, and it saved %q and %q", err, three, four)
	}
}

func contextOfLock(t *testing.T, l pinterest.Ledger) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	defer cancel()
	held, unlock, err := l.Lock(ctx, "key")
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	defer unlock()
	if held == nil || held.Err() != nil || held.Value(key{}) != "value" {
		t.Fatalf("the context of a lock that is held: %v, want one made from the caller's that has not ended", held)
	}
	cancel()
	select {
	case <-held.Done():
	case <-time.After(patience):
		t.Error("the context of a lock goes on after the caller's has ended")
	}
}

func concurrentSaves(t *testing.T, l pinterest.Ledger) {
	const goroutines, rounds = 16, 8
	one := func(g int) []byte { return bytes.Repeat([]byte{byte('a' + g)}, 1000) }
	save(t, l, "shared", one(0))
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			own := fmt.Sprint("own ", g)
			for i := range rounds {
				save(t, l, own, fmt.Appendf(nil, "%d of %d", i, g))
				want(t, l, own, fmt.Appendf(nil, "%d of %d", i, g))
				save(t, l, "shared", one(g))
				record, err := l.Load(t.Context(), "shared")
				if err != nil || len(record) != 1000 || len(slices.Compact(record)) != 1 {
					t.Errorf("the shared record is of more than one save: %.20q..., %v", record, err)
				}
			}
		})
	}
	wg.Wait()
}

func locksExclude(t *testing.T, l pinterest.Ledger) {
	const goroutines, rounds = 64, 4
	counter := 0 // guarded only by the lock
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				unlock := lock(t, l, "counter")
				if t.Failed() {
					return
				}
				counter++
				unlock()
			}
		})
	}
	wg.Wait()
	if counter != goroutines*rounds {
		t.Errorf("%d increments under the lock made %d", goroutines*rounds, counter)
	}
}

func locksOfAnyName(t *testing.T, l pinterest.Ledger) {
	// All at once: no two of the names are the same lock.
	all := names()
	unlock := lock(t, l, all...)
	var wg sync.WaitGroup
	for _, name := range all {
		wg.Go(func() { held(t, l, name) })
	}
	wg.Wait()
	unlock()
	for _, name := range all {
		free(t, l, name)
	}
	for _, name := range all {
		defer lock(t, l, name)() // one by one
	}
}

func waiterLeaves(t *testing.T, l pinterest.Ledger) {
	defer lock(t, l, "held")()

	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	if err := leave(ctx, l); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock until a deadline: %v, want context.DeadlineExceeded", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(brief, cancel)
	if err := leave(ctx, l); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock until it was canceled: %v, want context.Canceled", err)
	}
}

// leave tries to acquire a lock that is held and returns the error.
func leave(ctx context.Context, l pinterest.Ledger) error {
	unlock, err := attempt(ctx, l, "held")
	if err == nil {
		unlock()
	}
	return err
}

func waiterHoldsNothing(t *testing.T, l pinterest.Ledger) {
	unlock := lock(t, l, "m")
	held(t, l, "a", "m", "z") // waits for m, perhaps while it holds the others
	free(t, l, "a")
	free(t, l, "z")
	free(t, l, "a", "z")
	unlock()
	free(t, l, "a", "m", "z")
}

func anyOrder(t *testing.T, l pinterest.Ledger) {
	const rounds = 25
	orders := [][]string{
		{"one", "two", "three", "four"}, {"four", "three", "two", "one"},
		{"two", "four"}, {"four", "two"}, {"three", "one", "four"}, {"two", "one"},
	}
	var inside sync.Map // the names that are held, by this goroutine alone
	var wg sync.WaitGroup
	for _, order := range orders {
		wg.Go(func() {
			for range rounds {
				unlock := lock(t, l, order...)
				if t.Failed() {
					return
				}
				for _, name := range order {
					if _, other := inside.LoadOrStore(name, true); other {
						t.Errorf("%s is held twice", name)
					}
				}
				for _, name := range order {
					inside.Delete(name)
				}
				unlock()
			}
		})
	}
	wg.Wait()
}

func oneNameTwice(t *testing.T, l pinterest.Ledger) {
	unlock := lock(t, l, "twice", "once", "twice")
	held(t, l, "twice")
	held(t, l, "once")
	unlock()
	free(t, l, "twice")
	free(t, l, "once")
}

func unlockTwice(t *testing.T, l pinterest.Ledger) {
	first := lock(t, l, "key", "other")
	first()
	first()
	second := lock(t, l, "key", "other")
	first() // must not release the second holder's locks
	held(t, l, "key")
	held(t, l, "other")
	second()
	free(t, l, "key", "other")
}

func nextIsLetIn(t *testing.T, l pinterest.Ledger) {
	unlock := lock(t, l, "key")
	const waiters = 8
	in := make(chan func(), waiters)
	for range waiters {
		go func() { in <- lock(t, l, "key") }()
	}
	select {
	case next := <-in:
		t.Error("a waiter was let in although the lock is held")
		in <- next
	case <-time.After(brief):
	}
	unlock()
	for range waiters { // each lets in the one after it
		(<-in)()
	}
}

func differentNames(t *testing.T, l pinterest.Ledger) {
	for i := range 20 {
		defer lock(t, l, fmt.Sprint("key ", i), fmt.Sprint("content ", i))()
	}
}

var errStays = errors.New("it still waits although its context has ended")

// attempt is Lock for ledgers that may ignore the context: that must not block the
// suite.
func attempt(ctx context.Context, l pinterest.Ledger, names ...string) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	ended := make(chan result, 1)
	go func() {
		_, unlock, err := l.Lock(ctx, names...)
		ended <- result{unlock, err}
	}()
	select {
	case r := <-ended:
		return r.unlock, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-ended:
		return r.unlock, r.err
	case <-time.After(patience):
	}
	go func() { // a lock that is acquired later is released
		if r := <-ended; r.err == nil {
			r.unlock()
		}
	}()
	return nil, errStays
}

// lock acquires locks that are free, or soon will be.
func lock(t *testing.T, l pinterest.Ledger, names ...string) (unlock func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	unlock, err := attempt(ctx, l, names...)
	if err != nil {
		t.Errorf("Lock(%.40q): %v", names, err)
		return func() {}
	}
	return unlock
}

// held checks that the locks cannot be acquired.
func held(t *testing.T, l pinterest.Ledger, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	unlock, err := attempt(ctx, l, names...)
	switch {
	case err == nil:
		t.Errorf("Lock(%.40q) was let in although another holds it", names)
		unlock()
	case !errors.Is(err, context.DeadlineExceeded):
		t.Errorf("Lock(%.40q): %v, want context.DeadlineExceeded", names, err)
	}
}

// free checks that the locks can be acquired.
func free(t *testing.T, l pinterest.Ledger, names ...string) {
	t.Helper()
	lock(t, l, names...)()
}

func save(t *testing.T, l pinterest.Ledger, name string, record []byte) {
	t.Helper()
	if err := l.Save(t.Context(), map[string][]byte{name: record}); err != nil {
		t.Errorf("Save(%.20q): %v", name, err)
	}
}

// want checks the record of a name, nil for none.
func want(t *testing.T, l pinterest.Ledger, name string, record []byte) {
	t.Helper()
	got, err := l.Load(t.Context(), name)
	switch {
	case err != nil:
		t.Errorf("Load(%.20q): %v", name, err)
	case (got == nil) != (record == nil):
		t.Errorf("Load(%.20q): nil is %v, want %v: only a record that is not there is nil", name, got == nil, record == nil)
	case !bytes.Equal(got, record):
		t.Errorf("Load(%.20q): %.40q, want %.40q", name, got, record)
	}
}
