package redact

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A server repeats what it was sent as it came or as it stores it: percent-encoded,
// as in a form, escaped for JSON or HTML, or several of these at once, in capitals
// or without, and it may escape as many characters as it likes. So values are found
// by reading the text the way a decoder would, rather than by a list of their forms.

// minSecret is the length of the shortest value that is redacted: a shorter one
// would blank out ordinary words.
const minSecret = 4

// escapes are the bytes that an escaped character can begin with.
const escapes = `%\&`

// maxRepeated bounds how often an escape can have been escaped itself, so that a
// text of nothing but backslashes takes no time that grows with its square.
const maxRepeated = 64

// match reports whether text begins with the secret, escaped or not, and its length
// there.
func match(text, secret string, cut bool) (n int, ok bool) {
	return matchRest(text, secret, cut, false)
}

// matchRest is match, where begun says that a part of the secret was found before.
// If cut is set, it is enough that text ends inside the secret.
func matchRest(text, secret string, cut, begun bool) (n int, ok bool) {
	for ; secret != ""; begun = true {
		if cut && (text == "" || begun && incomplete(text)) {
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

// incomplete reports whether text, the end of what was cut off, may be an escape that
// the cut went through. What is escaped more than once ends in several of them.
func incomplete(text string) bool {
	const longest = len(`&amp;#x00%u00`)
	return len(text) <= longest && strings.IndexByte(escapes, text[0]) >= 0
}

// unit says how many bytes of text are how many bytes of a secret.
type unit struct{ width, taken int }

// units returns the ways in which text can begin with the next of the secret. Both
// are not empty.
func units(text, secret string) (found [3]unit, count int) {
	add := func(width int, char string) {
		if width > 0 && char != "" && len(char) <= len(secret) && equalFold(secret[:len(char)], char) {
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
	if lower(text[0]) == lower(secret[0]) {
		found[count] = unit{1, 1}
		count++
	}
	return found, count
}

// equalFold reports whether two texts of one length are equal but for ASCII capitals.
func equalFold(a, b string) bool {
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// containsFold reports whether word, which is in lower case, is in text.
func containsFold(text, word string) bool {
	for i := range max(0, len(text)-len(word)+1) {
		if lower(text[i]) == word[0] && equalFold(text[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
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

// repeated returns the length of the run of word that text begins with, in capitals
// or not.
func repeated(text, word string) (n int) {
	for limit := maxRepeated * len(word); n < limit && len(text)-n >= len(word) && equalFold(text[n:n+len(word)], word); {
		n += len(word)
	}
	return n
}

// hexByte reads two hexadecimal digits at a place, or four after a "u", as in %u005f.
func hexByte(text string, at int) (width int, char string) {
	if at < len(text) && lower(text[at]) == 'u' {
		if r, ok := hexRune(text, at+1); ok {
			return at + 5, string(r)
		}
	}
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
	case 'x', 'X':
		return hexByte(text, run+1)
	case 'u', 'U':
		if r, end, ok := longRune(text, run); ok {
			return end, string(r)
		}
		r, ok := hexRune(text, run+1)
		if !ok {
			return 0, ""
		}
		end := run + 5
		if utf16.IsSurrogate(r) {
			next := end + repeated(text[end:], `\`)
			low, ok := hexRune(text, next+1)
			if !ok || next == end || lower(text[next]) != 'u' {
				return 0, ""
			}
			r, end = utf16.DecodeRune(r, low), next+5
		}
		return end, string(r)
	case '"', '\'', '/':
		return run + 1, string(rune(c))
	default:
		if i := strings.IndexByte("bfnrt", lower(c)); i >= 0 {
			return run + 1, "\b\f\n\r\t"[i : i+1]
		}
		return 0, ""
	}
}

// longRune reads the character after the "u" at a place, as in \u{5f} and \U0000005f.
func longRune(text string, at int) (r rune, end int, ok bool) {
	rest := text[at+1 : min(len(text), at+9)]
	digits, found := strings.CutPrefix(rest, "{")
	switch {
	case found:
		digits, _, ok = strings.Cut(digits, "}")
		end = at + 1 + len(digits) + len("{}")
	case text[at] == 'U' && strings.HasPrefix(rest, "000"): // else four digits in capitals
		digits, ok = rest, len(rest) == 8
		end = at + 9
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	return rune(n), end, ok && err == nil && n <= utf8.MaxRune
}

// hexRune reads four hexadecimal digits at a place.
func hexRune(text string, at int) (rune, bool) {
	if len(text) < at+4 {
		return 0, false
	}
	r, err := strconv.ParseUint(text[at:at+4], 16, 16)
	return rune(r), err == nil
}

var numericEntity = regexp.MustCompile(`^#(?:[0-9]+|[xX][0-9A-Fa-f]+);?`)

// entity reads a character reference of HTML or XML, which may have been escaped
// itself.
func entity(text string) (width int, char string) {
	start := 1 + repeated(text[1:], "amp;")
	const longest = len("DownLeftRightVector")
	rest := text[start:min(len(text), start+longest+1)]
	if number := numericEntity.FindString(rest); number != "" { // a semicolon may be missing
		name := strings.TrimSuffix(number, ";")
		return start + len(number), html.UnescapeString("&" + name + ";")
	}
	name, _, ok := strings.Cut(rest, ";")
	if !ok || name == "" {
		return 0, ""
	}
	for _, name := range []string{name, strings.ToLower(name)} {
		ref := "&" + name + ";"
		if char := html.UnescapeString(ref); char != ref && (char == ";" || !strings.HasSuffix(char, ";")) { // else only its beginning is a name
			return start + len(name) + 1, char
		}
	}
	return 0, ""
}
