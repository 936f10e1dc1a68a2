package sqlstore_test

import (
	"bytes"
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
	"go.uber.org/goleak"

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
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			d := database{
				dialect: sqlstore.Postgres, table: newTable(),
				connect: func(t testing.TB) *sql.DB { return postgresWith(t, "default_transaction_isolation", isolation) },
			}
			db := d.connect(t)
			runLedgertest(t, d, db)

			// Several processes, so that they meet in the database.
			t.Cleanup(func() { dropTables(t, db, d.table) })
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

// A Save is refused from the moment on at which another could have the lock: by
// the clock of its holder, and by what stands in the database.
func TestSaveIsFenced(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		requireFenced := func(t *testing.T, l *sqlstore.Ledger, held context.Context, why string) {
			t.Helper()
			for _, ctx := range []context.Context{context.WithoutCancel(held), held} {
				err := put(ctx, l, "key", "too late")
				require.ErrorIs(t, err, sqlstore.ErrLockLost)
				require.ErrorContains(t, err, "the lock on ")
				require.ErrorContains(t, err, why)
				err = l.Save(ctx, many("too late", sqlstore.SaveChunk+1))
				require.ErrorIs(t, err, sqlstore.ErrLockLost)
			}
			require.ErrorIs(t, held.Err(), context.Canceled)
			require.ErrorIs(t, context.Cause(held), sqlstore.ErrLockLost)
			require.NotErrorIs(t, context.Cause(held), context.Canceled)
			_, err := l.Load(held, "key")
			require.ErrorIs(t, err, sqlstore.ErrLockLost)
			requireRecord(t, l, "many 0", "")
		}
		locks := `"` + d.table + `_locks"`
		db := d.connect(t)
		t.Run("a row that another holds", func(t *testing.T) {
			for _, name := range []string{"key", "content"} {
				l := d.openLedger(t)
				held, unlock := lockAll(t, l, "key", "content")
				id := sqlstore.ID(name)
				_, err := db.ExecContext(t.Context(), `UPDATE `+locks+` SET holder = 'another' WHERE id = $1`, id)
				require.NoError(t, err)
				requireFenced(t, l, held, "taken by another")
				unlock()
				_, err = db.ExecContext(t.Context(), `DELETE FROM `+locks+` WHERE holder = 'another'`)
				require.NoError(t, err)
				requireNoLocks(t, d)
			}
		})
		t.Run("a row that has expired", func(t *testing.T) {
			l := d.openLedger(t)
			held, unlock := lockAll(t, l, "key")
			defer unlock()
			_, err := db.ExecContext(t.Context(), `UPDATE `+locks+` SET expires = 1`)
			require.NoError(t, err)
			requireFenced(t, l, held, "ran out")
		})
		t.Run("a lock within a lock", func(t *testing.T) {
			l := d.openLedger(t)
			held, unlock := lockAll(t, l, "outer")
			defer unlock()
			inner, unlock, err := l.Lock(held, "inner")
			require.NoError(t, err)
			defer unlock()
			require.NoError(t, put(inner, l, "nested", "saved"))
			_, err = db.ExecContext(t.Context(), `DELETE FROM `+locks+` WHERE id = $1`, sqlstore.ID("outer"))
			require.NoError(t, err)
			require.ErrorIs(t, put(inner, l, "nested", "too late"), sqlstore.ErrLockLost)
			requireRecord(t, l, "nested", "saved")
		})
		t.Run("another ledger's lock is no matter", func(t *testing.T) {
			a, b := d.openLedger(t), d.openLedger(t)
			held, unlock := lockAll(t, a, "key")
			unlock()
			require.NoError(t, put(context.WithoutCancel(held), b, "unfenced", "saved"))
		})
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

func TestPrune(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		l, db := d.openLedger(t), d.connect(t)
		n := 2*sqlstore.PruneBatch + 7
		require.NoError(t, l.Save(t.Context(), many("old", n)))
		require.NoError(t, put(t.Context(), l, "again", "old"))
		_, err := db.ExecContext(t.Context(), `UPDATE "`+d.table+`" SET saved = saved - 3600000`)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), `INSERT INTO "`+d.table+`_locks" (id, holder, expires) VALUES ($1, 'crashed', 1)`, []byte("of a crash"))
		require.NoError(t, err)
		held, unlock := lockAll(t, l, "again")
		require.NoError(t, put(held, l, "again", "new"))
		require.NoError(t, put(held, l, "new", "new"))

		for _, test := range []struct {
			before time.Time
			want   int
		}{
			{time.Time{}, 0},
			{time.Now().Add(-2 * time.Hour), 0},
			{time.Now().Add(-time.Minute), n},
			{time.Now().Add(-time.Minute), 0},
		} {
			got, err := l.Prune(t.Context(), test.before)
			require.NoError(t, err)
			require.Equal(t, int64(test.want), got)
		}
		requireRecord(t, l, "again", "new")
		requireRecord(t, l, "new", "new")
		requireRecord(t, l, "many 0", "")
		require.NoError(t, put(held, l, "many 0", "a new one"), "the lock that is held is not pruned")
		unlock()
		requireNoLocks(t, d)

		// Nothing that is saved after a time is older than it, however close.
		for range 20 {
			before := time.Now()
			require.NoError(t, put(t.Context(), l, "just now", "new"))
			_, err := l.Prune(t.Context(), before)
			require.NoError(t, err)
			requireRecord(t, l, "just now", "new")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.Prune(ctx, time.Now())
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Prune goes around the rows that others are just saving, and several processes
// may prune at once.
func TestPruneBesideOthers(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		n := 4 * sqlstore.PruneBatch
		require.NoError(t, d.openLedger(t).Save(t.Context(), many("old", n)))
		_, err := db.ExecContext(t.Context(), `UPDATE "`+d.table+`" SET saved = saved - 3600000`)
		require.NoError(t, err)
		before := time.Now().Add(-time.Minute)
		var wg sync.WaitGroup
		for range 3 {
			l := d.openLedger(t)
			wg.Go(func() {
				_, err := l.Prune(t.Context(), before)
				assert.NoError(t, err)
			})
		}
		l := d.openLedger(t)
		for i := range 50 {
			name := fmt.Sprint("many ", i*n/50)
			require.NoError(t, put(t.Context(), l, name, "new"))
			requireRecord(t, l, name, "new")
		}
		wg.Wait()
		var left int
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM "`+d.table+`"`).Scan(&left))
		assert.Equal(t, 50, left)
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

// The context of a lock ends with the caller's, but the lock is held until it is
// given back, and what came of the work can be saved.
func TestHeldContextEndsAndTheLockStays(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		l, other := d.openLedger(t), d.openLedger(t)
		l.SetLease(time.Second, 100*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		held, unlock, err := l.Lock(ctx, "key")
		require.NoError(t, err)
		child, cancelChild := context.WithTimeout(held, time.Hour)
		defer cancelChild()
		cancel()
		<-child.Done()
		require.ErrorIs(t, held.Err(), context.Canceled)
		ctx, cancel = context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, _, err = other.Lock(ctx, "key")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, put(held, l, "key", "record"), context.Canceled)
		require.NoError(t, put(context.WithoutCancel(held), l, "key", "record"))
		unlock()
		requireNoLocks(t, d)
	})
}

func TestNoGoroutineOfALedgerStays(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		l := d.openLedger(t)
		_, unlock := lockAll(t, l, "key", "content") // the pool has its goroutines
		unlock()
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
		_, unlock = lockAll(t, l, "key", "content")
		requireLocked(t, l, "another", "key")
		unlock()
	})
}

// Who waits for one name keeps those that it has, for longer than a lease lasts;
// and where one of them is lost meanwhile, it is asked for again.
func TestWaitForOneNameOfSeveral(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		a, b, other := d.openLedger(t), d.openLedger(t), d.openLedger(t)
		for _, l := range []*sqlstore.Ledger{a, b, other} {
			l.SetLease(time.Second, 100*time.Millisecond)
		}
		first, second := "key", "content" // all take them in the order of their ids
		if bytes.Compare(sqlstore.ID(first), sqlstore.ID(second)) > 0 {
			first, second = second, first
		}
		_, unlockSecond := lockAll(t, a, second)
		got := make(chan func())
		go func() {
			_, unlock, err := b.Lock(t.Context(), first, second)
			assert.NoError(t, err)
			got <- unlock
		}()
		time.Sleep(1500 * time.Millisecond)
		requireLocked(t, other, first)
		_, err := d.connect(t).ExecContext(t.Context(), `UPDATE "`+d.table+`_locks" SET holder = 'another', expires = 1 WHERE id = $1`, sqlstore.ID(first))
		require.NoError(t, err)
		time.Sleep(500 * time.Millisecond)
		unlockSecond()
		unlock := <-got
		requireLocked(t, other, first)
		requireLocked(t, other, second)
		unlock()
		requireNoLocks(t, d)
	})
}

// fill adds so many rows as Save would.
func (d database) fill(t testing.TB, db *sql.DB, rows int) {
	t.Helper()
	query := map[sqlstore.Dialect]string{
		sqlstore.SQLite: `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			INSERT INTO "` + d.table + `" (id, name, record, saved) SELECT randomblob(32), CAST('filled ' || i AS BLOB), zeroblob(500), i FROM n`,
		sqlstore.Postgres: `INSERT INTO "` + d.table + `" (id, name, record, saved)
			SELECT sha256(CAST(CAST(i AS TEXT) AS BYTEA)), CAST('filled ' || i AS BYTEA), CAST(repeat('0', 500) AS BYTEA), i FROM generate_series(1, CAST($1 AS INT)) AS n (i)`,
	}
	_, err := db.ExecContext(t.Context(), query[d.dialect], rows)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `ANALYZE "`+d.table+`"`)
	require.NoError(t, err)
}

// explain returns the database's plan for a statement.
func (d database) explain(t testing.TB, db *sql.DB, query string, args ...any) string {
	t.Helper()
	word := map[sqlstore.Dialect]string{sqlstore.SQLite: "EXPLAIN QUERY PLAN ", sqlstore.Postgres: "EXPLAIN "}
	rows, err := db.QueryContext(t.Context(), word[d.dialect]+query, args...)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		require.NoError(t, rows.Scan(values...))
		fmt.Fprintln(&plan, *values[len(values)-1].(*any)) // the last is the text
	}
	require.NoError(t, rows.Err())
	return plan.String()
}

// A create's work does not grow with the ledger: every statement goes by an index.
func TestLedgerPlans(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		l, db := d.openLedger(t), d.connect(t)
		d.fill(t, db, 20_000)
		byKey := map[sqlstore.Dialect]string{
			sqlstore.SQLite:   `INDEX sqlite_autoindex_` + d.table + `_1 (id=?)`,
			sqlstore.Postgres: `Index Scan using ` + d.table + `_pkey on ` + d.table,
		}[d.dialect]
		prunedByKey := map[sqlstore.Dialect]string{sqlstore.SQLite: byKey, sqlstore.Postgres: d.table + "_pkey"}[d.dialect]
		scan := map[sqlstore.Dialect]string{sqlstore.SQLite: "SCAN " + d.table + "\n", sqlstore.Postgres: "Seq Scan on " + d.table + " "}[d.dialect]

		plan := d.explain(t, db, l.LoadSQL(), sqlstore.ID("key"))
		assert.Contains(t, plan, byKey)
		assert.NotContains(t, plan, scan)

		args := []any{sqlstore.ID("key"), "holder", sqlstore.ID("content"), "holder"}
		for _, name := range []string{"key", "made"} {
			args = append(args, sqlstore.ID(name), []byte(name), []byte("record"))
		}
		plan = d.explain(t, db, l.SaveSQL(2, 2), args...)
		assert.NotContains(t, plan, scan)
		if d.dialect == sqlstore.Postgres {
			assert.Contains(t, plan, "Conflict Arbiter Indexes: "+d.table+"_pkey")
		}

		for _, old := range []int64{1, 10_000, 20_001} {
			plan = d.explain(t, db, l.PruneSQL(), old)
			assert.Contains(t, plan, d.table+"_saved")
			assert.Contains(t, plan, prunedByKey)
			assert.NotContains(t, plan, scan)
		}
	})
}

// rowsVariable is of how many rows TestLedgerOfManyRows is, such as 1000000.
const rowsVariable = "PINTEREST_TEST_LEDGER_ROWS"

// The times of a create's statements on a ledger with few rows, and with many.
func TestLedgerOfManyRows(t *testing.T) {
	rows, err := strconv.Atoi(os.Getenv(rowsVariable))
	if err != nil {
		t.Skipf("%s is not set", rowsVariable)
	}
	each(t, func(t *testing.T, d database) {
		l, db := d.openLedger(t), d.connect(t)
		measure := func(round string) (each time.Duration) {
			const creates = 500
			record := bytes.Repeat([]byte("0"), 500)
			began := time.Now()
			for i := range creates {
				key, content := fmt.Sprint("key ", round, i), fmt.Sprint("content ", round, i)
				held, unlock, err := l.Lock(t.Context(), key, content)
				require.NoError(t, err)
				_, err = l.Load(held, key)
				require.NoError(t, err)
				require.NoError(t, l.Save(held, map[string][]byte{key: record}))
				require.NoError(t, l.Save(held, map[string][]byte{key: record, fmt.Sprint("made ", round, i): []byte(key)}))
				unlock()
			}
			return time.Since(began) / creates
		}
		measure("warm")
		few := measure("few")
		d.fill(t, db, rows)
		many := measure("many")
		again := measure("again")
		began := time.Now()
		pruned, err := l.Prune(t.Context(), time.UnixMilli(10_001))
		require.NoError(t, err)
		t.Logf("a create's lock, load, two saves and unlock: %v; with %d rows %v, then %v; %d pruned in %v", few, rows, many, again, pruned, time.Since(began))
		assert.Equal(t, int64(10_000), pruned)
		assert.Less(t, min(many, again), 3*few+5*time.Millisecond)
	})
}
