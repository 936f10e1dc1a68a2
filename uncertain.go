package pinterest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/apiclock"
)

// Uncertain describes a create that may have taken effect. The [Error] of a create
// that ended uncertain has one. A program can store it as JSON and pass it to
// [PinsService.Resolve], or the Resolve of another service, at any later time and
// in any process that has a client for the same account.
type Uncertain struct {
	Version     int             `json:"version"`      // of this format
	ID          string          `json:"id,omitzero"`  // of this create alone
	Key         string          `json:"key,omitzero"` // the key of its [CreateOnce]
	Operation   string          `json:"operation"`    // the create's operation id
	AdAccountID string          `json:"ad_account_id,omitzero"`
	Want        json.RawMessage `json:"want"` // what identifies the result; only its [Lookup] can read it

	Since  time.Time `json:"since"`            // the earliest creation time of the result, on the API's clock
	Before time.Time `json:"before,omitzero"`  // the latest, on the clock of Since; zero if it is not known
	Until  time.Time `json:"until,omitzero"`   // when it was last sent, on the client's clock; zero if that is not known, so it may be a moment ago
	Local  bool      `json:"local,omitzero"`   // Since is on the client's clock, because the API's was not known yet
	NotIDs []string  `json:"not_ids,omitzero"` // results that are known to belong to other creates
	Equals int       `json:"equals,omitzero"`  // how many equal creates ended uncertain before it
}

// uncertainVersion is the version of the format that this version of the library
// writes and reads.
const uncertainVersion = 1

// UnmarshalJSON reads a stored value. It refuses a format version that this version
// of the library does not know.
func (u *Uncertain) UnmarshalJSON(data []byte) error {
	type plain Uncertain
	if err := json.Unmarshal(data, (*plain)(u)); err != nil {
		return err
	}
	return u.checkVersion()
}

func (u *Uncertain) checkVersion() error {
	if u.Version == uncertainVersion {
		return nil
	}
	problem := fmt.Sprintf("must be %d: it was written by a newer version of this library", uncertainVersion)
	if u.Version < uncertainVersion {
		problem = fmt.Sprintf("must be %d: it is empty, or was written before version 0.1 of this library, which cannot be read any more", uncertainVersion)
	}
	return FieldError{Field: "Uncertain.version", Value: strconv.Itoa(u.Version), Problem: problem}
}

// check refuses a stored value without the fields that a look-up needs.
func (u *Uncertain) check() error {
	var c Check
	if u.Operation == "" {
		c.Add("operation", "", "is required")
	}
	if u.Equals < 0 {
		c.Add("equals", strconv.Itoa(u.Equals), "must not be negative")
	}
	if u.Since.IsZero() {
		c.Add("since", "", "is required")
	}
	return errors.Join(u.checkVersion(), c.Err())
}

// longestCommit is how long after the end of the last attempt the API may still carry
// the request out.
const longestCommit = time.Minute

// timeframe returns the period in which the result can have been made.
func (u *Uncertain) timeframe(o *apiclock.Offset) timeframe {
	if u.Local {
		loose := longestZoneError
		if u.Before.IsZero() { // an intent: many are stored before the API's clock is known
			loose = longestClockStep
		}
		return timeframe{sent: u.Since, offset: o, late: u.Before, loose: loose}
	}
	return timeframe{offset: o, fixed: u.Since, late: u.Before}
}

// Outcome is what became of a create.
type Outcome string

// The outcomes of [Resolve].
const (
	OutcomeCreated Outcome = "created" // it took effect, and the Resolution has the result
	OutcomeAbsent  Outcome = "absent"  // it did not take effect and can be sent again
	OutcomeUnknown Outcome = "unknown" // nobody can tell yet
)

// Resolution is the answer of [Resolve].
type Resolution[T any] struct {
	Outcome Outcome
	Result  *T // nil unless the outcome is OutcomeCreated
}

// Resolve is for authors of operations: it looks up what became of a create that
// ended uncertain. The services have methods for their own creates, such as
// [PinsService.Resolve].
//
// lookup is the function that returns the [Lookup] of the operation. Resolve waits
// until the settle time ([RetryPolicy].SettleTime) has passed since the create was
// last sent, before it reports OutcomeAbsent. OutcomeUnknown comes with an error
// that says why. After a [CreateOnce] whose [Ledger] the client has, the answer is that
// of the key, also if it was used again since, and the key follows the outcome: it has
// the result, or is free again.
func Resolve[W, T any](ctx context.Context, c *Client, u Uncertain, lookup func(want W) Lookup[T], opts ...CallOption) (*Resolution[T], error) {
	unknown := &Resolution[T]{Outcome: OutcomeUnknown}
	res := &Resolution[T]{Outcome: OutcomeCreated, Result: new(T)}
	cl := &call{op: Operation{ID: u.Operation, Method: http.MethodPost, Kind: KindCreate}, out: res.Result, opts: callOptions{list: opts}}
	if err := cl.prepareResolve(ctx, c, &u, func() (AnyLookup, error) {
		want, err := readWant[W](u.Want)
		if err != nil {
			return nil, err
		}
		if lookup == nil {
			return nil, errNoLookup
		}
		return lookup(want), nil
	}); err != nil {
		return unknown, c.refuse(ctx, cl, cl.invalid(err))
	}
	// The locks are taken in the order of CreateOnce: first those of the ledger, so that
	// no two processes adopt one result, and then the turn among the equal creates of
	// this client, so that the result of one in flight is not adopted.
	held := ctx
	if c.ledger != nil {
		names := []string{c.contentName(cl.lookup)}
		if u.Key != "" {
			names = append(names, c.keyName(u.Key))
		}
		var unlock func()
		var err error
		if held, unlock, err = c.ledger.Lock(ctx, names...); err != nil {
			return unknown, c.refuse(ctx, cl, cl.ledgerError(err))
		}
		defer unlock()
	}
	rec, done, e := c.resolveKey(held, cl, &u)
	if e != nil {
		return unknown, c.refuse(ctx, cl, e)
	}
	if done {
		return res, nil
	}
	verdict, err := c.settle(held, cl, u, "resolving")
	if verdict == verdictUnknown {
		return unknown, err
	}
	if err = cl.lostLock(held); err == nil {
		err = c.recordResolved(held, cl, &u, rec, verdict == verdictFound)
	}
	if err != nil {
		return unknown, c.refuse(ctx, cl, cl.ledgerError(err))
	}
	if verdict == verdictAbsent {
		return &Resolution[T]{Outcome: OutcomeAbsent}, nil
	}
	return res, nil
}

// settle finds out what became of the create u. If nobody can tell, the call ends
// with the error, which says why it had to be found out.
func (c *Client) settle(ctx context.Context, cl *call, u Uncertain, why string) (verdict, error) {
	leave, err := c.registry.enter(ctx, cl)
	if err != nil {
		return verdictUnknown, c.refuse(ctx, cl, cl.notBegun(err))
	}
	defer leave()
	verdict, err := c.resolve(ctx, cl, &u)
	if verdict == verdictUnknown {
		err = c.refuse(ctx, cl, c.unresolved(cl, u, fmt.Errorf("%s: %w", why, err)))
	}
	return verdict, err
}

// unresolved is the error of a call that could not tell what became of an earlier
// create.
func (c *Client) unresolved(cl *call, u Uncertain, err error) *Error {
	e := cl.newError(ClassUnknown, DispositionUncertain, err)
	e.Uncertain, e.RetryAt = &u, c.clock.Now().Add(longestLag)
	return e
}

// prepareResolve is prepare for the look-up of a stored create.
func (cl *call) prepareResolve(ctx context.Context, c *Client, u *Uncertain, lookup func() (AnyLookup, error)) error {
	cl.secrets, cl.caller = c.secrets, ctx
	if ctx == nil {
		return errNilContext
	}
	if err := u.check(); err != nil {
		return err
	}
	if err := cl.opts.apply(c); err != nil {
		return err
	}
	if cl.opts.dryRun != nil {
		return errors.New("a look-up has no dry run")
	}
	setDefault(&cl.opts.adAccount, u.AdAccountID)
	cl.opts.jobKey = u.Key
	var check Check
	check.OptionalID("ad_account_id", cl.opts.adAccount)
	found, err := lookup()
	if err := errors.Join(err, check.Err()); err != nil {
		return err
	}
	cl.lookup, err = found.bind(cl)
	return err
}

// resolve looks the create u up until its outcome is known, and records in the
// registry whose the result is.
func (c *Client) resolve(ctx context.Context, cl *call, u *Uncertain) (verdict, error) {
	cl.name = u.id()
	s := search{
		c: c, cl: cl, ctx: ctx, owner: cl.owner(), others: u.NotIDs,
		in: u.timeframe(c.apiClock), opts: cl.sharedWithPolicy(),
	}
	if c.ledger == nil { // which would know what equal creates have made
		open, resolved := c.registry.uncertainBefore(cl.pending, s.owner)
		if s.unresolved = max(0, u.Equals-resolved); open > 0 {
			s.unresolved = min(u.Equals, open)
		}
	}
	if now := c.clock.Now(); u.Until.IsZero() || u.Until.After(now) { // After: another process's clock is ahead of ours
		u.Until = now
	}
	s.last, s.in.last = u.Until, u.Until
	verdict, err := s.prove(ctx)
	if verdict == verdictUnknown {
		return verdict, err
	}
	if verdict == verdictFound {
		id, created := cl.lookup.made()
		c.registry.own(s.owner, cl.lookup, id, created)
	}
	c.registry.resolve(cl.pending, u)
	return verdict, nil
}

// The prefixes of owners: the key of a CreateOnce, or the id of a create.
const (
	keyPrefix = "key "
	idPrefix  = "create "
)

// id names the create as the owner of its result.
func (u *Uncertain) id() string {
	if u.ID != "" {
		return idPrefix + u.ID
	}
	parts := []string{u.Operation, string(u.Want), u.Since.String(), u.Until.String(), strconv.Itoa(u.Equals), strings.Join(u.NotIDs, " ")}
	return idPrefix + hex.EncodeToString([]byte(fingerprint(parts...)))
}

// owner is who its result belongs to: see call.owner.
func (u *Uncertain) owner() string {
	if u.Key != "" {
		return keyPrefix + u.Key
	}
	return u.id()
}

// uncertainty describes the call's create, with what is known now.
func (r *run) uncertainty() *Uncertain {
	if r.cl.lookup == nil {
		return nil
	}
	id, intended := strings.CutPrefix(r.cl.name, idPrefix)
	if !intended {
		id = rand.Text()
	}
	u := newUncertain(r.cl, id, r.c.apiClock, r.sentAt)
	u.Until = r.c.clock.Now()
	u.Before = u.Until.Add(longestCommit)
	if !u.Local {
		_, upper := r.c.apiClock.Bounds()
		u.Before = u.Before.Add(upper + clockResolution)
	}
	equals, _ := r.c.registry.uncertain(r.cl.pending, u.owner())
	u.NotIDs, u.Equals = r.c.registry.ids(r.cl.lookup.list, u.Since.Add(-nearStart-longestClockStep)), equals
	return u
}

// Intent describes a create that is about to be sent, for a program that keeps its
// own records. Store the value before you call the create. After a crash,
// [Resolve] finds out from it what became of the create. [CreateOnce] does the same
// with a [Ledger]. The request needs a [Lookup]. Intent sends nothing. The client takes
// its next create of equal content, other than by CreateOnce, for the intended one.
func (c *Client) Intent(op Operation, req Request, opts ...CallOption) (*Uncertain, error) {
	ctx := context.Background()
	cl := &call{op: op, req: req, opts: callOptions{list: opts}}
	err := cl.prepare(ctx, c)
	if err == nil && cl.lookup == nil {
		err = errNoLookup
	}
	if err != nil {
		return nil, c.refuse(ctx, cl, cl.invalid(err))
	}
	u := newUncertain(cl, rand.Text(), c.apiClock, c.clock.Now())
	c.registry.intend(cl.lookup, u.id())
	return u, nil
}

// newUncertain describes a create with this id that is sent from this time on.
func newUncertain(cl *call, id string, o *apiclock.Offset, sent time.Time) *Uncertain {
	u := &Uncertain{
		Version: uncertainVersion, ID: id, Key: cl.opts.jobKey, Operation: cl.op.ID, AdAccountID: cl.opts.adAccount, Want: cl.lookup.want,
		Since: sent, Local: true,
	}
	if o.Known() {
		u.Since, u.Local = timeframe{sent: sent, offset: o}.since(), false
	}
	return u
}
