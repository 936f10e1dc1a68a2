package redact

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The time for a text grows with its length, whatever a server puts into it.
func TestCleanTakesNoLongerForHostileText(t *testing.T) {
	t.Parallel()
	s := New(secretApp, `a\\\\\\\\b`, "%25%25%25%25", "&amp;&amp;&amp;", "aaaaaaaaaaaaaaaaaaaaaaaa", "    ")
	s.AddToken(secretToken, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1")
	const length = 64 << 10
	for _, part := range []string{
		`\`, "%25", "%", "&amp;", "&", "+", " ", "a", "A", "sig=", "=", `":"`, `: `, "//", "//a@", "pina_", "pin", "bearer ", "Bearer+", `\u0061`, `\\u0061`, "&#97;", "%61", "%2561", "token=a",
	} {
		began := time.Now()
		s.CleanBody([]byte(strings.Repeat(part, length/len(part))), length, true)
		assert.Less(t, time.Since(began), 20*time.Second, "%q", part)
		if d := time.Since(began); d > 200*time.Millisecond {
			t.Logf("%q: %v", part, d)
		}
	}
}
