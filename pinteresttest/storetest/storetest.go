// Package storetest tests implementations of pinterest.TokenStore against everything
// that the interface's comment says.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) pinterest.TokenStore { return newStore(t) })
//	}
//
// Run it with the race detector. The implementation's own tests must cover what one
// process cannot show: that tokens survive a crash, and that locks exclude other
// processes and are released when their holder dies.
package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

const (
	// patience is how long a call may take if it has nothing to wait for. It is
	// long, so that a slow machine is not mistaken for a deadlock.
	patience = 10 * time.Second
	// brief is how long a call waits for a lock that it must not get.
	brief = 50 * time.Millisecond
)

// Run runs the suite. open returns an empty store, and closes it with the test.
func Run(t *testing.T, open func(t *testing.T) pinterest.TokenStore) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s pinterest.TokenStore)
	}{
		{"nothing saved", nothingSaved},
		{"every field comes back", everyField},
		{"credentials of any length", anyCredential},
		{"accounts of any name", anyName},
		{"tokens are copies", tokensAreCopies},

		{"save needs the stored version", saveNeedsVersion},
		{"save after delete", saveAfterDelete},
		{"a stale token stays stale", staleStaysStale},
		{"versions are not used twice", versionsAreUnique},
		{"one of many savers wins", oneSaverWins},
		{"one of many first savers wins", oneFirstSaverWins},
		{"delete", deleteToken},
		{"concurrent saves and loads", savesAndLoads},

		{"version follows the token", versionFollows},
		{"version of any name", versionOfAnyName},
		{"accounts of any kind", accountsOfAnyKind},
		{"accounts while they are changed", accountsWhileChanged},

		{"what is due", whatIsDue},
		{"due follows the last save", dueFollows},
		{"due of many accounts", dueOfMany},
		{"due is left early", dueIsLeft},
		{"due while its accounts are refreshed", dueWhileRefreshed},
		{"due while others save", dueWhileOthersSave},

		{"locks exclude", locksExclude},
		{"locks of any name", locksOfAnyName},
		{"different accounts do not wait", differentAccounts},
		{"unlock lets the next in", nextIsLetIn},
		{"unlock twice", unlockTwice},
		{"a waiter leaves with its context", waiterLeaves},
		{"load and save need no lock", noLockNeeded},
		{"nothing is lost under the lock", nothingIsLost},
		{"a context that has ended", contextEnded},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// names are names as applications may choose them: ids, e-mail addresses,
// paths, texts in any language. No two are the same.
func names() []string {
	return []string{
		"", "8841", "user-8841", "USER-8841", " user-8841", "user-8841 ", "user/8841", "user\\8841", "/user-8841", "../user-8841", "../../user-8841",
		".", "..", "con", "*", "?", "%", "%41", "A", "a", "a.", "#", "'; DROP TABLE tokens; --", "alice@shop.example", `"quoted"`, "`",
		"line\nbreak", "tab\tstop", "zero\x00byte", "zero\x00", "zero", "\x00", "\xff\xfe", "\xff", "\ufffd",
		"küche", "ku\u0308che", "台所", "\U0001f36a", "\u202eright to left",
		strings.Repeat("long", 50), strings.Repeat("long", 50) + "er", strings.Repeat("台", 200), strings.Repeat("very long ", 2000),
		"https://shop.example/oak?user=8841&x=%20#top",
	}
}

// attempt is Lock for stores that may ignore the context: that must not block the
// suite.
func attempt(ctx context.Context, s pinterest.TokenStore, account string) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	ended := make(chan result, 1)
	go func() {
		unlock, err := s.Lock(ctx, account)
		ended <- result{unlock, err}
	}()
	select {
	case r := <-ended:
		return r.unlock, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-ended:
		return r.unlock, r.err
	case <-time.After(patience):
	}
	go func() { // a lock that is acquired later is released
		if r := <-ended; r.err == nil {
			r.unlock()
		}
	}()
	return nil, errStays
}

var errStays = errors.New("it stays although its context has ended")

// lock acquires a lock that is free, or soon will be.
func lock(t *testing.T, s pinterest.TokenStore, account string) (unlock func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	unlock, err := attempt(ctx, s, account)
	if err != nil {
		t.Errorf("Lock(%.40q): %v", account, err)
		return func() {}
	}
	return unlock
}

// held checks that the lock cannot be acquired.
func held(t *testing.T, s pinterest.TokenStore, account string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	unlock, err := attempt(ctx, s, account)
	switch {
	case err == nil:
		t.Errorf("Lock(%.40q) was let in although another holds it", account)
		unlock()
	case !errors.Is(err, context.DeadlineExceeded):
		t.Errorf("Lock(%.40q): %v, want context.DeadlineExceeded", account, err)
	}
}

// save saves a token and expects no error.
func save(t *testing.T, s pinterest.TokenStore, account string, tok pinterest.Token) (version string) {
	t.Helper()
	version, err := s.Save(t.Context(), account, &tok)
	switch {
	case err != nil:
		t.Errorf("Save(%.40q): %v", account, err)
	case version == "":
		t.Errorf("Save(%.40q) returns no version", account)
	}
	return version
}

// conflict checks that saving a token of "account" is a conflict and changes
// nothing.
func conflict(t *testing.T, s pinterest.TokenStore, tok pinterest.Token) {
	t.Helper()
	before := load(t, s, "account")
	if version, err := s.Save(t.Context(), "account", &tok); !errors.Is(err, pinterest.ErrTokenConflict) || version != "" {
		t.Errorf("Save with version %q: %q, %v, want ErrTokenConflict", tok.Version, version, err)
	}
	want(t, s, "account", before)
}

func remove(t *testing.T, s pinterest.TokenStore, account string) {
	t.Helper()
	if err := s.Delete(t.Context(), account); err != nil {
		t.Errorf("Delete(%.40q): %v", account, err)
	}
}

// load returns an account's token, nil when there is none.
func load(t *testing.T, s pinterest.TokenStore, account string) *pinterest.Token {
	t.Helper()
	tok, err := s.Load(t.Context(), account)
	if err != nil {
		t.Errorf("Load(%.40q): %v", account, err)
		return nil
	}
	return tok
}

// want checks the stored token of an account, nil for none.
func want(t *testing.T, s pinterest.TokenStore, account string, tok *pinterest.Token) {
	t.Helper()
	if difference := compare(load(t, s, account), tok); difference != "" {
		t.Errorf("Load(%.40q): %s", account, difference)
	}
}

// compare describes how a token differs from the one that is wanted, without
// credentials. It returns "" for equal tokens.
func compare(got, want *pinterest.Token) string {
	if got == nil || want == nil {
		switch {
		case got != nil:
			return "there is a token, want nil"
		case want != nil:
			return "it is nil, want a token"
		}
		return ""
	}
	switch {
	case got.AccessToken != want.AccessToken:
		return "AccessToken is another"
	case got.RefreshToken != want.RefreshToken:
		return "RefreshToken is another"
	case got.Version != want.Version:
		return "Version is " + got.Version + ", want " + want.Version
	case (got.Scopes == nil) != (want.Scopes == nil):
		return "Scopes is nil or empty, want the other: nil is not known, empty is none"
	case !slices.Equal(got.Scopes, want.Scopes):
		return "Scopes are others"
	case (got.User == nil) != (want.User == nil):
		return "User is nil, or should be"
	case got.User != nil && *got.User != *want.User:
		return "User is another"
	case (got.Disconnected == nil) != (want.Disconnected == nil):
		return "Disconnected is nil, or should be"
	case got.Disconnected != nil && got.Disconnected.Reason != want.Disconnected.Reason:
		return "Disconnected.Reason is another"
	case (got.Quarantined == nil) != (want.Quarantined == nil):
		return "Quarantined is nil, or should be"
	case got.Quarantined != nil && got.Quarantined.Reason != want.Quarantined.Reason:
		return "Quarantined.Reason is another"
	case got.Refusals != want.Refusals:
		return "Refusals is another"
	}
	for _, times := range []struct {
		field     string
		got, want time.Time
	}{
		{"Expiry", got.Expiry, want.Expiry}, {"RefreshExpiry", got.RefreshExpiry, want.RefreshExpiry},
		{"RefusedSince", got.RefusedSince, want.RefusedSince}, {"GrantedAt", got.GrantedAt, want.GrantedAt},
	} {
		if difference := compareTime(times.field, times.got, times.want); difference != "" {
			return difference
		}
	}
	if q := want.Quarantined; q != nil {
		if difference := compareTime("Quarantined.Since", got.Quarantined.Since, q.Since); difference != "" {
			return difference
		}
		if difference := compareTime("Quarantined.RetryAt", got.Quarantined.RetryAt, q.RetryAt); difference != "" {
			return difference
		}
	}
	if got.Disconnected == nil {
		return ""
	}
	return compareTime("Disconnected.At", got.Disconnected.At, want.Disconnected.At)
}

// compareTime allows a store to drop fractions of seconds.
func compareTime(field string, got, want time.Time) string {
	switch difference := got.Sub(want); {
	case got.IsZero() != want.IsZero(), difference <= -time.Second, difference >= time.Second:
		return field + " is " + got.String() + ", want " + want.String()
	case got.Location() != time.UTC:
		return field + " is " + got.String() + ", want it in UTC"
	}
	return ""
}
