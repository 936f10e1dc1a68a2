package pinterest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// RetryPolicy bounds what the library does about failures that may pass. A
// field left zero takes its default.
type RetryPolicy struct {
	// MaxAttempts is how often one call is sent at the most, the first time
	// included. Default 5. 1 turns sending again off, but for the one resend that
	// follows a refreshed token, which never counts.
	MaxAttempts int
	// ThrottleDelay is the first wait after a 429 that names no time. Default 5 s.
	ThrottleDelay time.Duration
	// ServerDelay is the first wait after a 5xx or a transport failure. Default 2 s.
	ServerDelay time.Duration
	// MaxDelay caps the waits, which double from one attempt to the next.
	// Default 60 s.
	MaxDelay time.Duration
	// MaxServerWait is the longest wait asked for by the API (Retry-After,
	// x-ratelimit-reset) that is slept. A longer one ends the call at once with
	// disposition park and the time in Error.RetryAt. Default 60 s.
	MaxServerWait time.Duration
	// Jitter is the share of a wait that is added to it at random, after the
	// caps, so that callers do not come back all at once. A wait is never made
	// shorter. Default 0.3; negative for none.
	Jitter float64
	// AttemptTimeout bounds one attempt, from asking for a token to the last
	// byte of the answer. An attempt that it ends is tried again. Default 30 s.
	AttemptTimeout time.Duration
	// SettleTime is how long the API's lists may lag behind its writes. An
	// ambiguous create counts as absent only when look-ups spread over this time
	// did not find it. Default 5 s.
	SettleTime time.Duration
	// SettleReads is how many look-ups are spread over the settle time, from the
	// failure to its end; at least 2. Default 2.
	SettleReads int
	// Quota is how much retrying a client may have under way while nothing
	// succeeds: a retry after a 429 costs 5, any other 10, and success pays back.
	// It keeps a fleet from hammering an API that is down. Default 1000;
	// negative for no limit. It belongs to the client: set for one call, it has
	// no effect.
	Quota int
}

const (
	throttleCost = 5
	serverCost   = 10
)

// withDefaults returns the policy with its zero fields filled.
func (p RetryPolicy) withDefaults() RetryPolicy {
	def(&p.MaxAttempts, 5)
	def(&p.ThrottleDelay, 5*time.Second)
	def(&p.ServerDelay, 2*time.Second)
	def(&p.MaxDelay, 60*time.Second)
	def(&p.MaxServerWait, 60*time.Second)
	def(&p.Jitter, 0.3)
	def(&p.AttemptTimeout, 30*time.Second)
	def(&p.SettleTime, 5*time.Second)
	def(&p.SettleReads, 2)
	def(&p.Quota, 1000)
	return p
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate refuses a policy that could not be meant.
func (p RetryPolicy) validate() error {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"ThrottleDelay", p.ThrottleDelay}, {"ServerDelay", p.ServerDelay}, {"MaxDelay", p.MaxDelay},
		{"MaxServerWait", p.MaxServerWait}, {"AttemptTimeout", p.AttemptTimeout}, {"SettleTime", p.SettleTime},
	} {
		if f.value < 0 {
			return fmt.Errorf("RetryPolicy.%s must not be negative, is %v", f.name, f.value)
		}
	}
	if p.MaxAttempts < 0 {
		return fmt.Errorf("RetryPolicy.MaxAttempts must not be negative, is %d", p.MaxAttempts)
	}
	if p.SettleReads < 0 || p.SettleReads == 1 {
		return fmt.Errorf("RetryPolicy.SettleReads must be at least 2, is %d: one read proves nothing", p.SettleReads)
	}
	if !(p.Jitter <= 1) { // NaN, too
		return fmt.Errorf("RetryPolicy.Jitter is a share of the wait, at most 1, is %v", p.Jitter)
	}
	return nil
}

// retryQuota is what is left of RetryPolicy.Quota, shared by a client's calls.
type retryQuota struct {
	mu   sync.Mutex
	max  int
	left int
}

func newRetryQuota(n int) *retryQuota { return &retryQuota{max: n, left: n} }

// take spends cost, or reports that there is not enough.
func (q *retryQuota) take(cost int) bool {
	if q.max < 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left < cost {
		return false
	}
	q.left -= cost
	return true
}

// give pays back after a definite answer: what the call's retries cost, and
// one more, so that a quota spent on calls that failed fills again.
func (q *retryQuota) give(n int) {
	if q.max < 0 {
		return
	}
	q.mu.Lock()
	q.left = min(q.max, q.left+n+1)
	q.mu.Unlock()
}

// run is what one call knows between its attempts.
type run struct {
	c      *Client
	cl     *call
	call   uint64 // its number
	permit Permit // what it asks the limiter for
	waited bool   // the limiter made this attempt wait

	firstAttempt attempt
	attempts     []Attempt
	first        [1]Attempt // backs attempts, for the call that needs only one
	counted      int        // attempts that count against the policy
	throttles    backoff.BackOff
	servers      backoff.BackOff
	refused      int  // access tokens that the API did not accept
	refreshed    bool // a new token was granted to this call
	mayExist     bool // an earlier attempt may have taken effect
	adopted      bool // the result was looked up, not answered
	sentAt       time.Time
	spent        int // quota spent by this call
}

// begin begins a call.
func (c *Client) begin(cl *call) *run {
	r := &run{c: c, cl: cl, call: c.calls.Add(1)}
	if c.limiter != nil {
		r.permit = Permit{
			App: c.appID, Account: c.name, Category: cl.op.Category, Priority: cl.opts.priority,
			Since: c.clock.Now(), MaxHold: cl.opts.policy.MaxServerWait, Waiting: r.waits,
		}
		if cl.basic != nil {
			r.permit.Priority = priorityToken // all calls of the account wait for it
		}
	}
	return r
}

// act does what the table says about a failed attempt. It returns again when
// the call is to be sent once more; otherwise the call is over, with err, or
// without one where the failure turned out to be a success.
func (r *run) act(ctx context.Context, at *attempt) (again bool, err error) {
	rule := r.c.table.classify(&at.failure)
	switch at.failure.Reason {
	case ReasonToken:
		rule = r.c.tokenRule(rule, at.err, false)
	case ReasonPaced:
		rule = r.c.pacedRule(rule, at.err)
	default: // the table says it all
	}
	at.record.Class, at.record.Action, at.record.Rule = rule.Class, rule.Action, rule.Name
	if r.doneBefore(at) {
		r.succeed(at)
		return false, nil
	}
	if rule.Action == ActionRefresh {
		return r.refresh(ctx, at, rule)
	}
	wait, stop := r.plan(ctx, at, rule)
	r.book(at, wait, stop)
	if r.mayHaveCreated(at, rule) {
		started := r.c.clock.Now()
		switch state, lookErr := r.reconcile(ctx); state {
		case stateFound:
			r.succeed(at)
			return false, nil
		case stateUnknown:
			return false, r.uncertain(at, rule, stop, lookErr)
		case stateAbsent:
		}
		if stop == nil { // proving absence was waiting, too
			wait = max(0, wait-r.c.clock.Now().Sub(started))
			r.attempts[len(r.attempts)-1].Wait = wait
		}
	}
	if stop != nil {
		return false, r.fail(at, rule, wait, stop)
	}
	if err := r.c.clock.Sleep(ctx, wait); err != nil {
		return false, r.fail(at, rule, wait, err)
	}
	at.release()
	return true, nil
}

// mayHaveCreated reports whether the attempt failed in a way after which the
// create may have taken effect. A conflict after an own attempt of that kind is
// that attempt's success, seen from behind.
func (r *run) mayHaveCreated(at *attempt, rule Rule) bool {
	create := r.cl.op.Kind == KindCreate
	may := rule.Ambiguous && at.failure.Phase != PhaseNotSent || create && r.mayExist && rule.Class == ClassConflict
	r.mayExist = r.mayExist || may
	return create && may && !r.cl.opts.resend
}

// doneBefore reports whether the failure is a DELETE's 404 after an own
// attempt whose answer was lost: the thing is gone, as was asked.
func (r *run) doneBefore(at *attempt) bool {
	return r.cl.op.Method == http.MethodDelete && r.mayExist &&
		(at.failure.Status == http.StatusNotFound || at.failure.Status == http.StatusGone)
}

// refresh has the call sent once more with another token. A new one is granted to
// a call only once. If that is refused, too, it can have ended meanwhile: then the
// token that another call or process has refreshed since is tried.
func (r *run) refresh(ctx context.Context, at *attempt, rule Rule) (again bool, err error) {
	if r.refused++; r.refused == maxTokenTries || r.cl.basic != nil {
		return false, r.fail(at, rule, 0, nil)
	}
	r.book(at, 0, nil)
	if r.refreshed {
		err = r.c.tokens.awaitNewer(ctx, at.credential)
	} else {
		r.refreshed, err = r.c.tokens.refresh(ctx, at.credential)
	}
	switch {
	case err == nil:
		at.release()
		r.counted--
		return true, nil
	case errors.Is(err, errNoNewerToken):
		return false, r.fail(at, rule, 0, nil)
	}
	at.err = err
	rule = r.c.tokenRule(rule, err, true)
	return false, r.fail(at, rule, rule.ParkFor, nil)
}

// errFinal is the reason of a stop that needs no words of its own.
var errFinal = errors.New("final")

// plan says how long to wait before the next attempt, and why there is none.
// The order matters: the table, the attempts, the API's word, the caller's
// deadline, and the quota last, so that nothing is taken that is not used.
func (r *run) plan(ctx context.Context, at *attempt, rule Rule) (wait time.Duration, stop error) {
	if rule.Action != ActionBackOff {
		return rule.ParkFor, errFinal
	}
	wait, asked := r.delay(at, rule)
	if rule.Class == ClassThrottled && r.c.limiter != nil {
		r.c.limiter.Penalize(ctx, r.permit, at.rate, wait)
	}
	limit := r.cl.opts.policy.MaxAttempts
	if rule.MaxAttempts > 0 {
		limit = min(limit, rule.MaxAttempts)
	}
	if r.counted >= limit {
		return max(wait, rule.ParkFor), errFinal
	}
	if asked && wait > r.cl.opts.policy.MaxServerWait {
		return wait, errFinal
	}
	wait = r.jitter(wait)
	if err := ctx.Err(); err != nil {
		return wait, err
	}
	if deadline, ok := ctx.Deadline(); ok && r.c.clock.Now().Add(wait).After(deadline) {
		return wait, errDeadline
	}
	cost := serverCost
	if rule.Class == ClassThrottled {
		cost = throttleCost
	}
	if !r.c.quota.take(cost) {
		return wait, ErrRetryQuota
	}
	r.spent += cost
	return wait, nil
}

// errDeadline is returned when a wait would end after the caller's deadline.
var errDeadline = fmt.Errorf("the wait before the next attempt does not fit the caller's deadline: %w", context.DeadlineExceeded)

// pacedRule adds to the rule when the limiter would let the call go.
func (c *Client) pacedRule(rule Rule, err error) Rule {
	if paced, ok := errors.AsType[*PaceError](err); ok {
		rule.ParkFor = max(0, paced.Until.Sub(c.clock.Now()))
	}
	return rule
}

// delay returns the wait that the API asked for, or else the next interval of
// our own, without jitter.
func (r *run) delay(at *attempt, rule Rule) (wait time.Duration, asked bool) {
	if wait = at.askedWait(rule, r.c.clock.Now()); wait > 0 {
		return wait, true
	}
	if rule.Class == ClassThrottled || rule.Class == ClassMediaUnreachable {
		return nextInterval(&r.throttles, r.cl.opts.policy.ThrottleDelay, r.cl.opts.policy.MaxDelay), false
	}
	return nextInterval(&r.servers, r.cl.opts.policy.ServerDelay, r.cl.opts.policy.MaxDelay), false
}

// nextInterval takes the next interval of b, which it makes on first use: one
// value a call, by its constructor, as a source of intervals and no more.
func nextInterval(b *backoff.BackOff, initial, limit time.Duration) time.Duration {
	if *b == nil {
		*b = backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(min(initial, limit)),
			backoff.WithMaxInterval(limit),
			backoff.WithMultiplier(2),
			backoff.WithRandomizationFactor(0), // ours is added after the cap
			backoff.WithMaxElapsedTime(0),      // the loop has its own bounds
		)
	}
	return (*b).NextBackOff()
}

// jitter adds up to the policy's share, so the wait is never below what was
// asked for.
func (r *run) jitter(wait time.Duration) time.Duration {
	if r.cl.opts.policy.Jitter <= 0 {
		return wait
	}
	more := rand.Float64() * r.cl.opts.policy.Jitter * float64(wait)
	if more >= float64(maxDuration-wait) {
		return maxDuration
	}
	return wait + time.Duration(more)
}
