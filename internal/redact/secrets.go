package redact

import (
	"errors"
	"slices"
	"strconv"
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

	replacer *strings.Replacer // of app and tokens; nil: not made yet
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
			s.tokens, s.replacer = append(s.tokens, token), nil
		}
	}
	if n := len(s.tokens) - maxTokens; n > 0 {
		s.tokens = slices.Delete(s.tokens, 0, n)
	}
}

// values returns all that is known.
func (s *Secrets) values() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	own := slices.Concat(s.app, s.tokens)
	s.mu.Unlock()
	return append(own, s.parent.values()...)
}

// Clean returns text without credentials.
func (s *Secrets) Clean(text string) string {
	if text == "" {
		return ""
	}
	for known := s; known != nil; known = known.parent {
		text = known.known().Replace(text)
	}
	return shapes(replaceEscaped(text, s.values()))
}

// known returns what replaces the values that s knows itself.
func (s *Secrets) known() *strings.Replacer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replacer == nil {
		s.replacer = newReplacer(slices.Concat(s.app, s.tokens))
	}
	return s.replacer
}

// CleanBody returns the first limit bytes of a body without credentials. Cut
// says that the body had been cut off before. A credential that a cut went
// through is no longer found whole, so what may be its beginning goes, too.
func (s *Secrets) CleanBody(body []byte, limit int, cut bool) string {
	if len(body) > limit {
		body, cut = body[:limit], true
	}
	text := s.Clean(string(body))
	if !cut {
		return text
	}
	for _, secret := range s.values() {
		for n := len(secret) - 1; n > 0; n-- {
			if rest, ok := strings.CutSuffix(text, secret[:n]); ok {
				text = rest
				break
			}
		}
	}
	return s.cutEscaped(text)
}

// cutEscaped returns text without the beginning of an escaped credential at its end.
func (s *Secrets) cutEscaped(text string) string {
	values := slices.DeleteFunc(s.values(), func(v string) bool { return len(v) < minSecret })
	longest := 0
	for _, v := range values {
		longest = max(longest, len(v))
	}
	const widest = len(`&amp;#x0000;`) // of one byte, escaped twice
	tail := max(0, len(text)-widest*longest)
	if !strings.ContainsAny(text[tail:], escapes) {
		return text
	}
	for i := tail; i < len(text); i++ {
		for _, v := range values {
			if _, ok := match(text[i:], v, true); ok {
				return text[:i]
			}
		}
	}
	return text
}

// CleanID is Clean for a request id. The API's are digits, which need none.
func (s *Secrets) CleanID(id string) string {
	if strings.Trim(id, "0123456789") == "" {
		return id
	}
	return s.Clean(id)
}

// Hide returns an error with the text of err, without the credentials in it;
// nil for nil. Errors that others made may hold more than they say, so err
// itself is kept where printing does not find it, and can be unwrapped only when
// its text is clean. Errors.Is sees through it either way.
func (s *Secrets) Hide(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := s.Clean(text)
	return hiddenError{
		text:   clean,
		is:     func(target error) bool { return errors.Is(err, target) },
		unwrap: func() error { return err },
		shown:  clean == text,
	}
}

// hiddenError is an error that prints nothing but its text. What it wraps is
// reached through functions, because fmt prints fields that are not exported.
type hiddenError struct {
	text   string
	is     func(target error) bool
	unwrap func() error
	shown  bool
}

func (e hiddenError) Error() string        { return e.text }
func (e hiddenError) GoString() string     { return strconv.Quote(e.text) }
func (e hiddenError) Is(target error) bool { return e.is(target) }

func (e hiddenError) Unwrap() error {
	if !e.shown {
		return nil
	}
	return e.unwrap()
}
