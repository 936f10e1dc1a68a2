package pinterest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Limiter paces calls, so that Pinterest does not have to refuse them. An [App]
// asks it for a permit before every attempt of every call, and passes on what the
// answer said about the quota. The default, [NewPacer], serves one process. The
// module github.com/pinterest-go/pinterest/redislimit serves a fleet. Package
// pinteresttest/limitertest tests implementations. Their methods are safe for
// concurrent use.
//
// A key is an app, an account and a category. The permits of a key are granted
// first come, first served within a priority. All keys of an account share the
// limits of the account, and all keys of an app those of the app.
type Limiter interface {
	// Wait returns nil when the call may be sent, and ctx's error when ctx ends
	// before that. It returns a *[PaceError] at once when the permit cannot come
	// before ctx's deadline, or when it would take longer than p.MaxHold because
	// the quota is used up or the API has closed it.
	Wait(ctx context.Context, p Permit) error
	// Observe takes note of what an answer said about the quota. A rate that says
	// nothing changes nothing.
	Observe(ctx context.Context, p Permit, rate RateLimit)
	// Penalize takes note that the API refused the call for its rate and closed
	// the quota for the given time. rate.Policy names the quota; without a name it
	// is the key's own.
	Penalize(ctx context.Context, p Permit, rate RateLimit, wait time.Duration)
	// Usage returns where an account stands: one entry for each limit that is in
	// use, including those of the app. No entries mean that nothing is used.
	Usage(ctx context.Context, app, account string) ([]Usage, error)
}

// Permit describes the call that asks a [Limiter] for permission to be sent.
type Permit struct {
	App      string
	Account  string
	Category Category
	Cost     int // how many requests it counts as; 0 means 1
	Priority Priority
	// Since is when the call began, so that a call that is sent again keeps its
	// place in the queue. The zero time means now.
	Since time.Time
	// MaxHold is the longest wait for a quota that is used up or that the API has
	// closed. 0 means no limit. It does not limit the time in the queue behind
	// other calls.
	MaxHold time.Duration
	// Waiting, if not nil, is called once, before the first wait.
	Waiting func(PaceWait)
}

// Priority orders the calls of one key that wait for a permit.
type Priority int8

// The priorities, the lowest first.
const (
	// PriorityBulk is for work that is not urgent, such as a nightly import.
	PriorityBulk Priority = iota - 1
	// PriorityNormal is the default.
	PriorityNormal
	// PriorityInteractive is for calls that a person is waiting for.
	PriorityInteractive
	// priorityToken is for token calls, because other calls wait for them.
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
	// PacePace: the limit allows no more at the moment.
	PacePace PaceReason = iota
	// PaceQueued: other calls of the same key are ahead in the queue.
	PaceQueued
	// PaceHeld: the quota is used up, or the API has closed it.
	PaceHeld
	// PaceUnavailable: the limiter cannot decide, for example because its server
	// does not answer.
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

// PaceWait says why a call has to wait for its permit.
type PaceWait struct {
	Reason PaceReason
	Limit  string    // the limit that decides, such as "org_write" or "safety_net"
	Ahead  int       // how many calls of the key are ahead
	Until  time.Time // when it can be sent at the earliest, as far as is known
}

// PaceError is the error of a call whose permit a [Limiter] refused, because there
// was no point in waiting for it. errors.Is reports true for [ErrPaced], and for
// context.DeadlineExceeded if the permit would have come after the deadline.
type PaceError struct {
	PaceWait
	cause error
}

// NewPaceError returns an error for implementations of [Limiter]. cause may be nil.
func NewPaceError(wait PaceWait, cause error) *PaceError { return &PaceError{wait, cause} }

// Error names the reason, the limit and the time.
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

// Is reports whether target is [ErrPaced].
func (e *PaceError) Is(target error) bool { return target == ErrPaced }

// Unwrap returns the cause, such as context.DeadlineExceeded.
func (e *PaceError) Unwrap() error { return e.cause }

// Usage is the state of one limit of an account.
type Usage struct {
	Limit     string        // its name: a category, "safety_net", or what the API calls it
	Category  Category      // the category that it holds for; "" for all
	App       bool          // whether all accounts of the app share it
	Max       int           // requests in one window
	Window    time.Duration // length of the window
	Used      int           // requests in this window, including those of others as far as the API reported them
	Free      int           // requests left in this window, which go at the pace: Max less Used, 0 while held
	Reset     time.Duration // until the window ends or, if that is not known, until all of it is free again
	HeldUntil time.Time     // until when the API has closed the limit; zero if it is open
	Waiting   int           // calls of this process in the queue
}

// Quota is how many requests are allowed in a window. The zero Quota means no
// limit.
type Quota struct {
	Limit  int           // at least 1
	Window time.Duration // whole seconds, from 1 s to 366 days
}

// Limits are the quotas that are known in advance. A limiter learns others, and
// changes, from the API's headers. [CategoryAll] is the key of a quota over all
// categories together.
type Limits struct {
	Account map[Category]Quota // of each account
	App     map[Category]Quota // of the app, all accounts together
}

// Access is the level of access that Pinterest has granted to an app. It decides
// the limits of the app.
type Access uint8

const (
	// AccessStandard has, for each account, 100 requests a second and a quota a
	// minute for each category.
	AccessStandard Access = iota
	// AccessTrial has a quota a day for each category, for all accounts together.
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

// Limits returns the limits that Pinterest publishes for the level of access.
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

// check returns a FieldError for a quota that is not valid.
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

// Scope splits the name of a policy, such as "org_write_app_id_user_id" or
// "analytics_get_report_app_id", into the name of the limit and whose it is. app
// is true if all accounts of the app share the limit. Without a name it is the
// account's.
func (p RatePolicy) Scope() (name string, app bool) {
	if name, ok := strings.CutSuffix(p.Name, "_app_id_user_id"); ok {
		return name, false
	}
	if name, ok := strings.CutSuffix(p.Name, "_app_id"); ok {
		return name, true
	}
	return p.Name, false
}
