package genmap

import (
	"strconv"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

const lifetime = time.Minute

// at returns a time of a test, in seconds after it began.
func at(seconds int) int64 {
	return time.Date(2027, time.March, 4, 5, 6, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second).UnixNano()
}

type thing struct {
	name string
	busy bool
}

func newThings() *Map[thing] {
	return New(lifetime, func(t *thing, _ int64) bool { return t.busy })
}

// use does what a caller does: it gets the value of a key, or makes it.
func use(m *Map[thing], key string, now int64) (value *thing, found bool) {
	s := m.Shard(key)
	s.Lock()
	defer s.Unlock()
	s.Age(now)
	if value = s.Get(key); value != nil {
		return value, true
	}
	value = &thing{name: key}
	s.Put(key, value)
	return value, false
}

func peek(m *Map[thing], key string) *thing {
	s := m.Shard(key)
	s.Lock()
	defer s.Unlock()
	return s.Peek(key)
}

func (m *Map[T]) size() (n int) {
	for i := range m.shards {
		n += len(m.shards[i].young) + len(m.shards[i].old)
	}
	return n
}

func TestValueIsKeptWhileItIsUsed(t *testing.T) {
	m := newThings()
	first, found := use(m, "a", at(0))
	assert.False(t, found)
	for seconds := 0; seconds < 1000; seconds += 59 {
		again, _ := use(m, "a", at(seconds))
		assert.Same(t, first, again)
	}
	assert.Equal(t, 1, m.size(), "it is in one generation only")
}

func TestValueIsDroppedWhenItIsNotUsed(t *testing.T) {
	m := newThings()
	use(m, "a", at(0))
	s := m.Shard("a")
	for _, seconds := range []int{59, 60, 119} {
		s.Age(at(seconds))
		assert.NotNil(t, peek(m, "a"), seconds)
	}
	s.Age(at(120))
	assert.Nil(t, peek(m, "a"))

	use(m, "b", at(1000))
	m.Shard("b").Age(at(2000)) // both generations at once
	assert.Nil(t, peek(m, "b"))
}

func TestPeekIsNotAUse(t *testing.T) {
	m := newThings()
	use(m, "a", at(0))
	m.Shard("a").Age(at(60))
	assert.NotNil(t, peek(m, "a"))
	m.Shard("a").Age(at(120))
	assert.Nil(t, peek(m, "a"))
}

func TestPutReplacesAValueOfTheOldGeneration(t *testing.T) {
	m := newThings()
	use(m, "a", at(0))
	s := m.Shard("a")
	s.Age(at(60))
	value := &thing{name: "new"}
	s.Put("a", value)
	assert.Same(t, value, s.Get("a"))
	assert.Equal(t, 1, m.size())
}

func TestKeepDecides(t *testing.T) {
	for name, gap := range map[string]int{"one generation after another": 60, "both at once": 600} {
		t.Run(name, func(t *testing.T) {
			m := newThings()
			busy, _ := use(m, "a", at(0))
			busy.busy = true
			use(m, "b", at(0))
			for i := 1; i < 10; i++ {
				m.Shard("a").Age(at(i * gap))
				m.Shard("b").Age(at(i * gap))
			}
			assert.Same(t, busy, peek(m, "a"))
			assert.Nil(t, peek(m, "b"))
			busy.busy = false
			for i := 10; i < 13; i++ {
				m.Shard("a").Age(at(i * gap))
			}
			assert.Nil(t, peek(m, "a"))
		})
	}
}

func TestWithoutKeepNothingIsKept(t *testing.T) {
	m := New[thing](lifetime, nil)
	m.Shard("a").Put("a", &thing{})
	m.Shard("a").Age(at(0))
	m.Shard("a").Age(at(1000))
	assert.Zero(t, m.size())
}

// Calls for one key empty the shards of all others.
func TestShardsWithoutCallsAreEmptied(t *testing.T) {
	m := newThings()
	for i := range 5000 {
		use(m, strconv.Itoa(i), at(0))
	}
	assert.Equal(t, 5000, m.size())
	for i := range shards {
		use(m, "a", at(1000+i))
	}
	assert.Equal(t, 1, m.size())
}

func TestAShardThatIsInUseIsSkipped(t *testing.T) {
	m := newThings()
	use(m, "a", at(0))
	s := m.Shard("a")
	s.Lock()
	for i := range m.shards {
		if other := &m.shards[i]; other != s {
			other.Lock()
			for range shards {
				other.Age(at(1000))
			}
			other.Unlock()
		}
	}
	assert.NotNil(t, s.Peek("a"))
	s.Unlock()
}

// The times of a clock that was never set are before 1970.
func TestAClockBefore1970(t *testing.T) {
	m := newThings()
	const ago = -7_000_000_000_000_000_000
	use(m, "a", ago)
	m.Shard("a").Age(ago + 3*int64(lifetime))
	assert.Zero(t, m.size())
}

// TestAgainstAModel uses keys at random: a value has to be there for a lifetime
// after its last use, and must not be there three lifetimes after it.
func TestAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, now, used := newThings(), at(0), map[string]int64{}
		values := map[string]*thing{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.Int64Range(0, 2*int64(lifetime)).Draw(t, "rest") / 3
			key := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key")
			if rapid.Bool().Draw(t, "age") {
				m.Shard(key).Age(now)
				continue
			}
			value, found := use(m, key, now)
			last, known := used[key]
			switch idle := now - last; {
			case found && (!known || value != values[key]):
				t.Fatalf("%s: another value than was put", key)
			case found && idle > 3*int64(lifetime):
				t.Fatalf("%s: still there after %v", key, time.Duration(idle))
			case !found && known && idle < int64(lifetime):
				t.Fatalf("%s: dropped after %v", key, time.Duration(idle))
			}
			used[key], values[key] = now, value
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	m := New(time.Microsecond, func(v *int, _ int64) bool { return *v%2 == 1 })
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				key := strconv.Itoa((i*7 + g) % 50)
				s := m.Shard(key)
				s.Lock()
				s.Age(time.Now().UnixNano())
				value := s.Get(key)
				if value == nil {
					value = new(int)
					s.Put(key, value)
				}
				*value++ // guarded by the shard's lock
				s.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestAShardFillsACacheLine(t *testing.T) {
	assert.Equal(t, uintptr(64), unsafe.Sizeof(Shard[thing]{}))
}

func TestUseAllocatesNothing(t *testing.T) {
	m := newThings()
	now := at(0)
	use(m, "a", now)
	assert.Zero(t, testing.AllocsPerRun(100, func() { use(m, "a", now) }))
}
