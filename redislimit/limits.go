package redislimit

import (
	"slices"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

// safetyNet is the API's name for the limit over all categories.
const safetyNet = "safety_net"

// limit is one limit that a call has to keep: its name, its key, and what it is
// taken to be where Redis knows nothing of it yet.
type limit struct {
	name  string
	key   string
	app   bool
	of    pinterest.Category
	quota pinterest.Quota
}

func (l *limit) is(p *pinterest.RatePolicy) bool {
	return l.quota.Limit == p.Limit && l.quota.Window == p.Window
}

// known is what this process knows of the limits: what was given in advance and
// what headers have told since. Redis has the state.
type known struct {
	limits pinterest.Limits

	mu      sync.Mutex
	revised map[string]pinterest.Quota // by key, of the limits that headers say are others
	old     map[string]pinterest.Quota // those of the generation before
	turn    time.Time
	shared  map[string][]limit // by app, the limits of the app
}

const (
	// forgetAfter is how long a revised limit is remembered without being told again.
	forgetAfter = 10 * time.Minute
	// maxShared bounds the limits of an app that headers reveal for one category.
	maxShared = 16
)

func newKnown(limits pinterest.Limits) *known {
	return &known{limits: limits, revised: map[string]pinterest.Quota{}, shared: map[string][]limit{}}
}

// quota returns what the limit under key is taken to be.
func (k *known) quota(key string, first pinterest.Quota) pinterest.Quota {
	if q, ok := k.revised[key]; ok {
		return q
	}
	if q, ok := k.old[key]; ok {
		return q
	}
	return first
}

// revise remembers what the headers said of a limit.
func (k *known) revise(key string, q pinterest.Quota, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.After(k.turn) {
		k.old, k.revised, k.turn = k.revised, map[string]pinterest.Quota{}, now.Add(forgetAfter)
	}
	k.revised[key] = q
}

// of returns the limits that a call has to keep: those of its account, over all
// and of the category, and those of the app.
func (l *Limiter) of(pm *pinterest.Permit) []limit {
	k := l.known
	account, app := l.accountKey(pm), l.appKey(pm.App)
	list := make([]limit, 0, 4)
	k.mu.Lock()
	defer k.mu.Unlock()
	all := limit{name: safetyNet, key: account + "all"}
	all.quota = k.quota(all.key, k.limits.Account[pinterest.CategoryAll])
	own := limit{name: string(pm.Category), key: account + "c:" + string(pm.Category), of: pm.Category}
	if pm.Category != pinterest.CategoryAll {
		own.quota = k.quota(own.key, k.limits.Account[pm.Category])
	}
	list = append(list, all, own)
	for _, c := range []pinterest.Category{pinterest.CategoryAll, pm.Category} {
		if q := k.limits.App[c]; q.Limit > 0 {
			name := string(c)
			if c == pinterest.CategoryAll {
				name = safetyNet
			}
			s := limit{name: name, key: app + name, app: true, of: c}
			s.quota = k.quota(s.key, q)
			list = append(list, s)
		}
		if pm.Category == pinterest.CategoryAll {
			break
		}
	}
	for _, s := range k.shared[pm.App] {
		if s.of == pm.Category {
			s.quota = k.quota(s.key, s.quota)
			list = append(list, s)
		}
	}
	return list
}

// reveal adds a limit of the app that a header told of.
func (l *Limiter) reveal(pm *pinterest.Permit, p *pinterest.RatePolicy, name string) {
	k := l.known
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, s := range k.shared[pm.App] {
		if s.of == pm.Category {
			n++
		}
	}
	if n < maxShared {
		s := limit{name: name, key: l.appKey(pm.App) + name, app: true, of: pm.Category, quota: pinterest.Quota{Limit: p.Limit, Window: p.Window}}
		k.shared[pm.App] = append(slices.Clip(k.shared[pm.App]), s)
	}
}

// meant returns the account's limit that a policy means, which its name tells.
// One of another name or of none is told by its numbers, or else it is the
// category's if nothing is known of that. nil: it cannot be told.
func meant(limits []limit, p *pinterest.RatePolicy) *limit {
	all, own := &limits[0], &limits[1]
	name, app := p.Scope()
	switch {
	case app:
		return nil
	case name == safetyNet:
		return all
	case name == own.name, own.is(p):
		return own
	case all.is(p):
		return all
	case own.quota.Limit == 0:
		return own
	}
	return nil
}

// attributed returns the limit that the rate speaks of, nil if that cannot be
// told. Without policies the number tells, or else the reset.
func attributed(limits []limit, rate *pinterest.RateLimit) *limit {
	if rate.Policy.Limit > 0 {
		name, app := rate.Policy.Scope()
		for i := range limits {
			if l := &limits[i]; app && l.app && l.name == name {
				return l
			}
		}
		if l := meant(limits, &rate.Policy); l != nil && l.quota.Window == rate.Policy.Window {
			return l
		}
		return nil
	}
	if len(rate.Policies) > 0 || rate.Limit <= 0 {
		return nil
	}
	for i := range limits[:2] {
		if l := &limits[i]; l.quota.Limit == rate.Limit && rate.Reset <= l.quota.Window {
			return l
		}
	}
	return nil
}

// usable reports whether the policy can be meant.
func usable(p *pinterest.RatePolicy) bool {
	return p.Limit > 0 && p.Window > 0 && p.Window%time.Second == 0 && p.Window <= 366*24*time.Hour
}
