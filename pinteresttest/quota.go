package pinteresttest

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// SafetyNet is the name, in [WithQuotas], of the quota that holds over all
// categories: 100 requests a second for each account.
const SafetyNet = "safety_net"

// A Quota is the number of requests allowed in a window of time. Windows are
// fixed and aligned to the clock: those of a minute begin with the minute.
type Quota struct {
	Limit  int           // requests in one window; 0 means no limit
	Window time.Duration // rounded up to whole seconds; 0 means a minute, for the safety net a second
}

const day = 24 * time.Hour

// standardQuotas are those of an app with Standard access, for each account.
var standardQuotas = map[string]Quota{
	SafetyNet:   {Limit: 100, Window: time.Second},
	"org_read":  {Limit: 1000, Window: time.Minute},
	"org_write": {Limit: 100, Window: time.Minute},
}

// trialQuotas are those of an app with Trial access, for all accounts together.
var trialQuotas = map[string]Quota{
	SafetyNet:   {Limit: 1000, Window: day},
	"org_read":  {Limit: 1000, Window: day},
	"org_write": {Limit: 300, Window: day},
}

// A policy is a quota under the name that the rate headers give it.
type policy struct {
	name    string
	limit   int
	seconds int64
}

// quotas counts the requests of every account against its policies.
type quotas struct {
	policies map[string][]policy // by category
	shared   bool                // all accounts draw from the same windows

	mu      sync.Mutex
	windows map[windowKey]*window
}

type windowKey struct{ policy, account string }

type window struct {
	index int64 // which window since the epoch
	used  int
}

func newQuotas(c config) *quotas {
	q := &quotas{shared: c.trial, windows: map[windowKey]*window{}}
	if c.unlimited {
		return q
	}

	limits, scope := maps.Clone(standardQuotas), "app_id_user_id"
	if c.trial {
		limits, scope = maps.Clone(trialQuotas), "app_id"
	}
	maps.Copy(limits, c.quotas)

	q.policies = map[string][]policy{}
	for category := range limits {
		names := []string{SafetyNet}
		if category != SafetyNet {
			names = append(names, category)
		}
		for _, name := range names {
			if limit := limits[name]; limit.Limit > 0 {
				q.policies[category] = append(q.policies[category], limit.policy(name, scope))
			}
		}
	}
	return q
}

func (q Quota) policy(name, scope string) policy {
	w := q.Window
	if w <= 0 {
		w = time.Minute
		if name == SafetyNet {
			w = time.Second
		}
	}
	seconds := int64((w + time.Second - 1) / time.Second)
	return policy{name: name + "_" + scope, limit: q.Limit, seconds: seconds}
}

// usage is where an account stands after a request.
type usage struct {
	policies  []policy
	leading   policy // the one nearest exhaustion
	remaining int
	reset     int64 // seconds until the leading policy's next window
	exceeded  bool
}

// take counts one request of the account. A request is counted in every window
// that applies to it, those included that refuse it.
func (q *quotas) take(category, account string, now time.Time) usage {
	ps := q.policies[category]
	if ps == nil {
		ps = q.policies[SafetyNet]
	}
	u := usage{policies: ps}
	if q.shared {
		account = ""
	}

	q.mu.Lock()
	defer q.mu.Unlock()
	for i, p := range ps {
		w := q.window(windowKey{p.name, account}, now.Unix()/p.seconds)
		w.used++
		exceeded := w.used > p.limit
		remaining := max(p.limit-w.used, 0)
		// Of two policies with equally little left the first leads, except
		// that one which refuses goes before one which does not.
		if i == 0 || remaining < u.remaining || exceeded && !u.exceeded {
			u.leading, u.remaining = p, remaining
			u.reset = p.seconds - now.Unix()%p.seconds
		}
		u.exceeded = u.exceeded || exceeded
	}
	return u
}

// window returns the counter of the key's current window.
func (q *quotas) window(key windowKey, index int64) *window {
	w := q.windows[key]
	if w == nil {
		w = &window{index: index}
		q.windows[key] = w
	}
	if w.index != index {
		*w = window{index: index}
	}
	return w
}

// header writes the rate headers in the form of Envoy's: the leading number,
// what remains and the reset are all the leading policy's.
func (u usage) header(h http.Header) {
	if len(u.policies) == 0 {
		return
	}
	var limit strings.Builder
	limit.WriteString(strconv.Itoa(u.leading.limit))
	for _, p := range u.policies {
		fmt.Fprintf(&limit, `, %d;w=%d;name="%s"`, p.limit, p.seconds, p.name)
	}
	h.Set("X-Ratelimit-Limit", limit.String())
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(u.remaining))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(u.reset, 10))
}
