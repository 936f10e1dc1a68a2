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
	"net/url"
	"slices"
	"strings"
	"time"
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

	// Near, if set, reports whether an item that does not match resembles the result
	// so much that it may be the result in another form. A new item of that kind that
	// belongs to no other create is never taken for absence: the create ends uncertain.
	Near func(item *T) bool
	// Count, if set, returns how many items the list has, from another operation. It is
	// asked before the result counts as absent: a list that shows fewer lags behind.
	Count func(ctx context.Context, c *Client, opts ...CallOption) (int, error)
	// Get, if set, is the operation that reads one item by its id, the last of its path
	// values; those before it are the path values of the list. It tells whether an
	// earlier result that the list lacks was deleted, or the list lags.
	Get Operation
	// Late says that the result may be listed only minutes after it was made, such as
	// a video that is processed first. Then not finding it proves nothing for an hour.
	Late bool
}

// Format keeps every verb of fmt from printing the secrets of the request.
func (l Lookup[T]) Format(f fmt.State, verb rune) { formatAs(f, verb, "pinterest.Lookup") }

// AnyLookup is a [Lookup] of any type. It is the type of [Request].Lookup.
type AnyLookup interface {
	bind(cl *call) (*lookup, error)
}

// lookup is a Lookup for one call.
type lookup struct {
	finder
	out  any             // the call's result
	want json.RawMessage // what [Uncertain] stores of it
	list string          // identifies the list
	key  string          // of equal creates
	late bool
}

// finder is a [Lookup] without its type parameter, with the call's result.
type finder interface {
	// find reads the list once. It puts a match that belongs to this create into the
	// call's result.
	find(ctx context.Context, s *search) (finding, error)
	// hidden returns how many items the list should have shown and did not.
	hidden(ctx context.Context, s *search, seen listing) (int, error)
	// deleted asks whether a result that the list lacks does not exist any more.
	deleted(ctx context.Context, s *search, id string) bool
	// made returns the id and the time of creation of the call's result.
	made() (id string, created time.Time)
	// matches is Match, for an item of any type.
	matches(item any) bool
}

// bound is a Lookup that is bound to the result of a call.
type bound[T any] struct {
	Lookup[T]
	result *T
}

func (l *bound[T]) made() (id string, created time.Time) { return l.Made(l.result) }

func (l *bound[T]) matches(item any) bool {
	value, ok := item.(*T)
	return ok && l.Match(value)
}

// finding is what one reading of the list has shown.
type finding struct {
	listing
	found bool
	older bool  // something matches, and is older than the create
	doubt error // why the result may be there all the same; nil: nothing speaks for that
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
	} else if err := l.List.expand(&url.URL{}, l.In.Path); err != nil {
		c.Add("Lookup.In", "", "must fit the list: "+err.Error())
	}
	result, ok := cl.out.(*T)
	switch {
	case cl.out == nil:
		result = new(T)
	case !ok:
		c.Add("Lookup", "", fmt.Sprintf("finds a %T, and the result is a %T", result, cl.out))
	}
	want, err := json.Marshal(l.Want)
	if err != nil {
		c.Add("Lookup.Want", "", "must be a value that JSON can hold: "+err.Error())
	}
	key := l.Key
	if key == nil {
		key = []string{string(want)}
	}
	list := l.listName(cl.opts.adAccount)
	return &lookup{
		finder: &bound[T]{l, result},
		out:    result, want: want, list: list, key: fingerprint(append([]string{list}, key...)...), late: l.Late,
	}, c.Err()
}

// listName tells the list apart from others: by its path, its parameters, and
// whose it is.
func (l Lookup[T]) listName(adAccount string) string {
	query := l.In.query(adAccount)
	parts := append([]string{l.List.ID}, l.In.Path...)
	if len(query) > 0 {
		query = maps.Clone(query)
		query.Del("page_size")
		query.Del("bookmark")
		parts = append(parts, query.Encode())
	}
	return strings.Join(parts, " ")
}

// errNoTime keeps a match whose time cannot be read from being taken for
// absence, or for something older.
var errNoTime = errors.New("what was found has no creation time that can be read")

// maxLookupPages bounds one reading of a list.
const maxLookupPages = 100

// candidates are the items of a list that may be the result of a create.
type candidates[T any] struct {
	matches []*T // made in the time frame
	early   []*T // matches from just before it, or with a time that may mean a time in it
	near    []*T // made in the time frame, and resembling the result
	older   bool // a match is older
}

// find reads the list and puts the create's own match into result.
func (l *bound[T]) find(ctx context.Context, s *search) (f finding, err error) {
	enough := func(matches []*T) bool {
		if s.unresolved > 0 {
			return false
		}
		free, err := l.unowned(ctx, s, matches)
		return err == nil && len(free) > 0
	}
	found, seen, err := l.scan(pages[T](ctx, s.c, l.List, l.In, s.opts), s.in, s.c.registry.trustsTimes(), enough)
	f.listing, f.older = seen, found.older
	if err != nil {
		return f, err
	}
	// Most belong to creates that ended, which is quick to find out.
	if found.near, err = l.unowned(ctx, s, found.near); err != nil {
		return f, err
	}
	// First those in flight and then those that ended: in between, one may pass from
	// the former to the latter, and not back.
	found.near = slices.DeleteFunc(found.near, func(item *T) bool { return s.c.registry.accountsFor(s.cl.lookup, item) })
	groups := []*[]*T{&found.near, &found.matches, &found.early}
	unresolved := s.unresolved
	if l.Unique { // nobody else can have made a match
		groups, unresolved = groups[:1], 0
	}
	for _, group := range groups {
		if *group, err = l.unowned(ctx, s, *group); err != nil {
			return f, err
		}
	}
	switch n := len(found.matches); {
	case n > unresolved:
		// Matches are newest first. Equal creates that ended uncertain earlier may have
		// made the oldest ones.
		f.found, *l.result = true, *found.matches[n-1-unresolved]
	case n > 0:
		return f, errEqualUncertain
	case len(found.early) > 0:
		f.doubt = l.doubt("is the same, but for its time of creation", found.early)
	case len(found.near) > 0:
		f.doubt = l.doubt("resembles it, and nobody else is known to have made it", found.near)
	}
	return f, nil
}

// hidden returns how many items the list should have shown and did not, where it was
// read to its end.
func (l *bound[T]) hidden(ctx context.Context, s *search, seen listing) (int, error) {
	if l.Count == nil || !seen.oldest.IsZero() {
		return 0, nil
	}
	n, err := l.Count(ctx, s.c, s.opts...)
	return max(0, n-len(seen.ids)), err
}

// deleted asks whether a result that the list lacks does not exist any more.
func (l *bound[T]) deleted(ctx context.Context, s *search, id string) bool {
	if l.Get.ID == "" {
		return false
	}
	path := []string{id}
	if len(l.Get.placeholders()) > 1 {
		path = append(slices.Clone(l.In.Path), id)
	}
	return errors.Is(s.c.Do(ctx, l.Get, Request{Path: path}, nil, s.opts...), ErrNotFound)
}

// doubt says which items may be the result.
func (l *bound[T]) doubt(why string, items []*T) error {
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i], _ = l.Made(item)
	}
	return fmt.Errorf("what has the id %s %s", strings.Join(ids[:min(len(ids), 5)], ", "), why)
}

// unowned leaves out items that belong to another create, as far as this client or
// the ledger knows. An item that is known to be this create's own is all that stays.
func (l *bound[T]) unowned(ctx context.Context, s *search, items []*T) ([]*T, error) {
	var free []*T
	for _, item := range items {
		id, _ := l.Made(item)
		owner, err := s.c.ownerOf(ctx, s.cl, id)
		switch {
		case err != nil:
			return nil, err
		case owner == s.owner && owner != "":
			return []*T{item}, nil
		case owner == "" && !slices.Contains(s.others, id):
			free = append(free, item)
		}
	}
	return free, nil
}

// scan reads the list page by page, the newest items first, until the matches are
// enough or a whole page is older than the time frame. Where the order is another
// one, it reads to the end.
func (l *bound[T]) scan(pages iter.Seq2[*Page[T], error], in timeframe, times trust, enough func(matches []*T) bool) (found candidates[T], seen listing, err error) {
	n := 0
	for page, err := range pages {
		if err != nil {
			return found, seen, err
		}
		if n++; n > maxLookupPages {
			return found, seen, errTooLong
		}
		seen.newest = time.Time{}
		for i := range page.Items {
			if err := l.sort(&page.Items[i], in, times, &found, &seen); err != nil {
				return found, seen, err
			}
		}
		if len(found.matches) > 0 && enough(found.matches) {
			return found, seen, nil
		}
		if !seen.unordered && !seen.newest.IsZero() && in.after(seen.newest.Add(nearStart+in.loose)) {
			seen.oldest = seen.last
			return found, seen, nil
		}
	}
	return found, seen, nil
}

// sort puts an item of the list where it belongs among the candidates, if anywhere.
func (l *bound[T]) sort(item *T, in timeframe, times trust, found *candidates[T], seen *listing) error {
	id, created := l.Made(item)
	if strings.TrimSpace(id) == "" {
		return errNoID
	}
	if l.Untimed {
		seen.add(id, time.Time{})
	} else {
		seen.add(id, created)
	}
	timed := !l.Untimed && !l.Unique
	near := func() bool { return !l.Untimed && l.Near != nil && l.Near(item) }
	switch match := l.Match(item); {
	case match && timed && created.IsZero():
		return errNoTime
	case match && (!timed || in.contains(created) && !in.future(created)):
		found.matches = append(found.matches, item)
	case match && in.mayContain(created, times):
		found.early = append(found.early, item)
	case match:
		found.older = found.older || in.after(created)
	case (created.IsZero() || in.contains(created) || times != timesRight && in.mayContain(created, times)) && near():
		found.near = append(found.near, item)
	}
	return nil
}

var (
	errEqualUncertain = errors.New("what was found may belong to an equal create that ended uncertain")
	errNoLookup       = errors.New("there is no way to look this operation up, so it is not sent again")
	errLag            = errors.New("the list lags behind: it lacks what this client made before, so that it proves nothing")
	errUnproved       = errors.New("it was not found, but there was no time to prove that it is absent")
	errNoID           = errors.New("the list has an item whose id cannot be read, so that it proves nothing")
	errTooLong        = fmt.Errorf("the list has more than %d pages since then", maxLookupPages)
	errExists         = errors.New("the name is taken, by an earlier attempt it seems, but the list does not show it")
	errLate           = errors.New("it was not found, but such a result may be listed only minutes after it was made")
)

// listing is what one read of a list has shown, from the newest item back.
type listing struct {
	ids       map[string]bool
	oldest    time.Time // zero if the list was read to its end or has no times
	last      time.Time // the time of the last item that has one
	newest    time.Time // of a page
	unordered bool      // an item is newer than the one before it
}

// add adds an item, with its time of creation if it has one.
func (l *listing) add(id string, created time.Time) {
	if l.ids == nil {
		l.ids = map[string]bool{}
	}
	l.ids[id] = true
	if created.IsZero() {
		return
	}
	l.unordered = l.unordered || !l.last.IsZero() && created.After(l.last)
	l.last = created
	if created.After(l.newest) {
		l.newest = created
	}
}

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
