package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
)

// A state is answered once: by two processes at once, one after the other, and
// by one that was started later.
func TestStateIsUsedOnce(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) pinterest.TokenStore{
		"memory": func(*testing.T) pinterest.TokenStore { return pinterest.NewMemoryTokenStore() },
		"files": func(t *testing.T) pinterest.TokenStore {
			s, err := filestore.Open(t.TempDir())
			require.NoError(t, err)
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, store := newWorld(), open(t)
			a, _ := w.app(t, store)
			b, _ := w.app(t, store)
			u := w.owner("77", 0)
			for round := range 5 {
				r := w.login(t, a, "shop", u)
				var wg sync.WaitGroup
				var mu sync.Mutex
				good := 0
				for i := range 8 {
					wg.Go(func() {
						r2 := r.Clone(context.Background())
						if i > 1 { // the others bring codes of their own
							q := r2.URL.Query()
							q.Set("code", w.code(u))
							r2.URL.RawQuery = q.Encode()
						}
						_, err := []*pinterest.App{a, b}[i%2].OAuth.Callback(context.Background(), r2, "shop")
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							good++
						} else {
							assert.ErrorIs(t, err, pinterest.ErrState)
						}
					})
				}
				wg.Wait()
				assert.Equal(t, 1, good, "round %d", round)
				c, _ := w.app(t, store)
				q := r.URL.Query()
				q.Set("code", w.code(u))
				r.URL.RawQuery = q.Encode()
				for _, app := range []*pinterest.App{a, b, c} {
					_, err := app.OAuth.Callback(context.Background(), r, "shop")
					assert.ErrorIs(t, err, pinterest.ErrState)
				}
			}
		})
	}
}

// Thousands of logins are answered between a login and its replay.
func TestStateIsUsedOnceAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		a, _ := w.app(t, store)
		u := w.owner("77", 0)
		r := w.login(t, a, "shop", u)
		_, err := a.OAuth.Callback(t.Context(), r, "shop")
		require.NoError(t, err)
		for i := range 2000 {
			_, err := w.connect(t, a, fmt.Sprintf("other-%d", i%5), u)
			require.NoError(t, err)
		}
		b, _ := w.app(t, store)
		q := r.URL.Query()
		q.Set("code", w.code(u))
		r.URL.RawQuery = q.Encode()
		_, err = b.OAuth.Callback(t.Context(), r, "shop")
		assert.ErrorIs(t, err, pinterest.ErrState)
		time.Sleep(9 * time.Minute)
		_, err = b.OAuth.Callback(t.Context(), r, "shop")
		assert.ErrorIs(t, err, pinterest.ErrState)
		n := 0
		for _, err := range store.Accounts(t.Context()) {
			require.NoError(t, err)
			n++
		}
		assert.LessOrEqual(t, n, 6+256)
	})
}

// The state is burned by the first answer, whatever that was.
func TestLoginErrors(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{"access_denied", "denied"}, {"server_error", "park"}, {"temporarily_unavailable", "park"},
		{"invalid_scope", "review"}, {"invalid_request", "review"}, {"unauthorized_client", "review"},
		{"unsupported_response_type", "review"}, {"something_else", "review"}, {"ACCESS_DENIED", ""},
		{"pina_SECRETSECRETSECRETSECRETSECRET", "review"}, {strings.Repeat("x", 100_000), "review"}, {"a\r\nb\x00\xff", "review"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			app, _ := w.app(t, store)
			u := w.put(t, store, "shop", "77", 20*day)
			was := load(t, store, "shop")
			r := w.login(t, app, "shop", u)
			q := r.URL.Query()
			q.Set("error", c.code)
			q.Set("error_description", "because pinr.SECRETSECRETSECRETSECRETSECRET <b>")
			r.URL.RawQuery = q.Encode() // a code as well
			_, err := app.OAuth.Callback(t.Context(), r, "shop")
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "SECRETSECRET")
			assert.Less(t, len(err.Error()), 2500)
			assert.NotContains(t, err.Error(), "\n")
			switch c.want {
			case "denied":
				assert.ErrorIs(t, err, pinterest.ErrAccessDenied)
			case "":
			default:
				assert.NotErrorIs(t, err, pinterest.ErrAccessDenied, c.code)
				assert.Equal(t, c.want, disposition(err), c.code)
			}
			assert.Equal(t, was, load(t, store, "shop"))
			assert.Empty(t, w.calls)
			q.Del("error")
			r.URL.RawQuery = q.Encode()
			_, err = app.OAuth.Callback(t.Context(), r, "shop")
			assert.ErrorIs(t, err, pinterest.ErrState, "it was answered before")
		})
	}
}

// A callback of another session, browser, method, or none at all.
func TestCallbackOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		app, _ := w.app(t, store)
		mallory, victim := w.owner("66", 0), w.owner("77", 0)
		_ = mallory
		// Mallory begins a login and plants its cookie; the victim gives access.
		r := w.login(t, app, "mallory", victim)
		_, err := app.OAuth.Callback(t.Context(), r, "victim")
		require.ErrorIs(t, err, pinterest.ErrState)
		assert.Empty(t, w.calls, "no exchange for another session")
		// And then mallory brings the same URL to a session of their own.
		_, err = app.OAuth.Callback(t.Context(), r, "victim ")
		require.ErrorIs(t, err, pinterest.ErrState)
		for _, account := range []string{"", "Mallory", "mallory\x00", "ｍallory", "mallоry"} {
			_, err = app.OAuth.Callback(t.Context(), r, account)
			require.Error(t, err, account)
		}
		assert.Empty(t, w.calls)
		// Without the cookie, with its name for another login, or damaged.
		good := w.login(t, app, "victim", victim)
		cookie := good.Cookies()[0]
		for name, change := range map[string]func(r *http.Request){
			"no cookie": func(r *http.Request) {},
			"damaged": func(r *http.Request) {
				r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value[:len(cookie.Value)-3] + "AAA"})
			},
			"short": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value[:3]}) },
			"empty": func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name}) },
			"of another": func(r *http.Request) {
				r.AddCookie(&http.Cookie{Name: cookie.Name, Value: w.login(t, app, "victim", victim).Cookies()[0].Value})
			},
			"no prefix": func(r *http.Request) {
				r.AddCookie(&http.Cookie{Name: strings.TrimPrefix(cookie.Name, "__Host-"), Value: cookie.Value})
			},
			"no state": func(r *http.Request) {
				r.AddCookie(cookie)
				q := r.URL.Query()
				q.Del("state")
				r.URL.RawQuery = q.Encode()
			},
			"state of another": func(r *http.Request) {
				r.AddCookie(cookie)
				q := r.URL.Query()
				q.Set("state", w.login(t, app, "victim", victim).URL.Query().Get("state"))
				r.URL.RawQuery = q.Encode()
			},
			"two states": func(r *http.Request) {
				r.AddCookie(cookie)
				r.URL.RawQuery = "state=x&" + r.URL.RawQuery
			},
			"no code": func(r *http.Request) {
				r.AddCookie(cookie)
				q := r.URL.Query()
				q.Del("code")
				r.URL.RawQuery = q.Encode()
			},
		} {
			r := good.Clone(t.Context())
			r.Header.Del("Cookie")
			change(r)
			_, err := app.OAuth.Callback(t.Context(), r, "victim")
			require.Error(t, err, name)
			assert.Empty(t, w.calls, name)
			if name == "no code" {
				break
			}
		}
	})
}

// Anything but GET is refused, and leaves the login as it was.
func TestCallbackMethods(t *testing.T) {
	w, store := newWorld(), pinterest.NewMemoryTokenStore()
	app, _ := w.app(t, store)
	u := w.owner("77", 0)
	r := w.login(t, app, "shop", u)
	done := 0
	h := app.OAuth.CallbackHandler(func(*http.Request) (string, error) { return "shop", nil },
		func(rw http.ResponseWriter, _ *http.Request, _ *pinterest.Connection, err error) {
			done++
			assert.NoError(t, err)
		})
	for _, m := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND", ""} {
		r2 := r.Clone(t.Context())
		r2.Method = m
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r2)
		if m == "" { // a client's GET
			continue
		}
		assert.Equal(t, 405, rec.Code, m)
		_, err := app.OAuth.Callback(t.Context(), r2, "shop")
		assert.Error(t, err, m)
	}
	assert.LessOrEqual(t, done, 1)
	if done == 0 {
		h.ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, 1, done)
	}
	assert.NotNil(t, load(t, store, "shop"))
}

// Names that no account can have, or that look like another's.
func TestLoginNames(t *testing.T) {
	w, store := newWorld(), pinterest.NewMemoryTokenStore()
	app, _ := w.app(t, store)
	for name, bad := range map[string]string{
		"invalid UTF-8": "shop\xff", "another invalid": "shop\xfe", "overlong": "a\xc0\xaf", "surrogate": "\xed\xa0\x80",
		"3000 bytes": strings.Repeat("n", 3000), "3000 bytes of é": strings.Repeat("é", 1500), "a megabyte": strings.Repeat("n", 1<<20),
		"reserved": "pinterest:logins:00", "reserved too": "pinterest:refresh-due",
	} {
		_, err := app.OAuth.Login(bad)
		assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
		h := app.OAuth.LoginHandler(func(*http.Request) (string, error) { return bad, nil })
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
		assert.Equal(t, 403, rec.Code, name)
		assert.Empty(t, rec.Result().Cookies(), name)
		err = get(app, bad)
		assert.Error(t, err)
		if !strings.Contains(name, "00 bytes") && name != "a megabyte" {
			assert.ErrorIs(t, err, pinterest.ErrInvalid, name)
			assert.ErrorIs(t, app.OAuth.Disconnect(t.Context(), bad), pinterest.ErrInvalid, name)
		}
	}
}

// Names that look like another's, or like a path, are names of their own.
func TestOddNames(t *testing.T) {
	files, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	for _, store := range []pinterest.TokenStore{pinterest.NewMemoryTokenStore(), files} {
		w := newWorld()
		app, _ := w.app(t, store)
		odd := []string{"shop", "Shop", "shop ", " shop", "shop\x00", "shop\n", "sh\u200bop", "ѕhop", "é", "e\u0301", "../shop", "a/b", "a\\b", "%2e", "CON", "{\"a\":1}", "\u202eshop", strings.Repeat("n", 2000)}
		for i, name := range odd {
			u := w.owner(fmt.Sprintf("9%02d", i), 0)
			conn, err := w.connect(t, app, name, u)
			require.NoError(t, err, "%q", name)
			assert.Equal(t, name, conn.Account)
			require.NotNil(t, conn.User)
		}
		for i, name := range odd {
			assert.Equal(t, fmt.Sprintf("9%02d", i), load(t, store, name).User.ID, "%q", name)
		}
		listed := map[string]bool{}
		for acc, err := range app.Accounts(t.Context()) {
			require.NoError(t, err)
			listed[acc.Account] = true
		}
		assert.Len(t, listed, len(odd))
		for i, name := range odd[:9] {
			require.NoError(t, app.OAuth.Disconnect(t.Context(), name))
			assert.Nil(t, load(t, store, name))
			assert.NotNil(t, load(t, store, odd[i+1]), "%q", odd[i+1])
		}
	}
}

// A browser begins many logins. The cookies stay within what browsers keep, and
// the last ones can be answered.
func TestManyBegunLogins(t *testing.T) {
	w, store := newWorld(), pinterest.NewMemoryTokenStore()
	app, _ := w.app(t, store)
	u := w.owner("77", 0)
	jar := map[string]string{}
	var last *url.URL
	for range 60 {
		h := app.OAuth.LoginHandler(func(*http.Request) (string, error) { return strings.Repeat("n", 200), nil })
		r := httptest.NewRequest(http.MethodGet, "https://app.example/login", nil)
		for n, v := range jar {
			r.AddCookie(&http.Cookie{Name: n, Value: v})
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		require.Equal(t, 3, rec.Code/100)
		for _, c := range rec.Result().Cookies() {
			assert.True(t, strings.HasPrefix(c.Name, "__Host-"), c.Name)
			assert.True(t, c.Secure && c.HttpOnly && c.Path == "/" && c.Domain == "", c.Raw)
			if c.MaxAge < 0 {
				delete(jar, c.Name)
			} else {
				jar[c.Name] = c.Value
			}
		}
		last, _ = rec.Result().Location()
		size := 0
		for n, v := range jar {
			size += len(n) + len(v) + 3
		}
		assert.LessOrEqual(t, size, 4096, "the header of cookies")
	}
	r := httptest.NewRequest(http.MethodGet, "https://app.example/callback?"+url.Values{"code": {w.code(u)}, "state": {last.Query().Get("state")}}.Encode(), nil)
	for n, v := range jar {
		r.AddCookie(&http.Cookie{Name: n, Value: v})
	}
	_, err := app.OAuth.Callback(t.Context(), r, strings.Repeat("n", 200))
	require.NoError(t, err)
}

// The browser leaves while the code is exchanged; the account's lock is held
// elsewhere for long: the token is saved.
func TestLoginWhileLocked(t *testing.T) {
	for at := time.Duration(0); at < 4*time.Second; at += 300 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), newNasty()
			u := w.owner("77", 0)
			store.onLock = func(ctx context.Context, account string) error {
				if account == "shop" {
					return hang(ctx)
				}
				return nil
			}
			w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
				time.Sleep(2 * time.Second)
				return false
			}
			w.api = func(http.ResponseWriter, *http.Request, string, *owner) bool { time.Sleep(time.Second); return false }
			app, _ := w.app(t, store)
			ctx, leave := context.WithTimeout(t.Context(), at)
			defer leave()
			r := w.login(t, app, "shop", u)
			_, err := app.OAuth.Callback(ctx, r, "shop")
			tok := load(t, store.TokenStore, "shop")
			if len(w.calls) == 0 {
				require.Error(t, err)
				return
			}
			require.NotNil(t, tok, "at %v: %v", at, err)
			assert.Equal(t, u.refresh, tok.RefreshToken)
		})
	}
}

// The store fails, hangs or conflicts in the save of a login.
func TestLoginAndABadStore(t *testing.T) {
	for name, f := range map[string]func(ctx context.Context, n int) error{
		"fails twice": func(_ context.Context, n int) error { return failUpTo(n, 2, errors.New("down")) },
		"conflicts":   func(_ context.Context, n int) error { return failUpTo(n, 3, pinterest.ErrTokenConflict) },
		"panics once": func(_ context.Context, n int) error {
			if n == 1 {
				panic("down")
			}
			return nil
		},
		"hangs once": func(ctx context.Context, n int) error {
			if n == 1 {
				select {
				case <-ctx.Done():
				case <-time.After(10 * time.Second):
				}
				return errors.New("late")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), newNasty()
				u := w.put(t, store, "shop", "77", 3*day)
				n := 0
				store.onSave = func(ctx context.Context, account string, _ *pinterest.Token) error {
					if account != "shop" {
						return nil
					}
					n++
					return f(ctx, n)
				}
				app, _ := w.app(t, store)
				began := time.Now()
				_, err := w.connect(t, app, "shop", u)
				t.Log(err, time.Since(began))
				assert.LessOrEqual(t, time.Since(began), 51*time.Second)
				require.NoError(t, app.Shutdown(t.Context()))
				assert.Equal(t, u.refresh, load(t, store.TokenStore, "shop").RefreshToken, "the code was exchanged, and its token is lost")
			})
		})
	}
}

func failUpTo(n, last int, err error) error {
	if n <= last {
		return err
	}
	return nil
}

// Connecting as another user is refused and leaves the account as it was; a user
// that cannot be read does too.
func TestConnectAsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.put(t, store, "shop", "77", 20*day)
		other := w.owner("88", 0)
		was := load(t, store, "shop")
		app, seen := w.app(t, store)
		_, err := w.connect(t, app, "shop", other)
		var two *pinterest.OtherUserError
		require.ErrorAs(t, err, &two)
		assert.Equal(t, "77", two.Connected.ID)
		assert.Equal(t, "88", two.Now.ID)
		assert.Equal(t, was, load(t, store, "shop"))
		for _, status := range []int{500, 403, 401, 429, 200} {
			w.set(func() {
				w.api = func(rw http.ResponseWriter, _ *http.Request, _ string, _ *owner) bool {
					say(rw, status, `{"code":7,"message":"no"}`)
					return true
				}
			})
			_, err = w.connect(t, app, "shop", other)
			require.Error(t, err, status)
			assert.Equal(t, was, load(t, store, "shop"), status)
		}
		w.set(func() { w.api = nil })
		assert.Zero(t, seen.count(pinterest.EventConnected, "")+seen.count(pinterest.EventDisconnected, "")+seen.count(pinterest.EventUserChanged, ""))
		// A disconnected account is still that user's, until it is disconnected by the application.
		tok := load(t, store, "shop")
		tok.Disconnected = &pinterest.Disconnection{At: time.Now().UTC(), Reason: "gone"}
		_, err = store.Save(t.Context(), "shop", tok)
		require.NoError(t, err)
		_, err = w.connect(t, app, "shop", other)
		assert.ErrorIs(t, err, pinterest.ErrOtherUser)
	})
}

// Two browsers of one account finish at once, as two users.
func TestTwoLoginsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			a, _ := w.app(t, store)
			b, _ := w.app(t, store)
			one, two := w.owner("77", 0), w.owner("88", 0)
			w.api = func(http.ResponseWriter, *http.Request, string, *owner) bool { time.Sleep(time.Second); return false }
			errs := make(chan error, 2)
			ra, rb := w.login(t, a, "shop", one), w.login(t, b, "shop", two)
			go func() { _, err := a.OAuth.Callback(t.Context(), ra, "shop"); errs <- err }()
			go func() { _, err := b.OAuth.Callback(t.Context(), rb, "shop"); errs <- err }()
			good := 0
			for range 2 {
				if err := <-errs; err == nil {
					good++
				} else {
					assert.ErrorIs(t, err, pinterest.ErrOtherUser)
				}
			}
			assert.Equal(t, 1, good, "the account was nobody's; the second one is another user")
		}
	})
}

// The cookie and the state show nothing of the account or of the verifier.
func TestCookieIsOpaque(t *testing.T) {
	w := newWorld()
	app, _ := w.app(t, pinterest.NewMemoryTokenStore())
	l, err := app.OAuth.Login("a-name-that-can-be-recognised")
	require.NoError(t, err)
	raw, _ := base64.RawURLEncoding.DecodeString(l.Cookie.Value)
	assert.NotContains(t, l.Cookie.Value+l.URL+string(raw), "recognised")
	assert.True(t, strings.HasPrefix(l.Cookie.Name, "__Host-"))
	assert.Equal(t, http.SameSiteLaxMode, l.Cookie.SameSite)
}
