package filestore

import (
	"context"
	"errors"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/reserved"
	"github.com/pinterest-go/pinterest/internal/sealed"
)

// Reencrypt encrypts every token with the current key that is encrypted with another
// one, and returns how many these were. See [WithAEAD]. Any process may use the store
// meanwhile, because the tokens and their versions stay the same. When it fails it can
// be called again. If a record cannot be read, the others are encrypted even so.
func (s *Store) Reencrypt(ctx context.Context) (tokens int, err error) {
	err = s.walk(ctx, func(name string) (again bool, err error) {
		changed, err := s.reencrypt(ctx, name)
		if changed {
			tokens++
		}
		return ctx.Err() == nil, err
	})
	if cause := ctx.Err(); cause != nil {
		return tokens, cause
	}
	return tokens, err
}

// reencrypt encrypts the record of an account, whose files have this name.
func (s *Store) reencrypt(ctx context.Context, name string) (changed bool, err error) {
	unlock, err := s.lockFile(ctx, name+writerEnd)
	if err != nil {
		return false, err
	}
	defer unlock()
	rec, path, err := s.record(name)
	if err == nil {
		rec.payload, changed, err = s.keys.Reseal(rec.account, rec.payload)
	}
	if errors.Is(err, pinterest.ErrTokenUnreadable) && reserved.Name(rec.account) {
		return false, nil // the next login replaces it
	}
	if err == nil && changed {
		err = writeFile(path, rec.bytes())
	}
	return changed && err == nil, err
}

// record reads the record whose file has this name.
func (s *Store) record(name string) (rec record, path string, err error) {
	path = s.recordPath(name)
	rec, err = readRecord(path)
	if err == nil && fileName(rec.account) != name {
		err = sealed.ErrDamaged // a file that was renamed by hand
	}
	return rec, path, err
}
