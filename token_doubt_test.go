package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// Quarantined, a gateway answers 401 without words.
func TestQuarantineBehindAGateway(t *testing.T) {
	t.Parallel()
	s := newServer(t, html(401).always()).onToken(grantRefused.always())
	tok := oldToken()
	tok.Expiry = s.clock.Now().Add(6 * 24 * time.Hour)
	store := newTokenStore(t, tok)
	app := storedApp(t, s, store)
	for range 20 {
		_ = get(t.Context(), shop(app))
		s.clock.advance(time.Second)
	}
	assert.Equal(t, 1, s.count(toToken), "once an hour")
	assert.NotNil(t, store.stored(t).Quarantined)
}

func counting() (reply, *int) {
	var n int
	var mu sync.Mutex
	return reply{sticky: true, act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		_, _ = fmt.Fprintf(w, `{"access_token":"pina_probe_%d","refresh_token":"pinr.probe%d","expires_in":2592000}`, n, n)
	}}, &n
}

// One endpoint answers 401 always, the other works.
func TestOneEndpointThatRefuses(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]reply{"proven": refused, "gateway": html(401)} {
		t.Run(name, func(t *testing.T) {
			g, n := counting()
			var mu sync.Mutex
			bad := false
			s := newServer(t, reply{sticky: true, act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				if bad {
					w.WriteHeader(answer.status)
					_, _ = io.WriteString(w, answer.body)
					return
				}
				_, _ = io.WriteString(w, okPin().body)
			}}).onToken(g)
			app := storedApp(t, s, newTokenStore(t, oldToken()))
			for range 20 {
				mu.Lock()
				bad = true
				mu.Unlock()
				_ = get(t.Context(), shop(app))
				mu.Lock()
				bad = false
				mu.Unlock()
				require.NoError(t, get(t.Context(), shop(app)))
				s.clock.advance(time.Second)
			}
			assert.LessOrEqual(t, *n, 6, "tokens in 20 seconds")
		})
	}
}

// Three dead accounts, called each minute; one of the others refreshes each hour.
func TestDeadAccountsDoNotFlap(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantBy(func(refresh string) bool { return strings.HasPrefix(refresh, "pinr.0") && refresh < "pinr.03" }))
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 60, func(i int, tok *pinterest.Token) {
		if i >= 3 {
			tok.Expiry = s.clock.Now().Add(time.Duration(i-2) * time.Hour)
		}
	})
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for min := range 26 * 60 {
		for i := range 3 {
			_ = get(t.Context(), app.Client(shopName(i)))
		}
		if min%60 == 59 {
			r := app.Client(shopName(3 + min/60))
			_ = get(t.Context(), r)
		}
		s.clock.advance(time.Minute)
	}
	d, _ := marksOf(t, store, 3)
	assert.Len(t, d, 3, "after a day")
	assert.Len(t, seen.ofType(pinterest.EventReinstated), 2)
	assert.Len(t, seen.ofType(pinterest.EventDisconnected), 5, "the two that were reinstated, and later all three")
	assert.Len(t, seen.ofType(pinterest.EventRefreshPaused), 1)
}

// One account of another app.
func TestAccountOfAnotherApp(t *testing.T) {
	t.Parallel()
	foreign := answer(401, `{"status":"failure","code":283,"data":"Invalid Application ID","message":"The authorization grant is invalid"}`)
	s := newServer(t, refused.always()).onToken(reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		if form.Get("refresh_token") == "pinr.00" {
			w.WriteHeader(foreign.status)
			_, _ = io.WriteString(w, foreign.body)
			return
		}
		_, _ = io.WriteString(w, granted().body)
	}})
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 80, func(i int, tok *pinterest.Token) {
		if i >= 1 {
			tok.Expiry = s.clock.Now().Add(time.Duration(i) * time.Hour)
		}
	})
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for min := range 72 * 6 {
		_ = get(t.Context(), app.Client(shopName(0)))
		if min%6 == 5 {
			_ = get(t.Context(), app.Client(shopName(1+min/6)))
		}
		s.clock.advance(10 * time.Minute)
	}
	assert.Len(t, seen.ofType(pinterest.EventRefreshPaused), 1, "in three days")
	d, _ := marksOf(t, store, 1)
	assert.Empty(t, d)
}

type hookStore struct {
	*pinterest.MemoryTokenStore
	save func(account string, tok *pinterest.Token, do func() (string, error)) (string, error)
	load func(account string) error
}

func (h *hookStore) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	do := func() (string, error) { return h.MemoryTokenStore.Save(ctx, account, tok) }
	if h.save != nil {
		return h.save(account, tok, do)
	}
	return do()
}

func (h *hookStore) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if h.load != nil {
		if err := h.load(account); err != nil {
			return nil, err
		}
	}
	return h.MemoryTokenStore.Load(ctx, account)
}

// The undo of one mark fails once, then another account is granted.
func TestUndoThatFailsBeforeAGrant(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantBy(func(refresh string) bool { return refresh != "pinr.03" }))
	store := &hookStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 4, nil)
	failed := false
	store.save = func(account string, tok *pinterest.Token, do func() (string, error)) (string, error) {
		if account == shopName(0) && tok.Disconnected == nil && !failed && !tok.RefusedSince.IsZero() {
			failed = true
			return "", errors.New("hiccup")
		}
		return do()
	}
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for i := range 4 {
		require.Error(t, get(t.Context(), app.Client(shopName(i)))) // of the last one, the API refuses the new token, too
		s.clock.advance(5 * time.Second)
	}
	d, _ := marksOf(t, store, 4)
	assert.True(t, failed)
	assert.Empty(t, d)
	assert.Len(t, seen.ofType(pinterest.EventRefreshPaused), 1)
}

// The save of the record is done, but its answer is lost.
func TestPauseWhoseSaveLooksFailed(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := &hookStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 5, nil)
	n := 0
	store.save = func(account string, tok *pinterest.Token, do func() (string, error)) (string, error) {
		v, err := do()
		if account == "pinterest:refusals" && strings.Contains(tok.AccessToken, `"paused":true`) {
			if n++; n == 1 {
				return "", errors.New("connection lost after commit")
			}
		}
		return v, err
	}
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	for i := range 5 {
		_ = get(t.Context(), app.Client(shopName(i)))
	}
	assert.Len(t, seen.ofType(pinterest.EventRefreshPaused), 1)
	assert.Len(t, seen.ofType(pinterest.EventReinstated), 2)
}

// The refusals record cannot be read.
func TestRefusalsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := &hookStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 5, nil)
	store.load = func(account string) error {
		if account == "pinterest:refusals" {
			return errors.New("db down")
		}
		return nil
	}
	app := storedApp(t, s, store)
	for i := range 3 {
		err := get(t.Context(), app.Client(shopName(i)))
		e := failure(t, err)
		require.ErrorIs(t, err, pinterest.ErrTokenStore)
		require.Equal(t, park, e.Disposition, "nobody has to connect again")
	}
	d, q := marksOf(t, store, 5)
	assert.Empty(t, d)
	assert.Empty(t, q)
}

// The probe meets an account that it cannot refresh, and takes the same each time.
func TestPauseEndsWhicheverAccountIsFirst(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]struct {
		expiry bool
		answer reply
	}{
		"expiry unknown": {false, granted()},
		"of other app":   {true, answer(401, `{"error":"unauthorized_client"}`)},
		"404":            {true, bare(404)},
		"control":        {true, granted()},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, refused.always()).onToken(reply{sticky: true, act: func(_ *server, w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				form, _ := url.ParseQuery(string(body))
				a := granted()
				switch tok := form.Get("refresh_token"); {
				case tok >= "pinr.10":
					a = grantRefused
				case tok == "pinr.00":
					a = first.answer
				}
				if a.status == 0 {
					a.status = 200
				}
				w.WriteHeader(a.status)
				_, _ = io.WriteString(w, a.body)
			}})
			store := pinterest.NewMemoryTokenStore()
			tokensOf(t, store, 13, func(i int, tok *pinterest.Token) {
				if i < 10 && (i > 0 || first.expiry) { // healthy, and not due for weeks
					tok.Expiry = s.clock.Now().Add(29 * 24 * time.Hour)
				}
			})
			app := storedApp(t, s, store)
			for i := 10; i < 13; i++ {
				_ = get(t.Context(), app.Client(shopName(i)))
			}
			n := 0
			for range 10 {
				s.clock.advance(12 * time.Hour)
				_, err := app.RefreshDue(t.Context())
				if errors.Is(err, pinterest.ErrRefreshPaused) {
					n++
				}
			}
			assert.LessOrEqual(t, n, 2, "paused runs of 10, in 5 days")
		})
	}
}

// Quarantined in this row, refused again an hour later, then the row is complete.
func TestQuarantineOfTheRowIsUndone(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantRefused.always())
	store := pinterest.NewMemoryTokenStore()
	tokensOf(t, store, 3, func(i int, tok *pinterest.Token) {
		if i == 0 {
			tok.Expiry = s.clock.Now().Add(3 * 24 * time.Hour)
		}
	})
	app := storedApp(t, s, store)
	_, _ = app.RefreshDue(t.Context())
	_, q := marksOf(t, store, 3)
	require.Equal(t, []string{shopName(0)}, q)
	s.clock.advance(90 * time.Minute)
	_, _ = app.RefreshDue(t.Context())
	_ = get(t.Context(), app.Client(shopName(1)))
	require.ErrorIs(t, get(t.Context(), app.Client(shopName(2))), pinterest.ErrRefreshPaused)
	d, q := marksOf(t, store, 3)
	assert.Empty(t, d)
	assert.Empty(t, q)
}

// A gateway answers 401 to everything.
func TestGatewayThatRefusesEverything(t *testing.T) {
	t.Parallel()
	g, n := counting()
	s := newServer(t, html(401).always()).onToken(g)
	app := storedApp(t, s, newTokenStore(t, oldToken()))
	for range 4 {
		e := failure(t, get(t.Context(), shop(app)))
		assert.Equal(t, park, e.Disposition)
		assert.Equal(t, 1, *n, "tokens")
		s.clock.advance(5 * time.Second)
	}
	static, err := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithBaseURL(s.base()), pinterest.WithClock(s.clock), pinterest.WithRetry(exact))
	require.NoError(t, err)
	e := failure(t, get(t.Context(), static))
	assert.Equal(t, park, e.Disposition)
}

type lockStore struct {
	*pinterest.MemoryTokenStore
	lock func(ctx context.Context, account string) (func(), error)
}

func (l *lockStore) Lock(ctx context.Context, account string) (func(), error) {
	return l.lock(ctx, account)
}

// A store that ends the goroutine in Lock.
func TestLockThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(granted().always())
	store := &lockStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 40, nil)
	store.lock = func(ctx context.Context, account string) (func(), error) { runtime.Goexit(); return nil, nil }
	app := storedApp(t, s, store)
	for i := range 32 {
		_ = get(t.Context(), app.Client(shopName(i)))
	}
	store.lock = store.MemoryTokenStore.Lock
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	assert.NotErrorIs(t, get(ctx, app.Client(shopName(33))), context.DeadlineExceeded)
}

// countStore counts what is read.
type countStore struct {
	*pinterest.MemoryTokenStore
	loads, versions atomic.Int64
}

func (c *countStore) Load(ctx context.Context, a string) (*pinterest.Token, error) {
	c.loads.Add(1)
	return c.MemoryTokenStore.Load(ctx, a)
}
func (c *countStore) Version(ctx context.Context, a string) (string, error) {
	c.versions.Add(1)
	return c.MemoryTokenStore.Version(ctx, a)
}

// A refresh waits for its lock, and the store has another token.
func TestLooksDuringARefresh(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted().always())
	store := &countStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	v, err := store.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: accessToken, RefreshToken: oldRefresh, Expiry: s.clock.Now().Add(time.Hour)})
	require.NoError(t, err)
	app := storedApp(t, s, store)
	require.NoError(t, get(t.Context(), shop(app)))
	unlock, err := store.Lock(t.Context(), "shop-1") // another process refreshes
	require.NoError(t, err)
	s.clock.advance(57 * time.Minute)
	require.NoError(t, get(t.Context(), shop(app))) // begins one ahead
	_, err = store.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: "pina_third", RefreshToken: "pinr.third", Expiry: s.clock.Now().Add(24 * time.Hour), Version: v})
	require.NoError(t, err)
	s.clock.advance(31 * time.Second)
	l0, v0 := store.loads.Load(), store.versions.Load()
	for range 50 {
		require.NoError(t, get(t.Context(), shop(app)))
	}
	assert.LessOrEqual(t, store.loads.Load()-l0, int64(2))
	assert.LessOrEqual(t, store.versions.Load()-v0, int64(2))
	unlock()
}

// RefreshDue joins what only reads the store.
func TestRefreshDueDoesNotCountAReadForARefresh(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted().always())
	store := &hookStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 1, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now().Add(time.Hour) })
	in, out := make(chan bool), make(chan bool)
	var once sync.Once
	store.load = func(string) error {
		once.Do(func() { close(in); <-out })
		return nil
	}
	app := storedApp(t, s, store)
	go func() { _ = get(context.Background(), app.Client(shopName(0))) }()
	<-in
	time.AfterFunc(300*time.Millisecond, func() { close(out) }) // RefreshDue has joined by then
	report, err := app.RefreshDue(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, report.Refreshed)
	assert.Equal(t, 1, s.count(toToken))
}

// One failed Save in RefreshDue: when is the rotated token saved?
func TestUnsavedTokenIsSavedInTheBackground(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always()).onToken(granted().always())
	store := &hookStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 1, func(_ int, tok *pinterest.Token) { tok.Expiry = s.clock.Now().Add(5 * 24 * time.Hour) })
	n := 0
	store.save = func(account string, tok *pinterest.Token, do func() (string, error)) (string, error) {
		if account == shopName(0) {
			if n++; n == 1 {
				return "", errors.New("one hiccup")
			}
		}
		return do()
	}
	app := storedApp(t, s, store)
	require.NoError(t, get(t.Context(), app.Client(shopName(0))))
	report, err := app.RefreshDue(t.Context())
	require.NoError(t, err)
	require.ErrorIs(t, report.Failed[shopName(0)], pinterest.ErrTokenStore)
	s.clock.advance(time.Minute)
	require.NoError(t, get(t.Context(), app.Client(shopName(0))))
	require.Eventually(t, func() bool {
		tok, err := store.Load(t.Context(), shopName(0))
		return err == nil && tok.RefreshToken == newRefresh
	}, 10*time.Second, time.Millisecond)
}

// A pause that another process has made between the count and the mark, and that a grant has ended: the mark stays.
func TestMarkAfterAPauseThatIsOver(t *testing.T) {
	t.Parallel()
	s := newServer(t, refused.always()).onToken(grantBy(func(refresh string) bool { return refresh != "pinr.03" }))
	store := &hookStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 4, nil)
	a, b := storedApp(t, s, store), storedApp(t, s, store)
	first := true
	store.save = func(account string, tok *pinterest.Token, do func() (string, error)) (string, error) {
		if account == shopName(0) && tok.Disconnected != nil && first {
			first = false
			for i := 1; i < 4; i++ { // two more are refused: pause; then one is granted
				_ = get(t.Context(), b.Client(shopName(i)))
			}
		}
		return do()
	}
	require.ErrorIs(t, get(t.Context(), a.Client(shopName(0))), pinterest.ErrRefreshPaused)
	d, _ := marksOf(t, store, 4)
	assert.Empty(t, d)
}

// The record of an account cannot be read any more. Its mark does not keep refreshes
// paused for ever.
func TestMarkThatCannotBeUndone(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(grantBy(func(refresh string) bool { return refresh < "pinr.03" }))
	store := &hookStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	tokensOf(t, store, 5, nil)
	app := storedApp(t, s, store)
	for i := range 3 {
		require.Error(t, get(t.Context(), app.Client(shopName(i))))
	}
	store.load = func(account string) error {
		if account == shopName(0) {
			return errors.New("damaged")
		}
		return nil
	}
	require.NoError(t, get(t.Context(), app.Client(shopName(3))), "it is granted a token")
	_, err := app.RefreshDue(t.Context())
	require.ErrorIs(t, err, pinterest.ErrRefreshPaused, "the mark may still be undone")
	s.clock.advance(24 * time.Hour)
	require.NoError(t, get(t.Context(), app.Client(shopName(4))))
	_, err = app.RefreshDue(t.Context())
	require.NoError(t, err)
}
