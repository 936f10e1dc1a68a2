package redislimit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/redislimit"
)

// A Redis that hangs costs one call its timeout, and the other calls nothing.
func TestRedisHangs(t *testing.T) {
	g, clock, told := newGate(t), &movable{}, heard{}
	l := behind(t, g, writes(100, time.Minute), redislimit.WithFallback(redislimit.FailOpen(1)), redislimit.WithClock(clock), redislimit.WithOnDown(told.hear))
	g.set(true)
	began := time.Now()
	for i := range 200 {
		require.NoError(t, l.Wait(t.Context(), write(fmt.Sprint(i))))
	}
	assert.Less(t, time.Since(began), 2*time.Second)
	told.turns(t, 1)
	_, err := l.Usage(t.Context(), "app", "1")
	require.ErrorContains(t, err, "Redis is away")

	// Everybody asks when it is time to, and one does.
	clock.move(2 * time.Second)
	began = time.Now()
	before := g.asked.counts()["reserve"]
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { assert.NoError(t, l.Wait(t.Context(), write(fmt.Sprint("again ", i)))) })
	}
	wg.Wait()
	assert.Equal(t, 1, g.asked.counts()["reserve"]-before, "questions")
	assert.Less(t, time.Since(began), time.Second)
	told.turns(t, 1)

	g.set(false)
	clock.move(2 * time.Second)
	require.NoError(t, l.Wait(t.Context(), write("1")))
	told.turns(t, 2)
	assert.Equal(t, 1, used(t, l, "1").Used, "it counts again")
}

// All waiters of a queue learn of an outage at once, not one after another.
func TestRedisHangsWhileTheyWait(t *testing.T) {
	g, told := newGate(t), heard{}
	l := behind(t, g, writes(1, 2*time.Second), redislimit.WithFallback(redislimit.FailClosed()), redislimit.WithOnDown(told.hear))
	require.NoError(t, l.Wait(t.Context(), write("a")))
	var wg, waiting sync.WaitGroup
	waiting.Add(64)
	for range 64 {
		wg.Go(func() {
			pm := write("a")
			pm.Waiting = func(pinterest.PaceWait) { waiting.Done() }
			err := l.Wait(t.Context(), pm)
			refusal := paced(t, err, pinterest.PaceUnavailable)
			assert.WithinDuration(t, time.Now().Add(time.Second), refusal.Until, time.Second)
			var down net.Error
			assert.True(t, errors.As(err, &down) && down.Timeout(), "it tells why: %v", err)
		})
	}
	waiting.Wait()
	assert.Equal(t, 64, used(t, l, "a").Waiting)
	g.set(true)
	began := time.Now()
	wg.Wait()
	assert.Less(t, time.Since(began), 4*time.Second, "the first slot is due in two")
	told.turns(t, 1)
}

// A caller's context ends its request to Redis, and Redis is not blamed.
func TestCallersDeadline(t *testing.T) {
	g, told := newGate(t), heard{}
	l := behind(t, g, writes(100, time.Minute), redislimit.WithTimeout(time.Minute), redislimit.WithOnDown(told.hear))
	g.set(true)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		began := time.Now()
		require.ErrorIs(t, l.Wait(ctx, write("a")), context.DeadlineExceeded)
		assert.Less(t, time.Since(began), 2*time.Second)
		cancel()
	}
	told.turns(t, 0)
}

// A dialer that never returns blocks no call either.
func TestDialerHangs(t *testing.T) {
	release := make(chan struct{})
	c := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, Dialer: func(context.Context, string, string) (net.Conn, error) {
		<-release
		return nil, io.ErrClosedPipe
	}})
	defer c.Close()
	defer close(release)
	l, err := redislimit.New(c, writes(100, time.Minute), redislimit.WithTimeout(50*time.Millisecond), redislimit.WithFallback(redislimit.FailClosed()))
	require.NoError(t, err)
	began := time.Now()
	for range 10 {
		paced(t, l.Wait(t.Context(), write("a")), pinterest.PaceUnavailable)
	}
	assert.Less(t, time.Since(began), time.Second)
}

// Answers do not raise the fraction, and a 429 holds as usual.
func TestFallbackKeepsItsFraction(t *testing.T) {
	g, clock := newGate(t), &movable{}
	l := behind(t, g, writes(100, 24*time.Hour), redislimit.WithFallback(redislimit.FailOpen(0.2)), redislimit.WithClock(clock))
	for range 50 {
		require.NoError(t, l.Wait(t.Context(), bounded("a")))
	}
	g.set(true)
	day := pinterest.RatePolicy{Name: "org_write_app_id_user_id", Limit: 100, Window: 24 * time.Hour}
	for account, want := range map[string]int{"a": 10, "b": 20} {
		n := 0
		for l.Wait(t.Context(), bounded(account)) == nil {
			n++
			l.Observe(t.Context(), write(account), pinterest.RateLimit{Remaining: -1, Policies: []pinterest.RatePolicy{day}})
		}
		assert.Equal(t, want, n, "of the hundred of account %s, of which a has used fifty", account)
	}
	l.Penalize(t.Context(), write("c"), pinterest.RateLimit{Remaining: -1}, time.Hour)
	paced(t, l.Wait(t.Context(), bounded("c")), pinterest.PaceHeld)

	// When Redis is back it hears of the hold.
	g.set(false)
	clock.move(2 * time.Second)
	require.NoError(t, l.Wait(t.Context(), bounded("d")))
	paced(t, l.Wait(t.Context(), bounded("c")), pinterest.PaceHeld)
	assert.WithinDuration(t, clock.Now().Add(time.Hour), used(t, l, "c").HeldUntil, 10*time.Second)
}

// A limit that is closed stays closed when Redis stops answering.
func TestFallbackKnowsOfHolds(t *testing.T) {
	g := newGate(t)
	limits := pinterest.AccessStandard.Limits()
	limits.App = map[pinterest.Category]pinterest.Quota{pinterest.CategoryOrgRead: {Limit: 100, Window: time.Minute}}
	l := behind(t, g, limits, redislimit.WithFallback(redislimit.FailOpen(0.5)))
	l.Penalize(t.Context(), write("a"), pinterest.RateLimit{Remaining: -1}, time.Hour)
	apps := pinterest.RatePolicy{Name: "org_read_app_id", Limit: 100, Window: time.Minute}
	l.Penalize(t.Context(), write("a"), pinterest.RateLimit{Remaining: -1}, time.Minute)
	read := bounded("b")
	read.Category = pinterest.CategoryOrgRead
	l.Penalize(t.Context(), read, pinterest.RateLimit{Policy: apps}, time.Hour)
	g.set(true)
	paced(t, l.Wait(t.Context(), bounded("a")), pinterest.PaceHeld)
	paced(t, l.Wait(t.Context(), read), pinterest.PaceHeld)
	other := bounded("a")
	other.Category = pinterest.CategoryAdsRead
	require.NoError(t, l.Wait(t.Context(), other))
}

// Calls that wait for their process's own pacer return to the fleet's queue. One of
// them asks Redis after a second or two, and all return at once when any call was
// answered.
func TestWaitersReturn(t *testing.T) {
	t.Run("one of them asks", func(t *testing.T) { waitersReturn(t, false) })
	t.Run("another asks", func(t *testing.T) { waitersReturn(t, true) })
}

func waitersReturn(t *testing.T, other bool) {
	t.Helper()
	g, clock, told := newGate(t), &movable{}, heard{}
	l := behind(t, g, writes(1000, time.Minute), redislimit.WithFallback(redislimit.FailOpen(0.001)), redislimit.WithClock(clock), redislimit.WithOnDown(told.hear))
	g.set(true)
	require.NoError(t, l.Wait(t.Context(), write("a"))) // the one of this minute
	var mu sync.Mutex
	waits := 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			pm := write("a")
			told := 0
			pm.Waiting = func(pinterest.PaceWait) {
				mu.Lock()
				defer mu.Unlock()
				waits++
				told++
				assert.Equal(t, 1, told, "it is told once that it waits")
			}
			assert.NoError(t, l.Wait(t.Context(), pm))
		})
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return waits == 20 }, time.Minute, time.Millisecond)
	g.set(false)
	clock.move(2 * time.Second)
	began, most := time.Now(), 10*time.Second
	if other {
		require.NoError(t, l.Wait(t.Context(), write("b")))
		most = 900 * time.Millisecond
	}
	wg.Wait()
	assert.Less(t, time.Since(began), most)
	told.turns(t, 2)
}

// The observer may take its time, and may use the limiter itself.
func TestOnDownMayAsk(t *testing.T) {
	g, clock, told := newGate(t), &movable{}, heard{}
	var l *redislimit.Limiter
	l = behind(t, g, writes(100, time.Minute), redislimit.WithClock(clock), redislimit.WithFallback(redislimit.FailOpen(1)), redislimit.WithOnDown(func(err error) {
		told.hear(err)
		_, asked := l.Usage(context.Background(), "app", "a")
		assert.Equal(t, err == nil, asked == nil)
	}))
	for n := range 3 {
		g.set(true)
		require.NoError(t, l.Wait(t.Context(), write(fmt.Sprint("down ", n))))
		g.set(false)
		clock.move(2 * time.Second)
		require.NoError(t, l.Wait(t.Context(), write(fmt.Sprint("up ", n))))
	}
	told.turns(t, 6)
}

// The calls of the observer do not overlap, even if Redis answers again while the
// observer runs.
func TestOnDownInOrder(t *testing.T) {
	g, clock, inside, turns := newGate(t), &movable{}, false, 0
	var l *redislimit.Limiter
	l = behind(t, g, writes(100, time.Minute), redislimit.WithClock(clock), redislimit.WithOnDown(func(err error) {
		assert.False(t, inside)
		inside = true
		turns++
		if err != nil {
			g.set(false)
			clock.move(2 * time.Second)
			assert.NoError(t, l.Wait(context.Background(), write("while it hears")))
			assert.Equal(t, 1, turns)
		}
		inside = false
	}))
	g.set(true)
	require.NoError(t, l.Wait(t.Context(), write("a")))
	assert.Equal(t, 2, turns)
}

func TestRedisGoesAwayAndComesBack(t *testing.T) {
	for name, tt := range map[string]struct {
		fallback redislimit.Fallback
		went     int // of ten calls while it is away
	}{
		"open, at half of the quota": {redislimit.FailOpen(0.5), 4}, // of the nine that are left
		"open, at all of it":         {redislimit.FailOpen(1), 9},
		"closed":                     {redislimit.FailClosed(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, clock, told := newPrivate(t), &movable{}, heard{}
			c := redis.NewClient(&redis.Options{Addr: p.addr, ContextTimeoutEnabled: true})
			defer c.Close()
			l, err := redislimit.New(c, writes(10, time.Hour), redislimit.WithFallback(tt.fallback), redislimit.WithClock(clock), redislimit.WithOnDown(told.hear))
			require.NoError(t, err)
			require.NoError(t, l.Wait(t.Context(), bounded("a")))

			p.stop()
			went := 0
			for range 10 {
				began := time.Now()
				err := l.Wait(t.Context(), bounded("a"))
				assert.Less(t, time.Since(began), time.Second, "no call hangs")
				switch {
				case err == nil:
					went++
				case tt.went == 0:
					refusal := paced(t, err, pinterest.PaceUnavailable)
					assert.WithinDuration(t, clock.Now().Add(time.Second), refusal.Until, time.Second)
				default:
					paced(t, err, pinterest.PaceHeld)
				}
			}
			assert.Equal(t, tt.went, went)
			l.Observe(t.Context(), write("a"), said(100, 99, time.Minute))
			l.Penalize(t.Context(), write("a"), pinterest.RateLimit{}, time.Millisecond)
			told.turns(t, 1)

			p.start()
			clock.move(2 * time.Second)
			require.NoError(t, l.Wait(t.Context(), bounded("b")), "it is there again")
			told.turns(t, 2)
			require.NoError(t, c.FlushAll(t.Context()).Err())
			require.NoError(t, l.Wait(t.Context(), bounded("b")), "and has forgotten all")
			told.turns(t, 2)
		})
	}
}

// A Redis that only answers with errors counts as one that does not answer.
func TestRedisRefuses(t *testing.T) {
	p, told := newPrivate(t), heard{}
	c := redis.NewClient(&redis.Options{Addr: p.addr, ContextTimeoutEnabled: true})
	defer c.Close()
	l, err := redislimit.New(c, writes(10, time.Minute), redislimit.WithFallback(redislimit.FailClosed()), redislimit.WithOnDown(told.hear))
	require.NoError(t, err)
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory", "1").Err())
	paced(t, l.Wait(t.Context(), write("a")), pinterest.PaceUnavailable)
	told.turns(t, 1)
	assert.ErrorContains(t, told.list[0], "OOM")
}

// The script runs on a Redis Cluster: its keys are in one slot.
func TestCluster(t *testing.T) {
	p := newPrivate(t, "--cluster-enabled", "yes")
	node := redis.NewClient(&redis.Options{Addr: p.addr})
	defer node.Close()
	require.NoError(t, node.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err())
	require.Eventually(t, func() bool { return node.Set(t.Context(), "ready", 1, 0).Err() == nil }, 20*time.Second, 10*time.Millisecond)
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{p.addr}, ContextTimeoutEnabled: true})
	defer c.Close()
	limits := pinterest.AccessStandard.Limits()
	limits.App = map[pinterest.Category]pinterest.Quota{pinterest.CategoryAll: {Limit: 1000, Window: time.Minute}}
	l, err := redislimit.New(c, limits, redislimit.WithFallback(redislimit.FailClosed()), redislimit.WithTimeout(5*time.Second))
	require.NoError(t, err)
	for _, app := range []string{"1478036", "a b", "", "{}"} {
		pm := write("a")
		pm.App = app
		require.NoError(t, l.Wait(t.Context(), pm))
		list, err := l.Usage(t.Context(), app, "a")
		require.NoError(t, err)
		assert.Len(t, list, 3)
	}
}
