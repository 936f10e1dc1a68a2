package pinterest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// RefreshReport is what [App.RefreshDue] has done.
type RefreshReport struct {
	Renewed int              // accounts with a new token
	Current int              // accounts that needed none any more, such as those that another process had renewed
	Failed  map[string]error // by account; one that is an [ErrDisconnected] has to be connected again
}

const (
	// refreshWorkers is how many accounts are renewed at the same time.
	refreshWorkers = 4
	// refreshSpacing keeps a run over many accounts from being a burst: 20 a second.
	refreshSpacing = 50 * time.Millisecond
	// refreshGiveUp is how many failures in a row, which are not an account's own,
	// show that the token endpoint is down: the rest would fail as well.
	refreshGiveUp = 20
)

var errEndpointDown = errors.New("too many renewals in a row have failed: the token endpoint seems to be down")

// RefreshDue renews the tokens of all accounts in the store that end within
// [OAuth].RenewWithin, paced. It is for a job that runs once or a few times a
// day, so that an account which nobody calls for does not lose its refresh
// token, and one that is called for never waits for a renewal. Any number of
// processes may run it at once.
//
// It ends early when ctx ends, when the store cannot be read or when the token
// endpoint is down; the failure of an account stands in the report alone.
func (a *App) RefreshDue(ctx context.Context) (RefreshReport, error) {
	r := &refreshRun{app: a, before: a.clock.Now().Add(a.oauth.renewWithin())}
	r.report.Failed = map[string]error{}
	if a.oauth.ClientID == "" {
		return r.report, errNoOAuth
	}
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	queue := make(chan string)
	var workers sync.WaitGroup
	for range refreshWorkers {
		workers.Go(func() {
			for account := range queue {
				r.renew(ctx, account)
			}
		})
	}
	err := r.feed(ctx, queue)
	close(queue)
	workers.Wait()
	if err != nil {
		return r.report, fmt.Errorf("pinterest: renewing what is due: %w", err)
	}
	return r.report, nil
}

// refreshRun is one run of RefreshDue.
type refreshRun struct {
	app    *App
	before time.Time
	stop   context.CancelCauseFunc

	mu     sync.Mutex
	report RefreshReport
	inRow  int // failures in a row that are not an account's own
}

// feed gives the due accounts to the workers, one after another at the pace.
func (r *refreshRun) feed(ctx context.Context, queue chan<- string) error {
	for account, err := range r.app.store.Due(ctx, r.before) {
		if err != nil {
			return loadError{err}
		}
		select {
		case queue <- account:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := r.app.clock.Sleep(ctx, refreshSpacing); err != nil {
			return context.Cause(ctx)
		}
	}
	return context.Cause(ctx)
}

func (r *refreshRun) renew(ctx context.Context, account string) {
	renewed, err := r.app.client(account).renewBefore(ctx, r.before)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && renewed:
		r.report.Renewed++
		r.inRow = 0
	case err == nil:
		r.report.Current++
	default:
		r.report.Failed[account] = err
		if r.inRow++; errors.Is(err, ErrDisconnected) {
			r.inRow = 0
		} else if r.inRow >= refreshGiveUp {
			r.stop(errEndpointDown)
		}
	}
}

// renewBefore renews the account's token if it ends before that time.
func (c *Client) renewBefore(ctx context.Context, before time.Time) (renewed bool, err error) {
	source := c.tokens.source.(*storedToken) // as every account of an App has
	c.tokens.mu.Lock()
	last := c.tokens.current.token.AccessToken
	f := c.tokens.begin(ctx, false, func(ctx context.Context, _ *Token, _ bool) (*Token, error) {
		tok, before, err := source.renewBefore(ctx, before)
		last = before
		return tok, err
	})
	c.tokens.mu.Unlock()
	cred, err := f.wait(ctx)
	if err != nil {
		return false, (&call{op: OpOAuthToken}).noToken(c, c.tokenRule(Rule{Name: "no token"}, err, false), err)
	}
	return cred.token.AccessToken != last, nil
}

// endsBefore reports whether the access or the refresh token ends before that time.
func (t *Token) endsBefore(before time.Time) bool {
	return t.AccessToken == "" || !t.Expiry.IsZero() && t.Expiry.Before(before) ||
		!t.RefreshExpiry.IsZero() && t.RefreshExpiry.Before(before)
}

// renewBefore renews what is stored if it ends before that time. It returns the
// access token that was stored, too.
func (s *storedToken) renewBefore(ctx context.Context, before time.Time) (tok *Token, was string, err error) {
	tok, err = s.store.Load(ctx, s.client.name)
	switch {
	case err != nil:
		return nil, "", loadError{err}
	case tok == nil, tok.Disconnected != nil:
		tok, err = s.settled(tok, nil, false)
		return tok, "", err
	case tok.RefreshToken == "", !tok.endsBefore(before):
		return tok, tok.AccessToken, nil
	}
	was = tok.AccessToken
	tok, err = s.renewOwn(ctx, tok, false)
	return tok, was, err
}

// noToken is the failure of a renewal that no call was waiting for.
func (cl *call) noToken(c *Client, rule Rule, err error) error {
	if e, ok := errors.AsType[*Error](err); ok && !errors.Is(err, ErrDisconnected) {
		return e
	}
	e := &Error{
		Operation: cl.op.ID, Class: rule.Class, Disposition: rule.Disposition, Rule: rule.Name, Phase: PhaseNotSent,
		causes: []error{c.secrets.Hide(err)},
	}
	if rule.Disposition == DispositionPark {
		e.RetryAt = c.clock.Now().Add(rule.ParkFor)
	}
	return e
}
