package seam_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Promise: every failure is an *Error, whose Message is never empty and whose Error() is one line of at most 2 KB. It runs last and tells of
// every error that the other tests met.
func TestZWords(t *testing.T) {
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
		if shown[what]++; shown[what] > 5 {
			continue // five of a kind are enough
		}
		t.Errorf("%s\n\t%.300q", name, said.faults[name])
	}
}
