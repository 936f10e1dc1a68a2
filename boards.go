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
func (b *Board) Complete() bool { return b.ID != "" }

// BoardOwner is the account that a board belongs to.
type BoardOwner struct {
	Username string `json:"username"`
}

// BoardMedia are the images that stand for a board.
type BoardMedia struct {
	ImageCoverURL    string   `json:"image_cover_url"`
	PinThumbnailURLs []string `json:"pin_thumbnail_urls"`
}

// BoardPrivacy says who sees a board. Values that are not named here survive.
type BoardPrivacy string

// The privacy levels.
const (
	BoardPublic    BoardPrivacy = "PUBLIC"
	BoardProtected BoardPrivacy = "PROTECTED"
	BoardSecret    BoardPrivacy = "SECRET"

	// These choose boards in [BoardListOptions]; no board has them.

	BoardAll             BoardPrivacy = "ALL"
	BoardPublicAndSecret BoardPrivacy = "PUBLIC_AND_SECRET"
)

// BoardCreate is a board to be made.
type BoardCreate struct {
	Name        string       `json:"name"` // required; unique in the account
	Description string       `json:"description,omitzero"`
	Privacy     BoardPrivacy `json:"privacy,omitzero"`     // the API's default is BoardPublic
	IsAdsOnly   bool         `json:"is_ads_only,omitzero"` // the API gives such a board a name of its own
}

// Validate checks the board as Create does before it sends anything.
func (b BoardCreate) Validate() error {
	var c Check
	c.Required("name", b.Name)
	if b.Privacy != "" {
		OneOf(&c, "privacy", b.Privacy, BoardPublic, BoardProtected, BoardSecret)
	}
	return c.Err()
}

// BoardUpdate is a change of a board. Fields not set stay as they are.
type BoardUpdate struct {
	Name        Opt[string]       `json:"name,omitzero"`
	Description Opt[string]       `json:"description,omitzero"`
	Privacy     Opt[BoardPrivacy] `json:"privacy,omitzero"` // BoardPublic or BoardSecret
}

// Validate checks the change as Update does before it sends anything.
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

// BoardListOptions choose which boards are listed.
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

// Validate checks the options as List does before it sends anything.
func (o *BoardListOptions) Validate() error {
	var c Check
	if o.Privacy != "" {
		OneOf(&c, "privacy", o.Privacy, BoardAll, BoardPublic, BoardProtected, BoardSecret, BoardPublicAndSecret)
	}
	return errors.Join(o.ListOptions.Validate(), c.Err())
}

// BoardPinsOptions choose which pins of a board are listed.
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

// adsOnlyName is the name that the API gives a board which is for ads only.
const adsOnlyName = "Ad-only Pins"

// boardWant is what identifies a board that was to be made.
type boardWant struct {
	Name string `json:"name"`
}

func (b BoardCreate) want() boardWant {
	if b.IsAdsOnly {
		return boardWant{Name: adsOnlyName}
	}
	return boardWant{Name: b.Name}
}

// Validate refuses a stored want that says too little.
func (w boardWant) Validate() error {
	var c Check
	c.Required("name", w.Name)
	return c.Err()
}

// boardCreates are what the lookup is for.
var boardCreates = []Operation{OpBoardsCreate}

// lookup finds the board by its name, which is unique in an account.
func (w boardWant) lookup() Lookup[Board] {
	return Lookup[Board]{
		Creates: boardCreates, Want: w, Key: []string{strings.ToLower(normal(w.Name))},
		List: OpBoardsList, In: Request{Options: &BoardListOptions{ListOptions: ListOptions{PageSize: maxPageSize}, Privacy: BoardAll}},
		Match: func(b *Board) bool { return sameName(b.Name, w.Name) },
		Made:  func(b *Board) (string, time.Time) { return b.ID, b.CreatedAt.Time },
	}
}

// Create makes a board. After an ambiguous failure the account's boards are
// looked up by name before anything is sent again; a name that is taken by an
// earlier attempt of the same call is its success, not a conflict.
//
// Errors to expect: ErrInvalid, ErrConflict (the name is taken), ErrUncertain.
//
// Operation boards/create: https://developers.pinterest.com/docs/api/v5/boards-create
func (s *BoardsService) Create(ctx context.Context, board BoardCreate, opts ...CallOption) (*Board, error) {
	return Call[Board](ctx, s.client, OpBoardsCreate, Request{Body: board, Lookup: board.want().lookup()}, opts...)
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

// All iterates over the account's boards, asking for pages as they are reached.
func (s *BoardsService) All(ctx context.Context, o *BoardListOptions, opts ...CallOption) iter.Seq2[*Board, error] {
	return All[Board](ctx, s.client, OpBoardsList, Request{Options: o}, opts...)
}

// Update changes a board.
//
// Operation boards/update: https://developers.pinterest.com/docs/api/v5/boards-update
func (s *BoardsService) Update(ctx context.Context, id string, update BoardUpdate, opts ...CallOption) (*Board, error) {
	return Call[Board](ctx, s.client, OpBoardsUpdate, Request{Path: []string{id}, Body: update}, opts...)
}

// Delete deletes a board and all pins on it. If the answer to a first attempt
// is lost, the 404 of the second is taken for what it is: the board is gone.
//
// Operation boards/delete: https://developers.pinterest.com/docs/api/v5/boards-delete
func (s *BoardsService) Delete(ctx context.Context, id string, opts ...CallOption) error {
	return s.client.Do(ctx, OpBoardsDelete, Request{Path: []string{id}}, nil, opts...)
}

// ListPins returns one page of the pins on a board, those of its sections
// included, newest first.
//
// Operation boards/list_pins: https://developers.pinterest.com/docs/api/v5/boards-list_pins
func (s *BoardsService) ListPins(ctx context.Context, id string, o *BoardPinsOptions, opts ...CallOption) (*Page[Pin], error) {
	return List[Pin](ctx, s.client, OpBoardsListPins, Request{Path: []string{id}, Options: o}, opts...)
}

// AllPins iterates over the pins on a board, newest first, asking for pages as
// they are reached.
func (s *BoardsService) AllPins(ctx context.Context, id string, o *BoardPinsOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return All[Pin](ctx, s.client, OpBoardsListPins, Request{Path: []string{id}, Options: o}, opts...)
}

// Resolve looks up what became of a Create that ended uncertain: see the function
// [Resolve].
func (s *BoardsService) Resolve(ctx context.Context, u Uncertain, opts ...CallOption) (*Resolution[Board], error) {
	return Resolve(ctx, s.client, u, boardWant.lookup, opts...)
}
