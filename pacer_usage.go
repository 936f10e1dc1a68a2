package pinterest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/bucket"
)

// Usage implements [Limiter].
func (p *Pacer) Usage(_ context.Context, appName, account string) ([]Usage, error) {
	app := p.app(appName)
	sh, now := app.accounts.Shard(account), p.clock.Now().UnixNano()
	var list []Usage
	sh.Lock()
	if acct := sh.Peek(account); acct != nil {
		list = acct.usage(now)
	}
	sh.Unlock()
	if shared := app.shared.Load(); shared != nil {
		seen := map[*sharedLimit]bool{}
		for _, limits := range *shared {
			for _, s := range limits {
				if !seen[s] {
					seen[s] = true
					list = append(list, s.usage(now))
				}
			}
		}
	}
	slices.SortFunc(list, compareUsage)
	return list, nil
}

// usage returns the usage of the account's own limits. The shard's lock is held.
func (a *pacedAccount) usage(now int64) []Usage {
	var list []Usage
	if a.all.Limit() > 0 {
		u := bucketUsage(&a.all, now)
		u.Limit = limitName(CategoryAll)
		list = append(list, u)
	}
	for cat := &a.category; cat != nil; cat = cat.next {
		if cat.bucket.Limit() == 0 {
			continue
		}
		u := bucketUsage(&cat.bucket, now)
		u.Limit, u.Category = string(cat.name), cat.name
		if cat.queue != nil {
			u.Waiting = cat.queue.queue.Len()
		}
		list = append(list, u)
	}
	return list
}

func (s *sharedLimit) usage(now int64) Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := bucketUsage(&s.bucket, now)
	u.Limit, u.Category, u.App = s.name, s.category, true
	return u
}

func bucketUsage(b *bucket.Bucket, now int64) Usage {
	s := b.State(now)
	u := Usage{Max: b.Limit(), Window: b.Window(), Used: s.Used, Free: s.Free, Reset: s.Reset}
	if s.Held != 0 {
		u.HeldUntil = time.Unix(0, s.Held)
	}
	return u
}

// compareUsage sorts limits by name, those of the account before those of the app.
func compareUsage(a, b Usage) int {
	if a.App != b.App {
		if a.App {
			return 1
		}
		return -1
	}
	return strings.Compare(a.Limit, b.Limit)
}
