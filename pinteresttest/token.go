package pinteresttest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// How long refresh tokens are valid.
const (
	refreshTTL       = 60 * day
	legacyRefreshTTL = 365 * day
)

// A grant is what a token stands for.
type grant struct {
	account    string
	scopes     []string
	refresh    bool
	legacy     bool // a refresh token that is never replaced
	replaced   bool // a refresh token that has been replaced
	client     bool // of the app itself, by its credentials
	conversion bool // only for sending conversions
	expires    time.Time
}

// tokens holds every token issued, including expired ones.
type tokens struct {
	ttl time.Duration

	mu     sync.Mutex
	random *rand.Rand
	grants map[string]*grant
}

func newTokens(c config) *tokens {
	return &tokens{
		ttl:    c.tokenTTL,
		random: rand.New(rand.NewPCG(c.seed, 'T')),
		grants: map[string]*grant{},
	}
}

func (t *tokens) issueAccess(account string, scopes []string, now time.Time) string {
	return t.issue("pina_", &grant{account: account, scopes: scopes, expires: now.Add(t.ttl)})
}

func (t *tokens) issueRefresh(account string, scopes []string, now time.Time) string {
	return t.issue("pinr.", &grant{account: account, scopes: scopes, refresh: true, expires: now.Add(refreshTTL)})
}

func (t *tokens) issue(prefix string, g *grant) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	t.mu.Lock()
	defer t.mu.Unlock()
	token := []byte(prefix)
	for range 60 {
		token = append(token, alphabet[t.random.IntN(len(alphabet))])
	}
	t.grants[string(token)] = g
	return string(token)
}

// find returns the grant of a valid token.
func (t *tokens) find(token string, now time.Time) (grant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.grants[token]
	if g == nil || !now.Before(g.expires) {
		return grant{}, false
	}
	return *g, true
}

// known returns the grant of a token, valid or not: requests with an expired token
// still count as the account's. For an unknown token it returns the zero grant.
func (t *tokens) known(token string) grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.grants[token]; g != nil {
		return *g
	}
	return grant{}
}

// use returns the grant of a valid refresh token. In the same step it marks the
// token as replaced, if replace is set, and expires it, if once is set too: of two
// concurrent refreshes with one token only one succeeds.
func (t *tokens) use(token string, now time.Time, replace, once bool) (grant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.grants[token]
	if g == nil || !g.refresh || !now.Before(g.expires) {
		return grant{}, false
	}
	used := *g
	if replace {
		g.replaced = true
		if once {
			g.expires = time.Time{}
		}
	}
	return used, true
}

// end expires the tokens that match.
func (t *tokens) end(match func(token string, g *grant) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, g := range t.grants {
		if match(token, g) {
			g.expires = time.Time{}
		}
	}
}

// setScopes changes the scopes of an account's tokens.
func (t *tokens) setScopes(account string, scopes []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.grants {
		if g.account == account && !g.conversion {
			g.scopes = slices.Clone(scopes)
		}
	}
}
