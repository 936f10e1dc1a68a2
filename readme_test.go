package pinterest_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

var update = flag.Bool("update", false, "write what is generated into README.md")

// TestReadmeCode holds every block of Go in the README against the examples,
// which are compiled and run: its lines must stand there, together.
func TestReadmeCode(t *testing.T) {
	files, err := filepath.Glob("example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var examples strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		examples.WriteString("\n" + flatten(string(data)))
	}

	blocks := codeBlocks(t, "go")
	if len(blocks) < 3 {
		t.Errorf("the README has %d blocks of Go, want the quick start and more", len(blocks))
	}
	const longestQuickStart = 20
	if n := strings.Count(blocks[0], "\n"); n > longestQuickStart {
		t.Errorf("the quick start has %d lines, want at most %d", n, longestQuickStart)
	}
	if !strings.Contains(examples.String(), "\nfunc Example() {\n") {
		t.Error("there is no Example for the package")
	}
	for _, block := range blocks {
		if !strings.Contains(examples.String(), flatten(block)) {
			t.Errorf("these lines of the README stand in no example:\n%s", block)
		}
	}
}

// flatten takes off indentation and empty lines, which may differ.
func flatten(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// codeBlocks returns the README's fenced blocks of one language.
func codeBlocks(t *testing.T, language string) []string {
	t.Helper()
	var blocks []string
	for _, part := range strings.Split(string(readme(t)), "\n```"+language+"\n")[1:] {
		block, _, ok := strings.Cut(part, "\n```")
		if !ok {
			t.Fatal("a block of code in the README does not end")
		}
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

func readme(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReadmeTable holds the README's table against the code. With -update it
// writes the table.
func TestReadmeTable(t *testing.T) {
	const begin, end = "<!-- the table, written by: go test -run TestReadmeTable -update -->\n", "<!-- the end of the table -->\n"
	old := readme(t)
	head, rest, okBegin := bytes.Cut(old, []byte(begin))
	_, tail, okEnd := bytes.Cut(rest, []byte(end))
	if !okBegin || !okEnd {
		t.Fatalf("the README lacks the marks of the table:\n%s%s", begin, end)
	}
	want := string(head) + begin + markdown(pinterest.DefaultRules()) + end + string(tail)
	if string(old) == want {
		return
	}
	if !*update {
		t.Fatal("the README's table is not that of the code: run go test -run TestReadmeTable -update")
	}
	if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func markdown(rules []pinterest.Rule) string {
	var b strings.Builder
	b.WriteString("\n| row | when | the library | class | disposition |\n|---|---|---|---|---|\n")
	for _, r := range rules {
		action, disposition := r.Action.String(), r.Disposition.String()
		if r.MaxAttempts > 0 {
			action += fmt.Sprintf(", %d attempts", r.MaxAttempts)
		}
		if r.Ambiguous {
			action += " (A)"
		}
		if r.ParkFor > 0 {
			disposition += " for " + inWords(r.ParkFor)
		}
		when := strings.ReplaceAll(r.When(), "|", `\|`)
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", r.Name, when, action, r.Class, disposition)
	}
	return b.String() + "\n"
}

// inWords writes a time of whole hours or minutes.
func inWords(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d min", d/time.Minute)
}
