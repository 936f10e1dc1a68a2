package redact

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Whatever a server does to a value before it repeats it, the value is found.
func TestCleanFindsEscapedValues(t *testing.T) {
	t.Parallel()
	quoted := func(s string) string {
		data, err := json.Marshal(s)
		assert.NoError(t, err)
		return strings.Trim(string(data), `"`)
	}
	forms := map[string]func(string) string{
		"raw":               func(s string) string { return s },
		"query":             url.QueryEscape,
		"query, lower case": func(s string) string { return lowerHex(url.QueryEscape(s)) },
		"path":              url.PathEscape,
		"JSON":              quoted,
		"JSON, slashes":     func(s string) string { return strings.ReplaceAll(quoted(s), "/", `\/`) },
		"JSON, all": func(s string) string {
			var b strings.Builder
			for _, u := range []byte(s) {
				fmt.Fprintf(&b, `\u%04X`, u)
			}
			return b.String()
		},
		"JSON, some": func(s string) string { return strings.ReplaceAll(quoted(s), "_", `\u005f`) },
		"HTML":       html.EscapeString,
		"HTML, numbers": func(s string) string {
			return strings.NewReplacer("/", "&#x2F;", "_", "&#095;", "+", "&#x2b;", `"`, "&#x22;").Replace(s)
		},
		"a string of Go":           func(s string) string { return strings.ReplaceAll(quoted(s), "_", `\U0000005f`) },
		"a template of JavaScript": func(s string) string { return strings.ReplaceAll(quoted(s), "_", `\u{5f}`) },
		"HTML, no semicolon":       func(s string) string { return strings.NewReplacer("_", "&#95", "/", "&#47").Replace(s) },
		"query, twice":             func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
		"JSON, twice":              func(s string) string { return quoted(quoted(s)) },
		"HTML, twice":              func(s string) string { return html.EscapeString(html.EscapeString(s)) },
		"query in JSON":            func(s string) string { return quoted(url.QueryEscape(s)) },
		"JSON in HTML":             func(s string) string { return html.EscapeString(strings.ReplaceAll(quoted(s), `\"`, `\u0022`)) },
	}
	for _, secret := range []string{
		"POLICY/abc+def==", "under_score_d", `with "quotes" & <html>`, "with space+plus", "100%25%off", `back\slash\\es`, `a\"b\&c`, "&amp;&lt", "plain123",
	} {
		s := New(secret, "abc").With("other-value")
		for name, form := range forms {
			escaped := form(secret)
			assert.Equal(t, "before [redacted] after", s.Clean("before "+escaped+" after"), "%s of %q: %s", name, secret, escaped)
			if name == "JSON in HTML" || secret == "&amp;&lt" {
				continue // a cut can leave a beginning that is read in another way
			}
			for end := 2; end < len(escaped); end++ {
				got := s.CleanBody([]byte("before: "+escaped[:end]), 1<<10, true)
				assert.LessOrEqual(t, len(got), len("before: ")+len("&amp;#x"), "%s of %q, cut: %s", name, secret, escaped[:end])
			}
		}
	}
	s := New("POLICY/abc+def==", `\\\\\\\\\\\\`)
	for _, text := range []string{"50% of a+b & \\c", "POLICY%2Fabc%2Bdef%3D", "%", `\`, "&", "%2", `\u00`, "&#;", strings.Repeat(`\`, 11), "&amp;", "a&#xffffffff;b"} {
		assert.Equal(t, text, s.Clean(text))
	}
	assert.Equal(t, Mark, New("smile\U0001F600face").Clean(`smile\ud83d\uDE00face`))
}

func lowerHex(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			b.WriteString(strings.ToLower(s[i : i+3]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// The value of another's text is never read past its end, whatever the text is.
func FuzzClean(f *testing.F) {
	f.Add(`%5cu005c&amp;#x25;+\\\`, `\%&+`)
	f.Add(`\ud83d\u`, "\U0001F600")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := New(secret).CleanBody([]byte(text), len(text), true)
		if len(secret) >= minSecret && !strings.Contains(Mark, secret) && strings.Contains(got, secret) && !strings.Contains(text, secret) {
			t.Errorf("%q appears in %q", secret, got)
		}
	})
}

func BenchmarkCleanEscaped(b *testing.B) {
	s := New(secretApp).With("POLICY/abc+def==", "another_value", strings.Repeat("query=1&", 20))
	s.AddToken(secretToken)
	text := strings.Repeat(`{"code":1,"message":"something \"odd\" happened at https://x.example/?a=1&b=%2F"}`, 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.Clean(text)
	}
}
