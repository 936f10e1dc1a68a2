package pinterest_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// The connection breaks after the pin was made and before the answer came. The
// pin is found on its board and returned; it is not made again.
func Example() {
	ctx := context.Background()

	srv := pinteresttest.NewServer() // a fake of the API, to try this without an account
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	srv.Inject(pinteresttest.ConnectionReset().On("pins/create").AfterTheCommit())

	client, err := pinterest.New(pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL))
	if err != nil {
		log.Panic(err)
	}
	pin, err := client.Pins.Create(ctx, pinterest.PinCreate{
		BoardID: board.ID, Title: "Oak kitchen", Link: "https://shop.example/oak",
		MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(pin.Title, "was made once:", len(srv.Pins(board.ID)) == 1)

	// Output:
	// Oak kitchen was made once: true
}

// start is when the clocks of the examples begin.
var start = time.Date(2026, 7, 9, 9, 30, 0, 0, time.UTC)

// fake starts a server with an account and a board, and makes a client for it.
// They live by one clock, so that waiting takes no time, and without jitter, so
// that waits are the same each time.
func fake(opts ...pinterest.Option) (*pinteresttest.Server, *pinterest.Client, pinteresttest.Board) {
	clock := pinteresttest.NewClock(start)
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	alice := srv.AddAccount("alice")
	client, err := pinterest.New(append([]pinterest.Option{
		pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL),
		pinterest.WithClock(clock), pinterest.WithRetry(pinterest.RetryPolicy{Jitter: -1}),
	}, opts...)...)
	if err != nil {
		log.Panic(err)
	}
	return srv, client, srv.AddBoard(alice, "Kitchens")
}

// oak is a pin to be made.
func oak(boardID string) pinterest.PinCreate {
	return pinterest.PinCreate{
		BoardID: boardID, Title: "Oak kitchen", Link: "https://shop.example/oak",
		MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
	}
}
