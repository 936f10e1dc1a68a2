package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/reserved"
	"github.com/pinterest-go/pinterest/internal/sealed"
)

// Reencrypt encrypts every token with the current key that is encrypted with another
// one, and returns how many these were. See [WithAEAD]. Any process may use the store
// meanwhile, because the tokens and their versions stay the same. When it fails it can
// be called again. If a record cannot be read, the others are encrypted even so.
func (s *Store) Reencrypt(ctx context.Context) (tokens int, err error) {
	var unreadable sealed.Unreadable
	for account, err := range s.Accounts(ctx) {
		if err != nil {
			return tokens, err
		}
		changed, err := s.reencrypt(ctx, account)
		switch {
		case ctx.Err() != nil:
			return tokens, ctx.Err()
		case err != nil:
			unreadable.Add(fmt.Errorf("encrypting the token of account %.100q: %w", account, err))
		case changed:
			tokens++
		}
	}
	if err := unreadable.Err(); err != nil {
		return tokens, wrap(ctx, err)
	}
	return tokens, nil
}

// reencrypt encrypts the record of an account.
func (s *Store) reencrypt(ctx context.Context, account string) (changed bool, err error) {
	for range 20 {
		var record []byte
		var version string
		err := s.row(ctx, s.sql.load, []any{id(account)}, &version, &record)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil // deleted in the meantime
		}
		if err == nil {
			record, changed, err = s.keys.Reseal(account, record)
		}
		if errors.Is(err, pinterest.ErrTokenUnreadable) && reserved.Name(account) {
			return false, nil // the next login replaces it
		}
		if err != nil || !changed {
			return false, err
		}
		n, err := s.exec(ctx, s.sql.reseal, id(account), version, record)
		if err != nil || n == 1 {
			return err == nil, err
		}
		// It was saved in the meantime, maybe by a process that uses another key.
	}
	return false, fmt.Errorf("it was saved again and again meanwhile: %w", pinterest.ErrTokenConflict)
}
