package pinterest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// Others add pins to the board after the answer was lost. All pages back to the
// time of the first attempt are read, and no more.
func TestCreateOnABusyBoard(t *testing.T) {
	for name, fault := range map[string]pinteresttest.Fault{
		"made": pinteresttest.NoAnswer().AfterTheCommit(), "absent": pinteresttest.NoAnswer(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			for i := range 500 { // long ago
				s.srv.AddPin(s.board, pinteresttest.Pin{Title: fmt.Sprint("Old ", i), CreatedAt: studioStart.Add(time.Duration(i-1000) * time.Minute)})
			}
			var once sync.Once
			s.srv.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
				if r.Operation == "boards/list_pins" {
					once.Do(func() {
						for i := range 300 {
							s.srv.AddPin(s.board, pinteresttest.Pin{Title: fmt.Sprint("New ", i), Description: fmt.Sprint("Of beech ", i)})
						}
					})
				}
				return nil
			})
			s.srv.Inject(fault.On("pins/create"))

			pin, err := s.client.Pins.Create(t.Context(), s.pin())
			require.NoError(t, err)
			var own []string
			for _, p := range s.srv.Pins(s.board.ID) {
				if p.Title == "Oak kitchen" {
					own = append(own, p.ID)
				}
			}
			assert.Equal(t, []string{pin.ID}, own)
			// 300 newer pins and its own, or a whole page of old ones: four pages of 100, or five.
			if name == "made" {
				s.counts("pins/create", 1, "boards/list_pins", 4)
			} else {
				s.counts("pins/create", 2, "boards/list_pins", 8)
			}
		})
	}
}

// The caller's context ends while the create is unanswered. One look-up with a short
// timeout of its own may still find the pin.
func TestCreateCanceledWhileUnanswered(t *testing.T) {
	t.Run("made", func(t *testing.T) {
		s := newStudioAt(t, pinteresttest.NewManualClock(studioOpened))
		s.srv.Inject(pinteresttest.Slow(time.Hour).On("pins/create").AfterTheCommit())
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			assert.NoError(t, s.clock.BlockUntil(t.Context(), 1)) // the pin is made, its answer is delayed
			cancel()
		}()
		var res pinterest.Response
		pin, err := s.client.Pins.Create(ctx, s.pin(), pinterest.ResponseTo(&res))
		require.NoError(t, err)
		assert.Equal(t, []string{pin.ID}, s.ids())
		assert.Equal(t, pinterest.OriginLookup, res.Origin)
		s.counts("pins/create", 1, "boards/list_pins", 1)
	})
	t.Run("not made", func(t *testing.T) {
		s := newStudioAt(t, pinteresttest.NewManualClock(studioOpened))
		s.srv.Inject(pinteresttest.Slow(time.Hour).On("pins/create"))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			assert.NoError(t, s.clock.BlockUntil(t.Context(), 1))
			cancel()
		}()
		_, err := s.client.Pins.Create(ctx, s.pin())
		e := requireUncertain(t, err)
		require.NotNil(t, e.Uncertain)
		require.ErrorIs(t, err, context.Canceled)
		s.counts("pins/create", 1, "boards/list_pins", 1)
	})
	t.Run("while absence is being proved", func(t *testing.T) {
		s := newStudioAt(t, pinteresttest.NewManualClock(studioOpened))
		s.srv.SetListLag(3 * time.Second)
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			assert.NoError(t, s.clock.BlockUntil(t.Context(), 1)) // the first look-up saw nothing
			s.clock.Advance(4 * time.Second)
			cancel()
		}()
		pin, err := s.client.Pins.Create(ctx, s.pin())
		require.NoError(t, err)
		assert.Equal(t, []string{pin.ID}, s.ids())
		s.counts("pins/create", 1, "boards/list_pins", 2)
	})
	t.Run("before it was sent", func(t *testing.T) {
		s := newStudio(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.client.Pins.Create(ctx, s.pin())
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, pinterest.ErrUncertain)
		s.counts("", 0)
	})
}

// If the look-up fails, nothing is sent again.
func TestCreateReadingBackFails(t *testing.T) {
	for name, fault := range map[string]pinteresttest.Fault{
		"503": pinteresttest.ServerError(503), "403": pinteresttest.ServerError(403), "429": pinteresttest.Throttled(time.Hour),
		"401": {Status: 401, Code: 2}, "404": pinteresttest.ServerError(404), "reset": pinteresttest.ConnectionReset(),
		"truncated": pinteresttest.Truncated(), "garbled": pinteresttest.Garbled(), "not JSON": textBody("<html></html>"),
		"not a list": textBody("{}"), "items are null": textBody(`{"items":null,"bookmark":null}`),
	} {
		for _, committed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, made: %v", name, committed), func(t *testing.T) {
				t.Parallel()
				s := newStudio(t)
				s.same(s.pin(), studioStart.Add(-time.Hour))
				lost := pinteresttest.NoAnswer().On("pins/create")
				lost.AfterCommit = committed
				s.srv.Inject(lost, fault.On("boards/list_pins").Repeat(pinteresttest.Forever))
				_, err := s.client.Pins.Create(t.Context(), s.pin())
				e := requireUncertain(t, err)
				require.NotNil(t, e.Uncertain)
				assert.Contains(t, string(e.Uncertain.Want), s.board.ID)
				s.counts("pins/create", 1)
			})
		}
	}
	t.Run("for a while", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(
			pinteresttest.ServerError(500).On("pins/create").AfterTheCommit(),
			pinteresttest.ServerError(503).On("boards/list_pins").Repeat(2), pinteresttest.Throttled(0).On("boards/list_pins"),
		)
		pin, err := s.client.Pins.Create(t.Context(), s.pin())
		require.NoError(t, err)
		assert.Equal(t, []string{pin.ID}, s.ids())
		s.counts("pins/create", 1, "boards/list_pins", 4)
	})
	t.Run("on the second page", func(t *testing.T) {
		s := newStudio(t)
		for i := range 150 {
			s.srv.AddPin(s.board, pinteresttest.Pin{Title: fmt.Sprint("New ", i)})
		}
		s.srv.Inject(
			pinteresttest.ServerError(500).On("pins/create"),
			pinteresttest.ServerError(403).On("boards/list_pins").After(1),
		)
		_, err := s.client.Pins.Create(t.Context(), s.pin())
		_ = requireUncertain(t, err)
		s.counts("pins/create", 1)
	})
	// The pin is there, but its creation time cannot be read. It must not be taken
	// for absent.
	t.Run("a creation time that cannot be read", func(t *testing.T) {
		s := newStudio(t)
		body := fmt.Sprintf(`{"items":[{"id":"7","board_id":%q,"title":"Oak kitchen","description":"With an island",
			"link":"https://shop.example/oak?ref=1","alt_text":"A kitchen","created_at":"9 July, half past nine"}],"bookmark":null}`, s.board.ID)
		s.srv.Inject(
			pinteresttest.ServerError(500).On("pins/create").AfterTheCommit(),
			textBody(body).On("boards/list_pins").Repeat(pinteresttest.Forever),
		)
		_, err := s.client.Pins.Create(t.Context(), s.pin())
		s.counts("pins/create", 1)
		if err != nil {
			_ = requireUncertain(t, err)
		}
	})
}
