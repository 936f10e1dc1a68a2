package pinteresttest

import (
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
)

// An operation is an operation of the API that the server implements. Its id is
// that of the official API description.
type operation struct {
	id       string
	method   string
	path     string // below /v5
	category string // of its rate limit
	scopes   []string
	consumes string // the media type of its body; empty for none
	status   int    // of its success
	handle   func(*Server, *call) (any, error)
}

// The operations for which the app authenticates itself with its credentials.
const (
	opToken  = "oauth/token"
	opRevoke = "token/revoke"
)

func operations() []*operation {
	const (
		reads, writes = "org_read", "org_write"
		json, form    = "application/json", "application/x-www-form-urlencoded"
	)
	users := []string{"user_accounts:read"}
	adsWrite := []string{"ads:write"}
	boards := []string{"boards:read"}
	boardsWrite := []string{"boards:read", "boards:write"}
	pins := []string{"boards:read", "pins:read"}
	pinsWrite := []string{"boards:read", "boards:write", "pins:read", "pins:write"}

	// A row is id, method, path, category, scopes, media type of the body,
	// status of success, handler.
	const (
		b  = "/boards"
		bi = "/boards/{board_id}"
		si = "/boards/{board_id}/sections/{section_id}"
		p  = "/pins"
		pi = "/pins/{pin_id}"
	)
	return []*operation{
		{"board_sections/create", "POST", bi + "/sections", writes, boardsWrite, json, 201, (*Server).createSection},
		{"board_sections/delete", "DELETE", si, writes, boardsWrite, "", 204, (*Server).deleteSection},
		{"board_sections/list", "GET", bi + "/sections", reads, boards, "", 200, (*Server).listSections},
		{"board_sections/list_pins", "GET", si + "/pins", reads, pins, "", 200, (*Server).listSectionPins},
		{"board_sections/update", "PATCH", si, writes, boardsWrite, json, 200, (*Server).updateSection},
		{"boards/create", "POST", b, writes, boardsWrite, json, 201, (*Server).createBoard},
		{"boards/delete", "DELETE", bi, writes, boardsWrite, "", 204, (*Server).deleteBoard},
		{"boards/get", "GET", bi, reads, boards, "", 200, (*Server).getBoard},
		{"boards/list", "GET", b, reads, boards, "", 200, (*Server).listBoards},
		{"boards/list_pins", "GET", bi + "/pins", reads, pins, "", 200, (*Server).listBoardPins},
		{"boards/update", "PATCH", bi, writes, boardsWrite, json, 200, (*Server).updateBoard},
		{"oauth/conversion_token", "POST", "/oauth/conversion_token", writes, adsWrite, "", 200, (*Server).createConversionToken},
		{opToken, "POST", "/oauth/token", reads, nil, form, 200, (*Server).createToken},
		{"pins/create", "POST", p, writes, pinsWrite, json, 201, (*Server).createPin},
		{"pins/delete", "DELETE", pi, writes, pinsWrite, "", 204, (*Server).deletePin},
		{"pins/get", "GET", pi, reads, pins, "", 200, (*Server).getPin},
		{"pins/list", "GET", p, reads, pins, "", 200, (*Server).listPins},
		{"pins/save", "POST", pi + "/save", writes, pinsWrite, json, 201, (*Server).savePin},
		{"pins/update", "PATCH", pi, writes, pinsWrite, json, 200, (*Server).updatePin},
		{opRevoke, "POST", "/oauth/token/revoke", writes, nil, form, 200, (*Server).revokeToken},
		{"user_account/get", "GET", "/user_account", reads, users, "", 200, (*Server).getAccount},
	}
}

// route finds the operation of a request and the parameters in its path. The
// escaped path is matched: an id with an escaped slash is one id, and an empty id
// does not match.
func (s *Server) route(method string, u *url.URL) (*operation, map[string]string, error) {
	path, ok := strings.CutPrefix(u.EscapedPath(), "/v5")
	if !ok {
		return nil, nil, errPathNotFound
	}
	known := false
	for _, op := range s.operations {
		params, ok := matchPath(op.path, path)
		if ok && op.method == method {
			return op, params, nil
		}
		known = known || ok
	}
	if known {
		return nil, nil, errMethodNotAllowed
	}
	return nil, nil, errPathNotFound
}

func matchPath(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	var params map[string]string
	for i, part := range want {
		value, err := url.PathUnescape(got[i])
		if err != nil {
			return nil, false
		}
		name, isParam := strings.CutPrefix(part, "{")
		switch {
		case !isParam && value != part, isParam && value == "":
			return nil, false
		case isParam:
			if params == nil {
				params = map[string]string{}
			}
			params[strings.TrimSuffix(name, "}")] = value
		}
	}
	return params, true
}

// execute performs a request or returns why it is refused.
func (s *Server) execute(c *call) (any, error) {
	if c.refusal != nil {
		return nil, c.refusal
	}
	if c.op.scopes != nil {
		if err := s.authenticate(c); err != nil {
			return nil, err
		}
	}
	if c.op.consumes != "" {
		given, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
		if err != nil || given != c.op.consumes {
			return nil, errMediaType
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.params)) {
		if !isNumeric(c.params[name]) {
			return nil, notNumeric(name, c.params[name])
		}
	}
	if id := c.query.Get("ad_account_id"); id != "" && !isNumeric(id) {
		return nil, notNumeric("ad_account_id", id)
	}
	return c.op.handle(s, c)
}
