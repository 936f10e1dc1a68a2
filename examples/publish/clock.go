package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/pinterest-go/pinterest"
)

// wallClock is the time of the machine.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// meter is a clock that knows for which row the library waits. It takes the row from
// the context of the call.
type meter struct {
	pinterest.Clock
	waiting func(r row, d time.Duration) // told of every wait as it begins; may be nil
	total   atomic.Int64
}

// waits is what one row has waited. A refresh of the token can wait on a row's
// behalf in a goroutine of its own, so it is counted atomically.
type waits struct {
	row   row
	total atomic.Int64
}

func (w *waits) duration() time.Duration { return time.Duration(w.total.Load()) }

type waitsKey struct{}

// follow counts the waits of the calls made with the context.
func (m *meter) follow(ctx context.Context, r row) (context.Context, *waits) {
	w := &waits{row: r}
	return context.WithValue(ctx, waitsKey{}, w), w
}

// Sleep implements pinterest.Clock.
func (m *meter) Sleep(ctx context.Context, d time.Duration) error {
	w, _ := ctx.Value(waitsKey{}).(*waits)
	if w != nil && d > 0 && m.waiting != nil {
		m.waiting(w.row, d)
	}
	began := m.Now()
	err := m.Clock.Sleep(ctx, d)
	if err != nil {
		d = max(0, min(d, m.Now().Sub(began)))
	}
	m.total.Add(int64(d))
	if w != nil {
		w.total.Add(int64(d))
	}
	return err
}
