//go:build unix

// Package testrenew is for tests of token stores with processes that are ended or
// stopped between the answer to a refresh and its save. A refresh token can be used
// once, so a process that does not save the new one loses the account.
package testrenew

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A Role is what a process has to know besides its store.
type Role struct {
	URL, ID, Secret string
	Accounts        int
}

// Account returns the name of one of the role's accounts.
func Account(i int) string { return fmt.Sprint("renewed ", i) }

// Connect adds accounts to the API and the store, and returns the role of processes
// that call for them.
func Connect(t *testing.T, srv *pinteresttest.Server, s pinterest.TokenStore, accounts int) Role {
	t.Helper()
	for i := range accounts {
		owner := srv.AddAccount(Account(i))
		_, err := s.Save(t.Context(), Account(i), &pinterest.Token{AccessToken: owner.AccessToken, RefreshToken: owner.RefreshToken})
		require.NoError(t, err)
	}
	return Role{URL: srv.URL, ID: srv.App().ID, Secret: srv.App().Secret, Accounts: accounts}
}

func (r Role) app(s pinterest.TokenStore) (*pinterest.App, error) {
	return pinterest.NewApp(
		pinterest.WithTokenStore(s), pinterest.WithBaseURL(r.URL), pinterest.WithoutPacing(),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: r.ID, ClientSecret: r.Secret}),
	)
}

// App returns an App for the role's accounts.
func (r Role) App(t *testing.T, s pinterest.TokenStore) *pinterest.App {
	t.Helper()
	app, err := r.app(s)
	require.NoError(t, err)
	return app
}

// Line starts a process and waits for the first line that it prints. wait waits for
// its end, which must be a success.
func Line(t *testing.T, cmd *exec.Cmd) (wait func()) {
	t.Helper()
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return func() {
		t.Helper()
		require.NoError(t, cmd.Wait())
	}
}

// before is a store that calls a function before each save.
type before struct {
	pinterest.TokenStore
	save func()
}

func (s before) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	s.save()
	return s.TokenStore.Save(ctx, account, tok)
}

// PlayTerminated calls for all accounts, whose tokens have to be refreshed, and ends
// as a service does at SIGTERM. No token is saved before that. It prints a line when
// all of them are granted.
func PlayTerminated(ctx context.Context, s pinterest.TokenStore, r Role) error {
	term, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	var granted sync.WaitGroup
	granted.Add(r.Accounts)
	app, err := r.app(before{s, func() { granted.Done(); <-term.Done() }})
	if err != nil {
		return err
	}
	for i := range r.Accounts {
		go func() { _, _ = app.Client(Account(i)).Account.Get(term) }()
	}
	granted.Wait()
	fmt.Println("not saved")
	<-term.Done()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return app.Shutdown(ctx)
}

// Terminated ends as many processes with SIGTERM as it is told, one after the other.
// command returns one that plays PlayTerminated. No account may be lost.
func Terminated(t *testing.T, srv *pinteresttest.Server, s pinterest.TokenStore, r Role, processes int, command func() *exec.Cmd) {
	t.Helper()
	for range processes {
		expire(t, s, r)
		cmd := command()
		wait := Line(t, cmd)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		wait()
	}
	assert.Equal(t, processes*r.Accounts, srv.CountTokenCalls(pinteresttest.Account{}, ""))
	srv.ExpireAllTokens()
	requireConnected(t, r.App(t, s), r)
	assert.Empty(t, srv.Reuses(), "a refresh token is used once")
}

// expire ends the access tokens of all accounts.
func expire(t *testing.T, s pinterest.TokenStore, r Role) {
	t.Helper()
	for i := range r.Accounts {
		tok, err := s.Load(t.Context(), Account(i))
		require.NoError(t, err)
		tok.Expiry = time.Now().Add(-time.Minute)
		_, err = s.Save(t.Context(), Account(i), tok)
		require.NoError(t, err)
	}
}

// PlayStopped calls for the first account. It prints a line when the token is
// granted, and saves it when it gets SIGUSR1.
func PlayStopped(ctx context.Context, s pinterest.TokenStore, r Role) error {
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGUSR1)
	app, err := r.app(before{s, sync.OnceFunc(func() { fmt.Println("not saved"); <-goOn })})
	if err != nil {
		return err
	}
	_, err = app.Client(Account(0)).Account.Get(ctx)
	return err
}

// Stopped stops a process for longer than its lock lasts. command returns one that
// plays PlayStopped. Meanwhile another process needs a token of the same account, and
// is refused if refresh tokens can be used once. In the end the account is connected
// for both.
func Stopped(t *testing.T, srv *pinteresttest.Server, s pinterest.TokenStore, r Role, command func() *exec.Cmd) {
	t.Helper()
	srv.ExpireAllTokens()
	cmd := command()
	wait := Line(t, cmd)
	stop(t, cmd, s)
	_, err := r.App(t, s).Client(Account(0)).Account.Get(t.Context()) // waits for the lock
	if err != nil {
		require.ErrorIs(t, err, pinterest.ErrDisconnected)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGUSR1))
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	wait()
	assert.Equal(t, 2, srv.CountTokenCalls(pinteresttest.Account{}, ""))
	requireConnected(t, r.App(t, s), r)
}

// stop stops a process, but not in the middle of a write to a file that it has locked:
// nobody else could write then.
func stop(t *testing.T, cmd *exec.Cmd, s pinterest.TokenStore) {
	t.Helper()
	for i := range 20 {
		require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := s.Save(ctx, fmt.Sprint("probe ", i), &pinterest.Token{AccessToken: "probe"})
		cancel()
		if err == nil {
			return
		}
		require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	}
	t.Fatal("nobody else can write")
}

func requireConnected(t *testing.T, app *pinterest.App, r Role) {
	t.Helper()
	for i := range r.Accounts {
		_, err := app.Client(Account(i)).Account.Get(t.Context())
		require.NoError(t, err, "the account is lost")
	}
}
