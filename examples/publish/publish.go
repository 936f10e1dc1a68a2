package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// kind is what became of a row, in the words of the table.
type kind string

const (
	kindPublished kind = "published"
	kindAlready   kind = "already published"
	kindFound     kind = "found published" // an answer was lost, or a run; the pin was found on the board
	kindFailed    kind = "failed"
	kindUncertain kind = "uncertain"
	kindNotDone   kind = "not done"
)

// outcome is what became of one row, and how.
type outcome struct {
	row      row
	kind     kind
	pinID    string
	attempts []pinterest.Attempt
	resumed  bool          // an earlier run had left it open, so it was looked up first
	waited   time.Duration // slept by the library, looking up included
	err      error
	reason   string // why it was not begun, where there is no err
	lost     error  // why the results file does not have it
}

// onBoard reports whether the pin is published, by whichever way.
func (o outcome) onBoard() bool {
	return o.kind == kindPublished || o.kind == kindAlready || o.kind == kindFound
}

// publisher publishes rows. What it does for each (record the intent, send,
// record the result) is what Pins.CreateOnce does with a Ledger; it is done by
// hand here because this program keeps a file that people can read, and tells
// what it found.
type publisher struct {
	client   *pinterest.Client
	results  *results
	meter    *meter
	progress progress
	parallel int

	mu     sync.Mutex
	halted string // why no further rows are begun
}

// publish takes every row to an outcome. No row is begun once soft has ended;
// those under way end with hard.
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
				// Asked here and not where rows are handed out, since one may have been
				// on offer for a while.
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

// stopped says why no further rows are begun; "" while they are.
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

// settle deals with the rows that the results file knows, and returns the
// others. Rows that an earlier run left open are looked up one by one, so that
// two of them cannot both take one pin for theirs.
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

// lookUp finds out whether a pin that an earlier run left open is on the
// board. Absent means that it is not and can be sent.
func (p *publisher) lookUp(ctx context.Context, o *outcome, known entry, began time.Time) (absent bool) {
	o.resumed, o.reason = true, ""
	want := *known.LookFor
	if want.Until.IsZero() {
		// The file says when the pin was to be sent first. The last sending may have
		// been much later, just before the crash, so the settle time counts from now.
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
		return o // what cannot be recorded is not sent
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
		if res.Adopted {
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

// record writes what is known of a row into the results file. Where that
// fails nothing more is begun.
func (p *publisher) record(o *outcome, e entry) {
	e.Key, e.Title, e.At = o.row.key(), o.row.name(), p.meter.Now().UTC().Truncate(time.Second)
	if err := p.results.put(e); err != nil {
		o.lost = err
		p.halt("the results file cannot be written any more")
	}
}

// hopeless says why an error will meet every other pin, too; "" if it need not.
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
