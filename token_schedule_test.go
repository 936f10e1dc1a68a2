package pinterest_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// scheduled is a store that counts the runs of RefreshDue, which find nothing due.
type scheduled struct {
	*tokenStore
	mu   sync.Mutex
	runs []time.Time
	onTo func(ctx context.Context) // a run
}

func (s *scheduled) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	s.mu.Lock()
	s.runs = append(s.runs, time.Now())
	s.mu.Unlock()
	if s.onTo != nil {
		s.onTo(ctx)
	}
	return s.MemoryTokenStore.Due(ctx, before)
}

func (s *scheduled) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.runs...)
}

func newScheduled(t *testing.T) *scheduled {
	t.Helper()
	return &scheduled{tokenStore: &tokenStore{MemoryTokenStore: pinterest.NewMemoryTokenStore(), fail: map[string]error{}}}
}

// process is an App of that store with the bubble's clock.
func (s *scheduled) process(t *testing.T) *pinterest.App {
	t.Helper()
	app, err := pinterest.NewApp(pinterest.WithTokenStore(s), pinterest.WithOAuth(pinterest.OAuth{ClientID: appID, ClientSecret: appSecret}))
	require.NoError(t, err)
	return app
}

const interval = 12 * time.Hour

// assertSpaced checks that runs have the interval between them, and little more.
func assertSpaced(t *testing.T, runs []time.Time, at int) {
	t.Helper()
	for i := at; i < len(runs); i++ {
		gap := runs[i].Sub(runs[i-1])
		assert.GreaterOrEqual(t, gap, interval)
		assert.LessOrEqual(t, gap, interval+interval/4)
	}
}

func TestOneRunInAFleet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newScheduled(t)
		store.onTo = func(context.Context) { time.Sleep(10 * time.Minute) } // the others wait for it
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var reports atomic.Int32
		for range 5 {
			app := store.process(t)
			wg.Go(func() {
				err := app.RefreshEvery(ctx, interval, func(_ pinterest.RefreshReport, err error) {
					reports.Add(1)
					assert.NoError(t, err)
				})
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		for len(store.times()) < 20 {
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		cancel()
		wg.Wait()
		runs := store.times()
		assert.Len(t, runs, 20)
		assert.EqualValues(t, len(runs), reports.Load())
		assertSpaced(t, runs, 1)
		for name := range store.process(t).Accounts(t.Context()) {
			t.Errorf("the schedule is listed as the account %v", name)
		}

		// A restart of all processes is no reason for a run.
		ctx, cancel = context.WithTimeout(t.Context(), interval-2*time.Hour)
		defer cancel()
		require.ErrorIs(t, store.process(t).RefreshEvery(ctx, interval, nil), context.DeadlineExceeded)
		assert.Len(t, store.times(), 20)
	})
}

// The process that runs dies, and its lock is released: another one takes over.
func TestRunOfAProcessThatDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newScheduled(t)
		first := true
		store.onTo = func(ctx context.Context) {
			if first {
				first = false
				<-ctx.Done()
			}
		}
		ctx, kill := context.WithCancel(t.Context())
		dead := make(chan error)
		one, other := store.process(t), store.process(t)
		go func() { dead <- one.RefreshEvery(ctx, interval, nil) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- other.RefreshEvery(ctx, interval, nil) }()
		time.Sleep(3 * time.Hour)
		require.Len(t, store.times(), 1, "the other one waits")
		killed := time.Now()
		kill()
		<-dead
		time.Sleep(3 * time.Hour)
		runs := store.times()
		require.Len(t, runs, 2)
		assert.Less(t, runs[1].Sub(killed), interval/10+time.Minute+10*time.Second)
		cancel()
		<-ended
	})
}

func TestRunThatFails(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]string{"locking": "Lock", "loading": "Load", "saving": "Save"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newScheduled(t)
				down := errors.New("no route to host")
				store.set(method, down)
				ctx, cancel := context.WithTimeout(t.Context(), 11*time.Hour)
				defer cancel()
				failures, successes := 0, 0
				err := store.process(t).RefreshEvery(ctx, interval, func(_ pinterest.RefreshReport, err error) {
					if err == nil {
						successes++
						return
					}
					assert.ErrorIs(t, err, down)
					if failures++; failures == 3 {
						store.set(method, nil)
					}
				})
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, 3, failures)
				assert.Equal(t, 1, successes)
			})
		})
	}
}

func TestScheduleEndsWithTheApp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		app := newScheduled(t).process(t)
		ended := make(chan error)
		go func() { ended <- app.RefreshEvery(t.Context(), interval, nil) }()
		synctest.Wait()
		require.NoError(t, app.Shutdown(t.Context()))
		assert.ErrorIs(t, <-ended, pinterest.ErrShutdown)
	})
}

func TestScheduleThatCannotBe(t *testing.T) {
	t.Parallel()
	app := newScheduled(t).process(t)
	require.ErrorContains(t, app.RefreshEvery(t.Context(), 0, nil), "at least a minute")
	require.ErrorContains(t, app.RefreshEvery(nil, interval, nil), "context is nil") //nolint:staticcheck // what it refuses
	app, err := pinterest.NewApp(pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()))
	require.NoError(t, err)
	require.ErrorContains(t, app.RefreshEvery(t.Context(), interval, nil), "WithOAuth")
}
