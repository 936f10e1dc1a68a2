package pinterest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A watchedLedger reports each call before it is made and can make it fail.
type watchedLedger struct {
	pinterest.Ledger
	on func(step, name string) error // nil: no call fails
}

func (l *watchedLedger) step(step, name string) error {
	if l.on == nil {
		return nil
	}
	return l.on(step, name)
}

func (l *watchedLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	if err := l.step("lock", strings.Join(names, " ")); err != nil {
		return nil, nil, err
	}
	return l.Ledger.Lock(ctx, names...)
}

func (l *watchedLedger) Load(ctx context.Context, name string) ([]byte, error) {
	if err := l.step("load", name); err != nil {
		return nil, err
	}
	return l.Ledger.Load(ctx, name)
}

func (l *watchedLedger) Save(ctx context.Context, records map[string][]byte) error {
	if err := l.step("save", strings.Join(slices.Sorted(maps.Keys(records)), " ")); err != nil {
		return err
	}
	return l.Ledger.Save(ctx, records)
}

// keyRecord returns a ledger in which a key was used, completely or up to a crash,
// and the name of its record there.
func keyRecord(t *testing.T, s *studio, key, point string) (l *pinterest.MemoryLedger, name string) {
	t.Helper()
	l = pinterest.NewMemoryLedger()
	watched := &watchedLedger{Ledger: l, on: func(step, saved string) error {
		if step == "save" && name == "" {
			name = saved // the first is the intent
		}
		return nil
	}}
	_, err := s.createOnce(watched, key, s.pin(), point, 1)
	if point == noCrash {
		require.NoError(t, err)
	} else {
		require.ErrorIs(t, err, errCrash)
	}
	require.NotEmpty(t, name)
	return l, name
}

// The ledger fails at every step in turn.
func TestCreateOnceLedgerFails(t *testing.T) {
	errDisk := errors.New("the disk is full")
	run := func(t *testing.T, s *studio, n int) (client *testClient, l *pinterest.MemoryLedger, steps []string, pin *pinterest.Pin, err error) {
		l = pinterest.NewMemoryLedger()
		watched := &watchedLedger{Ledger: l, on: func(step, name string) error {
			if steps = append(steps, fmt.Sprintf("%s, %d requests before", step, s.srv.Count("pins/create"))); len(steps) == n {
				return errDisk
			}
			return nil
		}}
		client = s.newClient(pinterest.WithLedger(watched))
		pin, err = client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
		return client, l, steps, pin, err
	}
	_, _, steps, _, err := run(t, newStudio(t), 0)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(steps), 4, "a lock, a load, the intent and the result")

	for n, step := range steps {
		for _, next := range []string{"the same client", "another client"} {
			t.Run(fmt.Sprintf("step %d: %s, then %s", n+1, step, next), func(t *testing.T) {
				s := newStudio(t)
				client, ledger, _, pin, err := run(t, s, n+1)
				require.ErrorIs(t, err, pinterest.ErrLedger)
				require.ErrorIs(t, err, errDisk)
				require.NotErrorIs(t, err, pinterest.ErrUncertain)
				var e *pinterest.Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, pinterest.DispositionPark, e.Disposition)
				if strings.HasSuffix(step, " 0 requests before") {
					assert.Nil(t, pin)
					s.counts("", 0)
				} else {
					require.NotNil(t, pin, "it was made: the caller learns which")
					assert.Equal(t, []string{pin.ID}, s.ids())
					require.ErrorContains(t, err, pin.ID)
				}

				if next == "another client" {
					client = s.newClient(pinterest.WithLedger(ledger))
				}
				for range 2 {
					again, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
					require.NoError(t, err)
					assert.Equal(t, []string{again.ID}, s.ids())
				}
				s.counts("pins/create", 1)
			})
		}
	}
	t.Run("recording a failure", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(403).On("pins/create"))
		_, ledger, _, pin, err := run(t, s, 4)
		assert.Nil(t, pin)
		require.ErrorIs(t, err, pinterest.ErrForbidden, "the failure comes first")
		require.ErrorIs(t, err, errDisk)
		again, err := s.newClient(pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job-8841", s.pin())
		require.NoError(t, err)
		assert.Equal(t, []string{again.ID}, s.ids())
	})
	t.Run("recording what is uncertain", func(t *testing.T) {
		for _, committed := range []bool{true, false} {
			s := newStudio(t)
			lost := pinteresttest.NoAnswer().On("pins/create")
			lost.AfterCommit = committed
			s.srv.Inject(lost, pinteresttest.ServerError(403).On("boards/list_pins"))
			_, ledger, _, _, err := run(t, s, 4)
			e := requireUncertain(t, err)
			require.NotNil(t, e.Uncertain)
			require.ErrorIs(t, err, errDisk)
			again, err := s.newClient(pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			require.NoError(t, err)
			assert.Equal(t, []string{again.ID}, s.ids())
		}
	})
	t.Run("while an intent is looked up", func(t *testing.T) {
		s := newStudio(t)
		ledger := pinterest.NewMemoryLedger()
		_, err := s.createOnce(ledger, "job-8841", s.pin(), crashAnswer, 1)
		require.ErrorIs(t, err, errCrash)
		for n := 1; ; n++ {
			calls := 0
			watched := &watchedLedger{Ledger: ledger, on: func(string, string) error {
				if calls++; calls == n {
					return errDisk
				}
				return nil
			}}
			pin, err := s.newClient(pinterest.WithLedger(watched)).Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			if pin != nil {
				assert.Equal(t, []string{pin.ID}, s.ids())
			}
			if err == nil {
				require.Greater(t, n, 2) // the lock, the record, and the result
				break
			}
			require.ErrorIs(t, err, pinterest.ErrLedger, n)
		}
		s.counts("pins/create", 1)
	})
}

// Nothing is sent if the record cannot be understood.
func TestCreateOnceCorruptedRecord(t *testing.T) {
	edit := func(change func(map[string]any)) func([]byte) []byte {
		return func(record []byte) []byte {
			var fields map[string]any
			if err := json.Unmarshal(record, &fields); err != nil {
				panic(err)
			}
			change(fields)
			out, err := json.Marshal(fields)
			if err != nil {
				panic(err)
			}
			return out
		}
	}
	set := func(name string, value any) func([]byte) []byte {
		return edit(func(f map[string]any) { f[name] = value })
	}
	text := func(record string) func([]byte) []byte { return func([]byte) []byte { return []byte(record) } }
	for name, corrupt := range map[string]func([]byte) []byte{
		"empty":                    text(""),
		"zeros":                    func(r []byte) []byte { return make([]byte, len(r)) },
		"cut off":                  func(r []byte) []byte { return r[:len(r)/2] },
		"twice":                    func(r []byte) []byte { return bytes.Repeat(r, 2) },
		"not JSON":                 text("job-8841"),
		"null":                     text("null"),
		"a list":                   text("[]"),
		"an object":                text("{}"),
		"another's":                text(`{"state":"published","id":"1"}`),
		"no state":                 set("state", ""),
		"unknown state":            set("state", "cancelled"),
		"state of another type":    set("state", 1),
		"done without a pin":       set("result", nil),
		"done with an empty pin":   set("result", map[string]any{}),
		"intent without what":      set("want", nil),
		"intent of nothing":        set("want", map[string]any{}),
		"intent of another kind":   set("want", map[string]any{"version": 1, "operation": "boards/create", "want": map[string]any{"name": "Kitchens"}, "since": "2126-07-01T00:00:00Z"}),
		"intent for no board":      set("want", map[string]any{"version": 1, "operation": "pins/create", "want": map[string]any{"board_id": "none"}, "since": "2126-07-01T00:00:00Z"}),
		"intent at no time":        edit(func(f map[string]any) { delete(f["want"].(map[string]any), "since") }),
		"intent of version 0":      set("want", map[string]any{"operation": "pins/create", "board_id": "1", "since": "2126-07-01T00:00:00Z"}),
		"intent of another format": set("want", "pins/create"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t)
			point := noCrash
			if strings.HasPrefix(name, "intent") {
				point = crashBefore
			}
			ledger, at := keyRecord(t, s, "job-8841", point)
			record, err := ledger.Load(t.Context(), at)
			require.NoError(t, err)
			record = corrupt(record)
			require.NoError(t, ledger.Save(t.Context(), map[string][]byte{at: record}))
			s.srv.ResetRequests()

			client := s.newClient(pinterest.WithLedger(ledger))
			var pin *pinterest.Pin
			require.NotPanics(t, func() { pin, err = client.Pins.CreateOnce(t.Context(), "job-8841", s.pin()) })
			assert.Nil(t, pin)
			require.Error(t, err)
			require.ErrorContains(t, err, "job-8841", "the error names the key")
			s.counts("pins/create", 0)
			kept, err := ledger.Load(t.Context(), at)
			require.NoError(t, err)
			assert.Equal(t, string(record), string(kept), "the record is left for a person to look at")
		})
	}
}

// A leasedLedger loses the lock of a call in place of its nth save.
type leasedLedger struct {
	pinterest.Ledger
	n    int
	lose context.CancelCauseFunc
}

var errLeaseOver = errors.New("the lease ran out")

func (l *leasedLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	held, unlock, err := l.Ledger.Lock(ctx, names...)
	held, l.lose = context.WithCancelCause(held)
	return held, unlock, err
}

func (l *leasedLedger) Save(ctx context.Context, records map[string][]byte) error {
	if l.n--; l.n == 0 {
		l.lose(errLeaseOver)
		return errLeaseOver
	}
	return l.Ledger.Save(ctx, records)
}

// A process that loses its lock after the create and before it is recorded ends
// uncertain, because a create of equal content with another key may adopt the result.
func TestCreateOnceLockLostBeforeTheRecord(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	ledger := pinterest.NewMemoryLedger()
	stopped := s.newClient(pinterest.WithLedger(&leasedLedger{Ledger: ledger, n: 2})) // the first save is the intent
	pin, err := stopped.Pins.CreateOnce(t.Context(), "job-1", s.pin())
	assert.NotNil(t, requireUncertain(t, err).Uncertain)
	require.ErrorIs(t, err, pinterest.ErrLedger)
	require.ErrorIs(t, err, errLeaseOver)
	assert.Nil(t, pin)

	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
	next, err := s.newClient(pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job-2", s.pin())
	require.NoError(t, err)
	pin, err = stopped.Pins.CreateOnce(t.Context(), "job-1", s.pin())
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{next.ID, pin.ID}, s.ids(), "one each")
}
