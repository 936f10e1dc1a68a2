package pinterest_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A chaosFault is one thing that can go wrong with a create.
type chaosFault struct {
	name  string
	fault pinteresttest.Fault
}

// chaosFaults returns the faults that a create of the mix can meet. Those marked
// committed strike after it took effect.
func chaosFaults(mix chaosMix) []chaosFault {
	committed := func(name string, f pinteresttest.Fault) chaosFault {
		return chaosFault{name + " after the commit", f.AfterTheCommit()}
	}
	faults := []chaosFault{
		committed("400/2787", pinteresttest.SomethingWentWrong()),
		committed("reset", pinteresttest.ConnectionReset()),
		committed("EOF", pinteresttest.NoAnswer()),
		committed("no answer in time", pinteresttest.Hanging()),
		{"truncated 201", pinteresttest.Truncated()},
		{"garbled 201", pinteresttest.Garbled()},
		{"reset before the commit", pinteresttest.ConnectionReset()},
		{"429 with Retry-After", pinteresttest.Throttled(7 * time.Second)},
		{"429 without Retry-After", pinteresttest.Throttled(0)},
	}
	for _, status := range []int{500, 502, 503, 504} {
		faults = append(faults, committed(fmt.Sprint(status), pinteresttest.ServerError(status)),
			chaosFault{fmt.Sprintf("%d before the commit", status), pinteresttest.ServerError(status)})
	}
	if mix.http2 {
		for _, name := range slices.Sorted(maps.Keys(breaks)) {
			header := http.Header{breakHeader: {name}}
			faults = append(faults, committed(name, pinteresttest.Fault{Header: header}),
				chaosFault{name + " before the commit", pinteresttest.Fault{Status: http.StatusInternalServerError, Header: header}})
		}
	}
	return faults
}
