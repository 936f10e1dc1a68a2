package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/pinterest-go/pinterest/internal/sealed"
)

// Reencrypt encrypts every token with the current key that is encrypted with another
// one, and returns how many these were. See [WithAEAD]. Any process may use the store
// meanwhile, because the tokens and their versions stay the same. When it fails it can
// be called again. If a record cannot be read, the others are encrypted even so.
func (s *Store) Reencrypt(ctx context.Context) (tokens int, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, s.wrap(err)
	}
	var unreadable []error
	for _, e := range entries {
		name, isRecord := strings.CutSuffix(e.Name(), recordEnd)
		if !isRecord {
			continue
		}
		changed, err := s.reencrypt(ctx, name)
		switch {
		case ctx.Err() != nil:
			return tokens, ctx.Err()
		case err != nil:
			unreadable = append(unreadable, fmt.Errorf("%s: %w", e.Name(), err))
		case changed:
			tokens++
		}
	}
	return tokens, s.wrap(firstOf(unreadable))
}

// reencrypt encrypts the record of an account, whose files have this name.
func (s *Store) reencrypt(ctx context.Context, name string) (changed bool, err error) {
	unlock, err := s.lockFile(ctx, name+writerEnd)
	if err != nil {
		return false, err
	}
	defer unlock()
	rec, path, err := s.record(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // deleted in the meantime
	}
	if err == nil {
		rec.payload, changed, err = s.keys.Reseal(rec.account, rec.payload)
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

// firstOf returns the first of several errors, and how many more there are.
func firstOf(errs []error) error {
	switch n := len(errs); n {
	case 0:
		return nil
	case 1:
		return errs[0]
	default:
		return fmt.Errorf("%w (and %d more that cannot be read)", errs[0], n-1)
	}
}
