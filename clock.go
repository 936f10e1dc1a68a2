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
