package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// bench is the program beside a fake of the API, with a clock that jumps over
// waits and a copy of the sample to work on.
type bench struct {
	t     *testing.T
	srv   *pinteresttest.Server
	alice pinteresttest.Account
	board pinteresttest.Board
	env   map[string]string
	file  string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	clock := pinteresttest.NewClock(time.Date(2026, time.July, 9, 9, 30, 0, 0, time.UTC))
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	t.Cleanup(srv.Close)
	alice := srv.AddAccount("alice")
	b := &bench{t: t, srv: srv, alice: alice, board: srv.AddBoard(alice, "Kitchens")}
	b.env = map[string]string{"PINTEREST_ACCESS_TOKEN": alice.AccessToken, "PINTEREST_BASE_URL": srv.URL}
	b.file = filepath.Join(t.TempDir(), "pins.json")
	b.write(string(sample))
	return b
}

func (b *bench) write(content string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.file, []byte(content), 0o600))
}

// result is what a run came to.
type result struct {
	status   int
	out, err string
}

// run runs the program on the bench's file, with -board.
func (b *bench) run(ctx context.Context, flags ...string) result {
	b.t.Helper()
	return b.command(ctx, "", append(append([]string{"-board", b.board.ID}, flags...), b.file)...)
}

func (b *bench) command(ctx context.Context, stdin string, args ...string) result {
	b.t.Helper()
	var out, errs bytes.Buffer
	p := &program{env: b.getenv, in: strings.NewReader(stdin), clock: b.srv.Clock()}
	p.out, p.err = newPaper(&out, b.getenv), newPaper(&errs, b.getenv)
	status := p.run(ctx, args)
	return result{status, out.String(), errs.String()}
}

func (b *bench) getenv(name string) string { return b.env[name] }

func (b *bench) resultsPath() string { return b.file + resultsSuffix }

// titles returns the titles on the board, and fails for a pin that is there twice.
func (b *bench) titles() []string {
	b.t.Helper()
	assert.Empty(b.t, b.srv.Duplicates())
	var titles []string
	for _, pin := range b.srv.Pins(b.board.ID) {
		titles = append(titles, pin.Title)
	}
	return titles
}

func (b *bench) creates() int { return b.srv.Count(pinterest.OpPinsCreate.ID) }

// strike makes a fault hit the creation of the pin of this title.
func (b *bench) strike(title string, f pinteresttest.Fault) {
	f = f.On(pinterest.OpPinsCreate.ID)
	f.Match = func(_ *http.Request, body []byte) bool { return bytes.Contains(body, []byte(`"title":"`+title)) }
	b.srv.Inject(f)
}

func sampleRows(t *testing.T) []row {
	t.Helper()
	in, err := parseInput("sample.json", sample)
	require.NoError(t, err)
	return in.rows
}

func TestDemo(t *testing.T) {
	var out, errs bytes.Buffer
	none := func(string) string { return "" }
	status := run(t.Context(), nil, none, strings.NewReader(""), &out, &errs)
	require.Equal(t, exitDone, status, "%s%s", &out, &errs)
	text := out.String()
	assert.Regexp(t, `pins on the board +12\n`, text)
	assert.Regexp(t, `duplicates +0\n`, text)
	assert.Regexp(t, `sent by a second run +0 `, text)
	assert.Regexp(t, `token refreshes +1\n`, text)
	assert.Contains(t, text, "12 pins: ")
	assert.Contains(t, text, "found on the board")
	assert.Contains(t, text, "not on the board, sent again")
	assert.Contains(t, text, "image not fetched; waited")
	assert.Contains(t, text, "429 Too Many Requests; waited")
	assert.NotContains(t, text, "\x1b", "colours outside of a terminal")
	for _, r := range sampleRows(t) {
		assert.Contains(t, errs.String(), "] "+r.pin.Title+": ")
	}
}

func TestRerunPublishesNothing(t *testing.T) {
	b := newBench(t)
	first := b.run(t.Context())
	require.Equal(t, exitDone, first.status, first)
	require.Equal(t, 12, b.creates())
	assert.Regexp(t, `12 pins: 12 published; waited [0-9.]+s in all\n`, first.out, "ten are a rested account's burst, two wait for their turn")

	b.write(reversed(t)) // rows are known by what they say
	again := b.run(t.Context())
	assert.Equal(t, exitDone, again.status, again)
	assert.Equal(t, 12, b.creates())
	assert.Contains(t, again.out, "12 pins: 12 already published\n")
	assert.NotContains(t, again.out, "What to do")
	assert.Len(t, b.titles(), 12)

	fresh := b.run(t.Context(), "-fresh")
	assert.Equal(t, exitDone, fresh.status, fresh)
	assert.Equal(t, 24, b.creates())
	assert.FileExists(t, b.resultsPath()+".old")
}

// reversed is the sample in the opposite order.
func reversed(t *testing.T) string {
	t.Helper()
	var rows, back []json.RawMessage
	require.NoError(t, json.Unmarshal(sample, &rows))
	for i := len(rows) - 1; i >= 0; i-- {
		back = append(back, rows[i])
	}
	data, err := json.Marshal(back)
	require.NoError(t, err)
	return string(data)
}

// The first Ctrl-C comes while the third pin is under way: it may end, no
// further one begins, and a second run publishes what is missing.
func TestInterruptionWithGrace(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cancelAt(b, cancel, 3)
	first := b.run(ctx, "-parallel", "1", "-grace", "1h")
	assert.Equal(t, exitSome, first.status, first)
	assert.Equal(t, 3, b.creates())
	assert.Contains(t, first.out, "12 pins: 3 published, 9 not done\n")
	assert.Contains(t, first.out, "9 pins not begun: the run was interrupted\n")
	for _, r := range sampleRows(t)[3:] {
		assert.Contains(t, first.out, fmt.Sprintf("\n  - row %d, %s\n", r.number, r.pin.Title))
	}

	again := b.run(t.Context())
	assert.Equal(t, exitDone, again.status, again)
	assert.Equal(t, 12, b.creates(), "exactly the missing ones")
	assert.Contains(t, again.out, "12 pins: 9 published, 3 already published\n")
	assert.Len(t, b.titles(), 12)
}

// Without a grace the pins under way are cancelled, at whatever point they are.
func TestInterruptionAtOnce(t *testing.T) {
	for _, after := range []int64{1, 2, 5, 9, 12} {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancelAt(b, cancel, after)
		first := b.run(ctx, "-parallel", "3", "-grace", "0s")
		cancel()
		onBoard := len(b.titles())

		again := b.run(t.Context())
		assert.Equal(t, exitDone, again.status, "first run: %v\nsecond run: %v", first, again)
		assert.Len(t, b.titles(), 12, "after %d, %d were there", after, onBoard)
	}
}

// cancelAt calls cancel when the API has received so many creates, the last of
// which is still under way.
func cancelAt(b *bench, cancel func(), creates int64) {
	var n atomic.Int64
	b.srv.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
		if r.Operation == pinterest.OpPinsCreate.ID && n.Add(1) == creates {
			cancel()
		}
		return nil
	})
}

// A crash leaves intents. What was made is found, also when the list lags; what
// was not is sent after the settle time; a pin that looks the same and is older
// is not taken for it.
func TestLeftAtIntent(t *testing.T) {
	b := newBench(t)
	rows := sampleRows(t)
	for i := range rows {
		rows[i].pin.BoardID = b.board.ID
	}
	like := func(r row) pinteresttest.Pin {
		return pinteresttest.Pin{
			Title: r.pin.Title, Description: r.pin.Description, Link: r.pin.Link, AltText: r.pin.AltText,
			Source: "image_url " + r.pin.MediaSource.URL,
		}
	}
	made, lost, older := rows[0], rows[1], rows[2]
	b.srv.AddPin(b.board, pinteresttest.Pin{Title: older.pin.Title, Description: older.pin.Description, Link: older.pin.Link, AltText: older.pin.AltText})
	b.srv.Clock().Advance(67 * time.Minute) // not whole quarter hours, which could be a zone

	crashed, err := openResults(b.resultsPath(), false)
	require.NoError(t, err)
	client, err := pinterest.New(pinterest.WithAccessToken("token"), pinterest.WithBaseURL(b.srv.URL), pinterest.WithClock(b.srv.Clock()))
	require.NoError(t, err)
	for _, r := range []row{made, lost, older} {
		lookFor, err := client.Pins.Intent(r.pin)
		require.NoError(t, err)
		require.NoError(t, crashed.put(entry{Key: r.key(), Title: r.name(), State: stateIntent, LookFor: lookFor}))
	}
	crashed.close()
	pin := b.srv.AddPin(b.board, like(made))
	b.srv.SetListLag(3 * time.Second)
	began := b.srv.Clock().Now()

	res := b.run(t.Context())
	require.Equal(t, exitDone, res.status, res)
	assert.Equal(t, 11, b.creates(), "the one that was found is not sent")
	assert.Contains(t, res.out, "12 pins: 11 published, 1 found published")
	assert.Contains(t, res.out, pin.ID)
	assert.Contains(t, res.out, "left open by an earlier run; found on the board")
	assert.Equal(t, 2, strings.Count(strings.Join(strings.Fields(res.out), " "), "left open by an earlier run; not on the board, sent again"), res.out)
	assert.Len(t, b.titles(), 13, "12 and the older one")
	for _, r := range b.srv.Requests() {
		if r.Operation == pinterest.OpPinsCreate.ID {
			assert.GreaterOrEqual(t, r.At.Sub(began), 5*time.Second, "sent before the settle time was over")
		}
	}
}

// What cannot be looked up now stays open, and the next run looks again.
func TestUncertain(t *testing.T) {
	b := newBench(t)
	title := sampleRows(t)[4].pin.Title
	b.strike(title, pinteresttest.ServerError(500).AfterTheCommit())
	b.srv.Inject(pinteresttest.ServerError(500).On(pinterest.OpBoardsListPins.ID).Repeat(pinteresttest.Forever))
	res := b.run(t.Context())
	assert.Equal(t, exitSome, res.status, res)
	assert.Contains(t, res.out, "12 pins: 11 published, 1 uncertain")
	assert.Contains(t, res.out, "the pin may be on the board")

	still := b.run(t.Context())
	assert.Equal(t, exitSome, still.status, still)
	assert.Contains(t, still.out, "could not be looked up")
	assert.Equal(t, 12, b.creates())

	b.srv.ClearFaults()
	again := b.run(t.Context())
	assert.Equal(t, exitDone, again.status, again)
	assert.Equal(t, 12, b.creates(), "it was made, and is not sent again")
	assert.Contains(t, again.out, "12 pins: 1 found published, 11 already published")
	assert.Len(t, b.titles(), 12)
}

func TestFailuresAndAdvice(t *testing.T) {
	for name, tt := range map[string]struct {
		fault pinteresttest.Fault
		want  []string
		all   bool // no further pins are begun
	}{
		"fix": {
			pinteresttest.Fault{Status: 400, Code: 1, Message: "Invalid image: too small."},
			[]string{"failed", "Why: invalid (400, code 1): Invalid image: too small.", "To do: change what Pinterest complains of", "Request id, for Pinterest's support: "}, false,
		},
		"link": {pinteresttest.BlockedLink(), []string{"To do: change link:"}, false},
		"park": {
			pinteresttest.CouldNotFetchImage().Repeat(3),
			[]string{"To do: run the same command again after", "(in 15min)", "image_url can be opened"}, false,
		},
		"block":       {pinteresttest.SpamBlock(), []string{"(in 4h)", "slow down", "not begun: the account is blocked for a while"}, true},
		"throttled":   {pinteresttest.Throttled(3 * time.Minute), []string{"(in 3min)", "not begun: the rate limit is used up"}, true},
		"reauthorize": {pinteresttest.Fault{Status: 401, Code: 2, Message: "Authentication failed."}, []string{"Get a new access token", "not begun: the access token is not accepted"}, true},
		"scope":       {pinteresttest.Fault{Status: 401, Code: 3, Message: "Your token lacks a scope."}, []string{"with the scope boards:read, pins:read and pins:write"}, true},
		"review":      {pinteresttest.Fault{Status: 403, Code: 29, Message: "Not today."}, []string{"needs a person"}, true},
		"trial":       {pinteresttest.Fault{Status: 403, Code: 29, Message: "Apps with Trial access may not create Pins."}, []string{"use -sandbox"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.strike(sampleRows(t)[2].pin.Title, tt.fault)
			res := b.run(t.Context(), "-parallel", "1")
			assert.Equal(t, exitSome, res.status, res)
			unwrapped := strings.Join(strings.Fields(res.out), " ")
			for _, want := range tt.want {
				assert.Contains(t, unwrapped, want)
			}
			published := 11
			if tt.all {
				published = 2
				assert.Contains(t, res.out, "9 pins not begun")
			}
			assert.Len(t, b.titles(), published)

			again := b.run(t.Context())
			assert.Equal(t, exitDone, again.status, again)
			assert.Len(t, b.titles(), 12)
		})
	}
}

// A results file that cannot be written any more stops the run, and the pin
// that was made all the same is not lost.
func TestResultsFileBecomesUnwritable(t *testing.T) {
	b := newBench(t)
	dir := filepath.Join(t.TempDir(), "results")
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "r.json")
	var n atomic.Int64
	b.srv.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
		if r.Operation == pinterest.OpPinsCreate.ID && n.Add(1) == 3 {
			assert.NoError(t, os.Rename(dir, dir+"-gone"))
		}
		return nil
	})
	res := b.run(t.Context(), "-parallel", "1", "-results", path)
	assert.Equal(t, exitSome, res.status, res)
	assert.Equal(t, 3, b.creates())
	assert.Contains(t, res.out, "the results file cannot be written")
	assert.Contains(t, res.out, "9 pins not begun: the results file cannot be written any more")

	require.NoError(t, os.Rename(dir+"-gone", dir))
	again := b.run(t.Context(), "-results", path)
	assert.Equal(t, exitDone, again.status, again)
	assert.Contains(t, again.out, "1 found published")
	assert.Len(t, b.titles(), 12)
}

// On a terminal no line is wider than it, and taking the colours away changes
// nothing else.
func TestTerminal(t *testing.T) {
	codes := regexp.MustCompile(`\x1b\[[0-9;]*[mK]`)
	for _, width := range []int{60, 80, 100} {
		b := newBench(t)
		b.strike(sampleRows(t)[1].pin.Title, pinteresttest.ServerError(500).AfterTheCommit())
		b.strike(sampleRows(t)[2].pin.Title, pinteresttest.BlockedLink())
		b.strike(sampleRows(t)[3].pin.Title, pinteresttest.Throttled(5*time.Second))
		var out, errs bytes.Buffer
		p := &program{env: b.getenv, clock: b.srv.Clock()}
		p.out = paper{Writer: &out, width: width, terminal: true, colours: true}
		p.err = paper{Writer: &errs, width: width, terminal: true}
		require.Equal(t, exitSome, p.run(t.Context(), []string{"-board", b.board.ID, b.file}))
		assert.Contains(t, out.String(), "\x1b[31mfailed")
		assert.Contains(t, errs.String(), "█")
		for line := range strings.Lines(codes.ReplaceAllString(out.String(), "")) {
			line = strings.TrimRight(line, "\n")
			if !strings.Contains(line, b.file) { // a path stays whole, to be copied
				assert.LessOrEqual(t, uniseg.StringWidth(line), width, line)
			}
		}
		for _, frame := range strings.FieldsFunc(errs.String(), func(r rune) bool { return r == '\r' || r == '\n' }) {
			if strings.Contains(frame, "█") || strings.Contains(frame, "░") {
				assert.Less(t, uniseg.StringWidth(frame), width, frame)
			}
		}
	}
}
