package pinterest

import (
	"context"
	"html"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/canonical"
)

// pinWant identifies the pin of a create.
type pinWant struct {
	BoardID     string    `json:"board_id"`
	SectionID   string    `json:"board_section_id,omitzero"`
	ParentPinID string    `json:"parent_pin_id,omitzero"`
	Title       string    `json:"title,omitzero"`
	Description string    `json:"description,omitzero"`
	Link        string    `json:"link,omitzero"`
	AltText     string    `json:"alt_text,omitzero"`
	Marker      string    `json:"marker,omitzero"`
	Media       MediaType `json:"media,omitzero"` // "": not known
}

func (p PinCreate) want() pinWant {
	return pinWant{
		BoardID: p.BoardID, SectionID: p.BoardSectionID, ParentPinID: p.ParentPinID,
		Title: p.Title, Description: p.Description, Link: p.Link, AltText: p.AltText, Marker: p.Marker,
		Media: p.MediaSource.mediaType(),
	}
}

// mediaType returns the type of the pin's media that the source leads to.
func (m MediaSource) mediaType() MediaType {
	switch m.SourceType {
	case SourceImageURL, SourceImageBase64:
		return MediaImage
	case SourceImageURLs, SourceImagesBase64:
		return MediaMultipleImages
	case SourceVideoID:
		return MediaVideo
	case SourcePinURL:
	}
	return ""
}

// Validate refuses a stored want without the fields that a look-up needs.
func (w pinWant) Validate() error {
	var c Check
	c.ID("board_id", w.BoardID)
	c.OptionalID("parent_pin_id", w.ParentPinID)
	return c.Err()
}

// pinCreates are the operations that the lookup is for.
var pinCreates = []Operation{OpPinsCreate, OpPinsSave}

// lookup finds the pin on its board, which lists the pins of its sections, too. A
// video is listed only when it was processed.
func (w pinWant) lookup() Lookup[Pin] {
	return Lookup[Pin]{
		Creates: pinCreates, Want: w, Key: w.key(),
		List: OpBoardsListPins, In: Request{Path: []string{w.BoardID}, Options: &ListOptions{PageSize: 100}},
		Match: w.matches, Near: w.resembles, Unique: w.Marker != "", Late: w.Media == MediaVideo,
		Made:  func(p *Pin) (string, time.Time) { return p.ID, p.CreatedAt.Time },
		Count: w.count, Get: OpPinsGet,
	}
}

// count returns how many pins the board has, by the board itself.
func (w pinWant) count(ctx context.Context, c *Client, opts ...CallOption) (int, error) {
	board, err := Call[Board](ctx, c, OpBoardsGet, Request{Path: []string{w.BoardID}}, opts...)
	if err != nil {
		return 0, err
	}
	return board.PinCount, nil
}

// oldDescription is the limit of a description in earlier versions of the API.
const oldDescription = 500

// key returns what creates have in common whose pins could be mistaken for one
// another. The alt text does not count, because the API has been seen to drop it, nor
// does the end of a long description.
func (w pinWant) key() []string {
	switch {
	case w.Marker != "":
		return []string{"marker", w.Marker}
	case w.ParentPinID != "":
		// A pin made from another one takes its missing texts from there. So its texts do
		// not distinguish it from other pins of the same parent.
		return []string{"parent", w.SectionID, w.ParentPinID}
	}
	const distinct = oldDescription * 3 / 5 // a cut may go back to the end of a word
	description := []rune(canonical.Text(w.Description))
	return []string{w.SectionID, canonical.Text(w.Title), string(description[:min(len(description), distinct)]), canonical.Link(w.Link)}
}

// matches reports whether p has everything that the wanted pin has, in whatever form
// the API returns it. It cannot compare the image, because the API does not return
// its source. With a marker it compares nothing else, because only one pin of the
// board can have it.
func (w pinWant) matches(p *Pin) bool {
	if !w.possible(p) {
		return false
	}
	if w.Marker != "" {
		return hasMarker(p.Link, w.Marker)
	}
	// A pin made from another one takes its missing texts from there.
	taken := w.ParentPinID != ""
	same := func(want, got string, limits ...int) bool {
		return canonical.SameText(want, got, limits...) || taken && canonical.Text(want) == ""
	}
	return p.BoardSectionID == w.SectionID && p.ParentPinID == w.ParentPinID &&
		same(w.Title, p.Title, maxTitle) && same(w.Description, p.Description, maxDescription, oldDescription) &&
		(canonical.SameLink(w.Link, p.Link) || taken && w.Link == "") &&
		(same(w.AltText, p.AltText, maxAltText) || p.AltText == "")
}

// resembles reports whether p agrees with the wanted pin in a text or in where its
// link leads, so that it may be the wanted pin in a form that is not known. One made
// from another pin may be it, too, unless that is not the pin that was named. One with
// a marker of its own is not.
func (w pinWant) resembles(p *Pin) bool {
	return w.possible(p) && (w.Marker == "" || len(markers(p.Link, w.Marker)) == 0) && (w.ParentPinID == "" || p.ParentPinID == w.ParentPinID) &&
		(canonical.Resembles(w.Title, p.Title) || canonical.Resembles(w.Description, p.Description) ||
			canonical.Resembles(w.AltText, p.AltText) || canonical.SameTarget(w.Link, p.Link))
}

// possible reports whether nothing rules out that p is the wanted pin: it is on the
// board, it is the account's own, and its media are of the right type.
func (w pinWant) possible(p *Pin) bool {
	media := p.Media.MediaType
	return (p.BoardID == "" || p.BoardID == w.BoardID) && (p.IsOwner == nil || *p.IsOwner) && (media == "" || w.Media == "" || media == w.Media)
}

// sameName compares names as the API does, ignoring case.
func sameName(a, b string) bool { return nameKey(a) == nameKey(b) }

func nameKey(s string) string { return strings.ToLower(canonical.Text(s)) }

// hasMarker reports whether link has the query parameter marker, which has the form
// "name=value".
func hasMarker(link, marker string) bool {
	_, value, ok := strings.Cut(marker, "=")
	return ok && slices.Contains(markers(link, marker), value)
}

// markers returns the values of the link's query parameter with the name of this
// marker, also if the link is escaped for HTML.
func markers(link, marker string) (values []string) {
	name, _, _ := strings.Cut(marker, "=")
	for _, form := range slices.Compact([]string{link, html.UnescapeString(link)}) {
		if u, err := url.Parse(form); err == nil {
			values = append(values, u.Query()[name]...)
		}
	}
	return values
}

// addMarker adds the marker to the link's query, unless it is there already.
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
