package sqlstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// gate limits how many callers are inside at a time. Waiters enter in the order in
// which they came. A nil gate has no limit.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
	if g == nil {
		return ctx.Err()
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() {
	if g != nil {
		<-g
	}
}

// prepare checks that the database is durable, and creates the tables if they do not
// exist.
func (s *Store) prepare(ctx context.Context, table string) error {
	if err := s.checkDurable(ctx); err != nil {
		return err
	}
	// Checked first, because CREATE may be forbidden, even with IF NOT EXISTS.
	if s.probe(ctx) == nil {
		return nil
	}
	if err := s.create(ctx, table); err != nil {
		return err
	}
	return s.probe(ctx)
}

func (s *Store) probe(ctx context.Context) error {
	for _, query := range s.sql.probe {
		if _, err := s.exec(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) create(ctx context.Context, table string) error {
	return s.try(ctx, func() error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after Commit it does nothing
		if s.dialect == Postgres {
			// PostgreSQL fails when two connections create a table at the same moment.
			sum := sha256.Sum256([]byte("pinterest-go/sqlstore " + table))
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(binary.BigEndian.Uint64(sum[:8]))); err != nil {
				return err
			}
		}
		for _, query := range s.sql.create {
			if _, err := tx.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

func (s *Store) checkDurable(ctx context.Context) error {
	var setting string
	if s.dialect == Postgres {
		err := s.row(ctx, "SELECT current_setting('synchronous_commit')", nil, &setting)
		if err == nil && setting == "off" {
			err = errors.New("synchronous_commit is off: a token that was saved would not survive a crash of the server")
		}
		return err
	}
	err := s.row(ctx, "PRAGMA synchronous", nil, &setting)
	if level, _ := strconv.Atoi(setting); err == nil && level < 2 {
		err = errors.New("PRAGMA synchronous is below FULL: a token that was saved would not survive a power cut")
	}
	return err
}

// exec runs a statement and returns how many rows it has changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	if err := s.writes.enter(ctx); err != nil {
		return 0, err
	}
	defer s.writes.leave()
	err = s.try(ctx, func() error {
		result, err := s.db.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		rows, err = result.RowsAffected()
		return err
	})
	return rows, err
}

// row reads the one row of a query.
func (s *Store) row(ctx context.Context, query string, args []any, into ...any) error {
	return s.try(ctx, func() error { return s.db.QueryRowContext(ctx, query, args...).Scan(into...) })
}

// busyFor is how long a statement is retried while the database is busy.
const busyFor = 30 * time.Second

// try calls f again while SQLite answers that another connection writes. Without a
// busy timeout it answers so at once, in some cases also with one. The statement
// then had no effect.
func (s *Store) try(ctx context.Context, f func() error) error {
	for began := time.Now(); ; {
		err := f()
		if err == nil || s.dialect != SQLite || !isBusy(err) || time.Since(began) > busyFor {
			return err
		}
		if err := sleep(ctx, 2*time.Millisecond+rand.N(8*time.Millisecond)); err != nil {
			return err
		}
	}
}

// isBusy recognizes SQLite's SQLITE_BUSY and SQLITE_LOCKED by their messages, which
// are the same with every driver. The drivers' error types are not known here.
func isBusy(err error) bool {
	text := err.Error()
	return strings.Contains(text, "database is locked") || strings.Contains(text, "database table is locked")
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wrapAccount adds the account and the operation to an error, and redacts the
// secrets in its text.
func (s *Store) wrapAccount(ctx context.Context, doing, account string, err error, secrets ...string) error {
	return s.wrap(ctx, fmt.Errorf("%s the token of account %.100q: %w", doing, account, err), secrets...)
}

// wrap marks an error as the store's. A driver's errors may hold anything: they can
// be found with errors.Is and errors.As, but only their text is printed.
func (s *Store) wrap(ctx context.Context, err error, secrets ...string) error {
	if cause := ctx.Err(); cause != nil {
		return cause // drivers have words of their own for it
	}
	return &storeError{text: redact.String("sqlstore: "+err.Error(), secrets...), cause: err}
}

type storeError struct {
	text  string
	cause error
}

func (e *storeError) Error() string        { return e.text }
func (e *storeError) GoString() string     { return strconv.Quote(e.text) }
func (e *storeError) Is(target error) bool { return errors.Is(e.cause, target) }
func (e *storeError) As(target any) bool   { return errors.As(e.cause, target) }
