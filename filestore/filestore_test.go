package filestore_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/internal/filelock"
	"github.com/pinterest-go/pinterest/internal/osfile"
	"github.com/pinterest-go/pinterest/pinteresttest/storetest"
)

// Credentials without a shape by which they could be told.
const (
	secretAccess  = "AxS7f3kQ9zLm2WvBtYpR8dNc4HgJ"
	secretRefresh = "RfR5u8wZ1xKj6TqEyVoP3sMb9DnF"
)

// open opens the store of a folder, as a process does.
func open(t testing.TB, dir string, opts ...filestore.Option) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(dir, opts...)
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

func save(t testing.TB, s *filestore.Store, account string, tok pinterest.Token) (version string) {
	t.Helper()
	version, err := s.Save(t.Context(), account, &tok)
	require.NoError(t, err)
	return version
}

func requireAccess(t testing.TB, s *filestore.Store, account, access string) *pinterest.Token {
	t.Helper()
	tok, err := s.Load(t.Context(), account)
	require.NoError(t, err)
	require.NotNil(t, tok)
	require.Equal(t, access, tok.AccessToken)
	return tok
}

// files are the paths in a folder whose names match.
func files(t testing.TB, dir, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	return paths
}

// recordFile is the one record of a folder.
func recordFile(t testing.TB, dir string) string {
	t.Helper()
	paths := files(t, dir, "*.token")
	require.Len(t, paths, 1)
	return paths[0]
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) pinterest.TokenStore { return open(t, t.TempDir()) })
}

func TestEncryptedStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) pinterest.TokenStore {
		return open(t, t.TempDir(), filestore.WithAEAD(gcm(t, 'a')))
	})
}

// Stores of one folder share nothing but its files, as processes do.
func TestTwoStores(t *testing.T) {
	t.Run("one holds, the other waits", func(t *testing.T) {
		dir := t.TempDir()
		a, b := open(t, dir), open(t, dir)
		unlock := lock(t, a, "alice")
		requireHeld(t, b, "alice")
		lock(t, b, "bob")()
		version := save(t, b, "alice", pinterest.Token{AccessToken: "by b"})
		save(t, b, "alice", pinterest.Token{AccessToken: "by b again", Version: version})
		requireAccess(t, a, "alice", "by b again")
		_, err := a.Save(t.Context(), "alice", &pinterest.Token{Version: version})
		require.ErrorIs(t, err, pinterest.ErrTokenConflict)
		unlock()
		unlock = lock(t, b, "alice")
		requireHeld(t, a, "alice")
		unlock()
		assert.Empty(t, files(t, dir, "locks/*"))
	})
	t.Run("never two at once", func(t *testing.T) {
		dir := t.TempDir()
		const stores, goroutines, rounds = 3, 4, 8
		var inside, entries atomic.Int32
		var wg sync.WaitGroup
		for range stores {
			s := open(t, dir)
			for range goroutines {
				wg.Go(func() {
					for range rounds {
						unlock := lock(t, s, "alice")
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
		assert.Empty(t, files(t, dir, "locks/*"))
	})
	// The second unlock comes when another holds the lock: it must not take the
	// other's lock away, so that a third gets in.
	t.Run("unlock twice", func(t *testing.T) {
		dir := t.TempDir()
		a, b, c := open(t, dir), open(t, dir), open(t, dir)
		first := lock(t, a, "alice")
		first()
		second := lock(t, b, "alice")
		first()
		requireHeld(t, c, "alice")
		second()
		lock(t, c, "alice")()
	})
	t.Run("one of many savers wins", func(t *testing.T) {
		dir := t.TempDir()
		version := ""
		for range 10 {
			var won atomic.Int32
			var next atomic.Value
			var wg sync.WaitGroup
			for range 8 {
				s := open(t, dir)
				wg.Go(func() {
					v, err := s.Save(t.Context(), "alice", &pinterest.Token{Version: version})
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
}

// lock takes a lock that is free, or soon will be.
func lock(t *testing.T, s *filestore.Store, account string) (unlock func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	unlock, err := s.Lock(ctx, account)
	require.NoError(t, err)
	return unlock
}

// requireHeld checks that a lock cannot be had.
func requireHeld(t *testing.T, s *filestore.Store, account string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Lock(ctx, account)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestOpen(t *testing.T) {
	parent := t.TempDir()
	names := []string{"plain", "a/b/c", "with space", "percent%41", "台所"}
	if runtime.GOOS != "windows" { // which has no such names
		names = append(names, "colon:", "new\nline")
	}
	for _, name := range names {
		dir := filepath.Join(parent, name)
		for i := range 2 { // also what is there already
			s := open(t, dir)
			if i == 0 {
				save(t, s, "alice", pinterest.Token{AccessToken: "first"})
			}
			requireAccess(t, s, "alice", "first")
		}
		for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "locks"): 0o700, recordFile(t, dir): 0o600} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			if osfile.HasModes {
				assert.Equal(t, want, info.Mode().Perm(), path)
			}
		}
		assert.Empty(t, files(t, dir, "locks/*"), "nobody holds a lock")
	}
	t.Run("a relative folder", func(t *testing.T) {
		t.Chdir(t.TempDir())
		save(t, open(t, "tokens"), "alice", pinterest.Token{AccessToken: "first"})
		requireAccess(t, open(t, "./tokens/"), "alice", "first")
	})
}

func TestOpenErrors(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"the folder is a file":            func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(dir, nil, 0o600)) },
		"locks is a file":                 func(t *testing.T, dir string) { makeFolder(t, dir, 0o700, "locks") },
		"the folder is a link to itself":  func(t *testing.T, dir string) { require.NoError(t, os.Symlink(dir, dir)) },
		"its group may write in it":       func(t *testing.T, dir string) { makeFolder(t, dir, 0o720) },
		"anybody may write in it":         func(t *testing.T, dir string) { makeFolder(t, dir, 0o1777) },
		"anybody may write in the locks'": func(t *testing.T, dir string) { makeFolder(t, dir, 0o700); makeFolder(t, dir+"/locks", 0o702) },
		"anybody may write in its parent": func(t *testing.T, dir string) {
			makeFolder(t, dir, 0o700)
			require.NoError(t, os.Chmod(filepath.Dir(dir), 0o777))
		},
		"another user may write in it": func(t *testing.T, dir string) {
			makeFolder(t, dir, 0o755)
			require.NoError(t, os.Chown(dir, 12345, 12345))
		},
		"another user may write in the locks'": func(t *testing.T, dir string) {
			makeFolder(t, dir, 0o755)
			makeFolder(t, dir+"/locks", 0o755)
			require.NoError(t, os.Chown(dir+"/locks", 12345, 12345))
		},
	} {
		if strings.Contains(name, "may write") && !osfile.HasModes || strings.Contains(name, "another user") && os.Geteuid() != 0 {
			continue // nobody else can give a folder away
		}
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tokens")
			prepare(t, dir)
			s, err := filestore.Open(dir)
			require.ErrorContains(t, err, "filestore: "+dir)
			assert.Nil(t, s)
		})
	}
	for _, opt := range []filestore.Option{filestore.WithAEAD(nil), filestore.WithAEAD(gcm(t, 'a'), nil)} {
		_, err := filestore.Open(t.TempDir(), opt)
		require.ErrorContains(t, err, "the cipher is nil")
	}
	t.Run("others may read it", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "tokens")
		makeFolder(t, dir, 0o755)
		open(t, dir) // they see names of files, and no more
	})
	t.Run("the parent is sticky", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "tokens")
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o777|os.ModeSticky))
		open(t, dir) // like /tmp
	})
}

// makeFolder makes a folder of this very mode, with empty files.
func makeFolder(t *testing.T, dir string, mode os.FileMode, names ...string) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o700))
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Chmod(dir, mode))
}

// What is in the file is said in the package's comment and in record.go.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	version := save(t, open(t, dir), "alice \xff\n\"台所", pinterest.Token{AccessToken: "access"})
	data, err := os.ReadFile(recordFile(t, dir))
	require.NoError(t, err)
	assert.Equal(t, "pinterest token 1\n"+`"alice \xff\n\"\u53f0\u6240"`+"\n"+version+"\n"+`{"access_token":"access"}`, string(data))
}

// A record that cannot be read is an error wherever it is met, is not
// overwritten, and can be deleted.
func TestUnreadableRecord(t *testing.T) {
	aead := filestore.WithAEAD(gcm(t, 'a'))
	tok := pinterest.Token{AccessToken: secretAccess, RefreshToken: secretRefresh, Expiry: time.Unix(1, 0)}
	change := func(f func(data string) string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, []byte(f(string(data))), 0o600))
		}
	}
	for name, test := range map[string]struct {
		written, read []filestore.Option
		spoil         func(t *testing.T, path string)
		want          string
	}{
		"plain, opened with a key":     {read: []filestore.Option{aead}, want: "is not encrypted"},
		"encrypted, without a key":     {written: []filestore.Option{aead}, want: "without a key"},
		"encrypted, with another key":  {written: []filestore.Option{aead}, read: []filestore.Option{filestore.WithAEAD(gcm(t, 'b'), gcm(t, 'c'))}, want: "another key"},
		"empty":                        {spoil: change(func(string) string { return "" }), want: "damaged"},
		"cut off":                      {spoil: change(func(data string) string { return data[:len(data)-30] }), want: "damaged"},
		"zeros":                        {spoil: change(func(data string) string { return strings.Repeat("\x00", len(data)) }), want: "damaged"},
		"no version":                   {spoil: change(func(data string) string { return "pinterest token 1\n\"alice\"\n\n{}" }), want: "damaged"},
		"no quotes":                    {spoil: change(func(data string) string { return strings.ReplaceAll(data, `"alice"`, "alice") }), want: "damaged"},
		"a credential in a wrong spot": {spoil: change(func(data string) string { return strings.ReplaceAll(data, "1970-01-01T00:00:01Z", secretAccess) }), want: "damaged"},
		"of a later format":            {spoil: change(func(data string) string { return strings.ReplaceAll(data, "token 1", "token 2") }), want: "damaged"},
		"another account's":            {spoil: change(func(data string) string { return strings.ReplaceAll(data, "alice", "malice") }), want: "damaged"},
		"another's, encrypted": {
			written: []filestore.Option{aead}, read: []filestore.Option{aead}, want: "damaged",
			spoil: change(func(data string) string { return strings.ReplaceAll(data, "alice", "malice") }),
		},
		"a folder": {want: "is a directory", spoil: func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			version := save(t, open(t, dir, test.written...), "alice", tok)
			path := recordFile(t, dir)
			if test.spoil != nil {
				test.spoil(t, path)
			}
			before, _ := os.ReadFile(path)

			s := open(t, dir, test.read...)
			save(t, s, "bob", tok)
			_, err := s.Load(t.Context(), "alice")
			requireClean(t, err, test.want, dir, `"alice"`)
			for _, version := range []string{"", version, "another"} {
				next := tok
				next.Version = version
				_, err = s.Save(t.Context(), "alice", &next)
				requireClean(t, err, test.want, dir, `"alice"`)
				require.NotErrorIs(t, err, pinterest.ErrTokenConflict)
			}
			after, _ := os.ReadFile(path)
			assert.Equal(t, before, after, "it is not overwritten")

			var accounts []string
			err = nil
			for account, e := range s.Due(t.Context(), time.Now()) {
				require.NoError(t, err, "an error ends it")
				if err = e; err == nil {
					accounts = append(accounts, account)
				}
			}
			requireClean(t, err, test.want, dir, filepath.Base(path))
			assert.Equal(t, []string{"bob"}, accounts, "the others are yielded")

			require.NoError(t, s.Delete(t.Context(), "alice"))
			save(t, s, "alice", pinterest.Token{AccessToken: "anew"})
			requireAccess(t, s, "alice", "anew")
		})
	}
}

// requireClean checks an error for words that it must have, and for those that
// it must not.
func requireClean(t *testing.T, err error, words ...string) {
	t.Helper()
	require.Error(t, err)
	for _, word := range words {
		require.ErrorContains(t, err, word)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		text := fmt.Sprintf("%v %+v %#v", e, e, e)
		for _, secret := range []string{secretAccess, secretRefresh, "0123456789abcde"} {
			assert.NotContains(t, text, secret[:len(secret)/2])
		}
	}
}

func TestUnreadableRecordsAreCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for i := range 3 {
		save(t, s, fmt.Sprint(i), pinterest.Token{})
	}
	for _, path := range files(t, dir, "*.token") {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	n := 0
	for _, err := range s.Due(t.Context(), time.Now()) {
		require.ErrorContains(t, err, "and 2 more")
		n++
	}
	assert.Equal(t, 1, n)
}

func TestKeyRotation(t *testing.T) {
	dir := t.TempDir()
	a, b := gcm(t, 'a'), gcm(t, 'b')
	before := open(t, dir, filestore.WithAEAD(a))
	save(t, before, "alice", pinterest.Token{AccessToken: secretAccess})
	save(t, before, "bob", pinterest.Token{AccessToken: secretAccess})

	during := open(t, dir, filestore.WithAEAD(b, a))
	save(t, during, "alice", *requireAccess(t, during, "alice", secretAccess))

	after := open(t, dir, filestore.WithAEAD(b))
	requireAccess(t, after, "alice", secretAccess)
	_, err := after.Load(t.Context(), "bob")
	requireClean(t, err, "another key")
	_, err = before.Load(t.Context(), "alice")
	requireClean(t, err, "another key")
	for _, path := range files(t, dir, "*.token") {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.NotContains(t, string(data), secretAccess[:8])
	}
}

func TestNothingIsPrinted(t *testing.T) {
	opt := filestore.WithAEAD(keyInSight{gcm(t, 'a'), "0123456789abcdef"})
	s := open(t, t.TempDir(), opt)
	save(t, s, "alice", pinterest.Token{AccessToken: secretAccess})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, value := range []any{s, opt, struct{ s *filestore.Store }{s}, []any{s, opt}} {
			text := fmt.Sprintf(verb, value)
			for _, secret := range []string{secretAccess, "0123456789abcdef", fmt.Sprintf("%x", "0123456789abcdef")} {
				assert.NotContains(t, text, secret[:8], verb)
			}
		}
	}
}

// keyInSight is a cipher that prints its key.
type keyInSight struct {
	cipher.AEAD
	Key string
}

// What a save that was killed has left is removed at once by the next Open, Save or
// Delete, however new it is, but not what a save in progress is writing.
func TestLeftovers(t *testing.T) {
	leave := func(t *testing.T, path string) string {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte("pinterest to"), 0o600))
		return path
	}
	t.Run("Open", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		for _, account := range []string{"alice", "bob"} {
			save(t, s, account, pinterest.Token{AccessToken: "first"})
		}
		records := files(t, dir, "*.token")
		require.Len(t, records, 2)
		old, killed, saving := leave(t, records[0]+".123.tmp"), leave(t, records[0]+".tmp"), leave(t, records[1]+".tmp")
		// Another process saves bob's token.
		unlock, err := filelock.TryLock(filepath.Join(dir, "locks", strings.TrimSuffix(filepath.Base(records[1]), ".token")+".save"))
		require.NoError(t, err)
		require.NotNil(t, unlock)
		var others []string
		for _, name := range []string{"README", "notes.tmp", "a.token.tmp", filepath.Base(records[0]) + ".md"} {
			others = append(others, leave(t, filepath.Join(dir, name)))
		}

		open(t, dir)
		assert.NoFileExists(t, old, "an earlier version has named it")
		assert.NoFileExists(t, killed)
		assert.FileExists(t, saving)
		unlock()
		s = open(t, dir)
		assert.NoFileExists(t, saving)
		for _, other := range others {
			assert.FileExists(t, other, "it is not the store's")
		}
		assert.Empty(t, files(t, dir, "locks/*"))
		requireAccess(t, s, "alice", "first")
		for account, err := range s.Due(t.Context(), time.Now()) {
			t.Errorf("%s, %v", account, err)
		}
	})
	t.Run("Save", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		version := save(t, s, "alice", pinterest.Token{AccessToken: "first"})
		leave(t, recordFile(t, dir)+".tmp")
		save(t, s, "alice", pinterest.Token{AccessToken: "second", Version: version})
		assert.Empty(t, files(t, dir, "*.tmp"))
		requireAccess(t, s, "alice", "second")
	})
	t.Run("Delete", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		save(t, s, "alice", pinterest.Token{AccessToken: "first"})
		leave(t, recordFile(t, dir)+".tmp")
		require.NoError(t, s.Delete(t.Context(), "alice"))
		assert.Empty(t, files(t, dir, "*.t*"), "it has a token, too")
	})
}

// A folder that is gone is not one in which no account has a token.
func TestFolderIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tokens")
	s := open(t, dir)
	save(t, s, "alice", pinterest.Token{AccessToken: "first"})
	require.NoError(t, os.RemoveAll(dir))
	for range 2 { // an empty folder in its place is no better
		_, err := s.Load(t.Context(), "alice")
		require.ErrorIs(t, err, os.ErrNotExist)
		_, err = s.Save(t.Context(), "alice", &pinterest.Token{})
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorIs(t, s.Delete(t.Context(), "alice"), os.ErrNotExist)
		_, err = s.Lock(t.Context(), "alice")
		require.ErrorIs(t, err, os.ErrNotExist)
		for _, err := range s.Due(t.Context(), time.Now()) {
			require.ErrorIs(t, err, os.ErrNotExist)
		}
		require.NoError(t, os.MkdirAll(dir, 0o700))
	}
}

func TestSaveErrors(t *testing.T) {
	s := open(t, t.TempDir())
	_, err := s.Save(t.Context(), "alice", nil)
	requireClean(t, err, "the token is nil")
	_, err = s.Save(t.Context(), "alice", &pinterest.Token{AccessToken: secretAccess + "\xff"})
	requireClean(t, err, "not valid UTF-8")
	_, err = s.Save(t.Context(), "alice", &pinterest.Token{AccessToken: secretAccess, Expiry: time.Unix(1<<40, 0)})
	requireClean(t, err, "its year")
}

// Thousands of waiters take a file between them, not one each.
func TestManyWaiters(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	holder, s := open(t, dir), open(t, dir)
	unlock, err := holder.Lock(t.Context(), "alice")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	before := openFiles(t)
	var wg sync.WaitGroup
	for range 3000 {
		wg.Go(func() {
			_, err := s.Lock(ctx, "alice")
			assert.ErrorIs(t, err, context.Canceled)
		})
	}
	time.Sleep(50 * time.Millisecond)
	assert.LessOrEqual(t, openFiles(t), before+2)
	cancel()
	wg.Wait()
	unlock()
	unlock, err = s.Lock(t.Context(), "alice")
	require.NoError(t, err)
	unlock()
	assert.Empty(t, files(t, dir, "locks/*"))
}

// openFiles is how many files this process has open, where that can be told.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

func FuzzFile(f *testing.F) {
	dir := f.TempDir()
	plain := open(f, dir)
	save(f, plain, "alice", pinterest.Token{AccessToken: "access"})
	path := recordFile(f, dir)
	data, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte("pinterest token 1\n\"\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		s := open(t, dir)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o600))
		tok, err := s.Load(t.Context(), "alice")
		if (tok == nil) == (err == nil) || tok != nil && tok.Version == "" {
			t.Errorf("%v, %v", tok, err)
		}
	})
}

func BenchmarkSave(b *testing.B) {
	s := open(b, b.TempDir())
	tok := pinterest.Token{AccessToken: secretAccess, RefreshToken: secretRefresh}
	for b.Loop() {
		tok.Version = save(b, s, "alice", tok)
	}
}
