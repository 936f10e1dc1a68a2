package limitertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pinterest-go/pinterest"
)

func deadlineTests() []test {
	return []test{
		{"a wait that cannot fit the deadline is refused at once", tooLate},
		{"a wait that just fits the deadline is not refused", justFits},
		{"a refusal spends nothing", refusalsAreFree},
		{"a place in the queue that comes too late is refused at once", queueTooLate},
		{"a hold that ends after the deadline is refused at once", holdTooLate},
		{"a waiter is refused when a hold makes it too late", heldTooLate},
	}
}

// missed checks that err says that the deadline would be missed.
func (r *rig) missed(what string, err error, deadline time.Time, most time.Duration) pinterest.PaceWait {
	r.Helper()
	var paced *pinterest.PaceError
	if !errors.As(err, &paced) || !errors.Is(err, pinterest.ErrPaced) || !errors.Is(err, context.DeadlineExceeded) {
		r.Fatalf("%s: %v, want a *PaceError that is ErrPaced and context.DeadlineExceeded", what, err)
	}
	between(r, what+": until after the deadline", paced.Until.Sub(deadline), 0, most)
	return paced.PaceWait
}

func tooLate(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	deadline := time.Now().Add(500 * time.Millisecond)
	took := elapsed(func() {
		r.missed("a call", within(l, write("a"), 500*time.Millisecond), deadline, time.Second)
	})
	between(r, "it was refused after", took, 0, tick)
}

// justFits measures a wait with one account, and uses it for another.
func justFits(r *rig) {
	l := r.limiter(perMinute(60))
	var due time.Duration
	for _, account := range []string{"control", "a"} {
		r.empty(l, write(account))
		o, _ := r.queue(l, write(account), 5)
		p := write(account)
		if account == "control" {
			due = elapsed(func() { r.must(l, p) })
		} else if err := within(l, p, due+tick); err != nil {
			r.Errorf("what takes %v, with a deadline in %v: %v", due, due+tick, err)
		}
		r.end()
		if len(o.granted()) != 5 {
			r.Error("those ahead did not all go")
		}
	}
}

func refusalsAreFree(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	r.empty(l, write("control"))
	for range 200 {
		if within(l, write("a"), 100*time.Millisecond) == nil {
			r.Error("a call was not refused")
		}
	}
	r.sameAs("after 200 refusals", l, write("control"), write("a"))
}

func queueTooLate(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	o, _ := r.queue(l, write("a"), 20)
	deadline := time.Now().Add(5 * time.Second)
	took := elapsed(func() {
		paced := r.missed("a call", within(l, write("a"), 5*time.Second), deadline, 25*time.Second)
		if paced.Reason != pinterest.PaceQueued {
			r.Errorf("refused for %q", paced.Reason)
		}
		between(r, "ahead", paced.Ahead, 19, 20)
	})
	between(r, "it was refused after", took, 0, tick)
	r.end()
	between(r, "of those in the queue went", len(o.granted()), 20, 20)
}

func holdTooLate(r *rig) {
	l := r.limiter(perMinute(60))
	r.must(l, write("a"))
	l.Penalize(context.Background(), write("a"), penalty(time.Minute), time.Minute)
	deadline := time.Now().Add(20 * time.Second)
	took := elapsed(func() {
		paced := r.missed("a call", within(l, write("a"), 20*time.Second), deadline, 42*time.Second)
		if paced.Reason != pinterest.PaceHeld {
			r.Errorf("refused for %q", paced.Reason)
		}
	})
	between(r, "it was refused after", took, 0, tick)
}

func heldTooLate(r *rig) {
	l := r.limiter(perMinute(60))
	r.empty(l, write("a"))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	o := &outcomes{}
	for i := range 5 {
		r.begin(ctx, o, fmt.Sprint(i), l, write("a"))
	}
	deadline, _ := ctx.Deadline()
	l.Penalize(context.Background(), write("a"), penalty(time.Minute), time.Minute)
	took := elapsed(r.end)
	between(r, "they were refused after", took, 0, tick)
	for _, one := range o.all() {
		r.missed("waiter "+one.name, one.err, deadline, 40*time.Second)
	}
}
