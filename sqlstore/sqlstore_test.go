package sqlstore_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
	"github.com/pinterest-go/pinterest/pinteresttest/storetest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// Credentials without a shape by which they could be told.
const (
	secretAccess  = "AxS7f3kQ9zLm2WvBtYpR8dNc4HgJ"
	secretRefresh = "RfR5u8wZ1xKj6TqEyVoP3sMb9DnF"
)

// A database is one that tests of both dialects run against.
type database struct {
	dialect sqlstore.Dialect
	// connect returns another connection to it, as another process has, and the
	// name of a table that only this test uses.
	connect func(t testing.TB) *sql.DB
	table   string
	file    string // of SQLite
}

// connectSQLite opens a database file, as an application should.
func connectSQLite(t testing.TB, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", sqliteURL(file))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

func sqliteURL(file string) string {
	pragmas := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)"}}
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + pragmas.Encode()
}

const postgresVariable = "PINTEREST_TEST_POSTGRES"

// connectPostgres skips a test where there is no PostgreSQL, but not where all
// tests are to be run.
func connectPostgres(t testing.TB) *sql.DB {
	t.Helper()
	dsn := os.Getenv(postgresVariable)
	if dsn == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not set: it is to be the URL of a PostgreSQL for tests", postgresVariable)
		}
		t.Skipf("%s is not set", postgresVariable)
	}
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	return db
}

var tables atomic.Int64

// newTable returns a name that no other test uses.
func newTable() string { return fmt.Sprintf("test_%d_%d", os.Getpid(), tables.Add(1)) }

// each runs a test against a new database of each dialect.
func each(t *testing.T, test func(t *testing.T, d database)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "tokens.sqlite")
		test(t, database{sqlstore.SQLite, func(t testing.TB) *sql.DB { return connectSQLite(t, file) }, "pinterest_tokens", file})
	})
	t.Run("Postgres", func(t *testing.T) {
		db := connectPostgres(t)
		table := newTable()
		t.Cleanup(func() { dropTables(t, db, table) })
		test(t, database{sqlstore.Postgres, connectPostgres, table, ""})
	})
}

func dropTables(t testing.TB, db *sql.DB, table string) {
	for _, name := range []string{table, table + "_locks", table + "_schema"} {
		_, err := db.ExecContext(context.Background(), `DROP TABLE IF EXISTS "`+name+`"`)
		assert.NoError(t, err)
	}
}

// open opens the store, with connections of its own, as a process does.
func (d database) open(t testing.TB, opts ...sqlstore.Option) *sqlstore.Store {
	t.Helper()
	return d.openOn(t, d.connect(t), opts...)
}

func (d database) openOn(t testing.TB, db *sql.DB, opts ...sqlstore.Option) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), db, d.dialect, append([]sqlstore.Option{sqlstore.WithTable(d.table)}, opts...)...)
	require.NoError(t, err)
	return s
}

func gcm(t testing.TB, key byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher([]byte("0123456789abcde" + string(key)))
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	return aead
}

func save(t testing.TB, s pinterest.TokenStore, account string, tok pinterest.Token) (version string) {
	t.Helper()
	version, err := s.Save(t.Context(), account, &tok)
	require.NoError(t, err)
	return version
}

func requireAccess(t testing.TB, s pinterest.TokenStore, account, access string) *pinterest.Token {
	t.Helper()
	tok, err := s.Load(t.Context(), account)
	require.NoError(t, err)
	require.NotNil(t, tok)
	require.Equal(t, access, tok.AccessToken)
	return tok
}

// lock takes a lock that is free, or soon will be.
func lock(t *testing.T, s *sqlstore.Store, account string) (unlock func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	unlock, err := s.Lock(ctx, account)
	require.NoError(t, err)
	return unlock
}

// requireHeld checks that a lock cannot be had.
func requireHeld(t *testing.T, s *sqlstore.Store, account string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Lock(ctx, account)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestStore(t *testing.T) {
	each(t, func(t *testing.T, d database) {
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

// A pool of one connection is enough for all of it, also for an encrypted store.
func TestStoreOnOneConnection(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		db.SetMaxOpenConns(1)
		n := 0
		storetest.Run(t, func(t *testing.T) pinterest.TokenStore {
			n++
			table := d.table + "_" + strconv.Itoa(n)
			t.Cleanup(func() { dropTables(t, db, table) })
			return d.openOn(t, db, sqlstore.WithTable(table), sqlstore.WithAEAD(gcm(t, 'a')))
		})
	})
}

// SQLite without a busy timeout says at once that another writes.
func TestSQLiteWithoutBusyTimeout(t *testing.T) {
	n := 0
	dir := t.TempDir()
	storetest.Run(t, func(t *testing.T) pinterest.TokenStore {
		n++
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, strconv.Itoa(n)))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, db.Close()) })
		s, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
		require.NoError(t, err)
		return s
	})
}

func TestDueOfManyPages(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		s := d.openOn(t, db)
		for _, n := range []int{sqlstore.Page - 1, sqlstore.Page, sqlstore.Page + 1, 2*sqlstore.Page + 7} {
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(t.Context(), `DELETE FROM "`+d.table+`"`)
			require.NoError(t, err)
			for i := range n {
				name := fmt.Sprintf("account %05d", i)
				_, err = tx.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO "%s" (id, account, version, due_at, record) VALUES ($1, $2, 'v', %d, $3)`, d.table, i+1),
					[]byte(fmt.Sprint("key ", 99999-i)), []byte(name), []byte("{}"))
				require.NoError(t, err)
			}
			require.NoError(t, tx.Commit())
			for _, due := range []int{n, n / 2, 1, 0} {
				seen := map[string]bool{}
				for account, err := range s.Due(t.Context(), time.UnixMicro(int64(due)+1)) {
					require.NoError(t, err)
					require.False(t, seen[account])
					seen[account] = true
				}
				require.Len(t, seen, due)
			}
			seen := map[string]bool{}
			for account, err := range s.Accounts(t.Context()) {
				require.NoError(t, err)
				require.False(t, seen[account])
				seen[account] = true
			}
			require.Len(t, seen, n)
		}
	})
}

// Apps with connections of their own, as processes have them, follow each other.
func TestAppsFollowEachOther(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		clock := pinteresttest.NewClock(time.Now())
		srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
		t.Cleanup(srv.Close)
		process := func() (*sqlstore.Store, *pinterest.App) {
			s := d.openOn(t, d.connect(t))
			app, err := pinterest.NewApp(pinterest.WithTokenStore(s), pinterest.WithBaseURL(srv.URL), pinterest.WithClock(clock),
				pinterest.WithOAuth(pinterest.OAuth{ClientID: srv.App().ID, ClientSecret: srv.App().Secret}))
			require.NoError(t, err)
			return s, app
		}
		store, web := process()
		_, worker := process()
		alice, bob := srv.AddAccount("alice"), srv.AddAccount("bob")
		save(t, store, "shop-1", pinterest.Token{AccessToken: alice.AccessToken, User: &pinterest.PinterestUser{ID: "1", Username: "alice"}})
		c := worker.Client("shop-1")
		username := func(c *pinterest.Client) (string, error) {
			account, err := c.Account.Get(t.Context())
			if err != nil {
				return "", err
			}
			return account.Username, nil
		}
		name, err := username(c)
		require.NoError(t, err)
		require.Equal(t, "alice", name)

		require.NoError(t, web.OAuth.Disconnect(t.Context(), "shop-1"))
		clock.Advance(30 * time.Second)
		_, err = username(c)
		require.ErrorIs(t, err, pinterest.ErrDisconnected)

		save(t, store, "shop-1", pinterest.Token{AccessToken: bob.AccessToken, User: &pinterest.PinterestUser{ID: "2", Username: "bob"}})
		clock.Advance(30 * time.Second)
		_, err = username(c)
		require.ErrorIs(t, err, pinterest.ErrOtherUser)
		name, err = username(worker.Client("shop-1"))
		require.NoError(t, err)
		require.Equal(t, "bob", name)
	})
}

func TestOpenAgainAndAtOnce(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		const openers = 6
		dbs := make([]*sql.DB, openers)
		for i := range dbs {
			dbs[i] = d.connect(t)
			require.NoError(t, dbs[i].PingContext(t.Context()))
		}
		for round := range 5 {
			table := fmt.Sprint(d.table, "_", round)
			t.Cleanup(func() { dropTables(t, d.connect(t), table) })
			var wg sync.WaitGroup
			start := make(chan struct{})
			for i, db := range dbs {
				wg.Go(func() {
					<-start
					s, err := sqlstore.Open(t.Context(), db, d.dialect, sqlstore.WithTable(table))
					if assert.NoError(t, err) {
						_, err = s.Save(t.Context(), fmt.Sprint(i), &pinterest.Token{AccessToken: "access"})
						assert.NoError(t, err)
					}
				})
			}
			close(start)
			wg.Wait()
			s := d.open(t, sqlstore.WithTable(table))
			for i := range openers {
				requireAccess(t, s, fmt.Sprint(i), "access")
			}
		}
		// Another table is another store.
		table := "Other_" + d.table
		db := d.connect(t)
		t.Cleanup(func() { dropTables(t, db, table) })
		tok, err := d.openOn(t, db, sqlstore.WithTable(table)).Load(t.Context(), "1")
		require.NoError(t, err)
		assert.Nil(t, tok)
	})
}

func TestOpenErrors(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		for _, name := range []string{"", "1a", "a-b", `a"b`, "a.b", "a b", "küche", "a;", strings.Repeat("a", 49), "a\x00"} {
			_, err := sqlstore.Open(t.Context(), db, d.dialect, sqlstore.WithTable(name))
			require.ErrorContains(t, err, "no name for a table", "%q", name)
		}
		for _, opt := range []sqlstore.Option{sqlstore.WithAEAD(nil), sqlstore.WithAEAD(gcm(t, 'a'), nil)} {
			_, err := sqlstore.Open(t.Context(), db, d.dialect, opt)
			require.ErrorContains(t, err, "the cipher is nil")
		}
		_, err := sqlstore.Open(t.Context(), db, 0)
		require.ErrorContains(t, err, "the dialect")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = sqlstore.Open(ctx, db, d.dialect)
		require.ErrorIs(t, err, context.Canceled)

		other := d.table + "_taken"
		t.Cleanup(func() { dropTables(t, db, other) })
		_, err = db.ExecContext(t.Context(), `CREATE TABLE "`+other+`" (something TEXT)`)
		require.NoError(t, err)
		_, err = sqlstore.Open(t.Context(), db, d.dialect, sqlstore.WithTable(other))
		require.ErrorContains(t, err, other)
	})
	t.Run("SQLite that does not wait for the disk", func(t *testing.T) {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "a")+"?_pragma=synchronous(NORMAL)")
		require.NoError(t, err)
		defer db.Close()
		_, err = sqlstore.Open(t.Context(), db, sqlstore.SQLite)
		require.ErrorContains(t, err, "synchronous is below FULL")
	})
	t.Run("Postgres that does not wait for the disk", func(t *testing.T) {
		connectPostgres(t)
		u, err := url.Parse(os.Getenv(postgresVariable))
		require.NoError(t, err)
		query := u.Query()
		query.Set("synchronous_commit", "off")
		u.RawQuery = query.Encode()
		db, err := sql.Open("pgx", u.String())
		require.NoError(t, err)
		defer db.Close()
		_, err = sqlstore.Open(t.Context(), db, sqlstore.Postgres)
		require.ErrorContains(t, err, "synchronous_commit is off")
	})
}

// Who may not make tables can use those that another has made.
func TestPostgresWithoutTheRightToCreate(t *testing.T) {
	admin := connectPostgres(t)
	table := newTable()
	role := table + "_user"
	exec := func(query string) {
		_, err := admin.ExecContext(context.Background(), query)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		dropTables(t, admin, table)
		exec(`DROP ROLE IF EXISTS "` + role + `"`)
	})
	exec(`CREATE ROLE "` + role + `" LOGIN`)
	exec(`REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	u, err := url.Parse(os.Getenv(postgresVariable))
	require.NoError(t, err)
	u.User = url.User(role)
	db, err := sql.Open("pgx", u.String())
	require.NoError(t, err)
	defer db.Close()

	_, err = sqlstore.Open(t.Context(), db, sqlstore.Postgres, sqlstore.WithTable(table))
	require.ErrorContains(t, err, "permission denied")
	_, err = sqlstore.Open(t.Context(), admin, sqlstore.Postgres, sqlstore.WithTable(table))
	require.NoError(t, err)
	exec(`GRANT SELECT, INSERT, UPDATE, DELETE ON "` + table + `", "` + table + `_locks" TO "` + role + `"`)
	s, err := sqlstore.Open(t.Context(), db, sqlstore.Postgres, sqlstore.WithTable(table))
	require.NoError(t, err)
	unlock := lock(t, s, "alice")
	save(t, s, "alice", pinterest.Token{AccessToken: "access"})
	unlock()
}

func TestEncryption(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		a, b := gcm(t, 'a'), gcm(t, 'b')
		tok := pinterest.Token{AccessToken: secretAccess, RefreshToken: secretRefresh, Expiry: time.Unix(1, 0)}
		plain, before, during, after := d.open(t), d.open(t, sqlstore.WithAEAD(a)), d.open(t, sqlstore.WithAEAD(b, a)), d.open(t, sqlstore.WithAEAD(b))
		first := save(t, plain, "plain", tok)
		save(t, before, "alice", tok)
		second := save(t, before, "bob", tok)

		save(t, during, "alice", *requireAccess(t, during, "alice", secretAccess))
		requireAccess(t, after, "alice", secretAccess)
		for _, test := range []struct {
			s             *sqlstore.Store
			account, want string
		}{
			{before, "plain", "is not encrypted"}, {plain, "alice", "without a key"}, {after, "bob", "another key"}, {before, "alice", "another key"},
		} {
			_, err := test.s.Load(t.Context(), test.account)
			requireClean(t, err, test.want, `"`+test.account+`"`)
			// Who cannot load it has no version to replace it with.
			_, err = test.s.Save(t.Context(), test.account, &pinterest.Token{})
			require.ErrorIs(t, err, pinterest.ErrTokenConflict)
		}
		assert.Equal(t, first, requireAccess(t, plain, "plain", secretAccess).Version)
		assert.Equal(t, second, requireAccess(t, before, "bob", secretAccess).Version)

		db := d.connect(t)
		var record []byte
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT record FROM "`+d.table+`" WHERE account = $1`, []byte("bob")).Scan(&record))
		assert.NotContains(t, string(record), secretAccess[:8])
		_, err := db.ExecContext(t.Context(), `UPDATE "`+d.table+`" SET record = $1 WHERE account = $2`, record, []byte("alice"))
		require.NoError(t, err)
		_, err = during.Load(t.Context(), "alice")
		requireClean(t, err, "another account", "alice")
		_, err = db.ExecContext(t.Context(), `UPDATE "`+d.table+`" SET record = $1 WHERE account = $2`, []byte(`{"expiry":"`+secretAccess+`"}`), []byte("plain"))
		require.NoError(t, err)
		_, err = plain.Load(t.Context(), "plain")
		requireClean(t, err, "damaged", "plain")
		require.NoError(t, plain.Delete(t.Context(), "plain"))
		require.NoError(t, plain.Delete(t.Context(), "alice"))
	})
}

func TestNothingIsPrinted(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		opt := sqlstore.WithAEAD(keyInSight{gcm(t, 'a'), "0123456789abcdef"})
		s := d.open(t, opt)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			for _, value := range []any{s, opt, struct{ s *sqlstore.Store }{s}, []any{s, opt}} {
				text := fmt.Sprintf(verb, value)
				for _, secret := range []string{"0123456789abcdef", fmt.Sprintf("%x", "0123456789abcdef"), "postgres://"} {
					assert.NotContains(t, text, secret[:8], verb)
				}
			}
		}
	})
}

// keyInSight is a cipher that prints its key.
type keyInSight struct {
	cipher.AEAD
	Key string
}
