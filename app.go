package pinterest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/pinterest-go/pinterest/internal/apiclock"
)

// App is a Pinterest app. It has everything that its accounts share: the transport,
// the table, the limiter, the observers, the app's credentials and the token store.
// It is safe for concurrent use. A process needs only one.
type App struct {
	OAuth *OAuthService

	*core
}

// core is what the clients of an App have in common.
type core struct {
	appID      string
	base       *url.URL
	http       *http.Client
	userAgent  []string
	table      table
	policy     RetryPolicy
	clock      Clock
	apiClock   *apiclock.Offset
	limiter    Limiter // nil if calls are not paced
	ledger     Ledger
	maxBody    int64
	observers  []func(Event)
	logger     *slog.Logger
	rates      rateParser
	calls      atomic.Uint64 // the number of calls so far, for Event.Call
	appSecrets []string
	appAuth    []string // the Authorization header with the app's credentials; nil if there are none
	newTokens  func(c *Client) *tokens
	anyScope   bool       // scopes are not checked before sending
	store      TokenStore // nil if New has another source of tokens
	oauth      OAuth
	accounts   accountRegistry
	work       *work
	renewals   chan struct{} // has room for as many renewals as may be under way
}

// NewApp returns an app. [WithTokenStore] sets the store of its accounts' tokens.
// NewApp sends nothing. The error says which option is not valid.
func NewApp(opts ...Option) (*App, error) {
	cfg := newConfig("NewApp", opts)
	core, err := cfg.core()
	if err != nil {
		return nil, err
	}
	return &App{&OAuthService{core}, core}, nil
}

// New returns a client for a single account. It needs one source of tokens:
// [WithAccessToken], [WithTokenSource], [WithRefreshToken] or [WithTokenStore].
// Everything else has a default. New sends nothing. The error says which option
// is not valid.
func New(opts ...Option) (*Client, error) {
	cfg := newConfig("New", opts)
	core, err := cfg.core()
	if err != nil {
		return nil, err
	}
	return core.client(cfg.account), nil
}

// Client returns a client for an account. It is cheap, so a program can call it
// whenever it needs a client. All clients of an account share its tokens, its retry
// budget and the record of its creates. A name that is not valid UTF-8, or one that
// the library has reserved (see [TokenStore]), is the error of each call, an
// [ErrInvalid].
//
// A client calls for one Pinterest user. If the account is connected again to another
// user, calls of the clients that were made before end with [ErrOtherUser]; those
// of a new client are for the new user.
func (a *App) Client(account string) *Client { return a.client(account) }

// Usage returns how much of its rate limits an account has used: one entry for each
// limit in use, including those of the app. It returns no entries if there were no
// calls for a while or if calls are not paced. It fails if the [Limiter] fails, or if no
// account can have that name.
func (a *App) Usage(ctx context.Context, account string) ([]Usage, error) {
	if err := checkAccount(account); err != nil {
		return nil, fmt.Errorf("pinterest: usage: %w", err)
	}
	if a.limiter == nil {
		return nil, nil
	}
	return a.limiter.Usage(ctx, a.appID, account)
}

// String returns the base URL and the id of the app, without credentials.
func (a App) String() string { return "pinterest.App(" + a.base.String() + " " + a.appID + ")" }

// Format keeps every verb of fmt from printing more than String does.
func (a App) Format(f fmt.State, verb rune) { formatAs(f, verb, a.String()) }

// client makes a client and its services in one allocation.
func (k *core) client(name string) *Client {
	c := &struct {
		Client
		pins     PinsService
		boards   BoardsService
		sections SectionsService
		acct     AccountService
	}{Client: Client{core: k}}
	c.pins.client, c.boards.client, c.sections.client, c.acct.client = &c.Client, &c.Client, &c.Client, &c.Client
	c.Pins, c.Boards, c.Sections, c.Account = &c.pins, &c.boards, &c.sections, &c.acct
	c.account = k.accounts.get(name, &c.Client)
	c.user.Store(c.tokens.user.Load())
	return &c.Client
}
