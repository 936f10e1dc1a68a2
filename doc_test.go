package pinterest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The code under "Operations of your own" in doc.go must be that of the example,
// which is compiled and run.
func TestDocCode(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	example, err := os.ReadFile("example_operation_test.go")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(doc), "\n// # Operations of your own\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n// # ")
	var code strings.Builder
	for line := range strings.Lines(section) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			code.WriteString(text)
		}
	}
	require.NotEmpty(t, code.String())
	assert.Contains(t, flatten(string(example)), flatten(code.String()))
}
