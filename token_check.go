package pinterest

import (
	"strings"
	"unicode"
)

// What Pinterest's tokens begin with.
const (
	accessPrefix  = "pina_"
	refreshPrefix = "pinr"
)

// malformedToken says what is wrong with a token, without its text.
type malformedToken string

func (e malformedToken) Error() string { return string(e) }

// checkAccess returns an error if tok cannot be an access token. name is what the
// error calls it.
func checkAccess(name, tok string) error {
	switch {
	case strings.HasPrefix(tok, refreshPrefix):
		return malformedToken(name + " is a refresh token: an access token is needed")
	case hasScheme(tok):
		return malformedToken(name + schemeProblem)
	case strings.ContainsFunc(tok, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return malformedToken(name + spaceProblem)
	}
	return nil
}

// checkRefresh returns an error if tok cannot be a refresh token. It is sent in a
// form, which spaces do no harm to, but none stands around a token.
func checkRefresh(name, tok string) error {
	switch {
	case strings.HasPrefix(tok, accessPrefix):
		return malformedToken(name + " is an access token: a refresh token is needed")
	case hasScheme(tok):
		return malformedToken(name + schemeProblem)
	case strings.TrimSpace(tok) != tok, strings.ContainsFunc(tok, unicode.IsControl):
		return malformedToken(name + spaceProblem)
	}
	return nil
}

const (
	schemeProblem = ` begins with the scheme "Bearer": it must be the token alone`
	spaceProblem  = " contains spaces or control characters, such as the end of a line"
)

func hasScheme(tok string) bool {
	const scheme = "bearer"
	return len(tok) > len(scheme) && strings.EqualFold(tok[:len(scheme)], scheme) && unicode.IsSpace(rune(tok[len(scheme)]))
}

// check returns an error if the credentials cannot be what they are said to be.
func (t *Token) check() error {
	if err := checkAccess("the access token", t.AccessToken); err != nil {
		return err
	}
	return checkRefresh("the refresh token", t.RefreshToken)
}

// wellFormed reports whether check finds nothing.
func (t *Token) wellFormed() bool { return t.check() == nil }
