package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Supported reports whether this operating system has such locks.
const Supported = true

// tryLockFile takes the lock of a file, which is that of its first byte, if nobody
// has it.
func tryLockFile(f *os.File) (locked bool, err error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err = windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION):
		return false, nil
	}
	return false, &os.PathError{Op: "LockFileEx", Path: f.Name(), Err: err}
}

// release gives a lock back. None of its errors can be acted on: a lock that stays is
// given back when the process ends.
func release(f *os.File) {
	_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped))
	_ = leave(f)
}

// leave closes a file and removes it. Windows does not remove a file that anybody has
// open, so a lock that others hold, or wait for, keeps its file: the last one of them
// removes it.
func leave(f *os.File) error {
	err := f.Close()
	_ = os.Remove(f.Name())
	return err
}
