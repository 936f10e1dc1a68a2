package pinterest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
)

// This file decodes the body of a success, and tells whether it is the whole result.

func (at *attempt) decodeInto(out any) error {
	cl := at.run.cl
	if at.buf.Len() == 0 {
		switch {
		case cl.op.NoBody: // the answer is complete without one
		case cl.op.Kind == KindWrite && at.resp.StatusCode == http.StatusNoContent:
			at.decodeErr = errNoResult // the write has certainly taken effect
		default:
			return errors.New("the answer has no body")
		}
		return nil
	}
	err := json.Unmarshal(at.buf.Bytes(), out)
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && (cl.op.NoBody || !isOfWhole(mismatch, at.buf.Bytes(), out)) {
		// One field has another type than the description says. The rest was decoded and
		// the call did succeed, so this must not become a failure.
		at.decodeErr, err = err, nil
	}
	if err != nil {
		return err
	}
	if items, ok := out.(itemClassifier); ok {
		items.ClassifyItems(at.itemError)
	}
	if items, ok := out.(interface{ decodeError() error }); ok {
		at.decodeErr = cmp.Or(at.decodeErr, items.decodeError())
	}
	if cl.op.NoBody {
		return nil
	}
	return at.incomplete(out)
}

var errNoResult = errors.New("the API answered 204, without the result")

// isOfWhole reports whether a mismatch is that of the whole answer, such as a list
// in place of an object. Then nothing was decoded.
func isOfWhole(mismatch *json.UnmarshalTypeError, data []byte, out any) bool {
	if mismatch.Field != "" {
		return false
	}
	first := bytes.TrimLeft(data, " \t\r\n")[0] // it is JSON, so it is not empty
	switch reflect.TypeOf(out).Elem().Kind() {
	case reflect.Struct, reflect.Map:
		return first != '{'
	case reflect.Slice, reflect.Array:
		return first != '['
	default:
		return true
	}
}

// incomplete returns what a decoded result lacks, or nil.
func (at *attempt) incomplete(out any) error {
	cl := at.run.cl
	if isIncomplete(out) {
		return errors.New("the answer lacks the resource's id")
	}
	if cl.op.Kind != KindCreate {
		return nil
	}
	if cl.lookup != nil {
		if id, _ := cl.lookup.made(); strings.TrimSpace(id) == "" {
			return errors.New("the answer lacks the id of what was made")
		}
	}
	if isEmpty(reflect.ValueOf(out).Elem()) {
		return errors.New("the answer has nothing of the result in it")
	}
	return nil
}

// isIncomplete reports whether a result says of itself that it is not complete.
func isIncomplete(out any) bool {
	result, ok := out.(Completer)
	return ok && !result.Complete()
}

// isEmpty reports whether a decoded value has nothing of a result in it. A map that
// was made for {} is as empty as a struct without a field.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	case reflect.Pointer, reflect.Interface:
		return v.IsNil() || isEmpty(v.Elem())
	default:
		return v.IsZero()
	}
}
