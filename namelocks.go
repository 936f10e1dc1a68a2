package pinterest

import (
	"context"
	"sync"
)

// nameLocks are locks by name among the callers of one process. Those who wait
// for the same one are let in first come, first served.
type nameLocks struct {
	mu    sync.Mutex
	names map[string]*nameLock
}

type nameLock struct {
	turn  chan struct{}
	users int // who hold it or wait for it; without any it is forgotten
}

// lock waits for the lock of a name, or returns ctx's error.
func (l *nameLocks) lock(ctx context.Context, name string) error {
	// One who has left already takes nothing, not even what is free.
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.join(name).turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.leave(name, false)
		return ctx.Err()
	}
}

// unlock gives back what lock has taken.
func (l *nameLocks) unlock(name string) { l.leave(name, true) }

func (l *nameLocks) join(name string) *nameLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.names[name]
	if k == nil {
		k = &nameLock{turn: make(chan struct{}, 1)}
		if l.names == nil {
			l.names = map[string]*nameLock{}
		}
		l.names[name] = k
	}
	k.users++
	return k
}

func (l *nameLocks) leave(name string, held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.names[name]
	if held {
		<-k.turn
	}
	if k.users--; k.users == 0 {
		delete(l.names, name)
	}
}
