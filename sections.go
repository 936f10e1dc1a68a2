package pinterest

import (
	"context"
	"iter"
)

// SectionsService calls the operations on the sections of a board.
type SectionsService struct{ client *Client }

// Section is a section of a board.
type Section struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (s *Section) complete() bool { return s.ID != "" }

func sectionID(s *Section) string { return s.ID }

// maxSectionName is the limit of a section's name, in characters.
const maxSectionName = 180

// SectionWrite is a section to be made, or its new name.
type SectionWrite struct {
	Name string `json:"name"` // 1 to 180 characters
}

// Validate checks the name as Create and Update do before they send anything.
func (s SectionWrite) Validate() error {
	var c checker
	c.name(s.Name)
	c.length("name", s.Name, maxSectionName)
	return c.err()
}

// Create makes a section of a board. After an ambiguous failure the board's
// sections are looked up by name before anything is sent again.
//
// Operation board_sections/create: https://developers.pinterest.com/docs/api/v5/board_sections-create
func (s *SectionsService) Create(ctx context.Context, boardID string, section SectionWrite, opts ...CallOption) (*Section, error) {
	return create(ctx, s.client, OpSectionsCreate, Request{Path: []string{boardID}, Body: section}, wantSection(boardID, section), finder[Section]{s.client.findSections, madeSection}, opts)
}

// List returns one page of the sections of a board.
//
// Operation board_sections/list: https://developers.pinterest.com/docs/api/v5/board_sections-list
func (s *SectionsService) List(ctx context.Context, boardID string, o *ListOptions, opts ...CallOption) (*Page[Section], error) {
	return list[Section](ctx, s.client, OpSectionsList, []string{boardID}, o.query(), opts)
}

// All iterates over the sections of a board, asking for pages as they are reached.
func (s *SectionsService) All(ctx context.Context, boardID string, o *ListOptions, opts ...CallOption) iter.Seq2[*Section, error] {
	return all(ctx, s.client, OpSectionsList, []string{boardID}, o.query(), sectionID, opts)
}

// Update renames a section.
//
// Operation board_sections/update: https://developers.pinterest.com/docs/api/v5/board_sections-update
func (s *SectionsService) Update(ctx context.Context, boardID, id string, section SectionWrite, opts ...CallOption) (*Section, error) {
	return invoke[Section](ctx, s.client, OpSectionsUpdate, Request{Path: []string{boardID, id}, Body: section}, opts)
}

// Delete deletes a section and the pins in it. If the answer to a first attempt
// is lost, the 404 of the second is taken for what it is: the section is gone.
//
// Operation board_sections/delete: https://developers.pinterest.com/docs/api/v5/board_sections-delete
func (s *SectionsService) Delete(ctx context.Context, boardID, id string, opts ...CallOption) error {
	s.client.creates.gone(id)
	return s.client.Do(ctx, OpSectionsDelete, Request{Path: []string{boardID, id}}, nil, opts...)
}

// ListPins returns one page of the pins in a section, newest first.
//
// Operation board_sections/list_pins: https://developers.pinterest.com/docs/api/v5/board_sections-list_pins
func (s *SectionsService) ListPins(ctx context.Context, boardID, id string, o *ListOptions, opts ...CallOption) (*Page[Pin], error) {
	return list[Pin](ctx, s.client, OpSectionsListPins, []string{boardID, id}, o.query(), opts)
}

// AllPins iterates over the pins in a section, asking for pages as they are reached.
func (s *SectionsService) AllPins(ctx context.Context, boardID, id string, o *ListOptions, opts ...CallOption) iter.Seq2[*Pin, error] {
	return all(ctx, s.client, OpSectionsListPins, []string{boardID, id}, o.query(), pinID, opts)
}
