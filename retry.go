package pinterest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// RetryPolicy limits how the library retries after temporary failures. A field that
// is zero takes its default.
type RetryPolicy struct {
	// MaxAttempts is the greatest number of attempts of one call, including the first.
	// Default 5. With 1, a call is sent again only after its token was refreshed;
	// attempts after a refresh never count.
	MaxAttempts int
	// ThrottleDelay is the first wait after a 429 without a time. Default 5 s.
	ThrottleDelay time.Duration
	// ServerDelay is the first wait after a 5xx or a transport failure. Default 2 s.
	ServerDelay time.Duration
	// MaxDelay is the upper limit of the waits, which double from one attempt to the
	// next. Default 60 s.
	MaxDelay time.Duration
	// MaxServerWait is the longest wait that a call sleeps when the API asks for one
	// (Retry-After, x-ratelimit-reset). A longer one ends the call at once with
	// disposition park and the time in Error.RetryAt. Default 60 s.
	MaxServerWait time.Duration
	// Jitter adds to each wait a random part of it, at most this share, after the
	// limits, so that callers do not all come back at once. It never makes a wait
	// shorter. Default 0.3; negative for none.
	Jitter float64
	// AttemptTimeout limits one attempt, from getting a token to the last byte of the
	// answer. An attempt that it ends is retried. Default 30 s.
	AttemptTimeout time.Duration
	// SettleTime is how long the API's lists may lag behind its writes. An ambiguous
	// create counts as absent only if look-ups spread over this time did not find its
	// result. Before a definite failure they go on for at least a minute, and where a
	// list is seen to lag, for up to two minutes. Default 5 s.
	SettleTime time.Duration
	// SettleReads is the number of look-ups in the settle time, the first right after
	// the failure and the last at its end; at least 2. The look-ups after the settle
	// time, and the last one right before sending again, are in addition. Default 2.
	SettleReads int
	// Budget limits the retries of an account while nothing succeeds. A retry after a
	// 429 costs 5, any other 10, and a success pays them back. It keeps a fleet from
	// overloading an API that is down. Default 1000; negative for no limit. It belongs
	// to the account and has no effect in the policy of one call.
	Budget int
}

const (
	throttleCost = 5
	serverCost   = 10
)

// withDefaults returns the policy with defaults for its zero fields.
func (p RetryPolicy) withDefaults() RetryPolicy {
	setDefault(&p.MaxAttempts, 5)
	setDefault(&p.ThrottleDelay, 5*time.Second)
	setDefault(&p.ServerDelay, 2*time.Second)
	setDefault(&p.MaxDelay, 60*time.Second)
	setDefault(&p.MaxServerWait, 60*time.Second)
	setDefault(&p.Jitter, 0.3)
	setDefault(&p.AttemptTimeout, 30*time.Second)
	setDefault(&p.SettleTime, 5*time.Second)
	setDefault(&p.SettleReads, 2)
	setDefault(&p.Budget, 1000)
	return p
}

// setDefault sets a field that is zero.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate refuses values that make no sense.
func (p RetryPolicy) validate() error {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"ThrottleDelay", p.ThrottleDelay}, {"ServerDelay", p.ServerDelay}, {"MaxDelay", p.MaxDelay},
		{"MaxServerWait", p.MaxServerWait}, {"AttemptTimeout", p.AttemptTimeout}, {"SettleTime", p.SettleTime},
	} {
		if f.value < 0 {
			return fmt.Errorf("RetryPolicy.%s must not be negative, is %v", f.name, f.value)
		}
	}
	if p.MaxAttempts < 0 {
		return fmt.Errorf("RetryPolicy.MaxAttempts must not be negative, is %d", p.MaxAttempts)
	}
	if p.SettleReads < 0 || p.SettleReads == 1 {
		return fmt.Errorf("RetryPolicy.SettleReads must be at least 2, is %d: one read proves nothing", p.SettleReads)
	}
	if !(p.Jitter <= 1) { // NaN, too
		return fmt.Errorf("RetryPolicy.Jitter is a share of the wait, at most 1, is %v", p.Jitter)
	}
	return nil
}

// retryBudget is the rest of RetryPolicy.Budget. All calls of an account share it.
type retryBudget struct {
	mu   sync.Mutex
	max  int
	left int
}

func newRetryBudget(n int) *retryBudget { return &retryBudget{max: n, left: n} }

// take spends cost, or reports that there is not enough.
func (b *retryBudget) take(cost int) bool {
	if b.max < 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < cost {
		return false
	}
	b.left -= cost
	return true
}

// give pays back what the call's retries cost, after a definite answer. It pays one
// more, so that a budget that was spent on failed calls fills up again.
func (b *retryBudget) give(n int) {
	if b.max < 0 {
		return
	}
	b.mu.Lock()
	b.left = min(b.max, b.left+n+1)
	b.mu.Unlock()
}

// nextInterval returns the next interval of b. It creates b on first use, one for
// each call. Only its intervals are used, not its retry loop.
func nextInterval(b *backoff.BackOff, initial, limit time.Duration) time.Duration {
	if *b == nil {
		*b = backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(min(initial, limit)),
			backoff.WithMaxInterval(limit),
			backoff.WithMultiplier(2),
			backoff.WithRandomizationFactor(0), // our jitter is added after the cap
			backoff.WithMaxElapsedTime(0),      // the loop has its own limits
		)
	}
	return (*b).NextBackOff()
}

// jitter adds a random part of at most the policy's share to the wait. It never
// makes a wait shorter.
func (p RetryPolicy) jitter(wait time.Duration) time.Duration {
	if p.Jitter <= 0 {
		return wait
	}
	more := rand.Float64() * p.Jitter * float64(wait)
	if more >= float64(maxDuration-wait) {
		return maxDuration
	}
	return wait + time.Duration(more)
}
