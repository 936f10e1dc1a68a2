package pinterest

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// disconnectedError says why the account has no token.
type disconnectedError struct{ why string }

func (e disconnectedError) Error() string        { return e.why }
func (e disconnectedError) Is(target error) bool { return target == ErrDisconnected }

var errNeverConnected = disconnectedError{"the account is not connected: no token is stored for it"}

func (d *Disconnection) error() error {
	return disconnectedError{fmt.Sprintf("the account was disconnected at %s: %s", d.At.UTC().Format(time.RFC3339), d.Reason)}
}

var (
	errNoRefresh = errors.New("the access token was refused, and there is no way to refresh it")
	errSameToken = errors.New("the access token was refused, and the token source gave the same one again")
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
	)
	out := Rule{Name: rule.Name, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReauthorize}
	switch {
	case errors.As(err, &malformed):
		return c.table.classify(&Failure{Operation: OpOAuthToken, Phase: PhaseNotSent, Reason: ReasonRequest})
	case errors.As(err, &call):
		// The token call's own verdict, made by the same table.
		out.Class, out.Disposition = call.Class, call.Disposition
		if !call.RetryAt.IsZero() {
			out.ParkFor = max(0, call.RetryAt.Sub(c.clock.Now()))
		}
	case errors.Is(err, ErrDisconnected):
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
	case !refused:
		// An error of the caller's own token source: only its owner can read it.
		out.Disposition = DispositionReview
	}
	return out
}

// retrieveRule passes the answer that an oauth2 source met through the table.
func (c *Client) retrieveRule(e *oauth2.RetrieveError) Rule {
	body := errbody.Parse(e.Body)
	return c.table.classify(&Failure{
		Operation: OpOAuthToken, Phase: PhaseAnswered, Status: e.Response.StatusCode, Code: body.Code, Message: c.secrets.Clean(body.Message),
	})
}

// refreshError is the failure of a refresh that no call was waiting for.
func (c *Client) refreshError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && !errors.Is(err, ErrDisconnected) {
		return e
	}
	rule := c.tokenRule(Rule{Name: "no token"}, err, false)
	e := Error{Operation: OpOAuthToken.ID, Class: rule.Class, Disposition: rule.Disposition, Rule: rule.Name, Phase: PhaseNotSent}
	if rule.Disposition == DispositionPark {
		e.RetryAt = c.clock.Now().Add(rule.ParkFor)
	}
	return newError(c.secrets, e, err)
}

// codeAuthentication is the inner code of a failed authentication.
const codeAuthentication = 2

// refusedGrant returns why an account is disconnected when its refresh failed
// for good, "" otherwise. Code 2 is also what a wrong app secret gives: a wrong
// configuration must not disconnect every account.
func refusedGrant(err error) (reason string) {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Disposition != DispositionReauthorize || e.Code == codeAuthentication {
		return ""
	}
	reason = fmt.Sprintf("the refresh token was refused (%d/%d)", e.Status, e.Code)
	if e.Message != "" {
		reason += ": " + e.Message
	}
	return reason
}
