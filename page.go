package pinterest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"reflect"
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

// Complete implements [Completer]: a list always has items.
func (p *Page[T]) Complete() bool { return p.Items != nil }

// ListOptions choose the part of a list that is returned. It is embedded in the
// options of the single lists.
type ListOptions struct {
	PageSize int    // items a page, 1 to 250; 0: the API's default of 25
	Bookmark string // where to begin, from a previous Page; empty: at the beginning
}

const maxPageSize = 250

// Query returns the parameters, for [Request].Options.
func (o *ListOptions) Query() url.Values {
	q := url.Values{}
	if o.PageSize > 0 {
		q.Set("page_size", strconv.Itoa(o.PageSize))
	}
	if o.Bookmark != "" {
		q.Set("bookmark", o.Bookmark)
	}
	return q
}

// Validate checks the page size as List does before it sends anything.
func (o *ListOptions) Validate() error {
	var c Check
	if o.PageSize != 0 {
		c.Range("page_size", o.PageSize, 1, maxPageSize)
	}
	return c.Err()
}

// The guards of an iterator. Bookmarks contain the request's id, so that equal
// ones never come even from a list that goes in circles: pages are compared by
// what they contain, too.
const (
	maxPages      = 10_000
	maxEmptyPages = 20
)

// pages iterates over the pages of a list.
func pages[T any](ctx context.Context, c *Client, op Operation, req Request, opts []CallOption) iter.Seq2[*Page[T], error] {
	return func(yield func(*Page[T], error) bool) {
		next := req
		bookmark := "" // of the page that was asked for last
		seen := make(map[[sha256.Size]byte]bool)
		id := itemID[T]()
		for n, empty := 1, 0; ; n++ {
			page, err := List[T](ctx, c, op, next, opts...)
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
			if page.Bookmark == bookmark || n >= maxPages || empty >= maxEmptyPages || seen[sum] && empty == 0 {
				yield(nil, fmt.Errorf("%w (page %d)", ErrEndlessPages, n))
				return
			}
			seen[sum], bookmark = true, page.Bookmark
			next.Query = url.Values{}
			maps.Copy(next.Query, req.Query)
			next.Query.Set("bookmark", bookmark)
		}
	}
}

// pageSum identifies a page by the items on it.
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

// itemID returns how items of a list are told apart: by their field ID, where
// they have one, else by all that they hold.
func itemID[T any]() func(*T) string {
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Struct {
		if field, ok := t.FieldByName("ID"); ok && field.Type.Kind() == reflect.String {
			return func(item *T) string { return reflect.ValueOf(item).Elem().FieldByIndex(field.Index).String() }
		}
	}
	return func(item *T) string {
		data, err := json.Marshal(item)
		if err != nil {
			return fmt.Sprintf("%+v", item)
		}
		return string(data)
	}
}
