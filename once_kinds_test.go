package pinterest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A onceKind is a create with a key, other than that of a pin.
type onceKind struct {
	operation, list string
	create          func(ctx context.Context, c *testClient, s *studio, key, name string, opts ...pinterest.CallOption) (id string, err error)
	made            func(s *studio) []string // besides what was there before
}

func onceKinds() []onceKind {
	return []onceKind{
		{
			operation: "boards/create", list: "boards/list",
			create: func(ctx context.Context, c *testClient, _ *studio, key, name string, opts ...pinterest.CallOption) (string, error) {
				board, err := c.Boards.CreateOnce(ctx, key, pinterest.BoardCreate{Name: name}, opts...)
				if board == nil {
					return "", err
				}
				return board.ID, err
			},
			made: func(s *studio) (ids []string) {
				for _, b := range s.srv.Boards(s.alice) {
					if b.ID != s.board.ID {
						ids = append(ids, b.ID)
					}
				}
				return ids
			},
		},
		{
			operation: "board_sections/create", list: "board_sections/list",
			create: func(ctx context.Context, c *testClient, s *studio, key, name string, opts ...pinterest.CallOption) (string, error) {
				section, err := c.Sections.CreateOnce(ctx, key, s.board.ID, pinterest.SectionCreate{Name: name}, opts...)
				if section == nil {
					return "", err
				}
				return section.ID, err
			},
			made: func(s *studio) (ids []string) {
				for _, section := range s.srv.Sections(s.board.ID) {
					ids = append(ids, section.ID)
				}
				return ids
			},
		},
		{
			operation: "pins/save", list: "boards/list_pins",
			create: func(ctx context.Context, c *testClient, s *studio, key, name string, opts ...pinterest.CallOption) (string, error) {
				pin, err := c.Pins.SaveOnce(ctx, key, s.source(name), pinterest.PinSave{BoardID: s.board.ID}, opts...)
				if pin == nil {
					return "", err
				}
				return pin.ID, err
			},
			made: func(s *studio) []string { return s.ids() },
		},
	}
}

// source returns the id of the pin with this title, which is on another board and is
// added if it is missing.
func (s *studio) source(title string) string {
	for _, b := range s.srv.Boards(s.alice) {
		for _, p := range s.srv.Pins(b.ID) {
			if b.ID != s.board.ID && p.Title == title {
				return p.ID
			}
		}
	}
	return s.srv.AddPin(s.srv.AddBoard(s.alice, title), pinteresttest.Pin{Title: title}).ID
}

// Boards, sections and saves are made once for a key, whatever happens to the answer,
// and by whichever process.
func TestOnceOfOtherKinds(t *testing.T) {
	faults := map[string]*pinteresttest.Fault{
		"answered": nil, "made, and its answer lost": after(pinteresttest.NoAnswer()), "lost, then made": before(pinteresttest.NoAnswer()),
	}
	for _, kind := range onceKinds() {
		for name, fault := range faults {
			t.Run(kind.operation+" "+name, func(t *testing.T) {
				t.Parallel()
				ledger := pinterest.NewMemoryLedger()
				s := newStudio(t, pinterest.WithLedger(ledger))
				want := pinterest.OriginAnswer
				if fault != nil {
					s.srv.Inject(fault.On(kind.operation))
				}
				if name == "made, and its answer lost" {
					want = pinterest.OriginLookup
				}
				var res pinterest.Response
				id, err := kind.create(t.Context(), s.client, s, "job-1", "Gardens", pinterest.ResponseTo(&res))
				require.NoError(t, err)
				assert.Equal(t, []string{id}, kind.made(s))
				assert.Equal(t, want, res.Origin)

				s.srv.ResetRequests()
				again, err := kind.create(t.Context(), s.newClient(pinterest.WithLedger(ledger)), s, "job-1", "Gardens", pinterest.ResponseTo(&res))
				require.NoError(t, err)
				assert.Equal(t, id, again)
				assert.Equal(t, pinterest.OriginLedger, res.Origin)
				s.counts("", 0)

				_, err = kind.create(t.Context(), s.client, s, "job-1", "Kitchens of oak")
				require.ErrorIs(t, err, pinterest.ErrKeyReused)
			})
		}
		t.Run(kind.operation+" uncertain, then resolved by its key", func(t *testing.T) {
			t.Parallel()
			ledger := pinterest.NewMemoryLedger()
			s := newStudio(t, pinterest.WithLedger(ledger))
			s.srv.Inject(after(pinteresttest.NoAnswer()).On(kind.operation), pinteresttest.ServerError(503).On(kind.list).Repeat(pinteresttest.Forever))
			_, err := kind.create(t.Context(), s.client, s, "job-1", "Gardens")
			u := requireUncertain(t, err).Uncertain
			require.NotNil(t, u)
			assert.Equal(t, "job-1", u.Key)
			s.srv.ClearFaults()
			var res pinterest.Response
			id, err := kind.create(t.Context(), s.newClient(pinterest.WithLedger(ledger)), s, "job-1", "Gardens", pinterest.ResponseTo(&res))
			require.NoError(t, err)
			assert.Equal(t, []string{id}, kind.made(s))
			assert.Equal(t, pinterest.OriginLookup, res.Origin)
		})
	}
}

// A save to the profile cannot be looked up, so it cannot be made once.
func TestSaveOnceNeedsABoard(t *testing.T) {
	s := newStudio(t, pinterest.WithLedger(pinterest.NewMemoryLedger()))
	_, err := s.client.Pins.SaveOnce(t.Context(), "job-1", "813", pinterest.PinSave{})
	require.ErrorIs(t, err, pinterest.ErrInvalid)
	s.counts("", 0)
	if *seam { // which has the message of CreateOnce
		return
	}
	var e *pinterest.Error
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Fields, 1)
	assert.Equal(t, "board_id", e.Fields[0].Field)
}
