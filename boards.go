package pinterest

import (
	"context"
	"iter"
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

func (b *Board) complete() bool { return b.ID != "" }

func boardID(b *Board) string { return b.ID }

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
)

// BoardCreate is a board to be made.
type BoardCreate struct {
	Name        string       `json:"name"` // required; unique in the account
	Description string       `json:"description,omitzero"`
	Privacy     BoardPrivacy `json:"privacy,omitzero"` // the API's default is BoardPublic
	IsAdsOnly   bool         `json:"is_ads_only,omitzero"`
}

// Validate checks the board as Create does before it sends anything.
func (b BoardCreate) Validate() error {
	var c checker
	c.name(b.Name)
	if b.Privacy != "" {
		oneOf(&c, "privacy", b.Privacy, BoardPublic, BoardProtected, BoardSecret)
	}
	return c.err()
}

// BoardUpdate is a change of a board. Fields not set stay as they are.
type BoardUpdate struct {
	Name        Opt[string]       `json:"name,omitzero"`
	Description Opt[string]       `json:"description,omitzero"`
	Privacy     Opt[BoardPrivacy] `json:"privacy,omitzero"` // BoardPublic or BoardSecret
}

// Validate checks the change as Update does before it sends anything.
func (u BoardUpdate) Validate() error {
	var c checker
	if u == (BoardUpdate{}) {
		c.add("", "", "the update changes nothing: set a field")
	}
	if v, ok := u.Name.Get(); ok || u.Name.IsNull() {
		c.name(v)
	}
	if u.Privacy.IsNull() {
		c.add("privacy", "null", "must not be null")
	}
	checkOpt(u.Privacy, func(v BoardPrivacy) { oneOf(&c, "privacy", v, BoardPublic, BoardSecret) })
	return c.err()
}

// BoardListOptions choose which boards are listed.
type BoardListOptions struct {
	ListOptions
	Privacy string // ALL, PUBLIC, PROTECTED, SECRET or PUBLIC_AND_SECRET; empty: the API's default
}

func (o *BoardListOptions) query() listQuery {
	if o == nil {
		return listQuery{}
	}
	q := listQuery{page: o.ListOptions}
	q.choice("privacy", o.Privacy, "ALL", "PUBLIC", "PROTECTED", "SECRET", "PUBLIC_AND_SECRET")
	return q
}

// BoardPinsOptions choose which pins of a board are listed.
type BoardPinsOptions struct {
	ListOptions
	CreativeTypes []CreativeType // any of these
	Metrics       bool           // fill Pin.PinMetrics
}

func (o *BoardPinsOptions) query() listQuery {
	if o == nil {
		return listQuery{}
	}
	q := listQuery{page: o.ListOptions}
	q.pins(o.CreativeTypes, o.Metrics)
	return q
}

// Create makes a board. After an ambiguous failure the account's boards are
// looked up by name before anything is sent again; a name that is taken by an
// earlier attempt of the same call is its success, not a conflict.
//
// Errors to expect: ErrInvalid, ErrConflict (the name is taken), ErrUncertain.
//
// Operation boards/create: https://developers.pinterest.com/docs/api/v5/boards-create
func (s *BoardsService) Create(ctx context.Context, board BoardCreate, opts ...CallOption) (*Board, error) {
	return create(ctx, s.client, OpBoardsCreate, Request{Body: board}, wantBoard(board), finder[Board]{s.client.findBoards, madeBoard}, opts)
}

// Get returns a board by its numeric id.
//
// Operation boards/get: https://developers.pinterest.com/docs/api/v5/boards-get
func (s *BoardsService) Get(ctx context.Context, id string, opts ...CallOption) (*Board, error) {
	return invoke[Board](ctx, s.client, OpBoardsGet, Request{Path: []string{id}}, opts)
}

// List returns one page of the account's boards, newest first.
//
// Operation boards/list: https://developers.pinterest.com/docs/api/v5/boards-list
func (s *BoardsService) List(ctx context.Context, o *BoardListOptions, opts ...CallOption) (*Page[Board], error) {
	return list[Board](ctx, s.client, OpBoardsList, nil, o.query(), opts)
}

// All iterates over the account's boards, asking for pages as they are reached.
func (s *BoardsService) All(ctx context.Context, o *BoardListOptions, opts ...CallOption) iter.Seq2[*Board, error] {
	return all(ctx, s.client, OpBoardsList, nil, o.query(), boardID, opts)
}

// Update changes a board.
//
// Operation boards/update: https://developers.pinterest.com/docs/api/v5/boards-update
func (s *BoardsService) Update(ctx context.Context, id string, update BoardUpdate, opts ...CallOption) (*Board, error) {
	return invoke[Board](ctx, s.client, OpBoardsUpdate, Request{Path: []string{id}, Body: update}, opts)
}

// Delete deletes a board and all pins on it. If the answer to a first attempt
// is lost, the 404 of the second is taken for what it is: the board is gone.
//
// Operation boards/delete: https://developers.pinterest.com/docs/api/v5/boards-delete
func (s *BoardsService) Delete(ctx context.Context, id string, opts ...CallOption) error {
	s.client.creates.gone(id)
	return s.client.Do(ctx, OpBoardsDelete, Request{Path: []string{id}}, nil, opts...)
}

// ListPins returns one page of the pins on a board, those of its sections
// included, newest first.
//
// Operation boards/list_pins: https://developers.pinterest.com/docs/api/v5/boards-list_pins
func (s *BoardsService) ListPins(ctx context.Context, id string, o *BoardPinsOptions, opts ...CallOption) (*Page[Pin], error) {
	return list[Pin](ctx, s.client, OpBoardsListPins, []string{id}, o.query(), opts)
}

// AllPins iterates over the pins on a board, newest first, asking for pages as
// they are reached.
func (s *BoardsService) AllPins(ctx context.Context, id string, o *BoardPinsOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return all(ctx, s.client, OpBoardsListPins, []string{id}, o.query(), pinID, opts)
}
