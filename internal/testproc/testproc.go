// Package testproc is for tests that need other processes. They start their own
// program again. With a role in its environment it plays that role instead of
// running tests.
package testproc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const variable = "PINTEREST_TEST_ROLE"

// Play is called at the beginning of TestMain. In a process of [Command] it plays
// the role and exits; an error goes to stderr. Elsewhere it does nothing.
func Play[R any](play func(ctx context.Context, role R) error) {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return
	}
	// No child outlives its parent for long, whatever happens.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	var role R
	err := json.Unmarshal([]byte(text), &role)
	if err == nil {
		err = play(ctx, role)
	}
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command returns a process that plays a role, which is passed as JSON. It can be
// called from any goroutine.
func Command(ctx context.Context, t *testing.T, role any) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(role)
	assert.NoError(t, err)
	self, err := os.Executable()
	assert.NoError(t, err)
	cmd := exec.CommandContext(ctx, self) //nolint:gosec // the program itself
	// With the race detector a program sleeps for a second before it exits.
	cmd.Env = append(os.Environ(), variable+"="+string(text), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return cmd
}

// Run runs a process that must succeed. It can be called from any goroutine.
func Run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	assert.NoError(t, cmd.Run(), "%v", &errOut)
}

// Start starts a process and returns when it has printed its first line. kill ends
// it with SIGKILL and returns all lines that it printed.
func Start(t *testing.T, cmd *exec.Cmd) (kill func() []string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	reader := bufio.NewReader(out)
	first, err := reader.ReadString('\n')
	require.NoError(t, err)
	rest := make(chan []byte, 1)
	go func() {
		data, _ := io.ReadAll(reader)
		rest <- data
	}()
	return func() []string {
		t.Helper()
		require.NoError(t, cmd.Process.Kill())
		text := first + string(<-rest)
		require.Error(t, cmd.Wait())
		lines := strings.Split(text, "\n")
		return lines[:len(lines)-1] // what follows the last newline is not a whole line
	}
}
