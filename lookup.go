package pinterest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/apiclock"
)

// Lookup says how the result of one create is found: in which list it stands,
// what matches, and which id and time of creation a match has. With it the create
// has all the care that a create can have: after an ambiguous failure it is
// looked up before it is sent again, what is found is adopted, and what cannot be
// known ends uncertain, to be told later by [Resolve]. A conflict ([ClassConflict])
// after an attempt that may have taken effect is looked up, too, since it may be
// with the result of that attempt.
//
// T is the type of the call's result and of the items of the list. Want, List,
// Match and Made are required.
//
// A resource defines its lookups by a function from what identifies a result to
// the Lookup. That function serves [Request].Lookup and [Resolve]:
//
//	type labelWant struct{ AdAccountID, Name string }
//
//	func (w labelWant) lookup() pinterest.Lookup[Label] {
//		return pinterest.Lookup[Label]{
//			Want:  w,
//			List:  OpLabelsList,
//			In:    pinterest.Request{Path: []string{w.AdAccountID}},
//			Match: func(l *Label) bool { return l.Name == w.Name },
//			Made:  func(l *Label) (string, time.Time) { return l.ID, l.CreatedTime.Time },
//			Key:   []string{w.Name},
//		}
//	}
type Lookup[T any] struct {
	// Creates are the operations whose results it finds; nil: any. For others it is
	// refused.
	Creates []Operation
	// Want is what identifies the result. It is written as JSON into [Uncertain],
	// from which [Resolve] reads it back. A field that it does not have any more is
	// refused then, and if it has a method Validate() error, that is asked. Nothing
	// that changes between two creates of equal content belongs into it.
	Want any
	// List is the list in which the result stands, with its path and parameters In,
	// such as the page size: a lookup sets none. It is read as by [All], back to the
	// time of the first attempt. So the newest must come first; of a list with another
	// order only Untimed finds all.
	List Operation
	In   Request
	// Match reports whether an item of the list has all that the result has. The
	// time of creation is not its business.
	Match func(item *T) bool
	// Made returns the id of an item and when it was made, as the API tells it.
	Made func(item *T) (id string, created time.Time)
	// Key is what creates have in common that could be taken for one another; nil:
	// the whole Want. Those of one list with equal keys are carried out one after
	// another by a client, so that none of them adopts what another made.
	Key []string
	// Untimed says that items have no time of creation, or are not listed by it: the
	// whole list is read, and a match counts whenever it was made.
	Untimed bool
	// Unique says that one item at most can ever match, such as one that carries a
	// marker: no time is asked of it, and no other create can have made it.
	Unique bool
}

// AnyLookup is a [Lookup] of any type, for [Request].
type AnyLookup interface {
	bind(cl *call) (*lookup, error)
}

// lookup is a Lookup for one call, without its type.
type lookup struct {
	out    any // the call's result
	want   any
	list   string // names the list
	key    string // of equal creates
	unique bool

	// find reads the list once. What matches, and is not another create's, goes
	// into the call's result.
	find func(ctx context.Context, s *search) (found bool, seen listing, err error)
	// made returns the id of the call's result and when it was made.
	made func() (id string, created time.Time)
}

// bind makes the lookup of a call whose result is out. Without one it makes a
// result.
func (l Lookup[T]) bind(cl *call) (*lookup, error) {
	var c Check
	if l.Creates != nil && !slices.ContainsFunc(l.Creates, func(op Operation) bool { return op.ID == cl.op.ID }) {
		c.Add("operation", cl.op.ID, "is not one of "+fmt.Sprint(l.Creates)+", which this lookup is for")
	}
	if l.Want == nil {
		c.Add("Lookup.Want", "", "is required")
	}
	if l.Match == nil || l.Made == nil {
		c.Add("Lookup.Match", "", "and Made are required")
	}
	if l.List.ID == "" || l.List.kind() != KindRead {
		c.Add("Lookup.List", l.List.ID, "must be an operation that reads")
	}
	result, ok := cl.out.(*T)
	switch {
	case cl.out == nil:
		result = new(T)
	case !ok:
		c.Add("Lookup", "", fmt.Sprintf("finds a %T, and the result is a %T", result, cl.out))
	}
	key := l.Key
	if key == nil {
		want, err := json.Marshal(l.Want)
		if err != nil {
			return nil, fmt.Errorf("encoding Lookup.Want: %w", err)
		}
		key = []string{string(want)}
	}
	list := l.listName(cl.opts.adAccount)
	return &lookup{
		out: result, want: l.Want, list: list, key: fingerprint(append([]string{list}, key...)...), unique: l.Unique,
		find: func(ctx context.Context, s *search) (bool, listing, error) {
			matches, seen, err := l.scan(pages[T](ctx, s.c, l.List, l.In, s.opts), s.in)
			if err != nil {
				return false, seen, err
			}
			found, err := l.choose(ctx, s, matches)
			if found != nil {
				*result = *found
			}
			return found != nil, seen, err
		},
		made: func() (string, time.Time) { return l.Made(result) },
	}, c.Err()
}

// listName tells the list apart from others: by its path, its parameters, and
// whose it is.
func (l Lookup[T]) listName(adAccount string) string {
	query := (&call{req: l.In, opts: callOptions{adAccount: adAccount}}).query()
	parts := append([]string{l.List.ID}, l.In.Path...)
	if len(query) > 0 {
		query = maps.Clone(query)
		query.Del("page_size")
		query.Del("bookmark")
		parts = append(parts, query.Encode())
	}
	return strings.Join(parts, " ")
}

// wantJSON returns what [Uncertain] stores of the lookup.
func (l *lookup) wantJSON() (json.RawMessage, error) {
	data, err := json.Marshal(l.want)
	if err != nil {
		return nil, fmt.Errorf("encoding Lookup.Want: %w", err)
	}
	return data, nil
}

// errNoTime keeps a match whose time cannot be read from being taken for
// absence, or for something older.
var errNoTime = errors.New("what was found has no creation time that can be read")

// scan reads the list, newest first, page by page, back to the beginning of the
// time frame, and returns what matches and was made within it. A page is read to
// its end: what was moved may stand among newer things.
func (l Lookup[T]) scan(pages iter.Seq2[*Page[T], error], in timeframe) (found []T, seen listing, err error) {
	timed := !l.Untimed && !l.Unique
	for page, err := range pages {
		if err != nil {
			return nil, seen, err
		}
		var last time.Time
		for i := range page.Items {
			item := &page.Items[i]
			id, created := l.Made(item)
			seen.add(id)
			if !l.Untimed && !created.IsZero() {
				last = created
			}
			switch match := l.Match(item); {
			case match && timed && created.IsZero():
				return nil, seen, errNoTime
			case match && (!timed || in.contains(created)):
				found = append(found, *item)
			}
		}
		if !last.IsZero() && in.after(last) {
			seen.oldest = last
			return found, seen, nil
		}
	}
	return found, seen, nil
}

// choose returns the match that is this create's, nil for none. What belongs to
// another create, by what this client or the ledger knows, is not.
func (l Lookup[T]) choose(ctx context.Context, s *search, matches []T) (*T, error) {
	id := func(match T) string { id, _ := l.Made(&match); return id }
	own, unresolved := s.pending.own, s.pending.unresolved
	if i := slices.IndexFunc(matches, func(match T) bool { return own != "" && id(match) == own }); i >= 0 {
		return &matches[i], nil // it was found before: the answer stays the same
	}
	if l.Unique {
		unresolved = 0
	} else {
		ids := make([]string, len(matches))
		for i, match := range matches {
			ids[i] = id(match)
		}
		others, err := s.c.ownedByOthers(ctx, s.cl, ids)
		if err != nil {
			return nil, err
		}
		matches = slices.DeleteFunc(matches, func(match T) bool { return others[id(match)] || s.pending.knows(id(match)) })
	}
	if len(matches) == 0 {
		return nil, nil
	}
	// Those of earlier equal creates are older, those of later ones newer.
	n := len(matches) - 1 - unresolved
	if n < 0 {
		return nil, errEqualUncertain
	}
	return &matches[n], nil
}

var (
	errEqualUncertain = errors.New("what was found may belong to an equal create that ended uncertain")
	errNoLookup       = errors.New("there is no way to look this operation up, so it is not sent again")
	errLag            = errors.New("the list lags behind: it lacks what this client made before, so that it proves nothing")
	errUnproved       = errors.New("it was not found, but there was no time to prove that it is absent")
)

// listing is what one reading of a list has shown, from the newest back.
type listing struct {
	ids    map[string]bool
	oldest time.Time // zero: the list was read to its end, or has no times
}

func (l *listing) add(id string) {
	if l.ids == nil {
		l.ids = map[string]bool{}
	}
	l.ids[id] = true
}

// timeframe is the time in which a create can have taken effect.
type timeframe struct {
	sent   time.Time // by the client's clock
	offset *apiclock.Offset
	fixed  time.Time // by the API's clock, where it is known
	late   time.Time // after it nothing belongs to the create, on the clock of the one above; zero: open
}

// tolerance is how far a creation time may lie before the first attempt and
// still belong to it: the API gives whole seconds, as does the Date header
// that its clock is learned from.
const tolerance = 2 * time.Second

// since returns the earliest creation time, on the API's clock, that the
// create can have. It is exact once an answer of the API was seen, so it is
// asked for after reading, not before.
func (f timeframe) since() time.Time {
	since := f.fixed
	if since.IsZero() {
		since = f.sent.Add(f.offset.Offset() - tolerance)
	}
	return since.Truncate(time.Second)
}

// contains reports whether a thing made at this time, on the API's clock, can
// be what the create made.
func (f timeframe) contains(created time.Time) bool {
	late := f.late
	if !late.IsZero() && f.fixed.IsZero() {
		late = late.Add(f.offset.Offset())
	}
	return !f.after(created) && (late.IsZero() || !created.After(late))
}

// after reports whether the time frame begins after this time.
func (f timeframe) after(created time.Time) bool { return created.Before(f.since()) }

// fingerprint turns what identifies a create into a key of fixed size.
func fingerprint(parts ...string) string {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return string(h.Sum(nil))
}

// readWant reads a stored Want. A field that W does not have shows that it was
// written by another lookup.
func readWant[W any](data json.RawMessage) (want W, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&want); err != nil || string(data) == "null" {
		return want, FieldError{Field: "want", Value: string(data), Problem: "is not of this lookup"}
	}
	return want, validate(want)
}
