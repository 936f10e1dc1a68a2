package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// journal keeps the library's events that belong to no single pin.
type journal struct {
	mu        sync.Mutex
	began     time.Time
	lookups   int
	refreshes []pinterest.Event
}

func (j *journal) observe(e pinterest.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch e.Type {
	case pinterest.EventLookup:
		j.lookups++
	case pinterest.EventRefresh:
		j.refreshes = append(j.refreshes, e)
	default: // an outcome has these
	}
}

// happening is one line of "what happened on the way".
type happening struct {
	at         time.Time
	name, text string
}

// reportWay lists what went wrong underneath and what was done about it, in
// order of time. A run without trouble has nothing to list.
func reportWay(p paper, j *journal, outcomes []outcome) {
	var list []happening
	for _, o := range outcomes {
		list = append(list, story(o, j.began)...)
	}
	j.mu.Lock()
	for _, e := range j.refreshes {
		text := "refreshed once, for all pins under way"
		if e.Err != nil {
			text = "could not be refreshed: " + e.Err.Error()
		}
		list = append(list, happening{e.Time, "(the access token)", text})
	}
	j.mu.Unlock()
	if len(list) == 0 {
		return
	}
	slices.SortStableFunc(list, func(a, b happening) int { return a.at.Compare(b.at) })
	p.heading("What happened on the way")
	const clock, gap = 5, 2
	name := min(34, p.width*3/10)
	for _, h := range list {
		since := max(0, h.at.Sub(j.began)).Round(time.Second)
		at := fmt.Sprintf("%2d:%02d", int(since.Minutes()), int(since.Seconds())%60)
		for _, line := range wrap(h.text, p.width-clock-name-2*gap) {
			fmt.Fprintf(p, "%s  %s  %s\n", p.paint(dim, at), fit(h.name, name), line)
			at, h.name = strings.Repeat(" ", clock), ""
		}
	}
}

// ambiguous holds the rows of the library's table after which a pin may exist
// all the same.
var ambiguous = func() map[string]bool {
	rows := map[string]bool{}
	for _, rule := range pinterest.DefaultRules() {
		rows[rule.Name] = rule.Ambiguous
	}
	return rows
}()

// story describes what happened to one row.
func story(o outcome, began time.Time) []happening {
	var list []happening
	add := func(at time.Time, text string) { list = append(list, happening{at, o.row.name(), text}) }
	if o.resumed {
		text := "not on the board, sent again"
		switch {
		case len(o.attempts) > 0:
		case o.kind == kindFound:
			text = "found on the board"
		case o.kind == kindUncertain:
			text = "could not be looked up"
		default:
			text = "not on the board, not sent again yet"
		}
		add(began, "left open by an earlier run; "+text)
	}
	for i, a := range o.attempts {
		if a.Rule == "" {
			continue // it went well
		}
		add(a.Start, trouble(a)+"; "+remedy(o, a, i == len(o.attempts)-1))
	}
	return list
}

// trouble describes what went wrong with an attempt.
func trouble(a pinterest.Attempt) string {
	switch {
	case a.Class == pinterest.ClassMediaUnreachable:
		return "image not fetched"
	case a.Class == pinterest.ClassCanceled:
		return "interrupted"
	case a.Phase == pinterest.PhaseNotSent:
		return "could not be sent"
	case a.Phase == pinterest.PhaseUnanswered:
		return "connection broke"
	case a.Rule == "garbled answer":
		return "answer garbled"
	case a.Status == http.StatusBadRequest && a.Code != 0: // where the code says more than the status
		return fmt.Sprintf("%d %s (code %d)", a.Status, http.StatusText(a.Status), a.Code)
	}
	return fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))
}

// remedy describes what was done about it.
func remedy(o outcome, a pinterest.Attempt, last bool) string {
	unclear := ambiguous[a.Rule] && a.Phase != pinterest.PhaseNotSent
	waited := ""
	if a.Wait > 0 {
		waited = "waited " + seconds(a.Wait) + ", "
	}
	switch {
	case a.Action == pinterest.ActionRefresh && !last:
		return "new token, sent again"
	case unclear && !last:
		return "not on the board, " + waited + "sent again"
	case unclear && o.kind == kindFound:
		return "found on the board"
	case unclear && o.kind == kindUncertain:
		return "whether it took effect cannot be told"
	case !last:
		return waited + "sent again"
	case o.kind == kindNotDone:
		return "interrupted"
	}
	return "given up"
}

var kindColours = map[kind]string{
	kindPublished: green, kindAlready: dim, kindFound: cyan,
	kindFailed: red, kindUncertain: yellow, kindNotDone: yellow,
}

// reportTable says what happened to each pin.
func reportTable(p paper, outcomes []outcome) {
	const gap = "  "
	how, id, attempts, waited := len(kindAlready), len("pin id"), len("attempts"), len("waited")
	for _, o := range outcomes {
		id = max(id, len(o.pinID))
		waited = max(waited, len(seconds(o.waited)))
	}
	title := p.width - how - id - attempts - waited - 4*len(gap)
	line := fmt.Sprintf("\n%s%s%-*s%s%-*s%s%*s%s%*s", fit("Pin", title), gap, how, "Outcome", gap, id, "Pin id", gap, attempts, "Attempts", gap, waited, "Waited")
	fmt.Fprintln(p, strings.Replace(p.paint(bold, line), "\n", "", 1))
	for _, o := range outcomes {
		sent, slept := "-", "-"
		if len(o.attempts) > 0 {
			sent = fmt.Sprint(len(o.attempts))
		}
		if o.waited > 0 {
			slept = seconds(o.waited)
		}
		outcome := p.paint(kindColours[o.kind], fmt.Sprintf("%-*s", how, o.kind))
		fmt.Fprintf(p, "%s%s%s%s%-*s%s%*s%s%*s\n", fit(o.row.name(), title), gap, outcome, gap,
			id, cmp.Or(o.pinID, "-"), gap, attempts, sent, gap, waited, slept)
	}
}

// reportAdvice says what to do about each pin that is not published, and about
// those whose result could not be recorded.
func reportAdvice(p paper, outcomes []outcome, now time.Time) {
	const indent = "  "
	headed := false
	unbegun := map[string][]string{}
	for _, o := range outcomes {
		if o.onBoard() && o.lost == nil {
			continue
		}
		if !headed {
			p.heading("What to do")
			headed = true
		}
		if o.err == nil && o.lost == nil {
			unbegun[o.reason] = append(unbegun[o.reason], fmt.Sprintf("row %d, %s", o.row.number, o.row.name()))
			continue
		}
		fmt.Fprintf(p, "%s (row %d): %s\n", o.row.name(), o.row.number, p.paint(kindColours[o.kind], string(o.kind)))
		if o.err != nil {
			p.paragraph(indent, "Why: "+reason(o.err))
		}
		if o.lost != nil {
			p.paragraph(indent, "Not recorded: "+o.lost.Error())
		}
		for _, text := range advice(o, now) {
			p.paragraph(indent, text)
		}
	}
	for _, why := range sortedKeys(unbegun) {
		pins := unbegun[why]
		fmt.Fprintf(p, "%s %s\n", count(len(pins), "pin"), why)
		for _, pin := range pins {
			p.paragraph(indent+"- ", pin)
		}
		p.paragraph(indent, "Run the same command again: it sends only what is missing.")
	}
}

// reportTotals counts.
func reportTotals(p paper, outcomes []outcome, waited time.Duration) {
	counts := map[kind]int{}
	for _, o := range outcomes {
		counts[o.kind]++
	}
	var parts []string
	for _, k := range []kind{kindPublished, kindFound, kindAlready, kindFailed, kindUncertain, kindNotDone} {
		if n := counts[k]; n > 0 {
			parts = append(parts, p.paint(kindColours[k], fmt.Sprintf("%d %s", n, k)))
		}
	}
	total := count(len(outcomes), "pin") + ": " + strings.Join(parts, ", ")
	if waited > 0 {
		total += "; waited " + seconds(waited) + " in all"
	}
	fmt.Fprintln(p)
	p.paragraph("", total)
	if counts[kindFound] > 0 {
		p.paragraph("", "Found published: the answer was lost, and the pin was found on the board, so it was not sent again.")
	}
}

// complete reports whether every pin is published and recorded.
func complete(outcomes []outcome) bool {
	return !slices.ContainsFunc(outcomes, func(o outcome) bool { return !o.onBoard() || o.lost != nil })
}

// reason returns the error's message, without what the report shows elsewhere.
func reason(err error) string {
	var e *pinterest.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := e.Class.String()
	if e.Status != 0 {
		text += fmt.Sprintf(" (%d", e.Status)
		if e.Code != 0 {
			text += fmt.Sprintf(", code %d", e.Code)
		}
		text += ")"
	}
	if e.Message != "" {
		text += ": " + printable(e.Message)
	}
	for _, cause := range e.Unwrap() {
		if errors.Is(cause, context.Canceled) && e.Class == pinterest.ClassCanceled {
			continue // that says it twice
		}
		if why := strings.TrimPrefix(cause.Error(), "pinterest: "); why != e.Message {
			text += "; " + printable(why)
		}
	}
	return text
}
