package sqlstore_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest/sqlstore"
)

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
