package pinterest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
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

const (
	appID      = "1478036"
	appSecret  = "app-secret-0123456789"
	oldRefresh = "pinr.old-refresh-token"
	newRefresh = "pinr.new-refresh-token"
	newAccess  = "pina_NEW-ACCESS-TOKEN"
)

// refreshConfig is an account of which only the refresh token is known.
func refreshConfig() pinterest.RefreshConfig {
	return pinterest.RefreshConfig{
		ClientID: appID, ClientSecret: appSecret, RefreshToken: oldRefresh,
		Store: func(context.Context, *oauth2.Token) error { return nil },
	}
}

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

// bearers returns the access tokens of the calls, in order.
func (s *server) bearers() []string {
	var list []string
	for _, r := range s.received(toCall) {
		list = append(list, r.header.Get("Authorization"))
	}
	return list
}

func TestStaticTokenThatIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused)
	err := get(t.Context(), newClient(t, s))
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
	assert.Equal(t, reauthorize, e.Disposition)
	assert.Equal(t, 401, e.Status)
	assert.Equal(t, 2, e.Code)
	assert.Equal(t, 1, s.count(toCall))
	assertSlept(t, s, nil)
}

// listSource gives its tokens in turn, the last one again and again.
type listSource struct {
	mu     sync.Mutex
	tokens []string
	asked  int
}

func (l *listSource) Token() (*oauth2.Token, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tok := l.tokens[min(l.asked, len(l.tokens)-1)]
	l.asked++
	return &oauth2.Token{AccessToken: tok}, nil
}

func TestTokenSourceIsAskedAgainOnceAfterA401(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tokens []string
		steps  []reply
		asked  int
		ok     bool
	}{
		{"a new token", []string{"pina_first", newAccess}, []reply{refused, okPin()}, 2, true},
		{"a new token that is refused, too", []string{"pina_first", "pina_second", "pina_third"}, []reply{refused, refused}, 2, false},
		{"the same token", []string{"pina_first"}, []reply{refused}, 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.steps...)
			src := &listSource{tokens: tt.tokens}
			err := get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(src)))
			assert.Equal(t, tt.asked, src.asked)
			assert.Equal(t, len(tt.steps), s.count(toCall))
			if tt.ok {
				require.NoError(t, err)
				assert.Equal(t, []string{"Bearer pina_first", "Bearer " + newAccess}, s.bearers())
				return
			}
			assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
			assert.Equal(t, reauthorize, failure(t, err).Disposition)
		})
	}
}

func TestTokenOfASourceIsKept(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	src := &listSource{tokens: []string{"pina_first", "pina_second"}}
	c := newBareClient(t, s, pinterest.WithTokenSource(src))
	for range 5 {
		require.NoError(t, get(t.Context(), c))
	}
	assert.Equal(t, 1, src.asked)
}

func TestErrorOfATokenSource(t *testing.T) {
	t.Parallel()
	errVault := errors.New("the vault is sealed")
	s := newServer(t)
	err := get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(failingSource{errVault})))
	e := failure(t, err)
	assert.ErrorIs(t, err, errVault)
	assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
	assert.Equal(t, review, e.Disposition, "what a source of the caller's says only its owner can read")
	assert.Equal(t, pinterest.PhaseNotSent, e.Phase)
	assert.Empty(t, s.kinds())
}

func TestOAuth2SourceWhoseEndpointIsDownDoesNotDisconnect(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]reply{"500": bare(500), "429": bare(429), "reset": reset()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).onToken(st.always())
			err := get(t.Context(), newBareClient(t, s, pinterest.WithTokenSource(oauthSource(t, s))))
			e := failure(t, err)
			assert.NotEqual(t, reauthorize, e.Disposition)
			assert.Equal(t, park, e.Disposition)
			assert.NotErrorIs(t, err, pinterest.ErrUnauthenticated)
			assert.Zero(t, s.count(toCall))
		})
	}
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

func TestTokenAnswerWithoutATokenIsAskedForAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(answer(200, `{}`), html(200), halfBody(200, granted().body), granted())
	a := newAccount(t, s, nil)
	require.NoError(t, get(t.Context(), a.Client))
	assert.Equal(t, 4, s.count(toToken))
	assert.Len(t, a.tokens(), 1)
}

func TestOneRefreshForManyCalls(t *testing.T) {
	t.Parallel()
	const calls = 256
	s := newServer(t, byToken()).onToken(granted())
	a := newAccount(t, s, nil)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range calls {
		wg.Go(func() {
			<-start
			assert.NoError(t, get(t.Context(), a.Client))
		})
	}
	close(start)
	wg.Wait()
	assert.Equal(t, 1, s.count(toToken), "token calls")
	assert.Len(t, a.tokens(), 1)
}

// A 401 for a token that another call has replaced since neither renews again
// nor takes the new token away.
func TestLate401OfAReplacedTokenDoesNotRefresh(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	late := reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.WriteHeader(401)
		_, _ = io.WriteString(w, refused.body)
	}}
	s := newServer(t, late, byToken()).onToken(granted())
	a := newAccount(t, s, nil)
	done := make(chan error, 1)
	go func() { done <- get(context.Background(), a.Client) }()
	<-arrived
	require.NoError(t, get(t.Context(), a.Client))
	close(release)
	require.NoError(t, <-done)
	require.NoError(t, get(t.Context(), a.Client))
	assert.Equal(t, 1, s.count(toToken))
	assert.Equal(t, "Bearer "+newAccess, s.bearers()[s.count(toCall)-1])
}

func TestRefreshBeforeExpiry(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		passes time.Duration // of the hour that the token has
		early  time.Duration
		kinds  []string // of the requests of two calls, sorted
	}{
		{"far from it", 0, 0, []string{toCall, toCall}},
		{"just outside", 50*time.Minute - time.Second, 0, []string{toCall, toCall}},
		{"due", 55 * time.Minute, 0, []string{toCall, toCall, toToken}},
		{"expired", time.Hour, 0, []string{toCall, toCall, toToken}},
		{"due by the caller's choice", 40 * time.Minute, 20 * time.Minute, []string{toCall, toCall, toToken}},
		{"early is at most half of the time left", 29 * time.Minute, time.Hour, []string{toCall, toCall}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always()).onToken(granted())
			var seen recorder
			a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) { cfg.Expiry, cfg.Early = s.clock.Now().Add(time.Hour), tt.early }, pinterest.WithObserver(seen.observe))
			s.clock.advance(tt.passes)
			require.NoError(t, get(t.Context(), a.Client))
			if slices.Contains(tt.kinds, toToken) { // while the call goes on
				require.Eventually(t, func() bool { return slices.Contains(seen.words(), "oauth/token refresh") }, 10*time.Second, time.Millisecond)
			}
			require.NoError(t, get(t.Context(), a.Client))
			kinds := s.kinds()
			slices.Sort(kinds)
			assert.Equal(t, tt.kinds, kinds)
		})
	}
	t.Run("the others go on with the old token meanwhile", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		s := newServer(t, okPin().always()).onToken(reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
			<-release
			_, _ = io.WriteString(w, granted().body)
		}})
		a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) { cfg.Expiry = s.clock.Now().Add(time.Hour) })
		s.clock.advance(56 * time.Minute)
		for range 10 {
			require.NoError(t, get(t.Context(), a.Client))
		}
		assert.Equal(t, slices.Repeat([]string{"Bearer " + accessToken}, 10), s.bearers())
		close(release)
		require.Eventually(t, func() bool { return len(a.tokens()) == 1 }, 10*time.Second, time.Millisecond)
		assert.Equal(t, 1, s.count(toToken))
	})
	t.Run("again when the renewed one comes of age", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, okPin().always()).onToken(granted().always())
		a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) { cfg.AccessToken = "" })
		for i := range 3 {
			require.NoError(t, get(t.Context(), a.Client))
			require.Eventually(t, func() bool { return len(a.tokens()) == i+1 }, 10*time.Second, time.Millisecond)
			require.NoError(t, get(t.Context(), a.Client))
			s.clock.advance(30*24*time.Hour - 5*time.Minute)
		}
		assert.Equal(t, 3, s.count(toToken))
		form, err := url.ParseQuery(string(s.received(toToken)[2].body))
		require.NoError(t, err)
		assert.Equal(t, newRefresh, form.Get("refresh_token"), "the rotated one is used")
	})
	t.Run("a valid token is used when renewing early fails", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, okPin().always()).onToken(bare(503).always())
		var seen recorder
		a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) { cfg.Expiry = s.clock.Now().Add(time.Hour) }, pinterest.WithObserver(seen.observe), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
		s.clock.advance(56 * time.Minute)
		require.NoError(t, get(t.Context(), a.Client))
		require.Eventually(t, func() bool { return slices.Contains(seen.words(), "oauth/token refresh") }, 10*time.Second, time.Millisecond)
		for range 10 {
			require.NoError(t, get(t.Context(), a.Client))
		}
		assert.Equal(t, 1, s.count(toToken), "not again at once")
		assert.Equal(t, slices.Repeat([]string{"Bearer " + accessToken}, 11), s.bearers())
		s.clock.advance(time.Minute)
		require.NoError(t, get(t.Context(), a.Client))
		require.Eventually(t, func() bool { return s.count(toToken) == 2 }, 10*time.Second, time.Millisecond, "but after a minute")
	})
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

// A renewal belongs to the account, not to the call that began it: it is
// stored even when that call has gone.
func TestRenewalOutlivesTheCallThatBeganIt(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, granted().body)
	}}
	s := newServer(t, byToken()).onToken(slow)
	stored := make(chan error, 1)
	a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) {
		cfg.Store = func(ctx context.Context, _ *oauth2.Token) error { stored <- ctx.Err(); return nil }
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- get(ctx, a.Client) }()
	<-arrived
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
	close(release)
	assert.NoError(t, promptly(t, func() error { return <-stored }), "Store's context is not the one that ended")
	require.NoError(t, get(t.Context(), a.Client))
	assert.Equal(t, 1, s.count(toToken))
}

func TestWaiterLeavesOnItsOwnContext(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pinterest.RefreshConfig){
		"after a 401":       nil,
		"at the first call": func(cfg *pinterest.RefreshConfig) { cfg.AccessToken = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			var once sync.Once
			s := newServer(t, byToken()).onToken(hang(func() { once.Do(func() { close(arrived) }) }).always())
			a := newAccount(t, s, change)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-arrived; cancel() }()
			err := promptly(t, func() error { return get(ctx, a.Client) })
			e := failure(t, err)
			assert.ErrorIs(t, err, context.Canceled)
			assert.ErrorIs(t, err, pinterest.ErrCanceled)
			assert.Equal(t, park, e.Disposition, "leaving does not disconnect")
			assert.NotErrorIs(t, err, pinterest.ErrUnauthenticated)

			short, cancel2 := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel2()
			err = promptly(t, func() error { return get(short, a.Client) })
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, park, failure(t, err).Disposition)
			assert.Equal(t, 1, s.count(toToken), "the second one joined the renewal under way")
		})
	}
}

func TestRefreshThatIsRefusedDisconnects(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]reply{"401/283": grantRefused, "400": answer(400, `{"error":"invalid_grant"}`)} {
		for when, change := range map[string]func(*pinterest.RefreshConfig){
			"after a 401":       nil,
			"at the first call": func(cfg *pinterest.RefreshConfig) { cfg.AccessToken = "" },
			"expired":           func(cfg *pinterest.RefreshConfig) { cfg.Expiry = time.Now().Add(-time.Hour) },
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, byToken()).onToken(st)
				a := newAccount(t, s, change)
				err := get(t.Context(), a.Client)
				e := failure(t, err)
				assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
				assert.Equal(t, reauthorize, e.Disposition)
				assert.Equal(t, "pins/get", e.Operation)
				assert.Empty(t, a.tokens())
				assert.Equal(t, 1, s.count(toToken))
				assertSlept(t, s, nil)
				if name == "401/283" {
					assert.Contains(t, err.Error(), "The authorization grant is invalid", "the cause is told")
				}
			})
		}
	}
}

func TestFailedRefreshIsShared(t *testing.T) {
	t.Parallel()
	const calls = 100
	s := newServer(t, byToken()).onToken(grantRefused.always())
	a := newAccount(t, s, nil)
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			err := get(t.Context(), a.Client)
			assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
			var e *pinterest.Error
			if assert.ErrorAs(t, err, &e) {
				assert.Equal(t, reauthorize, e.Disposition)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, s.count(toToken), "token calls")

	s.clock.advance(time.Minute)
	err := get(t.Context(), a.Client)
	require.ErrorIs(t, err, pinterest.ErrDisconnected)
	assert.Equal(t, 1, s.count(toToken), "the account is disconnected")
}

func TestTokenEndpointThatIsDownParks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reply reply
		class error
		calls int
		waits []time.Duration
		least time.Duration
	}{
		"500":                   {bare(500), pinterest.ErrServer, 5, serverWaits, time.Second},
		"503 HTML":              {html(503), pinterest.ErrUnavailable, 5, serverWaits, time.Second},
		"unanswered":            {reset(), pinterest.ErrTransport, 5, serverWaits, time.Second},
		"throttled":             {fault(429, 8, "slow"), pinterest.ErrThrottled, 5, throttleWaits, time.Second},
		"throttled for an hour": {fault(429, 8, "slow").with("Retry-After", "3600"), pinterest.ErrThrottled, 1, nil, time.Hour},
	}
	for name, tt := range tests {
		for when, change := range map[string]func(*pinterest.RefreshConfig){
			"after a 401":       nil,
			"at the first call": func(cfg *pinterest.RefreshConfig) { cfg.AccessToken = "" },
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, byToken()).onToken(tt.reply.always())
				a := newAccount(t, s, change)
				err := get(t.Context(), a.Client)
				e := failure(t, err)
				assert.Equal(t, park, e.Disposition)
				assert.ErrorIs(t, err, tt.class)
				assert.NotErrorIs(t, err, pinterest.ErrUnauthenticated)
				assert.GreaterOrEqual(t, e.RetryAt.Sub(s.clock.Now()), tt.least)
				assert.Equal(t, tt.calls, s.count(toToken))
				assertSlept(t, s, tt.waits)
			})
		}
	}
}

func TestWhatNeverRefreshes(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]reply{
		"403":        bare(403),
		"403/29":     fault(403, 29, "You are not permitted to access that resource."),
		"403 trial":  fault(403, 29, trialMessage),
		"401/3":      fault(401, 3, "Your token does not have sufficient permissions"),
		"401/3 app":  fault(401, 3, "Your application consumer type is not supported"),
		"401/7":      fault(401, 7, "Not authorized to access board or Pin."),
		"401/29":     fault(401, 29, "You are not permitted to access that resource."),
		"401 code 3": answer(401, `{"code":"3","message":"scopes"}`),
		"404":        bare(404),
		"429":        bare(429).with("Retry-After", "3600"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, st)
			a := newAccount(t, s, nil)
			err := get(t.Context(), a.Client)
			assert.NotEqual(t, reauthorize, failure(t, err).Disposition, "the account is not disconnected")
			assert.NotErrorIs(t, err, pinterest.ErrUnauthenticated)
			assert.Equal(t, []string{toCall}, s.kinds())
		})
	}
}

func TestSecond401AfterARefreshFails(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused, refused).onToken(granted())
	err := get(t.Context(), newAccount(t, s, nil).Client)
	e := failure(t, err)
	assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
	assert.Equal(t, reauthorize, e.Disposition)
	assert.Equal(t, []string{toCall, toToken, toCall}, s.kinds())
	assert.Len(t, e.Attempts, 2)
	assert.Equal(t, pinterest.ActionRefresh, e.Attempts[0].Action)
}

// The resend that follows a refresh is not one of the attempts, and it is made
// for a create, too: a 401 was not carried out.
func TestResendAfterARefreshDoesNotCount(t *testing.T) {
	t.Parallel()
	once := pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1})
	s := newServer(t, byToken()).onToken(granted())
	a := newAccount(t, s, nil)
	_, err := a.Pins.Create(t.Context(), pinCreate(), once)
	require.NoError(t, err)
	assert.Equal(t, []string{toCall, toToken, toCall}, s.kinds())
	sent := s.received(toCall)
	assert.Equal(t, string(sent[0].body), string(sent[1].body))
	assertSlept(t, s, nil)
}

func TestLookupsUseTheRenewedToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503))
	s.onLookup(refused, s.madePin()).onToken(granted())
	pin, err := newAccount(t, s, nil).Pins.Create(t.Context(), pinCreate())
	require.NoError(t, err)
	assert.Equal(t, newPinID, pin.ID)
	assert.Equal(t, []string{toCall, toLookup, toToken, toLookup}, s.kinds())
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
