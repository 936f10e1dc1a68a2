package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// paper is where text is written to, with its width and whether it shows colours.
type paper struct {
	io.Writer
	width    int
	colours  bool
	terminal bool
}

const (
	plainWidth = 100 // of a file or a pipe
	mostWidth  = 120 // a line longer than this is hard to follow
	leastWidth = 60
)

// newPaper asks the terminal, where there is one. NO_COLOR is the convention
// of no-color.org.
func newPaper(w io.Writer, env func(string) string) paper {
	p := paper{Writer: w, width: plainWidth}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	p.terminal = env("TERM") != "dumb"
	p.colours = p.terminal && env("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		p.width = min(max(width, leastWidth), mostWidth)
	}
	return p
}

// The colours, as the numbers that terminals know.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p paper) paint(code, text string) string {
	if !p.colours || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p paper) heading(text string) { fmt.Fprintf(p, "\n%s\n", p.paint(bold, text)) }

// paragraph writes text in lines that fit, the first after lead, the others
// below it.
func (p paper) paragraph(lead, text string) {
	indent := uniseg.StringWidth(lead)
	for i, line := range wrap(text, p.width-indent) {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		fmt.Fprintf(p, "%s%s\n", lead, line)
	}
}

// wrap breaks text between words. A word longer than the width stays whole, so
// that an id or a URL can be copied.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && shown(line)+1+shown(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

var colourCode = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// shown is how many columns text takes, its colours aside.
func shown(text string) int { return uniseg.StringWidth(colourCode.ReplaceAllString(text, "")) }

// fit makes text exactly as wide as asked, in columns of the terminal: letters
// can be two columns wide or none.
func fit(text string, width int) string {
	if w := uniseg.StringWidth(text); w <= width {
		return text + strings.Repeat(" ", width-w)
	}
	var b strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(text); g.Next(); used += g.Width() {
		if used+g.Width() > width-1 {
			break
		}
		b.WriteString(g.Str())
	}
	return b.String() + "…" + strings.Repeat(" ", max(0, width-1-used))
}

// printable removes control characters, so that a title cannot control the terminal.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// count is "1 pin" or "3 pins".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// seconds shows a wait as short as it can be read.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0fmin", d.Minutes())
	}
	return fmt.Sprintf("%.0fh", d.Hours())
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
