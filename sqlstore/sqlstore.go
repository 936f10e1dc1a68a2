// Package sqlstore keeps tokens and the ledger of CreateOnce in a database:
// [Store] is a pinterest.TokenStore and [Ledger] a pinterest.Ledger, on PostgreSQL or
// SQLite, through database/sql and a driver of the application's choice. Any
// number of processes can share them, with PostgreSQL on any number of machines.
//
// A lock is a lease, a row that its holder renews. It lasts 15 seconds, so a lock
// whose holder has crashed is free after that time. A holder that is stopped, or
// cannot reach the database, for as long loses the lock. What is saved is
// protected then by the token's version, which Save compares, and in a ledger by
// the lock itself, which Save checks in the same statement. A lease needs no
// connection of its own, so this works behind a connection pooler, and with a pool
// of one connection. However many callers wait, the locks of a store take no more
// than 12 connections at a time; other calls take one each while they run: bound
// them with [sql.DB.SetMaxOpenConns].
//
// With PostgreSQL any isolation level may be the default. What it could not
// serialize is tried again.
//
// With SQLite give every connection a busy timeout, such as
// "PRAGMA busy_timeout = 5000", and leave "PRAGMA synchronous" at FULL, without
// which what was saved does not survive a power cut. All its processes must be on
// one machine.
//
// To move to or from encryption, load every token from a store opened the old way and
// save it to one of another table opened the new way. [WithAEAD] says how to change the
// key.
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
	"github.com/pinterest-go/pinterest/internal/sealed"
)

// Store implements pinterest.TokenStore in a database. It is safe for
// concurrent use, and needs no closing; the database is the application's to close.
type Store struct {
	*database
	sql   tokenStatements
	keys  sealed.Keys
	locks *leases
}

var _ pinterest.TokenStore = (*Store)(nil)

// An Option changes how a store is opened.
type Option func(*options)

type options struct {
	table    string
	keys     sealed.Keys
	encrypts bool // keys are given
	err      error
}

// WithTable names the table. The default is "pinterest_tokens" for a [Store] and
// "pinterest_ledger" for a [Ledger]. Beside it there is one for the locks, whose name
// ends in "_locks". A name has up to 48 letters of the English alphabet, digits
// and "_", and does not begin with a digit.
func WithTable(name string) Option { return func(o *options) { o.table = name } }

// WithAEAD encrypts the tokens in the database: with current when they are saved, and with
// current or one of the others when they are read. The account's name is the
// additional data. The nonce is random, so an AES-GCM key is safe for 2^32 saves. The
// accounts' names, and when a token is due, stand in the table as they are.
//
// To change the key while any number of processes use the store, take these steps, each
// when all processes have taken the one before:
//
//  1. WithAEAD(current, next): all can read what the next key encrypts.
//  2. WithAEAD(next, current): it encrypts what is saved.
//  3. One process calls [Store.Reencrypt], for what was saved before.
//  4. WithAEAD(next): the old key is not needed any more, except for backups.
//
// A token that is not encrypted, or with none of these keys, is an error in
// Load. It is not overwritten, since Save needs the version that Load returns.
func WithAEAD(current cipher.AEAD, others ...cipher.AEAD) Option {
	return func(o *options) {
		keys, err := sealed.New(current, others...)
		o.keys, o.encrypts, o.err = keys, true, errors.Join(o.err, err)
	}
}

// Open opens the store in a database. It makes the tables if they are not
// there, for which it needs the right to; where they are it needs that no more. A
// database that is set to forget, in a crash of the machine, what it has
// acknowledged is refused: PostgreSQL with synchronous_commit off, SQLite with
// synchronous below FULL.
func Open(ctx context.Context, db *sql.DB, dialect Dialect, opts ...Option) (*Store, error) {
	o := options{table: "pinterest_tokens"}
	for _, opt := range opts {
		opt(&o)
	}
	w, err := dialect.writer(o.table)
	if err == nil {
		err = o.err
	}
	if err != nil {
		return nil, wrapOpen(ctx, o.table, err)
	}
	d := newDatabase(db, dialect)
	schema := w.schema([]string{probeTokens, probeLocks}, []string{createTokens, createDue, createLocks})
	if err := d.prepare(ctx, o.table, schema); err != nil {
		return nil, wrapOpen(ctx, o.table, err)
	}
	return &Store{database: d, sql: w.tokens(), keys: o.keys, locks: newLeases(d, w)}, nil
}

func wrapOpen(ctx context.Context, table string, err error) error {
	return wrap(ctx, fmt.Errorf("opening table %.100q: %w", table, err))
}

// String tells the dialect.
func (s *Store) String() string { return "sqlstore.Store(" + s.dialect.String() + ")" }

// GoString keeps %#v from printing more than String does.
func (s *Store) GoString() string { return s.String() }

// id is the key of a name in the tables. Names are of any length and any bytes,
// keys and texts of a database are not.
func id(name string) []byte {
	sum := sha256.Sum256([]byte(name))
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
		return nil, wrapAccount(ctx, "loading", account, err)
	}
	tok.Version = version
	return tok, nil
}

// Version implements pinterest.TokenStore. It reads one row by its primary key.
func (s *Store) Version(ctx context.Context, account string) (string, error) {
	var version string
	err := s.row(ctx, s.sql.version, []any{id(account)}, &version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", wrapAccount(ctx, "looking at", account, err)
	}
	return version, nil
}

// Save implements pinterest.TokenStore. After an error that is not
// pinterest.ErrTokenConflict the token may have been saved, as when the connection
// breaks before the answer: Load tells.
func (s *Store) Save(ctx context.Context, account string, tok *pinterest.Token) (version string, err error) {
	record, err := s.keys.Seal(account, tok)
	if err != nil {
		return "", wrapAccount(ctx, "saving", account, err)
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
	// One whose answer was lost, or that the driver has sent twice, is known by
	// its version: it is nobody else's.
	if err == nil && n == 1 || s.stands(ctx, key, version) {
		return version, nil
	}
	if err == nil {
		return "", pinterest.ErrTokenConflict
	}
	return "", wrapAccount(ctx, "saving", account, err, tok.AccessToken, tok.RefreshToken)
}

// stands tells whether the stored token has this version.
func (s *Store) stands(ctx context.Context, key []byte, version string) bool {
	var stored string
	err := s.row(ctx, s.sql.version, []any{key}, &stored)
	return err == nil && stored == version
}

// Delete implements pinterest.TokenStore. It also removes what cannot be read.
func (s *Store) Delete(ctx context.Context, account string) error {
	if _, err := s.exec(ctx, s.sql.remove, id(account)); err != nil {
		return wrapAccount(ctx, "deleting", account, err)
	}
	return nil
}

// page is how many accounts Due and Accounts read at a time.
const page = 500

// Due implements pinterest.TokenStore. It reads some hundred accounts at a time,
// in no order that means anything, and holds no connection while they are worked
// on. The order is not that of expiry, because a token that is refreshed meanwhile
// would move to where it is met again.
func (s *Store) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	return s.list(ctx, "listing what is due", s.sql.due, before.UnixMicro())
}

// Accounts implements pinterest.TokenStore. It reads as Due does.
func (s *Store) Accounts(ctx context.Context) iter.Seq2[string, error] {
	return s.list(ctx, "listing the accounts", s.sql.accounts)
}

// list yields the accounts of a query, which takes a key after which to begin, a
// number of rows, and args.
func (s *Store) list(ctx context.Context, doing, query string, args ...any) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		after := []byte{} // not nil: NULL is not less than anything
		for {
			accounts, last, err := s.listPage(ctx, query, append([]any{after, page}, args...))
			if err != nil {
				yield("", wrap(ctx, fmt.Errorf("%s: %w", doing, err)))
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

// listPage returns the accounts of one page, and the last one's key.
func (s *Store) listPage(ctx context.Context, query string, args []any) (accounts []string, last []byte, err error) {
	err = s.try(ctx, func() error {
		accounts, last = nil, nil
		rows, err := s.db.QueryContext(ctx, query, args...)
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

// Lock implements pinterest.TokenStore. A lock that another process gives back
// is had within a tenth of a second; one whose holder has crashed within 15 seconds.
func (s *Store) Lock(ctx context.Context, account string) (unlock func(), err error) {
	_, unlock, err = s.locks.lock(ctx, account)
	if err != nil {
		return nil, wrap(ctx, fmt.Errorf("locking account %.100q: %w", account, err))
	}
	return unlock, nil
}

// wrapAccount says which account's token failed in what. The secrets are taken
// out of the text.
func wrapAccount(ctx context.Context, doing, account string, err error, secrets ...string) error {
	return wrap(ctx, fmt.Errorf("%s the token of account %.100q: %w", doing, account, err), secrets...)
}
