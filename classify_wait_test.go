package pinterest_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// hourly is a row for a quota that begins anew with each hour.
func hourly(seen *[]pinterest.Failure) pinterest.Rule {
	var mu sync.Mutex
	return pinterest.Rule{
		Name: "quota of the hour", Status: 429,
		Wait: func(f pinterest.Failure, now time.Time) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			*seen = append(*seen, f)
			return now.Truncate(time.Hour).Add(time.Hour).Sub(now)
		},
	}
}

func TestRuleWaitsUntilTheTopOfTheHour(t *testing.T) {
	t.Parallel()
	short := pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1, MaxServerWait: 2 * time.Minute})
	at := func(s *server, minute int) time.Time { // of an hour that is still to come
		hour := s.clock.Now().Truncate(time.Hour).Add(time.Hour)
		s.clock.advance(hour.Add(time.Duration(minute) * time.Minute).Sub(s.clock.Now()))
		return hour.Add(time.Hour)
	}
	t.Run("slept", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, fault(429, 8, "hourly").with("Retry-After", "7"), okPin())
		top := at(s, 59)
		var seen []pinterest.Failure
		require.NoError(t, get(t.Context(), newClient(t, s, short, pinterest.WithoutPacing(), pinterest.WithRules(hourly(&seen)))))
		assertSlept(t, s, seconds(60))
		assert.Equal(t, top, s.received(toCall)[1].at, "it is sent again at the top of the hour, whatever the API asked for")
		require.Len(t, seen, 1)
		assert.Equal(t, "pins/get", seen[0].Operation.ID)
		assert.Equal(t, 429, seen[0].Status)
		assert.Equal(t, 8, seen[0].Code)
		assert.Equal(t, "hourly", seen[0].Message)
		assert.Equal(t, pinterest.PhaseAnswered, seen[0].Phase)
	})
	t.Run("parked", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(429))
		top := at(s, 20)
		var seen []pinterest.Failure
		e := failure(t, get(t.Context(), newClient(t, s, short, pinterest.WithRules(hourly(&seen)))))
		assertSlept(t, s, nil)
		assert.Equal(t, 1, s.count(toCall))
		assert.Equal(t, park, e.Disposition)
		assert.Equal(t, top, e.RetryAt)
	})
	t.Run("does not fit the deadline", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(429))
		top := at(s, 59)
		ctx, cancel := context.WithDeadline(t.Context(), top.Add(-time.Second)) // far away by the real clock
		defer cancel()
		var seen []pinterest.Failure
		err := get(ctx, newClient(t, s, short, pinterest.WithoutPacing(), pinterest.WithRules(hourly(&seen))))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assertSlept(t, s, nil)
		assert.Equal(t, park, failure(t, err).Disposition)
		assert.Equal(t, top, failure(t, err).RetryAt)
	})
	t.Run("of a create that is ambiguous", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(503), okPin())
		top := at(s, 59)
		rule := hourly(new([]pinterest.Failure))
		rule.Status = 503
		_, err := newClient(t, s, short, pinterest.WithoutPacing(), pinterest.WithRules(rule)).Pins.Create(t.Context(), pinCreate())
		require.NoError(t, err)
		assert.Equal(t, top, s.received(toCall)[1].at, "the time of the look-up is part of the wait")
	})
	t.Run("jitter is added", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, bare(429), okPin())
		top := at(s, 59)
		c := newClient(t, s, pinterest.WithRetry(pinterest.RetryPolicy{MaxServerWait: 2 * time.Minute}), pinterest.WithoutPacing(),
			pinterest.WithRules(hourly(new([]pinterest.Failure))))
		require.NoError(t, get(t.Context(), c))
		assert.False(t, s.received(toCall)[1].at.Before(top))
		assert.LessOrEqual(t, s.received(toCall)[1].at.Sub(top), 18*time.Second)
	})
}

// With ActionFail the wait is not slept: it gives the time of RetryAt.
func TestRuleWaitOfAFailure(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rule    pinterest.Rule
		retryIn time.Duration // of a parked one
		parked  bool
	}{
		"park":                    {pinterest.Rule{Disposition: park}, time.Hour, true},
		"park, in place of it":    {pinterest.Rule{Disposition: park, ParkFor: time.Minute}, time.Hour, true},
		"another disposition":     {pinterest.Rule{Disposition: review}, 0, false},
		"the default disposition": {pinterest.Rule{}, 0, false}, // fix
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, bare(404))
			rule := tt.rule
			rule.Name, rule.Status, rule.Action = "mine", 404, pinterest.ActionFail
			rule.Wait = func(pinterest.Failure, time.Time) time.Duration { return time.Hour }
			e := failure(t, get(t.Context(), newClient(t, s, pinterest.WithRules(rule))))
			assertSlept(t, s, nil)
			assert.Equal(t, "mine", e.Rule)
			if tt.parked {
				assert.Equal(t, s.clock.Now().Add(tt.retryIn), e.RetryAt)
			} else {
				assert.Zero(t, e.RetryAt)
			}
		})
	}
}

func TestRuleWaitOutOfBoundsDoesNoHarm(t *testing.T) {
	t.Parallel()
	for _, action := range []pinterest.Action{pinterest.ActionBackOff, pinterest.ActionFail} {
		for wait, want := range map[time.Duration]time.Duration{
			-time.Hour: 0, math.MinInt64: 0, 0: 0, 400 * 24 * time.Hour: 366 * 24 * time.Hour, math.MaxInt64: 366 * 24 * time.Hour,
		} {
			s := newServer(t, bare(503).always())
			c := newClient(t, s, pinterest.WithRules(pinterest.Rule{
				Name: "odd", Status: 503, Action: action, Wait: func(pinterest.Failure, time.Time) time.Duration { return wait },
			}))
			e := failure(t, get(t.Context(), c))
			assertSlept(t, s, nil)
			assert.Equal(t, s.clock.Now().Add(want), e.RetryAt, "%v %v", action, wait)
			if action == pinterest.ActionBackOff && want == 0 {
				assert.Equal(t, 5, s.count(toCall), "the attempts are bounded all the same")
			} else {
				assert.Equal(t, 1, s.count(toCall))
			}
		}
	}
}

// A failed item of a batch takes its time from the same row.
func TestRuleWaitOfABatchItem(t *testing.T) {
	t.Parallel()
	s := newServer(t, answer(200, `[{"exceptions":[{"code":8,"message":"slow"}]}]`))
	op := pinterest.Operation{ID: "things/get", Method: "GET", Path: "/things"}
	c := newClient(t, s, pinterest.WithRules(pinterest.Rule{
		Name: "mine", Status: 429, Wait: func(pinterest.Failure, time.Time) time.Duration { return time.Hour },
	}))
	res, err := pinterest.Call[pinterest.BatchResult[pinterest.Pin]](t.Context(), c.Client, op, pinterest.Request{})
	require.NoError(t, err)
	assert.Equal(t, s.clock.Now().Add(time.Hour), res.Items[0].Err.RetryAt)
}
