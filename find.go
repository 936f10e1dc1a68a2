package pinterest

import (
	"context"
	"strings"
)

// wantedPin is what a pin must have in common with a create to be its result.
// The image is not among it: the API does not echo where it came from.
type wantedPin struct {
	op      Operation
	board   string
	section string
	parent  string
	texts   bool // title and so on were sent, not taken over from the parent
	title   string
	desc    string
	link    string
	alt     string
}

func wantCreated(p PinCreate) wantedPin {
	return wantedPin{
		op: OpPinsCreate, board: p.BoardID, section: p.BoardSectionID, parent: p.ParentPinID, texts: p.ParentPinID == "",
		title: normal(p.Title), desc: normal(p.Description), link: normal(p.Link), alt: normal(p.AltText),
	}
}

func wantSaved(id string, to PinSave) wantedPin {
	return wantedPin{op: OpPinsSave, board: to.BoardID, section: to.BoardSectionID, parent: id}
}

// normal undoes what the API does to texts: it gives a blank one back as one
// space, and trims.
func normal(s string) string { return strings.TrimSpace(s) }

// matches reports whether the pin can be the result of the create.
func (w wantedPin) matches(p *Pin, in Window) bool {
	if p.BoardID != w.board || p.BoardSectionID != w.section || p.ParentPinID != w.parent || !in.Contains(p.CreatedAt.Time) {
		return false
	}
	return !w.texts || normal(p.Title) == w.title && normal(p.Description) == w.desc &&
		normal(p.Link) == w.link && normal(p.AltText) == w.alt
}

// findPin finds a pin on its board, which lists those of its sections, too,
// newest first: it reads back to the time of the first attempt and no further.
func (c *Client) findPin(w wantedPin) finder[Pin] {
	f := finder[Pin]{id: pinID, key: fingerprint(w.board, w.section, w.parent, w.title, w.desc, w.link, w.alt)}
	if w.board == "" {
		return f // a save to the profile: there is no list to look in
	}
	f.find = func(ctx context.Context, in Window, opts []CallOption) ([]Pin, error) {
		var found []Pin
		for pin, err := range c.Boards.AllPins(ctx, w.board, &BoardPinsOptions{ListOptions: ListOptions{PageSize: 100}}, opts...) {
			switch {
			case err != nil:
				return nil, err
			case w.matches(pin, in):
				found = append(found, *pin)
			case !in.Contains(pin.CreatedAt.Time):
				return found, nil
			}
		}
		return found, nil
	}
	return f
}

// findBoard finds a board by its name, which is unique in an account.
func (c *Client) findBoard(b BoardCreate) finder[Board] {
	name := normal(b.Name)
	return finder[Board]{id: boardID, key: fingerprint(strings.ToLower(name)), find: func(ctx context.Context, in Window, opts []CallOption) ([]Board, error) {
		for board, err := range c.Boards.All(ctx, &BoardListOptions{ListOptions: ListOptions{PageSize: maxPageSize}, Privacy: "ALL"}, opts...) {
			switch {
			case err != nil:
				return nil, err
			case !in.Contains(board.CreatedAt.Time):
				return nil, nil // newest first: all others are older
			case strings.EqualFold(normal(board.Name), name):
				return []Board{*board}, nil
			}
		}
		return nil, nil
	}}
}

// findSection finds a section of a board by its name. Sections have no
// creation time: a name that was there before answers with a conflict, which
// is only looked up after an attempt that may have made it.
func (c *Client) findSection(board string, s SectionWrite) finder[Section] {
	name := normal(s.Name)
	return finder[Section]{id: sectionID, key: fingerprint(board, strings.ToLower(name)), find: func(ctx context.Context, _ Window, opts []CallOption) ([]Section, error) {
		for section, err := range c.Sections.All(ctx, board, &ListOptions{PageSize: maxPageSize}, opts...) {
			if err != nil {
				return nil, err
			}
			if strings.EqualFold(normal(section.Name), name) {
				return []Section{*section}, nil
			}
		}
		return nil, nil
	}}
}
