package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
)

// A bomb makes code of the caller's panic. The zero bomb does not.
type bomb struct {
	mu   sync.Mutex
	in   string // the method
	fuse int    // how many calls of it go well before
	how  func() // nil: with "boom"
}

// set has the method panic, after some calls, until it is set again.
func (b *bomb) set(in string, fuse int, how func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.in, b.fuse, b.how = in, fuse, how
}

// explode panics if it is the method's turn.
func (b *bomb) explode(method string) {
	b.mu.Lock()
	how := b.how
	if b.in == method {
		b.fuse--
	}
	quiet := b.in != method || b.fuse >= 0
	b.mu.Unlock()
	if quiet {
		return
	}
	if how != nil {
		how()
	}
	panic("boom")
}

// A panickyStore is a TokenStore whose methods panic.
type panickyStore struct {
	bomb
	*pinterest.MemoryTokenStore
}

func newPanickyStore(t *testing.T, accounts ...string) *panickyStore {
	t.Helper()
	s := &panickyStore{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
	for _, account := range accounts {
		tok := oldToken()
		_, err := s.MemoryTokenStore.Save(t.Context(), account, &tok)
		require.NoError(t, err)
	}
	return s
}

func (s *panickyStore) Lock(ctx context.Context, account string) (func(), error) {
	s.explode("Lock")
	unlock, err := s.MemoryTokenStore.Lock(ctx, account)
	return func() {
		unlock()
		s.explode("unlock")
	}, err
}

func (s *panickyStore) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	s.explode("Load")
	return s.MemoryTokenStore.Load(ctx, account)
}

func (s *panickyStore) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	s.explode("Save")
	return s.MemoryTokenStore.Save(ctx, account, tok)
}

func (s *panickyStore) Delete(ctx context.Context, account string) error {
	s.explode("Delete")
	return s.MemoryTokenStore.Delete(ctx, account)
}

func (s *panickyStore) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	s.explode("Due")
	return func(yield func(string, error) bool) {
		s.explode("Due's sequence")
		for account, err := range s.MemoryTokenStore.Due(ctx, before) {
			if !yield(account, err) {
				s.explode("the end of Due")
				return
			}
			s.explode("Due's sequence")
		}
	}
}

func (s *panickyStore) Version(ctx context.Context, account string) (string, error) {
	s.explode("Version")
	return s.MemoryTokenStore.Version(ctx, account)
}

func (s *panickyStore) Accounts(ctx context.Context) iter.Seq2[string, error] {
	s.explode("Accounts")
	return func(yield func(string, error) bool) {
		s.explode("Accounts' sequence")
		for account, err := range s.MemoryTokenStore.Accounts(ctx) {
			if !yield(account, err) {
				s.explode("the end of Accounts")
				return
			}
			s.explode("Accounts' sequence")
		}
	}
}

// assertPanic checks that an error tells of a panic in the method and where it was,
// and that it has no secret. It can be called from any goroutine.
func assertPanic(t testing.TB, err, sentinel error, method string) {
	t.Helper()
	var e *pinterest.Error
	if !assert.ErrorAs(t, err, &e) {
		return
	}
	assert.ErrorIs(t, err, sentinel)
	assert.Contains(t, e.Error(), "panic in "+method+" (guard_test.go:")
	for _, link := range chain(err) {
		text := fmt.Sprintf("%v %+v %#v", link, link, link)
		for _, secret := range []string{accessToken, newAccess, oldRefresh, newRefresh} {
			assert.NotContains(t, text, secret)
		}
	}
}

// bombs are the ways to panic.
func bombs() map[string]func() {
	var nothing *pinterest.Token
	return map[string]func(){
		"a text":                nil,
		"an error":              func() { panic(errors.New("cannot save " + newAccess)) },
		"a token":               func() { panic(struct{ Access, Refresh string }{newAccess, newRefresh}) },
		"a nil pointer":         func() { _ = nothing.AccessToken },
		"nil":                   func() { panic(nil) }, //nolint:govet // what a store may do
		"an error that panics":  func() { panic(panickyError{}) },
		"a panic while it ends": func() { defer func() { panic("again") }(); panic("boom") },
	}
}

type panickyError struct{}

func (panickyError) Error() string { panic("no text") }

// A panic in a store is an error for all who wait, whatever the value. The next call
// succeeds, and no token is lost.
func TestStoreThatPanics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, said string
		fuse         int
	}{
		{"Load", "TokenStore.Load", 0},
		{"Load", "TokenStore.Load", 1}, // under the lock
		{"Lock", "TokenStore.Lock", 0},
		{"Save", "TokenStore.Save", 0},
		{"unlock", "unlock", 0},
	} {
		for name, how := range bombs() {
			t.Run(fmt.Sprint(tt.method, " ", tt.fuse, ", ", name), func(t *testing.T) {
				t.Parallel()
				s := newServer(t, byToken()).onToken(granted(), grantRefused)
				store := newPanickyStore(t, "shop-1")
				app := storedApp(t, s, store)
				store.set(tt.method, tt.fuse, how)
				assertPanic(t, get(t.Context(), shop(app)), pinterest.ErrTokenStore, tt.said)
				store.set("", 0, nil)
				s.clock.advance(time.Minute)
				require.NoError(t, get(t.Context(), shop(app)))
				assert.Equal(t, 1, s.count(toToken))
				tok, err := store.Load(t.Context(), "shop-1")
				require.NoError(t, err)
				assert.Equal(t, newRefresh, tok.RefreshToken)
			})
		}
	}
}

// Everyone who waits for the refresh gets the error.
func TestStoreThatPanicsWhileManyWait(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	store := newPanickyStore(t, "shop-1")
	app := storedApp(t, s, store)
	store.set("Load", 0, nil)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { assertPanic(t, get(t.Context(), shop(app)), pinterest.ErrTokenStore, "TokenStore.Load") })
	}
	wg.Wait()
}

// A store that ends the goroutine of a refresh, as t.FailNow does, leaves nobody
// waiting.
func TestStoreThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	store := newPanickyStore(t, "shop-1")
	app := storedApp(t, s, store)
	store.set("Load", 0, runtime.Goexit)
	err := promptly(t, func() error { return get(t.Context(), shop(app)) })
	require.ErrorContains(t, err, "runtime.Goexit")
	assert.Equal(t, review, failure(t, err).Disposition)
	store.set("", 0, nil)
	s.clock.advance(time.Minute)
	require.NoError(t, get(t.Context(), shop(app)))
}

// A refresh ahead of time, for which no call waits, does not end the process.
func TestStoreThatPanicsInTheBackground(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Load", "Lock", "Save", "unlock"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always()).onToken(granted())
			store := newPanickyStore(t)
			tok := oldToken()
			tok.Expiry = s.clock.Now().Add(time.Hour)
			_, err := store.Save(t.Context(), "shop-1", &tok)
			require.NoError(t, err)
			app := storedApp(t, s, store)
			require.NoError(t, get(t.Context(), shop(app)))
			s.clock.advance(56 * time.Minute)
			exploded := make(chan struct{}, 100)
			store.set(method, 0, func() {
				exploded <- struct{}{}
				panic("boom")
			})
			require.NoError(t, get(t.Context(), shop(app)), "the token is good")
			<-exploded
			require.NoError(t, get(t.Context(), shop(app)))
			store.set("", 0, nil)
			s.clock.advance(time.Hour)
			require.NoError(t, get(t.Context(), shop(app)))
			assert.Equal(t, 1, s.count(toToken))
		})
	}
}

func TestRefreshDueOfAStoreThatPanics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method    string
		fuse      int
		refreshed int
		said      string // of the run
		failed    string // of each account
	}{
		{"Due", 0, 0, "TokenStore.Due", ""},
		{"Due's sequence", 0, 0, "TokenStore.Due", ""},
		{"Due's sequence", 2, 2, "TokenStore.Due", ""},
		{"the end of Due", 0, 3, "", ""},
		{"Save", 0, 0, "", "TokenStore.Save"},
		{"Lock", 0, 0, "", "TokenStore.Lock"},
	} {
		t.Run(fmt.Sprint(tt.method, " ", tt.fuse), func(t *testing.T) {
			t.Parallel()
			s := newServer(t).onToken(granted().always())
			store := newPanickyStore(t)
			for i := range 3 {
				tok := oldToken()
				tok.Expiry = s.clock.Now()
				_, err := store.Save(t.Context(), fmt.Sprint("shop-", i), &tok)
				require.NoError(t, err)
			}
			store.set(tt.method, tt.fuse, nil)
			report, err := storedApp(t, s, store).RefreshDue(t.Context())
			if tt.said != "" {
				assertPanic(t, err, pinterest.ErrTokenStore, tt.said)
			} else {
				require.NoError(t, err)
			}
			assert.Equal(t, tt.refreshed, report.Refreshed)
			if tt.failed != "" {
				assert.Len(t, report.Failed, 3)
			}
			for _, err := range report.Failed {
				assertPanic(t, err, pinterest.ErrTokenStore, tt.failed)
			}
		})
	}
}

func TestConnectionToAStoreThatPanics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, said string // "": the connection does not come to it
		fuse         int
	}{
		{"Load", "TokenStore.Load", 0}, {"Save", "TokenStore.Save", 0}, // of the state
		{"Load", "TokenStore.Load", 1}, {"Save", "TokenStore.Save", 1}, // of the token
		{"Lock", "", 0}, {"unlock", "", 0},
	} {
		t.Run(fmt.Sprint(tt.method, " ", tt.fuse), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			store := newPanickyStore(t)
			app, err := pinterest.NewApp(pinterest.WithTokenStore(store), pinterest.WithBaseURL(s.srv.URL), pinterest.WithClock(s.clock), pinterest.WithOAuth(pinterest.OAuth{
				ClientID: s.srv.App().ID, ClientSecret: s.srv.App().Secret, RedirectURL: s.web.URL + "/callback", AuthorizeURL: s.srv.AuthorizeURL(),
				Scopes: pinterest.ScopesFor(pinterest.OpUserAccountGet),
			}))
			require.NoError(t, err)
			login, err := app.OAuth.Login("shop-1")
			require.NoError(t, err)
			back, err := s.srv.Authorize(login.URL, s.alice)
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, back, nil)
			require.NoError(t, err)
			req.AddCookie(login.Cookie)
			store.set(tt.method, tt.fuse, nil)
			_, err = app.OAuth.Callback(t.Context(), req, "shop-1")
			if tt.said == "" {
				require.NoError(t, err)
				return
			}
			assertPanic(t, err, pinterest.ErrTokenStore, tt.said)
		})
	}
	t.Run("Delete", func(t *testing.T) {
		t.Parallel()
		store := newPanickyStore(t, "shop-1")
		store.set("Delete", 0, nil)
		err := storedApp(t, newServer(t), store).OAuth.Disconnect(t.Context(), "shop-1")
		assertPanic(t, err, pinterest.ErrTokenStore, "TokenStore.Delete")
	})
}

func TestAccountsOfAStoreThatPanics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method string
		fuse   int
		listed int
		said   string
	}{
		{"Accounts", 0, 0, "TokenStore.Accounts"},
		{"Accounts' sequence", 0, 0, "TokenStore.Accounts"},
		{"Accounts' sequence", 2, 2, "TokenStore.Accounts"},
		{"Load", 2, 2, "TokenStore.Load"}, // of the third
	} {
		t.Run(fmt.Sprint(tt.method, " ", tt.fuse), func(t *testing.T) {
			t.Parallel()
			store := newPanickyStore(t, "shop-1", "shop-2", "shop-3")
			store.set(tt.method, tt.fuse, nil)
			listed := 0
			var failed error
			for _, err := range storedApp(t, newServer(t), store).Accounts(t.Context()) {
				if failed = err; err == nil {
					listed++
				}
			}
			assert.Equal(t, tt.listed, listed)
			assertPanic(t, failed, pinterest.ErrTokenStore, tt.said)
		})
	}
	t.Run("when the loop is left", func(t *testing.T) {
		t.Parallel()
		store := newPanickyStore(t, "shop-1", "shop-2")
		store.set("the end of Accounts", 0, nil)
		for _, err := range storedApp(t, newServer(t), store).Accounts(t.Context()) {
			require.NoError(t, err)
			break
		}
	})
}

// A store or an observer that panics, or ends its goroutine, when a token is looked at
// again does not end the process, and the next look is not the last.
func TestFollowingAStoreThatPanics(t *testing.T) {
	t.Parallel()
	for name, how := range bombs() {
		t.Run("the store: "+name, func(t *testing.T) { followAfter(t, how, "panic in TokenStore.Version (guard_test.go:") })
	}
	t.Run("the store ends its goroutine", func(t *testing.T) { followAfter(t, runtime.Goexit, "runtime.Goexit") })
	t.Run("an observer of the failure", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, okPin().always())
		store := newPanickyStore(t, "shop-1")
		app := storedApp(t, s, store, pinterest.WithObserver(func(e pinterest.Event) {
			if e.Type == pinterest.EventStoreFailed {
				panic("boom")
			}
		}))
		require.NoError(t, get(t.Context(), shop(app)))
		store.set("Version", 0, nil)
		s.clock.advance(followEvery)
		err := get(t.Context(), shop(app))
		require.ErrorContains(t, err, "panic in an observer (guard_test.go:")
		assert.Equal(t, review, failure(t, err).Disposition)
		require.NoError(t, get(t.Context(), shop(app)))
	})
	for _, tt := range []struct {
		name string
		due  time.Duration // how long after the change the account calls
	}{{"an observer of another user", followEvery}, {"an observer of another user, after a refusal", 2 * time.Second}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, byToken())
			store := newPanickyStore(t)
			tok := pinterest.Token{AccessToken: newAccess, RefreshToken: oldRefresh, User: &pinterest.PinterestUser{ID: "1"}}
			version, err := store.Save(t.Context(), "shop-1", &tok)
			require.NoError(t, err)
			told := 0
			app := storedApp(t, s, store, pinterest.WithObserver(func(e pinterest.Event) {
				if e.Type == pinterest.EventUserChanged {
					told++
					panic("boom")
				}
			}))
			require.NoError(t, get(t.Context(), shop(app)))
			tok.AccessToken, tok.User, tok.Version = "pina_later", &pinterest.PinterestUser{ID: "2"}, version
			_, err = store.Save(t.Context(), "shop-1", &tok)
			require.NoError(t, err)
			s.mu.Lock()
			s.scripts[toCall] = []reply{refused, okPin().always()}
			if tt.due == followEvery {
				s.scripts[toCall] = []reply{okPin().always()}
			}
			s.mu.Unlock()
			s.clock.advance(tt.due)
			err = get(t.Context(), shop(app))
			require.ErrorContains(t, err, "panic in an observer (guard_test.go:")
			assert.Equal(t, review, failure(t, err).Disposition)
			require.NoError(t, get(t.Context(), shop(app)), "for the new user")
			assert.Equal(t, 1, told)
		})
	}
}

// followAfter checks that an account is followed again after its store has panicked.
func followAfter(t *testing.T, how func(), said string) {
	t.Helper()
	t.Parallel()
	s := newServer(t, okPin().always())
	store := newPanickyStore(t, "shop-1")
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	require.NoError(t, get(t.Context(), shop(app)))
	store.set("Version", 0, how)
	s.clock.advance(followEvery)
	require.NoError(t, promptly(t, func() error { return get(t.Context(), shop(app)) }), "the token is good")
	failed := seen.ofType(pinterest.EventStoreFailed)
	require.Len(t, failed, 1)
	assert.ErrorContains(t, failed[0].Err, said)
	store.set("", 0, nil)
	require.NoError(t, store.Delete(t.Context(), "shop-1"))
	s.clock.advance(followEvery)
	require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrDisconnected)
}

// A schedule goes on after a panic in the store, and reports it.
func TestScheduleOfAStoreThatPanics(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Load", "Lock", "Due", "unlock"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := newServer(t).onToken(granted().always())
			store := newPanickyStore(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			store.set(method, 0, nil)
			var first error
			said := map[string]string{"unlock": "unlock"}[method]
			if said == "" {
				said = "TokenStore." + method
			}
			err := storedApp(t, s, store).RefreshEvery(ctx, time.Hour, func(_ pinterest.RefreshReport, err error) {
				switch {
				case first == nil && err != nil:
					first = err
					store.set("", 0, nil)
				case err == nil && first != nil:
					stop()
				}
			})
			require.ErrorIs(t, err, context.Canceled)
			assertPanic(t, first, pinterest.ErrTokenStore, said)
		})
	}
}

// The functions of the other sources of tokens run in that goroutine as well.
func TestOtherTokenSourcesThatPanic(t *testing.T) {
	t.Parallel()
	t.Run("WithRefreshToken", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, byToken()).onToken(granted(), grantRefused)
		var b bomb
		b.set("Store", 0, func() { panic("cannot keep " + newRefresh) })
		a := newAccount(t, s, func(cfg *pinterest.RefreshConfig) {
			cfg.AccessToken = ""
			cfg.Store = func(context.Context, *oauth2.Token) error { b.explode("Store"); return nil }
		})
		assertPanic(t, get(t.Context(), a.Client), pinterest.ErrTokenStore, "RefreshConfig.Store")
		b.set("", 0, nil)
		require.NoError(t, get(t.Context(), a.Client), "the token was kept")
		assert.Equal(t, 1, s.count(toToken))
	})
	for name, how := range map[string]func(){"a panic": func() { panic("boom") }, "the end of its goroutine": runtime.Goexit} {
		t.Run("WithTokenSource, "+name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin())
			var b bomb
			b.set("Token", 0, how)
			client := newBareClient(t, s, pinterest.WithTokenSource(tokenFunc(func() (*oauth2.Token, error) {
				b.explode("Token")
				return &oauth2.Token{AccessToken: accessToken}, nil
			})))
			err := promptly(t, func() error { return get(t.Context(), client) })
			require.ErrorContains(t, err, "the token source")
			assert.Equal(t, review, failure(t, err).Disposition)
			b.set("", 0, nil)
			s.clock.advance(time.Minute)
			require.NoError(t, get(t.Context(), client))
		})
	}
	t.Run("an observer", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, byToken()).onToken(granted(), grantRefused)
		var b bomb
		b.set("refresh", 0, nil)
		store := newPanickyStore(t, "shop-1")
		app := storedApp(t, s, store, pinterest.WithObserver(func(e pinterest.Event) {
			if e.Type == pinterest.EventRefresh {
				b.explode("refresh")
			}
		}))
		err := get(t.Context(), shop(app))
		require.ErrorContains(t, err, "panic in a refresh (guard_test.go:")
		assert.Equal(t, review, failure(t, err).Disposition)
		s.clock.advance(time.Minute)
		require.NoError(t, get(t.Context(), shop(app)), "the token was saved before")
	})
}

// A panickyLedger is a Ledger whose methods panic.
type panickyLedger struct {
	bomb
	*pinterest.MemoryLedger
}

func (l *panickyLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	l.explode("Lock")
	held, unlock, err := l.MemoryLedger.Lock(ctx, names...)
	return held, func() {
		unlock()
		l.explode("unlock")
	}, err
}

func (l *panickyLedger) Load(ctx context.Context, name string) ([]byte, error) {
	kind, _, _ := strings.Cut(name, "/")
	l.explode("Load " + kind)
	return l.MemoryLedger.Load(ctx, name)
}

func (l *panickyLedger) Save(ctx context.Context, records map[string][]byte) error {
	l.explode("Save")
	return l.MemoryLedger.Save(ctx, records)
}

// However a ledger panics in CreateOnce, there is one pin for the key, and the next
// call with it returns that pin.
func TestLedgerThatPanics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, said string
		fuse         int
		made         bool // the pin is returned, besides the error
	}{
		{"Lock", "Ledger.Lock", 0, false},
		{"Load key", "Ledger.Load", 0, false},
		{"Save", "Ledger.Save", 0, false}, // the intent
		{"Save", "Ledger.Save", 1, true},  // the result
		{"unlock", "unlock", 0, true},
	} {
		t.Run(fmt.Sprint(tt.method, " ", tt.fuse), func(t *testing.T) {
			t.Parallel()
			l := &panickyLedger{MemoryLedger: pinterest.NewMemoryLedger()}
			s := newStudio(t, pinterest.WithLedger(l))
			l.set(tt.method, tt.fuse, nil)
			pin, err := s.client.Pins.CreateOnce(t.Context(), "job-1", s.pin())
			assertPanic(t, err, pinterest.ErrLedger, tt.said)
			assert.Equal(t, tt.made, pin != nil)
			l.set("", 0, nil)
			again, err := s.client.Pins.CreateOnce(t.Context(), "job-1", s.pin())
			require.NoError(t, err)
			assert.Equal(t, []string{again.ID}, slices.DeleteFunc(s.ids(), func(id string) bool { return id != again.ID }))
			assert.Len(t, s.ids(), 1)
			if tt.made {
				assert.Equal(t, pin.ID, again.ID)
			}
		})
	}
}

// A look-up asks the ledger whose a pin is.
func TestLedgerThatPanicsInALookup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ method, said string }{
		{"Lock", "Ledger.Lock"}, {"Load owner", "Ledger.Load"}, {"Save", "Ledger.Save"}, {"unlock", "unlock"},
	} {
		t.Run(tt.method, func(t *testing.T) {
			t.Parallel()
			l := &panickyLedger{MemoryLedger: pinterest.NewMemoryLedger()}
			s := newStudio(t)
			e := s.uncertain(s.pin(), true)
			other := s.newClient(pinterest.WithLedger(l))
			l.set(tt.method, 0, nil)
			_, err := other.Pins.Resolve(t.Context(), *e.Uncertain)
			require.ErrorContains(t, err, "panic in "+tt.said+" (guard_test.go:")
			require.ErrorAs(t, err, new(*pinterest.Error))
			l.set("", 0, nil)
			res, err := other.Pins.Resolve(t.Context(), *e.Uncertain)
			require.NoError(t, err)
			assert.Equal(t, pinterest.OutcomeCreated, res.Outcome)
		})
	}
}
