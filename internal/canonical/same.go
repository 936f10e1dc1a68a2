package canonical

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// SameText reports whether got is the text that was sent: they are equal in
// canonical form, or got is what is left of it after truncation at one of the
// limits, in characters. Truncation is only believed of a text that is longer than
// the limit, where got has about as many characters as the limit allows. It may
// end in an ellipsis. A text without content is not the same as one with it.
func SameText(sent, got string, limits ...int) bool {
	if sent == got {
		return true
	}
	s, g := Text(sent), Text(got)
	if s == g {
		return true
	}
	if s == "" || g == "" {
		return false
	}
	for _, limit := range limits {
		if limit > 0 && truncated(texts{raw: sent, text: s}, texts{raw: got, text: g}, limit) {
			return true
		}
	}
	return false
}

// Resembles reports whether the texts are so alike that one may be the other after
// a rewriting that Text does not know: without punctuation and case they are
// equal, or one of at least 20 characters begins the other. It is false for texts
// without content.
func Resembles(a, b string) bool {
	textA := Text(a)
	if a == b {
		return textA != ""
	}
	textB := Text(b)
	if textA == "" || textB == "" {
		return false
	}
	if textA == textB {
		return true
	}
	a, b = fold(textA), fold(textB)
	if a == "" || b == "" {
		return false // all of it is punctuation, which differs
	}
	return a == b || begins(a, b) || begins(b, a)
}

// minPrefix is how many characters tell more than a common beginning does.
const minPrefix = 20

func begins(short, long string) bool {
	return strings.HasPrefix(long, short) && utf8.RuneCountInString(short) >= minPrefix
}

// fold drops punctuation and case from a canonical text.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch {
		case r == ' ':
			space = b.Len() > 0
		case unicode.IsPunct(r):
		default:
			if space {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(unicode.ToLower(unicode.ToUpper(r))) // by way of ToUpper, "ς" is "σ"
		}
	}
	return b.String()
}

// texts is a text as it is and in canonical form.
type texts struct{ raw, text string }

// Slack of truncation, in characters.
const (
	ellipsisRoom = 3  // an ellipsis within the limit takes it from the text
	wordRoom     = 30 // at most what is taken to end with a whole word
)

// truncated reports whether got is what is left of sent after truncation at limit.
func truncated(sent, got texts, limit int) bool {
	// Characters that were cut in two became U+FFFD.
	whole := strings.TrimRight(got.text, "\uFFFD")
	if isCut(sent, got, whole, limit, 0) {
		return true
	}
	for _, mark := range []string{"…", "..."} {
		if text, ok := strings.CutSuffix(whole, mark); ok {
			return isCut(sent, got, strings.TrimRight(text, " \uFFFD"), limit, utf8.RuneCountInString(mark))
		}
	}
	return false
}

// isCut reports whether left, which is got without its ellipsis of some characters,
// is a beginning of sent that ends at about the limit. The ellipsis may stand
// within the limit or after it.
func isCut(sent, got texts, left string, limit, ellipsis int) bool {
	rest, ok := restOf(sent.text, left)
	if !ok {
		left = withoutHalfEntity(left)
		if rest, ok = restOf(sent.text, left); !ok {
			return false
		}
	}
	room := ellipsisRoom
	if strings.HasPrefix(rest, " ") {
		room = max(room, min(wordRoom, limit/4))
	}
	rest = strings.TrimLeft(rest, " ") // got may have the space before its ellipsis
	for _, count := range []func(string) int{utf8.RuneCountInString, utf16Count} {
		// It was rewritten first, then cut, or cut and then escaped.
		for _, form := range []string{got.raw, got.text} {
			n := count(form)
			if limit-room <= n && n <= limit+ellipsis && n-ellipsis+count(rest) > limit {
				return true
			}
		}
		// It was cut first, then rewritten.
		if count(sent.raw) > limit {
			n, most := count(left), count(Text(prefix(sent.raw, limit, count)))
			if most-room <= n && n <= most {
				return true
			}
		}
	}
	return false
}

// restOf returns what text has after left. A letter at the end of left may have
// lost its accent, so both are compared decomposed.
func restOf(text, left string) (string, bool) {
	if left == "" {
		return "", false
	}
	rest, ok := strings.CutPrefix(norm.NFD.String(text), norm.NFD.String(left))
	return norm.NFC.String(rest), ok && rest != ""
}

// withoutHalfEntity drops an entity at the end that was cut in two, such as "&am".
func withoutHalfEntity(s string) string {
	i := strings.LastIndexByte(s, '&')
	if i < 0 || len(s)-i >= maxEntity || strings.Trim(strings.TrimPrefix(s[i+1:], "#"), alphanumeric) != "" {
		return s
	}
	return strings.TrimRight(s[:i], " ")
}

// prefix returns the first characters of s, as many as limit by count, which
// counts one or two for each.
func prefix(s string, limit int, count func(string) int) string {
	n := 0
	for i, r := range s {
		if n += count(string(r)); n > limit {
			return s[:i]
		}
	}
	return s
}

// utf16Count counts as languages do whose strings are UTF-16.
func utf16Count(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
