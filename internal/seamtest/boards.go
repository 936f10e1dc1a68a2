package seamtest

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
)

var (
	boardsRead  = []pinterest.Scope{pinterest.ScopeBoardsRead}
	boardsWrite = []pinterest.Scope{pinterest.ScopeBoardsRead, pinterest.ScopeBoardsWrite}
)

var (
	opBoardsCreate = pinterest.Operation{ID: "boards/create", Method: http.MethodPost, Path: "/boards",
		Kind: pinterest.KindCreate, Category: pinterest.CategoryOrgWrite, Scopes: boardsWrite}
	opBoardsGet = pinterest.Operation{ID: "boards/get", Method: http.MethodGet, Path: `/boards/{board_id:\d+}`,
		Kind: pinterest.KindRead, Category: pinterest.CategoryOrgRead, Scopes: boardsRead}
	opBoardsList = pinterest.Operation{ID: "boards/list", Method: http.MethodGet, Path: "/boards",
		Kind: pinterest.KindRead, Category: pinterest.CategoryOrgRead, Scopes: boardsRead}
)

// Boards calls the operations on boards.
type Boards struct{ client *pinterest.Client }

// Create makes a board.
func (s *Boards) Create(ctx context.Context, board pinterest.BoardCreate, opts ...pinterest.CallOption) (*pinterest.Board, error) {
	want := boardWant{Name: board.Name, AdsOnly: board.IsAdsOnly}
	return pinterest.Call[pinterest.Board](ctx, s.client, opBoardsCreate, pinterest.Request{Body: board, Lookup: want.lookup()}, opts...)
}

// CreateOnce makes a board at most once for a key.
func (s *Boards) CreateOnce(ctx context.Context, key string, board pinterest.BoardCreate, opts ...pinterest.CallOption) (*pinterest.Board, error) {
	want := boardWant{Name: board.Name, AdsOnly: board.IsAdsOnly}
	return pinterest.CreateOnce[pinterest.Board](ctx, s.client, key, opBoardsCreate, pinterest.Request{Body: board, Lookup: want.lookup()}, opts...)
}

// Resolve looks up what became of a Create that ended uncertain.
func (s *Boards) Resolve(ctx context.Context, u pinterest.Uncertain, opts ...pinterest.CallOption) (*pinterest.Resolution[pinterest.Board], error) {
	return pinterest.Resolve(ctx, s.client, u, boardWant.lookup, opts...)
}

// ListPins returns one page of the pins on a board.
func (s *Boards) ListPins(ctx context.Context, id string, o *pinterest.BoardPinsOptions, opts ...pinterest.CallOption) (*pinterest.Page[pinterest.Pin], error) {
	return pinterest.List[pinterest.Pin](ctx, s.client, opBoardPins, pinterest.Request{Path: []string{id}, Options: boardPinsOf(o)}, opts...)
}

// AllPins iterates over the pins on a board.
func (s *Boards) AllPins(ctx context.Context, id string, o *pinterest.BoardPinsOptions, opts ...pinterest.CallOption) iter.Seq2[*pinterest.Pin, error] {
	return pinterest.All[pinterest.Pin](ctx, s.client, opBoardPins, pinterest.Request{Path: []string{id}, Options: boardPinsOf(o)}, opts...)
}

// boardWant is what identifies a board in its account.
type boardWant struct {
	Name    string `json:"name"`
	AdsOnly bool   `json:"is_ads_only,omitzero"`
}

// Validate is asked of a want that was stored.
func (w boardWant) Validate() error {
	var check pinterest.Check
	check.Required("name", w.Name)
	return check.Err()
}

func (w boardWant) lookup() pinterest.Lookup[pinterest.Board] {
	return pinterest.Lookup[pinterest.Board]{
		Creates: []pinterest.Operation{opBoardsCreate},
		Want:    w,
		List:    opBoardsList,
		In:      pinterest.Request{Query: url.Values{"page_size": {pageOfLookup}, "privacy": {string(pinterest.BoardAll)}}},
		Match:   w.matches,
		Made:    func(b *pinterest.Board) (string, time.Time) { return b.ID, b.CreatedAt.Time },
		Key:     w.key(),
		Get:     opBoardsGet,
	}
}

func (w boardWant) matches(b *pinterest.Board) bool {
	if w.AdsOnly { // the API gives it a name of its own
		return b.IsAdsOnly
	}
	return !b.IsAdsOnly && strings.EqualFold(trimmed(b.Name), trimmed(w.Name)) // as the API compares names
}

// key returns what creates have in common that could be taken for one another.
func (w boardWant) key() []string {
	if w.AdsOnly {
		return []string{"ads only"}
	}
	return []string{"name", strings.ToLower(trimmed(w.Name))}
}
