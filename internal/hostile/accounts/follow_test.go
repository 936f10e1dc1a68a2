package accounts

import (
	"context"
	"errors"
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

// bound is how long a process may go on with what the store had.
const bound = 36 * time.Second

func changing() pinterest.OAuth {
	return pinterest.OAuth{
		ClientID: clientID, ClientSecret: secret, RedirectURL: "https://app.example/callback", AllowUserChange: true,
		Scopes: []pinterest.Scope{pinterest.ScopeUserAccountsRead},
	}
}

func whoami(c *pinterest.Client, opts ...pinterest.CallOption) (string, error) {
	a, err := c.Account.Get(context.Background(), opts...)
	if err != nil {
		return "", err
	}
	return a.ID, nil
}

// A worker has a call of minutes under way, which is sent again and again. The
// account is connected to another user meanwhile.
func TestUserChangesDuringACall(t *testing.T) {
	for name, how := range map[string]func(t *testing.T, w *world, web *pinterest.App, u *owner){
		"reconnected": func(t *testing.T, w *world, web *pinterest.App, u *owner) {
			_, err := w.connect(t, web, "shop", u)
			require.NoError(t, err)
		},
		"disconnected and connected": func(t *testing.T, w *world, web *pinterest.App, u *owner) {
			require.NoError(t, web.OAuth.Disconnect(t.Context(), "shop"))
			_, err := w.connect(t, web, "shop", u)
			require.NoError(t, err)
		},
		"disconnected": func(t *testing.T, _ *world, web *pinterest.App, _ *owner) {
			require.NoError(t, web.OAuth.Disconnect(t.Context(), "shop"))
		},
	} {
		for _, same := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " here", false: " elsewhere"}[same], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, store := newWorld(), pinterest.NewMemoryTokenStore()
					first := w.put(t, store, "shop", "77", 20*day)
					second := w.owner("88", 0)
					worker, seen := w.appOf(t, changing(), store)
					web := worker
					if !same {
						web, _ = w.appOf(t, changing(), store)
					}
					client := worker.Client("shop")
					_, err := whoami(client)
					require.NoError(t, err)
					var busy atomic.Bool
					busy.Store(true)
					var sent []string // tokens of the calls that are throttled
					w.set(func() {
						w.api = func(rw http.ResponseWriter, r *http.Request, token string, u *owner) bool {
							if r.URL.Query().Get("ad_account_id") == "" {
								return false
							}
							if busy.Load() {
								rw.Header().Set("Retry-After", "50")
								say(rw, 429, `{"code":8,"message":"You have exceeded your rate limit. Try again later."}`)
								return true
							}
							w.mu.Lock()
							sent = append(sent, u.id)
							w.mu.Unlock()
							return false
						}
					})
					ended := make(chan error, 1)
					go func() { _, err := whoami(client, pinterest.AdAccount("1")); ended <- err }()
					time.Sleep(10 * time.Second)
					how(t, w, web, second)
					time.Sleep(bound - 10*time.Second + 30*time.Second)
					busy.Store(false)
					err = <-ended
					require.Error(t, err, "the call of the old user went on: %v", sent)
					assert.Empty(t, sent, "sent with a token of the old or the new user")
					if name == "disconnected" {
						assert.ErrorIs(t, err, pinterest.ErrDisconnected)
						return
					}
					assert.ErrorIs(t, err, pinterest.ErrOtherUser)
					assert.Equal(t, 1, seen.count(pinterest.EventUserChanged, "shop"))
					id, err := whoami(worker.Client("shop"))
					require.NoError(t, err)
					assert.Equal(t, second.id, id)
					_ = first
				})
			})
		}
	}
}

// Clients that were made before, used or not, end with ErrOtherUser; in every
// process, within the bound.
func TestOldClientsOfAnotherUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.put(t, store, "shop", "77", 20*day)
		second := w.owner("88", 0)
		var apps []*pinterest.App
		var seen []*witness
		var used, unused []*pinterest.Client
		for range 3 {
			a, s := w.appOf(t, changing(), store)
			apps, seen = append(apps, a), append(seen, s)
			c := a.Client("shop")
			_, err := whoami(c)
			require.NoError(t, err)
			used, unused = append(used, c), append(unused, a.Client("shop"))
		}
		require.NoError(t, apps[0].OAuth.Disconnect(t.Context(), "shop"))
		_, err := w.connect(t, apps[0], "shop", second)
		require.NoError(t, err)
		time.Sleep(bound)
		for range 3 {
			for i := range apps {
				_, err = whoami(used[i])
				assert.ErrorIs(t, err, pinterest.ErrOtherUser, "used client of process %d", i)
				_, err = whoami(unused[i])
				assert.ErrorIs(t, err, pinterest.ErrOtherUser, "client of process %d that was made before, and never used", i)
				_, err = whoami(apps[i].Client("shop"), pinterest.ForUser("77"))
				assert.ErrorIs(t, err, pinterest.ErrOtherUser)
				id, err := whoami(apps[i].Client("shop"))
				require.NoError(t, err)
				assert.Equal(t, "88", id)
				assert.Equal(t, 1, seen[i].count(pinterest.EventUserChanged, "shop"), "process %d", i)
			}
			time.Sleep(time.Hour)
		}
	})
}

// A disconnected mark in the store ends the calls of all processes, though the
// token at hand is good.
func TestMarkInTheStoreIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.put(t, store, "shop", "77", 20*day)
		app, _ := w.app(t, store)
		require.NoError(t, get(app, "shop"))
		tok := load(t, store, "shop")
		tok.Disconnected = &pinterest.Disconnection{At: time.Now(), Reason: "an operator's"}
		_, err := store.Save(t.Context(), "shop", tok)
		require.NoError(t, err)
		time.Sleep(bound)
		require.ErrorIs(t, get(app, "shop"), pinterest.ErrDisconnected)
		assert.Zero(t, w.tokenCalls(""))
	})
}

// The store hangs, fails, panics or returns what it had long ago.
func TestFollowABadStore(t *testing.T) {
	for name, f := range map[string]func(ctx context.Context) error{
		"hangs":          hang,
		"hangs for ever": func(context.Context) error { time.Sleep(3 * time.Minute); return errors.New("late") },
		"fails":          func(context.Context) error { return errors.New("no connection") },
		"panics":         func(context.Context) error { panic("nil map") },
		"panics nil":     func(context.Context) error { panic(errors.New("pinr.REFRESH00000177abcabcabcabcabcabc")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), newNasty()
				w.put(t, store, "shop", "77", 20*day)
				var down atomic.Bool
				store.onVersion = func(ctx context.Context, _ string) error {
					if down.Load() {
						return f(ctx)
					}
					return nil
				}
				store.onLoad = store.onVersion
				app, seen := w.app(t, store)
				require.NoError(t, get(app, "shop"))
				down.Store(true)
				for range 10 {
					time.Sleep(time.Minute)
					began := time.Now()
					require.NoError(t, get(app, "shop"), "the token at hand is good")
					assert.LessOrEqual(t, time.Since(began), 6*time.Second)
				}
				assert.Equal(t, 1, seen.count(pinterest.EventStoreFailed, "shop"))
				down.Store(false)
				require.NoError(t, store.Delete(t.Context(), "shop"))
				time.Sleep(4 * time.Minute)
				require.ErrorIs(t, get(app, "shop"), pinterest.ErrDisconnected)
			})
		})
	}
}

// An API that answers 401 to everything, and a token endpoint that works.
func TestStormOf401(t *testing.T) {
	for _, apps := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			w.put(t, store, "shop", "77", 20*day)
			w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
				say(rw, 401, `{"code":2,"message":"Authentication failed.","status":"failure"}`)
				return true
			}
			var all []*pinterest.App
			for range apps {
				a, _ := w.app(t, store)
				all = append(all, a)
			}
			var wg sync.WaitGroup
			var reauthorize, review atomic.Int64
			for range 50 {
				for _, a := range all {
					wg.Go(func() {
						switch disposition(get(a, "shop")) {
						case "review":
							review.Add(1)
						case "reauthorize":
							reauthorize.Add(1)
						}
					})
				}
			}
			wg.Wait()
			// Another process may take the new token for one that has ended since, once.
			most := min(apps, 2)
			assert.LessOrEqual(t, w.tokenCalls(""), most, "%d processes: one renewal, then review for the rest", apps)
			for range 20 {
				for _, a := range all {
					assert.Equal(t, "review", disposition(get(a, "shop")))
				}
			}
			assert.LessOrEqual(t, w.tokenCalls(""), most, "%d processes", apps)
			assert.Zero(t, reauthorize.Load(), "an account whose refresh works is not to be connected again")
			time.Sleep(2 * time.Minute)
			began := w.tokenCalls("")
			for range 24 * 12 { // a day of such calls, every five minutes
				for _, a := range all {
					_ = get(a, "shop")
				}
				time.Sleep(5 * time.Minute)
			}
			n := w.tokenCalls("") - began
			t.Logf("%d processes: %d token calls in a day", apps, n)
			assert.LessOrEqual(t, n, 40)
			assert.Nil(t, load(t, store, "shop").Disconnected)
			w.set(func() { w.api = nil })
			time.Sleep(70 * time.Minute)
			for _, a := range all {
				require.NoError(t, get(a, "shop"))
			}
		})
	}
}

// The token of a call is refused because another process has refreshed it, again
// and again: the newer token is tried.
func TestNewerTokenIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		u := w.put(t, store, "shop", "77", 20*day)
		app, _ := w.app(t, store)
		require.NoError(t, get(app, "shop"))
		// Another process has refreshed, and Pinterest has ended the old tokens.
		renew := func() {
			w.mu.Lock()
			u.access = map[string]time.Time{}
			w.mint(u, 20*day)
			w.mu.Unlock()
			tok := load(t, store, "shop")
			next := w.token(u)
			next.Version = tok.Version
			_, err := store.Save(t.Context(), "shop", next)
			require.NoError(t, err)
		}
		renew()
		require.NoError(t, get(app, "shop"))
		assert.Zero(t, w.tokenCalls(""), "the stored token is good")
		// And now while the call is under way, twice.
		var n atomic.Int64
		w.set(func() {
			w.api = func(_ http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
				if n.Add(1) <= 2 {
					renew()
				}
				return false
			}
		})
		// The handler looked the token up before, so that it is refused only when
		// the old ones are gone: look again.
		w.set(func() {
			inner := w.api
			w.api = func(rw http.ResponseWriter, r *http.Request, token string, o *owner) bool {
				inner(rw, r, token, o)
				w.mu.Lock()
				_, good := u.access[token]
				w.mu.Unlock()
				if !good {
					say(rw, 401, `{"code":2,"message":"Authentication failed."}`)
				}
				return !good
			}
		})
		require.NoError(t, get(app, "shop"))
		assert.Zero(t, w.tokenCalls(""))
	})
}

// A process whose copy of the token is behind meets a 401 while the store hangs.
func TestOldTokenAndSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), newNasty()
		u := w.put(t, store, "shop", "77", 20*day)
		a, _ := w.app(t, store)
		b, _ := w.app(t, store)
		require.NoError(t, get(a, "shop"))
		require.NoError(t, get(b, "shop"))
		w.mu.Lock()
		u.access = map[string]time.Time{}
		w.mu.Unlock()
		require.NoError(t, get(a, "shop"))
		require.Equal(t, 1, w.tokenCalls(""))
		var down atomic.Bool
		down.Store(true)
		store.onLoad = func(ctx context.Context, _ string) error {
			if down.Load() {
				return hang(ctx)
			}
			return nil
		}
		store.onVersion = store.onLoad
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := b.Client("shop").Account.Get(ctx)
		require.Error(t, err)
		assert.NotEqual(t, "reauthorize", disposition(err), err)
		down.Store(false)
		time.Sleep(3 * time.Minute)
		require.NoError(t, get(b, "shop"))
		assert.Equal(t, 1, w.tokenCalls(""))
		assert.Nil(t, load(t, store, "shop").Disconnected)
	})
}

// An access token without a refresh token is the caller's: a 401 marks nothing.
func TestNoRefreshTokenNoMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		u := w.put(t, store, "shop", "77", 20*day)
		tok := load(t, store, "shop")
		tok.RefreshToken = ""
		_, err := store.Save(t.Context(), "shop", tok)
		require.NoError(t, err)
		app, seen := w.app(t, store)
		keep := u.access
		w.set(func() { u.access = nil })
		for range 5 {
			err := get(app, "shop")
			assert.Equal(t, "reauthorize", disposition(err))
			time.Sleep(time.Minute)
		}
		assert.Nil(t, load(t, store, "shop").Disconnected)
		assert.Zero(t, seen.count(pinterest.EventDisconnected, ""))
		w.set(func() { u.access = keep })
		time.Sleep(time.Hour)
		require.NoError(t, get(app, "shop"))
	})
}
