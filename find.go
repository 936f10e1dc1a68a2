package pinterest

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"slices"
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

// adsOnlyName is the name that the API gives a board which is for ads only.
const adsOnlyName = "Ad-only Pins"

func wantBoard(b BoardCreate) Uncertain {
	name := b.Name
	if b.IsAdsOnly {
		name = adsOnlyName
	}
	return Uncertain{Operation: OpBoardsCreate.ID, Name: name}
}

func wantSection(boardID string, s SectionWrite) Uncertain {
	return Uncertain{Operation: OpSectionsCreate.ID, BoardID: boardID, Name: s.Name}
}

// key is equal for creates whose results could be taken for one another.
func (u *Uncertain) key() string {
	switch {
	case u.Marker != "":
		return fingerprint(u.list(), "marker", u.Marker)
	case u.ParentPinID != "":
		// What is made from another pin takes over what it was not given, so its
		// texts do not tell it apart from others of the same parent.
		return fingerprint(u.list(), "parent", u.SectionID, u.ParentPinID)
	}
	return fingerprint(u.list(), u.SectionID, strings.ToLower(normal(u.Name)), normal(u.Title), normal(u.Description), normal(u.Link), normal(u.AltText))
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

// isPin reports whether p has all that the result has, but for the time. The
// image is not asked about: the API does not tell where it came from. Where there
// is a marker, nothing else is: only one pin of the board can carry it.
func (u *Uncertain) isPin(p *Pin) bool {
	if p.BoardID != u.BoardID {
		return false
	}
	if u.Marker != "" {
		return hasMarker(p.Link, u.Marker)
	}
	// A pin made from another takes over what it was not given.
	taken := u.ParentPinID != ""
	same := func(want, got string) bool {
		want = normal(want)
		return want == normal(got) || taken && want == ""
	}
	return p.BoardSectionID == u.SectionID && p.ParentPinID == u.ParentPinID &&
		same(u.Title, p.Title) && same(u.Description, p.Description) && same(u.Link, p.Link) && same(u.AltText, p.AltText)
}

// errNoTime keeps a match whose time cannot be read from being taken for
// absence, or for something older.
var errNoTime = errors.New("what was found has no creation time that can be read")

// find reads a list, newest first, page by page, back to the beginning of the
// window, and returns what matches and was made within it. A page is read to
// its end: what was moved may stand among newer things.
func find[T any](all iter.Seq2[*Page[T], error], made func(*T) (string, time.Time), timed bool, in Window, matches func(*T) bool) (found []T, seen listing, err error) {
	for page, err := range all {
		if err != nil {
			return nil, seen, err
		}
		var last time.Time
		for i := range page.Items {
			item := &page.Items[i]
			id, created := made(item)
			seen.add(id)
			if !created.IsZero() {
				last = created
			}
			switch match := matches(item); {
			case match && timed && created.IsZero():
				return nil, seen, errNoTime
			case match && (!timed || in.Contains(created)):
				found = append(found, *item)
			}
		}
		if !last.IsZero() && in.after(last) {
			seen.oldest = last
			return found, seen, nil
		}
	}
	return found, seen, nil
}

// listing is what one reading of a list has shown, from the newest back.
type listing struct {
	ids    map[string]bool
	oldest time.Time // zero: the list was read to its end, or has no times
}

func (l *listing) add(id string) {
	if l.ids == nil {
		l.ids = map[string]bool{}
	}
	l.ids[id] = true
}

// findPins finds a pin on its board, which lists the pins of its sections, too.
// A marker says all: no time is asked of what carries it.
func (c *Client) findPins(ctx context.Context, u *Uncertain, in Window, opts []CallOption) ([]Pin, listing, error) {
	q := listQuery{page: ListOptions{PageSize: 100}}
	all := pages(ctx, c, OpBoardsListPins, []string{u.BoardID}, q, pinID, opts)
	return find(all, madePin, u.Marker == "", in, u.isPin)
}

// findBoards finds a board by its name, which is unique in an account.
func (c *Client) findBoards(ctx context.Context, u *Uncertain, in Window, opts []CallOption) ([]Board, listing, error) {
	q := listQuery{page: ListOptions{PageSize: maxPageSize}}
	q.add("privacy", "ALL")
	all := pages(ctx, c, OpBoardsList, nil, q, boardID, opts)
	return find(all, madeBoard, true, in, func(b *Board) bool { return sameName(b.Name, u.Name) })
}

// findSections finds a section of a board by its name. Sections have no
// creation time; but a name that was there before answers with a conflict,
// which is looked up only after an attempt that may have made it.
func (c *Client) findSections(ctx context.Context, u *Uncertain, in Window, opts []CallOption) ([]Section, listing, error) {
	q := listQuery{page: ListOptions{PageSize: maxPageSize}}
	all := pages(ctx, c, OpSectionsList, []string{u.BoardID}, q, sectionID, opts)
	return find(all, madeSection, false, in, func(s *Section) bool { return sameName(s.Name, u.Name) })
}

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
