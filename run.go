package pinterest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// run is the state of one call between its attempts.
type run struct {
	c      *Client
	cl     *call
	ctx    context.Context // the caller's
	permit Permit          // what it requests from the limiter
	waited bool            // the limiter has made the current attempt wait

	firstAttempt attempt
	attempts     []Attempt
	first        [1]Attempt // the array behind attempts, for calls with only one
	counted      int        // attempts that count against the policy
	throttles    backoff.BackOff
	servers      backoff.BackOff
	refreshed    bool      // the call has refreshed the token, which it may do once
	refused      int       // how many access tokens the API did not accept
	mayExist     bool      // an earlier attempt may have taken effect
	proved       bool      // and was shown to be absent since
	origin       Origin    // of the result
	sentAt       time.Time // when a create was first sent, by the client's clock
	spent        int       // what the call has taken from the retry budget
}

// begin starts a call.
func (c *Client) begin(ctx context.Context, cl *call) *run {
	r := &run{c: c, cl: cl, ctx: ctx}
	if r.paced() {
		r.permit = Permit{
			App: c.appID, Account: c.name, Category: cl.op.Category, Priority: cl.opts.priority,
			Since: c.clock.Now(), MaxHold: cl.opts.policy.MaxServerWait, Waiting: r.waits,
		}
		if cl.op.AppAuth {
			r.permit.Priority = priorityToken // other calls of the account wait for it
		}
	}
	return r
}

// owner names the create as the owner of its result.
func (r *run) owner() string {
	return cmp.Or(r.cl.owner(), "call "+strconv.FormatUint(r.cl.count(r.c), 10))
}

// paced reports whether the call waits for its turn: the client has a limiter, and
// the call counts against Pinterest's quota and is not one that must not be refused.
func (r *run) paced() bool { return r.c.limiter != nil && !r.cl.foreign() && !r.cl.opts.unpaced }

// act does what the table says about a failed attempt. If again is true, the call is
// to be sent once more. Otherwise the call has ended: with err, or successfully if
// err is nil, because the attempt had taken effect after all.
func (r *run) act(at *attempt) (again bool, err error) {
	rule := r.c.table.classify(&at.failure)
	switch at.failure.Reason {
	case ReasonToken:
		rule = r.c.tokenRule(rule, at.err, false)
	case ReasonPaced:
		rule = r.c.pacedRule(rule, at.err)
	default: // the row of the table is complete
	}
	at.record.Class, at.record.Action, at.record.Rule = rule.Class, rule.Action, rule.Name
	if r.doneBefore(at) {
		r.succeed(at)
		return false, nil
	}
	// A conflict after an own attempt that may have taken effect is probably with the
	// result of that attempt.
	exists := r.mayExist && rule.Class == ClassConflict
	if rule.Ambiguous && at.failure.Phase != PhaseNotSent {
		r.mayExist, r.proved = true, false
	}
	rule, wait, stop := r.decide(at, rule)
	r.finish(at, wait, stop)
	if r.looksUp() {
		started := r.c.clock.Now()
		r.attempts[len(r.attempts)-1].Wait = 0 // the call may end here, and then nothing was slept
		final := stop != nil && (!rule.Ambiguous || r.counted < r.cl.opts.policy.MaxAttempts)
		if done, err := r.afterLook(at, rule, stop, func() (verdict, error) { return r.reconcile(exists, final) }); done {
			return false, err
		}
		if stop == nil { // the look-ups took a part of the wait
			wait = max(0, wait-r.c.clock.Now().Sub(started))
			r.attempts[len(r.attempts)-1].Wait = wait
		}
	}
	if stop != nil {
		return false, r.fail(at, rule, wait, stop)
	}
	err = r.c.clock.Sleep(r.ctx, wait)
	if r.looksUp() && (wait > 0 || err != nil) {
		if done, err := r.afterLook(at, rule, err, r.lastLook); done {
			return false, err
		}
	}
	if err != nil {
		return false, r.fail(at, rule, wait, err)
	}
	at.release()
	return true, nil
}

// decide says what follows from the rule: how long to wait before the call is sent
// again, or why it is not.
func (r *run) decide(at *attempt, rule Rule) (_ Rule, wait time.Duration, stop error) {
	if rule.Action == ActionRefresh {
		r.finish(at, 0, nil)
		if rule, stop = r.refresh(at, rule); stop != nil {
			wait = r.parkTime(at, rule)
		}
		return rule, wait, stop
	}
	wait, stop = r.plan(at, rule)
	return rule, wait, stop
}

// afterLook looks a create up that may have taken effect. The call has ended if it
// did, or if nobody can tell.
func (r *run) afterLook(at *attempt, rule Rule, stop error, look func() (verdict, error)) (done bool, err error) {
	switch verdict, lookErr := look(); verdict {
	case verdictFound:
		r.succeed(at)
		return true, nil
	case verdictUnknown:
		return true, r.uncertain(at, rule, stop, lookErr)
	case verdictAbsent:
	}
	return false, nil
}

// doneBefore reports whether the failure is the 404 of a DELETE after an attempt of
// the same call whose answer was lost. Then the earlier attempt has deleted the
// resource.
func (r *run) doneBefore(at *attempt) bool {
	return r.cl.op.Method == http.MethodDelete && r.mayExist &&
		(at.failure.Status == http.StatusNotFound || at.failure.Status == http.StatusGone)
}

// refresh gets another token, so that the call can be sent once more. A call
// refreshes the token only once. If the API refuses the new token too, it may have
// been replaced in the meantime: the call then tries the token that another call or
// process has stored since.
func (r *run) refresh(at *attempt, rule Rule) (_ Rule, stop error) {
	r.refused++
	proven := rule.Class == ClassUnauthenticated // else the answer may be a gateway's
	switch {
	case r.cl.foreign(), r.cl.op.AppAuth: // the answer says nothing about the account
		rule.Class, rule.Disposition = ClassUnauthenticated, DispositionReview
		return rule, errFinal
	case r.cl.opts.token != "" && !proven:
		return rule, errFinal
	case r.cl.opts.token != "":
		rule.Disposition = DispositionFix
		return rule, errOwnToken
	}
	final := errFinal
	if err := r.c.tokens.cools(at.credential, proven); err != nil {
		final = err
		if rule.Disposition == DispositionReauthorize { // whoever was just granted a token is connected
			rule.Disposition = DispositionReview
		}
	}
	if r.refused == maxTokenTries {
		return rule, final
	}
	var err error
	if r.refreshed || final != errFinal { //nolint:errorlint // compared, not searched: it is never wrapped
		err = r.c.tokens.awaitNewer(r.ctx, at.credential)
	} else {
		r.refreshed, err = r.c.tokens.refresh(r.ctx, at.credential, proven)
	}
	switch {
	case err == nil && r.cl.stream != nil && r.cl.stream.spent() != nil:
		rule.Disposition = DispositionPark // the next call has the new token
		return rule, r.cl.stream.spent()
	case err == nil:
		r.counted--
		return rule, nil
	case errors.Is(err, errNoNewerToken), !proven && slices.ContainsFunc(noOtherToken, func(e error) bool { return errors.Is(err, e) }):
		return rule, final
	}
	at.err = err
	return r.c.tokenRule(rule, err, true), errFinal
}

// errFinal stops a call without adding anything to its error.
var errFinal = errors.New("final")

// errOwnToken is the reason that a token of the caller's own is not refreshed.
var errOwnToken = errors.New("the token of UsingToken was not accepted, and only the account's own is refreshed")

// errDeadline is returned when a wait would end after the caller's deadline.
var errDeadline = fmt.Errorf("the wait before the next attempt does not fit the caller's deadline: %w", context.DeadlineExceeded)

// plan returns how long to wait before the next attempt, or in stop why there is
// none. The order of the checks matters: the table, the number of attempts, the
// wait that the API asked for, the caller's deadline, and the retry budget last, so
// that it is only charged for attempts that are made.
func (r *run) plan(at *attempt, rule Rule) (wait time.Duration, stop error) {
	if rule.Action != ActionBackOff {
		return r.parkTime(at, rule), errFinal
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

// delay returns the wait before the next attempt, without jitter: that of the rule,
// else that of the API (asked is true for both), else the next interval of the
// policy.
func (r *run) delay(at *attempt, rule Rule) (wait time.Duration, asked bool) {
	now := r.c.clock.Now()
	if rule.Wait != nil {
		return rule.wait(at.failure, now), true
	}
	if wait = at.askedWait(rule, now); wait > 0 {
		return wait, true
	}
	if rule.Class == ClassThrottled || rule.Class == ClassMediaUnreachable {
		return nextInterval(&r.throttles, r.cl.opts.policy.ThrottleDelay, r.cl.opts.policy.MaxDelay), false
	}
	return nextInterval(&r.servers, r.cl.opts.policy.ServerDelay, r.cl.opts.policy.MaxDelay), false
}

// parkTime returns how long to stay away from a call that is given up.
func (r *run) parkTime(at *attempt, rule Rule) time.Duration {
	if rule.Wait != nil {
		return rule.wait(at.failure, r.c.clock.Now())
	}
	return rule.ParkFor
}

// longestWait bounds what a caller's rule may compute.
const longestWait = 366 * day

// wait returns what Wait returns, from 0 to longestWait.
func (r *Rule) wait(f Failure, now time.Time) time.Duration {
	return min(max(0, r.Wait(f, now)), longestWait)
}

// pacedRule adds to the rule when the limiter could grant the permit.
func (c *Client) pacedRule(rule Rule, err error) Rule {
	if paced, ok := errors.AsType[*PaceError](err); ok {
		rule.ParkFor = max(0, paced.Until.Sub(c.clock.Now()))
	}
	return rule
}
