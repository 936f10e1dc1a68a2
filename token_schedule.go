package pinterest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/pinterest-go/pinterest/internal/reserved"
)

// scheduleRecord is the name of the record in the [TokenStore] that says when
// RefreshEvery runs next: the Expiry of a token without credentials.
const scheduleRecord = reserved.Schedule

const (
	// turnWait is how long RefreshEvery waits for the store's lock. Another process
	// holds it while it runs.
	turnWait = 10 * time.Second
	// turnAgain is how long after that it tries again, in case the other one dies.
	turnAgain = time.Minute
	// turnShare is the part of the interval that is added at random at most, and after
	// which a run that failed is repeated.
	turnShare = 10
)

// RefreshEvery runs [App.RefreshDue] every so often, with up to a tenth of that added
// at random, until ctx ends or the app is shut down. It then returns the cause.
// Every 12 hours is a good choice.
//
// Any number of processes of a fleet may call it with the same store: each run is made
// by one of them. The time of the next run is in the store, in a record of its own
// ("pinterest:refresh-due"), so it survives restarts. If the process dies that runs,
// another one takes over within a minute or so. A run that ends with an error is
// repeated after a tenth of the interval.
//
// done, if it is not nil, is called after each run of this process. It gets an error
// without a report when the store fails.
func (a *App) RefreshEvery(ctx context.Context, every time.Duration, done func(RefreshReport, error)) error {
	switch {
	case ctx == nil:
		return fmt.Errorf("pinterest: refreshing on a schedule: %w", errNilContext)
	case every < time.Minute:
		return fmt.Errorf("pinterest: refreshing on a schedule: the interval must be at least a minute, is %v", every)
	case a.oauth.ClientID == "":
		return errNoOAuth
	}
	ctx, stop := a.work.bind(ctx)
	defer stop(nil)
	s := schedule{app: a, every: every, done: done}
	if done == nil {
		s.done = func(RefreshReport, error) {}
	}
	for ctx.Err() == nil {
		_ = a.clock.Sleep(ctx, s.turn(ctx)) // it fails when ctx has ended
	}
	return fmt.Errorf("pinterest: refreshing on a schedule: %w", context.Cause(ctx))
}

// schedule is one RefreshEvery.
type schedule struct {
	app   *App
	every time.Duration
	done  func(RefreshReport, error)
}

// turn makes a run if it is due and nobody else makes it. It returns how long to wait
// before the next turn.
func (s *schedule) turn(ctx context.Context) time.Duration {
	if _, wait, err := s.load(ctx); err != nil || wait > 0 {
		return s.later(ctx, wait, err)
	}
	waiting, cancel := context.WithTimeout(ctx, turnWait)
	unlock, err := s.app.store.Lock(waiting, scheduleRecord)
	busy := waiting.Err() != nil
	cancel()
	switch {
	case err != nil && busy:
		return turnAgain
	case err != nil:
		return s.later(ctx, 0, err)
	}
	wait, err := s.run(ctx, unlock)
	return s.later(ctx, wait, err)
}

// run makes a run, unless another process has made it meanwhile, and gives the lock
// back.
func (s *schedule) run(ctx context.Context, unlock func()) (wait time.Duration, err error) {
	defer giveBack(unlock, &err, func(err error) error { return err })
	record, wait, err := s.load(ctx)
	if err != nil || wait > 0 {
		return wait, err
	}
	record.Expiry = s.app.clock.Now().Add(s.every)
	report, failure := s.app.RefreshDue(ctx)
	if failure != nil {
		record.Expiry = s.app.clock.Now().Add(s.every / turnShare)
	}
	if context.Cause(ctx) == nil { // else another process goes on at once
		_, err = s.app.store.Save(ctx, scheduleRecord, record)
		if err != nil && !errors.Is(err, ErrTokenConflict) && failure == nil { // in a conflict, another process has run as well
			failure = s.storeError(err)
			record.Expiry = s.app.clock.Now().Add(s.every / turnShare)
		}
	}
	s.done(report, failure)
	return max(0, record.Expiry.Sub(s.app.clock.Now())), nil
}

// load returns the record, and how long it is until the next run.
func (s *schedule) load(ctx context.Context) (record *Token, wait time.Duration, err error) {
	record, err = s.app.load(ctx, scheduleRecord)
	if err != nil || record == nil {
		return &Token{}, 0, err
	}
	if wait = record.Expiry.Sub(s.app.clock.Now()); wait > s.every { // by a clock that is wrong, or another interval
		wait = 0
	}
	return record, max(0, wait), nil
}

// later returns how long to wait before the next turn. It tells of a store that
// failed, if err says so.
func (s *schedule) later(ctx context.Context, wait time.Duration, err error) time.Duration {
	if err != nil {
		wait = s.every / turnShare
		if ctx.Err() == nil {
			s.done(RefreshReport{}, s.storeError(err))
		}
	}
	// The processes of a fleet start at the same time, and wake at the same time.
	return wait + rand.N(s.every/turnShare)
}

func (s *schedule) storeError(err error) error {
	return fmt.Errorf("pinterest: refreshing on a schedule: %w", s.app.storeError(err))
}
