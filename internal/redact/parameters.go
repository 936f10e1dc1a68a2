package redact

import (
	"slices"
	"strings"
)

// The names of parameters that are credentials.
var (
	// certainNames have a credential for a value, whatever that looks like.
	certainNames = []string{
		"access_token", "refresh_token", "id_token", "oauth_token", "client_secret", "clientsecret", "password", "passwd", "pwd",
		"apikey", "api_key", "api-key", "code_verifier",
	}
	// secretWords end such a name, also as that of a member of JSON or of a setting
	// of a DSN: "X-Amz-Signature", "csrf_token". Outside of a URL or a form the value
	// must look like a credential: others have tokens for pages and for designs.
	secretWords = []string{
		"signature", "credential", "sig", "hmac", "hdnts", "hdnea", "hdntl", "jwt", "password", "passwd", "pwd",
		"token", "secret", "apikey", "api_key", "api-key", "accesskey", "access_key", "accesskeyid", "code_verifier",
	}
	// paramNames are ordinary words, which count only where a URL or a form has its
	// parameters.
	paramNames = []string{"key", "auth", "authorization", "code", "key-pair-id", "googleaccessid", "pass", "session", "sessionid"}
	// policyName is one of them that has a long value only.
	policyName = "policy"
)

// parameters returns the values of parameters that are credentials: name=value,
// name: value and "name": "value".
func parameters(text string) (found []span) {
	for i := 0; i < len(text); i++ {
		if text[i] != '=' && text[i] != ':' {
			continue
		}
		before, value := text[:i], i+1
		if text[i] == ':' || strings.HasSuffix(before, " ") { // a "+" is a space
			before, _ = trimQuote(before)
			value = len(text) - len(strings.TrimLeft(text[value:], "+ \t\r\n"))
		}
		name := lastName(before)
		start := len(before) - len(name)
		isParam := text[i] == '=' && (start == 0 || strings.IndexByte("?&;", text[start-1]) >= 0)
		name = strings.ToLower(name)
		if !isSecretName(name) && (!isParam || name != policyName && !slices.Contains(paramNames, name)) {
			continue
		}
		var length int
		if value < len(text) && isQuote(text[value]) {
			value++
			length = quotedLength(text[value:], text[value-1])
		} else {
			length = plainLength(text[value:], text[i] == ':')
		}
		if length >= minSecret && isSecret(name, text[value:value+length], isParam) {
			found = append(found, span{value, value + length})
			i = value + length - 1
		}
	}
	return found
}

// plainLength returns the length of a value without quotes. A parameter may have
// characters in it that end a member of JSON or YAML.
func plainLength(text string, isMember bool) int {
	ends := "& \t\r\n\"'<>\\"
	if isMember {
		ends += ",;{}[]"
	}
	if n := strings.IndexAny(text, ends); n >= 0 {
		return n
	}
	return len(text)
}

// quotedLength returns the length of a value up to its closing quote, or to a space if
// there is none in the line.
func quotedLength(text string, quote byte) int {
	for i := 0; i < len(text) && text[i] != '\n'; i++ {
		switch text[i] {
		case quote:
			return i
		case '\\':
			i++
		}
	}
	return plainLength(text, false)
}

// isSecret reports whether the value of a parameter is a credential, where its name is
// one for that.
func isSecret(name, value string, isParam bool) bool {
	switch {
	case isParam && name != policyName:
		return true
	case value == "null" || value == "true" || value == "false":
		return false
	}
	return slices.Contains(certainNames, name) || looksSecret(value)
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
