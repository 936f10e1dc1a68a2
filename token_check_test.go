package pinterest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// wrongAccess are tokens that cannot be access tokens, and what is said of them.
var wrongAccess = map[string]string{
	"Bearer " + accessToken:               `begins with the scheme "Bearer"`,
	"bearer\t" + accessToken:              `begins with the scheme "Bearer"`,
	oldRefresh:                            "is a refresh token: an access token is needed",
	accessToken + "\n":                    "contains spaces or control characters",
	" " + accessToken:                     "contains spaces or control characters",
	accessToken + "\x00":                  "contains spaces or control characters",
	accessToken[:10] + "\u00a0" + appID:   "contains spaces or control characters",
	accessToken[:10] + " " + "and-a-half": "contains spaces or control characters",
}

// wrongRefresh are tokens that cannot be refresh tokens, and what is said of them.
var wrongRefresh = map[string]string{
	"Bearer " + oldRefresh: `begins with the scheme "Bearer"`,
	accessToken:            "is an access token: a refresh token is needed",
	oldRefresh + "\r\n":    "contains spaces or control characters",
}

// assertNamesTheMistake checks that err says these things, and no token.
func assertNamesTheMistake(t *testing.T, err error, said ...string) {
	t.Helper()
	require.Error(t, err)
	for _, part := range said {
		assert.ErrorContains(t, err, part)
	}
	for _, e := range chain(err) {
		text := fmt.Sprintf("%v %+v %#v %s", e, e, e, e)
		for _, secret := range []string{accessToken[:10], oldRefresh, "old-refresh-token"} {
			assert.NotContains(t, text, secret)
		}
	}
}

func TestAccessTokenThatIsNone(t *testing.T) {
	t.Parallel()
	for token, problem := range wrongAccess {
		_, err := pinterest.New(pinterest.WithAccessToken(token))
		assertNamesTheMistake(t, err, "pinterest: WithAccessToken: the token ", problem)

		cfg := refreshConfig()
		cfg.AccessToken = token
		_, err = pinterest.New(pinterest.WithRefreshToken(cfg))
		assertNamesTheMistake(t, err, "pinterest: WithRefreshToken: AccessToken ", problem)
	}
}

func TestRefreshTokenThatIsNone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	app := storedApp(t, s, pinterest.NewMemoryTokenStore())
	for token, problem := range wrongRefresh {
		cfg := refreshConfig()
		cfg.RefreshToken = token
		_, err := pinterest.New(pinterest.WithRefreshToken(cfg))
		assertNamesTheMistake(t, err, "pinterest: WithRefreshToken: RefreshToken ", problem)

		_, err = app.OAuth.Refresh(t.Context(), token)
		assertNamesTheMistake(t, err, "the refresh token ", problem)
		require.ErrorIs(t, err, pinterest.ErrInvalid)
		assert.Equal(t, fix, failure(t, err).Disposition)
	}
	assert.Empty(t, s.kinds(), "nothing is sent")
}

// tokenFunc is a source of tokens.
type tokenFunc func() (*oauth2.Token, error)

func (f tokenFunc) Token() (*oauth2.Token, error) { return f() }

// Whatever a source gives is checked before anything is sent. The source is asked
// again: a mistake that was mended needs no new client.
func TestTokenOfASourceThatIsNone(t *testing.T) {
	t.Parallel()
	for token, problem := range wrongAccess {
		s := newServer(t, okPin())
		src := &listSource{tokens: []string{token, newAccess}}
		c := newBareClient(t, s, pinterest.WithTokenSource(src))
		err := get(t.Context(), c)
		assertNamesTheMistake(t, err, "WithTokenSource: the access token ", problem)
		assert.Equal(t, review, failure(t, err).Disposition)
		assert.Empty(t, s.kinds(), "nothing is sent")
		s.clock.advance(2 * time.Second)
		require.NoError(t, get(t.Context(), c))
	}
	s := newServer(t)
	swapped := tokenFunc(func() (*oauth2.Token, error) {
		return &oauth2.Token{AccessToken: newAccess, RefreshToken: accessToken}, nil
	})
	err := get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(swapped)))
	assertNamesTheMistake(t, err, "WithTokenSource: the refresh token is an access token")
}

func TestStoredTokenThatIsNone(t *testing.T) {
	t.Parallel()
	check := func(tok pinterest.Token, name, problem string) {
		s := newServer(t, okPin())
		store := newTokenStore(t, tok)
		app := storedApp(t, s, store)
		err := get(t.Context(), shop(app))
		assertNamesTheMistake(t, err, "WithTokenStore: "+name, problem)
		assert.Equal(t, review, failure(t, err).Disposition)
		require.NotErrorIs(t, err, pinterest.ErrDisconnected)
		assert.Empty(t, s.kinds(), "nothing is sent")

		_, err = store.MemoryTokenStore.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: newAccess, Version: store.stored(t).Version})
		require.NoError(t, err)
		s.clock.advance(2 * time.Second)
		require.NoError(t, get(t.Context(), shop(app)), "once it is mended")
	}
	for token, problem := range wrongAccess {
		check(pinterest.Token{AccessToken: token, RefreshToken: newRefresh}, "the access token ", problem)
	}
	for token, problem := range wrongRefresh {
		check(pinterest.Token{AccessToken: newAccess, RefreshToken: token}, "the refresh token ", problem)
		check(pinterest.Token{RefreshToken: token}, "the refresh token ", problem)
	}
}

// A stored token that is wrong is noticed by RefreshDue, too, and where a 401 has
// the store asked for it.
func TestWrongTokenIsMetByARefresh(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	app := storedApp(t, s, newTokenStore(t, pinterest.Token{AccessToken: newAccess, RefreshToken: accessToken, Expiry: s.clock.Now()}))
	report, err := app.RefreshDue(context.Background())
	require.NoError(t, err)
	assertNamesTheMistake(t, report.Failed["shop-1"], "WithTokenStore: the refresh token is an access token")

	s = newServer(t, refused)
	src := &listSource{tokens: []string{newAccess, oldRefresh}}
	err = get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(src)))
	assertNamesTheMistake(t, err, "WithTokenSource: the access token is a refresh token")
	assert.Equal(t, review, failure(t, err).Disposition)
}
