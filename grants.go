package pinterest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// AuthorizeURL is the page on which an account's owner gives access to an app.
const AuthorizeURL = "https://www.pinterest.com/oauth/"

var (
	// OpOAuthToken is the token call. A refresh may be sent again, so its kind
	// is KindWrite. Treat it as a constant.
	OpOAuthToken = Operation{ID: "oauth/token", Method: http.MethodPost, Path: "/oauth/token", Kind: KindWrite, Category: CategoryOrgRead, Auth: AuthApp}
	// OpTokenRevoke ends a token. Treat it as a constant.
	OpTokenRevoke = Operation{ID: "token/revoke", Method: http.MethodPost, Path: "/oauth/token/revoke", Kind: KindWrite, Category: CategoryOrgWrite, Auth: AuthApp, NoBody: true}
	// OpConversionToken makes a token. A second one does no harm. Treat it as a
	// constant.
	OpConversionToken = Operation{ID: "oauth/conversion_token", Method: http.MethodPost, Path: "/oauth/conversion_token", Kind: KindWrite, Category: CategoryOrgWrite, Scopes: []Scope{ScopeAdsWrite}}
)

// OAuth is the app's side of the OAuth flow. Its secret is sent to the token
// endpoint alone (HTTP Basic), which belongs to the base URL: that of the
// sandbox with [WithSandbox].
type OAuth struct {
	ClientID     string  // the app's id
	ClientSecret string  // the app's secret
	RedirectURL  string  // where Pinterest sends the owner back to: exactly as registered for the app
	Scopes       []Scope // what to ask for, see [ScopesFor]

	// PKCE adds a code challenge (S256). Pinterest does not document it; it has
	// been seen to accept it.
	PKCE bool
	// Early is how long before its expiry an access token is renewed, at least;
	// up to as much again is added at random. Default 5 minutes.
	Early time.Duration
	// RenewWithin is how long before its end a token is renewed by
	// [App.RefreshDue]. Default 7 days.
	RenewWithin time.Duration
	// AuthorizeURL replaces [AuthorizeURL], for tests.
	AuthorizeURL string
}

// String names the app; it prints no credentials.
func (o OAuth) String() string { return "pinterest.OAuth(" + o.ClientID + ")" }

// GoString keeps %#v from printing more than String does.
func (o OAuth) GoString() string { return o.String() }

// LogValue keeps structured logs from printing more than String does.
func (o OAuth) LogValue() slog.Value { return slog.StringValue(o.String()) }

func (o *OAuth) check() error {
	switch {
	case o.ClientID == "":
		return errors.New("pinterest: WithOAuth: ClientID is empty")
	case o.ClientSecret == "":
		return errors.New("pinterest: WithOAuth: ClientSecret is empty")
	case o.Early < 0:
		return fmt.Errorf("pinterest: WithOAuth: Early must not be negative, is %v", o.Early)
	case o.RenewWithin < 0:
		return fmt.Errorf("pinterest: WithOAuth: RenewWithin must not be negative, is %v", o.RenewWithin)
	}
	for name, text := range map[string]string{"RedirectURL": o.RedirectURL, "AuthorizeURL": o.AuthorizeURL} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname()))) {
			return fmt.Errorf("pinterest: WithOAuth: %s must be https, or http to a loopback address", name)
		}
	}
	for _, s := range o.Scopes {
		if s == "" || strings.ContainsAny(string(s), ", +") {
			return fmt.Errorf("pinterest: WithOAuth: %q is not a scope", string(s))
		}
	}
	return nil
}

func (o *OAuth) renewWithin() time.Duration {
	within := o.RenewWithin
	setDefault(&within, 7*day)
	return within
}

// OAuthService connects accounts. It is had from [App].OAuth.
type OAuthService struct{ *core }

// String names the app; it prints no credentials.
func (s *OAuthService) String() string { return "pinterest.OAuthService(" + s.oauth.ClientID + ")" }

// GoString keeps %#v from printing more than String does.
func (s *OAuthService) GoString() string { return s.String() }

var errNoOAuth = errors.New("pinterest: the app's credentials are missing: use WithOAuth")

// Exchange exchanges an authorization code for a token, without saving it.
// verifier is that of PKCE, "" without. [OAuthService.Callback] does it for a
// login that [OAuthService.Login] began.
func (s *OAuthService) Exchange(ctx context.Context, code, verifier string) (*Token, error) {
	return s.exchange(ctx, s.client(""), code, verifier)
}

func (s *OAuthService) exchange(ctx context.Context, c *Client, code, verifier string) (*Token, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {s.oauth.RedirectURL},
		// Apps of before 2025-09-25 get a refresh token that can be renewed only so.
		"continuous_refresh": {"true"},
	}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	return s.grant(ctx, c, form)
}

// Refresh exchanges a refresh token for a new pair, without saving it. Accounts
// in a [TokenStore] need no such call.
func (s *OAuthService) Refresh(ctx context.Context, refreshToken string) (*Token, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	tok, err := s.grant(ctx, s.client(""), form)
	if err != nil {
		return nil, err
	}
	return tok.after(&Token{RefreshToken: refreshToken}), nil
}

// ClientCredentials returns a token for the app owner's own account. It has no
// refresh token: ask again when it has expired.
func (s *OAuthService) ClientCredentials(ctx context.Context, scopes ...Scope) (*Token, error) {
	return s.grant(ctx, s.client(""), url.Values{"grant_type": {"client_credentials"}, "scope": {joinScopes(scopes)}})
}

func (s *OAuthService) grant(ctx context.Context, c *Client, form url.Values) (*Token, error) {
	if s.oauth.ClientID == "" {
		return nil, errNoOAuth
	}
	for _, name := range []string{"code", "refresh_token", "scope"} {
		if form.Has(name) && form.Get(name) == "" {
			return nil, (&call{op: OpOAuthToken}).invalid(FieldError{Field: name, Problem: "must not be empty"})
		}
	}
	c.secrets.AddToken(form.Get("code"), form.Get("code_verifier"), form.Get("refresh_token"))
	tok, err := c.grant(ctx, s.oauth.ClientID, s.oauth.ClientSecret, form)
	if err == nil {
		c.secrets.AddToken(tok.AccessToken, tok.RefreshToken)
	}
	return tok, err
}

// Revoke ends a token at Pinterest, which does so for the tokens of system users
// alone and answers [ErrForbidden] to others (operation token/revoke).
// https://developers.pinterest.com/docs/api/v5/token-revoke
func (s *OAuthService) Revoke(ctx context.Context, token string) error {
	switch {
	case s.oauth.ClientID == "":
		return errNoOAuth
	case token == "":
		return (&call{op: OpTokenRevoke}).invalid(FieldError{Field: "token", Problem: "must not be empty"})
	}
	c := s.client("")
	c.secrets.AddToken(token)
	return c.Do(ctx, OpTokenRevoke, Request{Body: url.Values{"token": {token}}}, nil)
}

// ConversionToken makes a long-lived token for sending conversions, from an
// account's token (operation oauth/conversion_token).
// https://developers.pinterest.com/docs/api/v5/oauth-conversion_token
func (s *OAuthService) ConversionToken(ctx context.Context, account string) (*Token, error) {
	c := s.client(account)
	answer, err := Call[tokenAnswer](ctx, c, OpConversionToken, Request{})
	if err != nil {
		return nil, err
	}
	tok := answer.token(c.clock.Now())
	c.secrets.AddToken(tok.AccessToken)
	return tok, nil
}
