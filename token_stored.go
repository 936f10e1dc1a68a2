package pinterest

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// storedToken is the source of an account whose token is in a [TokenStore]. Only
// one refresh of it is under way in this process, and the store's lock excludes
// the other processes.
type storedToken struct {
	client *Client // of the account
	store  TokenStore

	// A refreshed token that could not be saved. It is the only copy: it is neither
	// dropped nor used, and the next refresh saves it first.
	unsaved *Token
	spent   string // the refresh token that it was granted for

	announced string // the version whose coming expiry was announced

	// The last refusal that did not mark the account, and the refresh token.
	refusal      error
	refusedToken string
	refusedUntil time.Time // the refusal stands for another one before this time
}

// refresh returns the stored token if it is newer than old, or the first one of a
// connected account. Otherwise it refreshes it.
func (s *storedToken) refresh(ctx context.Context, old *Token, why need) (tok *Token, granted bool, err error) {
	if s.unsaved == nil {
		stored, err := s.store.Load(ctx, s.client.name)
		if err != nil {
			return nil, false, loadError{err}
		}
		if tok, err := s.usable(ctx, stored, old, why); tok != nil || err != nil {
			return tok, false, err
		}
	}
	return s.refreshWithLock(ctx, old, why)
}

// lockTurn is how long a refresh waits for its lock before it lets others begin, and
// then twice as long each time.
const lockTurn = 2 * time.Second

// refreshWithLock refreshes while it holds the account's lock.
func (s *storedToken) refreshWithLock(ctx context.Context, old *Token, why need) (tok *Token, granted bool, err error) {
	unlock, leave, err := s.enter(ctx)
	if err != nil {
		return nil, false, err
	}
	defer leave()
	defer giveBack(unlock, &err, asLoadError)
	err = s.client.untilSaved(ctx, func() error { // others save without the lock, such as a new connection
		tok, granted, err = s.refreshLocked(ctx, old, why)
		return err
	})
	if errors.Is(err, errConflicts) {
		err = asLoadError(err)
	}
	return tok, granted, err
}

// enter waits for one of the App's places for renewals and for the account's lock.
// If another process holds the lock for long, the place goes to others meanwhile.
func (s *storedToken) enter(ctx context.Context) (unlock, leave func(), err error) {
	ctx, stop := s.bound(ctx)
	defer stop(nil)
	leave = func() { <-s.client.renewals }
	for turn := lockTurn; ; turn *= 2 {
		select {
		case s.client.renewals <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
		over := s.lockWithin(ctx, turn, &unlock, &err)
		switch {
		case err == nil:
			return unlock, leave, nil
		case !over || ctx.Err() != nil:
			return nil, nil, s.lockError(ctx, err)
		}
	}
}

// lockWithin takes the lock, or gives the place for a renewal back. It reports whether
// its turn was over.
func (s *storedToken) lockWithin(ctx context.Context, turn time.Duration, unlock *func(), err *error) (over bool) {
	ctx, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	locked := false
	defer func() { // also if the store ends the goroutine
		if !locked {
			<-s.client.renewals
		}
	}()
	*unlock, *err = s.store.Lock(ctx, s.client.name)
	locked = *err == nil
	return ctx.Err() != nil
}

// bound returns a context that a shutdown ends, too: what waits has nothing to lose,
// unless it has a token to save.
func (s *storedToken) bound(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	if s.unsaved != nil {
		return ctx, func(error) {}
	}
	return s.client.work.bind(ctx)
}

// lockError is the failure to get a lock.
func (s *storedToken) lockError(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), ErrShutdown) {
		return ErrShutdown
	}
	return loadError{err}
}

// reload returns the stored token if it is another than old, and old otherwise.
func (s *storedToken) reload(ctx context.Context, old *Token, _ need) (tok *Token, granted bool, err error) {
	switch tok, err = s.store.Load(ctx, s.client.name); {
	case err != nil:
		return nil, false, loadError{err}
	case tok == nil || tok.AccessToken == old.AccessToken:
		return old, false, nil
	case tok.Disconnected != nil:
		return nil, false, tok.Disconnected.error()
	}
	return tok, false, nil
}

// reloadWithLock is reload after the refresh that another process has under way.
func (s *storedToken) reloadWithLock(ctx context.Context, old *Token, why need) (tok *Token, granted bool, err error) {
	waiting, stop := s.bound(ctx)
	unlock, err := s.store.Lock(waiting, s.client.name)
	if err != nil {
		err = s.lockError(waiting, err)
	}
	stop(nil)
	if err != nil {
		return nil, false, err
	}
	defer giveBack(unlock, &err, asLoadError)
	return s.reload(ctx, old, why)
}

// usable returns the stored token if it can be used without a refresh, and an
// error if the account has none. It returns neither if a refresh is needed.
func (s *storedToken) usable(ctx context.Context, stored, old *Token, why need) (*Token, error) {
	switch {
	case stored == nil:
		return nil, errNeverConnected
	case stored.Disconnected != nil:
		return nil, stored.Disconnected.error()
	}
	known, now := old != nil && stored.AccessToken == old.AccessToken, s.client.clock.Now()
	switch {
	case stored.AccessToken == "", known && why.proven, known && why.refused && !stored.waits(now):
	case stored.RefreshToken == "", !stored.expired(now) && (!known || stored.waits(now)):
		// Without a refresh token, only the API can tell that it has ended.
		s.reportExpiry(ctx, stored)
		return stored, nil
	}
	if stored.RefreshToken == s.refusedToken && now.Before(s.refusedUntil) {
		return nil, s.refusal
	}
	return nil, nil
}

// refreshLocked reads the store again, in case another process was quicker, and
// makes the token call if none was. The new token is saved before anyone uses it.
func (s *storedToken) refreshLocked(ctx context.Context, old *Token, why need) (tok *Token, granted bool, err error) {
	stored, err := s.store.Load(ctx, s.client.name)
	if err != nil {
		return nil, false, loadError{err}
	}
	if s.unsaved != nil && stored != nil && stored.RefreshToken == s.spent {
		tok, err = s.save(ctx, stored, s.unsaved)
		return tok, false, err
	}
	s.dropUnsaved() // what is stored is newer
	if tok, err := s.usable(ctx, stored, old, why); tok != nil || err != nil {
		return tok, false, err
	}
	switch {
	case stored.RefreshToken == "":
		return nil, false, errNoRefreshToken // which does not say that the grant is gone
	case s.client.appAuth == nil:
		return nil, false, errNoRefresh
	}
	if err := checkRefresh("the refresh token", stored.RefreshToken); err != nil {
		return nil, false, err
	}
	s.client.secrets.AddToken(stored.AccessToken, stored.RefreshToken) // an answer may repeat them
	known := old != nil && stored.AccessToken == old.AccessToken
	began := s.client.clock.Now()
	// The wait for the lock has taken time. The token call has its own: an answer that is
	// cut off would take the new refresh token with it.
	calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	tok, err = s.client.refreshGrant(calling, stored.RefreshToken)
	cancel()
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if err != nil {
		ended := stored.AccessToken == "" || stored.expired(began) || known && (why.proven || why.refused && stored.Expiry.IsZero())
		tok, after := s.notRefreshed(ctx, stored, ended, err)
		if errors.Is(after, ErrTokenConflict) {
			return nil, false, after
		}
		if refusalOf(err) != nil && after != nil && !errors.Is(after, ErrDisconnected) {
			s.refusal, s.refusedToken, s.refusedUntil = after, stored.RefreshToken, s.client.clock.Now().Add(shareRefusal)
		}
		s.client.reportRefresh(ctx, began, cmp.Or(after, err))
		return tok, false, after
	}
	tok = tok.completedFrom(stored)
	if known && why.refused && !why.accepted && began.Sub(stored.GrantedAt) < 3*longestCooldown {
		tok.Refusals = stored.Refusals + 1
	}
	s.client.secrets.AddToken(tok.AccessToken, tok.RefreshToken)
	tok, err = s.save(ctx, stored, tok)
	s.granted(ctx)
	s.client.reportRefresh(ctx, began, err)
	return tok, true, err
}

// save replaces stored by tok.
func (s *storedToken) save(ctx context.Context, stored, tok *Token) (*Token, error) {
	tok.Version = stored.Version
	version, err := s.store.Save(ctx, s.client.name, tok)
	if err != nil {
		s.unsaved, s.spent = tok, stored.RefreshToken
		s.client.accounts.pinned.Store(s.client.account, true)
		if errors.Is(err, ErrTokenConflict) {
			return nil, err
		}
		return nil, saveError{err}
	}
	s.dropUnsaved()
	saved := *tok
	saved.Version = version
	s.reportLostScopes(ctx, stored, &saved)
	s.reportExpiry(ctx, &saved)
	return &saved, nil
}

// dropUnsaved forgets a token that could not be saved and is not needed any more.
func (s *storedToken) dropUnsaved() {
	if s.unsaved != nil {
		s.unsaved = nil
		s.client.accounts.pinned.Delete(s.client.account)
	}
}

// notRefreshed says what follows from the failure of a refresh. ended says that the
// access token cannot be used any more. The account is disconnected only if it has
// ended, and only for a refusal that is about this account. It returns stored, with
// its mark, if that is used further.
func (s *storedToken) notRefreshed(ctx context.Context, stored *Token, ended bool, failure error) (*Token, error) {
	why := refusalOf(failure)
	if why == nil {
		return nil, failure
	}
	doubtful, err := s.refused(ctx, stored, why)
	if err != nil {
		return nil, err // nobody is marked without it
	}
	switch {
	case !ended && (stored.Quarantined != nil || why.gone && !doubtful):
		return s.quarantine(ctx, stored, why)
	case why.gone && !doubtful:
		return nil, s.disconnect(ctx, stored, why, failure)
	case stored.RefusedSince.IsZero() && (why.gone || why.ofApp):
		if _, err := s.mark(ctx, stored, why, func(*Token) {}); err != nil && !errors.Is(err, ErrRefreshPaused) {
			return nil, err
		}
	}
	if why.gone {
		return nil, pausedError{why.reason}
	}
	return nil, failure
}

// quarantinePause is the least time between two refreshes of a quarantined account.
// Up to a quarter is added at random.
const quarantinePause = time.Hour

// quarantine marks the account as quarantined, and tells the observers the first
// time.
func (s *storedToken) quarantine(ctx context.Context, stored *Token, why *refusal) (*Token, error) {
	now := s.client.clock.Now().UTC()
	q := Quarantine{Since: now, Reason: why.reason}
	if stored.Quarantined != nil {
		q = *stored.Quarantined
	}
	q.RetryAt = now.Add(quarantinePause + rand.N(quarantinePause/4))
	marked, err := s.mark(ctx, stored, why, func(tok *Token) { tok.Quarantined = &q })
	if err != nil {
		return nil, err
	}
	if stored.Quarantined == nil {
		e := Event{Type: EventQuarantined, Time: now, Err: quarantinedError{q}}
		if !stored.Expiry.IsZero() {
			e.Wait = stored.Expiry.Sub(now)
		}
		s.client.reportToken(ctx, e)
	}
	return marked, nil
}

// disconnect marks the account as disconnected, if the token that was refused is
// still the stored one, and tells the observers.
func (s *storedToken) disconnect(ctx context.Context, stored *Token, why *refusal, failure error) error {
	d := Disconnection{At: s.client.clock.Now().UTC(), Reason: why.reason}
	_, err := s.mark(ctx, stored, why, func(tok *Token) { tok.Disconnected = &d })
	switch {
	case errors.Is(err, ErrTokenConflict), errors.Is(err, ErrRefreshPaused):
		return err
	case err != nil:
		return withError(failure, err)
	}
	err = d.error()
	s.client.reportToken(ctx, Event{Type: EventDisconnected, Time: d.At, Err: err})
	return withError(failure, err)
}

// reportLostScopes tells the observers of scopes that a refresh has lost.
func (s *storedToken) reportLostScopes(ctx context.Context, before, after *Token) {
	if before.Scopes == nil || after.Scopes == nil {
		return
	}
	if lost := MissingScopes(after.Scopes, before.Scopes); len(lost) > 0 {
		s.client.reportToken(ctx, Event{Type: EventScopesLost, Time: s.client.clock.Now(), Scopes: lost})
	}
}

// expiryNotice is how long before its expiry a refresh token is announced.
const expiryNotice = 14 * day

// reportExpiry tells the observers, once a token, that its refresh token expires
// soon.
func (s *storedToken) reportExpiry(ctx context.Context, tok *Token) {
	now := s.client.clock.Now()
	if tok.RefreshExpiry.IsZero() || tok.RefreshExpiry.Sub(now) > expiryNotice || s.announced == tok.Version {
		return
	}
	s.announced = tok.Version
	s.client.reportToken(ctx, Event{Type: EventExpiring, Time: now, Wait: max(0, tok.RefreshExpiry.Sub(now))})
}
