package pinterest

import (
	"context"
	"iter"
	"log/slog"
	"time"
)

// Token is what a [TokenStore] keeps of one account. It is JSON with every
// credential in it; printed or logged it shows none.
type Token struct {
	AccessToken   string    `json:"access_token"`
	RefreshToken  string    `json:"refresh_token,omitzero"`
	Expiry        time.Time `json:"expiry,omitzero"`         // of the access token; zero: not known
	RefreshExpiry time.Time `json:"refresh_expiry,omitzero"` // of the refresh token; zero: not known
	Scopes        []Scope   `json:"scopes,omitzero"`         // what was granted; nil: not known

	// Disconnected is set when Pinterest has refused the account for good: its
	// owner has to connect it again.
	Disconnected *Disconnection `json:"disconnected,omitzero"`

	// Version is the store's: it changes with every Save, is never used twice and
	// is "" in a token that was not loaded from a store.
	Version string `json:"-"`
}

// Disconnection says why and when an account was disconnected.
type Disconnection struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"` // in words, without credentials
}

// String tells no credentials.
func (t Token) String() string {
	switch {
	case t.Disconnected != nil:
		return "pinterest.Token(disconnected)"
	case t.Expiry.IsZero():
		return "pinterest.Token"
	}
	return "pinterest.Token(until " + t.Expiry.UTC().Format(time.RFC3339) + ")"
}

// GoString keeps %#v from printing more than String does.
func (t Token) GoString() string { return t.String() }

// LogValue keeps structured logs from printing more than String does.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// ErrTokenConflict is what [TokenStore.Save] returns when another has saved or
// deleted the token meanwhile.
const ErrTokenConflict = constError("pinterest: the stored token is another one by now")

// TokenStore keeps the tokens of any number of accounts, for all processes
// that call the API for them. [NewMemoryTokenStore] keeps them for the life of a
// process, package filestore on disk, and the module sqlstore in a database.
// Package pinteresttest/storetest holds an implementation against all of this.
//
// An account is named by any string that the application chooses.
type TokenStore interface {
	// Lock waits until the caller alone holds the account's lock, across all
	// processes that use the store, and returns how to give it back, which may be
	// called twice. It leaves with ctx's error when ctx ends. The lock of a process
	// that dies is given back by itself. Lock does not keep others from Load and Save.
	Lock(ctx context.Context, account string) (unlock func(), err error)
	// Load returns the account's token with its Version and its times in UTC, or
	// nil when there is none.
	Load(ctx context.Context, account string) (*Token, error)
	// Save replaces the account's token if the stored one still has the Version of
	// tok ("": there is none), and returns the new Version. Otherwise it changes
	// nothing and returns [ErrTokenConflict]. It leaves tok as it is. When it
	// returns nil the token survives a crash of the process and of the machine.
	Save(ctx context.Context, account string, tok *Token) (version string, err error)
	// Delete removes the account's token. One that is not there is no error.
	Delete(ctx context.Context, account string) error
	// Due yields every account that has a refresh token, is not disconnected, and
	// whose access token or refresh token expires before the given time. An access
	// token whose expiry is not known is not due by it. Each account comes once,
	// even one that is renewed meanwhile. An error ends it.
	Due(ctx context.Context, before time.Time) iter.Seq2[string, error]
}
