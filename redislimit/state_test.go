package redislimit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/redislimit"
)

func TestKeys(t *testing.T) {
	limits := pinterest.AccessStandard.Limits()
	limits.App = map[pinterest.Category]pinterest.Quota{pinterest.CategoryAll: {Limit: 1000, Window: 24 * time.Hour}}
	l, c, p := connect(t, limits)
	require.NoError(t, l.Wait(t.Context(), pinterest.Permit{App: "1478036", Account: "549755885175", Category: pinterest.CategoryOrgWrite}))
	assert.ElementsMatch(t, []string{
		p + "{1478036}:account:549755885175:safety_net:100/1s",
		p + "{1478036}:account:549755885175:org_write:100/60s",
		p + "{1478036}:app:safety_net:1000/86400s",
	}, keys(t, c, p))
	for _, key := range keys(t, c, p) {
		ttl, err := c.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		least, most := time.Minute, 3*time.Minute
		if strings.Contains(key, ":app:") {
			least, most = 24*time.Hour, 49*time.Hour
		}
		assert.Greater(t, ttl, least, key)
		assert.LessOrEqual(t, ttl, most, key)
		size, err := c.MemoryUsage(t.Context(), key).Result()
		require.NoError(t, err)
		assert.Less(t, size, int64(300), key)
	}
}

// Names can be any text, and different ones have different keys.
func TestNames(t *testing.T) {
	l, c, p := connect(t, writes(100, time.Hour))
	names := []string{"", "%", "%25", "a", "A", "a b", "a%20b", "a{b}c", "x}y\x00*[", "\xff", "ü", ":", strings.Repeat("n", 64), strings.Repeat("n", 65), strings.Repeat("n", 1000)}
	for _, app := range names {
		for _, account := range names {
			pm := pinterest.Permit{App: app, Account: account, Category: pinterest.CategoryOrgWrite}
			require.NoError(t, l.Wait(t.Context(), pm))
			list, err := l.Usage(t.Context(), app, account)
			require.NoError(t, err)
			require.Len(t, list, 1)
			assert.Equal(t, 1, list[0].Used, "%q %q", app, account)
		}
	}
	list := keys(t, c, p)
	assert.Len(t, list, len(names)*len(names))
	tags := map[string]bool{}
	for _, key := range list {
		_, rest, _ := strings.Cut(key, "{")
		tag, _, ok := strings.Cut(rest, "}")
		assert.True(t, ok && tag != "", key)
		tags[tag] = true
		assert.Less(t, len(key), 300)
	}
	assert.Len(t, tags, len(names), "one hash tag for each app")
}

// State that Redis loses starts again, and values of other kinds are overwritten.
func TestStateThatIsLost(t *testing.T) {
	for name, lose := range map[string]func(ctx context.Context, c *redis.Client, key string) error{
		"deleted":         func(ctx context.Context, c *redis.Client, key string) error { return c.Del(ctx, key).Err() },
		"of another type": replace,
		"empty":           func(ctx context.Context, c *redis.Client, key string) error { return c.Set(ctx, key, "", 0).Err() },
		"of another format": func(ctx context.Context, c *redis.Client, key string) error {
			return c.Set(ctx, key, strings.Repeat("\x02", 89), 0).Err()
		},
		"the script": func(ctx context.Context, c *redis.Client, _ string) error { return c.ScriptFlush(ctx).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			down := 0
			l, c, p := connect(t, writes(5, time.Hour), redislimit.WithOnDown(func(error) { down++ }))
			require.NoError(t, l.Wait(t.Context(), bounded("a")))
			for _, key := range keys(t, c, p) {
				require.NoError(t, lose(t.Context(), c, key))
			}
			for range 4 {
				require.NoError(t, l.Wait(t.Context(), bounded("a")))
			}
			l.Observe(t.Context(), write("a"), pinterest.RateLimit{})
			assert.Positive(t, used(t, l, "a").Used)
			assert.Zero(t, down)
			for _, key := range keys(t, c, p) {
				assert.Equal(t, "string", c.Type(t.Context(), key).Val())
				assert.Positive(t, c.PTTL(t.Context(), key).Val(), "it expires")
			}
		})
	}
}

func replace(ctx context.Context, c *redis.Client, key string) error {
	if err := c.Del(ctx, key).Err(); err != nil {
		return err
	}
	return c.RPush(ctx, key, "x").Err()
}

// Waiters go on when all state is lost, and headers are learned again.
func TestLostWhileTheyWait(t *testing.T) {
	common := prefix()
	c := outside(t)
	inBubble(t, writes(60, time.Minute), 2, func(t *testing.T, fleet []*redislimit.Limiter, clients []*redis.Client) {
		limits, err := redislimit.New(clients[0], writes(60, time.Minute), redislimit.WithPrefix(common), redislimit.WithClock(realclock.Clock{}), redislimit.WithTimeout(time.Hour))
		require.NoError(t, err)
		limits.Observe(context.Background(), write("a"), said(100, 99, time.Minute))
		fleet[0] = limits
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() { assert.NoError(t, fleet[0].Wait(context.Background(), write("a"))) })
		}
		time.Sleep(5 * time.Second)
		list, err := clients[1].Keys(context.Background(), common+"*").Result()
		require.NoError(t, err)
		require.NoError(t, clients[1].Del(context.Background(), list...).Err())
		require.NoError(t, clients[1].ScriptFlush(context.Background()).Err())
		began := time.Now()
		wg.Wait()
		assert.Less(t, time.Since(began), time.Minute)
		assert.Equal(t, 60, used(t, fleet[0], "a").Max, "as configured")
		fleet[0].Observe(context.Background(), write("a"), said(100, 60, time.Minute))
		assert.Equal(t, 100, used(t, fleet[0], "a").Max, "as the API says")
	})
	assert.NotEmpty(t, keys(t, c, common))
}

// A change of the configured quota takes effect at once.
func TestAnotherQuota(t *testing.T) {
	common := redislimit.WithPrefix(prefix())
	first, _, _ := connect(t, writes(100, time.Hour), common)
	require.NoError(t, first.Wait(t.Context(), write("a")))
	second, _, _ := connect(t, writes(7, time.Hour), common)
	require.NoError(t, second.Wait(t.Context(), write("a")))
	assert.Equal(t, 100, used(t, first, "a").Max)
	assert.Equal(t, 7, used(t, second, "a").Max)
}

// A quota that is counted is shared by the fleet.
func TestCountedOnce(t *testing.T) {
	common := redislimit.WithPrefix(prefix())
	var fleet []*redislimit.Limiter
	for range 3 {
		l, _, _ := connect(t, writes(90, 24*time.Hour), common)
		fleet = append(fleet, l)
	}
	var mu sync.Mutex
	went := 0
	var wg sync.WaitGroup
	for i := range 120 {
		wg.Go(func() {
			if err := fleet[i%3].Wait(t.Context(), bounded("a")); err != nil {
				paced(t, err, pinterest.PaceHeld)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			went++
		})
	}
	wg.Wait()
	assert.Equal(t, 90, went)
	u := used(t, fleet[0], "a")
	assert.Equal(t, 90, u.Used, "refusals give back what they reserved")
	assert.Zero(t, u.Free)
}

func BenchmarkPermit(b *testing.B) {
	wide := pinterest.Quota{Limit: 1 << 30, Window: time.Second}
	l, _, _ := connect(b, pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{
		pinterest.CategoryAll: wide, pinterest.CategoryOrgWrite: wide,
	}})
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Wait(b.Context(), write("a")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPermits measures permits of many accounts at once.
func BenchmarkPermits(b *testing.B) {
	wide := pinterest.Quota{Limit: 1 << 30, Window: time.Second}
	l, _, _ := connect(b, pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{
		pinterest.CategoryAll: wide, pinterest.CategoryOrgWrite: wide,
	}})
	b.SetParallelism(32)
	var accounts struct {
		sync.Mutex
		n int
	}
	b.RunParallel(func(pb *testing.PB) {
		accounts.Lock()
		accounts.n++
		pm := write(fmt.Sprint(accounts.n))
		accounts.Unlock()
		for pb.Next() {
			if err := l.Wait(context.Background(), pm); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkPing measures the round trip alone.
func BenchmarkPing(b *testing.B) {
	c := outside(b)
	for b.Loop() {
		if err := c.Ping(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
	}
}
