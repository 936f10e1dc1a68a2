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

// query lets callers pass nil.
func (o *ListOptions) query() listQuery {
	if o == nil {
		return listQuery{}
	}
	return listQuery{page: *o}
}

// listQuery is what a list is asked for: the page, and the operation's own
// parameters.
type listQuery struct {
	page ListOptions
	own  url.Values
	errs checker // what is wrong with them
}

// values returns all parameters, in a map of their own.
func (q listQuery) values() url.Values {
	v := make(url.Values, len(q.own)+2)
	maps.Copy(v, q.own)
	if q.page.PageSize > 0 {
		v["page_size"] = []string{strconv.Itoa(q.page.PageSize)}
	}
	if q.page.Bookmark != "" {
		v["bookmark"] = []string{q.page.Bookmark}
	}
	return v
}

// add adds a parameter that is not empty.
func (q *listQuery) add(key, value string) {
	if value != "" {
		if q.own == nil {
			q.own = url.Values{}
		}
		q.own.Add(key, value)
	}
}

// choice adds a parameter that must have one of these values, or none.
func (q *listQuery) choice(key, value string, allowed ...string) {
	if value != "" {
		oneOf(&q.errs, key, value, allowed...)
	}
	q.add(key, value)
}

// check refuses what the API would refuse.
func (q listQuery) check() error {
	if n := q.page.PageSize; n < 0 || n > maxPageSize {
		q.errs.add("page_size", strconv.Itoa(n), fmt.Sprintf("must be from 1 to %d", maxPageSize))
	}
	return q.errs.err()
}

// list is invoke for one page.
func list[T any](ctx context.Context, c *Client, op Operation, path []string, q listQuery, opts []CallOption) (*Page[T], error) {
	return invoke[Page[T]](ctx, c, op, Request{Path: path, Query: q.values(), check: q.check}, opts)
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
func all[T any](ctx context.Context, c *Client, op Operation, path []string, q listQuery, id func(*T) string, opts []CallOption) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for page, err := range pages(ctx, c, op, path, q, id, opts) {
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Items {
				if !yield(&page.Items[i], nil) {
					return
				}
			}
		}
	}
}

// pages iterates over the pages of a list.
func pages[T any](ctx context.Context, c *Client, op Operation, path []string, q listQuery, id func(*T) string, opts []CallOption) iter.Seq2[*Page[T], error] {
	return func(yield func(*Page[T], error) bool) {
		next := q // each run over the iterator begins anew
		seen := make(map[[sha256.Size]byte]bool)
		for n, empty := 1, 0; ; n++ {
			page, err := list[T](ctx, c, op, path, next, opts)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(page, nil) || !page.HasMore() {
				return
			}
			if empty++; len(page.Items) > 0 {
				empty = 0
			}
			sum := pageSum(page, id)
			if page.Bookmark == next.page.Bookmark || n >= maxPages || empty >= maxEmptyPages || seen[sum] && empty == 0 {
				yield(nil, fmt.Errorf("%w (page %d)", ErrEndlessPages, n))
				return
			}
			seen[sum] = true
			next.page.Bookmark = page.Bookmark
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
