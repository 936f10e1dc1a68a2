// Package redislimit paces a fleet: any number of processes and machines that
// share one Redis also share the quotas of the accounts and of the app. Its
// [Limiter] is a pinterest.Limiter:
//
//	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379", ContextTimeoutEnabled: true})
//	limiter, err := redislimit.New(client, pinterest.AccessStandard.Limits())
//	...
//	app, err := pinterest.NewApp(pinterest.WithLimiter(limiter), ...)
//
// # How it paces
//
// A script in Redis checks and spends all limits of a call in one step, with the
// arithmetic of pinterest.Pacer. A general rate limiter, such as redis_rate, would
// spend them one after the other without giving any back, lets twice the quota go
// around the edge of a window, and knows neither reservations nor quotas that the
// API has closed. The clock is that of Redis, so the clocks of the machines need
// not agree.
//
// A permit that is free costs one round trip. One that has to wait costs two: one
// to reserve its slot, and one when the slot is due, to check that the quota was
// not closed in the meantime. Within a process, the calls of a key (app, account
// and category) wait in one queue by priority, first come, first served, and ask
// Redis one after another. Processes get slots in the order in which they ask. An
// answer costs a round trip only if it says something that this process has not
// heard from Redis yet. A 429 that one process gets holds the calls of all others;
// after it they go one after another.
//
// What the API's headers reveal about the limits of an account is kept in Redis,
// for all processes. A limit of the whole app that only headers reveal is learned
// by each process from its own first answer.
//
// # What is kept
//
// A key for each limit in use, about 200 bytes, such as
//
//	pinterest:{1478036}:account:549755885175:org_write:100/60s
//
// Keys expire some windows after their last use. All limits of a call, those of
// the account and those of the app, have to be in one slot of a Redis Cluster, so
// the app is the hash tag: several apps spread over a cluster, one app does not.
// State that Redis loses starts again as if nothing had been used.
//
// Redis 5 or newer is required, because the script reads the time before it
// writes. The tests run with Redis 7.
//
// # When Redis is away
//
// A request that Redis does not answer in time (see [WithTimeout]) opens a circuit
// breaker. From then on one call a second asks Redis, and all others use the
// fallback at once (see [WithFallback]), until Redis answers. An error of Redis
// itself, for example while it is loading or when it may not write, counts as no
// answer.
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
	"github.com/pinterest-go/pinterest/internal/realclock"
	"github.com/pinterest-go/pinterest/internal/waitqueue"
)

// Limiter is a pinterest.Limiter that keeps its state in Redis. One Limiter serves
// all Apps of a process that have the same limits. It is made by [New], is safe
// for concurrent use and does not have to be closed.
type Limiter struct {
	client  redis.UniversalClient
	prefix  string
	clock   pinterest.Clock
	ours    bool // use the clock in place of Redis's
	timeout time.Duration
	limits  pinterest.Limits
	account map[pinterest.Category]configured
	app     map[pinterest.Category]configured
	known   cache
	circuit circuit

	mu     sync.Mutex
	queues map[string]*fleetQueue // by the key of the category's limit
}

var _ pinterest.Limiter = (*Limiter)(nil)

// Option changes how a [Limiter] works.
type Option func(*Limiter)

// WithPrefix sets the text at the beginning of every key. The default is
// "pinterest:". It must not contain braces. Processes that share a quota need the
// same prefix and the same limits.
func WithPrefix(prefix string) Option { return func(l *Limiter) { l.prefix = prefix } }

// WithTimeout bounds each request to Redis, in addition to the caller's own
// deadline. It must be positive. The default is 250 ms.
func WithTimeout(d time.Duration) Option { return func(l *Limiter) { l.timeout = d } }

// WithClock uses this clock in place of that of Redis. It is for tests.
func WithClock(clock pinterest.Clock) Option {
	return func(l *Limiter) { l.clock, l.ours = clock, clock != nil }
}

// WithFallback says what happens to calls while Redis does not answer. The default
// is FailOpen(0.25).
func WithFallback(f Fallback) Option { return func(l *Limiter) { l.circuit.fallback = f } }

// WithOnDown sets a function that is called once when Redis stops answering, with
// the error, and once when it answers again, with nil. Its calls do not overlap.
// It runs in the goroutine of one of the calls, which waits for it.
func WithOnDown(f func(error)) Option { return func(l *Limiter) { l.circuit.observer = f } }

// New returns a limiter that keeps its state in the client's Redis. It sends
// nothing yet. The client's option ContextTimeoutEnabled has to be set: without it
// a Redis that hangs would block every call for as long as the client's other
// timeouts and retries take, which is many seconds. The error says which argument
// is not valid.
func New(client redis.UniversalClient, limits pinterest.Limits, opts ...Option) (*Limiter, error) {
	l := &Limiter{
		client: client, prefix: "pinterest:", clock: realclock.Clock{}, timeout: 250 * time.Millisecond, limits: limits,
		account: configure(limits.Account), app: configure(limits.App), known: newCache(), queues: map[string]*fleetQueue{},
	}
	l.circuit.fallback = FailOpen(0.25)
	for _, opt := range opts {
		opt(l)
	}
	// NewPacer checks the limits.
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

// obeysContexts reports whether the client ends a request when its context ends.
func obeysContexts(client redis.UniversalClient) bool {
	switch c := client.(type) {
	case *redis.Client:
		return c == nil || c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c == nil || c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c == nil || c.Options().ContextTimeoutEnabled
	}
	return true // it cannot be told
}

// Wait implements [pinterest.Limiter].
func (l *Limiter) Wait(ctx context.Context, pm pinterest.Permit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if pm.Since.IsZero() { // so that the call keeps its place, in Redis's queue or the fallback's
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
		o := l.circuit.open(l.clock.Now())
		if o == nil {
			err := l.waitInQueue(ctx, &pm)
			if !isDown(err) {
				return err
			}
			if o = l.circuit.outage(); o == nil {
				continue // Redis answers again
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

// waitInQueue waits for a slot of Redis, in this process's queue.
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
