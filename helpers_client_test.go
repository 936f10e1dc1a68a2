package pinterest_test

import (
	"context"
	"flag"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/seamtest"
)

var seam = flag.Bool("seam", false, "run the tests with services that are built outside the package, from exported names only")

// testClient is a client whose services can be replaced, so that the same tests
// run with another implementation of them. Tests that need the concrete client
// use its field Client.
type testClient struct {
	*pinterest.Client

	Pins     pinsAPI
	Boards   boardsAPI
	Sections sectionsAPI
}

// wrap returns c with its own services, or with those of -seam.
func wrap(c *pinterest.Client) *testClient {
	if !*seam {
		return &testClient{Client: c, Pins: c.Pins, Boards: c.Boards, Sections: c.Sections}
	}
	s := seamtest.New(c)
	return &testClient{Client: c, Pins: s.Pins, Boards: s.Boards, Sections: s.Sections}
}

// pinsAPI is what the tests call of a pins service.
type pinsAPI interface {
	Create(ctx context.Context, pin pinterest.PinCreate, opts ...pinterest.CallOption) (*pinterest.Pin, error)
	CreateOnce(ctx context.Context, key string, pin pinterest.PinCreate, opts ...pinterest.CallOption) (*pinterest.Pin, error)
	Intent(pin pinterest.PinCreate, opts ...pinterest.CallOption) (*pinterest.Uncertain, error)
	Get(ctx context.Context, id string, opts ...pinterest.CallOption) (*pinterest.Pin, error)
	Update(ctx context.Context, id string, update pinterest.PinUpdate, opts ...pinterest.CallOption) (*pinterest.Pin, error)
	Delete(ctx context.Context, id string, opts ...pinterest.CallOption) error
	CreateAll(ctx context.Context, pins []pinterest.PinCreate, opts ...pinterest.CallOption) []pinterest.Result[pinterest.Pin]
	CreateAllOnce(ctx context.Context, pins []pinterest.KeyedPin, opts ...pinterest.CallOption) []pinterest.Result[pinterest.Pin]
	SaveOnce(ctx context.Context, key, id string, to pinterest.PinSave, opts ...pinterest.CallOption) (*pinterest.Pin, error)
	Save(ctx context.Context, id string, to pinterest.PinSave, opts ...pinterest.CallOption) (*pinterest.Pin, error)
	Resolve(ctx context.Context, u pinterest.Uncertain, opts ...pinterest.CallOption) (*pinterest.Resolution[pinterest.Pin], error)
}

// boardsAPI is what the tests call of a boards service.
type boardsAPI interface {
	CreateOnce(ctx context.Context, key string, board pinterest.BoardCreate, opts ...pinterest.CallOption) (*pinterest.Board, error)
	Create(ctx context.Context, board pinterest.BoardCreate, opts ...pinterest.CallOption) (*pinterest.Board, error)
	Resolve(ctx context.Context, u pinterest.Uncertain, opts ...pinterest.CallOption) (*pinterest.Resolution[pinterest.Board], error)
	ListPins(ctx context.Context, id string, o *pinterest.BoardPinsOptions, opts ...pinterest.CallOption) (*pinterest.Page[pinterest.Pin], error)
	AllPins(ctx context.Context, id string, o *pinterest.BoardPinsOptions, opts ...pinterest.CallOption) iter.Seq2[*pinterest.Pin, error]
}

// sectionsAPI is what the tests call of a sections service.
type sectionsAPI interface {
	CreateOnce(ctx context.Context, key, boardID string, section pinterest.SectionCreate, opts ...pinterest.CallOption) (*pinterest.Section, error)
	Create(ctx context.Context, boardID string, section pinterest.SectionCreate, opts ...pinterest.CallOption) (*pinterest.Section, error)
	Resolve(ctx context.Context, u pinterest.Uncertain, opts ...pinterest.CallOption) (*pinterest.Resolution[pinterest.Section], error)
}

// resolution is what became of a create of any kind.
type resolution struct {
	Outcome pinterest.Outcome
	Pin     *pinterest.Pin
	Board   *pinterest.Board
	Section *pinterest.Section
}

// Resolve asks the service of the create's operation.
func (c *testClient) Resolve(ctx context.Context, u pinterest.Uncertain, opts ...pinterest.CallOption) (*resolution, error) {
	switch u.Operation {
	case "boards/create":
		r, err := c.Boards.Resolve(ctx, u, opts...)
		return &resolution{Outcome: r.Outcome, Board: r.Result}, err
	case "board_sections/create":
		r, err := c.Sections.Resolve(ctx, u, opts...)
		return &resolution{Outcome: r.Outcome, Section: r.Result}, err
	}
	r, err := c.Pins.Resolve(ctx, u, opts...)
	return &resolution{Outcome: r.Outcome, Pin: r.Result}, err
}

// newClient returns a client of s with a static token, the server's clock and
// waits without jitter. The given options are applied after these.
func newClient(t testing.TB, s *server, opts ...pinterest.Option) *testClient {
	t.Helper()
	return newBareClient(t, s, append([]pinterest.Option{pinterest.WithAccessToken(accessToken)}, opts...)...)
}

// newBareClient is newClient without a token.
func newBareClient(t testing.TB, s *server, opts ...pinterest.Option) *testClient {
	t.Helper()
	base := []pinterest.Option{pinterest.WithBaseURL(s.base()), pinterest.WithClock(s.clock), pinterest.WithRetry(exact)}
	if s.TLS != nil {
		base = append(base, pinterest.WithHTTPClient(s.Client()))
	}
	c, err := pinterest.New(append(base, opts...)...)
	require.NoError(t, err)
	return wrap(c)
}

// get asks c for a pin.
func get[C *testClient | *pinterest.Client](ctx context.Context, c C, opts ...pinterest.CallOption) error {
	var err error
	switch c := any(c).(type) {
	case *testClient:
		_, err = c.Pins.Get(ctx, pinID, opts...)
	case *pinterest.Client:
		_, err = c.Pins.Get(ctx, pinID, opts...)
	}
	return err
}
