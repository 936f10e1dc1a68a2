package pinterest

import (
	"context"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/pinterest-go/pinterest/internal/apiclock"
	"github.com/pinterest-go/pinterest/internal/redact"
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
	apiClock   *apiclock.Offset
	limiter    Limiter // nil: calls are not paced
	ledger     Ledger
	maxBody    int64
	observers  []func(Event)
	logger     *slog.Logger
	rates      rateParser
	calls      atomic.Uint64 // how many there were, for Event.Call
	appSecrets []string
	appAuth    []string // the Authorization of the app's credentials; nil: there are none
	newTokens  func(c *Client) *tokens
	anyScope   bool       // scopes are not checked before sending
	store      TokenStore // nil: New has its own source of tokens
	oauth      OAuth
	states     usedStates
	accounts   accounts
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

// account is what is known of one account, and shared by its clients.
type account struct {
	name     string
	tokens   *tokens
	registry *registry
	budget   *retryBudget
	secrets  *redact.Secrets
}

func newAccount(name string, c *Client) *account {
	// The tokens need a client of their own, to renew with.
	own := &Client{core: c.core}
	own.account = &account{
		name: name, registry: newRegistry(c.clock), budget: newRetryBudget(c.policy.Budget), secrets: redact.New(c.appSecrets...),
	}
	own.tokens = c.newTokens(own)
	own.registry.keep = func() { c.accounts.hold(own.account) }
	return own.account
}

// accounts finds the account of a name. While anyone holds an account there is
// no second one of its name, and for a time it is held here, so that what it
// remembers of creates is not lost between two calls.
type accounts struct {
	clock  Clock
	pinned sync.Map // *account to true: those that must not be let go, whatever time has passed
	seed   maphash.Seed
	shards [shardCount]accountShard
}

type accountShard struct {
	mu    sync.Mutex
	known map[string]weak.Pointer[account]
	young map[string]*account // held: asked for in this generation
	old   map[string]*account // or in the last one
	turn  time.Time           // when the next generation begins
	next  uint8               // the shard to look after next
}

func (as *accounts) get(name string, c *Client) *account {
	sh := &as.shards[maphash.String(as.seed, name)%shardCount]
	now := as.clock.Now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	as.lookAfter(sh, now)
	acct := sh.young[name]
	if acct != nil {
		return acct
	}
	if acct = sh.old[name]; acct == nil {
		acct = sh.known[name].Value() // someone else holds it
	}
	if acct == nil {
		acct = newAccount(name, c)
		if sh.known == nil {
			sh.known = map[string]weak.Pointer[account]{}
		}
		sh.known[name] = weak.Make(acct)
		runtime.AddCleanup(acct, sh.forget, name)
	}
	sh.hold(acct)
	return acct
}

// hold keeps an account for a time from now on.
func (as *accounts) hold(acct *account) {
	sh := &as.shards[maphash.String(as.seed, acct.name)%shardCount]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	as.lookAfter(sh, as.clock.Now())
	sh.hold(acct)
}

func (sh *accountShard) hold(acct *account) {
	if sh.young == nil {
		sh.young = map[string]*account{}
	}
	sh.young[acct.name] = acct
}

// lookAfter begins the shard's next generation when it is time, and that of one
// other shard.
func (as *accounts) lookAfter(sh *accountShard, now time.Time) {
	sh.generation(now)
	sh.next++
	if other := &as.shards[sh.next]; other != sh && other.mu.TryLock() {
		other.generation(now)
		other.mu.Unlock()
	}
}

func (sh *accountShard) generation(now time.Time) {
	if now.Before(sh.turn) {
		return
	}
	if now.Sub(sh.turn) > memory { // nobody has been here for two generations
		sh.young = nil
	}
	sh.old, sh.young, sh.turn = sh.young, nil, now.Add(memory)
}

// forget drops the name of an account that nobody holds any more.
func (sh *accountShard) forget(name string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.known[name].Value() == nil { // else there is a new one
		delete(sh.known, name)
	}
}
