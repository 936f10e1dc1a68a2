package simulation_test

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/pinterest-go/pinterest/internal/simulation"
)

// report is the result of all scenarios.
type report struct {
	creates            []simulation.Result
	shared             simulation.FleetResult
	unblocked, blocked simulation.FleetResult
}

const intro = `# Pacing, simulated

Written by a test, which also compares it with the code:

    go test ./internal/simulation -run TestSimulation -args -simulation.out=$PWD/docs

Real clients make real calls, in virtual time, to a server that counts as the API
does. Each account has 100 writes a minute, 1,000 reads a minute and 100 calls a
second over all, in fixed windows that the client does not know. The rate headers
have the captured form, and answers take 80 to 300 ms. Retries have no jitter, so
that the figures can be reproduced.

![Pins made over time](pacing.svg)

## 500 pins on one account

They arrive at 100 a second. The ideal time is 500 pins / 100 a minute = 5 minutes. A
sender that does not know when the API's minute begins cannot safely do better. (One
that does know can be faster: it uses one minute's quota at its end and the next one's
at its start. So there are ratios below 1.) The time is until the last pin was created.
Where pins have failed, it cannot be compared.

| sender | created | failed | 429s | time | ratio to the ideal |
|---|--:|--:|--:|--:|--:|
`

func (r *report) markdown() []byte {
	var b bytes.Buffer
	b.WriteString(intro)
	for _, c := range r.creates {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %.1f s | %.3f |\n", c.Name, c.N-c.Failed, c.Failed, c.Refused, c.Wall.Seconds(), c.Ratio())
	}
	fmt.Fprintf(&b, `
## 200 accounts under a limit of the app

The answers reveal that the app has 1,200 calls a minute for all its accounts. 20
heavy accounts always have 4 to 12 calls waiting, both reads and writes. 180 light
accounts make a read a minute. The run takes six minutes. Calls of heavy accounts are
counted from second 20 on.

| | |
|---|--:|
| calls of a heavy account, fewest | %d |
| calls of a heavy account, most | %d |
| furthest from the mean | %.1f %% |
| calls of light accounts | %d |
| failed calls of light accounts | %d |
| slowest call of a light account | %.1f s |
| 429s | %d |
`, slices.Min(r.shared.Heavy), slices.Max(r.shared.Heavy), 100*r.shared.Spread(), r.shared.Light, r.shared.Unserved,
		r.shared.LightWait.Seconds(), r.shared.Refused)
	fmt.Fprintf(&b, `
## One account is blocked

Ten accounts write as much as they can for four minutes, counted from second 20 on. In
the second run all calls of one account are answered 429, with a reset of half an hour.

| run | calls of the other nine |
|---|--:|
| no account is blocked | %d |
| one account is blocked | %d |
`, others(r.unblocked), others(r.blocked))
	return b.Bytes()
}

// The plot.
const (
	width, height                  = 820, 440
	left, right, top, bottom       = 64, 24, 56, 52
	minutes                        = 6
	plotWidth, plotHeight, samples = width - left - right, height - top - bottom, 160
)

// series is one line of the plot.
type series struct{ class, label, note string }

// plot draws how many pins were made by when, for one phase of each sender.
func (r *report) plot() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title">
<title id="title">Pins made over time, by kind of pacing</title>
<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .head { font-size: 16px; font-weight: 600 }
  .back { fill: #ffffff }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .ideal { stroke: #6e7781; stroke-dasharray: 6 5 }
  .paced { stroke: #0969da }
  .two { stroke: #1a7f37 }
  .header { stroke: #cf222e }
  .plain { stroke: #9a6700 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .back { fill: #0d1117 }
    .grid { stroke: #30363d }
    .ideal { stroke: #9198a1 }
    .paced { stroke: #58a6ff }
    .two { stroke: #3fb950 }
    .header { stroke: #ff7b72 }
    .plain { stroke: #d29922 }
  }
</style>
<rect class="back" width="%d" height="%d" rx="8"/>
<text class="head" x="%d" y="30">500 pins arrive at 100 a second; the quota is 100 a minute</text>
`, width, height, width, height, width, height, left)
	for n := 0; n <= pins; n += 100 {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%d</text>`+"\n",
			left, y(n), width-right, y(n), left-8, y(n)+4, n)
	}
	for m := 0; m <= minutes; m++ {
		at := x(time.Duration(m) * time.Minute)
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n",
			at, top, at, height-bottom, at, height-bottom+20, m)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">time (minutes)</text>`+"\n", left+plotWidth/2, height-10)
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">pins made (number)</text>`+"\n", top+plotHeight/2)
	fmt.Fprintf(&b, `<path class="line ideal" d="M%.1f %.1f L%.1f %.1f"/>`+"\n", x(0), y(0), x(5*time.Minute), y(pins))
	legend := []series{{"ideal", "ideal: quota in full from the start", ""}}
	for i, c := range r.creates {
		var s series
		switch i {
		case 2:
			s = series{"paced", "paced", ""}
		case 7:
			s = series{"two", "paced, two processes", ""}
		case 10:
			s = series{"header", "no limiter, 5 attempts", fmt.Sprintf(", %d lost", c.Failed)}
		case 11:
			s = series{"plain", "no limiter, plain backoff", ""}
		default:
			continue
		}
		s.note = fmt.Sprintf(": %d × 429%s", c.Refused, s.note)
		legend = append(legend, s)
		fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`+"\n", s.class, path(c.At))
	}
	for i, s := range legend {
		row := height - bottom - 16 - 20*(len(legend)-1-i)
		fmt.Fprintf(&b, `<path class="line %s" d="M%d %d h26"/><text x="%d" y="%d">%s%s</text>`+"\n", s.class, left+390, row-4, left+424, row, s.label, s.note)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func x(at time.Duration) float64 { return left + plotWidth*at.Minutes()/minutes }
func y(n int) float64            { return top + plotHeight*(1-float64(n)/pins) }

// path draws how many had happened by each moment, as steps.
func path(at []time.Duration) string {
	var b bytes.Buffer
	last := -1
	for i := range samples + 1 {
		moment := minutes * time.Minute / samples * time.Duration(i)
		n, _ := slices.BinarySearch(at, moment)
		if n == last && i < samples {
			continue
		}
		if i == 0 {
			fmt.Fprintf(&b, "M%.1f %.1f", x(moment), y(n))
		} else {
			fmt.Fprintf(&b, " H%.1f V%.1f", x(moment), y(n))
		}
		last = n
	}
	return b.String()
}

var figure = regexp.MustCompile(`\d+(\.\d+)?`)

// sameFigures compares two texts. Their figures may differ a little, because events
// at the same moment come in any order.
func sameFigures(t *testing.T, name string, want, got []byte) {
	t.Helper()
	again := "; to write it again: go test ./internal/simulation -run TestSimulation -args -simulation.out=$PWD/docs"
	if !bytes.Equal(figure.ReplaceAll(want, []byte("#")), figure.ReplaceAll(got, []byte("#"))) {
		if name == "pacing.svg" { // the number of steps may differ
			return
		}
		assert.Fail(t, name+" is out of date"+again)
		return
	}
	old := figure.FindAll(got, -1)
	for i, now := range figure.FindAll(want, -1) {
		a, _ := strconv.ParseFloat(string(now), 64)
		b, _ := strconv.ParseFloat(string(old[i]), 64)
		if math.Abs(a-b) > 2+0.02*a {
			assert.Fail(t, fmt.Sprintf("%s says %s, want %s%s", name, old[i], now, again))
		}
	}
}
