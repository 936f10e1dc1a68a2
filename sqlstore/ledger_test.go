package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest/ledgertest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// openLedger opens the ledger, with connections of its own, as a process does.
func (d database) openLedger(t testing.TB) *sqlstore.Ledger {
	t.Helper()
	return d.openLedgerOn(t, d.connect(t))
}

func (d database) openLedgerOn(t testing.TB, db *sql.DB) *sqlstore.Ledger {
	t.Helper()
	l, err := sqlstore.OpenLedger(t.Context(), db, d.dialect, sqlstore.WithTable(d.table))
	require.NoError(t, err)
	return l
}

// runLedgertest runs the suite on a database, each test with tables of its own.
func runLedgertest(t *testing.T, d database, db *sql.DB) {
	t.Helper()
	n := 0
	ledgertest.Run(t, func(t *testing.T) pinterest.Ledger {
		n++
		own := d
		own.table += "_" + strconv.Itoa(n)
		t.Cleanup(func() { dropTables(t, db, own.table) })
		return own.openLedgerOn(t, db)
	})
}

// lockAll takes names that are free, or soon will be.
func lockAll(t testing.TB, l pinterest.Ledger, names ...string) (held context.Context, unlock func()) {
	t.Helper()
	// The context of the lock is made from this one.
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	timer := time.AfterFunc(30*time.Second, cancel)
	defer timer.Stop()
	held, unlock, err := l.Lock(ctx, names...)
	require.NoError(t, err)
	return held, unlock
}

// requireLocked checks that names cannot be had.
func requireLocked(t testing.TB, l pinterest.Ledger, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, _, err := l.Lock(ctx, names...)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func put(ctx context.Context, l pinterest.Ledger, name, record string) error {
	return l.Save(ctx, map[string][]byte{name: []byte(record)})
}

// requireRecord checks a record, "" for none.
func requireRecord(t testing.TB, l pinterest.Ledger, name, want string) {
	t.Helper()
	record, err := l.Load(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, want == "", record == nil)
	require.Equal(t, want, string(record))
}

// requireNoLocks checks that no lock has left a row.
func requireNoLocks(t testing.TB, d database) {
	t.Helper()
	var locks int
	require.NoError(t, d.connect(t).QueryRowContext(t.Context(), `SELECT COUNT(*) FROM "`+d.table+`_locks"`).Scan(&locks))
	require.Zero(t, locks)
}

func TestLedger(t *testing.T) {
	each(t, func(t *testing.T, d database) { runLedgertest(t, d, d.connect(t)) })
}

func TestLedgerOnOneConnection(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		db.SetMaxOpenConns(1)
		runLedgertest(t, d, db)
	})
}

func TestLedgerOnSQLiteWithoutBusyTimeout(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "ledger"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	runLedgertest(t, database{dialect: sqlstore.SQLite, table: "ledger"}, db)
}

// postgresWith is PostgreSQL with a setting for every connection.
func postgresWith(t testing.TB, name, value string) *sql.DB {
	t.Helper()
	connectPostgres(t)
	u, err := url.Parse(os.Getenv(postgresVariable))
	require.NoError(t, err)
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // the driver takes a plus for itself
	db, err := sql.Open("pgx", u.String())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

// What PostgreSQL could not serialize is tried again, with every isolation that
// the application may have made its default.
func TestLedgerAtEveryIsolation(t *testing.T) {
	eachIsolation(t, func(t *testing.T, d database) {
		runLedgertest(t, d, d.connect(t))

		// Several processes, so that they meet in the database.
		const processes, goroutines, rounds = 4, 3, 10
		var wg sync.WaitGroup
		for range processes {
			l := d.openLedger(t)
			for g := range goroutines {
				wg.Go(func() {
					for i := range rounds {
						held, unlock, err := l.Lock(t.Context(), "counter", fmt.Sprint("another ", (g+i)%3))
						if !assert.NoError(t, err) {
							return
						}
						assert.NoError(t, countInLedger(held, l))
						unlock()
						// Without a lock, and in an order that could deadlock.
						both := map[string][]byte{"one": {byte(i)}, "two": {byte(i)}, "three": {byte(i)}}
						assert.NoError(t, l.Save(t.Context(), both))
					}
				})
			}
		}
		wg.Wait()
		requireRecord(t, d.openLedger(t), "counter", strconv.Itoa(processes*goroutines*rounds))
		requireNoLocks(t, d)
	})
}

// countInLedger counts up in the record "counter".
func countInLedger(ctx context.Context, l pinterest.Ledger) error {
	record, err := l.Load(ctx, "counter")
	if err != nil {
		return err
	}
	n := 0
	if record != nil {
		if n, err = strconv.Atoi(string(record)); err != nil {
			return err
		}
	}
	return put(ctx, l, "counter", strconv.Itoa(n+1))
}

func TestLedgersShareADatabase(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		a, b := d.openLedger(t), d.openLedger(t)
		held, unlock := lockAll(t, a, "key", "content")
		requireLocked(t, b, "key")
		requireLocked(t, b, "other", "content") // and "other" is given back
		_, unlockOther := lockAll(t, b, "other")
		unlockOther()
		require.NoError(t, put(held, a, "key", "by a"))
		requireRecord(t, b, "key", "by a")
		unlock()
		require.ErrorIs(t, held.Err(), context.Canceled)
		require.ErrorIs(t, put(held, a, "key", "later"), context.Canceled)
		require.ErrorContains(t, put(context.WithoutCancel(held), a, "key", "later"), "was given back")
		_, unlock = lockAll(t, b, "content", "key")
		unlock()
		requireNoLocks(t, d)
		assert.Equal(t, "sqlstore.Ledger("+d.dialect.String()+")", fmt.Sprintf("%v", a))
		assert.Equal(t, a.String(), fmt.Sprintf("%#v", a))
	})
}

// many returns so many records.
func many(record string, n int) map[string][]byte {
	records := map[string][]byte{}
	for i := range n {
		records[fmt.Sprint("many ", i)] = []byte(record)
	}
	return records
}

func TestSaveOfManyRecords(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		l := d.openLedger(t)
		for _, n := range []int{sqlstore.SaveChunk, sqlstore.SaveChunk + 1, 5*sqlstore.SaveChunk + 3} {
			held, unlock := lockAll(t, l, "key", "content")
			text := fmt.Sprint("of ", n)
			require.NoError(t, l.Save(held, many(text, n)))
			for _, i := range []int{0, 1, n / 2, n - 1} {
				requireRecord(t, l, fmt.Sprint("many ", i), text)
			}
			unlock()
		}
		// One that the database refuses leaves none of the others.
		db := d.connect(t)
		constraint := map[sqlstore.Dialect]string{
			sqlstore.SQLite:   `CREATE TRIGGER refuse BEFORE INSERT ON "` + d.table + `" WHEN NEW.name = CAST('many 1500' AS BLOB) BEGIN SELECT RAISE(ABORT, 'refused'); END`,
			sqlstore.Postgres: `ALTER TABLE "` + d.table + `" ADD CONSTRAINT refuse CHECK (name <> 'many 1500')`,
		}
		_, err := db.ExecContext(t.Context(), constraint[d.dialect])
		require.NoError(t, err)
		require.ErrorContains(t, l.Save(t.Context(), many("again", 2000)), "refuse")
		for i := range 1100 {
			record, err := l.Load(t.Context(), fmt.Sprint("many ", i))
			require.NoError(t, err)
			require.NotEqual(t, "again", string(record))
		}
		require.ErrorContains(t, l.Save(t.Context(), map[string][]byte{"many 1500": nil, "many 0": []byte("again")}), "refuse")
		requireRecord(t, l, "many 0", fmt.Sprint("of ", 5*sqlstore.SaveChunk+3))
	})
}

func TestOpenLedgerErrors(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		for _, test := range []struct {
			opt  sqlstore.Option
			want string
		}{
			{sqlstore.WithTable("a b"), "no name for a table"},
			{sqlstore.WithAEAD(gcm(t, 'a')), "not encrypted"},
			{sqlstore.WithAEAD(nil), "the cipher is nil"},
		} {
			_, err := sqlstore.OpenLedger(t.Context(), db, d.dialect, test.opt)
			require.ErrorContains(t, err, test.want)
		}
		_, err := sqlstore.OpenLedger(t.Context(), db, 0)
		require.ErrorContains(t, err, "the dialect")

		require.NoError(t, put(t.Context(), d.openLedger(t), "key", "record"))
		requireRecord(t, d.openLedger(t), "key", "record")
		_, err = db.ExecContext(t.Context(), `UPDATE "`+d.table+`_schema" SET version = 2`)
		require.NoError(t, err)
		_, err = sqlstore.OpenLedger(t.Context(), db, d.dialect, sqlstore.WithTable(d.table))
		require.ErrorContains(t, err, "its tables have version 2, this package knows 1")
		_, err = db.ExecContext(t.Context(), `DELETE FROM "`+d.table+`_schema"`)
		require.NoError(t, err)
		_, err = sqlstore.OpenLedger(t.Context(), db, d.dialect, sqlstore.WithTable(d.table))
		require.ErrorContains(t, err, "no rows")
		// The tables of a token store are no ledger.
		tokens := d.table + "_tokens"
		t.Cleanup(func() { dropTables(t, db, tokens) })
		d.openOn(t, db, sqlstore.WithTable(tokens))
		_, err = sqlstore.OpenLedger(t.Context(), db, d.dialect, sqlstore.WithTable(tokens))
		require.ErrorContains(t, err, "saved")
	})
}

func TestOpenLedgerAtOnce(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		var wg sync.WaitGroup
		for i := range 6 {
			db := d.connect(t)
			wg.Go(func() {
				l, err := sqlstore.OpenLedger(t.Context(), db, d.dialect, sqlstore.WithTable(d.table))
				if assert.NoError(t, err) {
					assert.NoError(t, put(t.Context(), l, strconv.Itoa(i), "here"))
				}
			})
		}
		wg.Wait()
		var versions int
		require.NoError(t, d.connect(t).QueryRowContext(t.Context(), `SELECT COUNT(*) FROM "`+d.table+`_schema"`).Scan(&versions))
		assert.Equal(t, 1, versions)
	})
}

func TestLedgerOnAClosedDatabase(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		l := d.openLedgerOn(t, db)
		l.SetLease(time.Second, 100*time.Millisecond)
		held, unlock := lockAll(t, l, "key", "content")
		require.NoError(t, db.Close())
		require.ErrorContains(t, put(held, l, "key", "record"), "closed")
		_, err := l.Load(held, "key")
		requireClean(t, err, "sqlstore: ", "closed", `"key"`)
		_, _, err = l.Lock(t.Context(), "another")
		requireClean(t, err, "sqlstore: ", "closed", `"another"`)
		_, err = l.Prune(t.Context(), time.Now())
		requireClean(t, err, "sqlstore: ", "closed")
		<-held.Done()
		require.ErrorIs(t, context.Cause(held), sqlstore.ErrLockLost)
		require.ErrorContains(t, context.Cause(held), `was lost: its lease ran out before it was renewed: sql: database is closed`)
		unlock() // it cannot be given back, and it is no reason to wait
	})
}
