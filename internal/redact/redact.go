// Package redact takes credentials out of text that people or logs will see.
//
// It finds two things: values that are known, in whatever form a server repeats
// them (see match and forms), and what has the shape of a credential, such as a
// Pinterest token, an Authorization value or the password in a URL.
package redact

import (
	"iter"
	"regexp"
	"slices"
	"strings"
)

// Mark stands where a credential stood.
const Mark = "[redacted]"

// pattern is a shape of credentials, which are the group of its expression.
type pattern struct {
	hints []string // one of them, in lower case, is in every text that matches; searched first, since that is quicker
	*regexp.Regexp
	looks func(value string) bool // what the group must look like; nil: anything
}

var patterns = []pattern{
	// Pinterest's tokens: access (pina_), refresh (pinr.), client (pinc...).
	{[]string{"pina", "pinr", "pinc"}, regexp.MustCompile(`(?i)(?:\b|_)(pin[arc][._][a-z0-9._~+/=-]{4,})`), nil},
	{[]string{"pinc"}, regexp.MustCompile(`(?i)(?:\b|_)(pinc[a-z0-9._~+/=-]{16,})`), regexp.MustCompile(`[0-9][A-Za-z]`).MatchString}, // no word with a number
	// Authorization values, wherever they were echoed.
	{[]string{"authorization"}, regexp.MustCompile(`(?i)authorization[\s+"':=\[\\]{1,8}(?:bearer|basic)[\s+]+([a-z0-9._~+/=-]{8,})`), nil},
	{[]string{"bearer", "basic"}, regexp.MustCompile(`(?i)\b(?:bearer|basic)[\s+]+([a-z0-9._~+/=-]{8,})`), looksSecret},
	// User and password of a URL. A password may have any characters if it was not
	// escaped, so the last "@" ends it.
	{[]string{"//"}, regexp.MustCompile(`//([^\s"<>/?#@\\]*:[^\s"<>]*|[^\s/?#"'<>\\]+)@`), nil},
	// What net/url says of a password that it took for a port.
	{[]string{"invalid port"}, regexp.MustCompile(`invalid port "?:([^\s"]*[^\s"0-9][^\s"]*)`), nil},
}

// looksSecret reports whether a value can be a credential rather than a word.
func looksSecret(value string) bool {
	return len(value) >= 16 || strings.ContainsAny(value, "0123456789")
}

// mayMatch reports whether a match is possible.
func (p pattern) mayMatch(text string) bool {
	return slices.ContainsFunc(p.hints, func(hint string) bool { return containsFold(text, hint) })
}

// String returns s without the secrets given, escaped or not, and without anything
// that has the shape of a credential.
func String(s string, secrets ...string) string { return New(secrets...).Clean(s) }

// span is a part of a text.
type span struct{ from, to int }

// shapes returns the spans of text that have the shape of a credential.
func shapes(text string) []span {
	found := parameters(text)
	for _, p := range patterns {
		if !p.mayMatch(text) {
			continue
		}
		for _, m := range p.FindAllStringSubmatchIndex(text, -1) {
			if p.looks == nil || p.looks(text[m[2]:m[3]]) {
				found = append(found, span{m[2], m[3]})
			}
		}
	}
	return found
}

// replace returns text with a mark in place of each span. Spans that touch get one
// mark together.
func replace(text string, spans []span) string {
	if len(spans) == 0 {
		return text
	}
	var b strings.Builder
	kept := 0
	for _, s := range merge(spans) {
		b.WriteString(text[kept:s.from])
		b.WriteString(Mark)
		kept = s.to
	}
	b.WriteString(text[kept:])
	return b.String()
}

// merge returns the spans in order, those that overlap or touch as one.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	merged := spans[:1]
	for _, s := range spans[1:] {
		if last := &merged[len(merged)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}

// views yields text as it is, and as what it stands for if it was escaped once, twice
// and so on, each with a function that finds a place in text from one in the view.
func views(text string) iter.Seq2[string, func(int) int] {
	const levels = 6 // how often text may have been escaped
	return func(yield func(string, func(int) int) bool) {
		var at []int32 // where each byte of the view, and its end, began in text, which is far shorter than 2 GB; nil: at the same place
		origin := func(i int) int {
			if at == nil {
				return i
			}
			return int(at[i])
		}
		for range levels {
			if !yield(text, origin) {
				return
			}
			decoded, began := decode(text)
			if decoded == text {
				return
			}
			for i, place := range began {
				began[i] = int32(origin(int(place)))
			}
			text, at = decoded, began
		}
	}
}

// decode returns text with each escape in it replaced by what it stands for, and where
// each of its bytes, and its end, began in text.
func decode(text string) (decoded string, began []int32) {
	if !strings.ContainsAny(text, escapes) {
		return text, nil
	}
	var b strings.Builder
	began = make([]int32, 0, len(text)+1)
	for i := 0; i < len(text); {
		width, char := escape(text[i:])
		if width == 0 || char == "" {
			width, char = 1, text[i:i+1]
		}
		for range len(char) {
			began = append(began, int32(i))
		}
		b.WriteString(char)
		i += width
	}
	return b.String(), append(began, int32(len(text)))
}

// escape reads one escape, of any kind, that text begins with.
func escape(text string) (width int, char string) {
	switch text[0] {
	case '%':
		return hexByte(text, 1)
	case '\\':
		if strings.HasPrefix(text, `\\`) {
			return 2, `\`
		}
		return backslash(text)
	case '&':
		return entity(text)
	}
	return 0, ""
}
