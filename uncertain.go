package pinterest

import (
	"context"
	"fmt"
	"slices"
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
	if u.Since.IsZero() {
		c.add("since", "", "is required")
	}
	return c.err()
}

// window is the time in which it can have been made.
func (u *Uncertain) window(s *skew) Window {
	if u.Local {
		return Window{sent: u.Since, skew: s}
	}
	return Window{skew: s, fixed: u.Since}
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
	if u.AdAccountID != "" {
		opts = append(slices.Clone(opts), AdAccount(u.AdAccountID))
	}
	res := &Resolution{Outcome: OutcomeCreated}
	policy := cl.opts.policy
	if u.Until.IsZero() {
		u.Until = c.clock.Now()
	}
	search := search{c: c, op: cl.op, want: &u, last: u.Until, settle: policy.SettleTime, reads: policy.SettleReads}
	search.find = func(ctx context.Context) (bool, listing, error) { return c.lookFor(ctx, &u, opts, res) }
	state, err := search.prove(ctx)
	switch state {
	case stateFound:
		return res, nil
	case stateAbsent:
		return &Resolution{Outcome: OutcomeAbsent}, nil
	case stateUnknown:
	}
	return unknown, fmt.Errorf("pinterest: resolving %s: %w", u.Operation, err)
}

// lookFor looks once, in the list of what was to be made, and puts it into res.
func (c *Client) lookFor(ctx context.Context, u *Uncertain, opts []CallOption, res *Resolution) (bool, listing, error) {
	in := &intent{unresolved: u.Equals}
	for _, id := range u.NotIDs {
		in.things = append(in.things, ownThing{id: id})
	}
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
	u.Since, u.Local = Window{sent: r.sentAt, skew: r.c.skew}.Since(), false
	if !r.c.skew.isKnown() {
		u.Since, u.Local = r.sentAt, true
	}
	u.Until = r.c.clock.Now()
	u.NotIDs, u.Equals = r.cl.intent.ids(), r.cl.intent.unresolved
	return &u
}
