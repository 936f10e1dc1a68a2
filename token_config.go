package pinterest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// RefreshConfig is what a client needs to refresh an account's access token.
type RefreshConfig struct {
	ClientID     string // the app's id
	ClientSecret string // the app's secret, sent to the token endpoint only (HTTP Basic)
	RefreshToken string // the account's refresh token ("pinr...")

	// AccessToken and Expiry are the last known access token ("pina_..."). Without
	// it the first call refreshes. With a zero Expiry the token is used until the
	// API refuses it.
	AccessToken string
	Expiry      time.Time

	// Store keeps a refreshed token. Pinterest rotates the refresh token with every
	// refresh, so the new pair is stored before it is used. If Store fails, the next
	// call stores the same pair again and makes no new token call. Store AccessToken
	// and RefreshToken together. Required: an account whose rotated token is lost
	// has to be connected again, within 60 days. Call [Client.Shutdown] before the
	// process ends.
	Store func(ctx context.Context, tok *oauth2.Token) error

	// Early is how long before its expiry a token is refreshed, at least; up to as
	// much again is added at random. Default 5 minutes.
	Early time.Duration
}

// String names the app; it prints no credentials.
func (cfg RefreshConfig) String() string { return "pinterest.RefreshConfig(" + cfg.ClientID + ")" }

// Format keeps every verb of fmt from printing more than String does.
func (cfg RefreshConfig) Format(f fmt.State, verb rune) { formatAs(f, verb, cfg.String()) }

// LogValue keeps structured logs from printing more than String does.
func (cfg RefreshConfig) LogValue() slog.Value { return slog.StringValue(cfg.String()) }

// MarshalText keeps encoders (JSON, XML, YAML, ...) from writing more than String does.
func (cfg RefreshConfig) MarshalText() ([]byte, error) { return []byte(cfg.String()), nil }

// GobEncode returns an error: the credentials are not encoded.
func (cfg RefreshConfig) GobEncode() ([]byte, error) { return nil, errNoEncoding }

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
	if err := checkRefresh("RefreshToken", cfg.RefreshToken); err != nil {
		return fmt.Errorf("pinterest: WithRefreshToken: %w", err)
	}
	if err := checkAccess("AccessToken", cfg.AccessToken); err != nil {
		return fmt.Errorf("pinterest: WithRefreshToken: %w", err)
	}
	return nil
}

// checkTokens refuses a source of tokens that cannot give any, and tokens that
// are not what they are said to be.
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
	if err := checkAccess("the token", cfg.static); err != nil {
		return fmt.Errorf("pinterest: WithAccessToken: %w", err)
	}
	return nil
}

// tokens returns the tokens of one account, from the source that the options
// name. c is a client of that account.
func (cfg *config) tokens(c *Client) *tokens {
	t := &tokens{option: cfg.sources[0], clock: cfg.clock, secrets: c.secrets, source: fixedToken{}, early: cfg.early(), name: c.name, work: c.work}
	first := &Token{AccessToken: cfg.static}
	switch {
	case cfg.store != nil:
		t.source = &storedToken{client: c, store: cfg.store}
		t.every = cfg.follow
		setDefault(&t.every, defaultFollow)
	case cfg.refresh != nil:
		r := cfg.refresh
		first = &Token{AccessToken: r.AccessToken, RefreshToken: r.RefreshToken, Expiry: r.Expiry}
		store := &refreshConfigStore{save: r.Store, token: *first}
		t.source = &storedToken{client: c, store: store}
	case cfg.source != nil:
		t.source = oauth2Source{source: cfg.source, report: c.reportRefresh, clock: cfg.clock}
	}
	t.set(first)
	return t
}

// early is how long before its expiry a token is refreshed, at least.
func (cfg *config) early() time.Duration {
	early := cfg.oauth.Early
	if cfg.refresh != nil {
		early = cfg.refresh.Early
	}
	setDefault(&early, 5*time.Minute)
	return early
}

// refreshConfigStore is the token store of a RefreshConfig: it holds the token in
// memory and passes each new one to the caller's Store.
type refreshConfigStore struct {
	save func(ctx context.Context, tok *oauth2.Token) error

	mu    sync.Mutex
	token Token
	saves int
}

func (s *refreshConfigStore) Lock(context.Context, string) (func(), error) { return func() {}, nil }

func (s *refreshConfigStore) Load(context.Context, string) (*Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tok := s.token
	return &tok, nil
}

func (s *refreshConfigStore) Save(ctx context.Context, _ string, tok *Token) (version string, err error) {
	defer recoverInto(&err, "RefreshConfig.Store", tok.AccessToken, tok.RefreshToken)
	if tok.RefusedSince.IsZero() { // else it is a mark, and there is no new token to keep
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

func (s *refreshConfigStore) Delete(context.Context, string) error { return nil }

func (s *refreshConfigStore) Version(context.Context, string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token.Version, nil
}

func (s *refreshConfigStore) Accounts(context.Context) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

func (s *refreshConfigStore) Due(context.Context, time.Time) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}
