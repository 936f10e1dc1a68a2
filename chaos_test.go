package pinterest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

var (
	chaosSeed    = flag.Uint64("chaos.seed", 1, "seed of TestChaos")
	chaosCreates = flag.Int("chaos.creates", 10_000, "creates in the first mix of TestChaos; the others make a fifth of it")
)

// A chaosFault is one thing that can go wrong with a create.
type chaosFault struct {
	name  string
	fault pinteresttest.Fault
}

// chaosFaults returns the faults that a create can meet. Those marked committed strike
// after it took effect.
func chaosFaults() []chaosFault {
	committed := func(name string, f pinteresttest.Fault) chaosFault {
		return chaosFault{name + " after the commit", f.AfterTheCommit()}
	}
	faults := []chaosFault{
		committed("400/2787", pinteresttest.SomethingWentWrong()),
		committed("reset", pinteresttest.ConnectionReset()),
		committed("EOF", pinteresttest.NoAnswer()),
		committed("no answer in time", pinteresttest.Hanging()),
		{"truncated 201", pinteresttest.Truncated()},
		{"garbled 201", pinteresttest.Garbled()},
		{"reset before the commit", pinteresttest.ConnectionReset()},
		{"429 with Retry-After", pinteresttest.Throttled(7 * time.Second)},
		{"429 without Retry-After", pinteresttest.Throttled(0)},
	}
	for _, status := range []int{500, 502, 503, 504} {
		faults = append(faults, committed(fmt.Sprint(status), pinteresttest.ServerError(status)),
			chaosFault{fmt.Sprintf("%d before the commit", status), pinteresttest.ServerError(status)})
	}
	return faults
}

// A chaosMix is one set of circumstances.
type chaosMix struct {
	name      string
	lag       time.Duration // how long lists lag behind writes
	listFails float64       // probability that a list read fails, at each attempt
	listsDown bool          // every list read fails
	marker    bool          // pins carry a marker
	deaths    bool          // the process dies during one create in ten and is restarted
	uncertain float64       // the share of uncertain outcomes that is allowed
	maxReads  float64       // look-ups per fault allowed; 0: any
}

func TestChaos(t *testing.T) {
	mixes := []chaosMix{
		{name: "no lag", maxReads: 1.5}, // with a look right before each resend
		{name: "lists lag 3 s", lag: 3 * time.Second},
		{name: "list reads fail", listFails: 0.1},
		{name: "lists down", listsDown: true, uncertain: 1},
		{name: "process killed and restarted", lag: time.Second, deaths: true, uncertain: 0.02}, // its clock may have been set since
		{name: "lag beyond the settle time, markers", lag: 20 * time.Second, marker: true, uncertain: 1},
	}
	n := *chaosCreates
	for i, mix := range mixes {
		t.Run(mix.name, func(t *testing.T) {
			if testing.Short() {
				n = min(n, 500)
			}
			c := newChaos(t, mix, *chaosSeed+uint64(i))
			c.run(n)
			c.report(t)
		})
		n = *chaosCreates / 5
	}
}

// chaos is one run: the creates that were intended and their outcomes.
type chaos struct {
	mix    chaosMix
	srv    *pinteresttest.Server
	client *testClient
	start  func() *testClient // starts a new process: a client without memory
	boards []string
	seed   uint64
	random *rand.Rand // for the list reads, under mu

	mu      sync.Mutex
	struck  map[string]int // faults of each title
	byFault map[string]int
	results []chaosResult
	reads   atomic.Int64
	waits   atomic.Int64
}

type chaosResult struct {
	key          int
	board, title string
	pin          string
	err          error
}

const maxFaultsPerCreate = 3 // fewer than the attempts, so that every create can succeed

func newChaos(t *testing.T, mix chaosMix, seed uint64) *chaos {
	clock := pinteresttest.NewClock(time.Date(2026, 7, 9, 9, 0, 0, 0, time.UTC))
	c := &chaos{mix: mix, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), struck: map[string]int{}, byFault: map[string]int{}}
	c.srv = pinteresttest.NewServer(pinteresttest.WithClock(clock), pinteresttest.WithSeed(seed), pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())
	t.Cleanup(c.srv.Close)
	acct := c.srv.AddAccount("alice")
	for i := range 16 {
		c.boards = append(c.boards, c.srv.AddBoard(acct, fmt.Sprintf("Board %d", i)).ID)
	}
	c.srv.SetListLag(mix.lag)
	faults := chaosFaults()
	c.srv.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault { return c.decide(r, faults) })
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	t.Cleanup(transport.CloseIdleConnections)
	ledger := mortalLedger{pinterest.NewMemoryLedger()}
	c.start = func() *testClient {
		client, err := pinterest.New(
			pinterest.WithAccessToken(acct.AccessToken), pinterest.WithBaseURL(c.srv.URL), pinterest.WithClock(clock), pinterest.WithoutPacing(),
			pinterest.WithHTTPClient(&http.Client{Transport: mortalTransport{transport}}), pinterest.WithLedger(ledger),
			// This is real time, because the sockets are real: long enough for a loaded
			// machine, and spent once for each answer that never comes.
			pinterest.WithRetry(pinterest.RetryPolicy{AttemptTimeout: 2 * time.Second, Budget: -1}),
			pinterest.WithObserver(c.observe))
		require.NoError(t, err)
		return wrap(client)
	}
	c.client = c.start()
	return c
}

// decide draws the fault of a request. The draw depends on the seed, the title and
// the faults it already had, not on the order in which requests arrive.
func (c *chaos) decide(r *pinteresttest.Request, faults []chaosFault) *pinteresttest.Fault {
	if r.Operation == "boards/list_pins" {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.mix.listsDown || c.random.Float64() < c.mix.listFails {
			f := pinteresttest.ServerError(http.StatusServiceUnavailable)
			return &f
		}
		return nil
	}
	if r.Operation != "pins/create" || strings.Contains(string(r.Body), "Before ") {
		return nil
	}
	title := string(r.Body[strings.Index(string(r.Body), `"title":"`)+9:])
	title = title[:strings.IndexByte(title, '"')]
	c.mu.Lock()
	defer c.mu.Unlock()
	var h uint64 = 14695981039346656037
	for _, b := range []byte(title) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	n := c.struck[title]
	if n >= maxFaultsPerCreate {
		return nil
	}
	random := rand.New(rand.NewPCG(c.seed, h+uint64(n)))
	if random.IntN(5) != 0 {
		c.struck[title] = maxFaultsPerCreate
		return nil
	}
	c.struck[title]++
	f := faults[random.IntN(len(faults))]
	c.byFault[f.name]++
	return &f.fault
}

func (c *chaos) observe(e pinterest.Event) {
	if e.Type == pinterest.EventLookup {
		c.reads.Add(1)
	}
	c.waits.Add(int64(e.Wait)) // only attempts have one
}

// run makes n creates from 64 goroutines. One in ten has the same content as
// the one before it.
func (c *chaos) run(n int) {
	for i, b := range c.boards { // so that every board has known pins
		for j := range 2 {
			c.create(chaosResult{key: -1 - i*2 - j, board: b, title: fmt.Sprintf("Before %d %d", i, j)})
		}
	}
	jobs := make(chan chaosResult)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for job := range jobs {
				c.create(job)
			}
		})
	}
	for i := range n {
		title := fmt.Sprintf("Pin %d", i)
		if i%10 == 9 && !c.mix.marker {
			title = fmt.Sprintf("Pin %d", i-1)
		}
		board := c.boards[(i-i%10)/10%len(c.boards)]
		jobs <- chaosResult{key: i, board: board, title: title}
	}
	close(jobs)
	wg.Wait()
}

func (c *chaos) create(job chaosResult) {
	pin := pinterest.PinCreate{
		BoardID: job.board, Title: job.title, Description: " ", Link: "https://shop.example/p?x=1&y=2",
		MediaSource: pinterest.ImageURL("https://shop.example/p/1.jpg"),
	}
	if c.mix.marker {
		pin.Marker = "job=" + strings.ReplaceAll(job.title, " ", "-")
	}
	made, err := c.make(pin, job.key)
	if job.err = err; err == nil {
		job.pin = made.ID
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, job)
}

// make makes the pin with Create, or, if processes die in this mix, with CreateOnce
// in a process that may die during the call and is restarted.
func (c *chaos) make(pin pinterest.PinCreate, key int) (*pinterest.Pin, error) {
	if !c.mix.deaths {
		return c.client.Pins.Create(context.Background(), pin)
	}
	client, ctx := c.client, context.Background()
	if key%10 == 0 {
		client = c.start()
		d := &death{after: int32(key / 10 % 8)}
		dying := context.WithValue(ctx, deathKey{}, d)
		made, err := client.Pins.CreateOnce(dying, fmt.Sprint(key), pin)
		if !d.dead() {
			return made, err
		}
		client = c.start()
	}
	return client.Pins.CreateOnce(ctx, fmt.Sprint(key), pin)
}

// death is the end of a process during a call. From then on the call reaches neither
// the ledger nor the network.
type death struct {
	after int32 // steps before it dies
	steps atomic.Int32
}

type deathKey struct{}

var errDead = errors.New("the process is dead")

func (d *death) dead() bool { return d.steps.Load() > d.after }

// step returns errDead if the process dies before its next step.
func step(ctx context.Context) error {
	d, ok := ctx.Value(deathKey{}).(*death)
	if ok && d.steps.Add(1) > d.after {
		return errDead
	}
	return nil
}

// mortalTransport can die before a request, or after it, so that the answer is lost.
type mortalTransport struct{ http.RoundTripper }

func (m mortalTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := step(r.Context()); err != nil {
		return nil, err
	}
	res, err := m.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := step(r.Context()); err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	return res, nil
}

// mortalLedger can die before a record is read, and before or after it is written.
type mortalLedger struct{ pinterest.Ledger }

func (m mortalLedger) Load(ctx context.Context, name string) ([]byte, error) {
	if err := step(ctx); err != nil {
		return nil, err
	}
	return m.Ledger.Load(ctx, name)
}

func (m mortalLedger) Save(ctx context.Context, records map[string][]byte) error {
	if err := step(ctx); err != nil {
		return err
	}
	if err := m.Ledger.Save(ctx, records); err != nil {
		return err
	}
	return step(ctx)
}

// tally counts the outcomes of the creates, compared with what the server holds.
type tally struct {
	ok, uncertain, duplicates, ghosts, lost, lies, shared int

	why []error // of the uncertain ones
}

func (c *chaos) count() tally {
	type key struct{ board, title string }
	exist := map[string]bool{}
	pins := map[key]int{}
	for _, b := range c.boards {
		for _, p := range c.srv.Pins(b) {
			exist[p.ID] = true
			pins[key{b, p.Title}]++
		}
	}
	var n tally
	told := map[string]bool{}
	claims, failures, open := map[key]int{}, map[key]int{}, map[key]int{}
	for _, r := range c.results {
		k := key{r.board, r.title}
		switch {
		case r.err == nil && !exist[r.pin]:
			n.lies++
		case r.err == nil && told[r.pin]:
			n.shared++ // two creates were told the same pin
		case r.err == nil:
			n.ok++
			told[r.pin] = true
			claims[k]++
		case errors.Is(r.err, pinterest.ErrUncertain):
			n.uncertain++
			n.why = append(n.why, r.err)
			open[k]++
		default:
			n.lost++
			failures[k]++
		}
	}
	for k, made := range pins {
		extra := made - claims[k] - open[k]
		if extra <= 0 {
			continue
		}
		ghosts := min(extra, failures[k])
		n.ghosts += ghosts
		n.duplicates += extra - ghosts
	}
	return n
}

func (c *chaos) report(t *testing.T) {
	n := c.count()
	faults := 0
	for _, k := range c.byFault {
		faults += k
	}
	reads := float64(c.reads.Load()) / float64(max(1, faults))
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "creates\tfaults\tok\tuncertain\tduplicates\tghosts\tlost\tlies\tshared\tlook-ups/fault\twait/fault")
	fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.2f\t%v\n", len(c.results), faults, n.ok, n.uncertain,
		n.duplicates, n.ghosts, n.lost, n.lies, n.shared, reads, (time.Duration(c.waits.Load()) / time.Duration(max(1, faults))).Round(time.Millisecond))
	_ = w.Flush()
	t.Log("\n" + b.String())

	assert.Zero(t, n.duplicates, "duplicates")
	assert.Zero(t, n.ghosts, "told failed, exists")
	assert.Zero(t, n.lost, "told failed, could have been made")
	assert.Zero(t, n.lies, "told made, does not exist")
	assert.Zero(t, n.shared, "two creates told the same pin")
	assert.Equal(t, len(c.results), n.ok+n.uncertain)
	assert.Greater(t, faults, len(c.results)/10, "the faults must strike")
	assert.LessOrEqual(t, float64(n.uncertain), c.mix.uncertain*float64(len(c.results)), "uncertain where the lists can be read: %v", n.why[:min(len(n.why), 4)])
	if c.mix.maxReads > 0 && faults > 1000 { // fewer are too small a sample for a mean
		assert.LessOrEqual(t, reads, c.mix.maxReads, "look-ups per fault")
	}
}
