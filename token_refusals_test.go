package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// appRefusals are answers of the token endpoint that would be the same for every
// account, by name, and what follows.
var appRefusals = map[string]struct {
	answer reply
	after  pinterest.Disposition
}{
	"Invalid Application ID": {answer(401, `{"status":"failure","code":283,"data":"Invalid Application ID","message":"The authorization grant is invalid","endpoint_name":"oauth_connect"}`), review},
	"invalid_client":         {answer(401, `{"error":"invalid_client"}`), review},
	"invalid_request":        {answer(400, `{"error":"invalid_request"}`), review},
	"unauthorized_client":    {answer(400, `{"error":"unauthorized_client"}`), review},
	"unsupported_grant_type": {answer(400, `{"error":"unsupported_grant_type"}`), review},
	"consumer type":          {fault(401, 3, "Your application consumer type is not supported"), review},
	"401/2":                  {refused, review},
	"401/7":                  {fault(401, 7, "Not authorized to access board or Pin."), review},
	"401/29":                 {fault(401, 29, "You are not permitted to access that resource."), review},
	"403":                    {fault(403, 29, "You are not permitted to access that resource."), review},
	"404":                    {bare(404), review},
	"empty 400":              {answer(400, ""), park},
	"HTML 400":               {html(400), park},
	"HTML 401":               {html(401), park},
	"503":                    {bare(503), park},
	"reset":                  {reset(), park},
}

// tokensOf saves the tokens of n accounts, shop-00 and so on. change may be nil.
func tokensOf(t *testing.T, store pinterest.TokenStore, n int, change func(i int, tok *pinterest.Token)) {
	t.Helper()
	for i := range n {
		tok := pinterest.Token{AccessToken: accessToken, RefreshToken: fmt.Sprintf("pinr.%02d", i)}
		if change != nil {
			change(i, &tok)
		}
		_, err := store.Save(t.Context(), shopName(i), &tok)
		require.NoError(t, err)
	}
}

func shopName(i int) string { return fmt.Sprintf("shop-%02d", i) }

// marksOf returns the accounts that are disconnected, and those that are quarantined.
func marksOf(t *testing.T, store pinterest.TokenStore, n int) (disconnected, quarantined []string) {
	t.Helper()
	for i := range n {
		tok, err := store.Load(t.Context(), shopName(i))
		require.NoError(t, err)
		if tok.Disconnected != nil {
			disconnected = append(disconnected, shopName(i))
		}
		if tok.Quarantined != nil {
			quarantined = append(quarantined, shopName(i))
		}
	}
	return disconnected, quarantined
}

// ofType returns the events of a type.
func (r *recorder) ofType(want pinterest.EventType) []pinterest.Event {
	return slices.DeleteFunc(r.all(), func(e pinterest.Event) bool { return e.Type != want })
}

// What is wrong with the app, or passes, disconnects nobody: neither an account whose
// access token has ended nor one whose token is good for days.
func TestFaultOfTheAppDisconnectsNobody(t *testing.T) {
	t.Parallel()
	for name, tt := range appRefusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, refused.always()).onToken(tt.answer.always())
			store := pinterest.NewMemoryTokenStore()
			tokensOf(t, store, 30, func(i int, tok *pinterest.Token) {
				if i%2 == 0 {
					tok.Expiry = s.clock.Now().Add(6 * 24 * time.Hour)
				}
			})
			var seen recorder
			app := storedApp(t, s, store, pinterest.WithObserver(seen.observe), pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: 1}))
			for range 2 {
				for i := range 30 {
					err := get(t.Context(), app.Client(shopName(i)))
					e := failure(t, err)
					require.Equal(t, tt.after, e.Disposition, "%v", err)
					require.NotErrorIs(t, err, pinterest.ErrDisconnected)
					require.NotErrorIs(t, err, pinterest.ErrNotFound, "which the pin is not")
				}
			}
			report, err := app.RefreshDue(t.Context())
			assert.Equal(t, tt.after == review, errors.Is(err, pinterest.ErrRefreshPaused), "%v", err)
			for account, err := range report.Failed {
				require.Equal(t, tt.after, failure(t, err).Disposition, account)
			}
			disconnected, quarantined := marksOf(t, store, 30)
			assert.Empty(t, disconnected)
			assert.Empty(t, quarantined)
			assert.Empty(t, seen.ofType(pinterest.EventDisconnected))
			paused := seen.ofType(pinterest.EventRefreshPaused)
			if tt.after == park {
				assert.Empty(t, paused)
				return
			}
			require.Len(t, paused, 1, "one event for the operator")
			assert.ErrorIs(t, paused[0].Err, pinterest.ErrRefreshPaused)
		})
	}
}

// A refresh token that was refused is not sent again at once by each call, and what
// the operator has corrected is noticed soon.
func TestFaultOfTheAppThatIsCorrected(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(answer(401, `{"error":"invalid_client"}`), granted())
	app := storedApp(t, s, newTokenStore(t, oldToken()))
	for range 9 {
		require.Equal(t, review, failure(t, get(t.Context(), shop(app))).Disposition)
		s.clock.advance(3 * time.Second)
	}
	assert.Equal(t, 1, s.count(toToken))
	s.clock.advance(10 * time.Second)
	require.NoError(t, get(t.Context(), shop(app)))
}

// A refresh token of another process is sent although the last one was refused.
func TestNewTokenAfterARefusal(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(answer(401, `{"error":"invalid_client"}`))
	store := newTokenStore(t, oldToken())
	app := storedApp(t, s, store)
	require.Equal(t, review, failure(t, get(t.Context(), shop(app))).Disposition)
	_, err := store.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: newAccess, RefreshToken: newRefresh, Version: store.stored(t).Version})
	require.NoError(t, err)
	s.clock.advance(2 * time.Second)
	require.NoError(t, get(t.Context(), shop(app)))
}

// Every refresh token is refused: nobody is disconnected, and what was is undone.
func TestRefusalsInARowAreUndone(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 10, nil)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for i := range 10 {
		err := get(t.Context(), app.Client(shopName(i)))
		if i < 2 {
			require.ErrorIs(t, err, pinterest.ErrDisconnected)
			continue
		}
		require.ErrorIs(t, err, pinterest.ErrRefreshPaused)
		require.NotErrorIs(t, err, pinterest.ErrDisconnected)
		e := failure(t, err)
		assert.Equal(t, park, e.Disposition)
		assert.NotErrorIs(t, err, pinterest.ErrUnauthenticated)
		assert.GreaterOrEqual(t, e.RetryAt.Sub(s.clock.Now()), 20*time.Second)
	}
	disconnected, quarantined := marksOf(t, store, 10)
	assert.Empty(t, disconnected)
	assert.Empty(t, quarantined)
	assert.Len(t, seen.ofType(pinterest.EventDisconnected), 2)
	paused := seen.ofType(pinterest.EventRefreshPaused)
	require.Len(t, paused, 1)
	assert.Equal(t, shopName(2), paused[0].Account)
	for _, account := range []string{shopName(0), shopName(1), "283"} {
		assert.ErrorContains(t, paused[0].Err, account)
	}

	// It passes: all of them go on by themselves.
	s.clock.advance(time.Minute)
	s.mu.Lock()
	s.scripts[toToken], s.scripts[toCall] = []reply{granted().always()}, []reply{byToken()}
	s.mu.Unlock()
	for i := range 10 {
		require.NoError(t, get(t.Context(), app.Client(shopName(i))))
	}
}

// Refusals of one account are no row, and a success ends one.
func TestRefusalsThatDoNotPause(t *testing.T) {
	t.Parallel()
	dead := map[string]bool{}
	grant := reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		if dead[form.Get("refresh_token")] {
			w.WriteHeader(grantRefused.status)
			_, _ = io.WriteString(w, grantRefused.body)
			return
		}
		_, _ = io.WriteString(w, granted().body)
	}}
	setup := func(t *testing.T) (*server, pinterest.TokenStore, *recorder, *pinterest.App) {
		s := newServer(t, byToken()).onToken(grant)
		store, seen := pinterest.NewMemoryTokenStore(), &recorder{}
		tokensOf(t, store, 10, nil)
		return s, store, seen, storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	}
	for i := range 10 {
		dead[fmt.Sprintf("pinr.%02d", i)] = i != 2 && i != 5 && i != 8
	}

	t.Run("others succeed between", func(t *testing.T) {
		t.Parallel()
		_, store, seen, app := setup(t)
		for i := range 10 {
			_ = get(t.Context(), app.Client(shopName(i)))
		}
		disconnected, _ := marksOf(t, store, 10)
		assert.Len(t, disconnected, 7)
		assert.Empty(t, seen.ofType(pinterest.EventRefreshPaused))
	})
	t.Run("the same account", func(t *testing.T) {
		t.Parallel()
		s, store, seen, app := setup(t)
		for range 5 {
			require.ErrorIs(t, get(t.Context(), app.Client(shopName(0))), pinterest.ErrDisconnected)
			tok, err := store.Load(t.Context(), shopName(0))
			require.NoError(t, err)
			_, err = store.Save(t.Context(), shopName(0), &pinterest.Token{AccessToken: accessToken, RefreshToken: "pinr.00", Version: tok.Version})
			require.NoError(t, err)
			s.clock.advance(time.Minute)
		}
		assert.Empty(t, seen.ofType(pinterest.EventRefreshPaused))
	})
	// Three accounts are dead indeed. Their refusals pause, and a success ends that.
	// Refused for a day, they are disconnected: the others are not.
	t.Run("after a success they are believed", func(t *testing.T) {
		t.Parallel()
		s, store, seen, app := setup(t)
		dying := []int{0, 1, 3}
		for _, i := range dying {
			_ = get(t.Context(), app.Client(shopName(i)))
		}
		disconnected, _ := marksOf(t, store, 10)
		require.Empty(t, disconnected)
		s.clock.advance(time.Minute)
		require.NoError(t, get(t.Context(), app.Client(shopName(2))))
		s.clock.advance(24 * time.Hour)
		for _, i := range dying {
			require.ErrorIs(t, get(t.Context(), app.Client(shopName(i))), pinterest.ErrDisconnected)
		}
		assert.Len(t, seen.ofType(pinterest.EventRefreshPaused), 1)
	})
	t.Run("refresh tokens that have expired", func(t *testing.T) {
		t.Parallel()
		s, store, seen, app := setup(t)
		for _, i := range []int{0, 1, 3, 4} {
			tok, err := store.Load(t.Context(), shopName(i))
			require.NoError(t, err)
			tok.Expiry, tok.RefreshExpiry = s.clock.Now().Add(-time.Hour), s.clock.Now().Add(-time.Hour)
			_, err = store.Save(t.Context(), shopName(i), tok)
			require.NoError(t, err)
		}
		report, err := app.RefreshDue(t.Context())
		require.NoError(t, err)
		assert.Len(t, report.Failed, 4)
		disconnected, _ := marksOf(t, store, 10)
		assert.Len(t, disconnected, 4)
		assert.Empty(t, seen.ofType(pinterest.EventRefreshPaused))
	})
}

// What was connected again meanwhile stays as it is, and a mark that the store does
// not take back at first is taken back later.
func TestMarksThatCannotBeUndone(t *testing.T) {
	t.Parallel()
	t.Run("connected again", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, refused.always()).onToken(grantRefused.always())
		store := pinterest.NewMemoryTokenStore()
		tokensOf(t, store, 3, nil)
		app := storedApp(t, s, store)
		require.ErrorIs(t, get(t.Context(), app.Client(shopName(0))), pinterest.ErrDisconnected)
		tok, err := store.Load(t.Context(), shopName(0))
		require.NoError(t, err)
		_, err = store.Save(t.Context(), shopName(0), &pinterest.Token{AccessToken: newAccess, RefreshToken: newRefresh, Version: tok.Version})
		require.NoError(t, err)
		for i := range 3 {
			_ = get(t.Context(), app.Client(shopName(i)))
		}
		tok, err = store.Load(t.Context(), shopName(0))
		require.NoError(t, err)
		assert.Equal(t, newRefresh, tok.RefreshToken)
	})
	t.Run("the store fails", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, refused.always()).onToken(grantRefused.always())
		store := &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}
		tokensOf(t, store, 4, nil)
		app := storedApp(t, s, store)
		for i := range 4 {
			if i == 2 {
				store.set("Save", io.ErrClosedPipe)
			}
			require.Error(t, get(t.Context(), app.Client(shopName(i))))
			disconnected, _ := marksOf(t, store.MemoryTokenStore, 4)
			assert.Len(t, disconnected, []int{1, 2, 2, 0}[i])
			if i == 2 {
				store.set("Save", nil)
			}
		}
	})
}

// One run over a hundred accounts whose access tokens are good for six more days.
func TestRefreshDueWhileEveryRefreshIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(grantRefused.always())
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 100, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now().Add(6 * 24 * time.Hour) })
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	_, err := app.RefreshDue(t.Context())
	require.ErrorIs(t, err, pinterest.ErrRefreshPaused)
	disconnected, quarantined := marksOf(t, store, 100)
	assert.Empty(t, disconnected)
	assert.Empty(t, quarantined)
	assert.LessOrEqual(t, s.count(toToken), 40)
	assert.Len(t, seen.ofType(pinterest.EventRefreshPaused), 1)
	for i := range 100 {
		require.NoError(t, get(t.Context(), app.Client(shopName(i))))
	}
}

// A disconnection that a worker comes to know of after the pause has begun does not
// begin the row of failures again: it is undone.
func TestRefreshDueWithALateDisconnection(t *testing.T) {
	t.Parallel()
	s := newServer(t).onToken(grantRefused.always())
	store := &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}
	tokensOf(t, store, 60, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now() })
	var once sync.Once
	store.before = func(tok *pinterest.Token) {
		if tok.Disconnected == nil {
			return
		}
		once.Do(func() {
			assert.Eventually(t, func() bool { return s.count(toToken) >= 15 }, 10*time.Second, time.Millisecond)
		})
	}
	report, err := storedApp(t, s, store).RefreshDue(t.Context())
	require.ErrorIs(t, err, pinterest.ErrRefreshPaused)
	assert.LessOrEqual(t, s.count(toToken), 40)
	for account, err := range report.Failed {
		require.NotErrorIs(t, err, pinterest.ErrDisconnected, account)
	}
}

// A few dead accounts in front do not keep a run from the others.
func TestRefreshDueGoesOnPastDeadAccounts(t *testing.T) {
	t.Parallel()
	s := newServer(t).onToken(reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if form, _ := url.ParseQuery(string(body)); form.Get("refresh_token") < "pinr.05" {
			w.WriteHeader(grantRefused.status)
			_, _ = io.WriteString(w, grantRefused.body)
			return
		}
		_, _ = io.WriteString(w, granted().body)
	}})
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 30, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now() })
	report, err := storedApp(t, s, store).RefreshDue(t.Context())
	require.NoError(t, err, "the pause is over")
	assert.Equal(t, 25, report.Refreshed)
	assert.Len(t, report.Failed, 5)
	for account, err := range report.Failed {
		tok, loadErr := store.Load(t.Context(), account)
		require.NoError(t, loadErr)
		assert.Equal(t, tok.Disconnected != nil, errors.Is(err, pinterest.ErrDisconnected), account)
	}
}

// A pause that is over before a worker looks is not forgotten: what it has undone is
// not reported as disconnected.
func TestRefreshDueAfterAShortPause(t *testing.T) {
	t.Parallel()
	marked, undoing, succeeded := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	await := func(ch <-chan struct{}) {
		select {
		case <-ch:
		case <-t.Context().Done():
		}
	}
	s := newServer(t).onToken(reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		switch form.Get("refresh_token") {
		case "pinr.03": // succeeds while the marks of the others are undone
			await(undoing)
			_, _ = io.WriteString(w, granted().body)
			return
		case "pinr.02": // is the third one in the row
			await(marked)
			await(marked)
		}
		w.WriteHeader(grantRefused.status)
		_, _ = io.WriteString(w, grantRefused.body)
	}})
	store := &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}
	tokensOf(t, store, 4, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now() })
	undo := sync.OnceFunc(func() { close(undoing) })
	store.before = func(tok *pinterest.Token) {
		switch {
		case tok.RefreshToken == "": // the library's own record
		case tok.Disconnected != nil:
			marked <- struct{}{}
		case tok.AccessToken == newAccess:
			close(succeeded)
		default:
			undo()
			await(succeeded)
		}
	}
	report, err := storedApp(t, s, store).RefreshDue(t.Context())
	require.NoError(t, err, "the pause is over")
	require.Len(t, report.Failed, 3)
	undone := 0
	for account, err := range report.Failed {
		tok, loadErr := store.Load(t.Context(), account)
		require.NoError(t, loadErr)
		require.Equal(t, tok.Disconnected != nil, errors.Is(err, pinterest.ErrDisconnected), account)
		require.Equal(t, err, report.Accounts[account].Err)
		require.Equal(t, failure(t, err).Class, report.Accounts[account].Class)
		if tok.Disconnected == nil {
			undone++
		}
	}
	assert.GreaterOrEqual(t, undone, 2, "the one that began the pause, and what it undid")
}

// lostAnswers are token endpoints that rotate the token, and whose answer is lost.
var lostAnswers = map[string]func(body string) reply{
	"cut":     func(body string) reply { return halfBody(200, body[:len(body)/2]) },
	"reset":   func(string) reply { return reset() },
	"garbage": func(body string) reply { return answer(200, body[:len(body)/2]) },
	"500":     func(string) reply { return bare(500) },
	"HTML":    func(string) reply { return html(502) },
}

// The answer to a refresh is lost after the rotation, and the spent token is refused.
// The access token is used until it ends. Only then is the account disconnected.
func TestLostRefreshAnswerQuarantines(t *testing.T) {
	t.Parallel()
	for name, lost := range lostAnswers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always()).onToken(lost(granted().body), grantRefused.always())
			tok := oldToken()
			tok.Expiry = s.clock.Now().Add(6 * 24 * time.Hour)
			store := newTokenStore(t, tok)
			var seen recorder
			app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
			began := s.clock.Now()
			report, err := app.RefreshDue(t.Context())
			require.NoError(t, err)
			require.ErrorContains(t, report.Failed["shop-1"], "quarantined")
			assert.Equal(t, pinterest.AccountRefresh{
				Outcome: pinterest.RefreshQuarantined, Class: failure(t, report.Failed["shop-1"]).Class, Err: report.Failed["shop-1"],
			}, report.Accounts["shop-1"])
			assert.Equal(t, review, failure(t, report.Failed["shop-1"]).Disposition)
			assert.NotErrorIs(t, report.Failed["shop-1"], pinterest.ErrDisconnected)
			stored := store.stored(t)
			require.Nil(t, stored.Disconnected)
			require.NotNil(t, stored.Quarantined)
			assert.Contains(t, stored.Quarantined.Reason, "283")
			assert.WithinDuration(t, began, stored.Quarantined.Since, time.Minute)
			assert.NotContains(t, stored.String(), oldRefresh)
			assert.Contains(t, stored.String(), "quarantined")

			other := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
			tried := s.count(toToken)
			for _, a := range []*pinterest.App{app, other, app, other} {
				require.NoError(t, get(t.Context(), shop(a)))
				report, err := a.RefreshDue(t.Context())
				require.NoError(t, err)
				require.Len(t, report.Failed, 1)
				s.clock.advance(10 * time.Minute)
			}
			assert.Equal(t, tried, s.count(toToken), "not tried again within the hour")
			quarantined := seen.ofType(pinterest.EventQuarantined)
			require.Len(t, quarantined, 1, "once")
			assert.Equal(t, "shop-1", quarantined[0].Account)
			assert.ErrorContains(t, quarantined[0].Err, "283")
			assert.InDelta(t, 6*24*time.Hour, quarantined[0].Wait, float64(time.Hour))

			s.clock.advance(7 * 24 * time.Hour)
			for _, a := range []*pinterest.App{app, other} {
				require.ErrorIs(t, get(t.Context(), shop(a)), pinterest.ErrDisconnected)
			}
			assert.Len(t, seen.ofType(pinterest.EventDisconnected), 1)
			assert.Equal(t, tried+1, s.count(toToken))
		})
	}
}

// A quarantined account is tried once an hour, however many processes there are. Each
// goes on with the access token, until a refresh succeeds and lifts the quarantine.
func TestQuarantineIsLifted(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(grantRefused.always())
	tok := oldToken()
	tok.Expiry = s.clock.Now().Add(6 * 24 * time.Hour)
	store := newTokenStore(t, tok)
	var seen recorder
	var apps []*pinterest.App
	for range 3 {
		app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
		require.NoError(t, get(t.Context(), shop(app)))
		apps = append(apps, app)
	}
	_, err := apps[0].RefreshDue(t.Context())
	require.NoError(t, err)
	hours := func(n int) {
		for range n * 12 {
			s.clock.advance(5 * time.Minute)
			for _, app := range apps {
				_, err := app.RefreshDue(t.Context())
				require.NoError(t, err)
				require.NoError(t, get(t.Context(), shop(app)))
			}
		}
	}
	hours(10)
	assert.InDelta(t, 9.5, s.count(toToken), 2, "once an hour, with a random part")
	assert.Len(t, seen.ofType(pinterest.EventQuarantined), 1)
	assert.Empty(t, seen.ofType(pinterest.EventRefreshPaused), "one account is no row")

	s.mu.Lock()
	s.scripts[toToken] = []reply{granted()}
	s.mu.Unlock()
	hours(2)
	stored := store.stored(t)
	assert.Nil(t, stored.Quarantined)
	assert.Equal(t, newRefresh, stored.RefreshToken)
}

// The refresh ahead of time is refused. The call, which has a good token, does not
// notice, and a 401 of the access token disconnects.
func TestRefreshAheadOfTimeThatIsRefused(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ended := false
	s := newServer(t, reply{sticky: true, act: func(s *server, w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		st := okPin()
		if ended {
			st = refused
		}
		w.WriteHeader(st.status)
		_, _ = io.WriteString(w, st.body)
	}}).onToken(grantRefused.always())
	tok := oldToken()
	tok.Expiry = s.clock.Now().Add(time.Hour)
	store := newTokenStore(t, tok)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	require.NoError(t, get(t.Context(), shop(app)))
	s.clock.advance(56 * time.Minute)
	require.NoError(t, get(t.Context(), shop(app)))
	require.Eventually(t, func() bool { return len(seen.ofType(pinterest.EventQuarantined)) == 1 }, 10*time.Second, time.Millisecond)
	for range 3 {
		require.NoError(t, get(t.Context(), shop(app)))
		s.clock.advance(time.Minute)
	}
	assert.Equal(t, 1, s.count(toToken))
	mu.Lock()
	ended = true
	mu.Unlock()
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrDisconnected)
	assert.NotNil(t, store.stored(t).Disconnected)
}

// The account of a RefreshConfig is quarantined, too. Its Store gets new tokens only.
func TestQuarantineOfARefreshConfig(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(grantRefused)
	var seen recorder
	a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) { cfg.Expiry = s.clock.Now().Add(time.Hour) }, pinterest.WithObserver(seen.observe))
	s.clock.advance(56 * time.Minute)
	require.NoError(t, get(t.Context(), a.Client))
	require.Eventually(t, func() bool { return len(seen.ofType(pinterest.EventQuarantined)) == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, get(context.Background(), a.Client))
	assert.Empty(t, a.tokens())
}
