package pinterest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Phase says how far a failed attempt got.
type Phase uint8

const (
	// PhaseNotSent: the API did not get the whole request (dialing, TLS, a missing
	// token, a body that was not written). It cannot have taken effect.
	PhaseNotSent Phase = iota
	// PhaseUnanswered: the request was sent, and no complete answer came back. It may
	// have taken effect.
	PhaseUnanswered
	// PhaseAnswered: a complete answer came back.
	PhaseAnswered
)

// String returns "not sent", "unanswered" or "answered".
func (p Phase) String() string {
	switch p {
	case PhaseNotSent:
		return "not sent"
	case PhaseUnanswered:
		return "unanswered"
	case PhaseAnswered:
		return "answered"
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// Reason distinguishes failures that have the same phase and status.
type Reason uint8

// The reasons.
const (
	ReasonNone        Reason = iota
	ReasonCanceled           // the caller's context ended
	ReasonTimeout            // the attempt's own timeout ended it
	ReasonCertificate        // the server's TLS certificate is not trusted
	ReasonRequest            // the HTTP request could not be built (a bad URL or header value)
	ReasonToken              // the token source gave no token
	ReasonOversize           // the answer is longer than the client's limit
	ReasonGarbled            // a 2xx answer whose body cannot be decoded
	ReasonPaced              // the limiter refused the permit
	ReasonScope              // the token is known to lack a scope of the operation
	ReasonFile               // a downloaded file is damaged, changed or too large, or could not be written
)

var reasonNames = [...]string{"", "canceled", "timeout", "certificate", "bad request form", "no token", "oversize answer", "garbled answer", "paced", "scope not granted", "unusable file"}

// String returns the reason in words; "" for ReasonNone.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Action is what the library does about a failure. There are three.
type Action uint8

const (
	// ActionNone: there was nothing to do. In a caller's [Rule]: the action of the
	// default row.
	ActionNone Action = iota
	// ActionFail: return the error.
	ActionFail
	// ActionRefresh: refresh the token once, then send once more.
	ActionRefresh
	// ActionBackOff: wait, then send again, within the budgets of [RetryPolicy].
	ActionBackOff
)

// String returns "fail", "refresh once" or "back off".
func (a Action) String() string {
	switch a {
	case ActionNone:
		return "none"
	case ActionFail:
		return "fail"
	case ActionRefresh:
		return "refresh once"
	case ActionBackOff:
		return "back off"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Failure is for authors of rules: it describes a failed attempt. The table decides
// on it.
type Failure struct {
	Operation Operation
	Phase     Phase
	Status    int    // HTTP status; 0 unless answered
	Code      int    // Pinterest's inner code
	CodeName  string // a code that is a word, such as "invalid_grant"
	Message   string // the API's message and its details, in one text
	Reason    Reason
}

// Rule is for authors of rules: it is one row of the table, with conditions and
// what follows if all of them are met. A condition that is zero is always met. Pass
// rules of your own to [WithRules].
type Rule struct {
	Name string // short and unique; Error.Rule names the row that decided

	Phases    []Phase        // any of these
	Reasons   []Reason       // any of these
	Kinds     []Kind         // any of these
	Op        string         // this operation id
	Status    int            // this status ...
	StatusTo  int            // ... or, when set, any from Status to StatusTo
	Codes     []int          // any of these inner codes; 0 means no code
	CodeNames []string       // any of these codes that are words; "" means none
	Message   *regexp.Regexp // matches the API's message; keep it narrow, because messages change

	Action      Action
	Class       Class
	Disposition Disposition   // when the library gives up
	Ambiguous   bool          // a create may have taken effect: it is looked up before it is sent again
	Definite    bool          // for a caller's row: the create has not taken effect, although the default row is ambiguous
	MaxAttempts int           // fewer attempts than the policy allows; 0 means those of the policy
	ParkFor     time.Duration // how long to park the call if the API does not say

	// Wait, if set, returns how long to wait before the next attempt, such as until
	// the top of the hour. It replaces the wait that the API asked for and those of
	// the policy. A wait of more than [RetryPolicy].MaxServerWait ends the call, with
	// the time in Error.RetryAt if its disposition is park. With ActionFail, Wait
	// replaces ParkFor. A negative wait counts as 0, and 366 days is the most. Wait
	// must be safe for concurrent use.
	Wait func(f Failure, now time.Time) time.Duration
}

// matches reports whether all conditions of the rule are met.
func (r *Rule) matches(f *Failure) bool {
	return (len(r.Phases) == 0 || slices.Contains(r.Phases, f.Phase)) &&
		(len(r.Reasons) == 0 || slices.Contains(r.Reasons, f.Reason)) &&
		(len(r.Kinds) == 0 || slices.Contains(r.Kinds, f.Operation.Kind)) &&
		(r.Op == "" || r.Op == f.Operation.ID) &&
		(r.Status == 0 || f.Status >= r.Status && f.Status <= max(r.Status, r.StatusTo)) &&
		(len(r.Codes) == 0 || slices.Contains(r.Codes, f.Code)) &&
		(len(r.CodeNames) == 0 || slices.Contains(r.CodeNames, f.CodeName)) &&
		(r.Message == nil || r.Message.MatchString(f.Message))
}

// String returns the row as text: conditions, action, class, disposition.
func (r Rule) String() string {
	then := r.Action.String()
	if r.MaxAttempts > 0 {
		then += fmt.Sprintf(", %d attempts", r.MaxAttempts)
	}
	if r.Ambiguous {
		then += ", ambiguous for a create"
	}
	park := r.Disposition.String()
	if r.ParkFor > 0 {
		park += " " + strings.TrimSuffix(strings.TrimSuffix(r.ParkFor.String(), "0s"), "0m")
	}
	return fmt.Sprintf("%s -> %s -> %s, %s", r.When(), then, r.Class, park)
}

// When returns the row's conditions as text, such as "400 code 2787, 12".
func (r Rule) When() string {
	var parts []string
	if r.Op != "" {
		parts = append(parts, r.Op)
	}
	for _, k := range r.Kinds {
		parts = append(parts, k.String())
	}
	switch {
	case r.StatusTo > r.Status:
		parts = append(parts, fmt.Sprintf("%d-%d", r.Status, r.StatusTo))
	case r.Status > 0:
		parts = append(parts, strconv.Itoa(r.Status))
	}
	var codes []string
	for _, c := range r.Codes {
		if c == 0 {
			codes = append(codes, "none")
		} else {
			codes = append(codes, strconv.Itoa(c))
		}
	}
	for _, name := range r.CodeNames {
		codes = append(codes, cmp.Or(name, "none"))
	}
	if codes = slices.Compact(codes); len(codes) > 0 {
		parts = append(parts, "code "+strings.Join(codes, ", "))
	}
	for i, p := range r.Phases {
		if i > 0 {
			parts = append(parts, "or")
		}
		parts = append(parts, p.String())
	}
	for i, reason := range r.Reasons {
		if i > 0 {
			parts = append(parts, "or")
		}
		parts = append(parts, reason.String())
	}
	if r.Message != nil {
		parts = append(parts, "~ "+strings.TrimPrefix(r.Message.String(), "(?i)"))
	}
	if len(parts) == 0 {
		return "anything else"
	}
	return strings.Join(parts, " ")
}

// Messages that distinguish failures with the same status and code. Each pattern is
// as narrow as the messages seen so far allow. A message that no longer matches
// falls through to the row of its status.
var (
	reTrialAccess  = regexp.MustCompile(`(?i)\btrial access\b`)
	reMediaFetch   = regexp.MustCompile(`(?i)could not fetch the image|unable to reach the url`)
	reRetryAfter   = regexp.MustCompile(`(?i)\bretry after\s+(\d+)\s+seconds?\b`)
	reExclusive    = regexp.MustCompile(`(?i)could not get exclusive access`)
	reNotScope     = regexp.MustCompile(`(?i)consumer type is not supported|restricted feature`)
	reBlocked      = regexp.MustCompile(`(?i)\bhit a block\b`)
	reURLExpired   = regexp.MustCompile(`(?i)\brequest has expired\b`)        // a storage's words
	reTokenExpired = regexp.MustCompile(`(?i)\bprovided token has expired\b`) // that signed the storage's URL
	reNamesApp     = regexp.MustCompile(`(?i)application|consumer|client|\bapps?(?:[ _-]?ids?)?\b`)
	reNoMessage    = regexp.MustCompile(`^$`)
	reBlockedLink  = regexp.MustCompile(`(?i)\bblocked this link\b`)
	unansweredOnly = []Phase{PhaseUnanswered}
	notSentOnly    = []Phase{PhaseNotSent}
)

// defaultRules is the table. The first row that matches decides, so narrow rows come
// before wide ones, and the last row matches everything.
var defaultRules = []Rule{
	// Before or without an answer.
	{Name: "canceled", Reasons: []Reason{ReasonCanceled}, Action: ActionFail, Class: ClassCanceled, Disposition: DispositionPark, Ambiguous: true},
	{Name: "certificate", Reasons: []Reason{ReasonCertificate}, Action: ActionFail, Class: ClassTransport, Disposition: DispositionReview},
	{Name: "bad request form", Reasons: []Reason{ReasonRequest}, Action: ActionFail, Class: ClassTransport, Disposition: DispositionReview},
	{Name: "paced", Reasons: []Reason{ReasonPaced}, Action: ActionFail, Class: ClassThrottled, Disposition: DispositionPark},
	{Name: "no token", Reasons: []Reason{ReasonToken}, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReview},
	{Name: "scope not granted", Reasons: []Reason{ReasonScope}, Action: ActionFail, Class: ClassMissingScope, Disposition: DispositionFix},
	{Name: "oversize answer", Reasons: []Reason{ReasonOversize}, Action: ActionFail, Class: ClassResponse, Disposition: DispositionReview, Ambiguous: true},
	{Name: "unusable file", Reasons: []Reason{ReasonFile}, Action: ActionFail, Class: ClassResponse, Disposition: DispositionReview},
	{Name: "garbled answer", Reasons: []Reason{ReasonGarbled}, Action: ActionBackOff, Class: ClassResponse, Disposition: DispositionPark, Ambiguous: true},
	{Name: "not sent", Phases: notSentOnly, Action: ActionBackOff, Class: ClassTransport, Disposition: DispositionPark},
	{Name: "unanswered", Phases: unansweredOnly, Action: ActionBackOff, Class: ClassTransport, Disposition: DispositionPark, Ambiguous: true},

	{Name: "redirect", Status: 300, StatusTo: 399, Action: ActionFail, Class: ClassTransport, Disposition: DispositionReview},

	// 400: the request is wrong, unless a code or a message says otherwise.
	{Name: "something went wrong", Status: 400, Codes: []int{2787, 12}, Action: ActionBackOff, Class: ClassServer, Disposition: DispositionPark, Ambiguous: true},
	{Name: "name taken 400", Status: 400, Codes: []int{58}, Action: ActionFail, Class: ClassConflict, Disposition: DispositionFix},
	{Name: "trial access 400", Status: 400, Codes: []int{29}, Message: reTrialAccess, Action: ActionFail, Class: ClassTrialAccess, Disposition: DispositionFix},
	{Name: "media unreachable", Status: 400, Codes: []int{0, 1}, Message: reMediaFetch, Action: ActionBackOff, Class: ClassMediaUnreachable, Disposition: DispositionPark, MaxAttempts: 3, ParkFor: 15 * time.Minute},
	{Name: "throttled 400", Status: 400, Message: reRetryAfter, Action: ActionBackOff, Class: ClassThrottled, Disposition: DispositionPark},

	// A 400 or 401 of the token endpoint. Only evidence that this very grant is gone
	// disconnects an account. An answer without words is a gateway's. All else is about
	// the app or the request: it would hit every account alike.
	{Name: "invalid grant", Op: "oauth/token", Status: 400, StatusTo: 401, CodeNames: []string{"invalid_grant"}, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReauthorize},
	{Name: "app unknown", Op: "oauth/token", Status: 400, StatusTo: 401, CodeNames: []string{"invalid_client", "unauthorized_client", "unsupported_grant_type"}, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReview},
	{Name: "app secret refused", Op: "oauth/token", Status: 401, Codes: []int{2}, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReview},
	{Name: "app refused", Op: "oauth/token", Status: 400, StatusTo: 401, Message: reNamesApp, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReview},
	{Name: "grant refused", Op: "oauth/token", Status: 400, StatusTo: 401, Codes: []int{283}, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReauthorize},
	{Name: "token call unexplained", Op: "oauth/token", Status: 400, StatusTo: 401, Codes: []int{0}, CodeNames: []string{""}, Message: reNoMessage, Action: ActionBackOff, Class: ClassUnavailable, Disposition: DispositionPark},
	{Name: "token call refused", Op: "oauth/token", Status: 400, StatusTo: 401, Action: ActionFail, Class: ClassUnauthenticated, Disposition: DispositionReview},

	{Name: "URL expired 400", Status: 400, Message: reTokenExpired, Action: ActionFail, Class: ClassNotFound, Disposition: DispositionFix},
	{Name: "invalid", Status: 400, Action: ActionFail, Class: ClassInvalid, Disposition: DispositionFix},

	// 401: a refresh helps only if the token itself was refused. An answer without words
	// is probably a gateway's, and no proof that the token has ended.
	{Name: "unexplained 401", Status: 401, Codes: []int{0}, CodeNames: []string{""}, Message: reNoMessage, Action: ActionRefresh, Class: ClassUnavailable, Disposition: DispositionPark, ParkFor: time.Minute},
	{Name: "app not allowed", Status: 401, Codes: []int{3}, Message: reNotScope, Action: ActionFail, Class: ClassForbidden, Disposition: DispositionFix},
	{Name: "missing scope", Status: 401, Codes: []int{3}, Action: ActionFail, Class: ClassMissingScope, Disposition: DispositionFix},
	{Name: "trial access 401", Status: 401, Codes: []int{29}, Message: reTrialAccess, Action: ActionFail, Class: ClassTrialAccess, Disposition: DispositionFix},
	{Name: "forbidden 401", Status: 401, Codes: []int{7, 29}, Action: ActionFail, Class: ClassForbidden, Disposition: DispositionFix},
	{Name: "unauthenticated", Status: 401, Action: ActionRefresh, Class: ClassUnauthenticated, Disposition: DispositionReauthorize},

	{Name: "payment required", Status: 402, Action: ActionFail, Class: ClassPayment, Disposition: DispositionFix},

	// 403 never refreshes and never disconnects.
	{Name: "trial access", Status: 403, Codes: []int{29}, Message: reTrialAccess, Action: ActionFail, Class: ClassTrialAccess, Disposition: DispositionFix},
	{Name: "URL expired", Status: 403, Message: reURLExpired, Action: ActionFail, Class: ClassNotFound, Disposition: DispositionFix},
	{Name: "forbidden", Status: 403, Action: ActionFail, Class: ClassForbidden, Disposition: DispositionReview},

	{Name: "not found", Status: 404, Action: ActionFail, Class: ClassNotFound, Disposition: DispositionFix},
	{Name: "method not allowed", Status: 405, Action: ActionFail, Class: ClassInvalid, Disposition: DispositionFix},
	{Name: "request timeout", Status: 408, Action: ActionBackOff, Class: ClassUnavailable, Disposition: DispositionPark, Ambiguous: true},
	{Name: "exclusive access", Status: 409, Message: reExclusive, Action: ActionBackOff, Class: ClassConflict, Disposition: DispositionPark},
	{Name: "conflict", Status: 409, Action: ActionFail, Class: ClassConflict, Disposition: DispositionFix},
	{Name: "gone", Status: 410, Action: ActionFail, Class: ClassNotFound, Disposition: DispositionFix},
	{Name: "precondition failed", Status: 412, Action: ActionFail, Class: ClassPrecondition, Disposition: DispositionFix},
	{Name: "too large", Status: 413, Action: ActionFail, Class: ClassTooLarge, Disposition: DispositionFix},
	{Name: "unsupported media type", Status: 415, Action: ActionFail, Class: ClassInvalid, Disposition: DispositionFix},
	{Name: "unprocessable", Status: 422, Action: ActionFail, Class: ClassInvalid, Disposition: DispositionFix},
	{Name: "too early", Status: 425, Action: ActionBackOff, Class: ClassUnavailable, Disposition: DispositionPark, Ambiguous: true},

	// 429: the API refused the call before it executed it, so it is never ambiguous.
	// Code 9 is spam protection, and a short wait does not help.
	{Name: "blocked link", Status: 429, Codes: []int{9}, Message: reBlockedLink, Action: ActionFail, Class: ClassBlockedLink, Disposition: DispositionFix},
	{Name: "blocked", Status: 429, Codes: []int{9}, Message: reBlocked, Action: ActionFail, Class: ClassBlocked, Disposition: DispositionPark, ParkFor: 4 * time.Hour},
	{Name: "throttled", Status: 429, Action: ActionBackOff, Class: ClassThrottled, Disposition: DispositionPark},

	{Name: "other client error", Status: 400, StatusTo: 499, Action: ActionFail, Class: ClassInvalid, Disposition: DispositionFix},

	{Name: "not implemented", Status: 501, Action: ActionFail, Class: ClassNotImplemented, Disposition: DispositionFix},
	{Name: "unavailable", Status: 502, StatusTo: 504, Action: ActionBackOff, Class: ClassUnavailable, Disposition: DispositionPark, Ambiguous: true},
	{Name: "server", Status: 500, StatusTo: 599, Action: ActionBackOff, Class: ClassServer, Disposition: DispositionPark, Ambiguous: true},

	{Name: "unknown", Action: ActionFail, Class: ClassUnknown, Disposition: DispositionReview, Ambiguous: true},
}

// DefaultRules returns a copy of the table, first row first.
func DefaultRules() []Rule {
	rules := slices.Clone(defaultRules)
	for i := range rules {
		r := &rules[i]
		r.Phases, r.Reasons, r.Kinds, r.Codes = slices.Clone(r.Phases), slices.Clone(r.Reasons), slices.Clone(r.Kinds), slices.Clone(r.Codes)
		r.CodeNames = slices.Clone(r.CodeNames)
	}
	return rules
}

// table is the rules of one client: those of the caller, then the defaults.
type table struct{ custom []Rule }

// classify returns the row that decides: the first of the caller's rows that
// matches, else the first of the defaults, whose last row matches everything. Fields
// that a caller's row leaves unset come from the default row.
func (t table) classify(f *Failure) Rule {
	base := firstMatch(defaultRules, f)
	rule := firstMatch(t.custom, f)
	if rule == nil {
		return *base
	}
	out := *rule
	setDefault(&out.Action, base.Action)
	setDefault(&out.Class, base.Class)
	setDefault(&out.Disposition, base.Disposition)
	if out.Name == "" {
		out.Name = out.When()
	}
	// A forgotten flag must never cause a duplicate: what is ambiguous by default stays
	// ambiguous unless the caller's row says that it is definite.
	out.Ambiguous = (out.Ambiguous || base.Ambiguous) && !out.Definite
	return out
}

func firstMatch(rules []Rule, f *Failure) *Rule {
	for i := range rules {
		if rules[i].matches(f) {
			return &rules[i]
		}
	}
	return nil
}
