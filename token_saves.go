package pinterest

import (
	"context"
	"errors"
	"time"

	"github.com/pinterest-go/pinterest/internal/reserved"
)

// This file changes records of a token store while others do the same.

// maxConflicts is how often in a row a record may be changed by others while it is
// being saved, and conflictPause the longest time between two tries.
const (
	maxConflicts  = 100
	conflictPause = 200 * time.Millisecond
)

// errConflicts is not an ErrTokenConflict, after which one tries again.
var errConflicts = errors.New("others have changed the record again and again")

// untilSaved calls save until nobody else's change gets in between.
func (k *core) untilSaved(ctx context.Context, save func() error) error {
	for n := range maxConflicts {
		if err := save(); !errors.Is(err, ErrTokenConflict) {
			return err
		}
		if err := k.clock.Sleep(ctx, min(time.Millisecond<<min(n, 10), conflictPause)); err != nil {
			return err
		}
	}
	return errConflicts
}

// persist calls f until it has had enough or the time is over, with pauses that grow.
// Each call has half of the time at most, so that one that hangs is not the last.
func (k *core) persist(ctx context.Context, limit time.Duration, f func(ctx context.Context) (again bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	end := k.clock.Now().Add(limit)
	for pause := limit / 100; ; pause = min(2*pause, limit/5) {
		trying, stop := context.WithTimeout(ctx, limit/2)
		again, err := f(trying)
		stop()
		if !again || !k.clock.Now().Add(pause).Before(end) || k.clock.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

// update replaces a record in the store by what change makes of it, and returns what it
// was. Nothing is saved if change returns nil. A store that fails is tried again.
func (k *core) update(ctx context.Context, name string, change func(stored *Token) *Token) (stored *Token, err error) {
	err = k.persist(ctx, saveTime, func(ctx context.Context) (again bool, err error) {
		err = k.untilSaved(ctx, func() error {
			if stored, err = k.load(ctx, name); err != nil {
				return loadError{err}
			}
			next := change(stored)
			if next == nil {
				return nil
			}
			next.Version = ""
			if stored != nil {
				next.Version = stored.Version
			}
			version, err := k.store.Save(ctx, name, next)
			if err != nil {
				return saveError{err}
			}
			next.Version = version
			return nil
		})
		return err != nil && !errors.Is(err, errConflicts), err
	})
	return stored, err
}

// load loads a record. One of the library's own that cannot be read, such as after its
// key was lost, is removed: it is worth less than what would wait for it for ever.
func (k *core) load(ctx context.Context, name string) (*Token, error) {
	tok, err := k.store.Load(ctx, name)
	if errors.Is(err, ErrTokenUnreadable) && reserved.Name(name) && k.store.Delete(ctx, name) == nil {
		return nil, nil
	}
	return tok, err
}
