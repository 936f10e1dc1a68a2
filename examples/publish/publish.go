package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// kind is the result of a row, as the table shows it.
type kind string

const (
	kindPublished kind = "published"
	kindAlready   kind = "already published"
	kindFound     kind = "found published" // an answer was lost or a run crashed; the pin was found on the board
	kindFailed    kind = "failed"
	kindUncertain kind = "uncertain"
	kindNotDone   kind = "not done"
)

// outcome is the result of one row, with how it came about.
type outcome struct {
	row      row
	kind     kind
	pinID    string
	attempts []pinterest.Attempt
	resumed  bool          // an earlier run had left it open, so it was looked up first
	waited   time.Duration // how long the library slept, including lookups
	err      error
	reason   string // why it was not begun, if err is nil
	lost     error  // why it could not be written to the results file
}

// onBoard reports whether the pin is published, in this run or an earlier one.
func (o outcome) onBoard() bool {
	return o.kind == kindPublished || o.kind == kindAlready || o.kind == kindFound
}

// publisher publishes rows. For each it records the intent, sends the pin and
// records the result. Pins.CreateOnce does the same with a Ledger. This program
// does it itself because it keeps a file that people can read and reports what it
// found.
type publisher struct {
	client   *pinterest.Client
	results  *results
	meter    *meter
	progress progress
	parallel int

	mu     sync.Mutex
	halted string // why no further rows are begun
}

// publish publishes the rows and returns their outcomes. It begins no row after the
// end of soft. Rows in progress are canceled by hard.
func (p *publisher) publish(soft, hard context.Context, rows []row) []outcome {
	outcomes := make([]outcome, len(rows))
	for i, r := range rows {
		outcomes[i] = outcome{row: r, kind: kindNotDone}
	}
	rest := p.settle(soft, hard, outcomes)

	var workers sync.WaitGroup
	work := make(chan int)
	for range min(p.parallel, len(rest)) {
		workers.Go(func() {
			for i := range work {
				// Checked here and not where rows are handed out, since a row may have
				// waited for a worker for a while.
				if why := p.stopped(soft); why != "" {
					outcomes[i].reason = why
					continue
				}
				outcomes[i] = p.send(hard, outcomes[i])
				p.progress.done(outcomes[i])
			}
		})
	}
	for _, i := range rest {
		work <- i
	}
	close(work)
	workers.Wait()
	return outcomes
}

// stopped returns why no further rows are begun, or "".
func (p *publisher) stopped(soft context.Context) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.halted == "" && soft.Err() != nil {
		return "not begun: the run was interrupted"
	}
	return p.halted
}

func (p *publisher) halt(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.halted == "" && reason != "" {
		p.halted = "not begun: " + reason
	}
}

// settle handles the rows that are in the results file and returns the others. Rows
// that an earlier run left open are looked up one by one, so that two of them cannot
// both adopt the same pin.
func (p *publisher) settle(soft, hard context.Context, outcomes []outcome) (rest []int) {
	began := p.meter.Now()
	for i := range outcomes {
		o := &outcomes[i]
		known := p.results.get(o.row.key())
		switch {
		case known == nil || !known.open() && known.State != statePublished:
			rest = append(rest, i)
			continue
		case known.State == statePublished:
			o.kind, o.pinID, o.reason = kindAlready, known.PinID, ""
		case p.stopped(soft) != "":
			o.kind, o.reason = kindUncertain, "an earlier run left it open, and it was not looked up yet"
		case p.lookUp(hard, o, *known, began):
			rest = append(rest, i)
			continue
		}
		p.progress.done(*o)
	}
	return rest
}

// lookUp finds out whether a pin that an earlier run left open is on the board. If
// it is absent it can be sent.
func (p *publisher) lookUp(ctx context.Context, o *outcome, known entry, began time.Time) (absent bool) {
	o.resumed, o.reason = true, ""
	want := *known.LookFor
	if want.Until.IsZero() {
		// The file has the time of the intent. The last attempt may have been much
		// later, just before the crash, so the settle time begins now.
		want.Until = began
	}
	want.NotIDs = slices.Concat(want.NotIDs, p.results.pinIDs())
	ctx, waits := p.meter.follow(ctx, o.row)
	res, err := p.client.Pins.Resolve(ctx, want)
	o.waited = waits.duration()
	switch res.Outcome {
	case pinterest.OutcomeAbsent:
		return true
	case pinterest.OutcomeCreated:
		o.kind, o.pinID = kindFound, res.Result.ID
		p.record(o, entry{State: statePublished, PinID: res.Result.ID})
	case pinterest.OutcomeUnknown:
		o.kind, o.err = kindUncertain, err
		p.halt(hopeless(err))
	}
	return false
}

// send publishes one row: intent, call, result.
func (p *publisher) send(ctx context.Context, o outcome) outcome {
	o.reason = ""
	lookFor, err := p.client.Pins.Intent(o.row.pin)
	if err != nil {
		o.kind, o.err = kindFailed, err
		p.record(&o, entry{State: stateFailed, Problem: err.Error()})
		return o
	}
	intent := entry{State: stateIntent, LookFor: lookFor}
	if p.record(&o, intent); o.lost != nil {
		return o // without a record of the intent nothing is sent
	}
	var res pinterest.Response
	followed, waits := p.meter.follow(ctx, o.row)
	pin, err := p.client.Pins.Create(followed, o.row.pin, pinterest.ResponseTo(&res))
	o.attempts = res.Attempts
	o.waited += waits.duration()

	var e *pinterest.Error
	switch {
	case err == nil:
		o.kind, o.pinID = kindPublished, pin.ID
		if res.Origin == pinterest.OriginLookup {
			o.kind = kindFound
		}
		p.record(&o, entry{State: statePublished, PinID: pin.ID})
	case errors.Is(err, pinterest.ErrUncertain):
		o.kind, o.err = kindUncertain, err
		open := entry{State: stateUncertain, LookFor: intent.LookFor, Problem: err.Error()}
		if errors.As(err, &e) && e.Uncertain != nil {
			open.LookFor = e.Uncertain
		}
		p.record(&o, open)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		o.kind, o.err = kindNotDone, err
		p.record(&o, entry{State: stateFailed, Problem: "interrupted before it was made"})
	default:
		o.kind, o.err = kindFailed, err
		p.record(&o, entry{State: stateFailed, Problem: err.Error()})
	}
	p.halt(hopeless(err))
	return o
}

// record writes the state of a row to the results file. If that fails, no further
// rows are begun.
func (p *publisher) record(o *outcome, e entry) {
	e.Key, e.Title, e.At = o.row.key(), o.row.name(), p.meter.Now().UTC().Truncate(time.Second)
	if err := p.results.put(e); err != nil {
		o.lost = err
		p.halt("the results file cannot be written any more")
	}
}

// hopeless returns why every other pin would fail with this error too, or "".
func hopeless(err error) string {
	for _, h := range []struct {
		err    error
		reason string
	}{
		{pinterest.ErrUnauthenticated, "the access token is not accepted"},
		{pinterest.ErrMissingScope, "the access token lacks a scope"},
		{pinterest.ErrTrialAccess, "the app has trial access"},
		{pinterest.ErrForbidden, "the account may not do this"},
		{pinterest.ErrBlocked, "the account is blocked for a while"},
		{pinterest.ErrThrottled, "the rate limit is used up"},
		{pinterest.ErrRetryBudget, "too much has failed"},
	} {
		if errors.Is(err, h.err) {
			return h.reason
		}
	}
	return ""
}
