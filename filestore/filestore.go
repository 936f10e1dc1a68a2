// Package filestore keeps a pinterest.TokenStore in a folder, with one file for each
// account. Any number of processes on one machine can share it.
//
// A save writes and syncs a new file and renames it over the old one, so that a crash
// at any point leaves the old record or the new one. Locks are file locks of the
// operating system, which releases the locks of a process that dies. The folder must
// be on a local disk, because file locks are unreliable on network file systems. The
// package needs Linux, macOS, a BSD or Windows. On other systems Open returns an error
// that is errors.ErrUnsupported.
//
// Only their owner may read the files. On Windows those may whom the folder's access
// control list allows it: use a folder in the profile of the program's user. [WithAEAD]
// encrypts the tokens in the files, but not the accounts' names.
//
// To turn encryption on or off, load every token from a store opened the old way and
// save it to a store in another folder opened the new way. [WithAEAD] says how to
// change the key.
package filestore

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/filelock"
	"github.com/pinterest-go/pinterest/internal/osfile"
	"github.com/pinterest-go/pinterest/internal/reserved"
	"github.com/pinterest-go/pinterest/internal/sealed"
)

// Store implements pinterest.TokenStore in a folder. It is safe for concurrent use
// and needs no closing.
type Store struct {
	dir     string
	lockDir string // the folder of the lock files
	locks   filelock.Locks
	keys    sealed.Keys
}

var _ pinterest.TokenStore = (*Store)(nil)

// An Option changes how a store is opened.
type Option func(*options)

type options struct {
	keys sealed.Keys
	err  error
}

// WithAEAD encrypts the tokens on disk: with current when they are saved, and with
// current or one of the others when they are read. The account's name is the
// additional data. The nonce is random, so an AES-GCM key is safe for 2^32 saves.
//
// To change the key while any number of processes use the store, take these steps, each
// when all processes have taken the one before:
//
//  1. WithAEAD(current, next): all can read what the next key encrypts.
//  2. WithAEAD(next, current): it encrypts what is saved.
//  3. One process calls [Store.Reencrypt], for what was saved before.
//  4. WithAEAD(next): the old key is not needed any more, except for backups.
//
// Load and Save return an error for a token that is not encrypted, or with none of
// these keys. Such a token is not overwritten.
func WithAEAD(current cipher.AEAD, others ...cipher.AEAD) Option {
	return func(o *options) {
		keys, err := sealed.New(current, others...)
		o.keys, o.err = keys, errors.Join(o.err, err)
	}
}

const (
	recordEnd = ".token"
	tempEnd   = ".tmp"  // after recordEnd: what a save is writing
	holderEnd = ".lock" // the lock file of Lock
	writerEnd = ".save" // the lock file of Save and Delete
)

// Open opens the store in the folder dir. It creates the folder, accessible only to
// its owner, if necessary, and removes what processes that were killed in a save have
// left. It refuses a folder that others may write to, or that belongs to another user than
// root: they could replace the tokens. It refuses one whose parent anybody may write to,
// unless that is sticky. On Windows it does not know who may.
func Open(dir string, opts ...Option) (*Store, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	s := &Store{dir: dir, lockDir: filepath.Join(dir, "locks"), keys: o.keys}
	switch {
	case o.err != nil:
		return nil, s.wrap(o.err)
	case !filelock.Supported:
		return nil, s.wrap(fmt.Errorf("keeping tokens in files on this operating system: %w", errors.ErrUnsupported))
	}
	if err := s.makeFolders(); err != nil {
		return nil, s.wrap(err)
	}
	if err := s.checkFolders(); err != nil {
		return nil, s.wrap(err)
	}
	if err := s.clean(); err != nil {
		return nil, s.wrap(err)
	}
	return s, nil
}

// makeFolders creates the folders and their parents if they do not exist.
func (s *Store) makeFolders() error {
	_, err := os.Stat(s.dir)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(s.lockDir, 0o700); err != nil {
		return err
	}
	if !isNew {
		return nil
	}
	err = osfile.SyncFolder(filepath.Dir(filepath.Clean(s.dir)))
	if errors.Is(err, fs.ErrPermission) {
		return nil // the folder may be written but not read
	}
	return err
}

// checkFolders refuses folders in which others could replace the tokens.
func (s *Store) checkFolders() error {
	if !osfile.HasModes {
		return nil
	}
	for _, folder := range []string{s.dir, s.lockDir} {
		info, err := os.Stat(folder)
		if err != nil {
			return err
		}
		switch mode := info.Mode().Perm(); {
		case mode&0o022 != 0:
			return fmt.Errorf("others than its owner may write in %s (its mode is %#o): chmod it to 0700", folder, mode)
		case osfile.IsForeign(info):
			return fmt.Errorf("%s belongs to another user, who may write in it: chown it", folder)
		}
	}
	parent := filepath.Dir(filepath.Clean(s.dir))
	info, err := os.Stat(parent)
	if err != nil {
		return err
	}
	if info.Mode()&(0o002|fs.ModeSticky) == 0o002 {
		return fmt.Errorf("anybody may replace the folder, since the mode of %s is %#o: make it sticky, or chmod it to 0755", parent, info.Mode().Perm())
	}
	return nil
}

// clean removes the temporary files of saves that were killed. A save writes its file
// while it holds the lock of those who write the account's record. So whoever has that
// lock, without waiting, knows that the file belongs to nobody, however new it is.
func (s *Store) clean() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, rest, _ := strings.Cut(e.Name(), recordEnd+".")
		if len(name) != fileNameLength || !strings.HasSuffix("."+rest, tempEnd) {
			continue
		}
		unlock, err := filelock.TryLock(filepath.Join(s.lockDir, name+writerEnd))
		if err != nil || unlock == nil {
			continue // a save is in progress, or nothing may be written here
		}
		// A file that cannot be removed does no harm, and the next save replaces it.
		_ = os.Remove(filepath.Join(s.dir, e.Name()))
		unlock()
	}
	return nil
}

// wrap adds the store's folder to an error.
func (s *Store) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("filestore: %s: %w", s.dir, err)
}

// wrapAccount adds the account to an error.
func (s *Store) wrapAccount(account string, err error) error {
	return s.wrap(fmt.Errorf("account %.100q: %w", account, err))
}

// String returns a description with the folder.
func (s *Store) String() string { return "filestore.Store(" + s.dir + ")" }

// GoString keeps %#v from printing more than String does.
func (s *Store) GoString() string { return s.String() }

// Load implements pinterest.TokenStore.
func (s *Store) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return steady(ctx, s, account, s.load)
}

// steady calls read, and once more if it finds nothing where a file that is being
// replaced may seem to be missing.
func steady[T comparable](ctx context.Context, s *Store, account string, read func(account string) (T, error)) (found T, err error) {
	var none T
	found, err = read(account)
	if err == nil && found == none && !osfile.AtomicReplace {
		unlock, failed := s.lock(ctx, account, writerEnd)
		if failed != nil {
			return none, failed
		}
		defer unlock()
		found, err = read(account)
	}
	if err != nil {
		return none, s.wrapAccount(account, err)
	}
	return found, nil
}

// load returns an account's token, or nil when there is none.
func (s *Store) load(account string) (*pinterest.Token, error) {
	rec, _, err := s.record(fileName(account))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, s.stands()
	case err != nil:
		return nil, err
	}
	return rec.token(s.keys)
}

// stands checks that the folder is still the one that was opened. If it has been
// removed or unmounted, no account would seem to have a token, and all owners would
// be asked to connect again.
func (s *Store) stands() error {
	_, err := os.Stat(s.lockDir)
	return err
}

// Version implements pinterest.TokenStore. It reads the file, and decrypts nothing.
func (s *Store) Version(ctx context.Context, account string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return steady(ctx, s, account, s.version)
}

// version returns the version of an account's token, or "" when there is none.
func (s *Store) version(account string) (string, error) {
	rec, _, err := s.record(fileName(account))
	if errors.Is(err, fs.ErrNotExist) {
		return "", s.stands()
	}
	return rec.version, err
}

// Save implements pinterest.TokenStore.
func (s *Store) Save(ctx context.Context, account string, tok *pinterest.Token) (version string, err error) {
	payload, err := s.keys.Seal(account, tok)
	if err != nil {
		return "", s.wrapAccount(account, err)
	}
	unlock, err := s.lock(ctx, account, writerEnd)
	if err != nil {
		return "", err
	}
	defer unlock()
	// The record is decrypted as well: a record that cannot be read is not overwritten.
	old, err := s.load(account)
	if err != nil {
		return "", s.wrapAccount(account, err)
	}
	stored := ""
	if old != nil {
		stored = old.Version
	}
	if tok.Version != stored {
		return "", pinterest.ErrTokenConflict
	}
	rec := record{account: account, version: rand.Text(), payload: payload}
	if err := writeFile(s.path(account), rec.bytes()); err != nil {
		return "", s.wrapAccount(account, err)
	}
	return rec.version, nil
}

// Delete implements pinterest.TokenStore. It also removes a record that cannot be
// read.
func (s *Store) Delete(ctx context.Context, account string) error {
	unlock, err := s.lock(ctx, account, writerEnd)
	if err != nil {
		return err
	}
	defer unlock()
	path := s.path(account)
	err = errors.Join(removeFile(path+tempEnd), removeFile(path))
	if err == nil {
		err = osfile.SyncFolder(s.dir)
	}
	if err != nil {
		return s.wrapAccount(account, err)
	}
	return nil
}

// Due implements pinterest.TokenStore. It reads every file once, in no particular
// order. If a record cannot be read, the accounts after it are still yielded; its
// error comes last.
func (s *Store) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	return s.list(ctx, func(rec record) (bool, error) {
		if reserved.Name(rec.account) {
			return false, nil // it has no refresh token, whether it can be read or not
		}
		tok, err := rec.token(s.keys)
		if err != nil {
			return false, err
		}
		at := sealed.DueAt(tok)
		return !at.IsZero() && at.Before(before), nil
	})
}

// Accounts implements pinterest.TokenStore. It reads every file once, in no
// particular order, and decrypts nothing. If a record cannot be read, the accounts
// after it are still yielded; its error comes last.
func (s *Store) Accounts(ctx context.Context) iter.Seq2[string, error] {
	return s.list(ctx, func(record) (bool, error) { return true, nil })
}

// list yields the accounts whose record is wanted.
func (s *Store) list(ctx context.Context, wanted func(rec record) (bool, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := s.walk(ctx, func(name string) (again bool, err error) {
			rec, _, err := s.record(name)
			yes := false
			if err == nil {
				yes, err = wanted(rec)
			}
			return err != nil || !yes || yield(rec.account, nil), err
		})
		if err != nil {
			yield("", err)
		}
	}
}

// walk calls do with the name of each record's file, while do wants to go on. The first
// error of do comes last.
func (s *Store) walk(ctx context.Context, do func(name string) (again bool, err error)) error {
	if err := errors.Join(ctx.Err(), s.wrap(s.stands())); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return s.wrap(err)
	}
	var unreadable sealed.Unreadable
	for _, e := range entries {
		name, isRecord := strings.CutSuffix(e.Name(), recordEnd)
		if !isRecord {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		again, err := do(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // else it was deleted in the meantime
			unreadable.Add(fmt.Errorf("%s: %w", e.Name(), err))
		}
		if !again {
			return nil
		}
	}
	return s.wrap(unreadable.Err())
}
