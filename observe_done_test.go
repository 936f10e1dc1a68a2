package pinterest_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

// The number of a call is the same wherever it stands, and each call tells how it
// ended exactly once, by its own outcome and not by that of its last attempt.
func TestEventDoneHasTheCallsOutcome(t *testing.T) {
	t.Parallel()
	once := func(ctx context.Context, c *testClient, opts ...pinterest.CallOption) error {
		_, err := c.Pins.CreateOnce(ctx, "job 7", pinCreate(), opts...)
		return err
	}
	create := func(ctx context.Context, c *testClient, opts ...pinterest.CallOption) error {
		_, err := c.Pins.Create(ctx, pinCreate(), opts...)
		return err
	}
	read := get[*testClient]
	type outcome struct {
		class       pinterest.Class
		disposition pinterest.Disposition
		origin      pinterest.Origin
		attempts    int
		jobKey      string
	}
	for name, tt := range map[string]struct {
		server func(t *testing.T) *server
		opts   []pinterest.Option
		call   func(ctx context.Context, c *testClient, opts ...pinterest.CallOption) error
		before func(t *testing.T, c *testClient) // another call
		want   outcome
	}{
		"success":       {server: serving(okPin()), call: read, want: outcome{origin: pinterest.OriginAnswer, attempts: 1}},
		"after a retry": {server: serving(bare(503), okPin()), call: read, want: outcome{origin: pinterest.OriginAnswer, attempts: 2}},
		"not found":     {server: serving(bare(404)), call: read, want: outcome{class: pinterest.ClassNotFound, disposition: fix, attempts: 1}},
		"adopted": {server: func(t *testing.T) *server {
			s := newServer(t, bare(503))
			return s.onLookup(s.madePin())
		}, call: create, want: outcome{origin: pinterest.OriginLookup, attempts: 1}},
		"adopted for a key": {server: func(t *testing.T) *server {
			s := newServer(t, bare(503))
			return s.onLookup(s.madePin())
		}, opts: []pinterest.Option{pinterest.WithLedger(pinterest.NewMemoryLedger())}, call: once, want: outcome{origin: pinterest.OriginLookup, attempts: 1, jobKey: "job 7"}},
		"uncertain": {server: func(t *testing.T) *server {
			return newServer(t, bare(503)).onLookup(bare(404).always())
		}, call: create, want: outcome{class: pinterest.ClassUnavailable, disposition: pinterest.DispositionUncertain, attempts: 1}},
		"invalid": {server: serving(), call: func(ctx context.Context, c *testClient, opts ...pinterest.CallOption) error {
			_, err := c.Pins.Create(ctx, pinterest.PinCreate{}, opts...)
			return err
		}, want: outcome{class: pinterest.ClassInvalid, disposition: fix}},
		"invalid for a key": {server: serving(), opts: []pinterest.Option{pinterest.WithLedger(pinterest.NewMemoryLedger())},
			call: func(ctx context.Context, c *testClient, opts ...pinterest.CallOption) error {
				_, err := c.Pins.CreateOnce(ctx, "job 7", pinterest.PinCreate{}, opts...)
				return err
			}, want: outcome{class: pinterest.ClassInvalid, disposition: fix, jobKey: "job 7"}},
		"a nil option": {server: serving(), call: func(ctx context.Context, c *testClient, opts ...pinterest.CallOption) error {
			return get(ctx, c, append(opts, nil)...)
		}, want: outcome{class: pinterest.ClassInvalid, disposition: fix}},
		"ledger": {server: serving(), opts: []pinterest.Option{pinterest.WithLedger(&watchedLedger{Ledger: pinterest.NewMemoryLedger(), on: atNth("lock", 1)})},
			call: once, want: outcome{class: pinterest.ClassLedger, disposition: park, jobKey: "job 7"}},
		"ledger before the create": {server: serving(), opts: []pinterest.Option{pinterest.WithLedger(&watchedLedger{Ledger: pinterest.NewMemoryLedger(), on: atNth("save", 1)})},
			call: once, want: outcome{class: pinterest.ClassLedger, disposition: park, jobKey: "job 7"}},
		"a key that is found": {server: func(t *testing.T) *server {
			s := newServer(t, bare(503))
			return s.onLookup(bare(404), s.madePin())
		}, opts: []pinterest.Option{pinterest.WithLedger(pinterest.NewMemoryLedger())}, before: func(t *testing.T, c *testClient) {
			require.ErrorIs(t, once(t.Context(), c), pinterest.ErrUncertain)
		}, call: once, want: outcome{origin: pinterest.OriginLookup, jobKey: "job 7"}},
		"a key that is done": {server: serving(okPin()), opts: []pinterest.Option{pinterest.WithLedger(pinterest.NewMemoryLedger())}, before: func(t *testing.T, c *testClient) {
			require.NoError(t, once(t.Context(), c))
		}, call: once, want: outcome{origin: pinterest.OriginLedger, jobKey: "job 7"}},
		"a key that stays uncertain": {server: func(t *testing.T) *server {
			return newServer(t, bare(503)).onLookup(bare(404).always())
		}, opts: []pinterest.Option{pinterest.WithLedger(pinterest.NewMemoryLedger())}, before: func(t *testing.T, c *testClient) {
			require.ErrorIs(t, once(t.Context(), c), pinterest.ErrUncertain)
		}, call: once, want: outcome{class: pinterest.ClassUnknown, disposition: pinterest.DispositionUncertain, jobKey: "job 7"}},
		"a key of other content": {server: serving(okPin()), opts: []pinterest.Option{pinterest.WithLedger(pinterest.NewMemoryLedger())}, before: func(t *testing.T, c *testClient) {
			require.NoError(t, once(t.Context(), c))
		}, call: func(ctx context.Context, c *testClient, opts ...pinterest.CallOption) error {
			pin := pinCreate()
			pin.Title = "Pine table"
			_, err := c.Pins.CreateOnce(ctx, "job 7", pin, opts...)
			return err
		}, want: outcome{class: pinterest.ClassInvalid, disposition: fix, jobKey: "job 7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen recorder
			var log logRecords
			s := tt.server(t)
			c := newClient(t, s, append(tt.opts, pinterest.WithObserver(seen.observe), pinterest.WithLogger(slog.New(&log)))...)
			if tt.before != nil {
				tt.before(t, c)
			}
			earlier := len(seen.all())
			var res pinterest.Response
			err := tt.call(t.Context(), c, pinterest.ResponseTo(&res))
			assertOutcome(t, seen.all()[earlier:], log.list[earlier:], res, err)
			events := seen.all()
			last := events[len(events)-1]
			assert.Equal(t, pinterest.EventDone, last.Type)
			assert.Equal(t, tt.want, outcome{last.Class, last.Disposition, last.Origin, last.Attempts, last.JobKey})
			assert.Equal(t, tt.want.origin, res.Origin)
			assert.Len(t, res.Attempts, tt.want.attempts)
			if tt.want.class == pinterest.ClassNone {
				assert.NoError(t, last.Err)
			} else {
				assert.Equal(t, err, last.Err)
			}
		})
	}
}

func serving(steps ...reply) func(t *testing.T) *server {
	return func(t *testing.T) *server { return newServer(t, steps...) }
}

// atNth lets a ledger fail the nth time that it comes to a step.
func atNth(step string, n int) func(step, name string) error {
	count := 0
	return func(at, _ string) error {
		if at == step {
			if count++; count == n {
				return errors.New(step + " fails")
			}
		}
		return nil
	}
}

// assertOutcome checks that the events of one call, its log lines, its Response
// and its Error have one number, and that there is one EventDone.
func assertOutcome(t *testing.T, events []pinterest.Event, log []logRecord, res pinterest.Response, err error) {
	t.Helper()
	require.NotEmpty(t, events)
	done := events[len(events)-1]
	require.NotZero(t, done.Call)
	assert.Equal(t, done.Call, res.Call)
	if err != nil {
		assert.Equal(t, done.Call, failure(t, err).Call)
	}
	ends := 0
	for i, e := range events {
		if e.Operation != done.Operation { // a read of a look-up is a call of its own
			assert.NotEqual(t, done.Call, e.Call)
			continue
		}
		assert.Equal(t, done.Call, e.Call, "%v", e.Type)
		assert.Equal(t, done.JobKey, e.JobKey, "%v", e.Type)
		assert.Equal(t, done.Call, log[i].attrs["call"].Uint64())
		if e.Type == pinterest.EventDone {
			ends++
		}
	}
	assert.Equal(t, 1, ends, "how often it ended")
}

func TestEventDoneOfADisconnectedAccount(t *testing.T) {
	t.Parallel()
	var seen recorder
	var res pinterest.Response
	app := storedApp(t, newServer(t), pinterest.NewMemoryTokenStore(), pinterest.WithObserver(seen.observe))
	err := get(t.Context(), shop(app), pinterest.ResponseTo(&res))
	require.ErrorIs(t, err, pinterest.ErrDisconnected)
	events := seen.all()
	last := events[len(events)-1]
	assert.Equal(t, pinterest.EventDone, last.Type)
	assert.Equal(t, pinterest.ClassUnauthenticated, last.Class)
	assert.Equal(t, pinterest.DispositionReauthorize, last.Disposition)
	assert.Equal(t, "shop-1", last.Account)
	assert.Equal(t, last.Call, res.Call)
	assert.Equal(t, last.Call, failure(t, err).Call)
}

func TestDryRunIsNoCall(t *testing.T) {
	t.Parallel()
	var seen recorder
	var d pinterest.DryRun
	c := newClient(t, newServer(t), pinterest.WithObserver(seen.observe), pinterest.WithLedger(pinterest.NewMemoryLedger()))
	_, err := c.Pins.CreateOnce(t.Context(), "job", pinCreate(), pinterest.DryRunTo(&d))
	require.NoError(t, err)
	require.NoError(t, get(t.Context(), c, pinterest.DryRunTo(&d)))
	assert.Empty(t, seen.all())
}

// A result that the ledger could not record: the call succeeded, and the error
// that comes with the result has its number.
func TestCallOfAResultThatWasNotRecorded(t *testing.T) {
	t.Parallel()
	var seen recorder
	ledger := &watchedLedger{Ledger: pinterest.NewMemoryLedger(), on: atNth("save", 2)}
	c := newClient(t, newServer(t, okPin()), pinterest.WithLedger(ledger), pinterest.WithObserver(seen.observe))
	pin, err := c.Pins.CreateOnce(t.Context(), "job", pinCreate())
	require.NotNil(t, pin)
	require.ErrorIs(t, err, pinterest.ErrLedger)
	last := seen.all()[len(seen.all())-1]
	assert.Equal(t, pinterest.EventDone, last.Type)
	assert.NoError(t, last.Err)
	assert.Equal(t, last.Call, failure(t, err).Call)
}
