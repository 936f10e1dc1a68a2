package pinterest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest/internal/keylock"
)

// MemoryTokenStore is a [TokenStore] in memory, for one process: everything is lost
// when the process ends. Use it in tests, and in programs that are given their
// tokens anew each time they start.
type MemoryTokenStore struct {
	locks keylock.Locks
	mu    sync.Mutex
	// Pointers, because printing the struct must not print the tokens in it.
	tokens map[string]*Token
}

var _ TokenStore = (*MemoryTokenStore)(nil)

// NewMemoryTokenStore returns an empty store.
func NewMemoryTokenStore() *MemoryTokenStore {
	return &MemoryTokenStore{tokens: map[string]*Token{}}
}

// String prints no credentials and no accounts.
func (s *MemoryTokenStore) String() string { return "pinterest.MemoryTokenStore" }

// Format keeps every verb of fmt from printing more than String does.
func (s *MemoryTokenStore) Format(f fmt.State, verb rune) { formatAs(f, verb, s.String()) }

// Lock implements [TokenStore].
func (s *MemoryTokenStore) Lock(ctx context.Context, account string) (unlock func(), err error) {
	return s.locks.Lock(ctx, account)
}

// Load implements [TokenStore].
func (s *MemoryTokenStore) Load(ctx context.Context, account string) (*Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tok := s.tokens[account]
	if tok == nil {
		return nil, nil
	}
	return copyToken(tok), nil
}

// Version implements [TokenStore].
func (s *MemoryTokenStore) Version(ctx context.Context, account string) (string, error) {
	tok, err := s.Load(ctx, account)
	if tok == nil {
		return "", err
	}
	return tok.Version, nil
}

// Save implements [TokenStore].
func (s *MemoryTokenStore) Save(ctx context.Context, account string, tok *Token) (version string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if tok == nil {
		return "", errors.New("pinterest: MemoryTokenStore.Save: the token is nil")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := ""
	if old := s.tokens[account]; old != nil {
		stored = old.Version
	}
	if tok.Version != stored {
		return "", ErrTokenConflict
	}
	next := copyToken(tok)
	// Random, not counted: a count would start again after Delete, and whoever
	// holds an old token would pass for a holder of the new one.
	next.Version = rand.Text()
	s.tokens[account] = next
	return next.Version, nil
}

// Delete implements [TokenStore].
func (s *MemoryTokenStore) Delete(ctx context.Context, account string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, account)
	return nil
}

// Due implements [TokenStore]. It yields the accounts in alphabetical order, as
// they were when it began.
func (s *MemoryTokenStore) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	expires := func(at time.Time) bool { return !at.IsZero() && at.Before(before) }
	return s.list(ctx, func(tok *Token) bool {
		return tok.RefreshToken != "" && tok.Disconnected == nil && (expires(tok.Expiry) || expires(tok.RefreshExpiry))
	})
}

// Accounts implements [TokenStore]. It yields the accounts in alphabetical order, as
// they were when it began.
func (s *MemoryTokenStore) Accounts(ctx context.Context) iter.Seq2[string, error] {
	return s.list(ctx, func(*Token) bool { return true })
}

// list yields the accounts whose token is wanted.
func (s *MemoryTokenStore) list(ctx context.Context, wanted func(tok *Token) bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for accounts := s.names(wanted); ; accounts = accounts[1:] {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if len(accounts) == 0 || !yield(accounts[0], nil) {
				return
			}
		}
	}
}

func (s *MemoryTokenStore) names(wanted func(tok *Token) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var accounts []string
	for account, tok := range s.tokens {
		if wanted(tok) {
			accounts = append(accounts, account)
		}
	}
	slices.Sort(accounts)
	return accounts
}

// copyToken returns a token that shares nothing with tok, its times in UTC and
// without their monotonic part.
func copyToken(tok *Token) *Token {
	t := tok.inUTC()
	t.Scopes = slices.Clone(t.Scopes)
	if t.User != nil {
		u := *t.User
		t.User = &u
	}
	return &t
}
