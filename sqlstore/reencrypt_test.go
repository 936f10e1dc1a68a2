package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// The key is changed in the steps that WithAEAD describes, while processes of the step
// before and of this one save and load. Nobody meets a token that cannot be read, and
// in the end the old key is not needed, also not for accounts that are never due.
func TestKeyRotationInUse(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		a, b := gcm(t, 'a'), gcm(t, 'b')
		tokens := map[string]pinterest.Token{
			"due":                     {AccessToken: secretAccess, RefreshToken: secretRefresh, Expiry: time.Unix(1, 0)},
			"without a refresh token": {AccessToken: secretAccess},
			"disconnected":            {AccessToken: secretAccess, RefreshToken: secretRefresh, Disconnected: &pinterest.Disconnection{At: time.Unix(1, 0).UTC(), Reason: "why"}},
			"in use":                  {AccessToken: "0"},
		}
		steps := []sqlstore.Option{sqlstore.WithAEAD(a), sqlstore.WithAEAD(a, b), sqlstore.WithAEAD(b, a), sqlstore.WithAEAD(b)}
		stores := make([]*sqlstore.Store, len(steps))
		for i, opt := range steps {
			stores[i] = d.open(t, opt)
		}
		versions := map[string]string{}
		for account, tok := range tokens {
			versions[account] = save(t, stores[0], account, tok)
		}
		const rounds = 15
		for i := range len(steps) - 1 {
			var wg sync.WaitGroup
			for _, s := range stores[i : i+2] { // before the last step, those of the third are gone
				if i == len(steps)-2 {
					s = stores[len(steps)-2]
				}
				wg.Go(func() {
					for n := 0; n < rounds; {
						tok, err := s.Load(t.Context(), "in use")
						if !assert.NoError(t, err) {
							return
						}
						count, err := strconv.Atoi(tok.AccessToken)
						assert.NoError(t, err)
						tok.AccessToken = strconv.Itoa(count + 1)
						switch _, err := s.Save(t.Context(), "in use", tok); {
						case err == nil:
							n++
						case !assert.ErrorIs(t, err, pinterest.ErrTokenConflict):
							return
						}
					}
				})
			}
			if i == len(steps)-2 {
				changed, err := stores[i].Reencrypt(t.Context())
				assert.NoError(t, err)
				assert.GreaterOrEqual(t, changed, len(tokens)-1)
			}
			wg.Wait()
		}
		changed, err := stores[2].Reencrypt(t.Context())
		require.NoError(t, err)
		assert.Zero(t, changed)

		last := stores[3]
		for account, want := range tokens {
			tok, err := last.Load(t.Context(), account)
			require.NoError(t, err, account)
			if account == "in use" {
				assert.Equal(t, strconv.Itoa(2*rounds*(len(steps)-1)), tok.AccessToken)
				continue
			}
			want.Version = versions[account]
			want.Expiry, want.RefreshExpiry = want.Expiry.UTC(), want.RefreshExpiry.UTC()
			assert.Equal(t, &want, tok, "only its encryption has changed")
		}
	})
}

func TestReencryptErrors(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		_, err := d.open(t).Reencrypt(t.Context())
		require.NoError(t, err, "there is nothing to encrypt")
		old, other, next := sqlstore.WithAEAD(gcm(t, 'a')), sqlstore.WithAEAD(gcm(t, 'c')), sqlstore.WithAEAD(gcm(t, 'b'), gcm(t, 'a'))
		save(t, d.open(t, old), "alice", pinterest.Token{AccessToken: secretAccess})
		for _, account := range []string{"bob", "carol"} {
			save(t, d.open(t, other), account, pinterest.Token{AccessToken: secretAccess})
		}
		changed, err := d.open(t, next).Reencrypt(t.Context())
		assert.Equal(t, 1, changed, "the others are encrypted even so")
		requireClean(t, err, "another key", "and 1 more")
		requireAccess(t, d.open(t, sqlstore.WithAEAD(gcm(t, 'b'))), "alice", secretAccess)

		_, err = d.open(t).Reencrypt(t.Context())
		requireClean(t, err, "without a key")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = d.open(t, next).Reencrypt(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A between is a driver that runs a function before the first statement that
// encrypts.
type between struct {
	driver.Connector
	once sync.Once
	do   func()
}

func (b *between) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := b.Connector.Connect(ctx)
	return betweenConn{conn, b}, err
}

type betweenConn struct {
	driver.Conn
	between *between
}

func (c betweenConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if strings.Contains(query, "SET record =") {
		c.between.once.Do(c.between.do)
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c betweenConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

// A token that is saved between the read and the write of Reencrypt stays.
func TestReencryptUndoesNoSave(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		plain := d.connect(t)
		dsn := os.Getenv(postgresVariable)
		if d.dialect == sqlstore.SQLite {
			dsn = sqliteURL(d.file)
		}
		old := d.openOn(t, plain, sqlstore.WithAEAD(gcm(t, 'a'), gcm(t, 'b')))
		tok := pinterest.Token{AccessToken: "first"}
		tok.Version = save(t, old, "alice", tok)
		saved := false
		db := sql.OpenDB(&between{Connector: connector{plain.Driver(), dsn}, do: func() {
			tok.AccessToken, saved = "second", true
			save(t, old, "alice", tok)
		}})
		t.Cleanup(func() { assert.NoError(t, db.Close()) })
		next := d.openOn(t, db, sqlstore.WithAEAD(gcm(t, 'b'), gcm(t, 'a')))
		changed, err := next.Reencrypt(t.Context())
		require.NoError(t, err)
		assert.True(t, saved)
		assert.Equal(t, 1, changed)
		requireAccess(t, next, "alice", "second")
		requireAccess(t, d.openOn(t, plain, sqlstore.WithAEAD(gcm(t, 'b'))), "alice", "second")
	})
}

// The library's own records are left behind if they cannot be read: they are replaced
// when they are needed.
func TestReencryptLeavesRecordsOfTheLibrary(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		lost := d.open(t, sqlstore.WithAEAD(gcm(t, 'c')))
		for _, name := range []string{"pinterest:logins:3f", "pinterest:refresh-due"} {
			save(t, lost, name, pinterest.Token{AccessToken: "x"})
		}
		s := d.open(t, sqlstore.WithAEAD(gcm(t, 'b'), gcm(t, 'a')))
		_, err := s.Load(t.Context(), "pinterest:refresh-due")
		require.ErrorIs(t, err, pinterest.ErrTokenUnreadable)
		changed, err := s.Reencrypt(t.Context())
		require.NoError(t, err)
		assert.Zero(t, changed)
	})
}
