package pinterest_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestRefreshDueRefreshesWhatEndsSoon(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted().always())
	store := pinterest.NewMemoryTokenStore()
	now := s.clock.Now()
	for account, tok := range map[string]pinterest.Token{
		"access ends":   {Expiry: now.Add(6 * 24 * time.Hour), RefreshExpiry: now.Add(50 * 24 * time.Hour)},
		"refresh ends":  {Expiry: now.Add(20 * 24 * time.Hour), RefreshExpiry: now.Add(6 * 24 * time.Hour)},
		"both are good": {Expiry: now.Add(8 * 24 * time.Hour), RefreshExpiry: now.Add(50 * 24 * time.Hour)},
		"disconnected":  {Expiry: now, Disconnected: &pinterest.Disconnection{At: now, Reason: "x"}},
		"not known":     {},
	} {
		tok.AccessToken, tok.RefreshToken = accessToken, "pinr."+account
		_, err := store.Save(t.Context(), account, &tok)
		require.NoError(t, err)
	}
	app := storedApp(t, s, store)
	report, err := app.RefreshDue(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, report.Refreshed)
	assert.Empty(t, report.Failed)
	var refreshed []string
	for _, r := range s.received(toToken) {
		refreshed = append(refreshed, string(r.body))
	}
	assert.Len(t, refreshed, 2)
	for _, account := range []string{"access ends", "refresh ends"} {
		tok, err := store.Load(t.Context(), account)
		require.NoError(t, err)
		assert.Equal(t, newRefresh, tok.RefreshToken, account)
	}
	again, err := app.RefreshDue(t.Context())
	require.NoError(t, err)
	assert.Zero(t, again.Refreshed)
	assert.Equal(t, 2, s.count(toToken))
}

func TestRefreshDueOfManyAccounts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer    reply
		refreshed int
		failed    int // at least
		calls     int // at most
		err       string
	}{
		"all is well":          {granted(), 60, 0, 60, ""},
		"every grant is dead":  {grantRefused, 0, 20, 30, "refresh tokens of several accounts"},
		"the endpoint is down": {bare(503), 0, 20, 30, "seems to be down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).onToken(tt.answer.always())
			store := pinterest.NewMemoryTokenStore()
			for i := range 60 {
				tok := pinterest.Token{AccessToken: accessToken, RefreshToken: fmt.Sprint("pinr.", i), Expiry: s.clock.Now()}
				_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
				require.NoError(t, err)
			}
			began := s.clock.Now()
			report, err := storedApp(t, s, store, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1})).RefreshDue(t.Context())
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
			} else {
				require.NoError(t, err)
				assert.GreaterOrEqual(t, s.clock.Now().Sub(began), 60*50*time.Millisecond, "paced")
			}
			assert.Equal(t, tt.refreshed, report.Refreshed)
			assert.GreaterOrEqual(t, len(report.Failed), tt.failed)
			assert.LessOrEqual(t, s.count(toToken), tt.calls)
			for account, err := range report.Failed {
				require.Error(t, failure(t, err))
				assert.NotErrorIs(t, err, pinterest.ErrDisconnected, account)
			}
		})
	}
}

func TestRefreshDueOfTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t).onToken(granted().always())
	store := pinterest.NewMemoryTokenStore()
	for i := range 30 {
		tok := pinterest.Token{AccessToken: accessToken, RefreshToken: fmt.Sprint("pinr.", i), Expiry: s.clock.Now()}
		_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
		require.NoError(t, err)
	}
	var wg sync.WaitGroup
	for range 2 {
		app := storedApp(t, s, store)
		wg.Go(func() {
			_, err := app.RefreshDue(t.Context())
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Equal(t, 30, s.count(toToken), "one token call an account")
}
