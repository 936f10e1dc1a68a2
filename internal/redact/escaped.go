package redact

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A server repeats what it was sent as it came or as it stores it: percent-encoded,
// as in a form, escaped for JSON or HTML, or several of these at once, and it may
// escape as many characters as it likes. So escaped values are found by reading the
// text the way a decoder would, rather than by a list of their forms.

// minSecret is the length of the shortest value that is redacted: a shorter one
// would blank out ordinary words.
const minSecret = 4

// escapes are the bytes that an escaped character can begin with.
const escapes = `%\&+`

// replaceEscaped replaces the secrets in text that are escaped in any way.
func replaceEscaped(text string, secrets []string) string {
	if !strings.ContainsAny(text, escapes) {
		return text
	}
	var begins [256]bool
	for i := range len(escapes) {
		begins[escapes[i]] = true
	}
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			begins[secret[0]] = true
		}
	}
	var b strings.Builder
	kept := 0
	for i := 0; i < len(text); {
		n := 0
		if begins[text[i]] {
			n = matchAny(text[i:], secrets)
		}
		if n == 0 {
			i++
			continue
		}
		b.WriteString(text[kept:i])
		b.WriteString(Mark)
		i += n
		kept = i
	}
	b.WriteString(text[kept:])
	return b.String()
}

// matchAny returns the length of the longest secret that text begins with.
func matchAny(text string, secrets []string) (longest int) {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		if n, ok := match(text, secret, false); ok {
			longest = max(longest, n)
		}
	}
	return longest
}

// match reports whether text begins with the secret, escaped or not, and its length
// there.
func match(text, secret string, cut bool) (n int, ok bool) {
	return matchRest(text, secret, cut, false)
}

// matchRest is match, where begun says that a part of the secret was found before.
// If cut is set, it is enough that text ends inside the secret.
func matchRest(text, secret string, cut, begun bool) (n int, ok bool) {
	for ; secret != ""; begun = true {
		if cut && (text == "" || begun && incomplete.MatchString(text)) {
			return n + len(text), true
		}
		if text == "" {
			return n, false
		}
		found, count := units(text, secret)
		if count == 0 {
			return n, false
		}
		for _, u := range found[:count-1] { // it can be read in several ways
			if m, ok := matchRest(text[u.width:], secret[u.taken:], cut, true); ok {
				return n + u.width + m, true
			}
		}
		u := found[count-1]
		text, secret, n = text[u.width:], secret[u.taken:], n+u.width
	}
	return n, true
}

// incomplete matches an escape that was cut off.
var incomplete = regexp.MustCompile(`^(?:%(?:25)*[[:xdigit:]]?|\\+(?:u[[:xdigit:]]{0,3})?|&(?:amp;)*#?[[:alnum:]]{0,8})$`)

// unit says how many bytes of text are how many bytes of a secret.
type unit struct{ width, taken int }

// units returns the ways in which text can begin with the next of the secret. Both
// are not empty.
func units(text, secret string) (found [3]unit, count int) {
	add := func(width int, char string) {
		if width > 0 && char != "" && strings.HasPrefix(secret, char) {
			found[count] = unit{width, len(char)}
			count++
		}
	}
	switch text[0] {
	case '+':
		add(1, " ")
	case '%':
		if secret[0] == '%' {
			add(repeatedEscape(text, secret, "25"), "%")
		}
		// %2525: it was encoded more than once.
		width, char := hexByte(text, 1+repeated(text[1:], "25"))
		add(width, char)
		if char == "+" { // a space that was encoded twice
			add(width, " ")
		}
	case '\\':
		add(backslash(text))
		if secret[0] == '\\' {
			return addBackslashes(text, secret, found, count)
		}
	case '&':
		if secret[0] == '&' {
			add(repeatedEscape(text, secret, "amp;"), "&")
		}
		add(entity(text))
	}
	if text[0] == secret[0] {
		found[count] = unit{1, 1}
		count++
	}
	return found, count
}

// repeatedEscape returns the width of a percent sign or an ampersand that was
// escaped at least once, without the word that the secret itself has after it; 0 if
// it was not escaped.
func repeatedEscape(text, secret, word string) int {
	run := repeated(text[1:], word)
	if own := repeated(secret[1:], word); run > own {
		run -= own
	}
	if run == 0 {
		return 0
	}
	return 1 + run
}

// addBackslashes adds the ways to read the backslashes of a secret: one may stand
// for itself, or two or more of them.
func addBackslashes(text, secret string, found [3]unit, count int) ([3]unit, int) {
	run, want := repeated(text, `\`), repeated(secret, `\`)
	if run >= want {
		found[count] = unit{run, want}
		count++
	}
	if run > want { // the last one escapes what follows
		found[count] = unit{run - 1, want}
		count++
	}
	return found, count
}

// repeated returns the length of the run of word that text begins with.
func repeated(text, word string) (n int) {
	for strings.HasPrefix(text[n:], word) {
		n += len(word)
	}
	return n
}

// hexByte reads two hexadecimal digits at a place.
func hexByte(text string, at int) (width int, char string) {
	if len(text) < at+2 {
		return 0, ""
	}
	c, err := strconv.ParseUint(text[at:at+2], 16, 8)
	if err != nil {
		return 0, ""
	}
	return at + 2, string([]byte{byte(c)})
}

// backslash reads an escape of JSON, which may have been escaped itself.
func backslash(text string) (width int, char string) {
	run := repeated(text, `\`)
	if run == len(text) {
		return 0, ""
	}
	switch c := text[run]; c {
	case 'u':
		r, ok := hexRune(text, run+1)
		if !ok {
			return 0, ""
		}
		end := run + 5
		if utf16.IsSurrogate(r) {
			next := end + repeated(text[end:], `\`)
			low, ok := hexRune(text, next+1)
			if !ok || next == end || text[next] != 'u' {
				return 0, ""
			}
			r, end = utf16.DecodeRune(r, low), next+5
		}
		return end, string(r)
	case '"', '\'', '/':
		return run + 1, string(rune(c))
	default:
		if i := strings.IndexByte("bfnrt", c); i >= 0 {
			return run + 1, "\b\f\n\r\t"[i : i+1]
		}
		return 0, ""
	}
}

// hexRune reads four hexadecimal digits at a place.
func hexRune(text string, at int) (rune, bool) {
	if len(text) < at+4 {
		return 0, false
	}
	r, err := strconv.ParseUint(text[at:at+4], 16, 16)
	return rune(r), err == nil
}

var entities = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}

// entity reads a character reference of HTML or XML, which may have been escaped
// itself.
func entity(text string) (width int, char string) {
	start := 1 + repeated(text[1:], "amp;")
	const longest = len("#x0010ffff")
	name, _, ok := strings.Cut(text[start:min(len(text), start+longest+1)], ";")
	if !ok {
		return 0, ""
	}
	width = start + len(name) + 1
	number, ok := strings.CutPrefix(name, "#")
	if !ok {
		return width, entities[name]
	}
	base := 10
	if hex := strings.TrimLeft(number, "xX"); len(hex) < len(number) {
		number, base = hex, 16
	}
	r, err := strconv.ParseUint(number, base, 21)
	if err != nil || !utf8.ValidRune(rune(r)) {
		return 0, ""
	}
	return width, string(rune(r))
}
