package fileledger_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/fileledger"
	"github.com/pinterest-go/pinterest/pinteresttest/ledgertest"
)

// open opens the ledger of a folder, as a process does.
func open(t *testing.T, dir string) *fileledger.Ledger {
	t.Helper()
	l, err := fileledger.Open(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

// lock acquires locks that are free, or soon will be.
func lock(t *testing.T, l *fileledger.Ledger, names ...string) (unlock func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, unlock, err := l.Lock(ctx, names...)
	require.NoError(t, err)
	return unlock
}

// requireHeld checks that the locks cannot be acquired.
func requireHeld(t *testing.T, l *fileledger.Ledger, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, unlock, err := l.Lock(ctx, names...)
	if err == nil {
		unlock()
	}
	require.ErrorIs(t, err, context.DeadlineExceeded, "another holds %v", names)
}

// requireRecord checks the record of a name.
func requireRecord(t *testing.T, l *fileledger.Ledger, name, want string) {
	t.Helper()
	record, err := l.Load(t.Context(), name)
	require.NoError(t, err)
	require.NotNil(t, record, "there is no record of %s", name)
	require.Equal(t, want, string(record))
}

// lockFiles returns the names of the lock files.
func lockFiles(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "locks"))
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) pinterest.Ledger { return open(t, t.TempDir()) })
}

// Two ledgers of one folder share nothing but its files, as two processes do.
func TestTwoLedgers(t *testing.T) {
	t.Run("records", func(t *testing.T) {
		dir := t.TempDir()
		a, b := open(t, dir), open(t, dir)
		require.NoError(t, a.Save(t.Context(), map[string][]byte{"key": []byte("by a")}))
		requireRecord(t, b, "key", "by a")
		require.NoError(t, b.Save(t.Context(), map[string][]byte{"key": []byte("by b")}))
		requireRecord(t, a, "key", "by b")
	})
	t.Run("one holds, the other waits", func(t *testing.T) {
		dir := t.TempDir()
		a, b := open(t, dir), open(t, dir)
		unlock := lock(t, a, "key", "content")
		requireHeld(t, b, "key")
		requireHeld(t, b, "content", "more")
		lock(t, b, "more")() // the canceled waiter holds nothing
		unlock()
		lock(t, b, "content", "key")()
		lock(t, a, "key")()
		assert.Empty(t, lockFiles(t, dir))
	})
	t.Run("never two at once", func(t *testing.T) {
		dir := t.TempDir()
		ledgers := []*fileledger.Ledger{open(t, dir), open(t, dir), open(t, dir)}
		const goroutines, rounds = 4, 8
		var inside, entries atomic.Int32
		var wg sync.WaitGroup
		for _, l := range ledgers {
			for range goroutines {
				wg.Go(func() {
					for range rounds {
						unlock := lock(t, l, "key")
						assert.Equal(t, int32(1), inside.Add(1))
						entries.Add(1)
						inside.Add(-1)
						unlock()
					}
				})
			}
		}
		wg.Wait()
		assert.Equal(t, int32(len(ledgers)*goroutines*rounds), entries.Load())
		assert.Empty(t, lockFiles(t, dir))
	})
	t.Run("any order of names", func(t *testing.T) {
		dir := t.TempDir()
		ledgers := []*fileledger.Ledger{open(t, dir), open(t, dir)}
		orders := [][]string{{"one", "two", "three"}, {"three", "two", "one"}, {"two", "three"}, {"two", "one"}}
		var wg sync.WaitGroup
		for _, l := range ledgers {
			for _, order := range orders {
				wg.Go(func() {
					for range 8 {
						lock(t, l, order...)()
					}
				})
			}
		}
		wg.Wait()
		assert.Empty(t, lockFiles(t, dir))
	})
	// The second unlock happens while another holds the lock. It must not release
	// that lock.
	t.Run("unlock twice", func(t *testing.T) {
		dir := t.TempDir()
		a, b, c := open(t, dir), open(t, dir), open(t, dir)
		first := lock(t, a, "key", "content")
		first()
		second := lock(t, b, "key", "content")
		first()
		requireHeld(t, c, "key")
		requireHeld(t, c, "content")
		second()
		lock(t, c, "key", "content")()
	})
}

func TestLockFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	unlock := lock(t, l, "key", "content")
	assert.Len(t, lockFiles(t, dir), 2)
	unlock()
	assert.Empty(t, lockFiles(t, dir), "unlocked")

	unlock = lock(t, l, "key")
	other := open(t, dir)
	requireHeld(t, other, "content", "key")
	unlock()
	assert.Empty(t, lockFiles(t, dir), "left with its context")

	// A file that a dead process left is taken over.
	unlock = lock(t, l, "key")
	name := lockFiles(t, dir)[0]
	unlock()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "locks", name), nil, 0o600))
	lock(t, l, "key")()
	assert.Empty(t, lockFiles(t, dir), "taken over")
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "Open")
	for i := range 3 {
		l, err := fileledger.Open(t.Context(), dir)
		require.NoError(t, err)
		if i > 0 {
			requireRecord(t, l, "key", fmt.Sprint("record ", i-1))
		}
		require.NoError(t, l.Save(t.Context(), map[string][]byte{"key": fmt.Append(nil, "record ", i)}))
		unlock := lock(t, l, "key")
		unlock()
		require.NoError(t, l.Close())

		_, err = l.Load(t.Context(), "key")
		require.Error(t, err, "it is closed")
		require.Error(t, l.Save(t.Context(), map[string][]byte{"key": []byte("too late")}))
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "what is planned is nobody else's business")
}

// The ledger is in the folder that was named, whatever its name.
func TestOpenAnyFolder(t *testing.T) {
	for _, name := range []string{"plain", "with space", "percent%41", "100%", "hash#1", "question?mode=memory", "a&b=c", "台所", "quote'\"", "-", "colon:"} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir, other := filepath.Join(parent, name), filepath.Join(parent, name+"2")
			require.NoError(t, open(t, dir).Save(t.Context(), map[string][]byte{"key": []byte("record")}))
			requireRecord(t, open(t, dir), "key", "record")
			record, err := open(t, other).Load(t.Context(), "key")
			require.NoError(t, err)
			assert.Nil(t, record, "another folder's")

			assert.FileExists(t, filepath.Join(dir, "ledger.sqlite"))
			entries, err := os.ReadDir(parent)
			require.NoError(t, err)
			assert.Len(t, entries, 2, "nothing beside the folders")
		})
	}
}

func TestOpenRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	l := open(t, "ledger")
	require.NoError(t, l.Save(t.Context(), map[string][]byte{"key": []byte("record")}))
	dir, err := filepath.Abs("ledger")
	require.NoError(t, err)
	requireRecord(t, open(t, dir), "key", "record")
}

func TestOpenErrors(t *testing.T) {
	write := func(path ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			file := filepath.Join(append([]string{dir}, path...)...)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
			require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("not a ledger\n", 100)), 0o600))
		}
	}
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"the folder is a file":    write(),
		"locks is a file":         write("locks"),
		"the database is no such": write("ledger.sqlite"),
		"the database is a folder": func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "ledger.sqlite"), 0o700))
		},
		"the folder cannot be made":      func(t *testing.T, dir string) { write()(t, filepath.Dir(dir)) },
		"the folder is a link to itself": func(t *testing.T, dir string) { require.NoError(t, os.Symlink(dir, dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "parent", "ledger")
			if name != "the folder cannot be made" {
				require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o700))
			}
			prepare(t, dir)
			l, err := fileledger.Open(t.Context(), dir)
			if err == nil { // then it has to work
				assert.NoError(t, l.Save(t.Context(), map[string][]byte{"key": []byte("record")}))
				assert.NoError(t, l.Close())
				t.Fatal("it was opened")
			}
			assert.Nil(t, l)
			require.ErrorContains(t, err, "fileledger: ")
			require.ErrorContains(t, err, filepath.Dir(dir), "the error says where")
		})
	}
	t.Run("the context has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := fileledger.Open(ctx, t.TempDir())
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for _, name := range []string{"old", "older", "saved again", "new"} {
		require.NoError(t, l.Save(t.Context(), map[string][]byte{name: []byte(name)}))
	}
	now := time.Now()
	n, err := l.Prune(t.Context(), now.Add(-time.Minute))
	require.NoError(t, err)
	assert.Zero(t, n, "nothing is that old")

	age(t, dir, now.Add(-48*time.Hour), "old", "saved again")
	age(t, dir, now.Add(-72*time.Hour), "older")
	require.NoError(t, l.Save(t.Context(), map[string][]byte{"saved again": []byte("saved again")}))
	n, err = l.Prune(t.Context(), now.Add(-60*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, int64(1), n)
	requireRecord(t, l, "old", "old")
	n, err = l.Prune(t.Context(), now.Add(-24*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, int64(1), n)
	for _, name := range []string{"saved again", "new"} {
		requireRecord(t, l, name, name)
	}
	for _, name := range []string{"old", "older"} {
		record, err := l.Load(t.Context(), name)
		require.NoError(t, err)
		assert.Nil(t, record, name)
	}
	n, err = l.Prune(t.Context(), now.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, int64(2), n)
}

// age changes the time at which records were saved.
func age(t *testing.T, dir string, saved time.Time, names ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.sqlite"))
	require.NoError(t, err)
	for _, name := range names {
		res, err := db.ExecContext(t.Context(), "UPDATE ledger SET saved = ? WHERE name = ?", saved.Unix(), name)
		require.NoError(t, err)
		n, err := res.RowsAffected()
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
	}
	require.NoError(t, db.Close())
}

// A ledger whose records have another format is refused and left as it is: its
// keys would not be recognized, and their pins created a second time.
func TestOpenAnotherFormat(t *testing.T) {
	for name, c := range map[string]struct {
		version, records int
		refused          bool
	}{
		"an earlier version":                 {version: 0, records: 1, refused: true},
		"an earlier version, several":        {version: 0, records: 40, refused: true},
		"an earlier version without records": {version: 0, records: 0},
		"this version":                       {version: 1, records: 1},
		"a later version":                    {version: 2, records: 1, refused: true},
		"a later version without records":    {version: 2, records: 0, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l, err := fileledger.Open(t.Context(), dir)
			require.NoError(t, err)
			for i := range c.records {
				require.NoError(t, l.Save(t.Context(), map[string][]byte{fmt.Sprint("key ", i): []byte("record")}))
			}
			require.NoError(t, l.Close())
			db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.sqlite"))
			require.NoError(t, err)
			defer db.Close()
			_, err = db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", c.version))
			require.NoError(t, err)

			for range 2 { // refusing it changes nothing
				l, err = fileledger.Open(t.Context(), dir)
				version, records := c.version, 0
				if c.refused {
					assert.Nil(t, l)
					require.ErrorContains(t, err, fmt.Sprintf("fileledger: %s: the records have a format that this version of the library cannot read: version %d, want 1", dir, c.version))
				} else {
					version = 1
					require.NoError(t, err)
					require.NoError(t, l.Close())
				}
				var found int
				require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&found))
				assert.Equal(t, version, found)
				require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM ledger").Scan(&records))
				assert.Equal(t, c.records, records)
				assert.Empty(t, lockFiles(t, dir))
			}
		})
	}
}
