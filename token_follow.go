package pinterest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// This file keeps the token that a process has in memory up with the one in the
// store, which other processes replace, mark and delete.

const (
	// defaultFollow is how long a token is used before the store is looked at again.
	defaultFollow = 30 * time.Second
	// lookTimeout is how long calls wait for a look at the store. They have a good
	// token at hand, so a store that is slow must not stop them.
	lookTimeout = 5 * time.Second
	// lookAgain is the part of the interval after which a look that failed is repeated.
	lookAgain = 6
)

// ErrOtherUser says that an account belongs to another Pinterest user. errors.As finds
// the [OtherUserError] with both.
//
// If it is the error of a login, the account stays connected to its user. If it is
// that of a call, nothing was sent: the [Client] was made, or the call is ([ForUser]),
// for the user that the account was connected to earlier. What is still to be done for
// that one, such as the pins of a queue, should be reviewed; a new [App.Client] calls
// for the new user.
const ErrOtherUser = constError("pinterest: the account is connected to another Pinterest user")

// OtherUserError names the Pinterest user that an account was connected to, and the
// one that has given access now. It is an [ErrOtherUser], and the Err of an
// [EventUserChanged].
type OtherUserError struct{ Connected, Now PinterestUser }

// Error returns both users.
func (e *OtherUserError) Error() string {
	return "pinterest: the account is connected to the Pinterest user " + e.Connected.String() + ", and access was given by " + e.Now.String()
}

// Is makes an OtherUserError answer to ErrOtherUser.
func (e *OtherUserError) Is(target error) bool { return target == ErrOtherUser }

// look is one look at the store, for which any number of calls wait.
type look struct {
	done   chan struct{}
	giveUp context.Context // ends when nobody waits for it any longer
	cancel context.CancelFunc
	err    error // a panic in an observer; a store that fails or panics stops no call
}

// wait returns when the look is done or given up, or when the caller's own context
// ends.
func (l *look) wait(ctx context.Context) error {
	select {
	case <-l.done:
		return l.err
	case <-l.giveUp.Done():
	case <-ctx.Done():
	}
	return nil
}

// follow begins a look at the store if it is time to, and returns the one that is
// under way, or nil. It is called with the lock held.
func (t *tokens) follow(ctx context.Context, now time.Time) *look {
	source, ok := t.source.(*storedToken)
	switch {
	case !ok || t.every == 0, t.current.token.AccessToken == "": // without a token the store is read anyway
		return nil
	case t.looking == nil && now.Before(t.lookAt):
		return nil
	case t.looking == nil:
		l := &look{done: make(chan struct{})}
		l.giveUp, l.cancel = context.WithTimeout(context.WithoutCancel(ctx), lookTimeout) //nolint:gosec // look calls it
		t.looking = l
		go t.look(l, source, t.current.token)
	}
	if t.lookFailed && now.Before(t.lookWait) { // the store may hang
		return nil
	}
	return t.looking
}

// look looks at the store, and ends the look whatever happens: calls wait for it.
func (t *tokens) look(l *look, source *storedToken, old *Token) {
	defer l.cancel()
	var (
		found *Token
		err   error = panicError{"the goroutine of the look at the store was ended (runtime.Goexit)"}
	)
	defer func() { t.looked(l, source, old, found, err) }()
	found, err = source.look(l.giveUp, old)
}

// looked takes over what the store has in place of old.
func (t *tokens) looked(l *look, source *storedToken, old, found *Token, err error) {
	ctx := context.WithoutCancel(l.giveUp) // of the events
	t.mu.Lock()
	t.looking = nil
	next := t.every
	now := t.clock.Now()
	if err != nil {
		if !now.Before(t.lookWait) {
			t.lookWait = now.Add(t.every)
		}
		next /= lookAgain
	}
	t.lookAt = now.Add(next)
	failed := err != nil && !t.lookFailed
	t.lookFailed = err != nil
	switch {
	case err != nil || found == old || t.current.token != old: // it was replaced while we looked
	case t.pending != nil && found.AccessToken != "": // which may get a newer one
	default:
		t.change(found, false)
		t.replacements++
		t.failure = nil
	}
	t.mu.Unlock()
	if failed {
		l.err = guarded("an observer", func() {
			source.client.reportToken(ctx, Event{Type: EventStoreFailed, Time: t.clock.Now(), Err: loadError{err}})
		})
	}
	if err := t.guardedReport(ctx); err != nil {
		l.err = err
	}
	close(l.done)
}

// look returns the stored token if it has another version than old, and old
// otherwise. For an account that has no token any more, or is disconnected, it
// returns an empty token: the refresh that follows says why.
func (s *storedToken) look(ctx context.Context, old *Token) (found *Token, err error) {
	version, err := s.store.Version(ctx, s.client.name)
	if err != nil || version == old.Version {
		return old, err
	}
	stored, err := s.store.Load(ctx, s.client.name)
	switch {
	case err != nil:
		return old, err
	case stored == nil, stored.Disconnected != nil, !stored.wellFormed():
		return &Token{}, nil
	}
	return stored, nil
}

// noteUser remembers the user of the account, and whether it was another before. A
// token whose user is not known says nothing. It is called with the lock held.
func (t *tokens) noteUser(u *PinterestUser) {
	if u != nil {
		t.changed = cmp.Or(t.user.Swap(u).changedTo(u), t.changed)
	}
}

// reportUser tells the observers if the account belongs to another user since the last
// time. It is called without the lock, because observers may make calls.
func (t *tokens) reportUser(ctx context.Context) {
	t.mu.Lock()
	changed := t.changed
	t.changed = nil
	t.mu.Unlock()
	if changed != nil { // no other source knows users
		c := t.source.(*storedToken).client
		c.reportToken(ctx, Event{Type: EventUserChanged, Time: c.clock.Now(), Err: changed})
	}
}

// guardedReport is reportUser in a goroutine of this package's, where no caller could
// recover from a panic in an observer.
func (t *tokens) guardedReport(ctx context.Context) error {
	return guarded("an observer", func() { t.reportUser(ctx) })
}

// checkUser fails an attempt whose token belongs to another user than those before.
// A client calls for one user: the one whose token was in use when the client was
// made, or else the first that it meets.
func (at *attempt) checkUser() {
	user, bound := at.credential.token.User, &at.run.c.user
	if want := at.run.cl.opts.user; !at.failed && want != nil && (user == nil || user.ID != *want) {
		now := PinterestUser{Username: "somebody who is not known"}
		if user != nil {
			now = *user
		}
		at.fail(PhaseNotSent, ReasonToken, fmt.Errorf("the call is for another user: %w", &OtherUserError{Connected: PinterestUser{ID: *want}, Now: now}))
	}
	if at.failed || user == nil || bound.CompareAndSwap(nil, user) {
		return
	}
	if changed := bound.Load().changedTo(user); changed != nil {
		at.fail(PhaseNotSent, ReasonToken, fmt.Errorf("the client was made for another user, take a new one: %w", changed))
	}
}

var errFollow = errors.New("pinterest: WithFollowEvery: must be positive")

// WithFollowEvery sets how long a token from a [TokenStore] is used before the store
// is looked at again, which costs one [TokenStore].Version. Within this time, and
// five seconds for a slow store, every process notices that an account was
// disconnected, connected again or refreshed elsewhere. The look comes before the
// next call of the account: accounts that are not in use cost nothing. If the store
// fails, calls go on with the token at hand, as long as it is good. Default 30
// seconds.
func WithFollowEvery(d time.Duration) Option {
	return func(c *config) { c.follow, c.hasFollow = d, true }
}
