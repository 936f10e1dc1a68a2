package pinterest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// tokens hands out one account's access token and refreshes it. Only one refresh
// is under way at a time, however many calls need it.
type tokens struct {
	option  string // that gave the source, such as "WithTokenStore"
	source  tokenSource
	early   time.Duration // how long before its expiry a token is refreshed
	every   time.Duration // how often the store is looked at; 0: never
	clock   Clock
	secrets *redact.Secrets
	name    string // of the account
	work    *work

	mu           sync.Mutex
	current      credential
	pending      *refreshCall // the refresh under way
	failure      error        // of the last refresh, shared with those who come ...
	failureUntil time.Time    // ... before this time
	nextAhead    time.Time    // when a refresh ahead of time may be tried again
	reloaded     time.Time    // when the store was last asked for a newer token
	replacements int          // how often the token was replaced from outside
	rapid        int          // how many tokens in a row were replaced soon after their grant, although they were accepted
	looking      *look        // the look at the store under way
	lookAt       time.Time    // when to look again
	lookFailed   bool         // the last look has failed
	lookWait     time.Time    // when calls wait for a look again, after one has failed

	user    atomic.Pointer[PinterestUser] // the last that was known
	changed *OtherUserError               // that it is another since, which observers are still to hear
}

// tokenSource is where tokens come from.
type tokenSource interface {
	// refresh returns a token other than old. granted says that the token is new;
	// without it the token was found where another process had put it.
	refresh(ctx context.Context, old *Token, why need) (tok *Token, granted bool, err error)
}

// refreshFunc is tokenSource.refresh, or reads the source again in its place.
type refreshFunc func(ctx context.Context, old *Token, why need) (tok *Token, granted bool, err error)

// need says why a token is to be refreshed. The zero value says that it is missing,
// has expired or will soon.
type need struct {
	refused  bool // the API did not accept it
	proven   bool // and said so in its own words, which a gateway does not have
	accepted bool // it did before, which counts only against a proof
}

// credential is a token and the Authorization header made from it, once.
type credential struct {
	token  *Token
	header []string
	due    time.Time // when to refresh it although it can still be used; zero: not before it is refused
	grant  *grant    // nil for a token from elsewhere
}

// grant is what is known of a token since it was granted, to this process or another.
type grant struct {
	accepted atomic.Bool // by the API, in any call
	at       time.Time   // when it was granted, if that is known
	renewAt  time.Time   // when it can be replaced if it was not accepted
}

// newGrant returns what follows from the token's record, or nil if it can be refreshed
// at any time. granted says that it was granted to this process.
func newGrant(tok *Token, granted bool, now time.Time) *grant {
	at := tok.GrantedAt
	switch {
	case at.IsZero(), at.After(now.Add(justGranted)): // by a clock that is wrong
		return nil
	case !granted && tok.Refusals == 0: // it may have ended since another process was granted it
		return nil
	case at.After(now): // by a clock that is a little ahead
		at = now
	}
	cooldown := min(justGranted<<min(max(tok.Refusals, 0), 10), longestCooldown)
	return &grant{at: at, renewAt: at.Add(cooldown + rand.N(cooldown/2))}
}

// accept takes note that the API has accepted the token.
func (c *credential) accept() {
	if c.grant != nil && !c.grant.accepted.Load() {
		c.grant.accepted.Store(true)
	}
}

// refreshCall is one refresh, for which any number of calls wait.
type refreshCall struct {
	why          need
	early        bool // begun by RefreshDue: the stored token may be good, although it was not refreshed
	replacements int  // tokens.replacements when it began
	done         chan struct{}
	cred         credential
	granted      bool // cred is new, not found in the store
	err          error
}

// maxTokenTries is how many access tokens a call tries. A token can end while a
// call is under way, and so can the one after it; an API that refuses every token
// must not make the call a loop.
const maxTokenTries = 3

const (
	// refreshTimeout is how long a refresh waits for its turn, and then for the token
	// endpoint. It outlives the call that began it: all who wait need its result, and a
	// rotated token must not be dropped.
	refreshTimeout = 2 * time.Minute
	// shareFailure is how long the failure of a refresh is returned to those who come
	// later, so that a thousand waiting calls do not make a thousand token calls.
	shareFailure = time.Second
	// shareRefusal is how long a refresh token that was refused is not sent again, if
	// the account was not marked.
	shareRefusal = 30 * time.Second
	// aheadPause is the pause between two refreshes ahead of time: no call waits for
	// them.
	aheadPause = time.Minute
	// justGranted is how long after its grant a token that is refused shows that new
	// tokens do not help: the API refuses them all, or does not know this one yet. After
	// each further refusal of that kind it is twice as long, at most longestCooldown,
	// with up to a half added at random.
	justGranted     = time.Minute
	longestCooldown = time.Hour
	// maxRapid is how many tokens in a row can be replaced within justGranted although
	// the API has accepted them. It may accept them at one place and refuse them at another.
	maxRapid = 5
	// maxRenewals is how many renewals an App has under way at the same time. Each of
	// them may hold a lock of the store and a rotated token.
	maxRenewals = 32
)

func newCredential(tok *Token) credential {
	return credential{token: tok, header: []string{"Bearer " + tok.AccessToken}}
}

// set makes tok the current token. The caller holds the lock, or is alone.
func (t *tokens) set(tok *Token) {
	t.current = newCredential(tok)
	if !tok.Expiry.IsZero() {
		// The random part keeps the clients of one account from coming all at once. Half
		// of the time left keeps a short-lived token from being refreshed over and over.
		early := t.early + time.Duration(rand.Float64()*float64(t.early))
		t.current.due = tok.Expiry.Add(-min(early, tok.Expiry.Sub(t.clock.Now())/2))
	}
	if tok.Quarantined != nil {
		t.current.due = tok.Quarantined.RetryAt
	}
	t.secrets.AddToken(tok.AccessToken, tok.RefreshToken)
	t.lookAt = t.clock.Now().Add(t.every)
	t.noteUser(tok.User)
}

// token returns the current token. One that is due is refreshed in the
// background; one that has expired is waited for.
func (t *tokens) token(ctx context.Context) (credential, error) {
	t.mu.Lock()
	if look := t.follow(ctx, t.clock.Now()); look != nil {
		t.mu.Unlock()
		if err := look.wait(ctx); err != nil {
			return credential{}, err
		}
		t.mu.Lock()
	}
	cred, now := t.current, t.clock.Now()
	if cred.token.AccessToken != "" && !cred.token.expired(now) {
		if !cred.due.IsZero() && !now.Before(cred.due) && !now.Before(t.nextAhead) {
			t.nextAhead = now.Add(aheadPause)
			t.join(ctx, need{}, t.source.refresh)
		}
		t.mu.Unlock()
		return cred, nil
	}
	pending, began := t.join(ctx, need{}, t.source.refresh)
	t.mu.Unlock()
	cred, err := pending.wait(ctx)
	if err != nil && !began && pending.early && ctx.Err() == nil {
		return t.token(ctx) // the stored token may be good
	}
	return cred, err
}

// replaced reports whether the current token is another than the refused one. It
// is called with the lock held.
func (t *tokens) replaced(refused credential) bool {
	current := t.current.token.AccessToken
	return current != "" && current != refused.token.AccessToken
}

// refresh replaces a token that the API refused, unless another call or process
// has done so in the meantime. proven says that the API has refused it in its own
// words. It reports whether a new token was granted to this very call.
func (t *tokens) refresh(ctx context.Context, refused credential, proven bool) (granted bool, err error) {
	for {
		t.mu.Lock()
		if t.replaced(refused) {
			t.mu.Unlock()
			return false, nil
		}
		pending, began := t.join(ctx, need{true, proven, proven && refused.grant != nil && refused.grant.accepted.Load()}, t.source.refresh)
		t.mu.Unlock()
		cred, err := pending.wait(ctx)
		switch {
		case err != nil || cred.token.AccessToken != refused.token.AccessToken:
			return err == nil && began && pending.granted, err // a waiter that has left must not look at it
		case pending.why.refused:
			return false, errSameToken
		}
		// A refresh was under way that did not know of the refusal. Try once more.
	}
}

// cools reports that the account gets no new token for now, although the API refused
// this one, because it also refuses what was just granted. It returns nil if a new
// token may help.
func (t *tokens) cools(refused credential, proven bool) error {
	g := refused.grant
	if g == nil {
		return nil
	}
	t.mu.Lock()
	rapid := t.rapid
	t.mu.Unlock()
	until := g.renewAt
	if proven && g.accepted.Load() {
		if until = g.at.Add(justGranted); rapid < maxRapid {
			return nil
		}
	}
	if t.clock.Now().Before(until) {
		return notRenewedError{until}
	}
	return nil
}

// awaitNewer waits until a token that the API refused is replaced by another call
// or process, if one has done so or is about to. Otherwise it returns
// errNoNewerToken. It makes no token call.
func (t *tokens) awaitNewer(ctx context.Context, refused credential) error {
	for range 2 { // what was under way at first may have read the store too early
		t.mu.Lock()
		if t.replaced(refused) {
			t.mu.Unlock()
			return nil
		}
		source, stored := t.source.(*storedToken)
		if !stored && t.pending == nil {
			t.mu.Unlock()
			return errNoNewerToken
		}
		pending, began := t.join(ctx, need{}, source.reloadWithLock)
		t.mu.Unlock()
		cred, err := pending.wait(ctx)
		switch {
		case err != nil || cred.token.AccessToken != refused.token.AccessToken:
			return err
		case began:
			return errNoNewerToken
		}
	}
	return errNoNewerToken
}

// join returns the refresh under way, or begins one. It is called with the lock
// held.
func (t *tokens) join(ctx context.Context, why need, refresh refreshFunc) (pending *refreshCall, began bool) {
	if t.pending == nil && t.failure != nil && t.clock.Now().Before(t.failureUntil) {
		return failedRefresh(t.failure), false
	}
	began = t.pending == nil
	return t.begin(ctx, why, refresh), began
}

// begin begins a refresh, unless one is under way or the app is shut down.
func (t *tokens) begin(ctx context.Context, why need, refresh refreshFunc) *refreshCall {
	switch {
	case t.pending != nil:
		return t.pending
	case !t.work.begin(t.name):
		return failedRefresh(ErrShutdown)
	}
	return t.start(ctx, why, refresh)
}

// start starts a refresh whose work has begun.
func (t *tokens) start(ctx context.Context, why need, refresh refreshFunc) *refreshCall {
	t.pending = &refreshCall{why: why, replacements: t.replacements, done: make(chan struct{})}
	go t.run(context.WithoutCancel(ctx), t.pending, t.current.token, refresh)
	return t.pending
}

// saveAgain saves a refreshed token that could not be saved, in the background.
func (t *tokens) saveAgain(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending == nil {
		t.work.beginLast(t.name)
		t.start(ctx, need{}, t.source.refresh)
	}
}

// failedRefresh is a refresh that has failed already.
func failedRefresh(err error) *refreshCall {
	r := &refreshCall{done: make(chan struct{}), err: err}
	close(r.done)
	return r
}

// wait waits for a refresh, or until the caller's own context ends.
func (r *refreshCall) wait(ctx context.Context) (credential, error) {
	select {
	case <-r.done:
		return r.cred, r.err
	case <-ctx.Done():
		return credential{}, ctx.Err()
	}
}

// run makes one refresh, and ends it whatever happens: all who wait need an answer.
func (t *tokens) run(ctx context.Context, r *refreshCall, old *Token, refresh refreshFunc) {
	defer t.work.end(t.name)
	limited, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	var (
		tok     *Token
		granted bool
		err     error = panicError{"the goroutine of the refresh was ended (runtime.Goexit)"}
	)
	defer func() { t.end(ctx, r, old, tok, granted, err) }()
	tok, granted, err = refresh.guarded(limited, old, r.why)
}

// guarded calls f and returns a panic in it as an error.
func (f refreshFunc) guarded(ctx context.Context, old *Token, why need) (tok *Token, granted bool, err error) {
	defer recoverInto(&err, "a refresh")
	return f(ctx, old, why)
}

// end ends a refresh with its result.
func (t *tokens) end(ctx context.Context, r *refreshCall, old, tok *Token, granted bool, err error) {
	if err == nil && tok != old {
		err = tok.check() // nothing is sent with it, and the source is asked again
	}
	if _, ok := errors.AsType[malformedToken](err); ok {
		err = fmt.Errorf("%s: %w", t.option, err)
	}
	t.mu.Lock()
	t.failure = nil
	if err == nil {
		if r.replacements == t.replacements && tok != old { // else there is a newer one by now, or no other
			t.change(tok, granted)
		}
		r.cred, r.granted = t.current, granted
	} else if _, unsaved := errors.AsType[saveError](err); unsaved { // the next refresh saves it again, in a minute at the latest if there are calls
		t.current.due = t.clock.Now()
		t.nextAhead = t.current.due.Add(aheadPause)
	} else if !r.early {
		t.failure, t.failureUntil = err, t.clock.Now().Add(shareFailure)
	}
	if errors.Is(err, ErrDisconnected) && r.replacements == t.replacements { // the old token is not used any more
		t.current = credential{token: &Token{}}
	}
	r.err = err
	t.pending = nil
	t.mu.Unlock()
	if err := t.guardedReport(ctx); err != nil && r.err == nil {
		r.err = err
	}
	close(r.done)
}

// change makes the result of a refresh, or of a look at the store, the current token. It
// is called with the lock held.
func (t *tokens) change(tok *Token, granted bool) {
	before := t.current
	_, ours := t.source.(*storedToken) // what a caller's source brings may be an old one
	t.set(tok)
	switch {
	case tok.AccessToken == before.token.AccessToken:
		t.current.grant = before.grant
	case ours:
		switch g := before.grant; {
		case !granted:
		case g != nil && g.accepted.Load() && t.clock.Now().Before(g.at.Add(justGranted)):
			t.rapid++
		default:
			t.rapid = 0
		}
		t.current.grant = newGrant(tok, granted, t.clock.Now())
	}
}

// replace makes tok the current token, whatever was before. stored is what was
// stored before, nil if it is not known.
func (t *tokens) replace(stored, tok *Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stored != nil {
		t.noteUser(stored.User)
	}
	t.set(tok)
	t.replacements++
	t.failure = nil
}

// newer asks the store whether it has another token by now, such as that of a new
// connection which another process has made. It returns cred if there is none.
func (t *tokens) newer(ctx context.Context, cred credential) credential {
	source, ok := t.source.(*storedToken)
	if !ok {
		return cred
	}
	t.mu.Lock()
	now := t.clock.Now()
	switch current := t.current; {
	case current.token.AccessToken == "": // disconnected meanwhile
		t.mu.Unlock()
		return cred
	case current.token.AccessToken != cred.token.AccessToken, now.Before(t.reloaded.Add(shareFailure)):
		t.mu.Unlock()
		return current
	}
	t.reloaded = now
	pending := t.begin(ctx, need{}, source.reload)
	t.mu.Unlock()
	if found, err := pending.wait(ctx); err == nil {
		return found
	}
	return cred
}

// fixedToken is the source of a token that cannot be refreshed.
type fixedToken struct{}

func (fixedToken) refresh(context.Context, *Token, need) (*Token, bool, error) {
	return nil, false, errNoRefresh
}

// oauth2Source asks a token source of the caller's.
type oauth2Source struct {
	source oauth2.TokenSource
	report func(ctx context.Context, began time.Time, err error)
	clock  Clock
}

// refresh asks the source. A source takes no context and cannot be told to stop:
// one that hangs is left behind when the refresh times out.
func (s oauth2Source) refresh(ctx context.Context, _ *Token, _ need) (tok *Token, granted bool, err error) {
	began := s.clock.Now()
	tok, err = s.ask(ctx)
	s.report(ctx, began, err)
	return tok, true, err
}

func (s oauth2Source) ask(ctx context.Context) (*Token, error) {
	type answer struct {
		tok *oauth2.Token
		err error
	}
	done := make(chan answer, 1)
	go func() {
		a := answer{err: panicError{"the token source ended its goroutine (runtime.Goexit)"}}
		defer func() { done <- a }()
		defer recoverInto(&a.err, "the token source")
		a.tok, a.err = s.source.Token()
		if a.err == nil && (a.tok == nil || a.tok.AccessToken == "") {
			a.err = errors.New("the token source gave no access token")
		}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return nil, a.err
		}
		return &Token{AccessToken: a.tok.AccessToken, RefreshToken: a.tok.RefreshToken, Expiry: a.tok.Expiry}, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("the token source did not answer within %v: %w", refreshTimeout, ctx.Err())
	}
}

// reportRefresh tells the observers of one refresh, however many calls waited
// for it.
func (c *Client) reportRefresh(ctx context.Context, began time.Time, err error) {
	c.reportToken(ctx, Event{Type: EventRefresh, Time: began, Err: err})
}

// reportToken tells the observers something about the account's token.
func (c *Client) reportToken(ctx context.Context, e Event) {
	if c.watched() {
		setDefault(&e.Account, c.name)
		e.Context, e.Operation, e.Err = ctx, OpOAuthToken.ID, c.secrets.Hide(e.Err)
		c.observe(e)
	}
}
