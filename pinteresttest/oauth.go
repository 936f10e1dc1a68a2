package pinteresttest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Rotation says what a refresh does to the refresh token it was made with.
type Rotation uint8

const (
	// SingleUse ends a refresh token with its use: the one in the answer takes
	// its place.
	SingleUse Rotation = iota
	// Reusable keeps it alive beside the one in the answer.
	Reusable
)

type tokenJSON struct {
	AccessToken           string `json:"access_token"`
	RefreshToken          string `json:"refresh_token"`
	ResponseType          string `json:"response_type"`
	TokenType             string `json:"token_type"`
	ExpiresIn             int64  `json:"expires_in"`
	RefreshTokenExpiresIn int64  `json:"refresh_token_expires_in"`
	RefreshTokenExpiresAt int64  `json:"refresh_token_expires_at"`
	Scope                 string `json:"scope"`
}

// createToken serves the token endpoint. Each grant is a function of its own,
// given the client's form.
func (s *Server) createToken(c *call) (any, error) {
	if !s.isApp(c.request.Header) {
		return nil, errUnauthenticated
	}
	form, err := url.ParseQuery(string(c.request.Body))
	if err != nil {
		return nil, invalid("Invalid request: the body is not a form")
	}

	grants := map[string]func(*call, url.Values) (any, error){
		"refresh_token": s.refreshToken,
	}
	grant := grants[form.Get("grant_type")]
	if grant == nil {
		return nil, invalid("Invalid request: grant_type '%s' is not supported", form.Get("grant_type"))
	}
	return grant(c, form)
}

// isApp reports whether the client authenticated as the server's app. Ids and
// secrets are form-encoded within Basic credentials.
func (s *Server) isApp(h http.Header) bool {
	r := http.Request{Header: h}
	id, secret, ok := r.BasicAuth()
	if !ok {
		return false
	}
	id, err := url.QueryUnescape(id)
	if err != nil {
		return false
	}
	secret, err = url.QueryUnescape(secret)
	return err == nil && id == s.app.ID && secret == s.app.Secret
}

func (s *Server) refreshToken(c *call, form url.Values) (any, error) {
	token := form.Get("refresh_token")
	if token == "" {
		return nil, invalid("Invalid request: 'refresh_token' is a required property")
	}
	known, ok := s.tokens.find(token, c.now)
	if !ok || !known.refresh {
		return nil, badGrant("Invalid refresh token")
	}
	scopes := known.scopes
	if wanted := splitScopes(form.Get("scope")); len(wanted) > 0 {
		for _, scope := range wanted {
			if !slices.Contains(known.scopes, scope) {
				return nil, invalid("Invalid request: scope '%s' was not granted", scope)
			}
		}
		scopes = wanted
	}
	// The token is used up last, when nothing can refuse the request any more.
	if _, ok := s.tokens.use(token, c.now, s.rotation == SingleUse); !ok {
		return nil, badGrant("Invalid refresh token")
	}
	if s.replaceTokens {
		s.tokens.end(func(_ string, g *grant) bool { return g.account == known.account && !g.refresh })
	}
	return tokenJSON{
		AccessToken:           s.tokens.issueAccess(known.account, scopes, c.now),
		RefreshToken:          s.tokens.issueRefresh(known.account, known.scopes, c.now),
		ResponseType:          "refresh_token",
		TokenType:             "bearer",
		ExpiresIn:             int64(s.tokens.ttl / time.Second),
		RefreshTokenExpiresIn: int64(refreshTTL / time.Second),
		RefreshTokenExpiresAt: c.now.Add(refreshTTL).Unix(),
		Scope:                 strings.Join(scopes, " "),
	}, nil
}

// splitScopes reads a list of scopes separated by commas or spaces, as both are
// in use.
func splitScopes(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
