// Package filelock has locks between processes of one machine, which can be
// waited for with a context. They are file locks of the operating system, which
// gives back those of a process that dies. They are not to be trusted on network
// file systems.
package filelock

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest/internal/keylock"
	"github.com/pinterest-go/pinterest/internal/osfile"
	"github.com/pinterest-go/pinterest/internal/realclock"
)

// Locks are exclusive locks by the path of a file. Those who use the same Locks
// wait for one another without polling, first come, first served; the first of
// them polls for a lock that another process, or other Locks, hold. The zero
// value is ready for use. Locks must not be copied after first use.
type Locks struct {
	local keylock.Locks
}

// Lock waits until the caller alone holds the locks of all of the paths and
// returns how to give them back, which may be called more than once. It makes
// the files, for their owner alone, and removes them again; a file that a dead
// process left is taken over. Their folder must exist. A path given twice is
// taken once, but two paths of one file are a deadlock. All callers take paths in
// the same order, so they cannot deadlock with one another. When ctx ends first,
// Lock returns its error; after any error the caller holds nothing. Where
// [Supported] is false the error is [errors.ErrUnsupported].
func (l *Locks) Lock(ctx context.Context, paths ...string) (unlock func(), err error) {
	leave, err := l.local.Lock(ctx, paths...)
	if err != nil {
		return nil, err
	}
	var held []*os.File
	unlock = sync.OnceFunc(func() {
		for _, f := range held {
			release(f)
		}
		leave()
	})
	for _, path := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		f, err := acquire(ctx, path)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, f)
	}
	return unlock, nil
}

// acquire takes the lock of one file. A holder removes the file before it lets
// go, so a lock counts only on the file that the path still names.
func acquire(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		err = wait(ctx, f)
		current := false
		if err == nil {
			current, err = isCurrent(f)
		}
		if current {
			return f, nil
		}
		if err := errors.Join(err, leave(f)); err != nil {
			return nil, err
		}
	}
}

// open opens the file of a lock.
func open(path string) (f *os.File, err error) {
	err = osfile.Retry(func() error {
		f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the caller's path
		return err
	})
	return f, err
}

// TryLock takes the lock of one path without waiting. unlock is nil if somebody has
// it, in this process or in another.
func TryLock(path string) (unlock func(), err error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	return tryLockOpened(f)
}

// tryLockOpened is TryLock for an open file, which it closes.
func tryLockOpened(f *os.File) (unlock func(), err error) {
	current, err := tryLockFile(f)
	if current {
		current, err = isCurrent(f)
	}
	if !current {
		return nil, errors.Join(err, leave(f))
	}
	return sync.OnceFunc(func() { release(f) }), nil
}

// wait asks for the lock of an open file until it has it.
func wait(ctx context.Context, f *os.File) error {
	for {
		locked, err := tryLockFile(f)
		if locked || err != nil {
			return err
		}
		// 5 to 15 ms. Chance keeps waiters from asking in step.
		if err := realclock.Sleep(ctx, 5*time.Millisecond+rand.N(10*time.Millisecond)); err != nil {
			return err
		}
	}
}

// isCurrent reports whether the path of an open file still names it.
func isCurrent(f *os.File) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, named), err
}
