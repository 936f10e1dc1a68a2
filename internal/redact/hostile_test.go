package redact

import (
	"encoding/base64"
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

// A word of base64 is read once, however often a value is found in it.
func TestFindReadsAWordOnce(t *testing.T) {
	t.Parallel()
	x := newIndex([]string{"Secret-8"})
	part := base64.RawStdEncoding.EncodeToString([]byte("Secret-8")) + "AA"
	text := strings.Repeat(part, 5000)
	read := 0
	for _, s := range x.find(text, nil) {
		read += s.to - s.from
	}
	assert.GreaterOrEqual(t, read, len(text))
	assert.Less(t, read, 4*len(text))
	assert.Equal(t, Mark, New("Secret-8").Clean(text))
	// What begins in a word and ends behind it is found, too.
	assert.Equal(t, "a "+Mark+" b", New("Secret-8", "AASecret~1234").Clean("a "+part[:len(part)-2]+"AASecret~1234 b"))
}
