//go:build unix

package sqlstore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/testproc"
	"github.com/pinterest-go/pinterest/pinteresttest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// The leases of processes in tests are short.
const (
	testLease = 2 * time.Second
	testRenew = 400 * time.Millisecond
)

var ledgerRoles = map[string]func(ctx context.Context, l *sqlstore.Ledger, r role) error{
	"count in the ledger": playCountInLedger, "hold names": playHoldNames, "send": playSend,
	"save pairs": playSavePairs, "create once": playCreateOnce, "chaos": playChaos,
}

// playCountInLedger counts N times under locks.
func playCountInLedger(ctx context.Context, l *sqlstore.Ledger, r role) error {
	for i := range r.N {
		names := []string{"counter", fmt.Sprint("another ", i%3)}
		held, unlock, err := l.Lock(ctx, names...)
		if err != nil {
			return err
		}
		if err := countInLedger(held, l); err != nil {
			return err
		}
		unlock()
	}
	return nil
}

// playHoldNames takes locks, says so, and keeps them until it is killed.
func playHoldNames(ctx context.Context, l *sqlstore.Ledger, _ role) error {
	if _, _, err := l.Lock(ctx, "key", "content"); err != nil {
		return err
	}
	fmt.Println("held")
	<-ctx.Done()
	return ctx.Err()
}

// playSend says that it sends as long as it may, then saves all the same.
func playSend(ctx context.Context, l *sqlstore.Ledger, _ role) error {
	held, unlock, err := l.Lock(ctx, "key", "content")
	if err != nil {
		return err
	}
	defer unlock()
	for held.Err() == nil {
		fmt.Println("sent")
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Println("lost:", errors.Is(context.Cause(held), sqlstore.ErrLockLost), context.Cause(held))
	err = put(context.WithoutCancel(held), l, "key", "by the one that was stopped")
	fmt.Println("save:", errors.Is(err, sqlstore.ErrLockLost), err)
	return nil
}

// playSavePairs saves one pair of equal records after the other, and says each.
func playSavePairs(ctx context.Context, l *sqlstore.Ledger, _ role) error {
	held, _, err := l.Lock(ctx, "pair")
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		record := bytes.Repeat([]byte(strconv.Itoa(i)+" "), 10_000) // of many blocks
		if err := l.Save(held, map[string][]byte{"one": record, "two": record}); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func TestProcessesShareALedger(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		d.openLedger(t)
		const processes, rounds = 4, 25
		var wg sync.WaitGroup
		for range processes {
			wg.Go(func() { testproc.Run(t, command(t, d.role("count in the ledger", rounds))) })
		}
		wg.Wait()
		requireRecord(t, d.openLedger(t), "counter", strconv.Itoa(processes*rounds))
		requireNoLocks(t, d)
	})
}

// The locks of a process that is killed come back when its leases have run out.
func TestProcessKilledWhileItHoldsNames(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		t.Parallel()
		l := d.openLedger(t)
		for range 2 {
			kill := start(t, d.role("hold names", 0))
			time.Sleep(testLease + testRenew) // it renews its leases
			requireLocked(t, l, "key")
			requireLocked(t, l, "other", "content")
			kill()
			killed := time.Now()
			_, unlock := lockAll(t, l, "content", "key")
			assert.Less(t, time.Since(killed), testLease+time.Second)
			unlock()
			requireNoLocks(t, d)
		}
	})
}

// A pair that is being saved when its process is killed is saved whole or not at all.
func TestProcessKilledWhileItSavesPairs(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		t.Parallel()
		l := d.openLedger(t)
		for range 5 {
			kill := start(t, d.role("save pairs", 0))
			lines := kill()
			said := lines[len(lines)-1]
			// A server may still be at the last save. With the lock it is over.
			_, unlock := lockAll(t, l, "pair")
			one, err := l.Load(t.Context(), "one")
			require.NoError(t, err)
			two, err := l.Load(t.Context(), "two")
			require.NoError(t, err)
			require.True(t, bytes.Equal(one, two), "%.20q, %.20q", one, two)
			n, _, _ := strings.Cut(string(one), " ")
			saved, err := strconv.Atoi(n)
			require.NoError(t, err)
			last, err := strconv.Atoi(said)
			require.NoError(t, err)
			require.Contains(t, []int{last, last + 1}, saved)
			unlock()
		}
	})
}

// A talker is a process that plays a role, and what it has said so far.
type talker struct {
	cmd   *exec.Cmd
	said  atomic.Pointer[[]string]
	ended chan struct{}
}

func startTalker(t *testing.T, r role) *talker {
	t.Helper()
	p := &talker{cmd: command(t, r), ended: make(chan struct{})}
	p.said.Store(new([]string))
	p.cmd.Stderr = t.Output()
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said := append(*p.said.Load(), lines.Text())
			p.said.Store(&said)
		}
	}()
	return p
}

// stop stops the process, and returns when. With SQLite it is not left stopped in
// the middle of a write, which would keep all others from writing.
func (p *talker) stop(t *testing.T, l *sqlstore.Ledger) time.Time {
	t.Helper()
	for range 20 {
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
		stopped := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), testLease/4)
		err := put(ctx, l, "probe", "written")
		cancel()
		if err == nil {
			return stopped
		}
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
		time.Sleep(testRenew / 8)
	}
	t.Fatal("nobody else can write")
	return time.Time{}
}

// A holder that is stopped for longer than its leases last sends nothing when it
// goes on, and saves nothing, whether another has had the locks or not.
func TestProcessStoppedPastItsLease(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		for name, contended := range map[string]bool{"and another takes the locks": true, "and nobody asks": false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := d
				d.table += strconv.FormatBool(contended)
				db := d.connect(t)
				t.Cleanup(func() { dropTables(t, db, d.table) })
				l := d.openLedgerOn(t, db)
				p := startTalker(t, d.role("send", 0))
				defer func() { _ = p.cmd.Process.Kill() }()
				require.Eventually(t, func() bool { return len(*p.said.Load()) > 2 }, 30*time.Second, 10*time.Millisecond)
				stopped := p.stop(t, l)
				if contended {
					held, unlock := lockAll(t, l, "key", "content")
					assert.Less(t, time.Since(stopped), testLease+time.Second)
					require.NoError(t, put(held, l, "key", "by the next"))
					unlock()
				} else {
					time.Sleep(testLease + 500*time.Millisecond)
				}
				before := *p.said.Load()
				require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
				<-p.ended
				require.NoError(t, p.cmd.Wait())
				after := (*p.said.Load())[len(before):]
				require.Len(t, after, 2, "%q", after)
				assert.Contains(t, after[0], `lost: true the lock on `)
				assert.Contains(t, after[1], "save: true ")
				if contended {
					requireRecord(t, l, "key", "by the next")
				} else {
					requireRecord(t, l, "key", "")
				}
				requireNoLocks(t, d)
			})
		}
	})
}

// playCreateOnce makes N pins, each under a key, and says their ids.
func playCreateOnce(ctx context.Context, l *sqlstore.Ledger, r role) error {
	client, err := pinterest.New(pinterest.WithAccessToken(r.Token), pinterest.WithBaseURL(r.URL), pinterest.WithLedger(l))
	if err != nil {
		return err
	}
	for i := range r.N {
		name := fmt.Sprint("job ", i)
		for {
			pin, err := client.Pins.CreateOnce(ctx, name, pinterest.PinCreate{
				BoardID: r.Board, Title: name, MediaSource: pinterest.ImageURL("https://shop.example/" + strconv.Itoa(i) + ".jpg"),
			})
			if err == nil {
				fmt.Println(name, pin.ID)
				break
			}
			fmt.Fprintln(os.Stderr, name, err)
			if err := ctx.Err(); err != nil {
				return err
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

// Several processes run the same jobs with one ledger. One is killed and one is
// stopped past its leases. Each job makes one pin, and all are told the same.
func TestProcessesCreateOnce(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		t.Parallel()
		l := d.openLedger(t)
		srv := pinteresttest.NewServer()
		defer srv.Close()
		alice := srv.AddAccount("alice")
		const jobs = 8
		r := d.role("create once", jobs)
		r.URL, r.Token, r.Board = srv.URL, alice.AccessToken, srv.AddBoard(alice, "Kitchens").ID

		var all []*talker
		for range 4 {
			all = append(all, startTalker(t, r))
		}
		require.Eventually(t, func() bool { return srv.Count("pins/create") > 1 }, 30*time.Second, time.Millisecond)
		all[0].stop(t, l)
		require.Eventually(t, func() bool { return srv.Count("pins/create") > 3 }, 30*time.Second, time.Millisecond)
		require.NoError(t, all[1].cmd.Process.Kill())
		time.Sleep(testLease + time.Second)
		require.NoError(t, all[0].cmd.Process.Signal(syscall.SIGCONT))

		told := map[string]string{}
		for i, p := range all {
			<-p.ended
			err := p.cmd.Wait()
			said := *p.said.Load()
			if i != 1 {
				assert.NoError(t, err)
				assert.Len(t, said, jobs)
			}
			for _, line := range said {
				job, id := line[:strings.LastIndex(line, " ")], line[strings.LastIndex(line, " ")+1:]
				if told[job] != "" {
					assert.Equal(t, told[job], id, job)
				}
				told[job] = id
			}
		}
		assert.Len(t, told, jobs)
		var ids []string
		for _, pin := range srv.Pins(r.Board) {
			assert.Equal(t, told[pin.Title], pin.ID)
			ids = append(ids, pin.ID)
		}
		assert.Len(t, ids, jobs)
		t.Logf("%d requests to create", srv.Count("pins/create"))
	})
}
