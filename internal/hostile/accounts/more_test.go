package accounts

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// An API that answers 401 to everything, and a job that starts a process every
// minute: the token is renewed once, not by each process.
func TestStormOf401OverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.put(t, store, "shop", "77", 20*day)
		w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
			say(rw, 401, `{"code":2,"message":"Authentication failed."}`)
			return true
		}
		for range 60 {
			app, _ := w.app(t, store)
			_ = get(app, "shop")
			require.NoError(t, app.Shutdown(t.Context()))
			time.Sleep(time.Minute)
		}
		assert.LessOrEqual(t, w.tokenCalls(""), 6, "token calls in an hour")
	})
}

// Refusals of the API that are not the token's: no renewal, no mark.
func TestRefusalsThatAreNotTheTokens(t *testing.T) {
	for _, c := range []refusal{
		{status: 401, body: `{"code":3,"message":"Your application consumer type is not supported"}`},
		{status: 401, body: `{"code":3,"message":"The token does not have sufficient permissions: missing set of scopes"}`},
		{status: 401, body: `{"code":7,"message":"Not authorized to access board or Pin."}`},
		{status: 401, body: `{"code":29,"message":"You are not permitted to access that resource."}`},
		{status: 401, body: `{"code":"29","message":"You are not permitted to access that resource."}`},
		{status: 403, body: `{"code":2,"message":"Authentication failed."}`},
		{status: 403, body: dead283}, {status: 400, body: dead283}, {status: 400, body: `{"error":"invalid_grant"}`}, {status: 500, body: dead283}, {status: 403},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			w.put(t, store, "shop", "77", 20*day)
			w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
				say(rw, c.status, c.body)
				return true
			}
			app, seen := w.app(t, store)
			for range 3 {
				err := get(app, "shop")
				assert.NotEqual(t, "reauthorize", disposition(err), "%v", err)
			}
			assert.Zero(t, w.tokenCalls(""), c.body)
			assert.Nil(t, load(t, store, "shop").Disconnected)
			assert.Zero(t, seen.count(pinterest.EventDisconnected, ""))
		})
	}
}

// The owner connects the account again: all processes that knew it as disconnected
// or as quarantined follow.
func TestConnectedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		u := w.put(t, store, "shop", "77", 20*day)
		a, seenA := w.app(t, store)
		b, _ := w.app(t, store)
		require.NoError(t, get(a, "shop"))
		require.NoError(t, get(b, "shop"))
		w.kill(u)
		require.ErrorIs(t, get(a, "shop"), pinterest.ErrDisconnected)
		time.Sleep(bound)
		require.ErrorIs(t, get(b, "shop"), pinterest.ErrDisconnected)
		for range 3 {
			time.Sleep(day)
			require.ErrorIs(t, get(b, "shop"), pinterest.ErrDisconnected)
		}
		_, err := w.connect(t, a, "shop", u)
		require.NoError(t, err)
		require.NoError(t, get(a, "shop"))
		time.Sleep(bound)
		require.NoError(t, get(b, "shop"))
		assert.Equal(t, 1, seenA.count(pinterest.EventConnected, "shop"))
		assert.Equal(t, 1, w.tokenCalls(""))
	})
}

// The endpoint refuses the app for 20 minutes, while jobs of an account whose token
// has ended come every two seconds, in two processes.
func TestTokenCallsInAnOutage(t *testing.T) {
	// Where the app is wrong, one every five seconds is more than enough; what may
	// pass at any moment is tried by every job, and some of them try again.
	most := map[string]int{"wrong secret": 240, "application": 240, "503": 1200, "HTML 400": 1200}
	for name, c := range map[string]refusal{
		"wrong secret": {status: 401, body: `{"code":2,"message":"Authentication failed."}`},
		"application":  {status: 401, body: with283(`"Invalid Application ID"`)},
		"503":          {status: 503, body: `{}`},
		"HTML 400":     {status: 400, body: `<html></html>`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.put(t, store, "shop", "77", -time.Hour)
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					say(rw, c.status, c.body)
					return true
				}
				a, _ := w.app(t, store)
				b, _ := w.app(t, store)
				began := time.Now()
				for time.Since(began) < 20*time.Minute {
					_ = get(a, "shop")
					_ = get(b, "shop")
					time.Sleep(2 * time.Second)
				}
				t.Logf("%d token calls in 20 minutes", w.tokenCalls(""))
				assert.LessOrEqual(t, w.tokenCalls(""), most[name])
			})
		})
	}
}

// A store that always says that another was faster.
func TestConflictForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), newNasty()
		w.put(t, store, "shop", "77", -time.Hour)
		var saves atomic.Int64
		var healed atomic.Bool
		store.onSave = func(ctx context.Context, _ string, _ *pinterest.Token) error {
			if healed.Load() {
				return nil
			}
			if saves.Add(1) > 2000 {
				time.Sleep(time.Second) // without a pause the bubble's time would stand still
			}
			return pinterest.ErrTokenConflict
		}
		app, _ := w.app(t, store)
		for range 3 {
			err := get(app, "shop")
			require.Error(t, err)
			assert.NotEqual(t, "reauthorize", disposition(err), err)
		}
		assert.Less(t, saves.Load(), int64(1000))
		assert.Equal(t, 1, w.tokenCalls(""))
		healed.Store(true)
		time.Sleep(5 * time.Minute)
		require.NoError(t, get(app, "shop"))
		assert.Equal(t, 1, w.tokenCalls(""))
	})
}

// Refresh tokens that the store has without an access token, or damaged ones: an
// error, and nothing is marked; a run goes on with the others.
func TestStrangeStoredTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		bad := map[string]*pinterest.Token{
			"empty":        {},
			"no access":    {RefreshToken: "pinr.aaaaaaaaaaaaaaaaaaaaaaaa", Expiry: time.Now().UTC()},
			"spaces":       {AccessToken: "a b", RefreshToken: "c d", Expiry: time.Now().UTC()},
			"newline":      {AccessToken: "pina_aaaaaaaaaaaaaaaaaa\n", RefreshToken: "pinr.aaaaaaaaaaaaaaaaaaaaaaaa\r\n", Expiry: time.Now().UTC()},
			"swapped":      {AccessToken: "pinr.aaaaaaaaaaaaaaaaaaaaaaaa", RefreshToken: "pina_aaaaaaaaaaaaaaaaaaaaa", Expiry: time.Now().UTC()},
			"far expiry":   {AccessToken: "pina_aaaaaaaaaaaaaaaaaaaaa", RefreshToken: "pinr.aaaaaaaaaaaaaaaaaaaaaaaa", Expiry: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
			"early expiry": {AccessToken: "pina_aaaaaaaaaaaaaaaaaaaaa", RefreshToken: "pinr.aaaaaaaaaaaaaaaaaaaaaaaa", Expiry: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)},
		}
		for name, tok := range bad {
			_, err := store.Save(t.Context(), "a-"+name, tok)
			require.NoError(t, err)
		}
		w.fleet(t, store, 10, 2*day)
		app, _ := w.app(t, store)
		report, _ := app.RefreshDue(t.Context())
		assert.Equal(t, 10, report.Refreshed)
		for name := range bad {
			err := get(app, "a-"+name)
			assert.Error(t, err, name)
		}
	})
}

// The account's lock is held by a process that is stopped. Calls whose token is good
// go on; those that need a new one leave with their own contexts.
func TestLockIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), newNasty()
		w.put(t, store, "soon", "77", 4*time.Minute)
		w.put(t, store, "ended", "78", -time.Hour)
		var held atomic.Bool
		held.Store(true)
		store.onLock = func(ctx context.Context, _ string) error {
			for held.Load() {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Second):
				}
			}
			return nil
		}
		app, _ := w.app(t, store)
		began := time.Now()
		for time.Since(began) < 3*time.Minute {
			at := time.Now()
			require.NoError(t, get(app, "soon"))
			assert.Less(t, time.Since(at), 6*time.Second)
			time.Sleep(7 * time.Second)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		at := time.Now()
		_, err := app.Client("ended").Account.Get(ctx)
		require.Error(t, err)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(at), 6*time.Second)
		assert.NotEqual(t, "reauthorize", disposition(err))
		held.Store(false)
		time.Sleep(3 * time.Minute)
		require.NoError(t, get(app, "soon"))
		require.NoError(t, get(app, "ended"))
		assert.Equal(t, 2, w.tokenCalls(""))
	})
}

// 300 accounts, three processes, for a quarter of a year: jobs at random accounts,
// an outage now and then, and a handful of owners who leave. In the end exactly
// those are disconnected, and no account was renewed more often than its tokens need.
func TestQuarterOfAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		var owners []*owner
		for i := range 120 {
			owners = append(owners, w.put(t, store, shop(i), fmt.Sprintf("5%03d", i), time.Duration(1+i%29)*day))
		}
		var apps []*pinterest.App
		var seen []*witness
		for range 3 {
			a, s := w.app(t, store)
			apps, seen = append(apps, a), append(seen, s)
		}
		leaves := map[int]int{10: 3, 11: 40, 30: 77, 50: 110, 51: 111, 52: 112} // day: account
		var want []string
		for d := range 90 {
			if i, ok := leaves[d]; ok {
				w.kill(owners[i])
			}
			switch d {
			case 20: // a day of a wrong secret
				w.set(func() {
					w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
						say(rw, 401, `{"error":"invalid_client"}`)
						return true
					}
				})
			case 40: // a day of false refusals
				w.set(func() { w.before = refuseAll })
			case 21, 41:
				w.set(func() { w.before = nil })
			}
			for h := range 4 {
				_, _ = apps[(d+h)%3].RefreshDue(t.Context())
				for i := h; i < 120; i += 4 {
					_ = get(apps[(i+d)%3], shop(i))
				}
				time.Sleep(6 * time.Hour)
			}
		}
		for _, i := range []int{3, 40, 77, 110, 111, 112} {
			want = append(want, shop(i))
		}
		assert.Equal(t, want, marked(t, store))
		for i, u := range owners {
			if !u.dead {
				require.NoError(t, get(apps[i%3], shop(i)))
				assert.LessOrEqual(t, w.tokenCalls(u.id), 16, shop(i))
			}
		}
		told := map[string]int{}
		for _, s := range seen {
			for _, e := range s.list {
				if e.Type == pinterest.EventDisconnected {
					told[e.Account]++
				}
			}
		}
		t.Log(told)
		assert.Len(t, told, len(want), "%v", told)
	})
}

// The token ends in minutes, and the endpoint is down. Calls every tenth of a second
// go on with the token at hand, and do not storm the endpoint.
func TestBackgroundInAnOutage(t *testing.T) {
	for name, c := range map[string]refusal{
		"503": {status: 503, body: `{}`}, "wrong secret": {status: 401, body: `{"code":2,"message":"Authentication failed."}`}, "283": {status: 401, body: dead283},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.put(t, store, "shop", "77", 4*time.Minute+50*time.Second)
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					say(rw, c.status, c.body)
					return true
				}
				a, _ := w.app(t, store)
				b, _ := w.app(t, store)
				for range 2800 {
					require.NoError(t, get(a, "shop"))
					require.NoError(t, get(b, "shop"))
					time.Sleep(100 * time.Millisecond)
				}
				t.Logf("%d token calls in 280 seconds", w.tokenCalls(""))
				assert.LessOrEqual(t, w.tokenCalls(""), 120)
				require.NoError(t, a.Shutdown(t.Context()))
				require.NoError(t, b.Shutdown(t.Context()))
			})
		})
	}
}

// The secret is being changed: one process has the old one. It follows the others.
func TestOneProcessHasTheOldSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 10, -time.Hour)
		w.before = func(rw http.ResponseWriter, r *http.Request, _ tokenCall) bool {
			_, pass, _ := r.BasicAuth()
			if raw, _ := url.QueryUnescape(pass); raw == secret {
				return false
			}
			say(rw, 401, `{"error":"invalid_client"}`)
			return true
		}
		old, seen := w.appOf(t, pinterest.OAuth{ClientID: clientID, ClientSecret: "an older secret"}, store)
		good, _ := w.app(t, store)
		for i := range 10 {
			assert.Equal(t, "review", disposition(get(old, shop(i))))
		}
		for i := range 10 {
			require.NoError(t, get(good, shop(i)))
		}
		time.Sleep(bound)
		for i := range 10 {
			require.NoError(t, get(old, shop(i)), "the token in the store is good")
		}
		assert.Empty(t, marked(t, store))
		assert.Zero(t, seen.count(pinterest.EventQuarantined, "")+seen.count(pinterest.EventDisconnected, ""))
	})
}

// A renewal waits for a lock that another process holds. Nothing was rotated, so
// that Shutdown has nothing to wait for; and what has not begun does not begin.
func TestShutdownWhileALockIsHeld(t *testing.T) {
	for _, free := range []time.Duration{5 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), newNasty()
			w.put(t, store, "shop", "77", -time.Hour)
			began := time.Now()
			store.onLock = func(ctx context.Context, _ string) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(free - time.Since(began)):
					return nil
				}
			}
			app, _ := w.app(t, store)
			ended := make(chan error, 1)
			go func() { ended <- get(app, "shop") }()
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			err := app.Shutdown(ctx)
			cancel()
			assert.NoError(t, err, "the lock is held for %v", free)
			<-ended
			assert.Zero(t, w.tokenCalls(""), "a renewal that begins after Shutdown was called, when the lock was free after %v", free)
			require.NoError(t, app.Shutdown(t.Context()))
		})
	}
}
