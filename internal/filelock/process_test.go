//go:build unix

package filelock

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests that need other processes start this very program again: with a
// role in its environment it plays that, in place of running tests.
const (
	roleVariable = "FILELOCK_TEST_ROLE"

	roleHold  = "hold"
	roleCount = "count"

	rounds = 25
)

func TestMain(m *testing.M) {
	play := map[string]func(ctx context.Context) error{roleHold: hold, roleCount: count}[os.Getenv(roleVariable)]
	if play == nil {
		os.Exit(m.Run())
	}
	// Whatever happens to the parent, no child stays.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	err := play(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command is a process that plays a role in a folder.
func command(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = dir
	// The race detector has a program sleep for a second when it ends.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
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
		cmd := command(t, roleCount, dir)
		wg.Go(func() {
			var said bytes.Buffer
			cmd.Stderr = &said
			assert.NoError(t, cmd.Run(), "%v", &said)
		})
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
		cmd := command(t, roleHold, dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "held", strings.TrimSpace(line))
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
		require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
		_, _ = io.Copy(io.Discard, out)
		require.Error(t, cmd.Wait())
		require.NoError(t, <-waiting)
		requireEmpty(t, dir)
	}
}
