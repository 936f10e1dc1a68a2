package pinterest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// fakeApp starts a server and an app for it, which live by one clock, with two
// connected accounts, "shop-1" and "shop-2".
func fakeApp(opts ...pinterest.Option) (*pinteresttest.Server, *pinteresttest.Clock, *pinterest.App) {
	clock := pinteresttest.NewClock(start)
	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
	store := pinterest.NewMemoryTokenStore()
	for _, name := range []string{"shop-1", "shop-2"} {
		owner := srv.AddAccount("owner of " + name)
		tok := pinterest.Token{AccessToken: owner.AccessToken, RefreshToken: owner.RefreshToken, Expiry: start.Add(24 * time.Hour)}
		if _, err := store.Save(context.Background(), name, &tok); err != nil {
			log.Panic(err)
		}
	}
	app, err := pinterest.NewApp(append([]pinterest.Option{
		pinterest.WithTokenStore(store), pinterest.WithBaseURL(srv.URL), pinterest.WithClock(clock),
		pinterest.WithOAuth(pinterest.OAuth{ClientID: srv.App().ID, ClientSecret: srv.App().Secret}),
	}, opts...)...)
	if err != nil {
		log.Panic(err)
	}
	return srv, clock, app
}

// An App serves any number of accounts. A client costs next to nothing: ask for
// one whenever a job comes in.
func ExampleNewApp() {
	ctx := context.Background()
	srv, _, app := fakeApp()
	defer srv.Close()

	for _, account := range []string{"shop-1", "shop-2", "shop-3"} {
		board, err := app.Client(account).Boards.Create(ctx, pinterest.BoardCreate{Name: "Kitchens"})
		switch {
		case errors.Is(err, pinterest.ErrDisconnected):
			fmt.Println(account, "has to be connected first")
		case err != nil:
			log.Panic(err)
		default:
			fmt.Println(account, "has the board", board.Name)
		}
	}

	// Output:
	// shop-1 has the board Kitchens
	// shop-2 has the board Kitchens
	// shop-3 has to be connected first
}

// A process that is told to end calls Shutdown before it leaves: a rotated refresh
// token that is not saved yet would be lost, and its account with it.
func ExampleApp_Shutdown() {
	srv, _, app := fakeApp()
	defer srv.Close()

	term, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	stop() // here the program serves its users until term has ended
	<-term.Done()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		log.Panic(err) // it names the accounts that are left
	}

	_, err := app.Client("shop-1").Account.Get(context.Background())
	fmt.Println(errors.Is(err, pinterest.ErrShutdown))

	// Output:
	// true
}

// The accounts in the store, for a settings page or an operator.
func ExampleApp_Accounts() {
	ctx := context.Background()
	srv, _, app := fakeApp()
	defer srv.Close()

	for acct, err := range app.Accounts(ctx) {
		if err != nil {
			log.Panic(err)
		}
		fmt.Println(acct.Account, acct.State, "until", acct.Expiry.Format(time.DateOnly))
	}

	// Output:
	// shop-1 connected until 2026-07-10
	// shop-2 connected until 2026-07-10
}

// Tokens are refreshed on a schedule, by one process of a fleet at a time.
func ExampleApp_RefreshEvery() {
	srv, _, app := fakeApp()
	defer srv.Close()

	ctx, stop := context.WithCancel(context.Background())
	_ = app.RefreshEvery(ctx, 12*time.Hour, func(report pinterest.RefreshReport, err error) {
		if err != nil {
			log.Panic(err)
		}
		for _, account := range slices.Sorted(maps.Keys(report.Accounts)) {
			fmt.Println(account, report.Accounts[account].Outcome)
		}
		stop() // the example ends here
	})

	// Output:
	// shop-1 refreshed
	// shop-2 refreshed
}

// Where an account stands with its limits. What was sent by other processes is
// counted where the API's headers told of it.
func ExampleApp_Usage() {
	ctx := context.Background()
	srv, _, app := fakeApp()
	defer srv.Close()

	client := app.Client("shop-1")
	for i := range 5 {
		if _, err := client.Boards.Create(ctx, pinterest.BoardCreate{Name: fmt.Sprintf("Board %d", i)}); err != nil {
			log.Panic(err)
		}
	}
	usage, err := app.Usage(ctx, "shop-1")
	if err != nil {
		log.Panic(err)
	}
	for _, u := range usage {
		if u.Category == pinterest.CategoryOrgWrite {
			fmt.Printf("%s: %d of %d used, %d free\n", u.Limit, u.Used, u.Max, u.Free)
		}
	}

	// Output:
	// org_write: 5 of 100 used, 95 free
}

// Thirty boards at once are more than the burst that a rested account has. The
// library sends them at the pace of the limit: none is refused, and whoever
// watches hears that calls wait, and why.
func ExampleWithObserver_pacing() {
	ctx := context.Background()
	var waits, refusals int
	srv, clock, app := fakeApp(pinterest.WithObserver(func(e pinterest.Event) {
		switch {
		case e.Type == pinterest.EventPace:
			waits++
		case e.Type == pinterest.EventAttempt && e.Attempt.Status == http.StatusTooManyRequests:
			refusals++
		}
	}))
	defer srv.Close()

	began := clock.Now()
	for i := range 30 {
		if _, err := app.Client("shop-1").Boards.Create(ctx, pinterest.BoardCreate{Name: fmt.Sprintf("Board %d", i)}); err != nil {
			log.Panic(err)
		}
	}
	fmt.Println("429s:", refusals)
	fmt.Println("waited for their turn:", waits)
	fmt.Println("took", clock.Now().Sub(began).Round(time.Second))

	// Output:
	// 429s: 0
	// waited for their turn: 20
	// took 13s
}

// A call that a person waits for goes before the bulk work of its account.
func ExampleAtPriority() {
	ctx := context.Background()
	srv, _, app := fakeApp()
	defer srv.Close()

	_, err := app.Client("shop-1").Boards.Create(ctx, pinterest.BoardCreate{Name: "Kitchens"},
		pinterest.AtPriority(pinterest.PriorityInteractive))
	fmt.Println(err)

	// Output:
	// <nil>
}

// A call whose turn would come after its deadline is not begun. The error says
// when there will be room.
func ExamplePaceError() {
	srv := pinteresttest.NewServer(pinteresttest.WithQuotas(map[string]pinteresttest.Quota{"org_write": {Limit: 1, Window: 360 * 24 * time.Hour}}))
	defer srv.Close()
	client, err := pinterest.New(pinterest.WithAccessToken(srv.AddAccount("alice").AccessToken), pinterest.WithBaseURL(srv.URL))
	if err != nil {
		log.Panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := client.Boards.Create(ctx, pinterest.BoardCreate{Name: "Kitchens"}); err != nil {
		log.Panic(err)
	}
	_, err = client.Boards.Create(ctx, pinterest.BoardCreate{Name: "Gardens"})
	var failure *pinterest.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Disposition, errors.Is(err, pinterest.ErrPaced), errors.Is(err, context.DeadlineExceeded))
		fmt.Println("RetryAt is when the quota is free again:", time.Until(failure.RetryAt) > 0)
	}

	// Output:
	// park true true
	// RetryAt is when the quota is free again: true
}

// What to ask an account's owner for follows from what the program calls.
func ExampleScopesFor() {
	fmt.Println(pinterest.ScopesFor(pinterest.OpPinsCreate, pinterest.OpUserAccountGet))

	// Output:
	// [boards:read boards:write pins:read pins:write user_accounts:read]
}

// Two handlers connect accounts: one sends the browser to Pinterest, the other
// takes it back.
func ExampleOAuthService_LoginHandler() {
	app, err := pinterest.NewApp(
		pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()), // or filestore, or the module sqlstore
		pinterest.WithOAuth(pinterest.OAuth{
			ClientID: "1478036", ClientSecret: "from your configuration",
			RedirectURL: "https://scheduler.example/pinterest/callback",
			Scopes:      pinterest.ScopesFor(pinterest.OpPinsCreate, pinterest.OpUserAccountGet),
		}),
	)
	if err != nil {
		log.Panic(err)
	}
	account := func(r *http.Request) (string, error) {
		return "shop-1", nil // the account that your own session of this request is for
	}
	done := func(w http.ResponseWriter, r *http.Request, conn *pinterest.Connection, err error) {
		if err != nil {
			http.Redirect(w, r, "/settings?connected=no", http.StatusSeeOther)
			return
		}
		http.Redirect(w, r, "/settings?connected="+conn.Account, http.StatusSeeOther)
	}
	http.Handle("GET /pinterest/login", app.OAuth.LoginHandler(account))
	http.Handle("GET /pinterest/callback", app.OAuth.CallbackHandler(account, done))
}

// A session that has several accounts: the callback is for one of them, which the
// session must have.
func ExampleOAuthService_LoginAccount() {
	ctx := context.Background()
	const redirect = "https://scheduler.example/pinterest/callback"
	srv := pinteresttest.NewServer(pinteresttest.WithRedirectURIs(redirect))
	defer srv.Close()
	app, err := pinterest.NewApp(
		pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()), pinterest.WithBaseURL(srv.URL),
		pinterest.WithOAuth(pinterest.OAuth{
			ClientID: srv.App().ID, ClientSecret: srv.App().Secret, RedirectURL: redirect,
			Scopes: pinterest.ScopesFor(pinterest.OpUserAccountGet),
		}),
	)
	if err != nil {
		log.Panic(err)
	}
	accountsOf := func(*http.Request) []string { return []string{"shop-1", "shop-2"} } // of your own session
	account := func(r *http.Request) (string, error) {
		name, err := app.OAuth.LoginAccount(r)
		if err == nil && !slices.Contains(accountsOf(r), name) {
			err = errors.New("the login is for an account of somebody else")
		}
		return name, err
	}
	callback := app.OAuth.CallbackHandler(account, func(_ http.ResponseWriter, _ *http.Request, conn *pinterest.Connection, err error) {
		if err != nil {
			fmt.Println("not connected:", errors.Is(err, pinterest.ErrState))
			return
		}
		fmt.Println(conn.Account, "is connected to", conn.User.Username)
	})

	for _, name := range []string{"shop-2", "shop-3"} {
		login, err := app.OAuth.Login(name)
		if err != nil {
			log.Panic(err)
		}
		back, err := srv.Authorize(login.URL, srv.AddAccount("oakandlinen"))
		if err != nil {
			log.Panic(err)
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, back, nil)
		r.AddCookie(login.Cookie)
		callback.ServeHTTP(httptest.NewRecorder(), r)
	}

	// Output:
	// shop-2 is connected to oakandlinen
	// not connected: true
}

// A job that runs once a day keeps every account connected, those as well that
// nobody has called for in weeks.
func ExampleApp_RefreshDue() {
	ctx := context.Background()
	srv, _, app := fakeApp()
	defer srv.Close()

	report, err := app.RefreshDue(ctx)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("refreshed:", report.Refreshed, "failed:", len(report.Failed))

	// Output:
	// refreshed: 2 failed: 0
}
