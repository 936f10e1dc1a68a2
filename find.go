package pinterest

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// This file says, for every kind of create, what its result looks like and in
// which list it is found. Who looks, when and how often is said in reconcile.go.

// wantPin describes the pin that a create makes.
func wantPin(p PinCreate) Uncertain {
	return Uncertain{
		Operation: OpPinsCreate.ID, BoardID: p.BoardID, SectionID: p.BoardSectionID, ParentPinID: p.ParentPinID,
		Title: p.Title, Description: p.Description, Link: p.Link, AltText: p.AltText, Marker: p.Marker,
	}
}

// wantSave describes the pin that a save makes.
func wantSave(id string, to PinSave) Uncertain {
	return Uncertain{Operation: OpPinsSave.ID, BoardID: to.BoardID, SectionID: to.BoardSectionID, ParentPinID: id}
}

func wantBoard(b BoardCreate) Uncertain {
	return Uncertain{Operation: OpBoardsCreate.ID, Name: b.Name}
}

func wantSection(boardID string, s SectionWrite) Uncertain {
	return Uncertain{Operation: OpSectionsCreate.ID, BoardID: boardID, Name: s.Name}
}

// key is equal for creates whose results could be taken for one another.
func (u *Uncertain) key() string {
	if u.Marker != "" {
		return fingerprint(u.Operation, u.BoardID, u.Marker)
	}
	return fingerprint(u.Operation, u.BoardID, u.SectionID, u.ParentPinID, strings.ToLower(normal(u.Name)),
		normal(u.Title), normal(u.Description), normal(u.Link), normal(u.AltText))
}

// list names the list that the result is found in.
func (u *Uncertain) list() string {
	switch u.Operation {
	case OpBoardsCreate.ID:
		return "boards"
	case OpSectionsCreate.ID:
		return "sections of " + u.BoardID
	}
	return "pins of " + u.BoardID
}

// normal undoes what the API does to texts: it gives a blank one back as one
// space, and trims.
func normal(s string) string { return strings.TrimSpace(s) }

// isPin reports whether p can be the result. The image is not asked about: the
// API does not tell where it came from. Where there is a marker, nothing else
// is: only one pin of the board can carry it.
func (u *Uncertain) isPin(p *Pin, in Window) bool {
	if p.BoardID != u.BoardID {
		return false
	}
	if u.Marker != "" {
		return hasMarker(p.Link, u.Marker)
	}
	if p.BoardSectionID != u.SectionID || p.ParentPinID != u.ParentPinID || !in.Contains(p.CreatedAt.Time) {
		return false
	}
	// A pin made from another takes over what it was not given.
	taken := u.ParentPinID != ""
	same := func(want, got string) bool {
		want = normal(want)
		return want == normal(got) || taken && want == ""
	}
	return same(u.Title, p.Title) && same(u.Description, p.Description) && same(u.Link, p.Link) && same(u.AltText, p.AltText)
}

// listing is what one reading of a list has shown, from the newest back.
type listing struct {
	ids    map[string]bool
	oldest time.Time // zero: the list was read to its end, or has no times
}

func (l *listing) add(id string, created time.Time) {
	if l.ids == nil {
		l.ids = map[string]bool{}
	}
	l.ids[id] = true
	l.oldest = created
}

// findPins finds a pin on its board, which lists the pins of its sections, too,
// newest first: it reads back to the window's beginning and no further.
func (c *Client) findPins(ctx context.Context, u *Uncertain, in Window, opts []CallOption) (found []Pin, seen listing, err error) {
	o := &BoardPinsOptions{ListOptions: ListOptions{PageSize: 100}}
	for pin, err := range c.Boards.AllPins(ctx, u.BoardID, o, opts...) {
		if err != nil {
			return nil, seen, err
		}
		seen.add(pin.ID, pin.CreatedAt.Time)
		switch {
		case u.isPin(pin, in):
			found = append(found, *pin)
		case !pin.CreatedAt.IsZero() && !in.Contains(pin.CreatedAt.Time):
			return found, seen, nil
		}
	}
	seen.oldest = time.Time{}
	return found, seen, nil
}

// findBoards finds a board by its name, which is unique in an account.
func (c *Client) findBoards(ctx context.Context, u *Uncertain, in Window, opts []CallOption) (found []Board, seen listing, err error) {
	o := &BoardListOptions{ListOptions: ListOptions{PageSize: maxPageSize}, Privacy: "ALL"}
	for board, err := range c.Boards.All(ctx, o, opts...) {
		if err != nil {
			return nil, seen, err
		}
		seen.add(board.ID, board.CreatedAt.Time)
		switch {
		case !board.CreatedAt.IsZero() && !in.Contains(board.CreatedAt.Time):
			return found, seen, nil // newest first: all others are older
		case sameName(board.Name, u.Name):
			found = append(found, *board)
		}
	}
	seen.oldest = time.Time{}
	return found, seen, nil
}

// findSections finds a section of a board by its name. Sections have no
// creation time; but a name that was there before answers with a conflict,
// which is looked up only after an attempt that may have made it.
func (c *Client) findSections(ctx context.Context, u *Uncertain, _ Window, opts []CallOption) (found []Section, seen listing, err error) {
	for section, err := range c.Sections.All(ctx, u.BoardID, &ListOptions{PageSize: maxPageSize}, opts...) {
		if err != nil {
			return nil, seen, err
		}
		seen.add(section.ID, time.Time{})
		if sameName(section.Name, u.Name) {
			found = append(found, *section)
		}
	}
	return found, seen, nil
}

func sameName(a, b string) bool { return strings.EqualFold(normal(a), normal(b)) }

// hasMarker reports whether link carries the query parameter marker, which has
// the form "name=value".
func hasMarker(link, marker string) bool {
	name, value, ok := strings.Cut(marker, "=")
	u, err := url.Parse(link)
	return ok && err == nil && u.Query().Get(name) == value
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
