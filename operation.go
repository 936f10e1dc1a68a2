package pinterest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Kind tells what sending an operation a second time would do. It decides
// what an uncertain failure means.
type Kind uint8

const (
	// KindUnset leaves the kind to the method: GET and HEAD read, PUT, PATCH and
	// DELETE write, and all else is held for a create, which is the safe mistake.
	KindUnset Kind = iota
	// KindRead changes nothing: it may be sent as often as needed.
	KindRead
	// KindWrite is an idempotent write (PATCH, DELETE): sending it twice leaves
	// the same state as sending it once.
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
// operation this package lacks can be called through [Client.Do] with a value
// of the caller's own.
//
// The facts come from the official API description, 5.23.0, and a test holds
// every one of them against it.
type Operation struct {
	ID       string   // operation id, such as "pins/create"
	Method   string   // HTTP method
	Path     string   // path below the base URL, such as "/pins/{pin_id}"
	Kind     Kind     // what sending it twice would do
	Category Category // rate-limit category
	Scopes   []Scope  // OAuth scopes the token must hold
}

// String returns the operation's id.
func (o Operation) String() string { return o.ID }

var (
	boardsRead  = []Scope{ScopeBoardsRead}
	boardsWrite = []Scope{ScopeBoardsRead, ScopeBoardsWrite}
	pinsRead    = []Scope{ScopeBoardsRead, ScopePinsRead}
	pinsWrite   = []Scope{ScopeBoardsRead, ScopeBoardsWrite, ScopePinsRead, ScopePinsWrite}
)

// The operations of this package, by resource. Treat them as constants.
var (
	OpPinsCreate = Operation{"pins/create", http.MethodPost, "/pins", KindCreate, CategoryOrgWrite, pinsWrite}
	OpPinsList   = Operation{"pins/list", http.MethodGet, "/pins", KindRead, CategoryOrgRead, pinsRead}
	OpPinsGet    = Operation{"pins/get", http.MethodGet, "/pins/{pin_id}", KindRead, CategoryOrgRead, pinsRead}
	OpPinsUpdate = Operation{"pins/update", http.MethodPatch, "/pins/{pin_id}", KindWrite, CategoryOrgWrite, pinsWrite}
	OpPinsDelete = Operation{"pins/delete", http.MethodDelete, "/pins/{pin_id}", KindWrite, CategoryOrgWrite, pinsWrite}
	OpPinsSave   = Operation{"pins/save", http.MethodPost, "/pins/{pin_id}/save", KindCreate, CategoryOrgWrite, pinsWrite}

	OpBoardsCreate   = Operation{"boards/create", http.MethodPost, "/boards", KindCreate, CategoryOrgWrite, boardsWrite}
	OpBoardsList     = Operation{"boards/list", http.MethodGet, "/boards", KindRead, CategoryOrgRead, boardsRead}
	OpBoardsGet      = Operation{"boards/get", http.MethodGet, "/boards/{board_id}", KindRead, CategoryOrgRead, boardsRead}
	OpBoardsUpdate   = Operation{"boards/update", http.MethodPatch, "/boards/{board_id}", KindWrite, CategoryOrgWrite, boardsWrite}
	OpBoardsDelete   = Operation{"boards/delete", http.MethodDelete, "/boards/{board_id}", KindWrite, CategoryOrgWrite, boardsWrite}
	OpBoardsListPins = Operation{"boards/list_pins", http.MethodGet, "/boards/{board_id}/pins", KindRead, CategoryOrgRead, pinsRead}

	OpSectionsCreate   = Operation{"board_sections/create", http.MethodPost, "/boards/{board_id}/sections", KindCreate, CategoryOrgWrite, boardsWrite}
	OpSectionsList     = Operation{"board_sections/list", http.MethodGet, "/boards/{board_id}/sections", KindRead, CategoryOrgRead, boardsRead}
	OpSectionsUpdate   = Operation{"board_sections/update", http.MethodPatch, "/boards/{board_id}/sections/{section_id}", KindWrite, CategoryOrgWrite, boardsWrite}
	OpSectionsDelete   = Operation{"board_sections/delete", http.MethodDelete, "/boards/{board_id}/sections/{section_id}", KindWrite, CategoryOrgWrite, boardsWrite}
	OpSectionsListPins = Operation{"board_sections/list_pins", http.MethodGet, "/boards/{board_id}/sections/{section_id}/pins", KindRead, CategoryOrgRead, pinsRead}

	OpUserAccountGet = Operation{"user_account/get", http.MethodGet, "/user_account", KindRead, CategoryOrgRead, []Scope{ScopeUserAccountsRead}}

	// OpOAuthToken is the token call. A refresh may be sent again, so its kind
	// is KindWrite; it is authorized by the app's credentials, not by a token.
	OpOAuthToken = Operation{"oauth/token", http.MethodPost, "/oauth/token", KindWrite, CategoryOrgRead, nil}
	// OpTokenRevoke is authorized by the app's credentials, too.
	OpTokenRevoke = Operation{"token/revoke", http.MethodPost, "/oauth/token/revoke", KindWrite, CategoryOrgWrite, nil}
	// OpConversionToken makes a token. A second one does no harm.
	OpConversionToken = Operation{"oauth/conversion_token", http.MethodPost, "/oauth/conversion_token", KindWrite, CategoryOrgWrite, []Scope{ScopeAdsWrite}}
)

// Operations returns the description of every operation this package calls.
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

// numericParams are the path parameters that the API description gives the
// pattern ^\d+$. Others are only required to be present.
var numericParams = map[string]bool{"pin_id": true, "board_id": true, "section_id": true, "media_id": true, "ad_account_id": true}

// expand adds the operation's path to u, its placeholders filled with values in
// their order.
func (o Operation) expand(u *url.URL, values []string) error {
	path := make([]byte, 0, 128)
	path = append(path, u.Path...)
	escaped := "" // kept only when a value needs escaping
	rest := o.Path
	for _, value := range values {
		open, shut := strings.IndexByte(rest, '{'), strings.IndexByte(rest, '}')
		if open < 0 || shut < open {
			return fmt.Errorf("path %s takes fewer than %d values", o.Path, len(values))
		}
		if err := checkParam(rest[open+1:shut], value); err != nil {
			return err
		}
		if e := url.PathEscape(value); e != value || escaped != "" {
			def(&escaped, string(path)) // what came before needed none
			escaped += rest[:open] + e
		}
		path = append(append(path, rest[:open]...), value...)
		rest = rest[shut+1:]
	}
	if strings.IndexByte(rest, '{') >= 0 {
		return fmt.Errorf("path %s takes more than %d values", o.Path, len(values))
	}
	if escaped != "" {
		u.RawPath = escaped + rest
	}
	u.Path = string(append(path, rest...))
	return nil
}

// checkParam refuses a path value that would reach another resource than the
// one meant: an empty one, a dot segment, or a name in place of a numeric id.
func checkParam(name, value string) error {
	if numericParams[name] {
		return requireID(name, value)
	}
	if value == "" || value == "." || value == ".." {
		return FieldError{Field: name, Value: value, Problem: "must name a resource"}
	}
	return nil
}
