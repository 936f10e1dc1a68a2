package pinterest

import (
	"runtime"
	"sync"
	"weak"

	"github.com/pinterest-go/pinterest/internal/genmap"
	"github.com/pinterest-go/pinterest/internal/redact"
)

// account is what is known of one account, and shared by its clients.
type account struct {
	name     string
	tokens   *tokens
	registry *registry // of its creates
	budget   *retryBudget
	secrets  *redact.Secrets
}

func newAccount(name string, c *Client) *account {
	// The tokens need a client of their own, to refresh with.
	own := &Client{core: c.core}
	own.account = &account{
		name: name, registry: newRegistry(c.clock), budget: newRetryBudget(c.policy.Budget), secrets: redact.New(c.appSecrets...),
	}
	own.tokens = c.newTokens(own)
	own.registry.keep = func() { c.accounts.hold(own.account) }
	return own.account
}

// accountRegistry finds the account of a name. There is never more than one
// account of a name in use: as long as anyone has a reference to an account, the
// registry finds that one. The registry itself holds an account for a time after
// its last use, so that what the account knows of creates is not lost between two
// calls.
type accountRegistry struct {
	clock  Clock
	held   *genmap.Map[account]
	pinned sync.Map // of *account: those that are held until they are deleted here, however long that takes

	mu    sync.Mutex // taken after the lock of a shard of held
	known map[string]weak.Pointer[account]
}

func (r *accountRegistry) init(clock Clock) {
	r.clock, r.held, r.known = clock, genmap.New[account](memory, nil), map[string]weak.Pointer[account]{}
}

// get returns the account of a name, which it makes if there is none.
func (r *accountRegistry) get(name string, c *Client) *account {
	sh := r.held.Shard(name)
	now := r.clock.Now().UnixNano()
	sh.Lock() // also so that nobody else makes an account of this name
	defer sh.Unlock()
	sh.Age(now)
	acct := sh.Get(name)
	if acct != nil {
		return acct
	}
	if acct = r.find(name); acct == nil {
		acct = newAccount(name, c)
		r.add(acct)
	}
	sh.Put(name, acct)
	return acct
}

// hold holds an account for a time from now on.
func (r *accountRegistry) hold(acct *account) {
	sh := r.held.Shard(acct.name)
	now := r.clock.Now().UnixNano()
	sh.Lock()
	defer sh.Unlock()
	sh.Age(now)
	sh.Put(acct.name, acct)
}

// unsaved returns the accounts with a token that could not be saved.
func (r *accountRegistry) unsaved() (accounts []*account) {
	for acct := range r.pinned.Range {
		accounts = append(accounts, acct.(*account))
	}
	return accounts
}

// find returns the account of this name that someone has a reference to, or nil.
func (r *accountRegistry) find(name string) *account {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[name].Value()
}

func (r *accountRegistry) add(acct *account) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[acct.name] = weak.Make(acct)
	runtime.AddCleanup(acct, r.forget, acct.name)
}

// forget drops the name of an account that nobody has a reference to any more.
func (r *accountRegistry) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[name].Value() == nil { // else there is a new one
		delete(r.known, name)
	}
}
