package pinteresttest

import (
	"fmt"
	"slices"
	"strings"
)

// App is the OAuth client that the server knows.
type App struct {
	ID     string
	Secret string
}

// An Account is a user of the server, together with a pair of its tokens.
type Account struct {
	Username     string
	ID           string
	AccessToken  string // pina_...
	RefreshToken string // pinr....
}

// allScopes are the scopes an account grants unless others are named.
var allScopes = []string{
	"ads:read", "ads:write", "billing:read", "billing:write", "biz_access:read", "biz_access:write",
	"boards:read", "boards:read_secret", "boards:write", "boards:write_secret",
	"catalogs:read", "catalogs:write", "msot:write",
	"pins:read", "pins:read_secret", "pins:write", "pins:write_secret",
	"user_accounts:read", "user_accounts:write",
}

// AddAccount makes an account and issues it tokens with the scopes named, with
// every scope of the API when none is. For the name of an account there is
// already, it issues another pair of tokens.
func (s *Server) AddAccount(username string, scopes ...string) Account {
	if len(scopes) == 0 {
		scopes = allScopes
	}
	s.world.mu.Lock()
	a := s.world.accounts[username]
	if a == nil {
		a = &account{username: username, id: s.world.newID()}
		s.world.accounts[username] = a
	}
	s.world.mu.Unlock()

	now := s.clock.Now()
	scopes = slices.Clone(scopes)
	return Account{
		Username:     a.username,
		ID:           a.id,
		AccessToken:  s.tokens.issueAccess(a.username, scopes, now),
		RefreshToken: s.tokens.issueRefresh(a.username, scopes, now),
	}
}

// ExpireToken ends the life of one access token or refresh token now.
func (s *Server) ExpireToken(token string) {
	s.tokens.end(func(t string, _ *grant) bool { return t == token })
}

// ExpireAllTokens ends the life of every access token now. Refresh tokens go on.
func (s *Server) ExpireAllTokens() {
	s.tokens.end(func(_ string, g *grant) bool { return !g.refresh })
}

// RevokeAccount ends the life of every token of the account now, as the user
// does by taking the app's access away.
func (s *Server) RevokeAccount(a Account) {
	s.tokens.end(func(_ string, g *grant) bool { return g.account == a.Username })
}

// App returns the OAuth client id and secret that the server accepts.
func (s *Server) App() App { return s.app }

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
	return accountJSON{
		AccountType:  "PINNER",
		BoardCount:   len(a.boards),
		ID:           a.id,
		MonthlyViews: -1, // what the API shows for an account that it does not measure
		PinCount:     len(a.pins),
		ProfileImage: "https://i.pinimg.com/600x600_R/" + imagePath(a.id),
		Username:     a.username,
	}, nil
}

// authenticate finds the account behind the bearer token and holds the token's
// scopes against those that the operation needs.
func (s *Server) authenticate(c *call) error {
	scheme, _, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	g, ok := s.tokens.find(bearer(c.request.Header), c.now)
	if !ok || g.refresh || !strings.EqualFold(scheme, "Bearer") {
		return errUnauthenticated
	}
	for _, scope := range c.op.scopes {
		if !slices.Contains(g.scopes, scope) {
			return errMissingScope
		}
	}
	return nil
}

// mustAccount returns the state of an account. Only accounts of this server
// can be seeded, so an unknown one is a mistake in the test.
func (w *world) mustAccount(username string) *account {
	a := w.accounts[username]
	if a == nil {
		panic(fmt.Sprintf("pinteresttest: no account %q on this server: make it with AddAccount", username))
	}
	return a
}
