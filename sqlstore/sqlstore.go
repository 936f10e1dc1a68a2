// Package sqlstore keeps a pinterest.TokenStore in a database, PostgreSQL or
// SQLite, through database/sql and a driver of the application's choice. Any
// number of processes can share it, with PostgreSQL on any number of machines.
//
// The lock of an account is a lease, a row that its holder renews. A lease lasts 15
// seconds: after its holder crashes, the lock is released within that time. A holder
// that cannot reach the database for so long loses the lock without knowing it. Save
// then protects the token, because it compares versions. A lease needs no connection
// of its own, so it works with a connection pooler and with a pool of one connection.
// However many callers wait, their locks use at most 12 connections at a time. Load,
// Save, Delete and Due use one connection each while they run; limit them with
// [sql.DB.SetMaxOpenConns].
//
// With SQLite set a busy timeout for every connection, such as
// "PRAGMA busy_timeout = 5000", and leave "PRAGMA synchronous" at FULL. Otherwise
// saved tokens may not survive a power failure. All processes must be on one machine.
//
// To turn encryption on or off, or to change the key without a period in which both
// keys are valid, load every token from a store opened the old way and save it to a
// store with another table opened the new way.
package sqlstore

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/keylock"
	"github.com/pinterest-go/pinterest/internal/sealed"
)

// Store implements pinterest.TokenStore in a database. It is safe for concurrent use.
// It needs no closing; the application closes the database.
type Store struct {
	db      *sql.DB
	dialect Dialect
	sql     statements
	keys    sealed.Keys

	queue  keylock.Locks // this process's callers of Lock
	asks   gate          // limits requests for leases
	keeps  gate          // limits renewals and releases of leases
	writes gate          // limits writes, with SQLite only

	lease, renew time.Duration
}

var _ pinterest.TokenStore = (*Store)(nil)

// An Option changes how a store is opened.
type Option func(*options)

type options struct {
	table string
	keys  sealed.Keys
	err   error
}

// WithTable sets the name of the table. The default is "pinterest_tokens". The table
// of the locks has the same name with the suffix "_locks". A name has up to 48 ASCII
// letters, digits and "_", and does not begin with a digit.
func WithTable(name string) Option { return func(o *options) { o.table = name } }

// WithAEAD encrypts the tokens in the database: with current when they are
// saved, and with current or one of the old when they are read, so that keys can
// be changed: open with WithAEAD(next, current), save every token once, then open
// with WithAEAD(next). The account's name is the additional data. The nonce is
// random, so an AES-GCM key is safe for 2^32 saves. The accounts' names and the times
// when tokens are due are not encrypted.
//
// Load returns an error for a token that is not encrypted, or with none of these
// keys. Such a token is not overwritten, because Save needs the version from Load.
func WithAEAD(current cipher.AEAD, old ...cipher.AEAD) Option {
	return func(o *options) {
		keys, err := sealed.New(current, old...)
		o.keys, o.err = keys, errors.Join(o.err, err)
	}
}

const (
	lease = 15 * time.Second
	renew = 4 * time.Second
	// askers and keepers are how many connections the locks use at a time.
	askers  = 8
	keepers = 4
)

// Open opens the store in a database. It creates the tables if they do not exist; it
// needs the permission to do so only then. It refuses a database that may lose
// acknowledged writes when the machine crashes: PostgreSQL with synchronous_commit
// off, SQLite with synchronous below FULL.
func Open(ctx context.Context, db *sql.DB, dialect Dialect, opts ...Option) (*Store, error) {
	o := options{table: "pinterest_tokens"}
	for _, opt := range opts {
		opt(&o)
	}
	s := &Store{
		db: db, dialect: dialect, keys: o.keys,
		asks: make(gate, askers), keeps: make(gate, keepers), lease: lease, renew: renew,
	}
	if dialect == SQLite {
		// SQLite has one writer at a time. Waiting here is fairer and faster than
		// having each connection poll for its turn.
		s.writes = make(gate, 1)
	}
	var err error
	if s.sql, err = dialect.statements(o.table); err == nil {
		err = o.err
	}
	if err == nil {
		err = s.prepare(ctx, o.table)
	}
	if err != nil {
		return nil, s.wrap(ctx, fmt.Errorf("opening table %.100q: %w", o.table, err))
	}
	return s, nil
}

// String returns a description with the dialect.
func (s *Store) String() string { return "sqlstore.Store(" + s.dialect.String() + ")" }

// GoString keeps %#v from printing more than String does.
func (s *Store) GoString() string { return s.String() }

// id returns an account's key in the tables. Names of accounts may have any length
// and any bytes, which the keys and texts of a database may not.
func id(account string) []byte {
	sum := sha256.Sum256([]byte(account))
	return sum[:]
}

// Load implements pinterest.TokenStore.
func (s *Store) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	var version string
	var record []byte
	err := s.row(ctx, s.sql.load, []any{id(account)}, &version, &record)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var tok *pinterest.Token
	if err == nil {
		tok, err = s.keys.Open(account, record)
	}
	if err != nil {
		return nil, s.wrapAccount(ctx, "loading", account, err)
	}
	tok.Version = version
	return tok, nil
}

// Save implements pinterest.TokenStore. After an error other than
// pinterest.ErrTokenConflict the token may have been saved, for example if the
// connection breaks before the answer. Use Load to find out.
func (s *Store) Save(ctx context.Context, account string, tok *pinterest.Token) (version string, err error) {
	record, err := s.keys.Seal(account, tok)
	if err != nil {
		return "", s.wrapAccount(ctx, "saving", account, err)
	}
	var due any // NULL: never
	if at := sealed.DueAt(tok); !at.IsZero() {
		due = at.UnixMicro()
	}
	version = rand.Text()
	key := id(account)
	var n int64
	if tok.Version == "" {
		n, err = s.exec(ctx, s.sql.insert, key, []byte(account), version, due, record)
	} else {
		n, err = s.exec(ctx, s.sql.update, key, tok.Version, version, due, record)
	}
	// If the answer was lost, or the driver sent the statement twice, the row already
	// has this save's version, which no other save has.
	if err == nil && n == 1 || s.stands(ctx, key, version) {
		return version, nil
	}
	if err == nil {
		return "", pinterest.ErrTokenConflict
	}
	return "", s.wrapAccount(ctx, "saving", account, err, tok.AccessToken, tok.RefreshToken)
}

// stands tells whether the stored token has this version.
func (s *Store) stands(ctx context.Context, key []byte, version string) bool {
	var stored string
	var record []byte
	err := s.row(ctx, s.sql.load, []any{key}, &stored, &record)
	return err == nil && stored == version
}

// Delete implements pinterest.TokenStore. It also removes what cannot be read.
func (s *Store) Delete(ctx context.Context, account string) error {
	if _, err := s.exec(ctx, s.sql.remove, id(account)); err != nil {
		return s.wrapAccount(ctx, "deleting", account, err)
	}
	return nil
}

// page is how many accounts Due reads at a time.
const page = 500

// Due implements pinterest.TokenStore. It reads some hundred accounts at a time,
// in no order that means anything, and holds no connection while they are worked
// on. The order is not that of expiry, because a token that is refreshed meanwhile
// would move to where it is met again.
func (s *Store) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var after []byte
		for {
			accounts, last, err := s.duePage(ctx, after, before)
			if err != nil {
				yield("", s.wrap(ctx, fmt.Errorf("listing what is due: %w", err)))
				return
			}
			for _, account := range accounts {
				if err := ctx.Err(); err != nil {
					yield("", err)
					return
				}
				if !yield(account, nil) {
					return
				}
			}
			if len(accounts) < page {
				return
			}
			after = last
		}
	}
}

// duePage returns the next accounts after a key, and the last one's key.
func (s *Store) duePage(ctx context.Context, after []byte, before time.Time) (accounts []string, last []byte, err error) {
	if after == nil {
		after = []byte{} // NULL is not less than anything
	}
	err = s.try(ctx, func() error {
		accounts, last = nil, nil
		rows, err := s.db.QueryContext(ctx, s.sql.due, after, before.UnixMicro(), page)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err has told what it could
		for rows.Next() {
			var key, account []byte
			if err := rows.Scan(&key, &account); err != nil {
				return err
			}
			accounts, last = append(accounts, string(account)), key
		}
		return rows.Err()
	})
	return accounts, last, err
}
