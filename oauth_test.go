package pinterest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

const (
	appID      = "1478036"
	appSecret  = "app-secret-0123456789"
	oldRefresh = "pinr.old-refresh-token"
	newRefresh = "pinr.new-refresh-token"
	newAccess  = "pina_NEW-ACCESS-TOKEN"
)

// granted is the token endpoint's answer with a new pair.
func granted() reply {
	return answer(200, `{"response_type":"refresh_token","access_token":"`+newAccess+`","token_type":"bearer","expires_in":2592000,
		"refresh_token":"`+newRefresh+`","refresh_token_expires_in":5184000,"scope":"boards:read,boards:write,pins:read,pins:write"}`)
}

var (
	refused      = fault(401, 2, "Authentication failed.")
	grantRefused = answer(401, `{"status":"failure","code":283,"data":"Invalid","message":"The authorization grant is invalid","endpoint_name":"oauth_connect"}`)
)

// byToken answers calls with the old access token refused, those with the new one granted.
func byToken() reply {
	return reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+newAccess {
			w.WriteHeader(refused.status)
			_, _ = io.WriteString(w, refused.body)
			return
		}
		_, _ = io.WriteString(w, okPin().body)
	}}
}

// bearers returns the access tokens of the calls, in order.
func (s *server) bearers() []string {
	var list []string
	for _, r := range s.received(toCall) {
		list = append(list, r.header.Get("Authorization"))
	}
	return list
}

func TestTokenCall(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	const id, secret = "14:78/036", "se cret+&=%ü"
	a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) { cfg.ClientID, cfg.ClientSecret = id, secret })
	before := s.clock.Now()
	require.NoError(t, get(t.Context(), a.Client))
	require.Equal(t, []string{toCall, toToken, toCall}, s.kinds())
	req := s.received(toToken)[0]
	assert.Equal(t, http.MethodPost, req.method)
	assert.Empty(t, req.query, "nothing stands in the URL")
	assert.Equal(t, "application/x-www-form-urlencoded", req.header.Get("Content-Type"))
	assert.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret))), req.header.Get("Authorization"))
	form, err := url.ParseQuery(string(req.body))
	require.NoError(t, err)
	assert.Equal(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {oldRefresh}}, form)

	require.Len(t, a.tokens(), 1)
	tok := a.tokens()[0]
	assert.Equal(t, newAccess, tok.AccessToken)
	assert.Equal(t, newRefresh, tok.RefreshToken)
	assert.Equal(t, before.Add(30*24*time.Hour).UTC(), tok.Expiry)
	assert.Equal(t, "boards:read,boards:write,pins:read,pins:write", tok.Extra("scope"))
}

func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	month := 30 * 24 * time.Hour
	tests := []struct {
		name    string
		answer  reply
		refresh string
		expires time.Duration // 0: not known
	}{
		{"numbers", granted(), newRefresh, month},
		{"201", answer(201, granted().body), newRefresh, month},
		{"expires_in as text", answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","expires_in":"2592000"}`), newRefresh, month},
		{"expires_in with a fraction", answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","expires_in":2592000.0}`), newRefresh, month},
		{"no refresh_token", answer(200, `{"access_token":"`+newAccess+`","expires_in":2592000}`), oldRefresh, month},
		{"null refresh_token", answer(200, `{"access_token":"`+newAccess+`","refresh_token":null,"expires_in":2592000}`), oldRefresh, month},
		{"empty refresh_token", answer(200, `{"access_token":"`+newAccess+`","refresh_token":"","expires_in":2592000}`), oldRefresh, month},
		{"no expires_in", answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`"}`), newRefresh, 0},
		{"garbage in expires_in", answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","expires_in":{"a":1}}`), newRefresh, 0},
		{"negative expires_in", answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","expires_in":-1}`), newRefresh, 0},
		{"a scope that is a list", answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","expires_in":2592000,"scope":["a"]}`), newRefresh, month},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken()).onToken(tt.answer)
			a := newAccount(t, s, nil)
			now := s.clock.Now()
			require.NoError(t, get(t.Context(), a.Client))
			require.Len(t, a.tokens(), 1)
			tok := a.tokens()[0]
			assert.Equal(t, newAccess, tok.AccessToken)
			assert.Equal(t, tt.refresh, tok.RefreshToken)
			if tt.expires == 0 {
				assert.True(t, tok.Expiry.IsZero())
				return
			}
			assert.Equal(t, now.Add(tt.expires).UTC(), tok.Expiry)
		})
	}
}

// No store keeps a time after the year 9999, and a token must not be lost for that.
func TestExpiryThatIsTooFarAway(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"expires_in", "refresh_token_expires_in", "refresh_token_expires_at"} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken()).onToken(answer(200, `{"access_token":"`+newAccess+`","refresh_token":"`+newRefresh+`","`+field+`":999999999999}`))
			store, err := filestore.Open(t.TempDir())
			require.NoError(t, err)
			old := oldToken()
			_, err = store.Save(t.Context(), "shop-1", &old)
			require.NoError(t, err)
			require.NoError(t, get(t.Context(), shop(storedApp(t, s, store))))
			tok, err := store.Load(t.Context(), "shop-1")
			require.NoError(t, err)
			assert.Equal(t, newRefresh, tok.RefreshToken)
			at := tok.RefreshExpiry
			if field == "expires_in" {
				at = tok.Expiry
			}
			assert.Equal(t, s.clock.Now().Add(100*365*24*time.Hour).UTC(), at)
		})
	}
}

func TestTokenAnswerWithoutATokenIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(answer(200, `{}`), html(200), halfBody(200, granted().body), granted())
	a := newAccount(t, s, nil)
	require.NoError(t, get(t.Context(), a.Client))
	assert.Equal(t, 4, s.count(toToken))
	assert.Len(t, a.tokens(), 1)
}

// Tokens are sent to the API's host alone, and the app's secret to the token
// endpoint alone.
func TestCredentialsGoWhereTheyBelong(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	require.NoError(t, get(t.Context(), newAccount(t, s, nil).Client))
	basic := base64.StdEncoding.EncodeToString([]byte(appID + ":" + appSecret))
	for _, kind := range []string{toCall, toToken} {
		for _, req := range s.received(kind) {
			all, err := json.Marshal(map[string]any{"h": req.header, "q": req.query, "b": string(req.body)})
			require.NoError(t, err)
			assert.Equal(t, kind == toToken, contains(all, basic), "the secret in a %s", kind)
			assert.Equal(t, kind == toToken, contains(all, oldRefresh), "the refresh token in a %s", kind)
			assert.Equal(t, kind == toCall, contains(all, "Bearer"), "an access token in a %s", kind)
		}
	}
}

// A code, a redirect URL or a secret that is not right ends with the token
// endpoint's verdict, and nothing is saved.
func TestExchangeThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*pinterest.OAuth)
		spoil  func(s *site, code string)
	}{
		"a wrong secret":       {func(o *pinterest.OAuth) { o.ClientSecret = "wrong-secret-0123456789" }, nil},
		"a wrong redirect URL": {func(o *pinterest.OAuth) { o.RedirectURL += "/elsewhere" }, nil},
		"a used code": {nil, func(s *site, code string) {
			_, err := s.app.OAuth.Exchange(context.Background(), code, "")
			require.NoError(s.t, err)
		}},
		"an old code": {nil, func(s *site, _ string) { s.clock.Advance(11 * time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			login, err := s.app.OAuth.Login("shop-1")
			require.NoError(t, err)
			back, err := s.srv.Authorize(login.URL, s.alice)
			require.NoError(t, err)
			code := mustQuery(t, back).Get("code")
			if tt.spoil != nil {
				tt.spoil(s, code)
			}
			_, err = s.newApp(tt.change).OAuth.Exchange(t.Context(), code, "")
			e := failure(t, err)
			require.ErrorIs(t, err, pinterest.ErrUnauthenticated)
			if name == "a wrong secret" { // which a new login does not help
				assert.Equal(t, review, e.Disposition)
			} else {
				assert.Equal(t, reauthorize, e.Disposition)
			}
			text := fmt.Sprintf("%v %+v %#v %s", err, err, err, e.Body)
			assert.NotContains(t, text, code)
			assert.NotContains(t, text, "wrong-secret")
		})
	}
}

func TestOtherTokenCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx := t.Context()
	tok, err := s.app.OAuth.ClientCredentials(ctx, pinterest.ScopePinsRead, pinterest.ScopeBoardsRead)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(tok.AccessToken, "pinc"))
	assert.Empty(t, tok.RefreshToken)
	assert.Equal(t, []pinterest.Scope{"boards:read", "pins:read"}, tok.Scopes)
	require.NoError(t, s.app.OAuth.Revoke(ctx, tok.AccessToken))
	require.ErrorIs(t, s.app.OAuth.Revoke(ctx, s.alice.AccessToken), pinterest.ErrForbidden, "system users' alone")
	_, err = s.app.OAuth.ClientCredentials(ctx)
	require.ErrorIs(t, err, pinterest.ErrInvalid)
	require.ErrorIs(t, s.app.OAuth.Revoke(ctx, ""), pinterest.ErrInvalid)

	fresh, err := s.app.OAuth.Refresh(ctx, s.alice.RefreshToken)
	require.NoError(t, err)
	assert.NotEqual(t, s.alice.RefreshToken, fresh.RefreshToken)
	_, err = s.app.OAuth.Refresh(ctx, s.alice.RefreshToken)
	e := failure(t, err)
	assert.Equal(t, 283, e.Code)
	assert.Equal(t, reauthorize, e.Disposition)

	_, err = s.store.Save(ctx, "ads", &pinterest.Token{AccessToken: s.srv.AddAccount("ads", "ads:write").AccessToken})
	require.NoError(t, err)
	conversion, err := s.app.OAuth.ConversionToken(ctx, "ads")
	require.NoError(t, err)
	assert.NotEmpty(t, conversion.AccessToken)
}

// The shapes in which the token endpoint has been seen to answer.
func TestShapesOfTheTokenAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		shape  pinteresttest.TokenShape
		scopes bool
	}{
		"spaces":            {pinteresttest.TokenShape{Scope: pinteresttest.SpaceSeparatedScopes}, true},
		"commas and a 201":  {pinteresttest.TokenShape{Scope: pinteresttest.CommaSeparatedScopes, Status: 201}, true},
		"numbers as text":   {pinteresttest.TokenShape{NumbersAsStrings: true}, true},
		"no scope":          {pinteresttest.TokenShape{Scope: pinteresttest.NoScopes}, false},
		"no refresh tokens": {pinteresttest.TokenShape{OmitRefreshToken: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil, pinteresttest.WithTokenShape(tt.shape))
			s.connect(browser(t))
			require.NoError(t, s.err)
			assert.Equal(t, tt.scopes, s.conn.Granted != nil, "%v", s.conn.Granted)
			assert.Empty(t, s.conn.Missing)
			assert.WithinDuration(t, s.clock.Now().Add(30*24*time.Hour), s.conn.Token.Expiry, time.Minute)
			_, err := s.app.Client("shop-1").Account.Get(t.Context())
			require.NoError(t, err)
			s.srv.ExpireAllTokens()
			_, err = s.app.Client("shop-1").Account.Get(t.Context())
			require.NoError(t, err)
			tok, err := s.store.Load(t.Context(), "shop-1")
			require.NoError(t, err)
			assert.NotEmpty(t, tok.RefreshToken, "the old one goes on where there is no new one")
		})
	}
}

func TestFlowThatIsNotSetUp(t *testing.T) {
	t.Parallel()
	app, err := pinterest.NewApp(pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()))
	require.NoError(t, err)
	_, err = app.OAuth.Login("shop-1")
	require.ErrorContains(t, err, "WithOAuth")
	_, err = app.OAuth.Exchange(t.Context(), "code", "")
	require.ErrorContains(t, err, "WithOAuth")
	_, err = app.RefreshDue(t.Context())
	require.ErrorContains(t, err, "WithOAuth")
	require.ErrorContains(t, app.OAuth.Revoke(t.Context(), "token"), "WithOAuth")
}

// The sandbox has a token endpoint of its own, and the authorize page in common.
func TestSandboxExchangesAtItsOwnHost(t *testing.T) {
	t.Parallel()
	var hosts []string
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)
		return nil, context.Canceled
	})
	app, err := pinterest.NewApp(pinterest.WithSandbox(), pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()),
		pinterest.WithHTTPClient(&http.Client{Transport: transport}), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: "1", ClientSecret: "secret-of-the-app", RedirectURL: "https://a.example/cb", Scopes: []pinterest.Scope{"pins:read"}}))
	require.NoError(t, err)
	_, err = app.OAuth.Exchange(t.Context(), "code", "")
	require.Error(t, err)
	assert.Equal(t, []string{"https://api-sandbox.pinterest.com/v5/oauth/token"}, hosts)
	login, err := app.OAuth.Login("shop-1")
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(login.URL, "https://www.pinterest.com/oauth/?"), login.URL)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
