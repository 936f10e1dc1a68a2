//go:build unix

package sqlstore_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// The tests that need other processes start this very program again: with a
// role in its environment it plays that, in place of running tests.
const roleVariable = "SQLSTORE_TEST_ROLE"

// A role is what a child process is to do.
type role struct {
	Play    string // a key of roles
	Dialect sqlstore.Dialect
	Driver  string
	DSN     string
	Table   string
	N       int

	URL, Token, Board string // of the fake API
}

var roles = map[string]func(ctx context.Context, s *sqlstore.Store, r role) error{
	"count": playCount, "count without the lock": playCountUnlocked, "hold": playHold, "save": playSave,
}

func TestMain(m *testing.M) {
	text, ok := os.LookupEnv(roleVariable)
	if !ok {
		os.Exit(m.Run())
	}
	if err := play(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(text string) error {
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	// Whatever happens to the parent, no child stays.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := sql.Open(r.Driver, r.DSN)
	if err != nil {
		return err
	}
	if playLedger := ledgerRoles[r.Play]; playLedger != nil {
		l, err := sqlstore.OpenLedger(ctx, db, r.Dialect, sqlstore.WithTable(r.Table))
		if err != nil {
			return err
		}
		l.SetLease(testLease, testRenew)
		return playLedger(ctx, l, r)
	}
	s, err := sqlstore.Open(ctx, db, r.Dialect, sqlstore.WithTable(r.Table))
	if err != nil {
		return err
	}
	s.SetLease(2*time.Second, 400*time.Millisecond)
	return roles[r.Play](ctx, s, r)
}

// command is a process that plays a role.
func command(t *testing.T, r role) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	// The race detector has a program sleep for a second when it ends.
	cmd.Env = append(os.Environ(), roleVariable+"="+string(text), "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return cmd
}

// start starts a process that plays a role, and returns when it has said its
// first word. kill ends it as a power cut does, and returns all that it said.
func start(t *testing.T, r role) (kill func() []string) {
	t.Helper()
	cmd := command(t, r)
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
		require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
		text := first + string(<-rest)
		require.Error(t, cmd.Wait())
		lines := strings.Split(text, "\n")
		return lines[:len(lines)-1] // what follows the last newline is not a whole line
	}
}

// count counts up in the token "counter".
func count(ctx context.Context, s *sqlstore.Store) error {
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
func playCount(ctx context.Context, s *sqlstore.Store, r role) error {
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

// playCountUnlocked counts N times, and again where another came first.
func playCountUnlocked(ctx context.Context, s *sqlstore.Store, r role) error {
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

// playHold takes a lock, says so, and keeps it until it is killed.
func playHold(ctx context.Context, s *sqlstore.Store, _ role) error {
	if _, err := s.Lock(ctx, "alice"); err != nil {
		return err
	}
	fmt.Println("held")
	<-ctx.Done()
	return ctx.Err()
}

// playSave saves one number after the other, and says each that is saved.
func playSave(ctx context.Context, s *sqlstore.Store, _ role) error {
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
		_, err = s.Save(ctx, "alice", tok)
		if errors.Is(err, pinterest.ErrTokenConflict) {
			continue // a server may still be at the last statement of one who is dead
		}
		if err != nil {
			return err
		}
		fmt.Println(n + 1)
	}
}

// role returns what a child process needs to open the store.
func (d database) role(play string, n int) role {
	if d.dialect == sqlstore.SQLite {
		return role{Play: play, Dialect: d.dialect, Driver: "sqlite", DSN: sqliteURL(d.file), Table: d.table, N: n}
	}
	return role{Play: play, Dialect: d.dialect, Driver: "pgx", DSN: os.Getenv(postgresVariable), Table: d.table, N: n}
}

func TestProcessesShareADatabase(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		const processes, rounds = 4, 25
		total := 0
		for _, play := range []string{"count", "count without the lock"} {
			var wg sync.WaitGroup
			for range processes {
				wg.Go(func() {
					cmd := command(t, d.role(play, rounds))
					var errOut bytes.Buffer
					cmd.Stderr = &errOut
					assert.NoError(t, cmd.Run(), "%v", &errOut)
				})
			}
			wg.Wait()
			total += processes * rounds
			requireAccess(t, d.open(t), "counter", strconv.Itoa(total))
		}
		var locks int
		require.NoError(t, d.connect(t).QueryRowContext(t.Context(), `SELECT COUNT(*) FROM "`+d.table+`_locks"`).Scan(&locks))
		assert.Zero(t, locks, "all are given back")
	})
}

// The lock of a process that is killed is given back, to a waiter, too.
func TestProcessKilledWhileItHolds(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		t.Parallel()
		s := d.open(t)
		for range 2 {
			kill := start(t, d.role("hold", 0))
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // it renews its lease
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
		}
	})
}

// A process is killed at some point of a save. What was saved stands or, if the
// save had come that far, what was being saved; and the next goes on from there.
func TestProcessKilledWhileItSaves(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		s := d.open(t)
		saved := 0
		for range 25 {
			kill := start(t, d.role("save", 0))
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
		t.Logf("%d saves", saved)
	})
}
