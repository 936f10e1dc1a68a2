// Package seamtest implements the services for pins, boards and sections a second
// time, from the exported names of package pinterest alone. It proves that the
// seam is complete: whatever the services of package pinterest have, a service in
// any other package can have.
//
// It shares nothing with those services but the types of the API's bodies. The
// operations, the lookups, the markers and the query parameters are its own. The
// tests of package pinterest run with its services when they are given the flag
// -seam, and TestSuites runs them so.
package seamtest

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/pinterest-go/pinterest"
)

// Services calls the operations on pins, boards and sections.
type Services struct {
	Pins     *Pins
	Boards   *Boards
	Sections *Sections
}

// New returns services that call through c.
func New(c *pinterest.Client) *Services {
	return &Services{Pins: &Pins{client: c}, Boards: &Boards{client: c}, Sections: &Sections{client: c}}
}

// pageOfLookup is the page size with which a lookup reads its list.
const pageOfLookup = "100"

// lookIn returns the request for the list of a lookup.
func lookIn(path ...string) pinterest.Request {
	return pinterest.Request{Path: path, Query: url.Values{"page_size": {pageOfLookup}}}
}

// sameText reports whether the API could have made one text from the other: it
// trims some, and returns a blank description as one space.
func sameText(a, b string) bool { return trimmed(a) == trimmed(b) }

func trimmed(text string) string { return strings.TrimSpace(text) }

// page are the query parameters of every list.
type page struct {
	size     int
	bookmark string
}

// Query returns the parameters.
func (p page) Query() url.Values {
	q := url.Values{}
	if p.size != 0 {
		q.Set("page_size", strconv.Itoa(p.size))
	}
	if p.bookmark != "" {
		q.Set("bookmark", p.bookmark)
	}
	return q
}

// Validate is asked before anything is sent.
func (p page) Validate() error {
	var check pinterest.Check
	if p.size != 0 {
		check.Range("page_size", p.size, 1, 250)
	}
	return check.Err()
}

// boardPins are the query parameters of the pins of a board.
type boardPins struct {
	page
	creativeTypes []pinterest.CreativeType
	metrics       bool
}

func boardPinsOf(o *pinterest.BoardPinsOptions) boardPins {
	if o == nil {
		return boardPins{}
	}
	return boardPins{page: page{size: o.PageSize, bookmark: o.Bookmark}, creativeTypes: o.CreativeTypes, metrics: o.Metrics}
}

// Query returns the parameters.
func (o boardPins) Query() url.Values {
	q := o.page.Query()
	for _, t := range o.creativeTypes {
		q.Add("creative_types", string(t))
	}
	if o.metrics {
		q.Set("pin_metrics", "true")
	}
	return q
}
