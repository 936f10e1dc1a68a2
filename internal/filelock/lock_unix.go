//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Supported reports whether this operating system has such locks.
const Supported = true

// tryLockFile takes the lock of a file if nobody has it.
func tryLockFile(f *os.File) (locked bool, err error) {
	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// release gives a lock back. None of its errors can be acted on: a file that
// stays is taken over by the next holder, and a lock that stays is given back
// when the process ends.
func release(f *os.File) {
	// Once the lock is given back the file can be another's.
	_ = os.Remove(f.Name())
	// Closing alone is not enough: a child process that is being started has a
	// copy of the descriptor for a moment.
	_ = flock(f, syscall.LOCK_UN)
	_ = leave(f)
}

// leave closes a file whose lock the caller does not hold, or holds no more.
func leave(f *os.File) error { return f.Close() }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}
