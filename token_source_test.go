package pinterest_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

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
	t.Run("again when the refreshed one is due", func(t *testing.T) {
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
	t.Run("a valid token is used when refreshing early fails", func(t *testing.T) {
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

// A refresh belongs to the account, not to the call that began it: it is
// stored even when that call has gone.
func TestRefreshOutlivesTheCallThatBeganIt(t *testing.T) {
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
			assert.Equal(t, 1, s.count(toToken), "the second one joined the refresh under way")
		})
	}
}
