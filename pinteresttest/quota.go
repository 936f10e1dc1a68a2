package pinteresttest

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// SafetyNet is the name, in [WithQuotas], of the quota that applies to all
// categories: 100 requests per second for each account.
const SafetyNet = "safety_net"

// A Quota is the number of requests allowed in a window of time. Windows are fixed
// and aligned to the clock: a window of a minute begins with the minute.
type Quota struct {
	Limit  int           // requests in one window; 0 means no limit
	Window time.Duration // rounded up to whole seconds; 0 means a minute, or a second for SafetyNet
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
	of      string // the name that sets it: the category, or its own name
	name    string
	limit   int
	seconds int64
	shared  bool // by all accounts
}

// appQuota is a quota that all accounts share, in addition to their own.
type appQuota struct {
	category, name string
	quota          Quota
}

// quotas counts the requests of every account against its policies.
type quotas struct {
	policies map[string][]policy // by category

	mu      sync.Mutex
	windows map[windowKey]*window
}

type windowKey struct{ policy, account string }

type window struct {
	index int64 // the number of the window since the epoch
	used  int
}

func newQuotas(c config) *quotas {
	q := &quotas{windows: map[windowKey]*window{}}
	if c.unlimited {
		return q
	}

	limits, scope := maps.Clone(standardQuotas), "app_id_user_id"
	if c.trial {
		limits, scope = maps.Clone(trialQuotas), "app_id"
	}
	maps.Copy(limits, c.quotas)
	for _, app := range c.appQuotas {
		if _, ok := limits[app.category]; !ok {
			limits[app.category] = Quota{}
		}
	}

	q.policies = map[string][]policy{}
	for category := range limits {
		names := []string{SafetyNet}
		if category != SafetyNet {
			names = append(names, category)
		}
		for _, name := range names {
			if limit := limits[name]; limit.Limit > 0 {
				p := policy{of: name, name: name + "_" + scope, limit: limit.Limit, seconds: limit.seconds(name), shared: c.trial}
				q.policies[category] = append(q.policies[category], p)
			}
		}
		for _, app := range c.appQuotas {
			if slices.Contains(names, app.category) && app.quota.Limit > 0 {
				p := policy{of: app.name, name: app.name, limit: app.quota.Limit, seconds: app.quota.seconds(app.category), shared: true}
				q.policies[category] = append(q.policies[category], p)
			}
		}
	}
	return q
}

// seconds returns the length of the quota's window.
func (q Quota) seconds(category string) int64 {
	w := q.Window
	if w <= 0 {
		w = time.Minute
		if category == SafetyNet {
			w = time.Second
		}
	}
	return int64((w + time.Second - 1) / time.Second)
}

// of returns the policies that apply to a category.
func (q *quotas) of(category string) []policy {
	if ps := q.policies[category]; ps != nil {
		return ps
	}
	return q.policies[SafetyNet]
}

// key returns the key of the policy's window for an account.
func (p policy) key(account string) windowKey {
	if p.shared {
		account = ""
	}
	return windowKey{p.name, account}
}

// usage is the state of an account's quotas after a request.
type usage struct {
	policies  []policy
	leading   policy // the one nearest exhaustion
	remaining int
	reset     int64 // seconds until the leading policy's next window
	exceeded  bool
}

// take counts one request of the account in every window that applies to it,
// including windows that are exceeded.
func (q *quotas) take(category, account string, now time.Time) usage {
	u := usage{policies: q.of(category)}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, p := range u.policies {
		w := q.window(p.key(account), now.Unix()/p.seconds)
		w.used++
		exceeded := w.used > p.limit
		remaining := max(p.limit-w.used, 0)
		// The policy with the fewest requests left leads, and of equal ones the
		// first. An exceeded policy goes before one that is not.
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

// A QuotaUsage is the state of a quota in its current window.
type QuotaUsage struct {
	Name      string // as in the rate headers, such as "org_write_app_id_user_id"
	Limit     int
	Used      int       // requests counted, including refused ones
	Remaining int       // never below 0
	Begin     time.Time // of the window, on the server's clock
	Reset     time.Time // its end
}

// Quota returns the state of a quota without counting a request. name is a
// category such as "org_write", [SafetyNet], or the name of a [WithAppQuota], which
// is the same for every account. Without such a quota it returns the zero
// QuotaUsage.
func (s *Server) Quota(a Account, name string) QuotaUsage {
	for _, policies := range s.quotas.policies {
		for _, p := range policies {
			if p.of == name {
				return s.quotas.standing(p, a.Username, s.clock.Now())
			}
		}
	}
	return QuotaUsage{}
}

func (q *quotas) standing(p policy, account string, now time.Time) QuotaUsage {
	index := now.Unix() / p.seconds
	u := QuotaUsage{
		Name: p.name, Limit: p.limit,
		Begin: time.Unix(index*p.seconds, 0).UTC(), Reset: time.Unix((index+1)*p.seconds, 0).UTC(),
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := q.windows[p.key(account)]; w != nil && w.index == index {
		u.Used = w.used
	}
	u.Remaining = max(0, p.limit-u.Used)
	return u
}

// Spend counts n requests of the account in a category now, as if another process
// had made them. They count in all windows that apply to the category, including
// those of the safety net and of the app. With [SafetyNet] as category they count
// in none of the categories. They are not in the request log.
func (s *Server) Spend(a Account, category string, n int) {
	now := s.clock.Now()
	s.quotas.mu.Lock()
	defer s.quotas.mu.Unlock()
	for _, p := range s.quotas.of(category) {
		s.quotas.window(p.key(a.Username), now.Unix()/p.seconds).used += n
	}
}
