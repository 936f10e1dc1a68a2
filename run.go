package pinterest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// run is what one call knows between its attempts.
type run struct {
	c      *Client
	cl     *call
	ctx    context.Context // the caller's
	call   uint64          // its number
	permit Permit          // what it asks the limiter for
	waited bool            // the limiter made this attempt wait

	firstAttempt attempt
	attempts     []Attempt
	first        [1]Attempt // backs attempts, for the call that needs only one
	counted      int        // attempts that count against the policy
	throttles    backoff.BackOff
	servers      backoff.BackOff
	refreshed    bool // the one refresh was made
	refused      int  // access tokens that the API did not accept
	mayExist     bool // an earlier attempt may have taken effect
	adopted      bool // the result was looked up, not answered
	sentAt       time.Time
	spent        int // of the retry budget, by this call
}

// begin begins a call.
func (c *Client) begin(ctx context.Context, cl *call) *run {
	r := &run{c: c, cl: cl, ctx: ctx, call: c.calls.Add(1)}
	if r.paced() {
		r.permit = Permit{
			App: c.appID, Account: c.name, Category: cl.op.Category, Priority: cl.opts.priority,
			Since: c.clock.Now(), MaxHold: cl.opts.policy.MaxServerWait, Waiting: r.waits,
		}
		if cl.op.Auth == AuthApp {
			r.permit.Priority = priorityToken // all calls of the account wait for it
		}
	}
	return r
}

// paced reports whether the call takes its turn: there is a limiter, and it is
// Pinterest's quota that the call counts against.
func (r *run) paced() bool { return r.c.limiter != nil && !r.cl.foreign() }

// act does what the table says about a failed attempt. It returns again when
// the call is to be sent once more; otherwise the call is over, with err, or
// without one where the failure turned out to be a success.
func (r *run) act(at *attempt) (again bool, err error) {
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
		return r.refresh(at, rule)
	}
	wait, stop := r.plan(at, rule)
	r.finish(at, wait, stop)
	if r.mayHaveCreated(at, rule) {
		started := r.c.clock.Now()
		switch verdict, lookErr := r.reconcile(); verdict {
		case verdictFound:
			r.succeed(at)
			return false, nil
		case verdictUnknown:
			return false, r.uncertain(at, rule, stop, lookErr)
		case verdictAbsent:
		}
		if stop == nil { // proving absence was waiting, too
			wait = max(0, wait-r.c.clock.Now().Sub(started))
			r.attempts[len(r.attempts)-1].Wait = wait
		}
	}
	if stop != nil {
		return false, r.fail(at, rule, wait, stop)
	}
	if err := r.c.clock.Sleep(r.ctx, wait); err != nil {
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
	return create && may && !r.cl.opts.withoutLookup
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
func (r *run) refresh(at *attempt, rule Rule) (again bool, err error) {
	switch r.refused++; {
	case r.cl.foreign(): // it says nothing of the account
		rule.Disposition = DispositionReview
		return false, r.fail(at, rule, 0, nil)
	case r.cl.opts.token != "":
		rule.Disposition = DispositionFix
		return false, r.fail(at, rule, 0, errOwnToken)
	case r.refused == maxTokenTries, !at.refreshable():
		return false, r.fail(at, rule, 0, nil)
	}
	r.finish(at, 0, nil)
	if r.refreshed {
		err = r.c.tokens.awaitNewer(r.ctx, at.credential)
	} else {
		r.refreshed, err = r.c.tokens.refresh(r.ctx, at.credential)
	}
	switch {
	case err == nil && r.cl.stream != nil && r.cl.stream.spent() != nil:
		rule.Disposition = DispositionPark // the next call has the new token
		return false, r.fail(at, rule, 0, r.cl.stream.spent())
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

// errOwnToken is the reason that a token of the caller's own is not refreshed.
var errOwnToken = errors.New("the token of UsingToken was not accepted, and only the account's own is refreshed")

// errDeadline is returned when a wait would end after the caller's deadline.
var errDeadline = fmt.Errorf("the wait before the next attempt does not fit the caller's deadline: %w", context.DeadlineExceeded)

// plan says how long to wait before the next attempt, and why there is none.
// The order matters: the table, the attempts, the API's word, the caller's
// deadline, and the budget last, so that nothing is taken that is not used.
func (r *run) plan(at *attempt, rule Rule) (wait time.Duration, stop error) {
	if rule.Action != ActionBackOff {
		return rule.ParkFor, errFinal
	}
	wait, asked := r.delay(at, rule)
	if rule.Class == ClassThrottled && r.paced() {
		r.c.limiter.Penalize(r.ctx, r.permit, at.rate, wait)
	}
	policy := &r.cl.opts.policy
	limit := policy.MaxAttempts
	if rule.MaxAttempts > 0 {
		limit = min(limit, rule.MaxAttempts)
	}
	if r.counted >= limit {
		return max(wait, rule.ParkFor), errFinal
	}
	if asked && wait > policy.MaxServerWait {
		return wait, errFinal
	}
	if r.cl.stream != nil {
		if err := r.cl.stream.spent(); err != nil {
			return wait, err
		}
	}
	wait = policy.jitter(wait)
	if err := r.ctx.Err(); err != nil {
		return wait, err
	}
	if deadline, ok := r.ctx.Deadline(); ok && r.c.clock.Now().Add(wait).After(deadline) {
		return wait, errDeadline
	}
	cost := serverCost
	if rule.Class == ClassThrottled {
		cost = throttleCost
	}
	if !r.c.budget.take(cost) {
		return wait, ErrRetryBudget
	}
	r.spent += cost
	return wait, nil
}

// delay returns the wait that the rule computes or the API asked for, or else
// the next interval of our own, without jitter.
func (r *run) delay(at *attempt, rule Rule) (wait time.Duration, asked bool) {
	if now := r.c.clock.Now(); rule.Wait != nil {
		return max(0, rule.Wait(at.failure, now)), true
	} else if wait = at.askedWait(rule, now); wait > 0 {
		return wait, true
	}
	if rule.Class == ClassThrottled || rule.Class == ClassMediaUnreachable {
		return nextInterval(&r.throttles, r.cl.opts.policy.ThrottleDelay, r.cl.opts.policy.MaxDelay), false
	}
	return nextInterval(&r.servers, r.cl.opts.policy.ServerDelay, r.cl.opts.policy.MaxDelay), false
}

// pacedRule adds to the rule when the limiter would let the call go.
func (c *Client) pacedRule(rule Rule, err error) Rule {
	if paced, ok := errors.AsType[*PaceError](err); ok {
		rule.ParkFor = max(0, paced.Until.Sub(c.clock.Now()))
	}
	return rule
}
