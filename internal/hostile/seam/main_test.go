package seam_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// Promise: every failure is an *Error, whose Message is never empty and whose Error() is one line of at most 2 KB.
// TestMain reports, after all tests, every error they met that breaks it.
func TestMain(m *testing.M) {
	code := m.Run()
	if faults := wordFaults(); len(faults) > 0 {
		fmt.Println("--- FAIL: the words of errors\n" + strings.Join(faults, "\n"))
		code = max(code, 1)
	}
	os.Exit(code)
}

// wordFaults lists at most five faults of a kind.
func wordFaults() (faults []string) {
	said.Lock()
	defer said.Unlock()
	shown := map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(said.faults)) {
		top := name[:min(len(name), strings.IndexAny(name+"/:", "/:"))]
		what := top + strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return '#'
			}
			return r
		}, name[strings.LastIndex(name, ": "):])
		if shown[what]++; shown[what] <= 5 {
			faults = append(faults, fmt.Sprintf("%s\n\t%.300q", name, said.faults[name]))
		}
	}
	return faults
}
