//go:build unix

package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/testproc"
	"github.com/pinterest-go/pinterest/internal/testrenew"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// A role is what a child process is to do.
type role struct {
	Play    string // a key of roles
	Dialect sqlstore.Dialect
	Driver  string
	DSN     string
	Table   string
	N       int
	Seed    uint64

	URL, Token, Board string // of the fake API
	Renew             testrenew.Role
}

var roles = map[string]func(ctx context.Context, s *sqlstore.Store, r role) error{
	"count": playCount, "count without the lock": playCountUnlocked, "hold": playHold, "save": playSave,
	"terminated": func(ctx context.Context, s *sqlstore.Store, r role) error {
		return testrenew.PlayTerminated(ctx, s, r.Renew)
	},
	"stopped": func(ctx context.Context, s *sqlstore.Store, r role) error {
		return testrenew.PlayStopped(ctx, s, r.Renew)
	},
}

func TestMain(m *testing.M) {
	testproc.Play(play)
	m.Run()
}

func play(ctx context.Context, r role) error {
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
	return testproc.Command(t.Context(), t, r)
}

// start starts a process that plays a role, as [testproc.Start] does.
func start(t *testing.T, r role) (kill func() []string) {
	t.Helper()
	return testproc.Start(t, command(t, r))
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
				wg.Go(func() { testproc.Run(t, command(t, d.role(play, rounds))) })
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
