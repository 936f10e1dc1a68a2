package pinterest_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// grantBy answers a refresh by its refresh token.
func grantBy(dead func(refresh string) bool) reply {
	return reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		if dead(form.Get("refresh_token")) {
			w.WriteHeader(grantRefused.status)
			_, _ = io.WriteString(w, grantRefused.body)
			return
		}
		_, _ = io.WriteString(w, granted().body)
	}}
}

// An outage that lets one refresh through: every account that was refused before
// is disconnected, the breaker does not open again.
func TestOutageThatLetsOneThrough(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	pass := ""
	s := newServer(t, byToken()).onToken(grantBy(func(refresh string) bool { mu.Lock(); defer mu.Unlock(); return refresh != pass }))
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 40, nil)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for i := range 39 {
		_ = get(t.Context(), app.Client(shopName(i)))
	}
	d, _ := marksOf(t, store, 40)
	require.Empty(t, d)
	mu.Lock()
	pass = "pinr.39"
	mu.Unlock()
	s.clock.advance(time.Minute)
	require.NoError(t, get(t.Context(), app.Client(shopName(39)))) // one lucky success
	for i := range 39 {
		_ = get(t.Context(), app.Client(shopName(i)))
	}
	d, _ = marksOf(t, store, 40)
	assert.Less(t, len(d), 10, "39 refusals in a row for 39 accounts disconnect")
	t.Log(len(d), "disconnected; pauses:", len(seen.ofType(pinterest.EventRefreshPaused)))
}

// A worker whose leader does the refreshing. Three owners revoke, days apart.
func TestRefusalsDaysApartAreNoRow(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantBy(func(refresh string) bool { return strings.HasPrefix(refresh, "pinr.0") }))
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 40, func(i int, tok *pinterest.Token) {
		tok.Expiry = s.clock.Now().Add(time.Duration(i-10) * 24 * time.Hour) // 10.. are refreshed by the leader
		if i < 10 {
			tok.Expiry = s.clock.Now().Add(90 * 24 * time.Hour)
		}
	})
	var seen recorder
	worker, leader := storedApp(t, s, store, pinterest.WithObserver(seen.observe)), storedApp(t, s, store)
	for i := range 3 {
		report, err := leader.RefreshDue(t.Context())
		require.NoError(t, err)
		require.Positive(t, report.Refreshed)
		err = get(t.Context(), worker.Client(shopName(i))) // 401, and the grant is gone
		t.Log("day", 5*i, errors.Is(err, pinterest.ErrDisconnected), errors.Is(err, pinterest.ErrRefreshPaused))
		s.clock.advance(5 * 24 * time.Hour)
	}
	d, _ := marksOf(t, store, 10)
	assert.Equal(t, []string{"shop-00", "shop-01", "shop-02"}, d)
	assert.Empty(t, seen.ofType(pinterest.EventRefreshPaused))
}

// Five processes, two accounts each.
func TestRefusalsInARowOverProcesses(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 10, nil)
	var seen recorder
	for p := range 5 {
		app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
		for i := range 2 {
			_ = get(t.Context(), app.Client(shopName(2*p+i)))
		}
	}
	d, _ := marksOf(t, store, 10)
	assert.Empty(t, d)
	assert.NotEmpty(t, seen.ofType(pinterest.EventRefreshPaused))
}

// A mark that is undone at once is told as a disconnection, and nobody takes it back.
func TestMarkThatIsUndoneAtOnceIsNotTold(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}
	tokensOf(t, store, 4, nil)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	var once sync.Once
	store.before = func(tok *pinterest.Token) {
		if tok.Disconnected != nil && tok.RefreshToken == "pinr.00" {
			once.Do(func() {
				for i := 1; i < 4; i++ {
					_ = get(t.Context(), app.Client(shopName(i)))
				}
			})
		}
	}
	err := get(t.Context(), app.Client(shopName(0)))
	d, _ := marksOf(t, store, 4)
	require.Empty(t, d)
	assert.NotErrorIs(t, err, pinterest.ErrDisconnected, "the store says that it is connected")
	told := map[string]bool{}
	for _, e := range seen.ofType(pinterest.EventDisconnected) {
		told[e.Account] = true
	}
	var texts string
	for _, e := range seen.ofType(pinterest.EventRefreshPaused) {
		texts += e.Err.Error()
	}
	for account := range told {
		assert.Contains(t, texts, account, "told as disconnected, and never taken back")
	}
}

// More dead accounts in front than a run tries in a row do not keep RefreshDue from the
// others.
func TestRefreshDueReachesAccountsBehindDeadOnes(t *testing.T) {
	t.Parallel()
	s := newServer(t).onToken(grantBy(func(refresh string) bool { return refresh < "pinr.25" }))
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 60, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now() })
	app := storedApp(t, s, store)
	for range 3 {
		_, _ = app.RefreshDue(t.Context())
		s.clock.advance(24 * time.Hour)
	}
	for i := range 60 {
		tok, err := store.Load(t.Context(), shopName(i))
		require.NoError(t, err)
		assert.Equal(t, i >= 25, tok.AccessToken == newAccess, shopName(i))
		assert.Equal(t, i < 25, tok.Disconnected != nil, shopName(i))
	}
}

// Words about the app in the description of an invalid_grant.
func TestInvalidGrantThatNamesTheApp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"The user has revoked access to the app.", "The refresh token was revoked by the owner of the application account", "Token was issued to another client_id",
	} {
		s := newServer(t, refused.always()).onToken(answer(400, `{"error":"invalid_grant","error_description":"`+text+`"}`).always())
		store := newTokenStore(t, oldToken())
		app := storedApp(t, s, store)
		for range 3 {
			err := get(t.Context(), shop(app))
			assert.ErrorIs(t, err, pinterest.ErrDisconnected, text)
			s.clock.advance(time.Hour)
		}
	}
}

// A wrong secret in an app with two accounts.
func TestWrongSecretOfASmallApp(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(refused.always())
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 2, nil)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for range 50 {
		for i := range 2 {
			require.Equal(t, review, failure(t, get(t.Context(), app.Client(shopName(i)))).Disposition)
		}
		s.clock.advance(time.Hour)
	}
	assert.Len(t, seen.ofType(pinterest.EventRefreshPaused), 1, "one event for the operator")
}

// Three owners have revoked; the others are not due for weeks.
func TestPauseEndsWithoutADueAccount(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	s := newServer(t, reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer pina_good" {
			_, _ = io.WriteString(w, okPin().body)
			return
		}
		w.WriteHeader(refused.status)
		_, _ = io.WriteString(w, refused.body)
	}}).onToken(grantBy(func(refresh string) bool { mu.Lock(); defer mu.Unlock(); return refresh < "pinr.03" }))
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 8, func(i int, tok *pinterest.Token) {
		tok.Expiry = s.clock.Now().Add(30 * 24 * time.Hour)
		if i >= 3 {
			tok.AccessToken = "pina_good"
		}
	})
	app := storedApp(t, s, store)
	for range 22 { // days
		for i := range 8 {
			_ = get(t.Context(), app.Client(shopName(i)))
		}
		_, _ = app.RefreshDue(t.Context())
		s.clock.advance(24 * time.Hour)
	}
	d, _ := marksOf(t, store, 8)
	assert.Len(t, d, 3, "after three weeks; token calls: %d", s.count(toToken))
}

// A quarantined account during a pause is tried each minute, not each hour.
func TestQuarantinedAccountDuringAPause(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(grantRefused.always())
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 4, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now().Add(6 * 24 * time.Hour) })
	other := storedApp(t, s, store) // quarantines one
	tok, err := store.Load(t.Context(), shopName(0))
	require.NoError(t, err)
	tok.Quarantined = &pinterest.Quarantine{Since: s.clock.Now(), Reason: "x", RetryAt: s.clock.Now()}
	_, err = store.Save(t.Context(), shopName(0), tok)
	require.NoError(t, err)
	_ = other
	app := storedApp(t, s, store)
	_, err = app.RefreshDue(t.Context())
	require.ErrorIs(t, err, pinterest.ErrRefreshPaused)
	before := s.count(toToken)
	for range 60 {
		s.clock.advance(time.Minute)
		require.NoError(t, get(t.Context(), app.Client(shopName(0))))
		time.Sleep(5 * time.Millisecond) // the refresh ahead is in the background
	}
	assert.LessOrEqual(t, s.count(toToken)-before, 3, "in an hour")
}

// EventDisconnected of a mark that is taken back later, when the store works again,
// is never corrected.
func TestLateUndoIsTold(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}
	tokensOf(t, store, 4, nil)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for i := range 4 {
		if i == 2 {
			store.set("Save", io.ErrClosedPipe)
		}
		_ = get(t.Context(), app.Client(shopName(i)))
		store.set("Save", nil)
	}
	d, _ := marksOf(t, store.MemoryTokenStore, 4)
	require.Empty(t, d)
	var texts string
	for _, e := range seen.ofType(pinterest.EventRefreshPaused) {
		texts += e.Err.Error()
	}
	for _, e := range seen.ofType(pinterest.EventDisconnected) {
		assert.Contains(t, texts, e.Account, "told as disconnected, and never taken back")
	}
}
