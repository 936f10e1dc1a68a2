package pinterest

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pinterest-go/pinterest/internal/bucket"
	"github.com/pinterest-go/pinterest/internal/genmap"
)

// maxShared bounds the limits of an app that headers reveal for one category.
const maxShared = 16

// pacedApp is the state of one app: its accounts, and the limits that they share.
type pacedApp struct {
	accounts *genmap.Map[pacedAccount]
	mu       sync.Mutex                                  // for changing shared
	shared   atomic.Pointer[map[Category][]*sharedLimit] // never changed in place
}

// sharedLimit is a limit that all accounts of an app share.
type sharedLimit struct {
	name     string
	category Category
	mu       sync.Mutex               // guards what follows
	queues   map[*pacedQueue]struct{} // the queues that wait for it, among others
	bucket   bucket.Bucket
}

func newPacedApp(limits map[Category]Quota, now int64) *pacedApp {
	app := &pacedApp{accounts: genmap.New(idleTime, (*pacedAccount).inUse)}
	for c, q := range limits {
		if q.Limit > 0 {
			app.share(limitName(c), c, newBucket(q, now))
		}
	}
	return app
}

// limits returns the shared limits that hold for a category.
func (a *pacedApp) limits(c Category) []*sharedLimit {
	shared := a.shared.Load()
	if shared == nil {
		return nil
	}
	if list, ok := (*shared)[c]; ok {
		return list
	}
	return (*shared)[CategoryAll]
}

// limit returns the shared limit of this name that holds for the category, or nil.
func (a *pacedApp) limit(name string, c Category) *sharedLimit {
	for _, s := range a.limits(c) {
		if s.name == name {
			return s
		}
	}
	return nil
}

// share makes a limit hold for a category, or for all. If a limit of that name
// holds for other categories already, it is that one, otherwise a new one that
// starts with b.
func (a *pacedApp) share(name string, c Category, b bucket.Bucket) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limit(name, c) != nil {
		return
	}
	lists := map[Category][]*sharedLimit{CategoryAll: nil}
	s := &sharedLimit{name: name, category: c, bucket: b, queues: map[*pacedQueue]struct{}{}}
	if old := a.shared.Load(); old != nil {
		maps.Copy(lists, *old)
		for other := range lists {
			if known := a.limit(name, other); known != nil {
				s = known
			}
		}
	}
	if lists[c] == nil {
		lists[c] = lists[CategoryAll]
	}
	for other, list := range lists {
		if (other == c || c == CategoryAll) && !slices.Contains(list, s) {
			lists[other] = append(slices.Clip(list), s)
		}
	}
	a.shared.Store(&lists)
}

// takeShared takes the cost from all of the limits, or from none.
func takeShared(shared []*sharedLimit, now int64, cost float64) bool {
	for i, s := range shared {
		s.mu.Lock()
		s.bucket.Advance(now)
		ok := s.bucket.Due(cost) <= now
		if ok {
			s.bucket.Take(cost)
		}
		s.mu.Unlock()
		if !ok {
			for _, taken := range shared[:i] {
				taken.giveBack(cost)
			}
			return false
		}
	}
	return true
}

func (s *sharedLimit) giveBack(cost float64) {
	s.mu.Lock()
	s.bucket.Take(-cost)
	s.mu.Unlock()
}
