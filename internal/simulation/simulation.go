// Package simulation measures what pacing achieves: real clients call a server
// that counts as the API does, in virtual time. Its functions have to be called
// inside a bubble of testing/synctest.
package simulation

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Creates is a load of pins to create that arrive faster than the quota allows.
type Creates struct {
	Name   string
	Server *Server
	// Limiters are the limiters of the processes that share the account; nil is a
	// process without one.
	Limiters []pinterest.Limiter
	N        int           // how many pins, all processes together
	Every    time.Duration // how often one arrives
	Retry    pinterest.RetryPolicy
}

// Result is the result of a load.
type Result struct {
	Name    string
	N       int
	Failed  int
	Refused int             // answers 429
	Wall    time.Duration   // until the last pin was created
	Ideal   time.Duration   // of a sender that uses the whole quota from the first moment on
	At      []time.Duration // when each pin was created
}

// Ratio returns Wall divided by Ideal.
func (r Result) Ratio() float64 { return float64(r.Wall) / float64(r.Ideal) }

// Run creates the pins.
func (c Creates) Run() Result {
	began := time.Now()
	clients := make([]*pinterest.Client, len(c.Limiters))
	for i, l := range c.Limiters {
		clients[i] = client(c.Server, l, "alice", c.Retry)
	}
	quota := c.Server.Quota
	if quota == 0 {
		quota = 100
	}
	r := Result{Name: c.Name, N: c.N, Ideal: time.Duration(c.N) * time.Minute / time.Duration(quota)}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range c.N {
		wg.Go(func() {
			// A process does not begin in the same nanosecond as another.
			time.Sleep(time.Duration(i)*c.Every + time.Duration(i%len(clients))*time.Microsecond)
			err := create(clients[i%len(clients)], i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Failed++
				return
			}
			r.At = append(r.At, time.Since(began))
		})
	}
	wg.Wait()
	slices.Sort(r.At)
	if len(r.At) > 0 {
		r.Wall = r.At[len(r.At)-1]
	}
	r.Refused = c.Server.Refused()
	return r
}

// client returns a client of one account. Retries have no jitter, so that the
// figures can be reproduced.
func client(s *Server, l pinterest.Limiter, account string, retry pinterest.RetryPolicy) *pinterest.Client {
	retry.Jitter = -1
	opts := []pinterest.Option{
		pinterest.WithAccessToken(account), pinterest.WithAccount(account), pinterest.WithAppID("1478036"),
		pinterest.WithHTTPClient(&http.Client{Transport: s}), pinterest.WithRetry(retry),
	}
	if l == nil {
		opts = append(opts, pinterest.WithoutPacing())
	} else {
		opts = append(opts, pinterest.WithLimiter(l))
	}
	c, err := pinterest.New(opts...)
	if err != nil {
		panic(err) // the options are all ours
	}
	return c
}

func create(c *pinterest.Client, i int) error {
	_, err := c.Pins.Create(context.Background(), pinterest.PinCreate{
		BoardID: "549755885175", Title: fmt.Sprint("Linen curtains, ", i), MediaSource: pinterest.ImageURL("https://shop.example/p/1.jpg"),
	})
	return err
}

func get(c *pinterest.Client) error {
	_, err := c.Pins.Get(context.Background(), "813744226420795884")
	return err
}

// Fleet is many accounts of one app that share a limiter.
type Fleet struct {
	Server  *Server
	Limiter pinterest.Limiter
	Heavy   int  // accounts that always have calls waiting, both reads and writes
	Writes  bool // heavy accounts only write
	Light   int  // accounts that make a call a minute
	Time    time.Duration
}

// FleetResult is the result of a fleet.
type FleetResult struct {
	Heavy     []int         // calls of each heavy account, after the first seconds
	Light     int           // calls that light accounts made ...
	Unserved  int           // ... those of them that failed ...
	LightWait time.Duration // ... and how long the slowest took
	Refused   int           // answers 429
}

// Run lets the fleet make calls. Each heavy account has another number of calls
// under way.
func (f Fleet) Run() FleetResult {
	var r FleetResult
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(f.Time)
	for a := range f.Heavy {
		c := client(f.Server, f.Limiter, heavy(a), pinterest.RetryPolicy{})
		for w := range 4 + 2*(a%5) {
			wg.Go(func() {
				time.Sleep(time.Duration(a*10+w) * time.Microsecond)
				f.work(c, w, end)
			})
		}
	}
	for a := range f.Light {
		c := client(f.Server, f.Limiter, fmt.Sprint("light-", a), pinterest.RetryPolicy{})
		wg.Go(func() {
			for time.Sleep(time.Duration(a) * time.Minute / time.Duration(f.Light)); time.Now().Before(end); time.Sleep(time.Minute) {
				asked := time.Now()
				err := get(c)
				mu.Lock()
				r.Light++
				if err != nil {
					r.Unserved++
				}
				r.LightWait = max(r.LightWait, time.Since(asked))
				mu.Unlock()
			}
		})
	}
	// The first calls are the burst, which goes to those who ask first.
	const burst = 20 * time.Second
	time.Sleep(burst)
	early := f.served()
	time.Sleep(time.Until(end))
	r.Heavy = f.served()
	for a := range r.Heavy {
		r.Heavy[a] -= early[a]
	}
	wg.Wait()
	r.Refused = f.Server.Refused()
	return r
}

// work makes one call after another: creates or reads, depending on the worker.
func (f Fleet) work(c *pinterest.Client, worker int, end time.Time) {
	for i := 0; time.Now().Before(end); i++ {
		var err error
		if f.Writes || worker%2 == 0 {
			err = create(c, worker*100_000+i)
		} else {
			err = get(c)
		}
		if err != nil {
			time.Sleep(time.Second)
		}
	}
}

// served returns how many calls of each heavy account have succeeded.
func (f Fleet) served() []int {
	n := make([]int, f.Heavy)
	for a := range n {
		n[a] = f.Server.Served(heavy(a))
	}
	return n
}

func heavy(a int) string { return fmt.Sprint("heavy-", a) }

// Spread returns the largest distance of a heavy account from their mean, divided
// by the mean.
func (r FleetResult) Spread() float64 {
	total := 0
	for _, n := range r.Heavy {
		total += n
	}
	mean := float64(total) / float64(len(r.Heavy))
	return max(float64(slices.Max(r.Heavy))-mean, mean-float64(slices.Min(r.Heavy))) / mean
}
