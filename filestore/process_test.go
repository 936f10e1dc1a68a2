//go:build unix

package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/internal/testproc"
	"github.com/pinterest-go/pinterest/internal/testrenew"
)

// A role is what a child process is to do.
type role struct {
	Play string // a key of roles
	Dir  string // of the store
	N    int

	URL, ID, Secret string // of the API, for those who call it
	Renew           testrenew.Role
}

var roles = map[string]func(ctx context.Context, s *filestore.Store, r role) error{
	"count": playCount, "count without the lock": playCountUnlocked, "hold": playHold, "save": playSave,
	"call": playCall, "die before the save": playDieBefore, "die after the save": playDieAfter,
	"follow": playFollow,
	"terminated": func(ctx context.Context, s *filestore.Store, r role) error {
		return testrenew.PlayTerminated(ctx, s, r.Renew)
	},
}

func TestMain(m *testing.M) {
	testproc.Play(play)
	m.Run()
}

func play(ctx context.Context, r role) error {
	s, err := filestore.Open(r.Dir)
	if err != nil {
		return err
	}
	return roles[r.Play](ctx, s, r)
}

// count increments the token "counter".
func count(ctx context.Context, s *filestore.Store) error {
	tok, err := s.Load(ctx, "counter")
	if err != nil {
		return err
	}
	if tok == nil {
		tok = &pinterest.Token{AccessToken: "0"}
	}
	n, err := strconv.Atoi(tok.AccessToken)
	if err != nil {
		return err
	}
	tok.AccessToken = strconv.Itoa(n + 1)
	_, err = s.Save(ctx, "counter", tok)
	return err
}

// playCount counts N times, each under the lock, which leaves no conflict.
func playCount(ctx context.Context, s *filestore.Store, r role) error {
	for range r.N {
		unlock, err := s.Lock(ctx, "counter")
		if err != nil {
			return err
		}
		if err := count(ctx, s); err != nil {
			return err
		}
		unlock()
	}
	return nil
}

// playCountUnlocked counts N times, and retries after a conflict.
func playCountUnlocked(ctx context.Context, s *filestore.Store, r role) error {
	for n := 0; n < r.N; {
		err := count(ctx, s)
		if err == nil {
			n++
		} else if !errors.Is(err, pinterest.ErrTokenConflict) {
			return err
		}
	}
	return nil
}

// playHold acquires a lock, prints a line, and holds the lock until it is killed.
func playHold(ctx context.Context, s *filestore.Store, _ role) error {
	if _, err := s.Lock(ctx, "alice"); err != nil {
		return err
	}
	fmt.Println("held")
	<-ctx.Done()
	return ctx.Err()
}

// playSave saves one number after the other, and prints each that is saved.
func playSave(ctx context.Context, s *filestore.Store, _ role) error {
	for {
		tok, err := s.Load(ctx, "alice")
		if err != nil {
			return err
		}
		n := 0
		if tok == nil {
			tok = &pinterest.Token{}
		} else if n, err = strconv.Atoi(tok.AccessToken); err != nil {
			return err
		}
		tok.AccessToken = strconv.Itoa(n + 1)
		tok.RefreshToken = strings.Repeat(tok.AccessToken+" ", 10_000) // of many blocks
		if _, err := s.Save(ctx, "alice", tok); err != nil {
			return err
		}
		fmt.Println(n + 1)
	}
}

func TestProcessesShareAFolder(t *testing.T) {
	for _, play := range []string{"count", "count without the lock"} {
		t.Run(play, func(t *testing.T) {
			dir := t.TempDir()
			const processes, rounds = 4, 25
			var wg sync.WaitGroup
			for range processes {
				wg.Go(func() { testproc.Run(t, testproc.Command(t.Context(), t, role{Play: play, Dir: dir, N: rounds})) })
			}
			wg.Wait()
			requireAccess(t, open(t, dir), "counter", strconv.Itoa(processes*rounds))
			assert.Empty(t, files(t, dir, "locks/*"))
			assert.Empty(t, files(t, dir, "*.tmp"))
		})
	}
}

// The lock of a process that is killed is released, also to a waiter.
func TestProcessKilledWhileItHolds(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for range 2 { // also on the files that the first one left
		kill := testproc.Start(t, testproc.Command(t.Context(), t, role{Play: "hold", Dir: dir}))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := s.Lock(ctx, "alice")
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)

		waiting := make(chan error)
		go func() {
			unlock, err := s.Lock(t.Context(), "alice")
			if err == nil {
				unlock()
			}
			waiting <- err
		}()
		kill()
		require.NoError(t, <-waiting)
		assert.Empty(t, files(t, dir, "locks/*"))
	}
}

// A process is killed at some point of a save. The last saved token is stored, or the
// one that was being saved, and the next process continues from there.
func TestProcessKilledWhileItSaves(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	saved := 0
	for range 40 {
		kill := testproc.Start(t, testproc.Command(t.Context(), t, role{Play: "save", Dir: dir}))
		time.Sleep(rand.N(20 * time.Millisecond)) // any point of it
		lines := kill()
		said, err := strconv.Atoi(lines[len(lines)-1])
		require.NoError(t, err)
		require.Greater(t, said, saved)

		tok, err := s.Load(t.Context(), "alice")
		require.NoError(t, err)
		saved, err = strconv.Atoi(tok.AccessToken)
		require.NoError(t, err)
		require.Contains(t, []int{said, said + 1}, saved)
		require.Equal(t, strings.Repeat(tok.AccessToken+" ", 10_000), tok.RefreshToken)
	}
	t.Logf("%d saves, %d leftovers", saved, len(files(t, dir, "*.tmp")))
	open(t, dir)
	assert.Empty(t, files(t, dir, "*.tmp"))
	save(t, s, "alice", *requireAccess(t, s, "alice", strconv.Itoa(saved)))
}
