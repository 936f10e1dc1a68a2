package pinterest

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// This file makes errors of panics in the caller's TokenStore and Ledger. Much of
// what calls them is a goroutine of this package's, where no caller could recover; and
// what was about to be saved must not be lost with the stack.

// panicError is a panic in code of the caller's. It has only the text of the value:
// nobody knows what else the value holds.
type panicError struct{ text string }

func (e panicError) Error() string { return e.text }

// newPanicError describes the value of a panic in what, without the secrets, and
// where it came from.
func newPanicError(what string, value any, secrets ...string) panicError {
	return panicError{redact.String(fmt.Sprintf("panic in %s (%s): %v", what, panicSite(), value), secrets...)}
}

// panicSite returns the file and line that panicked. It is called by the deferred
// function that has recovered, while the stack is still there.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for panicked := false; ; {
		frame, more := frames.Next()
		switch inRuntime := strings.HasPrefix(frame.Function, "runtime."); {
		case frame.Function == "runtime.gopanic":
			panicked = true
		case panicked && !inRuntime:
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		case !more:
			return "unknown place"
		}
	}
}

// recoverInto is to be deferred: it turns a panic in what into an error.
func recoverInto(err *error, what string, secrets ...string) {
	if v := recover(); v != nil {
		*err = newPanicError(what, v, secrets...)
	}
}

// guarded calls f and returns a panic in what as an error.
func guarded(what string, f func()) (err error) {
	defer recoverInto(&err, what)
	f()
	return nil
}

// giveBack is to be deferred: it gives a lock back and adds a panic of that to err.
func giveBack(unlock func(), err *error, wrap func(error) error) {
	panicked := guarded("unlock", unlock)
	switch {
	case panicked == nil:
	case *err == nil:
		*err = wrap(panicked)
	default:
		*err = withError(*err, wrap(panicked))
	}
}

// guardedStore is a TokenStore whose panics are errors, except those of unlock, which
// has no error to return: see [giveBack].
type guardedStore struct{ store TokenStore }

// guardStore returns a store whose panics are errors, or nil for nil.
func guardStore(s TokenStore) TokenStore {
	if s == nil {
		return nil
	}
	return guardedStore{s}
}

func (g guardedStore) Lock(ctx context.Context, account string) (unlock func(), err error) {
	defer recoverInto(&err, "TokenStore.Lock")
	return g.store.Lock(ctx, account)
}

func (g guardedStore) Load(ctx context.Context, account string) (tok *Token, err error) {
	defer recoverInto(&err, "TokenStore.Load")
	return g.store.Load(ctx, account)
}

func (g guardedStore) Save(ctx context.Context, account string, tok *Token) (version string, err error) {
	defer recoverInto(&err, "TokenStore.Save", tok.AccessToken, tok.RefreshToken)
	return g.store.Save(ctx, account, tok)
}

func (g guardedStore) Delete(ctx context.Context, account string) (err error) {
	defer recoverInto(&err, "TokenStore.Delete")
	return g.store.Delete(ctx, account)
}

func (g guardedStore) Version(ctx context.Context, account string) (version string, err error) {
	defer recoverInto(&err, "TokenStore.Version")
	return g.store.Version(ctx, account)
}

func (g guardedStore) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	return guardSeq("TokenStore.Due", func() iter.Seq2[string, error] { return g.store.Due(ctx, before) })
}

func (g guardedStore) Accounts(ctx context.Context) iter.Seq2[string, error] {
	return guardSeq("TokenStore.Accounts", func() iter.Seq2[string, error] { return g.store.Accounts(ctx) })
}

// guardSeq returns the sequence of a method, in which a panic is the last error. A
// panic in the body of the loop over it stays one.
func guardSeq(what string, method func() iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		outside, more := false, true // in the loop's body; it wants more
		defer func() {
			if outside {
				return // the panic is the body's
			}
			if v := recover(); v != nil && more {
				yield("", newPanicError(what, v))
			}
		}()
		for account, err := range method() {
			outside = true
			more = yield(account, err)
			outside = false
			if !more {
				return
			}
		}
	}
}

// guardedLedger is a Ledger whose panics are errors, except those of unlock, as with
// guardedStore.
type guardedLedger struct{ ledger Ledger }

// guardLedger returns a ledger whose panics are errors, or nil for nil.
func guardLedger(l Ledger) Ledger {
	if l == nil {
		return nil
	}
	return guardedLedger{l}
}

func (g guardedLedger) Lock(ctx context.Context, names ...string) (held context.Context, unlock func(), err error) {
	defer recoverInto(&err, "Ledger.Lock")
	return g.ledger.Lock(ctx, names...)
}

func (g guardedLedger) Load(ctx context.Context, name string) (record []byte, err error) {
	defer recoverInto(&err, "Ledger.Load")
	return g.ledger.Load(ctx, name)
}

func (g guardedLedger) Save(ctx context.Context, records map[string][]byte) (err error) {
	defer recoverInto(&err, "Ledger.Save")
	return g.ledger.Save(ctx, records)
}
