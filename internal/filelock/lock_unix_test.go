//go:build unix

package filelock

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// A waiter may have the file open that the holder removes. Its lock is worth
// nothing then: the next caller locks a new file.
func TestLockOfARemovedFile(t *testing.T) {
	t.Parallel()
	_, a, _ := pathsIn(t)
	var l Locks
	unlock := take(t, &l, a)
	f, err := os.OpenFile(a, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	locked, err := tryLockFile(f)
	require.NoError(t, err)
	require.False(t, locked)
	current, err := isCurrent(f)
	require.NoError(t, err)
	require.True(t, current)
	unlock()

	locked, err = tryLockFile(f)
	require.NoError(t, err)
	require.True(t, locked)
	current, err = isCurrent(f)
	require.NoError(t, err)
	require.False(t, current, "there is no file of that name")
	defer take(t, &l, a)()
	current, err = isCurrent(f)
	require.NoError(t, err)
	require.False(t, current, "another file has that name")
}

// The holder removes the file between the moments in which TryLock opens and locks it.
func TestTryLockOfARemovedFile(t *testing.T) {
	t.Parallel()
	dir, a, _ := pathsIn(t)
	unlock, err := TryLock(a)
	require.NoError(t, err)
	f, err := open(a)
	require.NoError(t, err)
	unlock()
	other, err := TryLock(a)
	require.NoError(t, err)
	require.NotNil(t, other, "a new file")
	late, err := tryLockOpened(f)
	require.NoError(t, err)
	require.Nil(t, late, "the lock of a file that is not there any more")
	requireHeld(t, new(Locks), a)
	other()
	requireEmpty(t, dir)
}
