package pinterest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// Where lists lag, a list that shows something newer proves nothing: each pin may have
// a lag of its own.
func TestCreateEachPinLagsByItself(t *testing.T) {
	t.Parallel()
	s := newStudio(t)
	named := func(title string) pinterest.PinCreate {
		return pinterest.PinCreate{BoardID: s.board.ID, Title: title, MediaSource: pinterest.ImageURL("https://shop.example/" + title + ".jpg")}
	}
	lags := map[string]time.Duration{"Beech": 20 * time.Second, "Oak": 35 * time.Second}
	readings := 0 // since Oak was made
	s.srv.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
		if r.Operation != "boards/list_pins" {
			return nil
		}
		if r.Query.Get("bookmark") != "" { // of which a look-up reads no more
			return &pinteresttest.Fault{Body: fmt.Sprintf(`{"items":[{"id":"1","board_id":%q,"title":"Old","created_at":"2126-07-08T09:00:00"}],"bookmark":"more"}`, s.board.ID)}
		}
		var items []string
		oak := false
		for _, p := range slices.Backward(s.srv.Pins(s.board.ID)) {
			oak = oak || p.Title == "Oak"
			if !p.CreatedAt.Add(lags[p.Title]).After(s.clock.Now()) {
				items = append(items, fmt.Sprintf(`{"id":%q,"board_id":%q,"title":%q,"created_at":%q}`,
					p.ID, p.BoardID, p.Title, p.CreatedAt.UTC().Format("2006-01-02T15:04:05")))
			}
		}
		if readings++; !oak {
			readings = 0
		}
		if readings == 2 { // the next one shows something newer
			_, err := s.client.Pins.Create(context.Background(), named("Elm"))
			assert.NoError(t, err)
		}
		return &pinteresttest.Fault{Body: `{"items":[` + strings.Join(items, ",") + `],"bookmark":"more"}`}
	})

	_, err := s.client.Pins.Create(t.Context(), named("Beech"))
	require.NoError(t, err)
	s.clock.Advance(10 * time.Second)
	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
	_, err = s.client.Pins.Create(t.Context(), named("Ash")) // its look-up shows that lists lag
	require.NoError(t, err)

	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
	oak, err := s.client.Pins.Create(t.Context(), named("Oak"))
	require.NoError(t, err)
	require.Greater(t, readings, 2)
	ids := s.ids() // of Beech, Ash, Oak and Elm
	require.Len(t, ids, 4, "no duplicate")
	assert.Equal(t, ids[2], oak.ID)
}

// A look-up that finds its result on the first page, or fails on the second, says nothing
// about the other pages. What is there does not lag.
func TestCreateLookUpThatReadsOnePageShowsNoLag(t *testing.T) {
	for name, fault := range map[string]pinteresttest.Fault{
		"found on page 1":       pinteresttest.ServerError(500).On("pins/create").AfterTheCommit(),
		"page 2 cannot be read": pinteresttest.ServerError(500).On("pins/create"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t, pinterest.WithoutPacing())
			pin := s.pin()
			for i := range 120 { // more than a page
				pin.Title = fmt.Sprint("Kitchen ", i)
				_, err := s.client.Pins.Create(t.Context(), pin)
				require.NoError(t, err)
			}
			s.clock.Advance(20 * time.Second)
			s.srv.Inject(fault)
			if !fault.AfterCommit {
				s.srv.Inject(pinteresttest.ServerError(403).On("boards/list_pins").After(1))
			}
			pin.Title = "Ash"
			_, _ = s.client.Pins.Create(t.Context(), pin) // uncertain where page 2 cannot be read

			pin.Title = "Elm"
			began := s.clock.Now()
			s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
			_, err := s.client.Pins.Create(t.Context(), pin)
			require.NoError(t, err)
			assert.Less(t, s.clock.Now().Sub(began), time.Minute)
		})
	}
}
