package redact

import (
	"slices"
	"strings"
)

// The names of parameters that are credentials.
var (
	// secretWords end such a name, also as that of a member of JSON or of a setting
	// of a DSN: "X-Amz-Signature", "oauth_token".
	secretWords = []string{
		"signature", "credential", "sig", "hmac", "hdnts", "hdnea", "hdntl", "policy", "jwt", "password", "passwd", "pwd",
		"token", "secret", "apikey", "api_key", "api-key", "accesskey", "access_key", "accesskeyid", "code_verifier",
	}
	// paramNames are ordinary words, which count only where a URL or a form has its
	// parameters.
	paramNames = []string{"key", "auth", "authorization", "code", "key-pair-id", "googleaccessid", "pass", "session", "sessionid"}
)

// parameters returns the values of parameters that are credentials: name=value, and
// "name": "value".
func parameters(text string) (found []span) {
	for i := 0; i < len(text); i++ {
		var name string
		value := i + 1
		switch text[i] {
		case '=':
			name = lastName(text[:i])
			start := i - len(name)
			isParam := start == 0 || strings.IndexByte("?&;", text[start-1]) >= 0
			if !isSecretName(name) && (!isParam || !slices.Contains(paramNames, strings.ToLower(name))) {
				continue
			}
		case ':': // a "+" is a space
			before, quoted := trimQuote(text[:i])
			after := strings.TrimLeft(text[i+1:], "+ \t\r\n")
			if name = lastName(before); !quoted || after == "" || !isQuote(after[0]) || !isSecretName(name) {
				continue
			}
			value = len(text) - len(after) + 1
		default:
			continue
		}
		length := strings.IndexAny(text[value:], "& \t\r\n\"'<>\\")
		if length < 0 {
			length = len(text) - value
		}
		if length >= minSecret {
			found = append(found, span{value, value + length})
			i = value + length - 1
		}
	}
	return found
}

// lastName returns the name that text ends with.
func lastName(text string) string {
	const longest = 64
	start := len(text)
	for start > 0 && len(text)-start < longest {
		if c := lower(text[start-1]); (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			break
		}
		start--
	}
	return text[start:]
}

// trimQuote returns text without the quote that it ends with, and spaces after that.
func trimQuote(text string) (before string, ok bool) {
	text = strings.TrimRight(text, "+ \t\r\n")
	if text == "" || !isQuote(text[len(text)-1]) {
		return text, false
	}
	return text[:len(text)-1], true
}

func isQuote(c byte) bool { return c == '"' || c == '\'' }

// isSecretName reports whether a name ends with one of secretWords, a short one as a
// word of its own: a design is no sig.
func isSecretName(name string) bool {
	return slices.ContainsFunc(secretWords, func(word string) bool {
		start := len(name) - len(word)
		if start < 0 || !equalFold(name[start:], word) {
			return false
		}
		return start == 0 || len(word) > len("hmac") || name[start-1] == '_' || name[start-1] == '-'
	})
}
