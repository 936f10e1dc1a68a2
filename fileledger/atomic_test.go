//go:build unix

package fileledger_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/pinterest-go/pinterest/fileledger"
	"github.com/pinterest-go/pinterest/internal/testproc"
)

// batch is how many records the tests of this file save at once.
const batch = 5

// batchOf returns the records of one save, all with the same content. They are so
// large together that SQLite writes some to disk before the commit.
func batchOf(round int) map[string][]byte {
	records := map[string][]byte{}
	for i := range batch {
		records[fmt.Sprint("record ", i)] = append(fmt.Appendf(nil, "%d\n", round), make([]byte, 1<<20)...)
	}
	return records
}

// requireBatch checks that all records are of one save, and returns its round: -1
// when there are no records.
func requireBatch(t *testing.T, dir string) (round int) {
	t.Helper()
	l := open(t, dir)
	first, err := l.Load(t.Context(), "record 0")
	require.NoError(t, err)
	for i := range batch {
		record, err := l.Load(t.Context(), fmt.Sprint("record ", i))
		require.NoError(t, err)
		require.True(t, bytes.Equal(first, record) && (first == nil) == (record == nil), "record %d is of another save than record 0", i)
	}
	if first == nil {
		return -1
	}
	number, _, _ := strings.Cut(string(first), "\n")
	round, err = strconv.Atoi(number)
	require.NoError(t, err)
	return round
}

// playDieInSave saves several records at once. The database has triggers that call
// the function row_written for each row, in which the process dies at row N.
func playDieInSave(ctx context.Context, r role) error {
	rows := 0
	sqlite.MustRegisterScalarFunction("row_written", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		if rows++; rows == r.N {
			die()
		}
		return int64(rows), nil
	})
	l, err := fileledger.Open(ctx, r.Dir)
	if err != nil {
		return err
	}
	if err := l.Save(ctx, batchOf(1)); err != nil {
		return err
	}
	if rows != batch {
		return fmt.Errorf("%d rows were written, want %d", rows, batch)
	}
	die()
	return nil
}

// A process dies while Save writes its records, after each of them, and after Save
// has returned. All records are saved or none.
func TestProcessKilledInSave(t *testing.T) {
	for _, replaces := range []bool{false, true} {
		for row := 1; row <= batch+1; row++ {
			t.Run(fmt.Sprintf("killed at row %d, replaces %v", row, replaces), func(t *testing.T) {
				t.Parallel()
				dir, before := t.TempDir(), -1
				l := open(t, dir)
				if replaces {
					before = 0
					require.NoError(t, l.Save(t.Context(), batchOf(before)))
				}
				execute(t, dir,
					"CREATE TRIGGER inserted AFTER INSERT ON ledger BEGIN SELECT row_written(); END",
					"CREATE TRIGGER updated AFTER UPDATE ON ledger BEGIN SELECT row_written(); END")
				_, _, killed := run(t, role{Play: "die in save", Dir: dir, N: row})
				require.True(t, killed)
				if row <= batch {
					require.Equal(t, before, requireBatch(t, dir), "nothing of the save is there")
				} else {
					require.Equal(t, 1, requireBatch(t, dir), "Save had returned")
				}
			})
		}
	}
}

// execute runs statements in a ledger's database, behind the ledger's back.
func execute(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.sqlite"))
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, db.Close())
}

// playSaveForever saves several records at once, again and again, and prints the
// round of each save that has returned.
func playSaveForever(ctx context.Context, r role) error {
	l, err := fileledger.Open(ctx, r.Dir)
	if err != nil {
		return err
	}
	for round := r.N; ; round++ {
		if err := l.Save(ctx, batchOf(round)); err != nil {
			return err
		}
		fmt.Println(round)
	}
}

// A process that saves without pause is killed from outside, at any moment. What
// Save has returned for is there, and the records are of one save.
func TestProcessKilledAtAnyMoment(t *testing.T) {
	dir, saved := t.TempDir(), -1
	for i := range 12 {
		cmd := testproc.Command(t.Context(), t, role{Play: "save forever", Dir: dir, N: saved + 1})
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan(), "the first save")
		delay := time.AfterFunc(time.Duration(i)*3*time.Millisecond, func() { assert.NoError(t, cmd.Process.Signal(syscall.SIGKILL)) })
		last := lines.Text()
		for lines.Scan() {
			last = lines.Text()
		}
		require.Error(t, cmd.Wait())
		assert.False(t, delay.Stop(), "it was killed")

		returned, err := strconv.Atoi(last)
		require.NoError(t, err)
		saved = requireBatch(t, dir)
		require.GreaterOrEqual(t, saved, returned, "a save that has returned is lost")
		require.LessOrEqual(t, saved, returned+1, "at most one save was under way")
	}
}
