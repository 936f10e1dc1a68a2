package pinterest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
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
		"every grant is dead":  {grantRefused, 0, 20, 40, "refresh tokens of several accounts"},
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

// A process that gets SIGTERM ends its context and leaves. Refresh tokens that were
// rotated by then are saved first.
func TestRefreshDueWaitsForItsOwnRenewals(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(app *pinterest.App, cancel func()) error{
		"the context ends": func(_ *pinterest.App, cancel func()) error { cancel(); return context.Canceled },
		"a shutdown": func(app *pinterest.App, _ func()) error {
			go func() { _ = app.Shutdown(context.Background()) }()
			return pinterest.ErrShutdown
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			s := newServer(t).onToken(g.reply())
			store := pinterest.NewMemoryTokenStore()
			for i := range 30 {
				tok := pinterest.Token{AccessToken: accessToken, RefreshToken: fmt.Sprint("pinr.", i), Expiry: s.clock.Now()}
				_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
				require.NoError(t, err)
			}
			app := storedApp(t, s, store)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var report pinterest.RefreshReport
			ended := make(chan error, 1)
			go func() {
				var err error
				report, err = app.RefreshDue(ctx)
				select {
				case <-g.opened:
				default:
					t.Error("RefreshDue has not waited")
				}
				ended <- err
			}()
			for range 4 {
				<-g.arrived
			}
			want := end(app, cancel)
			close(g.opened)
			require.ErrorIs(t, <-ended, want)
			assert.GreaterOrEqual(t, report.Refreshed, 4)
			saved := 0
			for account := range store.Accounts(t.Context()) {
				tok, err := store.Load(t.Context(), account)
				require.NoError(t, err)
				if tok.RefreshToken == newRefresh {
					saved++
					assert.Equal(t, pinterest.AccountRefresh{Outcome: pinterest.RefreshDone}, report.Accounts[account])
				}
			}
			assert.Equal(t, s.count(toToken), saved, "no rotated token is lost")
			assert.Equal(t, saved, report.Refreshed)
		})
	}
}

// What a run did not come to, the next one does; and nothing twice.
func TestRefreshDueResumes(t *testing.T) {
	t.Parallel()
	s := newServer(t).onToken(granted().always())
	store := pinterest.NewMemoryTokenStore()
	for i := range 40 {
		tok := pinterest.Token{AccessToken: accessToken, RefreshToken: fmt.Sprint("pinr.", i), Expiry: s.clock.Now()}
		_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
		require.NoError(t, err)
	}
	ctx, kill := context.WithCancel(t.Context())
	s.clock.onSleep = func(context.Context, time.Duration) error {
		if s.count(toToken) >= 10 {
			kill()
		}
		return nil
	}
	first, err := storedApp(t, s, store).RefreshDue(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.GreaterOrEqual(t, first.Refreshed, 10)
	assert.Less(t, first.Refreshed, 40)
	second, err := storedApp(t, s, store).RefreshDue(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 40, first.Refreshed+second.Refreshed)
	assert.Equal(t, 40, s.count(toToken))
}

func TestRefreshDueReportsByAccount(t *testing.T) {
	t.Parallel()
	s := newServer(t).onToken(reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		st := granted()
		switch body, _ := io.ReadAll(r.Body); {
		case contains(body, "revoked"):
			st = grantRefused
		case contains(body, "slow"):
			st = bare(503)
		}
		w.WriteHeader(st.status)
		_, _ = io.WriteString(w, st.body)
	}})
	store := pinterest.NewMemoryTokenStore()
	for account, refresh := range map[string]string{"fine": "pinr.fine", "revoked": "pinr.revoked", "slow": "pinr.slow", "strange": "pina_strange"} {
		tok := pinterest.Token{AccessToken: accessToken, RefreshToken: refresh, Expiry: s.clock.Now()}
		_, err := store.Save(t.Context(), account, &tok)
		require.NoError(t, err)
	}
	report, err := storedApp(t, s, store, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1})).RefreshDue(t.Context())
	require.NoError(t, err)
	classes := map[string]pinterest.Class{}
	for account, result := range report.Accounts {
		classes[account] = result.Class
		assert.Equal(t, result.Err, report.Failed[account])
		if account == "fine" {
			assert.Equal(t, pinterest.RefreshDone, result.Outcome)
			continue
		}
		assert.Equal(t, pinterest.RefreshFailed, result.Outcome)
		assert.Equal(t, result.Class, failure(t, result.Err).Class)
	}
	assert.Equal(t, map[string]pinterest.Class{
		"fine": pinterest.ClassNone, "revoked": pinterest.ClassUnauthenticated, "slow": pinterest.ClassUnavailable, "strange": pinterest.ClassTransport,
	}, classes)
}

// A call that reads the store again at that moment is no reason to leave an account
// out.
func TestRefreshDueWhileACallReadsTheStore(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted().always())
	tok := oldToken()
	tok.Expiry, tok.Scopes = s.clock.Now().Add(time.Hour), []pinterest.Scope{"boards:read"}
	store := newTokenStore(t, tok)
	slow := &slowLoads{tokenStore: store, arrived: make(chan struct{}, 100), release: make(chan struct{})}
	app := storedApp(t, s, slow)
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrMissingScope)
	s.clock.advance(2 * time.Second)
	slow.slow.Store(true)
	var wg sync.WaitGroup
	var once sync.Once
	s.clock.onSleep = func(context.Context, time.Duration) error { // when the account was handed to a worker
		once.Do(func() { close(slow.release) })
		return nil
	}
	wg.Go(func() { assert.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrMissingScope) })
	<-slow.arrived // it reads the store again, for the sake of the scope
	wg.Go(func() {
		report, err := app.RefreshDue(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 1, report.Refreshed)
	})
	wg.Wait()
	assert.Equal(t, 1, s.count(toToken))
}

// slowLoads is a store whose loads wait.
type slowLoads struct {
	*tokenStore
	slow             atomic.Bool
	arrived, release chan struct{}
}

func (s *slowLoads) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if s.slow.Load() {
		s.arrived <- struct{}{}
		<-s.release
	}
	return s.tokenStore.Load(ctx, account)
}
