// Package redact takes credentials out of text that people or logs will see.
package redact

import (
	"regexp"
	"slices"
	"strings"
)

// Mark stands where a credential stood.
const Mark = "[redacted]"

// The first group of a pattern is what stays of a match.
var patterns = []*regexp.Regexp{
	// Pinterest's tokens: access (pina_), refresh (pinr.), client (pinc...).
	regexp.MustCompile(`()\bpin[arc][._][A-Za-z0-9._~+/=-]{4,}`),
	regexp.MustCompile(`()\bpinc[A-Za-z0-9._~+/=-]{16,}`),
	// Authorization values, wherever they were echoed.
	regexp.MustCompile(`(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}`),
	// The parameters that make a URL a signed one, in queries and in JSON.
	regexp.MustCompile(`(?i)((?:x-amz-(?:signature|credential|security-token)|(?:\b|\\u0026)(?:signature|sig|access_token|refresh_token|client_secret|policy|token))(?:=|%3d|"\s*:\s*"))[^&\s"'<>\\]{4,}`),
}

// String returns s without the secrets given, escaped or not, and without anything
// that has the shape of a Pinterest token, an Authorization value or a URL's
// signature.
func String(s string, secrets ...string) string {
	return shapes(replaceEscaped(newReplacer(secrets).Replace(s), secrets))
}

// newReplacer returns what replaces the secrets as they are, the longest first,
// since one may be a part of another.
func newReplacer(secrets []string) *strings.Replacer {
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < minSecret })
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, s := range secrets {
		pairs = append(pairs, s, Mark)
	}
	return strings.NewReplacer(pairs...)
}

// shapes takes out what has the shape of a credential.
func shapes(s string) string {
	for _, p := range patterns {
		s = p.ReplaceAllString(s, "${1}"+Mark)
	}
	return s
}
