// Package genmap is a sharded map that forgets the values that are no longer
// used. It has no goroutine and no timer: each use of the map does a small part of
// the work.
//
// A shard has two generations of values. A value that is used moves into the
// young one. Once in a lifetime the young generation becomes the old one, and the
// values of the old one are dropped. So a value that is not used is kept for one
// lifetime at least and, as long as the map is in use, for three at most.
package genmap

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// shards keeps the keys apart, so that many cores do not contend for one lock.
const shards = 256

// Map is a map from strings to pointers. Use New: the zero Map is not ready.
//
// Times are nanoseconds since 1970, by the clock of the caller.
type Map[T any] struct {
	seed     maphash.Seed
	lifetime int64
	keep     func(value *T, now int64) bool
	shards   [shards]Shard[T]
}

// Shard is a part of a Map. Its lock guards what it holds, and may guard the
// values as well. All methods are called with the lock held.
type Shard[T any] struct {
	mu    sync.Mutex
	m     *Map[T]
	young map[string]*T
	old   map[string]*T
	turn  atomic.Int64 // when the next generation begins
	next  uint8        // the index of the shard that Age looks at next
	_     [23]byte     // up to the size of a cache line
}

// New returns an empty map. When a value is about to be dropped, it stays for
// another lifetime if keep returns true for it. keep is called with the lock of
// the value's shard held. With a nil keep no value stays.
func New[T any](lifetime time.Duration, keep func(value *T, now int64) bool) *Map[T] {
	m := &Map[T]{seed: maphash.MakeSeed(), lifetime: int64(lifetime), keep: keep}
	for i := range m.shards {
		m.shards[i].m = m
		m.shards[i].turn.Store(math.MinInt64)
	}
	return m
}

// Shard returns the shard of a key. It does not lock it.
func (m *Map[T]) Shard(key string) *Shard[T] {
	return &m.shards[maphash.String(m.seed, key)%shards]
}

// Lock locks the shard.
func (s *Shard[T]) Lock() { s.mu.Lock() }

// Unlock unlocks the shard.
func (s *Shard[T]) Unlock() { s.mu.Unlock() }

// Get returns the value of a key, or nil. It counts as a use of the value.
func (s *Shard[T]) Get(key string) *T {
	value := s.young[key]
	if value == nil {
		if value = s.old[key]; value != nil {
			s.Put(key, value)
		}
	}
	return value
}

// Peek returns the value of a key, or nil. It does not count as a use.
func (s *Shard[T]) Peek(key string) *T {
	if value := s.young[key]; value != nil {
		return value
	}
	return s.old[key]
}

// Put stores a value, which must not be nil. It counts as a use of the value.
func (s *Shard[T]) Put(key string, value *T) {
	delete(s.old, key)
	if s.young == nil {
		s.young = map[string]*T{}
	}
	s.young[key] = value
}

// Age drops values that were not used for long: those of this shard, and those
// of one other shard, in turn, so that shards without calls are emptied as well.
// It skips the other shard if somebody else has locked it.
func (s *Shard[T]) Age(now int64) {
	if now >= s.turn.Load() {
		s.age(now)
	}
	s.next++
	other := &s.m.shards[s.next]
	if now >= other.turn.Load() && other != s && other.mu.TryLock() {
		other.age(now)
		other.mu.Unlock()
	}
}

// age begins the next generation.
func (s *Shard[T]) age(now int64) {
	turn := s.turn.Load()
	if now < turn {
		return // somebody else was here since
	}
	kept := s.kept(nil, s.old, now)
	if now > turn+s.m.lifetime { // not used for two generations
		kept = s.kept(kept, s.young, now)
		s.young = nil
	}
	s.old, s.young = s.young, kept
	s.turn.Store(now + s.m.lifetime)
}

// kept adds the values that are to be kept to a map that it makes if needed.
func (s *Shard[T]) kept(kept, values map[string]*T, now int64) map[string]*T {
	if s.m.keep == nil {
		return kept
	}
	for key, value := range values {
		if s.m.keep(value, now) {
			if kept == nil {
				kept = map[string]*T{}
			}
			kept[key] = value
		}
	}
	return kept
}
