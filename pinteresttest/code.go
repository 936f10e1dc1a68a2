package pinteresttest

import (
	"crypto/sha256"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// codeTTL is how long an authorization code is valid.
const codeTTL = 10 * time.Minute

// A code is an authorization code.
type code struct {
	account     string
	scopes      []string
	redirectURI string
	challenge   string // of PKCE; empty for none
	expires     time.Time
	used        bool
}

// codes holds every authorization code, including used ones.
type codes struct {
	mu     sync.Mutex
	random *rand.Rand
	codes  map[string]*code
}

func newCodes(seed uint64) *codes {
	return &codes{random: rand.New(rand.NewPCG(seed, 'C')), codes: map[string]*code{}}
}

func (cs *codes) issue(c *code) string {
	const digits = "0123456789abcdef"
	cs.mu.Lock()
	defer cs.mu.Unlock()
	text := make([]byte, 40)
	for i := range text {
		text[i] = digits[cs.random.IntN(len(digits))]
	}
	cs.codes[string(text)] = c
	return string(text)
}

// owner returns the account of a code, valid or not.
func (cs *codes) owner(text string) string {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.codes[text]; c != nil {
		return c.account
	}
	return ""
}

// use returns a code and marks it as used. A code that is refused because of the
// redirect URI or the verifier is not used up.
func (cs *codes) use(text, redirectURI, verifier string, now time.Time) (code, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.codes[text]
	switch {
	case c == nil || c.used || !now.Before(c.expires):
		return code{}, badGrant("Invalid authorization code")
	case c.redirectURI != redirectURI:
		return code{}, badGrant("Invalid redirect URI")
	case c.challenge != "" && c.challenge != challengeOf(verifier):
		return code{}, badGrant("Invalid code verifier")
	}
	c.used = true
	used := *c
	used.scopes = slices.Clone(c.scopes)
	return used, nil
}

// end invalidates the codes of an account.
func (cs *codes) end(account string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.codes {
		c.used = c.used || c.account == account
	}
}

// challengeOf returns the S256 challenge of a verifier.
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
