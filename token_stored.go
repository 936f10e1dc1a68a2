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
	refusedIn uint64 // the round of refusals in which its refresh token was refused; 0: it was not

	// The last refusal that did not mark the account, and the refresh token.
	refusal      error
	refusedToken string
	refusedUntil time.Time // the refusal stands for another one before this time
}

// refresh returns the stored token if it is newer than old, or the first one of a
// connected account. Otherwise it refreshes it.
func (s *storedToken) refresh(ctx context.Context, old *Token, refused bool) (tok *Token, granted bool, err error) {
	if s.unsaved == nil {
		stored, err := s.store.Load(ctx, s.client.name)
		if err != nil {
			return nil, false, loadError{err}
		}
		if tok, err := s.usable(ctx, stored, old, refused); tok != nil || err != nil {
			return tok, false, err
		}
	}
	return s.refreshWithLock(ctx, old, refused)
}

// refreshWithLock refreshes while it holds the account's lock.
func (s *storedToken) refreshWithLock(ctx context.Context, old *Token, refused bool) (tok *Token, granted bool, err error) {
	select {
	case s.client.renewals <- struct{}{}:
		defer func() { <-s.client.renewals }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	unlock, err := s.store.Lock(ctx, s.client.name)
	if err != nil {
		return nil, false, loadError{err}
	}
	defer giveBack(unlock, &err, asLoadError)
	for {
		tok, granted, err = s.refreshLocked(ctx, old, refused)
		if errors.Is(err, ErrTokenConflict) && ctx.Err() == nil {
			continue // somebody has saved another one without the lock, such as a new connection
		}
		return tok, granted, err
	}
}

// reload returns the stored token if it is another than old, and old otherwise.
func (s *storedToken) reload(ctx context.Context, old *Token, _ bool) (tok *Token, granted bool, err error) {
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
func (s *storedToken) reloadWithLock(ctx context.Context, old *Token, refused bool) (tok *Token, granted bool, err error) {
	unlock, err := s.store.Lock(ctx, s.client.name)
	if err != nil {
		return nil, false, loadError{err}
	}
	defer giveBack(unlock, &err, asLoadError)
	return s.reload(ctx, old, refused)
}

// usable returns the stored token if it can be used without a refresh, and an
// error if the account has none. It returns neither if a refresh is needed.
func (s *storedToken) usable(ctx context.Context, stored, old *Token, refused bool) (*Token, error) {
	switch {
	case stored == nil:
		return nil, errNeverConnected
	case stored.Disconnected != nil:
		return nil, stored.Disconnected.error()
	}
	known, now := old != nil && stored.AccessToken == old.AccessToken, s.client.clock.Now()
	switch {
	case stored.AccessToken == "", known && refused:
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
func (s *storedToken) refreshLocked(ctx context.Context, old *Token, refused bool) (tok *Token, granted bool, err error) {
	stored, err := s.store.Load(ctx, s.client.name)
	if err != nil {
		return nil, false, loadError{err}
	}
	if s.unsaved != nil && stored != nil && stored.RefreshToken == s.spent {
		tok, err = s.save(ctx, stored, s.unsaved)
		return tok, false, err
	}
	s.dropUnsaved() // what is stored is newer
	if tok, err := s.usable(ctx, stored, old, refused); tok != nil || err != nil {
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
	began := s.client.clock.Now()
	tok, err = s.client.refreshGrant(ctx, stored.RefreshToken)
	if err != nil {
		known := old != nil && stored.AccessToken == old.AccessToken
		ended := stored.AccessToken == "" || stored.expired(began) || known && refused
		tok, after := s.notRefreshed(ctx, stored, ended, err)
		if errors.Is(after, ErrTokenConflict) {
			return nil, false, after
		}
		if reason, _ := refusal(err); reason != "" && after != nil && !errors.Is(after, ErrDisconnected) {
			s.refusal, s.refusedToken, s.refusedUntil = after, stored.RefreshToken, s.client.clock.Now().Add(shareRefusal)
		}
		s.client.reportRefresh(ctx, began, cmp.Or(after, err))
		return tok, false, after
	}
	s.refusedIn = 0
	s.client.refusals.succeed()
	tok = tok.completedFrom(stored)
	s.client.secrets.AddToken(tok.AccessToken, tok.RefreshToken)
	tok, err = s.save(ctx, stored, tok)
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
	reason, gone := refusal(failure)
	paused := reason != "" && s.refuse(ctx, stored, reason)
	switch {
	case !ended && (stored.Quarantined != nil || gone && !paused):
		return s.quarantine(ctx, stored, reason)
	case !gone:
		return nil, failure
	case paused:
		return nil, pausedError{reason}
	}
	return nil, s.disconnect(ctx, stored, reason, failure)
}

// quarantinePause is the least time between two refreshes of a quarantined account.
// Up to a quarter is added at random.
const quarantinePause = time.Hour

// quarantine marks the account as quarantined, and tells the observers the first
// time.
func (s *storedToken) quarantine(ctx context.Context, stored *Token, reason string) (*Token, error) {
	c, marked := s.client, *stored
	now := c.clock.Now().UTC()
	q := Quarantine{Since: now, Reason: reason}
	if stored.Quarantined != nil {
		q = *stored.Quarantined
	}
	q.RetryAt = now.Add(quarantinePause + rand.N(quarantinePause/4))
	marked.Quarantined = &q
	if err := s.saveMark(ctx, stored, &marked); err != nil {
		return nil, err
	}
	if stored.Quarantined == nil {
		e := Event{Type: EventQuarantined, Time: now, Err: quarantinedError{q}}
		if !stored.Expiry.IsZero() {
			e.Wait = stored.Expiry.Sub(now)
		}
		c.reportToken(ctx, e)
	}
	return &marked, nil
}

// disconnect marks the account as disconnected, if the token that was refused is
// still the stored one, and tells the observers.
func (s *storedToken) disconnect(ctx context.Context, stored *Token, reason string, failure error) error {
	c, marked := s.client, *stored
	marked.Disconnected = &Disconnection{At: c.clock.Now().UTC(), Reason: reason}
	if err := s.saveMark(ctx, stored, &marked); err != nil {
		if errors.Is(err, ErrTokenConflict) {
			return err
		}
		return withError(failure, err)
	}
	err := marked.Disconnected.error()
	c.reportToken(ctx, Event{Type: EventDisconnected, Time: marked.Disconnected.At, Err: err})
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
