package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pinterest-go/pinterest"
)

// target is where the pins go.
type target struct {
	board   string
	clock   pinterest.Clock
	options []pinterest.Option
	passing bool // its results file does not outlive the run
}

// work is a run from the checked rows to the report.
func (p *program) work(ctx context.Context, f flags, t target, in *input) error {
	j := &journal{began: t.clock.Now()}
	m := &meter{Clock: t.clock}
	options := slices.Concat(t.options, []pinterest.Option{pinterest.WithClock(m), pinterest.WithObserver(j.observe),
		pinterest.WithUserAgent("publish-example")})
	client, err := pinterest.New(options...)
	if err != nil {
		return usageError{strings.TrimPrefix(err.Error(), "pinterest: ")}
	}
	board, err := p.findBoard(ctx, client, t.board)
	if err != nil {
		return err
	}
	for i := range in.rows {
		in.rows[i].pin.BoardID = board.ID
	}
	results, err := openResults(f.results, f.fresh)
	if err != nil {
		return err
	}
	defer results.close()

	fmt.Fprintf(p.err, "Publishing %s to the board %q (%s), %d at a time\n", count(len(in.rows), "pin"), board.Name, board.ID, f.parallel)
	bar := newProgress(p.err, len(in.rows))
	m.waiting = func(r row, d time.Duration) { bar.note("waiting " + seconds(d) + ": " + r.name()) }
	hard, stop := graceful(ctx, f.grace, bar.say)
	pub := &publisher{client: client, results: results, meter: m, progress: bar, parallel: f.parallel}
	outcomes := pub.publish(ctx, hard, in.rows)
	stop()
	bar.finish()

	reportWay(p.out, j, outcomes)
	fmt.Fprintln(p.out)
	reportTable(p.out, outcomes)
	reportAdvice(p.out, outcomes, t.clock.Now())
	reportTotals(p.out, outcomes, time.Duration(m.total.Load()))
	if !t.passing {
		fmt.Fprintf(p.out, "Results: %s\n", f.results)
	}
	if !complete(outcomes) {
		return exitStatus(exitSome)
	}
	return nil
}

// graceful returns the context of the pins under way. It goes on for a short
// grace after soft, the first Ctrl-C, and no longer than until the second.
func graceful(soft context.Context, grace time.Duration, say func(string)) (hard context.Context, stop func()) {
	hard, cancel := context.WithCancel(context.WithoutCancel(soft)) //nolint:gosec // cancel is called by the goroutine, which stop ends
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		select {
		case <-soft.Done():
		case <-ended:
			return
		}
		if grace > 0 {
			say(fmt.Sprintf("Stopping: no new pins begin, those under way have %v; Ctrl-C again cancels them", grace))
		}
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(again)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-again:
		case <-timer.C:
		case <-ended:
		}
	}()
	return hard, func() { close(ended); <-done }
}

// findBoard makes sure, before any pin is sent, that the token works and the
// board is there. Where it is not, it lists those that are.
func (p *program) findBoard(ctx context.Context, client *pinterest.Client, id string) (*pinterest.Board, error) {
	problem := "which board? Give its id with -board"
	if id != "" {
		board, err := client.Boards.Get(ctx, id)
		switch {
		case err == nil:
			return board, nil
		case errors.Is(err, pinterest.ErrInvalid):
			problem = fmt.Sprintf("-board takes the numeric id of a board, not %q", id)
		case errors.Is(err, pinterest.ErrNotFound):
			problem = "there is no board " + id
		default:
			return nil, p.refused(err)
		}
	}
	const most = 50
	listed := 0
	var list strings.Builder
	for board, err := range client.Boards.All(ctx, nil) {
		if err != nil {
			return nil, p.refused(err)
		}
		if listed++; listed > most {
			list.WriteString("\n  ...")
			break
		}
		fmt.Fprintf(&list, "\n  %-20s %s (%s)", board.ID, printable(board.Name), count(board.PinCount, "pin"))
	}
	if listed == 0 {
		list.WriteString("\n  (none: make one on pinterest.com first)")
	}
	return nil, usageError{problem + ". The account's boards:" + list.String()}
}

// refused tells of a failure before any pin was sent.
func (p *program) refused(err error) error {
	fmt.Fprintln(p.err, "publish: nothing was sent:")
	o := outcome{kind: kindFailed, err: err}
	p.err.paragraph("  ", "Why: "+reason(err))
	for _, text := range advice(o, p.clock.Now()) {
		p.err.paragraph("  ", text)
	}
	return exitStatus(exitSome)
}
