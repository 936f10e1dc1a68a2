package filelock

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/internal/osfile"
)

// Two Locks share nothing but the files, as two processes do.

// take takes paths that are free, or soon will be.
func take(t *testing.T, l *Locks, paths ...string) (unlock func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	unlock, err := l.Lock(ctx, paths...)
	require.NoError(t, err)
	return unlock
}

// requireHeld checks that the paths cannot be had.
func requireHeld(t *testing.T, l *Locks, paths ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := l.Lock(ctx, paths...)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// pathsIn returns the paths of files in a new folder.
func pathsIn(t *testing.T) (dir, a, b string) {
	t.Helper()
	dir = t.TempDir()
	return dir, filepath.Join(dir, "a"), filepath.Join(dir, "b")
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir, a, b := pathsIn(t)
	var here, there Locks
	unlock := take(t, &here, a)
	info, err := os.Stat(a)
	require.NoError(t, err)
	if osfile.HasModes {
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	}
	for _, l := range []*Locks{&here, &there} {
		requireHeld(t, l, a)
		requireHeld(t, l, a, b)
		requireHeld(t, l, b, a)
		take(t, l, b)() // whoever waited in vain holds nothing
	}
	unlock()
	requireEmpty(t, dir)
	take(t, &there, a, b, a, b)()
	take(t, &here)()
	requireEmpty(t, dir)
}

// The second unlock comes when another holds the lock: it must not take the
// other's lock away, so that a third gets in.
func TestUnlockTwice(t *testing.T) {
	t.Parallel()
	_, a, b := pathsIn(t)
	var x, y, z Locks
	first := take(t, &x, a, b)
	first()
	second := take(t, &y, a, b)
	first()
	requireHeld(t, &z, a)
	requireHeld(t, &z, b)
	second()
	take(t, &z, a, b)()
}

func TestLeftFileIsTakenOver(t *testing.T) {
	t.Parallel()
	dir, a, _ := pathsIn(t)
	require.NoError(t, os.WriteFile(a, []byte("left"), 0o600))
	var x, y Locks
	unlock := take(t, &x, a)
	requireHeld(t, &y, a)
	unlock()
	requireEmpty(t, dir)
}

func TestTryLock(t *testing.T) {
	t.Parallel()
	dir, a, _ := pathsIn(t)
	var l Locks
	unlock := take(t, &l, a)
	other, err := TryLock(a)
	require.NoError(t, err)
	require.Nil(t, other)
	requireHeld(t, new(Locks), a)
	unlock()
	other, err = TryLock(a)
	require.NoError(t, err)
	require.NotNil(t, other)
	requireHeld(t, &l, a)
	other()
	unlock = take(t, &l, a)
	other() // a second time: it is another's lock now
	requireHeld(t, new(Locks), a)
	unlock()
	requireEmpty(t, dir)
	_, err = TryLock(filepath.Join(dir, "missing", "a"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestNeverTwoAtOnce(t *testing.T) {
	t.Parallel()
	dir, a, b := pathsIn(t)
	orders := [][]string{{a}, {a, b}, {b, a}}
	const rounds = 20
	var inside, entries atomic.Int32
	var wg sync.WaitGroup
	for range 3 {
		l := new(Locks)
		for _, paths := range orders {
			wg.Go(func() {
				for range rounds {
					unlock := take(t, l, paths...)
					assert.Equal(t, int32(1), inside.Add(1))
					entries.Add(1)
					inside.Add(-1)
					unlock()
				}
			})
		}
	}
	wg.Wait()
	assert.Equal(t, int32(3*len(orders)*rounds), entries.Load())
	requireEmpty(t, dir)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	dir, a, b := pathsIn(t)
	var l Locks
	t.Run("no folder", func(t *testing.T) {
		missing := filepath.Join(dir, "missing", "c")
		unlock, err := l.Lock(t.Context(), a, missing)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, missing)
		assert.Nil(t, unlock)
		take(t, &l, a)() // the other was given back
	})
	t.Run("a folder", func(t *testing.T) {
		require.NoError(t, os.Mkdir(b, 0o700))
		_, err := l.Lock(t.Context(), b)
		require.ErrorContains(t, err, b)
		require.NoError(t, os.Remove(b))
	})
	t.Run("the context has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.Lock(ctx, a)
		require.ErrorIs(t, err, context.Canceled)
	})
	requireEmpty(t, dir)
}

func BenchmarkLock(b *testing.B) {
	var l Locks
	path := filepath.Join(b.TempDir(), "lock")
	for b.Loop() {
		unlock, err := l.Lock(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		unlock()
	}
}
