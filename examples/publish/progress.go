package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/schollz/progressbar/v3"
)

// progress shows the progress of the work. It is called from many goroutines at
// once.
type progress interface {
	done(o outcome)  // a row has its outcome
	note(s string)   // what is happening just now
	say(line string) // something to be kept
	finish()
}

func newProgress(p paper, rows int) progress {
	if !p.terminal {
		return &lines{paper: p, rows: rows}
	}
	const beside = 47 // the description, the count and the brackets
	bar := progressbar.NewOptions(rows,
		progressbar.OptionSetWriter(p),
		progressbar.OptionSetWidth(max(10, p.width-beside)),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░"}),
		progressbar.OptionSetDescription(fit("publishing", noteWidth)),
		progressbar.OptionSetRenderBlankState(true),
	)
	return &liveBar{bar: bar, out: p}
}

const clearLine = "\r\x1b[K"

// noteWidth keeps the bar where it is when the words before it change.
const noteWidth = 30

// liveBar is a bar on a terminal. Its methods ignore errors of writing to the
// terminal, since nothing can be done about them.
type liveBar struct {
	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	out   io.Writer
	ended bool // a late note must not draw it again
}

func (b *liveBar) draw(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		f()
	}
}

func (b *liveBar) done(outcome)  { b.draw(func() { _ = b.bar.Add(1) }) }
func (b *liveBar) note(s string) { b.draw(func() { b.bar.Describe(fit(s, noteWidth)) }) }

// say writes the line above the bar, which prints it when it is drawn anew. The
// line is cleared of what the terminal itself wrote, such as ^C.
func (b *liveBar) say(line string) {
	b.draw(func() {
		_, _ = progressbar.Bprintln(b.bar, clearLine+line)
		b.bar.Describe(fit("stopping", noteWidth))
	})
}

func (b *liveBar) finish() {
	b.draw(func() {
		b.ended = true
		_ = b.bar.Exit()
		_ = b.bar.Clear()
		fmt.Fprint(b.out, clearLine)
	})
}

// lines is for a log: one line a row.
type lines struct {
	paper
	rows int

	mu sync.Mutex
	n  int
}

func (l *lines) done(o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	fmt.Fprintf(l, "[%*d/%d] %s: %s\n", len(fmt.Sprint(l.rows)), l.n, l.rows, o.row.name(), o.kind)
}

func (l *lines) note(string) {}

func (l *lines) say(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l, line)
}

func (l *lines) finish() {}
