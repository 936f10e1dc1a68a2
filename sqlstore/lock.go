package sqlstore

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

// Lock implements pinterest.TokenStore. It acquires a lock within a tenth of a second
// after another process releases it, and within 15 seconds after its holder crashes.
func (s *Store) Lock(ctx context.Context, account string) (unlock func(), err error) {
	// Only one caller of this process at a time queries the database.
	leave, err := s.queue.Lock(ctx, account)
	if err != nil {
		return nil, err
	}
	h := &hold{store: s, id: id(account), holder: rand.Text()}
	if err := h.take(ctx); err != nil {
		leave()
		return nil, s.wrap(ctx, fmt.Errorf("locking account %.100q: %w", account, err))
	}
	stop := h.keep(ctx)
	return sync.OnceFunc(func() {
		stop()
		h.giveBack(ctx)
		leave()
	}), nil
}

// hold is one acquisition of a lock. Each has a holder's name of its own, so that a
// hold whose lease has expired cannot affect the next one.
type hold struct {
	store  *Store
	id     []byte
	holder string
}

// The time between two polls of a lock that another process holds: it begins with 5
// ms and doubles up to 60 ms, with a jitter of one half.
const (
	minLook = 5 * time.Millisecond
	maxLook = 60 * time.Millisecond
)

// take waits for the lease.
func (h *hold) take(ctx context.Context) error {
	for {
		began := time.Now()
		taken, err := h.ask(ctx)
		if err != nil {
			return err
		}
		// If the answer took long, the lease is about to expire, so it is requested
		// again.
		if taken && time.Since(began) < h.store.lease/2 {
			return nil
		}
		if taken {
			continue
		}
		if err := h.wait(ctx); err != nil {
			return err
		}
	}
}

// wait returns when the lease is free. Reading is cheaper for the database than
// trying to acquire the lease, which writes.
func (h *hold) wait(ctx context.Context) error {
	for pause := minLook; ; pause = min(2*pause, maxLook) {
		if err := sleep(ctx, pause/2+mathrand.N(pause)); err != nil {
			return err
		}
		held, err := h.look(ctx)
		if err != nil || !held {
			return err
		}
	}
}

func (h *hold) ask(ctx context.Context) (taken bool, err error) {
	if err := h.store.asks.enter(ctx); err != nil {
		return false, err
	}
	n, err := h.store.exec(ctx, h.store.sql.ask, h.id, h.holder, h.store.lease.Milliseconds())
	h.store.asks.leave()
	if err != nil {
		h.giveBack(ctx) // the database may have granted the lease
	}
	return n == 1, err
}

func (h *hold) look(ctx context.Context) (held bool, err error) {
	if err := h.store.asks.enter(ctx); err != nil {
		return false, err
	}
	defer h.store.asks.leave()
	var n int
	err = h.store.row(ctx, h.store.sql.look, []any{h.id}, &n)
	return n > 0, err
}

// keep renews the lease until stop is called. stop waits for a renewal in progress.
func (h *hold) keep(ctx context.Context) (stop func()) {
	// The lock outlives the context with which it was taken.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) //nolint:gosec // stop calls it
	done := make(chan struct{})
	go func() {
		defer close(done)
		pause := h.store.renew
		for sleep(ctx, pause/2+mathrand.N(pause/2)) == nil {
			lost, err := h.renew(ctx)
			switch {
			case lost:
				return
			case err != nil:
				pause = h.store.renew / 4 // there is time for several retries
			default:
				pause = h.store.renew
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// renew renews the lease, even after it has expired, unless another holder took it.
func (h *hold) renew(ctx context.Context) (lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.store.lease/3)
	defer cancel()
	if err := h.store.keeps.enter(ctx); err != nil {
		return false, err
	}
	defer h.store.keeps.leave()
	n, err := h.store.exec(ctx, h.store.sql.keep, h.id, h.holder, h.store.lease.Milliseconds())
	return err == nil && n == 0, err
}

// giveBack releases the lease. If the database cannot be reached, the lease expires.
func (h *hold) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.store.lease/3)
	defer cancel()
	if h.store.keeps.enter(ctx) != nil {
		return
	}
	defer h.store.keeps.leave()
	_, _ = h.store.exec(ctx, h.store.sql.giveBack, h.id, h.holder)
}
