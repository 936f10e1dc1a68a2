package pinteresttest

import (
	"strconv"
	"strings"
	"time"
)

// A TokenShape is the form of the token endpoint's answers, which has differed over
// time and between apps. The zero TokenShape is the usual form.
type TokenShape struct {
	Scope  ScopeForm
	Status int // of success; 0 means 200

	// NumbersAsStrings writes expires_in, refresh_token_expires_in and
	// refresh_token_expires_at as strings.
	NumbersAsStrings bool

	// OmitRefreshToken omits the refresh token and its lifetime from the answer to
	// a refresh. The refresh token that was used stays valid until it expires.
	OmitRefreshToken bool
}

// ScopeForm is how the token endpoint writes the scopes of a token.
type ScopeForm uint8

const (
	// SpaceSeparatedScopes are joined by spaces.
	SpaceSeparatedScopes ScopeForm = iota
	// CommaSeparatedScopes are joined by commas.
	CommaSeparatedScopes
	// NoScopes omits the field.
	NoScopes
)

// tokenJSON is an answer of the token endpoint. Its numbers may be strings.
type tokenJSON struct {
	AccessToken           string  `json:"access_token"`
	RefreshToken          string  `json:"refresh_token,omitempty"`
	ResponseType          string  `json:"response_type"`
	TokenType             string  `json:"token_type"`
	ExpiresIn             any     `json:"expires_in"`
	RefreshTokenExpiresIn any     `json:"refresh_token_expires_in,omitempty"`
	RefreshTokenExpiresAt any     `json:"refresh_token_expires_at,omitempty"`
	Scope                 *string `json:"scope,omitempty"`
}

// tokenAnswer returns the answer with a new access token.
func (s *Server) tokenAnswer(kind, access string, scopes []string) tokenJSON {
	answer := tokenJSON{
		AccessToken: access, ResponseType: kind, TokenType: "bearer",
		ExpiresIn: s.number(int64(s.tokens.ttl / time.Second)),
	}
	separator := " "
	switch s.tokenShape.Scope {
	case NoScopes:
		return answer
	case CommaSeparatedScopes:
		separator = ","
	case SpaceSeparatedScopes:
	}
	list := strings.Join(scopes, separator)
	answer.Scope = &list
	return answer
}

// withRefresh issues a refresh token and adds it to the answer.
func (s *Server) withRefresh(answer tokenJSON, g *grant, now time.Time) tokenJSON {
	answer.RefreshTokenExpiresIn = s.number(int64(g.expires.Sub(now) / time.Second))
	answer.RefreshTokenExpiresAt = s.number(g.expires.Unix())
	answer.RefreshToken = s.tokens.issue("pinr.", g)
	return answer
}

func (s *Server) number(n int64) any {
	if s.tokenShape.NumbersAsStrings {
		return strconv.FormatInt(n, 10)
	}
	return n
}
