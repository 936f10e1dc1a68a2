package limitertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pinterest-go/pinterest"
)

func trialTests() []test {
	return []test{
		{"a day's quota is counted, not paced, and shared by all accounts", countedNotPaced},
		{"a day's quota that is used up is refused until the API's reset", dayUsedUp},
		{"a day's quota is available again at the API's reset", dayBegins},
		{"a day's quota that others have used is used up", dayOthers},
		{"waiters for a new day's quota do not get more than the quota", dayWaiters},
		{"a day's quota of one category does not affect the others", dayCategories},
		{"a day's quota that a 429 closes", dayPenalty},
	}
}

// day takes all writes of a day, by several accounts.
func (r *rig) day(l pinterest.Limiter) {
	r.Helper()
	took := elapsed(func() {
		for i := range 300 {
			r.must(l, write(fmt.Sprint("account ", i%7)))
		}
	})
	between(r, "300 calls", took, 0, tick)
}

// dayRate is what the API says about the writes of a day.
func dayRate(remaining int, reset time.Duration) pinterest.RateLimit {
	p := pinterest.RatePolicy{Name: "org_write" + appScope, Limit: 300, Window: 24 * time.Hour}
	return pinterest.RateLimit{Limit: 300, Remaining: remaining, Reset: reset, Policy: p, Policies: []pinterest.RatePolicy{p}}
}

func countedNotPaced(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	r.day(l)
	p := write("account 8")
	p.MaxHold = time.Minute
	var paced *pinterest.PaceError
	took := elapsed(func() {
		if err := l.Wait(context.Background(), p); !errors.As(err, &paced) || paced.Reason != pinterest.PaceHeld {
			r.Fatalf("the 301st call: %v, want a refusal", err)
		}
	})
	between(r, "it was refused after", took, 0, tick)
	between(r, "until", time.Until(paced.Until), time.Minute, 24*time.Hour)
}

func dayUsedUp(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	r.day(l)
	l.Observe(context.Background(), write("account 1"), dayRate(0, 5*time.Hour))
	reset := time.Now().Add(5 * time.Hour)
	p := write("account 2")
	p.MaxHold = time.Minute
	r.heldUntil("a call", l.Wait(context.Background(), p), reset)
	p.MaxHold = 0 // no limit
	r.must(l, p)
	between(r, "it went after the reset", time.Since(reset), -tick, 2*time.Second)
}

// dayBegins has the API's day begin at another time than midnight UTC.
func dayBegins(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	r.must(l, write("a"))
	l.Observe(context.Background(), write("a"), dayRate(299, 3*time.Hour))
	for range 299 {
		r.must(l, write("a"))
	}
	time.Sleep(3*time.Hour + time.Second)
	r.day(l)
}

func dayOthers(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	r.must(l, write("a"))
	l.Observe(context.Background(), write("a"), dayRate(10, 5*time.Hour))
	u := r.usage(l, "a", "org_write")
	between(r, "used", u.Used, 290, 290)
	between(r, "free", u.Free, 10, 10)
	between(r, "calls at once, of the 10 that are left", r.grab(l, write("b"), 300), 10, 10)
}

func dayWaiters(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	r.must(l, write("a"))
	l.Observe(context.Background(), write("a"), dayRate(0, time.Hour))
	o := &outcomes{}
	for i := range 400 {
		r.begin(context.Background(), o, "", l, write(fmt.Sprint("account ", i)))
	}
	time.Sleep(2 * time.Hour)
	between(r, "calls on the next day", len(o.granted()), 300, 300)
	r.end()
	between(r, "calls on the next two days", len(o.granted()), 400, 400)
}

func dayCategories(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	r.day(l)
	between(r, "reads at once, of 1000 calls a day", r.grab(l, read("a"), 1000), 700, 700)
}

func dayPenalty(r *rig) {
	l := r.limiter(pinterest.AccessTrial.Limits())
	r.must(l, write("a"))
	l.Penalize(context.Background(), write("a"), dayRate(0, 67150*time.Second), 67150*time.Second)
	p := write("b")
	p.MaxHold = time.Minute
	r.heldUntil("another account", l.Wait(context.Background(), p), time.Now().Add(67150*time.Second))
}
