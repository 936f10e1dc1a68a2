//go:build unix

package filestore_test

import (
	"context"
	"fmt"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// terminated is a store whose saves begin when the process is told to end: each of
// them is between the answer to a refresh and its save by then.
type terminated struct {
	*filestore.Store
	term    context.Context
	arrived *sync.WaitGroup
}

func (s terminated) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	s.arrived.Done()
	<-s.term.Done()
	return s.Store.Save(ctx, account, tok)
}

func shopName(i int) string { return fmt.Sprint("drained ", i) }

// playDrain calls for N accounts, whose tokens have to be refreshed, and ends as a
// service does at SIGTERM. It prints a line when all of them have a new token that is
// not saved.
func playDrain(ctx context.Context, s *filestore.Store, r role) error {
	term, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	var arrived sync.WaitGroup
	arrived.Add(r.N)
	app, err := newApp(terminated{s, term, &arrived}, r)
	if err != nil {
		return err
	}
	for i := range r.N {
		go func() { _, _ = app.Client(shopName(i)).Account.Get(term) }()
	}
	arrived.Wait()
	fmt.Println("not saved")
	<-term.Done()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return app.Shutdown(ctx)
}

// A process gets SIGTERM between the answers to its refreshes and their saves, 200
// times. Refresh tokens can be used once: an account whose save is lost is lost.
func TestNoAccountIsLostAtATermination(t *testing.T) {
	const processes, accounts = 10, 20
	srv, s, r := connected(t, pinteresttest.WithRotation(pinteresttest.SingleUse))
	for i := range accounts {
		owner := srv.AddAccount(shopName(i))
		save(t, s, shopName(i), pinterest.Token{AccessToken: owner.AccessToken, RefreshToken: owner.RefreshToken})
	}
	r.Play, r.N = "drain", accounts
	for range processes {
		srv.ExpireAllTokens()
		cmd, wait := begin(t, r)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		wait()
	}
	assert.Equal(t, processes*accounts, srv.CountTokenCalls(pinteresttest.Account{}, ""))
	app, err := newApp(s, r)
	require.NoError(t, err)
	srv.ExpireAllTokens()
	for i := range accounts {
		_, err := app.Client(shopName(i)).Account.Get(t.Context())
		assert.NoError(t, err, "the account is lost")
	}
	assert.Empty(t, srv.Reuses(), "a refresh token is used once")
}
