package pinterest_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// uncertainOnce makes a pin with a key whose outcome stays open, and returns what a
// program would have stored of it. An hour later, everything works again.
func (s *studio) uncertainOnce(key string, pin pinterest.PinCreate) pinterest.Uncertain {
	s.t.Helper()
	s.srv.Inject(
		pinteresttest.ConnectionReset().On("pins/create").AfterTheCommit(),
		pinteresttest.ServerError(503).On("boards/list_pins").Repeat(pinteresttest.Forever),
	)
	_, err := s.client.Pins.CreateOnce(s.t.Context(), key, pin)
	data, err := json.Marshal(requireUncertain(s.t, err).Uncertain)
	require.NoError(s.t, err)
	s.srv.ClearFaults()
	s.clock.Advance(time.Hour)
	var u pinterest.Uncertain
	require.NoError(s.t, json.Unmarshal(data, &u))
	return u
}

// The key of a CreateOnce and the stored description of its create are two ways to
// ask for one pin.
func TestResolveAndCreateOnceOfOneKey(t *testing.T) {
	for _, marker := range []string{"", "job=1"} {
		for _, another := range []bool{false, true} {
			name := "marker " + marker
			if another {
				name += ", another process"
			}
			t.Run(name, func(t *testing.T) {
				ledger := pinterest.NewMemoryLedger()
				s := newStudio(t, pinterest.WithLedger(ledger))
				pin := s.pin()
				pin.Marker = marker
				u := s.uncertainOnce("job-1", pin)

				res, err := s.client.Pins.Resolve(t.Context(), u)
				require.NoError(t, err)
				require.Equal(t, pinterest.OutcomeCreated, res.Outcome)
				if another {
					s.client = s.newClient(pinterest.WithLedger(ledger))
				}
				again, err := s.client.Pins.CreateOnce(t.Context(), "job-1", pin)
				require.NoError(t, err)
				assert.Equal(t, res.Result.ID, again.ID)
				assert.Len(t, s.ids(), 1)
			})
		}
	}
	t.Run("the other way round", func(t *testing.T) {
		s := newStudio(t, pinterest.WithLedger(pinterest.NewMemoryLedger()))
		u := s.uncertainOnce("job-1", s.pin())
		made, err := s.client.Pins.CreateOnce(t.Context(), "job-1", s.pin())
		require.NoError(t, err)
		res, err := s.client.Pins.Resolve(t.Context(), u)
		require.NoError(t, err)
		require.Equal(t, pinterest.OutcomeCreated, res.Outcome)
		assert.Equal(t, made.ID, res.Result.ID)
	})
}

// An intent stands for the next create of equal content, and not for another.
func TestResolveIntentInTheSameProcess(t *testing.T) {
	for name, opts := range map[string][]pinterest.Option{
		"without a ledger": nil,
		"with a ledger":    {pinterest.WithLedger(pinterest.NewMemoryLedger())},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t, opts...)
			first, err := s.client.Pins.Intent(s.pin())
			require.NoError(t, err)
			second, err := s.client.Pins.Intent(s.pin())
			require.NoError(t, err)
			made, err := s.client.Pins.Create(t.Context(), s.pin())
			require.NoError(t, err)
			s.clock.Advance(time.Minute)

			res, err := s.client.Pins.Resolve(t.Context(), *first)
			require.NoError(t, err)
			require.Equal(t, pinterest.OutcomeCreated, res.Outcome)
			assert.Equal(t, made.ID, res.Result.ID)
			res, err = s.client.Pins.Resolve(t.Context(), *second)
			require.NoError(t, err)
			assert.Equal(t, pinterest.OutcomeAbsent, res.Outcome, "it was not sent")
		})
	}
	t.Run("ended uncertain", func(t *testing.T) {
		s := newStudio(t)
		intent, err := s.client.Pins.Intent(s.pin())
		require.NoError(t, err)
		s.srv.Inject(
			pinteresttest.ServerError(500).On("pins/create").AfterTheCommit(),
			pinteresttest.ServerError(503).On("boards/list_pins").Repeat(pinteresttest.Forever),
		)
		_, err = s.client.Pins.Create(t.Context(), s.pin())
		u := requireUncertain(t, err).Uncertain
		assert.Equal(t, intent.ID, u.ID)
		s.srv.ClearFaults()
		s.clock.Advance(time.Hour)
		for _, stored := range []pinterest.Uncertain{*intent, *u} {
			res, err := s.client.Pins.Resolve(t.Context(), stored)
			require.NoError(t, err)
			assert.Equal(t, pinterest.OutcomeCreated, res.Outcome)
		}
	})
}

// meetingLedger lets a CreateOnce go on only when a Resolve has come to its lock.
type meetingLedger struct {
	*pinterest.MemoryLedger
	loads, resolves chan struct{}
}

func (l meetingLedger) Load(ctx context.Context, name string) ([]byte, error) {
	if strings.HasPrefix(name, "key/") {
		close(l.loads)
		<-l.resolves
	}
	return l.MemoryLedger.Load(ctx, name)
}

func (l meetingLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	if len(names) == 1 { // the lock of Resolve
		close(l.resolves)
	}
	return l.MemoryLedger.Lock(ctx, names...)
}

func TestResolveBesideCreateOnce(t *testing.T) {
	l := meetingLedger{pinterest.NewMemoryLedger(), make(chan struct{}), make(chan struct{})}
	s := newStudio(t, pinterest.WithLedger(l))
	u, err := s.client.Pins.Intent(s.pin())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(30*time.Second, cancel).Stop() // a deadlock would hold both until then
	once := make(chan error, 1)
	go func() {
		_, err := s.client.Pins.CreateOnce(ctx, "job-1", s.pin())
		once <- err
	}()
	<-l.loads
	_, err = s.client.Pins.Resolve(ctx, *u)
	require.NoError(t, err)
	require.NoError(t, <-once)
	assert.Len(t, s.ids(), 1)
}

// What a caller asks to know of a create is never what a look-up has read.
func TestCreateOnceAdoptedLeavesRaw(t *testing.T) {
	s := newStudio(t, pinterest.WithLedger(pinterest.NewMemoryLedger()))
	_ = s.uncertainOnce("job-1", s.pin())
	var raw []byte
	var response pinterest.Response
	_, err := s.client.Pins.CreateOnce(t.Context(), "job-1", s.pin(), pinterest.RawTo(&raw), pinterest.ResponseTo(&response))
	require.NoError(t, err)
	assert.Empty(t, raw)
	assert.Equal(t, pinterest.OriginLookup, response.Origin)
	assert.Zero(t, response.Status)
}

// A call that is answered from the ledger ends like any other.
func TestCreateOnceFromTheLedgerIsObserved(t *testing.T) {
	var done []pinterest.Event
	s := newStudio(t, pinterest.WithLedger(pinterest.NewMemoryLedger()), pinterest.WithObserver(func(e pinterest.Event) {
		if e.Type == pinterest.EventDone {
			done = append(done, e)
		}
	}))
	for range 2 {
		var response pinterest.Response
		_, err := s.client.Pins.CreateOnce(t.Context(), "job-1", s.pin(), pinterest.ResponseTo(&response))
		require.NoError(t, err)
		assert.NotZero(t, response.Call)
	}
	require.Len(t, done, 2)
	assert.Equal(t, 1, done[0].Attempts)
	assert.Zero(t, done[1].Attempts)
	assert.Equal(t, "job-1", done[1].JobKey)
}

// A Resolve that cannot tell ends like a create that ended uncertain.
func TestResolveFailsLikeACreate(t *testing.T) {
	s := newStudio(t)
	u, err := s.client.Pins.Intent(s.pin())
	require.NoError(t, err)
	s.srv.Inject(pinteresttest.ServerError(503).On("boards/list_pins").Repeat(pinteresttest.Forever))
	res, err := s.client.Pins.Resolve(t.Context(), *u)
	require.ErrorIs(t, err, pinterest.ErrUncertain)
	require.ErrorIs(t, err, pinterest.ErrUnavailable)
	assert.Equal(t, pinterest.OutcomeUnknown, res.Outcome)
	assert.Equal(t, u.ID, requireUncertain(t, err).Uncertain.ID)
	assert.Equal(t, 1, strings.Count(err.Error(), "pinterest: "), err)
}

func TestResolveRefusesNil(t *testing.T) {
	s := newStudio(t)
	u, err := s.client.Pins.Intent(s.pin())
	require.NoError(t, err)
	_, err = pinterest.Resolve[map[string]string, pinterest.Pin](t.Context(), s.client.Client, *u, nil)
	require.ErrorIs(t, err, pinterest.ErrInvalid)
	u.Want = json.RawMessage("null")
	_, err = pinterest.Resolve(t.Context(), s.client.Client, *u, func(w *map[string]string) pinterest.Lookup[pinterest.Pin] {
		return pinterest.Lookup[pinterest.Pin]{Want: (*w)["a"]}
	})
	require.ErrorIs(t, err, pinterest.ErrInvalid)
}

// An update that leaves a pin where it is does not explain why its list lacks it.
func TestUpdateInPlaceKeepsTheEvidenceOfALag(t *testing.T) {
	for _, moves := range []bool{false, true} {
		s := newStudio(t)
		s.srv.SetListLag(time.Minute)
		made, err := s.client.Pins.Create(t.Context(), s.pin())
		require.NoError(t, err)
		update := pinterest.PinUpdate{Title: pinterest.Set("Walnut kitchen")}
		if moves {
			update.BoardID = pinterest.Set(s.srv.AddBoard(s.alice, "Gardens").ID)
		}
		_, err = s.client.Pins.Update(t.Context(), made.ID, update)
		require.NoError(t, err)

		other := s.pin()
		other.Title, other.Link, other.Description, other.AltText = "A birch shelf", "https://shop.example/birch", "For books", "A shelf"
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		pin, err := s.client.Pins.Create(t.Context(), other)
		s.srv.SetListLag(0)
		if moves { // nothing shows the lag
			continue
		}
		require.NoError(t, err)
		n := 0
		for _, p := range s.srv.Pins(s.board.ID) {
			if p.Title == other.Title {
				n++
				assert.Equal(t, pin.ID, p.ID)
			}
		}
		assert.Equal(t, 1, n)
	}
}

// Creates of two packages may look into one list, each with a type of its own.
func TestLookupsOfTwoTypesInOneList(t *testing.T) {
	type shelf struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	s := newStudio(t)
	op := pinterest.Operation{ID: "pins/create", Method: "POST", Path: "/pins", Kind: pinterest.KindCreate, Category: pinterest.CategoryOrgWrite}
	s.srv.Inject(
		pinteresttest.ServerError(500).On("pins/create"),
		pinteresttest.ServerError(403).On("boards/list_pins"),
	)
	_, err := pinterest.Call[shelf](t.Context(), s.client.Client, op, pinterest.Request{
		Body: map[string]string{"title": "Shelf"},
		Lookup: pinterest.Lookup[shelf]{
			Want: "Shelf", List: pinterest.OpBoardsListPins, In: pinterest.Request{Path: []string{s.board.ID}, Options: &pinterest.ListOptions{PageSize: 100}},
			Untimed: true,
			Match:   func(p *shelf) bool { return p.Title == "Shelf" },
			Made:    func(p *shelf) (string, time.Time) { return p.ID, time.Time{} },
		},
	})
	require.ErrorIs(t, err, pinterest.ErrUncertain)

	pin := s.pin()
	near := pin
	near.Description = "With another island"
	s.clock.Advance(time.Minute)
	s.same(near, s.clock.Now().Add(time.Second))
	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
	_, err = s.client.Pins.Create(t.Context(), pin)
	require.ErrorIs(t, err, pinterest.ErrUncertain, "something resembles it")
}

// Options that are nil are none, in a look-up as in a call.
func TestLookupWithNilOptions(t *testing.T) {
	s := newStudio(t)
	op := pinterest.Operation{ID: "pins/create", Method: "POST", Path: "/pins", Kind: pinterest.KindCreate, Category: pinterest.CategoryOrgWrite}
	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
	var response pinterest.Response
	pin, err := pinterest.Call[pinterest.Pin](t.Context(), s.client.Client, op, pinterest.Request{
		Body: s.pin(),
		Lookup: pinterest.Lookup[pinterest.Pin]{
			Want: "Oak", List: pinterest.OpBoardsListPins, In: pinterest.Request{Path: []string{s.board.ID}, Options: (*pinterest.ListOptions)(nil)},
			Match: func(p *pinterest.Pin) bool { return p.Title == "Oak kitchen" },
			Made:  func(p *pinterest.Pin) (string, time.Time) { return p.ID, p.CreatedAt.Time },
		},
	}, pinterest.ResponseTo(&response))
	require.NoError(t, err)
	assert.Equal(t, pinterest.OriginLookup, response.Origin)
	assert.Equal(t, []string{pin.ID}, s.ids())
}

// A program may say when an intended create was last sent. That does not make an older
// pin doubtful.
func TestResolveIntentWithUntil(t *testing.T) {
	s := newStudio(t)
	s.same(s.pin(), s.clock.Now())
	s.clock.Advance(67 * time.Minute)
	s.client = s.newClient() // it knows nothing of the API's clock
	u, err := s.client.Pins.Intent(s.pin())
	require.NoError(t, err)
	u.Until = s.clock.Now()
	res, err := s.client.Pins.Resolve(t.Context(), *u)
	require.NoError(t, err)
	assert.Equal(t, pinterest.OutcomeAbsent, res.Outcome)
}
