package limitertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pinterest-go/pinterest"
)

func refusalTests() []test {
	return []test{
		{"a 429 holds its key until the wait is over", holdsKey},
		{"a 429 holds the waiters, which go spaced out after it", spacedOut},
		{"calls that come during a 429's hold go spaced out after it", spacedOutLater},
		{"a 429 of one account delays no other", othersUnharmed},
		{"a 429 of one category delays no other", categoriesUnharmed},
		{"a 429 of the safety net delays all categories", safetyNetHolds},
		{"a 429 of the app delays all its accounts", appHolds},
		{"a 429 of a limit of the app that was not known", unknownAppHolds},
		{"a 429 of a limit that is not known is the key's own", unknownHolds},
		{"a 429 of something that has no limit", unlimitedHolds},
		{"a shorter 429 does not shorten a longer one", longestHolds},
		{"a 429 that names no time does no harm", noTime},
		{"a call that would be held for too long is refused at once", refusedAtOnce},
		{"a short hold and a long queue are not a long hold", longQueue},
		{"a waiter that would be held for too long is refused at once", refusedInQueue},
		{"the wait for a quota that is used up is bounded, too", usedUpTooLong},
	}
}

// penalty is a 429 of the key's own limit.
func penalty(wait time.Duration) pinterest.RateLimit { return writeRate(100, 0, wait) }

func holdsKey(r *rig) {
	for i, rate := range []pinterest.RateLimit{{Remaining: -1}, {}, penalty(20 * time.Second), {Limit: 100, Remaining: 0, Reset: 20 * time.Second}} {
		l := r.limiter(pinterest.AccessStandard.Limits())
		p := write(fmt.Sprint("account ", i))
		r.must(l, p)
		l.Penalize(context.Background(), p, rate, 20*time.Second)
		took := elapsed(func() { r.must(l, p) })
		between(r, "the next", took, 20*time.Second-tick, 22*time.Second)
	}
}

// queue puts so many calls into the queue, one after another.
func (r *rig) queue(l pinterest.Limiter, p pinterest.Permit, n int) (*outcomes, []string) {
	o, names := &outcomes{}, []string{}
	for i := range n {
		names = append(names, fmt.Sprint(i))
		r.begin(context.Background(), o, names[i], l, p)
	}
	return o, names
}

// spaced checks that calls went at the pace of 100 a minute, in their order, and
// from when on.
func (r *rig) spaced(o *outcomes, names []string, from time.Duration) {
	r.Helper()
	all := o.all()
	if got := o.granted(); !slices.Equal(got, names) {
		r.Fatalf("they went in the order %v", got)
	}
	between(r, "the first went after", all[0].at, from-tick, from+2*time.Second)
	for i := 1; i < len(all); i++ {
		if gap := all[i].at - all[i-1].at; gap < 600*time.Millisecond-tick {
			r.Errorf("%s went %v after %s", all[i].name, gap, all[i-1].name)
		}
	}
	between(r, "all went within", all[len(all)-1].at-all[0].at, 0, time.Duration(len(all))*750*time.Millisecond)
}

func spacedOut(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	p := write("a")
	r.empty(l, p)
	o, names := r.queue(l, p, 64)
	l.Penalize(context.Background(), p, penalty(20*time.Second), 20*time.Second)
	held := time.Since(o.begun) + 20*time.Second
	r.end()
	early := len(slices.DeleteFunc(o.all(), func(one outcome) bool { return one.at > time.Second }))
	if early > 0 { // a permit that was granted before
		r.Errorf("%d went during the hold", early)
	}
	r.spaced(o, names, held)
}

func spacedOutLater(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	p := write("a")
	r.must(l, p)
	l.Penalize(context.Background(), p, penalty(20*time.Second), 20*time.Second)
	o, names := r.queue(l, p, 64)
	r.end()
	r.spaced(o, names, 20*time.Second)
}

func othersUnharmed(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	n := r.grab(l, write("control"), 100)
	r.must(l, write("a"))
	o, _ := r.queue(l, write("a"), 20)
	l.Penalize(context.Background(), write("a"), penalty(time.Hour), time.Hour)
	between(r, "another account, at once", r.grab(l, write("b"), 100), n, n)
	between(r, "another account, in 3 minutes", len(r.saturate(l, write("c"), 2, 3*time.Minute)), 294, 300)
	r.end()
	if len(o.granted()) != 20 {
		r.Error("the account's own calls did not go in the end")
	}
}

func categoriesUnharmed(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	n := r.grab(l, read("control"), 1000)
	r.must(l, write("a"))
	l.Penalize(context.Background(), write("a"), penalty(time.Minute), time.Minute)
	between(r, "another category, at once", r.grab(l, read("a"), 1000), n-1, n)
}

func safetyNetHolds(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, write("a"))
	rate := penalty(time.Second)
	rate.Policy = safetyNet
	l.Penalize(context.Background(), write("a"), rate, 5*time.Second)
	took := elapsed(func() { r.must(l, read("b")) })
	between(r, "another account", took, 0, tick)
	took = elapsed(func() { r.must(l, read("a")) })
	between(r, "another category", took, 5*time.Second-2*tick, 7*time.Second)
}

func appHolds(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	rate := reports(800, 0, 20*time.Second)
	for _, account := range []string{"a", "b"} {
		r.must(l, report(account))
		l.Observe(context.Background(), report(account), reports(800, 700, 40*time.Second))
	}
	o := &outcomes{}
	l.Observe(context.Background(), report("a"), rate)
	l.Penalize(context.Background(), report("a"), rate, 20*time.Second)
	for _, account := range []string{"a", "b", "c"} {
		r.begin(context.Background(), o, account, l, report(account))
	}
	stranger := report("a")
	stranger.App = "another app"
	took := elapsed(func() { r.must(l, stranger); r.must(l, write("a")) })
	between(r, "another app and another category", took, 0, tick)
	r.end()
	for _, one := range o.all() {
		between(r, "account "+one.name, one.at, 20*time.Second-tick, 22*time.Second)
	}
}

func unknownAppHolds(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, report("a"))
	l.Penalize(context.Background(), report("a"), reports(800, 0, 20*time.Second), 20*time.Second)
	took := elapsed(func() { r.must(l, report("b")) })
	between(r, "another account", took, 20*time.Second-tick, 22*time.Second)
}

func unknownHolds(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	policy := pinterest.RatePolicy{Name: "something_else" + userScope, Limit: 10, Window: time.Minute}
	r.must(l, write("a"))
	l.Penalize(context.Background(), write("a"), pinterest.RateLimit{Limit: 10, Reset: 20 * time.Second, Policy: policy, Policies: []pinterest.RatePolicy{policy}}, 20*time.Second)
	took := elapsed(func() { r.must(l, read("a")) })
	between(r, "another category", took, 0, tick)
	took = elapsed(func() { r.must(l, write("a")) })
	between(r, "the next", took, 20*time.Second-2*tick, 22*time.Second)
}

func unlimitedHolds(r *rig) {
	l := r.limiter(pinterest.Limits{})
	r.must(l, write("a"))
	l.Penalize(context.Background(), write("a"), pinterest.RateLimit{Remaining: -1}, 20*time.Second)
	took := elapsed(func() { r.must(l, write("a")) })
	between(r, "the next", took, 20*time.Second-tick, 22*time.Second)
}

func longestHolds(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	r.must(l, write("a"))
	for _, wait := range []time.Duration{10 * time.Second, 30 * time.Second, 5 * time.Second} {
		l.Penalize(context.Background(), write("a"), pinterest.RateLimit{Remaining: -1}, wait)
	}
	took := elapsed(func() { r.must(l, write("a")) })
	between(r, "the next", took, 30*time.Second-tick, 32*time.Second)
}

func noTime(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	for _, wait := range []time.Duration{0, -time.Hour} {
		l.Penalize(context.Background(), write("a"), pinterest.RateLimit{Remaining: -1}, wait)
	}
	took := elapsed(func() { r.must(l, write("a")) })
	between(r, "the next", took, 0, 2*time.Second)
}

// heldUntil checks that err is a refusal because of a hold until then.
func (r *rig) heldUntil(what string, err error, until time.Time) {
	r.Helper()
	var paced *pinterest.PaceError
	if !errors.As(err, &paced) || !errors.Is(err, pinterest.ErrPaced) {
		r.Errorf("%s: %v, want a *PaceError", what, err)
		return
	}
	if paced.Reason != pinterest.PaceHeld {
		r.Errorf("%s: refused for %q", what, paced.Reason)
	}
	between(r, what+": until after the hold", paced.Until.Sub(until), -2*tick, 5*time.Second)
}

func refusedAtOnce(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	p := write("a")
	r.must(l, p)
	l.Penalize(context.Background(), p, penalty(2*time.Minute), 2*time.Minute)
	until := time.Now().Add(2 * time.Minute)
	p.MaxHold = time.Minute
	took := elapsed(func() { r.heldUntil("held", l.Wait(context.Background(), p), until) })
	between(r, "refused after", took, 0, tick)
	time.Sleep(70 * time.Second)
	took = elapsed(func() { r.must(l, p) }) // what is left is short enough
	between(r, "the next", took, 50*time.Second-3*tick, 52*time.Second)
}

func longQueue(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	p := write("a")
	r.must(l, p)
	l.Penalize(context.Background(), p, penalty(30*time.Second), 30*time.Second)
	p.MaxHold = time.Minute
	o, names := r.queue(l, p, 100)
	r.end()
	if got := o.granted(); len(got) != len(names) {
		r.Errorf("%d of %d went", len(got), len(names))
	}
}

func refusedInQueue(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	p, bounded := write("a"), write("a")
	bounded.MaxHold = time.Minute
	r.empty(l, p)
	o := &outcomes{}
	for i := range 10 {
		if i%2 == 0 {
			r.begin(context.Background(), o, "waits", l, p)
		} else {
			r.begin(context.Background(), o, "bounded", l, bounded)
		}
	}
	began := time.Now()
	l.Penalize(context.Background(), p, penalty(10*time.Minute), 10*time.Minute)
	time.Sleep(tick)
	early := o.all()
	if len(early) != 5 {
		r.Errorf("%d of 10 were refused at once, want 5", len(early))
	}
	for _, one := range early {
		r.heldUntil(one.name, one.err, began.Add(10*time.Minute))
	}
	r.end()
	between(r, "those who waited", len(o.granted()), 5, 5)
	between(r, "the last one", o.all()[9].at, 10*time.Minute, 10*time.Minute+5*time.Second)
}

func usedUpTooLong(r *rig) {
	l := r.limiter(pinterest.AccessStandard.Limits())
	p := write("a")
	p.MaxHold = 10 * time.Second
	r.must(l, p)
	l.Observe(context.Background(), p, writeRate(100, 0, 30*time.Second))
	r.heldUntil("used up", l.Wait(context.Background(), p), time.Now().Add(30*time.Second))
}
