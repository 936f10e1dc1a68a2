package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
	"github.com/pinterest-go/pinterest/pinteresttest/storetest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// eachIsolation runs a test with every isolation level that an application may have
// made PostgreSQL's default.
func eachIsolation(t *testing.T, test func(t *testing.T, d database)) {
	t.Helper()
	for _, isolation := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			d := database{
				dialect: sqlstore.Postgres, table: newTable(),
				connect: func(t testing.TB) *sql.DB { return postgresWith(t, "default_transaction_isolation", isolation) },
			}
			db := d.connect(t)
			t.Cleanup(func() { dropTables(t, db, d.table) })
			test(t, d)
		})
	}
}

func TestStoreAtEveryIsolation(t *testing.T) {
	eachIsolation(t, func(t *testing.T, d database) {
		db := d.connect(t)
		n := 0
		storetest.Run(t, func(t *testing.T) pinterest.TokenStore {
			n++
			table := d.table + "_" + strconv.Itoa(n)
			t.Cleanup(func() { dropTables(t, db, table) })
			return d.openOn(t, db, sqlstore.WithTable(table))
		})
	})
}

// Several processes, so that they meet in the database, save one account's token
// without its lock. Each save succeeds or is a conflict, and no token is lost.
func TestSaversAtEveryIsolation(t *testing.T) {
	eachIsolation(t, func(t *testing.T, d database) {
		const processes, goroutines, rounds = 4, 3, 8
		var wg sync.WaitGroup
		for range processes {
			s := d.open(t)
			for range goroutines {
				wg.Go(func() {
					for n := 0; n < rounds; {
						saved, err := countInStore(t.Context(), s)
						if !assert.NoError(t, err) {
							return
						}
						if saved {
							n++
						}
						for _, err := range s.Due(t.Context(), time.Now()) {
							assert.NoError(t, err)
						}
						assert.NoError(t, s.Delete(t.Context(), "nobody"))
					}
				})
			}
		}
		wg.Wait()
		requireAccess(t, d.open(t), "counter", strconv.Itoa(processes*goroutines*rounds))
	})
}

// countInStore counts up in the token "counter". It reports whether nobody else was
// quicker.
func countInStore(ctx context.Context, s *sqlstore.Store) (saved bool, err error) {
	tok, err := s.Load(ctx, "counter")
	if err != nil {
		return false, err
	}
	if tok == nil {
		tok = &pinterest.Token{AccessToken: "0", RefreshToken: "refresh", Expiry: time.Unix(1, 0)}
	}
	n, err := strconv.Atoi(tok.AccessToken)
	if err != nil {
		return false, err
	}
	tok.AccessToken = strconv.Itoa(n + 1)
	_, err = s.Save(ctx, "counter", tok)
	if errors.Is(err, pinterest.ErrTokenConflict) {
		return false, nil
	}
	return err == nil, err
}

// The token of one account ends while many goroutines of several processes call for
// it. No call fails, and there is one token call.
func TestRefreshAtEveryIsolation(t *testing.T) {
	eachIsolation(t, func(t *testing.T, d database) {
		srv := pinteresttest.NewServer(pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())
		t.Cleanup(srv.Close)
		owner := srv.AddAccount("alice")
		save(t, d.open(t), "shop-1", pinterest.Token{AccessToken: owner.AccessToken, RefreshToken: owner.RefreshToken})
		srv.ExpireAllTokens()
		const processes, goroutines = 4, 100
		var wg sync.WaitGroup
		for range processes {
			app, err := pinterest.NewApp(
				pinterest.WithTokenStore(d.open(t)), pinterest.WithBaseURL(srv.URL), pinterest.WithoutPacing(),
				pinterest.WithOAuth(pinterest.OAuth{ClientID: srv.App().ID, ClientSecret: srv.App().Secret}),
			)
			require.NoError(t, err)
			for range goroutines {
				wg.Go(func() {
					_, err := app.Client("shop-1").Account.Get(t.Context())
					assert.NoError(t, err)
				})
			}
		}
		wg.Wait()
		assert.Equal(t, 1, srv.CountTokenCalls(pinteresttest.Account{}, ""))
	})
}

// A login is answered once by all processes that share the store, however many answer at
// the same moment. Those that are too late are told so, and none fails otherwise.
func answerLogins(t *testing.T, d database) {
	const processes, logins = 4, 25
	srv := pinteresttest.NewServer(pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())
	t.Cleanup(srv.Close)
	alice := srv.AddAccount("alice")
	srv.AddRedirectURI("https://a.example/cb")
	apps := make([]*pinterest.App, processes)
	for i := range apps {
		app, err := pinterest.NewApp(
			pinterest.WithTokenStore(d.open(t)), pinterest.WithBaseURL(srv.URL), pinterest.WithoutPacing(),
			pinterest.WithOAuth(pinterest.OAuth{
				ClientID: srv.App().ID, ClientSecret: srv.App().Secret, RedirectURL: "https://a.example/cb",
				AuthorizeURL: srv.AuthorizeURL(), Scopes: pinterest.ScopesFor(pinterest.OpUserAccountGet),
			}),
		)
		require.NoError(t, err)
		apps[i] = app
	}
	var connected, late atomic.Int64
	var wg sync.WaitGroup
	for range logins {
		login, err := apps[0].OAuth.Login("shop-1")
		require.NoError(t, err)
		back, err := srv.Authorize(login.URL, alice)
		require.NoError(t, err)
		_, query, _ := strings.Cut(back, "?")
		for _, app := range apps {
			wg.Go(func() {
				r := httptest.NewRequest(http.MethodGet, "/cb?"+query, nil)
				r.AddCookie(login.Cookie)
				_, err := app.OAuth.Callback(t.Context(), r, "shop-1")
				switch {
				case err == nil:
					connected.Add(1)
				case assert.ErrorIs(t, err, pinterest.ErrState):
					late.Add(1)
				}
			})
		}
	}
	wg.Wait()
	assert.EqualValues(t, logins, connected.Load())
	assert.EqualValues(t, logins*(processes-1), late.Load())
}

func TestStateIsUsedOnce(t *testing.T)                 { each(t, answerLogins) }
func TestStateIsUsedOnceAtEveryIsolation(t *testing.T) { eachIsolation(t, answerLogins) }

// Processes open a ledger at the same moment. Its table of versions has one row.
func TestOpenLedgerAtEveryIsolation(t *testing.T) {
	eachIsolation(t, func(t *testing.T, d database) {
		const openers = 6
		dbs := make([]*sql.DB, openers)
		for i := range dbs {
			dbs[i] = d.connect(t)
			require.NoError(t, dbs[i].PingContext(t.Context()))
		}
		for round := range 8 {
			own := d
			own.table += "_" + strconv.Itoa(round)
			t.Cleanup(func() { dropTables(t, dbs[0], own.table) })
			start := make(chan struct{})
			var wg sync.WaitGroup
			for _, db := range dbs {
				wg.Go(func() {
					<-start
					_, err := sqlstore.OpenLedger(t.Context(), db, d.dialect, sqlstore.WithTable(own.table))
					assert.NoError(t, err)
				})
			}
			close(start)
			wg.Wait()
			var rows int
			require.NoError(t, dbs[0].QueryRowContext(t.Context(), `SELECT COUNT(*) FROM "`+own.table+`_schema"`).Scan(&rows))
			require.Equal(t, 1, rows)
		}
	})
}

// A flaky is a driver that refuses each statement, and a commit, the first times that
// it is asked after a reset.
type flaky struct {
	driver.Connector
	code string // an SQLSTATE

	mu    sync.Mutex
	asked map[string]int // by statement
}

// refusals is how often a flaky driver refuses each.
const refusals = 2

func (f *flaky) refuse(query string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked[query]++; f.asked[query] > refusals {
		return nil
	}
	return &pgconn.PgError{Code: f.code, Message: "refused"}
}

// reset begins again. It returns how many kinds of statements there were.
func (f *flaky) reset() (statements int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	statements = len(f.asked)
	f.asked = map[string]int{}
	return statements
}

func (f *flaky) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := f.Connector.Connect(ctx)
	return flakyConn{conn, f}, err
}

type flakyConn struct {
	driver.Conn
	flaky *flaky
}

func (c flakyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.flaky.refuse(query); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c flakyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.flaky.refuse(query); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c flakyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	return flakyTx{tx, c.flaky}, err
}

type flakyTx struct {
	driver.Tx
	flaky *flaky
}

func (tx flakyTx) Commit() error {
	if err := tx.flaky.refuse("COMMIT"); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Tx.Commit()
}

// Every statement of a store and of a ledger is sent again that PostgreSQL has
// refused to serialize, or ended to break a deadlock.
func TestEveryStatementIsTriedAgain(t *testing.T) {
	for _, code := range []string{"40001", "40P01"} {
		t.Run(code, func(t *testing.T) {
			plain := connectPostgres(t)
			f := &flaky{Connector: connector{plain.Driver(), os.Getenv(postgresVariable)}, code: code, asked: map[string]int{}}
			db := sql.OpenDB(f)
			t.Cleanup(func() { assert.NoError(t, db.Close()) })
			d := database{dialect: sqlstore.Postgres, table: newTable()}
			t.Cleanup(func() { dropTables(t, plain, d.table); dropTables(t, plain, d.table+"_ledger") })
			ctx := t.Context()
			// Each step refuses something, and none fails.
			step := func(name string, do func() error) {
				t.Helper()
				f.reset()
				require.NoError(t, do(), name)
				require.Positive(t, f.reset(), name)
			}

			var s *sqlstore.Store
			var l *sqlstore.Ledger
			tok := &pinterest.Token{AccessToken: secretAccess, RefreshToken: secretRefresh, Expiry: time.Unix(1, 0)}
			step("open", func() (err error) {
				s, err = sqlstore.Open(ctx, db, d.dialect, sqlstore.WithTable(d.table), sqlstore.WithAEAD(gcm(t, 'a')))
				return err
			})
			step("insert", func() (err error) { tok.Version, err = s.Save(ctx, "alice", tok); return err })
			step("update", func() (err error) { tok.Version, err = s.Save(ctx, "alice", tok); return err })
			step("load", func() error { _, err := s.Load(ctx, "alice"); return err })
			step("due", func() error {
				for _, err := range s.Due(ctx, time.Now()) {
					if err != nil {
						return err
					}
				}
				return nil
			})
			step("version", func() error { _, err := s.Version(ctx, "alice"); return err })
			step("accounts", func() error {
				for _, err := range s.Accounts(ctx) {
					if err != nil {
						return err
					}
				}
				return nil
			})
			step("open with the next key", func() (err error) {
				s, err = sqlstore.Open(ctx, db, d.dialect, sqlstore.WithTable(d.table), sqlstore.WithAEAD(gcm(t, 'b'), gcm(t, 'a')))
				return err
			})
			step("encrypt", func() error {
				n, err := s.Reencrypt(ctx)
				if err == nil && n != 1 {
					err = fmt.Errorf("%d tokens", n)
				}
				return err
			})
			step("delete", func() error { return s.Delete(ctx, "alice") })
			var unlock func()
			step("lock", func() (err error) { unlock, err = s.Lock(ctx, "alice"); return err })
			step("unlock", func() error { unlock(); return nil })
			requireLocksLeft(t, plain, d.table, 0)

			step("open a ledger", func() (err error) {
				l, err = sqlstore.OpenLedger(ctx, db, d.dialect, sqlstore.WithTable(d.table+"_ledger"))
				return err
			})
			var held context.Context
			step("lock names", func() (err error) { held, unlock, err = l.Lock(ctx, "key", "content"); return err })
			step("save", func() error { return put(held, l, "key", "record") })
			step("save many", func() error { return l.Save(held, many("record", 2*sqlstore.SaveChunk)) })
			step("load a record", func() error { _, err := l.Load(held, "key"); return err })
			step("unlock names", func() error { unlock(); return nil })
			step("prune", func() error {
				n, err := l.Prune(ctx, time.Now().Add(time.Hour))
				if err == nil && n != 1+2*sqlstore.SaveChunk {
					err = fmt.Errorf("%d records", n)
				}
				return err
			})
			requireLocksLeft(t, plain, d.table+"_ledger", 0)
		})
	}
}

func requireLocksLeft(t *testing.T, db *sql.DB, table string, want int) {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM "`+table+`_locks"`).Scan(&n))
	require.Equal(t, want, n)
}
