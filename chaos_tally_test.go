package pinterest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/pinterest-go/pinterest"
)

// tally counts the outcomes of the creates, compared with what the server holds.
type tally struct {
	ok, uncertain, duplicates, ghosts, lost, lies, shared int

	met int     // creates that met a fault
	why []error // of the uncertain ones
}

func (c *chaos) count() tally {
	type key struct{ board, title string }
	exist := map[string]bool{}
	pins := map[key]int{}
	for _, b := range c.boards {
		for _, p := range c.srv.Pins(b) {
			exist[p.ID] = true
			pins[key{b, p.Title}]++
		}
	}
	var n tally
	told := map[string]bool{}
	claims, failures, open := map[key]int{}, map[key]int{}, map[key]int{}
	for _, r := range c.results {
		k := key{r.board, r.title}
		if r.met {
			n.met++
		}
		switch {
		case r.err == nil && !exist[r.pin]:
			n.lies++
		case r.err == nil && told[r.pin]:
			n.shared++ // two creates were told the same pin
		case r.err == nil:
			n.ok++
			told[r.pin] = true
			claims[k]++
		case errors.Is(r.err, pinterest.ErrUncertain):
			n.uncertain++
			n.why = append(n.why, r.err)
			open[k]++
		default:
			n.lost++
			n.why = append(n.why, r.err)
			failures[k]++
		}
	}
	for k, made := range pins {
		extra := made - claims[k] - open[k]
		if extra <= 0 {
			continue
		}
		ghosts := min(extra, failures[k])
		n.ghosts += ghosts
		n.duplicates += extra - ghosts
	}
	return n
}

func (c *chaos) report(t *testing.T) {
	n := c.count()
	faults := 0
	for _, k := range c.byFault {
		faults += k
	}
	reads := float64(c.reads.Load()) / float64(max(1, faults))
	share := float64(n.uncertain) / float64(max(1, n.met))
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "creates\tfaults\tmet one\tok\tuncertain\tof those that met one\tduplicates\tghosts\tlost\tlies\tshared\tlook-ups/fault\twait/fault")
	fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%.1f %%\t%d\t%d\t%d\t%d\t%d\t%.2f\t%v\n", len(c.results), faults, n.met, n.ok, n.uncertain, 100*share,
		n.duplicates, n.ghosts, n.lost, n.lies, n.shared, reads, (time.Duration(c.waits.Load()) / time.Duration(max(1, faults))).Round(time.Millisecond))
	_ = w.Flush()
	t.Logf("in %v of the bubble's time\n%s", time.Since(c.began).Round(time.Second), &b)

	why := n.why[:min(len(n.why), 4)]
	assert.Zero(t, n.duplicates, "duplicates")
	assert.Zero(t, n.ghosts, "told failed, exists")
	assert.Zero(t, n.lost, "told failed, could have been made: %v", why)
	assert.Zero(t, n.lies, "told made, does not exist")
	assert.Zero(t, n.shared, "two creates told the same pin")
	assert.Equal(t, len(c.results), n.ok+n.uncertain)
	assert.Greater(t, faults, len(c.results)/10, "the faults must strike")
	allowed := c.mix.uncertain
	if *seam && c.mix.rewritten {
		allowed = 1 // the services of package seamtest do not compare texts in other forms
	}
	assert.LessOrEqual(t, share, allowed, "uncertain, of the creates that met a fault: %v", why)
	if c.mix.maxReads > 0 && faults > 1000 { // fewer are too small a sample for a mean
		assert.LessOrEqual(t, reads, c.mix.maxReads, "look-ups per fault")
	}
}
