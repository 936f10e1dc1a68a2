package redact

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// index finds values in text. A nil *index finds nothing.
type index struct {
	begins  [256]bool // the bytes that a form, escaped or not, can begin with
	forms   map[byte][]form
	longest int // in bytes
}

// form is a way in which a value is written, apart from escapes and capitals.
type form struct {
	text string
	// encoded says that it is a part of a word of base64 or hexadecimal digits. The
	// rest of the word has a part of the value, too, or what stood beside it.
	encoded bool
}

// minEncoded is the length of the shortest value that is looked for in base64: the
// part of the base64 that depends on nothing else is too short for others.
const minEncoded = 8

// newIndex returns the index of values, without those that are too short; nil if
// there are no others.
func newIndex(values []string) *index {
	var x *index
	for _, value := range values {
		if len(value) < minSecret {
			continue
		}
		if x == nil {
			x = &index{forms: map[byte][]form{}}
			for i := range len(escapes) {
				x.begins[escapes[i]] = true
			}
			x.begins['+'] = true // a space
		}
		for _, f := range forms(value) {
			first := lower(f.text[0])
			x.forms[first] = append(x.forms[first], f)
			x.begins[first], x.begins[upper(first)] = true, true
			x.longest = max(x.longest, len(f.text))
		}
	}
	return x
}

// forms returns how a value may be written: as it is, and within base64 and
// hexadecimal digits.
func forms(value string) []form {
	found := []form{{text: value}}
	if len(value) < minEncoded {
		return found
	}
	add := func(text string) {
		if f := (form{text, true}); !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	for _, v := range []string{value, url.QueryEscape(value)} { // Basic credentials are escaped for a form first
		for before := range 3 {
			inner := inBase64(v, before)
			add(inner)
			add(strings.NewReplacer("+", "-", "/", "_").Replace(inner))
		}
	}
	add(hex.EncodeToString([]byte(value)))
	return found
}

// inBase64 returns the part of a base64 that depends on value alone, where the
// number of bytes before it has this remainder of 3.
func inBase64(value string, before int) string {
	text := strings.Repeat(" ", before) + value
	return base64.RawStdEncoding.EncodeToString([]byte(text))[(before*8+5)/6 : len(text)*8/6]
}

// find adds the spans of text that are one of the values.
func (x *index) find(text string, found []span) []span {
	if x == nil {
		return found
	}
	end := 0 // of the last word of base64 that was found
	for i := range len(text) {
		if !x.begins[text[i]] {
			continue
		}
		if f, n := x.match(text[i:], false); n > 0 {
			s := span{i, i + n}
			if f.encoded && s.to > end {
				s = word(text, s, end)
				end = s.to
			}
			found = append(found, s)
		}
	}
	return found
}

// beginning returns where the end of text may be the beginning of a value that was
// cut off: the length of text if it is not.
func (x *index) beginning(text string) int {
	if x == nil {
		return len(text)
	}
	const widest = len(`&amp;#x0000;`) // of one byte, escaped twice
	for i := max(0, len(text)-widest*x.longest); i < len(text); i++ {
		if x.begins[text[i]] {
			if _, n := x.match(text[i:], true); n > 0 {
				return i
			}
		}
	}
	return len(text)
}

// match returns the longest form that text begins with, and its length there; 0 if
// there is none.
func (x *index) match(text string, cut bool) (longest form, length int) {
	try := func(first byte) {
		for _, f := range x.forms[first] {
			n, ok := match(text, f.text, cut)
			if !ok || n <= length || f.encoded && n < minSecret { // fewer digits say nothing
				continue
			}
			longest, length = f, n
		}
	}
	if cut && incomplete(text) { // what it would have been is not known
		for first := range x.forms {
			try(first)
		}
		return longest, length
	}
	own := lower(text[0])
	try(own)
	if char := firstChar(text); char != "" && lower(char[0]) != own {
		try(lower(char[0]))
		if char == "+" {
			try(' ')
		}
	}
	return longest, length
}

// firstChar returns what an escape that text begins with stands for, however often
// it was escaped itself; "" if there is none.
func firstChar(text string) (char string) {
	switch text[0] {
	case '+':
		char = " "
	case '%':
		_, char = hexByte(text, 1+repeated(text[1:], "25"))
	case '\\':
		_, char = backslash(text)
	case '&':
		_, char = entity(text)
	}
	return char
}

// word returns the span of the word of base64 around s, from a place on.
func word(text string, s span, from int) span {
	inWord := func(c byte) bool {
		l := lower(c)
		return 'a' <= l && l <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("+/=_-", c) >= 0
	}
	for s.from > from && inWord(text[s.from-1]) {
		s.from--
	}
	for s.to < len(text) && inWord(text[s.to]) {
		s.to++
	}
	return s
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}
