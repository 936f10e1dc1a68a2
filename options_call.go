package pinterest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// CallOption changes one call.
type CallOption func(*callOptions)

type callOptions struct {
	list      []CallOption
	policy    RetryPolicy
	adAccount string
	response  *Response
	dryRun    *DryRun
	raw       *[]byte
	priority  Priority
	timeout   time.Duration
	override  *RetryPolicy
	token     string  // used instead of the account's
	ownToken  bool    // there is such a token
	user      *string // the id of whom the call is for

	withoutLookup bool
	whole         bool // attempts are not cut short by the end of the caller's context
	unpaced       bool
	maxDownload   int64
	jobKey        string // of CreateOnce
	concurrency   *int   // of CreateAll
	refused       error  // why CreateAll refuses the options
}

// apply runs the options over the client's defaults.
func (o *callOptions) apply(c *Client) error {
	for i, opt := range o.list {
		if opt == nil {
			return fmt.Errorf("call option %d is nil", i+1)
		}
		opt(o)
	}
	if o.refused != nil {
		return o.refused
	}
	o.policy = c.policy
	if o.override != nil {
		if err := o.override.validate(); err != nil {
			return err
		}
		o.policy = o.override.withDefaults()
	}
	if o.priority < PriorityBulk || o.priority > PriorityInteractive {
		return fmt.Errorf("the priority must be bulk, normal or interactive, is %v", o.priority)
	}
	if o.timeout < 0 {
		return fmt.Errorf("the attempt timeout must not be negative, is %v", o.timeout)
	}
	if o.timeout > 0 {
		o.policy.AttemptTimeout = o.timeout
	}
	var check Check
	check.OptionalID("ad_account_id", o.adAccount)
	if o.maxDownload < 0 {
		check.Add("MaxDownload", strconv.FormatInt(o.maxDownload, 10), "must not be negative")
	}
	if o.concurrency != nil {
		check.Add("Concurrency", strconv.Itoa(*o.concurrency), "is for CreateAll and CreateAllOnce")
	}
	if o.ownToken && o.token == "" {
		check.Add("UsingToken", "", "must not be empty")
	}
	if o.user != nil && (*o.user == "" || o.ownToken) {
		check.Add("ForUser", *o.user, "must not be empty, nor used with UsingToken")
	}
	return errors.Join(check.Err(), checkAccess("the token of UsingToken", o.token))
}

// AttemptTimeout limits each attempt of this call; see [RetryPolicy]. The context
// limits the whole call.
func AttemptTimeout(d time.Duration) CallOption { return func(o *callOptions) { o.timeout = d } }

// Retry replaces the client's policy for this call. Its zero fields take the
// defaults of [RetryPolicy]. Its Budget has no effect.
func Retry(p RetryPolicy) CallOption { return func(o *callOptions) { o.override = &p } }

// AdAccount acts as the owner of this ad account (query parameter
// ad_account_id, a numeric id of at most 18 digits).
func AdAccount(id string) CallOption { return func(o *callOptions) { o.adAccount = id } }

// AtPriority sets the priority of the call among those of its account and category
// that wait for their turn: see [Priority].
func AtPriority(p Priority) CallOption { return func(o *callOptions) { o.priority = p } }

// ResponseTo fills r with everything that is known about the call except its result,
// whether it succeeds or fails.
func ResponseTo(r *Response) CallOption { return func(o *callOptions) { o.response = r } }

// RawTo stores the bytes of a successful answer in b, in addition to the typed
// result. They are exactly what the API sent: nothing is redacted. A create that was
// adopted leaves b unchanged.
func RawTo(b *[]byte) CallOption { return func(o *callOptions) { o.raw = b } }

// UsingToken authorizes the call with this access token instead of the account's,
// such as one of client credentials or a conversion token. It is not refreshed. An
// empty token is refused, and so is one for an operation that has [Operation].AppAuth.
func UsingToken(token string) CallOption {
	return func(o *callOptions) { o.token, o.ownToken = token, true }
}

// ForUser makes the call fail with [ErrOtherUser] if the account does not belong to the
// Pinterest user with this id, or if its user is not known ([Token].User). Keep the
// id with a job that may outlive its process: the account can be connected to another
// user before the job is carried out.
func ForUser(id string) CallOption { return func(o *callOptions) { o.user = &id } }

// MaxDownload limits the file of a [Client.Download], in bytes, both compressed and
// decompressed. Default 4 GiB.
func MaxDownload(n int64) CallOption { return func(o *callOptions) { o.maxDownload = n } }

// RetryWithoutLookup sends a create again after an ambiguous failure, without a
// look-up. This can make a second resource. Use it only for creates for which a
// duplicate does no harm.
func RetryWithoutLookup() CallOption { return func(o *callOptions) { o.withoutLookup = true } }

// DryRun is the request that a call would send.
type DryRun struct {
	Method string
	URL    string
	Header http.Header // with the credentials redacted
	Body   []byte      // with the account's and the app's credentials redacted
}

// DryRunTo validates and builds the request, stores it in d and sends nothing. The
// method then returns an empty result without an error.
func DryRunTo(d *DryRun) CallOption { return func(o *callOptions) { o.dryRun = d } }

// wholeAttempts lets an attempt that has begun take all of its time, even if the
// caller's context ends.
func wholeAttempts(o *callOptions) { o.whole = true }
