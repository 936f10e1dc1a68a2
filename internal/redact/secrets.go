package redact

import (
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Secrets are the credentials that a client is known to have used, so that they
// can be taken out of whatever a server or a transport says. It is safe for
// concurrent use. A nil *Secrets knows none and cannot learn any: it takes out
// only what has the shape of a credential.
type Secrets struct {
	parent *Secrets // knows more; nil: nobody does
	mu     sync.Mutex
	app    []string // the app's own, which stay
	tokens []string // those of the account, which rotate

	index *index // of app and tokens; nil: not made yet
}

// maxTokens is how many tokens are remembered: an old one in a late error is of
// no use to anyone.
const maxTokens = 16

// New returns Secrets that know the credentials of an app for good.
func New(app ...string) *Secrets { return &Secrets{app: slices.Clone(app)} }

// With returns Secrets that know these values besides all that s knows and
// learns.
func (s *Secrets) With(values ...string) *Secrets {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	return &Secrets{parent: s, app: values}
}

// AddToken adds tokens of the account. Only the newest are remembered.
func (s *Secrets) AddToken(tokens ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range tokens {
		if token != "" && !slices.Contains(s.tokens, token) {
			s.tokens, s.index = append(s.tokens, token), nil
		}
	}
	if n := len(s.tokens) - maxTokens; n > 0 {
		s.tokens = slices.Delete(s.tokens, 0, n)
	}
}

// Clean returns text without credentials.
func (s *Secrets) Clean(text string) string {
	found, _ := s.find(text, shapes, false)
	return replace(text, found)
}

// CleanKnown returns text without the credentials that are known: what only has the
// shape of one stays.
func (s *Secrets) CleanKnown(text string) string {
	found, _ := s.find(text, nil, false)
	return replace(text, found)
}

// find returns the spans of text that are credentials: those that are known, and those
// that others finds. If cut is set, end is where the beginning of a known one at the
// end of text may be; else it is the end of text.
func (s *Secrets) find(text string, others func(string) []span, cut bool) (found []span, end int) {
	end = len(text)
	for view, origin := range views(text) {
		var here []span
		if others != nil {
			here = others(view)
		}
		for known := s; known != nil; known = known.parent {
			x := known.indexed()
			here = x.find(view, here)
			if cut {
				end = min(end, origin(x.beginning(view)))
			}
		}
		for _, f := range here {
			found = append(found, span{origin(f.from), origin(f.to)})
		}
	}
	return found, end
}

// indexed returns the index of the values that s knows itself.
func (s *Secrets) indexed() *index {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil {
		s.index = newIndex(slices.Concat(s.app, s.tokens))
	}
	return s.index
}

// CleanBody returns the first limit bytes of a body without credentials. Cut
// says that the body had been cut off before. A credential that a cut went
// through is no longer found whole, so what may be its beginning goes, too.
func (s *Secrets) CleanBody(body []byte, limit int, cut bool) string {
	if len(body) > limit {
		body, cut = body[:limit], true
	}
	text := string(body)
	spans, end := s.find(text, shapes, cut)
	for _, found := range spans {
		if found.from <= end && end < found.to { // it ends with what was found whole
			end = found.to
		}
	}
	spans = slices.DeleteFunc(spans, func(found span) bool { return found.from >= end })
	return replace(text[:end], spans)
}

// CleanID is Clean for a request id. The API's are digits, which need none unless a
// credential is of digits alone and long enough to be a token.
func (s *Secrets) CleanID(id string) string {
	if isDigits(id) && !s.hasDigits() {
		return id
	}
	return s.Clean(id)
}

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// hasDigits reports whether a known value that is long is of digits alone.
func (s *Secrets) hasDigits() bool {
	for known := s; known != nil; known = known.parent {
		known.mu.Lock()
		found := slices.ContainsFunc(known.app, isLongNumber) || slices.ContainsFunc(known.tokens, isLongNumber)
		known.mu.Unlock()
		if found {
			return true
		}
	}
	return false
}

func isLongNumber(value string) bool { return len(value) >= 12 && isDigits(value) }

// cleanField returns the value of a header field without credentials.
func (s *Secrets) cleanField(name, value string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Set-Cookie", "Cookie", "Authorization", "Proxy-Authorization":
		return Mark
	case "Location":
		if target, query, _ := strings.Cut(value, "?"); query != "" {
			value = target + "?" + Mark
		}
	}
	return s.Clean(value)
}
