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

// Lookup is for authors of operations: it says how to find the result of one
// create. It names the list that contains the result, which item of the list
// matches, and the id and the time of creation of a match. After an ambiguous
// failure, the library looks the create up before it sends it again. It adopts
// what it finds. If it cannot tell whether the create took effect, the call ends
// uncertain, and [Resolve] can tell later.
//
// Define the lookups of a resource by a function from what identifies a result to
// the Lookup. [Request].Lookup and [Resolve] both use this function:
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
	// Creates are the operations whose results it finds. A call of any other
	// operation refuses it. nil means any operation.
	Creates []Operation
	// Want is what identifies the result. It is stored in [Uncertain] as JSON, and
	// [Resolve] reads it from there. If it has a method Validate() error, Resolve
	// calls that after reading.
	Want any
	// List is the list that contains the result, and In has its path and parameters.
	// The list must have the newest items first. It is read from its beginning back
	// to the time of the first attempt.
	List Operation
	In   Request
	// Match reports whether an item of the list has everything that the result would
	// have. It need not check the time of creation.
	Match func(item *T) bool
	// Made returns the id of an item and the API's time of its creation.
	Made func(item *T) (id string, created time.Time)
	// Key is what creates have in common whose results could be mistaken for one
	// another. nil means the whole Want. The clients of an account carry out creates
	// with the same list and equal keys one after another, so that none of them
	// adopts the result of another.
	Key []string
	// Untimed says that items have no time of creation. The whole list is read, and
	// any match counts, however old it is.
	Untimed bool
	// Unique says that at most one item can ever match, such as one that carries a
	// marker. Then its time of creation is not checked, and no other create can have
	// made it.
	Unique bool
}

// AnyLookup is a [Lookup] of any type. It is the type of [Request].Lookup.
type AnyLookup interface {
	bind(cl *call) (*lookup, error)
}

// lookup is a Lookup for one call, without the type parameter.
type lookup struct {
	out    any // the call's result
	want   any
	list   string // names the list
	key    string // of equal creates
	unique bool

	// find reads the list once. It puts a match that belongs to this create into the
	// call's result.
	find func(ctx context.Context, s *search) (found bool, seen listing, err error)
	// made returns the id and the time of creation of the call's result.
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

// scan reads the list page by page, the newest items first, back to the beginning
// of the time frame. It returns the matches that were made in the time frame. It
// reads each page to its end, because items that were moved may be out of order.
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

// choose returns the match that belongs to this create, or nil. It leaves out
// matches that belong to another create, as far as this client or the ledger
// knows.
func (l Lookup[T]) choose(ctx context.Context, s *search, matches []T) (*T, error) {
	id := func(match T) string { id, _ := l.Made(&match); return id }
	own, unresolved := s.pending.own, s.pending.unresolved
	if i := slices.IndexFunc(matches, func(match T) bool { return own != "" && id(match) == own }); i >= 0 {
		return &matches[i], nil // it was found before, so the answer is the same again
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
	// Matches are newest first. Equal creates that ended uncertain earlier may have
	// made the oldest ones.
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

// listing is what one read of a list has shown, from the newest item back.
type listing struct {
	ids    map[string]bool
	oldest time.Time // zero if the list was read to its end or has no times
}

func (l *listing) add(id string) {
	if l.ids == nil {
		l.ids = map[string]bool{}
	}
	l.ids[id] = true
}

// timeframe is the period in which a create can have taken effect.
type timeframe struct {
	sent   time.Time // by the client's clock
	offset *apiclock.Offset
	fixed  time.Time // by the API's clock, if that is known
	late   time.Time // the end, on the clock of fixed or else of sent; zero if there is none
}

// tolerance is how long before the first attempt a creation time may be and
// still belong to it. The API's creation times are whole seconds, and so is the
// Date header from which we learn its clock.
const tolerance = 2 * time.Second

// since returns the earliest creation time, on the API's clock, that the result
// can have. It is exact only after the first answer of the API, so call it after
// reading, not before.
func (f timeframe) since() time.Time {
	since := f.fixed
	if since.IsZero() {
		since = f.sent.Add(f.offset.Offset() - tolerance)
	}
	return since.Truncate(time.Second)
}

// contains reports whether the create can have made something with this creation
// time, on the API's clock.
func (f timeframe) contains(created time.Time) bool {
	late := f.late
	if !late.IsZero() && f.fixed.IsZero() {
		late = late.Add(f.offset.Offset())
	}
	return !f.after(created) && (late.IsZero() || !created.After(late))
}

// after reports whether the time frame begins after this time.
func (f timeframe) after(created time.Time) bool { return created.Before(f.since()) }

// fingerprint turns the parts that identify a create into a key of fixed size.
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

// readWant reads a stored Want. If it has a field that W lacks, another lookup has
// written it.
func readWant[W any](data json.RawMessage) (want W, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&want); err != nil || string(data) == "null" {
		return want, FieldError{Field: "want", Value: string(data), Problem: "is not of this lookup"}
	}
	return want, validate(want)
}
