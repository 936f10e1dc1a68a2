package pinterest

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
)

// App is one Pinterest app and what its accounts share: the transport, the
// table, the limiter, the observers, the app's credentials and the token store.
// It is safe for concurrent use, and a process needs one.
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
	skew       *skew
	limiter    Limiter // nil: calls are not paced
	ledger     Ledger
	maxBody    int64
	observers  []func(Event)
	logger     *slog.Logger
	rates      rateParser
	calls      atomic.Uint64 // how many there were, for Event.Call
	appSecrets []string
	newTokens  func(c *Client) *tokens
	anyScope   bool       // scopes are not checked before sending
	store      TokenStore // nil: New has its own source of tokens
	oauth      OAuth
	states     usedStates
	accounts   accountRegistry
}

// NewApp returns an app whose accounts' tokens are in a [TokenStore], which
// [WithTokenStore] names. It sends nothing.
func NewApp(opts ...Option) (*App, error) {
	cfg := newConfig("NewApp", opts)
	core, err := cfg.core()
	if err != nil {
		return nil, err
	}
	return &App{&OAuthService{core}, core}, nil
}

// New returns a client for one account: an [App] of one. It needs one source of
// tokens: [WithAccessToken], [WithTokenSource], [WithRefreshToken] or
// [WithTokenStore]; all else has a default. It sends nothing.
func New(opts ...Option) (*Client, error) {
	cfg := newConfig("New", opts)
	core, err := cfg.core()
	if err != nil {
		return nil, err
	}
	return core.client(cfg.account), nil
}

// Client returns a client for an account. It is cheap: an application may ask
// for one whenever it needs one. All clients of one account share what is
// learned about it (tokens, creates under way).
func (a *App) Client(account string) *Client { return a.client(account) }

// Usage returns where an account stands with its rate limits, those of the app
// included: one entry for each limit in use, none when nothing was called for
// a while.
func (a *App) Usage(ctx context.Context, account string) ([]Usage, error) {
	if a.limiter == nil {
		return nil, nil
	}
	return a.limiter.Usage(ctx, a.appID, account)
}

// String names the app by its base URL and id; it prints no credentials.
func (a *App) String() string { return "pinterest.App(" + a.base.String() + " " + a.appID + ")" }

// GoString keeps %#v from printing more than String does.
func (a *App) GoString() string { return a.String() }

// client makes a client in one piece.
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
	return &c.Client
}
