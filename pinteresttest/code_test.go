package pinteresttest_test

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestExchange(t *testing.T) {
	f := setupConnect(t)
	a := f.exchange(f.authorize())
	require.Equal(t, http.StatusOK, a.status, a.body)
	got := a.decode(t)
	access, refresh := got["access_token"].(string), got["refresh_token"].(string)
	assert.Regexp(t, `^pina_`, access)
	assert.Regexp(t, `^pinr\.`, refresh)
	delete(got, "access_token")
	delete(got, "refresh_token")
	assert.Equal(t, map[string]any{
		"token_type": "bearer", "response_type": "authorization_code", "expires_in": 2592000.0,
		"scope": "boards:read pins:read user_accounts:read", "refresh_token_expires_in": 5184000.0,
		"refresh_token_expires_at": float64(start.Add(60 * 24 * time.Hour).Unix()),
	}, got)
	assert.True(t, f.works(access))
	assertError(t, f.callAs(access, "POST", "/pins", f.pinBody()), http.StatusUnauthorized, 3, "sufficient permissions")
	assert.Equal(t, http.StatusOK, f.refresh(refresh).status)
}

// assertBadGrant checks for the envelope of the OAuth endpoint.
func assertBadGrant(t *testing.T, a answer, data string) {
	t.Helper()
	assert.Equal(t, http.StatusUnauthorized, a.status)
	assert.JSONEq(t, `{"status": "failure", "code": 283, "data": "`+data+`",
		"message": "The authorization grant is invalid", "endpoint_name": "oauth_connect"}`, a.body)
}

func TestCodes(t *testing.T) {
	f := setupConnect(t)
	assertBadGrant(t, f.exchange("unknown"), "Invalid authorization code")

	code := f.authorize()
	assertError(t, f.exchange(code, "redirect_uri", ""), http.StatusBadRequest, 1, "'redirect_uri' is a required property")
	assertError(t, f.exchange("", "redirect_uri", ""), http.StatusBadRequest, 1, "'code' is a required property")
	assertBadGrant(t, f.exchange(code, "redirect_uri", callback+"?"), "Invalid redirect URI")
	wrong := f.tokenRequest("/oauth/token", "grant_type", "authorization_code", "code", code, "redirect_uri", callback)
	wrong.SetBasicAuth(f.App().ID, "guess")
	a, err := f.send(wrong)
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, a.status)
	assert.JSONEq(t, `{"code": 2, "message": "Authentication failed.", "status": "failure"}`, a.body)

	first := f.exchange(code)
	require.Equal(t, http.StatusOK, first.status, "none of these used the code up")
	assertBadGrant(t, f.exchange(code), "Invalid authorization code")
	assert.True(t, f.works(first.text(t, "access_token")), "a second use ends nothing")

	late, just := f.authorize(), f.authorize()
	f.clock.Advance(10*time.Minute - 1)
	assert.Equal(t, http.StatusOK, f.exchange(just).status)
	f.clock.Advance(1)
	assertBadGrant(t, f.exchange(late), "Invalid authorization code")

	revoked := f.authorize()
	f.RevokeAccount(f.alice)
	assertBadGrant(t, f.exchange(revoked), "Invalid authorization code")

	t.Run("of many at once one succeeds", func(t *testing.T) {
		code := f.authorize()
		var succeeded atomic.Int32
		var group sync.WaitGroup
		for range 20 {
			r := f.tokenRequest("/oauth/token", "grant_type", "authorization_code", "code", code, "redirect_uri", callback)
			group.Go(func() {
				if a, err := f.send(r); err == nil && a.status == http.StatusOK {
					succeeded.Add(1)
				}
			})
		}
		group.Wait()
		assert.EqualValues(t, 1, succeeded.Load())
	})
}

func TestPKCE(t *testing.T) {
	// The pair is that of RFC 7636, appendix B.
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	ask := []string{"code_challenge", challenge, "code_challenge_method", "S256"}

	f := setupConnect(t)
	code := f.authorize(ask...)
	assertBadGrant(t, f.exchange(code), "Invalid code verifier")
	assertBadGrant(t, f.exchange(code, "code_verifier", verifier+"x"), "Invalid code verifier")
	assert.Equal(t, http.StatusOK, f.exchange(code, "code_verifier", verifier).status)
	assert.Equal(t, http.StatusOK, f.exchange(f.authorize(), "code_verifier", verifier).status, "one that nobody asked for")

	ignoring := setupConnect(t, pinteresttest.WithoutPKCE())
	assert.Equal(t, http.StatusOK, ignoring.exchange(ignoring.authorize(ask...)).status)
	assert.Equal(t, http.StatusOK, ignoring.exchange(ignoring.authorize("code_challenge", "x")).status)
}

func TestScopesGiven(t *testing.T) {
	f := setupConnect(t)
	redirect, err := f.Authorize(f.authURL(), f.alice, "pins:read")
	require.NoError(t, err)
	u, err := url.Parse(redirect)
	require.NoError(t, err)
	less := f.exchange(u.Query().Get("code"))
	assert.Equal(t, "pins:read", less.text(t, "scope"), "less than was asked for")

	more := f.exchange(f.authorize("scope", "user_accounts:read"))
	assert.Equal(t, "pins:read user_accounts:read", more.text(t, "scope"), "all that was ever given")

	f.SetScopes(f.alice, "boards:read")
	assertError(t, f.callAs(more.text(t, "access_token"), "GET", "/user_account", ""), http.StatusUnauthorized, 3, "")
	assert.Equal(t, http.StatusOK, f.callAs(more.text(t, "access_token"), "GET", "/boards", "").status)
	assert.Equal(t, "boards:read", f.refresh(more.text(t, "refresh_token")).text(t, "scope"))
	assert.Equal(t, "boards:read pins:read", f.exchange(f.authorize("scope", "pins:read")).text(t, "scope"))

	f.RevokeAccount(f.alice)
	assert.False(t, f.works(more.text(t, "access_token")))
	assert.Equal(t, "pins:read", f.exchange(f.authorize("scope", "pins:read")).text(t, "scope"), "a new beginning")
}

func TestLegacyRefresh(t *testing.T) {
	f := setupConnect(t, pinteresttest.WithLegacyRefresh())
	old := f.exchange(f.authorize(), "continuous_refresh", "")
	assert.EqualValues(t, 31536000, old.decode(t)["refresh_token_expires_in"])
	refresh := old.text(t, "refresh_token")
	for range 2 {
		a := f.refresh(refresh)
		require.Equal(t, http.StatusOK, a.status)
		assert.NotContains(t, a.body, "refresh_token_")
		assert.NotContains(t, a.decode(t), "refresh_token")
	}
	assert.Empty(t, f.Reuses(), "nothing took its place")
	f.clock.Advance(365*24*time.Hour - 1)
	assert.Equal(t, http.StatusOK, f.refresh(refresh).status)
	f.clock.Advance(1)
	assertBadGrant(t, f.refresh(refresh), "Invalid refresh token")

	assert.EqualValues(t, 5184000, f.exchange(f.authorize()).decode(t)["refresh_token_expires_in"])
	app := setupConnect(t)
	assert.EqualValues(t, 5184000, app.exchange(app.authorize(), "continuous_refresh", "").decode(t)["refresh_token_expires_in"])
}
