package pinterest

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"github.com/pinterest-go/pinterest/internal/canonical"
)

var (
	pinsRead  = []Scope{ScopeBoardsRead, ScopePinsRead}
	pinsWrite = []Scope{ScopeBoardsRead, ScopeBoardsWrite, ScopePinsRead, ScopePinsWrite}
)

// The operations on pins. Treat them as constants.
var (
	OpPinsCreate = Operation{ID: "pins/create", Method: http.MethodPost, Path: "/pins", Kind: KindCreate, Category: CategoryOrgWrite, Scopes: pinsWrite}
	OpPinsList   = Operation{ID: "pins/list", Method: http.MethodGet, Path: "/pins", Kind: KindRead, Category: CategoryOrgRead, Scopes: pinsRead}
	OpPinsGet    = Operation{ID: "pins/get", Method: http.MethodGet, Path: `/pins/{pin_id:\d+}`, Kind: KindRead, Category: CategoryOrgRead, Scopes: pinsRead}
	// OpPinsUpdate can move a pin to another board.
	OpPinsUpdate = Operation{ID: "pins/update", Method: http.MethodPatch, Path: `/pins/{pin_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: pinsWrite}
	OpPinsDelete = Operation{ID: "pins/delete", Method: http.MethodDelete, Path: `/pins/{pin_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: pinsWrite, Removes: true, NoBody: true}
	OpPinsSave   = Operation{ID: "pins/save", Method: http.MethodPost, Path: `/pins/{pin_id:\d+}/save`, Kind: KindCreate, Category: CategoryOrgWrite, Scopes: pinsWrite}
)

// PinsService calls the operations on pins.
type PinsService struct{ client *Client }

// Pin is a pin as the API returns it. Fields that are missing or null in the answer
// are zero.
type Pin struct {
	ID              string       `json:"id"`
	CreatedAt       Time         `json:"created_at"` // whole seconds
	Title           string       `json:"title"`
	Description     string       `json:"description"` // the API returns an empty one as one space
	Link            string       `json:"link"`
	AltText         string       `json:"alt_text"`
	BoardID         string       `json:"board_id"`
	BoardSectionID  string       `json:"board_section_id"`
	BoardOwner      BoardOwner   `json:"board_owner"`
	ParentPinID     string       `json:"parent_pin_id"` // the pin that this one was saved from
	DominantColor   string       `json:"dominant_color"`
	CreativeType    CreativeType `json:"creative_type"`
	Media           PinMedia     `json:"media"`
	IsOwner         *bool        `json:"is_owner"` // whether the account owns it; nil if the API did not say
	IsStandard      bool         `json:"is_standard"`
	HasBeenPromoted bool         `json:"has_been_promoted"`
	PinMetrics      *PinMetrics  `json:"pin_metrics"` // only if the options asked for it
}

// Complete implements [Completer].
func (p *Pin) Complete() bool { return strings.TrimSpace(p.ID) != "" }

// PinMetrics contains the metrics of a pin by name (pin_click, impression,
// clickthrough; for the lifetime also reaction and comment).
type PinMetrics struct {
	NinetyDays map[string]float64 `json:"90d"`
	Lifetime   map[string]float64 `json:"lifetime_metrics"`
}

// CreativeType is the format of a pin. Values without a constant are kept as they
// are.
type CreativeType string

// The creative types of the API description.
const (
	CreativeRegular    CreativeType = "REGULAR"
	CreativeVideo      CreativeType = "VIDEO"
	CreativeShopping   CreativeType = "SHOPPING"
	CreativeCarousel   CreativeType = "CAROUSEL"
	CreativeMaxVideo   CreativeType = "MAX_VIDEO"
	CreativeCollection CreativeType = "COLLECTION"
	CreativeIdea       CreativeType = "IDEA"
	CreativeShowcase   CreativeType = "SHOWCASE"
	CreativeQuiz       CreativeType = "QUIZ"
	CreativeCollage    CreativeType = "COLLAGE"
)

// Limits of a pin's fields, in characters.
const (
	maxTitle       = 100
	maxDescription = 800
	maxAltText     = 500
	maxLink        = 2048
)

// PinCreate is the request to create a pin.
type PinCreate struct {
	BoardID        string      `json:"board_id"`                  // numeric id, required
	BoardSectionID string      `json:"board_section_id,omitzero"` // numeric id of a section of the board
	Title          string      `json:"title,omitzero"`            // at most 100 characters
	Description    string      `json:"description,omitzero"`      // at most 800 characters
	Link           string      `json:"link,omitzero"`             // http or https, at most 2048 characters
	AltText        string      `json:"alt_text,omitzero"`         // at most 500 characters
	DominantColor  string      `json:"dominant_color,omitzero"`   // such as "#6E7874"
	ParentPinID    string      `json:"parent_pin_id,omitzero"`    // numeric id of the pin it is made from, which gives it what is left empty here
	SponsorID      string      `json:"sponsor_id,omitzero"`       // numeric id; closed beta
	MediaSource    MediaSource `json:"media_source,omitzero"`     // required, unless there is a ParentPinID

	// Marker is a query parameter of Link, "name=value", that no other pin of the
	// board has, such as "job=8841". It is added to Link if it is missing. A look-up
	// then recognises the pin by its marker alone, across processes and among pins of
	// equal content. Without a marker, equal creates are distinguished only within one
	// process, or with a [Ledger]. It is not part of the pin's JSON: a program that stores pins as JSON has to
	// store it beside them.
	Marker string `json:"-"`
}

var reColor = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

// Validate does the checks that Create does before it sends anything. A scheduler
// can call it when a user enters a pin, so that mistakes show before the pin is
// due.
func (p PinCreate) Validate() error {
	var c Check
	c.ID("board_id", p.BoardID)
	c.OptionalID("board_section_id", p.BoardSectionID)
	c.Length("title", p.Title, maxTitle)
	c.Length("description", p.Description, maxDescription)
	c.OptionalLink("link", p.Link, maxLink)
	c.Length("alt_text", p.AltText, maxAltText)
	p.checkMarker(&c)
	if p.DominantColor != "" && !reColor.MatchString(p.DominantColor) {
		c.Add("dominant_color", p.DominantColor, "must be # and six hexadecimal digits")
	}
	c.OptionalID("parent_pin_id", p.ParentPinID)
	c.OptionalID("sponsor_id", p.SponsorID)
	switch {
	case p.MediaSource.SourceType == SourcePinURL && p.ParentPinID == "" && p.Link == "":
		c.Add("media_source", "", "of type pin_url needs a parent_pin_id or a link")
	case p.MediaSource.SourceType != "":
		p.MediaSource.check(&c)
	case p.ParentPinID == "":
		c.Add("media_source", "", "is required, such as ImageURL(...)")
	}
	return c.Err()
}

func (p PinCreate) checkMarker(c *Check) {
	name, value, _ := strings.Cut(p.Marker, "=")
	switch {
	case p.Marker == "":
	case name == "" || value == "":
		c.Add("marker", p.Marker, "must have the form name=value")
	case p.Link == "":
		c.Add("marker", p.Marker, "needs a link to stand in")
	case canonical.IsTracking(name):
		c.Add("marker", p.Marker, "must not be a tracking parameter, which Pinterest may remove")
	default:
		c.Length("link", addMarker(p.Link, p.Marker), maxLink)
	}
}

// marked returns the pin with its marker in its link.
func (p PinCreate) marked() PinCreate {
	if p.Marker != "" && p.Link != "" {
		p.Link = addMarker(p.Link, p.Marker)
	}
	return p
}

// PinUpdate is the request to change a pin. Fields that are not set stay unchanged.
type PinUpdate struct {
	BoardID        Opt[string]         `json:"board_id,omitzero"`         // moves the pin
	BoardSectionID Opt[string]         `json:"board_section_id,omitzero"` // null takes it out of its section
	Title          Opt[string]         `json:"title,omitzero"`
	Description    Opt[string]         `json:"description,omitzero"`
	Link           Opt[string]         `json:"link,omitzero"`
	AltText        Opt[string]         `json:"alt_text,omitzero"`
	CarouselSlots  Opt[[]CarouselSlot] `json:"carousel_slots,omitzero"`
}

// CarouselSlot contains the texts of one image of a carousel.
type CarouselSlot struct {
	Title       string `json:"title,omitzero"`
	Description string `json:"description,omitzero"`
	Link        string `json:"link,omitzero"`
}

// Validate does the checks that Update does before it sends anything.
func (u PinUpdate) Validate() error {
	var c Check
	if reflect.ValueOf(u).IsZero() {
		c.Add("", "", "the update changes nothing: set a field")
	}
	if v, ok := u.BoardID.Get(); ok || u.BoardID.IsNull() {
		c.ID("board_id", v)
	}
	if v, ok := u.BoardSectionID.Get(); ok {
		c.ID("board_section_id", v)
	}
	if u.CarouselSlots.IsNull() {
		c.Add("carousel_slots", "null", "must not be null")
	}
	if v, ok := u.Title.Get(); ok {
		c.Length("title", v, maxTitle)
	}
	if v, ok := u.Description.Get(); ok {
		c.Length("description", v, maxDescription)
	}
	if v, ok := u.Link.Get(); ok {
		c.OptionalLink("link", v, maxLink)
	}
	if v, ok := u.AltText.Get(); ok {
		c.Length("alt_text", v, maxAltText)
	}
	return c.Err()
}

// PinSave says where to save a pin.
type PinSave struct {
	BoardID        string `json:"board_id,omitzero"`         // numeric id; empty: the account's profile
	BoardSectionID string `json:"board_section_id,omitzero"` // numeric id
}

// Validate does the checks that Save does before it sends anything.
func (p PinSave) Validate() error {
	var c Check
	c.OptionalID("board_id", p.BoardID)
	c.OptionalID("board_section_id", p.BoardSectionID)
	return c.Err()
}

// want identifies the pin that saving the pin id makes.
func (p PinSave) want(id string) pinWant {
	return pinWant{BoardID: p.BoardID, SectionID: p.BoardSectionID, ParentPinID: id}
}

// boardSave is a PinSave that can be looked up, since it names its board.
type boardSave struct{ PinSave }

// Validate does the checks that SaveOnce does before it sends anything.
func (p boardSave) Validate() error {
	var c Check
	c.ID("board_id", p.BoardID)
	c.OptionalID("board_section_id", p.BoardSectionID)
	return c.Err()
}

// PinFilter excludes pins from a list.
type PinFilter string

// The filters of [PinListOptions].
const (
	PinsExcludeNative    PinFilter = "exclude_native"    // only saved pins
	PinsExcludeRepins    PinFilter = "exclude_repins"    // only the account's own pins
	PinsHaveBeenPromoted PinFilter = "has_been_promoted" // only promoted pins
)

// PinType selects pins by who can see them.
type PinType string

// PinPrivate selects pins that only their owner can see.
const PinPrivate PinType = "PRIVATE"

// PinListOptions select which pins of the account are listed.
type PinListOptions struct {
	ListOptions
	Filter           PinFilter      // empty: no filter
	Type             PinType        // empty: the API's default
	CreativeTypes    []CreativeType // any of these; slow on large accounts
	IncludeProtected bool           // also pins on protected boards
	Metrics          bool           // fill Pin.PinMetrics
}

// Query returns the parameters, for [Request].Options.
func (o *PinListOptions) Query() url.Values {
	q := o.ListOptions.Query()
	addPinQuery(q, o.CreativeTypes, o.Metrics)
	if o.Filter != "" {
		q.Set("pin_filter", string(o.Filter))
	}
	if o.Type != "" {
		q.Set("pin_type", string(o.Type))
	}
	if o.IncludeProtected {
		q.Set("include_protected_pins", "true")
	}
	return q
}

// Validate does the checks that List does before it sends anything.
func (o *PinListOptions) Validate() error {
	var c Check
	if o.Filter != "" {
		OneOf(&c, "pin_filter", o.Filter, PinsExcludeNative, PinsExcludeRepins, PinsHaveBeenPromoted)
	}
	if o.Type != "" {
		OneOf(&c, "pin_type", o.Type, PinPrivate)
	}
	return errors.Join(o.ListOptions.Validate(), c.Err())
}

// addPinQuery adds the parameters that all lists of pins take.
func addPinQuery(q url.Values, types []CreativeType, metrics bool) {
	for _, t := range types {
		q.Add("creative_types", string(t))
	}
	if metrics {
		q.Set("pin_metrics", "true")
	}
}

// Create makes a pin. After an ambiguous failure it looks the pin up on the board
// before it sends anything again. If the pin was made, Create returns it. If nobody
// can tell, the call ends with disposition uncertain.
//
// Errors to expect: ErrInvalid, ErrNotFound (board or section), ErrForbidden,
// ErrTrialAccess, ErrMediaUnreachable, ErrBlocked, ErrBlockedLink, ErrUncertain.
//
// Operation pins/create: https://developers.pinterest.com/docs/api/v5/pins-create
func (s *PinsService) Create(ctx context.Context, pin PinCreate, opts ...CallOption) (*Pin, error) {
	pin = pin.marked()
	return Call[Pin](ctx, s.client, OpPinsCreate, Request{Body: pin, Lookup: pin.want().lookup()}, opts...)
}

// CreateOnce makes a pin at most once for a key of the caller's, such as the id of
// a job, across repeated calls and crashes. It needs a [Ledger]: see [WithLedger].
// The function [CreateOnce] has the details.
//
// Operation pins/create: https://developers.pinterest.com/docs/api/v5/pins-create
func (s *PinsService) CreateOnce(ctx context.Context, key string, pin PinCreate, opts ...CallOption) (*Pin, error) {
	pin = pin.marked()
	return CreateOnce[Pin](ctx, s.client, key, OpPinsCreate, Request{Body: pin, Lookup: pin.want().lookup()}, opts...)
}

// CreateAll makes pins, 8 at a time or as many as [Concurrency] says, and returns what
// became of each, in their order. One that fails does not stop the others. After a
// crash, nobody knows which of the pins were made: CreateAllOnce does.
//
// Operation pins/create: https://developers.pinterest.com/docs/api/v5/pins-create
func (s *PinsService) CreateAll(ctx context.Context, pins []PinCreate, opts ...CallOption) []Result[Pin] {
	return CreateAll(ctx, len(pins), func(ctx context.Context, i int, opts ...CallOption) (*Pin, error) {
		return s.Create(ctx, pins[i], opts...)
	}, opts...)
}

// KeyedPin is a pin for [PinsService.CreateAllOnce].
type KeyedPin struct {
	Key string // of its CreateOnce
	Pin PinCreate
}

// CreateAllOnce is CreateAll with a key for each pin. If it is called again after a
// failure or a crash, no pin is made twice: see CreateOnce. Pins with the same key are
// one pin, and other content with the same key is an [ErrKeyReused].
//
// Operation pins/create: https://developers.pinterest.com/docs/api/v5/pins-create
func (s *PinsService) CreateAllOnce(ctx context.Context, pins []KeyedPin, opts ...CallOption) []Result[Pin] {
	return CreateAll(ctx, len(pins), func(ctx context.Context, i int, opts ...CallOption) (*Pin, error) {
		return s.CreateOnce(ctx, pins[i].Key, pins[i].Pin, opts...)
	}, opts...)
}

// Intent describes a pin that is about to be created, for a program that keeps its
// own records: see [Client.Intent].
func (s *PinsService) Intent(pin PinCreate, opts ...CallOption) (*Uncertain, error) {
	pin = pin.marked()
	return s.client.Intent(OpPinsCreate, Request{Body: pin, Lookup: pin.want().lookup()}, opts...)
}

// Get returns a pin by its numeric id.
//
// Operation pins/get: https://developers.pinterest.com/docs/api/v5/pins-get
func (s *PinsService) Get(ctx context.Context, id string, opts ...CallOption) (*Pin, error) {
	return Call[Pin](ctx, s.client, OpPinsGet, Request{Path: []string{id}}, opts...)
}

// List returns one page of the account's pins, newest first.
//
// Operation pins/list: https://developers.pinterest.com/docs/api/v5/pins-list
func (s *PinsService) List(ctx context.Context, o *PinListOptions, opts ...CallOption) (*Page[Pin], error) {
	return List[Pin](ctx, s.client, OpPinsList, Request{Options: o}, opts...)
}

// All iterates over the account's pins, newest first. It fetches each page when the
// iteration reaches it.
func (s *PinsService) All(ctx context.Context, o *PinListOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return All[Pin](ctx, s.client, OpPinsList, Request{Options: o}, opts...)
}

// Update changes a pin. The API allows this to some apps only (beta). Others get
// ErrForbidden.
//
// Operation pins/update: https://developers.pinterest.com/docs/api/v5/pins-update
func (s *PinsService) Update(ctx context.Context, id string, update PinUpdate, opts ...CallOption) (*Pin, error) {
	op := OpPinsUpdate
	op.Removes = !update.BoardID.IsZero() // from the list of its board
	return Call[Pin](ctx, s.client, op, Request{Path: []string{id}, Body: update}, opts...)
}

// Delete deletes a pin. If the answer to the first attempt is lost and the second
// gets a 404, the call succeeds: the first attempt has deleted the pin.
//
// Operation pins/delete: https://developers.pinterest.com/docs/api/v5/pins-delete
func (s *PinsService) Delete(ctx context.Context, id string, opts ...CallOption) error {
	return s.client.Do(ctx, OpPinsDelete, Request{Path: []string{id}}, nil, opts...)
}

// Save saves a pin to a board, which makes a new pin each time. After an ambiguous
// failure it looks the new pin up on the board, as Create does. Without a board,
// such a call ends with disposition uncertain.
//
// Operation pins/save: https://developers.pinterest.com/docs/api/v5/pins-save
func (s *PinsService) Save(ctx context.Context, id string, to PinSave, opts ...CallOption) (*Pin, error) {
	req := Request{Path: []string{id}, Body: to}
	if to.BoardID != "" {
		req.Lookup = to.want(id).lookup()
	}
	return Call[Pin](ctx, s.client, OpPinsSave, req, opts...)
}

// SaveOnce saves a pin to a board at most once for a key of the caller's, across
// repeated calls and crashes: see CreateOnce. The board is required.
//
// Operation pins/save: https://developers.pinterest.com/docs/api/v5/pins-save
func (s *PinsService) SaveOnce(ctx context.Context, key, id string, to PinSave, opts ...CallOption) (*Pin, error) {
	return CreateOnce[Pin](ctx, s.client, key, OpPinsSave, Request{Path: []string{id}, Body: boardSave{to}, Lookup: to.want(id).lookup()}, opts...)
}

// Resolve looks up what became of a Create or a Save that ended uncertain: see
// the function [Resolve].
func (s *PinsService) Resolve(ctx context.Context, u Uncertain, opts ...CallOption) (*Resolution[Pin], error) {
	return Resolve(ctx, s.client, u, pinWant.lookup, opts...)
}
