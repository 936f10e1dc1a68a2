package pinterest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// echo is a server that says everything it was sent, in every place where it can.
func echo(status int) reply {
	return reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.QueryUnescape(string(body))
		said := r.Header.Get("Authorization") + " " + string(body) + " " + form
		text, _ := json.Marshal(said)
		w.Header().Set("X-Pinterest-Rid", said)
		w.Header().Set("X-Ratelimit-Limit", `100, 100;w=60;name="`+said+`"`)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"status":"failure","code":283,"data":%s,"message":%s,"details":{"a":%s},"message_detail":%s}`, text, text, text, text)
	}}
}

// Every way of the OAuth life is gone with known secrets, against a server that
// says them all. They are looked for in all that the library says.
func TestNoSecretOfTheOAuthLifeLeaves(t *testing.T) {
	t.Parallel()
	const code, verifier = "0123456789abcdef0123456789abcdef01234567", "verifier-0123456789-0123456789-0123456789-01"
	secrets := []string{
		appSecret, base64.StdEncoding.EncodeToString([]byte(appID + ":" + appSecret)),
		code, verifier, accessToken, newAccess, oldRefresh, newRefresh,
	}
	for name, answers := range map[string][]reply{
		"refused":  {echo(401)},
		"invalid":  {echo(400)},
		"down":     {echo(503)},
		"garbled":  {answer(200, "no JSON: "+strings.Join(secrets, " ")).always()},
		"all well": {granted().always()},
		"hung up":  {hangUp().always()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			say := func(values ...any) {
				for _, v := range values {
					fmt.Fprintf(&said, "%v\n%+v\n%#v\n%s\n", v, v, v, v)
					if data, err := json.Marshal(v); err == nil {
						said.Write(data)
					}
					slog.New(slog.NewTextHandler(&said, nil)).Info("said", "value", v)
				}
			}
			var seen recorder
			s := newServer(t, echo(401)).onToken(answers...)
			o := pinterest.OAuth{ClientID: appID, ClientSecret: appSecret, RedirectURL: "https://a.example/cb", Scopes: []pinterest.Scope{"pins:read"}, PKCE: true}
			var log bytes.Buffer
			store := newTokenStore(t, oldToken())
			app := storedApp(t, s, store, pinterest.WithOAuth(o), pinterest.WithObserver(seen.observe),
				pinterest.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
				pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 2, Jitter: -1}))
			say(app, app.OAuth, fmt.Sprintf("%v %+v %#v %v", o, o, o, &o))
			slog.New(slog.NewJSONHandler(&said, nil)).Info("said", "oauth", o)

			ctx := t.Context()
			tok, err := app.OAuth.Exchange(ctx, code, verifier)
			if tok != nil {
				say(fmt.Sprint(tok), fmt.Sprintf("%#v", tok), fmt.Sprintf("%+v", *tok))
			}
			say(err)
			_, err = app.OAuth.Refresh(ctx, oldRefresh)
			say(err)
			_, err = app.OAuth.ClientCredentials(ctx, "pins:read")
			say(err)
			say(app.OAuth.Revoke(ctx, newRefresh))
			say(get(ctx, shop(app)), get(ctx, shop(app)))
			_, err = app.OAuth.ConversionToken(ctx, "shop-1")
			say(err)
			report, err := app.RefreshDue(ctx)
			say(err)
			for _, err := range report.Failed {
				say(err)
			}
			if d := store.stored(t).Disconnected; d != nil {
				say(*d)
			}
			login, err := app.OAuth.Login("shop-1")
			require.NoError(t, err)
			say(login.URL)
			for _, e := range seen.all() {
				say(e)
			}
			for _, req := range append(s.received(toToken), s.received(toCall)...) {
				say(req.path + "?" + req.query) // nothing secret stands in a URL
			}
			say(log.String())

			for _, secret := range secrets {
				for _, form := range []string{secret, url.QueryEscape(secret)} {
					if i := strings.Index(said.String(), form); i >= 0 {
						t.Errorf("%q is said: ...%s...", form, said.String()[max(0, i-200):min(said.Len(), i+100)])
					}
				}
			}
			assert.NotEmpty(t, seen.all())
		})
	}
}
