package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// due returns the accounts that Due yields, sorted. It stops if there is no end.
func due(t *testing.T, s pinterest.TokenStore, before time.Time) []string {
	t.Helper()
	var accounts []string
	for account, err := range s.Due(t.Context(), before) {
		if err != nil {
			t.Errorf("Due: %v", err)
			break
		}
		if accounts = append(accounts, account); len(accounts) > 10_000 {
			t.Error("Due comes to no end")
			break
		}
	}
	slices.Sort(accounts)
	return accounts
}

// wantDue checks which accounts are due. Each is yielded once.
func wantDue(t *testing.T, s pinterest.TokenStore, before time.Time, accounts ...string) {
	t.Helper()
	slices.Sort(accounts)
	if got := due(t, s, before); !slices.Equal(got, accounts) {
		t.Errorf("Due yields %.40q, want %.40q", got, accounts)
	}
}

func whatIsDue(t *testing.T, s pinterest.TokenStore) {
	before := time.Date(2027, time.March, 4, 5, 6, 7, 0, time.UTC)
	sooner, later := before.Add(-time.Second), before.Add(time.Second)
	for account, tok := range map[string]pinterest.Token{
		"yes: the access token expires":                     {RefreshToken: "r", Expiry: sooner},
		"yes: the access token expires, the refresh later":  {RefreshToken: "r", Expiry: sooner, RefreshExpiry: later},
		"yes: the refresh token expires, the access later":  {RefreshToken: "r", Expiry: later, RefreshExpiry: sooner},
		"yes: the refresh token expires, the access unsaid": {RefreshToken: "r", RefreshExpiry: sooner},
		"yes: both expire":                                  {RefreshToken: "r", Expiry: sooner, RefreshExpiry: sooner},
		"yes: it expired long ago":                          {RefreshToken: "r", Expiry: time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC)},
		"yes: in another zone":                              {RefreshToken: "r", Expiry: sooner.In(time.FixedZone("", 14*60*60))},
		"no: in another zone":                               {RefreshToken: "r", Expiry: later.In(time.FixedZone("", -12*60*60))},
		"no: both later":                                    {RefreshToken: "r", Expiry: later, RefreshExpiry: later},
		"no: at that very time":                             {RefreshToken: "r", Expiry: before, RefreshExpiry: before},
		"no: no expiry is known":                            {RefreshToken: "r"},
		"no: of the access token, and the refresh later":    {RefreshToken: "r", RefreshExpiry: later},
		"no: nothing to refresh it with":                    {AccessToken: "a", Expiry: sooner, RefreshExpiry: sooner},
		"no: disconnected":                                  {RefreshToken: "r", Expiry: sooner, RefreshExpiry: sooner, Disconnected: &pinterest.Disconnection{}},
	} {
		save(t, s, account, tok)
	}
	got := due(t, s, before)
	for _, account := range got {
		if account[0] != 'y' {
			t.Errorf("Due yields %q", account)
		}
	}
	if yes := len(slices.Compact(got)); yes != 7 {
		t.Errorf("Due yields %q, want the 7 that begin with yes", got)
	}
	wantDue(t, s, time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC))
	wantDue(t, s, time.Date(1970, 1, 1, 0, 0, 2, 0, time.UTC), "yes: it expired long ago")
	wantDue(t, s, time.Time{})
}

func dueFollows(t *testing.T, s pinterest.TokenStore) {
	now := time.Now()
	tok := pinterest.Token{RefreshToken: "r", Expiry: now.Add(-time.Hour)}
	again := func(due bool, change func()) {
		t.Helper()
		change()
		tok.Version = save(t, s, "account", tok)
		if due {
			wantDue(t, s, now, "account")
		} else {
			wantDue(t, s, now)
		}
	}
	again(true, func() {})
	again(false, func() { tok.Expiry = now.Add(time.Hour) })
	again(true, func() { tok.RefreshExpiry = now.Add(-time.Hour) })
	again(false, func() { tok.Disconnected = &pinterest.Disconnection{At: now} })
	again(true, func() { tok.Disconnected = nil })
	again(false, func() { tok.RefreshToken = "" })
	again(true, func() { tok.RefreshToken = "r" })
	remove(t, s, "account")
	wantDue(t, s, now)
}

// many saves tokens of many accounts that expire one second after the other.
func many(t *testing.T, s pinterest.TokenStore, n int, first time.Time) (accounts []string) {
	t.Helper()
	for i := range n {
		account := fmt.Sprintf("account %03d", i)
		save(t, s, account, pinterest.Token{RefreshToken: "r", Expiry: first.Add(time.Duration(i) * time.Second)})
		accounts = append(accounts, account)
	}
	return accounts
}

func dueOfMany(t *testing.T, s pinterest.TokenStore) {
	first := time.Now().Add(-time.Hour).Truncate(time.Second)
	accounts := many(t, s, 150, first)
	for _, n := range []int{0, 1, 77, 150} {
		wantDue(t, s, first.Add(time.Duration(n)*time.Second), accounts[:n]...)
	}
}

func dueIsLeft(t *testing.T, s pinterest.TokenStore) {
	now := time.Now()
	accounts := many(t, s, 5, now.Add(-time.Hour))
	for n := 1; n <= len(accounts); n++ {
		yielded := 0
		for _, err := range s.Due(t.Context(), now) {
			if err != nil {
				t.Errorf("Due: %v", err)
			}
			if yielded++; yielded == n {
				break
			}
		}
	}
	// Leaving the loop early must not leave anything open.
	wantDue(t, s, now, accounts...)
	lock(t, s, accounts[0])()
	remove(t, s, accounts[0])
	wantDue(t, s, now, accounts[1:]...)
}

// The caller saves each account that is yielded. The refreshed tokens expire later,
// but still before the given time. They must not be yielded again, as the iteration
// would never end.
func dueWhileRefreshed(t *testing.T, s pinterest.TokenStore) {
	now := time.Now()
	accounts := many(t, s, 20, now.Add(-time.Hour))
	var yielded []string
	for account, err := range s.Due(t.Context(), now) {
		if err != nil {
			t.Fatalf("Due: %v", err)
		}
		if yielded = append(yielded, account); len(yielded) > len(accounts) {
			break
		}
		unlock := lock(t, s, account)
		tok := load(t, s, account)
		if tok == nil {
			t.Fatalf("Load(%q): there is no token of an account that is due", account)
		}
		tok.Expiry = now.Add(-time.Second)
		save(t, s, account, *tok)
		unlock()
	}
	slices.Sort(yielded)
	if !slices.Equal(yielded, accounts) {
		t.Errorf("Due yields %q, want each of %q once", yielded, accounts)
	}
	wantDue(t, s, now.Add(-2*time.Second))
}

// Accounts that are due all the time are yielded, whatever other accounts are added,
// changed and deleted meanwhile.
func dueWhileOthersSave(t *testing.T, s pinterest.TokenStore) {
	now := time.Now()
	accounts := many(t, s, 10, now.Add(-time.Hour))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			own := fmt.Sprint("comes and goes ", g)
			version := ""
			for i := 0; ctx.Err() == nil; i++ {
				tok := pinterest.Token{RefreshToken: "r", Expiry: now.Add(time.Duration(i%3-1) * time.Hour), Version: version}
				version = save(t, s, own, tok)
				if i%3 == 0 {
					remove(t, s, own)
					version = ""
				}
			}
		})
	}
	for range 10 {
		counts := map[string]int{}
		for _, account := range due(t, s, now) {
			counts[account]++
		}
		for _, account := range accounts {
			if n := counts[account]; n != 1 {
				t.Errorf("%s is yielded %d times, want once", account, n)
			}
		}
	}
	stop()
	wg.Wait()
}
