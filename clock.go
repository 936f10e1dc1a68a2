package pinterest

import (
	"context"
	"time"
)

// Clock is for tests: it tells the time and waits. The default is the real clock. A
// test can set another one with [WithClock], such as that of package pinteresttest,
// so that waits take no time.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
	// Sleep waits for d. If ctx ends first, it returns ctx's error.
	Sleep(ctx context.Context, d time.Duration) error
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
