package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// ambiguousFaults returns all failures after which a create may have taken effect,
// and strike before it does.
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
			pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResponseTo(&res), pinterest.AttemptTimeout(2*time.Second))
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
			assert.Equal(t, "Oak kitchen", pin.Title)
			assert.Equal(t, pinterest.OriginLookup, res.Origin)
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
			pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResponseTo(&res), pinterest.AttemptTimeout(2*time.Second))
			require.NoError(t, err)
			assert.Equal(t, []string{pin.ID}, s.ids())
			assert.NotEqual(t, pinterest.OriginLookup, res.Origin)
			s.counts("pins/create", 2, "boards/list_pins", 2)
			assert.Equal(t, 5*time.Second, s.waited(), "the settle time, of which the delay is a part")
		})
	}
}

func TestCreateMakesNoLookUp(t *testing.T) {
	tests := map[string]struct {
		fault    pinteresttest.Fault
		err      error // nil: the pin is made in the end
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
		"a broken answer of a 403": {fault: pinteresttest.Fault{Status: 403, Delivery: pinteresttest.Truncate}, err: pinterest.ErrForbidden, requests: 1},
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
			assert.NotEqual(t, pinterest.OriginLookup, res.Origin)
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
		if failures == 5 { // as many as there are attempts
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

// Pins that existed before the first attempt are never adopted, even if they are
// equal. The create's own pin is recognised, even if the client's clock is wrong.
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
				for _, ago := range []time.Duration{61 * time.Minute, 59 * time.Minute, time.Minute, 50 * time.Second} {
					before[s.same(s.pin(), studioStart.Add(-ago)).ID] = true
				}
				s.srv.Inject(fault.On("pins/create"))

				var res pinterest.Response
				pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.ResponseTo(&res))
				require.NoError(t, err)
				assert.False(t, before[pin.ID], "a pin from before was adopted")
				assert.Len(t, s.ids(), len(before)+1)
				assert.Equal(t, strings.HasPrefix(name, "made"), res.Origin == pinterest.OriginLookup)
			})
		}
	}
}

// A pin is recognised whatever fields it was made with.
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
			s.srv.ResetRequests()
			s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
			var res pinterest.Response
			made, err := s.client.Pins.Create(t.Context(), pin, pinterest.ResponseTo(&res))
			require.NoError(t, err)
			assert.Equal(t, pinterest.OriginLookup, res.Origin)
			assert.Equal(t, append(before, made.ID), s.ids())
			s.counts("pins/create", 1)
		})
	}
}

// A create is looked up after its last attempt, too.
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
			again := max(0, attempts-3) // before the fourth attempt, and the fifth, there is a wait beyond the settle time
			s.counts("pins/create", attempts, "boards/list_pins", 2*attempts+again)
		})
	}
	t.Run("the quota of retries is empty", func(t *testing.T) {
		s := newStudio(t, pinterest.WithRetry(pinterest.RetryPolicy{Budget: 5, Jitter: -1}))
		s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
		pin, err := s.client.Pins.Create(t.Context(), s.pin())
		require.NoError(t, err)
		assert.Equal(t, []string{pin.ID}, s.ids())
	})
}

func TestRetryWithoutLookup(t *testing.T) {
	s := newStudio(t)
	s.srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())
	pin, err := s.client.Pins.Create(t.Context(), s.pin(), pinterest.RetryWithoutLookup())
	require.NoError(t, err)
	require.Len(t, s.ids(), 2, "it asked for it")
	assert.Equal(t, s.ids()[1], pin.ID)
	s.counts("pins/create", 2, "boards/list_pins", 0)
}

func TestCreateWithoutAWayToLookEndsUncertain(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503).always())
	c := newClient(t, s)
	op := pinterest.Operation{ID: "campaigns/create", Method: http.MethodPost, Path: "/campaigns", Kind: pinterest.KindCreate}
	err := c.Do(t.Context(), op, pinterest.Request{Body: map[string]string{"name": "x"}}, nil)
	e := failure(t, err)
	assert.Equal(t, uncertain, e.Disposition)
	assert.ErrorIs(t, err, pinterest.ErrUncertain)
	assert.ErrorIs(t, err, pinterest.ErrUnavailable)
	assert.Equal(t, 1, s.count(toCall))
}

func TestRetryWithoutLookupSendsAgainWithoutLooking(t *testing.T) {
	t.Parallel()
	s := newServer(t, bare(503), bare(503), okPin())
	c := newClient(t, s)
	_, err := c.Pins.Create(t.Context(), pinCreate(), pinterest.RetryWithoutLookup())
	require.NoError(t, err)
	assert.Equal(t, []string{toCall, toCall, toCall}, s.kinds())
	assertSlept(t, s, seconds(2, 4))
}
