package seamtest

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
)

var (
	pinsRead  = []pinterest.Scope{pinterest.ScopeBoardsRead, pinterest.ScopePinsRead}
	pinsWrite = []pinterest.Scope{pinterest.ScopeBoardsRead, pinterest.ScopeBoardsWrite, pinterest.ScopePinsRead, pinterest.ScopePinsWrite}
)

var (
	opPinsCreate = pinterest.Operation{ID: "pins/create", Method: http.MethodPost, Path: "/pins",
		Kind: pinterest.KindCreate, Category: pinterest.CategoryOrgWrite, Scopes: pinsWrite}
	opPinsGet = pinterest.Operation{ID: "pins/get", Method: http.MethodGet, Path: `/pins/{pin_id:\d+}`,
		Kind: pinterest.KindRead, Category: pinterest.CategoryOrgRead, Scopes: pinsRead}
	opPinsUpdate = pinterest.Operation{ID: "pins/update", Method: http.MethodPatch, Path: `/pins/{pin_id:\d+}`,
		Kind: pinterest.KindWrite, Category: pinterest.CategoryOrgWrite, Scopes: pinsWrite}
	opPinsDelete = pinterest.Operation{ID: "pins/delete", Method: http.MethodDelete, Path: `/pins/{pin_id:\d+}`,
		Kind: pinterest.KindWrite, Category: pinterest.CategoryOrgWrite, Scopes: pinsWrite, Removes: true, NoBody: true}
	opPinsSave = pinterest.Operation{ID: "pins/save", Method: http.MethodPost, Path: `/pins/{pin_id:\d+}/save`,
		Kind: pinterest.KindCreate, Category: pinterest.CategoryOrgWrite, Scopes: pinsWrite}
	opBoardPins = pinterest.Operation{ID: "boards/list_pins", Method: http.MethodGet, Path: `/boards/{board_id:\d+}/pins`,
		Kind: pinterest.KindRead, Category: pinterest.CategoryOrgRead, Scopes: pinsRead}
)

// Pins calls the operations on pins.
type Pins struct{ client *pinterest.Client }

// Create makes a pin.
func (s *Pins) Create(ctx context.Context, pin pinterest.PinCreate, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	return pinterest.Call[pinterest.Pin](ctx, s.client, opPinsCreate, createRequest(pin), opts...)
}

// Intent describes a pin that is about to be made.
func (s *Pins) Intent(pin pinterest.PinCreate, opts ...pinterest.CallOption) (*pinterest.Uncertain, error) {
	return s.client.Intent(opPinsCreate, createRequest(pin), opts...)
}

// CreateOnce makes a pin at most once for a key.
func (s *Pins) CreateOnce(ctx context.Context, key string, pin pinterest.PinCreate, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	return pinterest.CreateOnce[pinterest.Pin](ctx, s.client, key, opPinsCreate, createRequest(pin), opts...)
}

// Get returns a pin.
func (s *Pins) Get(ctx context.Context, id string, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	return pinterest.Call[pinterest.Pin](ctx, s.client, opPinsGet, pinterest.Request{Path: []string{id}}, opts...)
}

// Update changes a pin.
func (s *Pins) Update(ctx context.Context, id string, update pinterest.PinUpdate, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	op := opPinsUpdate
	op.Removes = !update.BoardID.IsZero()
	return pinterest.Call[pinterest.Pin](ctx, s.client, op, pinterest.Request{Path: []string{id}, Body: update}, opts...)
}

// Delete deletes a pin.
func (s *Pins) Delete(ctx context.Context, id string, opts ...pinterest.CallOption) error {
	return s.client.Do(ctx, opPinsDelete, pinterest.Request{Path: []string{id}}, nil, opts...)
}

// Save saves a pin to a board.
func (s *Pins) Save(ctx context.Context, id string, to pinterest.PinSave, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	return pinterest.Call[pinterest.Pin](ctx, s.client, opPinsSave, saveRequest(id, to), opts...)
}

// SaveOnce saves a pin to a board at most once for a key.
func (s *Pins) SaveOnce(ctx context.Context, key, id string, to pinterest.PinSave, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
	return pinterest.CreateOnce[pinterest.Pin](ctx, s.client, key, opPinsSave, saveRequest(id, to), opts...)
}

func saveRequest(id string, to pinterest.PinSave) pinterest.Request {
	req := pinterest.Request{Path: []string{id}, Body: to}
	if to.BoardID != "" { // the pins of the profile cannot be listed
		req.Lookup = pinWant{BoardID: to.BoardID, SectionID: to.BoardSectionID, ParentPinID: id}.lookup()
	}
	return req
}

// CreateAll is PinsService.CreateAll.
func (s *Pins) CreateAll(ctx context.Context, pins []pinterest.PinCreate, opts ...pinterest.CallOption) []pinterest.Result[pinterest.Pin] {
	return pinterest.CreateAll(ctx, len(pins), func(ctx context.Context, i int, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
		return s.Create(ctx, pins[i], opts...)
	}, opts...)
}

// CreateAllOnce is PinsService.CreateAllOnce.
func (s *Pins) CreateAllOnce(ctx context.Context, pins []pinterest.KeyedPin, opts ...pinterest.CallOption) []pinterest.Result[pinterest.Pin] {
	return pinterest.CreateAll(ctx, len(pins), func(ctx context.Context, i int, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
		return s.CreateOnce(ctx, pins[i].Key, pins[i].Pin, opts...)
	}, opts...)
}

// Resolve looks up what became of a Create or a Save that ended uncertain.
func (s *Pins) Resolve(ctx context.Context, u pinterest.Uncertain, opts ...pinterest.CallOption) (*pinterest.Resolution[pinterest.Pin], error) {
	return pinterest.Resolve(ctx, s.client, u, pinWant.lookup, opts...)
}

func createRequest(pin pinterest.PinCreate) pinterest.Request {
	pin.Link = withMarker(pin.Link, pin.Marker)
	want := pinWant{
		BoardID: pin.BoardID, SectionID: pin.BoardSectionID, ParentPinID: pin.ParentPinID,
		Title: pin.Title, Description: pin.Description, Link: pin.Link, AltText: pin.AltText, Marker: pin.Marker,
	}
	if pin.MediaSource.SourceType == pinterest.SourceVideoID {
		want.Media = pinterest.MediaVideo
	}
	return pinterest.Request{Body: pin, Lookup: want.lookup()}
}

// pinWant is what identifies a pin on its board.
type pinWant struct {
	BoardID     string `json:"board_id"`
	SectionID   string `json:"board_section_id,omitzero"`
	ParentPinID string `json:"parent_pin_id,omitzero"`
	Title       string `json:"title,omitzero"`
	Description string `json:"description,omitzero"`
	Link        string `json:"link,omitzero"`
	AltText     string `json:"alt_text,omitzero"`
	Marker      string `json:"marker,omitzero"`

	Media pinterest.MediaType `json:"media,omitzero"` // "": not known
}

// Validate is asked of a want that was stored.
func (w pinWant) Validate() error {
	var check pinterest.Check
	check.ID("board_id", w.BoardID)
	check.OptionalID("board_section_id", w.SectionID)
	check.OptionalID("parent_pin_id", w.ParentPinID)
	return check.Err()
}

func (w pinWant) lookup() pinterest.Lookup[pinterest.Pin] {
	return pinterest.Lookup[pinterest.Pin]{
		Creates: []pinterest.Operation{opPinsCreate, opPinsSave},
		Want:    w,
		List:    opBoardPins,
		In:      lookIn(w.BoardID),
		Match:   w.matches,
		Made:    func(p *pinterest.Pin) (string, time.Time) { return p.ID, p.CreatedAt.Time },
		Key:     w.key(),
		Unique:  w.Marker != "",
		Near:    w.resembles,
		Count:   w.count,
		Get:     opPinsGet,
		Late:    w.Media == pinterest.MediaVideo,
	}
}

// count asks the board how many pins it has.
func (w pinWant) count(ctx context.Context, c *pinterest.Client, opts ...pinterest.CallOption) (int, error) {
	board, err := pinterest.Call[pinterest.Board](ctx, c, opBoardsGet, pinterest.Request{Path: []string{w.BoardID}}, opts...)
	if err != nil {
		return 0, err
	}
	return board.PinCount, nil
}

// resembles finds the pin in a form that matches does not know.
func (w pinWant) resembles(p *pinterest.Pin) bool {
	alike := func(sent, got string) bool {
		return trimmed(sent) != "" && strings.EqualFold(trimmed(sent), trimmed(got))
	}
	return w.Marker == "" && p.BoardID == w.BoardID && (p.IsOwner == nil || *p.IsOwner) && (w.ParentPinID == "" || p.ParentPinID == w.ParentPinID) &&
		(alike(w.Title, p.Title) || alike(w.Description, p.Description) || alike(w.AltText, p.AltText) || alike(w.Link, p.Link))
}

func (w pinWant) matches(p *pinterest.Pin) bool {
	if p.BoardID != w.BoardID {
		return false
	}
	if w.Marker != "" {
		return hasMarker(p.Link, w.Marker)
	}
	return p.BoardSectionID == w.SectionID && p.ParentPinID == w.ParentPinID &&
		w.text(w.Title, p.Title) && w.text(w.Description, p.Description) && w.text(w.Link, p.Link) && w.text(w.AltText, p.AltText)
}

// text compares one text. A pin that is made from another takes from it what it
// was not given.
func (w pinWant) text(sent, got string) bool {
	return sameText(sent, got) || w.ParentPinID != "" && trimmed(sent) == ""
}

// key returns what creates have in common that could be taken for one another.
func (w pinWant) key() []string {
	switch {
	case w.Marker != "":
		return []string{"marker", w.Marker}
	case w.ParentPinID != "":
		return []string{"parent", w.SectionID, w.ParentPinID}
	}
	key := []string{"pin", w.SectionID}
	for _, text := range []string{w.Title, w.Description, w.Link, w.AltText} {
		key = append(key, trimmed(text))
	}
	return key
}

// withMarker adds a marker, "name=value", to the query of a link that lacks it.
func withMarker(link, marker string) string {
	name, value, ok := strings.Cut(marker, "=")
	u, err := url.Parse(link)
	if !ok || link == "" || err != nil || hasMarker(link, marker) {
		return link // what is wrong with it is said by Validate
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += url.QueryEscape(name) + "=" + url.QueryEscape(value)
	return u.String()
}

func hasMarker(link, marker string) bool {
	name, value, _ := strings.Cut(marker, "=")
	u, err := url.Parse(link)
	if err != nil {
		return false
	}
	for _, got := range u.Query()[name] {
		if got == value {
			return true
		}
	}
	return false
}
