package pinterest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// The API makes the pin and then answers 500. The pin is looked up and adopted:
// there is one request, and one pin.
func ExamplePinsService_Create_lostAnswer() {
	ctx := context.Background()
	clock := pinteresttest.NewClock(time.Date(2026, 7, 9, 9, 30, 0, 0, time.UTC))
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	client, err := pinterest.New(
		pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL), pinterest.WithClock(clock),
	)
	if err != nil {
		log.Panic(err)
	}
	srv.Inject(pinteresttest.ServerError(500).On("pins/create").AfterTheCommit())

	var res pinterest.Response
	pin, err := client.Pins.Create(ctx, pinterest.PinCreate{
		BoardID: board.ID, Title: "Oak kitchen", Link: "https://shop.example/oak",
		MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
	}, pinterest.ResponseTo(&res))
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("origin:", res.Origin)
	fmt.Println("the same pin:", pin.ID == srv.Pins(board.ID)[0].ID)
	fmt.Println("requests:", srv.Count("pins/create"), "pins:", len(srv.Pins(board.ID)))

	// Output:
	// origin: lookup
	// the same pin: true
	// requests: 1 pins: 1
}

// The API answers 500 without having made the pin. Look-ups show that it is
// absent, so it is sent again.
func ExamplePinsService_Create_sentAgain() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()
	srv.Inject(pinteresttest.ServerError(500).On("pins/create"))

	var res pinterest.Response
	if _, err := client.Pins.Create(ctx, oak(board.ID), pinterest.ResponseTo(&res)); err != nil {
		log.Panic(err)
	}
	fmt.Println("origin:", res.Origin)
	fmt.Println("requests:", srv.Count("pins/create"), "pins:", len(srv.Pins(board.ID)))

	// Output:
	// origin: answer
	// requests: 2 pins: 1
}

// The answer is lost and the board cannot be read either, so the create ends
// uncertain. The job stores what to look for, and resolves it when the API is back.
func ExamplePinsService_Resolve() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()
	srv.Inject(
		pinteresttest.NoAnswer().On("pins/create").AfterTheCommit(),
		pinteresttest.ServerError(503).On("boards/list_pins").Repeat(pinteresttest.Forever),
	)

	_, err := client.Pins.Create(ctx, oak(board.ID))
	var failure *pinterest.Error
	if !errors.As(err, &failure) || failure.Uncertain == nil {
		log.Panic(err)
	}
	fmt.Println("disposition:", failure.Disposition)
	stored, err := json.Marshal(failure.Uncertain) // with the job, and failure.RetryAt as its next time
	if err != nil {
		log.Panic(err)
	}

	srv.ClearFaults() // at failure.RetryAt or later, perhaps in another process

	var lost pinterest.Uncertain
	if err := json.Unmarshal(stored, &lost); err != nil {
		log.Panic(err)
	}
	found, err := client.Pins.Resolve(ctx, lost)
	if err != nil {
		log.Panic(err)
	}
	switch found.Outcome {
	case pinterest.OutcomeCreated:
		fmt.Println("the job is done, its pin:", found.Result.Title)
	case pinterest.OutcomeAbsent:
		fmt.Println("create it again")
	case pinterest.OutcomeUnknown: // with an error
	}
	fmt.Println("requests:", srv.Count("pins/create"), "pins:", len(srv.Pins(board.ID)))

	// Output:
	// disposition: uncertain
	// the job is done, its pin: Oak kitchen
	// requests: 1 pins: 1
}

// Mistakes are found when a pin is entered, all of them at once, without a request.
func ExamplePinCreate_Validate() {
	err := pinterest.PinCreate{BoardID: "kitchens", Link: "shop.example/oak"}.Validate()
	fmt.Println(err)

	// Output:
	// board_id must be the numeric id, not the board's name (got "kitchens"); link must be an absolute URL, such as https://shop.example/p/1 (got "shop.example/oak"); media_source is required, such as ImageURL(...)
}

// A job is submitted twice, as after a crash. The same key gives the same pin.
func ExamplePinsService_CreateOnce() {
	ctx := context.Background()
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")

	client, err := pinterest.New(
		pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL),
		pinterest.WithLedger(pinterest.NewMemoryLedger()), // or fileledger.Open or sqlstore.OpenLedger, which survive the process
	)
	if err != nil {
		log.Panic(err)
	}
	pin := pinterest.PinCreate{
		BoardID: board.ID, Title: "Oak kitchen", Link: "https://shop.example/oak",
		MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
	}
	first, err := client.Pins.CreateOnce(ctx, "job-8841", pin)
	if err != nil {
		log.Panic(err)
	}
	again, err := client.Pins.CreateOnce(ctx, "job-8841", pin)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("the same pin:", first.ID == again.ID)
	fmt.Println("requests:", srv.Count("pins/create"), "pins:", len(srv.Pins(board.ID)))

	// Output:
	// the same pin: true
	// requests: 1 pins: 1
}

// A batch is submitted again after a failure. The pins that were made are not made
// again, and the one that is invalid does not stop the others.
func ExamplePinsService_CreateAllOnce() {
	ctx := context.Background()
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	client, err := pinterest.New(
		pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL),
		pinterest.WithLedger(pinterest.NewMemoryLedger()),
	)
	if err != nil {
		log.Panic(err)
	}
	jobs := []pinterest.KeyedPin{
		{Key: "job-1", Pin: pinterest.PinCreate{BoardID: board.ID, Title: "Oak", MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg")}},
		{Key: "job-2", Pin: pinterest.PinCreate{BoardID: "Kitchens", Title: "Beech", MediaSource: pinterest.ImageURL("https://shop.example/beech.jpg")}},
	}
	client.Pins.CreateAllOnce(ctx, jobs, pinterest.Concurrency(4))

	jobs[1].Pin.BoardID = board.ID // corrected
	for i, result := range client.Pins.CreateAllOnce(ctx, jobs) {
		if result.Err != nil {
			log.Panic(result.Err)
		}
		fmt.Println(jobs[i].Key, "origin:", result.Response.Origin)
	}
	fmt.Println("pins:", len(srv.Pins(board.ID)))

	// Output:
	// job-1 origin: ledger
	// job-2 origin: answer
	// pins: 2
}
