package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// lose ends an answer that has taken effect.
var losses = map[string]func(rw http.ResponseWriter, r *http.Request, answer map[string]any){
	"cut": func(http.ResponseWriter, *http.Request, map[string]any) { panic(http.ErrAbortHandler) },
	"500": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) {
		say(rw, 500, `{"code":0,"message":"oops"}`)
	},
	"502": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) {
		say(rw, 502, `<html>Bad gateway</html>`)
	},
	"400 HTML":    func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) { say(rw, 400, `<html>Bad</html>`) },
	"204":         func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) { rw.WriteHeader(204) },
	"200 nothing": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) { rw.WriteHeader(200) },
	"garbage": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) {
		say(rw, 200, `{"access_token":"pina_ACC`)
	},
	"HTML 200": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) { say(rw, 200, `<html>Hello</html>`) },
	"hang":     func(_ http.ResponseWriter, r *http.Request, _ map[string]any) { <-r.Context().Done() },
	"302": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) {
		rw.Header().Set("Location", "https://pinterest.example/v5/oauth/token")
		rw.WriteHeader(307)
	},
	"429": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) {
		rw.Header().Set("Retry-After", "1")
		say(rw, 429, `{"code":8}`)
	},
	"404": func(rw http.ResponseWriter, _ *http.Request, _ map[string]any) { say(rw, 404, `{"code":50}`) },
}

// The answer to a refresh is lost once, after the rotation. The access token is
// used until it ends; then, and not before, the account is disconnected, once.
func TestLostAnswer(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.put(t, store, "shop", "77", 6*day)
				lost := false
				w.after = func(rw http.ResponseWriter, r *http.Request, _ tokenCall, answer map[string]any) bool {
					if lost {
						return false
					}
					lost = true
					lose(rw, r, answer)
					return true
				}
				a, seenA := w.app(t, store)
				b, seenB := w.app(t, store)
				end := load(t, store, "shop").Expiry
				for time.Until(end) > 2*time.Hour {
					_, _ = a.RefreshDue(t.Context())
					_, _ = b.RefreshDue(t.Context())
					require.NoError(t, get(a, "shop"), "the access token is good for %v", time.Until(end))
					require.NoError(t, get(b, "shop"))
					time.Sleep(time.Hour)
				}
				tok := load(t, store, "shop")
				require.Nil(t, tok.Disconnected)
				require.NotNil(t, tok.Quarantined)
				assert.Equal(t, 1, seenA.count(pinterest.EventQuarantined, "")+seenB.count(pinterest.EventQuarantined, ""))
				for acc, err := range a.Accounts(t.Context()) {
					require.NoError(t, err)
					assert.Equal(t, pinterest.AccountQuarantined, acc.State)
					assert.NotEmpty(t, acc.Reason)
				}
				assert.Zero(t, seenA.count(pinterest.EventDisconnected, "")+seenB.count(pinterest.EventDisconnected, ""))
				assert.LessOrEqual(t, w.tokenCalls(""), 8+24*6+2, "once an hour")
				time.Sleep(3 * time.Hour)
				require.ErrorIs(t, get(a, "shop"), pinterest.ErrDisconnected)
				time.Sleep(time.Minute)
				require.ErrorIs(t, get(b, "shop"), pinterest.ErrDisconnected)
				assert.Equal(t, 1, seenA.count(pinterest.EventDisconnected, "")+seenB.count(pinterest.EventDisconnected, ""))
			})
		})
	}
}

// The token is refreshed in the background minutes before it ends, and the
// answer is lost: calls go on until the very end.
func TestLostInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), pinterest.NewMemoryTokenStore()
		w.put(t, store, "shop", "77", 20*time.Minute)
		w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool { panic(http.ErrAbortHandler) }
		app, seen := w.app(t, store)
		end := load(t, store, "shop").Expiry
		for time.Until(end) > 2*time.Second {
			require.NoError(t, get(app, "shop"), "%v to go", time.Until(end))
			time.Sleep(time.Second)
		}
		assert.Nil(t, load(t, store, "shop").Disconnected)
		assert.Equal(t, 1, seen.count(pinterest.EventQuarantined, ""))
		time.Sleep(3 * time.Second)
		require.ErrorIs(t, get(app, "shop"), pinterest.ErrDisconnected)
	})
}

// Successes with strange fields.
func TestStrangeSuccess(t *testing.T) {
	const access, refresh = "pina_NEWNEWNEWNEWNEWNEWNEWNEWNEW", "pinr.NEWNEWNEWNEWNEWNEWNEWNEWNEW"
	for name, c := range map[string]struct {
		body  string
		calls int // token calls in an hour of calls
	}{
		"expires_in 0":             {`"refresh_token":"` + refresh + `","expires_in":0`, 2},
		"expires_in 1":             {`"refresh_token":"` + refresh + `","expires_in":1`, 70},
		"expires_in negative":      {`"refresh_token":"` + refresh + `","expires_in":-1`, 2},
		"expires_in very negative": {`"refresh_token":"` + refresh + `","expires_in":-9223372036854775808`, 2},
		"expires_in string":        {`"refresh_token":"` + refresh + `","expires_in":"2592000"`, 1},
		"expires_in float":         {`"refresh_token":"` + refresh + `","expires_in":2592000.7`, 1},
		"expires_in exponent":      {`"refresh_token":"` + refresh + `","expires_in":2.592e6`, 1},
		"expires_in 1e18":          {`"refresh_token":"` + refresh + `","expires_in":1e18`, 1},
		"expires_in 1e400":         {`"refresh_token":"` + refresh + `","expires_in":1e400`, 2},
		"expires_in 999999999999":  {`"refresh_token":"` + refresh + `","expires_in":999999999999,"refresh_token_expires_in":999999999999`, 1},
		"expires_in max":           {`"refresh_token":"` + refresh + `","expires_in":9223372036854775807,"refresh_token_expires_in":9223372036854775807`, 1},
		"expires_in missing":       {`"refresh_token":"` + refresh + `"`, 1},
		"expires_in null":          {`"refresh_token":"` + refresh + `","expires_in":null,"refresh_token_expires_in":null`, 1},
		"expires_in words":         {`"refresh_token":"` + refresh + `","expires_in":"soon"`, 1},
		"expires_in object":        {`"refresh_token":"` + refresh + `","expires_in":{}`, 1},
		"refresh_expires_at":       {`"refresh_token":"` + refresh + `","expires_in":2592000,"refresh_token_expires_at":99999999999999999`, 1},
		"refresh_token missing":    {`"expires_in":2592000`, 1},
		"refresh_token empty":      {`"refresh_token":"","expires_in":2592000`, 1},
		"refresh_token null":       {`"refresh_token":null,"expires_in":2592000`, 1},
		"refresh_token spaces":     {`"refresh_token":"  ","expires_in":2592000`, 1},
		"refresh_token odd":        {`"refresh_token":"pinr.\u0000\n","expires_in":2592000`, 1},
		"refresh_token access":     {`"refresh_token":"` + access + `","expires_in":2592000`, 1},
		"refresh_token object":     {`"refresh_token":{},"expires_in":2592000`, 1},
		"scope list":               {`"refresh_token":"` + refresh + `","expires_in":2592000,"scope":["user_accounts:read"]`, 1},
		"scope null":               {`"refresh_token":"` + refresh + `","expires_in":2592000,"scope":null`, 1},
		"scope empty":              {`"refresh_token":"` + refresh + `","expires_in":2592000,"scope":""`, 1},
		"with an error":            {`"refresh_token":"` + refresh + `","expires_in":2592000,"error":null,"code":0,"message":"ok"`, 1},
		"token_type mac":           {`"refresh_token":"` + refresh + `","expires_in":2592000,"token_type":"mac"`, 1},
		"twice":                    {`"refresh_token":"` + refresh + `","expires_in":2592000,"access_token":"` + access + `"`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				u := w.put(t, store, "shop", "77", -time.Hour)
				old := u.refresh
				w.before = func(rw http.ResponseWriter, _ *http.Request, call tokenCall) bool {
					w.set(func() { u.access[access] = time.Now().Add(30 * day) })
					say(rw, 200, `{"access_token":"`+access+`",`+c.body+`}`)
					return true
				}
				app, _ := w.app(t, store)
				for range 60 {
					require.NoError(t, get(app, "shop"))
					time.Sleep(time.Minute)
				}
				assert.LessOrEqual(t, w.tokenCalls(""), c.calls)
				tok := load(t, store, "shop")
				assert.Equal(t, access, tok.AccessToken)
				assert.Nil(t, tok.Disconnected)
				if !strings.HasPrefix(name, "refresh_token") {
					assert.Equal(t, refresh, tok.RefreshToken)
				} else {
					assert.Equal(t, old, tok.RefreshToken, "what cannot be a refresh token does not replace the one that is")
				}
				_, err := tok.MarshalRecord()
				require.NoError(t, err)
				assert.NotNil(t, tok.User)
			})
		})
	}
}

// A token endpoint that is down for days: nothing is lost, and it is not stormed.
func TestEndpointDown(t *testing.T) {
	for _, status := range []int{500, 503, 429, 0} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.fleet(t, store, 20, 3*day)
				w.before = func(rw http.ResponseWriter, r *http.Request, _ tokenCall) bool {
					if status == 0 {
						panic(http.ErrAbortHandler)
					}
					say(rw, status, `{"code":0,"message":"down"}`)
					return true
				}
				app, _ := w.app(t, store)
				for range 6 {
					report, _ := app.RefreshDue(t.Context())
					require.Zero(t, report.Refreshed)
					time.Sleep(6 * time.Hour)
					for i := range 20 {
						require.NoError(t, get(app, shop(i)))
					}
				}
				time.Sleep(4 * day)
				for i := range 20 {
					assert.Equal(t, "park", disposition(get(app, shop(i))))
				}
				w.set(func() { w.before = nil })
				time.Sleep(time.Hour)
				for i := range 20 {
					require.NoError(t, get(app, shop(i)))
				}
			})
		})
	}
}

// A run in which everything failed because the endpoint is down says so.
func TestDueSaysThatTheEndpointIsDown(t *testing.T) {
	for _, n := range []int{5, 20, 21, 60} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				w.fleet(t, store, n, 3*day)
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					say(rw, 503, `{"code":0,"message":"down"}`)
					return true
				}
				app, _ := w.app(t, store)
				report, err := app.RefreshDue(t.Context())
				assert.Error(t, err, "%d of %d accounts failed", len(report.Failed), n)
			})
		})
	}
}

// The store takes no token for hours after the rotation. Nothing is refreshed
// twice, and the token is saved in the end; the process that has it says so.
func TestSaveFailsForHours(t *testing.T) {
	for name, f := range map[string]func(ctx context.Context) error{
		"fails":           func(context.Context) error { return errors.New("read-only file system") },
		"panics":          func(context.Context) error { panic("disk") },
		"hangs":           hang,
		"ignores its ctx": func(context.Context) error { time.Sleep(5 * time.Minute); return errors.New("late") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), newNasty()
				w.put(t, store, "shop", "77", -time.Hour)
				var down atomic.Bool
				down.Store(true)
				store.onSave = func(ctx context.Context, _ string, _ *pinterest.Token) error {
					if down.Load() {
						return f(ctx)
					}
					return nil
				}
				app, _ := w.app(t, store)
				for range 5 {
					err := get(app, "shop")
					require.Error(t, err, "a token is saved before it is used")
					if name != "ignores its ctx" { // then the attempt has timed out
						assert.ErrorIs(t, err, pinterest.ErrTokenStore)
					}
					assert.NotContains(t, err.Error(), "pinr.")
					time.Sleep(30 * time.Minute)
				}
				assert.Equal(t, 1, w.tokenCalls(""))
				down.Store(false)
				time.Sleep(10 * time.Minute)
				require.NoError(t, get(app, "shop"))
				assert.Equal(t, 1, w.tokenCalls(""))
				other, _ := w.app(t, store)
				require.NoError(t, get(other, "shop"))
			})
		})
	}
}

// A save whose answer is lost, though the token was saved, and one that says
// conflict after it has saved.
func TestSaveThatLies(t *testing.T) {
	for name, answer := range map[string]error{"lost": errors.New("connection reset"), "conflict": pinterest.ErrTokenConflict} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), newNasty()
				w.put(t, store, "shop", "77", -time.Hour)
				n := 0
				store.saved = func(context.Context, string) error {
					if n++; n == 1 {
						return answer
					}
					return nil
				}
				app, _ := w.app(t, store)
				for range 5 {
					_ = get(app, "shop")
					time.Sleep(time.Minute)
				}
				require.NoError(t, get(app, "shop"))
				assert.Equal(t, 1, w.tokenCalls(""))
				assert.Nil(t, load(t, store, "shop").Disconnected)
			})
		})
	}
}

// Another wrote to the account between the renewal's load and its save, and
// Pinterest has rotated by then: the rotated token must not be lost for what is
// older, nor replace what is newer.
func TestConflictAfterRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, store := newWorld(), newNasty()
		u := w.put(t, store, "shop", "77", -time.Hour)
		w.after = func(_ http.ResponseWriter, _ *http.Request, _ tokenCall, _ map[string]any) bool {
			// Somebody touches the record without a new token, such as one who renames the user.
			tok, _ := store.Load(context.Background(), "shop")
			tok.User.Username = "renamed"
			_, _ = store.Save(context.Background(), "shop", tok)
			return false
		}
		app, _ := w.app(t, store)
		for range 4 {
			_ = get(app, "shop")
			time.Sleep(time.Minute)
		}
		require.NoError(t, get(app, "shop"))
		assert.Equal(t, u.refresh, load(t, store, "shop").RefreshToken, "the rotated token is in the store")
		fresh, _ := w.app(t, store)
		require.NoError(t, get(fresh, "shop"))
	})
}
