package pinterest

import (
	"context"
	"iter"
	"reflect"
	"regexp"
	"strings"
)

// PinsService calls the operations on pins.
type PinsService struct{ client *Client }

// Pin is a pin as the API returns it. Fields that it leaves out or sends as
// null are zero.
type Pin struct {
	ID              string       `json:"id"`
	CreatedAt       Time         `json:"created_at"` // whole seconds
	Title           string       `json:"title"`
	Description     string       `json:"description"` // a blank one comes back as one space
	Link            string       `json:"link"`
	AltText         string       `json:"alt_text"`
	BoardID         string       `json:"board_id"`
	BoardSectionID  string       `json:"board_section_id"`
	BoardOwner      BoardOwner   `json:"board_owner"`
	ParentPinID     string       `json:"parent_pin_id"` // the pin that this one was saved from
	DominantColor   string       `json:"dominant_color"`
	CreativeType    CreativeType `json:"creative_type"`
	Media           PinMedia     `json:"media"`
	IsOwner         bool         `json:"is_owner"`
	IsStandard      bool         `json:"is_standard"`
	HasBeenPromoted bool         `json:"has_been_promoted"`
	PinMetrics      *PinMetrics  `json:"pin_metrics"` // only when asked for
}

func (p *Pin) complete() bool { return p.ID != "" }

func pinID(p *Pin) string { return p.ID }

// PinMetrics is how a pin has done, by metric (pin_click, impression,
// clickthrough; for the lifetime also reaction and comment).
type PinMetrics struct {
	NinetyDays map[string]float64 `json:"90d"`
	Lifetime   map[string]float64 `json:"lifetime_metrics"`
}

// CreativeType is the format of a pin. Values that are not named here survive.
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

// PinCreate is a pin to be made.
type PinCreate struct {
	BoardID        string      `json:"board_id"`                  // numeric id, required
	BoardSectionID string      `json:"board_section_id,omitzero"` // numeric id of a section of the board
	Title          string      `json:"title,omitzero"`            // at most 100 characters
	Description    string      `json:"description,omitzero"`      // at most 800 characters
	Link           string      `json:"link,omitzero"`             // http or https, at most 2048 characters
	AltText        string      `json:"alt_text,omitzero"`         // at most 500 characters
	DominantColor  string      `json:"dominant_color,omitzero"`   // such as "#6E7874"
	ParentPinID    string      `json:"parent_pin_id,omitzero"`    // numeric id of the pin it is made from
	SponsorID      string      `json:"sponsor_id,omitzero"`       // numeric id; closed beta
	MediaSource    MediaSource `json:"media_source,omitzero"`     // required, unless there is a ParentPinID

	// Marker is a query parameter of Link, "name=value", that no other pin of the
	// board has, such as "job=8841". It is added to Link where it is missing. An
	// ambiguous create is then recognised by it alone, which holds across
	// processes and against pins of equal content; without one, equal creates are
	// told apart only within one client.
	Marker string `json:"-"`
}

var reColor = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

// Validate checks the pin as Create does before it sends anything. A scheduler
// can call it when a pin is entered, instead of learning of a mistake when it
// is due.
func (p PinCreate) Validate() error {
	var c checker
	c.id("board_id", p.BoardID)
	c.optionalID("board_section_id", p.BoardSectionID)
	c.length("title", p.Title, maxTitle)
	c.length("description", p.Description, maxDescription)
	c.optionalLink("link", p.Link, maxLink)
	c.length("alt_text", p.AltText, maxAltText)
	p.checkMarker(&c)
	if p.DominantColor != "" && !reColor.MatchString(p.DominantColor) {
		c.add("dominant_color", p.DominantColor, "must be # and six hexadecimal digits")
	}
	c.optionalID("parent_pin_id", p.ParentPinID)
	c.optionalID("sponsor_id", p.SponsorID)
	switch {
	case p.MediaSource.SourceType == SourcePinURL && p.ParentPinID == "" && p.Link == "":
		c.add("media_source", "", "of type pin_url needs a parent_pin_id or a link")
	case p.MediaSource.SourceType != "":
		p.MediaSource.check(&c)
	case p.ParentPinID == "":
		c.add("media_source", "", "is required, such as ImageURL(...)")
	}
	return c.err()
}

func (p PinCreate) checkMarker(c *checker) {
	name, value, _ := strings.Cut(p.Marker, "=")
	switch {
	case p.Marker == "":
	case name == "" || value == "":
		c.add("marker", p.Marker, "must have the form name=value")
	case p.Link == "":
		c.add("marker", p.Marker, "needs a link to stand in")
	default:
		c.length("link", addMarker(p.Link, p.Marker), maxLink)
	}
}

// marked returns the pin with its marker in its link.
func (p PinCreate) marked() PinCreate {
	if p.Marker != "" && p.Link != "" {
		p.Link = addMarker(p.Link, p.Marker)
	}
	return p
}

// PinUpdate is a change of a pin. Fields not set stay as they are.
type PinUpdate struct {
	BoardID        Opt[string]         `json:"board_id,omitzero"`         // moves the pin
	BoardSectionID Opt[string]         `json:"board_section_id,omitzero"` // null takes it out of its section
	Title          Opt[string]         `json:"title,omitzero"`
	Description    Opt[string]         `json:"description,omitzero"`
	Link           Opt[string]         `json:"link,omitzero"`
	AltText        Opt[string]         `json:"alt_text,omitzero"`
	CarouselSlots  Opt[[]CarouselSlot] `json:"carousel_slots,omitzero"`
}

// CarouselSlot is the text of one image of a carousel.
type CarouselSlot struct {
	Title       string `json:"title,omitzero"`
	Description string `json:"description,omitzero"`
	Link        string `json:"link,omitzero"`
}

// Validate checks the change as Update does before it sends anything.
func (u PinUpdate) Validate() error {
	var c checker
	if reflect.ValueOf(u).IsZero() {
		c.add("", "", "the update changes nothing: set a field")
	}
	if v, ok := u.BoardID.Get(); ok || u.BoardID.IsNull() {
		c.id("board_id", v)
	}
	if v, ok := u.BoardSectionID.Get(); ok {
		c.id("board_section_id", v)
	}
	if u.CarouselSlots.IsNull() {
		c.add("carousel_slots", "null", "must not be null")
	}
	checkOpt(u.Title, func(v string) { c.length("title", v, maxTitle) })
	checkOpt(u.Description, func(v string) { c.length("description", v, maxDescription) })
	checkOpt(u.Link, func(v string) { c.optionalLink("link", v, maxLink) })
	checkOpt(u.AltText, func(v string) { c.length("alt_text", v, maxAltText) })
	return c.err()
}

func checkOpt[T any](o Opt[T], check func(T)) {
	if v, ok := o.Get(); ok {
		check(v)
	}
}

// PinSave says where a pin is saved to.
type PinSave struct {
	BoardID        string `json:"board_id,omitzero"`         // numeric id; empty: the account's profile
	BoardSectionID string `json:"board_section_id,omitzero"` // numeric id
}

// Validate checks the ids as Save does before it sends anything.
func (p PinSave) Validate() error {
	var c checker
	c.optionalID("board_id", p.BoardID)
	c.optionalID("board_section_id", p.BoardSectionID)
	return c.err()
}

// PinListOptions choose which of the account's pins are listed.
type PinListOptions struct {
	ListOptions
	Filter           string         // exclude_native, exclude_repins or has_been_promoted
	Type             string         // PRIVATE
	CreativeTypes    []CreativeType // any of these; slow on large accounts
	IncludeProtected bool           // pins on protected boards, too
	Metrics          bool           // fill Pin.PinMetrics
}

func (o *PinListOptions) query() listQuery {
	if o == nil {
		return listQuery{}
	}
	q := listQuery{page: o.ListOptions}
	q.pins(o.CreativeTypes, o.Metrics)
	q.choice("pin_filter", o.Filter, "exclude_native", "exclude_repins", "has_been_promoted")
	q.choice("pin_type", o.Type, "PRIVATE")
	if o.IncludeProtected {
		q.add("include_protected_pins", "true")
	}
	return q
}

// pins adds the parameters that all lists of pins take.
func (q *listQuery) pins(types []CreativeType, metrics bool) {
	for _, t := range types {
		q.add("creative_types", string(t))
	}
	if metrics {
		q.add("pin_metrics", "true")
	}
}

// Create makes a pin. After an ambiguous failure the board is read back before
// anything is sent again: a pin that was made all the same is returned as the
// result, and what cannot be known ends with disposition uncertain.
//
// Errors to expect: ErrInvalid, ErrNotFound (board or section), ErrForbidden,
// ErrTrialAccess, ErrMediaUnreachable, ErrBlocked, ErrBlockedLink, ErrUncertain.
//
// Operation pins/create: https://developers.pinterest.com/docs/api/v5/pins-create
func (s *PinsService) Create(ctx context.Context, pin PinCreate, opts ...CallOption) (*Pin, error) {
	pin = pin.marked()
	return create(ctx, s.client, OpPinsCreate, Request{Body: pin}, wantPin(pin), finder[Pin]{s.client.findPins, madePin}, opts)
}

// Get returns a pin by its numeric id.
//
// Operation pins/get: https://developers.pinterest.com/docs/api/v5/pins-get
func (s *PinsService) Get(ctx context.Context, id string, opts ...CallOption) (*Pin, error) {
	return invoke[Pin](ctx, s.client, OpPinsGet, Request{Path: []string{id}}, opts)
}

// List returns one page of the account's pins, newest first.
//
// Operation pins/list: https://developers.pinterest.com/docs/api/v5/pins-list
func (s *PinsService) List(ctx context.Context, o *PinListOptions, opts ...CallOption) (*Page[Pin], error) {
	return list[Pin](ctx, s.client, OpPinsList, nil, o.query(), opts)
}

// All iterates over the account's pins, newest first, asking for pages as they
// are reached.
func (s *PinsService) All(ctx context.Context, o *PinListOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return all(ctx, s.client, OpPinsList, nil, o.query(), pinID, opts)
}

// Update changes a pin. The API allows it to some apps only (beta): others are
// answered ErrForbidden.
//
// Operation pins/update: https://developers.pinterest.com/docs/api/v5/pins-update
func (s *PinsService) Update(ctx context.Context, id string, update PinUpdate, opts ...CallOption) (*Pin, error) {
	s.client.creates.gone(id) // it may move to another board
	return invoke[Pin](ctx, s.client, OpPinsUpdate, Request{Path: []string{id}, Body: update}, opts)
}

// Delete deletes a pin. If the answer to a first attempt is lost, the 404 of
// the second is taken for what it is: the pin is gone.
//
// Operation pins/delete: https://developers.pinterest.com/docs/api/v5/pins-delete
func (s *PinsService) Delete(ctx context.Context, id string, opts ...CallOption) error {
	s.client.creates.gone(id)
	return s.client.Do(ctx, OpPinsDelete, Request{Path: []string{id}}, nil, opts...)
}

// Save saves a pin to a board, which makes a new pin each time. An ambiguous
// failure is looked up on the board, as with Create; without a board it ends
// with disposition uncertain.
//
// Operation pins/save: https://developers.pinterest.com/docs/api/v5/pins-save
func (s *PinsService) Save(ctx context.Context, id string, to PinSave, opts ...CallOption) (*Pin, error) {
	return create(ctx, s.client, OpPinsSave, Request{Path: []string{id}, Body: to}, wantSave(id, to), finder[Pin]{s.client.findPins, madePin}, opts)
}
