package creates_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pinterest-go/pinterest"
)

// firsts are what happens to the first create.
var firsts = []struct {
	name string
	*fault
}{
	{"answered", nil},
	{"lost after the commit", committed(broken)},
	{"lost before the commit", uncommitted(broken)},
	{"refused", &fault{status: 403, code: 29, message: "You are not permitted to access that resource."}},
	{"throttled", &fault{status: 429, code: 8, message: "This request exceeded a rate limit."}},
}

// A process that dies, a part that fails and a context that ends, at each step
// of each kind of create: what was told is true, and the next process with the
// key has the one thing that there is.
func TestOnceAcrossAnythingThatEndsAtAnyStep(t *testing.T) {
	t.Parallel()
	for _, m := range makers {
		t.Run(m.kind, func(t *testing.T) {
			t.Parallel()
			for _, first := range firsts {
				for _, how := range []string{"dies", "fails", "is canceled"} {
					for at := 1; ; at++ {
						note := fmt.Sprintf("%s, %s, the process %s", m.kind, first.name, how)
						if !endsAt(t, m, first.fault, how, at, note) {
							break
						}
						if at > 200 {
							t.Fatalf("%s: no end of steps", note)
						}
					}
				}
			}
		})
	}
}

// endsAt reports whether the create had that many steps.
func endsAt(t *testing.T, m maker, first *fault, how string, at int, note string) bool {
	t.Helper()
	b := newBooks(t)
	defer b.Close()
	what := b.place(m.kind)
	b.fail = atNth(1, first)
	ledger := pinterest.NewMemoryLedger()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &steps{at: at}
	switch how {
	case "dies":
		s.then = s.die
	case "fails":
		s.then = func(string) error { return errors.New("this step failed") }
	case "is canceled":
		s.then = func(string) error { cancel(); return nil }
	}
	id, err := m.once(ctx, b.stepping(t, ledger, s), "job-1", b, what)
	fired := s.was() != ""
	note += fmt.Sprintf(" at %s", s.where())
	made := b.made(m.kind, what)
	refused := first != nil && first.status == 403
	switch {
	case id != "" && !contains(made, id):
		t.Errorf("%s: told %s, there is %s", note, id, quoted(made))
	case how == "dies" && fired:
	case err == nil:
	case errors.Is(err, pinterest.ErrUncertain):
		if wrong := b.dud(err, "job-1"); wrong != "" {
			t.Errorf("%s: the uncertain error %s: %v", note, wrong, err)
		}
	case id == "" && len(made) > 0:
		t.Errorf("%s: told that it failed, there is %s: %v", note, quoted(made), err)
	case !fired && !refused:
		t.Errorf("%s: %v", note, err)
	}
	told := id
	id, err = b.settle(t, ledger, func(c *pinterest.Client) (string, error) { return m.once(t.Context(), c, "job-1", b, what) })
	if refused && !fired {
		return false
	}
	made = b.made(m.kind, what)
	switch {
	case refused && len(made) == 0 && !errors.Is(err, pinterest.ErrUncertain):
		// Its one refusal came late.
		id, err = b.settle(t, ledger, func(c *pinterest.Client) (string, error) { return m.once(t.Context(), c, "job-1", b, what) })
		made = b.made(m.kind, what)
	}
	switch {
	case len(made) > 1:
		t.Errorf("%s: made %d times", note, len(made))
	case err != nil:
		t.Errorf("%s: after it, there is %s: %v", note, quoted(made), err)
	case !contains(made, id):
		t.Errorf("%s: after it, told %q, there is %s", note, id, quoted(made))
	case told != "" && told != id:
		t.Errorf("%s: told %s, after it %s", note, told, id)
	}
	return fired
}

// The lock is lost at any step, and another process does the same job, and one
// of equal content, before the first one goes on: it sends nothing any more and
// tells the truth.
func TestAHolderThatHasLostItsLockSendsNothing(t *testing.T) {
	t.Parallel()
	for _, m := range makers {
		t.Run(m.kind, func(t *testing.T) {
			t.Parallel()
			for _, first := range firsts {
				for _, others := range []string{"", "same", "equal", "same equal", "equal same"} {
					if others != "" && others != "same" && (m.kind == "board" || m.kind == "section") {
						continue // the API has no two boards of one name
					}
					if m.kind == "save" && others != "equal same" {
						continue // as with pins
					}
					for at := 1; losesLock(t, m, first.fault, others, at, fmt.Sprintf("%s, %s, then others: %q", m.kind, first.name, others)); at++ {
						if at > 200 {
							t.Fatal("no end of steps")
						}
					}
				}
			}
		})
	}
}

func losesLock(t *testing.T, m maker, first *fault, others string, at int, note string) bool {
	t.Helper()
	b := newBooks(t)
	defer b.Close()
	what := b.place(m.kind)
	b.fail = atNth(1, first)
	inner := pinterest.NewMemoryLedger()
	keys := map[string]string{"same": "job-1", "equal": "job-2"}
	told, failed := map[string]string{}, map[string]error{}
	s := &steps{at: at}
	losing := &losingLedger{Ledger: inner, strict: true}
	sentBefore := 0
	s.then = func(string) error {
		losing.lose()
		for _, other := range splitWords(others) {
			told[keys[other]], failed[keys[other]] = m.once(t.Context(), b.process(t, inner), keys[other], b, what)
		}
		sentBefore = b.sent()
		return nil
	}
	client := b.stepping(t, losing, s)
	id, err := m.once(t.Context(), client, "job-1", b, what)
	fired := s.was() != ""
	if !fired {
		return false
	}
	note += " at " + s.where()
	lost := losing.lost() // nothing was held yet at the first step
	if losing.strays > 0 {
		t.Errorf("%s: %d times the ledger was told to save without the lock's context", note, losing.strays)
	}
	if lost && b.sent() > sentBefore {
		t.Errorf("%s: %d creates were sent after the lock was lost", note, b.sent()-sentBefore)
	}
	made := b.made(m.kind, what)
	if id != "" && !contains(made, id) {
		t.Errorf("%s: told %q, there is %s", note, id, quoted(made))
	}
	if id != "" && id == told["job-2"] {
		t.Errorf("%s: told %q, which is that of another key", note, id)
	}
	own := len(made)
	if told["job-2"] != "" {
		own--
	}
	switch {
	case err == nil:
	case errors.Is(err, pinterest.ErrUncertain):
		if wrong := b.dud(err, "job-1"); wrong != "" {
			t.Errorf("%s: the uncertain error %s: %v", note, wrong, err)
		}
	case id == "" && own > 0 && told["job-1"] == "":
		t.Errorf("%s: told that it failed, there is %s: %v", note, quoted(made), err)
	}
	if first := told["job-1"]; first != "" && id != "" && first != id {
		t.Errorf("%s: key job-1 was told %s and %s", note, first, id)
	}
	if id != "" {
		told["job-1"] = id
	}
	// Then everything works.
	want := 1
	for _, key := range []string{"job-1", "job-2"} {
		if key == "job-2" {
			if _, ok := failed[key]; !ok {
				continue
			}
			want++
		}
		again := func() (string, error) {
			return b.settle(t, inner, func(c *pinterest.Client) (string, error) { return m.once(t.Context(), c, key, b, what) })
		}
		last, err := again()
		if errors.Is(err, pinterest.ErrForbidden) {
			last, err = again() // its one refusal came late
		}
		if err != nil {
			t.Errorf("%s: after it, key %s: %v", note, key, err)
			continue
		}
		if told[key] != "" && told[key] != last {
			t.Errorf("%s: key %s was told %s and %s", note, key, told[key], last)
		}
		told[key] = last
	}
	made = b.made(m.kind, what)
	if len(made) != want || told["job-1"] == told["job-2"] {
		t.Errorf("%s: there is %s, told were %v, errors of others %v", note, quoted(made), told, failed)
	}
	return true
}

// A ledger of the plainest kind does not look at the context of a Save. A holder
// that has seen the loss of its lock does not save then, because it would
// overwrite what the next holder has saved.
func TestAHolderThatHasLostItsLockSavesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		first *fault
		when  string
	}{
		{"before it sends", nil, "saved"},
		{"during a request that is refused", &fault{status: 403, code: 29, message: "You are not permitted to access that resource."}, "after POST"},
		{"in the wait after a 429", &fault{status: 429, code: 8, message: "This request exceeded a rate limit."}, "sleep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			b.fail = atNth(1, c.first)
			inner := pinterest.NewMemoryLedger()
			losing := &losingLedger{Ledger: inner}
			pin := makers[0]
			what := b.place(pin.kind)
			var next string
			s := &steps{when: func(_ int, trail string) bool { return strings.HasSuffix(trail, c.when) }}
			s.then = func(string) (err error) {
				losing.lose()
				if next, err = pin.once(t.Context(), b.process(t, inner), "job-1", b, what); err != nil {
					t.Error(err)
				}
				return nil
			}
			_, err := pin.once(t.Context(), b.stepping(t, losing, s), "job-1", b, what)
			t.Logf("the first holder was told %v, and called Save %d times after it had lost the lock", err, losing.late)
			again, err := pin.once(t.Context(), b.process(t, inner), "job-1", b, what)
			if made := b.made("pin", what); err != nil || again != next || len(made) != 1 {
				t.Errorf("one key has made %s: the next holder was told %s, and then another process %s, %v", quoted(made), next, again, err)
			}
		})
	}
}

// A caller that cancels a call is told so, with a ledger as without. The ledger
// has not failed.
func TestACanceledCallDoesNotBlameTheLedger(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	client := b.process(t, pinterest.NewMemoryLedger())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, plain := client.Pins.Create(ctx, job())
	_, once := client.Pins.CreateOnce(ctx, "job-1", job())
	for what, err := range map[string]error{"Create": plain, "CreateOnce": once} {
		if !errors.Is(err, pinterest.ErrCanceled) || errors.Is(err, pinterest.ErrLedger) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b.sent() > 0 {
		t.Error("it was sent")
	}
}

// A call whose lock was lost is told so: nobody has canceled it.
func TestALostLockIsNamed(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"saved", "before POST", "after POST", "POST,sleep"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			b := newBooks(t)
			b.fail = func(post) *fault { return &fault{status: 429, code: 8, message: "This request exceeded a rate limit."} }
			losing := &losingLedger{Ledger: pinterest.NewMemoryLedger(), strict: true}
			s := &steps{when: func(_ int, trail string) bool { return strings.HasSuffix(trail, when) }}
			s.then = func(string) error { losing.lose(); return nil }
			_, err := b.stepping(t, losing, s).Pins.CreateOnce(t.Context(), "job-1", job())
			if s.was() == "" {
				t.Fatalf("never came to %q", when)
			}
			if !errors.Is(err, errLost) {
				t.Errorf("the error does not wrap the cause of the held context: %v", err)
			}
		})
	}
}
