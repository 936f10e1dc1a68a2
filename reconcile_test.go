package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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

// A studio is a server with an account and a board, and a client for it. Both
// live by one clock, on which waiting takes no time.
type studio struct {
	t      *testing.T
	clock  *pinteresttest.Clock
	srv    *pinteresttest.Server
	alice  pinteresttest.Account
	board  pinteresttest.Board
	client *pinterest.Client
}

// studioStart is the time at which the tests begin: within a second, as times
// are, and far from now, so that a deadline by this clock is not reached by the
// machine's. The board and a pin on it are an hour older.
var (
	studioStart  = time.Date(2126, 7, 9, 9, 33, 55, 400e6, time.UTC)
	studioOpened = studioStart.Add(-time.Hour)
)

const oldTitle = "Pine kitchen"

func newStudio(t *testing.T, opts ...pinterest.Option) *studio {
	return newStudioAt(t, pinteresttest.NewClock(studioOpened), opts...)
}

func newStudioAt(t *testing.T, clock *pinteresttest.Clock, opts ...pinterest.Option) *studio {
	s := &studio{t: t, clock: clock}
	s.srv = pinteresttest.NewServer(pinteresttest.WithClock(s.clock), pinteresttest.WithoutQuotas(), pinteresttest.WithTokenTTL(10*365*24*time.Hour))
	t.Cleanup(s.srv.Close)
	s.alice = s.srv.AddAccount("alice")
	s.board = s.srv.AddBoard(s.alice, "Kitchens")
	s.srv.AddPin(s.board, pinteresttest.Pin{Title: oldTitle})
	s.clock.Advance(studioStart.Sub(studioOpened))
	s.client = s.newClient(opts...)
	return s
}

// newClient is another client for the account, such as another process has.
func (s *studio) newClient(opts ...pinterest.Option) *pinterest.Client {
	s.t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	s.t.Cleanup(transport.CloseIdleConnections)
	client, err := pinterest.New(append([]pinterest.Option{
		pinterest.WithAccessToken(s.alice.AccessToken), pinterest.WithBaseURL(s.srv.URL), pinterest.WithClock(s.clock),
		pinterest.WithHTTPClient(&http.Client{Transport: transport}), pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1}),
	}, opts...)...)
	require.NoError(s.t, err)
	return client
}

// pin is the pin that most tests make.
func (s *studio) pin() pinterest.PinCreate {
	return pinterest.PinCreate{
		BoardID: s.board.ID, Title: "Oak kitchen", Description: "With an island", Link: "https://shop.example/oak?ref=1",
		AltText: "A kitchen", MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
	}
}

// same is a pin on the server that looks like pin.
func (s *studio) same(pin pinterest.PinCreate, created time.Time) pinteresttest.Pin {
	return s.srv.AddPin(s.board, pinteresttest.Pin{
		SectionID: pin.BoardSectionID, Title: pin.Title, Description: pin.Description, Link: pin.Link,
		AltText: pin.AltText, ParentPinID: pin.ParentPinID, CreatedAt: created,
	})
}

// ids are those of the pins on the board, in the order in which they were made,
// without the old one.
func (s *studio) ids() []string {
	ids := []string{}
	for _, p := range s.srv.Pins(s.board.ID) {
		if p.Title != oldTitle {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// waited is how long the client has slept.
func (s *studio) waited() (sum time.Duration) {
	for _, d := range s.clock.Slept() {
		sum += d
	}
	return sum
}

// counts checks how many requests each operation got: alternately ids and numbers.
func (s *studio) counts(want ...any) {
	s.t.Helper()
	for i := 0; i < len(want); i += 2 {
		assert.Equal(s.t, want[i+1], s.srv.Count(want[i].(string)), "requests for %s", want[i])
	}
}

// requireUncertain checks that err says that it cannot be known, and with what
// to find out later.
func requireUncertain(t *testing.T, err error) *pinterest.Error {
	t.Helper()
	require.ErrorIs(t, err, pinterest.ErrUncertain)
	var e *pinterest.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, pinterest.DispositionUncertain, e.Disposition)
	assert.Zero(t, e.RetryAt, "an uncertain create is not to be sent again at any time")
	return e
}

func textBody(body string) pinteresttest.Fault { return pinteresttest.Fault{Body: body} }

// ambiguousFaults are all the failures after which a create may have taken
// effect, as they are when it has not.
func ambiguousFaults() map[string]pinteresttest.Fault {
	faults := map[string]pinteresttest.Fault{
		"400 code 2787": pinteresttest.SomethingWentWrong(),
		"400 code 12":   {Status: 400, Code: 12, Message: "something went wrong"},
		"408":           pinteresttest.ServerError(408),
		"425":           pinteresttest.ServerError(425),
		"gateway":       pinteresttest.HTMLError(502),
		"reset":         pinteresttest.ConnectionReset(),
		"no answer":     pinteresttest.NoAnswer(),
		"hanging":       pinteresttest.Hanging(),
		"JSON, no id":   textBody(`{"title":"Oak kitchen"}`),
		"not JSON":      textBody("<html>all is well</html>"),
	}
	for _, status := range []int{500, 502, 503, 504, 507, 520, 599} {
		faults[fmt.Sprint(status)] = pinteresttest.ServerError(status)
	}
	return faults
}

func TestCreateAdopts(t *testing.T) {
	faults := ambiguousFaults()
	faults["truncated"], faults["garbled"] = pinteresttest.Truncated(), pinteresttest.Garbled()
	faults["oversize"] = textBody(`{"id":"1","title":"` + strings.Repeat("x", 1<<16) + `"}`)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t, pinterest.WithMaxResponse(1<<16))
			s.srv.Inject(fault.On("pins/create").AfterTheCommit())

			var res pinterest.Response
			pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResponseTo(&res), pinterest.AttemptTimeout(500*time.Millisecond))
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
			assert.Equal(t, "Oak kitchen", pin.Title)
			assert.True(t, res.Adopted)
			assert.Len(t, res.Attempts, 1)
			s.counts("pins/create", 1, "boards/list_pins", 1)
			assert.Empty(t, s.clock.Slept(), "a hit needs no waiting")
		})
	}
}

func TestCreateSentAgainWhenAbsent(t *testing.T) {
	for name, fault := range ambiguousFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			s.srv.Inject(fault.On("pins/create"))

			var res pinterest.Response
			pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResponseTo(&res), pinterest.AttemptTimeout(500*time.Millisecond))
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
			assert.False(t, res.Adopted)
			s.counts("pins/create", 2, "boards/list_pins", 2)
			assert.Equal(t, 5*time.Second, s.waited(), "the settle time, of which the delay is a part")
		})
	}
}

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

// The lists show a pin only some time after it was made, but within the settle time.
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

func TestCreateMakesNoLookUp(t *testing.T) {
	tests := map[string]struct {
		fault    pinteresttest.Fault
		err      error // nil: it is made in the end
		requests int
	}{
		"429 with Retry-After":     {fault: pinteresttest.Throttled(7 * time.Second), requests: 2},
		"429 without Retry-After":  {fault: pinteresttest.Throttled(0), requests: 2},
		"429 four times":           {fault: pinteresttest.Throttled(0).Repeat(4), requests: 5},
		"429 for good":             {fault: pinteresttest.Throttled(0).Repeat(5), err: pinterest.ErrThrottled, requests: 5},
		"429 after the commit":     {fault: pinteresttest.Throttled(time.Hour).Repeat(1), err: pinterest.ErrThrottled, requests: 1},
		"blocked":                  {fault: pinteresttest.SpamBlock(), err: pinterest.ErrBlocked, requests: 1},
		"blocked link":             {fault: pinteresttest.BlockedLink(), err: pinterest.ErrBlockedLink, requests: 1},
		"media unreachable, then":  {fault: pinteresttest.CouldNotFetchImage(), requests: 2},
		"media unreachable":        {fault: pinteresttest.CouldNotFetchImage().Repeat(5), err: pinterest.ErrMediaUnreachable, requests: 3},
		"exclusive access, then":   {fault: pinteresttest.NoExclusiveAccess(), requests: 2},
		"invalid":                  {fault: pinteresttest.ServerError(400), err: pinterest.ErrInvalid, requests: 1},
		"unauthenticated":          {fault: pinteresttest.Fault{Status: 401, Code: 2}, err: pinterest.ErrUnauthenticated, requests: 1},
		"forbidden":                {fault: pinteresttest.ServerError(403), err: pinterest.ErrForbidden, requests: 1},
		"not found":                {fault: pinteresttest.ServerError(404), err: pinterest.ErrNotFound, requests: 1},
		"conflict of the API's":    {fault: pinteresttest.ServerError(409), err: pinterest.ErrConflict, requests: 1},
		"not implemented":          {fault: pinteresttest.ServerError(501), err: pinterest.ErrNotImplemented, requests: 1},
		"redirect, not followed":   {fault: pinteresttest.Fault{Status: 307, Header: http.Header{"Location": {"/v5/pins"}}}, err: pinterest.ErrTransport, requests: 1},
		"nothing goes wrong":       {fault: pinteresttest.Fault{}, requests: 1},
		"a field of another type":  {fault: textBody(`{"id":"1","title":7}`), requests: 1},
		"a 200 in place of a 201":  {fault: pinteresttest.Fault{Status: 200, Body: `{"id":"1"}`}, requests: 1},
		"a broken answer of a 403": {fault: pinteresttest.Fault{Status: 403, Wire: pinteresttest.Truncate}, err: pinterest.ErrForbidden, requests: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStudio(t)
			s.srv.Inject(test.fault.On("pins/create"))
			var res pinterest.Response
			_, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResponseTo(&res))
			if test.err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.err)
				require.NotErrorIs(t, err, pinterest.ErrUncertain)
			}
			assert.False(t, res.Adopted)
			s.counts("pins/create", test.requests, "boards/list_pins", 0)
		})
	}
}

func TestCreateNotSentMakesNoLookUp(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, failures := range []int32{1, 4, 5} {
		var dials atomic.Int32
		transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) <= failures {
				return nil, refused
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}
		s := newStudio(t, pinterest.WithHTTPClient(&http.Client{Transport: transport}))
		pin, err := s.client.Pins.Create(t.Context(), s.pin())
		transport.CloseIdleConnections()
		made := 1
		if failures == 5 { // as often as it is tried
			made = 0
			require.ErrorIs(t, err, pinterest.ErrTransport)
			require.ErrorIs(t, err, refused)
			require.NotErrorIs(t, err, pinterest.ErrUncertain, "what was not sent was not made")
		} else {
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
		}
		s.counts("pins/create", made, "boards/list_pins", 0)
	}
}

// While the answer is lost, others fill the board. All pages back to the first
// attempt are read, and not one more.
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
							s.srv.AddPin(s.board, pinteresttest.Pin{Title: fmt.Sprint("New ", i), Description: "With an island"})
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
			// 300 newer pins, its own, and the first old one: four pages of 100.
			if name == "made" {
				s.counts("pins/create", 1, "boards/list_pins", 4)
			} else {
				s.counts("pins/create", 2, "boards/list_pins", 8)
			}
		})
	}
}

// A skewedClock is wrong by some time.
type skewedClock struct {
	*pinteresttest.Clock
	by time.Duration
}

func (c skewedClock) Now() time.Time { return c.Clock.Now().Add(c.by) }

// Pins that were there before the first attempt are never adopted, however
// equal, and the create's own is recognised, however wrong the client's clock.
func TestCreateNeverAdoptsWhatWasThere(t *testing.T) {
	for _, skew := range []time.Duration{0, 700 * time.Millisecond, -700 * time.Millisecond, time.Hour, -time.Hour, 400 * 24 * time.Hour} {
		for name, fault := range map[string]pinteresttest.Fault{
			"made": pinteresttest.NoAnswer().AfterTheCommit(), "absent": pinteresttest.NoAnswer(),
			"made, answered": pinteresttest.ServerError(500).AfterTheCommit(), "absent, answered": pinteresttest.ServerError(500),
		} {
			t.Run(fmt.Sprintf("client ahead by %v, %s", skew, name), func(t *testing.T) {
				t.Parallel()
				clock := pinteresttest.NewClock(studioOpened)
				s := newStudioAt(t, clock, pinterest.WithClock(skewedClock{clock, skew}))
				before := map[string]bool{}
				for _, ago := range []time.Duration{61 * time.Minute, time.Hour, 59 * time.Minute, time.Minute, 10 * time.Second, 5 * time.Second} {
					before[s.same(s.pin(), studioStart.Add(-ago)).ID] = true
				}
				s.srv.Inject(fault.On("pins/create"))

				var res pinterest.Response
				pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResponseTo(&res))
				require.NoError(t, err)
				assert.False(t, before[pin.ID], "a pin from before was adopted")
				assert.Len(t, s.ids(), len(before)+1)
				assert.Equal(t, strings.HasPrefix(name, "made"), res.Adopted)
			})
		}
	}
}

// Whatever a pin is made of, its echo is recognised.
func TestCreateAdoptsEveryForm(t *testing.T) {
	s := newStudio(t)
	section := s.srv.AddSection(s.board, "Islands")
	other := s.srv.AddSection(s.board, "Sinks")
	parent := s.srv.AddPin(s.board, pinteresttest.Pin{Title: "Parent", Description: "Of pins", Link: "https://shop.example/parent", AltText: "A pin"})
	image := pinterest.ImageURL("https://shop.example/oak.jpg")
	tests := map[string]pinterest.PinCreate{
		"nothing but an image":     {MediaSource: image},
		"one space":                {Title: "Blank", Description: " ", MediaSource: image},
		"several spaces":           {Title: "  ", Description: " \n\t ", AltText: " ", MediaSource: image},
		"spaces at the ends":       {Title: " Oak ", Description: "\nWith an island\n", AltText: "\tA kitchen", MediaSource: image},
		"section":                  {BoardSectionID: section.ID, Title: "In a section", MediaSource: image},
		"other section":            {BoardSectionID: other.ID, Title: "In a section", MediaSource: image},
		"long texts of any script": {Title: strings.Repeat("台", 100), Description: strings.Repeat("\U0001f36a", 800), AltText: strings.Repeat("é", 500), MediaSource: image},
		"quotes":                   {Title: `"<&'\u0026>"`, Description: "a\u2028b", Link: "https://shop.example/?a=%20&b=+&c=\"#x", MediaSource: image},
		"marker":                   {Title: "Marked", Link: "https://shop.example/oak", Marker: "job=1", MediaSource: image},
		"marker to be escaped":     {Title: "Marked", Link: "https://shop.example/oak?a=1#top", Marker: "job id=a b&c=d", MediaSource: image},
		"marker in a section":      {BoardSectionID: section.ID, Link: "https://shop.example/oak", Marker: "job=2", MediaSource: image},
		"data":                     {Title: "Data", MediaSource: pinterest.ImageBase64(pinterest.PNG, []byte("image"))},
		"carousel": {Title: "Carousel", MediaSource: pinterest.ImageURLs(
			pinterest.MediaItem{Title: "One", URL: "https://shop.example/1.jpg"}, pinterest.MediaItem{Title: "Two", URL: "https://shop.example/2.jpg"})},
		"video":           {Title: "Video", MediaSource: pinterest.VideoID("123", pinterest.CoverFrame(3))},
		"color":           {Title: "Color", DominantColor: "#6E7874", MediaSource: image},
		"from a parent":   {ParentPinID: parent.ID, Title: "From a parent", MediaSource: image},
		"as a parent was": {ParentPinID: parent.ID, MediaSource: pinterest.PinURL(false)},
	}
	for name, pin := range tests {
		t.Run(name, func(t *testing.T) {
			pin.BoardID = s.board.ID
			before := s.ids()
			s.srv.ResetBooks()
			s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
			var res pinterest.Response
			made, err := s.client.Pins.Create(t.Context(), pin, pinterest.ResponseTo(&res))
			require.NoError(t, err)
			assert.True(t, res.Adopted)
			assert.Equal(t, append(before, made.ID), s.ids())
			s.counts("pins/create", 1)
		})
	}
}

// A create that is at its last attempt is looked up all the same.
func TestCreateLastAttempt(t *testing.T) {
	for _, attempts := range []int{1, 2, 5} {
		policy := pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: attempts, Jitter: -1})
		t.Run(fmt.Sprint("made at attempt ", attempts), func(t *testing.T) {
			s := newStudio(t, policy)
			if attempts > 1 {
				s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").Repeat(attempts - 1))
			}
			s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
			pin, err := s.client.Pins.Create(t.Context(), s.pin())
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
			s.counts("pins/create", attempts)
		})
		t.Run(fmt.Sprint("absent after attempt ", attempts), func(t *testing.T) {
			s := newStudio(t, policy)
			s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").Repeat(attempts))
			_, err := s.client.Pins.Create(t.Context(), s.pin())
			require.ErrorIs(t, err, pinterest.ErrServer)
			require.NotErrorIs(t, err, pinterest.ErrUncertain, "absence was proved")
			assert.Empty(t, s.ids())
			assert.GreaterOrEqual(t, s.waited(), time.Duration(attempts)*5*time.Second)
			s.counts("pins/create", attempts, "boards/list_pins", 2*attempts)
		})
	}
	t.Run("the quota of retries is empty", func(t *testing.T) {
		s := newStudio(t, pinterest.WithRetry(pinterest.RetryPolicy{Quota: 5, Jitter: -1}))
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		pin, err := s.client.Pins.Create(t.Context(), s.pin())
		require.NoError(t, err)
		assert.Equal(t, []string{pin.ID}, s.ids())
	})
}

// The caller's context ends while the create is unanswered: one look in a short
// time of the library's own may still find it.
func TestCreateCanceledWhileUnanswered(t *testing.T) {
	t.Run("made", func(t *testing.T) {
		s := newStudioAt(t, pinteresttest.NewManualClock(studioOpened))
		s.srv.Inject(pinteresttest.Slow(time.Hour).On("pins/create").AfterTheCommit())
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			assert.NoError(t, s.clock.BlockUntil(t.Context(), 1)) // it is made, and the answer waits
			cancel()
		}()
		var res pinterest.Response
		pin, err := s.client.Pins.Create(ctx, s.pin(), pinterest.ResponseTo(&res))
		require.NoError(t, err)
		assert.Equal(t, []string{pin.ID}, s.ids())
		assert.True(t, res.Adopted)
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

// Where reading back fails, nothing is sent again.
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
				assert.Equal(t, s.board.ID, e.Uncertain.BoardID)
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
	// The pin is there, but when it was made cannot be read: it must not be
	// taken for absent.
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
			assert.True(t, res.Adopted)
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
			assert.True(t, res.Adopted)
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
	// The description says that the API gives such a board a name of its own.
	t.Run("for ads only", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("boards/create").AfterTheCommit())
		board, err := s.client.Boards.Create(t.Context(), pinterest.BoardCreate{Name: "Gardens", IsAdsOnly: true})
		require.NoError(t, err)
		assert.Equal(t, s.srv.Boards(s.alice)[1].ID, board.ID)
		s.counts("boards/create", 1)
	})
	// The list lags for longer than the settle time: the second attempt meets the
	// name that the first one took.
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
			assert.True(t, res.Adopted)
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
	islands := pinterest.SectionWrite{Name: "Islands"}
	t.Run("after the commit", func(t *testing.T) {
		s := newStudio(t)
		for i := range 300 { // sections have no time: all pages are read
			s.srv.AddSection(s.board, fmt.Sprint("Section ", i))
		}
		s.srv.Inject(pinteresttest.ServerError(500).On("board_sections/create").AfterTheCommit())
		var res pinterest.Response
		section, err := s.client.Sections.Create(t.Context(), s.board.ID, islands, pinterest.ResponseTo(&res))
		require.NoError(t, err)
		assert.True(t, res.Adopted)
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
	// find looks for the title on the first page of the board.
	find := func(s *studio, out *pinterest.Pin, windows *[]pinterest.Window) func(context.Context, pinterest.Window) (bool, error) {
		return func(ctx context.Context, w pinterest.Window) (bool, error) {
			*windows = append(*windows, w)
			page, err := s.client.Boards.ListPins(ctx, s.board.ID, nil)
			if err != nil {
				return false, err
			}
			for _, p := range page.Items {
				if p.Title == "Oak kitchen" && w.Contains(p.CreatedAt.Time) {
					*out = p
					return true, nil
				}
			}
			return false, nil
		}
	}
	do := func(s *studio, lookup bool, opts ...pinterest.CallOption) (pinterest.Pin, []pinterest.Window, error) {
		var out pinterest.Pin
		var windows []pinterest.Window
		req := pinterest.Request{Body: s.pin()}
		if lookup {
			req.Lookup = &pinterest.Lookup{Key: "oak", Find: find(s, &out, &windows)}
		}
		err := s.client.Do(t.Context(), pinterest.OpPinsCreate, req, &out, opts...)
		return out, windows, err
	}
	t.Run("none", func(t *testing.T) {
		for _, committed := range []bool{true, false} {
			s := newStudio(t)
			fault := pinteresttest.ServerError(500).On("pins/create")
			fault.AfterCommit = committed
			s.srv.Inject(fault)
			_, _, err := do(s, false)
			e := requireUncertain(t, err)
			assert.Nil(t, e.Uncertain)
			assert.ErrorContains(t, err, "no way to look")
			s.counts("pins/create", 1, "boards/list_pins", 0)
		}
	})
	t.Run("none, and the caller allows it", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		pin, _, err := do(s, false, pinterest.ResendUnseen())
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
		pin, windows, err := do(s, true, pinterest.ResponseTo(&res))
		require.NoError(t, err)
		assert.True(t, res.Adopted)
		assert.Equal(t, s.ids()[1], pin.ID)
		require.Len(t, windows, 1)
		assert.False(t, windows[0].Since().After(studioStart))
		s.counts("pins/create", 1)
	})
	t.Run("absent", func(t *testing.T) {
		s := newStudio(t)
		s.same(s.pin(), studioStart.Add(-time.Minute))
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"))
		pin, windows, err := do(s, true)
		require.NoError(t, err)
		assert.Equal(t, s.ids()[1], pin.ID)
		assert.Len(t, windows, 2)
		s.counts("pins/create", 2)
	})
	t.Run("fails", func(t *testing.T) {
		s := newStudio(t)
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create"), pinteresttest.ServerError(404).On("boards/list_pins"))
		_, _, err := do(s, true)
		_ = requireUncertain(t, err)
		require.ErrorIs(t, err, pinterest.ErrNotFound)
		s.counts("pins/create", 1)
	})
}

func TestResendUnseen(t *testing.T) {
	s := newStudio(t)
	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
	pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResendUnseen())
	require.NoError(t, err)
	require.Len(t, s.ids(), 2, "it asked for it")
	assert.Equal(t, s.ids()[1], pin.ID)
	s.counts("pins/create", 2, "boards/list_pins", 0)
}

// Equal creates in flight at once never end with one pin.
func TestCreateTwins(t *testing.T) {
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

func after(f pinteresttest.Fault) *pinteresttest.Fault {
	f = f.AfterTheCommit()
	return &f
}

func before(f pinteresttest.Fault) *pinteresttest.Fault { return &f }

// Pins made from one parent can be taken for one another even where their
// requests are not equal, since the API fills in what was not given.
func TestCreateTwinsOfOneParent(t *testing.T) {
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
				clients := []*pinterest.Client{s.client, s.newClient(), s.newClient()}
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

// The list lags for longer than the settle time, and shows it: it lacks a pin
// that this client was told of. So longer is waited, until it shows that pin.
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

// A list that still lacks that pin after two minutes proves nothing at all.
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

// An uncertain create is followed by an equal one, and then resolved: never do
// both end with one pin.
func TestCreateAfterAnUncertainTwin(t *testing.T) {
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
					resolvers := []*pinterest.Client{s.client}
					if first || gap > time.Minute {
						// Another process does not know of the second, but can tell it apart:
						// by the order of the two, or by the time. With one pin made at the
						// same time it cannot; there it takes a marker.
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

// An uncertain create was shown absent, and so sent again: it is no twin of
// itself, in the way of its own result.
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

// uncertain has a create end uncertain, with the lists down. It took effect, or not.
func (s *studio) uncertain(pin pinterest.PinCreate, committed bool) *pinterest.Error {
	s.t.Helper()
	lost := pinteresttest.NoAnswer().On("pins/create")
	lost.AfterCommit = committed
	s.srv.Inject(lost, pinteresttest.ServerError(403).On("boards/list_pins"))
	_, err := s.client.Pins.Create(context.Background(), pin)
	e := requireUncertain(s.t, err)
	require.NotNil(s.t, e.Uncertain)
	require.Empty(s.t, s.srv.PendingFaults())
	return e
}
