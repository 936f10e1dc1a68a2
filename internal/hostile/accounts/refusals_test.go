package accounts

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// refusal is an answer of the token endpoint. gone: it says that this grant is gone.
type refusal struct {
	name   string
	status int
	body   string
	gone   bool
	any    bool // the words do not decide what it is, but it must not be believed of all
}

func with283(data string) string {
	return `{"status":"failure","code":283,"data":` + data + `,"message":"The authorization grant is invalid","endpoint_name":"oauth_connect"}`
}

var refusals = []refusal{
	{name: "283 grant", status: 401, body: dead283, gone: true},
	{name: "283 grant 400", status: 400, body: dead283, gone: true},
	{name: "283 no data", status: 401, body: `{"code":283,"message":"The authorization grant is invalid"}`, gone: true},
	{name: "283 null data", status: 401, body: with283(`null`), gone: true},
	{name: "283 code as string", status: 401, body: `{"code":"283","message":"The authorization grant is invalid","data":"expired"}`, gone: true},
	{name: "283 pretty", status: 401, body: "\n\n  " + dead283 + "\n\n", gone: true},
	{name: "invalid_grant", status: 400, body: `{"error":"invalid_grant"}`, gone: true},
	{name: "invalid_grant 401", status: 401, body: `{"error":"invalid_grant"}`, gone: true},
	{name: "invalid_grant RFC sentence", status: 400, body: `{"error":"invalid_grant","error_description":"The provided authorization grant or refresh token is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client."}`, gone: true},
	{name: "invalid_grant of one who removed the app", status: 400, body: `{"error":"invalid_grant","error_description":"The user has removed this application."}`, gone: true},
	{name: "invalid_grant upper", status: 400, body: `{"error":"INVALID_GRANT"}`, any: true},
	{name: "invalid_grant BOM", status: 400, body: "\ufeff" + `{"error":"invalid_grant"}`, any: true},
	{name: "invalid_grant as code", status: 400, body: `{"code":"invalid_grant","message":"gone"}`, any: true},
	{name: "283 with 403", status: 403, body: dead283, any: true},

	{name: "283 application", status: 401, body: with283(`"Invalid Application ID"`)},
	{name: "283 application 400", status: 400, body: with283(`"Invalid Application ID"`)},
	{name: "283 both", status: 401, body: with283(`"Invalid refresh token or invalid Application ID"`)},
	{name: "283 lower", status: 401, body: with283(`"invalid application id"`)},
	{name: "283 upper", status: 401, body: with283(`"INVALID APPLICATION ID"`)},
	{name: "283 application_id", status: 401, body: with283(`"Invalid application_id"`)},
	{name: "283 applicationId", status: 401, body: with283(`"Invalid applicationId"`)},
	{name: "283 app_id", status: 401, body: with283(`"Invalid app_id"`)},
	{name: "283 appId", status: 401, body: with283(`"Unknown appId 1480123"`)},
	{name: "283 applications", status: 401, body: with283(`"Applications of this type are not supported"`)},
	{name: "283 client_id", status: 401, body: with283(`"Invalid client_id"`)},
	{name: "283 clientId", status: 401, body: with283(`"Invalid clientId"`)},
	{name: "283 Client", status: 401, body: with283(`"Invalid client"`)},
	{name: "283 invalid_client", status: 401, body: with283(`"invalid_client"`)},
	{name: "283 client credentials", status: 401, body: with283(`"Client authentication failed: bad client credentials"`)},
	{name: "283 consumer_key", status: 401, body: with283(`"Invalid consumer_key"`)},
	{name: "283 consumer type", status: 401, body: with283(`"Your application consumer type is not supported"`)},
	{name: "283 application in an object", status: 401, body: with283(`{"detail":"Invalid Application ID"}`)},
	{name: "283 application in a list", status: 401, body: with283(`["Invalid Application ID"]`)},
	{name: "283 application as a key", status: 401, body: with283(`{"application":"invalid"}`)},
	{name: "283 application escaped", status: 401, body: with283(`"Invalid \u0041pplication ID"`)},
	{name: "283 application late in long data", status: 401, body: with283(`"` + strings.Repeat("The request was refused. ", 400) + `Invalid Application ID"`)},
	{name: "283 application in HTML spaces", status: 401, body: with283(`"Invalid\u00a0Application\u00a0ID"`)},
	{name: "283 app in message", status: 401, body: `{"code":283,"message":"Invalid Application ID","data":null}`},
	{name: "invalid_client", status: 401, body: `{"error":"invalid_client"}`},
	{name: "invalid_client 400", status: 400, body: `{"error":"invalid_client","error_description":"no invalid_grant here"}`},
	{name: "invalid_request", status: 400, body: `{"error":"invalid_request"}`},
	{name: "invalid_request naming the grant", status: 400, body: `{"error":"invalid_request","error_description":"invalid_grant is not a value of grant_type"}`},
	{name: "unsupported_grant_type", status: 400, body: `{"error":"unsupported_grant_type"}`},
	{name: "unauthorized_client", status: 400, body: `{"error":"unauthorized_client"}`},
	{name: "invalid_scope", status: 400, body: `{"error":"invalid_scope"}`},
	{name: "2", status: 401, body: `{"code":2,"message":"Authentication failed.","status":"failure"}`},
	{name: "2 that speaks of the grant", status: 401, body: `{"code":2,"message":"The authorization grant is invalid"}`},
	{name: "3 consumer type", status: 401, body: `{"code":3,"message":"Your application consumer type is not supported"}`},
	{name: "3 scopes", status: 401, body: `{"code":3,"message":"insufficient permissions"}`},
	{name: "7", status: 401, body: `{"code":7,"message":"Not authorized."}`},
	{name: "29", status: 401, body: `{"code":29,"message":"You are not permitted to access that resource."}`},
	{name: "29 403", status: 403, body: `{"code":29,"message":"You are not permitted to access that resource."}`},
	{name: "empty 400", status: 400},
	{name: "empty 401", status: 401},
	{name: "empty 403", status: 403},
	{name: "{} 400", status: 400, body: `{}`},
	{name: "null 401", status: 401, body: `null`},
	{name: "number 401", status: 401, body: `283`},
	{name: "list 401", status: 401, body: `[{"code":283}]`},
	{name: "HTML 400", status: 400, body: `<html><body>Bad Request</body></html>`},
	{name: "HTML 401", status: 401, body: `<html><body>Unauthorized</body></html>`},
	{name: "HTML 401 with the word", status: 401, body: `<html><body>error: invalid_grant (code 283)</body></html>`},
	{name: "HTML 400 with JSON", status: 400, body: `<html><pre>{"error":"invalid_grant","code":283}</pre></html>`},
	{name: "text 400", status: 400, body: `invalid_grant`},
	{name: "404", status: 404, body: `{"code":283,"message":"The authorization grant is invalid"}`},
	{name: "410", status: 410, body: `{"error":"invalid_grant"}`},
	{name: "407", status: 407, body: `{"error":"invalid_grant"}`},
	{name: "429", status: 429, body: `{"code":8,"message":"You have exceeded your rate limit."}`},
	{name: "429 283", status: 429, body: dead283},
	{name: "500 invalid_grant", status: 500, body: `{"error":"invalid_grant"}`},
	{name: "503 283", status: 503, body: dead283},
	{name: "302", status: 302, body: `{"error":"invalid_grant"}`},
	{name: "200 invalid_grant", status: 200, body: `{"error":"invalid_grant"}`},
	{name: "200 283", status: 200, body: dead283},
	{name: "200 empty", status: 200},
	{name: "200 {}", status: 200, body: `{}`},
	{name: "200 null", status: 200, body: `null`},
	{name: "200 HTML", status: 200, body: `<html>Sign in to the Wi-Fi of this hotel</html>`},
	{name: "200 no access token", status: 200, body: `{"access_token":"","refresh_token":"pinr.xxxxxxxxxxxxxxxxxxxxxxxxxxx","expires_in":100}`},
	{name: "200 null access token", status: 200, body: `{"access_token":null,"refresh_token":null,"expires_in":null}`},
	{name: "200 access token of spaces", status: 200, body: `{"access_token":"   ","expires_in":2592000}`},
	{name: "200 access token with a newline", status: 200, body: `{"access_token":"pina_aaaaaaaaaaaaaaaa\r\nX: y","expires_in":2592000}`},
	{name: "200 access token is an object", status: 200, body: `{"access_token":{"a":"pina_aaaaaaaaaaaaa"},"expires_in":2592000}`},
	{name: "204", status: 204},
	{name: "200 the tokens swapped", status: 200, body: `{"access_token":"pinr.aaaaaaaaaaaaaaaaaaaaaaa","refresh_token":"pina_aaaaaaaaaaaaaaaaaaaaaa","expires_in":2592000}`},
}

// No refusal but that of the grant may mark an account whose access token has ended;
// and that one must, once.
func TestRefusedAfterTheEnd(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				u := w.put(t, store, "shop", "77", -time.Hour)
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					say(rw, c.status, c.body)
					return true
				}
				app, seen := w.app(t, store)
				err := get(app, "shop")
				require.Error(t, err)
				if c.any {
					return
				}
				tok := load(t, store, "shop")
				if c.gone {
					require.ErrorIs(t, err, pinterest.ErrDisconnected)
					assert.Equal(t, "reauthorize", disposition(err))
					require.NotNil(t, tok.Disconnected)
					calls := w.tokenCalls("")
					assert.Equal(t, 1, calls)
					other, _ := w.app(t, store)
					for range 3 {
						time.Sleep(time.Hour)
						require.ErrorIs(t, get(app, "shop"), pinterest.ErrDisconnected)
						require.ErrorIs(t, get(other, "shop"), pinterest.ErrDisconnected)
					}
					assert.Equal(t, calls, w.tokenCalls(""), "a dead grant needs no more token calls")
					assert.Equal(t, 1, seen.count(pinterest.EventDisconnected, "shop"))
					return
				}
				assert.Nil(t, tok.Disconnected, "marked for a refusal that is not the grant's")
				assert.NotErrorIs(t, err, pinterest.ErrDisconnected)
				assert.Contains(t, []string{"review", "park", "fix"}, disposition(err), err)
				assert.Zero(t, seen.count(pinterest.EventDisconnected, ""))
				assert.Equal(t, u.refresh, tok.RefreshToken)
				// The account goes on when the endpoint does.
				w.set(func() { w.before = nil })
				time.Sleep(2 * time.Hour)
				require.NoError(t, get(app, "shop"))
			})
		})
	}
}

// 40 accounts, good for six more days: no refusal marks one, and all goes on.
func TestRefusedFleet(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				for i := range 40 {
					w.put(t, store, fmt.Sprintf("shop-%03d", i), fmt.Sprintf("5%03d", i), 6*day)
				}
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					say(rw, c.status, c.body)
					return true
				}
				app, seen := w.app(t, store)
				report, err := app.RefreshDue(t.Context())
				if !c.any {
					assert.Error(t, err, "a run that failed for all must not return nil")
				}
				assert.Zero(t, report.Refreshed)
				assert.Empty(t, marked(t, store))
				assert.Zero(t, seen.count(pinterest.EventDisconnected, ""))
				assert.LessOrEqual(t, seen.count(pinterest.EventRefreshPaused, ""), 1)
				for i := range 40 {
					require.NoError(t, get(app, fmt.Sprintf("shop-%03d", i)), "the access token is good")
				}
				w.set(func() { w.before = nil })
				refreshed := 0
				for range 4 { // over two days
					time.Sleep(12 * time.Hour)
					report, err = app.RefreshDue(t.Context())
					require.NoError(t, err)
					refreshed += report.Refreshed
				}
				assert.Equal(t, 40, refreshed, "the fleet converges")
			})
		})
	}
}

// The same fleet with ended tokens: a wholesale refusal is not believed.
func TestRefusedFleetAfterTheEnd(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, store := newWorld(), pinterest.NewMemoryTokenStore()
				for i := range 20 {
					w.put(t, store, fmt.Sprintf("shop-%03d", i), fmt.Sprintf("5%03d", i), -time.Hour)
				}
				w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
					say(rw, c.status, c.body)
					return true
				}
				app, seen := w.app(t, store)
				_, err := app.RefreshDue(t.Context())
				if c.gone {
					require.ErrorIs(t, err, pinterest.ErrRefreshPaused)
				}
				assert.Empty(t, marked(t, store))
				for i := range 20 {
					err := get(app, fmt.Sprintf("shop-%03d", i))
					require.Error(t, err)
					assert.NotErrorIs(t, err, pinterest.ErrDisconnected)
				}
				assert.Empty(t, marked(t, store))
				if c.gone {
					assert.Equal(t, 1, seen.count(pinterest.EventRefreshPaused, ""))
				}
				w.set(func() { w.before = nil })
				for range 3 {
					time.Sleep(time.Hour)
					_, _ = app.RefreshDue(t.Context())
				}
				for i := range 20 {
					require.NoError(t, get(app, fmt.Sprintf("shop-%03d", i)))
				}
			})
		})
	}
}

// The owner has removed the app: the access token is refused, and so is the
// refresh token, though both had days to go.
func TestReallyDeadIsDisconnectedOnce(t *testing.T) {
	for _, body := range []string{dead283, `{"error":"invalid_grant","error_description":"gone"}`} {
		synctest.Test(t, func(t *testing.T) {
			w, store := newWorld(), pinterest.NewMemoryTokenStore()
			u := w.put(t, store, "shop", "77", 20*day)
			var apps []*pinterest.App
			var seen []*witness
			for range 4 {
				a, s := w.app(t, store)
				apps, seen = append(apps, a), append(seen, s)
				require.NoError(t, get(a, "shop"))
			}
			w.kill(u)
			w.before = func(rw http.ResponseWriter, _ *http.Request, _ tokenCall) bool {
				say(rw, 401, body)
				return true
			}
			errs := make(chan error, 400)
			for range 100 {
				for _, a := range apps {
					go func() { errs <- get(a, "shop") }()
				}
			}
			for range 400 {
				err := <-errs
				require.Error(t, err)
				var e *pinterest.Error
				require.ErrorAs(t, err, &e)
			}
			for range 5 {
				time.Sleep(2 * time.Minute)
				for _, a := range apps {
					require.ErrorIs(t, get(a, "shop"), pinterest.ErrDisconnected)
				}
			}
			told := 0
			for _, s := range seen {
				told += s.count(pinterest.EventDisconnected, "shop")
			}
			assert.Equal(t, 1, told, "told once, for all processes")
			assert.LessOrEqual(t, w.tokenCalls(""), 4, "token calls")
			assert.NotNil(t, load(t, store, "shop").Disconnected)
		})
	}
}
