package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

//go:embed sample.json
var sample []byte

// demo is a fake of the API on this machine, with an account, a board and faults for
// everything that can go wrong with a pin.
type demo struct {
	srv       *pinteresttest.Server
	board     pinteresttest.Board
	dir       string // where the results file goes
	transport http.RoundTripper
	expire    func(pinterest.Event)

	mu    sync.Mutex
	token *oauth2.Token
}

// latency makes the demo as slow as a network, so that the bar can be watched.
const latency = 80 * time.Millisecond

func newDemo(rows []row, watched bool) (*demo, error) {
	dir, err := os.MkdirTemp("", "publish-demo-")
	if err != nil {
		return nil, err
	}
	clock := pinteresttest.NewClock(time.Now()) // waits take no time
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	account := srv.AddAccount("oakandlinen")
	d := &demo{srv: srv, board: srv.AddBoard(account, "Small spaces"), dir: dir}
	clock.Advance(time.Hour) // the board existed before
	d.goWrong(rows)

	d.transport = http.DefaultTransport
	if watched {
		d.transport = slow{http.DefaultTransport}
	}
	d.expire = d.expireAfter(len(rows) / 2)
	d.token = &oauth2.Token{AccessToken: account.AccessToken, RefreshToken: account.RefreshToken}
	return d, nil
}

// target returns the fake as a program that has just started uses it.
func (d *demo) target() target {
	d.mu.Lock()
	defer d.mu.Unlock()
	refresh := pinterest.RefreshConfig{
		ClientID: d.srv.App().ID, ClientSecret: d.srv.App().Secret,
		AccessToken: d.token.AccessToken, RefreshToken: d.token.RefreshToken,
		Store: d.store,
	}
	return target{board: d.board.ID, clock: d.srv.Clock(), passing: true, options: []pinterest.Option{
		pinterest.WithBaseURL(d.srv.URL),
		pinterest.WithHTTPClient(&http.Client{Transport: d.transport}),
		pinterest.WithRefreshToken(refresh),
		pinterest.WithObserver(d.expire),
	}}
}

// store keeps a refreshed pair of tokens, as a program does in its database. The old
// refresh token is no longer valid.
func (d *demo) store(_ context.Context, tok *oauth2.Token) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.token = tok
	return nil
}

func (d *demo) close() {
	d.srv.Close()
	_ = os.RemoveAll(d.dir)
}

func (d *demo) results(file string) string {
	return filepath.Join(d.dir, filepath.Base(file)+resultsSuffix)
}

// goWrong injects a different fault for most of the pins.
func (d *demo) goWrong(rows []row) {
	d.srv.SetListLag(2 * time.Second) // lists show a new pin only after a while
	troubles := []pinteresttest.Fault{
		pinteresttest.ServerError(500).AfterTheCommit(),
		pinteresttest.Throttled(7 * time.Second),
		{},
		pinteresttest.ConnectionReset().AfterTheCommit(),
		pinteresttest.HTMLError(503),
		pinteresttest.CouldNotFetchImage().Repeat(2),
		{},
		pinteresttest.SomethingWentWrong().AfterTheCommit(),
		pinteresttest.Throttled(0),
		pinteresttest.ConnectionReset(),
		pinteresttest.Truncated().AfterTheCommit(),
		{},
	}
	for i, r := range rows[:min(len(rows), len(troubles))] {
		trouble := troubles[i].On(pinterest.OpPinsCreate.ID)
		trouble.Match = func(_ *http.Request, body []byte) bool {
			title, err := json.Marshal(r.pin.Title)
			return err == nil && bytes.Contains(body, title)
		}
		d.srv.Inject(trouble)
	}
}

// expireAfter returns an observer that expires the access token after so many pins.
func (d *demo) expireAfter(pins int) func(pinterest.Event) {
	var made atomic.Int64
	var once sync.Once
	return func(e pinterest.Event) {
		if e.Type == pinterest.EventDone && e.Operation == pinterest.OpPinsCreate.ID && made.Add(1) >= int64(pins) {
			once.Do(d.srv.ExpireAllTokens)
		}
	}
}

// slow is a transport with a network's latency.
type slow struct{ next http.RoundTripper }

func (s slow) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := (wallClock{}).Sleep(req.Context(), latency); err != nil {
		return nil, err
	}
	return s.next.RoundTrip(req)
}

const demoIntro = "This is a demonstration: PINTEREST_ACCESS_TOKEN is not set, so the pins go to a fake of the API on this " +
	"machine, where much goes wrong. Its clock jumps over waits; the times below are those that would have been slept."

// report shows what the fake has logged, as a check of what the library reports.
// sent is how many creates it had received before the second run.
func (d *demo) report(p paper, sent int) {
	duplicates := 0
	for _, alike := range d.srv.Duplicates() {
		duplicates += len(alike) - 1
	}
	again := d.srv.Count(pinterest.OpPinsCreate.ID) - sent
	p.heading("The proof, from the fake's own request log")
	for _, line := range []struct {
		what string
		n    int
		note string
	}{
		{"pins on the board", len(d.srv.Pins(d.board.ID)), ""},
		{"duplicates", duplicates, ""},
		{"creates received", sent, "some more than once, but never after one that took effect"},
		{"board looked up", d.srv.Count(pinterest.OpBoardsListPins.ID), "lists show a new pin only after 2 s here"},
		{"token refreshes", d.srv.Count("oauth/token"), ""},
		{"sent by a second run", again, "the same command again: all are known to be published"},
	} {
		fmt.Fprintf(p, "  %-22s %s", line.what, p.paint(bold, fmt.Sprintf("%3d", line.n)))
		if line.note != "" {
			fmt.Fprintf(p, "  %s", p.paint(dim, line.note))
		}
		fmt.Fprintln(p)
	}
}
