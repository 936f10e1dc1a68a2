package pinterest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// This file has what a callback reads and saves.

// opAuthorize names in errors what is no operation of the API: an owner giving
// access, and the token of that being saved.
const opAuthorize = "oauth/authorize"

// connectError is the failure of a connection that the owner has to begin again.
func connectError(secrets *redact.Secrets, err error) error {
	return newError(secrets, Error{Operation: opAuthorize, Class: ClassUnauthenticated, Disposition: DispositionReauthorize, Phase: PhaseNotSent}, err)
}

func storeFailure(secrets *redact.Secrets, err error) error {
	return newError(secrets, Error{Operation: opAuthorize, Class: ClassTokenStore, Disposition: DispositionReview, Phase: PhaseNotSent}, err)
}

// readUser finds out whose token it is, and notes it in the token. The error is why
// that could not be read.
func (c *Client) readUser(ctx context.Context, tok *Token) error {
	if missing := MissingScopes(tok.Scopes, OpUserAccountGet.Scopes); tok.Scopes != nil && len(missing) > 0 {
		e := Error{Operation: OpUserAccountGet.ID, Class: ClassMissingScope, Disposition: DispositionFix, Phase: PhaseNotSent, RequiredScope: string(missing[0])}
		return newError(c.secrets, e, errors.New("the owner has not given the scope "+e.RequiredScope+", which tells whose account it is"))
	}
	ctx, cancel := context.WithTimeout(ctx, userTime)
	defer cancel()
	account, err := Call[Account](ctx, c, OpUserAccountGet, Request{}, UsingToken(tok.AccessToken), AtPriority(PriorityInteractive))
	if err != nil {
		return err
	}
	tok.User = &PinterestUser{ID: account.ID, Username: account.Username}
	return nil
}

// connect saves the token of a new connection, whatever was stored before. It does
// not wait for the account's lock, which a refresh may hold for minutes: saves are
// versioned, and a refresh that finds another token than its own takes that. unread
// is why the token's user is not known.
func (c *Client) connect(ctx context.Context, tok *Token, unread error) error {
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	for range maxConflicts {
		stored, err := c.store.Load(ctx, c.name)
		if err != nil {
			return storeFailure(c.secrets, loadError{err})
		}
		tok.Version = ""
		var changed *OtherUserError
		if stored != nil {
			tok.Version = stored.Version
			changed = stored.User.changedTo(tok.User)
		}
		switch {
		case c.oauth.AllowUserChange:
		case changed != nil:
			return connectError(c.secrets, changed)
		case tok.User == nil && stored != nil && stored.User != nil:
			return unread
		}
		tok.Version, err = c.store.Save(ctx, c.name, tok)
		switch {
		case err == nil:
			c.tokens.replace(stored, tok)
			c.tokens.reportUser(ctx)
			c.reportToken(ctx, Event{Type: EventConnected, Time: c.clock.Now()})
			return nil
		case !errors.Is(err, ErrTokenConflict):
			return storeFailure(c.secrets, saveError{err})
		}
	}
	return storeFailure(c.secrets, saveError{ErrTokenConflict})
}

// Which logins were answered is kept in the token store, so that no process of the
// application accepts one a second time. Every TokenStore can do that: a record
// changes only if it still has the version that was read. There are a fixed number
// of these records, so that nothing has to clean up, and so many that each has few
// logins in it.

const (
	loginsPrefix = "pinterest:logins:"
	// stateSkew is how long after its end a login is still remembered: the clocks of
	// other processes may be slow.
	stateSkew = 10 * time.Minute
)

// reservedAccount reports whether the record of that name in a [TokenStore] is the
// library's own, not that of an account.
func reservedAccount(name string) bool {
	return strings.HasPrefix(name, loginsPrefix) || name == scheduleRecord || name == refusalsRecord
}

// useState notes that a login is answered. If it was before, it returns an ErrState.
func (s *OAuthService) useState(ctx context.Context, login *loginState) error {
	secrets := s.client(login.Account).secrets
	sum := sha256.Sum256([]byte(login.State))
	name := loginsPrefix + hex.EncodeToString(sum[:1])
	mark := base64.RawURLEncoding.EncodeToString(sum[1:17])
	for range maxConflicts {
		stored, err := s.store.Load(ctx, name)
		if err != nil {
			return storeFailure(secrets, loadError{err})
		}
		next := &Token{}
		if stored != nil {
			next.Version, next.AccessToken = stored.Version, s.liveStates(stored.AccessToken)
		}
		if strings.Contains(next.AccessToken, mark) {
			return connectError(secrets, ErrState)
		}
		next.AccessToken += mark + "." + strconv.FormatInt(login.Until.Add(stateSkew).Unix(), 36) + ","
		_, err = s.store.Save(ctx, name, next)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, ErrTokenConflict):
			return storeFailure(secrets, saveError{err})
		}
	}
	return storeFailure(secrets, saveError{ErrTokenConflict})
}

// liveStates returns those states of a record that are still to be remembered.
func (s *OAuthService) liveStates(record string) string {
	now := s.clock.Now().Unix()
	var live strings.Builder
	for state := range strings.SplitSeq(record, ",") {
		_, until, _ := strings.Cut(state, ".")
		if end, err := strconv.ParseInt(until, 36, 64); err == nil && now < end {
			live.WriteString(state + ",")
		}
	}
	return live.String()
}
