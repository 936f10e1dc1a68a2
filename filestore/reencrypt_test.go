package filestore_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/internal/filelock"
)

// The key is changed in the steps that WithAEAD describes, while processes of the step
// before and of this one save and load. Nobody meets a token that cannot be read, and
// in the end the old key is not needed, also not for accounts that are never due.
func TestKeyRotationInUse(t *testing.T) {
	dir := t.TempDir()
	a, b := gcm(t, 'a'), gcm(t, 'b')
	tokens := map[string]pinterest.Token{
		"due":                     {AccessToken: secretAccess, RefreshToken: secretRefresh, Expiry: time.Unix(1, 0)},
		"without a refresh token": {AccessToken: secretAccess},
		"disconnected":            {AccessToken: secretAccess, RefreshToken: secretRefresh, Disconnected: &pinterest.Disconnection{At: time.Unix(1, 0).UTC(), Reason: "why"}},
		"in use":                  {AccessToken: "0"},
	}
	steps := []filestore.Option{filestore.WithAEAD(a), filestore.WithAEAD(a, b), filestore.WithAEAD(b, a), filestore.WithAEAD(b)}
	stores := make([]*filestore.Store, len(steps))
	for i, opt := range steps {
		stores[i] = open(t, dir, opt)
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
}

func TestReencryptErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := open(t, dir).Reencrypt(t.Context())
	require.NoError(t, err, "there is nothing to encrypt")
	old, other, next := filestore.WithAEAD(gcm(t, 'a')), filestore.WithAEAD(gcm(t, 'c')), filestore.WithAEAD(gcm(t, 'b'), gcm(t, 'a'))
	save(t, open(t, dir, old), "alice", pinterest.Token{AccessToken: secretAccess})
	for _, account := range []string{"bob", "carol"} {
		save(t, open(t, dir, other), account, pinterest.Token{AccessToken: secretAccess})
	}
	changed, err := open(t, dir, next).Reencrypt(t.Context())
	assert.Equal(t, 1, changed, "the others are encrypted even so")
	requireClean(t, err, "another key", "and 1 more")
	requireAccess(t, open(t, dir, filestore.WithAEAD(gcm(t, 'b'))), "alice", secretAccess)

	_, err = open(t, dir).Reencrypt(t.Context())
	requireClean(t, err, "without a key")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = open(t, dir, next).Reencrypt(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// Reencrypt waits for whoever saves the account, and undoes no save.
func TestReencryptWaitsForASave(t *testing.T) {
	dir := t.TempDir()
	save(t, open(t, dir, filestore.WithAEAD(gcm(t, 'a'))), "alice", pinterest.Token{AccessToken: secretAccess})
	file := recordFile(t, dir)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	unlock, err := filelock.TryLock(filepath.Join(dir, "locks", strings.TrimSuffix(filepath.Base(file), ".token")+".save"))
	require.NoError(t, err)
	require.NotNil(t, unlock)
	next := open(t, dir, filestore.WithAEAD(gcm(t, 'b'), gcm(t, 'a')))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	changed, err := next.Reencrypt(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Zero(t, changed)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, before, after)
	unlock()
	changed, err = next.Reencrypt(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, changed)
	requireAccess(t, open(t, dir, filestore.WithAEAD(gcm(t, 'b'))), "alice", secretAccess)
}

// The library's own records are left behind if they cannot be read: they are replaced
// when they are needed. Other records are counted.
func TestReencryptLeavesRecordsOfTheLibrary(t *testing.T) {
	dir := t.TempDir()
	lost := open(t, dir, filestore.WithAEAD(gcm(t, 'c')))
	for _, name := range []string{"pinterest:logins:3f", "pinterest:refresh-due"} {
		save(t, lost, name, pinterest.Token{AccessToken: "x"})
	}
	s := open(t, dir, filestore.WithAEAD(gcm(t, 'b'), gcm(t, 'a')))
	_, err := s.Reencrypt(t.Context())
	require.NoError(t, err)
	for _, err := range s.Due(t.Context(), time.Now()) {
		require.NoError(t, err)
	}
	save(t, lost, "alice", pinterest.Token{AccessToken: "x"})
	_, err = s.Reencrypt(t.Context())
	require.ErrorIs(t, err, pinterest.ErrTokenUnreadable)
}

// The first of two options says what is wrong, also if the second is right.
func TestWithAEADTwice(t *testing.T) {
	_, err := filestore.Open(t.TempDir(), filestore.WithAEAD(nil), filestore.WithAEAD(gcm(t, 'a')))
	require.ErrorContains(t, err, "the cipher is nil")
}
