package pinteresttest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestClockMovesBySleeping(t *testing.T) {
	clock := pinteresttest.NewClock(start)
	require.NoError(t, clock.Sleep(t.Context(), 3*time.Hour))
	require.NoError(t, clock.Sleep(t.Context(), 0))
	require.NoError(t, clock.Sleep(t.Context(), -time.Second))
	require.NoError(t, clock.Sleep(t.Context(), time.Second))

	assert.Equal(t, start.Add(3*time.Hour+time.Second), clock.Now())
	assert.Equal(t, []time.Duration{3 * time.Hour, time.Second}, clock.Slept())
	assert.Zero(t, clock.Waiters())

	clock.Advance(time.Minute)
	clock.Advance(-time.Hour)
	assert.Equal(t, start.Add(3*time.Hour+61*time.Second), clock.Now())
}

func TestClockSleepAfterEndOfContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for name, clock := range map[string]*pinteresttest.Clock{
		"auto":   pinteresttest.NewClock(start),
		"manual": pinteresttest.NewManualClock(start),
		"real":   pinteresttest.RealClock(),
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, clock.Sleep(ctx, time.Hour), cause)
			require.ErrorIs(t, clock.Sleep(ctx, 0), cause)
			assert.Empty(t, clock.Slept())
		})
	}
}

func TestManualClock(t *testing.T) {
	clock := pinteresttest.NewManualClock(start)
	done := make(chan time.Duration, 3)
	for _, d := range []time.Duration{time.Second, time.Minute, time.Hour} {
		go func() {
			if clock.Sleep(t.Context(), d) == nil {
				done <- d
			}
		}()
	}
	require.NoError(t, clock.BlockUntil(soon(t), 3))
	assert.Equal(t, 3, clock.Waiters())
	assert.Equal(t, start, clock.Now())

	clock.Advance(time.Second - 1)
	assert.Equal(t, 3, clock.Waiters())
	clock.Advance(1)
	assert.Equal(t, time.Second, <-done)
	assert.Equal(t, 2, clock.Waiters())
	clock.Advance(2 * time.Hour)
	assert.ElementsMatch(t, []time.Duration{time.Minute, time.Hour}, []time.Duration{<-done, <-done})
	assert.Zero(t, clock.Waiters())
	assert.Len(t, clock.Slept(), 3)
}

func TestManualClockLetsGoOfCancelled(t *testing.T) {
	clock := pinteresttest.NewManualClock(start)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	result := make(chan error)
	go func() { result <- clock.Sleep(ctx, time.Hour) }()

	require.NoError(t, clock.BlockUntil(soon(t), 1))
	cancel(cause)
	require.ErrorIs(t, <-result, cause)
	assert.Zero(t, clock.Waiters())
	require.ErrorIs(t, clock.BlockUntil(ctx, 1), cause)
}

func TestRealClock(t *testing.T) {
	// In the bubble time.Now and timers are fake, so that even real sleeps
	// take no time here.
	synctest.Test(t, func(t *testing.T) {
		clock, before := pinteresttest.RealClock(), time.Now()
		require.NoError(t, clock.Sleep(t.Context(), time.Hour))
		assert.Equal(t, time.Hour, time.Since(before))
		assert.Zero(t, clock.Waiters())

		woken := make(chan error)
		go func() { woken <- clock.Sleep(t.Context(), 24*time.Hour) }()
		synctest.Wait()
		clock.Advance(24 * time.Hour)
		require.NoError(t, <-woken)
		assert.Equal(t, time.Hour, time.Since(before), "advancing is not sleeping")
		assert.Equal(t, 24*time.Hour, time.Until(clock.Now()))
	})
}

func TestClockIsSafeForConcurrentUse(t *testing.T) {
	clock := pinteresttest.NewManualClock(start)
	const sleepers = 200
	var group sync.WaitGroup
	for i := range sleepers {
		group.Go(func() { _ = clock.Sleep(t.Context(), time.Duration(i+1)*time.Second) })
	}
	require.NoError(t, clock.BlockUntil(soon(t), sleepers))
	for range sleepers {
		clock.Advance(time.Second)
	}
	group.Wait()
	assert.Equal(t, start.Add(sleepers*time.Second), clock.Now())
}
