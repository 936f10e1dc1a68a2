package pinterest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// maxRefusals is how many accounts in a row are refused a refresh before that is
// taken for the fault of the app or of Pinterest.
const maxRefusals = 3

// refusals counts the refused refreshes of an App. When too many accounts in a row
// are refused, it pauses: no account is marked until a refresh succeeds, and the
// marks that were made in that row are undone.
type refusals struct {
	mu       sync.Mutex
	paused   bool
	accounts map[string]bool // refused since the last success, until paused
	marks    map[string]mark // by account: made since the last success
	round    uint64          // how many refreshes have succeeded
	pauses   uint64          // how many pauses have begun
}

// mark is a change of a stored token that can be undone.
type mark struct {
	before  *Token
	version string // of the marked token
}

// succeed takes note of a refresh that succeeded.
func (r *refusals) succeed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused, r.accounts, r.marks = false, nil, nil
	r.round++
}

// add counts a refusal of an account, unless that is explained. It returns the round,
// from 1, and whether this refusal has begun a pause. last is the round of the
// account's last refusal, 0 if there was none.
func (r *refusals) add(account string, explained bool, last uint64) (round uint64, began bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	round = r.round + 1
	// The refresh of another account has succeeded between two refusals of this one: the
	// reason is the account's own.
	explained = explained || last != 0 && last < round
	if r.paused || explained {
		return round, false
	}
	if r.accounts == nil {
		r.accounts = map[string]bool{}
	}
	r.accounts[account] = true
	if r.paused = len(r.accounts) == maxRefusals; r.paused {
		r.pauses++
	}
	return round, r.paused
}

func (r *refusals) isPaused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paused
}

// seen returns how many pauses there were before now, without one that goes on.
func (r *refusals) seen() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paused {
		return r.pauses - 1
	}
	return r.pauses
}

// pausedSince reports whether there was a pause since seen has returned n.
func (r *refusals) pausedSince(n uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pauses > n
}

// marked takes note of a mark that may have to be undone.
func (r *refusals) marked(account string, before *Token, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if earlier, ok := r.marks[account]; ok && earlier.version == before.Version {
		before = earlier.before
	}
	if r.marks == nil {
		r.marks = map[string]mark{}
	}
	r.marks[account] = mark{before, version}
}

// undo takes the marks back while refreshes are paused, where the stored token is
// still the marked one. It returns the accounts. A mark that the store fails to take
// back is tried again with the next refusal.
func (r *refusals) undo(ctx context.Context, store TokenStore) (accounts []string) {
	r.mu.Lock()
	var marks map[string]mark
	if r.paused {
		marks, r.marks = r.marks, nil
	}
	r.mu.Unlock()
	for _, account := range slices.Sorted(maps.Keys(marks)) {
		m := marks[account]
		tok := *m.before
		tok.Version = m.version
		switch _, err := store.Save(ctx, account, &tok); {
		case err == nil:
			accounts = append(accounts, account)
		case !errors.Is(err, ErrTokenConflict):
			r.marked(account, m.before, m.version)
		}
	}
	return accounts
}

// refuse counts a refusal of the account's refresh token. It reports whether
// refreshes are paused: then the account must not be marked.
func (s *storedToken) refuse(ctx context.Context, stored *Token, reason string) (paused bool) {
	r, now := &s.client.refusals, s.client.clock.Now()
	expired := !stored.RefreshExpiry.IsZero() && !now.Before(stored.RefreshExpiry)
	var began bool
	if s.refusedIn, began = r.add(s.client.name, expired, s.refusedIn); !r.isPaused() {
		return false
	}
	undone := r.undo(ctx, s.store)
	if began {
		text := fmt.Sprintf("%d accounts in a row, the last time because %s", maxRefusals, reason)
		if len(undone) > 0 {
			text += fmt.Sprintf("; not disconnected any more: %q", strings.Join(undone, ", "))
		}
		s.client.reportToken(ctx, Event{Type: EventRefreshPaused, Time: now, Err: fmt.Errorf("%w: %s", ErrRefreshPaused, text)})
	}
	return true
}

// saveMark saves a mark of the account, and undoes it if refreshes were paused in
// the meantime.
func (s *storedToken) saveMark(ctx context.Context, stored, marked *Token) error {
	version, err := s.store.Save(ctx, s.client.name, marked)
	switch {
	case errors.Is(err, ErrTokenConflict):
		return err
	case err != nil:
		return loadError{err}
	}
	marked.Version = version
	s.client.refusals.marked(s.client.name, stored, version)
	s.client.refusals.undo(ctx, s.store)
	return nil
}
