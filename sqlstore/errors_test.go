package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// requireClean checks an error for words that it must have, and for those that
// it must not.
func requireClean(t *testing.T, err error, words ...string) {
	t.Helper()
	require.Error(t, err)
	for _, word := range words {
		require.ErrorContains(t, err, word)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v %+v %#v %q", e, e, e, e)
		for _, secret := range []string{secretAccess, secretRefresh, "0123456789abcde"} {
			assert.NotContains(t, text, secret[:len(secret)/2])
		}
	}
}

// An echo is a driver whose every error repeats what it was given. At the
// statements it is asked to it does its work before.
type echo struct {
	driver.Connector
	fail func(query string) (do, fail bool)
}

type echoConn struct {
	driver.Conn
	*echo
}

type echoError struct{ Args []driver.NamedValue }

func (e echoError) Error() string {
	text := "refused:"
	for _, arg := range e.Args {
		text += fmt.Sprintf(" %s", arg.Value)
	}
	return strings.ReplaceAll(text, "_token", "") // by which they could be told
}

func (e *echo) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := e.Connector.Connect(ctx)
	return echoConn{conn, e}, err
}

func (c echoConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	do, fail := c.fail(query)
	if !fail {
		return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
	}
	if do {
		if _, err := c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args); err != nil {
			return nil, err
		}
	}
	return nil, echoError{args}
}

func (c echoConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if _, fail := c.fail(query); fail {
		return nil, echoError{args}
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

type connector struct {
	driver driver.Driver
	dsn    string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.driver }

func TestErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.sqlite")
	var fail func(string) (bool, bool)
	db := sql.OpenDB(&echo{connector{connectSQLite(t, file).Driver(), sqliteURL(file)}, func(query string) (bool, bool) { return fail(query) }})
	defer db.Close()
	fail = func(string) (bool, bool) { return false, false }
	s, err := sqlstore.Open(t.Context(), db, sqlstore.SQLite)
	require.NoError(t, err)
	tok := pinterest.Token{AccessToken: secretAccess, RefreshToken: secretRefresh, Expiry: time.Unix(1, 0)}
	tok.Version = save(t, s, "alice", tok)

	t.Run("a driver that tells what it was given", func(t *testing.T) {
		fail = func(string) (bool, bool) { return false, true }
		var own echoError
		check := func(err error) {
			t.Helper()
			requireClean(t, err, "sqlstore: ", "refused")
			assert.NotErrorAs(t, err, &own, "it holds what it was given")
		}
		_, err := s.Load(t.Context(), "alice")
		check(err)
		_, err = s.Save(t.Context(), "alice", &tok)
		check(err)
		check(s.Delete(t.Context(), "alice"))
		_, err = s.Lock(t.Context(), "alice")
		check(err)
		n := 0
		for _, err := range s.Due(t.Context(), time.Now()) {
			check(err)
			n++
		}
		assert.Equal(t, 1, n)
		_, err = sqlstore.Open(t.Context(), db, sqlstore.SQLite)
		check(err)
	})
	t.Run("a save whose answer is lost", func(t *testing.T) {
		fail = func(query string) (bool, bool) { return true, strings.HasPrefix(query, "UPDATE") }
		next := tok
		next.AccessToken = "the next"
		version, err := s.Save(t.Context(), "alice", &next)
		require.NoError(t, err, "it was done, as is seen by its version")
		assert.Equal(t, version, requireAccess(t, s, "alice", "the next").Version)
	})
	t.Run("a lock whose answer is lost", func(t *testing.T) {
		fail = func(query string) (bool, bool) { return true, strings.HasPrefix(query, "INSERT") }
		_, err := s.Lock(t.Context(), "alice")
		require.Error(t, err)
		fail = func(string) (bool, bool) { return false, false }
		began := time.Now()
		lock(t, s, "alice")()
		assert.Less(t, time.Since(began), 5*time.Second, "it need not wait for the end of the lease")
	})
	t.Run("what no database can do about", func(t *testing.T) {
		_, err := s.Save(t.Context(), "alice", nil)
		requireClean(t, err, "the token is nil")
		_, err = s.Save(t.Context(), "alice", &pinterest.Token{AccessToken: secretAccess + "\xff"})
		requireClean(t, err, "not valid UTF-8")
	})
}

func TestClosedDatabase(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		db := d.connect(t)
		s := d.openOn(t, db)
		unlock := lock(t, s, "alice")
		require.NoError(t, db.Close())
		unlock() // it cannot be given back, and it is no reason to wait
		_, err := s.Load(t.Context(), "alice")
		requireClean(t, err, "closed")
		_, err = s.Save(t.Context(), "alice", &pinterest.Token{AccessToken: secretAccess})
		requireClean(t, err, "closed")
		_, err = s.Lock(t.Context(), "alice")
		requireClean(t, err, "closed")
	})
}

// The error of a pgx connection has the configuration, with the password. What is
// harmless in it is found.
func TestConnectErrorHasNoPassword(t *testing.T) {
	db, err := sql.Open("pgx", "postgres://alice:Word9Word9@127.0.0.1:1/x?sslmode=disable")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	_, err = sqlstore.Open(t.Context(), db, sqlstore.Postgres)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "Word9")
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	assert.False(t, ok, "it has the configuration")
	_, ok = errors.AsType[*net.OpError](err)
	assert.True(t, ok, "%v", err)
}

// An error of PostgreSQL has nothing to hide.
func TestPostgresErrorIsFound(t *testing.T) {
	db := connectPostgres(t)
	view := newTable()
	_, err := db.ExecContext(t.Context(), `CREATE VIEW "`+view+`" AS SELECT 1`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.ExecContext(context.Background(), `DROP VIEW "`+view+`"`)
		assert.NoError(t, err)
	})
	_, err = sqlstore.Open(t.Context(), db, sqlstore.Postgres, sqlstore.WithTable(view))
	_, ok := errors.AsType[*pgconn.PgError](err)
	assert.True(t, ok, "%v", err)
}
