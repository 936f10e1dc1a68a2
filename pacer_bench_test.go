package pinterest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// loose are limits that a benchmark does not reach.
func loose() pinterest.Limits {
	return pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{
		pinterest.CategoryAll:     {Limit: 1 << 30, Window: time.Second},
		pinterest.CategoryOrgRead: {Limit: 1 << 30, Window: time.Minute},
	}}
}

func benchPacer(tb testing.TB, limits pinterest.Limits, clock pinterest.Clock) *pinterest.Pacer {
	tb.Helper()
	p, err := pinterest.NewPacer(limits, clock)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// benchAccounts returns names that are as long as real ids.
func benchAccounts(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(549755885175 + i)
	}
	return names
}

// random returns the order in which benchmarks use the accounts. It is as long for
// few accounts as for many, so that it costs the same.
func random(names []string) []string {
	order := make([]string, 1<<20)
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range order {
		order[i] = names[rnd.IntN(len(names))]
	}
	return order
}

func readPermit(account string) pinterest.Permit {
	return pinterest.Permit{App: "1478036", Account: account, Category: pinterest.CategoryOrgRead}
}

// BenchmarkPermit measures a permit that is free. "map" is for comparison: the
// cost of finding the account in a map, under a lock, and storing the time.
func BenchmarkPermit(b *testing.B) {
	for _, n := range []int{1, 1_000_000} {
		p := benchPacer(b, loose(), nil)
		names := benchAccounts(n)
		for _, name := range names {
			if err := p.Wait(b.Context(), readPermit(name)); err != nil {
				b.Fatal(err)
			}
		}
		order := random(names)
		known := map[string]*[20]int64{}
		for _, name := range names {
			known[name] = new([20]int64)
		}
		b.Run(fmt.Sprintf("accounts=%d/map", n), func(b *testing.B) {
			var mu sync.Mutex
			i := 0
			for b.Loop() {
				mu.Lock()
				account, now := known[order[i&(1<<20-1)]], time.Now().UnixNano()
				account[0], account[10] = now, now
				mu.Unlock()
				i++
			}
		})
		b.Run(fmt.Sprintf("accounts=%d/one", n), func(b *testing.B) {
			b.ReportAllocs()
			ctx, i := context.Background(), 0
			for b.Loop() {
				if err := p.Wait(ctx, readPermit(order[i&(1<<20-1)])); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
		b.Run(fmt.Sprintf("accounts=%d/parallel", n), func(b *testing.B) {
			b.ReportAllocs()
			var start atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				ctx, i := context.Background(), start.Add(1<<18)
				for pb.Next() {
					if err := p.Wait(ctx, readPermit(order[i&(1<<20-1)])); err != nil {
						b.Error(err)
						return
					}
					i++
				}
			})
		})
	}
}

// BenchmarkAccounts measures the memory of accounts that were used once, and what
// is left of it when they have not been used for a while.
func BenchmarkAccounts(b *testing.B) {
	names := benchAccounts(1_000_000)
	b.Run("pacer", func(b *testing.B) {
		for b.Loop() {
			live, evicted := pacerMemory(b, names)
			b.ReportMetric(live, "live-B/account")
			b.ReportMetric(evicted, "evicted-B/account")
		}
	})
	b.Run("app", func(b *testing.B) {
		for b.Loop() {
			clock := &movedClock{}
			app, err := pinterest.NewApp(pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()), pinterest.WithClock(clock))
			if err != nil {
				b.Fatal(err)
			}
			live, evicted := accountMemory(names[:200_000], clock, func(account string) { app.Client(account) })
			b.ReportMetric(live, "live-B/account")
			b.ReportMetric(evicted, "evicted-B/account")
			runtime.KeepAlive(app)
		}
	})
}

// movedClock is the real time, shifted.
type movedClock struct{ ahead atomic.Int64 }

func (c *movedClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *movedClock) Sleep(context.Context, time.Duration) error { panic("nothing should wait here") }

func pacerMemory(tb testing.TB, names []string) (live, evicted float64) {
	tb.Helper()
	clock := &movedClock{}
	p := benchPacer(tb, pinterest.AccessStandard.Limits(), clock)
	live, evicted = accountMemory(names, clock, func(account string) {
		if err := p.Wait(tb.Context(), readPermit(account)); err != nil {
			tb.Fatal(err)
		}
	})
	runtime.KeepAlive(p)
	return live, evicted
}

// accountMemory uses each account once and then, hours later, a few others.
func accountMemory(names []string, clock *movedClock, touch func(account string)) (live, evicted float64) {
	before := heap()
	for _, name := range names {
		touch(name)
	}
	live = float64(heap()-before) / float64(len(names))
	for range 3 {
		clock.ahead.Add(int64(3 * time.Hour))
		for i := range 2000 {
			touch(strconv.Itoa(i))
		}
		heap() // cleanups run after it
	}
	time.Sleep(10 * time.Millisecond)
	evicted = float64(heap()-before) / float64(len(names))
	runtime.KeepAlive(names)
	return live, evicted
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestPermitAllocatesNothing(t *testing.T) {
	limits := loose()
	limits.App = map[pinterest.Category]pinterest.Quota{pinterest.CategoryOrgRead: {Limit: 1 << 30, Window: time.Minute}}
	for name, limits := range map[string]pinterest.Limits{"account": loose(), "app, too": limits} {
		p := benchPacer(t, limits, nil)
		ctx := context.Background()
		if n := testing.AllocsPerRun(1000, func() { _ = p.Wait(ctx, readPermit("549755885175")) }); n > 0 {
			t.Errorf("%s: a free permit allocates %v times", name, n)
		}
	}
}

func TestAccountsAreSmallAndForgotten(t *testing.T) {
	live, evicted := pacerMemory(t, benchAccounts(100_000))
	if live > 300 {
		t.Errorf("an account takes %.0f bytes, want 300 at the most", live)
	}
	if evicted > 10 {
		t.Errorf("%.0f bytes an account are left when all are idle", evicted)
	}
}
