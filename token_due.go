package pinterest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// RefreshReport says what [App.RefreshDue] has done.
type RefreshReport struct {
	Refreshed int              // accounts with a new token
	Current   int              // accounts that needed none any more, such as those that another process refreshed
	Failed    map[string]error // by account; one that is an [ErrDisconnected] has to be connected again
}

const (
	// refreshWorkers is how many accounts are refreshed at the same time.
	refreshWorkers = 4
	// refreshSpacing keeps a run over many accounts from being a burst: 20 a second.
	refreshSpacing = 50 * time.Millisecond
	// refreshGiveUp is how many failures in a row, other than disconnected accounts,
	// show that the token endpoint is down: the rest would fail as well.
	refreshGiveUp = 20
)

var errEndpointDown = errors.New("too many refreshes in a row have failed: the token endpoint seems to be down")

// RefreshDue refreshes the tokens of all accounts in the store that expire within
// [OAuth].RefreshWithin, at most 20 a second. Run it in a job once or a few times
// a day: then an account that nobody calls for does not lose its refresh token,
// and calls do not wait for a refresh. Any number of processes may run it at once.
//
// It returns an error when ctx ends, when the store cannot be read, when the token
// endpoint is down, and when [WithOAuth] is missing. The failures of single
// accounts are in the report only, which is valid in any case.
func (a *App) RefreshDue(ctx context.Context) (RefreshReport, error) {
	r := &refreshRun{app: a, before: a.clock.Now().Add(a.oauth.refreshWithin())}
	r.report.Failed = map[string]error{}
	if ctx == nil {
		return r.report, fmt.Errorf("pinterest: refreshing due tokens: %w", errNilContext)
	}
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
				r.refresh(ctx, account)
			}
		})
	}
	err := r.feed(ctx, queue)
	close(queue)
	workers.Wait()
	if err != nil {
		return r.report, fmt.Errorf("pinterest: refreshing due tokens: %w", err)
	}
	return r.report, nil
}

// refreshRun is one run of RefreshDue.
type refreshRun struct {
	app    *App
	before time.Time
	stop   context.CancelCauseFunc

	mu       sync.Mutex
	report   RefreshReport
	failures int // in a row, other than disconnected accounts
}

// feed hands the due accounts to the workers, at the pace of refreshSpacing.
func (r *refreshRun) feed(ctx context.Context, queue chan<- string) error {
	for account, err := range r.app.store.Due(ctx, r.before) {
		if err != nil {
			now := r.app.clock.Now()
			return newError(nil, Error{Operation: OpOAuthToken.ID, Class: ClassTokenStore, Disposition: DispositionPark, RetryAt: now, Phase: PhaseNotSent}, loadError{err})
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

func (r *refreshRun) refresh(ctx context.Context, account string) {
	refreshed, err := r.app.client(account).refreshBefore(ctx, r.before)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil && refreshed:
		r.report.Refreshed++
		r.failures = 0
	case err == nil:
		r.report.Current++
	default:
		r.report.Failed[account] = err
		if r.failures++; errors.Is(err, ErrDisconnected) {
			r.failures = 0
		} else if r.failures >= refreshGiveUp {
			r.stop(errEndpointDown)
		}
	}
}

// refreshBefore refreshes the account's token if it expires before that time.
func (c *Client) refreshBefore(ctx context.Context, before time.Time) (refreshed bool, err error) {
	source := c.tokens.source.(*storedToken) // as every account of an App has
	c.tokens.mu.Lock()
	last := c.tokens.current.token.AccessToken
	pending := c.tokens.begin(ctx, false, func(ctx context.Context, _ *Token, _ bool) (*Token, bool, error) {
		tok, stored, err := source.refreshBefore(ctx, before)
		last = stored
		return tok, true, err
	})
	c.tokens.mu.Unlock()
	cred, err := pending.wait(ctx)
	if err != nil {
		return false, c.refreshError(err)
	}
	return cred.token.AccessToken != last, nil
}

// refreshBefore refreshes the stored token if it expires before that time. It
// also returns the access token that was stored before.
func (s *storedToken) refreshBefore(ctx context.Context, before time.Time) (tok *Token, was string, err error) {
	tok, err = s.store.Load(ctx, s.client.name)
	switch {
	case err != nil:
		return nil, "", loadError{err}
	case tok == nil, tok.Disconnected != nil:
		tok, err = s.usable(ctx, tok, nil, false)
		return tok, "", err
	case tok.RefreshToken == "", !tok.expiresBefore(before):
		return tok, tok.AccessToken, nil
	}
	was = tok.AccessToken
	tok, _, err = s.refreshWithLock(ctx, tok, false)
	return tok, was, err
}
