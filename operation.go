package pinterest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Kind says what happens if an operation is sent twice. It decides what the library
// does after an ambiguous failure.
type Kind uint8

const (
	// KindUnset derives the kind from the method: GET and HEAD are reads; PUT, PATCH
	// and DELETE are writes; everything else is a create, which is the safe default.
	KindUnset Kind = iota
	// KindRead changes nothing and can be sent any number of times.
	KindRead
	// KindWrite is an idempotent write (PATCH, DELETE). Sending it twice has the same
	// effect as sending it once.
	KindWrite
	// KindCreate makes a new resource each time it is sent, such as a pin, a board, a
	// section or a save. After an ambiguous failure it is looked up before it is sent
	// again.
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

// The rate-limit categories of the API. Operations of other categories are paced by
// what the API's headers say.
const (
	// CategoryAll means all categories together, in [Limits].
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

// Operation describes one operation of the Pinterest v5 API. This package has a
// value for each operation that it calls. It is also for authors of operations: to
// call one that this package lacks, make a value for it and pass it to [Call],
// [List], [All], [CreateOnce] or [Client.Do]. The library knows nothing else about
// an operation.
//
// The values of this package are compared with the official API description by a
// test.
type Operation struct {
	ID     string // operation id, such as "pins/create"
	Method string // HTTP method

	// Path is the path below the base URL, such as "/pins/{pin_id}". A placeholder may
	// have a pattern after a colon: \d+ is a numeric id, \d{1,18} is one of at most 18
	// digits, and a|b|c allows only these values. A value that does not match is
	// refused before anything is sent.
	Path string

	Kind     Kind     // what happens if it is sent twice
	Category Category // rate-limit category
	Scopes   []Scope  // OAuth scopes that the token must have
	AppAuth  bool     // it needs the app's id and secret (HTTP Basic, see [WithOAuth]) instead of an access token

	// Removes says that a success deletes or moves the resource that the last path value
	// identifies. The library then no longer expects it in its list. Where only some
	// requests do, as those of pins/update with a board, set it for these.
	Removes bool
	// NoBody says that a success may have no body. For other operations, an answer
	// without a body is incomplete if the caller wants a result. But a write that was
	// answered 204 has certainly taken effect: it succeeds with a zero result, and
	// [Response].DecodeError is set.
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
	} else if strings.ContainsFunc(o.Method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		c.Add("Operation.Method", o.Method, "must consist of capital letters, such as http.MethodPost")
	}
	if o.Kind > KindCreate {
		c.Add("Operation.Kind", strconv.Itoa(int(o.Kind)), "is not a Kind")
	}
	return c.Err()
}

// kind returns the operation's kind. If that is unset, the method decides.
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

// expand adds the operation's path to u and fills its placeholders with the values,
// in order.
func (o Operation) expand(u *url.URL, values []string) error {
	if !strings.HasPrefix(o.Path, "/") {
		return FieldError{Field: "Operation.Path", Value: shorten(o.Path), Problem: `must begin with "/"`}
	}
	path := make([]byte, 0, 128)
	path = append(path, u.Path...)
	escaped := "" // the escaped path, if any value needs escaping
	rest := o.Path
	for _, value := range values {
		before, name, pattern, after, ok := placeholder(rest)
		if !ok {
			return o.countError(len(values))
		}
		if err := checkParam(name, pattern, value); err != nil {
			return err
		}
		if e := url.PathEscape(value); e != value || escaped != "" {
			setDefault(&escaped, string(path)) // what came before needs no escaping
			escaped += before + e
		}
		path = append(append(path, before...), value...)
		rest = after
	}
	if _, _, _, _, ok := placeholder(rest); ok {
		return o.countError(len(values))
	}
	if escaped != "" {
		u.RawPath = escaped + rest
	}
	u.Path = string(append(path, rest...))
	return nil
}

// countError says which placeholder has no value, or how many values are too many.
func (o Operation) countError(given int) error {
	names := o.placeholders()
	if given < len(names) {
		return FieldError{Field: "Request.Path", Problem: fmt.Sprintf("has no value for {%s} of %s", names[given], o.Path)}
	}
	return FieldError{Field: "Request.Path", Problem: fmt.Sprintf("has %d values, but %s takes %d", given, o.Path, len(names))}
}

// placeholders returns the names of the path's placeholders.
func (o Operation) placeholders() (names []string) {
	rest := o.Path
	for {
		_, name, _, after, ok := placeholder(rest)
		if !ok {
			return names
		}
		names, rest = append(names, name), after
	}
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

// checkParam refuses a path value that would address another resource: an empty
// one, a dot segment, or one that does not match the pattern.
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

// digitLimit returns the 18 of \d{1,18}.
func digitLimit(pattern string) (int, bool) {
	_, limit, ok := strings.Cut(strings.TrimSuffix(pattern, "}"), ",")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(limit)
	return n, err == nil
}
