package pinterest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// refreshConfig is an account of which only the refresh token is known.
func refreshConfig() pinterest.RefreshConfig {
	return pinterest.RefreshConfig{
		ClientID: appID, ClientSecret: appSecret, RefreshToken: oldRefresh,
		Store: func(context.Context, *oauth2.Token) error { return nil },
	}
}

// account is a client with a refresh token, and what its store was given.
type account struct {
	*pinterest.Client
	mu     sync.Mutex
	stored []*oauth2.Token
}

func newAccount(t *testing.T, s *server, change func(*pinterest.RefreshConfig), opts ...pinterest.Option) *account {
	t.Helper()
	a := &account{}
	cfg := refreshConfig()
	cfg.AccessToken = accessToken
	cfg.Store = func(_ context.Context, tok *oauth2.Token) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.stored = append(a.stored, tok)
		return nil
	}
	if change != nil {
		change(&cfg)
	}
	a.Client = newBareClient(t, s, append([]pinterest.Option{pinterest.WithRefreshToken(cfg)}, opts...)...).Client
	return a
}

func (a *account) tokens() []*oauth2.Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.stored)
}

func TestRotatedTokenIsStoredBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	use := reply{sticky: true, act: func(s *server, w http.ResponseWriter, r *http.Request) {
		note("call with " + r.Header.Get("Authorization"))
		byToken().act(s, w, r)
	}}
	token := reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		note("token call")
		_, _ = io.WriteString(w, granted().body)
	}}
	s := newServer(t, use).onToken(token)
	a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) {
		cfg.Store = func(_ context.Context, tok *oauth2.Token) error {
			note("store " + tok.AccessToken + " " + tok.RefreshToken)
			return nil
		}
	})
	require.NoError(t, get(t.Context(), a.Client))
	assert.Equal(t, []string{
		"call with Bearer " + accessToken, "token call", "store " + newAccess + " " + newRefresh, "call with Bearer " + newAccess,
	}, order)
}

func TestTokenThatCannotBeStoredIsNotLost(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("the disk is full")
	for name, change := range map[string]func(*pinterest.RefreshConfig){
		"after a 401":       nil,
		"at the first call": func(cfg *pinterest.RefreshConfig) { cfg.AccessToken = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken()).onToken(granted()) // once: a second token call fails the test
			var stores atomic.Int64
			var last atomic.Pointer[oauth2.Token]
			a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) {
				if change != nil {
					change(cfg)
				}
				cfg.Store = func(_ context.Context, tok *oauth2.Token) error {
					if last.Store(tok); stores.Add(1) <= 2 {
						return errDisk
					}
					return nil
				}
			})
			for i := range 2 {
				err := get(t.Context(), a.Client)
				e := failure(t, err)
				assert.ErrorIs(t, err, errDisk, "the caller hears it")
				assert.NotEqual(t, reauthorize, e.Disposition, "the account is not disconnected")
				assert.Equal(t, int64(i+1), stores.Load())
				assert.NotContains(t, s.bearers(), "Bearer "+newAccess, "what is not stored is not used")
				s.clock.advance(2 * time.Second) // past the moment for which a failure is shared
			}
			require.NoError(t, get(t.Context(), a.Client))
			assert.Equal(t, int64(3), stores.Load())
			assert.Equal(t, newRefresh, last.Load().RefreshToken)
			assert.Equal(t, 1, s.count(toToken))
			assert.Contains(t, s.bearers(), "Bearer "+newAccess)
		})
	}
}
