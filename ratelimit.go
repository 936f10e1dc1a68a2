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

// RateLimit is what the x-ratelimit-* headers of one answer said about the quota.
// Limit, Remaining and Reset are about Policy alone, the policy that was nearest
// to exhaustion when the answer was made.
type RateLimit struct {
	Limit     int           // requests per window; 0 if the answer did not say
	Remaining int           // requests left in this window; -1 if the answer did not say
	Reset     time.Duration // until the window ends, in whole seconds; 0 if the answer did not say
	Policy    RatePolicy    // the policy; zero if it cannot be told
	Policies  []RatePolicy  // all policies that the answer listed; must not be modified
}

// Known reports whether the answer had plausible values for Limit, Remaining and
// Reset.
func (r *RateLimit) Known() bool {
	return r.Limit > 0 && r.Remaining >= 0 && r.Remaining <= r.Limit && r.Reset > 0
}

// RatePolicy is one of several limits that hold at the same time.
type RatePolicy struct {
	Name   string        // such as "org_write_app_id_user_id"; "" if the answer did not name it
	Limit  int           // requests per window
	Window time.Duration // whole seconds
}

// rateParser parses the rate headers. Nearly all answers list one of a few sets of
// policies, so each set is parsed once and shared.
type rateParser struct {
	mu    sync.RWMutex
	known map[string][]RatePolicy
}

// maxPolicySets bounds the memory if every answer lists another set.
const maxPolicySets = 64

// parse reads x-ratelimit-limit, -remaining and -reset, in the structured form
// (`100, 100;w=1;name="a", 1000;w=60;name="b"`) and in the plain one (`100`).
// It leaves out what it cannot parse, and reports whether anything is left: a bad
// header never fails a call.
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

// policies parses a list of policies.
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
	for item := range strings.SplitSeq(hide.Clean(list), ",") { // cleaned before it is split, since an escape may have a semicolon
		if policy, ok := parsePolicy(item); ok {
			plain = plain && strings.Trim(policy.Name, "abcdefghijklmnopqrstuvwxyz_") == ""
			policies = append(policies, policy)
		}
	}
	if !plain { // not a name that the API uses: it may be different each time
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

// attribute finds the policy that the leading number is about. If two policies
// have the same limit, the reset decides: more than a second can be left only of a
// window longer than a second. Of those that remain it is the shortest.
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

// retryAfter parses Retry-After, which is a number of seconds or an HTTP date. It
// returns 0 if the header is absent, malformed or in the past. A date is compared
// with the answer's own Date, so that a wrong local clock does not matter.
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

// parseCount parses a whole number that is not negative. A number that does not
// fit an int64 becomes the largest one.
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

// headerValue is Header.Get for a name that is in canonical form already.
func headerValue(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
