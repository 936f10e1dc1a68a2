package pinterest

import (
	"context"
	"time"

	"github.com/pinterest-go/pinterest/internal/bucket"
)

// This file is what a pacer learns from the headers of answers and from 429s.

// Observe implements [Limiter].
func (p *Pacer) Observe(_ context.Context, pm Permit, rate RateLimit) {
	app := p.app(pm.App)
	sh, now := app.accounts.Shard(pm.Account), p.clock.Now().UnixNano()
	app.observe(&pm, &rate, now)
	sh.Lock()
	defer sh.Unlock()
	acct, cat := p.find(sh, &pm, now)
	before := acct.all.Epoch() + cat.bucket.Epoch()
	learn(&acct.all, acct.policy(cat, &acct.all, &rate), now)
	learn(&cat.bucket, acct.policy(cat, &cat.bucket, &rate), now)
	if b := acct.attributed(cat, &rate); b != nil && rate.Known() {
		b.Observe(now, rate.Limit, rate.Remaining, rate.Reset)
	}
	if acct.all.Epoch()+cat.bucket.Epoch() != before {
		acct.changed()
	}
}

// observe learns what the rate says of limits that all accounts share.
func (a *pacedApp) observe(pm *Permit, rate *RateLimit, now int64) {
	for i := range rate.Policies {
		policy := &rate.Policies[i]
		name, app := policy.Scope()
		quota, ok := policy.quota()
		if !app || !ok {
			continue
		}
		s := a.limit(name, pm.Category)
		if s == nil {
			if len(a.limits(pm.Category)) >= maxShared {
				continue
			}
			b := newBucket(quota, now)
			b.Take(pm.cost()) // the call that revealed it
			a.share(name, pm.Category, b)
			s = a.limit(name, pm.Category)
		}
		s.mu.Lock()
		before := s.bucket.Epoch()
		learn(&s.bucket, policy, now)
		if rate.Known() && rate.Policy == *policy {
			s.bucket.Observe(now, rate.Limit, rate.Remaining, rate.Reset)
		}
		changed := s.bucket.Epoch() != before
		s.mu.Unlock()
		if changed {
			s.changed()
		}
	}
}

// bucket returns the account's limit that a policy is about, by the policy's name.
// A policy with another name or none is matched by its numbers. If that fails,
// it is the category's or, if that limit is known already, nil.
func (a *pacedAccount) bucket(cat *pacedCategory, policy *RatePolicy) *bucket.Bucket {
	name, app := policy.Scope()
	switch {
	case app:
		return nil
	case name == safetyNet:
		return &a.all
	case name == string(cat.name), policy.describes(&cat.bucket):
		return &cat.bucket
	case policy.describes(&a.all):
		return &a.all
	case cat.bucket.Limit() == 0:
		return &cat.bucket
	}
	return nil
}

// describes reports whether the policy has the numbers of the limit.
func (p *RatePolicy) describes(b *bucket.Bucket) bool {
	return b.Limit() == p.Limit && b.Window() == p.Window
}

// policy returns the policy that the limit has to follow. Of several it is the
// one whose window the limit has already, or else the longest.
func (a *pacedAccount) policy(cat *pacedCategory, b *bucket.Bucket, rate *RateLimit) (found *RatePolicy) {
	for i := range rate.Policies {
		p := &rate.Policies[i]
		if a.bucket(cat, p) != b {
			continue
		}
		if p.Window == b.Window() {
			return p
		}
		if found == nil || p.Window > found.Window {
			found = p
		}
	}
	return found
}

// attributed returns the account's limit that the leading numbers of the rate are
// about, or nil if that cannot be told. In the plain form, without policies, it
// is the one with the same number, if its window is long enough for the reset.
func (a *pacedAccount) attributed(cat *pacedCategory, rate *RateLimit) *bucket.Bucket {
	if rate.Policy.Limit > 0 {
		if b := a.bucket(cat, &rate.Policy); b != nil && b.Window() == rate.Policy.Window {
			return b
		}
		return nil
	}
	if len(rate.Policies) > 0 || rate.Limit <= 0 {
		return nil
	}
	for _, b := range []*bucket.Bucket{&a.all, &cat.bucket} {
		if b.Limit() == rate.Limit && rate.Reset <= b.Window() {
			return b
		}
	}
	return nil
}

// quota returns what the policy allows. ok is false if it is not plausible.
func (p *RatePolicy) quota() (q Quota, ok bool) {
	q = Quota{p.Limit, p.Window.Truncate(time.Second)}
	return q, q.Limit > 0 && q.Window > 0 && q.Window <= maxWindow
}

// learn makes the bucket follow a policy, unless it is nil or not plausible.
func learn(b *bucket.Bucket, policy *RatePolicy, now int64) {
	if policy == nil {
		return
	}
	if quota, ok := policy.quota(); ok {
		b.Learn(quota.Limit, quota.Window, now)
	}
}

// Penalize implements [Limiter].
func (p *Pacer) Penalize(_ context.Context, pm Permit, rate RateLimit, wait time.Duration) {
	app := p.app(pm.App)
	now := p.clock.Now().UnixNano()
	until := now + int64(min(max(wait, 0), maxWindow))
	if name, shared := rate.Policy.Scope(); shared {
		app.observe(&pm, &rate, now) // the limit may not be known yet
		if s := app.limit(name, pm.Category); s != nil {
			s.mu.Lock()
			s.bucket.Hold(until)
			s.mu.Unlock()
			s.changed()
			return
		}
	}
	sh := app.accounts.Shard(pm.Account)
	sh.Lock()
	defer sh.Unlock()
	acct, cat := p.find(sh, &pm, now)
	b := acct.attributed(cat, &rate)
	if b == nil {
		b = &cat.bucket
	}
	if b.Limit() == 0 { // only that it is used up is known
		*b = newBucket(Quota{100, time.Second}, now)
	}
	b.Hold(until)
	acct.changed()
}
