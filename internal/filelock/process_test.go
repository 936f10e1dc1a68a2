package filelock

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/internal/testproc"
)

// What the processes of tests play.
const (
	roleHold  = "hold"
	roleCount = "count"

	rounds = 25
)

func TestMain(m *testing.M) {
	roles := map[string]func(ctx context.Context) error{roleHold: hold, roleCount: count}
	testproc.Play(func(ctx context.Context, role string) error { return roles[role](ctx) })
	m.Run()
}

// command is a process that plays a role in a folder.
func command(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := testproc.Command(t.Context(), t, role)
	cmd.Dir = dir
	return cmd
}

// hold takes two locks, says so, and keeps them until it is killed.
func hold(ctx context.Context) error {
	var l Locks
	if _, err := l.Lock(ctx, "a", "b"); err != nil {
		return err
	}
	fmt.Println("held")
	<-ctx.Done()
	return ctx.Err()
}

// count counts up in a file, which only the lock makes safe.
func count(ctx context.Context) error {
	var l Locks
	const counter = "counter"
	for range rounds {
		unlock, err := l.Lock(ctx, "a")
		if err != nil {
			return err
		}
		text, err := os.ReadFile(counter)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			return err
		}
		if err := os.WriteFile(counter, []byte(strconv.Itoa(n+1)), 0o600); err != nil {
			return err
		}
		unlock()
	}
	return nil
}

func TestProcessesTakeTurns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	counter := filepath.Join(dir, "counter")
	require.NoError(t, os.WriteFile(counter, []byte("0"), 0o600))
	const processes = 4
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() { testproc.Run(t, command(t, roleCount, dir)) })
	}
	wg.Wait()
	text, err := os.ReadFile(counter)
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(processes*rounds), string(text))
}

// The locks of a process that is killed are given back, to a waiter, too.
func TestProcessKilledWhileItHolds(t *testing.T) {
	t.Parallel()
	dir, a, b := pathsIn(t)
	var l Locks
	for range 2 { // also on the files that the first one left
		kill := testproc.Start(t, command(t, roleHold, dir))
		requireHeld(t, &l, a)
		requireHeld(t, &l, b)

		waiting := make(chan error)
		go func() {
			unlock, err := l.Lock(t.Context(), b, a)
			if err == nil {
				unlock()
			}
			waiting <- err
		}()
		require.Equal(t, []string{"held"}, kill())
		require.NoError(t, <-waiting)
		requireEmpty(t, dir)
	}
}
