package filestore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Lock implements pinterest.TokenStore.
func (s *Store) Lock(ctx context.Context, account string) (unlock func(), err error) {
	return s.lock(ctx, account, holderEnd)
}

// lock acquires one of an account's two locks. Each has a file of its own, because a
// save must not wait for the holder of [Store.Lock].
func (s *Store) lock(ctx context.Context, account, end string) (unlock func(), err error) {
	unlock, err = s.lockFile(ctx, fileName(account)+end)
	if err == nil {
		return unlock, nil
	}
	if cause := ctx.Err(); cause != nil && errors.Is(err, cause) {
		return nil, cause
	}
	return nil, s.wrapAccount(account, fmt.Errorf("locking: %w", err))
}

// lockFile acquires the lock of a lock file.
func (s *Store) lockFile(ctx context.Context, name string) (unlock func(), err error) {
	return s.locks.Lock(ctx, filepath.Join(s.lockDir, name))
}
