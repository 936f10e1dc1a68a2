package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A job queue decides by the disposition alone.
func ExampleDisposition() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()
	srv.Inject(pinteresttest.Throttled(10 * time.Minute).On("pins/create"))

	_, err := client.Pins.Create(ctx, oak(board.ID))

	var failure *pinterest.Error
	if errors.As(err, &failure) {
		switch failure.Disposition {
		case pinterest.DispositionPark:
			fmt.Println("enqueue again at", failure.RetryAt.Format(time.TimeOnly))
		case pinterest.DispositionUncertain:
			fmt.Println("store failure.Uncertain and call client.Pins.Resolve later")
		case pinterest.DispositionReauthorize:
			fmt.Println("ask the owner to connect the account again")
		case pinterest.DispositionFix:
			fmt.Println("show whoever made the pin:", failure.UserMessage())
		default: // review
			fmt.Println("tell a person")
		}
	}

	// Output:
	// enqueue again at 09:40:00
}

// Use errors.Is to ask what failed, and errors.As for the details.
func ExampleError() {
	ctx := context.Background()
	srv, client, _ := fake()
	defer srv.Close()

	_, err := client.Boards.Get(ctx, "404404")

	fmt.Println("not found:", errors.Is(err, pinterest.ErrNotFound))
	fmt.Println("throttled:", errors.Is(err, pinterest.ErrThrottled))
	var failure *pinterest.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Operation, failure.Status, failure.Code, failure.Message)
		fmt.Println(failure.Disposition, "by row", failure.Rule)
	}

	// Output:
	// not found: true
	// throttled: false
	// boards/get 404 40 Board not found.
	// fix by row not found
}

// What the person who made the pin is told: which field is wrong and what the
// limit is, in plain words.
func ExampleError_UserMessage() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()

	pin := oak(board.ID)
	pin.Title = strings.Repeat("oak ", 30)
	_, err := client.Pins.Create(ctx, pin)

	var failure *pinterest.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.UserMessage())
	}
	srv.Inject(pinteresttest.Throttled(10 * time.Minute).On("pins/create"))
	_, err = client.Pins.Create(ctx, oak(board.ID))
	if errors.As(err, &failure) {
		fmt.Println(failure.UserMessage())
	}

	// Output:
	// Please correct this and try again: the title is too long (120 characters, at most 100 are allowed).
	// Pinterest is limiting requests for this account at the moment. It will be tried again automatically later.
}

// A row whose wait is computed: until the top of the hour, when the quota of an
// hour begins anew. It is too long to be slept, so the call ends with the time.
func ExampleRule_wait() {
	ctx := context.Background()
	srv, client, board := fake(pinterest.WithRules(pinterest.Rule{
		Name: "quota of the hour", Op: "pins/create", Status: 429,
		Wait: func(_ pinterest.Failure, now time.Time) time.Duration {
			return now.Truncate(time.Hour).Add(time.Hour).Sub(now)
		},
	}))
	defer srv.Close()
	srv.Inject(pinteresttest.Throttled(time.Second).On("pins/create"))

	_, err := client.Pins.Create(ctx, oak(board.ID))

	var failure *pinterest.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Disposition, "until", failure.RetryAt.Format(time.TimeOnly))
	}

	// Output:
	// park until 10:00:00
}

// A wait that cannot fit the deadline is not begun. The error says both what
// failed and why the library stopped.
func ExampleError_deadline() {
	srv, client, board := fake(pinterest.WithClock(pinteresttest.RealClock())) // by which a context's deadline goes
	defer srv.Close()
	srv.Inject(pinteresttest.Throttled(30 * time.Second).On("boards/get"))

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := client.Boards.Get(ctx, board.ID)

	fmt.Println("throttled:", errors.Is(err, pinterest.ErrThrottled))
	fmt.Println("deadline:", errors.Is(err, context.DeadlineExceeded))

	// Output:
	// throttled: true
	// deadline: true
}

// An account that is blocked as spam waits for a day here, not for the four
// hours of the table. What the row leaves unset it takes from the table.
func ExampleWithRules() {
	ctx := context.Background()
	srv, client, board := fake(pinterest.WithRules(pinterest.Rule{
		Name: "blocked for a day", Status: 429, Codes: []int{9}, Message: regexp.MustCompile(`(?i)hit a block`),
		Action: pinterest.ActionFail, ParkFor: 24 * time.Hour,
	}))
	defer srv.Close()
	srv.Inject(pinteresttest.SpamBlock().On("pins/create"))

	_, err := client.Pins.Create(ctx, oak(board.ID))

	var failure *pinterest.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Class, failure.Disposition, "by row", failure.Rule)
		fmt.Println("not before", failure.RetryAt.Format(time.DateTime))
	}

	// Output:
	// blocked park by row blocked for a day
	// not before 2026-07-10 09:30:00
}

// The table, row by row: conditions, action, class, disposition.
func ExampleDefaultRules() {
	for _, rule := range pinterest.DefaultRules() {
		fmt.Println(rule)
	}

	// Output:
	// canceled -> fail, ambiguous for a create -> canceled, park
	// certificate -> fail -> transport, review
	// bad request form -> fail -> transport, review
	// paced -> fail -> throttled, park
	// no token -> fail -> unauthenticated, review
	// scope not granted -> fail -> missing scope, fix
	// oversize answer -> fail, ambiguous for a create -> unusable response, review
	// unusable file -> fail -> unusable response, review
	// garbled answer -> back off, ambiguous for a create -> unusable response, park
	// not sent -> back off -> transport, park
	// unanswered -> back off, ambiguous for a create -> transport, park
	// 300-399 -> fail -> transport, review
	// 400 code 2787, 12 -> back off, ambiguous for a create -> server, park
	// 400 code 58 -> fail -> conflict, fix
	// 400 code 29 ~ \btrial access\b -> fail -> trial access, fix
	// 400 code none, 1 ~ could not fetch the image|unable to reach the url -> back off, 3 attempts -> media unreachable, park 15m
	// 400 ~ \bretry after\s+(\d+)\s+seconds?\b -> back off -> throttled, park
	// oauth/token 400-401 code invalid_grant -> fail -> unauthenticated, reauthorize
	// oauth/token 400-401 code invalid_client, unauthorized_client, unsupported_grant_type -> fail -> unauthenticated, review
	// oauth/token 401 code 2 -> fail -> unauthenticated, review
	// oauth/token 400-401 ~ application|consumer|client|\bapps?(?:[ _-]?ids?)?\b -> fail -> unauthenticated, review
	// oauth/token 400-401 code 283 -> fail -> unauthenticated, reauthorize
	// oauth/token 400-401 code none ~ ^$ -> back off -> unavailable, park
	// oauth/token 400-401 -> fail -> unauthenticated, review
	// 400 ~ \bprovided token has expired\b -> fail -> not found, fix
	// 400 -> fail -> invalid, fix
	// 401 code none ~ ^$ -> refresh once -> unavailable, park 1m
	// 401 code 3 ~ consumer type is not supported|restricted feature -> fail -> forbidden, fix
	// 401 code 3 -> fail -> missing scope, fix
	// 401 code 29 ~ \btrial access\b -> fail -> trial access, fix
	// 401 code 7, 29 -> fail -> forbidden, fix
	// 401 -> refresh once -> unauthenticated, reauthorize
	// 402 -> fail -> payment required, fix
	// 403 code 29 ~ \btrial access\b -> fail -> trial access, fix
	// 403 ~ \brequest has expired\b -> fail -> not found, fix
	// 403 -> fail -> forbidden, review
	// 404 -> fail -> not found, fix
	// 405 -> fail -> invalid, fix
	// 408 -> back off, ambiguous for a create -> unavailable, park
	// 409 ~ could not get exclusive access -> back off -> conflict, park
	// 409 -> fail -> conflict, fix
	// 410 -> fail -> not found, fix
	// 412 -> fail -> precondition failed, fix
	// 413 -> fail -> too large, fix
	// 415 -> fail -> invalid, fix
	// 422 -> fail -> invalid, fix
	// 425 -> back off, ambiguous for a create -> unavailable, park
	// 429 code 9 ~ \bblocked this link\b -> fail -> blocked link, fix
	// 429 code 9 ~ \bhit a block\b -> fail -> blocked, park 4h
	// 429 -> back off -> throttled, park
	// 400-499 -> fail -> invalid, fix
	// 501 -> fail -> not implemented, fix
	// 502-504 -> back off, ambiguous for a create -> unavailable, park
	// 500-599 -> back off, ambiguous for a create -> server, park
	// anything else -> fail, ambiguous for a create -> unknown, review
}
