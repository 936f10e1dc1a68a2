package pinterest

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

var (
	boardsRead  = []Scope{ScopeBoardsRead}
	boardsWrite = []Scope{ScopeBoardsRead, ScopeBoardsWrite}
)

// The operations on boards. Treat them as constants.
var (
	OpBoardsCreate   = Operation{ID: "boards/create", Method: http.MethodPost, Path: "/boards", Kind: KindCreate, Category: CategoryOrgWrite, Scopes: boardsWrite}
	OpBoardsList     = Operation{ID: "boards/list", Method: http.MethodGet, Path: "/boards", Kind: KindRead, Category: CategoryOrgRead, Scopes: boardsRead}
	OpBoardsGet      = Operation{ID: "boards/get", Method: http.MethodGet, Path: `/boards/{board_id:\d+}`, Kind: KindRead, Category: CategoryOrgRead, Scopes: boardsRead}
	OpBoardsUpdate   = Operation{ID: "boards/update", Method: http.MethodPatch, Path: `/boards/{board_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: boardsWrite}
	OpBoardsDelete   = Operation{ID: "boards/delete", Method: http.MethodDelete, Path: `/boards/{board_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: boardsWrite, Removes: true, NoBody: true}
	OpBoardsListPins = Operation{ID: "boards/list_pins", Method: http.MethodGet, Path: `/boards/{board_id:\d+}/pins`, Kind: KindRead, Category: CategoryOrgRead, Scopes: pinsRead}
)

// BoardsService calls the operations on boards.
type BoardsService struct{ client *Client }

// Board is a board as the API returns it.
type Board struct {
	ID                  string       `json:"id"`
	Name                string       `json:"name"`
	Description         string       `json:"description"`
	Privacy             BoardPrivacy `json:"privacy"`
	Owner               BoardOwner   `json:"owner"`
	CreatedAt           Time         `json:"created_at"`
	BoardPinsModifiedAt Time         `json:"board_pins_modified_at"`
	PinCount            int          `json:"pin_count"`
	FollowerCount       int          `json:"follower_count"`
	CollaboratorCount   int          `json:"collaborator_count"`
	IsAdsOnly           bool         `json:"is_ads_only"`
	Media               BoardMedia   `json:"media"`
}

// Complete implements [Completer].
func (b *Board) Complete() bool { return strings.TrimSpace(b.ID) != "" }

// BoardOwner is the account that a board belongs to.
type BoardOwner struct {
	Username string `json:"username"`
}

// BoardMedia contains the images of a board.
type BoardMedia struct {
	ImageCoverURL    string   `json:"image_cover_url"`
	PinThumbnailURLs []string `json:"pin_thumbnail_urls"`
}

// BoardPrivacy says who can see a board. Values without a constant are kept as they
// are.
type BoardPrivacy string

// The privacy levels.
const (
	BoardPublic    BoardPrivacy = "PUBLIC"
	BoardProtected BoardPrivacy = "PROTECTED"
	BoardSecret    BoardPrivacy = "SECRET"

	// These are for [BoardListOptions]. No board has them.

	BoardAll             BoardPrivacy = "ALL"
	BoardPublicAndSecret BoardPrivacy = "PUBLIC_AND_SECRET"
)

// BoardCreate is the request to create a board.
type BoardCreate struct {
	Name        string       `json:"name"` // required; unique in the account
	Description string       `json:"description,omitzero"`
	Privacy     BoardPrivacy `json:"privacy,omitzero"`     // the API's default is BoardPublic
	IsAdsOnly   bool         `json:"is_ads_only,omitzero"` // the API gives such a board a name of its own
}

// Validate does the checks that Create does before it sends anything.
func (b BoardCreate) Validate() error {
	var c Check
	c.Required("name", b.Name)
	if b.Privacy != "" {
		OneOf(&c, "privacy", b.Privacy, BoardPublic, BoardProtected, BoardSecret)
	}
	return c.Err()
}

// BoardUpdate is the request to change a board. Fields that are not set stay
// unchanged.
type BoardUpdate struct {
	Name        Opt[string]       `json:"name,omitzero"`
	Description Opt[string]       `json:"description,omitzero"`
	Privacy     Opt[BoardPrivacy] `json:"privacy,omitzero"` // BoardPublic or BoardSecret
}

// Validate does the checks that Update does before it sends anything.
func (u BoardUpdate) Validate() error {
	var c Check
	if u == (BoardUpdate{}) {
		c.Add("", "", "the update changes nothing: set a field")
	}
	if v, ok := u.Name.Get(); ok || u.Name.IsNull() {
		c.Required("name", v)
	}
	if u.Privacy.IsNull() {
		c.Add("privacy", "null", "must not be null")
	}
	if v, ok := u.Privacy.Get(); ok {
		OneOf(&c, "privacy", v, BoardPublic, BoardSecret)
	}
	return c.Err()
}

// BoardListOptions select which boards are listed.
type BoardListOptions struct {
	ListOptions
	Privacy BoardPrivacy // BoardAll, BoardPublicAndSecret or one of the levels; empty: the API's default
}

// Query returns the parameters, for [Request].Options.
func (o *BoardListOptions) Query() url.Values {
	q := o.ListOptions.Query()
	if o.Privacy != "" {
		q.Set("privacy", string(o.Privacy))
	}
	return q
}

// Validate does the checks that List does before it sends anything.
func (o *BoardListOptions) Validate() error {
	var c Check
	if o.Privacy != "" {
		OneOf(&c, "privacy", o.Privacy, BoardAll, BoardPublic, BoardProtected, BoardSecret, BoardPublicAndSecret)
	}
	return errors.Join(o.ListOptions.Validate(), c.Err())
}

// BoardPinsOptions select which pins of a board are listed.
type BoardPinsOptions struct {
	ListOptions
	CreativeTypes []CreativeType // any of these
	Metrics       bool           // fill Pin.PinMetrics
}

// Query returns the parameters, for [Request].Options.
func (o *BoardPinsOptions) Query() url.Values {
	q := o.ListOptions.Query()
	addPinQuery(q, o.CreativeTypes, o.Metrics)
	return q
}

// adsOnlyName is the name that the API gives to boards that are for ads only.
const adsOnlyName = "Ad-only Pins"

// boardWant identifies the board of a create.
type boardWant struct {
	Name string `json:"name"`
}

func (b BoardCreate) want() boardWant {
	if b.IsAdsOnly {
		return boardWant{Name: adsOnlyName}
	}
	return boardWant{Name: b.Name}
}

// Validate refuses a stored want that does not identify a board.
func (w boardWant) Validate() error {
	var c Check
	c.Required("name", w.Name)
	return c.Err()
}

// boardCreates are the operations whose results the lookup finds.
var boardCreates = []Operation{OpBoardsCreate}

// lookup finds the board by its name, which is unique in an account.
func (w boardWant) lookup() Lookup[Board] {
	return Lookup[Board]{
		Creates: boardCreates, Want: w, Key: []string{nameKey(w.Name)},
		List: OpBoardsList, In: Request{Options: &BoardListOptions{ListOptions: ListOptions{PageSize: maxPageSize}, Privacy: BoardAll}},
		Match: func(b *Board) bool { return sameName(b.Name, w.Name) }, Get: OpBoardsGet,
		Made: func(b *Board) (string, time.Time) { return b.ID, b.CreatedAt.Time },
	}
}

// Create makes a board. After an ambiguous failure it looks the board up by its name
// before it sends anything again. If an earlier attempt of the same call has taken
// the name, that is a success, not a conflict.
//
// Errors to expect: ErrInvalid, ErrConflict (the name is taken), ErrUncertain.
//
// Operation boards/create: https://developers.pinterest.com/docs/api/v5/boards-create
func (s *BoardsService) Create(ctx context.Context, board BoardCreate, opts ...CallOption) (*Board, error) {
	return Call[Board](ctx, s.client, OpBoardsCreate, Request{Body: board, Lookup: board.want().lookup()}, opts...)
}

// CreateOnce makes a board at most once for a key of the caller's, across repeated
// calls and crashes. It needs a [Ledger]: see [WithLedger]. The function [CreateOnce]
// has the details.
//
// Operation boards/create: https://developers.pinterest.com/docs/api/v5/boards-create
func (s *BoardsService) CreateOnce(ctx context.Context, key string, board BoardCreate, opts ...CallOption) (*Board, error) {
	return CreateOnce[Board](ctx, s.client, key, OpBoardsCreate, Request{Body: board, Lookup: board.want().lookup()}, opts...)
}

// Get returns a board by its numeric id.
//
// Operation boards/get: https://developers.pinterest.com/docs/api/v5/boards-get
func (s *BoardsService) Get(ctx context.Context, id string, opts ...CallOption) (*Board, error) {
	return Call[Board](ctx, s.client, OpBoardsGet, Request{Path: []string{id}}, opts...)
}

// List returns one page of the account's boards, newest first.
//
// Operation boards/list: https://developers.pinterest.com/docs/api/v5/boards-list
func (s *BoardsService) List(ctx context.Context, o *BoardListOptions, opts ...CallOption) (*Page[Board], error) {
	return List[Board](ctx, s.client, OpBoardsList, Request{Options: o}, opts...)
}

// All iterates over the account's boards. It fetches each page when the iteration
// reaches it.
func (s *BoardsService) All(ctx context.Context, o *BoardListOptions, opts ...CallOption) iter.Seq2[*Board, error] {
	return All[Board](ctx, s.client, OpBoardsList, Request{Options: o}, opts...)
}

// Update changes a board.
//
// Operation boards/update: https://developers.pinterest.com/docs/api/v5/boards-update
func (s *BoardsService) Update(ctx context.Context, id string, update BoardUpdate, opts ...CallOption) (*Board, error) {
	return Call[Board](ctx, s.client, OpBoardsUpdate, Request{Path: []string{id}, Body: update}, opts...)
}

// Delete deletes a board and all pins on it. If the answer to the first attempt is
// lost and the second gets a 404, the call succeeds: the first attempt has deleted
// the board.
//
// Operation boards/delete: https://developers.pinterest.com/docs/api/v5/boards-delete
func (s *BoardsService) Delete(ctx context.Context, id string, opts ...CallOption) error {
	return s.client.Do(ctx, OpBoardsDelete, Request{Path: []string{id}}, nil, opts...)
}

// ListPins returns one page of the pins on a board, including those of its sections,
// newest first.
//
// Operation boards/list_pins: https://developers.pinterest.com/docs/api/v5/boards-list_pins
func (s *BoardsService) ListPins(ctx context.Context, id string, o *BoardPinsOptions, opts ...CallOption) (*Page[Pin], error) {
	return List[Pin](ctx, s.client, OpBoardsListPins, Request{Path: []string{id}, Options: o}, opts...)
}

// AllPins iterates over the pins on a board, newest first. It fetches each page when
// the iteration reaches it.
func (s *BoardsService) AllPins(ctx context.Context, id string, o *BoardPinsOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return All[Pin](ctx, s.client, OpBoardsListPins, Request{Path: []string{id}, Options: o}, opts...)
}

// Resolve looks up what became of a Create that ended uncertain: see the function
// [Resolve].
func (s *BoardsService) Resolve(ctx context.Context, u Uncertain, opts ...CallOption) (*Resolution[Board], error) {
	return Resolve(ctx, s.client, u, boardWant.lookup, opts...)
}
