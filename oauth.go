package pinterest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// AuthorizeURL is the page on which an account's owner gives access to an app.
const AuthorizeURL = "https://www.pinterest.com/oauth/"

var (
	// OpOAuthToken is the token call. A refresh may be sent again, so its kind
	// is KindWrite. Treat it as a constant.
	OpOAuthToken = Operation{ID: "oauth/token", Method: http.MethodPost, Path: "/oauth/token", Kind: KindWrite, Category: CategoryOrgRead, AppAuth: true}
	// OpTokenRevoke ends a token. Treat it as a constant.
	OpTokenRevoke = Operation{ID: "token/revoke", Method: http.MethodPost, Path: "/oauth/token/revoke", Kind: KindWrite, Category: CategoryOrgWrite, AppAuth: true, NoBody: true}
	// OpConversionToken makes a token. A second one does no harm. Treat it as a
	// constant.
	OpConversionToken = Operation{ID: "oauth/conversion_token", Method: http.MethodPost, Path: "/oauth/conversion_token", Kind: KindWrite, Category: CategoryOrgWrite, Scopes: []Scope{ScopeAdsWrite}}
)

// OAuth is the app's side of the OAuth flow. Its secret is sent to the token
// endpoint only (HTTP Basic). The token endpoint belongs to the base URL: with
// [WithSandbox] it is the sandbox's.
type OAuth struct {
	ClientID     string  // the app's id
	ClientSecret string  // the app's secret
	RedirectURL  string  // where Pinterest sends the owner back to: exactly as registered for the app
	Scopes       []Scope // what to ask for, see [ScopesFor]

	// PKCE adds a code challenge (S256). Pinterest does not document it, but has
	// been seen to accept it.
	PKCE bool
	// Early is how long before its expiry an access token is refreshed, at least;
	// up to as much again is added at random. Default 5 minutes.
	Early time.Duration
	// RefreshWithin is how long before its expiry an access token or a refresh
	// token is refreshed by [App.RefreshDue]. Default 7 days.
	RefreshWithin time.Duration
	// AllowUserChange lets an account that is connected to one Pinterest user be
	// connected to another, which an [EventUserChanged] tells of. Without it such a
	// login ends with [ErrOtherUser] and the stored token stays, because the jobs of
	// the account would go on as somebody else. Either way an account can be connected
	// to any user after [OAuthService.Disconnect].
	AllowUserChange bool
	// AuthorizeURL replaces [AuthorizeURL], for tests.
	AuthorizeURL string
}

// String names the app; it prints no credentials.
func (o OAuth) String() string { return "pinterest.OAuth(" + o.ClientID + ")" }

// Format keeps every verb of fmt from printing more than String does.
func (o OAuth) Format(f fmt.State, verb rune) { formatAs(f, verb, o.String()) }

// LogValue keeps structured logs from printing more than String does.
func (o OAuth) LogValue() slog.Value { return slog.StringValue(o.String()) }

// MarshalText keeps encoders (JSON, XML, YAML, ...) from writing more than String does.
func (o OAuth) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// GobEncode returns an error: the credentials are not encoded.
func (o OAuth) GobEncode() ([]byte, error) { return nil, errNoEncoding }

func (o *OAuth) check() error {
	switch {
	case o.ClientID == "":
		return errors.New("pinterest: WithOAuth: ClientID is empty")
	case o.ClientSecret == "":
		return errors.New("pinterest: WithOAuth: ClientSecret is empty")
	case o.Early < 0:
		return fmt.Errorf("pinterest: WithOAuth: Early must not be negative, is %v", o.Early)
	case o.RefreshWithin < 0:
		return fmt.Errorf("pinterest: WithOAuth: RefreshWithin must not be negative, is %v", o.RefreshWithin)
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

func (o *OAuth) refreshWithin() time.Duration {
	within := o.RefreshWithin
	setDefault(&within, 7*day)
	return within
}

// OAuthService connects accounts and makes token calls. It is [App].OAuth. All
// of its methods need the app's credentials, [WithOAuth], and return an error
// without them.
type OAuthService struct{ *core }

// String names the app; it prints no credentials.
func (s OAuthService) String() string { return "pinterest.OAuthService(" + s.oauth.ClientID + ")" }

// Format keeps every verb of fmt from printing more than String does.
func (s OAuthService) Format(f fmt.State, verb rune) { formatAs(f, verb, s.String()) }

var errNoOAuth = errors.New("pinterest: the app's credentials are missing: use WithOAuth")

// Exchange exchanges an authorization code for a token, without saving it.
// verifier is that of PKCE, "" without it. A refused code is an
// [ErrUnauthenticated] with disposition reauthorize.
//
// [OAuthService.Callback] does this for a login that [OAuthService.Login] began.
func (s *OAuthService) Exchange(ctx context.Context, code, verifier string) (*Token, error) {
	return s.exchange(ctx, s.client(""), code, verifier)
}

func (s *OAuthService) exchange(ctx context.Context, c *Client, code, verifier string) (*Token, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {s.oauth.RedirectURL},
		// Without it, apps from before 2025-09-25 get a refresh token that is not rotated.
		"continuous_refresh": {"true"},
	}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	return s.grant(ctx, c, form)
}

// Refresh exchanges a refresh token for a new pair, without saving it. A refused
// refresh token is an [ErrUnauthenticated] with disposition reauthorize; what cannot
// be a refresh token is an [ErrInvalid], and is not sent. Accounts in a [TokenStore]
// are refreshed without it.
func (s *OAuthService) Refresh(ctx context.Context, refreshToken string) (*Token, error) {
	if err := checkRefresh("the refresh token", refreshToken); err != nil {
		return nil, (&call{op: OpOAuthToken}).invalid(err)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	tok, err := s.grant(ctx, s.client(""), form)
	if err != nil {
		return nil, err
	}
	return tok.completedFrom(&Token{RefreshToken: refreshToken}), nil
}

// ClientCredentials returns a token for the app owner's own account, with these
// scopes, of which there must be at least one. It has no refresh token: ask again
// when it has expired.
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
	tok, err := c.grant(ctx, form)
	if err == nil {
		c.secrets.AddToken(tok.AccessToken, tok.RefreshToken)
	}
	return tok, err
}

// Revoke ends a token at Pinterest. Pinterest revokes the tokens of system users
// only, and answers [ErrForbidden] for others (operation token/revoke).
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

// refreshGrant exchanges a refresh token for a new pair. What is wrong with the token
// call is nothing that the caller of another call can fix: a 404 must not say that a
// pin is not found. ctx limits when an attempt begins: each has all of its own time,
// because an answer that is cut off would take the new refresh token with it.
func (c *Client) refreshGrant(ctx context.Context, refreshToken string) (*Token, error) {
	tok, err := c.grant(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}, wholeAttempts)
	if e, ok := errors.AsType[*Error](err); ok && e.Disposition == DispositionFix {
		failed := *e // which observers have
		failed.Class, failed.Disposition = ClassUnauthenticated, DispositionReview
		return nil, &failed
	}
	return tok, err
}

// grant makes a token call (operation oauth/token).
// https://developers.pinterest.com/docs/api/v5/oauth-token
func (c *Client) grant(ctx context.Context, form url.Values, opts ...CallOption) (*Token, error) {
	var answer tokenAnswer
	if err := c.Do(ctx, OpOAuthToken, Request{Body: form}, &answer, opts...); err != nil {
		return nil, err
	}
	if !answer.Complete() { // an answer without a body
		e := Error{Operation: OpOAuthToken.ID, Class: ClassResponse, Disposition: DispositionPark, RetryAt: c.clock.Now(), Phase: PhaseAnswered}
		return nil, newError(c.secrets, e, errNoResult)
	}
	return answer.token(c.clock.Now()), nil
}

// basicAuth is the Authorization header of the app's credentials.
func basicAuth(id, secret string) []string {
	pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}
}

// tokenAnswer is the token endpoint's answer. Numbers have been seen as strings.
type tokenAnswer struct {
	AccessToken      string  `json:"access_token"`
	RefreshToken     string  `json:"refresh_token"`
	Scope            string  `json:"scope"`
	ExpiresIn        seconds `json:"expires_in"`
	RefreshExpiresIn seconds `json:"refresh_token_expires_in"`
	RefreshExpiresAt seconds `json:"refresh_token_expires_at"` // since 1970
}

// Complete reports whether there is an access token that can be used. Nothing else may
// replace one that is good.
func (a *tokenAnswer) Complete() bool {
	return a.AccessToken != "" && checkAccess("", a.AccessToken) == nil
}

// token turns the answer into a Token. What the answer leaves out stays zero.
func (a *tokenAnswer) token(now time.Time) *Token {
	if checkRefresh("", a.RefreshToken) != nil {
		a.RefreshToken = "" // the old one may still be good
	}
	tok := &Token{AccessToken: a.AccessToken, RefreshToken: a.RefreshToken, Scopes: parseScopes(a.Scope), GrantedAt: now.UTC()}
	if a.ExpiresIn > 0 {
		tok.Expiry = expiresAt(now.Add(secondsToDuration(int64(a.ExpiresIn))), now)
	}
	switch {
	case a.RefreshToken == "":
	case a.RefreshExpiresIn > 0: // preferred: our own clock may differ from the API's
		tok.RefreshExpiry = expiresAt(now.Add(secondsToDuration(int64(a.RefreshExpiresIn))), now)
	case a.RefreshExpiresAt > 0:
		tok.RefreshExpiry = expiresAt(time.Unix(int64(a.RefreshExpiresAt), 0), now)
	}
	return tok
}

// latestExpiry stands for every later expiry. Stores keep times up to the year
// 9999 only, and a token that cannot be saved is lost.
const latestExpiry = 100 * 365 * day

func expiresAt(at, now time.Time) time.Time {
	if latest := now.Add(latestExpiry); at.After(latest) {
		at = latest
	}
	return at.UTC()
}

// seconds is a number of seconds, sent as a number or as a string.
type seconds int64

func (s *seconds) UnmarshalJSON(data []byte) error {
	// An expiry that cannot be read counts as unknown: it must not cost the token
	// that came with it.
	if f, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64); err == nil && f > 0 && f < 1e12 {
		*s = seconds(f)
	}
	return nil
}
