package limitertest

import (
	"context"
	"fmt"
	"time"

	"github.com/pinterest-go/pinterest"
)

func usageTests() []test {
	return []test{
		{"without calls there is no usage", noUsage},
		{"usage counts calls", usageCounts},
		{"usage follows the headers", usageHeaders},
		{"usage shows a hold", usageHeld},
		{"usage counts the waiters", usageWaiting},
		{"usage includes the app's limits", usageApp},
		{"what was used is free again after a window", usageRested},
		{"asking for the usage uses nothing", usageIsFree},
	}
}

// usage returns the account's entry for a limit.
func (r *rig) usage(l pinterest.Limiter, account, limit string) pinterest.Usage {
	r.Helper()
	list, err := l.Usage(context.Background(), "app", account)
	if err != nil {
		r.Fatalf("Usage: %v", err)
	}
	for _, u := range list {
		if u.Limit == limit {
			return u
		}
	}
	return pinterest.Usage{}
}

func noUsage(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, write("a"))
	for _, key := range [][2]string{{"app", "b"}, {"another app", "a"}} {
		if list, err := l.Usage(context.Background(), key[0], key[1]); err != nil || len(list) > 0 {
			r.Errorf("Usage of %q: %+v, %v, want none", key, list, err)
		}
	}
}

func usageCounts(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	for range 5 {
		r.must(l, write("a"))
	}
	u := r.usage(l, "a", "org_write")
	if u.Category != pinterest.CategoryOrgWrite || u.App || u.Max != 100 || u.Window != time.Minute || !u.HeldUntil.IsZero() || u.Waiting != 0 {
		r.Errorf("Usage: %+v", u)
	}
	between(r, "used", u.Used, 5, 5)
	between(r, "free", u.Free, 95, 95)
	between(r, "reset", u.Reset, time.Millisecond, time.Minute)
	all := r.usage(l, "a", "safety_net")
	if all.Category != pinterest.CategoryAll || all.Max != 100 || all.Window != time.Second {
		r.Errorf("Usage of the safety net: %+v", all)
	}
	if other := r.usage(l, "a", "org_read"); other.Used != 0 {
		r.Errorf("Usage of the reads: %+v", other)
	}
}

func usageHeaders(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, write("a"))
	l.Observe(context.Background(), write("a"), writeRate(100, 40, 30*time.Second))
	u := r.usage(l, "a", "org_write")
	between(r, "used", u.Used, 60, 60)
	between(r, "free", u.Free, 40, 40)
	between(r, "reset", u.Reset, 28*time.Second, 31*time.Second)
}

func usageHeld(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, write("a"))
	l.Penalize(context.Background(), write("a"), penalty(20*time.Second), 20*time.Second)
	u := r.usage(l, "a", "org_write")
	between(r, "free", u.Free, 0, 0)
	between(r, "held for", time.Until(u.HeldUntil), 20*time.Second-tick, 20*time.Second+tick)
	between(r, "reset", u.Reset, 20*time.Second-tick, time.Minute)
	time.Sleep(21 * time.Second)
	u = r.usage(l, "a", "org_write")
	if !u.HeldUntil.IsZero() {
		r.Errorf("after the hold: %+v", u)
	}
	between(r, "free after the hold", u.Free, 1, 100)
}

func usageWaiting(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.empty(l, write("a"))
	r.queue(l, write("a"), 4)
	between(r, "waiting", r.usage(l, "a", "org_write").Waiting, 4, 4)
	r.end()
	between(r, "waiting in the end", r.usage(l, "a", "org_write").Waiting, 0, 0)
}

func usageApp(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	for i := range 30 {
		r.must(l, write(fmt.Sprint("account ", i)))
	}
	for limit, size := range map[string]int{"org_write": 300, "safety_net": 1000} {
		u := r.usage(l, "account 1", limit)
		if !u.App || u.Max != size || u.Window != 24*time.Hour {
			r.Errorf("Usage of %s: %+v", limit, u)
		}
		between(r, "used of "+limit, u.Used, 30, 30)
		between(r, "free of "+limit, u.Free, size-30, size-30)
		between(r, "reset of "+limit, u.Reset, time.Second, 24*time.Hour)
	}

	revealed := r.limiter(pinterest.AccessStandard.Limits())
	r.must(revealed, report("a"))
	revealed.Observe(context.Background(), report("a"), reports(800, 700, 30*time.Second))
	u := r.usage(revealed, "a", "analytics_get_report")
	if !u.App || u.Max != 800 || u.Category != pinterest.CategoryAdsAnalytics {
		r.Errorf("Usage: %+v", u)
	}
	between(r, "used", u.Used, 100, 100)
}

func usageRested(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	for _, reset := range []time.Duration{0, 30 * time.Second} {
		r.empty(l, write("a"))
		if reset > 0 {
			l.Observe(context.Background(), write("a"), writeRate(100, 20, reset))
		}
		time.Sleep(3 * time.Minute)
		u := r.usage(l, "a", "org_write")
		between(r, "used", u.Used, 0, 0)
		if u.Max > 0 {
			between(r, "free", u.Free, 100, 100)
		}
		r.must(l, write("a"))
	}
}

func usageIsFree(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	r.empty(l, write("control"))
	for range 100 {
		r.usage(l, "a", "org_write")
		time.Sleep(10 * time.Millisecond)
	}
	r.sameAs("after 100 questions", l, write("control"), write("a"))
}
