// Package fileledger keeps a pinterest.Ledger on disk: what CreateOnce intends
// and what came of it survive a crash at any point, and any number of processes
// of one machine can share it.
//
// Records are kept in SQLite, each save in a transaction of its own that is on
// disk when Save returns. Locks are file locks of the operating system, which
// gives back those of a process that dies. So the folder must be on a local
// disk: SQLite and file locks are not to be trusted on network file systems.
package fileledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/filelock"
)

// Ledger implements pinterest.Ledger in a folder. It is safe for concurrent
// use. Close it when done.
type Ledger struct {
	db      *sql.DB
	dir     string
	lockDir string // the folder of the lock files
	locks   filelock.Locks
}

var _ pinterest.Ledger = (*Ledger)(nil)

const schema = `CREATE TABLE IF NOT EXISTS ledger (
	name    TEXT PRIMARY KEY,
	record  BLOB NOT NULL,
	saved   INTEGER NOT NULL -- Unix seconds, for pruning
) WITHOUT ROWID`

// Open opens the ledger in the folder dir, which it makes if need be.
func Open(ctx context.Context, dir string) (*Ledger, error) {
	lockDir := filepath.Join(dir, "locks")
	if err := os.MkdirAll(lockDir, 0o700); err != nil {
		return nil, fmt.Errorf("fileledger: %w", err)
	}
	file := filepath.Join(dir, "ledger.sqlite")
	l := &Ledger{dir: dir, lockDir: lockDir}
	pragmas := url.Values{"_pragma": {"busy_timeout(30000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	// SQLite reads the name as a URI, in which a folder's "?" or "%" has to be escaped.
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+pragmas.Encode())
	if err != nil {
		return nil, l.wrap(err)
	}
	// SQLite has one writer at a time. To wait for the one connection is fairer
	// and quicker than to have several poll for their turn.
	db.SetMaxOpenConns(1)
	// SQLite does not wait where several processes turn a new file into one with
	// a write-ahead log: they go one after another.
	unlock, err := l.lock(ctx, "open")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	defer unlock()
	if err := prepare(ctx, db); err != nil {
		return nil, errors.Join(l.wrap(err), db.Close())
	}
	l.db = db
	return l, nil
}

// version is the form of the records, kept in the database's user_version. Those
// of version 0 were written before 0.1.0 and cannot be read any more.
const version = 1

var errVersion = errors.New("its records have a form that this version of the library cannot read")

// prepare makes the table, or refuses one whose records have another form: a key
// that is not recognised would be created a second time.
func prepare(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	var found, records int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&found); err != nil {
		return err
	}
	if found == version {
		return nil
	}
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM ledger LIMIT 1)`).Scan(&records); err != nil {
		return err
	}
	if found != 0 || records > 0 {
		return fmt.Errorf("%w: version %d, want %d", errVersion, found, version)
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version))
	return err
}

// wrap says which ledger failed.
func (l *Ledger) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fileledger: %s: %w", l.dir, err)
}

// Close closes the ledger's files. Calls under way must have ended.
func (l *Ledger) Close() error { return l.db.Close() }

// Load implements pinterest.Ledger.
func (l *Ledger) Load(ctx context.Context, name string) ([]byte, error) {
	var record []byte
	err := l.db.QueryRowContext(ctx, `SELECT record FROM ledger WHERE name = ?`, name).Scan(&record)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, l.wrap(err)
	}
	if record == nil {
		record = []byte{} // an empty record is there
	}
	return record, nil
}

// Save implements pinterest.Ledger.
func (l *Ledger) Save(ctx context.Context, records map[string][]byte) error {
	const upsert = `INSERT INTO ledger (name, record, saved) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET record = excluded.record, saved = excluded.saved`
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return l.wrap(err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	for name, data := range records {
		if data == nil {
			data = []byte{}
		}
		if _, err := tx.ExecContext(ctx, upsert, name, data, time.Now().Unix()); err != nil {
			return l.wrap(err)
		}
	}
	return l.wrap(tx.Commit())
}

// Prune forgets all that was last saved before this time. A key that is
// forgotten is a new key: prune only what will not be submitted again.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (records int64, err error) {
	res, err := l.db.ExecContext(ctx, `DELETE FROM ledger WHERE saved < ?`, before.Unix())
	if err != nil {
		return 0, l.wrap(err)
	}
	records, err = res.RowsAffected()
	return records, l.wrap(err)
}

// Lock implements pinterest.Ledger.
func (l *Ledger) Lock(ctx context.Context, names ...string) (held context.Context, unlock func(), err error) {
	files := make([]string, len(names))
	for i, name := range names {
		sum := sha256.Sum256([]byte(name))
		files[i] = hex.EncodeToString(sum[:16])
	}
	unlock, err = l.lock(ctx, files...)
	return ctx, unlock, err
}

// lock takes the locks of files in the folder of locks.
func (l *Ledger) lock(ctx context.Context, files ...string) (unlock func(), err error) {
	paths := make([]string, len(files))
	for i, file := range files {
		paths[i] = filepath.Join(l.lockDir, file)
	}
	unlock, err = l.locks.Lock(ctx, paths...)
	if err != nil {
		return nil, l.wrap(fmt.Errorf("locking: %w", err))
	}
	return unlock, nil
}
