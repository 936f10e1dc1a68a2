package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/sqlstore"
)

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
