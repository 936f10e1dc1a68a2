package pinterest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// tokens hands out one account's access token and renews it, one renewal at a
// time however many calls ask.
type tokens struct {
	source  tokenSource
	early   time.Duration // how long before its expiry a token is renewed
	clock   Clock
	secrets *redact.Secrets

	mu      sync.Mutex
	current credential
	flight  *flight   // the renewal under way
	failure error     // the last renewal's, shared with those who come ...
	until   time.Time // ... before this time
	ahead   time.Time // when a renewal ahead of time may be tried again
	looked  time.Time // when the source was last asked for a newer token
	changes int       // how often the token was replaced from outside
}

// tokenSource is where tokens come from.
type tokenSource interface {
	// renew returns a token other than old. refused tells that the API did not
	// accept old; without it old is missing, has expired or soon will. A nil old
	// is none.
	renew(ctx context.Context, old *Token, refused bool) (*Token, error)
}

// credential is a token and the Authorization header made of it, once.
type credential struct {
	token  *Token
	header []string
	due    time.Time // when it is to be renewed, while it can still be used; zero: when it is refused
}

func newCredential(tok *Token) credential {
	return credential{token: tok, header: []string{"Bearer " + tok.AccessToken}}
}

// flight is one renewal that any number of calls wait for.
type flight struct {
	refused bool // it is to replace a token that the API refused
	changes int  // tokens.changes when it began
	done    chan struct{}
	cred    credential
	err     error
}

const (
	// renewalTime bounds a renewal, which outlives the call that began it: its
	// result is needed by all who wait, and a rotated token must not be dropped.
	renewalTime = 2 * time.Minute
	// shareFailure is how long a failed renewal answers for those who come later,
	// so that a thousand waiters do not make a thousand token calls.
	shareFailure = time.Second
	// aheadPause is between two renewals ahead of time: nobody waits for them.
	aheadPause = time.Minute
)

var errSameToken = errors.New("the access token was refused, and the token source gave the same one again")

// expired reports whether the token is known not to be accepted any more.
func (t *Token) expired(now time.Time) bool { return !t.Expiry.IsZero() && !now.Before(t.Expiry) }

// keep makes tok the current token. The caller holds the lock, or is alone.
func (t *tokens) keep(tok *Token) {
	t.current = newCredential(tok)
	if !tok.Expiry.IsZero() {
		// Clients of one account do not all come at the same moment, and a token with
		// little time left is not renewed over and over.
		early := t.early + time.Duration(rand.Float64()*float64(t.early))
		t.current.due = tok.Expiry.Add(-min(early, tok.Expiry.Sub(t.clock.Now())/2))
	}
	t.secrets.AddToken(tok.AccessToken, tok.RefreshToken)
}

// token returns the current token. One that is due is renewed meanwhile; one
// that has expired is waited for.
func (t *tokens) token(ctx context.Context) (credential, error) {
	t.mu.Lock()
	cred, now := t.current, t.clock.Now()
	if cred.token != nil && cred.token.AccessToken != "" && !cred.token.expired(now) {
		if !cred.due.IsZero() && !now.Before(cred.due) && !now.Before(t.ahead) {
			t.ahead = now.Add(aheadPause)
			t.join(ctx, false)
		}
		t.mu.Unlock()
		return cred, nil
	}
	f := t.join(ctx, false)
	t.mu.Unlock()
	return f.wait(ctx)
}

// renew replaces a token that the API refused. If another call has done so in
// the meantime, its token is returned.
func (t *tokens) renew(ctx context.Context, refused credential) (credential, error) {
	for {
		t.mu.Lock()
		if cred := t.current; cred.token.AccessToken != "" && cred.token.AccessToken != refused.token.AccessToken {
			t.mu.Unlock()
			return cred, nil
		}
		f := t.join(ctx, true)
		t.mu.Unlock()
		cred, err := f.wait(ctx)
		switch {
		case err != nil || cred.token.AccessToken != refused.token.AccessToken:
			return cred, err
		case f.refused:
			return cred, errSameToken
		}
		// A renewal was under way that did not know of the refusal. Once more.
	}
}

// join returns the renewal under way, or begins one. It is called with the
// lock held.
func (t *tokens) join(ctx context.Context, refused bool) *flight {
	if t.flight == nil && t.failure != nil && t.clock.Now().Before(t.until) {
		return landed(t.failure)
	}
	return t.begin(ctx, refused, t.source.renew)
}

// begin begins a renewal, unless one is under way.
func (t *tokens) begin(ctx context.Context, refused bool, renew renewFunc) *flight {
	if t.flight == nil {
		t.flight = &flight{refused: refused, changes: t.changes, done: make(chan struct{})}
		go t.fly(context.WithoutCancel(ctx), t.flight, t.current.token, renew)
	}
	return t.flight
}

// renewFunc is tokenSource.renew.
type renewFunc func(ctx context.Context, old *Token, refused bool) (*Token, error)

func landed(err error) *flight {
	f := &flight{done: make(chan struct{}), err: err}
	close(f.done)
	return f
}

// wait waits for a renewal, and leaves when the caller's own context ends.
func (f *flight) wait(ctx context.Context) (credential, error) {
	select {
	case <-f.done:
		return f.cred, f.err
	case <-ctx.Done():
		return credential{}, ctx.Err()
	}
}

// fly makes one renewal.
func (t *tokens) fly(ctx context.Context, f *flight, old *Token, renew renewFunc) {
	ctx, cancel := context.WithTimeout(ctx, renewalTime)
	defer cancel()
	tok, err := renew(ctx, old, f.refused)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failure = nil
	if err == nil {
		if f.changes == t.changes { // else there is a newer one by now
			t.keep(tok)
		}
		f.cred = t.current
	} else if _, unsaved := errors.AsType[saveError](err); !unsaved { // the next call saves it again, at once
		t.failure, t.until = err, t.clock.Now().Add(shareFailure)
	}
	if errors.Is(err, ErrDisconnected) && f.changes == t.changes { // what may be left of the old token is not used any more
		t.current = credential{token: &Token{}}
	}
	f.err = err
	t.flight = nil
	close(f.done)
}

// replace makes tok the current token, whatever was before.
func (t *tokens) replace(tok *Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep(tok)
	t.changes++
	t.failure = nil
}

// newer asks the source whether there is another token by now, such as that of a
// new connection which another process has made. It returns cred if there is none.
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
	case current.token.AccessToken != cred.token.AccessToken, now.Before(t.looked.Add(shareFailure)):
		t.mu.Unlock()
		return current
	}
	t.looked = now
	f := t.begin(ctx, false, source.look)
	t.mu.Unlock()
	if found, err := f.wait(ctx); err == nil {
		return found
	}
	return cred
}

// fixedToken is the source of a token that cannot be renewed.
type fixedToken struct{}

var errNoRenewal = errors.New("the access token was refused, and there is no way to renew it")

func (fixedToken) renew(context.Context, *Token, bool) (*Token, error) { return nil, errNoRenewal }

// callersSource is a source of the caller's own.
type callersSource struct {
	source oauth2.TokenSource
	report func(began time.Time, err error)
	clock  Clock
}

// renew asks the source, which cannot be told to stop: one that hangs is left
// behind when the renewal's time is over.
func (s callersSource) renew(ctx context.Context, _ *Token, _ bool) (*Token, error) {
	began := s.clock.Now()
	tok, err := s.ask(ctx)
	s.report(began, err)
	return tok, err
}

func (s callersSource) ask(ctx context.Context) (*Token, error) {
	type answer struct {
		tok *oauth2.Token
		err error
	}
	done := make(chan answer, 1)
	go func() {
		tok, err := s.source.Token()
		if err == nil && (tok == nil || tok.AccessToken == "") {
			err = errors.New("the token source gave no access token")
		}
		done <- answer{tok, err}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return nil, a.err
		}
		return &Token{AccessToken: a.tok.AccessToken, RefreshToken: a.tok.RefreshToken, Expiry: a.tok.Expiry}, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("the token source did not answer within %v: %w", renewalTime, ctx.Err())
	}
}
