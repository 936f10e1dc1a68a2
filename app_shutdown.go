package pinterest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// ErrShutdown says that the call was not sent because [App.Shutdown] was called.
const ErrShutdown = constError("pinterest: the app is shut down")

// Shutdown lets the process end without losing an account. Pinterest rotates the
// refresh token with every refresh, so a process that ends between the answer to a
// refresh and its save takes the only copy of the new token with it.
//
// From the moment that Shutdown is called, new calls of the app's clients are refused
// with [ErrShutdown], of class canceled and disposition park: another process can
// make them. So are new renewals, logins, and runs of [App.RefreshDue], which ends
// early. Shutdown returns nil when all renewals and saves that were under way have
// ended. A rotated token that the store would not take is saved again until it does.
// Calls that were under way go on, unless they need another token; Shutdown does not
// wait for them.
//
// When ctx ends first, Shutdown returns a [*ShutdownError] with the accounts that are
// left. Their renewals go on, so Shutdown can be called again. A renewal takes up to
// three minutes when Pinterest is slow, and usually less than a second: give ctx what
// the process has, such as 20 seconds of the 30 between SIGTERM and SIGKILL.
func (a *App) Shutdown(ctx context.Context) error { return a.shutdown(ctx) }

// Shutdown is [App.Shutdown] for a client of [New], such as one with
// [WithRefreshToken]: it waits until a rotated token is stored. It shuts down the
// whole app, so a client of an App has no use for it.
func (c *Client) Shutdown(ctx context.Context) error { return c.shutdown(ctx) }

func (k *core) shutdown(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("pinterest: shutting down: %w", errNilContext)
	}
	k.work.close()
	for tried := false; ; tried = true {
		err := k.work.wait(ctx)
		unsaved := k.accounts.unsaved()
		if err == nil && len(unsaved) == 0 {
			return nil
		}
		if err == nil && tried {
			err = k.clock.Sleep(ctx, shareFailure)
		}
		if err != nil {
			left := k.work.accounts()
			for _, acct := range unsaved {
				left = append(left, acct.name)
			}
			slices.Sort(left)
			return &ShutdownError{Accounts: slices.Compact(left), cause: err}
		}
		for _, acct := range unsaved {
			acct.tokens.saveAgain(ctx)
		}
	}
}

// ShutdownError is the error of an [App.Shutdown] whose context ended too early.
type ShutdownError struct {
	Accounts []string // those that have a renewal or a save under way, sorted
	cause    error
}

// Error lists up to ten of the accounts.
func (e *ShutdownError) Error() string {
	const most = 10
	names := make([]string, 0, most)
	for _, account := range e.Accounts[:min(most, len(e.Accounts))] {
		names = append(names, fmt.Sprintf("%.100q", account))
	}
	if n := len(e.Accounts) - most; n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	return fmt.Sprintf("pinterest: shutting down: accounts with a renewal or a save under way: %s: %v", strings.Join(names, ", "), e.cause)
}

// Unwrap returns the error of the context.
func (e *ShutdownError) Unwrap() error { return e.cause }

// work is what an App has under way that must be ended before the process ends.
type work struct {
	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc

	mu      sync.Mutex
	running map[string]int // by account
	idle    chan struct{}  // closed when nothing runs any more; nil while nobody waits for it
}

func newWork() *work {
	w := &work{running: map[string]int{}}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// close lets nothing begin any more.
func (w *work) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel()
}

// over reports whether the app is shut down.
func (w *work) over() bool { return w.ctx.Err() != nil }

// bind returns a context that ends with the shutdown, too.
func (w *work) bind(ctx context.Context) (_ context.Context, cancel context.CancelCauseFunc) {
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(w.ctx, func() { end(ErrShutdown) })
	if w.over() { // AfterFunc does not wait for its function
		end(ErrShutdown)
	}
	return ctx, func(cause error) {
		stop()
		end(cause)
	}
}

// begin notes that work for an account begins, unless the app is shut down. Whoever
// is let in calls end.
func (w *work) begin(account string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over() {
		return false
	}
	w.running[account]++
	return true
}

// beginLast is begin for what Shutdown itself has to do.
func (w *work) beginLast(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[account]++
}

func (w *work) end(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running[account]--; w.running[account] == 0 {
		delete(w.running, account)
	}
	if len(w.running) == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// wait returns nil when nothing runs.
func (w *work) wait(ctx context.Context) error {
	w.mu.Lock()
	if len(w.running) == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accounts returns the accounts that work is under way for.
func (w *work) accounts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.running))
}

// underwayKey is the key of the work that a context belongs to.
type underwayKey struct{}

// underway returns a context for the calls that work under way is made of: they are
// let in although the app is shut down.
func (k *core) underway(ctx context.Context) context.Context {
	return context.WithValue(ctx, underwayKey{}, k.work)
}

// admit returns an error for a call that begins when the app is shut down.
func (c *Client) admit(ctx context.Context, cl *call) *Error {
	if !c.work.over() || ctx.Value(underwayKey{}) == any(c.work) {
		return nil
	}
	return cl.newError(ClassCanceled, DispositionPark, ErrShutdown)
}
