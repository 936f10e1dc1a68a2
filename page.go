package pinterest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"
)

// Page is one page of a list. A page may be shorter than asked for, or empty,
// without being the last: only an empty Bookmark says that there are no more.
type Page[T any] struct {
	Items    []T    `json:"items"`
	Bookmark string `json:"bookmark"` // where the next page begins; empty on the last
}

// HasMore reports whether there is another page.
func (p *Page[T]) HasMore() bool { return p.Bookmark != "" }

// complete tells a list from other JSON: a list always has items.
func (p *Page[T]) complete() bool { return p.Items != nil }

// ListOptions choose the part of a list that is returned.
type ListOptions struct {
	PageSize int    // items a page, 1 to 250; 0: the API's default of 25
	Bookmark string // where to begin, from a previous Page; empty: at the beginning
}

const maxPageSize = 250

// check refuses what the API would refuse.
func (o ListOptions) check() error {
	if o.PageSize < 0 || o.PageSize > maxPageSize {
		return FieldError{Field: "page_size", Value: strconv.Itoa(o.PageSize), Problem: fmt.Sprintf("must be from 1 to %d", maxPageSize)}
	}
	return nil
}

// orDefault lets callers pass nil.
func (o *ListOptions) orDefault() ListOptions {
	if o == nil {
		return ListOptions{}
	}
	return *o
}

// query adds the options to the operation's own parameters, in a map of its own.
func (o ListOptions) query(own url.Values) url.Values {
	q := make(url.Values, len(own)+2)
	maps.Copy(q, own)
	if o.PageSize > 0 {
		q["page_size"] = []string{strconv.Itoa(o.PageSize)}
	}
	if o.Bookmark != "" {
		q["bookmark"] = []string{o.Bookmark}
	}
	return q
}

// list is invoke for one page.
func list[T any](ctx context.Context, c *Client, op Operation, path []string, o ListOptions, query url.Values, opts []CallOption) (*Page[T], error) {
	return invoke[Page[T]](ctx, c, op, Request{Path: path, Query: o.query(query), check: o.check}, opts)
}

// The guards of an iterator. Bookmarks contain the request's id, so that equal
// ones never come even from a list that goes in circles: pages are compared by
// what they contain, too.
const (
	maxPages      = 10_000
	maxEmptyPages = 20
)

// all iterates over the items of a list, asking for each page when it is
// reached. It ends after the last page, or with the first error.
func all[T any](ctx context.Context, c *Client, op Operation, path []string, o ListOptions, query url.Values,
	id func(*T) string, opts []CallOption,
) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		next := o // each run over the iterator begins anew
		seen := make(map[[sha256.Size]byte]bool)
		for pages, empty := 0, 0; ; {
			page, err := list[T](ctx, c, op, path, next, query, opts)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Items {
				if !yield(&page.Items[i], nil) {
					return
				}
			}
			if !page.HasMore() {
				return
			}
			pages++
			if empty++; len(page.Items) > 0 {
				empty = 0
			}
			sum := pageSum(page, id)
			if page.Bookmark == next.Bookmark || pages >= maxPages || empty >= maxEmptyPages || (seen[sum] && empty == 0) {
				yield(nil, fmt.Errorf("%w (page %d)", ErrEndlessPages, pages))
				return
			}
			seen[sum] = true
			next.Bookmark = page.Bookmark
		}
	}
}

// pageSum identifies a page by the ids on it.
func pageSum[T any](page *Page[T], id func(*T) string) (sum [sha256.Size]byte) {
	h := sha256.New()
	var size [4]byte
	for i := range page.Items {
		s := id(&page.Items[i])
		binary.BigEndian.PutUint32(size[:], uint32(len(s)))
		h.Write(size[:])
		h.Write([]byte(s))
	}
	h.Sum(sum[:0])
	return sum
}
