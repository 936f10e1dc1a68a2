package pinterest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A studio is a server with an account and a board, and a client for it. Both use
// one clock, on which waiting takes no time.
type studio struct {
	t      *testing.T
	clock  *pinteresttest.Clock
	srv    *pinteresttest.Server
	alice  pinteresttest.Account
	board  pinteresttest.Board
	client *testClient
}

// studioStart is the time at which the tests begin. It has a fraction of a second,
// as real times have, and is far in the future, so that a deadline by this clock does
// not pass by the real one. The board and a pin on it are an hour older.
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

// newClient returns another client for the account, as another process would have.
func (s *studio) newClient(opts ...pinterest.Option) *testClient {
	s.t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	s.t.Cleanup(transport.CloseIdleConnections)
	client, err := pinterest.New(append([]pinterest.Option{
		pinterest.WithAccessToken(s.alice.AccessToken), pinterest.WithBaseURL(s.srv.URL), pinterest.WithClock(s.clock),
		pinterest.WithHTTPClient(&http.Client{Transport: transport}), pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1}),
	}, opts...)...)
	require.NoError(s.t, err)
	return wrap(client)
}

// pin returns the pin that most tests make.
func (s *studio) pin() pinterest.PinCreate {
	return pinterest.PinCreate{
		BoardID: s.board.ID, Title: "Oak kitchen", Description: "With an island", Link: "https://shop.example/oak?ref=1",
		AltText: "A kitchen", MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
	}
}

// same adds a pin to the server that looks like pin.
func (s *studio) same(pin pinterest.PinCreate, created time.Time) pinteresttest.Pin {
	return s.srv.AddPin(s.board, pinteresttest.Pin{
		SectionID: pin.BoardSectionID, Title: pin.Title, Description: pin.Description, Link: pin.Link,
		AltText: pin.AltText, ParentPinID: pin.ParentPinID, CreatedAt: created,
	})
}

// ids returns the ids of the pins on the board in the order of their creation,
// without the old pin.
func (s *studio) ids() []string {
	ids := []string{}
	for _, p := range s.srv.Pins(s.board.ID) {
		if p.Title != oldTitle {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// waited returns how long the client has slept.
func (s *studio) waited() (sum time.Duration) {
	for _, d := range s.clock.Slept() {
		sum += d
	}
	return sum
}

// counts checks how many requests each operation got. It takes ids and numbers in turn.
func (s *studio) counts(want ...any) {
	s.t.Helper()
	for i := 0; i < len(want); i += 2 {
		assert.Equal(s.t, want[i+1], s.srv.Count(want[i].(string)), "requests for %s", want[i])
	}
}

// requireUncertain checks that err is an uncertain outcome and returns its *Error.
func requireUncertain(t *testing.T, err error) *pinterest.Error {
	t.Helper()
	require.ErrorIs(t, err, pinterest.ErrUncertain)
	var e *pinterest.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, pinterest.DispositionUncertain, e.Disposition)
	assert.False(t, e.RetryAt.IsZero(), "when to look again")
	return e
}

func textBody(body string) pinteresttest.Fault { return pinteresttest.Fault{Body: body} }

// A skewedClock is ahead of the real clock by a fixed time.
type skewedClock struct {
	*pinteresttest.Clock
	by time.Duration
}

func (c skewedClock) Now() time.Time { return c.Clock.Now().Add(c.by) }

func after(f pinteresttest.Fault) *pinteresttest.Fault {
	f = f.AfterTheCommit()
	return &f
}

func before(f pinteresttest.Fault) *pinteresttest.Fault { return &f }

// uncertain makes a create end uncertain, because the lists cannot be read. Committed
// says whether it took effect.
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
