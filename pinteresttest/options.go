package pinteresttest

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// An Option changes how a [Server] behaves. Pass it to [NewServer].
type Option func(*config)

// config holds what the options set.
type config struct {
	clock           *Clock
	seed            uint64
	quotas          map[string]Quota
	appQuotas       []appQuota
	rateHeaders     RateHeaders
	unlimited       bool
	trial           bool
	retryAfter      bool
	rotation        Rotation
	replaceTokens   bool
	redirectURIs    []string
	ignorePKCE      bool
	legacyRefresh   bool
	tokenShape      TokenShape
	tokenTTL        time.Duration
	duplicateStatus int
	keepRequests    bool
}

func defaults() config {
	return config{
		seed:            1,
		quotas:          map[string]Quota{},
		tokenTTL:        30 * 24 * time.Hour,
		duplicateStatus: http.StatusBadRequest,
		keepRequests:    true,
	}
}

// WithClock makes the server use clock for its dates, token lifetimes, quota
// windows, list lag and fault delays. The default is [RealClock].
func WithClock(clock *Clock) Option {
	return func(c *config) { c.clock = clock }
}

// WithSeed seeds the random source of ids, tokens and [Fault.Chance]. The
// default is 1.
func WithSeed(seed uint64) Option {
	return func(c *config) { c.seed = seed }
}

// WithQuotas sets quotas by their rate-limit category, "org_read" or "org_write"
// here, or [SafetyNet]. They hold for each account. Other categories keep the
// numbers of the real API. A Limit of 0 removes a quota.
func WithQuotas(quotas map[string]Quota) Option {
	quotas = maps.Clone(quotas)
	return func(c *config) { maps.Copy(c.quotas, quotas) }
}

// WithAppQuota adds a quota that all accounts of the app share, in addition to
// their own quotas. It applies to a category or, with [SafetyNet], to all of them.
// The rate headers list it under its name after the account's quotas. It comes first
// when it is the nearest to exhaustion. The same name and quota given for two
// categories is one quota for both. The real API has this one:
//
//	WithAppQuota("ads_analytics", "analytics_get_report_app_id", Quota{Limit: 800})
func WithAppQuota(category, name string, q Quota) Option {
	return func(c *config) { c.appQuotas = append(c.appQuotas, appQuota{category, name, q}) }
}

// WithRateHeaders sets the form of the rate headers. [Fault.Header] can replace
// them in single answers.
func WithRateHeaders(form RateHeaders) Option {
	return func(c *config) { c.rateHeaders = form }
}

// WithoutQuotas removes every quota, including the app's. Answers then have no
// x-ratelimit headers.
func WithoutQuotas() Option {
	return func(c *config) { c.unlimited = true }
}

// WithTrialAccess gives the app Trial access: pins/create is refused with 403 and
// code 29, and the quotas are per day for the whole app.
func WithTrialAccess() Option {
	return func(c *config) { c.trial = true }
}

// WithRetryAfter sets whether a 429 for an exceeded quota has a Retry-After header
// in addition to x-ratelimit-reset. The default is false, because no answer of the
// real API with that header is known.
func WithRetryAfter(send bool) Option {
	return func(c *config) { c.retryAfter = send }
}

// WithRotation sets what a refresh does to the refresh token it uses. The default
// is [SingleUse].
func WithRotation(r Rotation) Option {
	return func(c *config) { c.rotation = r }
}

// WithTokenReplacement makes a refresh expire the account's earlier access tokens.
// By default they work until they expire by themselves.
func WithTokenReplacement() Option {
	return func(c *config) { c.replaceTokens = true }
}

// WithRedirectURIs registers redirect URIs for the app. The authorize page accepts
// only exact matches. [Server.AddRedirectURI] adds one later, when the port of a
// callback is known.
func WithRedirectURIs(uris ...string) Option {
	uris = slices.Clone(uris)
	return func(c *config) { c.redirectURIs = append(c.redirectURIs, uris...) }
}

// WithoutPKCE ignores code challenges. By default a code that was requested with a
// challenge (S256) is exchanged only with its verifier. The real API accepts
// challenges; whether it enforces them is not documented.
func WithoutPKCE() Option {
	return func(c *config) { c.ignorePKCE = true }
}

// WithLegacyRefresh makes the app one from before 2025-09-25: a code exchanged
// without continuous_refresh=true gives a refresh token that is valid for 365 days
// and is not rotated. A refresh with it returns an access token only. Other apps
// always get refresh tokens of 60 days, and a new one with each refresh.
func WithLegacyRefresh() Option {
	return func(c *config) { c.legacyRefresh = true }
}

// WithTokenShape changes what the answers of the token endpoint look like.
func WithTokenShape(shape TokenShape) Option {
	return func(c *config) { c.tokenShape = shape }
}

// WithTokenTTL sets how long access tokens are valid. The default is 30 days.
func WithTokenTTL(d time.Duration) Option {
	return func(c *config) { c.tokenTTL = d }
}

// WithDuplicateNameStatus sets the HTTP status that refuses a second board of the
// same name. The code is 58 in any case. The default is 400; some accounts of the
// real API get 409.
func WithDuplicateNameStatus(status int) Option {
	return func(c *config) { c.duplicateStatus = status }
}

// WithoutRequestLog turns the request log off, so that a benchmark of a million
// requests does not hold a million bodies. [Server.Requests] then returns none;
// [Server.Count] and [Server.Connections] still count.
func WithoutRequestLog() Option {
	return func(c *config) { c.keepRequests = false }
}
