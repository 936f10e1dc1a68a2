package pinterest

import (
	"context"
	"math"
	"time"
)

// This file is what a pacer learns: from the headers of answers, and from 429s.

// Observe implements [Limiter].
func (p *Pacer) Observe(_ context.Context, pm Permit, rate RateLimit) {
	app := p.app(pm.App)
	sh, now := p.shard(app, pm.Account), p.clock.Now().UnixNano()
	app.observe(&pm, &rate, now)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	acct, ln := p.find(sh, &pm, now)
	before := acct.all.epoch + ln.quota.epoch
	acct.all.learn(now, acct.policy(ln, &acct.all, &rate))
	ln.quota.learn(now, acct.policy(ln, &ln.quota, &rate))
	if w := acct.attributed(ln, &rate); w != nil && rate.Known() {
		w.see(now, &rate)
	}
	if acct.all.epoch+ln.quota.epoch != before {
		acct.changed()
	}
}

// observe takes in what the rate says of limits that all accounts share.
func (a *pacedApp) observe(pm *Permit, rate *RateLimit, now int64) {
	for i := range rate.Policies {
		policy := &rate.Policies[i]
		name, app := policy.Scope()
		quota, ok := policy.quota()
		if !app || !ok {
			continue
		}
		s := a.named(name, pm.Category)
		if s == nil {
			if len(a.of(pm.Category)) >= maxShared {
				continue
			}
			w := newWindow(quota, now)
			w.take(pm.cost()) // the call that brought it
			a.share(name, pm.Category, w)
			s = a.named(name, pm.Category)
		}
		s.mu.Lock()
		before := s.epoch
		s.learn(now, policy)
		if rate.Known() && rate.Policy == *policy {
			s.see(now, rate)
		}
		changed := s.epoch != before
		s.mu.Unlock()
		if changed {
			s.changed()
		}
	}
}

// window returns the account's limit that a policy means, which its name tells.
// One of another name or of none is told by its numbers, or else it is the
// category's if nothing is known of that.
func (a *pacedAccount) window(ln *lane, policy *RatePolicy) *window {
	name, app := policy.Scope()
	switch {
	case app:
		return nil
	case name == safetyNet:
		return &a.all
	case name == string(ln.category), ln.quota.is(policy):
		return &ln.quota
	case a.all.is(policy):
		return &a.all
	case ln.quota.limit == 0:
		return &ln.quota
	}
	return nil
}

func (w *window) is(policy *RatePolicy) bool {
	return int(w.limit) == policy.Limit && w.span() == int64(policy.Window)
}

// policy returns the policy that the limit is to follow: of several the one that
// it follows already, or else the longest.
func (a *pacedAccount) policy(ln *lane, w *window, rate *RateLimit) (found *RatePolicy) {
	for i := range rate.Policies {
		p := &rate.Policies[i]
		if a.window(ln, p) != w {
			continue
		}
		if p.Window == time.Duration(w.span()) {
			return p
		}
		if found == nil || p.Window > found.Window {
			found = p
		}
	}
	return found
}

// attributed returns the account's limit that the rate speaks of, nil if that
// cannot be told. In the plain form, without policies, the number tells, or
// else the reset.
func (a *pacedAccount) attributed(ln *lane, rate *RateLimit) *window {
	if rate.Policy.Limit > 0 {
		if w := a.window(ln, &rate.Policy); w != nil && w.span() == int64(rate.Policy.Window) {
			return w
		}
		return nil
	}
	if len(rate.Policies) > 0 || rate.Limit <= 0 {
		return nil
	}
	for _, w := range []*window{&a.all, &ln.quota} {
		if int(w.limit) == rate.Limit && int64(rate.Reset) <= w.span() {
			return w
		}
	}
	return nil
}

// quota returns what the policy allows, if that can be meant.
func (p *RatePolicy) quota() (q Quota, ok bool) {
	q = Quota{p.Limit, p.Window.Truncate(time.Second)}
	return q, q.Limit > 0 && q.Window > 0 && q.Window <= 366*day
}

// learn takes over a limit that is not known yet, or that has changed.
func (w *window) learn(now int64, policy *RatePolicy) {
	if policy == nil {
		return
	}
	quota, ok := policy.quota()
	if !ok {
		return
	}
	if w.limit == 0 || w.span() != int64(quota.Window) {
		held, epoch := w.held, w.epoch
		*w = newWindow(quota, now)
		w.epoch = epoch + 1
		if held > now {
			w.hold(held)
		}
		return
	}
	w.resize(int32(min(quota.Limit, math.MaxInt32)))
}

func (w *window) see(now int64, rate *RateLimit) {
	w.observe(now, int32(min(rate.Limit, math.MaxInt32)), int32(min(rate.Remaining, math.MaxInt32)), int64(rate.Reset))
}

// Penalize implements [Limiter].
func (p *Pacer) Penalize(_ context.Context, pm Permit, rate RateLimit, wait time.Duration) {
	app := p.app(pm.App)
	now := p.clock.Now()
	until := now.UnixNano() + int64(min(max(wait, 0), 366*day))
	if name, shared := rate.Policy.Scope(); shared {
		app.observe(&pm, &rate, now.UnixNano()) // nobody may know of it yet
		if s := app.named(name, pm.Category); s != nil {
			s.mu.Lock()
			s.hold(until)
			s.mu.Unlock()
			s.changed()
			return
		}
	}
	sh := p.shard(app, pm.Account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	acct, ln := p.find(sh, &pm, now.UnixNano())
	w := acct.attributed(ln, &rate)
	if w == nil {
		w = &ln.quota
	}
	if w.limit == 0 { // nothing is known of it but that it is used up
		*w = newWindow(Quota{100, time.Second}, now.UnixNano())
	}
	w.hold(until)
	acct.changed()
}
