package pinterest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestSave(t *testing.T) {
	setup := func(t *testing.T) (*studio, pinteresttest.Pin, pinterest.PinSave) {
		s := newStudio(t)
		recipes := s.srv.AddBoard(s.alice, "Recipes")
		return s, s.srv.AddPin(recipes, pinteresttest.Pin{Title: "Tart", Description: "Of plums", Link: "https://shop.example/tart"}), pinterest.PinSave{BoardID: s.board.ID}
	}
	t.Run("adopts", func(t *testing.T) {
		s, parent, to := setup(t)
		section := s.srv.AddSection(s.board, "Tarts")
		for _, to := range []pinterest.PinSave{to, {BoardID: to.BoardID, BoardSectionID: section.ID}} {
			before := s.ids()
			s.srv.Inject(pinteresttest.ConnectionReset().On("pins/save").AfterTheCommit())
			var res pinterest.Response
			saved, err := s.client.Pins.Save(t.Context(), parent.ID, to, pinterest.ResponseTo(&res))
			require.NoError(t, err)
			assert.Equal(t, pinterest.OriginLookup, res.Origin)
			assert.Equal(t, append(before, saved.ID), s.ids())
			assert.Equal(t, parent.ID, saved.ParentPinID)
			assert.Equal(t, to.BoardSectionID, saved.BoardSectionID)
		}
		s.counts("pins/save", 2)
	})
	t.Run("absent", func(t *testing.T) {
		s, parent, to := setup(t)
		earlier := s.srv.AddPin(s.board, pinteresttest.Pin{Title: "Tart", ParentPinID: parent.ID, CreatedAt: studioStart.Add(-time.Minute)})
		other := s.srv.AddPin(s.board, pinteresttest.Pin{Title: "Tart", ParentPinID: earlier.ID})
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/save"))
		saved, err := s.client.Pins.Save(t.Context(), parent.ID, to)
		require.NoError(t, err)
		assert.Equal(t, []string{earlier.ID, other.ID, saved.ID}, s.ids())
		s.counts("pins/save", 2)
	})
	t.Run("without a board", func(t *testing.T) {
		s, parent, _ := setup(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/save"))
		_, err := s.client.Pins.Save(t.Context(), parent.ID, pinterest.PinSave{})
		e := requireUncertain(t, err)
		assert.Nil(t, e.Uncertain, "there is no list to look in")
		s.counts("pins/save", 1, "boards/list_pins", 0)
	})
}

// A new pin with the same texts that is made from another pin may be the wanted one, so
// nothing is sent again. One that is made from another pin than was named is not.
func TestEqualRepin(t *testing.T) {
	for name, named := range map[string]bool{"no pin named": false, "another pin named": true} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t)
			pin := s.pin()
			if named {
				pin.ParentPinID = s.source("Oak")
			}
			repin := pin
			repin.ParentPinID = "811"
			there := s.same(repin, studioStart)
			s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
			made, err := s.client.Pins.Create(t.Context(), pin)
			if !named {
				require.ErrorContains(t, requireUncertain(t, err), there.ID)
				assert.Equal(t, []string{there.ID}, s.ids())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{there.ID, made.ID}, s.ids())
		})
	}
}

// A video is listed when it was processed: only an hour later does a board that lacks it
// show that it was not made.
func TestVideoIsListedLate(t *testing.T) {
	for _, committed := range []bool{true, false} {
		t.Run(fmt.Sprintf("made: %v", committed), func(t *testing.T) {
			s := newStudio(t)
			pin := s.pin()
			pin.MediaSource = pinterest.VideoID("123", pinterest.CoverURL("https://shop.example/cover.jpg"))
			s.srv.SetListLag(10 * time.Minute)
			lost := pinteresttest.NoAnswer().On("pins/create")
			lost.AfterCommit = committed
			s.srv.Inject(lost)
			_, err := s.client.Pins.Create(t.Context(), pin)
			u := requireUncertain(t, err).Uncertain
			s.counts("pins/create", 1)
			s.clock.Advance(9 * time.Minute)
			res, err := s.client.Pins.Resolve(t.Context(), *u)
			_ = requireUncertain(t, err)
			assert.Equal(t, pinterest.OutcomeUnknown, res.Outcome)
			s.clock.Advance(51 * time.Minute)
			res, err = s.client.Pins.Resolve(t.Context(), *u)
			require.NoError(t, err)
			assert.Equal(t, committed, res.Outcome == pinterest.OutcomeCreated)
		})
	}
}

func TestBoardCreate(t *testing.T) {
	for name, fault := range map[string]pinteresttest.Fault{
		"500": pinteresttest.ServerError(500), "reset": pinteresttest.ConnectionReset(), "code 2787": pinteresttest.SomethingWentWrong(), "code 12": {Status: 500, Code: 12},
	} {
		t.Run(name+" after the commit", func(t *testing.T) {
			s := newStudio(t)
			s.srv.Inject(fault.On("boards/create").AfterTheCommit())
			var res pinterest.Response
			board, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "Gardens"}, pinterest.ResponseTo(&res))
			require.NoError(t, err)
			assert.Equal(t, pinterest.OriginLookup, res.Origin)
			require.Len(t, s.srv.Boards(s.alice), 2)
			assert.Equal(t, s.srv.Boards(s.alice)[1].ID, board.ID)
			s.counts("boards/create", 1, "boards/list", 1)
		})
		t.Run(name+" before the commit", func(t *testing.T) {
			s := newStudio(t)
			s.srv.Inject(fault.On("boards/create"))
			board, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "Gardens"})
			require.NoError(t, err)
			require.Len(t, s.srv.Boards(s.alice), 2)
			assert.Equal(t, s.srv.Boards(s.alice)[1].ID, board.ID)
			s.counts("boards/create", 2)
		})
	}
	for _, privacy := range []pinterest.BoardPrivacy{pinterest.BoardPublic, pinterest.BoardProtected, pinterest.BoardSecret} {
		t.Run(string(privacy), func(t *testing.T) {
			s := newStudio(t)
			s.srv.Inject(pinteresttest.ServerError(500).On("boards/create").AfterTheCommit())
			board, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: " Gardens ", Privacy: privacy})
			require.NoError(t, err)
			assert.Equal(t, s.srv.Boards(s.alice)[1].ID, board.ID)
			s.counts("boards/create", 1)
		})
	}
	// According to the API description, such a board is given another name.
	t.Run("for ads only", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("boards/create").AfterTheCommit())
		board, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "Gardens", IsAdsOnly: true})
		require.NoError(t, err)
		assert.Equal(t, s.srv.Boards(s.alice)[1].ID, board.ID)
		s.counts("boards/create", 1)
	})
	// The list lags for longer than the settle time, so the second attempt conflicts
	// with the name that the first one took.
	for _, status := range []int{400, 409} {
		t.Run(fmt.Sprintf("conflict %d with its own attempt", status), func(t *testing.T) {
			s := newStudio(t)
			s.srv.SetListLag(7 * time.Second)
			s.srv.Inject(
				pinteresttest.ServerError(500).On("boards/create").AfterTheCommit(),
				pinteresttest.Fault{Status: status, Code: 58, Message: "Try a different name. You already have a board with this name!"}.On("boards/create"),
			)
			var res pinterest.Response
			board, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "Gardens"}, pinterest.ResponseTo(&res))
			require.NoError(t, err)
			assert.Equal(t, pinterest.OriginLookup, res.Origin)
			require.Len(t, s.srv.Boards(s.alice), 2)
			assert.Equal(t, s.srv.Boards(s.alice)[1].ID, board.ID)
		})
	}
	t.Run("conflict with a board that was there", func(t *testing.T) {
		s := newStudio(t)
		_, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "kitchens"})
		require.ErrorIs(t, err, pinterest.ErrConflict)
		s.counts("boards/create", 1, "boards/list", 0)
	})
	t.Run("conflict with a board that was there, after a failure", func(t *testing.T) {
		s := newStudio(t)
		s.clock.Advance(time.Minute) // it was not made just now
		s.srv.Inject(pinteresttest.ServerError(500).On("boards/create"))
		_, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "kitchens"})
		require.ErrorIs(t, err, pinterest.ErrConflict)
		require.NotErrorIs(t, err, pinterest.ErrUncertain)
		assert.Len(t, s.srv.Boards(s.alice), 1)
	})
	t.Run("lists down", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("boards/create").AfterTheCommit(), pinteresttest.ServerError(503).On("boards/list").Repeat(pinteresttest.Forever))
		_, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "Gardens"})
		_ = requireUncertain(t, err)
		s.counts("boards/create", 1)
	})
	t.Run("one of many", func(t *testing.T) {
		s := newStudio(t)
		for i := range 600 {
			s.srv.AddBoard(s.alice, fmt.Sprint("Board ", i))
		}
		s.clock.Advance(time.Minute)
		s.srv.Inject(pinteresttest.ServerError(500).On("boards/create").AfterTheCommit())
		_, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "Gardens"})
		require.NoError(t, err)
		s.counts("boards/create", 1, "boards/list", 1)
	})
}

func TestSectionCreate(t *testing.T) {
	islands := pinterest.SectionCreate{Name: "Islands"}
	t.Run("after the commit", func(t *testing.T) {
		s := newStudio(t)
		for i := range 300 { // sections have no creation time, so all pages are read
			s.srv.AddSection(s.board, fmt.Sprint("Section ", i))
		}
		s.srv.Inject(pinteresttest.ServerError(500).On("board_sections/create").AfterTheCommit())
		var res pinterest.Response
		section, err := s.client.Sections.Create(t.Context(), s.board.ID, islands, pinterest.ResponseTo(&res))
		require.NoError(t, err)
		assert.Equal(t, pinterest.OriginLookup, res.Origin)
		all := s.srv.Sections(s.board.ID)
		require.Len(t, all, 301)
		assert.Equal(t, all[300].ID, section.ID)
		s.counts("board_sections/create", 1)
	})
	t.Run("before the commit", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.NoAnswer().On("board_sections/create"))
		section, err := s.client.Sections.Create(t.Context(), s.board.ID, islands)
		require.NoError(t, err)
		require.Len(t, s.srv.Sections(s.board.ID), 1)
		assert.Equal(t, s.srv.Sections(s.board.ID)[0].ID, section.ID)
		s.counts("board_sections/create", 2)
	})
	t.Run("conflict with its own attempt", func(t *testing.T) {
		s := newStudio(t)
		s.srv.SetListLag(7 * time.Second)
		s.srv.Inject(pinteresttest.ServerError(500).On("board_sections/create").AfterTheCommit())
		section, err := s.client.Sections.Create(t.Context(), s.board.ID, islands)
		require.NoError(t, err)
		require.Len(t, s.srv.Sections(s.board.ID), 1)
		assert.Equal(t, s.srv.Sections(s.board.ID)[0].ID, section.ID)
		s.counts("board_sections/create", 2)
	})
	t.Run("conflict with a section that was there", func(t *testing.T) {
		s := newStudio(t)
		s.srv.AddSection(s.board, "islands")
		_, err := s.client.Sections.Create(t.Context(), s.board.ID, islands)
		require.ErrorIs(t, err, pinterest.ErrConflict)
		s.counts("board_sections/create", 1, "board_sections/list", 0)
	})
	t.Run("one name on two boards", func(t *testing.T) {
		s := newStudio(t)
		s.srv.AddSection(s.srv.AddBoard(s.alice, "Gardens"), "Islands")
		s.srv.Inject(pinteresttest.ServerError(500).On("board_sections/create"))
		section, err := s.client.Sections.Create(t.Context(), s.board.ID, islands)
		require.NoError(t, err)
		assert.Equal(t, s.srv.Sections(s.board.ID)[0].ID, section.ID)
	})
	t.Run("lists down", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("board_sections/create"), pinteresttest.ServerError(503).On("board_sections/list").Repeat(pinteresttest.Forever))
		_, err := s.client.Sections.Create(t.Context(), s.board.ID, islands)
		_ = requireUncertain(t, err)
		s.counts("board_sections/create", 1)
	})
}

func TestDoLookup(t *testing.T) {
	do := func(s *studio, lookup bool, opts ...pinterest.CallOption) (pinterest.Pin, error) {
		var out pinterest.Pin
		req := pinterest.Request{Body: s.pin()}
		if lookup {
			req.Lookup = pinterest.Lookup[pinterest.Pin]{
				Want: map[string]string{"title": "Oak kitchen"}, Key: []string{"oak"},
				List: pinterest.OpBoardsListPins, In: pinterest.Request{Path: []string{s.board.ID}},
				Match: func(p *pinterest.Pin) bool { return p.Title == "Oak kitchen" },
				Made:  func(p *pinterest.Pin) (string, time.Time) { return p.ID, p.CreatedAt.Time },
			}
		}
		err := s.client.Do(t.Context(), pinterest.OpPinsCreate, req, &out, opts...)
		return out, err
	}
	t.Run("none", func(t *testing.T) {
		for _, committed := range []bool{true, false} {
			s := newStudio(t)
			fault := pinteresttest.ServerError(500).On("pins/create")
			fault.AfterCommit = committed
			s.srv.Inject(fault)
			_, err := do(s, false)
			e := requireUncertain(t, err)
			assert.Nil(t, e.Uncertain)
			assert.ErrorContains(t, err, "no way to look")
			s.counts("pins/create", 1, "boards/list_pins", 0)
		}
	})
	t.Run("none, and the caller allows it", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		pin, err := do(s, false, pinterest.RetryWithoutLookup())
		require.NoError(t, err)
		require.Len(t, s.ids(), 2)
		assert.Equal(t, s.ids()[1], pin.ID)
		s.counts("pins/create", 2, "boards/list_pins", 0)
	})
	t.Run("found", func(t *testing.T) {
		s := newStudio(t)
		s.same(s.pin(), studioStart.Add(-time.Minute))
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		var res pinterest.Response
		pin, err := do(s, true, pinterest.ResponseTo(&res))
		require.NoError(t, err)
		assert.Equal(t, pinterest.OriginLookup, res.Origin)
		assert.Equal(t, s.ids()[1], pin.ID)
		s.counts("pins/create", 1, "boards/list_pins", 1)
	})
	t.Run("absent", func(t *testing.T) {
		s := newStudio(t)
		s.same(s.pin(), studioStart.Add(-time.Minute))
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
		pin, err := do(s, true)
		require.NoError(t, err)
		assert.Equal(t, s.ids()[1], pin.ID)
		s.counts("pins/create", 2, "boards/list_pins", 2)
	})
	t.Run("fails", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"), pinteresttest.ServerError(404).On("boards/list_pins"))
		_, err := do(s, true)
		_ = requireUncertain(t, err)
		require.ErrorIs(t, err, pinterest.ErrNotFound)
		s.counts("pins/create", 1)
	})
}

// A list is another one for another ad account, or with another query: what stands
// in the one proves nothing about the other.
func TestListsAreToldApart(t *testing.T) {
	t.Parallel()
	made := func(id string) reply {
		return answer(201, `{"id":"`+id+`","name":"Gardens","created_at":"2026-11-21T10:00:00"}`)
	}
	create := func(c *testClient, parent, account string) error {
		_, err := pinterest.Call[pinterest.Board](t.Context(), c.Client,
			pinterest.Operation{ID: "things/create", Method: http.MethodPost, Path: "/things", Kind: pinterest.KindCreate},
			pinterest.Request{Body: map[string]string{"name": "Gardens"}, Lookup: pinterest.Lookup[pinterest.Board]{
				Want: parent, List: pinterest.OpBoardsListPins, In: pinterest.Request{Path: []string{boardID}, Query: url.Values{"parent": {parent}}},
				Match: func(b *pinterest.Board) bool { return b.Name == "Gardens" },
				Made:  func(b *pinterest.Board) (string, time.Time) { return b.ID, b.CreatedAt.Time },
			}}, pinterest.AdAccount(account))
		return err
	}
	for name, second := range map[string][2]string{"another query": {"2", "1"}, "another ad account": {"1", "2"}} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, made("7"), bare(500), made("8")).onLookup(answer(200, emptyPage).always())
			c := newClient(t, s)
			require.NoError(t, create(c, "1", "1"))
			require.NoError(t, create(c, second[0], second[1]), "the list lacks what was made in another one")
			assert.Equal(t, 3, s.count(toCall), "the second was absent, and sent again")
		})
	}
}
