// Package redislimit paces a fleet: any number of processes and machines that
// share one Redis spend the quota of an account, and that of the app, once among
// them. It is a pinterest.Limiter:
//
//	limiter, err := redislimit.New(client, pinterest.Standard.Limits())
//	...
//	app, err := pinterest.NewApp(pinterest.WithLimiter(limiter), ...)
//
// A permit costs one round trip. All limits of a call are looked at and spent in
// one step, by a script in Redis, with the arithmetic of pinterest.Pacer; a
// general rate limiter, such as redis_rate, would spend them one after the other,
// and knows neither holds nor bursts that are paid back. Redis's clock is the
// clock of all, so those of the machines need not agree.
//
// Within a process calls wait in line: first come, first served. Processes take
// turns in the order in which they ask.
//
// All keys of an app have one hash tag, so that in a Redis Cluster they are in one
// slot. Keys of what is not used any more expire by themselves.
package redislimit

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/line"
)

//go:embed window.lua
var source string

var script = redis.NewScript(source)

// Limiter paces by a Redis. Make one with New, for all Apps of a process.
type Limiter struct {
	client  redis.UniversalClient
	prefix  string
	clock   pinterest.Clock // nil: Redis's own
	timeout time.Duration
	known   *known
	away    away

	mu    sync.Mutex
	lines map[string]*fleetLine // by the key of the category's limit
	told  map[string]told       // by key, what Redis was last told
}

// told is what Redis was told of a limit, and when.
type told struct {
	rate pinterest.RateLimit
	at   time.Time
}

// Option changes how a Limiter works.
type Option func(*Limiter)

// WithPrefix begins every key with this text. The default is "pinterest:".
func WithPrefix(prefix string) Option { return func(l *Limiter) { l.prefix = prefix } }

// WithTimeout bounds each question to Redis. The default is 250 ms. A client
// obeys it when its option ContextTimeoutEnabled is set.
func WithTimeout(d time.Duration) Option { return func(l *Limiter) { l.timeout = d } }

// WithClock lives by this clock in place of Redis's, for tests.
func WithClock(clock pinterest.Clock) Option { return func(l *Limiter) { l.clock = clock } }

// WithFallback says what happens while Redis is away. The default is FailOpen(0.5).
func WithFallback(f Fallback) Option { return func(l *Limiter) { l.away.fallback = f } }

// WithObserver has f called when Redis goes away, with the error, and with nil
// when it is back: once each.
func WithObserver(f func(error)) Option { return func(l *Limiter) { l.away.observe = f } }

// New returns a limiter that keeps its state in a Redis. It asks nothing of it yet.
func New(client redis.UniversalClient, limits pinterest.Limits, opts ...Option) (*Limiter, error) {
	if client == nil {
		return nil, errors.New("redislimit: the client is nil")
	}
	l := &Limiter{
		client: client, prefix: "pinterest:", timeout: 250 * time.Millisecond, known: newKnown(limits),
		lines: map[string]*fleetLine{}, told: map[string]told{},
	}
	l.away.fallback = FailOpen(0.5)
	for _, opt := range opts {
		opt(l)
	}
	if l.timeout <= 0 {
		return nil, fmt.Errorf("redislimit: WithTimeout: must be positive, is %v", l.timeout)
	}
	if _, err := pinterest.NewPacer(limits, l.clock); err != nil { // checks them
		return nil, fmt.Errorf("redislimit: %w", err)
	}
	return l, l.away.prepare(limits, l.clock)
}

// String names the limiter by its prefix.
func (l *Limiter) String() string { return "redislimit.Limiter(" + l.prefix + ")" }

// Now implements line.Clock.
func (l *Limiter) Now() time.Time {
	if l.clock != nil {
		return l.clock.Now()
	}
	return time.Now()
}

// Sleep implements line.Clock.
func (l *Limiter) Sleep(ctx context.Context, d time.Duration) error {
	if l.clock != nil {
		return l.clock.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wait implements pinterest.Limiter.
func (l *Limiter) Wait(ctx context.Context, pm pinterest.Permit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !l.away.ask(l.Now()) {
		return l.away.wait(ctx, pm)
	}
	cost := max(1, pm.Cost)
	w := &line.Waiter{Cost: cost, Priority: int8(pm.Priority), Since: pm.Since, MaxHold: pm.MaxHold}
	if w.Since.IsZero() {
		w.Since = l.Now()
	}
	w.Deadline, _ = ctx.Deadline()
	if tell := pm.Waiting; tell != nil {
		w.Waiting = func(slot line.Slot, ahead int) { tell(paceWait(slot, ahead)) }
	}
	fl := l.enter(&pm)
	err := fl.line.Wait(ctx, w)
	l.left(fl)
	var refusal *line.Refusal
	var down *downError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &down):
		l.away.lost(down.err, l.Now())
		return l.away.wait(ctx, pm)
	case errors.As(err, &refusal):
		var cause error
		if refusal.Deadline {
			cause = context.DeadlineExceeded
		}
		return pinterest.NewPaceError(paceWait(refusal.Slot, refusal.Ahead), cause)
	}
	return err
}

func paceWait(slot line.Slot, ahead int) pinterest.PaceWait {
	w := pinterest.PaceWait{Reason: pinterest.PacePace, Limit: slot.Limit, Ahead: ahead, Until: slot.Due}
	switch {
	case !slot.Held.IsZero():
		w.Reason = pinterest.PaceHeld
	case ahead > 0:
		w.Reason = pinterest.PaceLine
	}
	return w
}

// Observe implements pinterest.Limiter. Redis is asked only where the answer may
// tell something new.
func (l *Limiter) Observe(ctx context.Context, pm pinterest.Permit, rate pinterest.RateLimit) {
	now := l.Now()
	if !l.away.ask(now) {
		l.away.pacer.Observe(ctx, pm, rate)
		return
	}
	limits := l.of(&pm)
	for i := range rate.Policies {
		p := &rate.Policies[i]
		if name, app := p.Scope(); app && usable(p) && !slices.ContainsFunc(limits, func(x limit) bool { return x.app && x.name == name }) {
			l.reveal(&pm, p, name)
		}
	}
	limits = l.of(&pm)
	speaks := attributed(limits, &rate)
	for i := range limits {
		x := &limits[i]
		policy := follows(limits, x, &rate)
		revised := policy != nil && (policy.Limit != x.quota.Limit || policy.Window != x.quota.Window)
		if revised {
			x.quota = pinterest.Quota{Limit: policy.Limit, Window: policy.Window}
			l.known.revise(x.key, x.quota, now)
		}
		says := x == speaks && rate.Known()
		if revised || says && l.isNews(x, &rate, now) {
			l.observe(ctx, x, &rate, says)
		}
	}
}

// follows returns the policy that the limit is to follow: of several the one that
// it follows already, or else the longest.
func follows(limits []limit, x *limit, rate *pinterest.RateLimit) (found *pinterest.RatePolicy) {
	for i := range rate.Policies {
		p := &rate.Policies[i]
		name, app := p.Scope()
		if !usable(p) || app != x.app || app && name != x.name || !app && meant(limits, p) != x {
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

const (
	// shortWindow is below which an answer says nothing of a window but that it is
	// used up, since resets are in whole seconds.
	shortWindow = 4 * time.Second
	// tellEvery is how often this process tells Redis what is left of a limit,
	// unless it is little.
	tellEvery = time.Second
)

// isNews reports whether Redis should be told.
func (l *Limiter) isNews(x *limit, rate *pinterest.RateLimit, now time.Time) bool {
	if rate.Remaining == 0 {
		return true
	}
	if x.quota.Window < shortWindow {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.told[x.key]
	if ok && now.Sub(last.at) < tellEvery && now.Sub(last.at) >= 0 && rate.Remaining > rate.Limit/10 && last.rate.Remaining-rate.Remaining < max(2, rate.Limit/50) {
		return false
	}
	if len(l.told) > 4096 { // all of it is of the last second or of no use
		clear(l.told)
	}
	l.told[x.key] = told{pinterest.RateLimit{Remaining: rate.Remaining}, now}
	return true
}

func (l *Limiter) observe(ctx context.Context, x *limit, rate *pinterest.RateLimit, says bool) {
	flag, remaining, reset := "0", 0, time.Duration(0)
	if says {
		flag, remaining, reset = "1", rate.Remaining, rate.Reset
	}
	_, err := l.run(ctx, "observe", remaining, []any{reset.Microseconds(), flag}, []limit{*x}, nil)
	if err != nil && ctx.Err() == nil {
		l.away.lost(err, l.Now())
	}
	if says && rate.Remaining == 0 {
		l.changed(x)
	}
}

// Penalize implements pinterest.Limiter.
func (l *Limiter) Penalize(ctx context.Context, pm pinterest.Permit, rate pinterest.RateLimit, wait time.Duration) {
	if !l.away.ask(l.Now()) {
		l.away.pacer.Penalize(ctx, pm, rate, wait)
		return
	}
	limits := l.of(&pm)
	if name, app := rate.Policy.Scope(); app && usable(&rate.Policy) && attributed(limits, &rate) == nil {
		l.reveal(&pm, &rate.Policy, name) // nobody may know of it yet
		limits = l.of(&pm)
	}
	x := attributed(limits, &rate)
	if x == nil {
		x = &limits[1]
	}
	wait = min(max(wait, 0), 366*24*time.Hour)
	// The call may be over, and the others still have to know.
	ctx = context.WithoutCancel(ctx)
	if _, err := l.run(ctx, "hold", int(wait.Microseconds()), nil, []limit{*x}, nil); err != nil {
		l.away.lost(err, l.Now())
		l.away.pacer.Penalize(ctx, pm, rate, wait)
		return
	}
	l.changed(x)
}

// Usage implements pinterest.Limiter. What is used is the whole fleet's, who
// waits is this process's.
func (l *Limiter) Usage(ctx context.Context, app, account string) ([]pinterest.Usage, error) {
	limits := l.all(app, account)
	reply, err := l.run(ctx, "usage", 0, nil, limits, nil)
	if err != nil {
		return nil, fmt.Errorf("redislimit: %w", err)
	}
	var list []pinterest.Usage
	for i := range limits {
		x, n := &limits[i], reply.of(i, 5)
		if n[0] == 0 {
			continue
		}
		u := pinterest.Usage{
			Limit: x.name, Category: x.of, App: x.app, Max: int(n[0]), Window: time.Duration(n[1]) * time.Second,
			Used: int(n[2]), Reset: time.Duration(n[3]) * time.Microsecond,
		}
		u.Free = max(0, u.Max-u.Used)
		if held := time.Duration(n[4]-reply.now) * time.Microsecond; held > 0 {
			u.HeldUntil, u.Free, u.Reset = l.Now().Add(held), 0, max(u.Reset, held)
		}
		if !x.app {
			u.Waiting = l.waiting(x.key)
		}
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b pinterest.Usage) int {
		if a.App != b.App {
			return map[bool]int{false: -1, true: 1}[a.App]
		}
		return strings.Compare(a.Limit, b.Limit)
	})
	return list, nil
}

// all returns every limit that can be in use for the account.
func (l *Limiter) all(app, account string) []limit {
	var list []limit
	add := func(more []limit) {
		for _, x := range more {
			if !slices.ContainsFunc(list, func(y limit) bool { return y.key == x.key }) {
				list = append(list, x)
			}
		}
	}
	for _, c := range categories {
		add(l.of(&pinterest.Permit{App: app, Account: account, Category: c}))
	}
	return list
}

// categories are those that the API is known to have.
var categories = []pinterest.Category{
	pinterest.CategoryOrgRead, pinterest.CategoryOrgWrite, pinterest.CategoryOrgAnalytics,
	pinterest.CategoryAdsRead, pinterest.CategoryAdsWrite, pinterest.CategoryAdsAnalytics, pinterest.CategoryAdsConversions,
	pinterest.CategoryCatalogsRead, pinterest.CategoryCatalogsWrite, pinterest.CategoryTrendsRead, pinterest.CategoryMSOTWrite,
	pinterest.CategoryAdvancedAuctionRead, pinterest.CategoryAdvancedAuctionWrite,
}

// appKey begins the keys of an app's limits. The tag in braces keeps all keys of
// the app in one slot; names can be any text, so they are hashed.
func (l *Limiter) appKey(app string) string { return l.prefix + "{" + hash(app) + "}:" }

func (l *Limiter) accountKey(pm *pinterest.Permit) string {
	return l.appKey(pm.App) + "a:" + hash(pm.Account) + ":"
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// reply is what the script has answered.
type reply struct {
	now    float64
	values []float64
}

// of returns the values of the i-th limit, of n each.
func (r *reply) of(i, n int) []float64 { return r.values[i*n : (i+1)*n] }

// run runs the script on some limits.
func (l *Limiter) run(ctx context.Context, operation string, cost int, more []any, limits []limit, epochs []float64) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	now := int64(0)
	if l.clock != nil {
		now = l.clock.Now().UnixMicro()
	}
	if more == nil {
		more = []any{0, 0}
	}
	args := append([]any{operation, now, cost}, more...)
	keys := make([]string, len(limits))
	for i := range limits {
		keys[i] = limits[i].key
		epoch := 0.0
		if epochs != nil {
			epoch = epochs[i]
		}
		args = append(args, limits[i].quota.Limit, int64(limits[i].quota.Window/time.Second), strconv.FormatFloat(epoch, 'f', 0, 64))
	}
	texts, err := script.Run(ctx, l.client, keys, args...).StringSlice()
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(texts))
	for i, text := range texts {
		if values[i], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, fmt.Errorf("an answer of the script that is no number: %w", err)
		}
	}
	if len(values) == 0 {
		return nil, errors.New("an empty answer of the script")
	}
	return &reply{values[0], values[1:]}, nil
}
