package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// Stores of one database share nothing but its tables, as processes do.
func TestTwoStores(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		t.Run("one holds, the other waits", func(t *testing.T) {
			a, b := d.open(t), d.open(t)
			unlock := lock(t, a, "alice")
			requireHeld(t, b, "alice")
			lock(t, b, "bob")()
			version := save(t, b, "alice", pinterest.Token{AccessToken: "by b"})
			save(t, b, "alice", pinterest.Token{AccessToken: "by b again", Version: version})
			requireAccess(t, a, "alice", "by b again")
			_, err := a.Save(t.Context(), "alice", &pinterest.Token{Version: version})
			require.ErrorIs(t, err, pinterest.ErrTokenConflict)

			waited := make(chan time.Time)
			go func() {
				unlock, err := b.Lock(t.Context(), "alice")
				assert.NoError(t, err)
				waited <- time.Now()
				unlock()
			}()
			time.Sleep(300 * time.Millisecond) // until it looks as seldom as it ever does
			unlock()
			given := time.Now()
			assert.Less(t, (<-waited).Sub(given), 2*time.Second, "about 90 ms, on a machine that is not loaded")
			lock(t, a, "alice")()
		})
		t.Run("never two at once", func(t *testing.T) {
			const stores, goroutines, rounds = 3, 4, 8
			var inside, entries atomic.Int32
			var wg sync.WaitGroup
			for range stores {
				s := d.open(t)
				for range goroutines {
					wg.Go(func() {
						for range rounds {
							unlock := lock(t, s, "shared")
							assert.Equal(t, int32(1), inside.Add(1))
							entries.Add(1)
							inside.Add(-1)
							unlock()
						}
					})
				}
			}
			wg.Wait()
			assert.Equal(t, int32(stores*goroutines*rounds), entries.Load())
		})
		// The second unlock comes when another holds the lock: it must not take the
		// other's lock away, so that a third gets in.
		t.Run("unlock twice", func(t *testing.T) {
			a, b, c := d.open(t), d.open(t), d.open(t)
			first := lock(t, a, "twice")
			first()
			second := lock(t, b, "twice")
			first()
			requireHeld(t, c, "twice")
			second()
			lock(t, c, "twice")()
		})
		t.Run("one of many savers wins", func(t *testing.T) {
			stores := []*sqlstore.Store{d.open(t), d.open(t), d.open(t), d.open(t)}
			version := ""
			for range 10 {
				var won atomic.Int32
				var next atomic.Value
				var wg sync.WaitGroup
				for i := range 8 {
					wg.Go(func() {
						v, err := stores[i%len(stores)].Save(t.Context(), "raced", &pinterest.Token{Version: version})
						if err == nil {
							won.Add(1)
							next.Store(v)
							return
						}
						assert.ErrorIs(t, err, pinterest.ErrTokenConflict)
					})
				}
				wg.Wait()
				require.Equal(t, int32(1), won.Load())
				version, _ = next.Load().(string)
			}
		})
	})
}

func TestLease(t *testing.T) {
	const lease, renew = 1500 * time.Millisecond, 250 * time.Millisecond
	each(t, func(t *testing.T, d database) {
		t.Parallel()
		t.Run("it is renewed as long as it is held", func(t *testing.T) {
			a, b := d.open(t), d.open(t)
			a.SetLease(lease, renew)
			unlock := lock(t, a, "renewed")
			ctx, cancel := context.WithTimeout(t.Context(), 2*lease)
			defer cancel()
			_, err := b.Lock(ctx, "renewed")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			unlock()
			lock(t, b, "renewed")()
		})
		t.Run("it outlives the context of its Lock", func(t *testing.T) {
			a, b := d.open(t), d.open(t)
			a.SetLease(lease, renew)
			ctx, cancel := context.WithCancel(t.Context())
			unlock, err := a.Lock(ctx, "outlives")
			require.NoError(t, err)
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 2*lease)
			defer cancel()
			_, err = b.Lock(ctx, "outlives")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			unlock()
			lock(t, b, "outlives")()
		})
		// The holder's connections are gone for longer than the lease. What it
		// then does must not touch the lock of the next.
		t.Run("a holder that lost it takes it from nobody", func(t *testing.T) {
			db := d.connect(t)
			a, b, c := d.openOn(t, db), d.open(t), d.open(t)
			a.SetLease(lease, renew)
			unlock := lock(t, a, "lost")
			version := save(t, a, "lost", pinterest.Token{AccessToken: "by a"})
			db.SetMaxOpenConns(1)
			only, err := db.Conn(t.Context()) // so that a has none
			require.NoError(t, err)
			second := lock(t, b, "lost")
			save(t, b, "lost", pinterest.Token{AccessToken: "by b", Version: version})
			require.NoError(t, only.Close())
			_, err = a.Save(t.Context(), "lost", &pinterest.Token{AccessToken: "by a", Version: version})
			require.ErrorIs(t, err, pinterest.ErrTokenConflict, "that is what protects the token")
			unlock()
			requireHeld(t, c, "lost")
			second()
			lock(t, c, "lost")()
		})
	})
}

// The server breaks every connection of a holder. The lock is not tied to one.
func TestPostgresConnectionsBreak(t *testing.T) {
	admin := connectPostgres(t)
	d := database{dialect: sqlstore.Postgres, connect: connectPostgres, table: newTable()}
	t.Cleanup(func() { dropTables(t, admin, d.table) })
	u, err := url.Parse(os.Getenv(postgresVariable))
	require.NoError(t, err)
	query := u.Query()
	query.Set("application_name", d.table)
	u.RawQuery = query.Encode()
	db, err := sql.Open("pgx", u.String())
	require.NoError(t, err)
	defer db.Close()
	a, b := d.openOn(t, db), d.open(t)
	a.SetLease(1500*time.Millisecond, 250*time.Millisecond)

	unlock := lock(t, a, "alice")
	for range 3 {
		_, err = admin.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", d.table)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		_, err = b.Lock(ctx, "alice")
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	tok, err := a.Load(t.Context(), "alice")
	require.NoError(t, err)
	require.Nil(t, tok)
	version := save(t, a, "alice", pinterest.Token{AccessToken: "access"})
	assert.Equal(t, version, requireAccess(t, b, "alice", "access").Version)
	unlock()
	lock(t, b, "alice")()
}

func TestNoGoroutineStays(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.open(t)
		lock(t, s, "first")() // the pool has its goroutines
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
		unlock := lock(t, s, "alice")
		requireHeld(t, s, "alice")
		unlock()
	})
}

// Thousands of waiters, for one account or for as many, take a few connections.
func TestManyWaiters(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		for name, account := range map[string]func(i int) string{
			"one account":   func(int) string { return "alice" },
			"many accounts": func(i int) string { return fmt.Sprint("account ", i%400) },
		} {
			t.Run(name, func(t *testing.T) {
				holder := d.open(t)
				db := d.connect(t)
				s := d.openOn(t, db)
				var unlocks []func()
				for i := range 400 {
					if account(i) != "alice" || i == 0 {
						unlocks = append(unlocks, lock(t, holder, account(i)))
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				var most atomic.Int64
				var wg sync.WaitGroup
				for i := range 2000 {
					wg.Go(func() {
						_, err := s.Lock(ctx, account(i))
						assert.ErrorIs(t, err, context.Canceled)
					})
				}
				for range 50 {
					most.Store(max(most.Load(), int64(db.Stats().OpenConnections)))
					time.Sleep(5 * time.Millisecond)
				}
				began := time.Now()
				cancel()
				wg.Wait()
				t.Logf("%d connections; all left within %v", most.Load(), time.Since(began))
				assert.LessOrEqual(t, most.Load(), int64(12))
				for _, unlock := range unlocks {
					unlock()
				}
				lock(t, s, account(0))()
			})
		}
	})
}
