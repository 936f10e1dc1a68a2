package pinterest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// storedToken is the source of an account whose token is in a [TokenStore]. Only
// one renewal of it is under way in this process, and the store's lock keeps the
// other processes out.
type storedToken struct {
	client *Client // of the account
	store  TokenStore
	id     string // of the app; "": tokens cannot be renewed here
	secret string

	// A token that was renewed but could not be saved. It is the only copy: it is
	// neither lost nor used, and the next renewal saves it first.
	unsaved *Token
	spent   string // the refresh token that it was had for

	warned string // the version whose end was announced
}

// saveError says that a renewed token could not be saved.
type saveError struct{ err error }

func (e saveError) Error() string { return "saving the renewed token: " + e.err.Error() }
func (e saveError) Unwrap() error { return e.err }

// loadError says that the token store could not be asked.
type loadError struct{ err error }

func (e loadError) Error() string { return "the token store failed: " + e.err.Error() }
func (e loadError) Unwrap() error { return e.err }

// disconnectedError says why there is no token.
type disconnectedError struct{ why string }

func (e disconnectedError) Error() string        { return e.why }
func (e disconnectedError) Is(target error) bool { return target == ErrDisconnected }

var errNeverConnected = disconnectedError{"the account is not connected: no token is stored for it"}

func (d *Disconnection) error() error {
	return disconnectedError{fmt.Sprintf("the account was disconnected at %s: %s", d.At.UTC().Format(time.RFC3339), d.Reason)}
}

// renew returns what is stored, when that is a newer token, or a connected
// account's first one. Else it renews it.
func (s *storedToken) renew(ctx context.Context, old *Token, refused bool) (*Token, error) {
	if s.unsaved == nil {
		tok, err := s.store.Load(ctx, s.client.name)
		if err != nil {
			return nil, loadError{err}
		}
		if found, err := s.settled(tok, old, refused); found != nil || err != nil {
			return found, err
		}
	}
	return s.renewOwn(ctx, old, refused)
}

// renewOwn renews with the account's lock held.
func (s *storedToken) renewOwn(ctx context.Context, old *Token, refused bool) (*Token, error) {
	unlock, err := s.store.Lock(ctx, s.client.name)
	if err != nil {
		return nil, loadError{err}
	}
	defer unlock()
	for {
		tok, err := s.renewLocked(ctx, old, refused)
		if errors.Is(err, ErrTokenConflict) && ctx.Err() == nil {
			continue // somebody has saved another one without the lock, such as a new connection
		}
		return tok, err
	}
}

// look returns what is stored, or old while that is all there is.
func (s *storedToken) look(ctx context.Context, old *Token, _ bool) (*Token, error) {
	tok, err := s.store.Load(ctx, s.client.name)
	if err != nil || tok == nil || tok.AccessToken == old.AccessToken {
		return old, nil //nolint:nilerr // a store that fails has no newer one
	}
	if tok.Disconnected != nil {
		return nil, tok.Disconnected.error()
	}
	return tok, nil
}

// settled tells whether what is stored needs no renewal: it is a token that can
// be used, or there is none to be had.
func (s *storedToken) settled(tok, old *Token, refused bool) (*Token, error) {
	switch {
	case tok == nil:
		return nil, errNeverConnected
	case tok.Disconnected != nil:
		return nil, tok.Disconnected.error()
	}
	known := old != nil && tok.AccessToken == old.AccessToken
	switch {
	case tok.AccessToken == "", known && refused:
	case tok.RefreshToken == "", !known && !tok.expired(s.client.clock.Now()):
		// Without a refresh token only the API can tell that it is of no use.
		s.noteExpiry(tok)
		return tok, nil
	}
	return nil, nil
}

// renewLocked reads the store again, where another process may have been
// quicker, and makes the token call if it was not. What the call brings is saved
// before anyone uses it.
func (s *storedToken) renewLocked(ctx context.Context, old *Token, refused bool) (*Token, error) {
	stored, err := s.store.Load(ctx, s.client.name)
	if err != nil {
		return nil, loadError{err}
	}
	if s.unsaved != nil && stored != nil && stored.RefreshToken == s.spent {
		return s.save(ctx, stored, s.unsaved)
	}
	s.forget() // what is stored is newer
	if tok, err := s.settled(stored, old, refused); tok != nil || err != nil {
		return tok, err
	}
	switch {
	case stored.RefreshToken == "":
		return nil, s.disconnect(ctx, stored, "the access token was refused, and there is no refresh token")
	case s.id == "":
		return nil, errNoRenewal
	}
	began := s.client.clock.Now()
	fresh, err := s.client.refreshGrant(ctx, s.id, s.secret, stored.RefreshToken)
	if err != nil {
		if reason := s.client.isGrantRefused(err); reason != "" {
			why := s.disconnect(ctx, stored, reason)
			if errors.Is(why, ErrTokenConflict) {
				return nil, why
			}
			err = withError(err, why)
		}
		s.client.reportRenewal(began, err)
		return nil, err
	}
	tok := fresh.after(stored)
	s.client.secrets.AddToken(tok.AccessToken, tok.RefreshToken)
	tok, err = s.save(ctx, stored, tok)
	s.client.reportRenewal(began, err)
	return tok, err
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
	s.forget()
	saved := *tok
	saved.Version = version
	s.noteScopes(stored, &saved)
	s.noteExpiry(&saved)
	return &saved, nil
}

// forget drops a token that could not be saved, and is no longer needed.
func (s *storedToken) forget() {
	if s.unsaved != nil {
		s.unsaved = nil
		s.client.accounts.pinned.Delete(s.client.account)
	}
}

// disconnect marks the account, if the token that was refused is still the
// stored one, and tells the observers.
func (s *storedToken) disconnect(ctx context.Context, stored *Token, reason string) error {
	c := s.client
	marked := *stored
	marked.Disconnected = &Disconnection{At: c.clock.Now().UTC(), Reason: reason}
	if _, err := s.store.Save(ctx, c.name, &marked); err != nil {
		if errors.Is(err, ErrTokenConflict) {
			return err
		}
		return loadError{err}
	}
	err := marked.Disconnected.error()
	c.note(Event{Type: EventDisconnected, Time: marked.Disconnected.At, Err: err})
	return err
}

// noteScopes tells the observers of scopes that a renewal has lost.
func (s *storedToken) noteScopes(before, after *Token) {
	if before.Scopes == nil || after.Scopes == nil {
		return
	}
	if lost := MissingScopes(after.Scopes, before.Scopes); len(lost) > 0 {
		s.client.note(Event{Type: EventScopesLost, Time: s.client.clock.Now(), Scopes: lost})
	}
}

// expiryNotice is how long before its end a refresh token is announced.
const expiryNotice = 14 * day

// noteExpiry tells the observers, once a token, that its refresh token ends soon.
func (s *storedToken) noteExpiry(tok *Token) {
	now := s.client.clock.Now()
	if tok.RefreshExpiry.IsZero() || tok.RefreshExpiry.Sub(now) > expiryNotice || s.warned == tok.Version {
		return
	}
	s.warned = tok.Version
	s.client.note(Event{Type: EventExpiring, Time: now, Wait: max(0, tok.RefreshExpiry.Sub(now))})
}

// after completes a renewed token with what its answer left out: the old one's goes on.
func (t *Token) after(old *Token) *Token {
	tok := *t
	if tok.RefreshToken == "" {
		tok.RefreshToken, tok.RefreshExpiry = old.RefreshToken, old.RefreshExpiry
	}
	if tok.Scopes == nil {
		tok.Scopes = slices.Clone(old.Scopes)
	}
	return &tok
}

// isGrantRefused returns why an account is disconnected when its refresh failed
// for good, "" otherwise. Code 2 is what a wrong app secret would give, too: a
// wrong configuration must not disconnect every account.
func (c *Client) isGrantRefused(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Disposition != DispositionReauthorize || e.Code == codeAuthentication {
		return ""
	}
	reason := fmt.Sprintf("the refresh token was refused (%d/%d)", e.Status, e.Code)
	if e.Message != "" {
		reason += ": " + e.Message
	}
	return reason
}

// codeAuthentication is the inner code of a failed authentication.
const codeAuthentication = 2
