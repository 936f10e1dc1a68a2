package waitqueue

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pinterest-go/pinterest/internal/realclock"
)

// source provides a slot a second.
type source struct {
	mu     sync.Mutex
	next   time.Time
	held   time.Time // closed until then
	void   bool      // the reservation is void
	back   int       // the cost that was given back
	failed error
}

func (s *source) reserve(cost int) Slot {
	s.next = latest(s.next, time.Now(), s.held)
	slot := Slot{Due: s.next, Limit: "limit"}
	if s.held.After(time.Now()) {
		slot.Held = s.held
	}
	s.next = s.next.Add(time.Duration(cost) * time.Second)
	return slot
}

func (s *source) Reserve(_ context.Context, cost int) (Slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reserve(cost), s.failed
}

func (s *source) Confirm(_ context.Context, cost int) (Slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.void {
		return Slot{}, s.failed
	}
	s.void = false
	return s.reserve(cost), s.failed
}

func (s *source) GiveBack(cost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.back += cost
	s.next = s.next.Add(-time.Duration(cost) * time.Second)
}

func (s *source) Estimate(cost int) Slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := Slot{Due: s.next.Add(time.Duration(cost-1) * time.Second)}
	if s.held.After(time.Now()) {
		slot.Held = s.held
	}
	return slot
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// rig is a queue whose calls are recorded.
type rig struct {
	mu     sync.Mutex
	source source
	queue  *Queue
	begun  time.Time
	done   sync.Mutex
	ended  []ended
}

type ended struct {
	name string
	at   time.Duration
	err  error
}

// within runs a test of a queue whose next slot is due in a second.
func within(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(*testing.T) {
		r := &rig{begun: time.Now()}
		r.source.next = r.begun.Add(time.Second)
		r.queue = New(&r.mu, realclock.Clock{}, &r.source)
		test(r)
	})
}

func (r *rig) wait(ctx context.Context, name string, w *Waiter) {
	w.Cost = max(1, w.Cost)
	if w.Since.IsZero() {
		w.Since = time.Now()
	}
	go func() {
		r.mu.Lock()
		err := r.queue.Wait(ctx, w)
		r.done.Lock()
		r.ended = append(r.ended, ended{name, time.Since(r.begun), err})
		r.done.Unlock()
	}()
	synctest.Wait()
}

func (r *rig) close(until time.Time) {
	r.source.mu.Lock()
	r.source.held, r.source.void = until, true
	r.source.mu.Unlock()
	r.mu.Lock()
	r.queue.Changed()
	r.mu.Unlock()
	synctest.Wait()
}

// take returns the calls that have ended since it was last called.
func (r *rig) take() []ended {
	r.done.Lock()
	defer r.done.Unlock()
	all := r.ended
	r.ended = nil
	return all
}

// want checks which calls have ended since take was last called, and when.
func (r *rig) want(t *testing.T, want ...ended) {
	t.Helper()
	all := r.take()
	if len(all) != len(want) {
		t.Fatalf("%d have ended: %+v, want %+v", len(all), all, want)
	}
	for i, w := range want {
		got := all[i]
		if got.name != w.name || got.at.Round(time.Millisecond) != w.at || !errors.Is(got.err, w.err) {
			t.Errorf("%+v, want %+v", got, w)
		}
	}
}

var background = context.Background()

func TestOneSlotAfterAnother(t *testing.T) {
	within(t, func(r *rig) {
		for _, name := range []string{"a", "b", "c"} {
			r.wait(background, name, &Waiter{})
		}
		time.Sleep(time.Minute)
		r.want(t, ended{"a", time.Second, nil}, ended{"b", 2 * time.Second, nil}, ended{"c", 3 * time.Second, nil})
		if r.queue.Len() != 0 || r.source.back != 0 {
			t.Errorf("%d left in the queue, %d given back", r.queue.Len(), r.source.back)
		}
	})
}

func TestTheSlotGoesToWhoeverIsFirstByThen(t *testing.T) {
	within(t, func(r *rig) {
		r.wait(background, "normal", &Waiter{Priority: 0})
		r.wait(background, "urgent", &Waiter{Priority: 1})
		r.wait(background, "older", &Waiter{Priority: 0, Since: r.begun.Add(-time.Hour)})
		time.Sleep(time.Minute)
		r.want(t, ended{"urgent", time.Second, nil}, ended{"older", 2 * time.Second, nil}, ended{"normal", 3 * time.Second, nil})
	})
}

func TestANewLeaderKeepsTheReservedSlot(t *testing.T) {
	within(t, func(r *rig) {
		ctx, cancel := context.WithCancel(background)
		r.wait(ctx, "leader", &Waiter{})
		r.wait(background, "next", &Waiter{})
		time.Sleep(300 * time.Millisecond)
		cancel()
		time.Sleep(time.Minute)
		r.want(t, ended{"leader", 300 * time.Millisecond, context.Canceled}, ended{"next", time.Second, nil})
		if r.source.back != 0 {
			t.Errorf("%d given back", r.source.back)
		}
	})
}

func TestTheLastOneGivesTheSlotBack(t *testing.T) {
	within(t, func(r *rig) {
		ctx, cancel := context.WithCancel(background)
		r.wait(ctx, "leader", &Waiter{Cost: 3})
		r.wait(ctx, "next", &Waiter{})
		cancel()
		synctest.Wait()
		if r.source.back != 3 || r.queue.Len() != 0 {
			t.Errorf("%d left in the queue, %d given back, want 0 and 3", r.queue.Len(), r.source.back)
		}
	})
}

func TestASlotThatIsTooSmallIsNotUsed(t *testing.T) {
	within(t, func(r *rig) {
		r.wait(background, "small", &Waiter{})
		r.wait(background, "large", &Waiter{Cost: 5, Priority: 1})
		time.Sleep(time.Minute)
		r.want(t, ended{"large", time.Second, nil}, ended{"small", 6 * time.Second, nil})
	})
}

func TestASlotThatIsTooLargeIsGivenBackInPart(t *testing.T) {
	within(t, func(r *rig) {
		r.wait(background, "large", &Waiter{Cost: 5})
		r.wait(background, "small", &Waiter{Priority: 1})
		time.Sleep(time.Minute)
		r.want(t, ended{"small", time.Second, nil}, ended{"large", 2 * time.Second, nil})
	})
}

func TestAClosedQuotaIsHeardOfAtOnce(t *testing.T) {
	within(t, func(r *rig) {
		refused := &Refusal{}
		r.wait(background, "patient", &Waiter{})
		r.wait(background, "impatient", &Waiter{MaxHold: 10 * time.Second})
		r.wait(background, "late", &Waiter{Deadline: r.begun.Add(20 * time.Second)})
		time.Sleep(500 * time.Millisecond)
		r.close(time.Now().Add(time.Minute))
		all := r.take()
		if len(all) != 2 {
			t.Fatalf("%+v have ended", all)
		}
		for _, e := range all {
			if !errors.As(e.err, &refused) || refused.Deadline != (e.name == "late") || refused.Slot.Held.IsZero() {
				t.Errorf("%+v", e)
			}
		}
		time.Sleep(5 * time.Minute)
		r.want(t, ended{"patient", time.Minute + 500*time.Millisecond, nil})
	})
}

func TestTheEstimateDoesNotCountTheReservedSlotTwice(t *testing.T) {
	within(t, func(r *rig) {
		r.wait(background, "a", &Waiter{})
		r.wait(background, "fits", &Waiter{Deadline: r.begun.Add(2 * time.Second)})
		r.wait(background, "does not fit", &Waiter{Deadline: r.begun.Add(2 * time.Second)})
		if all := r.take(); len(all) != 1 || all[0].name != "does not fit" {
			t.Errorf("%+v have ended", all)
		}
		time.Sleep(time.Minute)
		r.want(t, ended{"a", time.Second, nil}, ended{"fits", 2 * time.Second, nil})
	})
}

func TestWhatTheSourceFailsWithIsReturned(t *testing.T) {
	within(t, func(r *rig) {
		r.source.failed = errors.New("away")
		r.wait(background, "a", &Waiter{})
		r.wait(background, "b", &Waiter{})
		r.want(t, ended{"a", 0, r.source.failed}, ended{"b", 0, r.source.failed})
	})
}

func TestEachWaiterIsNotifiedOnce(t *testing.T) {
	within(t, func(r *rig) {
		notified := []int{}
		notify := func(_ Slot, ahead int) { notified = append(notified, ahead) }
		r.wait(background, "a", &Waiter{Waiting: notify})
		r.wait(background, "b", &Waiter{Waiting: notify, Cost: 7})
		r.wait(background, "c", &Waiter{Waiting: notify})
		time.Sleep(time.Minute)
		if !slices.Equal(notified, []int{0, 1, 2}) {
			t.Errorf("notified of %v ahead", notified)
		}
	})
}
