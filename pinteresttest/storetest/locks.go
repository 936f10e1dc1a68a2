package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

func locksExclude(t *testing.T, s pinterest.TokenStore) {
	const goroutines, rounds = 32, 4
	counter := 0 // guarded by nothing but the lock
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				unlock := lock(t, s, "account")
				n := counter
				runtime.Gosched() // lets another goroutine in if the lock does not exclude it
				counter = n + 1
				unlock()
				if t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
	if counter != goroutines*rounds {
		t.Errorf("%d increments under the lock made %d", goroutines*rounds, counter)
	}
}

func locksOfAnyName(t *testing.T, s pinterest.TokenStore) {
	// All at once: no two of the names are the same lock.
	var unlocks []func()
	for _, account := range names() {
		unlocks = append(unlocks, lock(t, s, account))
		if t.Failed() {
			break // each of the others would take as long
		}
	}
	var wg sync.WaitGroup
	for _, account := range names() {
		wg.Go(func() { held(t, s, account) })
	}
	wg.Wait()
	for _, unlock := range unlocks {
		unlock()
	}
	for _, account := range names() {
		lock(t, s, account)()
	}
}

func differentAccounts(t *testing.T, s pinterest.TokenStore) {
	for i := range 20 {
		defer lock(t, s, fmt.Sprint("account ", i))()
		if t.Failed() {
			return // each of the others would take as long
		}
	}
}

func nextIsLetIn(t *testing.T, s pinterest.TokenStore) {
	unlock := lock(t, s, "account")
	const waiters = 8
	in := make(chan func(), waiters)
	for range waiters {
		go func() { in <- lock(t, s, "account") }()
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

func unlockTwice(t *testing.T, s pinterest.TokenStore) {
	first := lock(t, s, "account")
	first()
	first()
	second := lock(t, s, "account")
	first() // must not release the second holder's lock
	held(t, s, "account")
	second()
	lock(t, s, "account")()
}

func waiterLeaves(t *testing.T, s pinterest.TokenStore) {
	unlock := lock(t, s, "account")

	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	if err := leave(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock until a deadline: %v, want context.DeadlineExceeded", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(brief, cancel)
	if err := leave(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock until it was canceled: %v, want context.Canceled", err)
	}
	unlock()
	lock(t, s, "account")() // the canceled waiter holds nothing
}

// leave tries to acquire a lock that is held and returns the error.
func leave(ctx context.Context, s pinterest.TokenStore) error {
	unlock, err := attempt(ctx, s, "account")
	if err == nil {
		unlock()
	}
	return err
}

func noLockNeeded(t *testing.T, s pinterest.TokenStore) {
	unlock := lock(t, s, "account")
	defer unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		version := save(t, s, "account", pinterest.Token{AccessToken: "first", RefreshToken: "r", Expiry: time.Unix(1, 0)})
		want(t, s, "account", &pinterest.Token{AccessToken: "first", RefreshToken: "r", Expiry: time.Unix(1, 0).UTC(), Version: version})
		save(t, s, "account", pinterest.Token{AccessToken: "second", RefreshToken: "r", Expiry: time.Unix(1, 0), Version: version})
		wantDue(t, s, time.Now(), "account")
		remove(t, s, "account")
		want(t, s, "account", nil)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("Load, Save, Due or Delete waits for the lock that another holds")
		unlock()
		<-done
	}
}

func nothingIsLost(t *testing.T, s pinterest.TokenStore) {
	const goroutines, rounds = 8, 5
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				if !increment(t, s) {
					return
				}
			}
		})
	}
	wg.Wait()
	if tok := load(t, s, "counter"); tok == nil || tok.AccessToken != strconv.Itoa(goroutines*rounds) {
		t.Errorf("%d increments with Lock, Load and Save made another number", goroutines*rounds)
	}
}

// increment changes a token as a refresh does.
func increment(t *testing.T, s pinterest.TokenStore) bool {
	t.Helper()
	defer lock(t, s, "counter")()
	tok := load(t, s, "counter")
	if tok == nil {
		tok = &pinterest.Token{AccessToken: "0"}
	}
	n, err := strconv.Atoi(tok.AccessToken)
	if err != nil {
		t.Errorf("the counter is no number: %v", err)
	}
	tok.AccessToken = strconv.Itoa(n + 1)
	save(t, s, "counter", *tok) // with the lock it meets no conflict
	return !t.Failed()
}

// A call with a context that has ended either fails with its error and changes
// nothing, or succeeds. Lock must fail.
func contextEnded(t *testing.T, s pinterest.TokenStore) {
	first := pinterest.Token{AccessToken: "first", RefreshToken: "r", Expiry: time.Unix(1, 0).UTC()}
	first.Version = save(t, s, "account", first)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if unlock, err := attempt(ctx, s, "free"); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock: %v, want context.Canceled", err)
		if err == nil {
			unlock()
		}
	}
	lock(t, s, "free")()

	check := func(call string, err error) bool {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled or nil", call, err)
		}
		return err == nil
	}
	if tok, err := s.Load(ctx, "account"); check("Load", err) {
		if difference := compare(tok, &first); difference != "" {
			t.Errorf("Load: %s", difference)
		}
	}
	if version, err := s.Version(ctx, "account"); check("Version", err) && version != first.Version {
		t.Errorf("Version is %q, want %q", version, first.Version)
	}
	for name, list := range map[string]iter.Seq2[string, error]{"Due": s.Due(ctx, time.Now()), "Accounts": s.Accounts(ctx)} {
		yielded := 0
		for _, err := range list {
			if !check(name, err) {
				yielded = 1
				break
			}
			yielded++
		}
		if yielded != 1 {
			t.Errorf("%s yields %d accounts and no error, want the account or the error", name, yielded)
		}
	}
	second := first
	second.AccessToken = "second"
	version, err := s.Save(ctx, "account", &second)
	if check("Save", err) {
		second.Version = version
		want(t, s, "account", &second)
	} else {
		want(t, s, "account", &first)
	}
	if check("Delete", s.Delete(ctx, "account")) {
		want(t, s, "account", nil)
	} else if load(t, s, "account") == nil {
		t.Error("Delete returns an error and deletes all the same")
	}
}
