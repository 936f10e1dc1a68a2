package accounts

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
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
	"github.com/pinterest-go/pinterest/filestore"
)

// TestMain is a worker of a fleet where the environment says so: it renews all
// that is due, again and again, and calls for accounts meanwhile.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HOSTILE_STORE"); dir != "" {
		if err := worker(dir, os.Getenv("HOSTILE_URL")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func worker(dir, base string) error {
	store, err := filestore.Open(dir)
	if err != nil {
		return err
	}
	app, err := pinterest.NewApp(pinterest.WithBaseURL(base), pinterest.WithTokenStore(store), pinterest.WithoutPacing(),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: clientID, ClientSecret: secret}))
	if err != nil {
		return err
	}
	term, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Println("ready")
	go func() {
		for term.Err() == nil {
			_, _ = app.RefreshDue(term)
			time.Sleep(time.Millisecond)
		}
	}()
	for i := range 4 {
		go func() {
			for term.Err() == nil {
				_, _ = app.Client(shop(i)).Account.Get(term)
			}
		}()
	}
	<-term.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return app.Shutdown(ctx)
}

func start(t *testing.T, dir, base string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HOSTILE_STORE="+dir, "HOSTILE_URL="+base)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd
}

// Workers over one folder are told to end at any moment of their renewals. All
// that was rotated is in the store.
func TestTermLosesNothing(t *testing.T) {
	fleetOfProcesses(t, syscall.SIGTERM)
}

// Workers are killed at any moment. Nobody is disconnected whose access token is
// good, and the next worker goes on at once with what the dead one had locked.
func TestKilledWorkers(t *testing.T) {
	fleetOfProcesses(t, syscall.SIGKILL)
}

func fleetOfProcesses(t *testing.T, sig syscall.Signal) {
	w := newWorld()
	w.lifetime = 3 * 24 * 3600 // due again at once
	w.after = func(http.ResponseWriter, *http.Request, tokenCall, map[string]any) bool {
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		return false
	}
	srv := httptest.NewServer(http.HandlerFunc(w.ServeHTTP))
	defer srv.Close()
	dir := t.TempDir()
	store, err := filestore.Open(dir)
	require.NoError(t, err)
	const n = 8
	var owners []*owner
	for i := range n {
		owners = append(owners, w.put(t, store, shop(i), fmt.Sprintf("5%03d", i), 2*day))
	}
	for range 6 {
		var ends sync.WaitGroup
		for range 2 {
			cmd := start(t, dir, srv.URL+"/v5")
			ends.Go(func() {
				time.Sleep(time.Duration(5+rand.IntN(60)) * time.Millisecond)
				assert.NoError(t, cmd.Process.Signal(sig))
				err := cmd.Wait()
				if sig == syscall.SIGTERM {
					assert.NoError(t, err)
				}
			})
		}
		ends.Wait()
		for i, u := range owners {
			tok := load(t, store, shop(i))
			require.NotNil(t, tok)
			require.Nil(t, tok.Disconnected, "%s", shop(i))
			w.mu.Lock()
			current, good := u.refresh, u.access[tok.AccessToken]
			w.mu.Unlock()
			assert.False(t, good.IsZero(), "the access token was never granted")
			if sig == syscall.SIGTERM {
				require.Equal(t, current, tok.RefreshToken, "%s was lost", shop(i))
				require.Nil(t, tok.Quarantined)
			}
		}
	}
	assert.NotZero(t, w.tokenCalls(""))
	app, _ := w.app(t, store, pinterest.WithBaseURL(srv.URL+"/v5"), pinterest.WithHTTPClient(srv.Client()))
	for i := range n {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := app.Client(shop(i)).Account.Get(ctx)
		cancel()
		require.NoError(t, err)
	}
}
