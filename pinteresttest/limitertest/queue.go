package limitertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pinterest-go/pinterest"
)

func queueTests() []test {
	return []test{
		{"first come, first served", firstCome},
		{"nobody overtakes the queue", nobodyOvertakes},
		{"a call that is sent again keeps its place", keepsItsPlace},
		{"higher priorities go first, and earlier calls within a priority", priorities},
		{"reads and writes do not starve each other", noStarving},
		{"accounts share a limit of the app evenly", evenShares},
		{"an account with little to do does not wait for those with much", lightAccounts},
		{"a waiter leaves at once when its context ends", leavesAtOnce},
		{"the permit of a waiter that leaves goes to the next", nothingLost},
		{"nobody goes early because another leaves", nobodyEarly},
		{"a call whose context has ended gets no permit", endedContext},
		{"a waiter is notified once, before it waits", notifiesOnce},
		{"a waiter is notified how many are ahead", notifiesAhead},
		{"a call that need not wait is not notified", freeIsSilent},
	}
}

func firstCome(r *rig) {
	l := r.limiter(perMinute(100))
	r.empty(l, write("a"))
	o, names := r.queue(l, write("a"), 40)
	r.end()
	if got := o.granted(); !slices.Equal(got, names) {
		r.Errorf("they went in the order %v", got)
	}
}

// nobodyOvertakes asks at the moment at which a permit becomes free.
func nobodyOvertakes(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	o := &outcomes{}
	for i := range 30 {
		r.begin(context.Background(), o, fmt.Sprint(i), l, write("a"))
		time.Sleep(500 * time.Millisecond)
	}
	r.end()
	got := o.granted()
	for i, name := range got {
		if name != fmt.Sprint(i) {
			r.Fatalf("they went in the order %v", got)
		}
	}
}

func keepsItsPlace(r *rig) {
	l := r.limiter(perMinute(100))
	p := write("a")
	p.Since = r.clock.Now()
	time.Sleep(time.Second)
	r.empty(l, write("a"))
	o, _ := r.queue(l, write("a"), 5)
	r.begin(context.Background(), o, "older", l, p)
	r.end()
	// The first may have its permit already.
	if at := slices.Index(o.granted(), "older"); at > 1 {
		r.Errorf("it came in place %d", at)
	}
}

func priorities(r *rig) {
	l := r.limiter(perMinute(100))
	r.empty(l, write("a"))
	o := &outcomes{}
	r.begin(context.Background(), o, "first", l, write("a")) // it may have its permit already
	for i := range 4 {
		for _, priority := range []pinterest.Priority{pinterest.PriorityBulk, pinterest.PriorityNormal, pinterest.PriorityInteractive} {
			p := write("a")
			p.Priority = priority
			r.begin(context.Background(), o, fmt.Sprint(priority, " ", i), l, p)
		}
	}
	r.end()
	got := slices.DeleteFunc(o.granted(), func(name string) bool { return name == "first" })
	want := []string{}
	for _, priority := range []string{"interactive", "normal", "bulk"} {
		for i := range 4 {
			want = append(want, fmt.Sprint(priority, " ", i))
		}
	}
	if !slices.Equal(got, want) {
		r.Errorf("they went in the order %q", got)
	}
}

// noStarving has calls of one kind use up the limit over all categories, while
// there are few of the other.
func noStarving(r *rig) {
	l := r.limiter(pinterest.Limits{Account: map[pinterest.Category]pinterest.Quota{
		pinterest.CategoryAll:      {Limit: 20, Window: time.Second},
		pinterest.CategoryOrgRead:  {Limit: 6000, Window: time.Minute},
		pinterest.CategoryOrgWrite: {Limit: 6000, Window: time.Minute},
	}})
	for i, kinds := range [][2]pinterest.Permit{{write("a"), read("a")}, {read("b"), write("b")}} {
		r.wg.Go(func() { r.saturate(l, kinds[0], 32, 10*time.Second) })
		r.settle()
		for range 20 {
			took := elapsed(func() { r.must(l, kinds[1]) })
			between(r, fmt.Sprint("one of the few, ", i), took, 0, 250*time.Millisecond)
			time.Sleep(100 * time.Millisecond)
		}
		r.end()
	}
}

func evenShares(r *rig) {
	l := r.limiter(pinterest.Limits{App: map[pinterest.Category]pinterest.Quota{pinterest.CategoryOrgWrite: {Limit: 600, Window: time.Minute}}})
	counts := make([]int, 12)
	r.empty(l, write("the first one may burst"))
	for i := range counts {
		r.wg.Go(func() { counts[i] = len(r.saturate(l, write(fmt.Sprint("account ", i)), 1+i%4, 2*time.Minute)) })
	}
	r.end()
	total := 0
	for _, n := range counts {
		total += n
	}
	between(r, "all calls", total, 1140*97/100, 1200)
	mean := float64(total) / float64(len(counts))
	for _, n := range counts {
		between(r, "one account's share", float64(n), 0.95*mean-1, 1.05*mean+1)
	}
}

func lightAccounts(r *rig) {
	l := r.limiter(pinterest.Limits{App: map[pinterest.Category]pinterest.Quota{pinterest.CategoryOrgWrite: {Limit: 600, Window: time.Minute}}})
	for i := range 10 {
		r.wg.Go(func() { r.saturate(l, write(fmt.Sprint("heavy ", i)), 16, 2*time.Minute) })
	}
	time.Sleep(time.Minute)
	for i := range 10 {
		took := elapsed(func() { r.must(l, write(fmt.Sprint("light ", i))) })
		between(r, "a light account's call", took, 0, 1500*time.Millisecond)
	}
	r.end()
}

func leavesAtOnce(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	ctx, cancel := context.WithCancel(context.Background())
	o := &outcomes{}
	for i := range 20 {
		r.begin(ctx, o, fmt.Sprint(i), l, write("a"))
	}
	cancel()
	took := elapsed(r.end)
	between(r, "they left after", took, 0, tick)
	for _, one := range o.all() {
		if !errors.Is(one.err, context.Canceled) {
			r.Errorf("waiter %s: %v, want context.Canceled", one.name, one.err)
		}
	}
}

// nothingLost compares an account whose waiters left with one that had none.
func nothingLost(r *rig) {
	l := r.limiter(perMinute(100))
	r.empty(l, write("a"))
	r.empty(l, write("control"))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if err := l.Wait(ctx, write("a")); !errors.Is(err, context.Canceled) {
				r.Errorf("a waiter: %v, want context.Canceled", err)
			}
		})
	}
	r.settle()
	cancel()
	wg.Wait()
	r.sameAs("after 1000 waiters that left", l, write("control"), write("a"))
}

// nobodyEarly has the first in the queue leave, again and again.
func nobodyEarly(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	stay, leave := &outcomes{}, &outcomes{}
	for i := range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		p := write("a")
		p.Priority = pinterest.PriorityInteractive
		r.begin(ctx, leave, fmt.Sprint(i), l, p)
		if i == 0 {
			for j := range 10 {
				r.begin(context.Background(), stay, fmt.Sprint(j), l, write("a"))
			}
		}
		cancel()
		r.settle()
	}
	if n := len(stay.all()); n > 0 {
		r.Errorf("%d went at once because others left", n)
	}
	r.end()
	all := stay.all()
	for i := 1; i < len(all); i++ {
		if gap := all[i].at - all[i-1].at; gap < time.Second-tick {
			r.Errorf("waiter %s went %v after the one before it", all[i].name, gap)
		}
	}
	between(r, "the last one went after", all[9].at, 9*time.Second, 13*time.Second)
}

func endedContext(r *rig) {
	l := r.limiter(perMinute(100))
	n := r.grab(l, write("control"), 100)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 50 {
		if err := l.Wait(ctx, write("a")); !errors.Is(err, context.Canceled) {
			r.Errorf("Wait: %v, want context.Canceled", err)
		}
	}
	between(r, "at once, after 50 calls that came to nothing", r.grab(l, write("a"), 100), n, n)
}

// notices records the waits that a limiter has reported.
type notices struct {
	mu   sync.Mutex
	list []pinterest.PaceWait
	at   []time.Time
}

func (n *notices) add(w pinterest.PaceWait) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list, n.at = append(n.list, w), append(n.at, time.Now())
}

func notifiesOnce(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	for _, reason := range []pinterest.PaceReason{pinterest.PacePace, pinterest.PaceHeld} {
		if reason == pinterest.PaceHeld {
			l.Penalize(context.Background(), write("a"), penalty(20*time.Second), 20*time.Second)
		}
		var n notices
		p := write("a")
		p.Waiting = n.add
		began := time.Now()
		r.must(l, p)
		if len(n.list) != 1 {
			r.Fatalf("notified %d times, want once", len(n.list))
		}
		w := n.list[0]
		if w.Reason != reason || w.Ahead != 0 {
			r.Errorf("notified of %+v, want %v with nobody ahead", w, reason)
		}
		if w.Limit == "" {
			r.Error("notified without the limit that decides")
		}
		between(r, "notified after", n.at[0].Sub(began), 0, tick)
		between(r, "it went after the time that was reported", time.Since(w.Until), -tick, tick)
	}
}

func notifiesAhead(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	o, _ := r.queue(l, write("a"), 9)
	var n notices
	p := write("a")
	p.Waiting = n.add
	r.must(l, p)
	r.end()
	if len(o.granted()) != 9 || len(n.list) != 1 {
		r.Fatalf("%d went, and there were %d notices", len(o.granted()), len(n.list))
	}
	w := n.list[0]
	if w.Reason != pinterest.PaceQueued {
		r.Errorf("notified of %q", w.Reason)
	}
	between(r, "ahead", w.Ahead, 8, 9)
	between(r, "it went after the time that was reported", time.Since(w.Until), -time.Second-tick, time.Second+tick)
}

func freeIsSilent(r *rig) {
	l := r.limiter(perMinute(60))
	p := write("a")
	p.Waiting = func(w pinterest.PaceWait) { r.Errorf("notified of %+v", w) }
	r.must(l, p)
}
