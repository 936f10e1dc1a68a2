// Package keylock has locks by name among the callers of one process, which can
// be waited for with a context.
package keylock

import (
	"context"
	"slices"
	"sync"
)

// Locks are exclusive locks by name. Callers who wait for the same name are
// served first come, first served. Names need not be declared, and those that
// nobody uses take no memory. The zero value is ready for use. Locks must not be
// copied after first use.
type Locks struct {
	mu    sync.Mutex
	names map[string]*lock
}

// lock is the lock of one name.
type lock struct {
	held  chan struct{} // has an element while somebody holds the lock
	users int           // who hold it or wait for it; without any it is forgotten
}

// Lock waits until the caller alone holds all of the names and returns how to
// give them back, which may be called more than once. A name given twice is
// taken once. All callers take names in the same order, so they cannot deadlock
// with one another. When ctx ends first, Lock returns its error and the caller
// holds nothing.
func (l *Locks) Lock(ctx context.Context, names ...string) (unlock func(), err error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	held := 0
	unlock = sync.OnceFunc(func() {
		for _, name := range names[:held] {
			l.leave(name, true)
		}
	})
	for _, name := range names {
		if err := l.lock(ctx, name); err != nil {
			unlock()
			return nil, err
		}
		held++
	}
	return unlock, nil
}

// lock waits for one name.
func (l *Locks) lock(ctx context.Context, name string) error {
	// A select takes any case that is ready: a lock that is free must not be
	// taken with a context that has ended.
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.join(name).held <- struct{}{}: // blocked senders are served in order
		return nil
	case <-ctx.Done():
		l.leave(name, false)
		return ctx.Err()
	}
}

// join returns the lock of a name, with the caller as one of its users.
func (l *Locks) join(name string) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.names[name]
	if k == nil {
		k = &lock{held: make(chan struct{}, 1)}
		if l.names == nil {
			l.names = map[string]*lock{}
		}
		l.names[name] = k
	}
	k.users++
	return k
}

// leave undoes join and, for a caller who holds the lock, gives it back.
func (l *Locks) leave(name string, held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.names[name]
	if held {
		<-k.held
	}
	if k.users--; k.users == 0 {
		delete(l.names, name)
	}
}
