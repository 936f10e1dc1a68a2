package pinterest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// These tests are about how calls and a limiter work together. Package limitertest
// tests limiters by themselves.

// fakeLimiter records its calls.
type fakeLimiter struct {
	mu     sync.Mutex
	wait   func(ctx context.Context, p pinterest.Permit) error
	asked  []pinterest.Permit
	rates  []pinterest.RateLimit
	closed []time.Duration
	order  []string
}

func (l *fakeLimiter) Wait(ctx context.Context, p pinterest.Permit) error {
	l.mu.Lock()
	l.asked = append(l.asked, p)
	l.order = append(l.order, "wait")
	l.mu.Unlock()
	if l.wait != nil {
		return l.wait(ctx, p)
	}
	return nil
}

func (l *fakeLimiter) Observe(_ context.Context, _ pinterest.Permit, rate pinterest.RateLimit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rates = append(l.rates, rate)
	l.order = append(l.order, "observe")
}

func (l *fakeLimiter) Penalize(_ context.Context, _ pinterest.Permit, _ pinterest.RateLimit, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = append(l.closed, wait)
	l.order = append(l.order, "penalize")
}

func (l *fakeLimiter) Usage(context.Context, string, string) ([]pinterest.Usage, error) {
	return []pinterest.Usage{{Limit: "org_write", Max: 100}}, nil
}

// rated is an answer with the rate headers of a write.
func rated(r reply, remaining, reset string) reply {
	return r.with("X-Ratelimit-Limit", `100, 100;w=1;name="safety_net_app_id_user_id", 100;w=60;name="org_write_app_id_user_id"`,
		"X-Ratelimit-Remaining", remaining, "X-Ratelimit-Reset", reset)
}

func TestEveryAttemptAsksTheLimiter(t *testing.T) {
	t.Parallel()
	var l fakeLimiter
	s := newServer(t, rated(bare(503), "99", "1"), rated(fault(429, 8, ""), "0", "30"), rated(okPin(), "98", "29"))
	c := newClient(t, s, pinterest.WithLimiter(&l), pinterest.WithAppID(appID), pinterest.WithAccount("shop-1"))
	_, err := c.Pins.Update(t.Context(), pinID, pinUpdate(), pinterest.AtPriority(pinterest.PriorityBulk))
	require.NoError(t, err)
	assert.Equal(t, []string{"wait", "observe", "wait", "observe", "penalize", "wait", "observe"}, l.order)
	assert.Equal(t, []time.Duration{30 * time.Second}, l.closed, "what the API asked for, without jitter")
	assert.Equal(t, 98, l.rates[2].Remaining)
	for _, p := range l.asked {
		assert.Equal(t, "shop-1", p.Account)
		assert.Equal(t, appID, p.App)
		assert.Equal(t, pinterest.CategoryOrgWrite, p.Category)
		assert.Equal(t, pinterest.PriorityBulk, p.Priority)
		assert.Equal(t, time.Minute, p.MaxHold)
		assert.Equal(t, l.asked[0].Since, p.Since, "a call that is sent again keeps its place")
	}
}

func TestTokenCallIsPacedAsARead(t *testing.T) {
	t.Parallel()
	var l fakeLimiter
	s := newServer(t, byToken()).onToken(granted())
	a := newAccount(t, s, nil, pinterest.WithLimiter(&l), pinterest.WithAccount("shop-1"))
	_, err := a.Pins.Update(t.Context(), pinID, pinUpdate())
	require.NoError(t, err)
	require.Len(t, l.asked, 3)
	token := l.asked[1]
	assert.Equal(t, pinterest.CategoryOrgRead, token.Category)
	assert.Equal(t, "shop-1", token.Account)
	assert.Greater(t, token.Priority, pinterest.PriorityInteractive, "others wait for it")
}

func TestLookupsArePacedLikeTheirCreate(t *testing.T) {
	t.Parallel()
	var l fakeLimiter
	s := newServer(t, bare(500), okPin())
	c := newClient(t, s, pinterest.WithLimiter(&l))
	_, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.AtPriority(pinterest.PriorityInteractive))
	require.NoError(t, err)
	var categories []pinterest.Category
	for _, p := range l.asked {
		categories = append(categories, p.Category)
		assert.Equal(t, pinterest.PriorityInteractive, p.Priority)
	}
	assert.Equal(t, []pinterest.Category{"org_write", "org_read", "org_read", "org_read", "org_write"}, categories, "the list twice, and the count of an empty list")
}

func TestCallThatIsNotSentAsksForNothing(t *testing.T) {
	t.Parallel()
	var l fakeLimiter
	s := newServer(t)
	c := newClient(t, s, pinterest.WithLimiter(&l))
	_, err := c.Pins.Get(t.Context(), "not an id")
	require.ErrorIs(t, err, pinterest.ErrInvalid)
	_, err = c.Pins.Get(t.Context(), pinID, pinterest.DryRunTo(new(pinterest.DryRun)))
	require.NoError(t, err)
	_, err = c.Pins.Get(t.Context(), pinID, pinterest.AtPriority(7))
	require.ErrorIs(t, err, pinterest.ErrInvalid)
	assert.Empty(t, l.order)
}

// The wait for a permit is reported before it begins, is in the attempt's record,
// and does not count against the attempt's own timeout.
func TestWaitForAPermitIsReported(t *testing.T) {
	t.Parallel()
	var seen recorder
	s := newServer(t, okPin().always())
	c := newClient(t, s, pinterest.WithObserver(seen.observe), pinterest.WithAccount("shop-1"),
		pinterest.WithQuota(pinterest.CategoryOrgRead, pinterest.Quota{Limit: 1, Window: time.Minute}))
	require.NoError(t, get(t.Context(), c))
	var res pinterest.Response
	before := s.clock.Now()
	_, err := c.Pins.Get(t.Context(), pinID, pinterest.ResponseTo(&res), pinterest.AttemptTimeout(10*time.Second))
	require.NoError(t, err)
	waited := s.clock.Now().Sub(before)
	assert.InDelta(t, time.Minute, waited, float64(2*time.Second))
	assert.Equal(t, waited, res.Attempts[0].Paced)
	assert.Equal(t, before.Add(waited), res.Attempts[0].Start, "an attempt begins when it has its permit")
	assert.Zero(t, res.Attempts[0].Wait)

	events := seen.all()
	assert.Equal(t, []string{"pins/get attempt", "pins/get done", "pins/get pace", "pins/get attempt", "pins/get done"}, seen.words())
	pace := events[2]
	assert.Equal(t, pinterest.PacePace, pace.Pace.Reason)
	assert.Equal(t, "org_read", pace.Pace.Limit)
	assert.Equal(t, waited, pace.Wait)
	assert.Equal(t, before, pace.Time)
	for i, e := range events {
		assert.Equal(t, "shop-1", e.Account)
		assert.Equal(t, i >= 2, e.Call == pace.Call, "events of a call have its number")
	}
}

func TestPermitThatComesTooLateIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin())
	c := newClient(t, s, pinterest.WithQuota(pinterest.CategoryOrgWrite, pinterest.Quota{Limit: 1, Window: time.Minute}))
	_, err := c.Pins.Create(t.Context(), pinCreate())
	require.NoError(t, err)
	ctx, cancel := context.WithDeadline(t.Context(), s.clock.Now().Add(30*time.Second))
	defer cancel()
	_, err = c.Pins.Create(ctx, pinCreate())
	e := failure(t, err)
	require.ErrorIs(t, err, pinterest.ErrPaced)
	require.ErrorIs(t, err, pinterest.ErrThrottled)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, pinterest.ErrUncertain)
	var paced *pinterest.PaceError
	require.ErrorAs(t, err, &paced)
	assert.Equal(t, "org_write", paced.Limit)
	assert.Equal(t, park, e.Disposition)
	assert.Equal(t, pinterest.PhaseNotSent, e.Phase)
	assert.WithinDuration(t, s.clock.Now().Add(time.Minute), e.RetryAt, 2*time.Second)
	assert.Equal(t, 1, s.count(toCall))
	assert.Empty(t, s.clock.sleeps())
}

// A 429 closes the quota for the calls that come after it as well. If the time is
// long, they fail without a request.
func TestQuotaThatTheAPIClosedStaysClosed(t *testing.T) {
	t.Parallel()
	s := newServer(t, rated(fault(429, 8, ""), "0", "3600"), okPin())
	c := newClient(t, s)
	_, err := c.Pins.Update(t.Context(), pinID, pinUpdate())
	first := failure(t, err)
	require.ErrorIs(t, err, pinterest.ErrThrottled)
	require.NotErrorIs(t, err, pinterest.ErrPaced, "the API said so")
	_, err = c.Pins.Update(t.Context(), pinID, pinUpdate())
	second := failure(t, err)
	require.ErrorIs(t, err, pinterest.ErrPaced)
	assert.Equal(t, first.RetryAt, second.RetryAt)
	assert.Equal(t, 1, s.count(toCall))

	require.NoError(t, get(t.Context(), c), "reads have a quota of their own")
	s.clock.advance(time.Hour)
	s.mu.Lock()
	s.scripts[toCall] = []reply{okPin()}
	s.mu.Unlock()
	_, err = c.Pins.Update(t.Context(), pinID, pinUpdate())
	require.NoError(t, err)
}

func TestLimiterThatFails(t *testing.T) {
	t.Parallel()
	down := errors.New("no connection to the limiter")
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	for name, tt := range map[string]struct {
		err  error
		park time.Time
	}{
		"in its own way":    {down, time.Time{}},
		"with a pace error": {pinterest.NewPaceError(pinterest.PaceWait{Reason: pinterest.PaceUnavailable, Until: until}, down), until},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			l := fakeLimiter{wait: func(context.Context, pinterest.Permit) error { return tt.err }}
			_, err := newClient(t, s, pinterest.WithLimiter(&l)).Pins.Create(t.Context(), pinCreate())
			e := failure(t, err)
			require.ErrorIs(t, err, down)
			assert.Equal(t, "paced", e.Rule)
			assert.Equal(t, park, e.Disposition)
			if !tt.park.IsZero() {
				assert.True(t, tt.park.Equal(e.RetryAt), e.RetryAt)
			}
			assert.Zero(t, s.count(toCall))
		})
	}
}

func TestCallThatIsCanceledWhileItWaitsForAPermit(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	l := fakeLimiter{wait: func(ctx context.Context, _ pinterest.Permit) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}
	s := newServer(t)
	_, err := newClient(t, s, pinterest.WithLimiter(&l)).Pins.Create(ctx, pinCreate())
	e := failure(t, err)
	require.ErrorIs(t, err, pinterest.ErrCanceled)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, pinterest.ErrUncertain, "nothing was sent")
	assert.Equal(t, park, e.Disposition)
}

func TestRateIsInResponseAndEvent(t *testing.T) {
	t.Parallel()
	var seen recorder
	s := newServer(t, rated(okPin(), "42", "17"))
	c := newClient(t, s, pinterest.WithObserver(seen.observe))
	var res pinterest.Response
	_, err := c.Pins.Update(t.Context(), pinID, pinUpdate(), pinterest.ResponseTo(&res))
	require.NoError(t, err)
	assert.Equal(t, 42, res.Rate.Remaining)
	assert.Equal(t, "org_write_app_id_user_id", res.Rate.Policy.Name)
	assert.Equal(t, res.Rate, seen.all()[0].Rate)
	usage := findUsage(t, appOf(t, s, nil), "org_write")
	assert.Nil(t, usage, "another app has used nothing")
}

func appOf(t *testing.T, s *server, tokens map[string]string, opts ...pinterest.Option) *pinterest.App {
	t.Helper()
	store := pinterest.NewMemoryTokenStore()
	for account, token := range tokens {
		_, err := store.Save(t.Context(), account, &pinterest.Token{AccessToken: token})
		require.NoError(t, err)
	}
	base := []pinterest.Option{
		pinterest.WithTokenStore(store), pinterest.WithBaseURL(s.base()), pinterest.WithClock(s.clock), pinterest.WithRetry(exact),
	}
	app, err := pinterest.NewApp(append(base, opts...)...)
	require.NoError(t, err)
	return app
}

func findUsage(t *testing.T, app *pinterest.App, limit string) *pinterest.Usage {
	t.Helper()
	list, err := app.Usage(t.Context(), "shop-1")
	require.NoError(t, err)
	for _, u := range list {
		if u.Limit == limit {
			return &u
		}
	}
	return nil
}

// What others have used of the quota is known from the headers and is counted.
func TestUsageOfAnAccount(t *testing.T) {
	t.Parallel()
	s := newServer(t, rated(okPin(), "60", "30"), rated(fault(429, 8, ""), "0", "20"), okPin())
	app := appOf(t, s, map[string]string{"shop-1": accessToken, "shop-2": newAccess})
	assert.Nil(t, findUsage(t, app, "org_write"))
	_, err := app.Client("shop-1").Pins.Update(t.Context(), pinID, pinUpdate())
	require.NoError(t, err)
	u := findUsage(t, app, "org_write")
	require.NotNil(t, u)
	assert.Equal(t, 40, u.Used)
	assert.Equal(t, 60, u.Free)
	assert.Equal(t, 100, u.Max)
	assert.Equal(t, time.Minute, u.Window)
	assert.Equal(t, 30*time.Second, u.Reset)
	assert.True(t, u.HeldUntil.IsZero())

	_, err = app.Client("shop-1").Pins.Update(t.Context(), pinID, pinUpdate(), pinterest.Retry(pinterest.RetryPolicy{MaxAttempts: 1}))
	require.ErrorIs(t, err, pinterest.ErrThrottled)
	u = findUsage(t, app, "org_write")
	assert.Zero(t, u.Free)
	assert.WithinDuration(t, s.clock.Now().Add(20*time.Second), u.HeldUntil, time.Second)

	began := s.clock.Now()
	_, err = app.Client("shop-2").Pins.Update(t.Context(), pinID, pinUpdate())
	require.NoError(t, err)
	assert.Equal(t, began, s.clock.Now(), "the other account is not held")
}

// Clients of one account share its pace and its tokens, whenever they are made.
func TestClientsOfOneAccountAreOne(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	app := appOf(t, s, map[string]string{"shop-1": accessToken, "shop-2": newAccess},
		pinterest.WithQuota(pinterest.CategoryOrgRead, pinterest.Quota{Limit: 1, Window: time.Minute}))
	began := s.clock.Now()
	require.NoError(t, get(t.Context(), app.Client("shop-1")))
	require.NoError(t, get(t.Context(), app.Client("shop-2")))
	assert.Equal(t, began, s.clock.Now())
	require.NoError(t, get(t.Context(), app.Client("shop-1")))
	assert.Greater(t, s.clock.Now().Sub(began), 50*time.Second)
	assert.Equal(t, []string{"Bearer " + accessToken, "Bearer " + newAccess, "Bearer " + accessToken}, s.bearers())
}

func TestWithoutPacing(t *testing.T) {
	t.Parallel()
	s := newServer(t, okPin().always())
	c := newClient(t, s, pinterest.WithoutPacing())
	for range 300 {
		require.NoError(t, get(t.Context(), c))
	}
	assert.Empty(t, s.clock.sleeps())
}

func TestOptionsOfAnApp(t *testing.T) {
	t.Parallel()
	store := pinterest.WithTokenStore(pinterest.NewMemoryTokenStore())
	var l fakeLimiter
	for name, tt := range map[string]struct {
		app  bool
		opts []pinterest.Option
		says string
	}{
		"no tokens":            {true, nil, "WithTokenStore"},
		"the token of one":     {true, []pinterest.Option{pinterest.WithAccessToken(accessToken)}, "WithAccessToken"},
		"an account":           {true, []pinterest.Option{store, pinterest.WithAccount("a")}, "WithAccount"},
		"a nil store":          {true, []pinterest.Option{pinterest.WithTokenStore(nil)}, "store is nil"},
		"two sources":          {false, []pinterest.Option{store, pinterest.WithAccessToken(accessToken)}, "more than one"},
		"limiter and access":   {true, []pinterest.Option{store, pinterest.WithLimiter(&l), pinterest.WithAccess(pinterest.AccessTrial)}, "WithAccess"},
		"no pacing and quota":  {true, []pinterest.Option{store, pinterest.WithoutPacing(), pinterest.WithQuota("org_read", pinterest.Quota{})}, "WithoutPacing"},
		"a negative quota":     {true, []pinterest.Option{store, pinterest.WithQuota("org_read", pinterest.Quota{Limit: -1, Window: time.Minute})}, "org_read"},
		"a window of no time":  {true, []pinterest.Option{store, pinterest.WithQuota("org_read", pinterest.Quota{Limit: 1})}, "org_read"},
		"half a second":        {true, []pinterest.Option{store, pinterest.WithQuota("", pinterest.Quota{Limit: 1, Window: time.Second / 2})}, "safety_net"},
		"oauth without secret": {true, []pinterest.Option{store, pinterest.WithOAuth(pinterest.OAuth{ClientID: appID})}, "ClientSecret"},
		"oauth over http":      {true, []pinterest.Option{store, pinterest.WithOAuth(pinterest.OAuth{ClientID: appID, ClientSecret: appSecret, RedirectURL: "http://shop.example/cb"})}, "RedirectURL"},
		"a scope with a comma": {true, []pinterest.Option{store, pinterest.WithOAuth(pinterest.OAuth{ClientID: appID, ClientSecret: appSecret, Scopes: []pinterest.Scope{"a,b"}})}, "a,b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			if tt.app {
				_, err = pinterest.NewApp(tt.opts...)
			} else {
				_, err = pinterest.New(tt.opts...)
			}
			require.ErrorContains(t, err, tt.says)
			assert.NotContains(t, err.Error(), appSecret)
		})
	}
}

// Many writes of one account, as fast as possible, against a server that counts:
// none is refused, and they take as long as the quota requires.
func TestBurstBeyondTheQuotaMeetsNo429(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var at []time.Time
	s := newServer(t, reply{sticky: true, act: func(s *server, w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		at = append(at, s.clock.Now())
		mu.Unlock()
		_, _ = w.Write([]byte(okPin().body))
	}})
	c := newClient(t, s)
	for range 250 {
		_, err := c.Pins.Update(t.Context(), pinID, pinUpdate())
		require.NoError(t, err)
	}
	for i, first := range at {
		end, _ := slices.BinarySearchFunc(at, first.Add(time.Minute), time.Time.Compare)
		assert.LessOrEqual(t, end-i, 100, "in the minute from %v", first)
	}
	took := at[len(at)-1].Sub(at[0])
	assert.InDelta(t, 150*time.Second, took, float64(3*time.Second), "250 at 100 a minute")
}
