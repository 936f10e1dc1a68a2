package pinteresttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// createPin stands for the code under test: it creates a pin and does not check
// afterwards whether the pin exists.
func createPin(srv *pinteresttest.Server, token, boardID, title string) (status int, err error) {
	body := fmt.Sprintf(`{"board_id": %q, "title": %q,
		"media_source": {"source_type": "image_url", "url": "https://example.com/oak.jpg"}}`, boardID, title)
	req, err := http.NewRequest("POST", srv.URL+"/pins", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return res.StatusCode, nil
}

// Without faults the server behaves like the API when nothing goes wrong.
func Example() {
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")

	status, err := createPin(srv, alice.AccessToken, board.ID, "Oak")
	fmt.Println(status, err)
	status, err = createPin(srv, alice.AccessToken, "Kitchens", "Oak") // the name is no id
	fmt.Println(status, err)

	for _, pin := range srv.Pins(board.ID) {
		fmt.Println(pin.Account, pin.Title, pin.Source)
	}
	for _, r := range srv.Requests() {
		fmt.Println(r.Operation, r.Status, r.Code, r.Committed)
	}
	// Output:
	// 201 <nil>
	// 400 <nil>
	// alice Oak image_url https://example.com/oak.jpg
	// pins/create 201 0 true
	// pins/create 400 1 false
}

// The connection breaks after the pin was created. A client that simply retries
// creates a second one.
func ExampleServer_Duplicates() {
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	srv.Inject(pinteresttest.ConnectionReset().On("pins/create").AfterTheCommit())

	_, err := createPin(srv, alice.AccessToken, board.ID, "Oak")
	fmt.Println("failed:", err != nil)
	status, _ := createPin(srv, alice.AccessToken, board.ID, "Oak")
	fmt.Println("tried again:", status)
	for _, group := range srv.Duplicates() {
		fmt.Println(len(group), "pins alike:", group[0].Title)
	}
	// Output:
	// failed: true
	// tried again: 201
	// 2 pins alike: Oak
}

func ExampleServer_Inject() {
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	srv.Inject(
		pinteresttest.Throttled(30*time.Second).On("pins/create"),
		pinteresttest.ServerError(503).On("pins/create").Repeat(2),
		pinteresttest.Fault{Operation: "pins/create", Status: 403, Code: 29, Message: "Not today."},
		pinteresttest.SpamBlock().On("pins/save").Named("never met"),
	)

	for range 5 {
		status, _ := createPin(srv, alice.AccessToken, board.ID, "Oak")
		fmt.Println(status)
	}
	for _, fault := range srv.PendingFaults() {
		fmt.Println(fault.Name)
	}
	// Output:
	// 429
	// 503
	// 503
	// 403
	// 201
	// never met
}

// Which requests fail depends on what is in them.
func ExampleServer_InjectFunc() {
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	srv.InjectFunc(func(r *pinteresttest.Request) *pinteresttest.Fault {
		var pin struct{ Title string }
		if json.Unmarshal(r.Body, &pin) == nil && strings.HasPrefix(pin.Title, "Oak") {
			fault := pinteresttest.SomethingWentWrong()
			return &fault
		}
		return nil
	})

	for _, title := range []string{"Elm", "Oak", "Oak, solid", "Ash"} {
		status, _ := createPin(srv, alice.AccessToken, board.ID, title)
		fmt.Println(title, status)
	}
	// Output:
	// Elm 201
	// Oak 400
	// Oak, solid 400
	// Ash 201
}

// With a fake clock a quota's minute passes at once.
func ExampleWithQuotas() {
	clock := pinteresttest.NewClock(time.Date(2026, time.July, 9, 9, 30, 20, 0, time.UTC))
	srv := pinteresttest.NewServer(
		pinteresttest.WithClock(clock),
		pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_write": {Limit: 2, Window: time.Minute}}),
	)
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")

	for range 4 {
		status, _ := createPin(srv, alice.AccessToken, board.ID, "Oak")
		fmt.Println(clock.Now().Format(time.TimeOnly), status)
		if status == http.StatusTooManyRequests {
			_ = clock.Sleep(context.Background(), 40*time.Second) // as x-ratelimit-reset says
		}
	}
	fmt.Println(clock.Slept())
	// Output:
	// 09:30:20 201
	// 09:30:20 201
	// 09:30:20 429
	// 09:31:00 201
	// [40s]
}

// A manual clock shows how many sleeps are in progress.
func ExampleNewManualClock() {
	clock := pinteresttest.NewManualClock(time.Date(2026, time.July, 9, 9, 30, 0, 0, time.UTC))
	ctx := context.Background()
	done := make(chan error)
	go func() { done <- clock.Sleep(ctx, time.Minute) }()

	_ = clock.BlockUntil(ctx, 1)
	clock.Advance(59 * time.Second)
	fmt.Println(clock.Waiters(), "waits")
	clock.Advance(time.Second)
	fmt.Println(<-done, clock.Now().Format(time.TimeOnly))
	// Output:
	// 1 waits
	// <nil> 09:31:00
}

// A pin can be read by id before it appears in lists.
func ExampleServer_SetListLag() {
	clock := pinteresttest.NewClock(time.Date(2026, time.July, 9, 9, 30, 0, 0, time.UTC))
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	clock.Advance(time.Minute)
	srv.SetListLag(5 * time.Second)
	pin := srv.AddPin(board, pinteresttest.Pin{Title: "Oak"})

	look := func(path string) bool {
		req, _ := http.NewRequest("GET", srv.URL+path, nil)
		req.Header.Set("Authorization", "Bearer "+alice.AccessToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		var answer struct {
			ID    string
			Items []struct{ ID string }
		}
		_ = json.NewDecoder(res.Body).Decode(&answer)
		return answer.ID == pin.ID || len(answer.Items) > 0
	}
	fmt.Println(look("/pins/"+pin.ID), look("/pins"))
	clock.Advance(5 * time.Second)
	fmt.Println(look("/pins"))
	// Output:
	// true false
	// true
}

// A create ends uncertain if its answer is lost and the list cannot be read either.
// When the list is back, the client finds the pin.
func Example_uncertainCreate() {
	ctx := context.Background()
	clock := pinteresttest.NewClock(time.Date(2026, time.July, 9, 9, 30, 0, 0, time.UTC))
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	client, err := pinterest.New(
		pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL), pinterest.WithClock(clock),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	srv.Inject(
		pinteresttest.ConnectionReset().On("pins/create").AfterTheCommit(),
		pinteresttest.ServerError(503).On("boards/list_pins").Repeat(pinteresttest.Forever),
	)

	_, err = client.Pins.Create(ctx, pinterest.PinCreate{
		BoardID: board.ID, Title: "Oak", MediaSource: pinterest.ImageURL("https://example.com/oak.jpg"),
	})
	fmt.Println("uncertain:", errors.Is(err, pinterest.ErrUncertain), "pins:", len(srv.Pins(board.ID)))

	srv.ClearFaults()
	var failure *pinterest.Error
	if !errors.As(err, &failure) {
		return
	}
	found, err := client.Pins.Resolve(ctx, *failure.Uncertain)
	fmt.Println(found.Outcome, err)
	// Output:
	// uncertain: true pins: 1
	// created <nil>
}

// A person would open the page in a browser and press a button.
func ExampleServer_Authorize() {
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	srv.AddRedirectURI("http://127.0.0.1:8080/callback")
	query := url.Values{
		"client_id": {srv.App().ID}, "redirect_uri": {"http://127.0.0.1:8080/callback"},
		"response_type": {"code"}, "scope": {"boards:read,pins:read"}, "state": {"xyz"},
	}

	redirect, err := srv.Authorize(srv.AuthorizeURL()+"?"+query.Encode(), alice)
	if err != nil {
		fmt.Println(err)
		return
	}
	back, _ := url.Parse(redirect)
	fmt.Println(back.Path, back.Query().Get("state"))

	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
		"redirect_uri": {"http://127.0.0.1:8080/callback"},
	}
	for range 2 {
		req, _ := http.NewRequest("POST", srv.URL+"/oauth/token", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(srv.App().ID, srv.App().Secret)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		var answer struct{ Scope, Message string }
		_ = json.NewDecoder(res.Body).Decode(&answer)
		_ = res.Body.Close()
		fmt.Println(res.StatusCode, answer.Scope+answer.Message)
	}
	fmt.Println(srv.CountTokenCalls(alice, "authorization_code"))
	// Output:
	// /callback xyz
	// 200 boards:read pins:read
	// 401 The authorization grant is invalid
	// 2
}

// Two processes share a refresh token. The second does not know that the first has
// used it.
func ExampleServer_Reuses() {
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {alice.RefreshToken}}
	for range 2 {
		req, _ := http.NewRequest("POST", srv.URL+"/oauth/token", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(srv.App().ID, srv.App().Secret)
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}
	for _, r := range srv.Reuses() {
		fmt.Println(r.Account, r.Status, r.Code)
	}
	// Output: alice 401 283
}

// A server without a socket, for example for a bubble of testing/synctest.
func ExampleNewMemoryServer() {
	srv := pinteresttest.NewMemoryServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	srv.Inject(pinteresttest.ConnectionReset())
	client := http.Client{Transport: srv.Transport()}

	for range 2 {
		req, _ := http.NewRequest("GET", srv.URL+"/user_account", nil)
		req.Header.Set("Authorization", "Bearer "+alice.AccessToken)
		res, err := client.Do(req)
		if err != nil {
			fmt.Println("reset:", errors.Is(err, syscall.ECONNRESET))
			continue
		}
		_ = res.Body.Close()
		fmt.Println(res.StatusCode)
	}
	// Output:
	// reset: true
	// 200
}

// Another process of the app has used most of the quota that they share.
func ExampleServer_Spend() {
	clock := pinteresttest.NewClock(time.Date(2026, time.July, 9, 9, 30, 20, 0, time.UTC))
	srv := pinteresttest.NewServer(
		pinteresttest.WithClock(clock),
		pinteresttest.WithAppQuota("org_write", "org_write_app_id", pinteresttest.Quota{Limit: 80}),
	)
	defer srv.Close()
	alice, bob := srv.AddAccount("alice"), srv.AddAccount("bob")
	board := srv.AddBoard(alice, "Kitchens")

	srv.Spend(bob, "org_write", 79)
	for range 2 {
		status, _ := createPin(srv, alice.AccessToken, board.ID, "Oak")
		fmt.Println(status)
	}
	app := srv.Quota(alice, "org_write_app_id")
	fmt.Println(app.Used, app.Remaining, app.Reset.Sub(clock.Now()))
	fmt.Println(srv.Quota(alice, "org_write").Used, srv.CountThrottled(alice))
	// Output:
	// 201
	// 429
	// 81 0 40s
	// 2 1
}
