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
	PageSize int    // items per page, 1 to 250; 0: the API's default of 25
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
	// Things without an id can be equal, and so can pages of them.
	maxEqualPages = 20
)

// pages iterates over the pages of a list.
func pages[T any](ctx context.Context, c *Client, op Operation, req Request, opts []CallOption) iter.Seq2[*Page[T], error] {
	return func(yield func(*Page[T], error) bool) {
		next := req
		bookmark := "" // of the page that was asked for last
		seen := make(map[[sha256.Size]byte]bool)
		equal := 0 // pages in a row that have been seen before
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
			sum, haveIDs := pageSum(page)
			switch {
			case !seen[sum] || empty > 0:
				equal = 0
			case haveIDs:
				equal = maxEqualPages // once is enough
			default:
				equal++
			}
			if page.Bookmark == bookmark || n >= maxPages || empty >= maxEmptyPages || equal >= maxEqualPages {
				yield(nil, newError(c.secrets, Error{
					Operation: op.ID, Class: ClassResponse, Disposition: DispositionReview, Phase: PhaseAnswered,
				}, fmt.Errorf("%w (page %d)", ErrEndlessPages, n)))
				return
			}
			seen[sum], bookmark = true, page.Bookmark
			next.Query = url.Values{}
			maps.Copy(next.Query, req.Query)
			next.Query.Set("bookmark", bookmark)
		}
	}
}

// pageSum identifies a page by the ids of its items or, of an item that has none,
// by all that it holds.
func pageSum[T any](page *Page[T]) (sum [sha256.Size]byte, haveIDs bool) {
	h := sha256.New()
	haveIDs = true
	var size [4]byte
	for i := range page.Items {
		s := itemID(reflect.ValueOf(&page.Items[i]).Elem())
		if s == "" {
			s, haveIDs = itemText(&page.Items[i]), false
		}
		binary.BigEndian.PutUint32(size[:], uint32(len(s)))
		h.Write(size[:])
		h.Write([]byte(s))
	}
	h.Sum(sum[:0])
	return sum, haveIDs
}

// itemID returns an item's field ID, "" where it has none.
func itemID(v reflect.Value) string {
	if v = reflect.Indirect(v); v.Kind() != reflect.Struct {
		return ""
	}
	field, ok := v.Type().FieldByName("ID")
	if !ok || field.Type.Kind() != reflect.String {
		return ""
	}
	id, err := v.FieldByIndexErr(field.Index)
	if err != nil { // it is that of a part that is nil
		return ""
	}
	return id.String()
}

func itemText(item any) string {
	data, err := json.Marshal(item)
	if err != nil {
		return fmt.Sprintf("%+v", item)
	}
	return string(data)
}
