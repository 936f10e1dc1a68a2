package pinterest

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// Token is what a [TokenStore] keeps of one account. Printed, logged or encoded, as
// JSON for instance, it shows no credentials: a store uses [Token.MarshalRecord]. Where
// your own struct has one in a field that is not exported, hold a pointer: fmt prints
// such a field without asking its methods.
type Token struct {
	AccessToken   string    `json:"access_token"`
	RefreshToken  string    `json:"refresh_token,omitzero"`
	Expiry        time.Time `json:"expiry,omitzero"`         // of the access token; zero: not known
	RefreshExpiry time.Time `json:"refresh_expiry,omitzero"` // of the refresh token; zero: not known
	Scopes        []Scope   `json:"scopes,omitzero"`         // what was granted; nil: not known

	// User is who the account is at Pinterest, read when it was connected; nil: not
	// known.
	User *PinterestUser `json:"user,omitzero"`

	// Disconnected is set when Pinterest has refused the account's refresh token and the
	// access token has ended: its owner has to connect it again.
	Disconnected *Disconnection `json:"disconnected,omitzero"`

	// Quarantined is set when Pinterest has refused the refresh token while the access
	// token is good: the answer to an earlier refresh may have been lost. The access
	// token is used until it ends. The account is disconnected if it has ended and the
	// refresh token is refused again. A refresh that succeeds removes the mark.
	Quarantined *Quarantine `json:"quarantined,omitzero"`

	// RefusedSince is when the refresh token was refused first, if it has been since.
	RefusedSince time.Time `json:"refused_since,omitzero"`

	// GrantedAt is when the token was granted; zero: not known. A token that is refused
	// although it was just granted is not refreshed at once.
	GrantedAt time.Time `json:"granted_at,omitzero"`

	// Refusals is how many tokens in a row the API has refused soon after they were
	// granted, before this one. It makes the time longer in which this one is not
	// refreshed either.
	Refusals int `json:"refusals,omitzero"`

	// Version belongs to the store. It changes with every Save and is never used
	// twice; it is "" in a token that was not loaded from a store.
	Version string `json:"-"`
}

// PinterestUser is a user of Pinterest.
type PinterestUser struct {
	ID       string `json:"id"`       // does not change
	Username string `json:"username"` // can be changed by the user
}

// String returns the name and the id, as far as they are known.
func (u PinterestUser) String() string {
	switch {
	case u.ID == "":
		return u.Username
	case u.Username == "":
		return u.ID
	}
	return u.Username + " (" + u.ID + ")"
}

// changedTo returns both users if they are known and not the same one.
func (u *PinterestUser) changedTo(now *PinterestUser) *OtherUserError {
	switch {
	case u == nil || now == nil:
		return nil
	case u.ID != "" && u.ID == now.ID, (u.ID == "" || now.ID == "") && u.Username == now.Username:
		return nil
	}
	return &OtherUserError{Connected: *u, Now: *now}
}

// Disconnection says when and why an account was disconnected.
type Disconnection struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"` // in words, without credentials
}

// Quarantine says since when and why the refresh token of an account is refused.
type Quarantine struct {
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason"`            // in words, without credentials
	RetryAt time.Time `json:"retry_at,omitzero"` // no process refreshes the token before, unless the access token has ended
}

// String returns the token's state and expiry, and no credentials.
func (t Token) String() string {
	switch {
	case t.Disconnected != nil:
		return "pinterest.Token(disconnected)"
	case t.Quarantined != nil:
		return "pinterest.Token(quarantined)"
	case t.Expiry.IsZero():
		return "pinterest.Token"
	}
	return "pinterest.Token(until " + t.Expiry.UTC().Format(time.RFC3339) + ")"
}

// Format keeps every verb of fmt from printing more than String does.
func (t Token) Format(f fmt.State, verb rune) { formatAs(f, verb, t.String()) }

// LogValue keeps structured logs from printing more than String does.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText keeps encoders (JSON, XML, YAML, ...) from writing more than String does.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// OAuth2 returns the token as one of golang.org/x/oauth2, with the scopes as its
// extra "scope", joined by commas. Printed or logged, that one shows its credentials.
func (t *Token) OAuth2() *oauth2.Token {
	tok := &oauth2.Token{AccessToken: t.AccessToken, TokenType: "bearer", RefreshToken: t.RefreshToken, Expiry: t.Expiry}
	return tok.WithExtra(map[string]any{"scope": joinScopes(t.Scopes)})
}

// expired reports whether the access token is known to have expired.
func (t *Token) expired(now time.Time) bool { return !t.Expiry.IsZero() && !now.Before(t.Expiry) }

// waits reports whether the account is quarantined and its token not to be refreshed
// yet.
func (t *Token) waits(now time.Time) bool {
	return t.Quarantined != nil && now.Before(t.Quarantined.RetryAt)
}

// expiresBefore reports whether the access or the refresh token expires before
// that time, or the access token is missing.
func (t *Token) expiresBefore(before time.Time) bool {
	return t.AccessToken == "" || !t.Expiry.IsZero() && t.Expiry.Before(before) ||
		!t.RefreshExpiry.IsZero() && t.RefreshExpiry.Before(before)
}

// completedFrom returns a refreshed token with what its answer left out taken
// from the one before it.
func (t *Token) completedFrom(old *Token) *Token {
	tok := *t
	if tok.RefreshToken == "" {
		tok.RefreshToken, tok.RefreshExpiry = old.RefreshToken, old.RefreshExpiry
	}
	if tok.Scopes == nil {
		tok.Scopes = slices.Clone(old.Scopes)
	}
	if tok.User == nil {
		tok.User = old.User
	}
	return &tok
}

// ErrTokenConflict is returned by [TokenStore.Save] when the token was saved or
// deleted by another since it was loaded.
const ErrTokenConflict = constError("pinterest: the stored token was changed by another")

// ErrTokenUnreadable is in the error of [TokenStore.Load] for a record that is there and
// cannot be read, now or later: it is damaged, or encrypted with another key.
const ErrTokenUnreadable = constError("pinterest: the stored token cannot be read")

// TokenStore keeps the tokens of any number of accounts, for all processes that
// call the API for them. [NewMemoryTokenStore] keeps them in memory, package
// filestore on disk, and module sqlstore in a database. The tests of package
// pinteresttest/storetest check an implementation against all that is said here.
//
// An account is named by any string of valid UTF-8 that the application chooses.
// The library has three kinds of records of its own. Names that begin with
// "pinterest:logins:" are of at most 256 records that say which logins were answered
// lately, so that no process accepts one again. "pinterest:refresh-due" says when
// [App.RefreshEvery] runs next, and "pinterest:refusals" which refreshes were refused
// since one succeeded. They have no refresh token, and Due does not yield them. There
// is no account of such a name in the application's own tables: a foreign key to these
// would keep owners from logging in. One of these records that is an
// [ErrTokenUnreadable] is deleted and begun again, since it is worth nothing after a
// while. Another error of Load ends the login.
//
// A panic in a method is an [ErrTokenStore] for all calls that wait for it. A store keeps a
// token as the bytes of [Token.MarshalRecord]; the plain JSON of a token has no
// credentials.
type TokenStore interface {
	// Lock waits for the account's lock, which excludes all other processes that use
	// the store, and returns a function that releases it and may be called twice. It
	// returns ctx's error when ctx ends first. The lock of a process that dies is
	// released without its help. Lock does not keep others from Load and Save.
	Lock(ctx context.Context, account string) (unlock func(), err error)
	// Load returns the account's token with its Version and with times in UTC, or
	// nil when there is none. For a record that can never be read the error should be an
	// [ErrTokenUnreadable].
	Load(ctx context.Context, account string) (*Token, error)
	// Version returns the Version of the account's token, or "" when there is none. It
	// is asked for again and again for every account in use, so it should cost less
	// than Load; it need not notice a record that Load cannot read.
	Version(ctx context.Context, account string) (string, error)
	// Save replaces the account's token if the stored one still has the Version of
	// tok ("": there is none), and returns the new Version. Otherwise it changes
	// nothing and returns [ErrTokenConflict]. It does not change tok. When it returns
	// nil the token survives a crash of the process and of the machine.
	Save(ctx context.Context, account string, tok *Token) (version string, err error)
	// Delete removes the account's token. It is no error when there is none.
	Delete(ctx context.Context, account string) error
	// Due yields every account that has a refresh token, is not disconnected, and
	// whose access token or refresh token expires before the given time. An expiry
	// that is not known does not make an account due. Each account is yielded once,
	// even one that is refreshed meanwhile. An error ends the sequence.
	Due(ctx context.Context, before time.Time) iter.Seq2[string, error]
	// Accounts yields every account that has a token, whatever its state. Each account
	// that has one all the time is yielded once. An error ends the sequence.
	Accounts(ctx context.Context) iter.Seq2[string, error]
}
