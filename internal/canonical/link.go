package canonical

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Link returns the canonical form of an http or https URL. Scheme and host are in
// lower case, the host in ASCII (Punycode). The default port, a path of "/", an
// empty query or fragment, and parameters that only track clicks are dropped. The
// other parameters are sorted by name; those of one name keep their order. What is
// escaped though it need not be is unescaped, the rest is escaped in one way, and
// HTML-escaped characters are undone. What is not such a URL is returned as by
// [Text]. The canonical form of a canonical form is itself.
func Link(s string) string {
	l, text := parse(s)
	if l == nil {
		return text
	}
	return l.String()
}

// SameLink reports whether got is the link that was sent: they are equal in
// canonical form. Tracking parameters may have been added or dropped, but one that
// both have must have the same values: links of two campaigns differ. A link
// without content is not the same as one with it.
func SameLink(sent, got string) bool {
	if sent == got {
		return true
	}
	a, textA := parse(sent)
	b, textB := parse(got)
	if a == nil || b == nil {
		return a == nil && b == nil && textA == textB
	}
	return a.String() == b.String() && !a.conflicts(b)
}

// SameTarget reports whether two links lead to the same host and path, whatever
// their scheme, query and fragment, with or without "www." and a slash at the end.
// What is not a URL must be equal in canonical form. It is false for links without
// content.
func SameTarget(a, b string) bool {
	if a == b {
		return Text(a) != ""
	}
	la, textA := parse(a)
	lb, textB := parse(b)
	if la == nil || lb == nil {
		return la == nil && lb == nil && textA == textB && textA != ""
	}
	return strings.TrimPrefix(la.host, "www.") == strings.TrimPrefix(lb.host, "www.") && la.port == lb.port &&
		strings.TrimRight(la.path, "/") == strings.TrimRight(lb.path, "/")
}

// link is a URL in canonical form.
type link struct {
	scheme, user, host, port, path, fragment string

	params   []param // sorted by name
	tracking []param // likewise
}

type param struct{ name, value string }

// What is kept as it is in a part of a URL, besides letters, digits and "-._~". An
// ampersand is escaped where it does not separate parameters, so that nothing
// looks like an HTML entity.
const (
	safeInPath     = "!$'()*+,;=:@"
	safeInFragment = safeInPath + "/?"
)

// parse returns the URL s, or nil and the canonical form as a text.
func parse(s string) (*link, string) {
	if l := parseURL(s); l != nil {
		return l, ""
	}
	text := Text(s)
	return parseURL(text), text // it may have been escaped as a whole
}

func parseURL(s string) *link {
	s = strings.TrimFunc(s, func(r rune) bool {
		return isSpace(r) || r < ' ' || r == 0x7F || r == 0x200B || r == 0x2060 || r == 0xFEFF
	})
	for range 2 {
		s = unescape(s, "&<>\"'/=`")
	}
	var l link
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return nil
	}
	switch l.scheme = strings.ToLower(scheme); l.scheme {
	case "http", "https":
	default:
		return nil
	}
	rest, fragment, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		l.user = recode(authority[:i], safeInPath, false)
		authority = authority[i+1:]
	}
	if l.host, l.port, ok = hostPort(authority, l.scheme); !ok {
		return nil
	}
	if slash && path != "" {
		var b strings.Builder
		for segment := range strings.SplitSeq(path, "/") {
			b.WriteByte('/')
			b.WriteString(recode(segment, safeInPath, false))
		}
		l.path = b.String()
	}
	l.fragment = recode(fragment, safeInFragment, false)
	l.parseQuery(query)
	return &l
}

func (l *link) parseQuery(query string) {
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		p := param{recode(name, "", true), recode(value, "", true)}
		switch {
		case p == param{}:
		case IsTracking(p.name):
			l.tracking = append(l.tracking, p)
		default:
			l.params = append(l.params, p)
		}
	}
	byName := func(a, b param) int { return strings.Compare(a.name, b.name) }
	slices.SortStableFunc(l.params, byName)
	slices.SortStableFunc(l.tracking, byName)
}

// String returns the URL without its tracking parameters.
func (l *link) String() string {
	var b strings.Builder
	b.WriteString(l.scheme)
	b.WriteString("://")
	if l.user != "" {
		b.WriteString(l.user)
		b.WriteByte('@')
	}
	b.WriteString(l.host)
	if l.port != "" {
		b.WriteByte(':')
		b.WriteString(l.port)
	}
	b.WriteString(l.path)
	for i, p := range l.params {
		if i == 0 {
			b.WriteByte('?')
		} else {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		if p.value != "" || p.name == "" {
			b.WriteByte('=')
			b.WriteString(p.value)
		}
	}
	if l.fragment != "" {
		b.WriteByte('#')
		b.WriteString(l.fragment)
	}
	return b.String()
}

// conflicts reports whether a tracking parameter that both have differs.
func (l *link) conflicts(other *link) bool {
	for _, p := range l.tracking {
		values := other.values(p.name)
		if values != nil && !slices.Equal(values, l.values(p.name)) {
			return true
		}
	}
	return false
}

// values returns the values of a tracking parameter.
func (l *link) values(name string) []string {
	var values []string
	for _, p := range l.tracking {
		if p.name == name {
			values = append(values, p.value)
		}
	}
	return values
}

// IsTracking reports whether a parameter only tells where a click came from. Names
// that a site may use for what it shows, such as ref, source, pp or pin_id, are
// not among them: the pages of two products differ in nothing else.
func IsTracking(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "epik", // Pinterest's click identifier
		"fbclid",         // Facebook's
		"igshid", "igsh", // Instagram's, of a share
		"gclid", "gclsrc", "dclid", "gbraid", "wbraid", // Google Ads and Campaign Manager
		"srsltid",    // Google Merchant Center, of a free listing
		"_ga", "_gl", // Google Analytics, of a visitor who changes sites
		"msclkid",          // Microsoft Advertising
		"ttclid",           // TikTok
		"twclid",           // X
		"yclid",            // Yandex
		"mc_cid", "mc_eid": // Mailchimp: a campaign and a reader
		return true
	}
	return strings.HasPrefix(name, "utm_") // a campaign, in the words of Google Analytics and others
}

// recode escapes a part of a URL in one way, in NFC. Letters, digits, "-._~" and
// what is safe are kept; plus says that a plus is a space, as in a query. An escape
// that is none means itself.
func recode(s, safe string, plus bool) string {
	if isPlain(s, safe) {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		case c == '+' && plus:
			c = ' '
		}
		decoded = append(decoded, c)
	}
	decoded = norm.NFC.Bytes(decoded)
	b := make([]byte, 0, len(decoded)+8)
	for _, c := range decoded {
		if isUnreserved(c) || strings.IndexByte(safe, c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

const upperHex = "0123456789ABCDEF"

func isPlain(s, safe string) bool {
	for i := range len(s) {
		if !isUnreserved(s[i]) && strings.IndexByte(safe, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&7 + 9 // "A" to "F" and "a" to "f" end in the bits 001 to 110
}
