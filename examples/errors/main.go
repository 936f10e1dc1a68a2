// Command errors provokes one error of every disposition on a fake of the API and
// shows how a program handles each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	clock := pinteresttest.NewClock(time.Date(2026, time.July, 9, 9, 30, 0, 0, time.UTC)) // waits take no time
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	client, err := pinterest.New(pinterest.WithAccessToken(alice.AccessToken),
		pinterest.WithBaseURL(srv.URL), pinterest.WithClock(clock))
	if err != nil {
		return err
	}
	for _, trouble := range []struct {
		link   string
		before func()
	}{
		{"https://shop.example/oak", func() {}},
		{"shop.example/oak", func() {}},
		{"https://shop.example/oak", func() { srv.Inject(pinteresttest.SpamBlock()) }},
		{"https://shop.example/oak", func() { srv.Inject(pinteresttest.Fault{Status: 403, Message: "Not permitted."}) }},
		{"https://shop.example/oak", func() { // the answer is lost, and the board cannot be read
			srv.Inject(pinteresttest.ConnectionReset().AfterTheCommit(),
				pinteresttest.HTMLError(503).On(pinterest.OpBoardsListPins.ID).Repeat(5))
		}},
		{"https://shop.example/oak", func() { srv.ExpireToken(alice.AccessToken) }},
	} {
		trouble.before()
		pin, err := client.Pins.Create(ctx, pinterest.PinCreate{
			BoardID: board.ID, Title: "Oak kitchen", Link: trouble.link,
			MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
		})
		fmt.Fprintln(out, whatToDo(pin, err, clock.Now()))
	}
	return nil
}

// whatToDo is the switch that a program needs once, where its jobs end.
func whatToDo(pin *pinterest.Pin, err error, now time.Time) string {
	var e *pinterest.Error
	if err == nil {
		return "published: pin " + pin.ID
	}
	if !errors.As(err, &e) {
		return "not an error of the library: " + err.Error()
	}
	switch e.Disposition {
	case pinterest.DispositionFix:
		for _, f := range e.Fields {
			return fmt.Sprintf("fix: show the author that %s %s", f.Field, f.Problem)
		}
		return "fix: show the author the message: " + e.Message
	case pinterest.DispositionReauthorize:
		return "reauthorize: pause the account, and ask its owner to connect it again"
	case pinterest.DispositionPark:
		return fmt.Sprintf("park: enqueue the job again, not before %v from now (%s)", e.RetryAt.Sub(now), e.Class)
	case pinterest.DispositionUncertain:
		return "uncertain: store e.Uncertain as JSON, and call Pins.Resolve with it later"
	case pinterest.DispositionReview, pinterest.DispositionNone:
	}
	return fmt.Sprintf("review: tell a person: %s, request %s", e.Message, e.RequestID)
}
