package realclock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSleep(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		d, ends time.Duration // ends: when the context is canceled; 0: never
		slept   time.Duration
		err     error
	}{
		"to the end":                     {d: time.Hour, slept: time.Hour},
		"the context ends later":         {d: time.Hour, ends: 2 * time.Hour, slept: time.Hour},
		"the context ends first":         {d: time.Hour, ends: time.Minute, slept: time.Minute, err: context.Canceled},
		"the context has ended":          {d: time.Hour, ends: -1, err: context.Canceled},
		"zero":                           {},
		"negative":                       {d: -time.Hour},
		"zero, a context that ended":     {ends: -1, err: context.Canceled},
		"negative, a context that ended": {d: -time.Hour, ends: -1, err: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				switch because := errors.New("the cause is not the context's error"); {
				case tt.ends < 0:
					cancel(because)
				case tt.ends > 0:
					time.AfterFunc(tt.ends, func() { cancel(because) })
				}
				var clock Clock
				began := clock.Now()
				assert.Equal(t, tt.err, clock.Sleep(ctx, tt.d))
				assert.Equal(t, tt.slept, clock.Now().Sub(began))
			})
		})
	}
}

func TestSleepPastADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		assert.Equal(t, context.DeadlineExceeded, Sleep(ctx, time.Hour))
		assert.Equal(t, time.Second, time.Since(began))
	})
}
