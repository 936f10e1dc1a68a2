package pinterest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/hostile/http2server"
	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

var (
	chaosSeed    = flag.Uint64("chaos.seed", 1, "seed of TestChaos")
	chaosCreates = flag.Int("chaos.creates", chaosCreatesOfAMix, "creates in each mix of TestChaos")
)

// A chaosMix is one set of circumstances.
type chaosMix struct {
	name      string
	lag       time.Duration // how long lists lag behind writes
	listFails float64       // probability that a list read fails, at each attempt
	listsDown bool          // every list read fails
	oneLink   bool          // all pins have the same link, and so may be one another in another form
	marker    bool          // pins carry a marker
	deaths    bool          // the process dies during one create in ten and is restarted
	http2     bool          // HTTP/2, with requests that break in the middle
	rewritten bool          // texts come back in another form
	steps     bool          // the client's clock is set, and single Date headers are wrong
	reordered bool          // lists are not newest first
	lagUpTo   time.Duration // each pin has a lag of its own, up to this
	waits     bool          // the API asks for waits of up to a minute, and the policy waits as long

	uncertain float64 // the share of uncertain outcomes that is allowed, of the creates that met a fault
	maxReads  float64 // look-ups per fault allowed; 0: any
}

// TestChaos makes creates while many things go wrong. Each mix runs in a bubble, with
// its own time, and both ends speak HTTP over connections in memory.
func TestChaos(t *testing.T) {
	mixes := []chaosMix{
		{name: "no lag", oneLink: true, maxReads: 1.5}, // with a look right before each resend
		{name: "lists lag 3 s", oneLink: true, lag: 3 * time.Second},
		{name: "list reads fail", oneLink: true, listFails: 0.1},
		{name: "lists down", oneLink: true, listsDown: true, uncertain: 1},
		{name: "process killed and restarted", lag: time.Second, deaths: true, uncertain: 0.02}, // its clock may have been set since
		// A new process cannot tell what the others are making from its own pin.
		{name: "process killed and restarted, one link", oneLink: true, lag: time.Second, deaths: true, uncertain: 0.2},
		{name: "lag beyond the settle time, markers", oneLink: true, lag: 20 * time.Second, marker: true, uncertain: 0.01},
		{name: "HTTP/2", http2: true},
		{name: "texts rewritten", lag: time.Second, rewritten: true, uncertain: 0.1},
		{name: "clocks set, wrong Date headers", lag: 3 * time.Second, steps: true, uncertain: 0.01},
		{name: "lists in another order", lag: time.Second, reordered: true},
		{name: "lags up to 40 s, waits up to 60 s", lagUpTo: 40 * time.Second, waits: true, uncertain: 0.01},
	}
	certificate := chaosCertificate()
	for i, mix := range mixes {
		t.Run(mix.name, func(t *testing.T) {
			t.Parallel()
			n := *chaosCreates
			if testing.Short() {
				n = min(n, 500)
			}
			synctest.Test(t, func(t *testing.T) {
				c := newChaos(t, mix, *chaosSeed+uint64(i), certificate)
				c.run(n)
				c.report(t)
			})
		})
	}
}

// chaosCertificate makes the certificate of a server for HTTP/2.
func chaosCertificate() *httptest.Server {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	s.Close()
	return s
}

// chaos is one run: the creates that were intended and their outcomes.
type chaos struct {
	mix    chaosMix
	srv    *chaosServer
	clock  *steppedClock
	client *testClient
	start  func() *testClient // starts a new process: a client without memory
	boards []string
	seed   uint64
	began  time.Time

	mu      sync.Mutex
	random  *rand.Rand     // for what does not depend on a create
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
	met          bool // a fault
}

const maxFaultsPerCreate = 3 // fewer than the attempts, so that every create can succeed

// A steppedClock is the bubble's, set by hand.
type steppedClock struct{ ahead atomic.Int64 }

func (c *steppedClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *steppedClock) Sleep(ctx context.Context, d time.Duration) error {
	return realclock.Sleep(ctx, d)
}

func newChaos(t *testing.T, mix chaosMix, seed uint64, certificate *httptest.Server) *chaos {
	time.Sleep(9 * time.Hour) // to the morning: midnight may be a date without a time
	c := &chaos{
		mix: mix, seed: seed, clock: &steppedClock{}, began: time.Now(),
		random: rand.New(rand.NewPCG(seed, 1)), struck: map[string]int{}, byFault: map[string]int{},
	}
	fake := pinteresttest.NewMemoryServer(pinteresttest.WithSeed(seed), pinteresttest.WithoutQuotas(), pinteresttest.WithoutRequestLog())
	t.Cleanup(fake.Close)
	acct := fake.AddAccount("alice")
	for i := range 64 {
		c.boards = append(c.boards, fake.AddBoard(acct, fmt.Sprintf("Board %d", i)).ID)
	}
	fake.SetListLag(mix.lag)
	c.srv = &chaosServer{Server: fake, fake: fake.Handler(), mix: mix, seed: seed, items: map[string][]byte{}}
	faults := chaosFaults(mix)
	fake.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault { return c.decide(r, faults) })

	transport := c.serve(t, certificate)
	ledger := mortalLedger{pinterest.NewMemoryLedger()}
	c.start = func() *testClient {
		client, err := pinterest.New(
			pinterest.WithAccessToken(acct.AccessToken), pinterest.WithBaseURL("https://127.0.0.1/v5"), pinterest.WithClock(c.clock), pinterest.WithoutPacing(),
			pinterest.WithHTTPClient(&http.Client{Transport: mortalTransport{transport}}), pinterest.WithLedger(ledger),
			pinterest.WithRetry(pinterest.RetryPolicy{AttemptTimeout: 5 * time.Second, Budget: -1}),
			pinterest.WithObserver(c.observe))
		require.NoError(t, err)
		return wrap(client)
	}
	c.client = c.start()
	return c
}

// serve starts a server in memory and returns the transport that leads to it.
func (c *chaos) serve(t *testing.T, certificate *httptest.Server) *http.Transport {
	network := newMemoryNetwork()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	if !c.mix.http2 {
		server := &http.Server{Handler: c.srv, ReadHeaderTimeout: time.Hour}
		var done sync.WaitGroup
		done.Go(func() { assert.ErrorIs(t, server.Serve(network), http.ErrServerClosed) })
		t.Cleanup(func() { transport.CloseIdleConnections(); _ = server.Close(); done.Wait() })
		// The addresses have https, without which no token is sent.
		transport.DialTLSContext = network.dial
		return transport
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Certificate())
	transport.DialContext, transport.ForceAttemptHTTP2 = network.dial, true
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	config := &tls.Config{Certificates: certificate.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := network.Accept()
			if err != nil {
				return
			}
			// With few requests on a connection, a GOAWAY does not hit all of them.
			done.Go(func() { http2server.Serve(tls.Server(conn, config), c.srv, 8) })
		}
	})
	t.Cleanup(func() { transport.CloseIdleConnections(); _ = network.Close(); done.Wait() })
	return transport
}

// decide draws the fault of a request. The draw depends on the seed, the title and
// the faults it already had, not on the order in which requests arrive.
func (c *chaos) decide(r *pinteresttest.Request, faults []chaosFault) *pinteresttest.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Operation == "boards/list_pins" && (c.mix.listsDown || c.random.Float64() < c.mix.listFails) {
		f := pinteresttest.ServerError(http.StatusServiceUnavailable)
		return &f
	}
	if f := c.createFault(r, faults); f != nil {
		return f
	}
	if c.mix.steps && c.random.IntN(50) == 0 {
		ahead := []time.Duration{5 * time.Second, time.Minute}[c.random.IntN(2)]
		return &pinteresttest.Fault{Header: http.Header{"Date": {time.Now().Add(ahead).UTC().Format(http.TimeFormat)}}}
	}
	return nil
}

// createFault draws the fault of a create. The caller holds the lock.
func (c *chaos) createFault(r *pinteresttest.Request, faults []chaosFault) *pinteresttest.Fault {
	if r.Operation != "pins/create" || strings.Contains(string(r.Body), "Before ") {
		return nil
	}
	title := string(r.Body[strings.Index(string(r.Body), `"title":"`)+9:])
	title = title[:strings.IndexByte(title, '"')]
	n := c.struck[title]
	if n >= maxFaultsPerCreate {
		return nil
	}
	random := rand.New(rand.NewPCG(c.seed, chance(uint64(n), title)))
	if random.IntN(5) != 0 {
		c.struck[title] = maxFaultsPerCreate
		return nil
	}
	c.struck[title]++
	f := faults[random.IntN(len(faults))]
	c.byFault[f.name]++
	if c.mix.waits && f.fault.Status != 0 && random.IntN(2) == 0 {
		f.fault.Header = http.Header{"Retry-After": {strconv.Itoa(random.IntN(61))}}
	}
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
		if every := max(1, n/12); c.mix.steps && i%every == every/2 {
			step := []time.Duration{5 * time.Second, -5 * time.Second, 30 * time.Second}[i/every%3]
			c.clock.ahead.Add(int64(step))
		}
		board := c.boards[(i-i%10)/10%len(c.boards)]
		jobs <- chaosResult{key: i, board: board, title: title}
	}
	close(jobs)
	wg.Wait()
}

func (c *chaos) create(job chaosResult) {
	var res pinterest.Response
	opts := []pinterest.CallOption{pinterest.ResponseTo(&res)}
	if c.mix.waits {
		delay := time.Duration(chance(c.seed, fmt.Sprint("wait ", job.key)) % uint64(time.Minute))
		opts = append(opts, pinterest.Retry(pinterest.RetryPolicy{AttemptTimeout: 5 * time.Second, ServerDelay: delay, ThrottleDelay: delay}))
	}
	made, died, err := c.make(c.pin(job), job.key, opts)
	if job.err = err; err == nil {
		job.pin = made.ID
	}
	job.met = died || err != nil || res.Origin == pinterest.OriginLookup || len(res.Attempts) > 1
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, job)
}

// pin returns what a job is to make.
func (c *chaos) pin(job chaosResult) pinterest.PinCreate {
	pin := pinterest.PinCreate{
		BoardID: job.board, Title: job.title, Description: " ", Link: "https://shop.example/p?x=1&y=2",
		MediaSource: pinterest.ImageURL("https://shop.example/p/1.jpg"),
	}
	if c.mix.marker {
		pin.Marker = "job=" + strings.ReplaceAll(job.title, " ", "-")
	}
	if !c.mix.oneLink {
		pin.Link = "https://shop.example/p/" + strings.ReplaceAll(job.title, " ", "-") + "?x=1&y=2"
	}
	if c.mix.rewritten { // texts that every rewriting changes
		pin.Description = "“Küche” of oak & steel,  number " + job.title + ":\r\n\r\n it's 3 < 4 metres long " + strings.Repeat("and has a \"drawer\" more,\r\nfrom señor Peña; ", 13)
		pin.Link = "http://Shop.Example/oak/" + strings.ReplaceAll(job.title, " ", "-") + "?size=2&colour=red&a=%20b#top"
		pin.AltText = "A  kitchen of oak & steel,\r\nby Núñez " + job.title
	}
	return pin
}

// make makes the pin with Create, or, if processes die in this mix, with CreateOnce
// in a process that may die during the call and is restarted.
func (c *chaos) make(pin pinterest.PinCreate, key int, opts []pinterest.CallOption) (made *pinterest.Pin, died bool, err error) {
	ctx, client := context.Background(), c.client
	if !c.mix.deaths {
		made, err = client.Pins.Create(ctx, pin, opts...)
		return made, false, err
	}
	if key%10 == 0 {
		client = c.start()
		d := &death{after: int32(key / 10 % 8)}
		made, err = client.Pins.CreateOnce(context.WithValue(ctx, deathKey{}, d), fmt.Sprint(key), pin, opts...)
		if !d.dead() {
			return made, false, err
		}
		client, died = c.start(), true
	}
	made, err = client.Pins.CreateOnce(ctx, fmt.Sprint(key), pin, opts...)
	return made, died, err
}
