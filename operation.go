package pinterest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Kind tells what sending an operation a second time would do. It decides
// what an uncertain failure means.
type Kind uint8

const (
	// KindUnset leaves the kind to the method: GET and HEAD read, PUT, PATCH and
	// DELETE write, and everything else counts as a create, which is the safe mistake.
	KindUnset Kind = iota
	// KindRead changes nothing: it may be sent as often as needed.
	KindRead
	// KindWrite is an idempotent write (PATCH, DELETE): sending it twice leaves
	// the same state as sending it once. A DELETE that is answered 404 or 410, after
	// an attempt of the same call whose answer was lost, has succeeded.
	KindWrite
	// KindCreate makes a new thing each time it is sent: pins, boards, sections,
	// saves. After an ambiguous failure it is looked up before it is sent again.
	KindCreate
)

// String returns "read", "write" or "create".
func (k Kind) String() string {
	switch k {
	case KindUnset:
		return "unset"
	case KindRead:
		return "read"
	case KindWrite:
		return "write"
	case KindCreate:
		return "create"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Category is the rate-limit category of an operation. Operations in one
// category share one quota per (app, user).
type Category string

// The rate-limit categories of the API. An operation of one that is not here
// yet is paced by what the headers say of it.
const (
	// CategoryAll stands, in [Limits], for all categories together.
	CategoryAll                  Category = ""
	CategoryAdsAnalytics         Category = "ads_analytics"
	CategoryAdsConversions       Category = "ads_conversions"
	CategoryAdsRead              Category = "ads_read"
	CategoryAdsWrite             Category = "ads_write"
	CategoryAdvancedAuctionRead  Category = "advanced_auction_read"
	CategoryAdvancedAuctionWrite Category = "advanced_auction_write"
	CategoryCatalogsRead         Category = "catalogs_read"
	CategoryCatalogsWrite        Category = "catalogs_write"
	CategoryMSOTWrite            Category = "msot_write"
	CategoryOrgAnalytics         Category = "org_analytics"
	CategoryOrgRead              Category = "org_read"
	CategoryOrgWrite             Category = "org_write"
	CategoryTrendsRead           Category = "trends_read"
)

// Operation describes one operation of the Pinterest v5 API as a value. The
// path of a call takes its description from here and nowhere else, so that an
// operation this package lacks can be called through [Call] and [Client.Do]
// with a value of the caller's own.
//
// The facts come from the official API description, and a test compares every
// one of them with it.
type Operation struct {
	ID     string // operation id, such as "pins/create"
	Method string // HTTP method

	// Path is the path below the base URL, such as "/pins/{pin_id}". A placeholder
	// may carry a pattern after a colon: \d+ is a numeric id, \d{1,18} one of at
	// most 18 digits, and a|b|c allows these values alone. A value that does not
	// fit is refused before anything is sent.
	Path string

	Kind     Kind     // what sending it twice would do
	Category Category // rate-limit category
	Scopes   []Scope  // OAuth scopes that the token must hold
	AppAuth  bool     // it takes the app's id and secret (HTTP Basic, see [WithOAuth]) in place of an access token

	// Removes says that a success takes the thing which the last path value names
	// out of the list where it stood: it is deleted, or may be moved. Lists are then
	// not expected to show it any more.
	Removes bool
	// NoBody says that a success may come without a body. For other operations an
	// answer without one is no complete answer when a result was asked for.
	NoBody bool
}

// String returns the operation's id.
func (o Operation) String() string { return o.ID }

// check refuses a value that does not describe an operation.
func (o Operation) check() error {
	var c Check
	if o.ID == "" {
		c.Add("Operation.ID", "", "is required, such as \"pins/create\"")
	}
	if o.Method == "" {
		c.Add("Operation.Method", "", "is required, such as http.MethodPost")
	}
	if o.Kind > KindCreate {
		c.Add("Operation.Kind", strconv.Itoa(int(o.Kind)), "is not a Kind")
	}
	return c.Err()
}

// kind returns the operation's kind, which its method tells where it is unset.
func (o Operation) kind() Kind {
	if o.Kind != KindUnset {
		return o.Kind
	}
	switch o.Method {
	case http.MethodGet, http.MethodHead:
		return KindRead
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		return KindWrite
	}
	return KindCreate
}

// Operations returns the description of every operation that this package calls.
func Operations() []Operation {
	ops := []Operation{
		OpPinsCreate, OpPinsList, OpPinsGet, OpPinsUpdate, OpPinsDelete, OpPinsSave,
		OpBoardsCreate, OpBoardsList, OpBoardsGet, OpBoardsUpdate, OpBoardsDelete, OpBoardsListPins,
		OpSectionsCreate, OpSectionsList, OpSectionsUpdate, OpSectionsDelete, OpSectionsListPins,
		OpUserAccountGet, OpOAuthToken, OpTokenRevoke, OpConversionToken,
	}
	for i := range ops {
		ops[i].Scopes = slices.Clone(ops[i].Scopes)
	}
	return ops
}

// expand adds the operation's path to u, its placeholders filled with values in
// their order.
func (o Operation) expand(u *url.URL, values []string) error {
	path := make([]byte, 0, 128)
	path = append(path, u.Path...)
	escaped := "" // kept only when a value needs escaping
	rest := o.Path
	for _, value := range values {
		before, name, pattern, after, ok := placeholder(rest)
		if !ok {
			return fmt.Errorf("path %s takes fewer than %d values", o.Path, len(values))
		}
		if err := checkParam(name, pattern, value); err != nil {
			return err
		}
		if e := url.PathEscape(value); e != value || escaped != "" {
			setDefault(&escaped, string(path)) // what came before needed none
			escaped += before + e
		}
		path = append(append(path, before...), value...)
		rest = after
	}
	if _, _, _, _, ok := placeholder(rest); ok {
		return fmt.Errorf("path %s takes more than %d values", o.Path, len(values))
	}
	if escaped != "" {
		u.RawPath = escaped + rest
	}
	u.Path = string(append(path, rest...))
	return nil
}

// placeholder splits a path at its first placeholder, whose pattern may itself
// contain braces: \d{1,18}.
func placeholder(path string) (before, name, pattern, after string, ok bool) {
	open := strings.IndexByte(path, '{')
	if open < 0 {
		return path, "", "", "", false
	}
	depth := 0
	for i := open; i < len(path); i++ {
		switch path[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				name, pattern, _ = strings.Cut(path[open+1:i], ":")
				return path[:open], name, pattern, path[i+1:], true
			}
		}
	}
	return path, "", "", "", false
}

// checkParam refuses a path value that would reach another resource than the
// one meant: an empty one, a dot segment, or one that does not fit the pattern.
func checkParam(name, pattern, value string) error {
	var c Check
	switch {
	case pattern == "":
		if value == "" || value == "." || value == ".." {
			c.Add(name, value, "must name a resource")
		}
	case strings.HasPrefix(pattern, `\d`):
		c.ID(name, value)
		if limit, ok := digitLimit(pattern); ok && len(value) > limit {
			c.Add(name, value, fmt.Sprintf("must have at most %d digits, has %d", limit, len(value)))
		}
	default:
		OneOf(&c, name, value, strings.Split(pattern, "|")...)
	}
	return c.Err()
}

// digitLimit reads the 18 of \d{1,18}.
func digitLimit(pattern string) (int, bool) {
	_, limit, ok := strings.Cut(strings.TrimSuffix(pattern, "}"), ",")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(limit)
	return n, err == nil
}
