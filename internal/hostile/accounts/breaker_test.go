package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func shop(i int) string { return fmt.Sprintf("shop-%03d", i) }

// fleet connects n accounts whose access tokens are good for so long.
func (w *world) fleet(t *testing.T, store pinterest.TokenStore, n int, good time.Duration) (owners []*owner) {
	for i := range n {
		owners = append(owners, w.put(t, store, shop(i), fmt.Sprintf("5%03d", i), good))
	}
	return owners
}

func refuseAll(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
	say(rw, 401, dead283)
	return true
}

// Many processes have few accounts each, and the endpoint refuses them all.
func TestBreakerOverProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 40, -time.Hour)
		w.before = refuseAll
		paused := 0
		for p := range 20 {
			app, seen := w.app(t, store)
			_ = get(app, shop(2*p))
			_ = get(app, shop(2*p+1))
			paused += seen.count(pinterest.EventRefreshPaused, "")
		}
		assert.Empty(t, marked(t, store), "after a few refusals in a row for different accounts all disconnecting stops")
		assert.GreaterOrEqual(t, paused, 1)
	})
}

// A process that is restarted again and again, as one that runs RefreshDue as a job.
func TestBreakerOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 30, -time.Hour)
		w.before = refuseAll
		for range 10 {
			app, _ := w.app(t, store)
			_, _ = app.RefreshDue(t.Context())
			require.NoError(t, app.Shutdown(t.Context()))
			time.Sleep(time.Hour)
		}
		assert.Empty(t, marked(t, store))
		w.before = nil
		app, _ := w.app(t, store)
		for range 3 {
			_, _ = app.RefreshDue(t.Context())
			time.Sleep(time.Hour)
		}
		for i := range 30 {
			require.NoError(t, get(app, shop(i)))
		}
	})
}

// What is undone is not what an owner has changed meanwhile.
func TestUndoSparesWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		owners := w.fleet(t, store, 6, -time.Hour)
		worker, seen := w.app(t, store)
		web, _ := w.app(t, store)
		w.set(func() {
			w.before = func(rw http.ResponseWriter, _ *http.Request, c tokenCall) bool {
				return c.grant == "refresh_token" && refuseAll(rw, nil, c)
			}
		})
		require.ErrorIs(t, get(worker, shop(0)), pinterest.ErrDisconnected)
		require.ErrorIs(t, get(worker, shop(1)), pinterest.ErrDisconnected)
		_, err := w.connect(t, web, shop(0), owners[0]) // its owner was faster
		require.NoError(t, err)
		require.NoError(t, web.OAuth.Disconnect(t.Context(), shop(1))) // and this one has left
		connected := load(t, store, shop(0))
		require.ErrorIs(t, get(worker, shop(2)), pinterest.ErrRefreshPaused)
		time.Sleep(time.Minute)
		assert.Equal(t, 1, seen.count(pinterest.EventRefreshPaused, ""))
		assert.Equal(t, connected, load(t, store, shop(0)))
		assert.Nil(t, load(t, store, shop(1)), "a deleted account is not brought back")
		assert.Empty(t, marked(t, store))
		time.Sleep(time.Minute)
		require.NoError(t, get(worker, shop(0)))
		require.ErrorIs(t, get(worker, shop(1)), pinterest.ErrDisconnected)
	})
}

// The store fails just when the marks are to be undone.
func TestUndoIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), newNasty()
		w.fleet(t, store, 6, -time.Hour)
		w.before = refuseAll
		app, _ := w.app(t, store)
		require.ErrorIs(t, get(app, shop(0)), pinterest.ErrDisconnected)
		require.ErrorIs(t, get(app, shop(1)), pinterest.ErrDisconnected)
		var fail atomic.Bool
		fail.Store(true)
		store.onSave = func(context.Context, string, *pinterest.Token) error {
			if fail.Load() {
				return errors.New("the disk is full")
			}
			return nil
		}
		require.Error(t, get(app, shop(2)))
		time.Sleep(10 * time.Second)
		fail.Store(false)
		for i := range 6 {
			time.Sleep(time.Minute)
			_ = get(app, shop(i))
		}
		time.Sleep(5 * time.Minute)
		assert.Empty(t, marked(t, store), "what was marked in that run is undone")
	})
}

// Some grants of a fleet are really dead, side by side. They are found, and no other.
func TestDeadAmongMany(t *testing.T) {
	for name, pick := range map[string]func(i int) bool{
		"together":  func(i int) bool { return i >= 20 && i < 27 },
		"first":     func(i int) bool { return i < 5 },
		"last":      func(i int) bool { return i >= 95 },
		"every 4th": func(i int) bool { return i%4 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				owners := w.fleet(t, store, 100, 2*day)
				var want []string
				for i, u := range owners {
					if pick(i) {
						w.kill(u)
						want = append(want, shop(i))
					}
				}
				a, seenA := w.app(t, store)
				b, seenB := w.app(t, store)
				for range 150 { // 75 days
					time.Sleep(12 * time.Hour)
					var both sync.WaitGroup
					both.Go(func() { _, _ = a.RefreshDue(t.Context()) })
					both.Go(func() { _, _ = b.RefreshDue(t.Context()) })
					both.Wait()
				}
				for i := range owners {
					_ = get(a, shop(i))
				}
				assert.Equal(t, want, marked(t, store))
				told := seenA.count(pinterest.EventDisconnected, "") + seenB.count(pinterest.EventDisconnected, "")
				paused := seenA.count(pinterest.EventRefreshPaused, "") + seenB.count(pinterest.EventRefreshPaused, "")
				t.Logf("%d dead, %d events, %d pauses, %d token calls", len(want), told, paused, w.tokenCalls(""))
				if paused == 0 {
					assert.Equal(t, len(want), told)
				}
				extra := 0
				for i, u := range owners {
					if !pick(i) { // a token lasts for 30 days, and is refreshed 7 days before
						extra += max(0, w.tokenCalls(u.id)-4)
					}
				}
				assert.LessOrEqual(t, extra, 2*paused, "refreshes that show that the endpoint works")
			})
		})
	}
}

// A wholesale refusal in the middle of a run, which then ends.
func TestOutageInARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 200, -time.Hour)
		var n atomic.Int64
		w.before = func(rw http.ResponseWriter, r *http.Request, c tokenCall) bool {
			if i := n.Add(1); i > 50 && i < 90 {
				return refuseAll(rw, r, c)
			}
			return false
		}
		app, seen := w.app(t, store)
		for range 4 {
			_, _ = app.RefreshDue(t.Context())
			time.Sleep(2 * time.Hour)
		}
		assert.Empty(t, marked(t, store))
		for i := range 200 {
			assert.NoError(t, get(app, shop(i)))
		}
		assert.LessOrEqual(t, seen.count(pinterest.EventRefreshPaused, ""), 2)
	})
}

// Refusals that alternate with successes of other accounts, in two processes.
func TestOutageOfHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 200, 2*day)
		var n atomic.Int64
		w.before = func(rw http.ResponseWriter, r *http.Request, c tokenCall) bool {
			return n.Add(1)%2 == 0 && refuseAll(rw, r, c)
		}
		a, _ := w.app(t, store)
		b, _ := w.app(t, store)
		var both sync.WaitGroup
		both.Go(func() { _, _ = a.RefreshDue(t.Context()) })
		both.Go(func() { _, _ = b.RefreshDue(t.Context()) })
		both.Wait()
		assert.Empty(t, marked(t, store), "the access tokens are good for two days")
		w.set(func() { w.before = nil })
		for range 4 {
			time.Sleep(2 * time.Hour)
			_, _ = a.RefreshDue(t.Context())
		}
		for i := range 200 {
			require.NoError(t, get(b, shop(i)))
			assert.Nil(t, load(t, store, shop(i)).Quarantined)
		}
	})
}

// A wrong app secret: the endpoint refuses the app, for calls of 30 accounts.
func TestWrongSecretIsReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 30, -time.Hour)
		w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
			say(rw, 401, `{"code":2,"message":"Authentication failed.","status":"failure"}`)
			return true
		}
		app, seen := w.app(t, store)
		for range 3 {
			for i := range 30 {
				assert.Equal(t, "review", disposition(get(app, shop(i))))
			}
			time.Sleep(10 * time.Minute)
		}
		events := map[pinterest.EventType]int{}
		for _, e := range seen.list {
			if e.Type >= pinterest.EventConnected {
				events[e.Type]++
			}
		}
		t.Log("events", events, "EventRefresh", seen.count(pinterest.EventRefresh, ""), "token calls", w.tokenCalls(""))
		assert.Equal(t, 1, seen.count(pinterest.EventRefreshPaused, ""), "one event tells the operator")
	})
}

// Accounts that were connected on different days: successes come every day. The
// dead ones are found within the days that their tokens had, and told once.
func TestDeadAmongStaggered(t *testing.T) {
	for _, gone := range []int{1, 2, 3, 5, 12} {
		t.Run(fmt.Sprint(gone), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				var want []string
				for i := range 90 {
					u := w.put(t, store, shop(i), fmt.Sprintf("5%03d", i), time.Duration(8+i%23)*day)
					if i >= 40 && i < 40+gone {
						w.kill(u)
						want = append(want, shop(i))
					}
				}
				app, seen := w.app(t, store)
				for range 70 {
					time.Sleep(12 * time.Hour)
					_, _ = app.RefreshDue(t.Context())
				}
				t.Logf("%d events, %d pauses, %d token calls", seen.count(pinterest.EventDisconnected, ""), seen.count(pinterest.EventRefreshPaused, ""), w.tokenCalls(""))
				assert.Equal(t, want, marked(t, store))
				for _, account := range want {
					assert.Equal(t, 1, seen.count(pinterest.EventDisconnected, account), account)
				}
			})
		})
	}
}

// One process calls for accounts all day. Three owners leave, on three days.
func TestThreeOwnersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		owners := w.fleet(t, store, 20, 20*day)
		app, seen := w.app(t, store)
		for i := range 20 {
			require.NoError(t, get(app, shop(i)))
		}
		for d := range 5 { // nothing is due in these days, so that no refresh succeeds
			w.kill(owners[d])
			for range 4 {
				for i := range 20 {
					_ = get(app, shop(i))
				}
				time.Sleep(6 * time.Hour)
			}
			_, _ = app.RefreshDue(t.Context())
		}
		t.Logf("%d pauses, %d token calls", seen.count(pinterest.EventRefreshPaused, ""), w.tokenCalls(""))
		assert.Equal(t, []string{shop(0), shop(1), shop(2), shop(3), shop(4)}, marked(t, store))
	})
}
