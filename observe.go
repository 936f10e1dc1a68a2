package pinterest

import (
	"context"
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
	Phase     Phase         // how far it came
	Status    int           // HTTP status; 0 when no answer came
	Code      int           // Pinterest's inner code
	Class     Class         // what the failure was; ClassNone for a success
	Action    Action        // what the table said
	Rule      string        // the row that decided
	Wait      time.Duration // slept after it
	RequestID string        // x-pinterest-rid
}

// EventType tells the events apart.
type EventType uint8

// The types of events, in the order in which a call can bring them.
const (
	EventAttempt EventType = iota // one attempt ended; Wait follows it
	EventRefresh                  // the access token was renewed, or could not be (Err)
	EventLookup                   // an ambiguous create was looked up: Found, or Err
	EventDone                     // the call ended, with Err or without
)

// String returns "attempt", "refresh", "lookup" or "done".
func (t EventType) String() string {
	return [...]string{"attempt", "refresh", "lookup", "done"}[min(t, EventDone)]
}

// Event tells an observer what the library does. It carries no credentials.
type Event struct {
	Type      EventType
	Operation string    // operation id
	Time      time.Time // when what it tells of began
	Attempt   Attempt   // EventAttempt: the attempt; EventDone: the last one
	Rate      RateLimit // EventAttempt: what the answer said of the quota
	Attempts  int       // EventDone: how many attempts the call took
	Wait      time.Duration
	Found     bool  // EventLookup: the create had taken effect; EventDone: its result was looked up
	Err       error // what went wrong, already redacted
}

// Response is what is known of a call beside its result. [WithResponse] asks
// for it.
type Response struct {
	Status    int // HTTP status of the last answer
	Header    http.Header
	RequestID string    // x-pinterest-rid of the last answer
	Attempts  []Attempt // every attempt, in order
	Rate      RateLimit // what the last answer said of the quota
	Adopted   bool      // the create's answer was lost, and its result was looked up
	// Odd is set when a field of a successful answer had another type than the
	// official description says. The rest of the answer was decoded.
	Odd error
}

// book enters the attempt in the books, once, and tells the observers. wait
// follows it, unless there is a reason to stop.
func (r *run) book(at *attempt, wait time.Duration, stop error) {
	if at.booked {
		return
	}
	at.booked = true
	if stop != nil {
		wait = 0
	}
	at.record.Wait = wait
	if r.attempts == nil {
		r.attempts = r.first[:0]
	}
	r.attempts = append(r.attempts, at.record)
	if r.c.watched() {
		e := Event{Type: EventAttempt, Operation: r.cl.op.ID, Time: at.record.Start, Attempt: at.record, Wait: wait}
		if at.resp != nil {
			e.Rate = r.rate(at)
		}
		if at.err != nil {
			e.Err = r.c.secrets.hide(at.err)
		} else if at.odd != nil {
			e.Err = r.c.secrets.hide(at.odd)
		}
		r.c.observe(e)
	}
}

// rate returns what the answer said of the quota.
func (r *run) rate(at *attempt) RateLimit {
	rate, _ := parseRateLimit(at.resp.Header)
	return r.c.secrets.cleanRate(rate)
}

// refuse ends a call of which nothing was sent.
func (c *Client) refuse(cl *call, err error) error {
	if c.watched() {
		c.observe(Event{Type: EventDone, Operation: cl.op.ID, Time: c.clock.Now(), Err: err})
	}
	return err
}

// done tells the observers that the call ended.
func (r *run) done(err *Error) {
	if !r.c.watched() {
		return
	}
	last := r.attempts[len(r.attempts)-1]
	e := Event{Type: EventDone, Operation: r.cl.op.ID, Time: r.attempts[0].Start, Attempt: last, Attempts: len(r.attempts), Found: r.adopted}
	if err != nil {
		e.Err = err
	}
	r.c.observe(e)
}

func (c *Client) watched() bool { return len(c.observers) > 0 || c.logger != nil }

func (c *Client) observe(e Event) {
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
	case e.Wait > 0 || e.Type == EventRefresh || e.Type == EventLookup:
		level = slog.LevelInfo
	}
	ctx := context.Background()
	if !c.logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("operation", e.Operation)}
	switch e.Type {
	case EventAttempt:
		attrs = append(attrs, slog.Int("attempt", e.Attempt.Number), slog.Int("status", e.Attempt.Status),
			slog.Int("code", e.Attempt.Code), slog.String("class", e.Attempt.Class.String()),
			slog.Duration("duration", e.Attempt.Duration), slog.String("request_id", e.Attempt.RequestID))
	case EventLookup:
		attrs = append(attrs, slog.Bool("found", e.Found))
	case EventDone:
		attrs = append(attrs, slog.Int("attempts", e.Attempts), slog.Bool("adopted", e.Found))
	case EventRefresh:
	}
	if e.Wait > 0 {
		attrs = append(attrs, slog.Duration("wait", e.Wait))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	c.logger.LogAttrs(ctx, level, "pinterest: "+e.Type.String(), attrs...)
}
