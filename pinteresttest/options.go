package pinteresttest

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// An Option changes how a [Server] behaves. Pass it to [NewServer].
type Option func(*config)

// config is what the options decide.
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

// WithClock makes the server live by clock: its dates, token lives, quota
// windows, list lag and fault delays. The default is [RealClock].
func WithClock(clock *Clock) Option {
	return func(c *config) { c.clock = clock }
}

// WithSeed seeds the random source behind ids, tokens and [Fault.Chance]. The
// default is 1.
func WithSeed(seed uint64) Option {
	return func(c *config) { c.seed = seed }
}

// WithQuotas sets the quotas of the rate-limit categories named, "org_read" and
// "org_write" here, and of [SafetyNet], for each account. Categories not named keep the numbers
// of the real API; a quota with a Limit of 0 is lifted.
func WithQuotas(quotas map[string]Quota) Option {
	quotas = maps.Clone(quotas)
	return func(c *config) { maps.Copy(c.quotas, quotas) }
}

// WithAppQuota adds a quota that holds for all accounts of the app together,
// beside their own, in a category or, with [SafetyNet], in all of them. The rate
// headers list it under the name after those of the account, and it leads when
// it is nearest to exhaustion. A name given for two categories, with the same
// quota, is one for both. One that the real API has:
//
//	WithAppQuota("ads_analytics", "analytics_get_report_app_id", Quota{Limit: 800})
func WithAppQuota(category, name string, q Quota) Option {
	return func(c *config) { c.appQuotas = append(c.appQuotas, appQuota{category, name, q}) }
}

// WithRateHeaders chooses the form of the rate headers. Single answers can be
// given others by a fault's [Fault.Header].
func WithRateHeaders(form RateHeaders) Option {
	return func(c *config) { c.rateHeaders = form }
}

// WithoutQuotas lifts every quota, those of the app as well. Answers then carry no x-ratelimit headers.
func WithoutQuotas() Option {
	return func(c *config) { c.unlimited = true }
}

// WithTrialAccess makes the app one with Trial access: pins/create is refused
// with 403 and code 29, and the quotas are those of a day for the whole app.
func WithTrialAccess() Option {
	return func(c *config) { c.trial = true }
}

// WithRetryAfter decides whether a 429 for an exceeded quota carries a
// Retry-After header beside x-ratelimit-reset. The default is false, as no
// answer of the real API with that header is known.
func WithRetryAfter(send bool) Option {
	return func(c *config) { c.retryAfter = send }
}

// WithRotation decides what a refresh does to the refresh token it was made
// with. The default is [SingleUse].
func WithRotation(r Rotation) Option {
	return func(c *config) { c.rotation = r }
}

// WithTokenReplacement makes a refresh end the access tokens issued to the
// account before it. By default they work until they expire.
func WithTokenReplacement() Option {
	return func(c *config) { c.replaceTokens = true }
}

// WithRedirectURIs registers redirect URIs for the app. The authorize page
// accepts no other, to the letter. [Server.AddRedirectURI] adds one later, when
// the port of a callback is known.
func WithRedirectURIs(uris ...string) Option {
	uris = slices.Clone(uris)
	return func(c *config) { c.redirectURIs = append(c.redirectURIs, uris...) }
}

// WithoutPKCE ignores code challenges. By default a code that was asked for with
// one (S256) is exchanged only for its verifier. What the real API does is not
// documented, but that it accepts challenges.
func WithoutPKCE() Option {
	return func(c *config) { c.ignorePKCE = true }
}

// WithLegacyRefresh makes the app one from before 2025-09-25: a code exchanged
// without continuous_refresh=true gives a refresh token that lives for 365 days
// and is not rotated. Refreshes with it give access tokens alone. Other apps
// get tokens of 60 days in any case, each refresh another one.
func WithLegacyRefresh() Option {
	return func(c *config) { c.legacyRefresh = true }
}

// WithTokenShape changes what the answers of the token endpoint look like.
func WithTokenShape(shape TokenShape) Option {
	return func(c *config) { c.tokenShape = shape }
}

// WithTokenTTL sets how long access tokens live. The default is 30 days.
func WithTokenTTL(d time.Duration) Option {
	return func(c *config) { c.tokenTTL = d }
}

// WithDuplicateNameStatus sets the HTTP status with which a second board of the
// same name is refused, its code being 58 in any case. The default is 400;
// accounts of the real API differ between that and 409.
func WithDuplicateNameStatus(status int) Option {
	return func(c *config) { c.duplicateStatus = status }
}

// WithoutRequestLog keeps no record of requests, so that a benchmark of a million of
// them does not hold a million bodies. [Server.Requests] is then empty;
// [Server.Count] and [Server.Connections] still count.
func WithoutRequestLog() Option {
	return func(c *config) { c.keepRequests = false }
}
