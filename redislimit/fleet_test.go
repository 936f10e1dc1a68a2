package redislimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/internal/simulation"
	"github.com/pinterest-go/pinterest/redislimit"
)

// Two processes make 500 pins of one account: no 429, at close to full speed,
// wherever the API's minute begins.
func TestTwoProcessesOfOneAccount(t *testing.T) {
	for _, phase := range []int{0, 23, 59} {
		t.Run(fmt.Sprint("the API's minute begins at second ", phase), func(t *testing.T) {
			inBubble(t, pinterest.AccessStandard.Limits(), 2, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
				r := simulation.Creates{
					Server:   &simulation.Server{Phase: time.Duration(phase) * time.Second},
					Limiters: []pinterest.Limiter{fleet[0], fleet[1]}, N: 500, Every: 10 * time.Millisecond,
				}.Run()
				t.Logf("%d failed, %d answers 429, %v, %.3f of the ideal", r.Failed, r.Refused, r.Wall, r.Ratio())
				assert.Zero(t, r.Failed)
				assert.Zero(t, r.Refused, "429s")
				assert.Less(t, r.Ratio(), 1.02)
			})
		})
	}
}

// model counts as the API does, in fixed windows.
type model struct {
	mu      sync.Mutex
	limit   int
	phase   time.Duration
	n       map[int64]int
	served  int
	refused int
}

func (m *model) call() (rate pinterest.RateLimit, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.n == nil {
		m.n = map[int64]int{}
	}
	now := time.Now().Add(m.phase).UnixNano()
	index := now / int64(time.Minute)
	m.n[index]++
	ok = m.n[index] <= m.limit
	if ok {
		m.served++
	} else {
		m.refused++
	}
	reset := time.Duration((index+1)*int64(time.Minute) - now)
	return said(m.limit, max(0, m.limit-m.n[index]), (reset + time.Second - 1).Truncate(time.Second)), ok
}

// Five processes together get the quota, and send few of their answers to Redis.
func TestSumOfAFleet(t *testing.T) {
	for _, limit := range []int{60, 100, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			inBubble(t, writes(limit, time.Minute), 5, func(t *testing.T, fleet []*redislimit.Limiter, clients []*redis.Client) {
				m := &model{limit: limit, phase: 37 * time.Second}
				var asked counting
				for _, c := range clients {
					c.AddHook(&asked)
				}
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
				defer cancel()
				var wg sync.WaitGroup
				shares := make([]int, len(fleet))
				for i, l := range fleet {
					for range 3 {
						wg.Go(func() {
							rnd := rand.New(rand.NewPCG(uint64(i), 5))
							for l.Wait(ctx, write("a")) == nil {
								time.Sleep(time.Duration(rnd.IntN(150)) * time.Millisecond)
								rate, ok := m.call()
								time.Sleep(time.Duration(rnd.IntN(150)) * time.Millisecond)
								l.Observe(ctx, write("a"), rate)
								if !ok {
									l.Penalize(ctx, write("a"), rate, rate.Reset)
								}
								m.mu.Lock()
								shares[i]++
								m.mu.Unlock()
							}
						})
					}
				}
				wg.Wait()
				counts := asked.counts()
				t.Logf("%d served, %d refused of %d, shares %v, asked %v", m.served, m.refused, 10*limit, shares, counts)
				assert.Zero(t, m.refused, "429s")
				assert.GreaterOrEqual(t, m.served, 10*limit*98/100)
				assert.LessOrEqual(t, m.served, 10*limit)
				for i, n := range shares {
					assert.InEpsilon(t, m.served/len(fleet), n, 0.05, "process %d", i)
				}
				assert.Less(t, counts["observe"], m.served/10, "answers that were sent to Redis")
			})
		})
	}
}

// Random calls go as they do with a Pacer: the arithmetic of the script is the same.
func TestSameAsPacer(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			limits := pinterest.AccessStandard.Limits()
			limits.Account[pinterest.CategoryOrgAnalytics] = pinterest.Quota{Limit: 7, Window: time.Minute}
			limits.Account[pinterest.CategoryOrgRead] = pinterest.Quota{Limit: 50, Window: time.Hour}
			limits.App = map[pinterest.Category]pinterest.Quota{pinterest.CategoryAll: {Limit: 400, Window: time.Minute}}
			categories := []pinterest.Category{pinterest.CategoryOrgWrite, pinterest.CategoryOrgAnalytics, pinterest.CategoryOrgRead}
			inBubble(t, limits, 1, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
				p, err := pinterest.NewPacer(limits, realclock.Clock{})
				require.NoError(t, err)
				both := []pinterest.Limiter{fleet[0], p}
				rnd := rand.New(rand.NewPCG(seed, 11))
				differ, calls := 0, 0
				for range 3000 {
					pm := write(fmt.Sprint(rnd.IntN(3)))
					pm.Category = categories[rnd.IntN(3)]
					pm.Cost = 1 + rnd.IntN(2)*rnd.IntN(12)
					switch rnd.IntN(40) {
					case 0:
						wait := time.Duration(rnd.IntN(40)) * time.Second
						for _, l := range both {
							l.Penalize(context.Background(), pm, pinterest.RateLimit{Remaining: -1}, wait)
						}
					case 1:
						time.Sleep(time.Duration(rnd.IntN(90)) * time.Second)
					}
					time.Sleep(time.Duration(rnd.Float64() * rnd.Float64() * float64(2*time.Second)))
					patience := time.Duration(rnd.IntN(2)) * time.Second
					var errs [2]error
					var took [2]time.Duration
					var wg sync.WaitGroup
					for i, l := range both {
						wg.Go(func() {
							ctx, cancel := context.WithTimeout(context.Background(), patience+time.Millisecond)
							defer cancel()
							began := time.Now()
							errs[i] = l.Wait(ctx, pm)
							took[i] = time.Since(began)
						})
					}
					wg.Wait()
					calls++
					apart := took[0] - took[1]
					if (errs[0] == nil) != (errs[1] == nil) || apart < -time.Millisecond || apart > time.Millisecond {
						differ++
						t.Logf("%v %v, cost %d: %v in %v, and with a pacer %v in %v", pm.Account, pm.Category, pm.Cost, errs[0], took[0], errs[1], took[1])
					}
				}
				// Times are rounded in another way, which may decide when it is close.
				assert.LessOrEqual(t, differ, calls/500, "of %d calls", calls)
				ours, err := fleet[0].Usage(context.Background(), "app", "1")
				require.NoError(t, err)
				theirs, err := p.Usage(context.Background(), "app", "1")
				require.NoError(t, err)
				require.Len(t, ours, len(theirs))
				for i := range ours {
					assert.Equal(t, theirs[i].Limit, ours[i].Limit)
					assert.InDelta(t, theirs[i].Used, ours[i].Used, 1, ours[i].Limit)
					assert.InDelta(t, theirs[i].Reset, ours[i].Reset, float64(time.Second), ours[i].Limit)
				}
			})
		})
	}
}

// A 429 of one process holds the others, whose waiters go spaced out after it.
func TestHoldOfAll(t *testing.T) {
	inBubble(t, writes(100, time.Minute), 3, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
		for range 10 {
			require.NoError(t, fleet[0].Wait(context.Background(), write("a")))
		}
		var mu sync.Mutex
		var at []time.Duration
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 60 {
			wg.Go(func() {
				assert.NoError(t, fleet[i%3].Wait(context.Background(), write("a")))
				mu.Lock()
				at = append(at, time.Since(began))
				mu.Unlock()
			})
		}
		time.Sleep(10 * time.Millisecond)
		fleet[1].Penalize(context.Background(), write("a"), pinterest.RateLimit{Remaining: -1}, 20*time.Second)
		refusal := paced(t, fleet[2].Wait(context.Background(), bounded("a")), pinterest.PaceHeld)
		assert.WithinDuration(t, began.Add(21*time.Second), refusal.Until, 2*time.Second)
		require.NoError(t, fleet[2].Wait(context.Background(), write("b")), "another account")
		wg.Wait()
		slices.Sort(at)
		assert.Greater(t, at[0], 19*time.Second)
		for i := range at[1:] {
			assert.Greater(t, at[i+1]-at[i], 500*time.Millisecond)
		}
		assert.Less(t, at[59], 20*time.Second+60*750*time.Millisecond)
	})
}

// A call that may not wait for a closed quota is refused at once, although others
// wait.
func TestBoundedBehindUnbounded(t *testing.T) {
	inBubble(t, writes(100, time.Minute), 2, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
		fleet[0].Penalize(context.Background(), write("a"), pinterest.RateLimit{Remaining: -1}, time.Hour)
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, fleet[1].Wait(context.Background(), write("a"))) })
		time.Sleep(time.Second)
		began := time.Now()
		paced(t, fleet[1].Wait(context.Background(), bounded("a")), pinterest.PaceHeld)
		assert.Less(t, time.Since(began), time.Second)
		wg.Wait()
		assert.Greater(t, time.Since(began), 50*time.Minute)
	})
}

// So are waiters, when an answer says that nothing is left.
func TestBoundedWhenUsedUp(t *testing.T) {
	inBubble(t, writes(100, time.Minute), 1, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
		for range 10 {
			require.NoError(t, fleet[0].Wait(context.Background(), write("a")))
		}
		var wg sync.WaitGroup
		began := time.Now()
		for range 20 {
			wg.Go(func() { paced(t, fleet[0].Wait(context.Background(), bounded("a")), pinterest.PaceHeld) })
		}
		time.Sleep(100 * time.Millisecond)
		fleet[0].Observe(context.Background(), write("a"), said(100, 0, 40*time.Second))
		wg.Wait()
		assert.Less(t, time.Since(began), 200*time.Millisecond)
	})
}

// The estimate for waiters takes account of another process that uses the quota.
func TestEstimateWithOthers(t *testing.T) {
	inBubble(t, writes(60, time.Minute), 2, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() { _ = fleet[i%2].Wait(ctx, write("a")) })
		}
		time.Sleep(20 * time.Second)
		soon, stop := context.WithTimeout(ctx, 30*time.Second)
		defer stop()
		began := time.Now()
		err := fleet[0].Wait(soon, write("a")) // at the pace of both it takes 40 seconds, of one 20
		assert.Less(t, time.Since(began), time.Second)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		paced(t, err, pinterest.PaceQueued)
		cancel()
		wg.Wait()
	})
}

// A limit that one process learns holds for all.
func TestLearnedForAll(t *testing.T) {
	inBubble(t, pinterest.Limits{}, 2, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
		require.NoError(t, fleet[0].Wait(context.Background(), write("a")))
		fleet[0].Observe(context.Background(), write("a"), said(30, 29, time.Minute))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		n := 0
		for fleet[1].Wait(ctx, write("a")) == nil {
			n++
		}
		assert.InDelta(t, 27, n, 3)
	})
}

// Many answers at once reveal a limit of the app. It is counted once.
func TestRevealedAtOnce(t *testing.T) {
	inBubble(t, pinterest.Limits{}, 2, func(t *testing.T, fleet []*redislimit.Limiter, _ []*redis.Client) {
		p := pinterest.RatePolicy{Name: "everything_app_id", Limit: 100, Window: 24 * time.Hour}
		rate := pinterest.RateLimit{Remaining: -1, Policies: []pinterest.RatePolicy{p}}
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() { fleet[i%2].Observe(context.Background(), write(fmt.Sprint(i)), rate) })
		}
		wg.Wait()
		for i := range 20 {
			require.NoError(t, fleet[i%2].Wait(context.Background(), write("a")))
		}
		list, err := fleet[0].Usage(context.Background(), "app", "a")
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, 21, list[0].Used, "20 calls, and the one that revealed it")
	})
}

// A permit that is free takes one request, and one that has to wait takes two.
func TestRequestsOfAPermit(t *testing.T) {
	inBubble(t, pinterest.AccessStandard.Limits(), 1, func(t *testing.T, fleet []*redislimit.Limiter, clients []*redis.Client) {
		var asked counting
		clients[0].AddHook(&asked)
		for range 10 {
			require.NoError(t, fleet[0].Wait(context.Background(), write("a")))
			// The leading policy is the safety net's: it says nothing about the minute.
			net := said(100, 99, time.Second)
			net.Policy = net.Policies[0]
			fleet[0].Observe(context.Background(), write("a"), net)
			fleet[0].Observe(context.Background(), write("a"), pinterest.RateLimit{Remaining: -1})
		}
		assert.Equal(t, map[string]int{"reserve": 10}, asked.counts())
		require.NoError(t, fleet[0].Wait(context.Background(), write("a")))
		assert.Equal(t, map[string]int{"reserve": 11, "confirm": 1}, asked.counts())
		for range 5 { // the first of them says when the minute ends
			fleet[0].Observe(context.Background(), write("a"), said(100, 89, 30*time.Second))
		}
		assert.Equal(t, map[string]int{"reserve": 11, "confirm": 1, "observe": 1}, asked.counts())
		for range 5 { // those of one 429
			fleet[0].Observe(context.Background(), write("a"), said(100, 0, 30*time.Second))
			time.Sleep(10 * time.Millisecond)
		}
		assert.Equal(t, map[string]int{"reserve": 11, "confirm": 1, "observe": 2}, asked.counts())
	})
}

// The clocks of other processes do not matter, and neither does a clock that is set
// back.
func TestClockIsSetBack(t *testing.T) {
	clock := &movable{}
	l, _, _ := connect(t, writes(1000, time.Minute), redislimit.WithClock(clock))
	require.NoError(t, l.Wait(t.Context(), write("a")))
	clock.move(-5 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 100 {
		require.NoError(t, l.Wait(ctx, write("a")))
	}
}
