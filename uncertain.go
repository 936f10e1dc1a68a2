package pinterest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Uncertain says what to look for to find out whether a create took effect. It
// stands in the [Error] of a create that ended uncertain, can be stored as
// JSON, and is answered by [Client.Resolve], at any later time and in any
// process that has a client for the same account.
type Uncertain struct {
	Operation   string `json:"operation"` // pins/create, pins/save, boards/create or board_sections/create
	AdAccountID string `json:"ad_account_id,omitzero"`
	BoardID     string `json:"board_id,omitzero"`
	SectionID   string `json:"board_section_id,omitzero"`
	ParentPinID string `json:"parent_pin_id,omitzero"`
	Title       string `json:"title,omitzero"`
	Description string `json:"description,omitzero"`
	Link        string `json:"link,omitzero"`
	AltText     string `json:"alt_text,omitzero"`
	Marker      string `json:"marker,omitzero"`
	Name        string `json:"name,omitzero"` // of a board or a section

	Since  time.Time `json:"since"`            // the earliest creation time it can have, on the API's clock
	Before time.Time `json:"before,omitzero"`  // the latest, on the clock of Since; zero: not known
	Until  time.Time `json:"until,omitzero"`   // when it was last sent, on the client's clock; zero: not known, maybe a moment ago
	Local  bool      `json:"local,omitzero"`   // Since is on the client's clock: the API's was not known yet
	NotIDs []string  `json:"not_ids,omitzero"` // what is known to be others'
	Equals int       `json:"equals,omitzero"`  // how many equal creates before it ended uncertain
}

// findable reports whether there is a list to look in.
func (u *Uncertain) findable() bool {
	return u.Operation == OpBoardsCreate.ID || u.BoardID != ""
}

// validate refuses a stored value that does not say what to look for.
func (u *Uncertain) validate() error {
	var c checker
	switch u.Operation {
	case OpPinsCreate.ID, OpSectionsCreate.ID:
		c.id("board_id", u.BoardID)
	case OpPinsSave.ID:
		c.id("board_id", u.BoardID)
		c.id("parent_pin_id", u.ParentPinID)
	case OpBoardsCreate.ID:
	default:
		c.add("operation", u.Operation, "is not one that can be looked up")
	}
	if u.Operation == OpBoardsCreate.ID || u.Operation == OpSectionsCreate.ID {
		c.name(u.Name)
	}
	if u.Equals < 0 {
		c.add("equals", strconv.Itoa(u.Equals), "must not be negative")
	}
	if u.Since.IsZero() {
		c.add("since", "", "is required")
	}
	return c.err()
}

// lateness is how long after the last answer was given up the API may still
// carry a request out.
const lateness = time.Minute

// window is the time in which it can have been made.
func (u *Uncertain) window(s *skew) Window {
	if u.Local {
		return Window{sent: u.Since, skew: s, late: u.Before}
	}
	return Window{skew: s, fixed: u.Since, late: u.Before}
}

// Outcome is what became of a create.
type Outcome string

// The outcomes of [Client.Resolve].
const (
	OutcomeCreated Outcome = "created" // it took effect: the Resolution has the result
	OutcomeAbsent  Outcome = "absent"  // it did not: it can be sent again
	OutcomeUnknown Outcome = "unknown" // it still cannot be told
)

// Resolution is the answer of [Client.Resolve].
type Resolution struct {
	Outcome Outcome
	Pin     *Pin     // for a pin that was created or saved
	Board   *Board   // for a board
	Section *Section // for a section
}

// Resolve looks up what became of a create that ended uncertain. Absent is
// said only when the settle time ([RetryPolicy.SettleTime]) has passed since it
// was last sent, for which Resolve waits. With OutcomeUnknown comes the error
// that kept it from knowing.
func (c *Client) Resolve(ctx context.Context, u Uncertain, opts ...CallOption) (*Resolution, error) {
	unknown := &Resolution{Outcome: OutcomeUnknown}
	cl := &call{op: Operation{ID: u.Operation}, opts: callOptions{list: opts}}
	if err := u.validate(); err != nil {
		return unknown, cl.invalid(err)
	}
	if err := cl.opts.apply(c); err != nil {
		return unknown, cl.invalid(err)
	}
	if cl.opts.dryRun != nil {
		return unknown, cl.invalid(errors.New("a look-up has no dry run"))
	}
	if u.AdAccountID != "" {
		opts = append(slices.Clone(opts), AdAccount(u.AdAccountID))
	}
	// It takes its turn among the equal creates of this client, so that it does
	// not take for its own what one of them is making.
	cl.seek = &seeker{key: u.key()}
	done, err := c.creates.enter(ctx, cl)
	if err != nil {
		return unknown, cl.notBegun(err)
	}
	defer done()
	res, err := c.resolve(ctx, &u, cl, opts)
	if err != nil {
		return unknown, fmt.Errorf("pinterest: resolving %s: %w", u.Operation, err)
	}
	return res, nil
}

// resolve looks until it is known what became of u, and enters that in the
// books of equal creates.
func (c *Client) resolve(ctx context.Context, u *Uncertain, cl *call, opts []CallOption) (*Resolution, error) {
	known := &intent{things: slices.Clone(cl.intent.things), unresolved: max(0, u.Equals-len(cl.intent.resolved))}
	identity := u.identity()
	own, again := cl.intent.resolved[identity]
	known.own = own
	if n := cl.intent.unresolved; n > 0 { // it is one of these itself
		known.unresolved = min(u.Equals, n-1)
	}
	for _, id := range u.NotIDs {
		known.things = append(known.things, ownThing{id: id})
	}
	// Only now, since the time that is put in is not part of the identity.
	if now := c.clock.Now(); u.Until.IsZero() || u.Until.After(now) { // or by a clock that is ahead of ours
		u.Until = now
	}
	policy := cl.opts.policy
	res := &Resolution{Outcome: OutcomeCreated}
	search := search{c: c, op: cl.op, call: c.calls.Add(1), want: u, last: u.Until, settle: policy.SettleTime, reads: policy.SettleReads}
	search.find = func(ctx context.Context) (bool, listing, error) { return c.lookFor(ctx, u, known, opts, res) }
	state, err := search.prove(ctx)
	switch state {
	case stateUnknown:
		return nil, err
	case stateAbsent:
		res = &Resolution{Outcome: OutcomeAbsent}
	case stateFound:
		cl.intent.remember(res.id(), c.clock.Now())
	}
	if !again {
		cl.intent.unresolved = max(0, cl.intent.unresolved-1)
	}
	if cl.intent.resolved == nil {
		cl.intent.resolved = map[string]string{}
	}
	cl.intent.resolved[identity] = res.id()
	return res, nil
}

// identity tells stored creates of one key apart.
func (u *Uncertain) identity() string {
	return fingerprint(u.Since.String(), u.Until.String(), strconv.Itoa(u.Equals), strings.Join(u.NotIDs, " "))
}

// id returns the id of what was made.
func (r *Resolution) id() string {
	switch {
	case r.Pin != nil:
		return r.Pin.ID
	case r.Board != nil:
		return r.Board.ID
	case r.Section != nil:
		return r.Section.ID
	}
	return ""
}

// lookFor looks once, in the list of what was to be made, and puts it into res.
func (c *Client) lookFor(ctx context.Context, u *Uncertain, in *intent, opts []CallOption, res *Resolution) (bool, listing, error) {
	w := u.window(c.skew)
	switch u.Operation {
	case OpBoardsCreate.ID:
		res.Board = new(Board)
		return finder[Board]{c.findBoards, madeBoard}.into(res.Board, u)(ctx, w, in, opts)
	case OpSectionsCreate.ID:
		res.Section = new(Section)
		return finder[Section]{c.findSections, madeSection}.into(res.Section, u)(ctx, w, in, opts)
	}
	res.Pin = new(Pin)
	return finder[Pin]{c.findPins, madePin}.into(res.Pin, u)(ctx, w, in, opts)
}

// uncertainty completes what the call was looking for with what is known now.
func (r *run) uncertainty() *Uncertain {
	if r.cl.seek == nil || r.cl.seek.want == nil {
		return nil
	}
	u := *r.cl.seek.want
	u.AdAccountID = r.cl.opts.adAccount
	u.Until = r.c.clock.Now()
	u.Since, u.Before, u.Local = r.sentAt, u.Until.Add(lateness), true
	if r.c.skew.isKnown() {
		u.Since, u.Local = Window{sent: r.sentAt, skew: r.c.skew}.Since(), false
		u.Before = u.Before.Add(r.c.skew.offset() + tolerance)
	}
	u.NotIDs, u.Equals = r.cl.intent.ids(), r.cl.intent.unresolved
	return &u
}
