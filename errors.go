package pinterest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Class says what a failure is. Every class is an error of its own, so that
// errors.Is(err, pinterest.ErrThrottled) asks for it.
type Class uint8

// The classes. Each has a sentinel Err… below, which is what errors.Is takes.
const (
	ClassNone             Class = iota // no failure
	ClassInvalid                       // the request is wrong
	ClassUnauthenticated               // the token is not accepted, or none could be had
	ClassMissingScope                  // the token lacks a scope
	ClassForbidden                     // the account or app may not do this
	ClassTrialAccess                   // the app has trial access; production refuses it
	ClassNotFound                      // the resource is not there
	ClassConflict                      // the resource's state does not allow it
	ClassPayment                       // payment is required
	ClassPrecondition                  // a precondition does not hold
	ClassTooLarge                      // the request is too large
	ClassNotImplemented                // the API does not implement it
	ClassMediaUnreachable              // Pinterest could not fetch the image or URL
	ClassThrottled                     // a rate limit is used up
	ClassBlocked                       // the account is blocked for some hours (spam)
	ClassBlockedLink                   // the link is blocked (spam)
	ClassServer                        // the API failed
	ClassUnavailable                   // the API cannot be reached behind its gateway
	ClassTransport                     // the network, TLS or the HTTP exchange failed
	ClassResponse                      // the answer cannot be used
	ClassCanceled                      // the caller's context ended
	ClassLedger                        // the caller's Ledger failed
	ClassTokenStore                    // the caller's TokenStore failed
	ClassUnknown                       // no row of the table knows it
)

var classNames = [...]string{
	ClassNone: "ok", ClassInvalid: "invalid", ClassUnauthenticated: "unauthenticated", ClassMissingScope: "missing scope",
	ClassForbidden: "forbidden", ClassTrialAccess: "trial access", ClassNotFound: "not found", ClassConflict: "conflict",
	ClassPayment: "payment required", ClassPrecondition: "precondition failed", ClassTooLarge: "too large",
	ClassNotImplemented: "not implemented", ClassMediaUnreachable: "media unreachable", ClassThrottled: "throttled",
	ClassBlocked: "blocked", ClassBlockedLink: "blocked link", ClassServer: "server", ClassUnavailable: "unavailable",
	ClassTransport: "transport", ClassResponse: "unusable response", ClassCanceled: "canceled", ClassLedger: "ledger", ClassTokenStore: "token store", ClassUnknown: "unknown",
}

// String returns the class in words, such as "missing scope".
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// classError makes a class comparable with errors.Is.
type classError Class

func (c classError) Error() string { return "pinterest: " + Class(c).String() }

// The class sentinels, for errors.Is.
const (
	ErrInvalid          = classError(ClassInvalid)
	ErrUnauthenticated  = classError(ClassUnauthenticated)
	ErrMissingScope     = classError(ClassMissingScope)
	ErrForbidden        = classError(ClassForbidden)
	ErrTrialAccess      = classError(ClassTrialAccess)
	ErrNotFound         = classError(ClassNotFound)
	ErrConflict         = classError(ClassConflict)
	ErrPayment          = classError(ClassPayment)
	ErrPrecondition     = classError(ClassPrecondition)
	ErrTooLarge         = classError(ClassTooLarge)
	ErrNotImplemented   = classError(ClassNotImplemented)
	ErrMediaUnreachable = classError(ClassMediaUnreachable)
	ErrThrottled        = classError(ClassThrottled)
	ErrBlocked          = classError(ClassBlocked)
	ErrBlockedLink      = classError(ClassBlockedLink)
	ErrServer           = classError(ClassServer)
	ErrUnavailable      = classError(ClassUnavailable)
	ErrTransport        = classError(ClassTransport)
	ErrResponse         = classError(ClassResponse)
	ErrCanceled         = classError(ClassCanceled)
	ErrLedger           = classError(ClassLedger)
	ErrTokenStore       = classError(ClassTokenStore)
	ErrUnknown          = classError(ClassUnknown)
)

// Sentinels that are not classes: they say why the library stopped, beside
// what the failure was.
const (
	// ErrUncertain marks a create that may have taken effect: its disposition is
	// [DispositionUncertain].
	ErrUncertain = constError("pinterest: it may have happened")
	// ErrRetryBudget says that this client, not Pinterest, refused a further
	// attempt: its retry budget ([RetryPolicy].Budget) is empty.
	ErrRetryBudget = constError("pinterest: the retry budget of this client is empty (a local limit)")
	// ErrDisconnected says that the account is known to be disconnected, or never
	// was connected: the call was not sent. Its owner has to connect it (again).
	ErrDisconnected = constError("pinterest: the account is disconnected")
	// ErrRefreshPaused says that the refresh tokens of several accounts in a row were
	// refused, or that the app was. That is more likely the fault of the app or of
	// Pinterest than of each account, so no account is disconnected until a refresh
	// succeeds. Refreshes go on.
	ErrRefreshPaused = constError("pinterest: the refresh tokens of several accounts in a row were refused")
	// ErrPaced says that the [Limiter], not Pinterest, refused to let the call go:
	// its turn would have come too late. Error.RetryAt has the time.
	ErrPaced = constError("pinterest: the call would have waited too long for its turn (a local limit)")
	// ErrKeyReused says that a key of [CreateOnce] has a result that was made from
	// other content.
	ErrKeyReused = constError("pinterest: a changed create needs another key")
	// ErrEndlessPages stops an iterator whose pages do not come to an end.
	ErrEndlessPages = constError("pinterest: the pages do not come to an end")
)

type constError string

func (e constError) Error() string { return string(e) }

// Disposition says what the caller should do with an error.
type Disposition uint8

// The dispositions.
const (
	DispositionNone        Disposition = iota
	DispositionFix                     // the request, the app or its scopes are wrong: the same call will fail again
	DispositionReauthorize             // the account is disconnected: its owner has to connect it again
	DispositionPark                    // enqueue the call again, not before Error.RetryAt
	DispositionReview                  // a person has to look at it
	DispositionUncertain               // it may have happened: call Resolve, or CreateOnce again, not before Error.RetryAt
)

// String returns "fix", "reauthorize", "park", "review" or "uncertain".
func (d Disposition) String() string {
	switch d {
	case DispositionNone:
		return "none"
	case DispositionFix:
		return "fix"
	case DispositionReauthorize:
		return "reauthorize"
	case DispositionPark:
		return "park"
	case DispositionReview:
		return "review"
	case DispositionUncertain:
		return "uncertain"
	}
	return fmt.Sprintf("Disposition(%d)", uint8(d))
}

// Error is every failure of a call. Use errors.Is and the Err… sentinels to ask
// what failed, and Disposition to decide what to do. errors.Is and errors.As
// reach its causes, too: a net error, context.DeadlineExceeded, ErrRetryBudget ...
//
// Message and Error are for the developer, [Error.UserMessage] is for the person
// who made the pin.
//
// An Error contains no token, secret or signed URL, in Body either: the known
// credentials of the client and everything shaped like a Pinterest token or a
// URL signature are replaced before it is built.
type Error struct {
	Operation   string      // operation id, such as "pins/create"
	Call        uint64      // the call's number: that of its events and its Response
	Class       Class       // what it was
	Disposition Disposition // what to do

	// RetryAt is the earliest time for the next step. With [DispositionPark], send the
	// call again then. With [DispositionUncertain], call [Resolve] then, or [CreateOnce]
	// with the same key. It is zero if there is no time to wait for, and with every
	// other disposition.
	RetryAt time.Time

	Rule string // the row of the table that decided

	Phase         Phase           // how far the last attempt came
	Status        int             // HTTP status, 0 when no answer came
	Code          int             // Pinterest's inner code, 0 when there is none
	CodeName      string          // a code that is not a number, such as "RATE_LIMITED"
	Message       string          // the API's words, or this library's; never empty, no control characters
	Fields        []FieldError    // the fields that are wrong, where they are named
	RequiredScope string          // the scope that is missing, where it is named
	Details       json.RawMessage // the body's details, as sent
	RequestID     string          // x-pinterest-rid, which Pinterest's support asks for
	Body          Body            // the body, as sent but redacted, at most 64 KiB

	Attempts []Attempt // every attempt, in order

	// Uncertain is what to look for later, if Disposition is uncertain and there is a
	// way to look: see [Resolve].
	Uncertain *Uncertain

	causes []error
}

// Is reports whether target is the sentinel of the error's class or of its
// disposition uncertain.
func (e *Error) Is(target error) bool {
	if target == ErrUncertain {
		return e.Disposition == DispositionUncertain
	}
	class, ok := target.(classError)
	return ok && Class(class) == e.Class
}

// Unwrap returns the causes: what went wrong underneath and, where the library
// stopped early, why.
func (e *Error) Unwrap() []error { return e.causes }

// FieldError names one wrong field of a request, its value and the limit it
// breaks. This library makes it before anything is sent; the API's own field
// errors are given the same form.
type FieldError struct {
	Field   string // the API's name of the field, such as "board_id" or "media_source.items[2].url"
	Value   string // the value, shortened; empty when the API did not say
	Problem string // what is wrong, with the limit: "must have at most 100 characters, has 130"
}

// Error returns the field, the problem and the value, in one line of at most 2 KB.
func (f FieldError) Error() string {
	s := f.Problem
	if f.Field != "" {
		s = f.Field + " " + s
	}
	if f.Value != "" {
		s += " (got " + strconv.Quote(f.Value) + ")"
	}
	return shortLine(s, maxErrorText)
}

// Is makes a FieldError answer to ErrInvalid.
func (f FieldError) Is(target error) bool { return target == ErrInvalid }

// Body is the raw body of an answer. Its String tells only the size, so that
// a body is never printed by accident; string(b) has the text.
type Body []byte

// String returns the size of the body.
func (b Body) String() string { return strconv.Itoa(len(b)) + " bytes" }

// GoString returns the size of the body.
func (b Body) GoString() string { return "pinterest.Body(" + b.String() + ")" }

// MarshalJSON writes the size of the body in place of its bytes.
func (b Body) MarshalJSON() ([]byte, error) { return json.Marshal(b.String()) }
