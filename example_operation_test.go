package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// The operations, as values. Sections of a board serve as the example: this
// package has them, but nothing below uses that.
var (
	opShelvesCreate = pinterest.Operation{
		ID: "board_sections/create", Method: http.MethodPost, Path: `/boards/{board_id:\d+}/sections`,
		Kind: pinterest.KindCreate, Category: pinterest.CategoryOrgWrite, Scopes: []pinterest.Scope{pinterest.ScopeBoardsWrite},
	}
	opShelvesList = pinterest.Operation{
		ID: "board_sections/list", Method: http.MethodGet, Path: `/boards/{board_id:\d+}/sections`,
		Kind: pinterest.KindRead, Category: pinterest.CategoryOrgRead, Scopes: []pinterest.Scope{pinterest.ScopeBoardsRead},
	}
)

// Shelf is the result.
type Shelf struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Complete keeps a 2xx answer without an id from being taken for a result.
func (s *Shelf) Complete() bool { return s.ID != "" }

// ShelfCreate is the request body.
type ShelfCreate struct {
	Name string `json:"name"`
}

// Validate is called before anything is sent.
func (s ShelfCreate) Validate() error {
	var c pinterest.Check
	c.Required("name", s.Name)
	c.Length("name", s.Name, 180)
	return c.Err()
}

type shelfWant struct{ BoardID, Name string }

func (w shelfWant) lookup() pinterest.Lookup[Shelf] {
	return pinterest.Lookup[Shelf]{
		Want:    w, // stored in an Uncertain, for Resolve
		List:    opShelvesList,
		In:      pinterest.Request{Path: []string{w.BoardID}},
		Match:   func(s *Shelf) bool { return s.Name == w.Name },
		Made:    func(s *Shelf) (string, time.Time) { return s.ID, time.Time{} },
		Untimed: true, // shelves have no time of creation
	}
}

func createShelf(ctx context.Context, c *pinterest.Client, boardID string, shelf ShelfCreate, opts ...pinterest.CallOption) (*Shelf, error) {
	want := shelfWant{boardID, shelf.Name}
	return pinterest.Call[Shelf](ctx, c, opShelvesCreate, pinterest.Request{Path: []string{boardID}, Body: shelf, Lookup: want.lookup()}, opts...)
}

// An operation of your own has what those of this package have. Here the API
// makes the shelf and then answers 500. The shelf is looked up and adopted.
func Example_operation() {
	ctx := context.Background()
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	srv.Inject(pinteresttest.ServerError(500).On("board_sections/create").AfterTheCommit())

	client, err := pinterest.New(pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL))
	if err != nil {
		log.Panic(err)
	}
	var res pinterest.Response
	shelf, err := createShelf(ctx, client, board.ID, ShelfCreate{Name: "Oak"}, pinterest.ResponseTo(&res))
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(shelf.Name, "origin:", res.Origin)

	for s, err := range pinterest.All[Shelf](ctx, client, opShelvesList, pinterest.Request{Path: []string{board.ID}}) {
		if err != nil {
			log.Panic(err)
		}
		fmt.Println("on the board:", s.Name)
	}

	_, err = createShelf(ctx, client, board.ID, ShelfCreate{})
	var failure *pinterest.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Disposition, failure.Fields)
	}

	// Output:
	// Oak origin: lookup
	// on the board: Oak
	// fix [name is required]
}
