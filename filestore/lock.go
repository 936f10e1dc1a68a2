package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Lock implements pinterest.TokenStore.
func (s *Store) Lock(ctx context.Context, account string) (unlock func(), err error) {
	return s.lock(ctx, s.holders, account, "lock")
}

// lock waits in this process's queue, then for the other processes. So only
// the first in the queue has a file open, and asks for it again and again.
func (s *Store) lock(ctx context.Context, queue *pinterest.MemoryLedger, account, end string) (unlock func(), err error) {
	leave, err := queue.Lock(ctx, account)
	if err != nil {
		return nil, err
	}
	f, err := acquire(ctx, filepath.Join(s.locks, fileName(account)+"."+end))
	if err != nil {
		leave()
		if cause := ctx.Err(); cause != nil && errors.Is(err, cause) {
			return nil, cause
		}
		return nil, s.wrapAccount(account, fmt.Errorf("locking: %w", err))
	}
	return sync.OnceFunc(func() {
		// Neither can be helped: a file that stays is taken over by the next lock,
		// and a lock that is not given back is given back when the process ends.
		// It is removed first: after the lock it could be another's.
		_ = os.Remove(f.Name())
		_ = f.Close()
		leave()
	}), nil
}

// acquire takes the lock of a file. Who holds it removes the file before it
// lets go, so a lock counts only on the file that is still there.
func acquire(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // its name is a hash
		if err != nil {
			return nil, err
		}
		mine, err := waitFor(ctx, f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if mine {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// waitFor asks for the lock of an open file until it has it, and tells whether
// the file is still the one of its name.
func waitFor(ctx context.Context, f *os.File) (mine bool, err error) {
	for {
		locked, err := tryLock(f)
		if err != nil {
			return false, err
		}
		if locked {
			break
		}
		// 5 to 15 ms. Chance keeps waiters from asking in step.
		timer := time.NewTimer(5*time.Millisecond + rand.N(10*time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		}
	}
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, there), err
}
