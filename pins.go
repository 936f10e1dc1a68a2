package pinterest

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
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
	OpPinsUpdate = Operation{ID: "pins/update", Method: http.MethodPatch, Path: `/pins/{pin_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: pinsWrite, Removes: true}
	OpPinsDelete = Operation{ID: "pins/delete", Method: http.MethodDelete, Path: `/pins/{pin_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: pinsWrite, Removes: true, NoBody: true}
	OpPinsSave   = Operation{ID: "pins/save", Method: http.MethodPost, Path: `/pins/{pin_id:\d+}/save`, Kind: KindCreate, Category: CategoryOrgWrite, Scopes: pinsWrite}
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

// Complete implements [Completer].
func (p *Pin) Complete() bool { return p.ID != "" }

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
	ParentPinID    string      `json:"parent_pin_id,omitzero"`    // numeric id of the pin it is made from, which gives it what is left empty here
	SponsorID      string      `json:"sponsor_id,omitzero"`       // numeric id; closed beta
	MediaSource    MediaSource `json:"media_source,omitzero"`     // required, unless there is a ParentPinID

	// Marker is a query parameter of Link, "name=value", that no other pin of the
	// board has, such as "job=8841". [PinsService] adds it to Link, which it needs,
	// where it is missing; a pin that is sent in another way is not changed. An
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

// PinSave says where a pin is saved to.
type PinSave struct {
	BoardID        string `json:"board_id,omitzero"`         // numeric id; empty: the account's profile
	BoardSectionID string `json:"board_section_id,omitzero"` // numeric id
}

// Validate checks the ids as Save does before it sends anything.
func (p PinSave) Validate() error {
	var c Check
	c.OptionalID("board_id", p.BoardID)
	c.OptionalID("board_section_id", p.BoardSectionID)
	return c.Err()
}

// PinFilter leaves pins out of a list.
type PinFilter string

// The filters of [PinListOptions].
const (
	PinsExcludeNative    PinFilter = "exclude_native"    // saved ones only
	PinsExcludeRepins    PinFilter = "exclude_repins"    // own ones only
	PinsHaveBeenPromoted PinFilter = "has_been_promoted" // promoted ones only
)

// PinType chooses pins by who sees them.
type PinType string

// PinPrivate is a pin that only its owner sees.
const PinPrivate PinType = "PRIVATE"

// PinListOptions choose which of the account's pins are listed.
type PinListOptions struct {
	ListOptions
	Filter           PinFilter      // empty: no filter
	Type             PinType        // empty: the API's default
	CreativeTypes    []CreativeType // any of these; slow on large accounts
	IncludeProtected bool           // pins on protected boards, too
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

// Validate checks the options as List does before it sends anything.
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

// pinWant is what identifies a pin that was to be made.
type pinWant struct {
	BoardID     string `json:"board_id"`
	SectionID   string `json:"board_section_id,omitzero"`
	ParentPinID string `json:"parent_pin_id,omitzero"`
	Title       string `json:"title,omitzero"`
	Description string `json:"description,omitzero"`
	Link        string `json:"link,omitzero"`
	AltText     string `json:"alt_text,omitzero"`
	Marker      string `json:"marker,omitzero"`
}

func (p PinCreate) want() pinWant {
	return pinWant{
		BoardID: p.BoardID, SectionID: p.BoardSectionID, ParentPinID: p.ParentPinID,
		Title: p.Title, Description: p.Description, Link: p.Link, AltText: p.AltText, Marker: p.Marker,
	}
}

// Validate refuses a stored want that says too little.
func (w pinWant) Validate() error {
	var c Check
	c.ID("board_id", w.BoardID)
	c.OptionalID("parent_pin_id", w.ParentPinID)
	return c.Err()
}

// pinCreates are what the lookup is for.
var pinCreates = []Operation{OpPinsCreate, OpPinsSave}

// lookup finds the pin on its board, which lists the pins of its sections, too.
func (w pinWant) lookup() Lookup[Pin] {
	return Lookup[Pin]{
		Creates: pinCreates, Want: w, Key: w.key(),
		List: OpBoardsListPins, In: Request{Path: []string{w.BoardID}, Options: &ListOptions{PageSize: 100}},
		Match: w.matches, Unique: w.Marker != "",
		Made: func(p *Pin) (string, time.Time) { return p.ID, p.CreatedAt.Time },
	}
}

// key is what creates have in common whose pins could be taken for one another.
func (w pinWant) key() []string {
	switch {
	case w.Marker != "":
		return []string{"marker", w.Marker}
	case w.ParentPinID != "":
		// What is made from another pin takes over what it was not given, so its
		// texts do not tell it apart from others of the same parent.
		return []string{"parent", w.SectionID, w.ParentPinID}
	}
	return []string{w.SectionID, normal(w.Title), normal(w.Description), normal(w.Link), normal(w.AltText)}
}

// matches reports whether p has all that the wanted pin has. The image is not
// asked about: the API does not tell where it came from. Where there is a marker,
// nothing else is: only one pin of the board can carry it.
func (w pinWant) matches(p *Pin) bool {
	if p.BoardID != w.BoardID {
		return false
	}
	if w.Marker != "" {
		return hasMarker(p.Link, w.Marker)
	}
	// A pin made from another takes over what it was not given.
	taken := w.ParentPinID != ""
	same := func(want, got string) bool {
		want = normal(want)
		return want == normal(got) || taken && want == ""
	}
	return p.BoardSectionID == w.SectionID && p.ParentPinID == w.ParentPinID &&
		same(w.Title, p.Title) && same(w.Description, p.Description) && same(w.Link, p.Link) && same(w.AltText, p.AltText)
}

// normal undoes what the API does to texts: it gives a blank one back as one
// space, and trims.
func normal(s string) string { return strings.TrimSpace(s) }

// sameName compares names as the API does: without regard to case.
func sameName(a, b string) bool { return strings.EqualFold(normal(a), normal(b)) }

// hasMarker reports whether link carries the query parameter marker, which has
// the form "name=value".
func hasMarker(link, marker string) bool {
	name, value, ok := strings.Cut(marker, "=")
	u, err := url.Parse(link)
	return ok && err == nil && slices.Contains(u.Query()[name], value)
}

// addMarker puts the marker into the link's query, where it is not there yet.
func addMarker(link, marker string) string {
	if hasMarker(link, marker) {
		return link
	}
	u, err := url.Parse(link)
	if err != nil {
		return link
	}
	name, value, _ := strings.Cut(marker, "=")
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += url.QueryEscape(name) + "=" + url.QueryEscape(value)
	return u.String()
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
	return Call[Pin](ctx, s.client, OpPinsCreate, Request{Body: pin, Lookup: pin.want().lookup()}, opts...)
}

// CreateOnce makes a pin at most once for a key of the caller's, such as the id of
// a job: see the function [CreateOnce].
//
// Operation pins/create: https://developers.pinterest.com/docs/api/v5/pins-create
func (s *PinsService) CreateOnce(ctx context.Context, key string, pin PinCreate, opts ...CallOption) (*Pin, error) {
	pin = pin.marked()
	return CreateOnce[Pin](ctx, s.client, key, OpPinsCreate, Request{Body: pin, Lookup: pin.want().lookup()}, opts...)
}

// Intent describes a pin that is about to be made, for a program that keeps records
// of its own: see [Client.Intent].
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

// All iterates over the account's pins, newest first, asking for pages as they
// are reached.
func (s *PinsService) All(ctx context.Context, o *PinListOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return All[Pin](ctx, s.client, OpPinsList, Request{Options: o}, opts...)
}

// Update changes a pin. The API allows it to some apps only (beta): others are
// answered ErrForbidden.
//
// Operation pins/update: https://developers.pinterest.com/docs/api/v5/pins-update
func (s *PinsService) Update(ctx context.Context, id string, update PinUpdate, opts ...CallOption) (*Pin, error) {
	return Call[Pin](ctx, s.client, OpPinsUpdate, Request{Path: []string{id}, Body: update}, opts...)
}

// Delete deletes a pin. If the answer to a first attempt is lost, the 404 of
// the second is taken for what it is: the pin is gone.
//
// Operation pins/delete: https://developers.pinterest.com/docs/api/v5/pins-delete
func (s *PinsService) Delete(ctx context.Context, id string, opts ...CallOption) error {
	return s.client.Do(ctx, OpPinsDelete, Request{Path: []string{id}}, nil, opts...)
}

// Save saves a pin to a board, which makes a new pin each time. An ambiguous
// failure is looked up on the board, as with Create; without a board it ends
// with disposition uncertain.
//
// Operation pins/save: https://developers.pinterest.com/docs/api/v5/pins-save
func (s *PinsService) Save(ctx context.Context, id string, to PinSave, opts ...CallOption) (*Pin, error) {
	req := Request{Path: []string{id}, Body: to}
	if to.BoardID != "" {
		req.Lookup = pinWant{BoardID: to.BoardID, SectionID: to.BoardSectionID, ParentPinID: id}.lookup()
	}
	return Call[Pin](ctx, s.client, OpPinsSave, req, opts...)
}

// Resolve looks up what became of a Create or a Save that ended uncertain: see
// the function [Resolve].
func (s *PinsService) Resolve(ctx context.Context, u Uncertain, opts ...CallOption) (*Resolution[Pin], error) {
	return Resolve(ctx, s.client, u, pinWant.lookup, opts...)
}
