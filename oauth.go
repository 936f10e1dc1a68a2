package pinterest

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest/internal/errbody"
)

// RefreshConfig is what a client needs to renew an account's access token.
type RefreshConfig struct {
	ClientID     string // the app's id
	ClientSecret string // the app's secret, sent to the token endpoint alone (HTTP Basic)
	RefreshToken string // the account's refresh token ("pinr...")

	// AccessToken and Expiry are the last known access token. Without it the
	// first call renews; with a zero Expiry the token is used until it is refused.
	AccessToken string
	Expiry      time.Time

	// Store keeps a renewed token. Pinterest rotates the refresh token with every
	// renewal, so the new one is stored before it is used, and a token that could
	// not be stored is stored again, not renewed again, by the next call. Store
	// both AccessToken and RefreshToken, at once. Required: an account whose
	// rotated token is forgotten is lost in 60 days.
	Store func(ctx context.Context, tok *oauth2.Token) error

	// Early is how long before its expiry a token is renewed. Default 5 minutes.
	Early time.Duration
}

// String names the app; it prints no credentials.
func (cfg RefreshConfig) String() string { return "pinterest.RefreshConfig(" + cfg.ClientID + ")" }

// GoString keeps %#v from printing more than String does.
func (cfg RefreshConfig) GoString() string { return cfg.String() }

// LogValue keeps structured logs from printing more than String does.
func (cfg RefreshConfig) LogValue() slog.Value { return slog.StringValue(cfg.String()) }

func (cfg *RefreshConfig) check() error {
	switch {
	case cfg.ClientID == "":
		return errors.New("pinterest: WithRefreshToken: ClientID is empty")
	case cfg.ClientSecret == "":
		return errors.New("pinterest: WithRefreshToken: ClientSecret is empty")
	case cfg.RefreshToken == "":
		return errors.New("pinterest: WithRefreshToken: RefreshToken is empty")
	case cfg.Store == nil:
		return errors.New("pinterest: WithRefreshToken: Store is nil: a rotated token has to be kept")
	}
	return nil
}

// checkTokens refuses a source of tokens that cannot give any.
func (cfg *config) checkTokens() error {
	switch {
	case cfg.refresh != nil:
		return cfg.refresh.check()
	case cfg.sources[0] == "WithTokenStore" && cfg.store == nil:
		return errors.New("pinterest: WithTokenStore: the store is nil")
	case cfg.sources[0] == "WithTokenSource" && cfg.source == nil:
		return errors.New("pinterest: WithTokenSource: the source is nil")
	case cfg.sources[0] == "WithAccessToken" && cfg.static == "":
		return errors.New("pinterest: WithAccessToken: the token is empty")
	}
	return nil
}

// tokens makes an account's source of tokens.
func (cfg *config) tokens(c *Client) *tokens {
	t := &tokens{clock: cfg.clock, secrets: c.secrets, source: fixedToken{}, early: cfg.early()}
	first := &Token{AccessToken: cfg.static}
	switch {
	case cfg.store != nil:
		t.source = &storedToken{client: c, store: cfg.store, id: cfg.oauth.ClientID, secret: cfg.oauth.ClientSecret}
	case cfg.refresh != nil:
		r := cfg.refresh
		first = &Token{AccessToken: r.AccessToken, RefreshToken: r.RefreshToken, Expiry: r.Expiry}
		store := &callersStore{save: r.Store, token: *first}
		t.source = &storedToken{client: c, store: store, id: r.ClientID, secret: r.ClientSecret}
	case cfg.source != nil:
		t.source = callersSource{source: cfg.source, report: c.reportRenewal, clock: cfg.clock}
	}
	t.keep(first)
	return t
}

// early is how long before its expiry a token is renewed, at least.
func (cfg *config) early() time.Duration {
	early := cfg.oauth.Early
	if cfg.refresh != nil {
		early = cfg.refresh.Early
	}
	setDefault(&early, 5*time.Minute)
	return early
}

// callersStore is the token store of a RefreshConfig: the token is here, and the
// caller is told of each new one.
type callersStore struct {
	save func(ctx context.Context, tok *oauth2.Token) error

	mu    sync.Mutex
	token Token
	saves int
}

func (s *callersStore) Lock(context.Context, string) (func(), error) { return func() {}, nil }

func (s *callersStore) Load(context.Context, string) (*Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tok := s.token
	return &tok, nil
}

func (s *callersStore) Save(ctx context.Context, _ string, tok *Token) (string, error) {
	if tok.Disconnected == nil { // else there is no new token to keep
		if err := s.save(ctx, tok.OAuth2()); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	s.token = *tok
	s.token.Version = strconv.Itoa(s.saves)
	return s.token.Version, nil
}

func (s *callersStore) Delete(context.Context, string) error { return nil }

func (s *callersStore) Due(context.Context, time.Time) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

// reportRenewal tells the observers of one renewal, however many calls waited for it.
func (c *Client) reportRenewal(began time.Time, err error) {
	c.note(Event{Type: EventRefresh, Time: began, Err: err})
}

// note tells the observers something of the account's token.
func (c *Client) note(e Event) {
	if c.watched() {
		e.Account, e.Operation, e.Err = c.name, OpOAuthToken.ID, c.secrets.Hide(e.Err)
		c.observe(e)
	}
}

// refreshGrant exchanges a refresh token for a new pair.
func (c *Client) refreshGrant(ctx context.Context, id, secret, refreshToken string) (*Token, error) {
	return c.grant(ctx, id, secret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
}

// grant makes a token call (operation oauth/token).
// https://developers.pinterest.com/docs/api/v5/oauth-token
func (c *Client) grant(ctx context.Context, id, secret string, form url.Values) (*Token, error) {
	var answer tokenAnswer
	if err := c.Do(ctx, OpOAuthToken, Request{Body: form}, &answer); err != nil {
		return nil, err
	}
	return answer.token(c.clock.Now()), nil
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

// Complete implements [Completer].
func (a *tokenAnswer) Complete() bool { return a.AccessToken != "" }

// token turns the answer into a Token. What was not said is left zero.
func (a *tokenAnswer) token(now time.Time) *Token {
	tok := &Token{AccessToken: a.AccessToken, RefreshToken: a.RefreshToken, Scopes: parseScopes(a.Scope)}
	if a.ExpiresIn > 0 {
		tok.Expiry = now.Add(secondsToDuration(int64(a.ExpiresIn))).UTC()
	}
	switch {
	case a.RefreshToken == "":
	case a.RefreshExpiresIn > 0: // by our own clock, which may be another than the API's
		tok.RefreshExpiry = now.Add(secondsToDuration(int64(a.RefreshExpiresIn))).UTC()
	case a.RefreshExpiresAt > 0:
		tok.RefreshExpiry = time.Unix(int64(a.RefreshExpiresAt), 0).UTC()
	}
	return tok
}

// OAuth2 returns the token as golang.org/x/oauth2's, with the scopes as its
// extra "scope".
func (t *Token) OAuth2() *oauth2.Token {
	tok := &oauth2.Token{AccessToken: t.AccessToken, TokenType: "bearer", RefreshToken: t.RefreshToken, Expiry: t.Expiry}
	return tok.WithExtra(map[string]any{"scope": joinScopes(t.Scopes)})
}

// seconds is a number of seconds, sent as a number or as a string.
type seconds int64

func (s *seconds) UnmarshalJSON(data []byte) error {
	// An expiry that cannot be read is one that is not known: it must not cost
	// the token that came with it.
	if f, err := strconv.ParseFloat(strings.Trim(string(data), `"`), 64); err == nil && f > 0 && f < 1e12 {
		*s = seconds(f)
	}
	return nil
}

// tokenRule says what a failure to get a token is. refused tells that the API
// did not accept the last one.
func (c *Client) tokenRule(rule Rule, err error, refused bool) Rule {
	var (
		call      *Error
		retrieve  *oauth2.RetrieveError
		network   net.Error
		unsaved   saveError
		unloaded  loadError
		forbidden = Rule{Name: rule.Name, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReauthorize}
	)
	switch {
	case errors.As(err, &call):
		// The token call's own verdict, which was made by the same table.
		forbidden.Class, forbidden.Disposition = call.Class, call.Disposition
		if !call.RetryAt.IsZero() {
			forbidden.ParkFor = max(0, call.RetryAt.Sub(c.clock.Now()))
		}
		return forbidden
	case errors.Is(err, ErrDisconnected):
		return forbidden
	case errors.As(err, &unsaved):
		forbidden.Class, forbidden.Disposition = ClassTokenStore, DispositionReview
		return forbidden
	case errors.As(err, &unloaded):
		forbidden.Class, forbidden.Disposition = ClassTokenStore, DispositionPark
		return forbidden
	case errors.As(err, &retrieve) && retrieve.Response != nil:
		return c.retrieveRule(retrieve)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		forbidden.Class, forbidden.Disposition = ClassCanceled, DispositionPark
		return forbidden
	case errors.As(err, &network):
		return c.table.classify(&Failure{Operation: OpOAuthToken, Phase: PhaseNotSent})
	}
	if refused {
		return forbidden
	}
	// An error of the caller's own token source: only its owner can read it.
	forbidden.Disposition = DispositionReview
	return forbidden
}

// retrieveRule passes the answer that an oauth2 source met through the table.
func (c *Client) retrieveRule(e *oauth2.RetrieveError) Rule {
	body := errbody.Parse(e.Body)
	return c.table.classify(&Failure{
		Operation: OpOAuthToken, Phase: PhaseAnswered, Status: e.Response.StatusCode, Code: body.Code, Message: body.Message,
	})
}

// basicAuth is the Authorization header of the app's credentials.
func basicAuth(id, secret string) []string {
	pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}
}
