//go:build unix

package fileledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/fileledger"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// The crash tests start processes that call CreateOnce, kill them at every step
// of it, and call it again in other processes. There must be one pin per key, and
// every caller with the key must get it. The steps are never listed here: they are
// those that a run without a kill takes.

// A crashRole is one call of CreateOnce in a process of its own.
type crashRole struct {
	URL, Token, Board string
	Key, Title        string
	Kill              int // the step at which the process dies, counted from 1; 0 for none
}

// A crashResult is what CreateOnce returned in that process.
type crashResult struct {
	ID        string
	Error     string
	Uncertain bool
}

const crashSettle = 50 * time.Millisecond

// steps counts the steps of a process, writes their names to stderr, and kills the
// process at one of them.
type steps struct {
	mu    sync.Mutex
	n     int
	kill  int
	kinds map[string]int
}

// number counts a step of this kind and returns how many there were so far.
func (s *steps) number(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[kind]++
	return s.kinds[kind]
}

func (s *steps) at(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	if s.n == s.kill {
		die()
	}
}

// A steppedLedger has a step before and after each call of the ledger. It does not
// embed the ledger: a method added to the interface must be given steps here.
type steppedLedger struct {
	ledger pinterest.Ledger
	steps  *steps
}

func (l steppedLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	l.steps.at("before the lock")
	held, unlock, err := l.ledger.Lock(ctx, names...)
	l.steps.at("after the lock")
	return held, func() {
		l.steps.at("before the unlock")
		unlock()
		l.steps.at("after the unlock")
	}, err
}

func (l steppedLedger) Load(ctx context.Context, name string) ([]byte, error) {
	n := l.steps.number("load")
	l.steps.at("before load %d", n)
	record, err := l.ledger.Load(ctx, name)
	l.steps.at("after load %d", n)
	return record, err
}

func (l steppedLedger) Save(ctx context.Context, records map[string][]byte) error {
	n := l.steps.number("save")
	l.steps.at("before save %d", n)
	err := l.ledger.Save(ctx, records)
	l.steps.at("after save %d", n)
	return err
}

// A steppedTransport has a step before each request and after the headers of its
// response.
type steppedTransport struct {
	http.RoundTripper
	steps *steps
}

func (s steppedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	n := s.steps.number(req.Method)
	s.steps.at("before %s %d", req.Method, n)
	resp, err := s.RoundTripper.RoundTrip(req)
	s.steps.at("after %s %d", req.Method, n)
	return resp, err
}

func playCreateOnce(ctx context.Context, r role) error {
	l, err := fileledger.Open(ctx, r.Dir)
	if err != nil {
		return err
	}
	s := &steps{kill: r.Crash.Kill, kinds: map[string]int{}}
	client, err := pinterest.New(
		pinterest.WithAccessToken(r.Crash.Token), pinterest.WithBaseURL(r.Crash.URL),
		pinterest.WithHTTPClient(&http.Client{Transport: steppedTransport{http.DefaultTransport, s}}),
		pinterest.WithLedger(steppedLedger{l, s}),
		pinterest.WithRetry(pinterest.RetryPolicy{SettleTime: crashSettle, ServerDelay: time.Millisecond, Jitter: -1}),
	)
	if err != nil {
		return err
	}
	pin, err := client.Pins.CreateOnce(ctx, r.Crash.Key, pinterest.PinCreate{
		BoardID: r.Crash.Board, Title: r.Crash.Title, MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
	})
	s.at("after the call")
	var res crashResult
	if pin != nil {
		res.ID = pin.ID
	}
	if err != nil {
		res.Error, res.Uncertain = err.Error(), errors.Is(err, pinterest.ErrUncertain)
	}
	if err := json.NewEncoder(os.Stdout).Encode(res); err != nil {
		return err
	}
	return l.Close()
}

// A crashScene is the server and the ledger's folder that the processes of one
// test share. The server runs in the test's own process.
type crashScene struct {
	t     *testing.T
	srv   *pinteresttest.Server
	alice pinteresttest.Account
	board pinteresttest.Board
	dir   string
}

func newCrashScene(t *testing.T, faults ...pinteresttest.Fault) *crashScene {
	t.Helper()
	c := &crashScene{t: t, srv: pinteresttest.NewServer(), dir: t.TempDir()}
	t.Cleanup(c.srv.Close)
	c.alice = c.srv.AddAccount("alice")
	c.board = c.srv.AddBoard(c.alice, "Kitchens")
	c.srv.SetListLag(crashSettle / 3)
	c.srv.Inject(faults...)
	return c
}

// call runs a process that calls CreateOnce and, unless kill is 0, is killed at
// that step. It returns the steps that the process took.
func (c *crashScene) call(key string, kill int) (res crashResult, taken []string) {
	c.t.Helper()
	res, taken, killed := c.try(key, kill)
	assert.Equal(c.t, kill > 0, killed, "killed at step %d of %q", kill, taken)
	return res, taken
}

// try is call for a process that may end before it gets to the step.
func (c *crashScene) try(key string, kill int) (res crashResult, taken []string, killed bool) {
	c.t.Helper()
	stdout, stderr, killed := run(c.t, role{Play: "create once", Dir: c.dir, Crash: &crashRole{
		URL: c.srv.URL, Token: c.alice.AccessToken, Board: c.board.ID, Key: key, Title: "Oak kitchen", Kill: kill,
	}})
	taken = strings.Split(strings.TrimSpace(stderr), "\n")
	if killed {
		assert.Len(c.t, taken, kill)
	} else {
		assert.NoError(c.t, json.Unmarshal([]byte(stdout), &res), stderr)
	}
	return res, taken, killed
}

// crash makes scenes until a process has died in one after exactly these steps,
// and returns that scene. How often a list is read depends on the time that the
// reads take, so on a busy machine a process can take others.
func crash(t *testing.T, steps []string, scene func() *crashScene) *crashScene {
	t.Helper()
	var taken []string
	for range 20 {
		var killed bool
		c := scene()
		if _, taken, killed = c.try("job-8841", len(steps)); killed && slices.Equal(steps, taken) {
			return c
		}
	}
	require.Equal(t, steps, taken, "no process was killed after these steps")
	return nil
}

// ids returns the ids of all pins on the board.
func (c *crashScene) ids() (ids []string) {
	for _, p := range c.srv.Pins(c.board.ID) {
		ids = append(ids, p.ID)
	}
	return ids
}

// requireOne checks that a process got the only pin on the board.
func (c *crashScene) requireOne(res crashResult) {
	c.t.Helper()
	require.Empty(c.t, res.Error)
	require.Equal(c.t, []string{res.ID}, c.ids())
}

// crashFaults are the outcomes of the first POST.
func crashFaults() map[string][]pinteresttest.Fault {
	return map[string][]pinteresttest.Fault{
		"all goes well":                 nil,
		"the answer is lost":            {pinteresttest.NoAnswer().On("pins/create").AfterTheCommit()},
		"the first request is lost":     {pinteresttest.ServerError(500).On("pins/create")},
		"the list cannot be read, then": {pinteresttest.NoAnswer().On("pins/create").AfterTheCommit(), pinteresttest.ServerError(403).On("boards/list_pins")},
	}
}

// steps returns the names of all steps that a process takes when it is not killed.
// It fails when something is missing that CreateOnce must do in any case, as then
// no process is killed there.
func (c *crashScene) steps() []string {
	c.t.Helper()
	_, taken := c.call("job-8841", 0)
	for _, want := range []string{
		"before the lock", "after the lock", "before load 1", "after load 1", "before save 1", "after save 1",
		"before POST 1", "after POST 1", "before save 2", "after save 2", "before the unlock", "after the unlock", "after the call",
	} {
		require.Contains(c.t, taken, want)
	}
	return taken
}

func TestCrashAtEveryStep(t *testing.T) {
	for name, faults := range crashFaults() {
		taken := newCrashScene(t, faults...).steps()
		for i, step := range taken {
			t.Run(fmt.Sprintf("%s, killed %s", name, step), func(t *testing.T) {
				t.Parallel()
				c := crash(t, taken[:i+1], func() *crashScene { return newCrashScene(t, faults...) })
				res, _ := c.call("job-8841", 0)
				if res.Uncertain { // the list cannot be read; it can the next time
					require.Contains(t, name, "the list cannot be read")
					res, _ = c.call("job-8841", 0)
				}
				c.requireOne(res)
				c.srv.ResetRequests()
				res, _ = c.call("job-8841", 0)
				c.requireOne(res)
				assert.Zero(t, c.srv.Count(""), "what is known takes no request")
				assert.Empty(t, lockFiles(t, c.dir))
			})
		}
	}
}

// The process that resumes after a crash is killed at each of its own steps, too.
func TestCrashWhileResuming(t *testing.T) {
	for first, step := range newCrashScene(t).steps() {
		probe := newCrashScene(t)
		probe.call("job-8841", first+1)
		_, taken := probe.call("job-8841", 0)
		for second, then := range taken {
			t.Run(fmt.Sprintf("killed %s, then %s", step, then), func(t *testing.T) {
				t.Parallel()
				c := crash(t, taken[:second+1], func() *crashScene {
					c := newCrashScene(t)
					c.call("job-8841", first+1)
					return c
				})
				res, _ := c.call("job-8841", 0)
				c.requireOne(res)
			})
		}
	}
}

// Several processes call with one key at the same time.
func TestCrashRace(t *testing.T) {
	for name, faults := range crashFaults() {
		if name == "the list cannot be read, then" {
			continue // one of the calls ends uncertain
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrashScene(t, faults...)
			results := make([]crashResult, 3)
			var wg sync.WaitGroup
			for i := range results {
				wg.Go(func() { results[i], _ = c.call("job-8841", 0) })
			}
			wg.Wait()
			for _, res := range results {
				c.requireOne(res)
			}
		})
	}
	for i, step := range newCrashScene(t).steps() {
		t.Run("one is killed "+step, func(t *testing.T) {
			t.Parallel()
			c := newCrashScene(t)
			results := make([]crashResult, 2)
			var wg sync.WaitGroup
			wg.Go(func() {
				// The process takes fewer steps when another does the work before it.
				res, _, _ := c.try("job-8841", i+1)
				assert.Empty(t, res.Error)
			})
			for i := range results {
				wg.Go(func() { results[i], _ = c.call("job-8841", 0) })
			}
			wg.Wait()
			for _, res := range results {
				c.requireOne(res)
			}
		})
	}
}

// Two keys have equal content, and a process of each is killed. Each key gets a
// pin of its own. The processes are killed at every step from the first save, before
// which there is nothing to resume, up to the unlock.
func TestCrashOfTwoKeys(t *testing.T) {
	all := newCrashScene(t).steps()
	begin, end := slices.Index(all, "before save 1"), slices.Index(all, "before the unlock")
	require.Less(t, begin, end)
	for i := begin; i <= end; i++ {
		for j := begin; j <= end; j++ {
			first, second := all[i], all[j]
			for _, order := range [][]string{{"one", "two"}, {"two", "one"}} {
				t.Run(fmt.Sprintf("one %s, the other %s, resumed %s first", first, second, order[0]), func(t *testing.T) {
					t.Parallel()
					c := newCrashScene(t)
					c.call("one", i+1)
					c.call("two", j+1)
					got := map[string]string{}
					for _, key := range order {
						res, _ := c.call(key, 0)
						require.Empty(t, res.Error, key)
						got[key] = res.ID
					}
					assert.NotEqual(t, got["one"], got["two"])
					assert.ElementsMatch(t, c.ids(), []string{got["one"], got["two"]})
				})
			}
		}
	}
}
