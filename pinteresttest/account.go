package pinteresttest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// App is the OAuth client that the server knows.
type App struct {
	Name         string
	ID           string
	Secret       string
	RedirectURIs []string // registered ones
}

// An Account is a user of the server, together with a pair of its tokens.
type Account struct {
	Username     string
	ID           string
	AccessToken  string // pina_...
	RefreshToken string // pinr....
}

// AddAccount adds an account and issues it a pair of tokens with these scopes, or
// with every scope of the API if there are none. If the account exists, it gets
// another pair of tokens. An account that is connected through the authorize page
// does not need these tokens.
func (s *Server) AddAccount(username string, scopes ...string) Account {
	return s.issue(s.world.account(username), scopes)
}

// AddSystemUser is [Server.AddAccount] for a system user of a business. Of the
// tokens of accounts, token/revoke revokes only those of system users.
func (s *Server) AddSystemUser(username string, scopes ...string) Account {
	a := s.world.account(username)
	s.world.mu.Lock()
	a.system = true
	s.world.mu.Unlock()
	return s.issue(a, scopes)
}

func (s *Server) issue(a *account, scopes []string) Account {
	if len(scopes) == 0 {
		scopes = allScopes()
	}
	now := s.clock.Now()
	scopes = slices.Clone(scopes)
	return Account{
		Username:     a.username,
		ID:           a.id,
		AccessToken:  s.tokens.issueAccess(a.username, scopes, now),
		RefreshToken: s.tokens.issueRefresh(a.username, scopes, now),
	}
}

// account returns the account with a name. It creates the account if necessary.
func (w *world) account(username string) *account {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.accounts[username]
	if a == nil {
		a = &account{username: username, id: w.newID()}
		w.accounts[username] = a
	}
	return a
}

func (w *world) isSystem(username string) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	a := w.accounts[username]
	return a != nil && a.system
}

// SetScopes changes what the account's owner has granted. Every token of the
// account, access and refresh, has these scopes from now on. An operation that
// needs another scope is refused with 401 and code 3.
func (s *Server) SetScopes(a Account, scopes ...string) {
	s.world.approve(a.Username, scopes)
	s.tokens.setScopes(a.Username, scopes)
}

func (w *world) approve(username string, scopes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mustAccount(username).approved = slices.Clone(scopes)
}

// SetBusinessName makes the account a business account with this name, which
// user_account/get returns. An empty name makes it a personal account again.
func (s *Server) SetBusinessName(a Account, name string) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.world.mustAccount(a.Username).business = name
}

// ExpireToken expires one access token or refresh token now.
func (s *Server) ExpireToken(token string) {
	s.tokens.end(func(t string, _ *grant) bool { return t == token })
}

// ExpireAllTokens expires every access token now. Refresh tokens stay valid.
func (s *Server) ExpireAllTokens() {
	s.tokens.end(func(_ string, g *grant) bool { return !g.refresh })
}

// RevokeAccount ends every token and code of the account now, as if its owner had
// removed the app's access.
func (s *Server) RevokeAccount(a Account) {
	s.world.mu.Lock()
	if known := s.world.accounts[a.Username]; known != nil {
		known.approved = nil
	}
	s.world.mu.Unlock()
	s.codes.end(a.Username)
	s.tokens.end(func(_ string, g *grant) bool { return g.account == a.Username })
}

// App returns the OAuth client that the server accepts.
func (s *Server) App() App {
	app := s.app
	s.redirects.mu.Lock()
	defer s.redirects.mu.Unlock()
	app.RedirectURIs = slices.Clone(s.redirects.uris)
	return app
}

// AddRedirectURI registers another redirect URI for the app, in addition to those
// of [WithRedirectURIs].
func (s *Server) AddRedirectURI(uri string) {
	s.redirects.mu.Lock()
	defer s.redirects.mu.Unlock()
	s.redirects.uris = append(s.redirects.uris, uri)
}

// redirects are the app's redirect URIs.
type redirects struct {
	mu   sync.Mutex
	uris []string
}

func (r *redirects) has(uri string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.uris, uri)
}

type accountJSON struct {
	About          string  `json:"about"`
	AccountType    string  `json:"account_type"`
	BoardCount     int     `json:"board_count"`
	BusinessName   *string `json:"business_name"`
	FollowerCount  int     `json:"follower_count"`
	FollowingCount int     `json:"following_count"`
	ID             string  `json:"id"`
	MonthlyViews   int     `json:"monthly_views"`
	PinCount       int     `json:"pin_count"`
	ProfileImage   string  `json:"profile_image"`
	Username       string  `json:"username"`
	WebsiteURL     string  `json:"website_url"`
}

func (s *Server) getAccount(c *call) (any, error) {
	s.world.mu.RLock()
	defer s.world.mu.RUnlock()
	a := s.world.accounts[c.account]
	kind := "PINNER"
	if a.business != "" {
		kind = "BUSINESS"
	}
	return accountJSON{
		AccountType:  kind,
		BoardCount:   len(a.boards),
		BusinessName: nullable(a.business),
		ID:           a.id,
		MonthlyViews: -1, // what the API shows for an account that it does not measure
		PinCount:     len(a.pins),
		ProfileImage: "https://i.pinimg.com/600x600_R/" + imagePath(a.id),
		Username:     a.username,
	}, nil
}

// authenticate checks the bearer token, and that it has the scopes that the
// operation needs.
func (s *Server) authenticate(c *call) error {
	scheme, _, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	g, ok := s.tokens.find(bearer(c.request.Header), c.now)
	if !ok || g.refresh || !strings.EqualFold(scheme, "Bearer") {
		return errUnauthenticated
	}
	if lacks(g.scopes, c.op.scopes) != "" {
		return errMissingScope
	}
	return nil
}

// mustAccount returns the state of an account. It panics for an unknown account,
// which is a mistake in the test.
func (w *world) mustAccount(username string) *account {
	a := w.accounts[username]
	if a == nil {
		panic(fmt.Sprintf("pinteresttest: no account %q on this server: make it with AddAccount", username))
	}
	return a
}
