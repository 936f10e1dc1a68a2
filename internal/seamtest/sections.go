package seamtest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
)

var (
	opSectionsCreate = pinterest.Operation{ID: "board_sections/create", Method: http.MethodPost, Path: `/boards/{board_id:\d+}/sections`,
		Kind: pinterest.KindCreate, Category: pinterest.CategoryOrgWrite, Scopes: boardsWrite}
	opSectionsList = pinterest.Operation{ID: "board_sections/list", Method: http.MethodGet, Path: `/boards/{board_id:\d+}/sections`,
		Kind: pinterest.KindRead, Category: pinterest.CategoryOrgRead, Scopes: boardsRead}
)

// Sections calls the operations on the sections of a board.
type Sections struct{ client *pinterest.Client }

// Create makes a section of a board.
func (s *Sections) Create(ctx context.Context, boardID string, section pinterest.SectionCreate, opts ...pinterest.CallOption) (*pinterest.Section, error) {
	want := sectionWant{BoardID: boardID, Name: section.Name}
	return pinterest.Call[pinterest.Section](ctx, s.client, opSectionsCreate,
		pinterest.Request{Path: []string{boardID}, Body: section, Lookup: want.lookup()}, opts...)
}

// CreateOnce makes a section of a board at most once for a key.
func (s *Sections) CreateOnce(ctx context.Context, key, boardID string, section pinterest.SectionCreate, opts ...pinterest.CallOption) (*pinterest.Section, error) {
	want := sectionWant{BoardID: boardID, Name: section.Name}
	return pinterest.CreateOnce[pinterest.Section](ctx, s.client, key, opSectionsCreate,
		pinterest.Request{Path: []string{boardID}, Body: section, Lookup: want.lookup()}, opts...)
}

// Resolve looks up what became of a Create that ended uncertain.
func (s *Sections) Resolve(ctx context.Context, u pinterest.Uncertain, opts ...pinterest.CallOption) (*pinterest.Resolution[pinterest.Section], error) {
	return pinterest.Resolve(ctx, s.client, u, sectionWant.lookup, opts...)
}

// sectionWant is what identifies a section on its board.
type sectionWant struct {
	BoardID string `json:"board_id"`
	Name    string `json:"name"`
}

// Validate is asked of a want that was stored.
func (w sectionWant) Validate() error {
	var check pinterest.Check
	check.ID("board_id", w.BoardID)
	check.Required("name", w.Name)
	return check.Err()
}

func (w sectionWant) lookup() pinterest.Lookup[pinterest.Section] {
	return pinterest.Lookup[pinterest.Section]{
		Creates: []pinterest.Operation{opSectionsCreate},
		Want:    w,
		List:    opSectionsList,
		In:      lookIn(w.BoardID),
		Match:   func(s *pinterest.Section) bool { return strings.EqualFold(trimmed(s.Name), trimmed(w.Name)) },
		Made:    func(s *pinterest.Section) (string, time.Time) { return s.ID, time.Time{} },
		Key:     []string{strings.ToLower(trimmed(w.Name))},
		Untimed: true,
	}
}
