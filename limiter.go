package pinterest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Limiter paces calls, so that Pinterest does not have to refuse them. An [App]
// asks it for a permit before every attempt of every call and tells it what the
// answer said. The default, [NewPacer], serves one process; the module
// github.com/pinterest-go/pinterest/redislimit serves a fleet. Package
// pinteresttest/limitertest holds an implementation against all of this.
//
// A key is an (app, account, category). Its permits are given first come, first
// served within a priority, and all keys of an account and of an app share
// the limits that hold for the account and for the app.
type Limiter interface {
	// Wait returns nil when the call may be sent. It leaves with ctx's error when
	// ctx ends. It returns a *[PaceError] at once when the permit cannot come
	// before ctx's deadline, or when it would take longer than p.MaxHold because
	// the quota is used up or the API has asked to stay away.
	Wait(ctx context.Context, p Permit) error
	// Observe tells what an answer said of the quota. What the rate does not say
	// changes nothing.
	Observe(ctx context.Context, p Permit, rate RateLimit)
	// Penalize tells that the API refused the call for its rate, and that it
	// asks to stay away for the given time. Whose quota it was is told by
	// rate.Policy; without it, the key's own.
	Penalize(ctx context.Context, p Permit, rate RateLimit, wait time.Duration)
	// Usage tells where an account stands: one entry for each limit that is in
	// use, those of the app included. None means that nothing is used.
	Usage(ctx context.Context, app, account string) ([]Usage, error)
}

// Permit is what a call asks a [Limiter] for.
type Permit struct {
	App      string
	Account  string
	Category Category
	Cost     int // how many requests it stands for; 0 means 1
	Priority Priority
	// Since is when the call began: a call that is sent again keeps its place. A
	// zero Since means now.
	Since time.Time
	// MaxHold bounds how long is waited for a quota that is used up or that the
	// API has closed. 0 means no bound. The time spent in the line of those who
	// came first is not bounded by it.
	MaxHold time.Duration
	// Waiting, if set, is called once, before the first wait.
	Waiting func(PaceWait)
}

// Priority orders the calls of one key that wait for a permit.
type Priority int8

// The priorities, the last one first in line.
const (
	// PriorityBulk is for work that may take its time, such as a nightly import.
	PriorityBulk Priority = iota - 1
	// PriorityNormal is the default.
	PriorityNormal
	// PriorityInteractive is for calls that a person waits for.
	PriorityInteractive
	// priorityToken is for token calls, which others wait for.
	priorityToken
)

// String returns "bulk", "normal", "interactive" or "token".
func (p Priority) String() string {
	switch p {
	case PriorityBulk:
		return "bulk"
	case PriorityNormal:
		return "normal"
	case PriorityInteractive:
		return "interactive"
	case priorityToken:
		return "token"
	}
	return fmt.Sprintf("Priority(%d)", int8(p))
}

// PaceReason says why a call waits for its permit.
type PaceReason uint8

// The reasons.
const (
	// PacePace: the limit allows no more for the moment.
	PacePace PaceReason = iota
	// PaceQueued: others of the same key go first.
	PaceQueued
	// PaceHeld: the API has asked to stay away, or its quota is used up.
	PaceHeld
	// PaceUnavailable: the limiter could not be asked.
	PaceUnavailable
)

// String returns the reason in words.
func (r PaceReason) String() string {
	switch r {
	case PacePace:
		return "the pace of the limit"
	case PaceQueued:
		return "others are ahead in the queue"
	case PaceHeld:
		return "the quota is used up or closed"
	case PaceUnavailable:
		return "the limiter is unavailable"
	}
	return fmt.Sprintf("PaceReason(%d)", uint8(r))
}

// PaceWait tells of a call that begins to wait for its permit.
type PaceWait struct {
	Reason PaceReason
	Limit  string    // the limit that decides, such as "org_write" or "safety_net"
	Ahead  int       // how many of the key come first
	Until  time.Time // the earliest time at which it can go, as far as is known
}

// PaceError says that a [Limiter] refused a permit, since waiting for it would
// have been in vain. It is an [ErrPaced].
type PaceError struct {
	PaceWait
	cause error
}

// NewPaceError is for implementations of [Limiter]. cause may be nil.
func NewPaceError(wait PaceWait, cause error) *PaceError { return &PaceError{wait, cause} }

// Error says why, of which limit, and until when.
func (e *PaceError) Error() string {
	s := "not sent: " + e.Reason.String()
	if e.Limit != "" {
		s += " (" + e.Limit + ")"
	}
	if !e.Until.IsZero() {
		s += ", until " + e.Until.UTC().Format(time.RFC3339)
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Is makes it an [ErrPaced].
func (e *PaceError) Is(target error) bool { return target == ErrPaced }

// Unwrap returns the cause, such as context.DeadlineExceeded.
func (e *PaceError) Unwrap() error { return e.cause }

// Usage is where an account stands with one limit.
type Usage struct {
	Limit     string        // its name: a category, "safety_net", or what the API calls it
	Category  Category      // the category it holds for; "" for all
	App       bool          // it is shared by all accounts of the app
	Max       int           // requests in one window
	Window    time.Duration // how long it is
	Used      int           // in this window, others' use included where the API told of it
	Free      int           // how many could go now, one after another at the pace: Max less Used, 0 while held
	Reset     time.Duration // until the window ends or, where that is not known, until all of it is free again
	HeldUntil time.Time     // zero, unless the API has asked to stay away
	Waiting   int           // calls of this process in line
}

// Quota is how many requests are allowed in a window. No limit is the zero Quota.
type Quota struct {
	Limit  int
	Window time.Duration // in whole seconds
}

// Limits are the quotas that are known in advance. Those that are not, or that
// have changed, are learned from the API's headers.
type Limits struct {
	Account map[Category]Quota // of each (app, account); [CategoryAll] holds over all
	App     map[Category]Quota // of the app, all accounts together
}

// Access is what Pinterest has granted to an app. Its limits follow from it.
type Access uint8

const (
	// AccessStandard: 100 requests a second for each account, and a quota a
	// minute for each category.
	AccessStandard Access = iota
	// AccessTrial: a quota a day for each category, for all accounts together.
	AccessTrial
)

// String returns "standard" or "trial".
func (a Access) String() string {
	switch a {
	case AccessStandard:
		return "standard"
	case AccessTrial:
		return "trial"
	}
	return fmt.Sprintf("Access(%d)", uint8(a))
}

// Limits returns the limits that Pinterest publishes for the access.
// https://developers.pinterest.com/docs/reference/rate-limits/
func (a Access) Limits() Limits {
	if a == AccessTrial {
		l := Limits{App: map[Category]Quota{CategoryAll: {1000, day}}}
		for _, c := range []Category{
			CategoryAdsAnalytics, CategoryAdsConversions, CategoryAdsRead, CategoryCatalogsRead, CategoryCatalogsWrite,
			CategoryOrgRead, CategoryOrgAnalytics,
		} {
			l.App[c] = Quota{1000, day}
		}
		l.App[CategoryAdsWrite], l.App[CategoryOrgWrite] = Quota{300, day}, Quota{300, day}
		return l
	}
	return Limits{Account: map[Category]Quota{
		CategoryAll:            {100, time.Second},
		CategoryAdsAnalytics:   {300, time.Minute},
		CategoryAdsConversions: {120_000, time.Minute},
		CategoryAdsRead:        {1000, time.Minute},
		CategoryAdsWrite:       {400, time.Minute},
		CategoryCatalogsRead:   {100, time.Minute},
		CategoryCatalogsWrite:  {100, time.Minute},
		CategoryOrgRead:        {1000, time.Minute},
		CategoryOrgWrite:       {100, time.Minute},
		CategoryOrgAnalytics:   {60, time.Minute},
		CategoryTrendsRead:     {60, time.Minute},
	}}
}

const (
	day = 24 * time.Hour
	// maxWindow is the longest window of a quota, and the longest hold.
	maxWindow = 366 * day
)

// check refuses what could not be meant.
func (l Limits) check() error {
	for _, quotas := range []map[Category]Quota{l.Account, l.App} {
		for c, q := range quotas {
			name := limitName(c)
			switch {
			case q == Quota{}:
			case q.Limit <= 0:
				return FieldError{Field: "quota of " + name, Value: fmt.Sprint(q.Limit), Problem: "must allow at least 1 request"}
			case q.Window < time.Second || q.Window%time.Second != 0 || q.Window > maxWindow:
				return FieldError{Field: "window of " + name, Value: q.Window.String(), Problem: "must be whole seconds, from 1 s to 366 days"}
			}
		}
	}
	return nil
}

// safetyNet is the API's name for the limit over all categories.
const safetyNet = "safety_net"

func limitName(c Category) string {
	if c == CategoryAll {
		return safetyNet
	}
	return string(c)
}

// Scope tells whose quota a policy of the rate headers is, from its name, such
// as "org_write_app_id_user_id" or "analytics_get_report_app_id": the name less
// what it is counted by, and whether all accounts of the app share it. Without
// a name it is the account's.
func (p RatePolicy) Scope() (name string, app bool) {
	if name, ok := strings.CutSuffix(p.Name, "_app_id_user_id"); ok {
		return name, false
	}
	if name, ok := strings.CutSuffix(p.Name, "_app_id"); ok {
		return name, true
	}
	return p.Name, false
}
