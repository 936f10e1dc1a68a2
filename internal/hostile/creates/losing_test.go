package creates_test

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/pinterest-go/pinterest"
)

var errLost = errors.New("the lock was lost")

// losingLedger is a ledger whose locks can be lost: then others can have them.
// A strict one refuses to save without the lock, as a database can: it knows
// the lock by a value of the context.
type losingLedger struct {
	pinterest.Ledger
	strict bool

	mu    sync.Mutex
	locks []*lostLock
	any   bool

	strays, late int // calls of Save without the context of a lock, and after it was lost
}

type lostLock struct {
	cancel context.CancelCauseFunc
	unlock func()
	gone   bool
}

type lockKey struct{}

func (l *losingLedger) Lock(ctx context.Context, names ...string) (context.Context, func(), error) {
	held, unlock, err := l.Ledger.Lock(ctx, names...)
	if err != nil {
		return nil, nil, err
	}
	held, cancel := context.WithCancelCause(held)
	lock := &lostLock{cancel: cancel, unlock: sync.OnceFunc(unlock)}
	held = context.WithValue(held, lockKey{}, lock)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.locks = append(l.locks, lock)
	return held, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, other := range l.locks {
			if other == lock {
				l.locks = append(l.locks[:i], l.locks[i+1:]...)
				break
			}
		}
		cancel(nil)
		lock.unlock()
	}, nil
}

// lose takes all locks from their holders.
func (l *losingLedger) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lock := range l.locks {
		lock.cancel(errLost)
		lock.unlock()
		lock.gone, l.any = true, true
	}
	l.locks = nil
}

// lost reports whether a lock was lost.
func (l *losingLedger) lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.any
}

func (l *losingLedger) Save(ctx context.Context, records map[string][]byte) error {
	l.mu.Lock()
	lock, ok := ctx.Value(lockKey{}).(*lostLock)
	if !ok {
		l.strays++
	}
	gone := ok && lock.gone
	if gone {
		l.late++
	}
	l.mu.Unlock()
	if l.strict && gone {
		return errLost
	}
	return l.Ledger.Save(ctx, records)
}

func splitWords(v string) []string { return strings.Fields(v) }
