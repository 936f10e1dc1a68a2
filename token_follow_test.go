package pinterest_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// watchedStore counts how often it is looked at, and can fail.
type watchedStore struct {
	*tokenStore
	looks atomic.Int32
	onTry func(ctx context.Context) error // of a look
}

func (s *watchedStore) Version(ctx context.Context, account string) (string, error) {
	s.looks.Add(1)
	if s.onTry != nil {
		if err := s.onTry(ctx); err != nil {
			return "", err
		}
	}
	if err := s.failure("Version"); err != nil {
		return "", err
	}
	return s.tokenStore.Version(ctx, account)
}

func newWatchedStore(t *testing.T, tok pinterest.Token) *watchedStore {
	t.Helper()
	return &watchedStore{tokenStore: newTokenStore(t, tok)}
}

// change saves a changed token, as another process does.
func (s *tokenStore) change(t *testing.T, f func(tok *pinterest.Token)) {
	t.Helper()
	tok := s.stored(t)
	f(tok)
	_, err := s.MemoryTokenStore.Save(t.Context(), "shop-1", tok)
	require.NoError(t, err)
}

// of returns the events of one type.
func (r *recorder) of(typ pinterest.EventType) (list []pinterest.Event) {
	for _, e := range r.all() {
		if e.Type == typ {
			list = append(list, e)
		}
	}
	return list
}

const followEvery = 30 * time.Second

func TestWhatAnotherProcessDoesIsFollowed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		act  func(t *testing.T, other *pinterest.App, store *watchedStore)
		want string // the token that is used then; "": ErrDisconnected
	}{
		"it disconnects": {func(t *testing.T, other *pinterest.App, _ *watchedStore) {
			assert.NoError(t, other.OAuth.Disconnect(t.Context(), "shop-1"))
		}, ""},
		"it marks the account": {func(t *testing.T, _ *pinterest.App, store *watchedStore) {
			store.change(t, func(tok *pinterest.Token) {
				tok.Disconnected = &pinterest.Disconnection{At: time.Now(), Reason: "revoked by its owner"}
			})
		}, ""},
		"it connects again": {func(t *testing.T, _ *pinterest.App, store *watchedStore) {
			store.change(t, func(tok *pinterest.Token) { tok.AccessToken, tok.RefreshToken = newAccess, newRefresh })
		}, newAccess},
		"it deletes, then connects": {func(t *testing.T, other *pinterest.App, store *watchedStore) {
			assert.NoError(t, other.OAuth.Disconnect(t.Context(), "shop-1"))
			_, err := store.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: newAccess})
			assert.NoError(t, err)
		}, newAccess},
		"it changes what is known of the token": {func(t *testing.T, _ *pinterest.App, store *watchedStore) {
			store.change(t, func(tok *pinterest.Token) { tok.Scopes = []pinterest.Scope{"boards:read", "pins:read"} })
		}, accessToken},
		"it does nothing": {func(*testing.T, *pinterest.App, *watchedStore) {}, accessToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always())
			tok := oldToken()
			tok.Expiry = s.clock.Now().Add(30 * 24 * time.Hour)
			store := newWatchedStore(t, tok)
			worker, other := storedApp(t, s, store), storedApp(t, s, store)
			c := shop(worker) // a client that lives long
			require.NoError(t, get(t.Context(), c))
			require.NoError(t, get(t.Context(), shop(other)))
			tt.act(t, other, store)
			before := store.looks.Load()
			s.clock.advance(followEvery - time.Second)
			require.NoError(t, get(t.Context(), c))
			assert.Equal(t, before, store.looks.Load(), "the store is not asked by every call")

			s.clock.advance(time.Second)
			sent := s.count(toCall)
			for range 3 {
				err := get(t.Context(), c)
				if tt.want == "" {
					require.ErrorIs(t, err, pinterest.ErrDisconnected)
					assert.Equal(t, reauthorize, failure(t, err).Disposition)
					continue
				}
				require.NoError(t, err)
			}
			assert.Equal(t, before+1, store.looks.Load())
			for _, req := range s.received(toCall)[sent:] {
				assert.Equal(t, "Bearer "+tt.want, req.header.Get("Authorization"))
			}
			assert.Zero(t, s.count(toToken))
		})
	}
}

func TestFollowEvery(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	store := newWatchedStore(t, oldToken())
	app := storedApp(t, s, store, pinterest.WithFollowEvery(time.Hour))
	for range 5 {
		require.NoError(t, get(t.Context(), shop(app)))
		s.clock.advance(20 * time.Minute)
	}
	assert.EqualValues(t, 1, store.looks.Load())
	for _, d := range []time.Duration{0, -time.Second} {
		_, err := pinterest.NewApp(pinterest.WithTokenStore(store), pinterest.WithFollowEvery(d))
		require.ErrorContains(t, err, "WithFollowEvery")
	}
}

func TestOneLookForAllCalls(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	store := newWatchedStore(t, oldToken())
	app := storedApp(t, s, store)
	require.NoError(t, get(t.Context(), shop(app)))
	s.clock.advance(followEvery)
	release := make(chan struct{})
	store.onTry = func(context.Context) error { <-release; return nil }
	store.change(t, func(tok *pinterest.Token) { tok.Disconnected = &pinterest.Disconnection{Reason: "x"} })
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { assert.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrDisconnected) })
	}
	close(release)
	wg.Wait()
	assert.EqualValues(t, 1, store.looks.Load())
	assert.Equal(t, 1, s.count(toCall))
}

// A store that is down stops no call whose token is good. The operator hears of it
// once, and what was missed is followed when it is up again.
func TestStoreThatIsDownWhileATokenIsGood(t *testing.T) {
	t.Parallel()
	down := errors.New("no route to host")
	for name, method := range map[string]string{"a look fails": "Version", "reading fails": "Load"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always())
			store := newWatchedStore(t, oldToken())
			var seen recorder
			app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
			require.NoError(t, get(t.Context(), shop(app)))
			store.change(t, func(tok *pinterest.Token) { tok.Disconnected = &pinterest.Disconnection{Reason: "x"} })
			for outage := 1; outage <= 2; outage++ {
				store.set(method, down)
				for range 10 {
					s.clock.advance(followEvery)
					require.NoError(t, get(t.Context(), shop(app)))
				}
				events := seen.of(pinterest.EventStoreFailed)
				require.Len(t, events, outage, "once an outage")
				assert.Equal(t, "shop-1", events[0].Account)
				assert.ErrorIs(t, events[0].Err, down)
				if outage == 1 { // nothing has changed when it is up again
					store.set(method, nil)
					tok := store.stored(t)
					store.change(t, func(tok *pinterest.Token) { tok.Disconnected = nil })
					s.clock.advance(followEvery)
					require.NoError(t, get(t.Context(), shop(app)))
					store.change(t, func(now *pinterest.Token) { now.Disconnected = tok.Disconnected })
				}
			}
			store.set(method, nil)
			s.clock.advance(followEvery)
			require.ErrorIs(t, get(t.Context(), shop(app)), pinterest.ErrDisconnected)
		})
	}
}

// A store that does not answer costs a call five seconds, and the next ones nothing.
func TestStoreThatHangsWhileATokenIsGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := pinteresttest.NewMemoryServer()
		defer srv.Close()
		alice := srv.AddAccount("alice")
		store := newWatchedStore(t, pinterest.Token{AccessToken: alice.AccessToken})
		store.onTry = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		app, err := pinterest.NewApp(pinterest.WithTokenStore(store), pinterest.WithBaseURL(srv.URL), pinterest.WithHTTPClient(&http.Client{Transport: srv.Transport()}))
		require.NoError(t, err)
		call := func() time.Duration {
			began := time.Now()
			_, err := shop(app).Account.Get(t.Context())
			require.NoError(t, err)
			return time.Since(began)
		}
		call()
		time.Sleep(followEvery)
		assert.GreaterOrEqual(t, call(), 5*time.Second)
		assert.Less(t, call(), time.Second)
	})
}

func TestStoreThatPanicsWhileATokenIsGood(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	store := newWatchedStore(t, oldToken())
	app := storedApp(t, s, store)
	require.NoError(t, get(t.Context(), shop(app)))
	store.onTry = func(context.Context) error { panic("a defect of the store") }
	s.clock.advance(followEvery)
	require.NoError(t, get(t.Context(), shop(app)))
}

// The account is connected again, to another Pinterest user. Whoever has begun to
// work for the old one must not go on for the new one.
func TestAccountOfAnotherUser(t *testing.T) {
	t.Parallel()
	oak, linen := pinterest.PinterestUser{ID: "1001", Username: "oak"}, pinterest.PinterestUser{ID: "2002", Username: "linen"}
	s := newServer(t, okPin().always())
	tok := oldToken()
	tok.User = &oak
	store := newWatchedStore(t, tok)
	var seen recorder
	app := storedApp(t, s, store, pinterest.WithObserver(seen.observe))
	early := shop(app) // made before anything was known
	require.NoError(t, get(t.Context(), early))
	idle := shop(app) // has not called yet
	store.change(t, func(tok *pinterest.Token) { tok.AccessToken, tok.User = newAccess, &linen })
	late := shop(app) // made after the change, before this process has noticed
	s.clock.advance(followEvery)
	sent := s.count(toCall)
	for _, c := range []*pinterest.Client{early, idle, late, early, idle} {
		err := get(t.Context(), c)
		require.ErrorIs(t, err, pinterest.ErrOtherUser)
		e := failure(t, err)
		assert.Equal(t, review, e.Disposition)
		assert.ErrorIs(t, err, pinterest.ErrPrecondition)
		assert.Contains(t, err.Error(), "linen (2002)")
		assert.Contains(t, err.Error(), "oak (1001)")
		assert.Contains(t, e.UserMessage(), "Another Pinterest account")
	}
	assert.Equal(t, sent, s.count(toCall), "nothing is sent")

	events := seen.of(pinterest.EventUserChanged)
	require.Len(t, events, 1, "once")
	assert.Equal(t, "shop-1", events[0].Account)
	var changed *pinterest.OtherUserError
	require.ErrorAs(t, events[0].Err, &changed)
	assert.Equal(t, pinterest.OtherUserError{Connected: oak, Now: linen}, *changed)

	fresh := shop(app)
	require.NoError(t, get(t.Context(), fresh), "a new client is for the new user")
	assert.Equal(t, "Bearer "+newAccess, s.received(toCall)[sent].header.Get("Authorization"))

	// A token whose user is not known, and one of the same user, change nothing.
	store.change(t, func(tok *pinterest.Token) { tok.User = nil })
	s.clock.advance(followEvery)
	require.NoError(t, get(t.Context(), fresh))
	store.change(t, func(tok *pinterest.Token) {
		tok.User = &pinterest.PinterestUser{ID: linen.ID, Username: "renamed"}
	})
	s.clock.advance(followEvery)
	require.NoError(t, get(t.Context(), fresh))

	// The old user comes back: its clients go on.
	store.change(t, func(tok *pinterest.Token) { tok.User = &oak })
	s.clock.advance(followEvery)
	require.ErrorIs(t, get(t.Context(), fresh), pinterest.ErrOtherUser)
	require.NoError(t, get(t.Context(), early))
	assert.Len(t, seen.of(pinterest.EventUserChanged), 2)
}

// A job says whom it is for, in a process that has never seen the user before.
func TestCallForAUser(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		user *pinterest.PinterestUser
		ok   bool
	}{
		"the same":  {&pinterest.PinterestUser{ID: "1001", Username: "renamed"}, true},
		"another":   {&pinterest.PinterestUser{ID: "2002", Username: "linen"}, false},
		"not known": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, okPin().always())
			tok := oldToken()
			tok.User = tt.user
			c := shop(storedApp(t, s, newTokenStore(t, tok)))
			err := get(t.Context(), c, pinterest.ForUser("1001"))
			if tt.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, pinterest.ErrOtherUser)
			assert.Equal(t, review, failure(t, err).Disposition)
			assert.Contains(t, err.Error(), "1001")
			assert.Empty(t, s.kinds())
			require.NoError(t, get(t.Context(), c), "a call that does not say")
		})
	}
	c := newClient(t, newServer(t))
	require.ErrorIs(t, get(t.Context(), c, pinterest.ForUser("")), pinterest.ErrInvalid)
	require.ErrorIs(t, get(t.Context(), c, pinterest.ForUser("1"), pinterest.UsingToken(accessToken)), pinterest.ErrInvalid)
}

// The account gets another user after a create was sent: it is not looked up there,
// where its absence would prove nothing.
func TestCreateWhoseAccountGetsAnotherUser(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]pinterest.CallOption{"of a client": nil, "for a user": {pinterest.ForUser("1001")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := oldToken()
			tok.User = &pinterest.PinterestUser{ID: "1001"}
			store := newTokenStore(t, tok)
			s := newServer(t, reply{act: func(_ *server, w http.ResponseWriter, _ *http.Request) {
				store.change(t, func(tok *pinterest.Token) { tok.User = &pinterest.PinterestUser{ID: "2002"} })
				w.WriteHeader(http.StatusInternalServerError)
			}})
			s.clock.advance(time.Hour)
			c := shop(storedApp(t, s, store, pinterest.WithFollowEvery(time.Nanosecond)))
			_, err := c.Pins.Create(t.Context(), pinCreate(), opts...)
			require.ErrorIs(t, err, pinterest.ErrUncertain)
			require.ErrorIs(t, err, pinterest.ErrOtherUser)
			assert.Equal(t, 1, s.count(toCall), "it is not sent again")
		})
	}
}

// The account is disconnected and then connected to another user: the process that
// has seen the first remembers whom it worked for.
func TestAccountOfAnotherUserAfterADisconnect(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	tok := oldToken()
	tok.User = &pinterest.PinterestUser{ID: "1001"}
	store := newTokenStore(t, tok)
	app := storedApp(t, s, store)
	c := shop(app)
	require.NoError(t, get(t.Context(), c))
	require.NoError(t, app.OAuth.Disconnect(t.Context(), "shop-1"))
	require.ErrorIs(t, get(t.Context(), c), pinterest.ErrDisconnected)
	_, err := store.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: newAccess, User: &pinterest.PinterestUser{ID: "2002"}})
	require.NoError(t, err)
	s.clock.advance(followEvery)
	require.ErrorIs(t, get(t.Context(), c), pinterest.ErrOtherUser)
	require.NoError(t, get(t.Context(), shop(app)))
}

// The answer to a refresh does not name the user.
func TestRefreshedTokenKeepsItsUser(t *testing.T) {
	t.Parallel()
	s := newServer(t, byToken()).onToken(granted())
	tok := oldToken()
	tok.User = &pinterest.PinterestUser{ID: "1001", Username: "oak"}
	store := newTokenStore(t, tok)
	require.NoError(t, get(t.Context(), shop(storedApp(t, s, store))))
	assert.Equal(t, newRefresh, store.stored(t).RefreshToken)
	assert.Equal(t, tok.User, store.stored(t).User)
}
