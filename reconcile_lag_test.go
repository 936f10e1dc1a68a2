package pinterest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestCreateProvesAbsence(t *testing.T) {
	s := newStudio(t, pinterest.WithRetry(pinterest.RetryPolicy{SettleTime: 9 * time.Second, SettleReads: 4, Jitter: -1}))
	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
	_, err := s.client.Pins.Create(t.Context(), s.pin())
	require.NoError(t, err)
	s.counts("pins/create", 2, "boards/list_pins", 4)
	var reads []time.Duration
	for _, r := range s.srv.Requests() {
		if r.Operation == "boards/list_pins" {
			reads = append(reads, r.At.Sub(studioStart))
		}
	}
	assert.Equal(t, []time.Duration{0, 3 * time.Second, 6 * time.Second, 9 * time.Second}, reads)
}

// The lists show a new pin late, but within the settle time.
func TestCreateAdoptsFromALaggingList(t *testing.T) {
	for _, lag := range []time.Duration{time.Millisecond, time.Second, 3 * time.Second, 4999 * time.Millisecond} {
		s := newStudio(t)
		s.srv.SetListLag(lag)
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		pin, err := s.client.Pins.Create(t.Context(), s.pin())
		require.NoError(t, err, lag)
		assert.Equal(t, []string{pin.ID}, s.ids(), lag)
		s.counts("pins/create", 1, "boards/list_pins", 2)
	}
}

func TestCreateDeadlineBeforeTheSettleTime(t *testing.T) {
	for name, committed := range map[string]bool{"made": true, "not made": false} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t)
			s.srv.SetListLag(time.Second)
			fault := pinteresttest.ServerError(500).On("pins/create")
			fault.AfterCommit = committed
			s.srv.Inject(fault)
			ctx, cancel := context.WithDeadline(t.Context(), s.clock.Now().Add(3*time.Second))
			defer cancel()
			_, err := s.client.Pins.Create(ctx, s.pin())
			e := requireUncertain(t, err)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Less(t, s.waited(), 3*time.Second, "a wait that does not fit is not begun")
			s.counts("pins/create", 1)

			s.clock.Advance(time.Minute)
			require.NotNil(t, e.Uncertain)
			found, err := s.client.Resolve(t.Context(), *e.Uncertain)
			require.NoError(t, err)
			if committed {
				require.Equal(t, pinterest.OutcomeCreated, found.Outcome)
				assert.Equal(t, []string{found.Pin.ID}, s.ids())
			} else {
				assert.Equal(t, pinterest.OutcomeAbsent, found.Outcome)
			}
		})
	}
}

// The list lags for longer than the settle time. The client can tell, because the
// list lacks a pin that it made before, and so it waits until that pin appears.
func TestCreateLagBeyondTheSettleTime(t *testing.T) {
	for _, committed := range []bool{true, false} {
		t.Run(fmt.Sprintf("made: %v", committed), func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			s.srv.SetListLag(20 * time.Second)
			earlier := s.pin()
			earlier.Title = "Beech kitchen"
			_, err := s.client.Pins.Create(t.Context(), earlier)
			require.NoError(t, err)

			fault := pinteresttest.ServerError(500).On("pins/create")
			fault.AfterCommit = committed
			s.srv.Inject(fault)
			pin, err := s.client.Pins.Create(t.Context(), s.pin())
			require.NoError(t, err)
			assert.Equal(t, s.ids()[1], pin.ID)
			assert.Len(t, s.ids(), 2, "no duplicate")
		})
	}
}

// If the list still lacks that pin after two minutes, it proves nothing.
func TestCreateLagBeyondAllWaiting(t *testing.T) {
	for _, committed := range []bool{true, false} {
		for _, marker := range []string{"", "job=8841"} {
			t.Run(fmt.Sprintf("made: %v, marker %q", committed, marker), func(t *testing.T) {
				t.Parallel()
				s := newStudio(t)
				s.srv.SetListLag(5 * time.Minute)
				earlier := s.pin()
				earlier.Title = "Beech kitchen"
				_, err := s.client.Pins.Create(t.Context(), earlier)
				require.NoError(t, err)

				fault := pinteresttest.ServerError(500).On("pins/create")
				fault.AfterCommit = committed
				s.srv.Inject(fault)
				pin := s.pin()
				pin.Marker = marker
				_, err = s.client.Pins.Create(t.Context(), pin)
				e := requireUncertain(t, err)
				require.ErrorContains(t, err, "lags behind")
				s.counts("pins/create", 2)

				s.clock.Advance(10 * time.Minute)
				require.NotNil(t, e.Uncertain)
				found, err := s.newClient().Resolve(t.Context(), *e.Uncertain)
				require.NoError(t, err)
				if committed {
					require.Equal(t, pinterest.OutcomeCreated, found.Outcome)
					assert.Equal(t, s.ids()[1], found.Pin.ID)
				} else {
					assert.Equal(t, pinterest.OutcomeAbsent, found.Outcome)
				}
			})
		}
	}
}
