package redislimit

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Usage implements [pinterest.Limiter]. Used counts the requests of the whole
// fleet, Waiting the calls of this process. Usage fails while Redis does not
// answer.
func (l *Limiter) Usage(ctx context.Context, app, account string) ([]pinterest.Usage, error) {
	limits := l.all(app, account)
	a, err := l.run(ctx, request{operation: usage, limits: limits})
	if err != nil {
		return nil, err
	}
	var list []pinterest.Usage
	for i := range limits {
		x, res := &limits[i], &a.results[i]
		if res.a < 0 {
			continue
		}
		u := pinterest.Usage{
			Limit: x.name, Category: x.of, App: x.app, Max: res.quota.Limit, Window: res.quota.Window,
			Used: int(res.a), Reset: time.Duration(res.b) * time.Microsecond, HeldUntil: res.held,
		}
		u.Free = max(0, u.Max-u.Used)
		if !u.HeldUntil.IsZero() {
			u.Free, u.Reset = 0, max(u.Reset, u.HeldUntil.Sub(l.clock.Now()))
		}
		if !x.app {
			u.Waiting = l.waiting(x.key)
		}
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b pinterest.Usage) int {
		switch {
		case a.App == b.App:
			return strings.Compare(a.Limit, b.Limit)
		case a.App:
			return 1
		}
		return -1
	})
	return list, nil
}

// all returns every limit that can be in use for the account.
func (l *Limiter) all(app, account string) []limit {
	categories := map[pinterest.Category]bool{}
	for _, c := range published {
		categories[c] = true
	}
	for _, quotas := range []map[pinterest.Category]pinterest.Quota{l.limits.Account, l.limits.App} {
		for c := range quotas {
			categories[c] = true
		}
	}
	l.known.mu.Lock()
	for _, x := range l.known.shared[app] {
		categories[x.of] = true
	}
	l.known.mu.Unlock()
	delete(categories, pinterest.CategoryAll) // its limits are among those of every other category
	seen := map[string]bool{}
	var list []limit
	for _, c := range slices.Sorted(maps.Keys(categories)) {
		for _, x := range l.of(&pinterest.Permit{App: app, Account: account, Category: c}) {
			if !seen[x.key] {
				seen[x.key] = true
				list = append(list, x)
			}
		}
	}
	return list
}

// published are the categories that the API is known to have.
var published = []pinterest.Category{
	pinterest.CategoryAdsAnalytics, pinterest.CategoryAdsConversions, pinterest.CategoryAdsRead, pinterest.CategoryAdsWrite,
	pinterest.CategoryAdvancedAuctionRead, pinterest.CategoryAdvancedAuctionWrite, pinterest.CategoryCatalogsRead,
	pinterest.CategoryCatalogsWrite, pinterest.CategoryMSOTWrite, pinterest.CategoryOrgAnalytics, pinterest.CategoryOrgRead,
	pinterest.CategoryOrgWrite, pinterest.CategoryTrendsRead,
}
