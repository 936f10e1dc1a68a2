package redislimit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

const (
	// safetyNet is the API's name for the limit over all categories.
	safetyNet = "safety_net"
	// userScope and appScope are the suffixes of the API's names for the limits of
	// an account and of the app.
	userScope = "_app_id_user_id"
	appScope  = "_app_id"
	// counted is the shortest window that is counted, not paced.
	counted = time.Hour
	// longest is the longest window, and the longest hold.
	longest = 366 * 24 * time.Hour
	// maxShared bounds the limits of an app that headers reveal for one category.
	maxShared = 16
)

// limit is one limit that holds for a call.
type limit struct {
	name  string
	key   string
	app   bool
	of    pinterest.Category
	first pinterest.Quota // the quota while Redis has none for it
	quota pinterest.Quota // the quota now, as far as this process knows
}

func (l *limit) is(p *pinterest.RatePolicy) bool {
	return l.quota.Limit == p.Limit && l.quota.Window == p.Window
}

// cache is what this process knows of the limits. It may forget: Redis has it all.
type cache struct {
	mu     sync.Mutex
	young  map[string]state   // by key
	old    map[string]state   // the previous generation
	shared map[string][]limit // by app, the limits that headers revealed
}

// generation is how many limits a generation of the cache holds.
const generation = 8192

func newCache() cache { return cache{young: map[string]state{}, shared: map[string][]limit{}} }

// get returns where the limit stood. The lock is held.
func (k *cache) get(key string) (s state, ok bool) {
	if s, ok = k.young[key]; !ok {
		s, ok = k.old[key]
	}
	return s, ok
}

// state returns where the limit stood when Redis was last asked about it.
func (k *cache) state(x *limit) (state, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.get(x.key)
}

// put stores where a limit stands. It reports whether the limit is now closed for
// longer than before.
func (k *cache) put(x *limit, s state) (longer bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, _ := k.get(x.key)
	if len(k.young) >= generation {
		k.old, k.young = k.young, map[string]state{}
	}
	k.young[x.key] = s
	return s.held.After(before.held)
}

// configured is a quota of the limiter's configuration, and the end of its keys.
type configured struct {
	quota pinterest.Quota
	tail  string
}

// configure prepares the ends of keys. The quota is a part of them, so that a
// change of the configuration takes effect at once.
func configure(quotas map[pinterest.Category]pinterest.Quota) map[pinterest.Category]configured {
	all := map[pinterest.Category]configured{}
	for c, q := range quotas {
		if q.Limit > 0 {
			all[c] = configured{q, fmt.Sprintf("%s:%d/%ds", escape(limitName(c)), q.Limit, int64(q.Window/time.Second))}
		}
	}
	return all
}

// tail is the end of the keys of a limit.
func tail(all map[pinterest.Category]configured, c pinterest.Category) configured {
	g, ok := all[c]
	if !ok {
		g.tail = escape(limitName(c))
	}
	return g
}

func limitName(c pinterest.Category) string {
	if c == pinterest.CategoryAll {
		return safetyNet
	}
	return string(c)
}

// of returns the limits that hold for a call: those of its account, first the one
// over all categories and then that of the category, and those of the app.
func (l *Limiter) of(pm *pinterest.Permit) []limit {
	k := &l.known
	app := l.appKey(pm.App)
	account := app + "account:" + escape(pm.Account) + ":"
	all, own := tail(l.account, pinterest.CategoryAll), tail(l.account, pm.Category)
	if pm.Category == pinterest.CategoryAll {
		own = configured{tail: "%"} // it has no limit besides the one over all
	}
	list := make([]limit, 2, 4)
	list[0] = limit{name: safetyNet, key: account + all.tail, first: all.quota}
	list[1] = limit{name: string(pm.Category), key: account + own.tail, of: pm.Category, first: own.quota}
	for _, c := range []pinterest.Category{pinterest.CategoryAll, pm.Category} {
		if g, ok := l.app[c]; ok && (c != pinterest.CategoryAll || len(list) == 2) {
			list = append(list, limit{name: limitName(c), key: app + "app:" + g.tail, app: true, of: c, first: g.quota})
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.shared[pm.App] {
		if s.of == pm.Category && !slices.ContainsFunc(list, func(x limit) bool { return x.key == s.key }) {
			list = append(list, s)
		}
	}
	for i := range list {
		x := &list[i]
		x.quota = x.first
		if s, ok := k.get(x.key); ok && s.quota.Limit > 0 {
			x.quota = s.quota
		}
	}
	return list
}

// reveal adds a limit of the app that a header named, unless it is known.
func (l *Limiter) reveal(pm *pinterest.Permit, p *pinterest.RatePolicy) {
	name, app := p.Scope()
	if !app || !usable(p) {
		return
	}
	for _, x := range l.of(pm) {
		if x.app && x.name == name {
			return
		}
	}
	x := limit{name: name, app: true, of: pm.Category, first: pinterest.Quota{Limit: p.Limit, Window: p.Window}}
	x.key = l.appKey(pm.App) + "app:" + escape(name)
	k := &l.known
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, s := range k.shared[pm.App] {
		if s.of == x.of {
			n++
		}
		if s.of == x.of && s.key == x.key {
			return // another answer has added it in the meantime
		}
	}
	if n < maxShared {
		k.shared[pm.App] = append(slices.Clip(k.shared[pm.App]), x)
	}
}

// appKey is the beginning of the keys of an app's limits. The tag in braces keeps
// all of them in one slot of a cluster.
func (l *Limiter) appKey(app string) string { return l.prefix + "{" + escape(app) + "}:" }

// queueKey is the key of the account's limit of the category, which is also the
// key of its queue.
func (l *Limiter) queueKey(pm *pinterest.Permit) string {
	return l.appKey(pm.App) + "account:" + escape(pm.Account) + ":" + tail(l.account, pm.Category).tail
}

// escape makes any text fit to be a part of a key. Different names stay different,
// and an empty name does not become an empty hash tag, which Redis ignores.
func escape(name string) string {
	plain := name != ""
	for i := range len(name) {
		plain = plain && isPlain(name[i])
	}
	if plain && len(name) <= 64 {
		return name
	}
	if len(name) > 64 {
		sum := sha256.Sum256([]byte(name))
		return "%" + hex.EncodeToString(sum[:])
	}
	var b strings.Builder
	if name == "" {
		return "%"
	}
	for i := range len(name) {
		if isPlain(name[i]) {
			b.WriteByte(name[i])
		} else {
			fmt.Fprintf(&b, "%%%02x", name[i])
		}
	}
	return b.String()
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
}

// limitOf returns the account's limit that a policy is about, by the policy's name.
// A policy with another name or none is matched by its numbers. If that fails, it
// is the category's or, if that limit is known already, nil.
func limitOf(limits []limit, p *pinterest.RatePolicy) *limit {
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

// attributed returns the limit that the leading numbers of the rate are about, or
// nil if that cannot be told. In the plain form, without policies, it is the one
// with the same number, if its window is long enough for the reset.
func attributed(limits []limit, rate *pinterest.RateLimit) *limit {
	if rate.Policy.Limit > 0 {
		name, app := rate.Policy.Scope()
		for i := range limits {
			if x := &limits[i]; app && x.app && x.name == name {
				return x
			}
		}
		if x := limitOf(limits, &rate.Policy); x != nil && x.quota.Window == rate.Policy.Window {
			return x
		}
		return nil
	}
	if len(rate.Policies) > 0 || rate.Limit <= 0 {
		return nil
	}
	for i := range limits[:2] {
		if x := &limits[i]; x.quota.Limit == rate.Limit && rate.Reset <= x.quota.Window {
			return x
		}
	}
	return nil
}

// policyFor returns the policy that the limit has to follow. Of several it is the
// one whose window the limit has already, or else the longest.
func policyFor(limits []limit, x *limit, rate *pinterest.RateLimit) (found *pinterest.RatePolicy) {
	for i := range rate.Policies {
		p := &rate.Policies[i]
		name, app := p.Scope()
		if !usable(p) || app != x.app || app && name != x.name || !app && limitOf(limits, p) != x {
			continue
		}
		if p.Window == x.quota.Window {
			return p
		}
		if found == nil || p.Window > found.Window {
			found = p
		}
	}
	return found
}

// usable reports whether the policy is plausible.
func usable(p *pinterest.RatePolicy) bool {
	return p.Limit > 0 && p.Window > 0 && p.Window%time.Second == 0 && p.Window <= longest
}
