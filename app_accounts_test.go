package pinterest

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stoppedClock shows a time that only the test moves.
type stoppedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *stoppedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stoppedClock) Sleep(context.Context, time.Duration) error { return nil }

func (c *stoppedClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func registryOf(t *testing.T) (*App, *stoppedClock) {
	t.Helper()
	clock := &stoppedClock{now: time.Date(2027, time.March, 4, 5, 6, 0, 0, time.UTC)}
	app, err := NewApp(WithTokenStore(NewMemoryTokenStore()), WithClock(clock))
	require.NoError(t, err)
	return app, clock
}

// age drops all accounts that the registry does not have to hold.
func age(app *App, clock *stoppedClock) {
	sh := app.accounts.held.Shard("a")
	for range 4 {
		clock.add(3 * memory)
		sh.Lock()
		sh.Age(clock.Now().UnixNano())
		sh.Unlock()
	}
}

// isKnown reports whether the registry knows the account after garbage collection.
func isKnown(app *App, name string) bool {
	for range 20 {
		runtime.GC()
		app.accounts.mu.Lock()
		_, known := app.accounts.known[name]
		app.accounts.mu.Unlock()
		if !known {
			return false
		}
		time.Sleep(time.Millisecond) // cleanups run in a goroutine of the runtime
	}
	return true
}

func TestAccountIsHeldForATime(t *testing.T) {
	app, clock := registryOf(t)
	app.Client("a")
	clock.add(memory - time.Second)
	assert.True(t, isKnown(app, "a"))
	age(app, clock)
	assert.False(t, isKnown(app, "a"))
}

func TestNoSecondAccountWhileOneIsInUse(t *testing.T) {
	app, clock := registryOf(t)
	first := app.Client("a")
	age(app, clock)
	assert.Nil(t, app.accounts.held.Shard("a").Peek("a"), "the registry does not hold it")
	assert.Same(t, first.account, app.Client("a").account)
	assert.NotNil(t, app.accounts.held.Shard("a").Peek("a"), "it does again")
	runtime.KeepAlive(first)
}

func TestPinnedAccountIsKept(t *testing.T) {
	app, clock := registryOf(t)
	acct := app.Client("a").account
	app.accounts.pinned.Store(acct, true)
	age(app, clock)
	assert.True(t, isKnown(app, "a"))
	app.accounts.pinned.Clear()
	assert.False(t, isKnown(app, "a"))
}

func TestHoldKeepsAnAccountFromNowOn(t *testing.T) {
	app, clock := registryOf(t)
	acct := app.Client("a").account
	age(app, clock)
	app.accounts.hold(acct)
	clock.add(memory - time.Second)
	assert.True(t, isKnown(app, "a"))
}

func TestOneAccountForAllWhoAskAtOnce(t *testing.T) {
	app, _ := registryOf(t)
	got := make([]*account, 32)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = app.Client("a").account })
	}
	wg.Wait()
	for _, acct := range got {
		assert.Same(t, got[0], acct)
	}
}
