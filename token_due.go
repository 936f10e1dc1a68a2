package pinterest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest/internal/reserved"
)

// RefreshReport says what [App.RefreshDue] has done.
type RefreshReport struct {
	Refreshed int              // accounts with a new token
	Current   int              // accounts that needed none any more, such as those that another process refreshed
	Failed    map[string]error // by account; one that is an [ErrDisconnected] has to be connected again, one of a quarantined account is to be looked at

	// Accounts has every account that the run came to.
	Accounts map[string]AccountRefresh
}

// AccountRefresh is what became of one account in [App.RefreshDue].
type AccountRefresh struct {
	Outcome RefreshOutcome
	Class   Class // of Err
	Err     error // an *[Error]; nil unless the outcome is quarantined or failed
}

// RefreshOutcome says how the refresh of an account has ended.
type RefreshOutcome string

// The outcomes of a refresh.
const (
	RefreshDone        RefreshOutcome = "refreshed"   // it has a new token
	RefreshNotNeeded   RefreshOutcome = "current"     // its token was refreshed meanwhile, such as by another process
	RefreshQuarantined RefreshOutcome = "quarantined" // its access token is good, and its refresh token is refused
	RefreshFailed      RefreshOutcome = "failed"      // see the Class
)

const (
	// refreshWorkers is how many accounts are refreshed at the same time.
	refreshWorkers = 4
	// refreshSpacing keeps a run over many accounts from being a burst: 20 a second.
	refreshSpacing = 50 * time.Millisecond
	// refreshGiveUp is how many failures in a row, other than refused grants, show that
	// the token endpoint is down or refuses the app: the rest would fail as well. After
	// as many refused grants, only one account of refreshSample is tried.
	refreshGiveUp = 20
	refreshSample = 10
)

var errEndpointDown = errors.New("the token endpoint seems to be down: too many refreshes in a row have failed, or all of them")

// RefreshDue refreshes the tokens of all accounts in the store that expire within
// [OAuth].RefreshWithin, four at a time and at most 20 a second. Run it in a job once
// or a few times a day, or with [App.RefreshEvery]: then an account that nobody calls
// for does not lose its refresh token, and calls do not wait for a refresh. Any number
// of processes may run it at once. A run that was cut short is resumed by the next
// one: accounts that have a new token are not due any more.
//
// It returns an error when ctx ends, when the store cannot be read, when the token
// endpoint is down or refuses the app, when the app is shut down ([ErrShutdown]), and
// when [WithOAuth] is missing. It is an [ErrRefreshPaused] if the refresh tokens of
// several accounts in a row were refused and no refresh has succeeded since: then no
// account is disconnected. The failures of single accounts are in the report only, which
// is valid in any case.
//
// A run ends after 20 failures of the endpoint in a row. After 20 refused refresh
// tokens in a row it tries every tenth account only, until one is granted a token; the
// others are left to the next run. During a pause, a run without a success refreshes an
// account that is not due, to find out whether the pause can end.
//
// When ctx ends, no further refresh begins, and RefreshDue returns when those under
// way have ended and are saved. That takes up to five minutes when Pinterest is slow.
// A process that does not wait for it loses these accounts.
func (a *App) RefreshDue(ctx context.Context) (RefreshReport, error) {
	r := &refreshRun{app: a, before: a.clock.Now().Add(a.oauth.refreshWithin())}
	r.report.Failed, r.report.Accounts = map[string]error{}, map[string]AccountRefresh{}
	if ctx == nil {
		return r.report, fmt.Errorf("pinterest: refreshing due tokens: %w", errNilContext)
	}
	if a.oauth.ClientID == "" {
		return r.report, errNoOAuth
	}
	caller := ctx
	ctx, r.stop = a.work.bind(ctx)
	defer r.stop(nil)
	queue := make(chan string)
	var workers sync.WaitGroup
	for range refreshWorkers {
		workers.Go(func() {
			for account := range queue {
				r.refresh(context.WithoutCancel(ctx), account)
			}
		})
	}
	err := r.feed(ctx, queue)
	close(queue)
	workers.Wait()
	r.reconsider(caller)
	if err == nil && r.failures > 0 && !r.answered {
		err = errEndpointDown
	}
	if err == nil && r.report.Refreshed == 0 && a.paused(ctx) {
		r.probe(ctx)
	}
	if (err == nil || errors.Is(err, errEndpointDown)) && a.paused(ctx) {
		err = ErrRefreshPaused
	}
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
	refused  int  // grants, in a row
	failures int  // of the endpoint, in a row
	answered bool // the endpoint has granted or refused something
}

// feed hands the due accounts to the workers, at the pace of refreshSpacing.
func (r *refreshRun) feed(ctx context.Context, queue chan<- string) error {
	n := 0
	for account, err := range r.app.store.Due(ctx, r.before) {
		if n++; err == nil && r.samples() && n%refreshSample != 0 {
			continue
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err != nil {
			return r.app.storeError(err)
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

// samples reports whether so many grants were refused in a row that only some of the
// others are tried. Those left out are due in the next run.
func (r *refreshRun) samples() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused >= refreshGiveUp
}

// reconsider replaces the errors of accounts whose disconnection was undone.
func (r *refreshRun) reconsider(ctx context.Context) {
	for account, err := range r.report.Failed {
		if !errors.Is(err, ErrDisconnected) {
			continue
		}
		if tok, loadErr := r.app.store.Load(ctx, account); loadErr == nil && tok != nil && tok.Disconnected == nil {
			r.fail(account, r.app.client(account).refreshError(pausedError{"the disconnection was undone"}))
		}
	}
}

// probe ends a pause that no refresh would end for weeks: it refreshes an account that
// is neither due nor refused. It tries a few, at random, until one is granted a token.
func (r *refreshRun) probe(ctx context.Context) {
	const most = 5
	var picked []string
	n := 0
	for account, err := range r.app.store.Accounts(ctx) {
		if err != nil || context.Cause(ctx) != nil {
			return
		}
		if _, met := r.report.Accounts[account]; met || reserved.Name(account) {
			continue
		}
		// Each has the same chance to be one of those that are picked.
		if n++; len(picked) < 4*most {
			picked = append(picked, account)
		} else if i := rand.IntN(n); i < len(picked) {
			picked[i] = account
		}
	}
	r.before = time.Time{} // whenever their tokens expire
	tried := 0
	for _, i := range rand.Perm(len(picked)) {
		tok, err := r.app.store.Load(ctx, picked[i])
		if err != nil || tok == nil || tok.RefreshToken == "" || tok.Disconnected != nil || tok.Quarantined != nil || !tok.RefusedSince.IsZero() {
			continue
		}
		r.refresh(context.WithoutCancel(ctx), picked[i])
		if tried++; tried == most || r.report.Refreshed > 0 || context.Cause(ctx) != nil {
			return
		}
	}
}

// fail puts an account that has no new token into the report.
func (r *refreshRun) fail(account string, err error) {
	result := AccountRefresh{Outcome: RefreshFailed, Err: err}
	if e, ok := errors.AsType[*Error](err); ok {
		result.Class = e.Class
	}
	if _, ok := errors.AsType[quarantinedError](err); ok {
		result.Outcome = RefreshQuarantined
	}
	r.report.Failed[account], r.report.Accounts[account] = err, result
}

func (r *refreshRun) refresh(ctx context.Context, account string) {
	refreshed, err := r.app.client(account).refreshBefore(ctx, r.before)
	r.mu.Lock()
	defer r.mu.Unlock()
	result := AccountRefresh{Outcome: RefreshNotNeeded}
	switch {
	case err == nil && refreshed:
		result.Outcome = RefreshDone
		r.report.Refreshed++
		r.refused, r.failures, r.answered = 0, 0, true
	case err == nil:
		r.report.Current++
	default:
		r.fail(account, err)
		switch e, _ := errors.AsType[*Error](err); {
		case errors.Is(err, ErrShutdown):
			r.stop(ErrShutdown)
		case r.report.Accounts[account].Outcome == RefreshQuarantined: // which says nothing about the endpoint
		case errors.Is(err, ErrTokenStore):
		case errors.Is(err, ErrDisconnected), errors.Is(err, ErrRefreshPaused): // the endpoint works, and has refused this grant
			r.refused++
			r.failures, r.answered = 0, true
		case e != nil && e.Phase == PhaseNotSent && e.Disposition == DispositionReview: // a token that cannot be sent
		default:
			if r.failures++; r.failures >= refreshGiveUp {
				r.stop(errEndpointDown)
			}
		}
		return
	}
	r.report.Accounts[account] = result
}

// refreshBefore refreshes the account's token if it expires before that time, or in any
// case if the time is zero.
func (c *Client) refreshBefore(ctx context.Context, before time.Time) (refreshed bool, err error) {
	source := c.tokens.source.(*storedToken) // as every account of an App has
	for {
		c.tokens.mu.Lock()
		joined := c.tokens.pending != nil
		pending := c.tokens.begin(ctx, need{}, func(ctx context.Context, _ *Token, _ need) (*Token, bool, error) {
			return source.refreshBefore(ctx, before)
		})
		if !joined {
			pending.early = true
		}
		c.tokens.mu.Unlock()
		cred, err := pending.wait(ctx)
		switch {
		case err != nil:
			return false, c.refreshError(err)
		case joined && !pending.granted:
			continue // what was under way has only read the store
		case cred.token.Quarantined != nil:
			return false, c.refreshError(quarantinedError{*cred.token.Quarantined})
		}
		return !joined && pending.granted, nil // else it was another run, or another process
	}
}

// refreshBefore is that of the Client, for the stored token.
func (s *storedToken) refreshBefore(ctx context.Context, before time.Time) (tok *Token, granted bool, err error) {
	tok, err = s.store.Load(ctx, s.client.name)
	switch {
	case err != nil:
		return nil, false, loadError{err}
	case tok == nil, tok.Disconnected != nil:
		tok, err = s.usable(ctx, tok, nil, need{})
		return tok, false, err
	case tok.RefreshToken == "", !before.IsZero() && !tok.expiresBefore(before):
		return tok, false, nil
	}
	return s.refreshWithLock(ctx, tok, need{})
}
