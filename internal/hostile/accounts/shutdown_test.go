package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// Shutdown at each moment of a renewal. When it has returned nil the process may
// end: everything that Pinterest has rotated is in the store.
func TestShutdownAtEachMoment(t *testing.T) {
	for at := time.Duration(0); at <= 9*time.Second; at += 250 * time.Millisecond {
		for _, by := range []string{"call", "due", "background"} {
			t.Run(fmt.Sprint(by, " ", at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, store := newWorld(), newNasty()
					good := -time.Hour
					if by == "background" {
						good = 4 * time.Minute
					}
					var owners []*owner
					for i := range 3 {
						owners = append(owners, w.put(t, store, shop(i), fmt.Sprintf("5%03d", i), good))
					}
					slow := func(ctx context.Context) error { // a second for each step
						select {
						case <-time.After(time.Second):
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					store.onLock = func(ctx context.Context, _ string) error { return slow(ctx) }
					store.onLoad = store.onLock
					store.onSave = func(ctx context.Context, _ string, _ *pinterest.Token) error { return slow(ctx) }
					store.saved = store.onLock
					var ended atomic.Bool // the process is gone
					w.before = func(_ http.ResponseWriter, r *http.Request, _ tokenCall) bool {
						assert.False(t, ended.Load(), "a token call after Shutdown has returned")
						return slow(r.Context()) != nil
					}
					w.after = func(_ http.ResponseWriter, r *http.Request, _ tokenCall, _ map[string]any) bool {
						return slow(r.Context()) != nil
					}
					app, _ := w.app(t, store)
					ctx, cancel := context.WithCancel(t.Context())
					if by == "due" {
						go func() { _, _ = app.RefreshDue(ctx) }()
					} else {
						for i := range owners {
							go func() { _, _ = app.Client(shop(i)).Account.Get(ctx) }()
						}
					}
					time.Sleep(at)
					cancel() // SIGTERM ends the work's context as well
					require.NoError(t, app.Shutdown(context.Background()))
					ended.Store(true)
					for i, u := range owners {
						tok, err := store.TokenStore.Load(t.Context(), shop(i))
						require.NoError(t, err)
						assert.Equal(t, u.refresh, tok.RefreshToken, "%s is lost", shop(i))
					}
					before := w.tokenCalls("")
					for i := range owners {
						err := get(app, shop(i))
						assert.ErrorIs(t, err, pinterest.ErrShutdown)
						assert.Equal(t, "park", disposition(err))
					}
					_, err := app.RefreshDue(t.Context())
					assert.ErrorIs(t, err, pinterest.ErrShutdown)
					_, err = app.OAuth.Callback(t.Context(), w.login(t, mustApp(w, t), "shop-000", owners[0]), "shop-000")
					assert.Error(t, err)
					require.NoError(t, app.Shutdown(t.Context()))
					time.Sleep(10 * time.Minute)
					assert.Equal(t, before, w.tokenCalls(""))
				})
			})
		}
	}
}

func mustApp(w *world, t *testing.T) *pinterest.App {
	app, _ := w.app(t, pinterest.NewMemoryTokenStore())
	return app
}

// The store hangs for ever in the save: Shutdown says whose tokens are left, can
// be called again, and returns nil when the store has them.
func TestShutdownWhileTheStoreHangs(t *testing.T) {
	for name, f := range map[string]func(ctx context.Context) error{
		"hangs": hang, "fails": func(context.Context) error { return errors.New("down") },
		"panics":          func(context.Context) error { panic("down") },
		"ignores its ctx": func(context.Context) error { time.Sleep(3 * time.Minute); return errors.New("late") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), newNasty()
				owners := w.fleet(t, store, 5, -time.Hour)
				var down atomic.Bool
				down.Store(true)
				store.onSave = func(ctx context.Context, _ string, _ *pinterest.Token) error {
					if down.Load() {
						return f(ctx)
					}
					return nil
				}
				app, _ := w.app(t, store)
				for i := range owners {
					go func() { _ = get(app, shop(i)) }()
				}
				time.Sleep(time.Second)
				for _, wait := range []time.Duration{0, time.Second, 20 * time.Second, 10 * time.Minute} {
					ctx, cancel := context.WithTimeout(t.Context(), wait)
					began := time.Now()
					err := app.Shutdown(ctx)
					cancel()
					var left *pinterest.ShutdownError
					require.ErrorAs(t, err, &left, "after %v", wait)
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Equal(t, []string{shop(0), shop(1), shop(2), shop(3), shop(4)}, left.Accounts)
					assert.LessOrEqual(t, time.Since(began), wait+time.Second)
				}
				time.AfterFunc(30*time.Second, func() { down.Store(false) })
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				require.NoError(t, app.Shutdown(ctx))
				for i, u := range owners {
					assert.Equal(t, u.refresh, load(t, store.TokenStore, shop(i)).RefreshToken)
				}
				assert.Equal(t, 5, w.tokenCalls(""))
			})
		})
	}
}

// Shutdown with a context that has ended, and by many at once.
func TestShutdownByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		u := w.put(t, store, "shop", "77", -time.Hour)
		w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
			time.Sleep(5 * time.Second)
			return false
		}
		app, _ := w.app(t, store)
		go func() { _ = get(app, "shop") }()
		time.Sleep(time.Second)
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		var left *pinterest.ShutdownError
		require.ErrorAs(t, app.Shutdown(dead), &left)
		assert.Equal(t, []string{"shop"}, left.Accounts)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { assert.NoError(t, app.Shutdown(t.Context())) })
		}
		wg.Wait()
		assert.Equal(t, u.refresh, load(t, store, "shop").RefreshToken)
		require.NoError(t, app.Shutdown(dead), "nothing is left")
	})
}

// Shutdown during a login's exchange: the fresh token is in the store.
func TestShutdownDuringALogin(t *testing.T) {
	for at := time.Duration(0); at < 6*time.Second; at += 500 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), newNasty()
			u := w.owner("77", 0)
			store.onSave = func(_ context.Context, account string, _ *pinterest.Token) error {
				if account == "shop" {
					time.Sleep(time.Second)
				}
				return nil
			}
			w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
				time.Sleep(2 * time.Second)
				return false
			}
			w.api = func(http.ResponseWriter, *http.Request, string, *owner) bool { time.Sleep(time.Second); return false }
			app, _ := w.app(t, store)
			ctx, leave := context.WithCancel(t.Context())
			r := w.login(t, app, "shop", u)
			ended := make(chan error, 1)
			go func() { _, err := app.OAuth.Callback(ctx, r, "shop"); ended <- err }()
			time.Sleep(at)
			leave() // the browser
			require.NoError(t, app.Shutdown(t.Context()))
			calls := len(w.calls)
			tok := load(t, store.TokenStore, "shop")
			if calls > 0 && at < 6*time.Second {
				require.NotNil(t, tok, "at %v: the code was exchanged and the token is lost", at)
				assert.Equal(t, u.refresh, tok.RefreshToken)
			}
			<-ended
		})
	}
}

// Contexts that end in the middle of RefreshDue.
func TestDueIsCanceled(t *testing.T) {
	for at := time.Duration(0); at < 4*time.Second; at += 190 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), newNasty()
			owners := w.fleet(t, store, 60, 2*day)
			store.onSave = func(ctx context.Context, _ string, _ *pinterest.Token) error {
				time.Sleep(200 * time.Millisecond)
				return ctx.Err()
			}
			w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
				time.Sleep(200 * time.Millisecond)
				return false
			}
			app, _ := w.app(t, store)
			ctx, cancel := context.WithTimeout(t.Context(), at)
			defer cancel()
			report, err := app.RefreshDue(ctx)
			require.Error(t, err)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			calls := w.tokenCalls("")
			saved := 0
			for i, u := range owners { // at once: the process ends here
				assert.Equal(t, u.refresh, load(t, store.TokenStore, shop(i)).RefreshToken)
				if w.tokenCalls(u.id) > 0 {
					saved++
				}
			}
			assert.Equal(t, saved, report.Refreshed)
			assert.Len(t, report.Accounts, saved, "it reports what it came to")
			time.Sleep(time.Minute)
			assert.Equal(t, calls, w.tokenCalls(""), "a refresh after RefreshDue had returned")
		})
	}
}

// RefreshDue in two processes, twice in each, at once: a token call an account.
func TestDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		owners := w.fleet(t, store, 100, 2*day)
		w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
			time.Sleep(150 * time.Millisecond)
			return false
		}
		a, seenA := w.app(t, store)
		b, seenB := w.app(t, store)
		reports := make(chan pinterest.RefreshReport, 4)
		for _, app := range []*pinterest.App{a, b, a, b} {
			go func() {
				report, err := app.RefreshDue(t.Context())
				assert.NoError(t, err)
				reports <- report
			}()
		}
		sum := 0
		var came []string
		for range 4 {
			r := <-reports
			sum += r.Refreshed
			for account, one := range r.Accounts {
				if one.Outcome == pinterest.RefreshDone {
					came = append(came, account)
				}
				assert.NotEqual(t, pinterest.RefreshFailed, one.Outcome)
			}
			assert.Empty(t, r.Failed)
		}
		assert.Equal(t, 100, w.tokenCalls(""))
		for _, u := range owners {
			assert.Equal(t, 1, w.tokenCalls(u.id))
		}
		slices.Sort(came)
		assert.Len(t, slices.Compact(came), 100)
		assert.Equal(t, 100, seenA.count(pinterest.EventRefresh, "")+seenB.count(pinterest.EventRefresh, ""))
		assert.LessOrEqual(t, sum, 200, "what another process has refreshed is current, in the report of this one")
	})
}

// A fleet of RefreshEvery: each run is made by one, and survives one that hangs.
func TestEveryInAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 10, 2*day)
		ctx, cancel := context.WithCancel(t.Context())
		var runs atomic.Int64
		var wg sync.WaitGroup
		var apps []*pinterest.App
		for range 8 {
			app, _ := w.app(t, store)
			apps = append(apps, app)
			wg.Go(func() {
				err := app.RefreshEvery(ctx, 12*time.Hour, func(_ pinterest.RefreshReport, err error) {
					assert.NoError(t, err)
					runs.Add(1)
				})
				assert.Error(t, err)
			})
		}
		time.Sleep(30 * day)
		n := runs.Load()
		assert.GreaterOrEqual(t, n, int64(52))
		assert.LessOrEqual(t, n, int64(62))
		assert.LessOrEqual(t, w.tokenCalls(""), 20)
		for _, app := range apps[:7] { // a rolling restart
			require.NoError(t, app.Shutdown(t.Context()))
		}
		time.Sleep(5 * day)
		assert.GreaterOrEqual(t, runs.Load()-n, int64(8))
		var names []string
		for acc, err := range apps[7].Accounts(t.Context()) {
			require.NoError(t, err)
			names = append(names, acc.Account)
		}
		assert.Len(t, names, 10, "the library's own records are no accounts: %v", names)
		cancel()
		wg.Wait()
	})
}
