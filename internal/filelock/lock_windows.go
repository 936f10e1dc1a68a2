package filelock

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// Supported reports whether this operating system has such locks.
const Supported = true

// The locks of Windows, which package syscall does not have.
var (
	kernel32     = syscall.NewLazyDLL("kernel32.dll")
	lockFileEx   = kernel32.NewProc("LockFileEx")
	unlockFileEx = kernel32.NewProc("UnlockFileEx")
)

const (
	lockfileFailImmediately = 0x1
	lockfileExclusiveLock   = 0x2

	errorLockViolation = syscall.Errno(33) // another has the lock
)

// tryLockFile takes the lock of a file, which is that of its first byte, if nobody
// has it.
func tryLockFile(f *os.File) (locked bool, err error) {
	var offset syscall.Overlapped
	ok, _, err := lockFileEx.Call(f.Fd(), lockfileExclusiveLock|lockfileFailImmediately, 0, 1, 0, uintptr(unsafe.Pointer(&offset)))
	switch {
	case ok != 0:
		return true, nil
	case errors.Is(err, errorLockViolation):
		return false, nil
	}
	return false, &os.PathError{Op: "LockFileEx", Path: f.Name(), Err: err}
}

func unlockFile(f *os.File) error {
	var offset syscall.Overlapped
	ok, _, err := unlockFileEx.Call(f.Fd(), 0, 1, 0, uintptr(unsafe.Pointer(&offset)))
	if ok != 0 {
		return nil
	}
	return &os.PathError{Op: "UnlockFileEx", Path: f.Name(), Err: err}
}
