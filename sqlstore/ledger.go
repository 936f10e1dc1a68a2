package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/realclock"
)

// Ledger implements pinterest.Ledger in a database, with PostgreSQL for any
// number of machines. It is safe for concurrent use, and needs no closing; the
// database is the application's to close.
//
// A holder that is stopped, or cannot reach the database, for longer than a lease
// lasts loses its locks. The context of the lock has ended by then, with an
// [ErrLockLost] as its cause, so that nothing is sent with it any more. A Save with that
// context, or with one made from it, fails as well: it saves in one statement
// with the check that the locks are still held, so that it cannot overwrite
// what the next holder has saved.
type Ledger struct {
	*database
	w     *writer
	locks *leases

	load, prune string
}

var _ pinterest.Ledger = (*Ledger)(nil)

// ledgerVersion is the form of a ledger's tables and records.
const ledgerVersion = 1

// OpenLedger opens the ledger in a database, and makes its tables as [Open] does.
// The default table is "pinterest_ledger". Beside it there are "_locks" and
// "_schema". A ledger whose tables were made by a version of this package that
// this one does not know is refused. [WithAEAD] is for tokens alone.
func OpenLedger(ctx context.Context, db *sql.DB, dialect Dialect, opts ...Option) (*Ledger, error) {
	o := options{table: "pinterest_ledger"}
	for _, opt := range opts {
		opt(&o)
	}
	l, err := newLedger(db, dialect, o)
	if err == nil {
		schema := l.w.schema(
			[]string{probeLedger, probeLocks, probeSchema},
			[]string{createLedger, createSaved, createLocks, createSchema, setSchema},
		)
		err = l.prepare(ctx, o.table, schema)
	}
	if err == nil {
		err = l.checkVersion(ctx)
	}
	if err != nil {
		return nil, wrapOpen(ctx, o.table, err)
	}
	return l, nil
}

func newLedger(db *sql.DB, dialect Dialect, o options) (*Ledger, error) {
	w, err := dialect.writer(o.table)
	if err != nil || o.err != nil {
		return nil, errors.Join(err, o.err)
	}
	if o.encrypts {
		return nil, errors.New("a ledger is not encrypted: WithAEAD is for tokens")
	}
	d := newDatabase(db, dialect)
	return &Ledger{
		database: d, w: w, locks: newLeases(d, w),
		load: w.write(`SELECT record FROM "{table}" WHERE id = ?1`), prune: w.write(strings.ReplaceAll(pruneLedger, "{batch}", strconv.Itoa(pruneBatch))),
	}, nil
}

// checkVersion refuses tables of another form: a key that is not recognized would
// be created a second time.
func (l *Ledger) checkVersion(ctx context.Context) error {
	var version int
	err := l.row(ctx, l.w.write(`SELECT version FROM "{table}_schema"`), nil, &version)
	if err == nil && version != ledgerVersion {
		err = fmt.Errorf("its tables have version %d, this package knows %d", version, ledgerVersion)
	}
	return err
}

// String tells the dialect.
func (l *Ledger) String() string { return "sqlstore.Ledger(" + l.dialect.String() + ")" }

// GoString keeps %#v from printing more than String does.
func (l *Ledger) GoString() string { return l.String() }

// Lock implements pinterest.Ledger. A lock that another process gives back is had
// within a tenth of a second; one whose holder has crashed within 15 seconds.
//
// context.Cause tells of the context that it returns why it has ended.
func (l *Ledger) Lock(ctx context.Context, names ...string) (held context.Context, unlock func(), err error) {
	h, unlock, err := l.locks.lock(ctx, names...)
	if err != nil {
		return nil, nil, l.wrap(ctx, fmt.Errorf("locking %s: %w", quote(names), err))
	}
	return h.ctx, unlock, nil
}

// Load implements pinterest.Ledger.
func (l *Ledger) Load(ctx context.Context, name string) (record []byte, err error) {
	err = l.row(ctx, l.load, []any{id(name)}, &record)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, l.wrap(ctx, fmt.Errorf("loading %.200q: %w", name, err))
	}
	if record == nil {
		record = []byte{} // an empty record is there
	}
	return record, nil
}

// saveChunk is how many records one statement saves. Databases limit how many
// parameters a statement has.
const saveChunk = 200

// Save implements pinterest.Ledger. After an error the records may have been
// saved, as when the connection breaks before the answer, but all of them or
// none; except after an [ErrLockLost] from a lock that another holder has taken, when
// none are.
func (l *Ledger) Save(ctx context.Context, records map[string][]byte) error {
	locks, err := l.locks.mustHold(ctx)
	if err == nil && len(records) > 0 {
		err = l.save(ctx, records, locks)
	}
	if err != nil {
		return l.wrap(ctx, fmt.Errorf("saving: %w", err))
	}
	return nil
}

// mustHold returns the ids and holders of what the context holds, one after the
// other, or why it does not hold it any more.
func (l *leases) mustHold(ctx context.Context) (locks []any, err error) {
	for h := l.held(ctx); h != nil; h = h.outer {
		if err := h.check(); err != nil {
			return nil, err
		}
		for _, id := range h.ids {
			locks = append(locks, id, h.holder)
		}
	}
	return locks, nil
}

func (l *Ledger) save(ctx context.Context, records map[string][]byte, locks []any) error {
	// All savers take the rows in the same order.
	names := slices.SortedFunc(maps.Keys(records), func(a, b string) int { return bytes.Compare(id(a), id(b)) })
	saveAll := func(exec func(query string, args ...any) (int64, error)) error {
		for chunk := range slices.Chunk(names, saveChunk) {
			args := slices.Clone(locks)
			for _, name := range chunk {
				record := records[name]
				if record == nil {
					record = []byte{}
				}
				args = append(args, id(name), []byte(name), record)
			}
			saved, err := exec(l.saveSQL(len(chunk), len(locks)/2), args...)
			if err != nil {
				return err
			}
			switch {
			case saved == int64(len(chunk)):
			case saved == 0 && len(locks) > 0:
				return errFenced
			default: // a trigger or a rule of the table
				return fmt.Errorf("the database saved %d of %d records", saved, len(chunk))
			}
		}
		return nil
	}
	var err error
	if len(names) <= saveChunk {
		err = saveAll(func(query string, args ...any) (int64, error) { return l.exec(ctx, query, args...) })
	} else {
		err = l.saveLarge(ctx, saveAll)
	}
	if errors.Is(err, errFenced) {
		h := l.locks.held(ctx)
		return h.lose(h.names, "its lease ran out, or was taken by another")
	}
	return err
}

var errFenced = errors.New("a lock is not held")

// saveLarge saves more than one statement can, in a transaction.
func (l *Ledger) saveLarge(ctx context.Context, saveAll func(exec func(string, ...any) (int64, error)) error) error {
	if err := l.writes.enter(ctx); err != nil {
		return err
	}
	defer l.writes.leave()
	return l.transact(ctx, func(tx *sql.Tx) error {
		if l.dialect == Postgres {
			// The rows of a process that is stopped in between are not kept from others.
			limit := strconv.FormatInt(l.locks.lease.Milliseconds(), 10)
			if _, err := tx.ExecContext(ctx, "SET LOCAL idle_in_transaction_session_timeout = "+limit); err != nil {
				return err
			}
		}
		return saveAll(func(query string, args ...any) (int64, error) {
			result, err := tx.ExecContext(ctx, query, args...)
			if err != nil {
				return 0, err
			}
			return result.RowsAffected()
		})
	})
}

// saveSQL returns the statement that saves so many records if the caller holds so
// many locks, and else saves none. It takes each lock's id and holder, then each
// record's id, name and content.
//
// It is one statement, so that nobody waits for a transaction that a stopped
// process has left open. The rows of the locks are locked until it ends, so that no
// lock can change hands before what it protects is saved.
func (l *Ledger) saveSQL(records, locks int) string {
	var b strings.Builder
	n := 0
	list := func(count int, row, separator string) {
		for i := range count {
			if i > 0 {
				b.WriteString(separator)
			}
			for _, part := range strings.SplitAfter(row, "?") {
				b.WriteString(part)
				if strings.HasSuffix(part, "?") {
					n++
					b.WriteString(strconv.Itoa(n))
				}
			}
		}
	}
	b.WriteString("WITH ")
	if locks > 0 {
		b.WriteString(`held AS (SELECT 1 FROM "{table}_locks" WHERE expires > {now} AND (`)
		list(locks, "id = ? AND holder = ?", " OR ")
		b.WriteString(") {for share}),\n")
	}
	b.WriteString("new (id, name, record) AS (VALUES ")
	list(records, "(CAST(? AS {bytes}), CAST(? AS {bytes}), CAST(? AS {bytes}))", ", ")
	b.WriteString(")\n" + `INSERT INTO "{table}" (id, name, record, saved) SELECT id, name, record, {then} FROM new WHERE `)
	if locks > 0 {
		fmt.Fprintf(&b, "(SELECT COUNT(*) FROM held) = %d", locks)
	} else {
		b.WriteString("1 = 1") // SQLite would take the ON that follows for that of a join
	}
	b.WriteString("\nON CONFLICT (id) DO UPDATE SET record = excluded.record, saved = excluded.saved")
	return l.w.write(b.String())
}

// pruneBatch is how many records Prune deletes at a time.
const pruneBatch = 500

// Prune forgets all that was last saved before this time, by the database's
// clock, and returns how many records that were. A key that is forgotten is a
// new key: submitted again it makes a second thing, also where it had ended
// uncertain. So prune only what will not be submitted again.
//
// It deletes in small batches, with as long a pause after each as it took, so
// that others wait for none of it for long. It may be called by several processes
// at once. When it fails, what it has returned is deleted.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (records int64, err error) {
	for {
		began := time.Now()
		n, err := l.exec(ctx, l.prune, before.UnixMilli())
		if err != nil {
			return records, l.wrap(ctx, fmt.Errorf("pruning: %w", err))
		}
		if n == 0 {
			break
		}
		records += n
		if err := realclock.Sleep(ctx, time.Since(began)); err != nil {
			return records, l.wrap(ctx, err)
		}
	}
	// The leases of those who crashed, whose names nobody has asked for since.
	_, err = l.exec(ctx, l.locks.sql.prune, l.locks.lease.Milliseconds())
	if err != nil {
		return records, l.wrap(ctx, fmt.Errorf("pruning locks: %w", err))
	}
	return records, nil
}

// wrap says that it was the ledger that failed, and of a context of lost locks
// that these were lost.
func (l *Ledger) wrap(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrLockLost) {
		err, ctx = context.Cause(ctx), context.WithoutCancel(ctx)
	}
	return wrap(ctx, err)
}

const (
	probeLedger = `SELECT id, name, record, saved FROM "{table}" WHERE 1 = 0`
	probeSchema = `SELECT version FROM "{table}_schema" WHERE 1 = 0`

	// The table is not clustered by its key: new rows are added at the end, and only
	// the index is written at random places.
	createLedger = `CREATE TABLE IF NOT EXISTS "{table}" (
	id     {bytes} NOT NULL PRIMARY KEY, -- SHA-256 of the name
	name   {bytes} NOT NULL,
	record {bytes} NOT NULL,
	saved  BIGINT NOT NULL               -- Unix milliseconds, by the database's clock
)`

	createSaved = `CREATE INDEX IF NOT EXISTS "{table}_saved" ON "{table}" (saved)`

	createSchema = `CREATE TABLE IF NOT EXISTS "{table}_schema" (version INTEGER NOT NULL)`

	setSchema = `INSERT INTO "{table}_schema" (version) SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM "{table}_schema")`

	// Rows that others are just saving are passed over, not waited for. To delete
	// by an array has PostgreSQL use the key, however many rows are old.
	pruneLedger = `WITH old AS (SELECT id FROM "{table}" WHERE saved < ?1 ORDER BY saved LIMIT {batch} {skip locked})
DELETE FROM "{table}" WHERE id {in old}`
)
