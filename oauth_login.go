package pinterest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// The errors of a callback, besides those of the token call and the store.
const (
	// ErrState says that a callback does not belong to a login that this browser
	// began in the last ten minutes, or that the login was answered before.
	ErrState = constError("pinterest: the login was not begun in this browser, is over, or was answered before")
	// ErrAccessDenied says that the account's owner has not given access.
	ErrAccessDenied = constError("pinterest: the owner of the account has not given access")
)

// Login is a login that has begun. It ends after ten minutes.
type Login struct {
	URL    string       // where to send the owner's browser
	Cookie *http.Cookie // binds the callback to this browser; encrypted, so that others cannot read or change it
}

// String prints neither the cookie nor the state in the URL.
func (l Login) String() string { return "pinterest.Login" }

// Format keeps every verb of fmt from printing more than String does.
func (l Login) Format(f fmt.State, verb rune) { formatAs(f, verb, l.String()) }

// LogValue keeps structured logs from printing more than String does.
func (l Login) LogValue() slog.Value { return slog.StringValue(l.String()) }

// MarshalText keeps encoders (JSON, XML, YAML, ...) from writing more than String does.
func (l Login) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// GobEncode returns an error: the cookie is not encoded.
func (l Login) GobEncode() ([]byte, error) { return nil, errNoEncoding }

// Connection is the result of a login: a connected account.
type Connection struct {
	Account string
	Token   *Token
	Granted []Scope // what the owner has given; nil when Pinterest did not say
	Missing []Scope // what was asked for and not given
}

const (
	loginTime = 10 * time.Minute
	// callbackTime is how long a browser waits for the token call, retries included.
	callbackTime = 30 * time.Second
	cookiePrefix = "pinterest_login_"
)

// loginState is what the cookie holds.
type loginState struct {
	State    string    `json:"s"`
	Account  string    `json:"a"`
	Verifier string    `json:"v,omitzero"`
	Until    time.Time `json:"u"`
}

// Login begins to connect an account, for the first time or again. account is the
// application's own name for it, as in the [TokenStore]. It fails if the
// RedirectURL or the Scopes of [OAuth] are missing.
func (s *OAuthService) Login(account string) (*Login, error) {
	switch {
	case s.oauth.ClientID == "":
		return nil, errNoOAuth
	case s.oauth.RedirectURL == "":
		return nil, errors.New("pinterest: WithOAuth: RedirectURL is empty")
	case len(s.oauth.Scopes) == 0:
		return nil, errors.New("pinterest: WithOAuth: Scopes is empty: see ScopesFor")
	}
	state := loginState{State: rand.Text(), Account: account, Until: s.clock.Now().Add(loginTime)}
	cfg := oauth2.Config{
		ClientID: s.oauth.ClientID, RedirectURL: s.oauth.RedirectURL,
		Endpoint: oauth2.Endpoint{AuthURL: s.oauth.AuthorizeURL},
		Scopes:   []string{joinScopes(s.oauth.Scopes)}, // x/oauth2 would join with spaces
	}
	setDefault(&cfg.Endpoint.AuthURL, AuthorizeURL)
	var opts []oauth2.AuthCodeOption
	if s.oauth.PKCE {
		state.Verifier = oauth2.GenerateVerifier()
		opts = append(opts, oauth2.S256ChallengeOption(state.Verifier))
	}
	sealed, err := s.seal(state)
	if err != nil {
		return nil, err
	}
	return &Login{URL: cfg.AuthCodeURL(state.State, opts...), Cookie: s.cookie(state.State, sealed, int(loginTime/time.Second))}, nil
}

// cookie returns the cookie of a login. Each login has its own, so that two tabs
// of a browser do not disturb each other. SameSite is Lax, because the owner comes
// back from Pinterest's site.
func (s *OAuthService) cookie(state, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookiePrefix + state[:min(8, len(state))], Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: strings.HasPrefix(s.oauth.RedirectURL, "https:"), SameSite: http.SameSiteLaxMode,
	}
}

// aead encrypts the cookies. Its key is derived from the app's secret, so that any
// process of the application can answer a login.
func (s *OAuthService) aead() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(s.oauth.ClientSecret), nil, "pinterest login cookie", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (s *OAuthService) seal(state loginState) (string, error) {
	aead, err := s.aead()
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, data, nil)), nil
}

// open returns the login that a callback answers, once.
func (s *OAuthService) open(r *http.Request, state string) (*loginState, error) {
	cookie, err := r.Cookie(cookiePrefix + state[:min(8, len(state))])
	if err != nil {
		return nil, ErrState
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil, ErrState
	}
	aead, err := s.aead()
	if err != nil {
		return nil, err
	}
	data, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, ErrState
	}
	var login loginState
	now := s.clock.Now()
	if json.Unmarshal(data, &login) != nil ||
		subtle.ConstantTimeCompare([]byte(login.State), []byte(state)) != 1 ||
		!now.Before(login.Until) || !s.states.use(login.State, login.Until, now) {
		return nil, ErrState
	}
	return &login, nil
}

// usedStates remembers which logins were answered, until they would have expired.
type usedStates struct {
	mu   sync.Mutex
	used map[string]time.Time
}

func (u *usedStates) use(state string, until, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.used == nil {
		u.used = map[string]time.Time{}
	}
	for old, end := range u.used {
		if !now.Before(end) {
			delete(u.used, old)
		}
	}
	if _, ok := u.used[state]; ok {
		return false
	}
	u.used[state] = until
	return true
}

// Callback finishes a login: it checks that the request answers a [Login] that this
// browser began, exchanges the code for a token and saves it. An account that was
// disconnected is connected again. The error is [ErrState], [ErrAccessDenied], that
// of the token call, or an [ErrTokenStore].
func (s *OAuthService) Callback(ctx context.Context, r *http.Request) (*Connection, error) {
	query := r.URL.Query()
	login, err := s.open(r, query.Get("state"))
	if err != nil {
		return nil, connectError(nil, err, DispositionReauthorize)
	}
	if query.Get("error") != "" || query.Get("code") == "" {
		return nil, connectError(nil, ErrAccessDenied, DispositionReauthorize)
	}
	c := s.client(login.Account)
	tok, err := s.exchange(ctx, c, query.Get("code"), login.Verifier)
	if err != nil {
		return nil, err
	}
	if err := tok.check(); err != nil {
		return nil, connectError(c.secrets, err, DispositionReview)
	}
	if err := c.connect(ctx, tok); err != nil {
		return nil, err
	}
	conn := &Connection{Account: login.Account, Token: tok, Granted: slices.Clone(tok.Scopes)}
	if tok.Scopes != nil {
		conn.Missing = MissingScopes(tok.Scopes, s.oauth.Scopes)
	}
	return conn, nil
}

// opAuthorize names in errors what is no operation of the API: an owner giving
// access, and the token of that being saved.
const opAuthorize = "oauth/authorize"

// connectError is the failure of a connection.
func connectError(secrets *redact.Secrets, err error, d Disposition) error {
	return newError(secrets, Error{Operation: opAuthorize, Class: ClassUnauthenticated, Disposition: d, Phase: PhaseNotSent}, err)
}

// connect saves the token of a new connection, whatever was stored before.
func (c *Client) connect(ctx context.Context, tok *Token) error {
	unlock, err := c.store.Lock(ctx, c.name)
	if err != nil {
		return storeFailure(c.secrets, loadError{err})
	}
	defer unlock()
	for {
		stored, err := c.store.Load(ctx, c.name)
		if err != nil {
			return storeFailure(c.secrets, loadError{err})
		}
		tok.Version = ""
		if stored != nil {
			tok.Version = stored.Version
		}
		tok.Version, err = c.store.Save(ctx, c.name, tok)
		switch {
		case err == nil:
			c.tokens.replace(tok)
			c.reportToken(ctx, Event{Type: EventConnected, Time: c.clock.Now()})
			return nil
		case !errors.Is(err, ErrTokenConflict), ctx.Err() != nil:
			return storeFailure(c.secrets, saveError{err})
		}
	}
}

func storeFailure(secrets *redact.Secrets, err error) error {
	return newError(secrets, Error{Operation: opAuthorize, Class: ClassTokenStore, Disposition: DispositionReview, Phase: PhaseNotSent}, err)
}

// Disconnect deletes an account's token from the store. Its calls end with
// [ErrDisconnected] until it is connected again. Pinterest is not told: the owner
// can revoke the access there. The error is an [ErrTokenStore].
func (s *OAuthService) Disconnect(ctx context.Context, account string) error {
	c := s.client(account)
	if err := c.store.Delete(ctx, account); err != nil {
		return storeFailure(c.secrets, saveError{err})
	}
	c.tokens.replace(&Token{})
	return nil
}

// LoginHandler redirects a browser to Pinterest, to connect an account. The
// function account returns which: take it from the application's own session,
// never from what anyone can put into a link. If it returns an error, the answer
// is 403.
func (s *OAuthService) LoginHandler(account func(*http.Request) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, err := account(r)
		if err != nil {
			http.Error(w, "This account cannot be connected.", http.StatusForbidden)
			return
		}
		login, err := s.Login(name)
		if err != nil {
			http.Error(w, "The connection is not set up.", http.StatusInternalServerError)
			return
		}
		http.SetCookie(w, login.Cookie)
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, login.URL, http.StatusSeeOther)
	})
}

// CallbackHandler serves the RedirectURL of [OAuth]. It finishes the login, within
// 30 seconds, and calls done with the connection or the error; see
// [OAuthService.Callback]. done answers the browser. It should redirect, so that
// the code does not stay in the address bar.
func (s *OAuthService) CallbackHandler(done func(w http.ResponseWriter, r *http.Request, conn *Connection, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), callbackTime)
		defer cancel()
		conn, err := s.Callback(ctx, r)
		if state := r.URL.Query().Get("state"); state != "" {
			http.SetCookie(w, s.cookie(state, "", -1))
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		done(w, r, conn, err)
	})
}
