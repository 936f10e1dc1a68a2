package seamtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	_ "github.com/pinterest-go/pinterest/pinteresttest" // so that go test does not cache the result across its changes
)

const (
	module = "github.com/pinterest-go/pinterest"
	root   = "../.."
)

// suites are the files of package pinterest whose tests hold its services to the
// path of a call, to what happens after an ambiguous create, to a create at most
// once, and to chaos. All tests of a file belong to the suite.
var suites = []string{
	"call*_test.go", "attempt*_test.go", "retry*_test.go", "page*_test.go",
	"reconcile*_test.go", "uncertain*_test.go", "once*_test.go", "chaos*_test.go",
}

const (
	fewestTests    = 90   // fewer cannot be all of them
	chaosCreates   = 300  // a mix; enough for each of the faults to strike
	leastCoverage  = 90.0 // percent; less would mean that the tests ran with other services
	timeToComplain = 10 * time.Second
)

// The suites of package pinterest pass with the services of this package.
func TestSuites(t *testing.T) {
	tests := suiteTests(t)
	require.GreaterOrEqual(t, len(tests), fewestTests, "tests of the suites")

	args := []string{
		"test", "-json", "-vet=off", "-run", "^(" + strings.Join(tests, "|") + ")$",
		"-coverpkg", module + "/internal/seamtest", "-coverprofile", filepath.Join(t.TempDir(), "cover"),
	}
	if raceDetector {
		args = append(args, "-race")
	}
	if testing.Short() {
		args = append(args, "-short")
	}
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok {
		deadline = deadline.Add(-timeToComplain)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
		args = append(args, "-timeout", time.Until(deadline).String())
	}
	args = append(args, ".", "-args", "-seam", "-chaos.creates", strconv.Itoa(chaosCreates))

	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = timeToComplain / 2
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()

	passed, output := read(&stdout)
	require.NoError(t, err, "go %s\n%s%s", strings.Join(args, " "), output, &stderr)
	for _, test := range tests {
		assert.True(t, passed[test], "%s did not run\n%s", test, output)
	}
	match := regexp.MustCompile(`coverage: ([0-9.]+)% of statements`).FindStringSubmatch(output)
	require.NotNil(t, match, "no coverage in the output\n%s", output)
	coverage, err := strconv.ParseFloat(match[1], 64)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, coverage, leastCoverage, "percent of this package that the suites have covered")
	t.Logf("%d tests, with a coverage of %v %%", len(tests), coverage)
}

// suiteTests returns the names of the tests in the files of the suites that see
// package pinterest from outside.
func suiteTests(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range suites {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		before := len(names)
		for _, path := range files {
			file := parse(t, path, 0)
			if file.Name.Name != "pinterest_test" {
				continue
			}
			for _, decl := range file.Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
					names = append(names, f.Name.Name)
				}
			}
		}
		require.Greater(t, len(names), before, "no test in %s", pattern)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// read returns which tests have passed, and the text of the output. Of a run that
// failed this is what the tests that failed have written.
func read(stdout *bytes.Buffer) (passed map[string]bool, output string) {
	passed = map[string]bool{}
	texts := map[string]*strings.Builder{}
	failed := map[string]bool{"": true} // the package's own text
	var order []string
	for line := range bytes.Lines(stdout.Bytes()) {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(line, &event) != nil {
			event.Output = string(line)
		}
		if texts[event.Test] == nil {
			texts[event.Test] = &strings.Builder{}
			order = append(order, event.Test)
		}
		texts[event.Test].WriteString(event.Output)
		switch event.Action {
		case "pass":
			passed[event.Test] = true
		case "fail":
			failed[event.Test] = true
		}
	}
	var b strings.Builder
	for _, test := range order {
		if failed[test] {
			b.WriteString(texts[test].String())
		}
	}
	return passed, b.String()
}

// Of this module the services import package pinterest, and nothing internal.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	seen := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, spec := range parse(t, path, parser.ImportsOnly).Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if strings.HasPrefix(name, module) {
				seen++
				assert.Equal(t, module, name, path)
			}
			assert.NotContains(t, []string{"unsafe", "reflect", "C"}, name, path)
		}
	}
	assert.NotZero(t, seen, "imports of package pinterest")
}

func parse(t *testing.T, path string, mode parser.Mode) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, mode|parser.SkipObjectResolution)
	require.NoError(t, err)
	return file
}
