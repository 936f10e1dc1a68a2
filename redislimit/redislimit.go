// Package redislimit paces a fleet: any number of processes and machines that
// share one Redis spend the quota of an account, and that of the app, once among
// them. Its [Limiter] is a pinterest.Limiter:
//
//	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379", ContextTimeoutEnabled: true})
//	limiter, err := redislimit.New(client, pinterest.AccessStandard.Limits())
//	...
//	app, err := pinterest.NewApp(pinterest.WithLimiter(limiter), ...)
//
// # How it paces
//
// All limits of a call are looked at and spent in one step, by a script in
// Redis, with the arithmetic of pinterest.Pacer. A general rate limiter, such as
// redis_rate, would spend them one after the other and give none of them back,
// lets twice the quota go around the edge of a window, and knows neither
// reservations nor quotas that are closed. The clock is that of the Redis, so
// those of the machines need not agree.
//
// A permit that is free costs one round trip, one that is waited for two: one to
// reserve its slot, and one when it is due, to hear whether the quota was closed
// meanwhile. Within a process calls of a key (app, account and category) wait in
// one line by priority, first come, first served, and ask one after another;
// processes get slots in the order in which they ask. Answers cost a round trip
// only where they tell what this process has not heard from Redis yet. A 429 that
// one process met holds those of the others: they go spaced out after it.
//
// What the API's headers reveal of an account's limits is kept in Redis, for
// all. A limit of the whole app that only headers reveal each process learns from
// its own first answer.
//
// # What is kept
//
// A key for each limit in use, about 200 bytes, such as
//
//	pinterest:{1478036}:account:549755885175:org_write:100/60s
//
// that expires by itself some windows after its last use. All limits of a call
// have to be in one slot of a Redis Cluster, those of the account and those of
// the app alike, so the app is the hash tag: several apps spread over a cluster,
// one app does not. What Redis loses is begun anew, as if nothing had been used.
//
// Redis 5 or newer is needed, since the script reads the time before it writes.
// The tests run with Redis 7.
//
// # When Redis is away
//
// A call that Redis does not answer in time (see [WithTimeout]) opens a circuit:
// from then on one call in a second asks it, and all others go by the fallback at
// once (see [WithFallback]), until it answers. Errors of Redis itself, such as
// those of one that is loading or may not write, count as no answer.
package redislimit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/waitqueue"
)

// Limiter paces by a Redis. One serves all Apps of a process that have the same
// limits. It is made by [New], is safe for concurrent use, and needs no closing.
type Limiter struct {
	client  redis.UniversalClient
	prefix  string
	clock   pinterest.Clock
	ours    bool // the clock is to be used in place of Redis's
	timeout time.Duration
	limits  pinterest.Limits
	account map[pinterest.Category]given
	app     map[pinterest.Category]given
	known   known
	circuit circuit

	mu     sync.Mutex
	queues map[string]*fleetQueue // by the key of the category's limit
}

var _ pinterest.Limiter = (*Limiter)(nil)

// Option changes how a [Limiter] works.
type Option func(*Limiter)

// WithPrefix begins every key with this text. The default is "pinterest:". Those
// who share a quota have the same prefix and the same limits.
func WithPrefix(prefix string) Option { return func(l *Limiter) { l.prefix = prefix } }

// WithTimeout bounds each request to Redis, which the caller's own deadline
// bounds, too. The default is 250 ms.
func WithTimeout(d time.Duration) Option { return func(l *Limiter) { l.timeout = d } }

// WithClock lives by this clock in place of Redis's, for tests.
func WithClock(clock pinterest.Clock) Option {
	return func(l *Limiter) { l.clock, l.ours = clock, clock != nil }
}

// WithFallback says what happens while Redis is away. The default is FailOpen(0.25).
func WithFallback(f Fallback) Option { return func(l *Limiter) { l.circuit.fallback = f } }

// WithOnDown has f called when Redis goes away, with the error, and when it is
// back, with nil: once each, and one after the other. It is called by one of the
// calls, which waits for it.
func WithOnDown(f func(error)) Option { return func(l *Limiter) { l.circuit.observer = f } }

// New returns a limiter that keeps its state in the client's Redis. It asks
// nothing of it yet. The client's option ContextTimeoutEnabled has to be set:
// without it a Redis that hangs would hold every call for as long as the
// client's other timeouts and repetitions take, which is many seconds.
func New(client redis.UniversalClient, limits pinterest.Limits, opts ...Option) (*Limiter, error) {
	l := &Limiter{
		client: client, prefix: "pinterest:", clock: realClock{}, timeout: 250 * time.Millisecond, limits: limits,
		account: giveKeys(limits.Account), app: giveKeys(limits.App), known: newKnown(), queues: map[string]*fleetQueue{},
	}
	l.circuit.fallback = FailOpen(0.25)
	for _, opt := range opts {
		opt(l)
	}
	// The pacer checks the limits.
	if _, err := pinterest.NewPacer(limits, nil); err != nil {
		return nil, fmt.Errorf("redislimit: %w", err)
	}
	switch fraction := l.circuit.fallback.fraction; {
	case client == nil:
		return nil, errors.New("redislimit: the client is nil")
	case !obeysContexts(client):
		return nil, errors.New("redislimit: the client's option ContextTimeoutEnabled has to be set")
	case strings.ContainsAny(l.prefix, "{}"):
		return nil, fmt.Errorf("redislimit: WithPrefix: %q has a brace, which would change the hash tag", l.prefix)
	case l.timeout <= 0:
		return nil, fmt.Errorf("redislimit: WithTimeout: must be positive, is %v", l.timeout)
	case !l.circuit.fallback.closed && !(fraction > 0 && fraction <= 1): // written so that NaN is refused
		return nil, fmt.Errorf("redislimit: FailOpen: must be more than 0 and at most 1, is %v", fraction)
	}
	return l, nil
}

// obeysContexts reports whether the client ends a request with its context.
func obeysContexts(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c == nil || c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c == nil || c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c == nil || c.Options().ContextTimeoutEnabled
	}
	return true // nobody knows
}

// realClock is the default.
type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wait implements [pinterest.Limiter].
func (l *Limiter) Wait(ctx context.Context, pm pinterest.Permit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if pm.Since.IsZero() { // who waits keeps the place, wherever it waits
		pm.Since = l.clock.Now()
	}
	if notify := pm.Waiting; notify != nil {
		pm.Waiting = func(w pinterest.PaceWait) {
			if notify != nil {
				notify(w)
				notify = nil
			}
		}
	}
	for {
		o := l.circuit.now(l.clock.Now())
		if o == nil {
			err := l.waitInQueue(ctx, &pm)
			if !isDown(err) {
				return err
			}
			if o = l.circuit.outage(); o == nil {
				continue // it is back already
			}
		}
		if l.circuit.fallback.closed {
			return o.refusal()
		}
		if err := o.wait(ctx, pm, l.of(&pm), l); !errors.Is(err, errRetryRedis) {
			return err
		}
	}
}

// waitInQueue waits for a slot that Redis gives.
func (l *Limiter) waitInQueue(ctx context.Context, pm *pinterest.Permit) error {
	w := &waitqueue.Waiter{Cost: max(1, pm.Cost), Priority: int8(pm.Priority), Since: pm.Since, MaxHold: pm.MaxHold}
	w.Deadline, _ = ctx.Deadline()
	if notify := pm.Waiting; notify != nil {
		w.Waiting = func(slot waitqueue.Slot, ahead int) { notify(paceWait(slot, ahead)) }
	}
	q := l.enter(pm)
	err := q.queue.Wait(ctx, w)
	l.leave(q)
	refusal, ok := errors.AsType[*waitqueue.Refusal](err)
	if !ok {
		return err
	}
	var cause error
	if refusal.Deadline {
		cause = context.DeadlineExceeded
	}
	return pinterest.NewPaceError(paceWait(refusal.Slot, refusal.Ahead), cause)
}

func paceWait(slot waitqueue.Slot, ahead int) pinterest.PaceWait {
	w := pinterest.PaceWait{Reason: pinterest.PacePace, Limit: slot.Limit, Ahead: ahead, Until: slot.Due}
	switch {
	case !slot.Held.IsZero():
		w.Reason = pinterest.PaceHeld
	case ahead > 0:
		w.Reason = pinterest.PaceQueued
	}
	return w
}
