package pinterest

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"
)

// The operations on the sections of a board. Treat them as constants.
var (
	OpSectionsCreate   = Operation{ID: "board_sections/create", Method: http.MethodPost, Path: `/boards/{board_id:\d+}/sections`, Kind: KindCreate, Category: CategoryOrgWrite, Scopes: boardsWrite}
	OpSectionsList     = Operation{ID: "board_sections/list", Method: http.MethodGet, Path: `/boards/{board_id:\d+}/sections`, Kind: KindRead, Category: CategoryOrgRead, Scopes: boardsRead}
	OpSectionsUpdate   = Operation{ID: "board_sections/update", Method: http.MethodPatch, Path: `/boards/{board_id:\d+}/sections/{section_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: boardsWrite}
	OpSectionsDelete   = Operation{ID: "board_sections/delete", Method: http.MethodDelete, Path: `/boards/{board_id:\d+}/sections/{section_id:\d+}`, Kind: KindWrite, Category: CategoryOrgWrite, Scopes: boardsWrite, Removes: true, NoBody: true}
	OpSectionsListPins = Operation{ID: "board_sections/list_pins", Method: http.MethodGet, Path: `/boards/{board_id:\d+}/sections/{section_id:\d+}/pins`, Kind: KindRead, Category: CategoryOrgRead, Scopes: pinsRead}
)

// SectionsService calls the operations on the sections of a board.
type SectionsService struct{ client *Client }

// Section is a section of a board.
type Section struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Complete implements [Completer].
func (s *Section) Complete() bool { return strings.TrimSpace(s.ID) != "" }

// maxSectionName is the limit of a section's name, in characters.
const maxSectionName = 180

// SectionCreate is the request to create a section.
type SectionCreate struct {
	Name string `json:"name"` // 1 to 180 characters
}

// Validate does the checks that Create does before it sends anything.
func (s SectionCreate) Validate() error { return checkSectionName(s.Name) }

// SectionUpdate is the request to change a section.
type SectionUpdate struct {
	Name string `json:"name"` // 1 to 180 characters; required
}

// Validate does the checks that Update does before it sends anything.
func (u SectionUpdate) Validate() error { return checkSectionName(u.Name) }

func checkSectionName(name string) error {
	var c Check
	c.Required("name", name)
	c.Length("name", name, maxSectionName)
	return c.Err()
}

// sectionWant identifies the section of a create.
type sectionWant struct {
	BoardID string `json:"board_id"`
	Name    string `json:"name"`
}

// Validate refuses a stored want that does not identify a section.
func (w sectionWant) Validate() error {
	var c Check
	c.ID("board_id", w.BoardID)
	c.Required("name", w.Name)
	return c.Err()
}

// sectionCreates are the operations whose results the lookup finds.
var sectionCreates = []Operation{OpSectionsCreate}

// lookup finds the section of the board by its name. Sections have no creation time,
// so it may find an older section of that name. That is rare: for such a name the
// API answers with a conflict, which is looked up only after an ambiguous attempt.
func (w sectionWant) lookup() Lookup[Section] {
	return Lookup[Section]{
		Creates: sectionCreates, Want: w, Key: []string{nameKey(w.Name)}, Untimed: true,
		List: OpSectionsList, In: Request{Path: []string{w.BoardID}, Options: &ListOptions{PageSize: maxPageSize}},
		Match: func(s *Section) bool { return sameName(s.Name, w.Name) },
		Made:  func(s *Section) (string, time.Time) { return s.ID, time.Time{} },
	}
}

// Create makes a section of a board. After an ambiguous failure it looks the section
// up by its name before it sends anything again.
//
// Operation board_sections/create: https://developers.pinterest.com/docs/api/v5/board_sections-create
func (s *SectionsService) Create(ctx context.Context, boardID string, section SectionCreate, opts ...CallOption) (*Section, error) {
	want := sectionWant{BoardID: boardID, Name: section.Name}
	return Call[Section](ctx, s.client, OpSectionsCreate, Request{Path: []string{boardID}, Body: section, Lookup: want.lookup()}, opts...)
}

// CreateOnce makes a section of a board at most once for a key of the caller's, across
// repeated calls and crashes. It needs a [Ledger]: see [WithLedger]. The function
// [CreateOnce] has the details.
//
// Operation board_sections/create: https://developers.pinterest.com/docs/api/v5/board_sections-create
func (s *SectionsService) CreateOnce(ctx context.Context, key, boardID string, section SectionCreate, opts ...CallOption) (*Section, error) {
	want := sectionWant{BoardID: boardID, Name: section.Name}
	return CreateOnce[Section](ctx, s.client, key, OpSectionsCreate, Request{Path: []string{boardID}, Body: section, Lookup: want.lookup()}, opts...)
}

// List returns one page of the sections of a board.
//
// Operation board_sections/list: https://developers.pinterest.com/docs/api/v5/board_sections-list
func (s *SectionsService) List(ctx context.Context, boardID string, o *ListOptions, opts ...CallOption) (*Page[Section], error) {
	return List[Section](ctx, s.client, OpSectionsList, Request{Path: []string{boardID}, Options: o}, opts...)
}

// All iterates over the sections of a board. It fetches each page when the iteration
// reaches it.
func (s *SectionsService) All(ctx context.Context, boardID string, o *ListOptions, opts ...CallOption) iter.Seq2[*Section, error] {
	return All[Section](ctx, s.client, OpSectionsList, Request{Path: []string{boardID}, Options: o}, opts...)
}

// Update renames a section.
//
// Operation board_sections/update: https://developers.pinterest.com/docs/api/v5/board_sections-update
func (s *SectionsService) Update(ctx context.Context, boardID, id string, update SectionUpdate, opts ...CallOption) (*Section, error) {
	return Call[Section](ctx, s.client, OpSectionsUpdate, Request{Path: []string{boardID, id}, Body: update}, opts...)
}

// Delete deletes a section and the pins in it. If the answer to the first attempt is
// lost and the second gets a 404, the call succeeds: the first attempt has deleted
// the section.
//
// Operation board_sections/delete: https://developers.pinterest.com/docs/api/v5/board_sections-delete
func (s *SectionsService) Delete(ctx context.Context, boardID, id string, opts ...CallOption) error {
	return s.client.Do(ctx, OpSectionsDelete, Request{Path: []string{boardID, id}}, nil, opts...)
}

// ListPins returns one page of the pins in a section, newest first.
//
// Operation board_sections/list_pins: https://developers.pinterest.com/docs/api/v5/board_sections-list_pins
func (s *SectionsService) ListPins(ctx context.Context, boardID, id string, o *ListOptions, opts ...CallOption) (*Page[Pin], error) {
	return List[Pin](ctx, s.client, OpSectionsListPins, Request{Path: []string{boardID, id}, Options: o}, opts...)
}

// AllPins iterates over the pins in a section. It fetches each page when the
// iteration reaches it.
func (s *SectionsService) AllPins(ctx context.Context, boardID, id string, o *ListOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return All[Pin](ctx, s.client, OpSectionsListPins, Request{Path: []string{boardID, id}, Options: o}, opts...)
}

// Resolve looks up what became of a Create that ended uncertain: see the function
// [Resolve].
func (s *SectionsService) Resolve(ctx context.Context, u Uncertain, opts ...CallOption) (*Resolution[Section], error) {
	return Resolve(ctx, s.client, u, sectionWant.lookup, opts...)
}
