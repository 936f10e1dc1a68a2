package pinterest

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// RateLimit is what one answer said of the quota, in its x-ratelimit-* headers.
// Remaining and Reset belong to Policy alone: the one nearest to exhaustion
// when the answer was made.
type RateLimit struct {
	Limit     int           // requests per window of Policy
	Remaining int           // left in this window; -1 when the answer did not say
	Reset     time.Duration // until the window ends
	Policy    RatePolicy    // which policy Limit, Remaining and Reset speak of; zero when it cannot be told
	Policies  []RatePolicy  // all policies the answer listed; not to be changed
}

// Known reports whether the answer said all three: how many are left, of how
// many, and until when.
func (r *RateLimit) Known() bool {
	return r.Limit > 0 && r.Remaining >= 0 && r.Remaining <= r.Limit && r.Reset > 0
}

// RatePolicy is one of the limits that hold at the same time.
type RatePolicy struct {
	Name   string // such as "org_write_app_id_user_id"; "" when the API gave none
	Limit  int
	Window time.Duration
}

// rateParser reads the rate headers. Nearly all answers list one of a few sets
// of policies, which are read once and shared from then on.
type rateParser struct {
	mu    sync.RWMutex
	known map[string][]RatePolicy
}

// maxPolicySets bounds what is remembered of an API that never says the same twice.
const maxPolicySets = 64

// parse reads x-ratelimit-limit, -remaining and -reset, in the structured form
// (`100, 100;w=1;name="a", 1000;w=60;name="b"`) and in the plain one (`100`).
// What it cannot read it leaves out; it never fails a call.
func (p *rateParser) parse(h http.Header, hide *redact.Secrets) (RateLimit, bool) {
	limit := headerValue(h, "X-Ratelimit-Limit")
	remaining, okRemaining := parseCount(headerValue(h, "X-Ratelimit-Remaining"))
	reset, okReset := parseCount(headerValue(h, "X-Ratelimit-Reset"))
	lead, rest, _ := strings.Cut(limit, ",")
	n, okLimit := parseCount(lead)
	if !okLimit {
		// A form without a leading number, or one number with its window.
		rest = limit
	}
	r := RateLimit{Limit: int(min(n, math.MaxInt32)), Remaining: -1, Reset: secondsToDuration(reset), Policies: p.policies(rest, hide)}
	if okRemaining {
		r.Remaining = int(min(remaining, math.MaxInt32))
	}
	if !okRemaining && !okReset && !okLimit && len(r.Policies) == 0 {
		return RateLimit{}, false
	}
	r.attribute()
	return r, true
}

// policies reads a list of policies.
func (p *rateParser) policies(list string, hide *redact.Secrets) []RatePolicy {
	if list == "" {
		return nil
	}
	p.mu.RLock()
	policies, ok := p.known[list]
	p.mu.RUnlock()
	if ok {
		return policies
	}
	plain := true
	for item := range strings.SplitSeq(list, ",") {
		if policy, ok := parsePolicy(item); ok {
			plain = plain && strings.Trim(policy.Name, "abcdefghijklmnopqrstuvwxyz_") == ""
			policy.Name = hide.Clean(policy.Name)
			policies = append(policies, policy)
		}
	}
	if !plain { // what is not one of the API's names may be anything
		return policies
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string][]RatePolicy{}
	}
	if len(p.known) < maxPolicySets {
		p.known[list] = policies
	}
	return policies
}

// attribute finds the policy that the leading number means. Two policies may
// have the same limit; then the reset tells: more than a second is left only
// in a window longer than a second.
func (r *RateLimit) attribute() {
	for _, p := range r.Policies {
		if p.Limit != r.Limit || p.Window < r.Reset {
			continue
		}
		if r.Policy.Limit == 0 || p.Window < r.Policy.Window {
			r.Policy = p
		}
	}
}

func parsePolicy(item string) (RatePolicy, bool) {
	number, params, _ := strings.Cut(item, ";")
	n, ok := parseCount(number)
	if !ok {
		return RatePolicy{}, false
	}
	p := RatePolicy{Limit: int(min(n, math.MaxInt32))}
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		switch strings.ToLower(key) {
		case "w":
			if w, ok := parseCount(value); ok {
				p.Window = secondsToDuration(w)
			}
		case "name":
			p.Name = strings.Trim(value, `"`)
		}
	}
	return p, p.Window > 0
}

// retryAfter reads Retry-After, as seconds or as an HTTP date; 0 when it is
// absent, past or garbage. A date is measured against the answer's own Date,
// so that a wrong local clock does not matter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(headerValue(h, "Retry-After"))
	if value == "" {
		return 0
	}
	if n, ok := parseCount(value); ok {
		return secondsToDuration(n)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(headerValue(h, "Date")); err == nil {
		now = date
	}
	return max(0, at.Sub(now))
}

// maxDuration is the longest time.Duration. Longer waits saturate to it.
const maxDuration = time.Duration(math.MaxInt64)

func secondsToDuration(n int64) time.Duration {
	if n > int64(maxDuration/time.Second) {
		return maxDuration
	}
	return time.Duration(n) * time.Second
}

// parseCount reads a whole number that is not negative. Digits beyond an int64
// saturate; anything but digits is refused.
func parseCount(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

// headerValue is Header.Get for a name in canonical form, without its cost.
func headerValue(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
