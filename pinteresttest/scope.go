package pinteresttest

import (
	"slices"
	"strings"
)

// A describedScope is an OAuth scope with the API's description of it.
type describedScope struct{ Name, Text string }

// knownScopes are the scopes of the API, in the order of their names.
var knownScopes = []describedScope{
	{"ads:read", "See all of your advertising data, including ads, ad groups, campaigns etc."},
	{"ads:write", "Create, update, or delete ads, ad groups, campaigns etc."},
	{"billing:read", "See all of your billing data, billing profile, etc."},
	{"billing:write", "Create, update, or delete billing data, billing profiles, etc."},
	{"biz_access:read", "See business access data"},
	{"biz_access:write", "Create, update, or delete business access data"},
	{"boards:read", "See your public boards, including group boards you join"},
	{"boards:read_secret", "See your secret boards"},
	{"boards:write", "Create, update, or delete your public boards"},
	{"boards:write_secret", "Create, update, or delete your secret boards"},
	{"catalogs:read", "See all of your catalogs data"},
	{"catalogs:write", "Create, update, or delete your catalogs data"},
	{"msot:write", "Create measurement source of truth events"},
	{"pins:read", "See your public Pins"},
	{"pins:read_secret", "See your secret Pins"},
	{"pins:write", "Create, update, or delete your public Pins"},
	{"pins:write_secret", "Create, update, or delete your secret Pins"},
	{"user_accounts:read", "See your user accounts and followers"},
	{"user_accounts:write", "Update your user accounts and followers"},
}

// allScopes returns the scopes that an account grants by default.
func allScopes() []string {
	names := make([]string, len(knownScopes))
	for i, s := range knownScopes {
		names[i] = s.Name
	}
	return names
}

// describe returns the scopes of a list. unknown is one that the API does not have.
func describe(scopes []string) (described []describedScope, unknown string) {
	for _, name := range scopes {
		i := slices.IndexFunc(knownScopes, func(s describedScope) bool { return s.Name == name })
		if i < 0 {
			return nil, name
		}
		described = append(described, knownScopes[i])
	}
	return described, ""
}

// splitScopes reads a list of scopes separated by commas or spaces, which are both
// in use.
func splitScopes(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// union returns the scopes of both lists, sorted.
func union(a, b []string) []string {
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both)
}

// lacks returns a wanted scope that is not granted, or "".
func lacks(granted, wanted []string) string {
	for _, scope := range wanted {
		if !slices.Contains(granted, scope) {
			return scope
		}
	}
	return ""
}
