package pinterest

import (
	"slices"
	"strings"
)

// Scope is an OAuth scope: what a token may be used for.
type Scope string

// The scopes of the API.
// https://developers.pinterest.com/docs/getting-started/set-up-authentication-and-authorization/
const (
	ScopeAdsRead           Scope = "ads:read"
	ScopeAdsWrite          Scope = "ads:write"
	ScopeBillingRead       Scope = "billing:read"
	ScopeBillingWrite      Scope = "billing:write"
	ScopeBizAccessRead     Scope = "biz_access:read"
	ScopeBizAccessWrite    Scope = "biz_access:write"
	ScopeBoardsRead        Scope = "boards:read"
	ScopeBoardsReadSecret  Scope = "boards:read_secret"
	ScopeBoardsWrite       Scope = "boards:write"
	ScopeBoardsWriteSecret Scope = "boards:write_secret"
	ScopeCatalogsRead      Scope = "catalogs:read"
	ScopeCatalogsWrite     Scope = "catalogs:write"
	ScopeMSOTWrite         Scope = "msot:write"
	ScopePinsRead          Scope = "pins:read"
	ScopePinsReadSecret    Scope = "pins:read_secret"
	ScopePinsWrite         Scope = "pins:write"
	ScopePinsWriteSecret   Scope = "pins:write_secret"
	ScopeUserAccountsRead  Scope = "user_accounts:read"
	ScopeUserAccountsWrite Scope = "user_accounts:write"
)

// ScopesFor returns the scopes that a token needs for all of these operations,
// sorted, for [OAuth].Scopes. Secret boards and their pins also need the scopes
// that end in _secret.
func ScopesFor(ops ...Operation) []Scope {
	var scopes []Scope
	for _, op := range ops {
		scopes = append(scopes, op.Scopes...)
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// MissingScopes returns the wanted scopes that were not granted, in their order
// and each once.
func MissingScopes(granted, wanted []Scope) []Scope {
	var missing []Scope
	for _, s := range wanted {
		if !slices.Contains(granted, s) && !slices.Contains(missing, s) {
			missing = append(missing, s)
		}
	}
	return missing
}

// parseScopes reads the scope field of the token endpoint's answer, which has been
// seen with commas and with spaces. It returns nil if the field is empty.
func parseScopes(s string) []Scope {
	var scopes []Scope
	for _, name := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '+' }) {
		scopes = append(scopes, Scope(name))
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// joinScopes joins scopes by commas, as the authorize page documents.
func joinScopes(scopes []Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ",")
}

// scopeError says which scopes a call needs and its token is known to lack.
type scopeError []Scope

func (e scopeError) Error() string {
	return "the token was granted without " + joinScopes(e) + ": connect the account again and ask for it"
}
