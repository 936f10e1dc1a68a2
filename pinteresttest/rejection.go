package pinteresttest

import (
	"fmt"
	"net/http"
	"strconv"
)

// A rejection is an answer other than success. It is the error of handlers.
type rejection struct {
	status  int
	code    int
	message string
	body    any // what is sent; nil for the plain {code, message}
}

func (r *rejection) Error() string {
	return fmt.Sprintf("%d, code %d: %s", r.status, r.code, r.message)
}

// errorJSON is the shape of most errors.
type errorJSON struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// failureJSON is the shape of failed authentication.
type failureJSON struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Status  string `json:"status"`
}

// envelopeJSON is the older shape that the router and the OAuth endpoint use.
type envelopeJSON struct {
	Status       string  `json:"status"`
	Code         int     `json:"code"`
	Data         string  `json:"data"`
	Message      string  `json:"message"`
	EndpointName *string `json:"endpoint_name"`
}

func reject(status, code int, message string) *rejection {
	return &rejection{status: status, code: code, message: message}
}

func rejectEnvelope(status, code int, data, message, endpoint string) *rejection {
	return &rejection{status: status, code: code, message: message, body: envelopeJSON{
		Status: "failure", Code: code, Data: data, Message: message, EndpointName: nullable(endpoint),
	}}
}

// invalid is the answer to a request with a wrong value.
func invalid(format string, args ...any) error {
	return reject(http.StatusBadRequest, 1, fmt.Sprintf(format, args...))
}

// notNumeric is the answer to an invalid id, such as a board's name.
func notNumeric(name, value string) error {
	return invalid(`'%s' value '%s' must match the pattern: ^\d+$`, name, value)
}

// badGrant is the answer of the OAuth endpoint to an invalid code or refresh token.
func badGrant(data string) error {
	return rejectEnvelope(http.StatusUnauthorized, 283, data, "The authorization grant is invalid", "oauth_connect")
}

var (
	errUnauthenticated = &rejection{
		status: http.StatusUnauthorized, code: 2, message: "Authentication failed.",
		body: failureJSON{Code: 2, Message: "Authentication failed.", Status: "failure"},
	}
	errMissingScope = reject(http.StatusUnauthorized, 3, "Your token does not have sufficient permissions to perform "+
		"this operation. Please ensure your token is authorized with the correct set of scopes.")
	errForbidden = reject(http.StatusForbidden, 29, "You are not permitted to access that resource.")
	errTrial     = reject(http.StatusForbidden, 29, "Apps with Trial access may not create Pins in production "+
		"https://api.pinterest.com - use API Sandbox https://api-sandbox.pinterest.com instead.")
	errBoardNotFound   = reject(http.StatusNotFound, 40, "Board not found.")
	errPinNotFound     = reject(http.StatusNotFound, 50, "Pin not found.")
	errSectionNotFound = reject(http.StatusNotFound, 2031, "Sorry! We couldn't find this board section.")
	errSectionConflict = reject(http.StatusConflict, 409, "Board section conflict.")
	errPathNotFound    = rejectEnvelope(http.StatusNotFound, 404,
		"404 Not Found: The requested URL was not found on the server.", "Not found", "")
	errMethodNotAllowed = rejectEnvelope(http.StatusMethodNotAllowed, 5,
		"405 Method Not Allowed: The method is not allowed for the requested URL.", "Method not allowed", "")
	errTooLarge  = reject(http.StatusRequestEntityTooLarge, 413, "Request entity too large")
	errMediaType = reject(http.StatusUnsupportedMediaType, 415, "Unsupported media type")
	errThrottled = reject(http.StatusTooManyRequests, 8, "You have exceeded your rate limit. Try again later.")
)

// nullable returns nil, which JSON encodes as null, for the empty string.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// isNumeric reports whether s matches ^\d+$.
func isNumeric(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

// quoted returns a JSON value for an error message, cut to a readable length.
func quoted(raw []byte) string {
	const most = 60
	if len(raw) > most {
		return strconv.Quote(string(raw[:most])) + "..."
	}
	return string(raw)
}
