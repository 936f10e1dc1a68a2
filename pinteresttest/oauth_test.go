package pinteresttest_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// refresh asks for new tokens; more are further fields of the form.
func (f *fixture) refresh(token string, more ...string) answer {
	f.t.Helper()
	a, err := f.send(f.refreshRequest(token, more...))
	require.NoError(f.t, err)
	return a
}

func (f *fixture) refreshRequest(token string, more ...string) *http.Request {
	f.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	r, err := http.NewRequestWithContext(f.t.Context(), "POST", f.URL+"/oauth/token", strings.NewReader(form.Encode()))
	require.NoError(f.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(f.App().ID, f.App().Secret)
	return r
}

// works reports whether an access token is accepted.
func (f *fixture) works(token string) bool {
	f.t.Helper()
	a := f.callAs(token, "GET", "/user_account", "")
	if a.status != http.StatusOK {
		assertError(f.t, a, http.StatusUnauthorized, 2, "Authentication failed.")
	}
	return a.status == http.StatusOK
}

func TestRefresh(t *testing.T) {
	f := setup(t)
	a := f.refresh(f.alice.RefreshToken)
	require.Equal(t, http.StatusOK, a.status, a.body)
	got := a.decode(t)
	access, refresh := got["access_token"].(string), got["refresh_token"].(string)
	assert.Regexp(t, `^pina_[A-Za-z0-9]{60}$`, access)
	assert.Regexp(t, `^pinr\.[A-Za-z0-9]{60}$`, refresh)
	assert.NotEqual(t, f.alice.AccessToken, access)
	assert.NotEqual(t, f.alice.RefreshToken, refresh)
	scope := got["scope"].(string)
	assert.Len(t, strings.Fields(scope), 19)
	delete(got, "access_token")
	delete(got, "refresh_token")
	assert.Equal(t, map[string]any{
		"token_type": "bearer", "response_type": "refresh_token", "expires_in": 2592000.0, "scope": scope,
		"refresh_token_expires_in": 5184000.0,
		"refresh_token_expires_at": float64(start.Add(60 * 24 * time.Hour).Unix()),
	}, got)

	assert.True(t, f.works(access))
	assert.True(t, f.works(f.alice.AccessToken), "the old one lives until it expires")
	assert.Equal(t, "alice", f.Requests()[0].Account)
	assert.Equal(t, http.StatusOK, f.refresh(refresh).status, "the new refresh token works")
}

func TestBadGrant(t *testing.T) {
	f := setup(t)
	ended := f.AddAccount("alice").RefreshToken
	f.ExpireToken(ended)
	for _, token := range []string{"pinr.unknown", f.alice.AccessToken, ended} {
		a := f.refresh(token)
		assert.Equal(t, http.StatusUnauthorized, a.status)
		assert.JSONEq(t, `{"status": "failure", "code": 283, "data": "Invalid refresh token",
			"message": "The authorization grant is invalid", "endpoint_name": "oauth_connect"}`, a.body)
	}
}

func TestBadTokenRequests(t *testing.T) {
	f := setup(t)
	tests := map[string]struct {
		change       func(r *http.Request)
		form         []string
		status, code int
		message      string
	}{
		"no credentials": {func(r *http.Request) { r.Header.Del("Authorization") }, nil, 401, 2, "Authentication failed."},
		"wrong secret":   {func(r *http.Request) { r.SetBasicAuth(f.App().ID, "x") }, nil, 401, 2, "Authentication failed."},
		"wrong id":       {func(r *http.Request) { r.SetBasicAuth("x", f.App().Secret) }, nil, 401, 2, "Authentication failed."},
		"bad escape":     {func(r *http.Request) { r.SetBasicAuth("%zz", f.App().Secret) }, nil, 401, 2, "Authentication failed."},
		"JSON":           {func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, nil, 415, 415, "Unsupported media type"},
		"unknown grant":  {nil, []string{"grant_type", "password"}, 400, 1, "grant_type 'password' is not supported"},
		"no token":       {nil, []string{"refresh_token", ""}, 400, 1, "'refresh_token' is a required property"},
		"more scopes":    {nil, []string{"scope", "pins:read everything"}, 400, 1, "scope 'everything' was not granted"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := f.refreshRequest(f.alice.RefreshToken, test.form...)
			if test.change != nil {
				test.change(r)
			}
			a, err := f.send(r)
			require.NoError(t, err)
			assertError(t, a, test.status, test.code, test.message)
		})
	}
	assert.Equal(t, http.StatusOK, f.refresh(f.alice.RefreshToken).status, "none of them used the token up")
}

func TestRotation(t *testing.T) {
	t.Run("single use", func(t *testing.T) {
		f := setup(t)
		require.Equal(t, http.StatusOK, f.refresh(f.alice.RefreshToken).status)
		assertError(t, f.refresh(f.alice.RefreshToken), http.StatusUnauthorized, 283, "")
	})
	t.Run("reusable", func(t *testing.T) {
		f := setup(t, pinteresttest.WithRotation(pinteresttest.Reusable))
		first := f.refresh(f.alice.RefreshToken).text(t, "refresh_token")
		assert.NotEqual(t, first, f.refresh(f.alice.RefreshToken).text(t, "refresh_token"))
	})
	t.Run("of many at once one succeeds", func(t *testing.T) {
		f := setup(t)
		var succeeded atomic.Int32
		var group sync.WaitGroup
		for range 20 {
			r := f.refreshRequest(f.alice.RefreshToken)
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

func TestTokenReplacement(t *testing.T) {
	f := setup(t, pinteresttest.WithTokenReplacement())
	bob := f.AddAccount("bob")
	access := f.refresh(f.alice.RefreshToken).text(t, "access_token")
	assert.False(t, f.works(f.alice.AccessToken))
	assert.True(t, f.works(access))
	assert.True(t, f.works(bob.AccessToken))
}

func TestTokenLives(t *testing.T) {
	f := setup(t, pinteresttest.WithTokenTTL(time.Hour))
	f.clock.Advance(time.Hour - 1)
	assert.True(t, f.works(f.alice.AccessToken))
	f.clock.Advance(1)
	assert.False(t, f.works(f.alice.AccessToken))
	a := f.refresh(f.alice.RefreshToken)
	assert.EqualValues(t, 3600, a.decode(t)["expires_in"])
	f.clock.Advance(60 * 24 * time.Hour)
	assertError(t, f.refresh(a.text(t, "refresh_token")), http.StatusUnauthorized, 283, "")
}

func TestEndingTokens(t *testing.T) {
	f := setup(t)
	bob := f.AddAccount("bob")
	second := f.AddAccount("alice")
	assert.Equal(t, f.alice.ID, second.ID)

	f.ExpireToken(f.alice.AccessToken)
	assert.False(t, f.works(f.alice.AccessToken))
	assert.True(t, f.works(second.AccessToken))
	assert.Equal(t, "alice", f.Requests()[0].Account, "whose token it was is still known")

	f.RevokeAccount(f.alice)
	assert.False(t, f.works(second.AccessToken))
	assertError(t, f.refresh(f.alice.RefreshToken), http.StatusUnauthorized, 283, "")
	assert.True(t, f.works(bob.AccessToken))

	f.ExpireAllTokens()
	assert.False(t, f.works(bob.AccessToken))
	assert.Equal(t, http.StatusOK, f.refresh(bob.RefreshToken).status)
}

func TestAuthorization(t *testing.T) {
	f := setup(t)
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Bearer x", f.alice.AccessToken,
		"Basic " + f.alice.AccessToken, "Bearer " + f.alice.RefreshToken,
	} {
		r := f.request("GET", "/boards", "")
		r.Header.Set("Authorization", header)
		a, err := f.send(r)
		require.NoError(t, err)
		assert.Equal(t, http.StatusUnauthorized, a.status, header)
		assert.JSONEq(t, `{"code": 2, "message": "Authentication failed.", "status": "failure"}`, a.body)
	}
	r := f.request("GET", "/boards", "")
	r.Header.Set("Authorization", "bearer "+f.alice.AccessToken)
	a, err := f.send(r)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, a.status, "the scheme's case does not matter")
}

func TestScopes(t *testing.T) {
	f := setup(t)
	reader := f.AddAccount("alice", "boards:read", "pins:read")
	assert.Equal(t, http.StatusOK, f.callAs(reader.AccessToken, "GET", "/pins", "").status)
	const message = "Your token does not have sufficient permissions to perform this operation."
	assertError(t, f.callAs(reader.AccessToken, "POST", "/pins", f.pinBody()), http.StatusUnauthorized, 3, message)
	assertError(t, f.callAs(reader.AccessToken, "GET", "/user_account", ""), http.StatusUnauthorized, 3, message)
	assert.Equal(t, "boards:read pins:read", f.refresh(reader.RefreshToken).text(t, "scope"))

	narrow := f.refresh(f.alice.RefreshToken, "scope", "boards:read,user_accounts:read")
	assert.Equal(t, "boards:read user_accounts:read", narrow.text(t, "scope"))
	assert.True(t, f.works(narrow.text(t, "access_token")))
	assertError(t, f.callAs(narrow.text(t, "access_token"), "GET", "/pins", ""), http.StatusUnauthorized, 3, message)
	wide := f.refresh(narrow.text(t, "refresh_token"))
	assert.Len(t, strings.Fields(wide.text(t, "scope")), 19, "a narrow access token does not narrow the grant")
}
