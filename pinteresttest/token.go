package pinteresttest

import (
	"math/rand/v2"
	"sync"
	"time"
)

// refreshTTL is how long a refresh token lives.
const refreshTTL = 60 * 24 * time.Hour

// A grant is what a token stands for. It does not change once issued, but for
// its end.
type grant struct {
	account string
	scopes  []string
	refresh bool
	expires time.Time
}

// tokens holds every token issued, the dead ones as well until they are ended.
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

// find returns what a token that is alive stands for.
func (t *tokens) find(token string, now time.Time) (grant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.grants[token]
	if g == nil || !now.Before(g.expires) {
		return grant{}, false
	}
	return *g, true
}

// owner returns the account a token was issued to, dead or alive, so that
// requests with an expired token are still counted as the account's.
func (t *tokens) owner(token string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.grants[token]; g != nil {
		return g.account
	}
	return ""
}

// use returns what a living refresh token stands for and, with once, ends it in
// the same step: of two refreshes with one token at once only one succeeds.
func (t *tokens) use(token string, now time.Time, once bool) (grant, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.grants[token]
	if g == nil || !g.refresh || !now.Before(g.expires) {
		return grant{}, false
	}
	used := *g
	if once {
		g.expires = time.Time{}
	}
	return used, true
}

// end ends the tokens that match.
func (t *tokens) end(match func(token string, g *grant) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, g := range t.grants {
		if match(token, g) {
			g.expires = time.Time{}
		}
	}
}
