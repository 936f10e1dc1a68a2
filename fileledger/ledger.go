// Package fileledger keeps a pinterest.Ledger on disk. What CreateOnce intends to
// create, and the result, survive a crash at any point. Any number of processes on
// one machine can share a ledger.
//
// Records are kept in SQLite. Each Save is one transaction, which is on disk when
// Save returns. Locks are file locks of the operating system, which releases the
// locks of a process that dies. The folder must be on a local disk, because SQLite
// and file locks are unreliable on network file systems.
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
	"strings"
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

// Open opens the ledger in the folder dir, which it creates if necessary. It
// refuses a ledger whose records were written in another format.
func Open(ctx context.Context, dir string) (*Ledger, error) {
	lockDir := filepath.Join(dir, "locks")
	if err := os.MkdirAll(lockDir, 0o700); err != nil {
		return nil, fmt.Errorf("fileledger: %w", err)
	}
	file := filepath.Join(dir, "ledger.sqlite")
	l := &Ledger{dir: dir, lockDir: lockDir}
	pragmas := url.Values{"_pragma": {"busy_timeout(30000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	db, err := sql.Open("sqlite", fileURI(filepath.ToSlash(file), filepath.VolumeName(file))+"?"+pragmas.Encode())
	if err != nil {
		return nil, l.wrap(err)
	}
	// SQLite has one writer at a time. Waiting for a single connection is fairer
	// and faster than several connections that poll for their turn.
	db.SetMaxOpenConns(1)
	// SQLite ignores the busy timeout when several processes switch a new file to
	// the write-ahead log at once, so they open it one after another.
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

// fileURI returns the name of a file for SQLite, which reads it as a URI: a folder's "?"
// or "%" has to be escaped. A volume of Windows, such as "C:", follows a slash.
func fileURI(path, volume string) string {
	if volume != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath()
}

// version is the format of the records, kept in the database's user_version.
// Records of version 0 were written before 0.1.0. They can no longer be read.
const version = 1

var errVersion = errors.New("the records have a format that this version of the library cannot read")

// prepare makes the table in a new database. It refuses a database whose records
// have another format: a key that is not recognized would be created a second time.
func prepare(ctx context.Context, db *sql.DB) error {
	var found, records int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&found); err != nil {
		return err
	}
	if found != 0 && found != version {
		return fmt.Errorf("%w: version %d, want %d", errVersion, found, version)
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	if found == version {
		return nil
	}
	// A database that has just been made has version 0 as well.
	if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM ledger LIMIT 1)`).Scan(&records); err != nil {
		return err
	}
	if records > 0 {
		return fmt.Errorf("%w: version %d, want %d", errVersion, found, version)
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version))
	return err
}

// wrap adds to an error which ledger failed.
func (l *Ledger) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fileledger: %s: %w", l.dir, err)
}

// Close closes the ledger's files. No call may be in progress.
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
		record = []byte{} // nil would mean that there is no record
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

// Prune deletes the records that were last saved before this time and returns how
// many there were. A key without a record is a new key, so prune only keys that
// will not be submitted again.
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

// lock locks files in the folder of lock files.
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
