package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A crashTransport simulates a crash of the process: it panics.
type crashTransport struct {
	http.RoundTripper
	point string
	left  atomic.Int32 // POSTs until the crash
}

var errCrash = errors.New("crash")

// The points at which a process can crash.
const (
	noCrash     = "no crash"
	crashBefore = "before the request"
	crashAnswer = "when its answer comes"
	crashRecord = "before the result is recorded" // before the last of its saves
)

func (c *crashTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	now := req.Method == http.MethodPost && c.left.Add(-1) == 0
	if now && c.point == crashBefore {
		runtime.Goexit()
	}
	resp, err := c.RoundTripper.RoundTrip(req)
	if now && c.point == crashAnswer {
		if err == nil {
			resp.Body.Close()
		}
		runtime.Goexit()
	}
	return resp, err
}

// createOnce calls CreateOnce as a new process that crashes at the given point of
// its nth POST. It returns errCrash and no pin if it did.
func (s *studio) createOnce(l pinterest.Ledger, key string, pin pinterest.PinCreate, point string, nth int32) (made *pinterest.Pin, err error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	defer base.CloseIdleConnections()
	transport := &crashTransport{RoundTripper: base, point: point}
	transport.left.Store(nth)
	if point == crashRecord {
		saves := 0
		l = &watchedLedger{Ledger: l, on: func(step, _ string) error {
			if step == "save" {
				if saves++; saves == 2 { // the first is the intent
					runtime.Goexit()
				}
			}
			return nil
		}}
	}
	client := s.newClient(pinterest.WithLedger(l), pinterest.WithHTTPClient(&http.Client{Transport: transport}))
	err = errCrash
	ended := make(chan struct{})
	go func() { // which a crash ends in the middle: a panic in the ledger would be an error
		defer close(ended)
		made, err = client.Pins.CreateOnce(context.Background(), key, pin)
	}()
	<-ended
	return made, err
}

// Equal content under different keys makes different pins, whatever the order and
// wherever the processes crashed.
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
						patient := false // whether it may take another call
						tell := func(key, point string) {
							pin, err := s.createOnce(ledger, key, s.pin(), point, 1)
							if patient && errors.Is(err, pinterest.ErrUncertain) {
								return // until whose the other pin is has been recorded
							}
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
						for round := range 3 {
							patient = round == 0
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

// Several keys of equal content stopped at their intents at the same time, and one
// client resumes them all. It must not give the pin of one key to another.
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
		nth    int32 // the POST at which it crashes
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

// A key stopped at its intent without a pin, and then many others of equal content
// succeeded. None of their pins may be adopted for it.
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
