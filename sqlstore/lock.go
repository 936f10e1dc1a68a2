package sqlstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest/internal/keylock"
	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/internal/redact"
)

// ErrLockLost says that a lock was lost before it was given back: its lease ran
// out, as when the database could not be reached or the process was stopped for
// that long, or another holder has taken it.
var ErrLockLost = errors.New("sqlstore: the lock was lost")

// lostError is an ErrLockLost that says which lock it was, and why.
type lostError struct{ text string }

func (e *lostError) Error() string        { return e.text }
func (e *lostError) Is(target error) bool { return target == ErrLockLost }

const (
	lease = 15 * time.Second
	renew = 4 * time.Second
	// askers and keepers are how many connections the locks take at a time.
	askers  = 8
	keepers = 4
)

// leases are the locks of a store: rows of a table, each of which its holder
// renews as long as it holds the lock.
type leases struct {
	*database
	sql leaseStatements

	queue keylock.Locks // of this process's own callers
	asks  gate          // of those who ask for a lease
	keeps gate          // of those who renew one or give it back

	lease, renew time.Duration
}

func newLeases(d *database, w *writer) *leases {
	return &leases{
		database: d, sql: w.leases(),
		asks: make(gate, askers), keeps: make(gate, keepers), lease: lease, renew: renew,
	}
}

// lock waits until the caller alone holds all of the names.
func (l *leases) lock(ctx context.Context, names ...string) (h *hold, unlock func(), err error) {
	// Of the callers of this process one at a time asks the database.
	leave, err := l.queue.Lock(ctx, names...)
	if err != nil {
		return nil, nil, err
	}
	for {
		h = l.newHold(ctx, names)
		err = h.take(ctx)
		if err == nil {
			break
		}
		h.end(ctx)
		// A name that was lost while another was waited for is asked for again.
		if !errors.Is(err, ErrLockLost) || ctx.Err() != nil {
			leave()
			return nil, nil, err
		}
	}
	return h, sync.OnceFunc(func() {
		h.end(ctx)
		leave()
	}), nil
}

// hold is the holding of some names from one lock to its unlock. It has a holder's
// name of its own, so that one whose leases have run out takes nothing from the next.
type hold struct {
	leases *leases
	holder string
	outer  *hold    // what was held already by the context with which this was taken
	names  []string // in the order in which all take them: by id
	ids    [][]byte
	ctx    heldContext
	cancel context.CancelCauseFunc
	stop   func() // ends the renewals

	mu    sync.Mutex
	ends  []time.Time // when the leases end that were taken, by this process's monotonic clock
	timer *time.Timer // to the first of them
	lost  error       // why it is not held any more
	last  error       // why the last renewal failed
}

// newHold prepares a hold whose context is made from ctx.
func (l *leases) newHold(ctx context.Context, names []string) *hold {
	h := &hold{leases: l, holder: rand.Text(), outer: l.held(ctx), names: slices.Clone(names), stop: func() {}}
	slices.SortFunc(h.names, func(a, b string) int { return bytes.Compare(id(a), id(b)) })
	h.names = slices.Compact(h.names)
	for _, name := range h.names {
		h.ids = append(h.ids, id(name))
	}
	ctx, h.cancel = context.WithCancelCause(context.WithValue(ctx, heldKey{l}, h))
	h.ctx = heldContext{ctx, h}
	return h
}

// heldContext ends when the hold is lost. It compares the time whenever it is
// asked, because a process that was stopped may go on before its timer fires.
type heldContext struct {
	context.Context
	hold *hold
}

func (c heldContext) Err() error {
	_ = c.hold.check()
	return c.Context.Err()
}

func (c heldContext) Done() <-chan struct{} {
	_ = c.hold.check()
	return c.Context.Done()
}

// heldKey is the key of a hold of these leases in its context.
type heldKey struct{ leases *leases }

// held returns what the caller holds by its context, or nil. A context that was
// made without cancellation still has it.
func (l *leases) held(ctx context.Context) *hold {
	h, _ := ctx.Value(heldKey{l}).(*hold)
	return h
}

// take takes the leases, one after the other. Those that it has are renewed while
// it waits for the next.
func (h *hold) take(ctx context.Context) error {
	for i := range h.ids {
		if err := h.takeOne(ctx, i); err != nil {
			return err
		}
		if i == 0 {
			h.stop = h.keep(ctx)
		}
	}
	return h.check()
}

// A lock that another process holds is looked at again after about minLook, then
// after twice as long each time, up to maxLook.
const (
	minLook = 5 * time.Millisecond
	maxLook = 60 * time.Millisecond
)

// takeOne waits for the lease of a name.
func (h *hold) takeOne(ctx context.Context, i int) error {
	for {
		began := time.Now()
		taken, err := h.ask(ctx, h.ids[i])
		if err != nil {
			return err
		}
		// If the answer took long the lease is over soon, so it is asked for again.
		if taken && time.Since(began) < h.leases.lease/2 {
			h.taken(began)
			return nil
		}
		if taken {
			continue
		}
		if err := h.wait(ctx, h.ids[i]); err != nil {
			return err
		}
	}
}

// wait returns when the lease is free. A look costs the database less than asking,
// which writes.
func (h *hold) wait(ctx context.Context, id []byte) error {
	for pause := minLook; ; pause = min(2*pause, maxLook) {
		if err := realclock.Sleep(ctx, pause/2+mathrand.N(pause)); err != nil {
			return err
		}
		if err := h.check(); err != nil {
			return err // another name was lost meanwhile
		}
		held, err := h.look(ctx, id)
		if err != nil || !held {
			return err
		}
	}
}

func (h *hold) ask(ctx context.Context, id []byte) (taken bool, err error) {
	l := h.leases
	if err := l.asks.enter(ctx); err != nil {
		return false, err
	}
	n, err := l.exec(ctx, l.sql.ask, id, h.holder, l.lease.Milliseconds())
	l.asks.leave()
	if err != nil {
		h.giveBack(ctx, id) // the database may have done it all the same
	}
	return n == 1, err
}

func (h *hold) look(ctx context.Context, id []byte) (held bool, err error) {
	l := h.leases
	if err := l.asks.enter(ctx); err != nil {
		return false, err
	}
	defer l.asks.leave()
	var n int
	err = l.row(ctx, l.sql.look, []any{id}, &n)
	return n > 0, err
}

// endOf returns when a lease ends, for its holder, that was asked for or renewed at
// this time. The last tenth is left for requests that are on their way by then.
func (h *hold) endOf(asked time.Time) time.Time {
	return asked.Add(h.leases.lease - h.leases.lease/10)
}

// taken adds the lease of the next name, asked for at this time.
func (h *hold) taken(asked time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ends = append(h.ends, h.endOf(asked))
	if h.timer == nil {
		h.timer = time.AfterFunc(time.Until(h.ends[0]), func() { _ = h.check() })
	}
}

// renewed notes that the lease of a name was renewed.
func (h *hold) renewed(i int, asked time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ends[i] = h.endOf(asked)
	if h.lost == nil {
		h.timer.Reset(time.Until(slices.MinFunc(h.ends, time.Time.Compare)))
	}
}

// check returns why the hold is lost, or nil.
func (h *hold) check() error {
	now := time.Now()
	h.mu.Lock()
	over := h.lost == nil && slices.ContainsFunc(h.ends, func(end time.Time) bool { return !now.Before(end) })
	lost, last := h.lost, h.last
	h.mu.Unlock()
	if !over {
		return lost
	}
	why := "its lease ran out before it was renewed"
	if last != nil {
		why += ": " + redact.String(last.Error())
	}
	return h.lose(h.names, why)
}

// lose ends the hold's context, and returns why.
func (h *hold) lose(names []string, why string) error {
	return h.over(&lostError{fmt.Sprintf("the lock on %s was lost: %s", quote(names), why)})
}

// quote lists names in an error.
func quote(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = fmt.Sprintf("%.200q", name)
	}
	return strings.Join(texts, ", ")
}

// over ends the hold's context with a cause, and returns the cause that it has.
func (h *hold) over(cause error) error {
	h.mu.Lock()
	if h.lost == nil {
		h.lost = cause
	}
	cause = h.lost
	if h.timer != nil {
		h.timer.Stop()
	}
	h.mu.Unlock()
	h.cancel(cause)
	return cause
}

// keep renews the leases until stop is called, which waits for its end. It goes on
// after a lease has run out, because the holder may still have work under way that
// should end before another begins.
func (h *hold) keep(ctx context.Context) (stop func()) {
	// The lock outlives the context with which it was taken.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) //nolint:gosec // stop calls it
	done := make(chan struct{})
	go func() {
		defer close(done)
		pause := h.leases.renew
		for realclock.Sleep(ctx, pause/2+mathrand.N(pause/2)) == nil {
			lost, err := h.renew(ctx)
			h.mu.Lock()
			h.last = err
			h.mu.Unlock()
			switch {
			case lost:
				return
			case err != nil:
				pause = h.leases.renew / 4 // there is time for some more
			default:
				pause = h.leases.renew
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// renew also brings back a lease that has run out, unless another took it.
func (h *hold) renew(ctx context.Context) (lost bool, err error) {
	l := h.leases
	ctx, cancel := context.WithTimeout(ctx, l.lease/3)
	defer cancel()
	if err := l.keeps.enter(ctx); err != nil {
		return false, err
	}
	defer l.keeps.leave()
	h.mu.Lock()
	ids := h.ids[:len(h.ends)]
	h.mu.Unlock()
	// One statement for each: one that locks several rows could deadlock.
	for i, id := range ids {
		asked := time.Now()
		n, err := l.exec(ctx, l.sql.keep, id, h.holder, l.lease.Milliseconds())
		if err != nil {
			return false, err
		}
		if n == 0 {
			_ = h.lose(h.names[i:i+1], "its lease ran out and was taken by another, or was deleted")
			return true, nil
		}
		h.renewed(i, asked)
	}
	return false, nil
}

// end ends the hold and gives its leases back.
func (h *hold) end(ctx context.Context) {
	h.stop()
	_ = h.over(fmt.Errorf("the lock on %s was given back: %w", quote(h.names), context.Canceled))
	h.giveBack(ctx, h.ids[:len(h.ends)]...)
}

// giveBack ends leases. If the database cannot be reached they end by themselves.
func (h *hold) giveBack(ctx context.Context, ids ...[]byte) {
	l := h.leases
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.lease/3)
	defer cancel()
	if l.keeps.enter(ctx) != nil {
		return
	}
	defer l.keeps.leave()
	for _, id := range ids {
		_, _ = l.exec(ctx, l.sql.giveBack, id, h.holder)
	}
}
