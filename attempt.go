package pinterest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest/internal/errbody"
)

const (
	// errorBodyLimit is how many bytes of an error's body are kept.
	errorBodyLimit = 64 << 10
	// drainLimit is how many bytes of an unwanted rest are read so that the connection
	// can be used again. A longer rest costs more than a new connection.
	drainLimit = 256 << 10
)

// attempt is one sending of a call. Client.do runs its steps in order. When one step
// has failed, the following ones do nothing.
type attempt struct {
	run    *run
	ctx    context.Context // the caller's, with the attempt's timeout
	caller context.Context
	cancel context.CancelFunc
	trace  connTrace

	progress func() // restarts the timeout of a transfer
	pause    func() // stops it while nobody asks the server for more

	credential credential // what the request was authorized with
	resp       *http.Response
	rate       RateLimit // what the answer said about the quota
	limit      io.LimitedReader
	buf        *bytes.Buffer // the body, from the pool
	body       errbody.Body  // the parsed body of an error

	cut     bool // buf does not have all of the body
	failed  bool
	failure Failure
	err     error // the underlying error; nil if the answer explains the failure

	decodeErr error   // a field of a success that could not be decoded
	record    Attempt // for observers and the caller
	finished  bool    // the record was added to the call's attempts
}

// attempt starts the next attempt of the call.
func (r *run) attempt() *attempt {
	r.counted++
	at := &r.firstAttempt // most calls need no other, so this saves an allocation
	if len(r.attempts) > 0 {
		at = new(attempt)
	}
	at.run, at.caller = r, r.ctx
	at.record.Number = len(r.attempts) + 1
	at.record.Start = r.c.clock.Now()
	at.failure.Operation = r.cl.op
	return at
}

// fail records that the attempt has failed and how.
func (at *attempt) fail(phase Phase, reason Reason, err error) {
	at.failed = true
	at.failure.Phase, at.failure.Reason, at.err = phase, reason, err
	if at.resp != nil {
		at.failure.Status = at.resp.StatusCode
	}
}

// pace waits for the attempt's turn. The wait does not count against the attempt's
// timeout.
func (at *attempt) pace() {
	r := at.run
	if !r.paced() {
		return
	}
	switch err := r.c.limiter.Wait(at.caller, r.permit); {
	case err == nil:
	case at.caller.Err() != nil:
		at.fail(PhaseNotSent, ReasonCanceled, at.caller.Err())
	default:
		at.fail(PhaseNotSent, ReasonPaced, err)
	}
	if r.waited {
		now := r.c.clock.Now()
		at.record.Paced, at.record.Start, r.waited = now.Sub(at.record.Start), now, false
	}
}

// authorize gets the credentials of the request: those of the app for a token call,
// else the account's access token, which is refreshed first if it has expired. The
// attempt's timeout starts here.
func (at *attempt) authorize() {
	if at.failed {
		return
	}
	at.limitTime()
	if err := at.caller.Err(); err != nil {
		at.fail(PhaseNotSent, ReasonCanceled, err)
		return
	}
	switch cl := at.run.cl; {
	case cl.foreign(): // no credentials go to another host
		return
	case cl.op.AppAuth:
		at.credential.header = at.run.c.appAuth
		return
	case cl.opts.token != "":
		at.credential = newCredential(&Token{AccessToken: cl.opts.token})
		return
	}
	cred, err := at.run.c.tokens.token(at.ctx)
	switch {
	case err == nil:
		at.credential = cred
		at.checkScopes()
		at.checkUser()
	case at.caller.Err() != nil:
		at.fail(PhaseNotSent, ReasonCanceled, at.caller.Err())
	case at.ctx.Err() != nil:
		at.fail(PhaseNotSent, ReasonTimeout, err)
	default:
		at.fail(PhaseNotSent, ReasonToken, err)
	}
}

// checkScopes fails an attempt whose token is known to lack a scope. The API would
// refuse it anyway.
func (at *attempt) checkScopes() {
	if at.run.c.anyScope || len(at.missingScopes()) == 0 {
		return
	}
	// The owner may have granted it since, in another process.
	at.credential = at.run.c.tokens.newer(at.ctx, at.credential)
	if missing := at.missingScopes(); len(missing) > 0 {
		at.fail(PhaseNotSent, ReasonScope, scopeError(missing))
	}
}

func (at *attempt) missingScopes() []Scope {
	if at.credential.token.Scopes == nil { // the token's scopes are not known
		return nil
	}
	return MissingScopes(at.credential.token.Scopes, at.run.cl.op.Scopes)
}

// send sends the request and reads the headers of the answer.
func (at *attempt) send() {
	if at.failed {
		return
	}
	ctx := at.ctx
	if at.run.cl.op.Kind == KindCreate {
		setDefault(&at.run.sentAt, at.record.Start)
		ctx = at.trace.watch(ctx)
	}
	req := at.run.cl.request(ctx, at.run.c, at.credential.header)
	// The URL was checked by New or foreignAddress. Redirects are not followed.
	resp, err := at.run.c.http.Do(req) //nolint:bodyclose // read closes it
	if err != nil {
		at.transportFailure(err)
		return
	}
	at.resp = resp
	at.record.Status = resp.StatusCode
	at.record.RequestID = at.run.cl.secrets.CleanID(requestID(resp.Header))
	if resp.StatusCode < 300 {
		at.credential.accept()
	}
	if !at.run.cl.foreign() { // another host has its own clock and no quota of Pinterest's
		at.run.c.apiClock.Observe(resp.Header, at.record.Start, at.run.c.clock.Now())
		at.observeRate()
	}
}

// observeRate tells the limiter what the answer said about the quota.
func (at *attempt) observeRate() {
	var ok bool
	if at.rate, ok = at.run.c.rates.parse(at.resp.Header, at.run.c.secrets); ok && at.run.c.limiter != nil {
		at.run.c.limiter.Observe(at.caller, at.run.permit, at.rate)
	}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled keeps buffers of very long answers out of the pool.
const maxPooled = 1 << 20

// read reads the whole body, up to a limit, and closes it. It reads to the end so
// that the connection can be used again.
func (at *attempt) read() {
	if at.failed {
		return
	}
	body := at.resp.Body
	defer func() { _ = body.Close() }()
	success := at.resp.StatusCode < 300
	if d := at.run.cl.download; d != nil && d.answered(at.resp.StatusCode) {
		at.readFile(body)
		return
	}
	limit := int64(errorBodyLimit)
	if success {
		limit = at.run.c.maxBody
	}
	at.buf = buffers.Get().(*bytes.Buffer)
	at.buf.Reset()
	if n := at.resp.ContentLength; n > 0 && n < maxPooled {
		at.buf.Grow(int(n) + bytes.MinRead)
	}
	at.limit = io.LimitedReader{R: body, N: limit + 1}
	n, err := at.buf.ReadFrom(&at.limit)
	switch {
	case err != nil && (success || at.caller.Err() != nil):
		at.fail(PhaseUnanswered, at.reason(err), fmt.Errorf("reading the answer: %w", err))
	case success && n > limit:
		at.fail(PhaseAnswered, ReasonOversize, fmt.Errorf("the answer is longer than %d bytes", limit))
	case !success:
		// The status counts even if the body broke off.
		at.fail(PhaseAnswered, ReasonNone, nil)
		at.readError(at.buf.Bytes()[:min(n, limit)])
	}
	at.cut = err != nil || n > limit
	if n > limit {
		_, _ = io.CopyN(io.Discard, body, drainLimit)
	}
}

func (at *attempt) readError(data []byte) {
	if at.body = errbody.Parse(data); at.run.cl.foreign() && at.body.Message == "" {
		at.body = errbody.ParseXML(data) // as a storage has it
	}
	at.failure.Code, at.failure.CodeName = at.body.Code, at.body.CodeName
	at.failure.Message = at.body.Message
	if at.body.Detail != "" {
		at.failure.Message += " " + at.body.Detail
	}
	at.failure.Message = at.run.cl.secrets.Clean(at.failure.Message) // a Rule may be the caller's
	at.record.Code = at.body.Code
	if at.record.RequestID == "" {
		at.record.RequestID = at.run.cl.secrets.CleanID(at.body.RequestID)
	}
}

// decode decodes a success into the caller's value. It belongs to the attempt,
// because a 2xx whose body is cut off, is not JSON or lacks the result is an
// incomplete answer: a read is sent again, and a create is looked up.
func (at *attempt) decode() {
	cl := at.run.cl
	if at.failed || cl.out == nil {
		return
	}
	err := at.decodeInto(cl.out)
	if err == nil {
		return
	}
	reflect.ValueOf(cl.out).Elem().SetZero()
	at.fail(PhaseUnanswered, ReasonGarbled, fmt.Errorf("decoding the answer (%d, %s, %d bytes): %w",
		at.resp.StatusCode, at.resp.Header.Get("Content-Type"), at.buf.Len(), err))
}

// keepRaw gives the caller the bytes of the answer.
func (at *attempt) keepRaw() {
	if raw := at.run.cl.opts.raw; raw != nil && at.run.origin != OriginLookup && at.buf != nil {
		*raw = bytes.Clone(at.buf.Bytes())
	}
}

// end stops the attempt's timeout and records its duration.
func (at *attempt) end() {
	if at.cancel != nil {
		at.cancel()
	}
	at.record.Phase = at.failure.Phase
	if !at.failed {
		at.record.Phase = PhaseAnswered
	}
	at.record.Duration = at.run.c.clock.Now().Sub(at.record.Start)
}

// release returns the body's buffer to the pool. No error may need it after that.
func (at *attempt) release() {
	if at.buf != nil && at.buf.Cap() <= maxPooled {
		buffers.Put(at.buf)
	}
	at.buf = nil
}

// askedWait returns the wait that the API asked for: Retry-After, else on a 429
// x-ratelimit-reset, else what the body says. It returns 0 if there is none.
func (at *attempt) askedWait(rule Rule, now time.Time) time.Duration {
	if at.resp == nil {
		return 0
	}
	if wait := retryAfter(at.resp.Header, now); wait > 0 {
		return wait
	}
	if rule.Class != ClassThrottled {
		return 0
	}
	if at.resp.StatusCode == http.StatusTooManyRequests {
		if at.rate.Reset > 0 {
			return at.rate.Reset
		}
	}
	if at.body.RetryAfter > 0 {
		return at.body.RetryAfter
	}
	if m := reRetryAfter.FindStringSubmatch(at.failure.Message); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			return secondsToDuration(n)
		}
		return maxDuration
	}
	return 0
}

func requestID(h http.Header) string {
	if id := h["X-Pinterest-Rid"]; len(id) > 0 {
		return id[0]
	}
	return ""
}

// limitTime starts the attempt's timeout. For an upload or download it limits the
// time without progress, because a large file may take long.
func (at *attempt) limitTime() {
	cl, timeout := at.run.cl, at.run.cl.opts.policy.AttemptTimeout
	if cl.stream == nil && cl.download == nil {
		ctx := at.caller
		if cl.opts.whole {
			ctx = context.WithoutCancel(ctx)
		}
		at.ctx, at.cancel = context.WithTimeout(ctx, timeout)
		return
	}
	var cancel context.CancelCauseFunc
	at.ctx, cancel = context.WithCancelCause(at.caller)
	timer := time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
	at.progress, at.pause = func() { timer.Reset(timeout) }, func() { timer.Stop() }
	at.cancel = func() { timer.Stop(); cancel(nil) }
	if cl.stream != nil {
		cl.stream.watch(at.progress)
	}
}
