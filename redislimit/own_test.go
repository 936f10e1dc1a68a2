package redislimit_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/simulation"
	"github.com/pinterest-go/pinterest/redislimit"
)

func TestMain(m *testing.M) {
	// go-redis keeps these for all clients of the program.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.startGlobalTimeCache.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/maintnotifications.(*CircuitBreakerManager).cleanupLoop"))
}

// Two processes, which know nothing of each other but the Redis, make 500 pins of
// one account: no 429, at close to full speed.
func TestTwoProcessesOfOneAccount(t *testing.T) {
	outside := redis.NewClient(server(t))
	require.NoError(t, outside.Ping(t.Context()).Err())
	defer func() { _ = outside.Close() }()
	for _, phase := range []int{0, 23, 59} {
		t.Run(fmt.Sprint("the API's minute begins at second ", phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				common := prefix()
				var limiters []pinterest.Limiter
				for range 2 {
					l, err := redislimit.New(bubble(t), pinterest.Standard.Limits(),
						redislimit.WithPrefix(common), redislimit.WithClock(bubbleClock{}), redislimit.WithTimeout(time.Hour))
					require.NoError(t, err)
					limiters = append(limiters, l)
				}
				r := simulation.Creates{
					Server: &simulation.Server{Phase: time.Duration(phase) * time.Second}, Limiters: limiters, N: 500, Every: 10 * time.Millisecond,
				}.Run()
				t.Logf("%d failed, %d answers 429, %v, %.3f of the ideal", r.Failed, r.Refused, r.Wall, r.Ratio())
				assert.Zero(t, r.Failed)
				assert.Zero(t, r.Refused, "429s")
				assert.Less(t, r.Ratio(), 1.02)
			})
		})
	}
}

// bubbleClock is the time of a bubble.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time { return time.Now() }

func (bubbleClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fleet is a client and a limiter by the real time.
func fleet(t *testing.T, limits pinterest.Limits, opts ...redislimit.Option) (*redis.Client, *redislimit.Limiter, string) {
	t.Helper()
	p := prefix()
	c := redis.NewClient(server(t))
	t.Cleanup(func() { _ = c.Close() })
	l, err := redislimit.New(c, limits, append([]redislimit.Option{redislimit.WithPrefix(p)}, opts...)...)
	require.NoError(t, err)
	return c, l, p
}

func narrow(n int) pinterest.Limits {
	return pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{pinterest.CategoryOrgWrite: {Limit: n, Window: time.Hour}}}
}

var write = pinterest.Permit{App: "app", Account: "shop-1", Category: pinterest.CategoryOrgWrite, MaxHold: time.Second}

// keys returns what is kept under a prefix.
func keys(t *testing.T, c *redis.Client, prefix string) []string {
	t.Helper()
	list, err := c.Keys(t.Context(), prefix+"*").Result()
	require.NoError(t, err)
	return list
}

func TestKeysAreInOneSlotAndExpire(t *testing.T) {
	c, l, p := fleet(t, pinterest.Standard.Limits())
	strange := pinterest.Permit{App: "a{b}c", Account: "x}y\x00*[", Category: pinterest.CategoryOrgWrite}
	require.NoError(t, l.Wait(t.Context(), strange))
	require.NoError(t, l.Wait(t.Context(), strange))
	list, tag := keys(t, c, p), ""
	require.Len(t, list, 2, "the account's limits: over all and of the category")
	for _, key := range list {
		_, rest, _ := strings.Cut(key, "{")
		own, _, _ := strings.Cut(rest, "}")
		assert.True(t, tag == "" || tag == own, key)
		tag = own
		ttl, err := c.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		assert.Greater(t, ttl, time.Minute, key)
		assert.LessOrEqual(t, ttl, 3*time.Minute, key)
		assert.NotContains(t, key, "x}y")
	}
}

// What Redis forgets is begun anew, and what stands in the way of a key goes.
func TestStateThatIsLost(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, c *redis.Client, key string){
		"deleted": func(t *testing.T, c *redis.Client, key string) { require.NoError(t, c.Del(t.Context(), key).Err()) },
		"of another type": func(t *testing.T, c *redis.Client, key string) {
			require.NoError(t, c.Set(t.Context(), key, "x", 0).Err())
		},
		"of another format": func(t *testing.T, c *redis.Client, key string) {
			require.NoError(t, c.HSet(t.Context(), key, "level", "x").Err())
		},
		"the script, too": func(t *testing.T, c *redis.Client, _ string) { require.NoError(t, c.ScriptFlush(t.Context()).Err()) },
	} {
		t.Run(name, func(t *testing.T) {
			var downs []error
			c, l, p := fleet(t, narrow(5), redislimit.WithObserver(func(err error) { downs = append(downs, err) }))
			require.NoError(t, l.Wait(t.Context(), write))
			for _, key := range keys(t, c, p) {
				lose(t, c, key)
			}
			for range 4 {
				require.NoError(t, l.Wait(t.Context(), write))
			}
			usage, err := l.Usage(t.Context(), "app", "shop-1")
			require.NoError(t, err)
			require.NotEmpty(t, usage)
			assert.Empty(t, downs)
		})
	}
}

func TestQuotaIsSpentOnceAmongTheFleet(t *testing.T) {
	common := redislimit.WithPrefix(prefix())
	var fleets []*redislimit.Limiter
	for range 3 {
		_, l, _ := fleet(t, narrow(90), common)
		fleets = append(fleets, l)
	}
	var mu sync.Mutex
	went, refused := 0, 0
	var wg sync.WaitGroup
	for i := range 120 {
		wg.Go(func() {
			err := fleets[i%3].Wait(t.Context(), write)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				went++
				return
			}
			var paced *pinterest.PaceError
			if assert.ErrorAs(t, err, &paced) {
				assert.Equal(t, pinterest.PaceHeld, paced.Reason)
				refused++
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 90, went)
	assert.Equal(t, 30, refused)
	usage, err := fleets[0].Usage(t.Context(), "app", "shop-1")
	require.NoError(t, err)
	require.Len(t, usage, 1)
	assert.Equal(t, 90, usage[0].Used)
	assert.Zero(t, usage[0].Free)
}

// A 429 that one process met holds the others.
func TestHoldIsKnownToAll(t *testing.T) {
	common := redislimit.WithPrefix(prefix())
	_, one, _ := fleet(t, pinterest.Standard.Limits(), common)
	_, other, _ := fleet(t, pinterest.Standard.Limits(), common)
	one.Penalize(t.Context(), write, pinterest.RateLimit{}, time.Hour)
	err := other.Wait(t.Context(), write)
	var paced *pinterest.PaceError
	require.ErrorAs(t, err, &paced)
	assert.WithinDuration(t, time.Now().Add(time.Hour), paced.Until, 5*time.Second)
	read := write
	read.Category = pinterest.CategoryOrgRead
	require.NoError(t, other.Wait(t.Context(), read), "reads have a quota of their own")
}

// private starts a Redis that the test can stop.
type private struct {
	t   *testing.T
	dir string
	url string
	cmd *exec.Cmd
}

func newPrivate(t *testing.T) *private {
	t.Helper()
	server(t) // skips where there is none
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("there is no redis-server to stop and start")
	}
	p := &private{t: t, dir: t.TempDir()}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.url = free.Addr().String()
	require.NoError(t, free.Close())
	t.Cleanup(p.stop)
	return p
}

func (p *private) start() {
	p.t.Helper()
	_, port, err := net.SplitHostPort(p.url)
	require.NoError(p.t, err)
	p.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", p.dir, "--logfile", filepath.Join(p.dir, "log"))
	p.cmd.Stderr = os.Stderr
	require.NoError(p.t, p.cmd.Start())
	require.Eventually(p.t, func() bool {
		conn, err := net.Dial("tcp", p.url)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
}

func (p *private) stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// movable is the real time, ahead by what the test says.
type movable struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *movable) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *movable) Sleep(ctx context.Context, d time.Duration) error {
	return bubbleClock{}.Sleep(ctx, d)
}

func (c *movable) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func TestRedisGoesAwayAndComesBack(t *testing.T) {
	for name, tt := range map[string]struct {
		fallback redislimit.Fallback
		goes     int // of ten calls while it is away
	}{
		"open, at half of the quota": {redislimit.FailOpen(0.5), 5},
		"open, at all of it":         {redislimit.FailOpen(1), 10},
		"closed":                     {redislimit.FailClosed(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPrivate(t)
			p.start()
			c := redis.NewClient(&redis.Options{Addr: p.url, MaxRetries: -1, ContextTimeoutEnabled: true, DialTimeout: 200 * time.Millisecond})
			defer func() { _ = c.Close() }()
			var mu sync.Mutex
			var heard []error
			clock := &movable{}
			l, err := redislimit.New(c, narrow(10), redislimit.WithFallback(tt.fallback), redislimit.WithClock(clock), redislimit.WithObserver(func(err error) {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, err)
			}))
			require.NoError(t, err)
			require.NoError(t, l.Wait(t.Context(), write))

			p.stop()
			goes := 0
			for range 10 {
				began := time.Now()
				err := l.Wait(t.Context(), write)
				assert.Less(t, time.Since(began), 2*time.Second, "no call hangs")
				if err == nil {
					goes++
					continue
				}
				var paced *pinterest.PaceError
				require.ErrorAs(t, err, &paced)
				assert.False(t, paced.Until.IsZero())
				if tt.goes == 0 {
					assert.Equal(t, pinterest.PaceUnavailable, paced.Reason)
				}
			}
			assert.Equal(t, tt.goes, goes)
			l.Observe(t.Context(), write, pinterest.RateLimit{})
			l.Penalize(t.Context(), write, pinterest.RateLimit{}, time.Millisecond)

			p.start()
			clock.move(2 * time.Second)
			require.NoError(t, l.Wait(t.Context(), write), "it is there again")
			mu.Lock()
			defer mu.Unlock()
			require.Len(t, heard, 2, "once each: %v", heard)
			assert.Error(t, heard[0])
			assert.NoError(t, heard[1])
		})
	}
}

// A Redis that does not answer costs a call its timeout, once a second.
func TestRedisThatHangs(t *testing.T) {
	server(t)
	hung, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = hung.Close() }()
	c := redis.NewClient(&redis.Options{Addr: hung.Addr().String(), MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = c.Close() }()
	l, err := redislimit.New(c, pinterest.Standard.Limits(), redislimit.WithTimeout(20*time.Millisecond))
	require.NoError(t, err)
	began := time.Now()
	for range 5 {
		require.NoError(t, l.Wait(t.Context(), write))
	}
	assert.Less(t, time.Since(began), time.Second)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, l.Wait(ctx, write), context.Canceled)
}

func TestOptions(t *testing.T) {
	c := redis.NewClient(&redis.Options{})
	defer func() { _ = c.Close() }()
	for name, f := range map[string]func() error{
		"no client":  func() error { _, err := redislimit.New(nil, pinterest.Limits{}); return err },
		"no timeout": func() error { _, err := redislimit.New(c, pinterest.Limits{}, redislimit.WithTimeout(0)); return err },
		"more than all": func() error {
			_, err := redislimit.New(c, pinterest.Limits{}, redislimit.WithFallback(redislimit.FailOpen(1.5)))
			return err
		},
		"a negative limit": func() error { _, err := redislimit.New(c, narrow(-1)); return err },
	} {
		t.Run(name, func(t *testing.T) { assert.ErrorContains(t, f(), "redislimit: ") })
	}
}

func BenchmarkPermit(b *testing.B) {
	c := redis.NewClient(server(b))
	defer func() { _ = c.Close() }()
	wide := pinterest.Quota{Limit: 1 << 30, Window: time.Second}
	l, err := redislimit.New(c, pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{
		pinterest.CategoryAll: wide, pinterest.CategoryOrgWrite: wide,
	}}, redislimit.WithPrefix(prefix()))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Wait(b.Context(), write); err != nil {
			b.Fatal(err)
		}
	}
}

// Every process of a fleet makes its App with a limiter on the same Redis.
func Example() {
	client := redis.NewClient(&redis.Options{
		Addr:                  "redis.internal:6379",
		ContextTimeoutEnabled: true, // so that a Redis that hangs holds nobody up
	})
	defer func() { _ = client.Close() }()
	limiter, err := redislimit.New(client, pinterest.Standard.Limits(),
		redislimit.WithFallback(redislimit.FailOpen(0.25)), // four processes
		redislimit.WithObserver(func(err error) {
			if err != nil {
				fmt.Println("Redis is away:", err)
			} else {
				fmt.Println("Redis is back")
			}
		}),
	)
	if err != nil {
		panic(err)
	}
	app, err := pinterest.NewApp(
		pinterest.WithLimiter(limiter),
		pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()), // a fleet has the one of module sqlstore
		pinterest.WithOAuth(pinterest.OAuth{ClientID: "1478036", ClientSecret: "from your configuration"}),
	)
	fmt.Println(app, err)

	// Output:
	// pinterest.App(https://api.pinterest.com/v5 1478036) <nil>
}
