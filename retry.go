package pinterest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// RetryPolicy bounds what the library does about failures that may pass. A
// field left zero takes its default.
type RetryPolicy struct {
	// MaxAttempts is how often one call is sent at the most, the first time
	// included. Default 5. 1 turns sending again off, but for the one resend that
	// follows a refreshed token, which never counts.
	MaxAttempts int
	// ThrottleDelay is the first wait after a 429 that names no time. Default 5 s.
	ThrottleDelay time.Duration
	// ServerDelay is the first wait after a 5xx or a transport failure. Default 2 s.
	ServerDelay time.Duration
	// MaxDelay caps the waits, which double from one attempt to the next.
	// Default 60 s.
	MaxDelay time.Duration
	// MaxServerWait is the longest wait asked for by the API (Retry-After,
	// x-ratelimit-reset) that is slept. A longer one ends the call at once with
	// disposition park and the time in Error.RetryAt. Default 60 s.
	MaxServerWait time.Duration
	// Jitter is the share of a wait that is added to it at random, after the
	// caps, so that callers do not come back all at once. A wait is never made
	// shorter. Default 0.3; negative for none.
	Jitter float64
	// AttemptTimeout bounds one attempt, from asking for a token to the last
	// byte of the answer. An attempt that it ends is tried again. Default 30 s.
	AttemptTimeout time.Duration
	// SettleTime is how long the API's lists may lag behind its writes. An
	// ambiguous create counts as absent only when look-ups spread over this time
	// did not find it. Default 5 s.
	SettleTime time.Duration
	// SettleReads is how many look-ups are spread over the settle time, from the
	// failure to its end; at least 2. Default 2.
	SettleReads int
	// Budget is how much retrying an account may have under way while nothing
	// succeeds: a retry after a 429 costs 5, any other 10, and success pays back.
	// It keeps a fleet from hammering an API that is down. Default 1000;
	// negative for no limit. It belongs to the account: set for one call, it has
	// no effect.
	Budget int
}

const (
	throttleCost = 5
	serverCost   = 10
)

// withDefaults returns the policy with its zero fields filled.
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

// setDefault fills a field that is zero.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate refuses a policy that could not be meant.
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

// retryBudget is what is left of RetryPolicy.Budget, shared by an account's calls.
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

// give pays back after a definite answer: what the call's retries cost, and
// one more, so that a budget spent on calls that failed fills again.
func (b *retryBudget) give(n int) {
	if b.max < 0 {
		return
	}
	b.mu.Lock()
	b.left = min(b.max, b.left+n+1)
	b.mu.Unlock()
}

// nextInterval takes the next interval of b, which it makes on first use: one
// value a call, by its constructor, as a source of intervals and no more.
func nextInterval(b *backoff.BackOff, initial, limit time.Duration) time.Duration {
	if *b == nil {
		*b = backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(min(initial, limit)),
			backoff.WithMaxInterval(limit),
			backoff.WithMultiplier(2),
			backoff.WithRandomizationFactor(0), // ours is added after the cap
			backoff.WithMaxElapsedTime(0),      // the loop has its own bounds
		)
	}
	return (*b).NextBackOff()
}

// jitter adds up to the policy's share, so the wait is never below what was
// asked for.
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
