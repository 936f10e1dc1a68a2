package keylock

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// take takes names that are free, or will be.
func take(t *testing.T, l *Locks, names ...string) (unlock func()) {
	t.Helper()
	unlock, err := l.Lock(t.Context(), names...)
	require.NoError(t, err)
	return unlock
}

// requireHeld checks that the names cannot be had.
func requireHeld(t *testing.T, l *Locks, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := l.Lock(ctx, names...)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Locks
		unlock := take(t, &l, "a")
		requireHeld(t, &l, "a")
		take(t, &l, "b")()
		unlock()
		take(t, &l, "a")()
		assert.Empty(t, l.names, "names that nobody uses are forgotten")
	})
}

func TestLockOfSeveral(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Locks
		unlock := take(t, &l, "b", "a", "b", "a")
		assert.Len(t, l.names, 2)
		for _, name := range []string{"a", "b"} {
			requireHeld(t, &l, name)
			requireHeld(t, &l, "0", name)
			requireHeld(t, &l, name, "z")
		}
		take(t, &l, "0", "z")() // whoever waited in vain holds nothing
		unlock()
		take(t, &l, "a", "b")()
		take(t, &l)()
		assert.Empty(t, l.names)
	})
}

// The second unlock comes when another holds the lock: it must not take it away.
func TestUnlockTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Locks
		first := take(t, &l, "a", "b")
		first()
		second := take(t, &l, "a", "b")
		first()
		requireHeld(t, &l, "a")
		requireHeld(t, &l, "b")
		second()
		assert.Empty(t, l.names)
	})
}

// Those who wait are served in the order in which they came, also when some of
// them leave, and those who come anew do not pass them.
func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l Locks
		unlock := take(t, &l, "a")
		const waiters = 20
		var served []int
		var want []int
		for i := range waiters {
			ctx := t.Context()
			if leaves := i%5 == 2; leaves {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Minute)
				defer cancel()
			} else {
				want = append(want, i)
			}
			go func() {
				unlock, err := l.Lock(ctx, "a")
				if err != nil {
					return
				}
				served = append(served, i) // the lock is what protects it
				time.Sleep(time.Second)
				unlock()
			}()
			synctest.Wait()
		}
		time.Sleep(2 * time.Minute)
		unlock()
		take(t, &l, "a")() // comes last
		assert.Equal(t, want, served)
		assert.Empty(t, l.names)
	})
}

// Who comes with a context that has ended takes nothing, not even what is free.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	var l Locks
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		unlock, err := l.Lock(ctx, "a")
		require.ErrorIs(t, err, context.Canceled)
		require.Nil(t, unlock)
	}
	assert.Empty(t, l.names)
}

func TestNeverTwoAtOnce(t *testing.T) {
	t.Parallel()
	var l Locks
	var inside [3]atomic.Int32
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			for i := range 200 {
				held := []int{(g + i) % 3}
				if b := (g*i + 1) % 3; b != held[0] {
					held = append(held, b)
				}
				names := make([]string, len(held))
				for i, n := range held {
					names[i] = strconv.Itoa(n)
				}
				ctx, cancel := t.Context(), func() {}
				if i%7 == 0 {
					ctx, cancel = context.WithTimeout(ctx, 20*time.Microsecond)
				}
				unlock, err := l.Lock(ctx, names...)
				cancel()
				if err != nil {
					continue
				}
				for _, n := range held {
					assert.Equal(t, int32(1), inside[n].Add(1))
				}
				for _, n := range held {
					inside[n].Add(-1)
				}
				unlock()
			}
		})
	}
	wg.Wait()
	assert.Empty(t, l.names)
}

func BenchmarkLock(b *testing.B) {
	var l Locks
	for b.Loop() {
		unlock, err := l.Lock(b.Context(), "account")
		if err != nil {
			b.Fatal(err)
		}
		unlock()
	}
}
