package pinterest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// The errors of a callback, besides those of the token call and the store.
const (
	// ErrState says that a callback does not belong to a login that this browser
	// began for the account of its session in the last ten minutes, or that the login
	// was answered before.
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
	User    *PinterestUser // who has given access; nil if Pinterest did not say, for want of the scope user_accounts:read for instance
	Granted []Scope        // what the owner has given; nil when Pinterest did not say
	Missing []Scope        // what was asked for and not given
}

const (
	loginTime = 10 * time.Minute
	// codeTime is how long a browser waits for the token call, retries included.
	codeTime = 30 * time.Second
	// userTime is how long it then waits for the name of the user, retries included.
	userTime = 20 * time.Second
	// saveTime is how long it waits for the store, retries included.
	saveTime = 10 * time.Second
)

// Login begins to connect an account, for the first time or again. account is the
// application's own name for it, as in the [TokenStore]. It fails if the
// RedirectURL or the Scopes of [OAuth] are missing, and with an [ErrInvalid] if the
// name is empty, not valid UTF-8 or so long (about 2,800 bytes) that browsers would drop
// the cookie.
//
// Each login has a cookie of its own. [OAuthService.LoginHandler] removes old ones;
// a program that calls Login itself has to do that.
func (s *OAuthService) Login(account string) (*Login, error) {
	switch {
	case s.oauth.ClientID == "":
		return nil, errNoOAuth
	case s.oauth.RedirectURL == "":
		return nil, errors.New("pinterest: WithOAuth: RedirectURL is empty")
	case len(s.oauth.Scopes) == 0:
		return nil, errors.New("pinterest: WithOAuth: Scopes is empty: see ScopesFor")
	}
	if err := checkConnectable(account); err != nil {
		return nil, invalidAccount(err)
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
	cookie := s.cookie(s.cookieName(state.State), sealed, int(loginTime/time.Second))
	if size := len(cookie.String()); size > maxCookie {
		return nil, invalidAccount(FieldError{
			Field: "account", Value: shortLine(account, 100),
			Problem: fmt.Sprintf("is too long: its login cookie would have %d bytes, and browsers drop those of more than %d", size, maxCookie),
		})
	}
	return &Login{URL: cfg.AuthCodeURL(state.State, opts...), Cookie: cookie}, nil
}

// LoginAccount returns the account of the login that a callback answers, for an
// application whose sessions have several accounts. Anyone can begin a login, so
// compare the account with those of the session before you pass it to
// [OAuthService.Callback]. The error is an [ErrState].
func (s *OAuthService) LoginAccount(r *http.Request) (account string, err error) {
	login, err := s.open(r)
	if err != nil {
		return "", connectError(nil, err)
	}
	return login.Account, nil
}

// Callback finishes a login: it checks that the request answers a [Login] that this
// browser began, exchanges the code for a token, reads who the Pinterest user is
// (operation user_account/get) and saves the token. An account that was
// disconnected is connected again.
//
// account is that of the browser's session at the time of the callback. It must be
// the account of the login: otherwise somebody could plant a cookie of a login of
// their own, and get the Pinterest account of whoever answers it. The state of a
// login is used once, by all processes that share the [TokenStore].
//
// The error is [ErrState], [ErrAccessDenied], [ErrOtherUser], that of the token call,
// an [ErrTokenStore], or [ErrShutdown]. When Pinterest itself has failed
// (error=server_error and temporarily_unavailable) the disposition is park; where it
// refuses the app's request (invalid_scope and others, see Error.CodeName) it is
// review.
//
// A code can be exchanged only once. So ctx ends Callback only before the token call;
// from then on it has bounds of its own, 60 seconds in all, and the token is saved
// even if the browser is gone. A store that fails is tried for ten seconds. If it goes
// on, the token is lost, and the error says that the owner has to connect the account
// again.
//
// Who has given access is read without waiting for a turn, and for up to 20 seconds while
// Pinterest fails or throttles. If it cannot be read even so, the token is saved without
// the user. The exception is an account that is known to be that of a Pinterest user,
// without [OAuth].AllowUserChange: its jobs must not go on as somebody else. The stored
// token stays as it was, the error has the class of the reading, and the owner has to
// connect the account again.
func (s *OAuthService) Callback(ctx context.Context, r *http.Request, account string) (*Connection, error) {
	conn, _, err := s.callback(ctx, r, account)
	return conn, err
}

// callback is Callback. used says that the login is answered, now or before.
func (s *OAuthService) callback(ctx context.Context, r *http.Request, account string) (conn *Connection, used bool, err error) {
	if !s.work.begin(account) {
		return nil, false, newError(nil, Error{Operation: opAuthorize, Class: ClassCanceled, Disposition: DispositionPark, Phase: PhaseNotSent}, ErrShutdown)
	}
	defer s.work.end(account)
	login, err := s.begun(ctx, r, account)
	if err != nil {
		return nil, false, err
	}
	if err := s.useState(ctx, login); err != nil {
		return nil, errors.Is(err, ErrState), err
	}
	conn, err = s.finish(ctx, r.URL.Query(), login)
	return conn, true, err
}

// finish finishes a login that was answered with these parameters.
func (s *OAuthService) finish(ctx context.Context, query url.Values, login *loginState) (*Connection, error) {
	if err := s.refusedLogin(query); err != nil {
		return nil, err
	}
	account := login.Account
	c := s.client(account)
	ctx = s.underway(context.WithoutCancel(ctx))
	tok, err := s.exchangeFor(ctx, c, query.Get("code"), login.Verifier)
	if err != nil {
		return nil, err
	}
	unread := c.readUser(ctx, tok)
	if err := c.connect(ctx, tok, unread); err != nil {
		return nil, err
	}
	conn := &Connection{Account: account, Token: tok, User: tok.User, Granted: slices.Clone(tok.Scopes)}
	if tok.Scopes != nil {
		conn.Missing = MissingScopes(tok.Scopes, s.oauth.Scopes)
	}
	return conn, nil
}

// begun returns the login that a request answers.
func (s *OAuthService) begun(ctx context.Context, r *http.Request, account string) (*loginState, error) {
	if ctx == nil {
		return nil, connectError(nil, errNilContext)
	}
	if r.Method != http.MethodGet {
		return nil, connectError(nil, fmt.Errorf("%w: the method of the callback is %s, not GET", ErrState, r.Method))
	}
	login, err := s.open(r)
	if err != nil {
		return nil, connectError(nil, err)
	}
	if account == "" {
		return nil, connectError(nil, fmt.Errorf("%w: the session has no account", ErrState))
	}
	if login.Account != account {
		return nil, connectError(nil, fmt.Errorf("%w: it is a login for another account than that of the session", ErrState))
	}
	if ctx.Err() != nil {
		return nil, canceledLogin(ctx)
	}
	return login, nil
}

// refusedLogin returns the error of a callback that brings no code.
func (s *OAuthService) refusedLogin(query url.Values) error {
	e := Error{Operation: opAuthorize, CodeName: query.Get("error"), Phase: PhaseAnswered}
	switch e.CodeName {
	case "":
		if query.Get("code") != "" {
			return nil
		}
		e.Class, e.Disposition = ClassResponse, DispositionReview
		return newError(nil, e, errors.New("the callback has neither a code nor an error"))
	case "access_denied":
		e.Class, e.Disposition = ClassUnauthenticated, DispositionReauthorize
		return newError(nil, e, ErrAccessDenied)
	case "server_error":
		e.Class, e.Disposition = ClassServer, DispositionPark
	case "temporarily_unavailable":
		e.Class, e.Disposition = ClassUnavailable, DispositionPark
	case "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_response_type", "invalid_client":
		e.Class, e.Disposition = ClassInvalid, DispositionReview
	default:
		e.Class, e.Disposition = ClassUnknown, DispositionReview
	}
	if e.Disposition == DispositionPark {
		e.RetryAt = s.clock.Now().Add(time.Minute)
	}
	e.CodeName = shortLine(e.CodeName, 100) // anyone can write a link
	text := "Pinterest has answered the login with the error " + e.CodeName
	if why := query.Get("error_description"); why != "" {
		text += ": " + shortLine(why, maxErrorText)
	}
	return newError(nil, e, errors.New(text))
}

// exchangeFor exchanges the code of a login.
func (s *OAuthService) exchangeFor(ctx context.Context, c *Client, code, verifier string) (*Token, error) {
	ctx, cancel := context.WithTimeout(ctx, codeTime)
	defer cancel()
	tok, err := s.exchange(ctx, c, code, verifier)
	if err != nil {
		return nil, err
	}
	if err := tok.check(); err != nil {
		return nil, newError(c.secrets, Error{Operation: opAuthorize, Class: ClassUnauthenticated, Disposition: DispositionReview, Phase: PhaseNotSent}, err)
	}
	return tok, nil
}

// Disconnect deletes an account's token from the store. Its calls end with
// [ErrDisconnected] until it is connected again, as any Pinterest user. Pinterest is
// not told: the owner can revoke the access there. The error is an [ErrTokenStore],
// or an [ErrInvalid] for a name that no account can have.
func (s *OAuthService) Disconnect(ctx context.Context, account string) error {
	if err := checkConnectable(account); err != nil {
		return invalidAccount(err)
	}
	c := s.client(account)
	if err := c.store.Delete(ctx, account); err != nil {
		return storeFailure(c.secrets, saveError{err})
	}
	c.tokens.replace(nil, &Token{})
	return nil
}

// LoginHandler redirects a browser to Pinterest, to connect an account. The
// function account returns which: take it from the application's own session,
// never from what anyone can put into a link. If it returns an error, or a name that
// no account can have, the answer is 403.
//
// A browser keeps the cookies of the last few logins that it began; older ones are
// removed.
func (s *OAuthService) LoginHandler(account func(*http.Request) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, err := account(r)
		if err != nil {
			http.Error(w, "This account cannot be connected.", http.StatusForbidden)
			return
		}
		login, err := s.Login(name)
		if err != nil {
			if s.logger != nil {
				s.logger.LogAttrs(r.Context(), slog.LevelError, "pinterest: a login cannot begin", slog.Any("error", err))
			}
			if errors.Is(err, ErrInvalid) {
				http.Error(w, "This account cannot be connected.", http.StatusForbidden)
				return
			}
			http.Error(w, "The connection is not set up.", http.StatusInternalServerError)
			return
		}
		s.dropCookies(w, r, login.Cookie)
		http.SetCookie(w, login.Cookie)
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, login.URL, http.StatusSeeOther)
	})
}

// CallbackHandler serves the RedirectURL of [OAuth]. The function account is that of
// [OAuthService.LoginHandler]: it is asked again for the account of the browser's
// session, which must be that of the login. If sessions have several accounts, it
// can use [OAuthService.LoginAccount].
//
// The handler finishes the login and calls done with the connection or the error;
// see [OAuthService.Callback]. done answers the browser. It should redirect, so that
// the code does not stay in the address bar. A request with another method than GET
// is answered 405, without done.
func (s *OAuthService) CallbackHandler(account func(*http.Request) (string, error), done func(w http.ResponseWriter, r *http.Request, conn *Connection, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
			return
		}
		var conn *Connection
		used := false
		name, err := account(r)
		if err != nil {
			err = connectError(nil, fmt.Errorf("%w: the session has no account: %w", ErrState, err))
		} else {
			conn, used, err = s.callback(r.Context(), r, name)
		}
		// The cookie of a login that can still be answered stays.
		_, over := s.open(r)
		if state := r.URL.Query().Get("state"); state != "" && (used || over != nil) {
			http.SetCookie(w, s.cookie(s.cookieName(state), "", -1))
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		done(w, r, conn, err)
	})
}
