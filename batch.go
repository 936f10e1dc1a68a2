package pinterest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pinterest-go/pinterest/internal/errbody"
)

// BatchResult is the answer of an operation on many items. Such an answer is a
// success even where every item failed: each item has its value or its error.
//
// It reads all forms of the API: a list, or an object with one, of items that
// have a value ("data", "invite", or the item itself) and "exceptions",
// "exception", "errors" or "error_messages"; or a list of values beside a list of
// what failed.
type BatchResult[T any] struct {
	Items []BatchItem[T] // as in the answer, usually in the order of the request; those of a separate list of failures last
}

// BatchItem is one item of a [BatchResult].
type BatchItem[T any] struct {
	// Value is what became of the item; nil where the answer has none.
	Value *T
	// Err is nil for an item that succeeded. The table that classifies whole answers
	// has made it, so that its Class and Disposition tell what to do about this item.
	Err *Error

	failure json.RawMessage
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
func (r *BatchResult[T]) ClassifyItems(classify func(failure json.RawMessage) *Error) {
	for i := range r.Items {
		if failure := r.Items[i].failure; failure != nil {
			r.Items[i].Err = classify(failure)
		}
	}
}

// The members of batch answers, as they have been seen.
var (
	batchFailures = []string{"exceptions", "exception", "errors", "error", "error_messages", "error_message", "failures"}
	batchValues   = []string{"data", "invite"}
)

// UnmarshalJSON reads any of the forms.
func (r *BatchResult[T]) UnmarshalJSON(data []byte) error {
	r.Items = nil
	if list, ok := jsonList(data); ok {
		return r.addItems(list)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list, ok := jsonList(members[name])
		if !ok || slices.Contains(batchFailures, name) {
			continue
		}
		if err := r.addItems(list); err != nil {
			return err
		}
	}
	for _, name := range batchFailures {
		list, ok := jsonList(members[name])
		if !ok {
			continue
		}
		r.Items = append([]BatchItem[T]{}, r.Items...)
		for _, failure := range list {
			item := BatchItem[T]{failure: failure}
			if err := item.readValue(failure, false); err != nil {
				return err
			}
			r.Items = append(r.Items, item)
		}
	}
	return nil
}

// addItems adds a list of items, each with its value or its failure.
func (r *BatchResult[T]) addItems(list []json.RawMessage) error {
	r.Items = append([]BatchItem[T]{}, r.Items...) // not nil: there is a list
	for _, raw := range list {
		var item BatchItem[T]
		if err := item.UnmarshalJSON(raw); err != nil {
			return err
		}
		r.Items = append(r.Items, item)
	}
	return nil
}

// UnmarshalJSON reads an item.
func (i *BatchItem[T]) UnmarshalJSON(data []byte) error {
	*i = BatchItem[T]{}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) == nil {
		i.failure = failureIn(members)
		var inner map[string]json.RawMessage // {"data": {"exceptions": ...}} has been seen, too
		if i.failure == nil && json.Unmarshal(members["data"], &inner) == nil {
			if i.failure = failureIn(inner); i.failure != nil {
				return nil
			}
		}
	}
	return i.readValue(data, true)
}

// failureIn returns what says that an item failed, nil for nothing.
func failureIn(members map[string]json.RawMessage) json.RawMessage {
	for _, name := range batchFailures {
		switch value := bytes.TrimSpace(members[name]); string(value) {
		case "", "null", "[]", "{}", `""`, "false":
		default:
			return bytes.Clone(value)
		}
	}
	return nil
}

// readValue reads the value of an item: the member that holds it or else, where
// that is possible and the item did not fail, the item itself.
func (i *BatchItem[T]) readValue(data []byte, self bool) error {
	var members map[string]json.RawMessage
	value := json.RawMessage(data)
	if json.Unmarshal(data, &members) == nil {
		for _, name := range batchValues {
			if member, ok := members[name]; ok {
				value, self = member, true
			}
		}
	}
	if !self || string(bytes.TrimSpace(value)) == "null" {
		return nil
	}
	out := new(T)
	err := json.Unmarshal(value, out)
	if _, mismatch := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !mismatch {
		return err
	}
	i.Value = out
	return err
}

func jsonList(data []byte) ([]json.RawMessage, bool) {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '[' {
		return nil, false
	}
	var list []json.RawMessage
	return list, json.Unmarshal(data, &list) == nil
}

// itemError classifies the failure of one item by the same table as a whole
// answer. Nothing is sent again for it: its caller decides.
func (at *attempt) itemError(failure json.RawMessage) *Error {
	r, body := at.run, parseItemFailure(failure)
	f := Failure{Operation: r.cl.op, Phase: PhaseAnswered, Status: statusOfCode(body.Code), Code: body.Code, Message: body.Message}
	if body.Detail != "" {
		f.Message += " " + body.Detail
	}
	rule := r.c.table.classify(&f)
	item := attempt{run: r, failed: true, failure: f, body: body}
	item.record.RequestID = at.record.RequestID
	e := r.newError(&item, rule, r.parkTime(&item, rule))
	if r.cl.op.Kind == KindCreate && rule.Ambiguous {
		e.Disposition = DispositionUncertain
	}
	e.Status, e.Body = at.resp.StatusCode, Body(r.cl.secrets.CleanBody(failure, errorBodyLimit, false))
	return e
}

// parseItemFailure reads what is said of a failed item: an object, a list of
// them of which the first decides, or words.
func parseItemFailure(failure json.RawMessage) errbody.Body {
	list, ok := jsonList(failure)
	if !ok {
		list = []json.RawMessage{failure}
	}
	var body errbody.Body
	var words []string
	for i, one := range list {
		var text string
		part := errbody.Parse(one)
		if json.Unmarshal(one, &text) == nil {
			part.Message = text
		}
		var nested struct {
			Data     json.RawMessage `json:"data"`
			Messages []string        `json:"error_messages"`
		}
		if json.Unmarshal(one, &nested) == nil {
			setDefault(&part.Message, strings.Join(nested.Messages, "; "))
		}
		if i == 0 {
			body = part
		}
		if part.Message != "" {
			words = append(words, part.Message)
		}
	}
	body.Message = strings.Join(words, "; ")
	return body
}

// statusOfCode returns the HTTP status that an inner code comes with, since an
// item has none of its own.
func statusOfCode(code int) int {
	switch code {
	case 2, 3, 7:
		return 401
	case 29:
		return 403
	case 30, 40, 50, 2031, 4180, 4842, 4997:
		return 404
	case 5:
		return 405
	case 58:
		return 409
	case 8, 9:
		return 429
	}
	if code >= 400 && code <= 599 { // a status in the place of a code
		return code
	}
	return 400
}
