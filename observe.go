package pinterest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Attempt is the record of one sending of a call. An [Error] lists those of a
// failed call, a [Response] those of any, and an [Event] brings each as it ends.
// (What net/http sends again by itself, a read that met a connection which the
// server had just closed, is not seen here.)
type Attempt struct {
	Number    int           // from 1
	Start     time.Time     // by the client's clock
	Duration  time.Duration // until its last byte, waits not included
	Phase     Phase         // how far it got
	Status    int           // HTTP status; 0 when no answer came
	Code      int           // Pinterest's inner code
	Class     Class         // what the failure was; ClassNone for a success
	Action    Action        // what the table said
	Rule      string        // the row that decided
	Paced     time.Duration // waited for its turn before Start
	Wait      time.Duration // slept after it; see Event.Wait for that of an EventAttempt
	RequestID string        // x-pinterest-rid
}

// EventType tells the events apart.
type EventType uint8

// The types of events: first those of a call, in the order in which a call can bring
// them, then those of an account's token.
//
// An event of a token (EventRefresh, and those from EventConnected on) has the Call 0,
// because many calls may wait for the same token. Its Context is that of the call
// that brought it about, but is not canceled with it.
//
// The reads of a look-up and the requests to the token endpoint are calls of their
// own, with events and numbers of their own. Their Context comes from that of the
// call that needs them.
const (
	EventPace    EventType = iota // an attempt begins to wait for its turn: Pace says why, Wait how long at least
	EventAttempt                  // one attempt ended; Wait follows it
	EventRefresh                  // the access token was refreshed, or could not be (Err)
	EventLookup                   // an ambiguous create was looked up: Found, or Err
	EventDone                     // the call ended, with Err or without

	EventConnected // the account was connected, for the first time or again
	// EventDisconnected: its refresh token was refused, and its access token has ended:
	// Err says why. Sent once, for all processes. An EventReinstated takes it back.
	EventDisconnected
	EventExpiring   // its refresh token ends in Wait, less than 14 days. Sent once per token
	EventScopesLost // a refreshed token has lost Scopes
	// EventQuarantined: its refresh token was refused, without proof that the grant is
	// gone: Err says why. The access token is used until it ends, in Wait; 0: not
	// known when. Sent once per quarantine.
	EventQuarantined
	// EventRefreshPaused: the refresh tokens of several accounts in a row were refused,
	// the last one that of Account: Err says why. The app's credentials may be wrong, or
	// Pinterest has a problem. No account is disconnected until a refresh succeeds. Sent
	// once per outage, for all processes.
	EventRefreshPaused
	// EventUserChanged: the account was connected again to another Pinterest user: Err is
	// an *OtherUserError with both. Each process that uses the account sends it once.
	EventUserChanged
	// EventStoreFailed: the token store could not be looked at again (Err): the token at
	// hand is used. Sent once per account and outage.
	EventStoreFailed
	// EventReinstated: the account is not disconnected or quarantined after all, because
	// refreshes were paused. Sent once, for all processes.
	EventReinstated
)

var eventNames = [...]string{"pace", "attempt", "refresh", "lookup", "done", "connected", "disconnected", "expiring", "scopes lost", "quarantined", "refresh paused", "user changed", "store failed", "reinstated"}

// String returns the type in words, such as "attempt" or "disconnected".
func (t EventType) String() string {
	if int(t) < len(eventNames) {
		return eventNames[t]
	}
	return fmt.Sprintf("EventType(%d)", uint8(t))
}

// Event tells an observer what the library does. It carries no credentials. A field
// whose comment names types is zero in the events of other types.
type Event struct {
	Type EventType
	// Context is the caller's, for the parent of a span or an id of a trace. It is
	// never nil, and may have ended.
	Context   context.Context
	Account   string    // whose call it is
	Call      uint64    // which call of this process, counted by the app: the same in all its events, in its Response and in its Error
	JobKey    string    // the key of a CreateOnce; "" for other calls
	Operation string    // operation id
	Time      time.Time // when what it reports began
	Attempt   Attempt   // EventAttempt: the attempt; EventDone: the last one
	Rate      RateLimit // EventAttempt: what the answer said of the quota
	Pace      PaceWait  // EventPace: why it waits
	// Wait depends on the type. EventPace: how long the attempt waits, at least.
	// EventAttempt: the wait that is planned before the next attempt, which a look-up
	// shortens, and which is not slept if the create was adopted. EventExpiring: the
	// time until the refresh token ends. EventQuarantined: until the access token ends.
	Wait   time.Duration
	Scopes []Scope // EventScopesLost: which
	Found  bool    // EventLookup: the create had taken effect
	// Err is what went wrong, already redacted. EventAttempt: why there was no usable
	// answer, or a field that could not be decoded; for an HTTP status that is an
	// error it is nil, and Attempt.Class says what it was. EventDone: the error of the
	// call.
	Err error

	// EventDone: how many attempts the call took.
	Attempts int
	// EventDone: what the failure of the call was, ClassNone for a success. It is not
	// that of the last attempt: a create whose answer was lost and whose result was
	// found is a success. EventAttempt: always ClassNone; see Attempt.Class.
	Class Class
	// EventDone: what to do about the failure, DispositionNone for a success.
	Disposition Disposition
	// EventDone: where the result came from; "" for a failure.
	Origin Origin
}

// Origin says where the result of a call came from.
type Origin string

// The origins.
const (
	OriginAnswer Origin = "answer" // the answer to the request
	OriginLookup Origin = "lookup" // the list: the create had taken effect, though its answer was lost
	OriginLedger Origin = "ledger" // the ledger: an earlier [CreateOnce] with the same key has made it
)

// Response says what is known about a call apart from its result. [ResponseTo] asks
// for it.
type Response struct {
	Call      uint64      // its number: that of its events and its Error
	Status    int         // HTTP status of the last answer
	Header    http.Header // of the last answer, without credentials: cookies, tokens that it repeats, the query of a redirect
	RequestID string      // x-pinterest-rid of the last answer
	Attempts  []Attempt   // every attempt, in order
	Rate      RateLimit   // what the last answer said of the quota
	Origin    Origin      // where the result came from; "" without one
	// DecodeError is set when a field of a successful answer had another type than
	// the official description says. The rest of the answer was decoded. It is also
	// set when a write was answered 204, without the result that was asked for.
	DecodeError error
}

// finish adds the attempt to those of the call, once, and tells the observers.
// wait follows it, unless there is a reason to stop.
func (r *run) finish(at *attempt, wait time.Duration, stop error) {
	if at.finished {
		return
	}
	at.finished = true
	if stop != nil {
		wait = 0
	}
	at.record.Wait = wait
	if r.attempts == nil {
		r.attempts = r.first[:0]
	}
	r.attempts = append(r.attempts, at.record)
	if r.c.watched() {
		e := r.event(EventAttempt)
		e.Time, e.Attempt, e.Wait, e.Rate = at.record.Start, at.record, wait, at.rate
		e.Err = r.cl.secrets.Hide(cmp.Or(at.err, at.decodeErr))
		r.c.observe(e)
	}
}

// event returns an event of this call.
func (r *run) event(t EventType) Event {
	return r.cl.event(r.ctx, r.c, t)
}

// waits tells the observers that an attempt begins to wait for its turn.
func (r *run) waits(w PaceWait) {
	r.waited = true
	if r.c.watched() {
		e := r.event(EventPace)
		e.Time, e.Pace = r.c.clock.Now(), w
		e.Wait = max(0, w.Until.Sub(e.Time))
		r.c.observe(e)
	}
}

// event returns an event of this call, which its run or a look-up brings about.
func (cl *call) event(ctx context.Context, c *Client, t EventType) Event {
	return Event{Type: t, Context: ctx, Account: c.name, Call: cl.count(c), JobKey: cl.opts.jobKey, Operation: cl.op.ID}
}

// refuse ends a call of which nothing was sent.
func (c *Client) refuse(ctx context.Context, cl *call, err *Error) error {
	err.Call = cl.count(c)
	c.doneUnsent(ctx, cl, func(e *Event) { e.Class, e.Disposition, e.Err = err.Class, err.Disposition, err })
	return err
}

// adopt ends a call of which nothing was sent, since there is the result of an earlier
// one.
func (c *Client) adopt(ctx context.Context, cl *call, from Origin) {
	c.doneUnsent(ctx, cl, func(e *Event) { e.Origin = from })
}

// doneUnsent tells the caller and the observers that a call ended without an
// attempt.
func (c *Client) doneUnsent(ctx context.Context, cl *call, outcome func(e *Event)) {
	for _, opt := range cl.opts.list { // it may have been refused before they were applied
		if opt != nil {
			opt(&cl.opts)
		}
	}
	e := cl.event(ctx, c, EventDone)
	e.Time = c.clock.Now()
	outcome(&e)
	if cl.opts.response != nil {
		*cl.opts.response = Response{Call: e.Call, Origin: e.Origin}
	}
	if c.watched() {
		c.observe(e)
	}
}

// done tells the observers that the call ended.
func (r *run) done(err *Error) {
	if !r.c.watched() {
		return
	}
	last := r.attempts[len(r.attempts)-1]
	e := r.event(EventDone)
	e.Time, e.Attempt, e.Attempts, e.Origin = r.attempts[0].Start, last, len(r.attempts), r.origin
	if err != nil {
		e.Class, e.Disposition, e.Err = err.Class, err.Disposition, err
	}
	r.c.observe(e)
}

func (c *Client) watched() bool { return len(c.observers) > 0 || c.logger != nil }

func (c *Client) observe(e Event) {
	if e.Context == nil {
		e.Context = context.Background()
	}
	for _, f := range c.observers {
		f(e)
	}
	if c.logger != nil {
		c.log(e)
	}
}

// log writes what an operator wants to find: waits, refreshes and look-ups at
// Info, failures at Warn, every attempt at Debug.
func (c *Client) log(e Event) {
	level := slog.LevelDebug
	switch {
	case e.Err != nil && e.Type != EventAttempt:
		level = slog.LevelWarn
	case e.Type == EventExpiring, e.Type == EventScopesLost:
		level = slog.LevelWarn
	case e.Type == EventConnected, e.Type == EventReinstated, e.Type == EventAttempt && e.Wait > 0, e.Wait > time.Second, e.Type == EventRefresh, e.Type == EventLookup:
		level = slog.LevelInfo
	}
	if !c.logger.Enabled(e.Context, level) {
		return
	}
	attrs := []slog.Attr{slog.String("operation", e.Operation)}
	if e.Call != 0 {
		attrs = append(attrs, slog.Uint64("call", e.Call))
	}
	if e.JobKey != "" {
		attrs = append(attrs, slog.String("job_key", e.JobKey))
	}
	if e.Account != "" {
		attrs = append(attrs, slog.String("account", e.Account))
	}
	switch e.Type {
	case EventPace:
		attrs = append(attrs, slog.String("reason", e.Pace.Reason.String()), slog.String("limit", e.Pace.Limit), slog.Int("ahead", e.Pace.Ahead))
	case EventAttempt:
		attrs = append(attrs, slog.Int("attempt", e.Attempt.Number), slog.Int("status", e.Attempt.Status),
			slog.Int("code", e.Attempt.Code), slog.String("class", e.Attempt.Class.String()),
			slog.Duration("duration", e.Attempt.Duration), slog.String("request_id", e.Attempt.RequestID))
	case EventLookup:
		attrs = append(attrs, slog.Bool("found", e.Found))
	case EventDone:
		attrs = append(attrs, slog.Int("attempts", e.Attempts), slog.String("origin", string(e.Origin)))
	case EventScopesLost:
		attrs = append(attrs, slog.String("scopes", joinScopes(e.Scopes)))
	case EventRefresh, EventConnected, EventDisconnected, EventExpiring, EventQuarantined, EventRefreshPaused, EventUserChanged, EventStoreFailed, EventReinstated:
	}
	if e.Wait > 0 {
		attrs = append(attrs, slog.Duration("wait", e.Wait))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	c.logger.LogAttrs(e.Context, level, "pinterest: "+e.Type.String(), attrs...)
}
