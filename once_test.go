package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

func TestCreateOnce(t *testing.T) {
	s := newStudio(t)
	ledger := pinterest.NewMemoryLedger()
	client := s.newClient(pinterest.WithLedger(ledger))
	first, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
	require.NoError(t, err)
	assert.Equal(t, []string{first.ID}, s.ids())
	s.counts("pins/create", 1, "boards/list_pins", 0)

	s.clock.Advance(400 * 24 * time.Hour)
	s.srv.ResetRequests()
	for _, client := range []*testClient{client, client, s.newClient(pinterest.WithLedger(ledger))} {
		again, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
		require.NoError(t, err)
		assert.Equal(t, first, again)
		again.Title = "changed by the caller"
	}
	s.counts("", 0)

	other, err := client.Pins.CreateOnce(t.Context(), "job-8842", s.pin())
	require.NoError(t, err)
	assert.Equal(t, []string{first.ID, other.ID}, s.ids(), "another key, another pin")
}

func TestCreateOnceKeys(t *testing.T) {
	s := newStudio(t)
	client := s.newClient(pinterest.WithLedger(pinterest.NewMemoryLedger()))
	keys := []string{"a", "A", " a", "a/b", "key/a", "a\x00b", "\xff", "台所", strings.Repeat("long", 1000), "made/", "{}"}
	for range 2 {
		for i, key := range keys {
			pin := s.pin()
			pin.Title = fmt.Sprint("Pin ", i)
			_, err := client.Pins.CreateOnce(t.Context(), key, pin)
			require.NoError(t, err, "%.20q", key)
		}
	}
	assert.Len(t, s.ids(), len(keys))
}

func TestCreateOnceRefuses(t *testing.T) {
	s := newStudio(t)
	ledger := &watchedLedger{Ledger: pinterest.NewMemoryLedger(), on: func(step, name string) error {
		t.Errorf("%s %s", step, name)
		return nil
	}}
	with := s.newClient(pinterest.WithLedger(ledger))
	for name, test := range map[string]struct {
		client      *testClient
		key         string
		pin         pinterest.PinCreate
		field, text string
	}{
		"no ledger":    {client: s.client, key: "job", pin: s.pin(), text: "WithLedger"},
		"no key":       {client: with, pin: s.pin(), field: "key", text: "key must not be empty"},
		"invalid pin":  {client: with, key: "job", pin: pinterest.PinCreate{BoardID: "kitchens"}, field: "board_id", text: "board_id"},
		"no such link": {client: with, key: "job", pin: pinterest.PinCreate{BoardID: "1", Marker: "job=1", MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg")}, field: "marker", text: "link"},
	} {
		t.Run(name, func(t *testing.T) {
			pin, err := test.client.Pins.CreateOnce(t.Context(), test.key, test.pin)
			assert.Nil(t, pin)
			require.ErrorIs(t, err, pinterest.ErrInvalid)
			require.ErrorContains(t, err, test.text)
			var e *pinterest.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, pinterest.DispositionFix, e.Disposition)
			if test.field != "" {
				require.NotEmpty(t, e.Fields)
				assert.Equal(t, test.field, e.Fields[0].Field)
			}
		})
	}
	s.counts("", 0)
}

func TestCreateOnceConcurrent(t *testing.T) {
	for name, faults := range map[string][]*pinteresttest.Fault{
		"no faults":                 {nil},
		"lost, then made":           {before(pinteresttest.NoAnswer()), nil},
		"made, and its answer lost": {after(pinteresttest.NoAnswer()), nil},
		"refused, then made":        {before(pinteresttest.ServerError(403)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			if faults[0] != nil {
				s.srv.Inject(faults[0].On("pins/create"))
			}
			ledger := pinterest.NewMemoryLedger()
			clients := []*testClient{s.newClient(pinterest.WithLedger(ledger)), s.newClient(pinterest.WithLedger(ledger))}
			const n = 64
			told := make([]string, n)
			var refused atomic.Int32
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					pin, err := clients[i%2].Pins.CreateOnce(context.Background(), "job-8841", s.pin())
					if errors.Is(err, pinterest.ErrForbidden) {
						refused.Add(1)
					} else if assert.NoError(t, err) {
						told[i] = pin.ID
					}
				})
			}
			wg.Wait()
			require.Len(t, s.ids(), 1)
			told = slices.DeleteFunc(told, func(id string) bool { return id == "" })
			assert.Equal(t, slices.Compact(told), s.ids())
			if name == "refused, then made" {
				assert.Equal(t, int32(1), refused.Load(), "the failure freed the key")
			} else {
				assert.Zero(t, refused.Load())
			}
		})
	}
}

func TestCreateOnceKeyReused(t *testing.T) {
	changes := map[string]func(*pinterest.PinCreate){
		"title":       func(p *pinterest.PinCreate) { p.Title = "Beech kitchen" },
		"description": func(p *pinterest.PinCreate) { p.Description = "" },
		"link":        func(p *pinterest.PinCreate) { p.Link = "https://shop.example/beech" },
		"image":       func(p *pinterest.PinCreate) { p.MediaSource = pinterest.ImageURL("https://shop.example/beech.jpg") },
		"alt text":    func(p *pinterest.PinCreate) { p.AltText = "A beech kitchen" },
		"marker":      func(p *pinterest.PinCreate) { p.Marker = "job=1" },
		"color":       func(p *pinterest.PinCreate) { p.DominantColor = "#000000" },
		"board":       func(p *pinterest.PinCreate) { p.BoardID = "1" },
		"section":     func(p *pinterest.PinCreate) { p.BoardSectionID = "1" },
		"parent":      func(p *pinterest.PinCreate) { p.ParentPinID = "1" },
	}
	for name, change := range changes {
		t.Run("made, other "+name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			ledger := pinterest.NewMemoryLedger()
			_, err := s.createOnce(ledger, "job-8841", s.pin(), noCrash, 0)
			require.NoError(t, err)
			s.srv.ResetRequests()
			pin := s.pin()
			change(&pin)
			_, err = s.createOnce(ledger, "job-8841", pin, noCrash, 0)
			require.ErrorIs(t, err, pinterest.ErrInvalid)
			require.ErrorIs(t, err, pinterest.ErrKeyReused)
			require.ErrorContains(t, err, "job-8841")
			var e *pinterest.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, fix, e.Disposition)
			require.Len(t, e.Fields, 1)
			assert.Equal(t, "key", e.Fields[0].Field)
			s.counts("", 0)

			again, err := s.createOnce(ledger, "job-8841", s.pin(), noCrash, 0)
			require.NoError(t, err, "the key is as it was")
			assert.Equal(t, []string{again.ID}, s.ids())
		})
		// The job was edited while nobody knew what had become of its pin. A new key could
		// make a second one.
		for _, point := range []string{crashBefore, crashAnswer} {
			t.Run("interrupted "+point+", other "+name, func(t *testing.T) {
				t.Parallel()
				s := newStudio(t)
				ledger := pinterest.NewMemoryLedger()
				_, err := s.createOnce(ledger, "job-8841", s.pin(), point, 1)
				require.ErrorIs(t, err, errCrash)
				s.srv.ResetRequests()
				pin := s.pin()
				change(&pin)
				_, err = s.createOnce(ledger, "job-8841", pin, noCrash, 0)
				e := requireUncertain(t, err)
				require.NotErrorIs(t, err, pinterest.ErrKeyReused)
				require.ErrorContains(t, err, "job-8841")
				require.NotNil(t, e.Uncertain)
				assert.Equal(t, "job-8841", e.Uncertain.Key)
				s.counts("", 0)

				// Resolve says what became of it, and the key with it.
				client := s.newClient(pinterest.WithLedger(ledger))
				res, err := client.Pins.Resolve(t.Context(), *e.Uncertain)
				require.NoError(t, err)
				if point == crashBefore {
					require.Equal(t, pinterest.OutcomeAbsent, res.Outcome)
					_, err = client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
					require.NoError(t, err, "the key is free")
					assert.Len(t, s.ids(), 1)
					return
				}
				require.Equal(t, pinterest.OutcomeCreated, res.Outcome)
				_, err = client.Pins.CreateOnce(t.Context(), "job-8841", pin)
				require.ErrorIs(t, err, pinterest.ErrKeyReused, "now it is certain")
				var response pinterest.Response
				again, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin(), pinterest.ResponseTo(&response))
				require.NoError(t, err)
				assert.Equal(t, pinterest.OriginLedger, response.Origin)
				assert.Equal(t, []string{again.ID}, s.ids())
				assert.Equal(t, res.Result.ID, again.ID)
			})
		}
	}
}

// A key that Resolve has shown to be free can be used for other content at once.
func TestResolveFreesTheKey(t *testing.T) {
	s := newStudio(t)
	ledger := pinterest.NewMemoryLedger()
	_, err := s.createOnce(ledger, "job-8841", s.pin(), crashBefore, 1)
	require.ErrorIs(t, err, errCrash)
	client := s.newClient(pinterest.WithLedger(ledger))
	edited := s.pin()
	edited.Title = "Beech kitchen"
	_, err = client.Pins.CreateOnce(t.Context(), "job-8841", edited)
	res, err := client.Pins.Resolve(t.Context(), *requireUncertain(t, err).Uncertain)
	require.NoError(t, err)
	require.Equal(t, pinterest.OutcomeAbsent, res.Outcome)
	made, err := client.Pins.CreateOnce(t.Context(), "job-8841", edited)
	require.NoError(t, err)
	assert.Equal(t, []string{made.ID}, s.ids())
	assert.Equal(t, "Beech kitchen", made.Title)
}

// What Resolve finds out of an earlier create does not touch a key that was used again
// since.
func TestResolveOfAnEarlierUseOfTheKey(t *testing.T) {
	ledger := pinterest.NewMemoryLedger()
	s := newStudio(t, pinterest.WithLedger(ledger))
	u := s.uncertainOnce("job-1", s.pin())
	pin, err := s.client.Pins.CreateOnce(t.Context(), "job-1", s.pin())
	require.NoError(t, err)
	for range 2 {
		res, err := s.newClient(pinterest.WithLedger(ledger)).Pins.Resolve(t.Context(), u)
		require.NoError(t, err)
		require.Equal(t, pinterest.OutcomeCreated, res.Outcome)
		assert.Equal(t, pin.ID, res.Result.ID)
	}
	var response pinterest.Response
	again, err := s.client.Pins.CreateOnce(t.Context(), "job-1", s.pin(), pinterest.ResponseTo(&response))
	require.NoError(t, err)
	assert.Equal(t, pin.ID, again.ID)
	assert.Equal(t, pinterest.OriginLedger, response.Origin)
	assert.Len(t, s.ids(), 1)
}

// A ledger that fails when Resolve records what it has found: the answer is unknown, and
// nothing is lost.
func TestResolveCannotRecord(t *testing.T) {
	for _, made := range []bool{true, false} {
		t.Run(fmt.Sprintf("made: %v", made), func(t *testing.T) {
			ledger := pinterest.NewMemoryLedger()
			s := newStudio(t)
			point := crashBefore
			if made {
				point = crashAnswer
			}
			_, err := s.createOnce(ledger, "job-8841", s.pin(), point, 1)
			require.ErrorIs(t, err, errCrash)
			edited := s.pin()
			edited.Title = "Beech kitchen"
			_, err = s.newClient(pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job-8841", edited)
			u := requireUncertain(t, err).Uncertain

			failing := s.newClient(pinterest.WithLedger(&watchedLedger{Ledger: ledger, on: atNth("save", 1)}))
			res, err := failing.Pins.Resolve(t.Context(), *u)
			require.ErrorIs(t, err, pinterest.ErrLedger)
			assert.Equal(t, pinterest.OutcomeUnknown, res.Outcome)

			again, err := failing.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			require.NoError(t, err)
			assert.Equal(t, []string{again.ID}, s.ids())
		})
	}
}

// After a definite failure the key can be used again, also for other content.
func TestCreateOnceDefiniteFailure(t *testing.T) {
	for name, fault := range map[string]pinteresttest.Fault{
		"forbidden": pinteresttest.ServerError(403), "invalid": pinteresttest.ServerError(400), "blocked link": pinteresttest.BlockedLink(),
		"throttled": pinteresttest.Throttled(time.Hour), "absent after every attempt": pinteresttest.ServerError(500).Repeat(5),
	} {
		for _, content := range []string{"same", "other"} {
			t.Run(name+", then "+content+" content", func(t *testing.T) {
				t.Parallel()
				s := newStudio(t)
				client := s.newClient(pinterest.WithLedger(pinterest.NewMemoryLedger()))
				s.srv.Inject(fault.On("pins/create"))
				_, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
				require.Error(t, err)
				require.NotErrorIs(t, err, pinterest.ErrUncertain)
				require.NotErrorIs(t, err, pinterest.ErrLedger)
				require.Empty(t, s.ids())

				s.srv.ResetRequests()
				s.clock.Advance(time.Hour) // a throttled create is parked until then
				pin := s.pin()
				if content == "other" {
					pin.Title = "Beech kitchen"
				}
				made, err := client.Pins.CreateOnce(t.Context(), "job-8841", pin)
				require.NoError(t, err)
				assert.Equal(t, []string{made.ID}, s.ids())
				s.counts("pins/create", 1, "boards/list_pins", 0)
			})
		}
	}
}

func TestCreateOnceUncertain(t *testing.T) {
	for _, committed := range []bool{true, false} {
		t.Run(fmt.Sprint("made: ", committed), func(t *testing.T) {
			s := newStudio(t)
			ledger := pinterest.NewMemoryLedger()
			lost := pinteresttest.NoAnswer().On("pins/create")
			lost.AfterCommit = committed
			s.srv.Inject(lost, pinteresttest.ServerError(403).On("boards/list_pins").Repeat(3))

			for i := range 3 { // it stays uncertain while the list cannot be read
				_, err := s.newClient(pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job-8841", s.pin())
				e := requireUncertain(t, err)
				require.NotNil(t, e.Uncertain)
				if i > 0 {
					require.ErrorContains(t, err, "job-8841")
					require.ErrorIs(t, err, pinterest.ErrForbidden, "why it is not known")
				}
				s.counts("pins/create", 1)
			}
			s.clock.Advance(time.Hour)
			client := s.newClient(pinterest.WithLedger(ledger))
			pin, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
			if committed {
				s.counts("pins/create", 1)
			} else {
				s.counts("pins/create", 2)
			}
			s.srv.ResetRequests()
			again, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			require.NoError(t, err)
			assert.Equal(t, pin.ID, again.ID)
			s.counts("", 0)
		})
	}
}

// A key is uncertain, then shown absent, and the answer to its second POST is lost
// as well. Its pin is still returned, to the same client and to another.
func TestCreateOnceUncertainThenLost(t *testing.T) {
	for _, other := range []bool{false, true} {
		s := newStudio(t)
		ledger := pinterest.NewMemoryLedger()
		client := s.newClient(pinterest.WithLedger(ledger))
		s.srv.Inject(pinteresttest.NoAnswer().On("pins/create"), pinteresttest.ServerError(403).On("boards/list_pins"))
		_, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
		_ = requireUncertain(t, err)

		if other {
			client = s.newClient(pinterest.WithLedger(ledger))
		}
		s.srv.Inject(pinteresttest.NoAnswer().On("pins/create").AfterTheCommit())
		pin, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
		require.NoError(t, err, "with another client: %v", other)
		assert.Equal(t, []string{pin.ID}, s.ids())
	}
}

// The context ends while the create is unanswered. What is known is still recorded.
func TestCreateOnceCanceled(t *testing.T) {
	for _, committed := range []bool{true, false} {
		t.Run(fmt.Sprint("made: ", committed), func(t *testing.T) {
			s := newStudioAt(t, pinteresttest.NewManualClock(studioOpened))
			slow := pinteresttest.Slow(time.Hour).On("pins/create")
			slow.AfterCommit = committed
			s.srv.Inject(slow)
			ledger := pinterest.NewMemoryLedger()
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				assert.NoError(t, s.clock.BlockUntil(t.Context(), 1))
				cancel()
			}()
			pin, err := s.newClient(pinterest.WithLedger(ledger)).Pins.CreateOnce(ctx, "job-8841", s.pin())
			if committed {
				require.NoError(t, err)
				assert.Equal(t, []string{pin.ID}, s.ids())
			} else {
				_ = requireUncertain(t, err)
			}
			s.clock.Advance(time.Minute)
			s.srv.ResetRequests()
			pin, err = s.newClient(pinterest.WithLedger(ledger)).Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
			if committed {
				s.counts("", 0)
			}
		})
	}
	t.Run("waiting for another call", func(t *testing.T) {
		s := newStudio(t)
		ledger := pinterest.NewMemoryLedger()
		client := s.newClient(pinterest.WithLedger(&watchedLedger{Ledger: ledger, on: func(step, names string) error {
			if step == "lock" { // as if another process held the locks
				for _, name := range strings.Fields(names) {
					_, _, err := ledger.Lock(context.Background(), name)
					assert.NoError(t, err)
				}
			}
			return nil
		}}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := client.Pins.CreateOnce(ctx, "job-8841", s.pin())
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, pinterest.ErrUncertain)
		s.counts("", 0)
	})
}

// The same client makes an equal pin with Create between two calls of CreateOnce.
func TestCreateOnceBesideCreate(t *testing.T) {
	for _, committed := range []bool{true, false} {
		t.Run(fmt.Sprint("made: ", committed), func(t *testing.T) {
			s := newStudio(t)
			client := s.newClient(pinterest.WithLedger(pinterest.NewMemoryLedger()))
			lost := pinteresttest.NoAnswer().On("pins/create")
			lost.AfterCommit = committed
			s.srv.Inject(lost, pinteresttest.ServerError(403).On("boards/list_pins"))
			_, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			_ = requireUncertain(t, err)

			plain, err := client.Pins.Create(t.Context(), s.pin())
			require.NoError(t, err)
			s.clock.Advance(time.Minute)
			once, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			require.NoError(t, err)
			assert.NotEqual(t, plain.ID, once.ID)
			assert.ElementsMatch(t, s.ids(), []string{plain.ID, once.ID})
		})
	}
}

// A dry run sends nothing and does not use the key.
func TestCreateOnceDryRun(t *testing.T) {
	s := newStudio(t)
	client := s.newClient(pinterest.WithLedger(pinterest.NewMemoryLedger()))
	var dry pinterest.DryRun
	_, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin(), pinterest.DryRunTo(&dry))
	require.NoError(t, err)
	assert.Equal(t, http.MethodPost, dry.Method)
	s.counts("", 0)

	pin, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
	require.NoError(t, err)
	assert.Equal(t, []string{pin.ID}, s.ids(), "the dry run has used the key up")
}

// The same key for another query or another ad account is the same key for other
// content.
func TestCreateOnceContentIsTheWholeRequest(t *testing.T) {
	s := newStudio(t)
	c := s.newClient(pinterest.WithLedger(pinterest.NewMemoryLedger()))
	_, err := c.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
	require.NoError(t, err)
	_, err = c.Pins.CreateOnce(t.Context(), "job-8841", s.pin(), pinterest.AdAccount("549755885175"))
	require.ErrorIs(t, err, pinterest.ErrInvalid)
	require.ErrorContains(t, err, "other content")
	s.counts("pins/create", 1)
}

// A key belongs to an account: another account may use it for a pin of its own.
func TestCreateOnceKeysBelongToAnAccount(t *testing.T) {
	ledger := pinterest.NewMemoryLedger()
	ids := map[string]bool{}
	for _, account := range []string{"alice", "bob"} {
		s := newStudio(t)
		c := s.newClient(pinterest.WithLedger(ledger), pinterest.WithAccount(account))
		pin, err := c.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
		require.NoError(t, err, account)
		ids[account+pin.ID] = true
		s.counts("pins/create", 1)
	}
	assert.Len(t, ids, 2)
}
