package pinterest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// This file is how a call ends: with a result, or with an error that says what
// is known.

// succeed ends a call that has its result.
func (r *run) succeed(at *attempt) {
	setDefault(&r.origin, OriginAnswer)
	r.finish(at, 0, nil)
	at.keepRaw()
	at.release()
	r.c.budget.give(r.spent)
	r.settle()
	r.cl.respond(r, at)
	r.done(nil)
}

// settle tells the registry what the call has done. The result of a create may
// be adopted by no equal create, and a list that lacks it proves nothing; what
// was deleted or moved need not be in its list any more.
func (r *run) settle() {
	if r.cl.lookup != nil {
		id, created := r.cl.lookup.made()
		r.c.registry.own(r.owner(), r.cl.lookup, id, created)
		r.c.registry.fulfill(r.cl.pending, r.cl.name)
		if r.origin == OriginAnswer && r.c.apiClock.Known() {
			lower, upper := r.c.apiClock.Bounds()
			r.c.registry.learnTime(created, r.sentAt.Add(lower-clockResolution), r.c.clock.Now().Add(upper+clockResolution))
		}
	}
	if path := r.cl.req.Path; r.cl.op.Removes && len(path) > 0 {
		r.c.registry.remove(path[len(path)-1])
	}
}

// fail ends a call with an error that the table explains.
func (r *run) fail(at *attempt, rule Rule, wait time.Duration, stop error) error {
	return r.end(at, r.newError(at, rule, wait, stop))
}

// uncertain ends a create that may have taken effect.
func (r *run) uncertain(at *attempt, rule Rule, stops ...error) error {
	err := r.newError(at, rule, 0, stops...)
	err.Disposition, err.RetryAt = DispositionUncertain, r.c.clock.Now().Add(longestLag)
	err.Uncertain = r.uncertainty()
	if err.Uncertain != nil {
		r.c.registry.leaveOpen(r.cl.pending, err.Uncertain)
	}
	return r.end(at, err)
}

func (r *run) end(at *attempt, err *Error) error {
	r.finish(at, 0, nil)
	at.release()
	err.Attempts = r.attempts
	switch err.Class {
	case ClassServer, ClassUnavailable, ClassThrottled:
	default:
		if at.failure.Phase == PhaseAnswered {
			r.c.budget.give(r.spent) // a definite answer: the API is up
		}
	}
	r.cl.respond(r, at)
	r.done(err)
	return err
}

// newError says what is known of the failure of an attempt.
func (r *run) newError(at *attempt, rule Rule, wait time.Duration, stops ...error) *Error {
	// Where the body was cut off, the words that were read last may end inside a credential.
	text := func(s string) string {
		if at.cut {
			return r.cl.secrets.CleanBody([]byte(s), len(s), true)
		}
		return s
	}
	e := Error{
		Operation: r.cl.op.ID, Call: r.cl.count(r.c), Class: rule.Class, Disposition: rule.Disposition, Rule: rule.Name,
		Phase: at.failure.Phase, Status: at.failure.Status, Code: at.body.Code, CodeName: at.body.CodeName,
		Message:       cmp.Or(words(text(at.body.Message)), words(text(at.body.Detail))),
		RequiredScope: at.body.Scope, RequestID: at.record.RequestID, Details: at.body.Details,
	}
	for _, f := range at.body.Fields {
		e.Fields = append(e.Fields, FieldError{Field: text(f.Name), Value: text(f.Value), Problem: text(f.Problem)})
	}
	if at.buf != nil && at.failed {
		e.Body = Body(r.cl.secrets.CleanBody(at.buf.Bytes(), errorBodyLimit, at.cut))
	}
	if e.Message == "" && len(e.Fields) == 0 && at.err == nil {
		e.Message = cmp.Or(words(e.CodeName), at.unexplained())
	}
	if e.Disposition == DispositionPark && wait >= 0 {
		e.RetryAt = r.c.clock.Now().Add(wait)
	}
	if missing, ok := at.err.(scopeError); ok { //nolint:errorlint // our own, never wrapped
		e.RequiredScope = joinScopes(missing)
	}
	return newError(r.cl.secrets, e, append([]error{at.err}, stops...)...)
}

// newError completes e with its causes and with a message, which is never empty, and
// takes the credentials out of all of it. Only a body is clean before, since where it
// was cut is not known here. Every Error of this package is made here.
func newError(secrets *redact.Secrets, e Error, causes ...error) *Error {
	clean := func(text string) string { return oneLine(secrets.Clean(text)) }
	e.CodeName, e.Message, e.RequiredScope = clean(e.CodeName), clean(e.Message), clean(e.RequiredScope)
	for i, f := range e.Fields {
		e.Fields[i] = FieldError{Field: clean(f.Field), Value: cleanValue(secrets, f.Value), Problem: clean(f.Problem)}
	}
	if e.Details != nil {
		e.Details = cleanJSON(secrets.Clean, e.Details)
	}
	for _, cause := range causes {
		if cause != nil && cause != errFinal { //nolint:errorlint // compared, not searched: it is never wrapped
			e.causes = append(e.causes, secrets.Hide(cause))
		}
	}
	e.Message = e.message()
	return &e
}

// newError is the error of a call that did not come to an attempt.
func (cl *call) newError(class Class, d Disposition, causes ...error) *Error {
	return newError(cl.secrets, Error{Operation: cl.op.ID, Call: cl.number, Class: class, Disposition: d, Phase: PhaseNotSent}, causes...)
}

// cleanValue is the value of a field without credentials. One that was shortened may
// end inside of one.
func cleanValue(secrets *redact.Secrets, value string) string {
	kept, short := strings.CutSuffix(value, more)
	text := secrets.CleanBody([]byte(kept), len(kept), short)
	if short {
		text += more
	}
	return oneLine(text)
}

// cleanJSON keeps details JSON: what is not after cleaning becomes a string.
func cleanJSON(clean func(string) string, details json.RawMessage) json.RawMessage {
	text := clean(string(details))
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, _ := json.Marshal(text) //nolint:errchkjson // a string has no way to fail
	return quoted
}

// unexplained describes an answer that carried no message of the API; "" where
// there was none.
func (at *attempt) unexplained() string {
	if at.resp == nil || at.buf == nil {
		return ""
	}
	if location := at.resp.Header.Get("Location"); location != "" && at.failure.Status < 400 {
		if u, err := url.Parse(location); err == nil {
			return "a redirect to " + u.Scheme + "://" + u.Host + " was refused"
		}
	}
	kind := at.resp.Header.Get("Content-Type")
	if kind == "" {
		kind = "no content type"
	}
	status := cmp.Or(http.StatusText(at.failure.Status), fmt.Sprintf("status %d", at.failure.Status))
	return fmt.Sprintf("%s, without a message (%s, %d bytes)", status, kind, at.buf.Len())
}
