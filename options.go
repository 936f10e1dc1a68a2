package pinterest

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest/internal/apiclock"
	"github.com/pinterest-go/pinterest/internal/realclock"
)

// The base URLs of the API.
const (
	ProductionURL = "https://api.pinterest.com/v5"
	// SandboxURL needs sandbox tokens. It refuses production tokens.
	SandboxURL = "https://api-sandbox.pinterest.com/v5"
)

// Option configures an [App], or a [Client] that [New] returns.
type Option func(*config)

type config struct {
	maker     string // New or NewApp
	account   string
	appID     string
	access    *Access
	quotas    map[Category]Quota
	limiter   Limiter
	unpaced   bool
	base      string
	http      *http.Client
	userAgent string
	clock     Clock
	maxBody   int64
	policy    RetryPolicy
	rules     []Rule
	observers []func(Event)
	logger    *slog.Logger
	ledger    Ledger

	sources []string // names of the options that set tokens; exactly one is valid
	static  string
	source  oauth2.TokenSource
	refresh *RefreshConfig
	store   TokenStore
	oauth   OAuth

	follow    time.Duration
	hasFollow bool
	hasOAuth  bool
	anyScope  bool
	nilOption int // the number of an option that is nil; 0 if there is none
}

// WithAccessToken uses one access token ("pina_...", without "Bearer"). It is never
// refreshed: after it has expired, calls end with disposition reauthorize.
func WithAccessToken(token string) Option {
	return func(c *config) { c.sources, c.static = append(c.sources, "WithAccessToken"), token }
}

// WithTokenSource gets tokens from src: when the last one has expired, and once
// after a 401. For Pinterest's rotating refresh tokens, [WithRefreshToken] is
// better: the sources of package oauth2 do not report that a token was rotated, and
// nobody can tell them that the API refused one.
func WithTokenSource(src oauth2.TokenSource) Option {
	return func(c *config) { c.sources, c.source = append(c.sources, "WithTokenSource"), src }
}

// WithRefreshToken refreshes the access token before it expires, and once after a
// 401. See [RefreshConfig].
func WithRefreshToken(cfg RefreshConfig) Option {
	return func(c *config) { c.sources, c.refresh = append(c.sources, "WithRefreshToken"), &cfg }
}

// WithTokenStore loads the tokens of all accounts from a store and saves refreshed
// ones there. To refresh tokens it needs the app's credentials ([WithOAuth]).
// Without them it uses the tokens that other processes have refreshed.
func WithTokenStore(s TokenStore) Option {
	return func(c *config) { c.sources, c.store = append(c.sources, "WithTokenStore"), s }
}

// WithOAuth sets the app's credentials. They are needed to connect accounts and to
// refresh tokens in a [TokenStore].
func WithOAuth(o OAuth) Option { return func(c *config) { c.oauth, c.hasOAuth = o, true } }

// WithoutScopeCheck also sends calls whose token is known to lack a scope.
func WithoutScopeCheck() Option { return func(c *config) { c.anyScope = true } }

// WithAccount sets the account name of a client that [New] returns. The name is used
// in its events, its token store, its ledger and its [Limiter]. The clients of an
// [App] get their names from [App.Client].
func WithAccount(account string) Option { return func(c *config) { c.account = account } }

// WithAppID sets the id of the Pinterest app. A shared [Limiter] or [Ledger] needs
// it to distinguish apps. The default is the ClientID of the app's credentials, if
// they are set.
func WithAppID(id string) Option { return func(c *config) { c.appID = id } }

// WithAccess sets the access that Pinterest has granted to the app. It determines
// the rate limits. The default is [AccessStandard].
func WithAccess(a Access) Option { return func(c *config) { c.access = &a } }

// WithQuota sets one rate limit of each account in advance: that of a category, or,
// with [CategoryAll], that of all categories together. The zero Quota means that the
// limit is not known. The API's headers correct it, up or down.
func WithQuota(category Category, q Quota) Option {
	return func(c *config) {
		if c.quotas == nil {
			c.quotas = map[Category]Quota{}
		}
		c.quotas[category] = q
	}
}

// WithLimiter paces calls with l instead of a [Pacer] of the App's own. l may be a
// limiter that several Apps of a process share, or one for a fleet, such as that of
// module redislimit. Set its limits where you create it.
func WithLimiter(l Limiter) Option { return func(c *config) { c.limiter = l } }

// WithoutPacing turns pacing off. It is for programs that pace their calls
// themselves.
func WithoutPacing() Option { return func(c *config) { c.unpaced = true } }

// WithSandbox uses the API's sandbox, [SandboxURL].
func WithSandbox() Option { return WithBaseURL(SandboxURL) }

// WithBaseURL uses another base URL, whose path must end with /v5. It must be https,
// or http to a loopback address, for tests. Tokens are sent only to its host.
func WithBaseURL(u string) Option { return func(c *config) { c.base = u } }

// WithHTTPClient sends requests with h: its transport, cookies and timeout. Its
// redirect policy is ignored, because redirects are never followed. The default
// client opens at most 64 connections to a host and keeps them open.
func WithHTTPClient(h *http.Client) Option { return func(c *config) { c.http = h } }

// WithRetry replaces the defaults of [RetryPolicy]. Fields that are zero keep them.
func WithRetry(p RetryPolicy) Option { return func(c *config) { c.policy = p } }

// WithRules puts rows in front of the table ([DefaultRules]). The first row
// that matches decides.
func WithRules(rules ...Rule) Option {
	return func(c *config) { c.rules = append(c.rules, rules...) }
}

// WithLogger logs what the library does: attempts at Debug; waits, refreshes
// and look-ups at Info; failures at Warn. No credentials are logged.
func WithLogger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

// WithObserver calls f with every [Event], in the goroutine of the call or of the
// token refresh. f must be fast and safe for concurrent use. It must not wait for a
// call of the same account: the call may wait for the refresh that waits for f.
func WithObserver(f func(Event)) Option {
	return func(c *config) { c.observers = append(c.observers, f) }
}

// WithUserAgent puts the name of the program, such as "scheduler/2.1", in front of
// the library's own User-Agent.
func WithUserAgent(name string) Option {
	return func(c *config) { c.userAgent = name + " " + userAgent }
}

// WithClock sets the clock with which the library tells the time and waits, for
// tests. Attempt timeouts and context deadlines still use real timers.
func WithClock(clock Clock) Option { return func(c *config) { c.clock = clock } }

// WithLedger sets the ledger for [PinsService.CreateOnce] and [CreateOnce].
func WithLedger(l Ledger) Option { return func(c *config) { c.ledger = l } }

// WithMaxResponse limits the body of a successful answer, in bytes. A longer one is
// an [ErrResponse]. Default 32 MiB. For files, see [MaxDownload].
func WithMaxResponse(n int64) Option { return func(c *config) { c.maxBody = n } }

func newConfig(maker string, opts []Option) *config {
	cfg := &config{
		maker: maker, base: ProductionURL, http: defaultHTTPClient(), clock: realclock.Clock{}, maxBody: 32 << 20, userAgent: userAgent,
	}
	for i, opt := range opts {
		if opt == nil {
			cfg.nilOption = i + 1
			break
		}
		opt(cfg)
	}
	return cfg
}

// core checks the configuration and builds what clients share.
func (cfg *config) core() (*core, error) {
	if cfg.nilOption > 0 {
		return nil, fmt.Errorf("pinterest: option %d is nil", cfg.nilOption)
	}
	base, err := parseBase(cfg.base)
	if err != nil {
		return nil, err
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	limiter, err := cfg.pacer()
	if err != nil {
		return nil, err
	}
	cfg.store, cfg.ledger = guardStore(cfg.store), guardLedger(cfg.ledger)
	h := *cfg.http
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	k := &core{
		appID: cfg.appID, base: base, http: &h, userAgent: []string{cfg.userAgent},
		table: table{custom: cfg.rules}, policy: cfg.policy.withDefaults(),
		clock: cfg.clock, apiClock: &apiclock.Offset{}, limiter: limiter, ledger: cfg.ledger, maxBody: cfg.maxBody,
		observers: cfg.observers, logger: cfg.logger, newTokens: cfg.tokens,
		anyScope: cfg.anyScope, store: cfg.store, oauth: cfg.oauth,
		work: newWork(), renewals: make(chan struct{}, maxRenewals),
	}
	if cfg.hasOAuth {
		k.appSecrets = append(k.appSecrets, cfg.oauth.ClientSecret)
		k.appAuth = basicAuth(cfg.oauth.ClientID, cfg.oauth.ClientSecret)
		setDefault(&k.appID, cfg.oauth.ClientID)
	}
	if cfg.refresh != nil {
		k.appSecrets = append(k.appSecrets, cfg.refresh.ClientSecret)
		k.appAuth = basicAuth(cfg.refresh.ClientID, cfg.refresh.ClientSecret)
		setDefault(&k.appID, cfg.refresh.ClientID)
	}
	k.accounts.init(cfg.clock)
	return k, nil
}

// pacer returns the limiter, or nil if calls are not paced.
func (cfg *config) pacer() (Limiter, error) {
	switch {
	case cfg.limiter != nil && (cfg.access != nil || cfg.quotas != nil):
		return nil, errors.New("pinterest: WithAccess and WithQuota have no effect on the limiter of WithLimiter, which is given its limits where it is made")
	case cfg.unpaced && (cfg.limiter != nil || cfg.access != nil || cfg.quotas != nil):
		return nil, errors.New("pinterest: WithoutPacing excludes WithLimiter, WithAccess and WithQuota")
	case cfg.unpaced:
		return nil, nil
	case cfg.limiter != nil:
		return cfg.limiter, nil
	}
	limits := AccessStandard.Limits()
	if cfg.access != nil {
		limits = cfg.access.Limits()
	}
	if limits.Account == nil {
		limits.Account = map[Category]Quota{}
	}
	maps.Copy(limits.Account, cfg.quotas)
	pacer, err := NewPacer(limits, cfg.clock)
	if err != nil {
		return nil, fmt.Errorf("pinterest: WithQuota: %w", err)
	}
	return pacer, nil
}

func (cfg *config) check() error {
	switch {
	case len(cfg.sources) == 0 && cfg.maker == "NewApp":
		return errors.New("pinterest: no tokens: use WithTokenStore")
	case len(cfg.sources) == 0:
		return errors.New("pinterest: no token: use WithAccessToken, WithTokenSource, WithRefreshToken or WithTokenStore")
	case len(cfg.sources) > 1:
		return fmt.Errorf("pinterest: more than one source of tokens: %s", strings.Join(cfg.sources, ", "))
	case cfg.maker == "NewApp" && cfg.sources[0] != "WithTokenStore":
		return fmt.Errorf("pinterest: %s gives the token of one account, for New: use WithTokenStore", cfg.sources[0])
	case cfg.maker == "NewApp" && cfg.account != "":
		return errors.New("pinterest: WithAccount is for New: an App's accounts are named by App.Client")
	case checkAccount(cfg.account) != nil:
		return fmt.Errorf("pinterest: WithAccount: %w", checkAccount(cfg.account))
	case cfg.http == nil:
		return errors.New("pinterest: WithHTTPClient: the client is nil")
	case cfg.clock == nil:
		return errors.New("pinterest: WithClock: the clock is nil")
	case cfg.maxBody <= 0 || cfg.maxBody == math.MaxInt64:
		return fmt.Errorf("pinterest: WithMaxResponse: must be a positive number of bytes, is %d", cfg.maxBody)
	case strings.ContainsAny(cfg.userAgent, "\r\n"):
		return errors.New("pinterest: WithUserAgent: must be one line")
	}
	if err := cfg.checkTokens(); err != nil {
		return err
	}
	if cfg.hasOAuth {
		if err := cfg.oauth.check(); err != nil {
			return err
		}
	}
	if cfg.hasFollow && cfg.follow <= 0 {
		return errFollow
	}
	if err := cfg.policy.validate(); err != nil {
		return fmt.Errorf("pinterest: WithRetry: %w", err)
	}
	return nil
}

// parseBase accepts only URLs to which a token may be sent.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("pinterest: WithBaseURL: not a URL")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	switch {
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("pinterest: WithBaseURL: must be scheme, host and path alone, such as " + ProductionURL)
	case !isSecure(u):
		return nil, fmt.Errorf("pinterest: WithBaseURL: %s: must be https, or http to a loopback address", shorten(s))
	case path.Base(u.Path) != "v5":
		return nil, fmt.Errorf("pinterest: WithBaseURL: %s: the path must end with /v5, as in %s", shorten(s), ProductionURL)
	}
	return u, nil
}

// isSecure reports whether a request may be sent to u: over https, or over http to
// this machine.
func isSecure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// userAgent is the name of this library with its version from the build.
var userAgent = "pinterest-go/" + moduleVersion()

func moduleVersion() string {
	const path = "github.com/pinterest-go/pinterest"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == path && dep.Version != "" {
				return dep.Version
			}
		}
	}
	return "devel"
}

// defaultHTTPClient keeps idle connections, so that a burst of calls does not open
// and close hundreds of them.
func defaultHTTPClient() *http.Client {
	const perHost = 64
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          perHost,
		MaxIdleConnsPerHost:   perHost,
		MaxConnsPerHost:       perHost,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	return &http.Client{Transport: t}
}
