package pinterest_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// Equal creates that run at once never return the same pin.
func TestEqualCreates(t *testing.T) {
	const n = 50
	tests := map[string][]*pinteresttest.Fault{
		"no faults": {nil},
		"every fault in turn": {
			after(pinteresttest.ServerError(500)), before(pinteresttest.ConnectionReset()), nil,
			after(pinteresttest.NoAnswer()), after(pinteresttest.SomethingWentWrong()), before(pinteresttest.ServerError(503)), before(pinteresttest.NoAnswer()),
			before(pinteresttest.Throttled(0)), nil, before(pinteresttest.Truncated()), nil, after(pinteresttest.ConnectionReset()),
		},
		"every answer is lost": {after(pinteresttest.ConnectionReset())},
	}
	for name, faults := range tests {
		for _, lag := range []time.Duration{0, 3 * time.Second} {
			t.Run(fmt.Sprintf("%s, lag %v", name, lag), func(t *testing.T) {
				t.Parallel()
				s := newStudio(t)
				s.srv.SetListLag(lag)
				var posts atomic.Int64
				s.srv.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
					if r.Operation != "pins/create" {
						return nil
					}
					return faults[int(posts.Add(1)-1)%len(faults)]
				})
				made := make([]string, n)
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						pin, err := s.client.Pins.Create(context.Background(), s.pin())
						if assert.NoError(t, err) {
							made[i] = pin.ID
						}
					})
				}
				wg.Wait()
				assert.ElementsMatch(t, s.ids(), made, "each has a pin of its own, and there are no others")
			})
		}
	}
}

// Pins made from one parent can look alike although their requests differ, because
// the API fills in the fields that were left out.
func TestEqualCreatesOfOneParent(t *testing.T) {
	type create func(*studio, pinteresttest.Pin) (*pinterest.Pin, error)
	save := func(s *studio, parent pinteresttest.Pin) (*pinterest.Pin, error) {
		return s.client.Pins.Save(context.Background(), parent.ID, pinterest.PinSave{BoardID: s.board.ID})
	}
	from := func(title string) create {
		return func(s *studio, parent pinteresttest.Pin) (*pinterest.Pin, error) {
			return s.client.Pins.Create(context.Background(), pinterest.PinCreate{
				BoardID: s.board.ID, ParentPinID: parent.ID, Title: title, MediaSource: pinterest.PinURL(false),
			})
		}
	}
	for name, test := range map[string]struct{ made, lost create }{
		"a create, then a lost save":               {from(""), save},
		"a save, then a lost create":               {save, from("")},
		"a create, then a lost one without texts":  {from("Tart"), from("")},
		"a titled create, then a lost save":        {from("Tart"), save},
		"a save, then a lost save":                 {save, save},
		"a save, then a lost create with its text": {save, from("Plum tart")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			parent := s.srv.AddPin(s.srv.AddBoard(s.alice, "Recipes"), pinteresttest.Pin{Title: "Plum tart"})
			first, err := test.made(s, parent)
			require.NoError(t, err)
			s.srv.Inject(pinteresttest.NoAnswer()) // the request is lost before it takes effect
			second, err := test.lost(s, parent)
			require.NoError(t, err)
			assert.Equal(t, []string{first.ID, second.ID}, s.ids(), "each has a pin of its own")
		})
	}
}

// Two processes make pins of equal content at once: markers tell them apart.
func TestCreateMarkers(t *testing.T) {
	for name, fault := range map[string]pinteresttest.Fault{
		"made": pinteresttest.NoAnswer().AfterTheCommit(), "lost": pinteresttest.NoAnswer(), "nothing": {},
	} {
		for _, link := range []string{"https://shop.example/oak", "https://shop.example/oak?job=0", "https://shop.example/oak?a=1&job=7&b#top"} {
			t.Run(name+" "+link, func(t *testing.T) {
				t.Parallel()
				s := newStudio(t)
				s.srv.Inject(fault.On("pins/create").Repeat(2))
				clients := []*testClient{s.client, s.newClient(), s.newClient()}
				made := make([]string, len(clients))
				var wg sync.WaitGroup
				for i, client := range clients {
					wg.Go(func() {
						pin := s.pin()
						pin.Link, pin.Marker = link, fmt.Sprintf("job=884%d", i)
						got, err := client.Pins.Create(context.Background(), pin)
						if assert.NoError(t, err) {
							assert.Contains(t, got.Link, pin.Marker)
							made[i] = got.ID
						}
					})
				}
				wg.Wait()
				assert.ElementsMatch(t, s.ids(), made)
			})
		}
	}
}

// An uncertain create is followed by an equal one and then resolved. The two never
// end with the same pin.
func TestCreateAfterAnEqualUncertainOne(t *testing.T) {
	for _, first := range []bool{true, false} {
		for _, gap := range []time.Duration{0, time.Second, 5 * time.Minute} {
			for second, fault := range map[string]*pinteresttest.Fault{
				"answered": nil, "made, lost": after(pinteresttest.NoAnswer()), "lost": before(pinteresttest.NoAnswer()),
			} {
				t.Run(fmt.Sprintf("first made: %v, %v later %s", first, gap, second), func(t *testing.T) {
					t.Parallel()
					s := newStudio(t)
					e := s.uncertain(s.pin(), first)
					s.clock.Advance(gap)
					if fault != nil {
						s.srv.Inject(fault.On("pins/create"))
					}
					told := map[string]string{}
					claim := func(who, id string) {
						assert.Contains(t, s.ids(), id, who)
						assert.Empty(t, told[id], "%s and another were told one pin", who)
						told[id] = who
					}
					pin, err := s.client.Pins.Create(t.Context(), s.pin())
					if err == nil {
						claim("the second", pin.ID)
					} else {
						_ = requireUncertain(t, err)
					}
					resolvers := []*testClient{s.client}
					if first || gap > time.Minute {
						// Another process does not know of the second create, but can tell the
						// two apart by their order or by their times. It cannot if only one of
						// two simultaneous pins was made; that case needs a marker.
						resolvers = append(resolvers, s.newClient())
					}
					for i, client := range resolvers {
						clear(told)
						if pin != nil {
							claim("the second", pin.ID)
						}
						found, err := client.Resolve(t.Context(), *e.Uncertain)
						switch found.Outcome {
						case pinterest.OutcomeCreated:
							claim(fmt.Sprint("the first, by client ", i), found.Pin.ID)
						case pinterest.OutcomeAbsent:
							assert.False(t, first, "it was made")
						case pinterest.OutcomeUnknown:
							assert.Error(t, err)
						}
					}
				})
			}
		}
	}
}

// An uncertain create was shown absent and is sent again. Its first attempt must not
// keep the second from adopting its own result.
func TestCreateAgainAfterResolve(t *testing.T) {
	s := newStudio(t)
	e := s.uncertain(s.pin(), false)
	found, err := s.client.Resolve(t.Context(), *e.Uncertain)
	require.NoError(t, err)
	require.Equal(t, pinterest.OutcomeAbsent, found.Outcome)

	s.srv.Inject(pinteresttest.NoAnswer().On("pins/create").AfterTheCommit())
	pin, err := s.client.Pins.Create(t.Context(), s.pin())
	require.NoError(t, err)
	assert.Equal(t, []string{pin.ID}, s.ids())
}
