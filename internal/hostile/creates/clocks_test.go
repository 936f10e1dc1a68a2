package creates_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Row 5.
func TestAClockThatStepsHidesNoResult(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{5 * time.Second, 30 * time.Second, 10 * time.Minute, -5 * time.Second, -30 * time.Second, -10 * time.Minute} {
		for _, when := range []string{"before the create", "while it is under way"} {
			t.Run(fmt.Sprintf("%v %s", step, when), func(t *testing.T) {
				t.Parallel()
				r := &record{name: fmt.Sprintf("row 5, step of %v %s", step, when)}
				for seed := range 20 {
					clockSteps(t, r, seed, step, when)
				}
				// Of the other steps only the promise itself is asked.
				share := 1.0
				if step == 5*time.Second || step == 30*time.Second {
					share = 0
				}
				r.report(t, share)
			})
		}
	}
}

func clockSteps(t *testing.T, r *record, seed int, step time.Duration, when string) {
	w := newWorld(t, seed)
	wall := &wallClock{simClock: w.clock}
	client := w.client(pinterest.WithClock(wall))
	w.warm(client)
	w.clock.Advance(time.Duration(seed) * 7 * time.Second)
	if when == "before the create" {
		wall.step(step)
	}
	f := ambiguous[seed%len(ambiguous)]
	commit := seed/5%4 != 3
	w.lag = func() time.Duration { return time.Duration(seed%3) * time.Second }
	w.onCreate = func(_ string, n int) *fault {
		if n > 1 {
			return nil
		}
		if when != "before the create" {
			wall.step(step)
		}
		f.commit = commit
		return &f
	}
	_ = w.create(r, client, w.pin(fmt.Sprint("clock-", seed)), fmt.Sprintf("%s, committed %v, seed %d", faultName(f), commit, seed))
}

// Row 5: one Date header that is wrong.
func TestOneWrongDateHeaderHidesNoResult(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{5 * time.Second, 60 * time.Second, time.Hour, -5 * time.Second, -60 * time.Second} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			r := &record{name: fmt.Sprintf("row 5, one Date ahead by %v", ahead)}
			for seed := range 20 {
				w := newWorld(t, seed)
				client := w.client()
				wrong := 1 + seed%3
				w.date = func(n int, now time.Time) time.Time {
					if n == wrong {
						return now.Add(ahead)
					}
					return now
				}
				for range 1 + seed/3%3 {
					w.warm(client)
					w.clock.Advance(time.Duration(seed) * 3 * time.Second)
				}
				f := ambiguous[seed%len(ambiguous)]
				f.commit = seed/5%4 != 3
				w.onCreate = first(&f)
				_ = w.create(r, client, w.pin(fmt.Sprint("date-", seed)), fmt.Sprintf("%s, committed %v, seed %d", faultName(f), f.commit, seed))
			}
			share := 1.0
			if ahead == 5*time.Second || ahead == time.Minute {
				share = 0
			}
			r.report(t, share)
		})
	}
}

// leaveUncertain makes a pin whose caller cannot learn what became of it.
func (w *world) leaveUncertain(client *pinterest.Client, p pinterest.PinCreate, commit bool) pinterest.Uncertain {
	w.t.Helper()
	f := broken
	f.commit = commit
	w.change(func(h *habits) {
		h.onCreate = first(&f)
		h.onList = func(int) *fault { return uncommitted(broken) }
	})
	_, err := client.Pins.Create(w.context(), p)
	u := uncertain(w.t, err)
	w.change(func(h *habits) { h.onCreate, h.onList = nil, nil })
	return u
}

// Row 6.
func TestResolveAfterTheClockWasCorrectedNeverSaysAbsent(t *testing.T) {
	t.Parallel()
	for _, wrong := range []time.Duration{5 * time.Second, 30 * time.Second, 10 * time.Minute, time.Hour, 26 * time.Hour, -30 * time.Second, -time.Hour} {
		for _, who := range []string{"the same client", "another process"} {
			t.Run(fmt.Sprintf("%v, %s", wrong, who), func(t *testing.T) {
				r := &record{name: fmt.Sprintf("row 6, the clock was %v ahead, %s", wrong, who)}
				for seed := range 6 {
					w := newWorld(t, seed)
					wall := &wallClock{simClock: w.clock, by: wrong}
					client := w.client(pinterest.WithClock(wall))
					p := w.pin(fmt.Sprint("local-", seed))
					u := w.leaveUncertain(client, p, true)
					var form struct{ Local *bool }
					if stored, err := json.Marshal(u); err == nil && json.Unmarshal(stored, &form) == nil && form.Local != nil && !*form.Local {
						t.Error("the API's time cannot be known: nothing was ever answered")
					}
					wall.step(-wrong)
					if seed%2 == 0 {
						w.clock.Advance(time.Duration(seed) * time.Minute)
					}
					if who == "another process" {
						client = w.client()
					}
					w.resolve(r, client, u, image(p), fmt.Sprint("seed ", seed))
				}
				r.report(t, 1)
			})
		}
	}
}

// Row 8.
func TestATimeOfAnotherFormIsNoProofOfAbsence(t *testing.T) {
	t.Parallel()
	zone := func(hours int) func(time.Time) any {
		return func(t time.Time) any {
			return t.In(time.FixedZone("", hours*3600)).Format("2006-01-02T15:04:05")
		}
	}
	for name, form := range map[string]func(time.Time) any{
		"date only":                func(t time.Time) any { return t.UTC().Format(time.DateOnly) },
		"local time, west":         zone(-7),
		"local time, east":         zone(9),
		"5 s behind the Date":      func(t time.Time) any { return t.UTC().Add(-5 * time.Second).Format("2006-01-02T15:04:05") },
		"12 s behind the Date":     func(t time.Time) any { return t.UTC().Add(-12 * time.Second).Format("2006-01-02T15:04:05") },
		"5 s ahead of the Date":    func(t time.Time) any { return t.UTC().Add(5 * time.Second).Format("2006-01-02T15:04:05") },
		"null":                     func(time.Time) any { return nil },
		"empty":                    func(time.Time) any { return "" },
		"minutes only":             func(t time.Time) any { return t.UTC().Format("2006-01-02T15:04") },
		"in words":                 func(t time.Time) any { return t.UTC().Format(time.RFC1123) },
		"unix seconds":             func(t time.Time) any { return t.Unix() },
		"unix milliseconds":        func(t time.Time) any { return t.UnixMilli() },
		"seconds with their parts": func(t time.Time) any { return t.UTC().Format("2006-01-02T15:04:05.000000") },
		"RFC 3339 with a zone":     func(t time.Time) any { return t.In(time.FixedZone("", -7*3600)).Format(time.RFC3339) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made, notMade := &record{name: "row 8, " + name + ", committed"}, &record{name: "row 8, " + name + ", not committed"}
			for seed := range 12 {
				w := newWorld(t, seed)
				w.createdAt = form
				client := w.client()
				if seed%2 == 0 {
					w.warm(client)
				}
				if seed%4 == 1 {
					w.teach(client, w.pin("taught"))
				}
				f := ambiguous[seed%len(ambiguous)]
				r := notMade
				if f.commit = seed%4 != 3; f.commit {
					r = made
				}
				w.onCreate = first(&f)
				_ = w.create(r, client, w.pin(fmt.Sprint("time-", seed)), fmt.Sprintf("%s, seed %d", faultName(f), seed))
			}
			made.report(t, 1)
			// Nothing on the board is like it, whenever it was made.
			notMade.report(t, 0)
		})
	}
}
