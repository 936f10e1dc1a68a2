//go:build unix

package fileledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	"github.com/pinterest-go/pinterest/fileledger"
	"github.com/pinterest-go/pinterest/internal/testproc"
)

// A role is what a child process is to do.
type role struct {
	Play string // a key of roles
	Dir  string // of the ledger
	N    int

	Crash *crashRole `json:",omitzero"` // for "create once"
}

var roles = map[string]func(ctx context.Context, r role) error{
	"count": playCount, "hold": playHold, "save and die": playSaveAndDie, "open": playOpen, "create once": playCreateOnce,
	"die in save": playDieInSave, "save forever": playSaveForever,
}

func TestMain(m *testing.M) {
	testproc.Play(func(ctx context.Context, r role) error { return roles[r.Play](ctx, r) })
	m.Run()
}

// run plays a role to its end and returns its output, and whether it was ended by
// SIGKILL.
func run(t *testing.T, r role) (stdout, stderr string, killed bool) {
	t.Helper()
	cmd := testproc.Command(t.Context(), t, r)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		killed = ok && status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	if err != nil && !killed {
		assert.NoError(t, err, "%s: %s", r.Play, errOut.String())
	}
	return out.String(), errOut.String(), killed
}

// die ends the process with SIGKILL: nothing is flushed or unlocked.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// playCount increments the record "counter" N times, which only the lock makes safe.
func playCount(ctx context.Context, r role) error {
	l, err := fileledger.Open(ctx, r.Dir)
	if err != nil {
		return err
	}
	for range r.N {
		_, unlock, err := l.Lock(ctx, "counter", "and another")
		if err != nil {
			return err
		}
		record, err := l.Load(ctx, "counter")
		if err != nil {
			return err
		}
		n := 0
		if record != nil {
			if n, err = strconv.Atoi(string(record)); err != nil {
				return err
			}
		}
		if err := l.Save(ctx, map[string][]byte{"counter": []byte(strconv.Itoa(n + 1))}); err != nil {
			return err
		}
		unlock()
	}
	return l.Close()
}

// playHold acquires a lock, prints "held", and holds the lock until it is killed.
func playHold(ctx context.Context, r role) error {
	l, err := fileledger.Open(ctx, r.Dir)
	if err != nil {
		return err
	}
	if _, _, err := l.Lock(ctx, "content", "key"); err != nil {
		return err
	}
	fmt.Println("held")
	<-ctx.Done()
	return ctx.Err()
}

// playSaveAndDie saves N records and dies as soon as the last Save has returned.
func playSaveAndDie(ctx context.Context, r role) error {
	l, err := fileledger.Open(ctx, r.Dir)
	if err != nil {
		return err
	}
	if _, _, err := l.Lock(ctx, "key"); err != nil {
		return err
	}
	for i := range r.N {
		if err := l.Save(ctx, map[string][]byte{"key": []byte(strconv.Itoa(i))}); err != nil {
			return err
		}
		if err := l.Save(ctx, map[string][]byte{fmt.Sprint("key ", i): bytes.Repeat([]byte{byte(i)}, 10_000)}); err != nil {
			return err
		}
	}
	die()
	return nil
}

// openers is how many processes play "open" at once.
const openers = 4

// playOpen opens and closes the ledgers of N folders, each at the same moment
// as the other processes do.
func playOpen(ctx context.Context, r role) error {
	for i := range r.N {
		ready := filepath.Join(r.Dir, fmt.Sprint("ready ", i))
		if err := os.MkdirAll(filepath.Join(ready, strconv.Itoa(os.Getpid())), 0o700); err != nil {
			return err
		}
		for here := 0; here < openers; {
			entries, err := os.ReadDir(ready)
			if here = len(entries); err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
		}
		l, err := fileledger.Open(ctx, filepath.Join(r.Dir, strconv.Itoa(i)))
		if err != nil {
			return err
		}
		if err := l.Save(ctx, map[string][]byte{strconv.Itoa(os.Getpid()): []byte("was here")}); err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

func TestProcessesShareAFolder(t *testing.T) {
	dir := t.TempDir()
	const processes, rounds = 4, 25
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() { run(t, role{Play: "count", Dir: dir, N: rounds}) })
	}
	wg.Wait()
	requireRecord(t, open(t, dir), "counter", strconv.Itoa(processes*rounds))
	assert.Empty(t, lockFiles(t, dir))
}

// Processes open, at the same moment, folders that none has opened before.
func TestProcessesOpenAtOnce(t *testing.T) {
	dir := t.TempDir()
	const folders = 40
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range openers {
		wg.Go(func() {
			cmd := testproc.Command(ctx, t, role{Play: "open", Dir: dir, N: folders})
			var errOut bytes.Buffer
			cmd.Stderr = &errOut
			if err := cmd.Run(); ctx.Err() == nil {
				assert.NoError(t, err, errOut.String())
				if err != nil {
					cancel() // the others would wait for it
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i := range folders {
		n, err := open(t, filepath.Join(dir, strconv.Itoa(i))).Prune(t.Context(), time.Now().Add(time.Hour))
		require.NoError(t, err)
		assert.Equal(t, int64(openers), n, "a record of each")
	}
}

// The lock of a process that is killed is released, also to a waiter.
func TestProcessKilledWhileItHolds(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for range 2 { // also on the files that the first one left
		kill := testproc.Start(t, testproc.Command(t.Context(), t, role{Play: "hold", Dir: dir}))
		requireHeld(t, l, "key")
		requireHeld(t, l, "content")

		waiting := make(chan error)
		go func() {
			_, unlock, err := l.Lock(t.Context(), "key", "content")
			if err == nil {
				unlock()
			}
			waiting <- err
		}()
		require.Equal(t, []string{"held"}, kill())
		require.NoError(t, <-waiting)
		assert.Empty(t, lockFiles(t, dir))
	}
}

// A record survives the process once Save has returned.
func TestProcessKilledAfterSave(t *testing.T) {
	for _, n := range []int{1, 2, 40} {
		dir := t.TempDir()
		_, _, killed := run(t, role{Play: "save and die", Dir: dir, N: n})
		require.True(t, killed)
		l := open(t, dir)
		requireRecord(t, l, "key", strconv.Itoa(n-1))
		for i := range n {
			requireRecord(t, l, fmt.Sprint("key ", i), strings.Repeat(string(rune(i)), 10_000))
		}
		lock(t, l, "key")()
		require.NoError(t, l.Save(t.Context(), map[string][]byte{"key": []byte("by another")}))
		requireRecord(t, l, "key", "by another")
	}
}
