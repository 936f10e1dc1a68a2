package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestAccountsOfAStore(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	at := time.Date(2027, time.March, 4, 5, 6, 7, 0, time.UTC)
	oak := &pinterest.PinterestUser{ID: "1001", Username: "oak"}
	store := pinterest.NewMemoryTokenStore()
	for name, tok := range map[string]pinterest.Token{
		"a": {
			AccessToken: accessToken, RefreshToken: oldRefresh, Expiry: at, RefreshExpiry: at.Add(time.Hour),
			Scopes: []pinterest.Scope{"pins:read"}, User: oak,
		},
		"b": {AccessToken: accessToken, RefreshToken: oldRefresh, Disconnected: &pinterest.Disconnection{At: at, Reason: "revoked"}},
		"c": {AccessToken: accessToken, Expiry: at, Quarantined: &pinterest.Quarantine{Since: at.Add(time.Minute), Reason: "refused"}},
		"d": {
			AccessToken: accessToken, Quarantined: &pinterest.Quarantine{Since: at, Reason: "refused"},
			Disconnected: &pinterest.Disconnection{At: at.Add(time.Hour), Reason: "ended"},
		},
		"pinterest:logins:3f":   {AccessToken: "the library's own"},
		"pinterest:refresh-due": {Expiry: at},
	} {
		_, err := store.Save(t.Context(), name, &tok)
		require.NoError(t, err)
	}
	want := []pinterest.StoredAccount{
		{
			Account: "a", State: pinterest.AccountConnected, Expiry: at, RefreshExpiry: at.Add(time.Hour),
			Scopes: []pinterest.Scope{"pins:read"}, User: oak,
		},
		{Account: "b", State: pinterest.AccountDisconnected, Since: at, Reason: "revoked"},
		{Account: "c", State: pinterest.AccountQuarantined, Expiry: at, Since: at.Add(time.Minute), Reason: "refused"},
		{Account: "d", State: pinterest.AccountDisconnected, Since: at.Add(time.Hour), Reason: "ended"},
	}
	app := storedApp(t, s, store)
	for range 2 {
		var got []pinterest.StoredAccount
		for acct, err := range app.Accounts(t.Context()) {
			require.NoError(t, err)
			got = append(got, acct)
		}
		assert.Equal(t, want, got)
	}
	for acct := range app.Accounts(t.Context()) {
		assert.Equal(t, "a", acct.Account)
		break // leaves the loop
	}
	assert.NotContains(t, fmt.Sprintf("%+v %#v", want, want), accessToken)
	assert.Empty(t, s.kinds(), "nothing is sent")
}

// brokenRecords is a store of three accounts, of which the second cannot be read.
type brokenRecords struct {
	*tokenStore
	list error // ends Accounts
}

var errDamaged = errors.New("the stored token is damaged")

func (s *brokenRecords) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if account == "2" {
		return nil, errDamaged
	}
	return s.tokenStore.Load(ctx, account)
}

func (s *brokenRecords) Accounts(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for account, err := range s.tokenStore.Accounts(ctx) {
			if !yield(account, err) {
				return
			}
		}
		if s.list != nil {
			yield("", s.list)
		}
	}
}

func TestAccountsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	store := &brokenRecords{tokenStore: &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}}
	for _, name := range []string{"1", "2", "3"} {
		_, err := store.Save(t.Context(), name, &pinterest.Token{AccessToken: accessToken})
		require.NoError(t, err)
	}
	app := storedApp(t, newServer(t), store)
	collect := func(ctx context.Context) (names []string, errs []error) {
		for acct, err := range app.Accounts(ctx) {
			names, errs = append(names, acct.Account), append(errs, err)
		}
		return names, errs
	}
	names, errs := collect(t.Context())
	assert.Equal(t, []string{"1", "2", "3"}, names)
	require.ErrorIs(t, errs[1], errDamaged)
	require.ErrorIs(t, errs[1], pinterest.ErrTokenStore)
	assert.Equal(t, pinterest.DispositionPark, failure(t, errs[1]).Disposition)
	require.NoError(t, errors.Join(errs[0], errs[2]))

	store.list = errors.New("no route to host")
	names, errs = collect(t.Context())
	assert.Equal(t, []string{"1", "2", "3", ""}, names)
	require.ErrorIs(t, errs[3], store.list)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	names, errs = collect(ended)
	assert.Equal(t, []string{""}, names)
	require.ErrorIs(t, errs[0], context.Canceled)
	_, errs = collect(nil)
	require.Error(t, errs[0])
}
