package pinterest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
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
	case cfg.sources[0] == "WithTokenSource" && cfg.source == nil:
		return errors.New("pinterest: WithTokenSource: the source is nil")
	case cfg.source == nil && cfg.static == "":
		return errors.New("pinterest: WithAccessToken: the token is empty")
	}
	return nil
}

// tokens makes the client's source of tokens.
func (cfg *config) tokens(c *Client) *tokens {
	t := &tokens{clock: cfg.clock, secrets: c.secrets, report: c.reportRenewal}
	switch {
	case cfg.refresh != nil:
		r := cfg.refresh
		t.early, t.store = r.Early, r.Store
		def(&t.early, 5*time.Minute)
		t.fetch = func(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error) {
			return c.refreshGrant(ctx, r.ClientID, r.ClientSecret, old.RefreshToken)
		}
		t.keep(&oauth2.Token{AccessToken: r.AccessToken, RefreshToken: r.RefreshToken, Expiry: r.Expiry})
	case cfg.source != nil:
		t.fetch = func(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) { return fromSource(ctx, cfg.source) }
		t.keep(&oauth2.Token{})
	default:
		t.keep(&oauth2.Token{AccessToken: cfg.static})
	}
	return t
}

// fromSource asks a source, which cannot be told to stop: one that hangs is left
// behind when the renewal's time is over.
func fromSource(ctx context.Context, src oauth2.TokenSource) (*oauth2.Token, error) {
	type answer struct {
		tok *oauth2.Token
		err error
	}
	done := make(chan answer, 1)
	go func() {
		tok, err := src.Token()
		if err == nil && (tok == nil || tok.AccessToken == "") {
			err = errors.New("the token source gave no access token")
		}
		done <- answer{tok, err}
	}()
	select {
	case a := <-done:
		return a.tok, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the token source did not answer within %v: %w", renewalTime, ctx.Err())
	}
}

// tokens hands out one account's access token and renews it, one renewal at a
// time however many calls ask.
type tokens struct {
	fetch   func(ctx context.Context, old *oauth2.Token) (*oauth2.Token, error) // nil: it cannot be renewed
	store   func(ctx context.Context, tok *oauth2.Token) error                  // nil: nothing to store
	early   time.Duration
	clock   Clock
	secrets *secrets
	report  func(began time.Time, err error)

	mu       sync.Mutex
	current  credential
	unstored *oauth2.Token // renewed, but Store failed: never lost, never used
	flight   *flight       // the renewal under way
	failure  error         // the last renewal's, shared ...
	until    time.Time     // ... until this time
}

// credential is a token and the Authorization header made of it, once.
type credential struct {
	token  *oauth2.Token
	header []string
}

// flight is one renewal that any number of calls wait for.
type flight struct {
	done chan struct{}
	cred credential
	err  error
}

const (
	// renewalTime bounds a renewal, which outlives the call that began it: its
	// result is needed by all who wait, and a rotated token must not be dropped.
	renewalTime = 2 * time.Minute
	// shareFailure is how long a failed renewal answers for those who come later,
	// so that a thousand waiters do not make a thousand token calls.
	shareFailure = time.Second
)

var (
	errNoRenewal = errors.New("the access token was refused, and there is no way to renew it")
	errSameToken = errors.New("the access token was refused, and the token source gave the same one again")
)

// storeError says that a renewed token could not be stored.
type storeError struct{ err error }

func (e storeError) Error() string { return "storing the renewed token: " + e.err.Error() }
func (e storeError) Unwrap() error { return e.err }

// keep makes tok the current token. The caller holds the lock, or is alone.
func (t *tokens) keep(tok *oauth2.Token) {
	t.current = credential{tok, []string{"Bearer " + tok.AccessToken}}
	t.secrets.addToken(tok.AccessToken, tok.RefreshToken)
}

// token returns the current token, renewed first when it is due. A token that
// is due early but still valid is used if the renewal fails.
func (t *tokens) token(ctx context.Context) (credential, error) {
	t.mu.Lock()
	cred, now := t.current, t.clock.Now()
	tok := cred.token
	usable := tok.AccessToken != "" && (tok.Expiry.IsZero() || now.Before(tok.Expiry))
	if usable && (t.fetch == nil || tok.Expiry.IsZero() || now.Before(tok.Expiry.Add(-t.early))) {
		t.mu.Unlock()
		return cred, nil
	}
	renewed, err := t.wait(ctx, t.join(ctx))
	if err != nil && usable && ctx.Err() == nil {
		return cred, nil
	}
	return renewed, err
}

// renew replaces a token that the API refused. If another call has done so in
// the meantime, its token is returned.
func (t *tokens) renew(ctx context.Context, refused credential) (credential, error) {
	t.mu.Lock()
	if cred := t.current; cred.token.AccessToken != "" && cred.token.AccessToken != refused.token.AccessToken {
		t.mu.Unlock()
		return cred, nil
	}
	cred, err := t.wait(ctx, t.join(ctx))
	if err == nil && cred.token.AccessToken == refused.token.AccessToken {
		return cred, errSameToken
	}
	return cred, err
}

// join returns the renewal under way, or begins one. It is called with the
// lock held and gives it back.
func (t *tokens) join(ctx context.Context) *flight {
	defer t.mu.Unlock()
	switch {
	case t.flight != nil:
		return t.flight
	case t.fetch == nil:
		return landed(errNoRenewal)
	case t.failure != nil && t.clock.Now().Before(t.until):
		return landed(t.failure)
	}
	f := &flight{done: make(chan struct{})}
	t.flight = f
	go t.fly(context.WithoutCancel(ctx), f)
	return f
}

func landed(err error) *flight {
	f := &flight{done: make(chan struct{}), err: err}
	close(f.done)
	return f
}

// wait waits for a renewal, and leaves when the caller's own context ends.
func (t *tokens) wait(ctx context.Context, f *flight) (credential, error) {
	select {
	case <-f.done:
		return f.cred, f.err
	case <-ctx.Done():
		return credential{}, ctx.Err()
	}
}

// fly makes one renewal: fetch, store, and only then use.
func (t *tokens) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, renewalTime)
	defer cancel()
	began := t.clock.Now()
	t.mu.Lock()
	old, tok := t.current.token, t.unstored
	t.mu.Unlock()
	var err error
	if tok == nil {
		tok, err = t.fetch(ctx, old)
	}
	if err == nil && t.store != nil {
		// The only copy of a rotated token: whatever happens below, it stays here.
		t.secrets.addToken(tok.AccessToken, tok.RefreshToken)
		if storeErr := t.store(ctx, tok); storeErr != nil {
			err = storeError{storeErr}
		}
	}
	t.report(began, err) // before anyone goes on: observers hear things in their order
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unstored, t.failure = nil, nil
	switch _, unstored := errors.AsType[storeError](err); {
	case err == nil:
		t.keep(tok)
		f.cred = t.current
	case unstored:
		t.unstored = tok // the next call stores it again
	default:
		t.failure, t.until = err, t.clock.Now().Add(shareFailure)
	}
	f.err = err
	t.flight = nil
	close(f.done)
}

// reportRenewal tells the observers of one renewal, however many calls waited for it.
func (c *Client) reportRenewal(began time.Time, err error) {
	if c.watched() {
		c.observe(Event{Type: EventRefresh, Account: c.name, Operation: OpOAuthToken.ID, Time: began, Err: c.secrets.hide(err)})
	}
}

// refreshGrant exchanges a refresh token for a new pair (operation oauth/token).
// https://developers.pinterest.com/docs/api/v5/oauth-token
func (c *Client) refreshGrant(ctx context.Context, id, secret, refreshToken string) (*oauth2.Token, error) {
	var answer tokenAnswer
	err := c.do(ctx, &call{
		op:    OpOAuthToken,
		basic: basicAuth(id, secret),
		form:  url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}},
		out:   &answer,
	})
	if err != nil {
		return nil, err
	}
	return answer.token(c.clock.Now(), refreshToken), nil
}

// tokenAnswer is the token endpoint's answer. Numbers have been seen as strings.
type tokenAnswer struct {
	AccessToken      string  `json:"access_token"`
	TokenType        string  `json:"token_type"`
	RefreshToken     string  `json:"refresh_token"`
	Scope            string  `json:"scope"`
	ExpiresIn        seconds `json:"expires_in"`
	RefreshExpiresIn seconds `json:"refresh_token_expires_in"`
}

func (a *tokenAnswer) complete() bool { return a.AccessToken != "" }

// token turns the answer into an oauth2.Token. An answer without a refresh
// token means that the old one goes on.
func (a *tokenAnswer) token(now time.Time, oldRefresh string) *oauth2.Token {
	tok := &oauth2.Token{AccessToken: a.AccessToken, TokenType: a.TokenType, RefreshToken: a.RefreshToken}
	def(&tok.RefreshToken, oldRefresh)
	if a.ExpiresIn > 0 {
		tok.ExpiresIn = int64(a.ExpiresIn)
		tok.Expiry = now.Add(secondsToDuration(int64(a.ExpiresIn)))
	}
	extra := map[string]any{"scope": a.Scope}
	if a.RefreshExpiresIn > 0 {
		extra["refresh_token_expires_in"] = int64(a.RefreshExpiresIn)
	}
	return tok.WithExtra(extra)
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
		unstored  storeError
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
	case errors.As(err, &unstored):
		forbidden.Disposition = DispositionReview
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
