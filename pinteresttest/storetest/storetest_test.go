package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest/storetest"
)

// The suite must fail for a store that does one thing wrong. Another process runs it
// for each such store, and its test fails.
const brokenVariable = "STORETEST_BROKEN"

// A broken store is a correct one except for what is set.
type broken struct {
	*pinterest.MemoryTokenStore
	lock func(ctx context.Context, account string) (func(), error)
	load func(tok *pinterest.Token)
	save func(ctx context.Context, account string, tok *pinterest.Token) (string, error)
	due  func(ctx context.Context, before time.Time) iter.Seq2[string, error]
	// version replaces the correct one.
	version  func(account, version string) string
	accounts func(ctx context.Context) iter.Seq2[string, error]
	name     func(account string) string
}

func (b *broken) Lock(ctx context.Context, account string) (func(), error) {
	if b.lock != nil {
		return b.lock(ctx, account)
	}
	return b.MemoryTokenStore.Lock(ctx, account)
}

func (b *broken) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if b.name != nil {
		account = b.name(account)
	}
	tok, err := b.MemoryTokenStore.Load(ctx, account)
	if tok != nil && b.load != nil {
		b.load(tok)
	}
	return tok, err
}

func (b *broken) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	if b.name != nil {
		account = b.name(account)
	}
	if b.save != nil {
		return b.save(ctx, account, tok)
	}
	return b.MemoryTokenStore.Save(ctx, account, tok)
}

func (b *broken) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	if b.due != nil {
		return b.due(ctx, before)
	}
	return b.MemoryTokenStore.Due(ctx, before)
}

func (b *broken) Version(ctx context.Context, account string) (string, error) {
	version, err := b.MemoryTokenStore.Version(ctx, account)
	if b.version != nil {
		version = b.version(account, version)
	}
	return version, err
}

func (b *broken) Accounts(ctx context.Context) iter.Seq2[string, error] {
	if b.accounts != nil {
		return b.accounts(ctx)
	}
	return b.MemoryTokenStore.Accounts(ctx)
}

// change has Save save something else.
func (b *broken) change(f func(tok *pinterest.Token)) {
	b.save = func(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
		changed := *tok
		f(&changed)
		return b.MemoryTokenStore.Save(ctx, account, &changed)
	}
}

// breaks are the defects, each with a test that must find it.
var breaks = map[string]struct {
	found string
	how   func(b *broken)
}{
	"nothing": {"", func(*broken) {}},
	"empty scopes become nil": {"every field comes back", func(b *broken) {
		b.load = func(tok *pinterest.Token) { tok.Scopes = append([]pinterest.Scope(nil), tok.Scopes...) }
	}},
	"times in the local zone": {"every field comes back", func(b *broken) {
		b.load = func(tok *pinterest.Token) { tok.Expiry = tok.Expiry.In(time.FixedZone("", 3600)) }
	}},
	"times to the minute": {"every field comes back", func(b *broken) {
		b.change(func(tok *pinterest.Token) { tok.RefreshExpiry = tok.RefreshExpiry.Truncate(time.Minute) })
	}},
	"a disconnection is not kept": {"every field comes back", func(b *broken) {
		b.change(func(tok *pinterest.Token) { tok.Disconnected = nil })
	}},
	"a quarantine is not kept": {"every field comes back", func(b *broken) {
		b.change(func(tok *pinterest.Token) { tok.Quarantined = nil })
	}},
	"when it was refused is not kept": {"every field comes back", func(b *broken) {
		b.change(func(tok *pinterest.Token) { tok.RefusedSince = time.Time{} })
	}},
	"when it was granted is not kept": {"every field comes back", func(b *broken) {
		b.change(func(tok *pinterest.Token) { tok.GrantedAt = time.Time{} })
	}},
	"refusals are not kept": {"every field comes back", func(b *broken) {
		b.change(func(tok *pinterest.Token) { tok.Refusals = 0 })
	}},
	"the user is not kept": {"every field comes back", func(b *broken) {
		b.change(func(tok *pinterest.Token) { tok.User = nil })
	}},
	"the first version is kept": {"version follows the token", func(b *broken) {
		first := ""
		b.version = func(_, version string) string {
			if first == "" || version == "" {
				first = version
			}
			return first
		}
	}},
	"an account that is due is listed only": {"accounts of any kind", func(b *broken) {
		b.accounts = func(ctx context.Context) iter.Seq2[string, error] {
			return b.MemoryTokenStore.Due(ctx, time.Now().AddDate(1, 0, 0))
		}
	}},
	"names in lower case":     {"accounts of any name", func(b *broken) { b.name = strings.ToLower }},
	"names end at a zero":     {"accounts of any name", func(b *broken) { b.name = func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s } }},
	"names are made valid":    {"accounts of any name", func(b *broken) { b.name = func(s string) string { return strings.ToValidUTF8(s, "?") } }},
	"scopes are shared":       {"tokens are copies", shareScopes},
	"the version is counted":  {"a stale token stays stale", countVersions},
	"an unknown one is saved": {"save after delete", saveUnknown},
	"compare, then swap":      {"one of many savers wins", compareThenSwap},
	"save locks": {"load and save need no lock", func(b *broken) {
		b.save = func(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
			unlock, err := b.MemoryTokenStore.Lock(ctx, account)
			if err != nil {
				return "", err
			}
			defer unlock()
			return b.MemoryTokenStore.Save(ctx, account, tok)
		}
	}},
	"due at the very time": {"what is due", func(b *broken) {
		b.due = func(ctx context.Context, before time.Time) iter.Seq2[string, error] {
			return b.MemoryTokenStore.Due(ctx, before.Add(1))
		}
	}},
	"due without end": {"due while its accounts are refreshed", dueWithoutEnd},
	"no lock": {"locks exclude", func(b *broken) {
		b.lock = func(ctx context.Context, _ string) (func(), error) { return func() {}, ctx.Err() }
	}},
	"one lock for all": {"different accounts do not wait", func(b *broken) {
		b.lock = func(ctx context.Context, _ string) (func(), error) { return b.MemoryTokenStore.Lock(ctx, "all") }
	}},
	"unlock frees another's": {"unlock twice", unlockAnothers},
	"a free lock for one who has left": {"a context that has ended", func(b *broken) {
		b.lock = func(ctx context.Context, account string) (func(), error) {
			if ctx.Err() != nil {
				ctx = context.WithoutCancel(ctx)
			}
			return b.MemoryTokenStore.Lock(ctx, account)
		}
	}},
}

func shareScopes(b *broken) {
	var mu sync.Mutex
	shared := map[string][]pinterest.Scope{}
	b.load = func(tok *pinterest.Token) {
		mu.Lock()
		defer mu.Unlock()
		if shared[tok.Version] == nil {
			shared[tok.Version] = tok.Scopes
		}
		tok.Scopes = shared[tok.Version]
	}
}

// countVersions gives the first version of an account again after Delete.
func countVersions(b *broken) {
	var mu sync.Mutex
	type key struct{ account, counted string }
	versions := map[key]string{}
	counted := map[string]string{}
	n := map[string]int{}
	b.load = func(tok *pinterest.Token) {
		mu.Lock()
		defer mu.Unlock()
		tok.Version = counted[tok.Version]
	}
	b.save = func(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		next := *tok
		if tok.Version == "" {
			n[account] = 0
		} else if next.Version = versions[key{account, tok.Version}]; next.Version == "" {
			next.Version = "unknown"
		}
		version, err := b.MemoryTokenStore.Save(ctx, account, &next)
		if err != nil {
			return "", err
		}
		n[account]++
		text := fmt.Sprint(n[account])
		versions[key{account, text}], counted[version] = version, text
		return text, nil
	}
}

func saveUnknown(b *broken) {
	b.save = func(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
		next := *tok
		if stored, err := b.MemoryTokenStore.Load(ctx, account); err == nil && stored == nil {
			next.Version = ""
		}
		return b.MemoryTokenStore.Save(ctx, account, &next)
	}
}

func compareThenSwap(b *broken) {
	b.save = func(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
		stored := func() string {
			if old, err := b.MemoryTokenStore.Load(ctx, account); err == nil && old != nil {
				return old.Version
			}
			return ""
		}
		if stored() != tok.Version {
			return "", pinterest.ErrTokenConflict
		}
		time.Sleep(time.Millisecond)
		next := *tok
		for {
			next.Version = stored()
			if version, err := b.MemoryTokenStore.Save(ctx, account, &next); !errors.Is(err, pinterest.ErrTokenConflict) {
				return version, err
			}
		}
	}
}

// dueWithoutEnd yields what was saved again since it was yielded.
func dueWithoutEnd(b *broken) {
	var saves atomic.Int64
	b.save = func(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
		saves.Add(1)
		return b.MemoryTokenStore.Save(ctx, account, tok)
	}
	b.due = func(ctx context.Context, before time.Time) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for began := int64(-1); began != saves.Load(); {
				began = saves.Load()
				for account, err := range b.MemoryTokenStore.Due(ctx, before) {
					if !yield(account, err) {
						return
					}
				}
			}
		}
	}
}

func unlockAnothers(b *broken) {
	var mu sync.Mutex
	held := map[string]func(){}
	b.lock = func(ctx context.Context, account string) (func(), error) {
		unlock, err := b.MemoryTokenStore.Lock(ctx, account)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		held[account] = unlock
		return func() {
			mu.Lock()
			defer mu.Unlock()
			held[account]()
		}, nil
	}
}

// TestBroken is run by TestSuiteFinds, in another process.
func TestBroken(t *testing.T) {
	name, ok := os.LookupEnv(brokenVariable)
	if !ok {
		t.Skip("TestSuiteFinds runs it")
	}
	storetest.Run(t, func(*testing.T) pinterest.TokenStore {
		b := &broken{MemoryTokenStore: pinterest.NewMemoryTokenStore()}
		breaks[name].how(b)
		return b
	})
}

func TestSuiteFinds(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for name, test := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := "^TestBroken$"
			if test.found != "" { // only that test, and not those that then wait for long
				run += "/^" + strings.ReplaceAll(test.found, " ", "_") + "$"
			}
			cmd := exec.CommandContext(t.Context(), self, "-test.run", run, "-test.timeout", "60s")
			cmd.Env = append(os.Environ(), brokenVariable+"="+name, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
			out, err := cmd.CombinedOutput()
			if test.found == "" {
				require.NoError(t, err, "%s", out)
				return
			}
			require.Error(t, err, "the suite does not find it")
			assert.Contains(t, string(out), "--- FAIL: TestBroken/"+strings.ReplaceAll(test.found, " ", "_"), "%s", out)
		})
	}
}
