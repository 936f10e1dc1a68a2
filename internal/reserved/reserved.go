// Package reserved has the names of the records in a token store that are the
// library's own, not those of accounts.
package reserved

import "strings"

const (
	// Logins begins the names of the records of logins that were answered.
	Logins = "pinterest:logins:"
	// Schedule is the name of the record that says when tokens are refreshed next.
	Schedule = "pinterest:refresh-due"
	// Refusals is the name of the record of refreshes that were refused.
	Refusals = "pinterest:refusals"
)

// Name reports whether a name is one of these.
func Name(name string) bool {
	return strings.HasPrefix(name, Logins) || name == Schedule || name == Refusals
}
