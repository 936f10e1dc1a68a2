//go:build unix

package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/internal/testproc"
	"github.com/pinterest-go/pinterest/internal/testrenew"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// These tests show that an account stays connected, and is refreshed once, when
// many processes call for it and die.

// newApp makes an App of the role's store and API.
func newApp(s pinterest.TokenStore, r role, opts ...pinterest.Option) (*pinterest.App, error) {
	return pinterest.NewApp(append(opts,
		pinterest.WithTokenStore(s), pinterest.WithBaseURL(r.URL), pinterest.WithoutPacing(),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: r.ID, ClientSecret: r.Secret}),
	)...)
}

const callsEach = 12

// playCall calls from N goroutines, each of them for a client of its own.
func playCall(ctx context.Context, s *filestore.Store, r role) error {
	app, err := newApp(s, r)
	if err != nil {
		return err
	}
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range r.N {
		wg.Go(func() {
			for range callsEach {
				if _, err := app.Client("shop-1").Account.Get(ctx); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// mortal is a store whose process kills itself at a save.
type mortal struct {
	*filestore.Store
	after bool
}

func (m mortal) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	var version string
	var err error
	if m.after {
		version, err = m.Store.Save(ctx, account, tok)
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	return version, err
}

func playDieBefore(ctx context.Context, s *filestore.Store, r role) error {
	return callOnce(ctx, mortal{s, false}, r)
}

func playDieAfter(ctx context.Context, s *filestore.Store, r role) error {
	return callOnce(ctx, mortal{s, true}, r)
}

func callOnce(ctx context.Context, s pinterest.TokenStore, r role) error {
	app, err := newApp(s, r)
	if err != nil {
		return err
	}
	_, err = app.Client("shop-1").Account.Get(ctx)
	return err
}

// connected starts an API and a store with one connected account.
func connected(t *testing.T, opts ...pinteresttest.Option) (*pinteresttest.Server, *filestore.Store, role) {
	t.Helper()
	srv := pinteresttest.NewServer(append(opts, pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())...)
	t.Cleanup(srv.Close)
	r := role{Dir: t.TempDir(), N: callers, URL: srv.URL, ID: srv.App().ID, Secret: srv.App().Secret}
	s, err := filestore.Open(r.Dir)
	require.NoError(t, err)
	owner := srv.AddAccount("alice")
	_, err = s.Save(t.Context(), "shop-1", &pinterest.Token{AccessToken: owner.AccessToken, RefreshToken: owner.RefreshToken})
	require.NoError(t, err)
	return srv, s, r
}

// The tokens of eight processes with a thousand goroutines each stop working without
// notice, three times. Refresh tokens can be used once.
func TestOneTokenCallOfManyProcesses(t *testing.T) {
	const processes, surprises = 8, 3
	srv, _, r := connected(t)
	r.Play = "call"
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() {
			out, err := testproc.Command(t.Context(), t, r).CombinedOutput()
			assert.NoError(t, err, "%s", out)
		})
	}
	// A call tries three tokens at most. Between two surprises there is time for most
	// calls to end; one that meets the second of them, too, still has a try left.
	total := processes * callers * callsEach
	for i := range surprises {
		at := processes * callers * (1 + 4*i)
		require.Eventually(t, func() bool { return srv.Count("user_account/get") >= at }, time.Minute, time.Millisecond)
		srv.ExpireAllTokens()
	}
	wg.Wait()
	assert.Equal(t, surprises, srv.CountTokenCalls(pinteresttest.Account{}, ""), "one token call a generation")
	assert.Empty(t, srv.Reuses(), "a refresh token is used once")
	assert.GreaterOrEqual(t, srv.Count("user_account/get"), total)
	t.Logf("%d calls of %d goroutines in %d processes, %d requests", total, processes*callers, processes, srv.Count("user_account/get"))
}

// playFollow calls until the account is disconnected, and prints a line when it was
// connected first.
func playFollow(ctx context.Context, s *filestore.Store, r role) error {
	app, err := newApp(s, r, pinterest.WithFollowEvery(time.Millisecond))
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		_, err := app.Client("shop-1").Account.Get(ctx)
		switch {
		case errors.Is(err, pinterest.ErrDisconnected) && n > 0:
			return nil
		case err != nil:
			return err
		case n == 0:
			fmt.Println("connected")
		}
	}
}

// A process notices what another one has done to an account, although its own token
// is good.
func TestProcessFollowsAnother(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *filestore.Store, app *pinterest.App){
		"it is disconnected": func(t *testing.T, _ *filestore.Store, app *pinterest.App) {
			require.NoError(t, app.OAuth.Disconnect(t.Context(), "shop-1"))
		},
		"it is marked": func(t *testing.T, s *filestore.Store, _ *pinterest.App) {
			tok, err := s.Load(t.Context(), "shop-1")
			require.NoError(t, err)
			tok.Disconnected = &pinterest.Disconnection{Reason: "revoked by its owner"}
			save(t, s, "shop-1", *tok)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, r := connected(t)
			app, err := newApp(s, r)
			require.NoError(t, err)
			r.Play = "follow"
			wait := testrenew.Line(t, testproc.Command(t.Context(), t, r))
			end(t, s, app)
			wait()
		})
	}
}

func died(t *testing.T, err error) {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

// A process is killed after the token answer, before or after the save. The
// account survives where the answer was saved, or where Pinterest takes the old
// refresh token again. Otherwise it is disconnected, once.
func TestProcessThatDiesInTheMiddleOfARefresh(t *testing.T) {
	for _, tt := range []struct {
		play     string
		rotation pinteresttest.Rotation
		survives bool
		calls    int // of the token endpoint, both processes together
	}{
		{"die after the save", pinteresttest.SingleUse, true, 1},
		{"die before the save", pinteresttest.Reusable, true, 2},
		{"die before the save", pinteresttest.SingleUse, false, 2},
	} {
		t.Run(fmt.Sprint(tt.play, ", survives: ", tt.survives), func(t *testing.T) {
			t.Parallel()
			srv, s, r := connected(t, pinteresttest.WithRotation(tt.rotation))
			srv.ExpireAllTokens()
			r.Play = tt.play
			_, err := testproc.Command(t.Context(), t, r).CombinedOutput()
			died(t, err)

			app, err := newApp(s, r)
			require.NoError(t, err)
			for range 5 {
				_, err = app.Client("shop-1").Account.Get(t.Context())
				if tt.survives {
					require.NoError(t, err)
					continue
				}
				var failure *pinterest.Error
				require.ErrorAs(t, err, &failure)
				assert.Equal(t, pinterest.DispositionReauthorize, failure.Disposition)
				assert.ErrorIs(t, err, pinterest.ErrDisconnected)
			}
			assert.Equal(t, tt.calls, srv.CountTokenCalls(pinteresttest.Account{}, ""), "no loop")
			tok, err := s.Load(t.Context(), "shop-1")
			require.NoError(t, err)
			assert.Equal(t, tt.survives, tok.Disconnected == nil)
		})
	}
}
