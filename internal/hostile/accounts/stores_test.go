package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
)

// lagging is a replica that shows what was saved only some time later. Its writes
// are those of the store.
type lagging struct {
	pinterest.TokenStore
	lag   time.Duration
	mu    *sync.Mutex
	loads atomic.Int64
	old   map[string][]seenAt
}

type seenAt struct {
	at  time.Time
	tok *pinterest.Token
}

func (s *lagging) note(account string) {
	tok, _ := s.TokenStore.Load(context.Background(), account)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old[account] = append(s.old[account], seenAt{time.Now(), tok})
}

func (s *lagging) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	v, err := s.TokenStore.Save(ctx, account, tok)
	s.note(account)
	return v, err
}

func (s *lagging) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.loads.Add(1) > 2000 {
		time.Sleep(time.Second) // somebody loads without a pause, and keeps the bubble's time from going on
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.old[account]
	for i := len(all) - 1; i >= 0; i-- {
		if time.Since(all[i].at) >= s.lag || i == 0 {
			if all[i].tok == nil {
				return nil, nil
			}
			tok := *all[i].tok
			return &tok, nil
		}
	}
	return s.TokenStore.Load(ctx, account)
}

func (s *lagging) Version(ctx context.Context, account string) (string, error) {
	tok, err := s.Load(ctx, account)
	if tok == nil {
		return "", err
	}
	return tok.Version, err
}

// Reads come from a replica that is seconds behind. Two processes meet an expired
// token: the one that loads the spent refresh token is refused, and must not
// disconnect the account that the other has just refreshed.
func TestLaggingReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		store := &lagging{TokenStore: pinterest.NewMemoryTokenStore(), lag: 3 * time.Second, mu: &sync.Mutex{}, old: map[string][]seenAt{}}
		w.put(t, store, "shop", "77", time.Hour)
		a, seenA := w.app(t, store)
		b, seenB := w.app(t, store)
		require.NoError(t, get(a, "shop"))
		require.NoError(t, get(b, "shop"))
		time.Sleep(2 * time.Hour)
		var wg sync.WaitGroup
		var lost atomic.Int64
		for i := range 20 {
			wg.Go(func() {
				if err := get([]*pinterest.App{a, b}[i%2], "shop"); disposition(err) == "reauthorize" {
					lost.Add(1)
				}
			})
		}
		wg.Wait()
		assert.Zero(t, lost.Load(), "nobody has to connect the account again")
		assert.Zero(t, seenA.count(pinterest.EventDisconnected, "")+seenB.count(pinterest.EventDisconnected, ""))
		time.Sleep(time.Minute)
		require.NoError(t, get(a, "shop"))
		require.NoError(t, get(b, "shop"))
		assert.Nil(t, load(t, store.TokenStore, "shop").Disconnected)
		assert.Less(t, store.loads.Load(), int64(1000), "loads of the store, in three seconds of lag")
	})
}

// unlocked is a store whose locks are lost, as leases are when a process is stopped.
type unlocked struct{ pinterest.TokenStore }

func (unlocked) Lock(context.Context, string) (func(), error) { return func() {}, nil }

// Two processes refresh at once, because the lock was lost. One is refused. The
// rotated token is in the store in the end, whoever saves first.
func TestLostLock(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Second, 5 * time.Second, 40 * time.Second} {
		t.Run(delay.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, inner := newWorld(), newNasty()
				u := w.put(t, inner, "shop", "77", -time.Hour)
				w.after = func(_ http.ResponseWriter, r *http.Request, _ tokenCall, _ map[string]any) bool {
					time.Sleep(time.Second)
					return false
				}
				var first atomic.Bool
				inner.onSave = func(_ context.Context, _ string, tok *pinterest.Token) error {
					if tok.Disconnected == nil && first.CompareAndSwap(false, true) {
						time.Sleep(delay)
					}
					return nil
				}
				a, _ := w.app(t, unlocked{inner})
				b, _ := w.app(t, unlocked{inner})
				var wg sync.WaitGroup
				for _, app := range []*pinterest.App{a, b} {
					wg.Go(func() { _ = get(app, "shop") })
				}
				wg.Wait()
				time.Sleep(2 * time.Minute)
				tok := load(t, inner.TokenStore, "shop")
				assert.Nil(t, tok.Disconnected, "a rotated token was at hand")
				assert.Equal(t, u.refresh, tok.RefreshToken)
				require.NoError(t, get(a, "shop"))
				require.NoError(t, get(b, "shop"))
			})
		})
	}
}

// What the token endpoint says to a login of a connected account: nothing that is
// not a token replaces the stored one.
func TestCallbackTokens(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				u := w.put(t, store, "shop", "77", 20*day)
				was := load(t, store, "shop")
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					say(rw, c.status, c.body)
					return true
				}
				app, seen := w.app(t, store)
				for _, account := range []string{"shop", "new"} {
					_, err := w.connect(t, app, account, u)
					assert.Error(t, err)
					assert.NotErrorIs(t, err, pinterest.ErrDisconnected)
				}
				_, err := app.OAuth.Exchange(t.Context(), "code", "")
				assert.Error(t, err)
				_, err = app.OAuth.Refresh(t.Context(), was.RefreshToken)
				assert.Error(t, err)
				_, err = app.OAuth.ClientCredentials(t.Context(), pinterest.ScopeAdsRead)
				assert.Error(t, err)
				assert.Equal(t, was, load(t, store, "shop"))
				assert.Nil(t, load(t, store, "new"))
				assert.Zero(t, seen.count(pinterest.EventConnected, "")+seen.count(pinterest.EventDisconnected, ""))
				require.NoError(t, get(app, "shop"))
			})
		})
	}
}

// Strange token endpoints on real sockets.
func TestEndpointOnSockets(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	for name, f := range map[string]http.HandlerFunc{
		"huge": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = rw.Write([]byte(`{"access_token":"pina_AAAAAAAAAAAAAAAAAAAAAAAA","pad":"`))
			for range 200 {
				if _, err := rw.Write([]byte(huge)); err != nil {
					return
				}
			}
		},
		"drip": func(rw http.ResponseWriter, r *http.Request) {
			for {
				if _, err := rw.Write([]byte(" ")); err != nil || r.Context().Err() != nil {
					return
				}
				rw.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		},
		"short": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "1000")
			_, _ = rw.Write([]byte(`{"access_token":"pina_AAAAAAAAAAAAAAAAAAAAAAAA","refresh_token":"pinr.AAAAAAAAAAAAAAAAAAAAAAAA","expires_in":2592000}`))
		},
		"redirect": func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("again") == "" {
				http.Redirect(rw, r, "/v5/oauth/token?again=1", http.StatusTemporaryRedirect)
				return
			}
			say(rw, 200, `{"access_token":"pina_AAAAAAAAAAAAAAAAAAAAAAAA","expires_in":2592000}`)
		},
		"half of JSON": func(rw http.ResponseWriter, _ *http.Request) {
			say(rw, 200, `{"access_token":"pina_AAAAAAAAAAAAAAAAAAAAAAAA","refresh_token":"pinr.AAAA`)
		},
		"reset": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"gzip": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			_, _ = rw.Write([]byte(`{"access_token":"pina_AAAAAAAAAAAAAAAAAAAAAAAA","expires_in":2592000}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			w.put(t, store, "shop", "77", 6*day)
			was := load(t, store, "shop")
			srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/token") {
					f(rw, r)
					return
				}
				w.ServeHTTP(rw, r)
			}))
			defer srv.Close()
			app, seen := w.app(t, store, pinterest.WithBaseURL(srv.URL+"/v5"), pinterest.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
				pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1, AttemptTimeout: 300 * time.Millisecond}))
			report, _ := app.RefreshDue(t.Context())
			assert.Zero(t, report.Refreshed)
			tok := load(t, store, "shop")
			assert.Equal(t, was.AccessToken, tok.AccessToken)
			assert.Equal(t, was.RefreshToken, tok.RefreshToken)
			assert.Nil(t, tok.Disconnected)
			assert.Zero(t, seen.count(pinterest.EventDisconnected, ""))
			require.NoError(t, get(app, "shop"))
		})
	}
}

// Some files of a store are damaged. The other accounts are listed and refreshed.
func TestDamagedFiles(t *testing.T) {
	w := newWorld()
	dir := t.TempDir()
	store, err := filestore.Open(dir)
	require.NoError(t, err)
	was := map[string]bool{}
	w.put(t, store, "broken-1", "61", 2*day)
	w.put(t, store, "broken-2", "62", 2*day)
	w.put(t, store, "broken-3", "63", 2*day)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	for _, f := range files {
		was[f] = true
	}
	for i := range 20 {
		w.put(t, store, shop(i), fmt.Sprintf("5%03d", i), 2*day)
	}
	n := 0
	for f := range was {
		info, err := os.Stat(f)
		require.NoError(t, err)
		if info.IsDir() || info.Size() == 0 {
			continue
		}
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		switch n % 3 {
		case 0:
			b = b[:len(b)/2]
		case 1:
			b = []byte("\x00\x01 not JSON")
		case 2:
			b = nil
		}
		n++
		require.NoError(t, os.WriteFile(f, b, 0o600))
	}
	require.NotZero(t, n)
	app, _ := w.app(t, store)
	report, _ := app.RefreshDue(t.Context())
	assert.Equal(t, 20, report.Refreshed)
	good := 0
	for acc, err := range app.Accounts(t.Context()) {
		if err == nil && acc.State == pinterest.AccountConnected {
			good++
		}
	}
	assert.Equal(t, 20, good)
	for i := range 20 {
		require.NoError(t, get(app, shop(i)))
	}
	err = get(app, "broken-1")
	require.Error(t, err)
	assert.NotErrorIs(t, err, pinterest.ErrDisconnected)
	assert.NotEqual(t, "reauthorize", disposition(err))
}

// The listing of accounts goes on past one whose record cannot be loaded, or whose
// load panics.
func TestAccountsOfABadStore(t *testing.T) {
	for name, f := range map[string]func() error{"fails": func() error { return errors.New("bad") }, "panics": func() error { panic("bad " + access1) }} {
		t.Run(name, func(t *testing.T) {
			w, store := newWorld(), newNasty()
			for i := range 10 {
				w.put(t, store, shop(i), fmt.Sprint(70+i), 2*day)
			}
			store.onLoad = func(_ context.Context, account string) error {
				if account == shop(4) {
					return f()
				}
				return nil
			}
			app, _ := w.app(t, store)
			var bad []string
			n := 0
			for acc, err := range app.Accounts(t.Context()) {
				n++
				if err != nil {
					bad = append(bad, acc.Account)
					assert.ErrorIs(t, err, pinterest.ErrTokenStore)
					assert.NotContains(t, err.Error(), "HIDDENACCESS")
				}
			}
			assert.Equal(t, []string{shop(4)}, bad)
			assert.Equal(t, 10, n)
		})
	}
}

// RefreshEvery and a store that hangs or fails: it ends with its context, and goes
// on when the store does.
func TestEveryOfABadStore(t *testing.T) {
	for name, f := range map[string]func(ctx context.Context) error{
		"hangs": hang, "fails": func(context.Context) error { return errors.New("down") }, "panics": func(context.Context) error { panic("down") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), newNasty()
				w.fleet(t, store, 5, 2*day)
				var down atomic.Bool
				down.Store(true)
				g := func(ctx context.Context, _ string) error {
					if down.Load() {
						if name == "hangs" {
							for down.Load() && ctx.Err() == nil {
								select {
								case <-ctx.Done():
								case <-time.After(time.Minute):
								}
							}
							return ctx.Err()
						}
						return f(ctx)
					}
					return nil
				}
				store.onLock, store.onLoad, store.onVersion = g, g, g
				store.onSave = func(ctx context.Context, a string, _ *pinterest.Token) error { return g(ctx, a) }
				store.onDue = func(ctx context.Context) error { return g(ctx, "") }
				app, _ := w.app(t, store)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				var told, runs atomic.Int64
				go func() {
					ended <- app.RefreshEvery(ctx, 12*time.Hour, func(_ pinterest.RefreshReport, err error) {
						if err != nil {
							told.Add(1)
						} else {
							runs.Add(1)
						}
					})
				}()
				time.Sleep(20 * time.Hour)
				t.Log("told", told.Load())
				if name != "hangs" {
					assert.NotZero(t, told.Load(), "a store that fails for a day is reported")
				}
				assert.LessOrEqual(t, told.Load(), int64(200))
				down.Store(false)
				time.Sleep(14 * time.Hour)
				assert.NotZero(t, runs.Load())
				down.Store(true)
				time.Sleep(13 * time.Hour)
				cancel()
				began := time.Now()
				<-ended
				assert.Less(t, time.Since(began), 3*time.Minute)
			})
		})
	}
}

// 10,000 accounts: a run is paced, bounded, and each is refreshed once.
func TestManyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		for i := range 1500 {
			w.put(t, store, fmt.Sprintf("shop-%05d", i), fmt.Sprintf("5%05d", i), 2*day)
		}
		var at, most atomic.Int64
		w.before = func(http.ResponseWriter, *http.Request, tokenCall) bool {
			n := at.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(10 * time.Millisecond)
			at.Add(-1)
			return false
		}
		app, _ := w.app(t, store)
		began := time.Now()
		report, err := app.RefreshDue(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1500, report.Refreshed)
		assert.Equal(t, 1500, w.tokenCalls(""))
		assert.LessOrEqual(t, most.Load(), int64(4))
		assert.GreaterOrEqual(t, time.Since(began), 70*time.Second, "at most 20 a second")
	})
}
