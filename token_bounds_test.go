package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// Two processes, an API that refuses everything, a token endpoint that works.
func TestCooldownOverProcesses(t *testing.T) {
	t.Parallel()
	var n int
	var mu sync.Mutex
	s := newServer(t, refused.always()).onToken(reply{sticky: true, act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		_, _ = fmt.Fprintf(w, `{"access_token":"pina_probe_%d","refresh_token":"pinr.probe%d","expires_in":2592000}`, n, n)
	}})
	store := newTokenStore(t, oldToken())
	apps := []*pinterest.App{storedApp(t, s, store), storedApp(t, s, store)}
	var reauth int
	for i := range 20 {
		e := failure(t, get(t.Context(), shop(apps[i%2])))
		if e.Disposition == reauthorize {
			reauth++
		}
		s.clock.advance(100 * time.Millisecond)
	}
	t.Log(s.count(toToken), "rotations,", reauth, "reauthorize of 20 calls")
	assert.LessOrEqual(t, s.count(toToken), 3)
	assert.Zero(t, reauth)
}

// The time that a refresh has waited for its lock is taken from the token call.
func TestTokenCallHasAllOfItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := &rotating{valid: oldRefresh}
		store := &slowLock{tokenStore: newTokenStore(t, oldToken()), wait: 2*time.Minute - 500*time.Millisecond}
		app, err := pinterest.NewApp(pinterest.WithTokenStore(store), pinterest.WithHTTPClient(&http.Client{Transport: api}),
			pinterest.WithOAuth(pinterest.OAuth{ClientID: appID, ClientSecret: appSecret}))
		require.NoError(t, err)
		err = get(t.Context(), shop(app))
		t.Log("first:", err)
		store.wait = 0
		time.Sleep(time.Minute)
		err = get(t.Context(), shop(app))
		assert.NoError(t, err, "the account is lost")
	})
}

// rotating is an API whose refresh tokens can be used once, and whose token endpoint
// takes a second for its answer.
type rotating struct{ valid string }

func (a *rotating) RoundTrip(r *http.Request) (*http.Response, error) {
	reply := func(st reply) (*http.Response, error) {
		return &http.Response{StatusCode: st.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(st.body)), Request: r}, nil
	}
	if r.URL.Path != "/v5/oauth/token" {
		if r.Header.Get("Authorization") == "Bearer "+newAccess {
			return reply(okPin())
		}
		return reply(refused)
	}
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	st := grantRefused
	if form.Get("refresh_token") == a.valid {
		a.valid, st = newRefresh, granted()
	}
	select {
	case <-time.After(time.Second):
		return reply(st)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

type slowLock struct {
	*tokenStore
	wait time.Duration
}

func (s *slowLock) Lock(ctx context.Context, account string) (func(), error) {
	select {
	case <-time.After(s.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.tokenStore.Lock(ctx, account)
}

// A run that fails is repeated by each process of the fleet.
func TestFailingRunsOfAFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &failingDue{scheduled: newScheduled(t)}
		ctx, cancel := context.WithTimeout(t.Context(), interval/10)
		defer cancel()
		var wg sync.WaitGroup
		for range 10 {
			app := store.process(t)
			wg.Go(func() { _ = app.RefreshEvery(ctx, interval, nil) })
		}
		wg.Wait()
		assert.LessOrEqual(t, len(store.times()), 2, "runs within the first tenth of the interval, in a fleet of ten")
	})
}

type failingDue struct{ *scheduled }

func (s *failingDue) process(t *testing.T) *pinterest.App {
	app, err := pinterest.NewApp(pinterest.WithTokenStore(s), pinterest.WithOAuth(pinterest.OAuth{ClientID: appID, ClientSecret: appSecret}))
	require.NoError(t, err)
	return app
}

func (s *failingDue) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	s.mu.Lock()
	s.runs = append(s.runs, time.Now())
	s.mu.Unlock()
	return func(yield func(string, error) bool) { yield("", errors.New("down")) }
}

// How long it takes another process to take over: "within a minute or so".
func TestAnotherProcessTakesOverSoon(t *testing.T) {
	t.Parallel()
	var longest time.Duration
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			store := newScheduled(t)
			first := true
			store.onTo = func(ctx context.Context) {
				if first {
					first = false
					<-ctx.Done()
				}
			}
			ctx, kill := context.WithCancel(t.Context())
			dead := make(chan error)
			one, other := store.process(t), store.process(t)
			go func() { dead <- one.RefreshEvery(ctx, interval, nil) }()
			synctest.Wait()
			ctx2, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- other.RefreshEvery(ctx2, interval, nil) }()
			time.Sleep(3 * time.Hour)
			killed := time.Now()
			kill()
			<-dead
			time.Sleep(3 * time.Hour)
			longest = max(longest, store.times()[1].Sub(killed))
			cancel()
			<-ended
		})
	}
	assert.Less(t, longest, 3*time.Minute)
}

// Locks that another (stopped) process holds take all the renewals of this one.
func TestLocksHeldElsewhereDoNotStopOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted().always())
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 60, nil)
	var unlocks []func()
	for i := range 32 { // as many as another process may hold
		u, err := store.Lock(t.Context(), shopName(i))
		require.NoError(t, err)
		unlocks = append(unlocks, u)
	}
	app := storedApp(t, s, store)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() { _ = get(ctx, app.Client(shopName(i))) })
	}
	time.Sleep(500 * time.Millisecond)
	short, stop := context.WithTimeout(t.Context(), 3*time.Second)
	assert.NoError(t, get(short, app.Client(shopName(50))), "an account that nobody holds")
	stop()
	for _, u := range unlocks {
		u()
	}
	cancel()
	wg.Wait()
	require.NoError(t, app.Shutdown(t.Context()))
}

// A store that hangs.
func TestStoreThatHangsBlocksCallsSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := pinteresttest.NewMemoryServer()
		defer srv.Close()
		alice := srv.AddAccount("alice")
		store := newWatchedStore(t, pinterest.Token{AccessToken: alice.AccessToken})
		store.onTry = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		app, err := pinterest.NewApp(pinterest.WithTokenStore(store), pinterest.WithBaseURL(srv.URL), pinterest.WithHTTPClient(&http.Client{Transport: srv.Transport()}))
		require.NoError(t, err)
		_, err = shop(app).Account.Get(t.Context())
		require.NoError(t, err)
		time.Sleep(followEvery)
		var blocked time.Duration
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			b := time.Now()
			_, err := shop(app).Account.Get(t.Context())
			require.NoError(t, err)
			blocked += time.Since(b)
			time.Sleep(time.Second)
		}
		assert.Less(t, blocked, time.Since(began)/4)
		t.Log(blocked, "of", time.Since(began))
	})
}

// A store that says conflict again and again.
func TestStoreOfConflicts(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store)
	store.set("Save", pinterest.ErrTokenConflict)
	done := make(chan error, 1)
	go func() { done <- get(t.Context(), shop(app)) }()
	time.Sleep(2 * time.Second)
	store.set("Save", nil)
	<-done
	assert.LessOrEqual(t, s.count(toToken), 10, "token calls in two seconds")
}

// Shutdown and a renewal that only waits for a lock.
func TestShutdownDoesNotWaitForLocksOfOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted().always())
	store := newTokenStore(t, oldToken())
	unlock, err := store.Lock(t.Context(), "shop-1")
	require.NoError(t, err)
	app := storedApp(t, s, store)
	done := make(chan error, 1)
	go func() { done <- get(t.Context(), shop(app)) }()
	require.Eventually(t, func() bool { return s.count(toCall) > 0 }, 5*time.Second, time.Millisecond)
	time.Sleep(100 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	assert.NoError(t, app.Shutdown(ctx), "nothing was sent: there is nothing to lose")
	unlock()
	<-done
}

// Hundreds of accounts whose tokens have ended at once, and a token endpoint that
// takes ten seconds: what waits for its turn among the 32 begins its token call when
// its two minutes are nearly over.
func TestSlowEndpointLosesNoAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const accounts = 600
		api := &rotatingAll{valid: map[string]string{}}
		store := pinterest.NewMemoryTokenStore()
		for i := range accounts {
			name := fmt.Sprintf("shop-%03d", i)
			api.valid["pinr."+name+".0"] = name
			_, err := store.Save(t.Context(), name, &pinterest.Token{AccessToken: "pina_" + name, RefreshToken: "pinr." + name + ".0", Expiry: time.Now().Add(-time.Second)})
			require.NoError(t, err)
		}
		app, err := pinterest.NewApp(pinterest.WithTokenStore(store), pinterest.WithHTTPClient(&http.Client{Transport: api}), pinterest.WithoutPacing(),
			pinterest.WithOAuth(pinterest.OAuth{ClientID: appID, ClientSecret: appSecret}))
		require.NoError(t, err)
		var wg sync.WaitGroup
		for i := range accounts {
			wg.Go(func() { _ = get(t.Context(), app.Client(fmt.Sprintf("shop-%03d", i))) })
		}
		wg.Wait()
		require.NoError(t, app.Shutdown(t.Context()))
		lost := 0
		for i := range accounts {
			tok, err := store.Load(t.Context(), fmt.Sprintf("shop-%03d", i))
			require.NoError(t, err)
			if api.valid[tok.RefreshToken] == "" {
				lost++
			}
		}
		assert.Zero(t, lost, "accounts whose stored refresh token is spent")
	})
}

type rotatingAll struct {
	mu    sync.Mutex
	valid map[string]string
	n     int
}

func (a *rotatingAll) RoundTrip(r *http.Request) (*http.Response, error) {
	reply := func(st reply) (*http.Response, error) {
		return &http.Response{StatusCode: st.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(st.body)), Request: r}, nil
	}
	if r.URL.Path != "/v5/oauth/token" {
		return reply(okPin())
	}
	if err := r.Context().Err(); err != nil { // what a real transport does not send
		return nil, err
	}
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	refresh, st := form.Get("refresh_token"), grantRefused
	a.mu.Lock()
	if name := a.valid[refresh]; name != "" {
		a.n++
		delete(a.valid, refresh)
		next := fmt.Sprintf("pinr.%s.%d", name, a.n)
		a.valid[next] = name
		st = answer(200, fmt.Sprintf(`{"access_token":"pina_%s_%d","refresh_token":%q,"expires_in":2592000}`, name, a.n, next))
	}
	a.mu.Unlock()
	select {
	case <-time.After(11 * time.Second):
		return reply(st)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// A look that has read the store before a refresh saved its token wins over it.
func TestLookDoesNotReplaceANewerToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted())
	store := &staleStore{tokenStore: newTokenStore(t, oldToken()), read: make(chan struct{}), saved: make(chan struct{}), looked: make(chan struct{})}
	app := storedApp(t, s, store)
	require.NoError(t, get(t.Context(), shop(app)))
	store.change(t, func(tok *pinterest.Token) { // another process refreshes: v2
		tok.AccessToken, tok.RefreshToken, tok.Expiry = "pina_v2", "pinr.v2", s.clock.Now().Add(24*time.Hour)
	})
	s.clock.advance(followEvery)
	store.arm.Store(true)
	done := make(chan error, 1)
	go func() { done <- get(t.Context(), shop(app)) }() // looks: reads v2
	<-store.read
	due := make(chan pinterest.RefreshReport, 1)
	go func() { // v2 ends soon: v3
		report, err := app.RefreshDue(t.Context())
		assert.NoError(t, err)
		due <- report
	}()
	require.NoError(t, <-done)
	close(store.looked)
	report := <-due
	assert.Equal(t, 1, report.Refreshed, "%v", report)
	require.NoError(t, get(t.Context(), shop(app)))
	b := s.bearers()
	assert.Equal(t, "Bearer "+newAccess, b[len(b)-1])
}

type staleStore struct {
	*tokenStore
	arm                 atomic.Bool
	once                sync.Once
	read, saved, looked chan struct{}
}

func (s *staleStore) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	tok, err := s.tokenStore.Load(ctx, account)
	if s.arm.Load() {
		first := false
		s.once.Do(func() { first = true })
		if first {
			close(s.read)
			<-s.saved
		}
	}
	return tok, err
}

func (s *staleStore) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	v, err := s.tokenStore.Save(ctx, account, tok)
	close(s.saved)
	<-s.looked
	return v, err
}
