package limitertest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

func headerTests() []test {
	return []test{
		{"nothing left holds until the reset", nothingLeft},
		{"a limit that grows is followed", func(r *rig) { followed(r, 100, 300) }},
		{"a limit that shrinks is followed", func(r *rig) { followed(r, 300, 60) }},
		{"a limit that was not known is learned", learned},
		{"a limit of the app is learned for all its accounts", learnedOfApp},
		{"a limit of the app that is used up holds all its accounts", appUsedUp},
		{"values that are not plausible change nothing", garbage},
		{"values of another limit change nothing", unknownNames},
	}
}

func nothingLeft(r *rig) {
	l := r.limiter(perMinute(100))
	p := write("a")
	r.must(l, p)
	l.Observe(context.Background(), p, writeRate(100, 0, 30*time.Second))
	took := elapsed(func() { r.must(l, p) })
	between(r, "the next", took, 30*time.Second-tick, 32*time.Second)
	at := r.saturate(l, p, 4, 5*time.Second)
	between(r, "calls in the 5 seconds after", len(at), 3, 15)
}

func followed(r *rig, before, after int) {
	l := r.limiter(perMinute(before))
	p := write("a")
	r.saturate(l, p, 2, 2*time.Minute)
	l.Observe(context.Background(), p, writeRate(after, after*9/10, 59*time.Second))
	r.saturate(l, p, 2, 61*time.Second) // the window in which the limit changes
	at := r.saturate(l, p, 2, 2*time.Minute)
	between(r, fmt.Sprintf("2 minutes of %d a minute", after), len(at), after*2*97/100, after*2)
}

func learned(r *rig) {
	l := r.limiter(pinterest.Limits{})
	p := write("a")
	r.must(l, p)
	policies := []pinterest.RatePolicy{{Name: "org_write" + userScope, Limit: 60, Window: time.Minute}}
	l.Observe(context.Background(), p, pinterest.RateLimit{Limit: 60, Remaining: 59, Reset: time.Minute, Policy: policies[0], Policies: policies})
	between(r, "at once", r.grab(l, p, 100), 1, 12)
	between(r, "in a minute", len(r.saturate(l, p, 2, time.Minute)), 45, 60)
	took := elapsed(func() {
		for range 100 {
			r.must(l, read("a"))
		}
	})
	between(r, "100 calls of another category", took, 0, tick)
}

// reports is an answer that reveals a limit of the app.
func reports(limit, remaining int, reset time.Duration) pinterest.RateLimit {
	own := pinterest.RatePolicy{Name: "ads_analytics" + userScope, Limit: 300, Window: time.Minute}
	apps := pinterest.RatePolicy{Name: "analytics_get_report" + appScope, Limit: limit, Window: time.Minute}
	return pinterest.RateLimit{
		Limit: limit, Remaining: remaining, Reset: reset, Policy: apps, Policies: []pinterest.RatePolicy{safetyNet, own, apps},
	}
}

// report is a permit for a call that this limit holds for.
func report(account string) pinterest.Permit {
	return pinterest.Permit{App: "app", Account: account, Category: pinterest.CategoryAdsAnalytics}
}

func learnedOfApp(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, report("a"))
	l.Observe(context.Background(), report("a"), reports(80, 79, time.Minute))
	began := time.Now()
	counts := make([]int, 4)
	var wg sync.WaitGroup
	for i := range counts {
		wg.Go(func() { counts[i] = len(r.saturate(l, report(fmt.Sprint("account ", i)), 2, 3*time.Minute)) })
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
		between(r, "calls of one of four", n, 3*80/4*90/100, 3*80/4*110/100)
	}
	between(r, fmt.Sprintf("calls in %v", time.Since(began)), total, 3*80*97/100, 3*80)

	stranger := report("account 0")
	stranger.App = "another app"
	between(r, "another app, at once", r.grab(l, stranger, 100), 10, 60)
	other := report("account 0")
	other.Category = pinterest.CategoryAdsRead
	between(r, "another category, at once", r.grab(l, other, 100), 10, 60)
}

func appUsedUp(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, report("a"))
	l.Observe(context.Background(), report("a"), reports(800, 0, 20*time.Second))
	took := elapsed(func() { r.must(l, report("b")) })
	between(r, "another account", took, 20*time.Second-tick, 22*time.Second)
}

// sameAs checks that an account has the same pace as a control account.
func (r *rig) sameAs(what string, l pinterest.Limiter, control, p pinterest.Permit) {
	r.Helper()
	var counts [2]int
	var wg sync.WaitGroup
	for i, p := range []pinterest.Permit{control, p} {
		wg.Go(func() { counts[i] = len(r.saturate(l, p, 2, 20*time.Second)) })
	}
	wg.Wait()
	between(r, what+": calls in 20 seconds", counts[1], counts[0]-1, counts[0]+1)
}

func garbage(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	known := writePolicies(100)[pinterest.CategoryOrgWrite]
	for i, rate := range []pinterest.RateLimit{
		{},
		{Remaining: -1},
		{Limit: 100, Remaining: -1, Policy: known[1], Policies: known},
		{Limit: 100, Remaining: -1, Reset: 30 * time.Second, Policy: known[1], Policies: known},
		{Limit: 100, Remaining: 101, Reset: 30 * time.Second, Policy: known[1], Policies: known},
		{Limit: 100, Remaining: 50, Policy: known[1], Policies: known},
		{Limit: 100, Remaining: 0, Policy: known[1], Policies: known},
		{Limit: 0, Remaining: 0, Reset: 30 * time.Second},
		{Limit: -5, Remaining: -5, Reset: -5},
		{Limit: 100, Remaining: 0, Reset: math.MaxInt64, Policies: known},
		{Limit: 100, Remaining: 10, Reset: 67150 * time.Second, Policies: known},
		{Limit: 4711, Remaining: 3, Reset: 30 * time.Second, Policies: known},
		{Limit: 4711, Remaining: 3, Reset: 30 * time.Second},
		{Limit: math.MaxInt32, Remaining: math.MaxInt32, Reset: math.MaxInt64},
		{Remaining: -1, Policies: []pinterest.RatePolicy{{}, {Limit: 5}, {Window: time.Minute}, {Name: "org_write" + userScope}}},
		{Remaining: -1, Policies: []pinterest.RatePolicy{{Name: "org_write" + userScope, Limit: 0, Window: time.Minute}}},
		{Remaining: -1, Policies: []pinterest.RatePolicy{{Name: "org_write" + userScope, Limit: 5, Window: math.MaxInt64}}},
		{Remaining: -1, Policies: []pinterest.RatePolicy{{Name: "org_write" + userScope, Limit: -7, Window: -time.Minute}}},
		{Remaining: -1, Policies: []pinterest.RatePolicy{{Name: "org_write" + userScope, Limit: 7, Window: time.Millisecond}}},
	} {
		p := write(fmt.Sprint("account ", i))
		for range 3 {
			l.Observe(context.Background(), p, rate)
		}
		r.sameAs(fmt.Sprintf("after %+v", rate), l, write(fmt.Sprint("control ", i)), p)
	}
}

func unknownNames(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	for i, policy := range []pinterest.RatePolicy{
		{Limit: 7, Window: time.Minute},
		{Limit: 7, Window: time.Second},
		{Limit: 7, Window: 24 * time.Hour},
		{Name: "something_else" + userScope, Limit: 7, Window: time.Minute},
		{Name: "something_else" + userScope, Limit: 7, Window: time.Second},
		{Name: "\xff;drop", Limit: 7, Window: time.Minute},
		{Name: "org_read" + userScope, Limit: 7, Window: time.Minute},
	} {
		p := write(fmt.Sprint("account ", i))
		for range 3 {
			l.Observe(context.Background(), p, pinterest.RateLimit{
				Limit: 7, Remaining: 3, Reset: time.Second, Policy: policy, Policies: []pinterest.RatePolicy{safetyNet, policy, writePolicy(100)},
			})
			l.Observe(context.Background(), p, pinterest.RateLimit{Remaining: -1, Policies: []pinterest.RatePolicy{policy}})
		}
		r.sameAs(fmt.Sprintf("after %+v", policy), l, write(fmt.Sprint("control ", i)), p)
	}
}
