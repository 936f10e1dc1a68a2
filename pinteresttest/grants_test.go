package pinteresttest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestClientCredentials(t *testing.T) {
	f := setup(t)
	ask := func(scope string) answer {
		return f.post("/oauth/token", "grant_type", "client_credentials", "scope", scope)
	}
	assertError(t, ask(""), http.StatusBadRequest, 1, "'scope' is a required property")
	assertError(t, ask("pins:read,pins:fly"), http.StatusBadRequest, 1, "scope 'pins:fly' is unknown")
	a := ask("user_accounts:read")
	require.Equal(t, http.StatusOK, a.status, a.body)
	token := a.text(t, "access_token")
	assert.Regexp(t, `^pinc_`, token)
	got := a.decode(t)
	delete(got, "access_token")
	assert.Equal(t, map[string]any{
		"token_type": "bearer", "response_type": "client_credentials", "expires_in": 2592000.0, "scope": "user_accounts:read",
	}, got)
	assert.Equal(t, pinteresttest.AppOwner, f.callAs(token, "GET", "/user_account", "").text(t, "username"))
	assertError(t, f.callAs(token, "GET", "/boards", ""), http.StatusUnauthorized, 3, "")
	assertBadGrant(t, f.refresh(token), "Invalid refresh token")
	f.clock.Advance(30 * 24 * time.Hour)
	assert.False(t, f.works(token))
}

func TestTokenShapes(t *testing.T) {
	t.Run("strings and commas", func(t *testing.T) {
		f := setupConnect(t, pinteresttest.WithTokenShape(pinteresttest.TokenShape{
			NumbersAsStrings: true, Scope: pinteresttest.CommaSeparatedScopes, Status: http.StatusCreated,
		}))
		a := f.exchange(f.authorize())
		assert.Equal(t, http.StatusCreated, a.status)
		assert.Equal(t, "2592000", a.text(t, "expires_in"))
		assert.Equal(t, "5184000", a.text(t, "refresh_token_expires_in"))
		assert.Regexp(t, `^\d+$`, a.text(t, "refresh_token_expires_at"))
		assert.Equal(t, scopes, a.text(t, "scope"))
		assert.Equal(t, http.StatusCreated, f.refresh(a.text(t, "refresh_token")).status)
		assert.Equal(t, http.StatusOK, f.call("GET", "/boards", "").status)
	})
	t.Run("fields left out", func(t *testing.T) {
		f := setupConnect(t, pinteresttest.WithTokenShape(pinteresttest.TokenShape{
			Scope: pinteresttest.NoScopes, OmitRefreshToken: true,
		}))
		a := f.exchange(f.authorize())
		assert.NotContains(t, a.decode(t), "scope")
		refresh := a.text(t, "refresh_token")
		for range 2 {
			a = f.refresh(refresh)
			require.Equal(t, http.StatusOK, a.status, "the old one stays good")
			var fields map[string]any
			require.NoError(t, json.Unmarshal([]byte(a.body), &fields))
			assert.Len(t, fields, 4)
		}
		assert.Empty(t, f.Reuses())
	})
}

func TestRevoke(t *testing.T) {
	f := setup(t)
	revoke := func(token string, more ...string) answer {
		return f.post("/oauth/token/revoke", append([]string{"token", token}, more...)...)
	}
	for _, token := range []string{f.alice.AccessToken, f.alice.RefreshToken, "pina_unknown"} {
		assertError(t, revoke(token), http.StatusForbidden, 29, "You are not permitted to access that resource.")
	}
	assert.True(t, f.works(f.alice.AccessToken))
	assertError(t, revoke(""), http.StatusBadRequest, 1, "'token' is a required property")
	assertError(t, revoke("x", "token_type_hint", "id_token"), http.StatusBadRequest, 1, "token_type_hint")
	stranger := f.tokenRequest("/oauth/token/revoke", "token", "x")
	stranger.Header.Set("Authorization", "Bearer "+f.alice.AccessToken)
	a, err := f.send(stranger)
	require.NoError(t, err)
	assertError(t, a, http.StatusUnauthorized, 2, "Authentication failed.")

	robot := f.AddSystemUser("robot")
	for range 2 {
		a = revoke(robot.AccessToken, "token_type_hint", "access_token")
		assert.Equal(t, http.StatusOK, a.status)
		assert.Empty(t, a.body)
	}
	assert.False(t, f.works(robot.AccessToken))
	requests := f.Requests()
	assert.Equal(t, []any{"token/revoke", "robot", true}, []any{
		requests[len(requests)-2].Operation, requests[len(requests)-2].Account, requests[len(requests)-2].Committed,
	})
	assert.Equal(t, http.StatusOK, f.refresh(robot.RefreshToken).status, "the other token of the pair lives on")
	robot = f.AddAccount("robot")
	assert.Equal(t, http.StatusOK, revoke(robot.RefreshToken).status)
	assertBadGrant(t, f.refresh(robot.RefreshToken), "Invalid refresh token")

	app := f.post("/oauth/token", "grant_type", "client_credentials", "scope", "user_accounts:read").text(t, "access_token")
	require.True(t, f.works(app))
	assert.Equal(t, http.StatusOK, revoke(app).status)
	assert.False(t, f.works(app))
}

func TestConversionToken(t *testing.T) {
	f := setup(t)
	a := f.call("POST", "/oauth/conversion_token", "")
	require.Equal(t, http.StatusOK, a.status)
	token := a.text(t, "access_token")
	assert.Equal(t, map[string]any{"access_token": token, "token_type": "conversion"}, a.decode(t))
	assertError(t, f.callAs(token, "GET", "/boards", ""), http.StatusUnauthorized, 3, "")
	reader := f.AddAccount("alice", "ads:read")
	assertError(t, f.callAs(reader.AccessToken, "POST", "/oauth/conversion_token", ""), http.StatusUnauthorized, 3, "")
	f.clock.Advance(365 * 24 * time.Hour)
	f.SetScopes(f.alice, "boards:read")
	assertError(t, f.callAs(token, "GET", "/boards", ""), http.StatusUnauthorized, 3, "")
}

func TestShownAccount(t *testing.T) {
	f := setup(t)
	f.AddPin(f.board, pinteresttest.Pin{})
	shown := f.call("GET", "/user_account", "").decode(t)
	assert.Equal(t, []any{"alice", f.alice.ID, "PINNER", nil, 1.0, 1.0}, []any{
		shown["username"], shown["id"], shown["account_type"], shown["business_name"], shown["board_count"], shown["pin_count"],
	})
	f.SetBusinessName(f.alice, "Alice & Co.")
	shown = f.call("GET", "/user_account", "").decode(t)
	assert.Equal(t, []any{"BUSINESS", "Alice & Co."}, []any{shown["account_type"], shown["business_name"]})
}

func TestReuses(t *testing.T) {
	f := setup(t)
	next := f.refresh(f.alice.RefreshToken).text(t, "refresh_token")
	f.refresh("unknown")
	assert.Empty(t, f.Reuses())
	f.refresh(f.alice.RefreshToken)
	f.Inject(pinteresttest.ServerError(503).On("oauth/token"))
	f.refresh(f.alice.RefreshToken)
	f.refresh(next)
	reuses := f.Reuses()
	require.Len(t, reuses, 2)
	assert.Equal(t, []any{401, 503, true, "alice"}, []any{reuses[0].Status, reuses[1].Status, reuses[1].Reused, reuses[1].Account})
	f.ResetRequests()
	assert.Empty(t, f.Reuses())

	t.Run("one that succeeds", func(t *testing.T) {
		f := setup(t, pinteresttest.WithRotation(pinteresttest.Reusable), pinteresttest.WithoutRequestLog())
		f.refresh(f.alice.RefreshToken)
		assert.Empty(t, f.Reuses())
		assert.Equal(t, http.StatusOK, f.refresh(f.alice.RefreshToken).status)
		assert.Len(t, f.Reuses(), 1)
	})
	t.Run("at once", func(t *testing.T) {
		f := setup(t)
		var group sync.WaitGroup
		for range 10 {
			r := f.refreshRequest(f.alice.RefreshToken)
			group.Go(func() { _, _ = f.send(r) })
		}
		group.Wait()
		assert.Len(t, f.Reuses(), 9)
	})
}

func TestCountTokenCalls(t *testing.T) {
	f := setupConnect(t, pinteresttest.WithoutRequestLog())
	bob := f.AddAccount("bob")
	code := f.authorize()
	f.exchange(code)
	f.exchange(code)
	f.refresh(f.alice.RefreshToken)
	f.refresh(bob.RefreshToken)
	f.refresh("unknown")
	f.post("/oauth/token", "grant_type", "client_credentials", "scope", "pins:read")
	f.post("/oauth/token")
	everyone, owner := pinteresttest.Account{}, f.AddAccount(pinteresttest.AppOwner)
	assert.Equal(t, []int{2, 1, 1, 3, 1, 3, 7}, []int{
		f.CountTokenCalls(f.alice, "authorization_code"), f.CountTokenCalls(f.alice, "refresh_token"),
		f.CountTokenCalls(bob, ""), f.CountTokenCalls(f.alice, ""), f.CountTokenCalls(owner, "client_credentials"),
		f.CountTokenCalls(everyone, "refresh_token"), f.CountTokenCalls(everyone, ""),
	})
	f.ResetRequests()
	assert.Zero(t, f.CountTokenCalls(everyone, ""))
}

// TestFaultsOfTokens injects faults into the token endpoint.
func TestFaultsOfTokens(t *testing.T) {
	t.Run("5xx", func(t *testing.T) {
		f := setupConnect(t)
		code := f.authorize()
		f.Inject(pinteresttest.ServerError(503).On("oauth/token").Repeat(2))
		assert.Equal(t, 503, f.exchange(code).status)
		assert.Equal(t, 503, f.refresh(f.alice.RefreshToken).status)
		assert.Equal(t, 200, f.exchange(code).status, "it did not take effect")
		assert.Equal(t, 200, f.refresh(f.alice.RefreshToken).status)
	})
	t.Run("lost answer", func(t *testing.T) {
		f := setupConnect(t)
		code := f.authorize()
		f.Inject(pinteresttest.NoAnswer().On("oauth/token").AfterTheCommit().Repeat(2))
		_, err := f.send(f.refreshRequest(f.alice.RefreshToken))
		require.Error(t, err)
		assertBadGrant(t, f.refresh(f.alice.RefreshToken), "Invalid refresh token")
		assert.Len(t, f.Reuses(), 1)
		_, err = f.send(f.tokenRequest("/oauth/token", "grant_type", "authorization_code", "code", code, "redirect_uri", callback))
		require.Error(t, err)
		assertBadGrant(t, f.exchange(code), "Invalid authorization code")
		assert.Equal(t, []bool{true, false, true, false}, []bool{
			f.Requests()[0].Committed, f.Requests()[1].Committed, f.Requests()[2].Committed, f.Requests()[3].Committed,
		})
	})
	t.Run("hang", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := setupMemory(t)
			f.Inject(pinteresttest.Hanging().On("oauth/token"))
			f.http.Timeout = time.Minute
			_, err := f.send(f.refreshRequest(f.alice.RefreshToken))
			var timeout interface{ Timeout() bool }
			require.ErrorAs(t, err, &timeout)
			assert.True(t, timeout.Timeout())
			assert.Equal(t, 200, f.refresh(f.alice.RefreshToken).status)
		})
	})
	t.Run("of one account", func(t *testing.T) {
		f := setup(t)
		bob := f.AddAccount("bob")
		f.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
			if r.Grant != "refresh_token" || r.Account != "bob" {
				return nil
			}
			fault := pinteresttest.HTMLError(502)
			return &fault
		})
		assert.Equal(t, 502, f.refresh(bob.RefreshToken).status)
		assert.Equal(t, 200, f.refresh(f.alice.RefreshToken).status)
	})
	t.Run("quota", func(t *testing.T) {
		f := setup(t, pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_read": {Limit: 1}}))
		f.call("GET", "/boards", "")
		assertError(t, f.refresh(f.alice.RefreshToken), http.StatusTooManyRequests, 8, "")
		assert.Equal(t, 1, f.CountThrottled(f.alice), "token calls draw from the same quota as reads")
	})
}

func TestBadForms(t *testing.T) {
	f := setupConnect(t)
	for _, path := range []string{"/oauth/token", "/oauth/token/revoke"} {
		r := f.tokenRequest(path)
		r.Body = io.NopCloser(strings.NewReader("a=%zz"))
		r.ContentLength = 5
		a, err := f.send(r)
		require.NoError(t, err)
		assertError(t, a, http.StatusBadRequest, 1, "the body is not a form")
	}
	page := f.browse("POST", f.authURL(), nil)
	assert.Equal(t, http.StatusBadRequest, page.status)
	assert.Contains(t, page.body, "neither allow nor cancel")
}
