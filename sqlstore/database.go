package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/internal/redact"
)

// gate lets so many through at a time, in the order in which they came. A nil
// gate lets all through.
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

// database runs statements. Stores and ledgers are made on it.
type database struct {
	db      *sql.DB
	dialect Dialect
	writes  gate // of all who write, with SQLite
}

func newDatabase(db *sql.DB, dialect Dialect) *database {
	d := &database{db: db, dialect: dialect}
	if dialect == SQLite {
		// It has one writer at a time; waiting in line here is fairer and quicker
		// than having each connection poll for its turn.
		d.writes = make(gate, 1)
	}
	return d
}

// prepare checks that the database keeps what it is given, and makes the
// tables if they are not there.
func (d *database) prepare(ctx context.Context, table string, schema schema) error {
	if err := d.checkDurable(ctx); err != nil {
		return err
	}
	// The probe comes first: CREATE may be forbidden, even with IF NOT EXISTS.
	if d.probe(ctx, schema) == nil {
		return nil
	}
	if err := d.create(ctx, table, schema); err != nil {
		return err
	}
	return d.probe(ctx, schema)
}

func (d *database) probe(ctx context.Context, schema schema) error {
	for _, query := range schema.probe {
		if _, err := d.exec(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

func (d *database) create(ctx context.Context, table string, schema schema) error {
	return d.transact(ctx, func(tx *sql.Tx) error {
		if d.dialect == Postgres {
			// PostgreSQL fails where two make a table at the same moment.
			sum := sha256.Sum256([]byte("pinterest-go/sqlstore " + table))
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(binary.BigEndian.Uint64(sum[:8]))); err != nil {
				return err
			}
		}
		for _, query := range schema.create {
			if _, err := tx.ExecContext(ctx, query); err != nil {
				return err
			}
		}
		return nil
	})
}

// transact runs f in a transaction, again where the database asks for that. With
// PostgreSQL each of its statements sees what was committed before it, whatever the
// default isolation: create waits for its turn in the first one, and the second must
// see what was made meanwhile.
func (d *database) transact(ctx context.Context, f func(tx *sql.Tx) error) error {
	var opts sql.TxOptions
	if d.dialect == Postgres {
		opts.Isolation = sql.LevelReadCommitted
	}
	return d.try(ctx, func() error {
		tx, err := d.db.BeginTx(ctx, &opts)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after Commit it does nothing
		if err := f(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

func (d *database) checkDurable(ctx context.Context) error {
	var setting string
	if d.dialect == Postgres {
		err := d.row(ctx, "SELECT current_setting('synchronous_commit')", nil, &setting)
		if err == nil && setting == "off" {
			err = errors.New("synchronous_commit is off: what was saved would not survive a crash of the server")
		}
		return err
	}
	err := d.row(ctx, "PRAGMA synchronous", nil, &setting)
	if level, _ := strconv.Atoi(setting); err == nil && level < 2 {
		err = errors.New("PRAGMA synchronous is below FULL: what was saved would not survive a power cut")
	}
	return err
}

// exec runs a statement and returns how many rows it has changed.
func (d *database) exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	if err := d.writes.enter(ctx); err != nil {
		return 0, err
	}
	defer d.writes.leave()
	err = d.try(ctx, func() error {
		result, err := d.db.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		rows, err = result.RowsAffected()
		return err
	})
	return rows, err
}

// row reads the one row of a query.
func (d *database) row(ctx context.Context, query string, args []any, into ...any) error {
	return d.try(ctx, func() error { return d.db.QueryRowContext(ctx, query, args...).Scan(into...) })
}

// busyFor is how long a database is asked again that says that it is busy.
const busyFor = 30 * time.Second

// try calls f again where the database has done nothing and a second attempt may
// succeed: SQLite answers that another connection writes, as it does at once
// when no busy timeout is set and in some cases when one is; PostgreSQL could not
// serialize it, or ended it to break a deadlock.
func (d *database) try(ctx context.Context, f func() error) error {
	for began := time.Now(); ; {
		err := f()
		if err == nil || !d.isTransient(err) || time.Since(began) > busyFor {
			return err
		}
		if err := realclock.Sleep(ctx, 2*time.Millisecond+rand.N(8*time.Millisecond)); err != nil {
			return err
		}
	}
}

// isTransient does not know the drivers' error types. SQLite's SQLITE_BUSY and
// SQLITE_LOCKED have the same words with every driver; PostgreSQL's common drivers
// have a method for the code.
func (d *database) isTransient(err error) bool {
	text := err.Error()
	if d.dialect == SQLite {
		return strings.Contains(text, "database is locked") || strings.Contains(text, "database table is locked")
	}
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) {
		return coded.SQLState() == "40001" || coded.SQLState() == "40P01"
	}
	return strings.Contains(text, "could not serialize access") || strings.Contains(text, "deadlock detected")
}

// wrap says that it was the store that failed. A driver's error is found with
// errors.Is, and with errors.As if it holds nothing of what was to be kept secret.
func wrap(ctx context.Context, err error, secrets ...string) error {
	if cause := ctx.Err(); cause != nil {
		return cause // drivers have words of their own for it
	}
	return redact.New(secrets...).Hide(fmt.Errorf("sqlstore: %w", err))
}
