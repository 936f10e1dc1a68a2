package pinterest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// pins returns n pins with different titles, of which the fourth is invalid.
func (s *studio) pins(n int) []pinterest.PinCreate {
	pins := make([]pinterest.PinCreate, n)
	for i := range pins {
		pins[i] = s.pin()
		pins[i].Title = fmt.Sprint("Kitchen ", i)
	}
	pins[3].BoardID = "Kitchens"
	return pins
}

// keyed returns the pins with keys.
func keyed(pins []pinterest.PinCreate) []pinterest.KeyedPin {
	jobs := make([]pinterest.KeyedPin, len(pins))
	for i, pin := range pins {
		jobs[i] = pinterest.KeyedPin{Key: fmt.Sprint("job-", i), Pin: pin}
	}
	return jobs
}

// Each pin has its result, in order; one that fails does not stop the others, and of
// answers that are lost nothing is made twice.
func TestCreateAll(t *testing.T) {
	for _, once := range []bool{false, true} {
		for _, concurrency := range []int{0, 1, 3, 500} {
			t.Run(fmt.Sprintf("once %v, concurrency %d", once, concurrency), func(t *testing.T) {
				t.Parallel()
				s := newStudio(t, pinterest.WithLedger(pinterest.NewMemoryLedger()), pinterest.WithoutPacing())
				s.srv.Inject(after(pinteresttest.NoAnswer()).On("pins/create").Repeat(3))
				pins := s.pins(20)
				var opts []pinterest.CallOption
				if concurrency > 0 {
					opts = append(opts, pinterest.Concurrency(concurrency))
				}
				create := func() []pinterest.Result[pinterest.Pin] {
					if once {
						return s.client.Pins.CreateAllOnce(t.Context(), keyed(pins), opts...)
					}
					return s.client.Pins.CreateAll(t.Context(), pins, opts...)
				}
				results := create()
				require.Len(t, results, len(pins))
				var ids []string
				adopted := 0
				for i, r := range results {
					if i == 3 {
						require.ErrorIs(t, r.Err, pinterest.ErrInvalid)
						assert.Nil(t, r.Value)
						continue
					}
					require.NoError(t, r.Err)
					assert.Equal(t, pins[i].Title, r.Value.Title)
					assert.NotEmpty(t, r.Response.Attempts)
					ids = append(ids, r.Value.ID)
					if r.Response.Origin == pinterest.OriginLookup {
						adopted++
					}
				}
				assert.ElementsMatch(t, s.ids(), ids)
				assert.Equal(t, 3, adopted)
				if !once {
					return
				}
				s.srv.ResetRequests()
				for i, r := range create() {
					if i != 3 {
						require.NoError(t, r.Err)
						assert.Equal(t, results[i].Value.ID, r.Value.ID)
						assert.Equal(t, pinterest.OriginLedger, r.Response.Origin)
					}
				}
				s.counts("", 0)
			})
		}
	}
}

// No more creates are under way at a time than asked for.
func TestCreateAllConcurrency(t *testing.T) {
	for _, tt := range []struct{ concurrency, pins, want int }{{0, 40, 8}, {1, 5, 1}, {3, 40, 3}, {16, 5, 5}} {
		t.Run(fmt.Sprint(tt.concurrency), func(t *testing.T) {
			t.Parallel()
			// Nothing is answered before as many as wanted are under way.
			var under, most atomic.Int32
			var id atomic.Int64
			full := make(chan struct{})
			var once sync.Once
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := under.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if int(n) == tt.want {
					once.Do(func() { close(full) })
				}
				<-full
				under.Add(-1)
				w.WriteHeader(http.StatusCreated)
				_, _ = fmt.Fprintf(w, `{"id":"%d"}`, id.Add(1))
			}))
			defer srv.Close()
			c, err := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithBaseURL(srv.URL+"/v5"), pinterest.WithoutPacing())
			require.NoError(t, err)
			var opts []pinterest.CallOption
			if tt.concurrency > 0 {
				opts = append(opts, pinterest.Concurrency(tt.concurrency))
			}
			pins := make([]pinterest.PinCreate, tt.pins)
			for i := range pins {
				pins[i] = pinCreate()
				pins[i].Title = fmt.Sprint("Kitchen ", i)
			}
			for _, r := range wrap(c).Pins.CreateAll(t.Context(), pins, opts...) {
				require.NoError(t, r.Err)
			}
			assert.Equal(t, int32(tt.want), most.Load())
		})
	}
}

// Options that are for one call are refused for many, before anything is sent.
func TestCreateAllOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		opt   pinterest.CallOption
		field string
	}{
		"response":       {pinterest.ResponseTo(new(pinterest.Response)), "ResponseTo"},
		"raw":            {pinterest.RawTo(new([]byte)), "RawTo"},
		"dry run":        {pinterest.DryRunTo(new(pinterest.DryRun)), "DryRunTo"},
		"no concurrency": {pinterest.Concurrency(0), "Concurrency"},
		"negative":       {pinterest.Concurrency(-1), "Concurrency"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStudio(t)
			results := s.client.Pins.CreateAll(t.Context(), s.pins(4), tt.opt)
			require.Len(t, results, 4)
			for _, r := range results {
				require.ErrorIs(t, r.Err, pinterest.ErrInvalid)
				var e *pinterest.Error
				require.ErrorAs(t, r.Err, &e)
				assert.True(t, slices.ContainsFunc(e.Fields, func(f pinterest.FieldError) bool { return f.Field == tt.field }), "%v", e.Fields)
			}
			s.counts("", 0)
		})
	}
	t.Run("nil", func(t *testing.T) {
		s := newStudio(t)
		for _, r := range s.client.Pins.CreateAll(t.Context(), s.pins(4), nil) {
			require.ErrorIs(t, r.Err, pinterest.ErrInvalid)
		}
		s.counts("", 0)
	})
	t.Run("concurrency of one call", func(t *testing.T) {
		s := newStudio(t)
		_, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.Concurrency(2))
		require.ErrorIs(t, err, pinterest.ErrInvalid)
		s.counts("", 0)
	})
}

// When the context has ended, the rest is not sent, and each result says so.
func TestCreateAllCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newStudio(t, pinterest.WithObserver(func(e pinterest.Event) {
		if e.Type == pinterest.EventDone && e.Err == nil {
			cancel()
		}
	}))
	results := s.client.Pins.CreateAll(ctx, s.pins(30), pinterest.Concurrency(1))
	require.Len(t, results, 30)
	require.NoError(t, results[0].Err)
	for i, r := range results[1:] {
		require.Error(t, r.Err)
		if i+1 != 3 {
			require.ErrorIs(t, r.Err, pinterest.ErrCanceled)
		}
	}
	assert.Equal(t, []string{results[0].Value.ID}, s.ids())
	s.counts("pins/create", 1)
}

// Nothing to create is no error, and a panic of an observer reaches the caller.
func TestCreateAllEdges(t *testing.T) {
	s := newStudio(t, pinterest.WithObserver(func(pinterest.Event) { panic("an observer") }))
	assert.Empty(t, s.client.Pins.CreateAll(t.Context(), nil))
	assert.PanicsWithValue(t, "an observer", func() { s.client.Pins.CreateAll(t.Context(), s.pins(30)) })
}
