// Command publish publishes the pins of a JSON or CSV file to a board, several at a
// time, and reports the result of each. When it is run again it publishes only what
// is missing. Without a file and an access token it uses a fake of the API to show
// what the library does when things go wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pinterest-go/pinterest"
)

const help = `publish publishes the pins of a file to a Pinterest board.

Usage:
  publish [flags] [file]

The file is a JSON array of objects or a CSV file with a header row; "-" is
standard input. Its fields, of which image_url is required:
  title             at most 100 characters
  description       at most 800 characters
  link              where the pin leads, at most 2048 characters
  image_url         a JPEG or PNG that Pinterest can fetch
  alt_text          what is on the image, at most 500 characters
  board_section_id  a section of the board
  dominant_color    such as #6E7874

All rows are checked before anything is sent. What becomes of each is written to
a results file beside the input (FILE` + resultsSuffix + `), so that running the same
command again publishes only what is missing, in whatever order the rows are.
A pin that may or may not have been made is looked up on the board first.

Without a file and without PINTEREST_ACCESS_TOKEN, a demonstration: 12 pins, a
fake of the API on this machine, and much that goes wrong.

Flags:
`

const helpEnd = `
Environment:
  PINTEREST_ACCESS_TOKEN  the account's token (boards:read pins:read pins:write)
  PINTEREST_BASE_URL      another address of the API
  NO_COLOR                no colours

Examples:
  publish                                       the demonstration
  publish -check pins.csv                       only look for mistakes
  publish -board 1234567890 pins.csv            publish, 4 pins at a time
  publish -board 1234567890 pins.csv            again: only what is missing
  publish -sandbox -board 1234567890 pins.json  in the sandbox
  publish pins.csv                              list the boards and their ids

Exit status: 0 when every pin is published, 1 when any is not, 2 for wrong usage
or a file that cannot be used. Ctrl-C stops: no new pins begin, those under way
may end; a second Ctrl-C cancels these, too.
`

const resultsSuffix = ".results.json"

// The exit statuses.
const (
	exitDone  = 0
	exitSome  = 1 // any pin is not published
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program. The end of ctx is the first Ctrl-C.
func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{env: env, in: stdin, out: newPaper(stdout, env), err: newPaper(stderr, env), clock: wallClock{}}
	return p.run(ctx, args)
}

// program holds what a run uses.
type program struct {
	env   func(string) string
	in    io.Reader
	out   paper // the report
	err   paper // progress, and what went wrong
	clock pinterest.Clock
}

type flags struct {
	board    string
	parallel int
	sandbox  bool
	fresh    bool
	check    bool
	results  string
	grace    time.Duration
	file     string
}

// usageError is a mistake in the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func (p *program) parse(args []string) (f flags, err error) {
	set := flag.NewFlagSet("publish", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.board, "board", "", "numeric `id` of the board; without it, the account's boards are listed")
	set.IntVar(&f.parallel, "parallel", 4, "how many pins are published at a time, `n` from 1 to 32")
	set.BoolVar(&f.sandbox, "sandbox", false, "use Pinterest's sandbox; it needs a token of its own")
	set.BoolVar(&f.check, "check", false, "check the file and send nothing")
	set.BoolVar(&f.fresh, "fresh", false, "set the results file aside: publish everything again")
	set.StringVar(&f.results, "results", "", "the results `file` (default: the input's name and "+resultsSuffix+")")
	set.DurationVar(&f.grace, "grace", 5*time.Second, "how long pins under way may go on after Ctrl-C")
	if err = set.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(p.out, help)
		set.SetOutput(p.out)
		set.PrintDefaults()
		fmt.Fprint(p.out, helpEnd)
		return f, err
	}
	f.file = set.Arg(0)
	switch {
	case err != nil:
		return f, usageError{err.Error()}
	case set.NArg() > 1:
		return f, usageError{fmt.Sprintf("one file at a time: flags come before the file, and %q is one too many", set.Arg(1))}
	case f.parallel < 1 || f.parallel > 32:
		return f, usageError{fmt.Sprintf("-parallel must be from 1 to 32, is %d", f.parallel)}
	case f.grace < 0:
		return f, usageError{fmt.Sprintf("-grace must not be negative, is %v", f.grace)}
	case f.sandbox && p.env("PINTEREST_BASE_URL") != "":
		return f, usageError{"-sandbox and PINTEREST_BASE_URL exclude each other"}
	case f.file == "" && (f.board != "" || f.sandbox || f.check || f.fresh):
		return f, usageError{"which file?"}
	case f.file == "-" && f.results == "" && !f.check:
		return f, usageError{"standard input has no name to keep the results under: add -results FILE"}
	}
	return f, nil
}

func (p *program) run(ctx context.Context, args []string) int {
	f, err := p.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err == nil {
		err = p.publish(ctx, f)
	}
	var usage usageError
	var status exitStatus
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		fmt.Fprintf(p.err, "publish: %v\nFor help: publish -h\n", err)
	default:
		fmt.Fprintf(p.err, "publish: %v\n", err)
	}
	return exitUsage
}

// exitStatus is the error of a run that has already reported what is wrong.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// publish chooses between the demonstration and the API.
func (p *program) publish(ctx context.Context, f flags) error {
	token := p.env("PINTEREST_ACCESS_TOKEN")
	switch {
	case f.file == "" && token == "":
		return p.runDemo(ctx, f)
	case f.file == "":
		return usageError{"which file? PINTEREST_ACCESS_TOKEN is set, so this is not the demonstration"}
	}
	in, err := readInput(f.file, p.in)
	if err != nil {
		return err
	}
	for _, note := range in.notes {
		p.err.paragraph("Note: ", note)
	}
	if f.check {
		fmt.Fprintf(p.out, "%s: %s, nothing wrong with them; nothing was sent\n", in.file, count(len(in.rows), "pin"))
		return nil
	}
	if token == "" {
		return usageError{"PINTEREST_ACCESS_TOKEN is not set; without a file there is a demonstration that needs none"}
	}
	t := target{board: f.board, clock: p.clock, options: []pinterest.Option{pinterest.WithAccessToken(token)}}
	if f.sandbox {
		t.options = append(t.options, pinterest.WithSandbox())
	} else if base := p.env("PINTEREST_BASE_URL"); base != "" {
		t.options = append(t.options, pinterest.WithBaseURL(base))
	}
	if f.results == "" {
		f.results = f.file + resultsSuffix
	}
	return p.work(ctx, f, t, in)
}

// runDemo publishes the sample to a fake and shows what the fake has logged.
func (p *program) runDemo(ctx context.Context, f flags) error {
	in, err := parseInput("sample.json", sample)
	if err != nil {
		return err
	}
	d, err := newDemo(in.rows, p.err.terminal)
	if err != nil {
		return err
	}
	defer d.close()
	if f.results == "" {
		f.results = d.results(in.file)
	}
	p.out.paragraph("", demoIntro)
	first := p.work(ctx, f, d.target(), in)
	sent := d.srv.Count(pinterest.OpPinsCreate.ID)
	if first == nil {
		// The same run again, without output, for the last line of the report.
		again := *p
		again.out.Writer, again.err = io.Discard, paper{Writer: io.Discard}
		if err := again.work(ctx, f, d.target(), in); err != nil {
			return err
		}
	}
	d.report(p.out, sent)
	return first
}
