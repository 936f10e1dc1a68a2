package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pinterest-go/pinterest"
)

// Reencrypt encrypts every token with the current key that is encrypted with another
// one, and returns how many these were. See [WithAEAD]. Any process may use the store
// meanwhile, because the tokens and their versions stay the same. When it fails it can
// be called again. If a record cannot be read, the others are encrypted even so.
func (s *Store) Reencrypt(ctx context.Context) (tokens int, err error) {
	var first error
	unreadable := 0
	for after := []byte{}; ; {
		ids, err := s.idsAfter(ctx, after)
		if err != nil {
			return tokens, wrap(ctx, fmt.Errorf("listing the tokens: %w", err))
		}
		for _, id := range ids {
			changed, err := s.reencrypt(ctx, id)
			switch {
			case ctx.Err() != nil:
				return tokens, wrap(ctx, err)
			case err != nil && first == nil:
				first = err
			case err != nil:
				unreadable++
			case changed:
				tokens++
			}
		}
		if len(ids) < page {
			break
		}
		after = ids[len(ids)-1]
	}
	if unreadable > 0 {
		first = fmt.Errorf("%w (and %d more that failed)", first, unreadable)
	}
	if first != nil {
		return tokens, wrap(ctx, first)
	}
	return tokens, nil
}

// reencrypt encrypts the record of an account.
func (s *Store) reencrypt(ctx context.Context, id []byte) (changed bool, err error) {
	for range 20 {
		var account, record []byte
		var version string
		err := s.row(ctx, s.sql.loadAll, []any{id}, &account, &version, &record)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil // deleted in the meantime
		}
		if err == nil {
			record, changed, err = s.keys.Reseal(string(account), record)
		}
		if err == nil && !changed {
			return false, nil
		}
		var n int64
		if err == nil {
			n, err = s.exec(ctx, s.sql.reseal, id, version, record)
		}
		if err != nil {
			return false, fmt.Errorf("encrypting the token of account %.100q: %w", account, err)
		}
		if n == 1 {
			return true, nil
		}
		// It was saved in the meantime, maybe by a process that uses another key.
	}
	return false, fmt.Errorf("a token was saved again and again while it was encrypted: %w", pinterest.ErrTokenConflict)
}

// idsAfter returns the keys of the next records after one.
func (s *Store) idsAfter(ctx context.Context, after []byte) (ids [][]byte, err error) {
	err = s.try(ctx, func() error {
		ids = nil
		rows, err := s.db.QueryContext(ctx, s.sql.ids, after, page)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err has told what it could
		for rows.Next() {
			var id []byte
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}
