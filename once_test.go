package pinterest_test

import (
	"bytes"
	"context"
	"encoding/json"
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

// A watchedLedger tells of each call before it is made, and lets it fail.
type watchedLedger struct {
	pinterest.Ledger
	on func(step, name string) error // nil: nothing goes wrong
}

func (l *watchedLedger) step(step, name string) error {
	if l.on == nil {
		return nil
	}
	return l.on(step, name)
}

func (l *watchedLedger) Lock(ctx context.Context, names ...string) (func(), error) {
	if err := l.step("lock", strings.Join(names, " ")); err != nil {
		return nil, err
	}
	return l.Ledger.Lock(ctx, names...)
}

func (l *watchedLedger) Load(ctx context.Context, name string) ([]byte, error) {
	if err := l.step("load", name); err != nil {
		return nil, err
	}
	return l.Ledger.Load(ctx, name)
}

func (l *watchedLedger) Save(ctx context.Context, name string, record []byte) error {
	if err := l.step("save", name); err != nil {
		return err
	}
	return l.Ledger.Save(ctx, name, record)
}

// keyRecord returns a ledger in which a key was used, to its end or up to a
// crash, and the name of its record there.
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

// A crashTransport ends the process, as far as a test can: it panics.
type crashTransport struct {
	http.RoundTripper
	point string
	left  atomic.Int32 // requests until then
}

var errCrash = errors.New("crash")

// The points of a crash.
const (
	noCrash     = "no crash"
	crashBefore = "before the request"
	crashAnswer = "when its answer comes"
	crashRecord = "before the result is recorded" // the last of its records
)

func (c *crashTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	now := req.Method == http.MethodPost && c.left.Add(-1) == 0
	if now && c.point == crashBefore {
		panic(errCrash)
	}
	resp, err := c.RoundTripper.RoundTrip(req)
	if now && c.point == crashAnswer {
		if err == nil {
			resp.Body.Close()
		}
		panic(errCrash)
	}
	return resp, err
}

// createOnce calls CreateOnce in a process of its own that crashes at a point of
// its nth POST. It returns no pin where it did.
func (s *studio) createOnce(l pinterest.Ledger, key string, pin pinterest.PinCreate, point string, nth int32) (made *pinterest.Pin, err error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
	transport := &crashTransport{RoundTripper: base, point: point}
	transport.left.Store(nth)
	if point == crashRecord {
		saves := 0
		l = &watchedLedger{Ledger: l, on: func(step, _ string) error {
			if step == "save" {
				if saves++; saves == 3 { // after the intent, and whose pin it is
					panic(errCrash)
				}
			}
			return nil
		}}
	}
	client := s.newClient(pinterest.WithLedger(l), pinterest.WithHTTPClient(&http.Client{Transport: transport}))
	defer func() {
		if r := recover(); r != nil && r != any(errCrash) {
			panic(r)
		} else if r != nil {
			made, err = nil, errCrash
		}
	}()
	return client.Pins.CreateOnce(context.Background(), key, pin)
}

func TestCreateOnce(t *testing.T) {
	s := newStudio(t)
	ledger := pinterest.NewMemoryLedger()
	client := s.newClient(pinterest.WithLedger(ledger))
	first, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
	require.NoError(t, err)
	assert.Equal(t, []string{first.ID}, s.ids())
	s.counts("pins/create", 1, "boards/list_pins", 0)

	s.clock.Advance(400 * 24 * time.Hour)
	s.srv.ResetBooks()
	for _, client := range []*pinterest.Client{client, client, s.newClient(pinterest.WithLedger(ledger))} {
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
		client      *pinterest.Client
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
			clients := []*pinterest.Client{s.newClient(pinterest.WithLedger(ledger)), s.newClient(pinterest.WithLedger(ledger))}
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
	for _, state := range []string{"made", "at its intent"} {
		for name, change := range changes {
			t.Run(state+", other "+name, func(t *testing.T) {
				t.Parallel()
				s := newStudio(t)
				ledger := pinterest.NewMemoryLedger()
				point := noCrash
				if state != "made" {
					point = crashAnswer
				}
				_, err := s.createOnce(ledger, "job-8841", s.pin(), point, 1)
				if point == crashAnswer {
					require.ErrorIs(t, err, errCrash)
				} else {
					require.NoError(t, err)
				}
				s.srv.ResetBooks()
				pin := s.pin()
				change(&pin)
				_, err = s.createOnce(ledger, "job-8841", pin, noCrash, 0)
				require.ErrorIs(t, err, pinterest.ErrInvalid)
				require.ErrorContains(t, err, "job-8841")
				var e *pinterest.Error
				require.ErrorAs(t, err, &e)
				require.Len(t, e.Fields, 1)
				assert.Equal(t, "key", e.Fields[0].Field)
				s.counts("", 0)

				again, err := s.createOnce(ledger, "job-8841", s.pin(), noCrash, 0)
				require.NoError(t, err, "the key is as it was")
				assert.Equal(t, []string{again.ID}, s.ids())
			})
		}
	}
}

// What failed for certain leaves its key free, for other content, too.
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

				s.srv.ResetBooks()
				s.clock.Advance(time.Hour) // what was throttled is parked until then
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
			s.srv.ResetBooks()
			again, err := client.Pins.CreateOnce(t.Context(), "job-8841", s.pin())
			require.NoError(t, err)
			assert.Equal(t, pin.ID, again.ID)
			s.counts("", 0)
		})
	}
}

// A key is uncertain, is shown absent, and the answer to its second POST is lost
// as well: its pin is told all the same, to the same client and to another.
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

// The context ends while the create is unanswered: what is known is recorded
// all the same.
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
			s.srv.ResetBooks()
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
			if step == "lock" { // as if another process held them
				for _, name := range strings.Fields(names) {
					_, err := ledger.Lock(context.Background(), name)
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

// The ledger fails at every step in turn.
func TestCreateOnceLedgerFails(t *testing.T) {
	errDisk := errors.New("the disk is full")
	run := func(t *testing.T, s *studio, n int) (client *pinterest.Client, l *pinterest.MemoryLedger, steps []string, pin *pinterest.Pin, err error) {
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
				require.Greater(t, n, 4)
				break
			}
			require.ErrorIs(t, err, pinterest.ErrLedger, n)
		}
		s.counts("pins/create", 1)
	})
}

// A record that cannot be understood is not guessed at: nothing is sent.
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
		"done without a pin":       set("pin", nil),
		"done with an empty pin":   set("pin", map[string]any{}),
		"intent without what":      set("want", nil),
		"intent of nothing":        set("want", map[string]any{}),
		"intent of another kind":   set("want", map[string]any{"operation": "boards/create", "name": "Kitchens", "since": "2126-07-01T00:00:00Z"}),
		"intent for no board":      set("want", map[string]any{"operation": "pins/create", "board_id": "none", "since": "2126-07-01T00:00:00Z"}),
		"intent at no time":        edit(func(f map[string]any) { delete(f["want"].(map[string]any), "since") }),
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
			require.NoError(t, ledger.Save(t.Context(), at, record))
			s.srv.ResetBooks()

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

// Equal content under different keys makes different pins, whatever the order
// and wherever each of the processes crashed.
func TestCreateOnceEqualContent(t *testing.T) {
	points := []string{noCrash, crashBefore, crashAnswer, crashRecord}
	for _, first := range points {
		for _, second := range points {
			for _, gap := range []time.Duration{0, 2 * time.Second, time.Minute, 24 * time.Hour} {
				for _, order := range [][2]string{{"first", "second"}, {"second", "first"}} {
					t.Run(fmt.Sprintf("%s, %s, %v between them, %s is resumed first", first, second, gap, order[0]), func(t *testing.T) {
						t.Parallel()
						s := newStudio(t)
						ledger := pinterest.NewMemoryLedger()
						told := map[string]string{}
						tell := func(key, point string) {
							pin, err := s.createOnce(ledger, key, s.pin(), point, 1)
							if point == noCrash {
								require.NoError(t, err)
							} else {
								require.ErrorIs(t, err, errCrash)
							}
							if err == nil {
								if told[key] != "" {
									assert.Equal(t, told[key], pin.ID)
								}
								told[key] = pin.ID
							}
						}
						tell("first", first)
						s.clock.Advance(gap)
						tell("second", second)
						s.clock.Advance(gap)
						for range 2 {
							for _, key := range order {
								tell(key, noCrash)
							}
						}
						assert.ElementsMatch(t, s.ids(), []string{told["first"], told["second"]})
					})
				}
			}
		}
	}
}

// Keys of equal content were left at their intents in one moment, and one client
// resumes them all. What it learns of one is not another's.
func TestCreateOnceResumedByOneClient(t *testing.T) {
	points := []string{crashBefore, crashAnswer, crashRecord}
	keys := []string{"first", "second", "third"}
	for _, first := range points {
		for _, second := range points {
			for _, third := range points {
				t.Run(fmt.Sprintf("%s, %s, %s", first, second, third), func(t *testing.T) {
					t.Parallel()
					for _, order := range [][3]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
						s := newStudio(t)
						ledger := pinterest.NewMemoryLedger()
						for i, point := range []string{first, second, third} {
							_, err := s.createOnce(ledger, keys[i], s.pin(), point, 1)
							require.ErrorIs(t, err, errCrash)
						}
						client := s.newClient(pinterest.WithLedger(ledger))
						told := map[string]string{}
						for range 2 {
							for _, i := range order {
								pin, err := client.Pins.CreateOnce(t.Context(), keys[i], s.pin())
								require.NoError(t, err)
								if told[keys[i]] != "" {
									assert.Equal(t, told[keys[i]], pin.ID)
								}
								told[keys[i]] = pin.ID
							}
						}
						assert.ElementsMatch(t, s.ids(), []string{told["first"], told["second"], told["third"]}, "in order %v", order)
					}
				})
			}
		}
	}
}

// The crash comes long after the intent was recorded: after waits and attempts,
// or a slow answer. The list still lags behind when the next process looks.
func TestCreateOnceCrashLongAfterTheIntent(t *testing.T) {
	for name, test := range map[string]struct {
		faults []pinteresttest.Fault
		nth    int32 // the POST that it crashes at
	}{
		"the second attempt":        {[]pinteresttest.Fault{pinteresttest.ServerError(500)}, 2},
		"an attempt after a 429":    {[]pinteresttest.Fault{pinteresttest.Throttled(50 * time.Second)}, 2},
		"the last attempt":          {[]pinteresttest.Fault{pinteresttest.ServerError(500).Repeat(4)}, 5},
		"an answer that took 20 s":  {[]pinteresttest.Fault{pinteresttest.Slow(20 * time.Second)}, 1},
		"the first attempt at once": {nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			s.srv.SetListLag(3 * time.Second)
			for _, f := range test.faults {
				s.srv.Inject(f.On("pins/create"))
			}
			ledger := pinterest.NewMemoryLedger()
			_, err := s.createOnce(ledger, "job-8841", s.pin(), crashAnswer, test.nth)
			require.ErrorIs(t, err, errCrash)
			require.Len(t, s.ids(), 1)

			pin, err := s.createOnce(ledger, "job-8841", s.pin(), noCrash, 0)
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids(), "one pin, and it is told")
		})
	}
}

// A key was left at its intent without a pin, and then very many others of
// equal content went through. None of their pins is its own.
func TestCreateOnceManyOfEqualContent(t *testing.T) {
	s := newStudio(t)
	ledger := pinterest.NewMemoryLedger()
	_, err := s.createOnce(ledger, "the crashed one", s.pin(), crashBefore, 1)
	require.ErrorIs(t, err, errCrash)
	client := s.newClient(pinterest.WithLedger(ledger))
	told := map[string]string{}
	for i := range 120 { // the same pin, every day
		s.clock.Advance(24 * time.Hour)
		pin, err := client.Pins.CreateOnce(t.Context(), fmt.Sprint("day ", i), s.pin())
		require.NoError(t, err)
		told[pin.ID] = fmt.Sprint("day ", i)
	}
	pin, err := s.createOnce(ledger, "the crashed one", s.pin(), noCrash, 0)
	require.NoError(t, err)
	assert.Empty(t, told[pin.ID], "the pin of another key was adopted")
	assert.Len(t, s.ids(), 121)
}

// Beside CreateOnce the same client makes an equal pin with Create.
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

// Two machines, each with a ledger of its own, make pins of equal content:
// markers tell them apart.
func TestCreateOnceMarkers(t *testing.T) {
	for _, point := range []string{crashBefore, crashAnswer} {
		s := newStudio(t)
		var ledgers [2]pinterest.Ledger
		pins := [2]pinterest.PinCreate{s.pin(), s.pin()}
		for i := range ledgers {
			ledgers[i] = pinterest.NewMemoryLedger()
			pins[i].Marker = fmt.Sprint("job=", i)
			_, err := s.createOnce(ledgers[i], "job", pins[i], point, 1)
			require.ErrorIs(t, err, errCrash)
		}
		var told []string
		for i := range ledgers {
			pin, err := s.createOnce(ledgers[i], "job", pins[i], noCrash, 0)
			require.NoError(t, err)
			assert.Contains(t, pin.Link, pins[i].Marker)
			told = append(told, pin.ID)
		}
		assert.ElementsMatch(t, s.ids(), told)
	}
}

// A dry run sends nothing, so it uses no key up.
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
