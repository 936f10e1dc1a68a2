package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// gate is a token endpoint that answers when it is opened.
type gate struct {
	arrived chan struct{} // gets one for each request
	opened  chan struct{}
	mu      sync.Mutex
	inside  int
	most    int // requests at the same time
}

func newGate() *gate {
	return &gate{arrived: make(chan struct{}, 1000), opened: make(chan struct{})}
}

func (g *gate) reply() reply {
	return reply{sticky: true, act: func(s *server, w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock()
		g.inside++
		g.most = max(g.most, g.inside)
		g.mu.Unlock()
		g.arrived <- struct{}{}
		select {
		case <-g.opened:
		case <-s.quit:
		}
		g.mu.Lock()
		g.inside--
		g.mu.Unlock()
		_, _ = io.WriteString(w, granted().body)
	}}
}

// requireShutdown checks the error of a call that was refused.
func requireShutdown(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, pinterest.ErrShutdown)
	e := failure(t, err)
	assert.Equal(t, pinterest.ClassCanceled, e.Class)
	assert.Equal(t, pinterest.DispositionPark, e.Disposition)
	assert.ErrorIs(t, err, pinterest.ErrCanceled)
}

func TestNothingBeginsAfterShutdown(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted().always())
	tok := oldToken()
	tok.Expiry = s.clock.Now().Add(time.Hour)
	store := newTokenStore(t, tok)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithLedger(pinterest.NewMemoryLedger()), pinterest.WithObserver(seen.observe))
	c := shop(app)
	require.NoError(t, get(t.Context(), c))
	for range 2 {
		require.NoError(t, app.Shutdown(t.Context()))
	}
	intent, err := c.Pins.Intent(pinCreate())
	require.NoError(t, err)
	sent := len(s.kinds())
	for _, c := range []*pinterest.Client{c, shop(app), app.Client("another")} {
		requireShutdown(t, get(t.Context(), c))
		_, err := c.Pins.Create(t.Context(), pinCreate())
		requireShutdown(t, err)
		_, err = c.Pins.CreateOnce(t.Context(), "job-1", pinCreate())
		requireShutdown(t, err)
		_, err = c.Pins.Resolve(t.Context(), *intent)
		requireShutdown(t, err)
		for _, err := range c.Boards.All(t.Context(), nil) {
			requireShutdown(t, err)
		}
	}
	_, err = app.OAuth.Exchange(t.Context(), "code", "")
	requireShutdown(t, err)
	_, err = app.OAuth.Refresh(t.Context(), oldRefresh)
	requireShutdown(t, err)
	_, err = app.RefreshDue(t.Context())
	require.ErrorIs(t, err, pinterest.ErrShutdown)
	require.ErrorIs(t, app.RefreshEvery(t.Context(), time.Hour, nil), pinterest.ErrShutdown)
	assert.Len(t, s.kinds(), sent)
	done := seen.of(pinterest.EventDone)
	assert.ErrorIs(t, done[len(done)-1].Err, pinterest.ErrShutdown, "observers see what is refused")
}

func TestShutdownWaitsForRenewals(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := newServer(t, byToken()).onToken(g.reply())
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store)
	call := make(chan error, 1)
	go func() { call <- get(t.Context(), shop(app)) }()
	<-g.arrived

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := app.Shutdown(ended)
	var left *pinterest.ShutdownError
	require.ErrorAs(t, err, &left)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, []string{"shop-1"}, left.Accounts)
	assert.Contains(t, err.Error(), `"shop-1"`)

	down := make(chan error, 1)
	go func() {
		err := app.Shutdown(t.Context())
		select {
		case <-g.opened:
		default:
			t.Error("Shutdown has not waited")
		}
		down <- err
	}()
	requireShutdown(t, get(t.Context(), shop(app)))
	close(g.opened)
	require.NoError(t, promptly(t, func() error { return <-down }))
	assert.Equal(t, newRefresh, store.stored(t).RefreshToken)
	assert.NoError(t, <-call, "a call under way goes on")
}

// A call that was under way does not begin a renewal, whose token nobody would wait
// for.
// A client of New stores its rotated token, too, before the process ends.
func TestShutdownOfASingleClient(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	storing, goOn := make(chan struct{}), make(chan struct{})
	var stored string
	c := newBareClient(t, s, pinterest.WithRefreshToken(pinterest.RefreshConfig{
		ClientID: "1478036", ClientSecret: "app-secret", RefreshToken: oldRefresh,
		Store: func(_ context.Context, tok *oauth2.Token) error {
			close(storing)
			<-goOn
			stored = tok.RefreshToken
			return nil
		},
	}))
	go func() { _ = get(context.Background(), c) }()
	<-storing
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var left *pinterest.ShutdownError
	require.ErrorAs(t, c.Shutdown(ended), &left)
	close(goOn)
	require.NoError(t, c.Shutdown(t.Context()))
	assert.Equal(t, newRefresh, stored)
	requireShutdown(t, get(t.Context(), c))
}

func TestNoRenewalBeginsAfterShutdown(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan struct{}), make(chan struct{})
	s := newServer(t, reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		w.WriteHeader(refused.status)
		_, _ = io.WriteString(w, refused.body)
	}})
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store)
	call := make(chan error, 1)
	go func() { call <- get(t.Context(), shop(app)) }()
	<-arrived
	require.NoError(t, app.Shutdown(t.Context()))
	close(answer)
	requireShutdown(t, <-call)
	assert.Zero(t, s.count(toToken))
	assert.Nil(t, store.stored(t).Disconnected)
}

// The only copy of a rotated token is in memory, because the store was down.
func TestShutdownSavesWhatCouldNotBeSaved(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	for name, again := range map[string]bool{"the store works again": true, "the store stays down": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken()).onToken(granted())
			store := newTokenStore(t, oldToken())
			app := storedApp(t, s, store)
			store.set("Save", full)
			require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrTokenStore)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			slept := 0
			s.clock.onSleep = func(context.Context, time.Duration) error {
				if slept++; slept < 3 {
					return nil
				}
				if again {
					store.set("Save", nil)
					return nil
				}
				cancel()
				return ctx.Err()
			}
			err := app.Shutdown(ctx)
			assert.Equal(t, 1, s.count(toToken))
			if again {
				require.NoError(t, err)
				assert.Equal(t, newRefresh, store.stored(t).RefreshToken)
				return
			}
			var left *pinterest.ShutdownError
			require.ErrorAs(t, err, &left)
			assert.Equal(t, []string{"shop-1"}, left.Accounts)
		})
	}
}

// A create under way is looked up although the app is shut down: it does not end
// uncertain for that.
func TestCreateUnderWayIsLookedUpAfterShutdown(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(c *pinterest.Client) (*pinterest.Pin, error){
		"Create": func(c *pinterest.Client) (*pinterest.Pin, error) { return c.Pins.Create(t.Context(), pinCreate()) },
		"CreateOnce": func(c *pinterest.Client) (*pinterest.Pin, error) {
			return c.Pins.CreateOnce(t.Context(), "job-1", pinCreate())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var app *pinterest.App
			s := newServer(t, reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
				assert.NoError(t, app.Shutdown(context.Background()))
				w.WriteHeader(http.StatusInternalServerError)
			}})
			s.onLookup(s.madePin().always())
			app = storedApp(t, s, newTokenStore(t, oldToken()), pinterest.WithLedger(pinterest.NewMemoryLedger()))
			pin, err := create(shop(app))
			require.NoError(t, err)
			assert.Equal(t, newPinID, pin.ID)
			requireShutdown(t, get(t.Context(), shop(app)))
		})
	}
}

// A login under way is waited for, and a new one is refused.
func TestShutdownWaitsForLogins(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.srv.Inject(pinteresttest.Slow(time.Second).On("oauth/token"))
	b := browser(t)
	login := make(chan struct{})
	go func() {
		defer close(login)
		s.connect(b)
	}()
	require.NoError(t, s.clock.BlockUntil(t.Context(), 1))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var left *pinterest.ShutdownError
	require.ErrorAs(t, s.app.Shutdown(ended), &left)
	assert.Equal(t, []string{"shop-1"}, left.Accounts)
	s.clock.Advance(time.Second)
	require.NoError(t, s.app.Shutdown(t.Context()))
	tok, err := s.store.Load(t.Context(), "shop-1")
	require.NoError(t, err)
	assert.NotNil(t, tok, "it is saved by then")
	<-login
	require.NoError(t, s.err)

	s.connect(b)
	require.ErrorIs(t, s.err, pinterest.ErrShutdown)
}

func TestRenewalsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	const accounts, most = 100, 32
	g := newGate()
	s := newServer(t, byToken()).onToken(g.reply())
	store := pinterest.NewMemoryTokenStore()
	app := storedApp(t, s, store, pinterest.WithoutPacing())
	var wg sync.WaitGroup
	for i := range accounts {
		tok := oldToken()
		_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
		require.NoError(t, err)
		wg.Go(func() { assert.NoError(t, get(t.Context(), app.Client(fmt.Sprint("shop-", i)))) })
	}
	for range most {
		<-g.arrived
	}
	close(g.opened)
	wg.Wait()
	assert.Equal(t, most, g.most)
	assert.Equal(t, accounts, s.count(toToken))
}
