package pinterest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pinterest-go/pinterest/internal/errbody"
	"github.com/pinterest-go/pinterest/internal/redact"
)

// BatchResult is the answer of an operation on many items. Such an answer is a
// success even where every item failed: each item has its value or its error.
//
// It reads all forms of the API. The items of an answer are
//
//   - the elements of a list, if the answer is one;
//   - else the elements of the member "items", and those of other lists of objects;
//   - else those of every other list, such as "keywords".
//
// Lists of warnings hold no items.
//
// Whatever a member holds whose name speaks of errors, exceptions, failures,
// rejected or invalid things is an item that failed. So is an item with an
// "error_code", with "success": false, or with a status such as FAILED or REJECTED.
type BatchResult[T any] struct {
	Items []BatchItem[T] // as in the answer, usually in the order of the request; those of a separate list of failures last

	mismatch error // the first value that is not a T
}

// BatchItem is one item of a [BatchResult].
type BatchItem[T any] struct {
	// Value is what the answer says of the item: its member "data", "invite" or
	// "response", or else the item itself. It is nil where the answer says nothing.
	// An item that failed may have one.
	//
	// An item of a create is only a success if its value shows that something was
	// made: it is neither nil nor empty and, if it is a [Completer], complete. Any
	// other is an Err whose disposition is uncertain.
	Value *T
	// Err is nil for an item that succeeded. The table that classifies whole answers
	// has made it, so that its Class and Disposition tell what to do about this item.
	Err *Error

	// failure is what says that it failed; nil: nothing does. It is a pointer, because
	// fmt does not follow one: what a server said is printed only when it is redacted.
	failure *json.RawMessage
}

// Err joins the errors of all items that failed, each with its index; nil for none.
func (r *BatchResult[T]) Err() error {
	var errs []error
	for i, item := range r.Items {
		if item.Err != nil {
			errs = append(errs, fmt.Errorf("item %d: %w", i, item.Err))
		}
	}
	return errors.Join(errs...)
}

// Complete implements [Completer]: the answer to a batch always has a list.
func (r *BatchResult[T]) Complete() bool { return r.Items != nil }

// itemClassifier is a result whose items have errors of their own.
type itemClassifier interface {
	ClassifyItems(classify func(failure json.RawMessage) *Error)
}

// ClassifyItems is called by the path of a call when the answer was decoded. A
// type with a BatchResult in it passes it on by a method of the same name.
// classify is asked with nil for an item of which the answer says nothing, and with
// an empty failure for one whose value is empty or not complete.
func (r *BatchResult[T]) ClassifyItems(classify func(failure json.RawMessage) *Error) {
	for i := range r.Items {
		switch item := &r.Items[i]; {
		case item.failure != nil:
			item.Err = classify(*item.failure)
		case item.Value == nil:
			item.Err = classify(nil)
		case isIncomplete(item.Value) || isEmpty(reflect.ValueOf(item.Value).Elem()):
			item.Err = classify(json.RawMessage{})
		}
	}
}

// UnmarshalJSON reads any of the forms. A value that is not a T is no error, since
// that would keep what follows it from being read; see [Response].DecodeError.
func (r *BatchResult[T]) UnmarshalJSON(data []byte) error {
	*r = BatchResult[T]{}
	lists := batchLists{values: [][]json.RawMessage{jsonList(data)}}
	if lists.values[0] == nil {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			return err
		}
		lists = readBatchLists(members)
	}
	for _, list := range lists.values {
		for _, raw := range list {
			var item BatchItem[T]
			if err := item.UnmarshalJSON(raw); isMismatch(err) {
				setDefault(&r.mismatch, err)
			} else if err != nil {
				return err
			}
			r.Items = append(r.Items, item)
		}
	}
	for _, failure := range lists.failures {
		var item BatchItem[T]
		item.fail(failure)
		if err := item.readMember(jsonObject(failure)); err != nil {
			return err
		}
		r.Items = append(r.Items, item)
	}
	if r.Items == nil && lists.any() {
		r.Items = []BatchItem[T]{} // an empty list is an answer
	}
	return nil
}

// decodeError returns what Response.DecodeError says.
func (r *BatchResult[T]) decodeError() error { return r.mismatch }

// The members of the items of batch answers, as they are described or have been
// seen. An item's other members are its own: an ad has "rejected_reasons".
var (
	itemFailures = []string{"exceptions", "exception", "errors", "error", "error_messages", "error_message", "failures"}
	itemValues   = []string{"data", "invite", "response"}
)

// batchLists are the lists of an answer that is an object.
type batchLists struct {
	values   [][]json.RawMessage
	failures []json.RawMessage
}

// any reports whether there is a list. An empty one counts.
func (l batchLists) any() bool {
	return l.failures != nil || slices.ContainsFunc(l.values, func(list []json.RawMessage) bool { return list != nil })
}

// readBatchLists sorts the members of an answer by their names.
func readBatchLists(members map[string]json.RawMessage) (lists batchLists) {
	items := jsonList(members["items"])
	if items != nil {
		lists.values = append(lists.values, items)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value, list := members[name], jsonList(members[name])
		switch {
		case namesFailures(name) && list != nil:
			lists.failures = append(append([]json.RawMessage{}, lists.failures...), list...)
		case slices.Contains(itemFailures, name) && says(value): // one, not in a list
			lists.failures = append(lists.failures, withCode(members, name))
		case list == nil || name == "items" || namesFailures(name) || strings.Contains(name, "warning"):
		case items == nil || holdsObjects(list):
			lists.values = append(lists.values, list)
		}
	}
	return lists
}

// withCode returns the failure that is a member of an answer, together with the code
// that stands beside it, if there is one.
func withCode(members map[string]json.RawMessage, failure string) json.RawMessage {
	if !says(members["error_code"]) && !hasFailureCode(members) {
		return members[failure]
	}
	joined := map[string]json.RawMessage{}
	for _, name := range []string{"error_code", "code", "message", failure} {
		if value, ok := members[name]; ok {
			joined[name] = value
		}
	}
	data, _ := json.Marshal(joined) //nolint:errchkjson // it was read from JSON
	return data
}

// holdsObjects reports whether all elements of a list, at least one, are objects.
func holdsObjects(list []json.RawMessage) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(e json.RawMessage) bool { return jsonObject(e) == nil })
}

// namesFailures reports whether a member of an answer holds what failed.
func namesFailures(name string) bool {
	return slices.ContainsFunc([]string{"error", "exception", "fail", "reject", "invalid"}, func(word string) bool {
		return strings.Contains(strings.ToLower(name), word)
	})
}

// UnmarshalJSON reads an item.
func (i *BatchItem[T]) UnmarshalJSON(data []byte) error {
	*i = BatchItem[T]{}
	members := jsonObject(data)
	i.fail(itemFailure(data, members))
	if slices.ContainsFunc(itemValues, func(name string) bool { _, ok := members[name]; return ok }) {
		return i.readMember(members)
	}
	return i.read(data)
}

// fail notes a failure. It counts even where no call classifies it.
func (i *BatchItem[T]) fail(failure json.RawMessage) {
	if failure == nil {
		return
	}
	failure = bytes.Clone(failure)
	i.failure = &failure
	i.Err = newError(nil, Error{
		Operation: "batch item", Class: ClassUnknown, Disposition: DispositionReview, Phase: PhaseAnswered,
		Message: redact.String(parseItemFailure(failure).Message),
	})
}

// readMember reads the value from the member that holds it, if there is one.
func (i *BatchItem[T]) readMember(members map[string]json.RawMessage) error {
	for _, name := range itemValues {
		if value, ok := members[name]; ok {
			return i.read(value)
		}
	}
	return nil
}

// read reads the value. What stands beside a failure need not be one.
func (i *BatchItem[T]) read(data []byte) error {
	if trimmed := string(bytes.TrimSpace(data)); trimmed == "null" || trimmed == "{}" {
		return nil
	}
	out := new(T)
	err := json.Unmarshal(data, out)
	switch {
	case i.failure != nil && (err != nil || reflect.ValueOf(out).Elem().IsZero()):
		err = nil // it is the failure's own words
	case err == nil || isMismatch(err):
		i.Value = out
	}
	return err
}

// itemFailure returns what says that an item failed, nil for nothing. An item that
// has a code of its own is its own failure: the code tells the class, and what
// stands beside it explains it.
func itemFailure(data []byte, members map[string]json.RawMessage) json.RawMessage {
	i := slices.IndexFunc(itemFailures, func(name string) bool { return says(members[name]) })
	switch {
	case says(members["error_code"]), i >= 0 && hasFailureCode(members):
		return data
	case i >= 0:
		return members[itemFailures[i]]
	}
	inner := jsonObject(members["data"])
	if says(inner["error_code"]) && says(inner["error_message"]) {
		return members["data"]
	}
	for _, name := range itemFailures[:2] { // {"data": {"exceptions": ...}} is described, too
		if says(inner[name]) {
			return inner[name]
		}
	}
	if success := members["success"]; string(success) == "false" {
		return data
	}
	return failedStatus(data, members["status"])
}

// hasFailureCode reports whether the member "code" is an inner code of the API. It
// alone does not say that an item failed, because a discount has a code, too.
func hasFailureCode(members map[string]json.RawMessage) bool {
	code := errbody.Parse(fmt.Appendf(nil, `{"code":%s}`, members["code"])).Code
	return code != 0 && code/100 != 2
}

// failedStatus returns what says that an item failed where only its status does:
// a word, or {"statusCode": 404, "code": 4182, "message": "..."}.
func failedStatus(data []byte, status json.RawMessage) json.RawMessage {
	var word string
	if json.Unmarshal(status, &word) == nil {
		switch strings.ToLower(word) {
		case "failed", "failure", "fail", "error", "rejected", "invalid":
			return data
		}
		return nil
	}
	if code := statusCode(status); code >= 300 {
		return status
	}
	return nil
}

func statusCode(status json.RawMessage) int {
	var s struct {
		Code float64 `json:"statusCode"`
	}
	if json.Unmarshal(status, &s) != nil || s.Code < 0 || s.Code > 999 {
		return 0
	}
	return int(s.Code)
}

// says reports whether there is anything in a value: some answers carry an empty
// exception beside each success.
func says(value json.RawMessage) bool {
	var v any
	return json.Unmarshal(value, &v) == nil && saysAny(v)
}

func saysAny(v any) bool {
	switch v := v.(type) {
	case []any:
		return slices.ContainsFunc(v, saysAny)
	case map[string]any:
		for _, member := range v {
			if saysAny(member) {
				return true
			}
		}
		return false
	case nil:
		return false
	}
	return v != "" && v != 0.0 && v != false
}

// jsonList returns the elements of a list, nil where data is none.
func jsonList(data []byte) (list []json.RawMessage) {
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	return list
}

// jsonObject returns the members of an object, nil where data is none.
func jsonObject(data []byte) (members map[string]json.RawMessage) {
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	return members
}

// isMismatch reports whether a value had another type than was expected: the rest
// of it was decoded.
func isMismatch(err error) bool {
	_, ok := errors.AsType[*json.UnmarshalTypeError](err)
	return ok
}
