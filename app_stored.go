package pinterest

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/pinterest-go/pinterest/internal/reserved"
)

// StoredAccount is what the [TokenStore] has of one account, without credentials: see
// [App.Accounts].
type StoredAccount struct {
	Account       string
	State         AccountState
	User          *PinterestUser // who it is at Pinterest; nil: not known
	Scopes        []Scope        // what was granted; nil: not known
	Expiry        time.Time      // of the access token; zero: not known
	RefreshExpiry time.Time      // of the refresh token; zero: not known
	Since         time.Time      // when it was quarantined or disconnected
	Reason        string         // why it was, in words
}

// AccountState says whether calls for an account can be made.
type AccountState string

// The states of an account.
const (
	AccountConnected    AccountState = "connected"    // it has a token
	AccountQuarantined  AccountState = "quarantined"  // its access token is good until Expiry, and its refresh token is refused
	AccountDisconnected AccountState = "disconnected" // its owner has to connect it again
)

// Accounts iterates over the accounts in the store, for a settings page or an
// operator. Nothing is sent: an account whose owner has revoked the access at
// Pinterest is connected until a refresh finds out. An account that
// [OAuthService.Disconnect] has deleted is not in the store any more.
//
// An account that cannot be read is yielded with its name and an [ErrTokenStore], and
// the iteration goes on. An error without a name ends it.
func (a *App) Accounts(ctx context.Context) iter.Seq2[StoredAccount, error] {
	return func(yield func(StoredAccount, error) bool) {
		if ctx == nil {
			yield(StoredAccount{}, errNilContext)
			return
		}
		for name, err := range a.store.Accounts(ctx) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(StoredAccount{}, a.storeError(err))
				return
			}
			if reserved.Name(name) {
				continue
			}
			tok, err := a.store.Load(ctx, name)
			switch {
			case err != nil && ctx.Err() != nil:
				yield(StoredAccount{}, a.storeError(err))
				return
			case err != nil:
				if !yield(StoredAccount{Account: name}, a.storeError(err)) {
					return
				}
			case tok != nil: // else it was deleted meanwhile
				if !yield(tok.describe(name), nil) {
					return
				}
			}
		}
	}
}

// storeError is the failure of the store in something that is for no account alone.
func (k *core) storeError(err error) error {
	e := Error{Operation: OpOAuthToken.ID, Class: ClassTokenStore, Disposition: DispositionPark, RetryAt: k.clock.Now(), Phase: PhaseNotSent}
	return newError(nil, e, loadError{err})
}

// describe returns what may be told of a stored token.
func (t *Token) describe(name string) StoredAccount {
	acct := StoredAccount{
		Account: name, State: AccountConnected, User: t.User, Scopes: slices.Clone(t.Scopes),
		Expiry: t.Expiry, RefreshExpiry: t.RefreshExpiry,
	}
	switch {
	case t.Disconnected != nil:
		acct.State, acct.Since, acct.Reason = AccountDisconnected, t.Disconnected.At, t.Disconnected.Reason
	case t.Quarantined != nil:
		acct.State, acct.Since, acct.Reason = AccountQuarantined, t.Quarantined.Since, t.Quarantined.Reason
	}
	return acct
}
