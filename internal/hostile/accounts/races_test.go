package accounts

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// An expired token, four processes, 256 goroutines: one token call.
func TestOneRefresh(t *testing.T) {
	for _, how := range []string{"expired", "refused"} {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			good := -time.Hour
			if how == "refused" {
				good = 20 * day
			}
			u := w.put(t, store, "shop", "77", good)
			var apps []*pinterest.App
			for range 4 {
				a, _ := w.app(t, store)
				apps = append(apps, a)
				if how == "refused" {
					require.NoError(t, get(a, "shop"))
				}
			}
			w.set(func() { u.access = map[string]time.Time{} })
			w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
				time.Sleep(3 * time.Second)
				return false
			}
			var wg sync.WaitGroup
			for i := range 256 {
				wg.Go(func() {
					ctx := t.Context()
					if i%3 == 0 { // some leave early, the first ones among them
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, time.Second)
						defer cancel()
					}
					_, err := apps[i%4].Client("shop").Account.Get(ctx)
					if i%3 == 0 {
						assert.Error(t, err)
						assert.NotEqual(t, "reauthorize", disposition(err))
					} else {
						assert.NoError(t, err)
					}
				})
			}
			wg.Wait()
			assert.Equal(t, 1, w.tokenCalls(""))
		})
	}
}

// Disconnect, or a login, while a refresh of the old token is under way, at each
// of its moments: the refresh does not undo it.
func TestChangeDuringARefresh(t *testing.T) {
	for _, what := range []string{"disconnect", "login"} {
		for _, refused := range []bool{false, true} {
			for _, same := range []bool{false, true} {
				for at := time.Duration(0); at < 6*time.Second; at += 500 * time.Millisecond {
					t.Run(fmt.Sprint(what, refused, same, at), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							w, store := newWorld(), newNasty()
							u := w.put(t, store, "shop", "77", -time.Hour)
							var slow atomic.Bool
							slow.Store(true)
							second := func() {
								if slow.Load() {
									time.Sleep(time.Second)
								}
							}
							store.onLoad = func(context.Context, string) error { second(); return nil }
							store.onSave = func(context.Context, string, *pinterest.Token) error { second(); return nil }
							store.saved = func(context.Context, string) error { second(); return nil }
							w.before = func(rw http.ResponseWriter, r *http.Request, c tokenCall) bool {
								if c.grant != "refresh_token" {
									return false
								}
								second()
								return refused && refuseAll(rw, r, c)
							}
							w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool { second(); return false }
							a, _ := w.app(t, store)
							web := a
							if !same {
								web, _ = w.app(t, store)
							}
							ended := make(chan error, 1)
							go func() { ended <- get(a, "shop") }()
							time.Sleep(at)
							if what == "disconnect" {
								require.NoError(t, web.OAuth.Disconnect(t.Context(), "shop"))
							} else {
								_, err := w.connect(t, web, "shop", u)
								require.NoError(t, err)
							}
							<-ended
							slow.Store(false)
							w.set(func() { w.before, w.after = nil, nil })
							time.Sleep(bound)
							tok := load(t, store.TokenStore, "shop")
							if what == "disconnect" {
								assert.Nil(t, tok, "the deleted account is back")
								assert.ErrorIs(t, get(a, "shop"), pinterest.ErrDisconnected)
								return
							}
							require.NotNil(t, tok)
							assert.Nil(t, tok.Disconnected, "a refusal of the old token has disconnected the new one")
							time.Sleep(time.Hour)
							require.NoError(t, get(a, "shop"))
							require.NoError(t, get(web, "shop"))
							w.mu.Lock()
							_, good := u.access[tok.AccessToken]
							w.mu.Unlock()
							assert.True(t, good)
						})
					})
				}
			}
		}
	}
}

// An outage of Pinterest's sign-in: every access token is refused, and every
// refresh token, for an hour. No owner has to do anything.
func TestSignInIsDown(t *testing.T) {
	for _, processes := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			w.fleet(t, store, 60, 6*day)
			var apps []*pinterest.App
			var seen []*witness
			for range processes {
				a, s := w.app(t, store)
				apps, seen = append(apps, a), append(seen, s)
				for i := range 60 {
					require.NoError(t, get(a, shop(i)))
				}
			}
			w.set(func() {
				w.before = refuseAll
				w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
					say(rw, 401, `{"code":2,"message":"Authentication failed."}`)
					return true
				}
			})
			for range 6 {
				var wg sync.WaitGroup
				for i := range 60 {
					for _, a := range apps {
						wg.Go(func() { assert.Error(t, get(a, shop(i))) })
					}
				}
				wg.Wait()
				time.Sleep(10 * time.Minute)
			}
			assert.Empty(t, marked(t, store))
			for _, s := range seen {
				assert.LessOrEqual(t, s.count(pinterest.EventRefreshPaused, ""), 1)
			}
			w.set(func() { w.before, w.api = nil, nil })
			for range 4 {
				for i := range 60 {
					for _, a := range apps {
						_ = get(a, shop(i))
					}
				}
				time.Sleep(time.Hour)
			}
			for i := range 60 {
				for _, a := range apps {
					assert.NoError(t, get(a, shop(i)))
				}
			}
		})
	}
}

// The account is quarantined after a lost answer, with an access token of six
// days. One 401 of a gateway is no proof that this has ended.
func TestQuarantinedAndAGateway(t *testing.T) {
	for name, body := range map[string]string{"HTML": `<html>Unauthorized</html>`, "empty": "", "{}": "{}", "text": "unauthorized"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.put(t, store, "shop", "77", 6*day)
				var lost atomic.Bool
				w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
					if lost.CompareAndSwap(false, true) {
						panic(http.ErrAbortHandler)
					}
					return false
				}
				app, seen := w.app(t, store)
				_, _ = app.RefreshDue(t.Context())
				require.NotNil(t, load(t, store, "shop").Quarantined)
				time.Sleep(2 * time.Hour)
				var once atomic.Bool
				w.set(func() {
					w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
						if once.CompareAndSwap(false, true) {
							say(rw, 401, body)
							return true
						}
						return false
					}
				})
				_ = get(app, "shop")
				assert.Nil(t, load(t, store, "shop").Disconnected, "the access token is good for six days, and nobody at Pinterest has said otherwise")
				assert.Zero(t, seen.count(pinterest.EventDisconnected, ""))
				time.Sleep(2 * time.Minute)
				assert.NoError(t, get(app, "shop"))
			})
		})
	}
}

// The same for accounts that are well: a gateway's 401 to everything, for an hour.
func TestGatewayOf401(t *testing.T) {
	for name, body := range map[string]string{"HTML": `<html>Unauthorized</html>`, "empty": "", "code 2": `{"code":2,"message":"Authentication failed."}`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.fleet(t, store, 20, 6*day)
				app, _ := w.app(t, store)
				w.set(func() {
					w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
						say(rw, 401, body)
						return true
					}
				})
				for range 10 {
					for i := range 20 {
						err := get(app, shop(i))
						assert.NotEqual(t, "reauthorize", disposition(err), "%v", err)
					}
					time.Sleep(3 * time.Second)
				}
				assert.LessOrEqual(t, w.tokenCalls(""), 20, "one renewal an account")
				w.set(func() { w.api = nil })
				time.Sleep(2 * time.Hour)
				for i := range 20 {
					require.NoError(t, get(app, shop(i)))
				}
			})
		})
	}
}

// Some accounts are locked by holders that hang. A run of the others goes on, and ends.
func TestDueAmongLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), newNasty()
		w.fleet(t, store, 40, 2*day)
		store.onLock = func(ctx context.Context, account string) error {
			if account < shop(8) {
				return hang(ctx)
			}
			return nil
		}
		app, _ := w.app(t, store)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		report, err := app.RefreshDue(ctx)
		t.Log(time.Since(began), err, report.Refreshed, len(report.Failed))
		assert.Equal(t, 32, report.Refreshed)
		assert.Less(t, time.Since(began), 30*time.Minute)
	})
}

// Due that fails half-way, panics, repeats itself, or names what is not there.
func TestDueOfABadStore(t *testing.T) {
	for name, seq := range map[string]func(yield func(string, error) bool){
		"fails":  func(y func(string, error) bool) { _ = y(shop(0), nil) && y(shop(1), nil) && y("", errors.New("down")) },
		"panics": func(y func(string, error) bool) { _ = y(shop(0), nil) && y(shop(1), nil); panic("down") },
		"repeats": func(y func(string, error) bool) {
			for i := range 50 {
				if !y(shop(i%2), nil) {
					return
				}
			}
		},
		"strange": func(y func(string, error) bool) {
			_ = y("nobody", nil) && y("\xff", nil) && y("pinterest:refresh-due", nil) && y("pinterest:logins:00", nil) && y(shop(0), nil) && y(shop(1), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, inner := newWorld(), pinterest.NewMemoryTokenStore()
				w.fleet(t, inner, 2, 2*day)
				app, _ := w.app(t, dueOf{inner, seq})
				report, err := app.RefreshDue(t.Context())
				if name == "fails" || name == "panics" {
					require.ErrorIs(t, err, pinterest.ErrTokenStore)
				}
				assert.Equal(t, 2, report.Refreshed, "%v %v", report.Failed, err)
				assert.Equal(t, 2, w.tokenCalls(""))
			})
		})
	}
}

type dueOf struct {
	pinterest.TokenStore
	seq func(yield func(string, error) bool)
}

func (s dueOf) Due(context.Context, time.Time) iter.Seq2[string, error] { return s.seq }

// One process of the fleet once had a clock that was a year ahead.
func TestClockOfOneIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.fleet(t, store, 5, 2*day)
		ahead, _ := w.app(t, store, pinterest.WithClock(shifted(365*day)))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = ahead.RefreshEvery(ctx, 12*time.Hour, func(pinterest.RefreshReport, error) { cancel() })
		})
		wg.Wait()
		cancel()
		require.NoError(t, ahead.Shutdown(t.Context()))
		// The machine is gone. The others have good clocks.
		app, _ := w.app(t, store)
		var runs atomic.Int64
		ctx, cancel = context.WithCancel(t.Context())
		wg.Go(func() { _ = app.RefreshEvery(ctx, 12*time.Hour, func(pinterest.RefreshReport, error) { runs.Add(1) }) })
		time.Sleep(40 * day)
		for i := range 5 {
			assert.NoError(t, get(app, shop(i)))
		}
		assert.GreaterOrEqual(t, runs.Load(), int64(60), "a run every 12 hours")
		cancel()
		wg.Wait()
		for i := range 5 {
			tok := load(t, store, shop(i))
			assert.Less(t, time.Until(tok.Expiry), 31*day, "the tokens' expiry is by a good clock")
		}
	})
}

type shifted time.Duration

func (s shifted) Now() time.Time { return time.Now().Add(time.Duration(s)) }

func (s shifted) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Clocks that differ do not make processes refresh in turns.
func TestClocksThatDiffer(t *testing.T) {
	for _, by := range []time.Duration{-40 * day, -time.Hour, time.Hour, 20 * day, 29*day + 23*time.Hour, 40 * day} {
		t.Run(by.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.put(t, store, "shop", "77", 20*day)
				odd, _ := w.app(t, store, pinterest.WithClock(shifted(by)))
				good, _ := w.app(t, store)
				for range 48 {
					require.NoError(t, get(odd, "shop"))
					require.NoError(t, get(good, "shop"))
					time.Sleep(time.Hour)
				}
				assert.LessOrEqual(t, w.tokenCalls(""), 4)
				assert.Nil(t, load(t, store, "shop").Disconnected)
			})
		})
	}
}

// An observer that uses the app when it is told of a token.
func TestObserverThatCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		u := w.put(t, store, "shop", "77", -time.Hour)
		w.put(t, store, "other", "88", -time.Hour)
		var app *pinterest.App
		var depth atomic.Int64
		app, _ = w.app(t, store, pinterest.WithObserver(func(e pinterest.Event) {
			if e.Type >= pinterest.EventRefresh && e.Account == "shop" && depth.Add(1) < 20 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				_, _ = app.Client("other").Account.Get(ctx)
				for range app.Accounts(ctx) {
				}
				if e.Type == pinterest.EventDisconnected {
					_ = app.OAuth.Disconnect(ctx, "shop")
				}
			}
		}))
		began := time.Now()
		require.NoError(t, get(app, "shop"))
		assert.Less(t, time.Since(began), 10*time.Second)
		w.kill(u)
		require.ErrorIs(t, get(app, "shop"), pinterest.ErrDisconnected)
		assert.Nil(t, load(t, store, "shop"))
	})
}

// A single client with a refresh token: what is no token is not stored.
func TestRefreshTokenClient(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				u := w.owner("77", 20*day)
				tok := w.token(u)
				var good atomic.Bool
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					if good.Load() {
						return false
					}
					say(rw, c.status, c.body)
					return true
				}
				var stored []oauth2.Token
				client, err := pinterest.New(pinterest.WithBaseURL("https://pinterest.example/v5"), pinterest.WithHTTPClient(&http.Client{Transport: w}),
					pinterest.WithRefreshToken(pinterest.RefreshConfig{
						ClientID: clientID, ClientSecret: secret, RefreshToken: tok.RefreshToken, AccessToken: tok.AccessToken, Expiry: time.Now().Add(-time.Minute),
						Store: func(_ context.Context, tok *oauth2.Token) error {
							stored = append(stored, oauth2.Token{AccessToken: tok.AccessToken, RefreshToken: tok.RefreshToken})
							return nil
						},
					}))
				require.NoError(t, err)
				_, err = client.Account.Get(t.Context())
				if !c.any {
					require.Error(t, err)
				}
				assert.Empty(t, stored)
				if c.gone || c.any {
					return
				}
				good.Store(true)
				time.Sleep(2 * time.Hour)
				_, err = client.Account.Get(t.Context())
				assert.NoError(t, err)
				assert.Len(t, stored, 1)
			})
		})
	}
}

// The API and the token endpoint stand behind one gateway that fails for a moment:
// a 401 without Pinterest's words, and a renewal that took effect without an answer.
func TestGatewayFailsForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.put(t, store, "shop", "77", 6*day)
		app, seen := w.app(t, store)
		require.NoError(t, get(app, "shop"))
		down := true
		w.set(func() {
			w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
				if down {
					say(rw, 401, `<html>Unauthorized</html>`)
				}
				return down
			}
			w.after = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall, _ map[string]any) bool {
				if down {
					say(rw, 502, `<html>Bad gateway</html>`)
				}
				return down
			}
		})
		err := get(app, "shop")
		require.Error(t, err)
		assert.NotEqual(t, "reauthorize", disposition(err), err)
		down = false
		assert.Nil(t, load(t, store, "shop").Disconnected, "the access token is good for six days")
		assert.Zero(t, seen.count(pinterest.EventDisconnected, ""))
		time.Sleep(2 * time.Minute)
		assert.NoError(t, get(app, "shop"))
	})
}
