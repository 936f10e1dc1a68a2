package redislimit_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/internal/testproc"
	"github.com/pinterest-go/pinterest/pinteresttest/limitertest"
	"github.com/pinterest-go/pinterest/redislimit"
)

func TestMain(m *testing.M) {
	testproc.Play(playProcess)
	// go-redis keeps this one for as long as the program runs.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/maintnotifications.(*CircuitBreakerManager).cleanupLoop"))
}

// server returns the options for the Redis of the tests.
func server(t testing.TB) *redis.Options {
	t.Helper()
	url, ok := os.LookupEnv("PINTEREST_TEST_REDIS")
	if !ok {
		if os.Getenv("CI") == "true" {
			t.Fatal("PINTEREST_TEST_REDIS is not set")
		}
		t.Skip("PINTEREST_TEST_REDIS is not set: no Redis to test with")
	}
	opts, err := redis.ParseURL(url)
	require.NoError(t, err)
	opts.ContextTimeoutEnabled = true
	return opts
}

var prefixes atomic.Int64

// prefix returns a prefix that keeps the keys of each test and each run apart.
func prefix() string {
	return "test:" + strconv.Itoa(os.Getpid()) + ":" + strconv.FormatInt(time.Now().UnixNano(), 36) + ":" + strconv.FormatInt(prefixes.Add(1), 36) + ":"
}

// outside returns a client for the test itself. It also starts the goroutines that
// go-redis starts once for all clients, which must not start in a bubble.
func outside(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(server(t))
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.Ping(context.Background()).Err())
	return c
}

// bubble returns a client that can be used inside a bubble, where the time is not
// that of sockets.
func bubble(t testing.TB) *redis.Client {
	t.Helper()
	opts := server(t)
	opts.ReadTimeout, opts.WriteTimeout, opts.DialTimeout = -2, -2, time.Hour
	opts.ConnMaxIdleTime, opts.MaxRetries, opts.DisableIdentity = -1, -1, true
	opts.PoolSize = 4096                                                                              // no call waits for a connection: go-redis would share its timers with other bubbles
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // it has goroutines of its own
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestLimiter(t *testing.T) {
	outside(t)
	limitertest.Run(t, func(t *testing.T, limits pinterest.Limits, clock pinterest.Clock) pinterest.Limiter {
		l, err := redislimit.New(bubble(t), limits, redislimit.WithPrefix(prefix()), redislimit.WithClock(clock), redislimit.WithTimeout(time.Hour))
		require.NoError(t, err)
		return l
	})
}

// movable is the real time, shifted by the test.
type movable struct {
	realclock.Clock
	ahead atomic.Int64
}

func (c *movable) Now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *movable) move(d time.Duration) { c.ahead.Add(int64(d)) }

// inBubble runs a test in a bubble, with a number of limiters that share a prefix:
// each is like a process that shares only Redis with the others.
func inBubble(t *testing.T, limits pinterest.Limits, processes int, f func(t *testing.T, fleet []*redislimit.Limiter, clients []*redis.Client)) {
	t.Helper()
	outside(t)
	synctest.Test(t, func(t *testing.T) {
		common := prefix()
		var fleet []*redislimit.Limiter
		var clients []*redis.Client
		for range processes {
			c := bubble(t)
			l, err := redislimit.New(c, limits, redislimit.WithPrefix(common), redislimit.WithClock(realclock.Clock{}), redislimit.WithTimeout(time.Hour))
			require.NoError(t, err)
			fleet, clients = append(fleet, l), append(clients, c)
		}
		f(t, fleet, clients)
	})
}

// connect returns a limiter that uses the real time, and its client and prefix.
func connect(t testing.TB, limits pinterest.Limits, opts ...redislimit.Option) (*redislimit.Limiter, *redis.Client, string) {
	t.Helper()
	c, p := outside(t), prefix()
	l, err := redislimit.New(c, limits, append([]redislimit.Option{redislimit.WithPrefix(p), redislimit.WithTimeout(5 * time.Second)}, opts...)...)
	require.NoError(t, err)
	return l, c, p
}

// writes returns limits of one category.
func writes(n int, window time.Duration) pinterest.Limits {
	return pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{pinterest.CategoryOrgWrite: {Limit: n, Window: window}}}
}

// write returns the permit of a call that those limits hold for.
func write(account string) pinterest.Permit {
	return pinterest.Permit{App: "app", Account: account, Category: pinterest.CategoryOrgWrite}
}

// bounded returns one that does not wait for a quota that is used up.
func bounded(account string) pinterest.Permit {
	pm := write(account)
	pm.MaxHold = time.Second
	return pm
}

// said returns what an answer says about writes.
func said(limit, remaining int, reset time.Duration) pinterest.RateLimit {
	p := pinterest.RatePolicy{Name: "org_write_app_id_user_id", Limit: limit, Window: time.Minute}
	net := pinterest.RatePolicy{Name: "safety_net_app_id_user_id", Limit: 100, Window: time.Second}
	return pinterest.RateLimit{Limit: limit, Remaining: remaining, Reset: reset, Policy: p, Policies: []pinterest.RatePolicy{net, p}}
}

// keys returns the keys with a prefix.
func keys(t testing.TB, c *redis.Client, prefix string) (list []string) {
	t.Helper()
	all := c.Scan(context.Background(), 0, prefix+"*", 1000).Iterator()
	for all.Next(context.Background()) {
		list = append(list, all.Val())
	}
	require.NoError(t, all.Err())
	return list
}

// used returns how many writes of an account are used.
func used(t testing.TB, l pinterest.Limiter, account string) pinterest.Usage {
	t.Helper()
	list, err := l.Usage(context.Background(), "app", account)
	require.NoError(t, err)
	for _, u := range list {
		if u.Limit == "org_write" {
			return u
		}
	}
	return pinterest.Usage{}
}

// paced checks that err is a refusal for the reason.
func paced(t testing.TB, err error, reason pinterest.PaceReason) pinterest.PaceWait {
	t.Helper()
	var refusal *pinterest.PaceError
	if assert.ErrorAs(t, err, &refusal) {
		assert.Equal(t, reason, refusal.Reason)
		return refusal.PaceWait
	}
	return pinterest.PaceWait{}
}

// counting counts the operations of the script.
type counting struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); strings.EqualFold(cmd.Name(), "evalsha") {
			if n, ok := args[2].(int); ok {
				c.mu.Lock()
				if c.n == nil {
					c.n = map[string]int{}
				}
				c.n[fmt.Sprint(args[3+n])]++
				c.mu.Unlock()
			}
		}
		return next(ctx, cmd)
	}
}

func (c *counting) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for op, n := range c.n {
		out[op] = n
	}
	return out
}

func TestOptions(t *testing.T) {
	c := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	defer c.Close()
	for name, f := range map[string]func() error{
		"no client":    func() error { _, err := redislimit.New(nil, pinterest.Limits{}); return err },
		"no timeout":   func() error { _, err := redislimit.New(c, pinterest.Limits{}, redislimit.WithTimeout(0)); return err },
		"a brace":      func() error { _, err := redislimit.New(c, pinterest.Limits{}, redislimit.WithPrefix("{}")); return err },
		"no limit":     func() error { _, err := redislimit.New(c, writes(-1, time.Minute)); return err },
		"no such time": func() error { _, err := redislimit.New(c, writes(1, time.Millisecond)); return err },
		"more than all": func() error {
			_, err := redislimit.New(c, pinterest.Limits{}, redislimit.WithFallback(redislimit.FailOpen(1.5)))
			return err
		},
		"nothing": func() error {
			_, err := redislimit.New(c, pinterest.Limits{}, redislimit.WithFallback(redislimit.FailOpen(0)))
			return err
		},
		"a client that would hang": func() error {
			hangs := redis.NewClient(&redis.Options{})
			defer hangs.Close()
			_, err := redislimit.New(hangs, pinterest.Limits{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { assert.ErrorContains(t, f(), "redislimit: ") })
	}
}
