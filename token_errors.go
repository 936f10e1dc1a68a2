package pinterest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest/internal/errbody"
)

// This file says why there is no token, and what follows for the call.

// saveError says that a refreshed token could not be saved.
type saveError struct{ err error }

func (e saveError) Error() string { return "saving the refreshed token: " + e.err.Error() }
func (e saveError) Unwrap() error { return e.err }

// loadError says that the token store could not be read or locked.
type loadError struct{ err error }

func (e loadError) Error() string { return "the token store failed: " + e.err.Error() }
func (e loadError) Unwrap() error { return e.err }

// storeCause returns what a store has said in a saveError or loadError.
func storeCause(err error) error {
	if e, ok := errors.AsType[saveError](err); ok {
		return e.err
	}
	if e, ok := errors.AsType[loadError](err); ok {
		return e.err
	}
	return err
}

func asLoadError(err error) error { return loadError{err} }

// disconnectedError says why the account has no token.
type disconnectedError struct{ why string }

func (e disconnectedError) Error() string        { return e.why }
func (e disconnectedError) Is(target error) bool { return target == ErrDisconnected }

var errNeverConnected = disconnectedError{"the account is not connected: no token is stored for it"}

func (d *Disconnection) error() error {
	return disconnectedError{fmt.Sprintf("the account was disconnected at %s: %s", d.At.UTC().Format(time.RFC3339), d.Reason)}
}

// quarantinedError says why an account's token was not refreshed although it is
// used further.
type quarantinedError struct{ quarantine Quarantine }

func (e quarantinedError) Error() string {
	return fmt.Sprintf("the account is quarantined since %s, its access token is used until it ends: %s",
		e.quarantine.Since.UTC().Format(time.RFC3339), e.quarantine.Reason)
}

// pausedError says why a refused refresh token does not disconnect its account. It
// hides the refusal itself, which does not say what to do.
type pausedError struct{ reason string }

func (e pausedError) Error() string {
	return "other accounts are refused as well, or were, so this one is not disconnected yet: " + e.reason
}

func (e pausedError) Is(target error) bool { return target == ErrRefreshPaused }

// notRenewedError says that a token which was just granted was refused.
type notRenewedError struct{ until time.Time }

func (e notRenewedError) Error() string {
	return "the access token was refused although it was just granted: no other one is asked for before " + e.until.UTC().Format(time.RFC3339)
}

var (
	errNoRefreshToken = errors.New("the access token was refused, and there is no refresh token")
	errNoRefresh      = errors.New("the access token was refused, and there is no way to refresh it")
	errSameToken      = errors.New("the access token was refused, and the token source gave the same one again")
	// noOtherToken are the errors of a refresh that only say that there is no other token.
	noOtherToken = []error{errNoRefreshToken, errNoRefresh, errSameToken}
	// errNoNewerToken never reaches the caller: the refusal itself does.
	errNoNewerToken = errors.New("there is no newer token")
)

// tokenRule returns the rule for a failure to get a token. refused says that the
// API refused the last one.
func (c *Client) tokenRule(rule Rule, err error, refused bool) Rule {
	var (
		malformed malformedToken
		call      *Error
		retrieve  *oauth2.RetrieveError
		network   net.Error
		unsaved   saveError
		unloaded  loadError
		panicked  panicError
	)
	out := Rule{Name: rule.Name, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReauthorize}
	switch {
	case errors.Is(err, ErrRefreshPaused):
		out.Class, out.Disposition, out.ParkFor = ClassUnavailable, DispositionPark, shareRefusal
	case errors.As(err, &malformed):
		return c.table.classify(&Failure{Operation: OpOAuthToken, Phase: PhaseNotSent, Reason: ReasonRequest})
	case errors.As(err, &call):
		// The token call's own verdict, made by the same table.
		out.Class, out.Disposition = call.Class, call.Disposition
		if !call.RetryAt.IsZero() {
			out.ParkFor = max(0, call.RetryAt.Sub(c.clock.Now()))
		}
	case errors.Is(err, ErrShutdown):
		out.Class, out.Disposition = ClassCanceled, DispositionPark
	case errors.Is(err, ErrOtherUser):
		out.Class, out.Disposition = ClassPrecondition, DispositionReview
	case errors.Is(err, ErrDisconnected), errors.Is(err, errNoRefreshToken):
	case errors.As(err, &unsaved):
		out.Class, out.Disposition = ClassTokenStore, DispositionReview
	case errors.As(err, &unloaded):
		out.Class, out.Disposition = ClassTokenStore, DispositionPark
	case errors.As(err, &retrieve) && retrieve.Response != nil:
		return c.retrieveRule(retrieve)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		out.Class, out.Disposition = ClassCanceled, DispositionPark
	case errors.As(err, &network):
		return c.table.classify(&Failure{Operation: OpOAuthToken, Phase: PhaseNotSent})
	case errors.As(err, &panicked):
		// In a token source, an observer or a transport: it says nothing of the account.
		out.Disposition = DispositionReview
	case !refused:
		// An error of the caller's own token source: only its owner can read it.
		out.Disposition = DispositionReview
	}
	return out
}

// retrieveRule passes the answer that an oauth2 source met through the table.
func (c *Client) retrieveRule(e *oauth2.RetrieveError) Rule {
	body := errbody.Parse(e.Body)
	rule := c.table.classify(&Failure{
		Operation: OpOAuthToken, Phase: PhaseAnswered, Status: e.Response.StatusCode,
		Code: body.Code, CodeName: body.CodeName, Message: c.secrets.Clean(strings.TrimSpace(body.Message + " " + body.Detail)),
	})
	if rule.Disposition == DispositionFix {
		rule.Class, rule.Disposition = ClassUnauthenticated, DispositionReview
	}
	return rule
}

// refreshError is the failure of a refresh that no call was waiting for.
func (c *Client) refreshError(err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // what wraps it says more
		return e
	}
	rule := c.tokenRule(Rule{Name: "no token"}, err, false)
	e := Error{Operation: OpOAuthToken.ID, Class: rule.Class, Disposition: rule.Disposition, Rule: rule.Name, Phase: PhaseNotSent}
	if rule.Disposition == DispositionPark {
		e.RetryAt = c.clock.Now().Add(rule.ParkFor)
	}
	return newError(c.secrets, e, err)
}

// refusal is what the token endpoint said against a refresh.
type refusal struct {
	reason string // in words
	gone   bool   // it is evidence against this one grant, not against the app or the request
	ofApp  bool   // it says that the app itself is refused

	counted time.Time // when it was counted as one of a row; zero: it was not
}

// refusalOf returns nil if the failure says nothing but that the refresh failed.
func refusalOf(err error) *refusal {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Phase != PhaseAnswered || e.Disposition == DispositionPark {
		return nil
	}
	r := refusal{reason: fmt.Sprintf("the refresh token was refused (%d/%d)", e.Status, e.Code)}
	if e.Message != "" {
		r.reason += ": " + e.Message
	}
	r.gone = e.Disposition == DispositionReauthorize
	r.ofApp = !r.gone && slices.Contains(appRefused, e.Rule)
	return &r
}

// appRefused are the rows of the table for an app that is refused, whatever the account.
var appRefused = []string{"app refused", "app unknown", "app secret refused"}
