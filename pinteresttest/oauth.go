package pinteresttest

import (
	"net/http"
	"net/url"
)

// Rotation is what a refresh does to the refresh token it uses.
type Rotation uint8

const (
	// SingleUse expires the refresh token. The one in the answer replaces it.
	SingleUse Rotation = iota
	// Reusable keeps it valid in addition to the one in the answer.
	Reusable
)

// AppOwner is the user name of the account that owns the app. Client credentials
// give access to it. The account is added with the first token for client
// credentials, or by [Server.AddAccount].
const AppOwner = "app_owner"

// createToken serves the token endpoint. Each grant type has its own function,
// which gets the client's form.
func (s *Server) createToken(c *call) (any, error) {
	if !s.isApp(c.request.Header) {
		return nil, errUnauthenticated
	}
	form, err := c.form()
	if err != nil {
		return nil, err
	}
	switch kind := form.Get("grant_type"); kind {
	case "authorization_code":
		return s.exchangeCode(c, form)
	case "refresh_token":
		return s.refreshToken(c, form)
	case "client_credentials":
		return s.clientToken(c, form)
	default:
		return nil, invalid("Invalid request: grant_type '%s' is not supported", kind)
	}
}

// form reads the request's body.
func (c *call) form() (url.Values, error) {
	form, err := url.ParseQuery(string(c.request.Body))
	if err != nil {
		return nil, invalid("Invalid request: the body is not a form")
	}
	return form, nil
}

// required returns a required field of a form.
func required(form url.Values, name string) (string, error) {
	if value := form.Get(name); value != "" {
		return value, nil
	}
	return "", invalid("Invalid request: '%s' is a required property", name)
}

// isApp reports whether the client authenticated as the server's app. In Basic
// credentials the id and the secret are form-encoded.
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

// exchangeCode serves the grant type authorization_code.
func (s *Server) exchangeCode(c *call, form url.Values) (any, error) {
	text, err := required(form, "code")
	if err != nil {
		return nil, err
	}
	redirectURI, err := required(form, "redirect_uri")
	if err != nil {
		return nil, err
	}
	code, err := s.codes.use(text, redirectURI, form.Get("code_verifier"), c.now)
	if err != nil {
		return nil, err
	}
	refresh := &grant{account: code.account, scopes: code.scopes, refresh: true, expires: c.now.Add(refreshTTL)}
	if s.legacyRefresh && form.Get("continuous_refresh") != "true" {
		refresh.legacy, refresh.expires = true, c.now.Add(legacyRefreshTTL)
	}
	answer := s.tokenAnswer("authorization_code", s.tokens.issueAccess(code.account, code.scopes, c.now), code.scopes)
	return s.withRefresh(answer, refresh, c.now), nil
}

// refreshToken serves the grant type refresh_token.
func (s *Server) refreshToken(c *call, form url.Values) (any, error) {
	token, err := required(form, "refresh_token")
	if err != nil {
		return nil, err
	}
	known, ok := s.tokens.find(token, c.now)
	if !ok || !known.refresh {
		s.noteReuse(c.request, s.tokens.known(token))
		return nil, badGrant("Invalid refresh token")
	}
	scopes := known.scopes
	if wanted := splitScopes(form.Get("scope")); len(wanted) > 0 {
		if missing := lacks(known.scopes, wanted); missing != "" {
			return nil, invalid("Invalid request: scope '%s' was not granted", missing)
		}
		scopes = wanted
	}
	// The token is used up last, when nothing can refuse the request anymore.
	replace := !known.legacy && !s.tokenShape.OmitRefreshToken
	used, ok := s.tokens.use(token, c.now, replace, s.rotation == SingleUse)
	if !ok {
		used = s.tokens.known(token) // another refresh was faster
	}
	s.noteReuse(c.request, used)
	if !ok {
		return nil, badGrant("Invalid refresh token")
	}
	if s.replaceTokens {
		s.tokens.end(func(_ string, g *grant) bool { return g.account == known.account && !g.refresh && !g.conversion })
	}
	answer := s.tokenAnswer("refresh_token", s.tokens.issueAccess(known.account, scopes, c.now), scopes)
	if replace {
		next := &grant{account: known.account, scopes: known.scopes, refresh: true, expires: c.now.Add(refreshTTL)}
		answer = s.withRefresh(answer, next, c.now)
	}
	return answer, nil
}

// noteReuse records that a refresh token was sent that had been replaced.
func (s *Server) noteReuse(r *Request, g grant) {
	if g.replaced {
		s.requestLog.reused(r)
	}
}

// clientToken serves the grant type client_credentials.
func (s *Server) clientToken(c *call, form url.Values) (any, error) {
	list, err := required(form, "scope")
	if err != nil {
		return nil, err
	}
	scopes := splitScopes(list)
	if _, unknown := describe(scopes); unknown != "" {
		return nil, invalid("Invalid request: scope '%s' is unknown", unknown)
	}
	s.world.account(AppOwner)
	token := s.tokens.issue("pinc_", &grant{
		account: AppOwner, scopes: scopes, client: true, expires: c.now.Add(s.tokens.ttl),
	})
	return s.tokenAnswer("client_credentials", token, scopes), nil
}

// tokenOwner returns the account that a request with Basic authentication is about,
// and its grant type.
func (s *Server) tokenOwner(operation string, body []byte) (account, kind string) {
	form, _ := url.ParseQuery(string(body))
	if operation == opRevoke {
		return s.tokens.known(form.Get("token")).account, ""
	}
	kind = form.Get("grant_type")
	switch kind {
	case "authorization_code":
		account = s.codes.owner(form.Get("code"))
	case "refresh_token":
		account = s.tokens.known(form.Get("refresh_token")).account
	case "client_credentials":
		account = AppOwner
	}
	return account, kind
}

type conversionJSON struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
}

// conversionTTL stands for "never": conversion tokens do not expire.
const conversionTTL = 100 * 365 * day

// createConversionToken issues a token for sending conversions. No operation of
// this server accepts it.
func (s *Server) createConversionToken(c *call) (any, error) {
	token := s.tokens.issue("pina_", &grant{account: c.account, conversion: true, expires: c.now.Add(conversionTTL)})
	return conversionJSON{AccessToken: token, TokenType: "conversion"}, nil
}

// revokeToken revokes a token of a system user or of the app itself. It refuses
// all other tokens, including unknown ones. Revoking a token again is no error.
func (s *Server) revokeToken(c *call) (any, error) {
	if !s.isApp(c.request.Header) {
		return nil, errUnauthenticated
	}
	form, err := c.form()
	if err != nil {
		return nil, err
	}
	token, err := required(form, "token")
	if err != nil {
		return nil, err
	}
	switch hint := form.Get("token_type_hint"); hint {
	case "", "access_token", "refresh_token":
	default:
		return nil, invalid("Invalid request: 'token_type_hint' '%s' is not one of [access_token, refresh_token]", hint)
	}
	if g := s.tokens.known(token); !g.client && !s.world.isSystem(g.account) {
		return nil, errForbidden
	}
	s.ExpireToken(token)
	return nil, nil
}
