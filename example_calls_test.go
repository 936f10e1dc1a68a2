package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// Pages are asked for as the loop reaches them. A short page is not the last one:
// only one without a bookmark is, and it may be empty.
func ExampleBoardsService_AllPins() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()
	for _, title := range []string{"Oak", "Birch", "Steel"} {
		srv.AddPin(board, pinteresttest.Pin{Title: title})
	}

	o := &pinterest.BoardPinsOptions{ListOptions: pinterest.ListOptions{PageSize: 2}}
	for pin, err := range client.Boards.AllPins(ctx, board.ID, o) {
		if err != nil {
			log.Panic(err)
		}
		fmt.Println(pin.Title)
	}
	fmt.Println("pages:", srv.Count("boards/list_pins"))

	// Output:
	// Steel
	// Birch
	// Oak
	// pages: 3
}

// A field of an update is set, cleared, or left as it is.
func ExamplePinsService_Update() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()
	old := srv.AddPin(board, pinteresttest.Pin{Title: "Oak", AltText: "A kitchen", Link: "https://shop.example/oak"})

	pin, err := client.Pins.Update(ctx, old.ID, pinterest.PinUpdate{
		Title:   pinterest.Set("Oak kitchen"),
		AltText: pinterest.Null[string](),
	})
	if err != nil {
		log.Panic(err)
	}
	fmt.Printf("%q %q %q\n", pin.Title, pin.AltText, pin.Link)

	// Output:
	// "Oak kitchen" "" "https://shop.example/oak"
}

// An observer sees each attempt, wait and look-up: here a gateway's 502, which
// is waited for.
func ExampleWithObserver() {
	ctx := context.Background()
	srv, client, board := fake(pinterest.WithObserver(func(e pinterest.Event) {
		switch e.Type {
		case pinterest.EventAttempt:
			fmt.Println(e.Operation, e.Type, e.Attempt.Number, e.Attempt.Status, e.Attempt.Class, "wait", e.Wait)
		case pinterest.EventDone:
			fmt.Println(e.Operation, e.Type, "attempts", e.Attempts)
		default: // a refresh or a look-up
			fmt.Println(e.Operation, e.Type, e.Err)
		}
	}))
	defer srv.Close()
	srv.Inject(pinteresttest.HTMLError(502).On("boards/get"))

	if _, err := client.Boards.Get(ctx, board.ID); err != nil {
		log.Panic(err)
	}

	// Output:
	// boards/get attempt 1 502 unavailable wait 2s
	// boards/get attempt 2 200 ok wait 0s
	// boards/get done attempts 2
}

// A dry run validates and shows the request, and sends nothing.
func ExampleDryRunTo() {
	ctx := context.Background()
	client, err := pinterest.New(pinterest.WithAccessToken("pina_secret"))
	if err != nil {
		log.Panic(err)
	}

	var request pinterest.DryRun
	if _, err := client.Pins.Create(ctx, oak("549755885175"), pinterest.DryRunTo(&request)); err != nil {
		log.Panic(err)
	}
	fmt.Println(request.Method, request.URL)
	fmt.Println(request.Header.Get("Authorization"))
	fmt.Println(string(request.Body))

	// Output:
	// POST https://api.pinterest.com/v5/pins
	// Bearer [redacted]
	// {"board_id":"549755885175","title":"Oak kitchen","link":"https://shop.example/oak","media_source":{"source_type":"image_url","url":"https://shop.example/oak.jpg"}}
}

// A Response tells what the result does not: the attempts and the quota.
func ExampleResponseTo() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()

	var res pinterest.Response
	if _, err := client.Boards.Get(ctx, board.ID, pinterest.ResponseTo(&res)); err != nil {
		log.Panic(err)
	}
	fmt.Println(res.Status, "after", len(res.Attempts), "attempt; request", res.RequestID)
	fmt.Println("left:", res.Rate.Remaining, "of", res.Rate.Limit, "in", res.Rate.Policy.Window)

	// Output:
	// 200 after 1 attempt; request 4826385600000001
	// left: 99 of 100 in 1s
}

// An attempt that hangs is given up and sent again. The call as a whole is
// bounded by its context.
func ExampleAttemptTimeout() {
	ctx := context.Background()
	srv, client, board := fake()
	defer srv.Close()
	srv.Inject(pinteresttest.Hanging().On("boards/get"))

	var res pinterest.Response
	got, err := client.Boards.Get(ctx, board.ID, pinterest.AttemptTimeout(time.Second), pinterest.ResponseTo(&res))
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(got.Name)
	for _, attempt := range res.Attempts {
		fmt.Println(attempt.Number, attempt.Phase, attempt.Status)
	}

	// Output:
	// Kitchens
	// 1 unanswered 0
	// 2 answered 200
}

// An operation that has no method yet is called with a description of it. It
// gets the same retries, refreshes and errors as all others.
func ExampleClient_Do() {
	ctx := context.Background()
	srv, client, _ := fake()
	defer srv.Close()

	userAccount := pinterest.Operation{
		ID: "user_account/get", Method: http.MethodGet, Path: "/user_account",
		Kind: pinterest.KindRead, Category: pinterest.CategoryOrgRead, Scopes: []pinterest.Scope{pinterest.ScopeUserAccountsRead},
	}
	var account struct {
		Username   string `json:"username"`
		BoardCount int    `json:"board_count"`
	}
	if err := client.Do(ctx, userAccount, pinterest.Request{}, &account); err != nil {
		log.Panic(err)
	}
	fmt.Println(account.Username, account.BoardCount)

	// Output:
	// alice 1
}

// A refused access token is refreshed once, and the new pair of tokens is stored
// before it is used.
func ExampleWithRefreshToken() {
	ctx := context.Background()
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	srv.AddBoard(alice, "Kitchens")
	srv.ExpireToken(alice.AccessToken)

	client, err := pinterest.New(
		pinterest.WithBaseURL(srv.URL),
		pinterest.WithRefreshToken(pinterest.RefreshConfig{
			ClientID: srv.App().ID, ClientSecret: srv.App().Secret,
			AccessToken: alice.AccessToken, RefreshToken: alice.RefreshToken,
			Store: func(_ context.Context, tok *oauth2.Token) error {
				fmt.Println("storing a new refresh token:", tok.RefreshToken != alice.RefreshToken)
				return nil // in one transaction with the access token
			},
		}),
	)
	if err != nil {
		log.Panic(err)
	}
	boards, err := client.Boards.List(ctx, nil)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("boards:", len(boards.Items), "token calls:", srv.Count("oauth/token"))

	// Output:
	// storing a new refresh token: true
	// boards: 1 token calls: 1
}

// A token source that cannot give a token any more.
func ExampleWithTokenSource() {
	ctx := context.Background()
	var source oauth2.TokenSource = disconnected{}
	client, err := pinterest.New(pinterest.WithTokenSource(source))
	if err != nil {
		log.Panic(err)
	}
	_, err = client.Boards.List(ctx, nil)
	var failure *pinterest.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Class, failure.Phase, failure.Disposition)
	}

	// Output:
	// unauthenticated not sent review
}

type disconnected struct{}

// Token fails: the account is not connected.
func (disconnected) Token() (*oauth2.Token, error) { return nil, errors.New("no account") }
