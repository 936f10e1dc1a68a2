package pinterest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Opt is a field of an update request. It has three states: not set, which leaves
// the field unchanged; null, which clears it; and a value. The zero Opt is not set.
// Use it with the JSON option omitzero.
type Opt[T any] struct {
	value T
	state optState
}

type optState uint8

const (
	optUnset optState = iota
	optNull
	optValue
)

// Set returns an Opt that sets the field to v.
func Set[T any](v T) Opt[T] { return Opt[T]{value: v, state: optValue} }

// Null returns an Opt that clears the field.
func Null[T any]() Opt[T] { return Opt[T]{state: optNull} }

// IsZero reports whether the field is not set, for omitzero.
func (o Opt[T]) IsZero() bool { return o.state == optUnset }

// IsNull reports whether the field is to be cleared.
func (o Opt[T]) IsNull() bool { return o.state == optNull }

// Get returns the value, and whether there is one.
func (o Opt[T]) Get() (T, bool) { return o.value, o.state == optValue }

// String returns the value as fmt prints it, "null" or "unset".
func (o Opt[T]) String() string {
	switch o.state {
	case optNull:
		return "null"
	case optValue:
		return fmt.Sprint(o.value)
	case optUnset:
	}
	return "unset"
}

// MarshalJSON writes the value, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if o.state != optValue {
		return []byte("null"), nil
	}
	return json.Marshal(o.value)
}

// UnmarshalJSON reads a value, or null.
func (o *Opt[T]) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*o = Null[T]()
		return nil
	}
	o.state = optValue
	return json.Unmarshal(data, &o.value)
}
