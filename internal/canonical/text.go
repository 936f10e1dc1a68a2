// Package canonical compares the texts and links that were sent to an API with
// the form in which it gives them back. An API may escape, fold, reorder or
// truncate what it stores. That is still the same text.
package canonical

import (
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Text returns the canonical form of a text: HTML entities are unescaped, runs of
// white space, line ends among them, are one space, leading and trailing white
// space, control characters and invisible characters are dropped, and the rest is
// in Unicode NFC. The canonical form of a canonical form is itself.
//
// Only entities that end in a semicolon are unescaped, at most twice. No API
// escapes more often, so a text with more levels is taken as it is.
func Text(s string) string {
	first := clean(s)
	text := first
	for range 2 {
		next := unescape(text, "")
		if next == text {
			return text
		}
		text = clean(next)
	}
	if unescape(text, "") != text {
		return first
	}
	return text
}

// clean does all that Text does except for entities.
func clean(s string) string {
	n := cleanPrefix(s)
	if n == len(s) {
		return norm.NFC.String(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:n])
	space := false
	for _, r := range s[n:] {
		switch {
		case isSpace(r):
			space = true
		case isDropped(r):
		default:
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(r) // an invalid byte becomes U+FFFD, as it does in JSON
		}
	}
	return norm.NFC.String(b.String())
}

// cleanPrefix returns the length of the longest prefix of s that clean only
// normalizes. It does not end in a space.
func cleanPrefix(s string) int {
	space := true // before s[i], or s[i] is the first
	end := 0      // after the last character that is not a space
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case ' ' < r && r < 0x7F:
			space = false
			end = i + 1
		case r == ' ' && !space:
			space = true
		case r == utf8.RuneError && size == 1, isSpace(r), isDropped(r):
			return end
		default:
			space = false
			end = i + size
		}
		i += size
	}
	return end
}

// isSpace reports whether r is white space, the kinds that do not break among it.
func isSpace(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || '\t' <= r && r <= '\r'
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Z, r)
}

// isDropped reports whether r is a control character or invisible. Not all format
// characters are: tags tell the flags of countries apart.
func isDropped(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7F
	}
	switch {
	case unicode.IsControl(r),
		r == 0x00AD,                // soft hyphen
		r == 0x061C,                // Arabic letter mark
		r == 0x180E,                // Mongolian vowel separator
		0x200B <= r && r <= 0x200F, // zero-width space, joiners, direction marks
		0x202A <= r && r <= 0x202E, // direction embedding
		0x2060 <= r && r <= 0x206F, // word joiner, invisible operators, direction isolates
		0xFE00 <= r && r <= 0xFE0F, // variation selectors, as after an emoji
		r == 0xFEFF:                // byte order mark
		return true
	}
	return false
}

// maxEntity bounds the length of an entity. The longest name has 31 letters.
const maxEntity = 40

// unescape replaces the HTML entities of s once; if only is not empty, those that
// stand for one of its characters.
func unescape(s, only string) string {
	var b strings.Builder
	done := 0 // how much of s is in b
	for i := 0; i < len(s); {
		amp := strings.IndexByte(s[i:], '&')
		if amp < 0 {
			break
		}
		i += amp
		text, n := entity(s[i:])
		if n == 0 || only != "" && !strings.Contains(only, text) {
			i++
			continue
		}
		b.WriteString(s[done:i])
		b.WriteString(text)
		i += n
		done = i
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// entity returns what the entity at the beginning of s stands for, and its
// length: 0 if there is none. Without a semicolon it is none: "&copy=2" is part of
// a query, and "&para" the beginning of a word.
func entity(s string) (string, int) {
	end := strings.IndexByte(s[:min(len(s), maxEntity)], ';')
	if end < 2 {
		return "", 0
	}
	name, numeric := strings.CutPrefix(s[1:end], "#")
	digits := alphanumeric
	if numeric {
		digits = "0123456789"
		if name != "" && (name[0] == 'x' || name[0] == 'X') {
			name, digits = name[1:], "0123456789ABCDEFabcdef"
		}
	}
	if name == "" || strings.Trim(name, digits) != "" {
		return "", 0
	}
	text := html.UnescapeString(s[:end+1])
	// What is left of the semicolon shows that not all of it was an entity:
	// "&notit;" is "¬it;".
	if strings.HasSuffix(text, ";") && !numeric && name != "semi" {
		return "", 0
	}
	return text, end + 1
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
