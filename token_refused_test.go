package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// A 401 for a token that another call has replaced since neither refreshes again
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
	assert.Equal(t, review, e.Disposition, "an account that was just granted a token is connected")
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

func TestLookupsUseTheRefreshedToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503))
	s.onLookup(refused, s.madePin()).onToken(granted())
	pin, err := newAccount(t, s, nil).Pins.Create(t.Context(), pinCreate())
	require.NoError(t, err)
	assert.Equal(t, newPinID, pin.ID)
	assert.Equal(t, []string{toCall, toLookup, toToken, toLookup}, s.kinds())
}

// These tests are about calls during which more than one token ends.

// issuer is an API that accepts only the last token that it has issued, until
// that one is ended.
type issuer struct {
	*server
	mu     sync.Mutex
	issued int
	valid  string
	calls  int

	// during is run while a call, counted from 1, is under way: before it is decided
	// whether its token is accepted.
	during map[int]func()
	// granting is run while a token call is under way, if it is set.
	granting func(n int)
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{during: map[int]func(){}}
	i.server = newServer(t, reply{sticky: true, act: i.answer}).onToken(reply{sticky: true, act: i.grant})
	return i
}

func issuedToken(n int) string { return fmt.Sprint("pina_ISSUED-TOKEN-", n) }

func (i *issuer) answer(_ *server, w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.calls++
	during := i.during[i.calls]
	i.mu.Unlock()
	if during != nil {
		during()
	}
	i.mu.Lock()
	accepted := r.Header.Get("Authorization") == "Bearer "+i.valid
	i.mu.Unlock()
	if !accepted {
		w.WriteHeader(refused.status)
		_, _ = io.WriteString(w, refused.body)
		return
	}
	_, _ = io.WriteString(w, okPin().body)
}

func (i *issuer) grant(_ *server, w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	i.issued++
	n := i.issued
	i.valid = issuedToken(n)
	i.mu.Unlock()
	if i.granting != nil {
		i.granting(n)
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"%s","refresh_token":"pinr.issued-%d","expires_in":2592000}`, issuedToken(n), n)
}

// end ends the last token.
func (i *issuer) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.valid = ""
}

// bearing is the Authorization of calls, in order: 0 is the first token, which is
// not accepted, others are counted as they were issued.
func bearing(tokens ...int) []string {
	var list []string
	for _, n := range tokens {
		if n == 0 {
			list = append(list, "Bearer "+accessToken)
			continue
		}
		list = append(list, "Bearer "+issuedToken(n))
	}
	return list
}

// pairs are two clients of one account: of one process, or of two that share a
// store.
var pairs = map[string]func(t *testing.T, i *issuer, store pinterest.TokenStore) (one, other *pinterest.Client){
	"one process": func(t *testing.T, i *issuer, store pinterest.TokenStore) (one, other *pinterest.Client) {
		app := storedApp(t, i.server, store)
		return shop(app), shop(app)
	},
	"two processes": func(t *testing.T, i *issuer, store pinterest.TokenStore) (one, other *pinterest.Client) {
		return shop(storedApp(t, i.server, store)), shop(storedApp(t, i.server, store))
	},
}

// A call meets a 401, takes the token that another call has refreshed meanwhile,
// and that one ends before the call has used it. The account is connected: the
// token is refreshed.
func TestTokenOfAnotherRefreshThatEndsBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			one, other := pair(t, i, newTokenStore(t, oldToken()))
			i.during[1] = func() {
				assert.NoError(t, get(context.Background(), other))
				i.end()
			}
			require.NoError(t, get(t.Context(), one))
			assert.Equal(t, bearing(0, 0, 1, 1, 2), i.bearers())
			assert.Equal(t, 2, i.count(toToken), "one token call for each token that has ended")
		})
	}
}

// A call refreshes the token, and meets a 401 with the new one, too, because that
// has ended as well. Another call has refreshed it meanwhile: the newer one is
// tried.
func TestNewerTokenIsTriedAfterTheSecond401(t *testing.T) {
	t.Parallel()
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			one, other := pair(t, i, newTokenStore(t, oldToken()))
			i.during[2] = func() {
				assert.NoError(t, get(context.Background(), other), "the new token is accepted")
				i.end()
				assert.NoError(t, get(context.Background(), other))
			}
			require.NoError(t, get(t.Context(), one))
			assert.Equal(t, 2, i.count(toToken), "one token call for each token that has ended")
			assert.Equal(t, "Bearer "+issuedToken(2), i.bearers()[i.count(toCall)-1])
		})
	}
}

// lockedStore tells of those who ask for the lock.
type lockedStore struct {
	pinterest.TokenStore
	asked chan struct{}
}

func (s lockedStore) Lock(ctx context.Context, account string) (func(), error) {
	select {
	case s.asked <- struct{}{}:
	default:
	}
	return s.TokenStore.Lock(ctx, account)
}

// The same, but the other process is still refreshing the token when the second
// 401 comes: the call waits for it.
func TestSecond401WaitsForTheRefreshOfAnotherProcess(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	store := newTokenStore(t, oldToken())
	locked := lockedStore{store, make(chan struct{}, 1)}
	one, other := shop(storedApp(t, i.server, locked)), shop(storedApp(t, i.server, store))
	granting, release := make(chan struct{}), make(chan struct{})
	i.granting = func(n int) {
		if n == 2 {
			close(granting)
			<-release
		}
	}
	done := make(chan error, 1)
	i.during[2] = func() { // the call's second attempt
		i.end()
		<-locked.asked // by its refresh
		go func() { done <- get(context.Background(), other) }()
		<-granting
		go func() {
			defer close(release)
			select {
			case <-locked.asked: // by the call again, after this 401
			case <-time.After(5 * time.Second):
				assert.Fail(t, "the call does not wait for the lock")
			}
		}()
	}
	require.NoError(t, get(t.Context(), one))
	require.NoError(t, <-done)
	assert.Equal(t, 2, i.count(toToken))
}

// However often a newer token is found, a call tries three.
func TestCallTriesThreeTokensAtMost(t *testing.T) {
	t.Parallel()
	store := newTokenStore(t, oldToken())
	var n int
	s := newServer(t, reply{sticky: true, act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		n++
		tok := &pinterest.Token{AccessToken: issuedToken(n), RefreshToken: newRefresh, Version: store.stored(t).Version}
		_, err := store.MemoryTokenStore.Save(context.Background(), "shop-1", tok)
		assert.NoError(t, err)
		w.WriteHeader(refused.status)
		_, _ = io.WriteString(w, refused.body)
	}})
	err := get(t.Context(), shop(storedApp(t, s, store)))
	require.ErrorIs(t, err, pinterest.ErrUnauthenticated)
	e := failure(t, err)
	assert.Equal(t, reauthorize, e.Disposition)
	assert.Equal(t, 401, e.Status)
	assert.Len(t, e.Attempts, 3)
	assert.Equal(t, bearing(0, 1, 2), s.bearers())
	assert.Nil(t, store.stored(t).Disconnected)
	assertSlept(t, s, nil)
}

// An API that answers 401 to everything gets one new token, then none until the
// cooldown ends. Nobody is asked to connect the account again.
func TestAPIThatRefusesEveryToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.granting = func(int) { i.end() }
	store := newTokenStore(t, oldToken())
	app := storedApp(t, i.server, store)
	var wg sync.WaitGroup
	const calls = 50
	for range calls {
		wg.Go(func() {
			err := get(context.Background(), shop(app))
			assert.ErrorIs(t, err, pinterest.ErrUnauthenticated)
			var e *pinterest.Error
			if assert.ErrorAs(t, err, &e) {
				assert.Equal(t, review, e.Disposition)
				assert.LessOrEqual(t, len(e.Attempts), 3)
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, i.count(toCall), 3*calls)
	assert.Equal(t, 1, i.count(toToken))
	assert.Nil(t, store.stored(t).Disconnected)
}

// The cooldown after the refusal of a token that was just granted doubles up to an
// hour, and ends with the first call that succeeds.
func TestCooldownAfterARefusedGrant(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.granting = func(int) { i.end() }
	app := storedApp(t, i.server, newTokenStore(t, oldToken()))
	try := func() {
		e := failure(t, get(t.Context(), shop(app)))
		require.ErrorIs(t, e, pinterest.ErrUnauthenticated)
		require.Equal(t, review, e.Disposition)
	}
	for n, cooldown := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		try()
		require.Equal(t, n+1, i.count(toToken))
		for range 4 {
			i.clock.advance(cooldown/4 - time.Second)
			try()
		}
		require.Equal(t, n+1, i.count(toToken), "no new token for %v", cooldown)
		i.clock.advance(cooldown/2 + 4*time.Second) // the random part
	}
	i.granting = nil
	require.NoError(t, get(t.Context(), shop(app)), "the API is well again")
	granted := i.count(toToken)
	i.end()
	require.NoError(t, get(t.Context(), shop(app)))
	require.NoError(t, get(t.Context(), shop(app)))
	assert.Equal(t, granted+1, i.count(toToken), "a token that was accepted and has ended is refreshed at once")

	i.end()
	i.granting = func(int) { i.end() }
	try()
	i.clock.advance(2 * time.Minute)
	try()
	assert.Equal(t, granted+3, i.count(toToken), "the cooldown is short again")
}

// During the cooldown a token that another process has stored is used.
func TestCooldownTakesAStoredToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.granting = func(int) { i.end() }
	store := newTokenStore(t, oldToken())
	app := storedApp(t, i.server, store)
	require.Equal(t, review, failure(t, get(t.Context(), shop(app))).Disposition)
	i.granting = nil
	i.clock.advance(2 * time.Minute)
	require.NoError(t, get(t.Context(), shop(storedApp(t, i.server, store))), "another process refreshes it")
	require.NoError(t, get(t.Context(), shop(app)))
	assert.Equal(t, 2, i.count(toToken))
}

// Whether there is a newer token than the second one that is refused cannot be told
// while the store fails. That is no reason to connect the account again.
func TestStoreThatFailsAtTheSecond401(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	store := newTokenStore(t, oldToken())
	app := storedApp(t, i.server, store)
	i.during[2] = func() {
		i.end()
		store.set("Load", errors.New("no connection to the database"))
	}
	err := get(t.Context(), shop(app))
	require.ErrorIs(t, err, pinterest.ErrTokenStore)
	assert.Equal(t, park, failure(t, err).Disposition)
}
