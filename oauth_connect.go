package pinterest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/redact"
	"github.com/pinterest-go/pinterest/internal/reserved"
)

// This file has what a callback reads and saves.

// opAuthorize names in errors what is no operation of the API: an owner giving
// access, and the token of that being saved.
const opAuthorize = "oauth/authorize"

// connectError is the failure of a connection that the owner has to begin again.
func connectError(secrets *redact.Secrets, err error) error {
	return newError(secrets, Error{Operation: opAuthorize, Class: ClassUnauthenticated, Disposition: DispositionReauthorize, Phase: PhaseNotSent}, err)
}

// canceledLogin is the failure of a callback whose browser is gone.
func canceledLogin(ctx context.Context) error {
	return newError(nil, Error{Operation: opAuthorize, Class: ClassCanceled, Disposition: DispositionReauthorize, Phase: PhaseNotSent}, ctx.Err())
}

func storeFailure(secrets *redact.Secrets, err error) error {
	return newError(secrets, Error{Operation: opAuthorize, Class: ClassTokenStore, Disposition: DispositionReview, Phase: PhaseNotSent}, err)
}

// readUser finds out whose token it is, and notes it in the token. The error is why
// that could not be read. A person is waiting, and may not come again: the read does
// not wait for its turn, and what may pass is tried again.
func (c *Client) readUser(ctx context.Context, tok *Token) error {
	if missing := MissingScopes(tok.Scopes, OpUserAccountGet.Scopes); tok.Scopes != nil && len(missing) > 0 {
		e := Error{Operation: OpUserAccountGet.ID, Class: ClassMissingScope, Disposition: DispositionFix, Phase: PhaseNotSent, RequiredScope: string(missing[0])}
		return newError(c.secrets, e, errors.New("the owner has not given the scope "+e.RequiredScope+", which tells whose account it is"))
	}
	return c.persist(ctx, userTime, func(ctx context.Context) (again bool, err error) {
		account, err := Call[Account](ctx, c, OpUserAccountGet, Request{}, UsingToken(tok.AccessToken), Retry(RetryPolicy{MaxAttempts: 1}), func(o *callOptions) { o.unpaced = true })
		if err == nil {
			tok.User = &PinterestUser{ID: account.ID, Username: account.Username}
			return false, nil
		}
		e, ok := errors.AsType[*Error](err)
		return ok && e.Disposition == DispositionPark, err
	})
}

// connect saves the token of a new connection, whatever was stored before. It does
// not wait for the account's lock, which a refresh may hold for minutes: saves are
// versioned, and a refresh that finds another token than its own takes that. unread
// is why the token's user is not known. The jobs of an account whose user is known must
// not go on as somebody else, so a token of nobody knows whom is not saved for it.
func (c *Client) connect(ctx context.Context, tok *Token, unread error) error {
	var refused error
	stored, err := c.update(ctx, c.name, func(stored *Token) *Token {
		if stored == nil || c.oauth.AllowUserChange {
			return tok
		}
		switch changed := stored.User.changedTo(tok.User); {
		case changed != nil:
			refused = connectError(c.secrets, changed)
		case tok.User == nil && stored.User != nil:
			refused = c.unreadError(unread)
		default:
			return tok
		}
		return nil
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return storeFailure(c.secrets, fmt.Errorf("the new token is lost, so the owner has to connect the account again: %w", err))
	}
	c.tokens.replace(stored, tok)
	c.tokens.reportUser(ctx)
	c.reportToken(ctx, Event{Type: EventConnected, Time: c.clock.Now()})
	return nil
}

// unreadError is the failure of a connection of which nobody knows whose it is.
func (c *Client) unreadError(unread error) error {
	e := Error{Class: ClassUnknown, Disposition: DispositionPark}
	if failed, ok := errors.AsType[*Error](unread); ok {
		e = *failed
	}
	e.Operation, e.Message, e.causes = opAuthorize, "", nil
	return newError(c.secrets, e, fmt.Errorf("whose account it is could not be read, so the owner has to connect it again: %w", unread))
}

// Which logins were answered is kept in the token store, so that no process of the
// application accepts one a second time. Every TokenStore can do that: a record
// changes only if it still has the version that was read. There are 256 of these
// records, so that nothing has to clean up. Each callback reads and writes one, which has
// one 256th of the logins of the last 20 minutes.

// stateSkew is how long after its end a login is still remembered: the clocks of other
// processes may be slow.
const stateSkew = 10 * time.Minute

// useState notes that a login is answered. If it was before, it returns an ErrState.
func (s *OAuthService) useState(ctx context.Context, login *loginState) error {
	sum := sha256.Sum256([]byte(login.State))
	mark := base64.RawURLEncoding.EncodeToString(sum[1:17])
	// A save may be done although the store says that it has failed. This one is known
	// by its last part.
	own := mark + "." + strconv.FormatInt(login.Until.Add(stateSkew).Unix(), 36) + "." + rand.Text()[:8] + ","
	var refused error
	_, err := s.update(ctx, reserved.Logins+hex.EncodeToString(sum[:1]), func(stored *Token) *Token {
		next := &Token{}
		if stored != nil {
			next.AccessToken = s.liveStates(stored.AccessToken)
		}
		switch {
		case strings.Contains(next.AccessToken, own):
			return nil
		case strings.Contains(next.AccessToken, mark):
			refused = connectError(nil, ErrState)
			return nil
		}
		next.AccessToken += own
		return next
	})
	switch {
	case refused != nil:
		return refused
	case err != nil && ctx.Err() != nil:
		return canceledLogin(ctx)
	case err != nil:
		return storeFailure(s.client(login.Account).secrets, err)
	}
	return nil
}

// liveStates returns those states of a record that are still to be remembered.
func (s *OAuthService) liveStates(record string) string {
	now := s.clock.Now().Unix()
	var live strings.Builder
	for state := range strings.SplitSeq(record, ",") {
		_, until, _ := strings.Cut(state, ".")
		until, _, _ = strings.Cut(until, ".")
		if end, err := strconv.ParseInt(until, 36, 64); err == nil && now < end {
			live.WriteString(state + ",")
		}
	}
	return live.String()
}
