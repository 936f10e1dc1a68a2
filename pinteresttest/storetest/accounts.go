package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// wantVersion checks the version of an account's token, "" for none.
func wantVersion(t *testing.T, s pinterest.TokenStore, account, version string) {
	t.Helper()
	got, err := s.Version(t.Context(), account)
	switch {
	case err != nil:
		t.Errorf("Version(%.40q): %v", account, err)
	case got != version:
		t.Errorf("Version(%.40q) is %q, want %q", account, got, version)
	}
}

func versionFollows(t *testing.T, s pinterest.TokenStore) {
	wantVersion(t, s, "account", "")
	tok := pinterest.Token{AccessToken: "access", RefreshToken: "refresh"}
	for range 3 {
		tok.Version = save(t, s, "account", tok)
		wantVersion(t, s, "account", tok.Version)
		wantVersion(t, s, "account", tok.Version) // looking does not change it
		wantVersion(t, s, "other", "")
	}
	conflict(t, s, pinterest.Token{Version: "another"})
	wantVersion(t, s, "account", tok.Version)

	tok.Disconnected = &pinterest.Disconnection{Reason: "why"}
	tok.Version = save(t, s, "account", tok)
	wantVersion(t, s, "account", tok.Version)

	remove(t, s, "account")
	wantVersion(t, s, "account", "")
}

func versionOfAnyName(t *testing.T, s pinterest.TokenStore) {
	versions := map[string]string{}
	for _, account := range names() {
		versions[account] = save(t, s, account, pinterest.Token{})
	}
	for _, account := range names() {
		wantVersion(t, s, account, versions[account])
	}
}

// accounts returns the accounts that Accounts yields, sorted. It stops if there is
// no end.
func accounts(t *testing.T, s pinterest.TokenStore) []string {
	t.Helper()
	var list []string
	for account, err := range s.Accounts(t.Context()) {
		if err != nil {
			t.Errorf("Accounts: %v", err)
			break
		}
		if list = append(list, account); len(list) > 10_000 {
			t.Error("Accounts comes to no end")
			break
		}
	}
	slices.Sort(list)
	return list
}

func wantAccounts(t *testing.T, s pinterest.TokenStore, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := accounts(t, s); !slices.Equal(got, want) {
		t.Errorf("Accounts yields %.40q, want %.40q", got, want)
	}
}

// Every account is yielded, whatever its name and its state.
func accountsOfAnyKind(t *testing.T, s pinterest.TokenStore) {
	wantAccounts(t, s)
	soon := time.Now().Add(time.Hour)
	toks := []pinterest.Token{
		{}, {AccessToken: "a"}, {AccessToken: "a", Expiry: soon}, {AccessToken: "a", RefreshToken: "r", Expiry: soon},
		{RefreshToken: "r", Disconnected: &pinterest.Disconnection{}},
	}
	for i, account := range names() {
		save(t, s, account, toks[i%len(toks)])
	}
	wantAccounts(t, s, names()...)
	for i, account := range names() {
		if i > 0 {
			remove(t, s, account)
		}
	}
	wantAccounts(t, s, names()[0])
}

// The caller loads, saves and deletes the accounts that are yielded.
func accountsWhileChanged(t *testing.T, s pinterest.TokenStore) {
	want := many(t, s, 30, time.Now())
	var yielded []string
	for account, err := range s.Accounts(t.Context()) {
		if err != nil {
			t.Fatalf("Accounts: %v", err)
		}
		if yielded = append(yielded, account); len(yielded) > len(want) {
			break
		}
		tok := load(t, s, account)
		if tok == nil {
			t.Fatalf("Load(%q): there is no token of an account that is yielded", account)
		}
		save(t, s, account, *tok)
		if len(yielded)%2 == 0 {
			remove(t, s, account)
		}
	}
	slices.Sort(yielded)
	if !slices.Equal(yielded, want) {
		t.Errorf("Accounts yields %q, want each of %q once", yielded, want)
	}
	if n := len(accounts(t, s)); n != len(want)/2 {
		t.Errorf("Accounts yields %d accounts, want the %d that were not deleted", n, len(want)/2)
	}
}
