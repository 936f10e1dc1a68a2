package pinterest

import (
	"strconv"
	"unicode/utf8"

	"github.com/pinterest-go/pinterest/internal/reserved"
)

// checkAccount returns an error for a name that no account can have. Names that are
// not valid UTF-8 are refused, because JSON and databases would replace the bytes
// that are wrong, and two such names could become one.
func checkAccount(name string) error {
	switch {
	case !utf8.ValidString(name):
		return FieldError{Field: "account", Problem: "must be valid UTF-8, is " + strconv.QuoteToASCII(name[:min(len(name), 100)])}
	case reserved.Name(name):
		return FieldError{Field: "account", Value: shortLine(name, 100), Problem: "is reserved: the library keeps a record of its own under this name"}
	}
	return nil
}

// checkConnectable is checkAccount for an account that is connected or disconnected: it
// must have a name. A session that has no account would connect that of everyone else
// who has none.
func checkConnectable(name string) error {
	if name == "" {
		return FieldError{Field: "account", Problem: "must not be empty"}
	}
	return checkAccount(name)
}

// invalidAccount is the error of a name that no account can have, where there is no
// call.
func invalidAccount(err error) error {
	return (&call{op: Operation{ID: opAuthorize}}).invalid(err)
}
