//go:build unix

package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// chaosLag is how long lists lag. The time to settle has to be longer on a machine
// with a lot to do, too.
const chaosLag = 100 * time.Millisecond

// chaosClient is the client of a process. Its waits are real, and so they are short.
func chaosClient(r role, l *sqlstore.Ledger) (*pinterest.Client, error) {
	return pinterest.New(
		pinterest.WithAccessToken(r.Token), pinterest.WithBaseURL(r.URL), pinterest.WithLedger(l), pinterest.WithoutPacing(),
		pinterest.WithRetry(pinterest.RetryPolicy{
			SettleTime: 5 * chaosLag, ServerDelay: 20 * time.Millisecond, ThrottleDelay: 20 * time.Millisecond, AttemptTimeout: 5 * time.Second, Budget: -1,
		}))
}

// chaosTitle is the title of what a key makes. Two of ten keys make equal pins.
func chaosTitle(key int) string {
	if key%10 == 9 {
		key--
	}
	return fmt.Sprint("Job ", key)
}

// chaosOnce makes the pin of a key.
func chaosOnce(ctx context.Context, client *pinterest.Client, board string, key int) (id string, err error) {
	title := chaosTitle(key)
	pin, err := client.Pins.CreateOnce(ctx, strconv.Itoa(key), pinterest.PinCreate{
		BoardID: board, Title: title, Link: "https://shop.example/" + strings.ReplaceAll(title, " ", "-"),
		MediaSource: pinterest.ImageURL("https://shop.example/1.jpg"),
	})
	if pin != nil {
		id = pin.ID
	}
	return id, err
}

// playChaos makes the pins of N keys in an order of its own, and says what it was told.
func playChaos(ctx context.Context, l *sqlstore.Ledger, r role) error {
	client, err := chaosClient(r, l)
	if err != nil {
		return err
	}
	for _, key := range rand.New(rand.NewPCG(r.Seed, 1)).Perm(r.N) {
		for again := true; again; {
			id, err := chaosOnce(ctx, client, r.Board, key)
			again = false
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case id != "":
				fmt.Println(key, "made", id)
				if again = err != nil; again { // the ledger does not know it yet
					fmt.Println(key, "ledger", err)
				}
			case errors.Is(err, pinterest.ErrUncertain):
				fmt.Println(key, "uncertain", err)
			case errors.Is(err, pinterest.ErrLedger): // such as a lock that was lost
				fmt.Println(key, "ledger", err)
				again = true
			default:
				fmt.Println(key, "failed", err)
			}
		}
	}
	return nil
}

// chaosFaults returns what goes wrong with creates: every other one, and each title
// at most three times.
func chaosFaults() func(r *pinteresttest.Request) *pinteresttest.Fault {
	faults := []pinteresttest.Fault{
		pinteresttest.ServerError(http.StatusInternalServerError).AfterTheCommit(), pinteresttest.ServerError(http.StatusServiceUnavailable).AfterTheCommit(),
		pinteresttest.SomethingWentWrong().AfterTheCommit(), pinteresttest.ConnectionReset().AfterTheCommit(), pinteresttest.NoAnswer().AfterTheCommit(),
		pinteresttest.Truncated(), pinteresttest.Garbled(), pinteresttest.ServerError(http.StatusBadGateway), pinteresttest.ConnectionReset(),
	}
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	struck := map[string]int{}
	return func(r *pinteresttest.Request) *pinteresttest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Operation != "pins/create" || struck[string(r.Body)] == 3 || random.IntN(2) > 0 {
			return nil
		}
		struck[string(r.Body)]++
		f := faults[random.IntN(len(faults))]
		return &f
	}
}

// Several processes carry out the same keys with one ledger, while the API loses
// answers. Some of them are killed and started again, others are stopped for longer
// than their leases last.
func TestProcessesChaos(t *testing.T) {
	each(t, func(t *testing.T, d database) {
		t.Parallel()
		l := d.openLedger(t)
		srv := pinteresttest.NewServer(pinteresttest.WithoutQuotas())
		defer srv.Close()
		alice := srv.AddAccount("alice")
		const keys, processes, events = 90, 4, 9
		r := d.role("chaos", keys)
		r.URL, r.Token, r.Board = srv.URL, alice.AccessToken, srv.AddBoard(alice, "Kitchens").ID
		srv.SetListLag(chaosLag)
		srv.InjectFunc(chaosFaults())

		var all []*talker
		next := func() *talker {
			r.Seed++
			p := startTalker(t, r)
			all = append(all, p)
			return p
		}
		running := make([]*talker, processes)
		for i := range running {
			running[i] = next()
		}
		killed, stopped := map[*talker]bool{}, map[*talker]bool{}
		for event := range events {
			require.Eventually(t, func() bool { return srv.Count("pins/create") > event*keys/events }, 60*time.Second, time.Millisecond)
			i := event % processes
			p := running[i]
			if event%3 == 1 {
				p.stop(t, l)
				stopped[p] = true
				time.AfterFunc(testLease+testRenew, func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) })
				continue
			}
			require.NoError(t, p.cmd.Process.Signal(syscall.SIGKILL))
			killed[p] = true
			running[i] = next()
		}
		c := newChaosCount(t, srv, r.Board)
		for _, p := range all {
			<-p.ended
			if err := p.cmd.Wait(); !killed[p] {
				assert.NoError(t, err)
			}
			c.hear(*p.said.Load())
		}

		// What is open is resolved when nothing goes wrong any more.
		srv.InjectFunc(nil)
		client, err := chaosClient(r, l)
		require.NoError(t, err)
		for key := range keys {
			id, err := chaosOnce(t.Context(), client, r.Board, key)
			if err != nil {
				require.ErrorIs(t, err, pinterest.ErrUncertain)
				c.open[key] = true
				continue
			}
			c.told(key, id)
		}
		c.report(keys, len(killed), len(stopped))
	})
}

// chaosCount compares what processes were told with what the server has.
type chaosCount struct {
	t         *testing.T
	srv       *pinteresttest.Server
	board     string
	pins      map[string]string // their titles, by id
	ids       map[int]string    // told for each key
	keys      map[string]int    // and the other way round
	uncertain map[int]bool      // keys that were uncertain at some time
	open      map[int]bool      // keys that are so in the end
	lies      int
	shared    int
	why       []string
	failed    []string
	ledger    int
}

func newChaosCount(t *testing.T, srv *pinteresttest.Server, board string) *chaosCount {
	return &chaosCount{t: t, srv: srv, board: board, ids: map[int]string{}, keys: map[string]int{}, uncertain: map[int]bool{}, open: map[int]bool{}}
}

// hear enters what a process has said.
func (c *chaosCount) hear(said []string) {
	for _, line := range said {
		words := strings.SplitN(line, " ", 3)
		require.Len(c.t, words, 3, line)
		key, err := strconv.Atoi(words[0])
		require.NoError(c.t, err)
		switch words[1] {
		case "made":
			c.told(key, words[2])
		case "uncertain":
			c.uncertain[key] = true
		case "ledger":
			c.ledger++
		default:
			c.failed = append(c.failed, line)
		}
	}
}

// told enters that a key was told an id.
func (c *chaosCount) told(key int, id string) {
	if c.pins == nil || c.pins[id] == "" {
		c.pins = map[string]string{}
		for _, p := range c.srv.Pins(c.board) {
			c.pins[p.ID] = p.Title
		}
	}
	if other, ok := c.keys[id]; ok && other != key {
		c.shared++
		c.why = append(c.why, fmt.Sprintf("%s: told to key %d and to key %d", id, other, key))
	}
	if first := c.ids[key]; first != "" && first != id || c.pins[id] != chaosTitle(key) {
		c.lies++
		c.why = append(c.why, fmt.Sprintf("key %d: told %s, which has the title %q, and %q before", key, id, c.pins[id], first))
	}
	c.ids[key], c.keys[id] = id, key
}

func (c *chaosCount) report(keys, killed, stopped int) {
	made, due, open := map[string]int{}, map[string]int{}, map[string]int{}
	for _, p := range c.srv.Pins(c.board) {
		made[p.Title]++
	}
	for key := range keys {
		due[chaosTitle(key)]++ // one each, whether its key was told or is uncertain
		if c.open[key] {
			open[chaosTitle(key)]++
		}
	}
	duplicates, lost := 0, 0
	for title, n := range made {
		duplicates += max(0, n-due[title])
	}
	for title, n := range due {
		lost += max(0, n-open[title]-made[title])
	}
	c.t.Logf("%d keys, %d creates sent, %d processes killed, %d stopped, %d times the ledger failed: duplicates %d, shared %d, lies %d, failed %d, lost %d; uncertain at some time %.1f %% of the keys, in the end %.1f %%",
		keys, c.srv.Count("pins/create"), killed, stopped, c.ledger, duplicates, c.shared, c.lies, len(c.failed), lost,
		100*float64(len(c.uncertain))/float64(keys), 100*float64(len(c.open))/float64(keys))
	assert.Zero(c.t, duplicates, "duplicates")
	assert.Zero(c.t, c.shared, "two keys told the same pin: %q", c.why)
	assert.Zero(c.t, c.lies, "told what does not exist, or something else than before: %q", c.why)
	assert.Empty(c.t, c.failed, "told failed: ghosts, or lost")
	assert.Zero(c.t, lost, "neither made nor uncertain")
	assert.LessOrEqual(c.t, len(c.open), keys/10, "uncertain in the end")
}
