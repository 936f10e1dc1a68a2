// Package realclock is the real clock: the default wherever a clock can be set.
package realclock

import (
	"context"
	"time"
)

// Clock tells the time of the machine and waits. In a bubble of testing/synctest
// its time is the bubble's.
type Clock struct{}

// Now returns the current time.
func (Clock) Now() time.Time { return time.Now() }

// Sleep is the function [Sleep].
func (Clock) Sleep(ctx context.Context, d time.Duration) error { return Sleep(ctx, d) }

// Sleep waits for d. If ctx ends first, it returns ctx's error. It does not wait if
// d is zero or negative.
func Sleep(ctx context.Context, d time.Duration) error {
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
