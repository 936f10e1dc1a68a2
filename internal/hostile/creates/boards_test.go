package creates_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pinterest-go/pinterest"
)

// Row 4.
func TestANameTakenByAnOwnEarlierAttemptIsNoConflict(t *testing.T) {
	t.Parallel()
	short := &record{name: "row 4, lists lag up to 20 s"}
	long := &record{name: "row 4, lists lag for longer"}
	for seed := range 40 {
		lag := time.Duration([]int{0, 3, 6, 8, 12, 20, 45, 90, 180, 600}[seed%10]) * time.Second
		f := ambiguous[seed/2%len(ambiguous)]
		r := short
		if lag > 20*time.Second {
			r = long
		}
		w := newWorld(t, seed)
		client := w.client()
		if seed/10%2 == 0 {
			w.warm(client)
		}
		w.lag = func() time.Duration { return lag }
		w.onCreate = first(committed(f))
		name := fmt.Sprint("Oak kitchens ", seed)
		made, err := client.Boards.Create(w.context(), pinterest.BoardCreate{Name: name, Description: "For oak"})
		id := ""
		if made != nil {
			id = made.ID
		}
		r.judge(w.server, "board "+name, id, err, fmt.Sprintf("lag %v, %s, seed %d", lag, faultName(f), seed))
	}
	short.report(t, 0)
	long.report(t, 1)
}

// Row 4: a board that was there before is not the result of a create.
func TestABoardThatWasThereBeforeIsNotAdopted(t *testing.T) {
	t.Parallel()
	for seed := range 15 {
		w := newWorld(t, seed)
		client := w.client()
		w.warm(client)
		f := ambiguous[seed%len(ambiguous)]
		// The name was taken months ago; the failure comes before the name is looked at.
		name := "Kitchens 0"
		w.beforeTaken = first(uncommitted(f))
		made, err := client.Boards.Create(w.context(), pinterest.BoardCreate{Name: name})
		switch {
		case err == nil:
			t.Errorf("seed %d, %s: told made as %s, which was there before", seed, faultName(f), made.ID)
		case !errors.Is(err, pinterest.ErrConflict) && !errors.Is(err, pinterest.ErrUncertain):
			t.Errorf("seed %d, %s: want a conflict or uncertain, got %v", seed, faultName(f), err)
		}
	}
}
