package redislimit_test

import (
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest/limitertest"
	"github.com/pinterest-go/pinterest/redislimit"
)

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
	return opts
}

var prefixes atomic.Int64

// prefix keeps the keys of each test apart, and those of each run.
func prefix() string {
	return "test:" + strconv.Itoa(os.Getpid()) + ":" + strconv.FormatInt(time.Now().UnixNano(), 36) + ":" + strconv.FormatInt(prefixes.Add(1), 36) + ":"
}

// bubble returns a client that can be used inside of a bubble: the time there is
// another than that of sockets.
func bubble(t testing.TB) *redis.Client {
	t.Helper()
	opts := server(t)
	opts.ReadTimeout, opts.WriteTimeout, opts.DialTimeout = -2, -2, time.Hour
	opts.ConnMaxIdleTime, opts.MaxRetries, opts.DisableIdentity = -1, -1, true
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestLimiter(t *testing.T) {
	// What go-redis starts once for all clients must not be started in a bubble.
	outside := redis.NewClient(server(t))
	require.NoError(t, outside.Ping(t.Context()).Err())
	defer func() { _ = outside.Close() }()
	limitertest.Run(t, func(t *testing.T, limits pinterest.Limits, clock pinterest.Clock) pinterest.Limiter {
		l, err := redislimit.New(bubble(t), limits, redislimit.WithPrefix(prefix()), redislimit.WithClock(clock), redislimit.WithTimeout(time.Hour))
		require.NoError(t, err)
		return l
	})
}
