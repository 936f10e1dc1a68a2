package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

func nothingSaved(t *testing.T, s pinterest.TokenStore) {
	for _, account := range names() {
		want(t, s, account, nil)
		remove(t, s, account)
	}
	if accounts := due(t, s, time.Now().AddDate(1000, 0, 0)); len(accounts) > 0 {
		t.Errorf("Due of an empty store yields %q", accounts)
	}
}

func everyField(t *testing.T, s pinterest.TokenStore) {
	at := time.Date(2027, time.March, 4, 5, 6, 7, 0, time.UTC)
	elsewhere := time.FixedZone("", -7*60*60)
	for name, tok := range map[string]pinterest.Token{
		"all": {
			AccessToken: "access", RefreshToken: "refresh", Expiry: at, RefreshExpiry: at.Add(time.Hour),
			Scopes: []pinterest.Scope{"pins:write", "boards:read"}, User: &pinterest.PinterestUser{ID: "549755885175", Username: "küche & <co>"},
			Disconnected: &pinterest.Disconnection{At: at.Add(time.Minute), Reason: "for a reason, “so it says”"},
			Quarantined:  &pinterest.Quarantine{Since: at.Add(2 * time.Minute), Reason: "for “another”", RetryAt: at.Add(time.Hour)},
			RefusedSince: at.Add(3 * time.Minute), GrantedAt: at.Add(4 * time.Minute), Refusals: 5,
		},
		"none":                  {},
		"no scope":              {AccessToken: "access", Scopes: []pinterest.Scope{}},
		"scopes are not known":  {AccessToken: "access", Scopes: nil},
		"expiry alone":          {AccessToken: "access", Expiry: at},
		"refresh expiry alone":  {AccessToken: "access", RefreshExpiry: at},
		"disconnected, no more": {Disconnected: &pinterest.Disconnection{}},
		"fractions":             {Expiry: at.Add(999999999), RefreshExpiry: at.Add(1)},
		"quarantined":           {AccessToken: "access", RefreshToken: "refresh", Quarantined: &pinterest.Quarantine{Since: at, Reason: "why", RetryAt: at}},
		"times of other zones": {
			Expiry: at.In(elsewhere), RefreshExpiry: at.In(elsewhere), Disconnected: &pinterest.Disconnection{At: at.In(elsewhere)},
			Quarantined:  &pinterest.Quarantine{Since: at.In(elsewhere), RetryAt: at.In(elsewhere)},
			RefusedSince: at.In(elsewhere), GrantedAt: at.In(elsewhere),
		},
		"the clock's times": {Expiry: time.Now(), RefreshExpiry: time.Now()},
		"early and late":    {Expiry: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), RefreshExpiry: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			tok.Version = save(t, s, name, tok)
			want(t, s, name, &tok)
			want(t, s, name, &tok) // loading does not remove it

			// Fields that the next token does not have must not be left from this one.
			next := pinterest.Token{AccessToken: "the next", Version: tok.Version}
			next.Version = save(t, s, name, next)
			want(t, s, name, &next)
			tok.Version = next.Version
			tok.Version = save(t, s, name, tok)
			want(t, s, name, &tok)
		})
	}
}

func anyCredential(t *testing.T, s pinterest.TokenStore) {
	for i, credential := range []string{"pina_" + strings.Repeat("A", 300), strings.Repeat("long", 4096), `"\'{}&<>%` + "\n\t\u2028", "台所"} {
		tok := pinterest.Token{AccessToken: credential, RefreshToken: credential + "2"}
		account := strconv.Itoa(i)
		tok.Version = save(t, s, account, tok)
		want(t, s, account, &tok)
	}
}

func anyName(t *testing.T, s pinterest.TokenStore) {
	toks := map[string]*pinterest.Token{}
	for i, account := range names() {
		tok := pinterest.Token{AccessToken: strconv.Itoa(i), RefreshToken: "refresh", Expiry: time.Unix(1, 0)}
		tok.Version = save(t, s, account, tok)
		toks[account] = &tok
	}
	for _, account := range names() {
		want(t, s, account, toks[account])
	}
	wantDue(t, s, time.Now(), names()...)
	for i, account := range names() {
		if i%2 == 0 {
			remove(t, s, account)
			toks[account] = nil
		}
	}
	for _, account := range names() {
		want(t, s, account, toks[account])
	}
}

func tokensAreCopies(t *testing.T, s pinterest.TokenStore) {
	fresh := func() pinterest.Token {
		return pinterest.Token{
			AccessToken: "access", Scopes: []pinterest.Scope{"pins:write"}, User: &pinterest.PinterestUser{ID: "1"},
			Disconnected: &pinterest.Disconnection{Reason: "why"}, Quarantined: &pinterest.Quarantine{Reason: "why"},
		}
	}
	spoil := func(tok *pinterest.Token) {
		tok.AccessToken, tok.Scopes[0], tok.User.ID, tok.Disconnected.Reason = "spoiled", "spoiled", "spoiled", "spoiled"
		tok.Quarantined.Reason = "spoiled"
	}
	saved, wanted := fresh(), fresh()
	version, err := s.Save(t.Context(), "account", &saved)
	if err != nil {
		t.Fatalf("Save: %v", err)
	}
	if difference := compare(&saved, &wanted); difference != "" {
		t.Errorf("Save changes the token that it is given: %s", difference)
	}
	spoil(&saved)
	wanted.Version = version
	want(t, s, "account", &wanted)

	loaded := load(t, s, "account")
	if loaded == nil {
		t.Fatal("there is no token")
	}
	spoil(loaded)
	want(t, s, "account", &wanted)
}

func saveNeedsVersion(t *testing.T, s pinterest.TokenStore) {
	conflict(t, s, pinterest.Token{Version: "there is none"})
	want(t, s, "account", nil)

	first := save(t, s, "account", pinterest.Token{AccessToken: "first"})
	conflict(t, s, pinterest.Token{AccessToken: "as if there were none"})
	conflict(t, s, pinterest.Token{Version: "another", AccessToken: "with another version"})
	conflict(t, s, pinterest.Token{Version: first + " ", AccessToken: "with nearly the version"})
	want(t, s, "account", &pinterest.Token{AccessToken: "first", Version: first})

	second := save(t, s, "account", pinterest.Token{AccessToken: "second", Version: first})
	conflict(t, s, pinterest.Token{AccessToken: "with the old version", Version: first})
	want(t, s, "account", &pinterest.Token{AccessToken: "second", Version: second})

	other := save(t, s, "other", pinterest.Token{})
	conflict(t, s, pinterest.Token{AccessToken: "with another account's version", Version: other})
}

func saveAfterDelete(t *testing.T, s pinterest.TokenStore) {
	version := save(t, s, "account", pinterest.Token{AccessToken: "first"})
	remove(t, s, "account")
	conflict(t, s, pinterest.Token{AccessToken: "deleted meanwhile", Version: version})
	version = save(t, s, "account", pinterest.Token{AccessToken: "anew"})
	want(t, s, "account", &pinterest.Token{AccessToken: "anew", Version: version})
}

// A token from before Delete must not replace one from after it, even if the two are
// equal.
func staleStaysStale(t *testing.T, s pinterest.TokenStore) {
	version := save(t, s, "account", pinterest.Token{AccessToken: "the same"})
	for range 3 {
		remove(t, s, "account")
		save(t, s, "account", pinterest.Token{AccessToken: "the same"})
		conflict(t, s, pinterest.Token{AccessToken: "stale", Version: version})
	}
}

func versionsAreUnique(t *testing.T, s pinterest.TokenStore) {
	seen := map[string]bool{}
	version := ""
	for i := range 60 {
		if i%6 == 5 {
			remove(t, s, "account")
			version = ""
		}
		version = save(t, s, "account", pinterest.Token{AccessToken: "the same", Version: version})
		if seen[version] {
			t.Fatalf("version %s is used twice", version)
		}
		seen[version] = true
		want(t, s, "account", &pinterest.Token{AccessToken: "the same", Version: version})
	}
}

func oneSaverWins(t *testing.T, s pinterest.TokenStore) {
	version := save(t, s, "account", pinterest.Token{AccessToken: "first"})
	for range 4 {
		version = race(t, s, version)
	}
}

func oneFirstSaverWins(t *testing.T, s pinterest.TokenStore) {
	for range 4 {
		race(t, s, "")
		remove(t, s, "account")
	}
}

// race saves with one version from many goroutines at once, and returns the token
// that was saved.
func race(t *testing.T, s pinterest.TokenStore, version string) (next string) {
	t.Helper()
	const savers = 32
	var won, lost atomic.Int32
	var winner pinterest.Token
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range savers {
		tok := pinterest.Token{AccessToken: fmt.Sprint("of saver ", i), Version: version}
		wg.Go(func() {
			<-start
			version, err := s.Save(t.Context(), "account", &tok)
			switch {
			case err == nil:
				if won.Add(1) == 1 {
					tok.Version = version
					winner = tok
				}
			case errors.Is(err, pinterest.ErrTokenConflict):
				lost.Add(1)
			default:
				t.Errorf("Save: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if won.Load() != 1 || lost.Load() != savers-1 {
		t.Errorf("%d savers of one version: %d won, %d lost, want 1 and %d", savers, won.Load(), lost.Load(), savers-1)
	}
	want(t, s, "account", &winner)
	return winner.Version
}

func deleteToken(t *testing.T, s pinterest.TokenStore) {
	other := pinterest.Token{AccessToken: "another's"}
	other.Version = save(t, s, "other", other)
	for range 2 {
		save(t, s, "account", pinterest.Token{AccessToken: "access"})
		remove(t, s, "account")
		want(t, s, "account", nil)
		remove(t, s, "account")
		want(t, s, "account", nil)
	}
	want(t, s, "other", &other)
}

func savesAndLoads(t *testing.T, s pinterest.TokenStore) {
	const goroutines, rounds = 8, 6
	// The two credentials of a token belong together.
	one := func(g, i int) pinterest.Token {
		text := fmt.Sprint(g, " ", i)
		return pinterest.Token{AccessToken: "access " + text, RefreshToken: "refresh " + text, Scopes: slices.Repeat([]pinterest.Scope{pinterest.Scope(text)}, 50)}
	}
	save(t, s, "shared", one(0, 0))
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			own, version := fmt.Sprint("own ", g), ""
			for i := range rounds {
				tok := one(g, i)
				tok.Version = version
				version = save(t, s, own, tok)
				tok.Version = version
				want(t, s, own, &tok)

				shared := load(t, s, "shared")
				if shared == nil || strings.TrimPrefix(shared.AccessToken, "access ") != strings.TrimPrefix(shared.RefreshToken, "refresh ") {
					t.Error("the shared token is of more than one save")
					return
				}
				tok = one(g, i)
				tok.Version = shared.Version
				if _, err := s.Save(t.Context(), "shared", &tok); err != nil && !errors.Is(err, pinterest.ErrTokenConflict) {
					t.Errorf("Save: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
