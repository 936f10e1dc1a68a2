package pinteresttest

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// A body is the JSON object of a request. It keeps the first error, so that
// handlers can read every field and check once.
type body struct {
	fields map[string]json.RawMessage
	err    error
}

// A field is a value of a body, which may be absent, null or given.
type field[T any] struct {
	present bool
	null    bool
	value   T
}

// given reports whether the field has a value.
func (f field[T]) given() bool { return f.present && !f.null }

// set assigns the field to target. An absent field leaves it, null clears it.
func (f field[T]) set(target *T) {
	if f.present {
		*target = f.value // the zero value when null
	}
}

// parseBody reads a JSON object.
func parseBody(raw []byte) *body {
	b := &body{}
	if !json.Valid(raw) {
		b.err = invalid("Invalid request: the body is not valid JSON")
	} else if json.Unmarshal(raw, &b.fields) != nil || b.fields == nil {
		b.err = invalid("Invalid request: %s is not of type object", quoted(raw))
	}
	return b
}

func (b *body) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// read decodes one field. kind is the name of its type for the error.
func read[T any](b *body, name, kind string) field[T] {
	raw, ok := b.fields[name]
	if !ok {
		return field[T]{}
	}
	if string(raw) == "null" {
		return field[T]{present: true, null: true}
	}
	f := field[T]{present: true}
	if json.Unmarshal(raw, &f.value) != nil {
		b.fail(invalid("Invalid request: '%s' %s is not of type %s", name, quoted(raw), kind))
	}
	return f
}

// text reads a string of at most limit characters; 0 is no limit.
func (b *body) text(name string, limit int) field[string] {
	f := read[string](b, name, "string")
	if limit > 0 && utf8.RuneCountInString(f.value) > limit {
		b.fail(invalid("Invalid request: '%s' is longer than %d characters", name, limit))
	}
	return f
}

// id reads a numeric string.
func (b *body) id(name string) field[string] {
	f := read[string](b, name, "string")
	if f.given() && !isNumeric(f.value) {
		b.fail(notNumeric(name, f.value))
	}
	return f
}

// flag reads a boolean.
func (b *body) flag(name string) field[bool] { return read[bool](b, name, "boolean") }

// count reads an integer that is not negative.
func (b *body) count(name string) field[int] {
	f := read[int](b, name, "integer")
	if f.value < 0 {
		b.fail(invalid("Invalid request: '%s' %d is less than the minimum of 0", name, f.value))
	}
	return f
}

// choice reads a string that is one of the options.
func (b *body) choice(name string, options ...string) field[string] {
	f := read[string](b, name, "string")
	if f.given() && !slices.Contains(options, f.value) {
		b.fail(invalid("Invalid request: '%s' '%s' is not one of %q", name, f.value, options))
	}
	return f
}

// objects reads an array of objects.
func (b *body) objects(name string) field[[]*body] {
	f := read[[]map[string]json.RawMessage](b, name, "array")
	list := field[[]*body]{present: f.present, null: f.null}
	for _, fields := range f.value {
		if fields == nil {
			b.fail(invalid("Invalid request: an item of '%s' is not of type object", name))
		}
		list.value = append(list.value, &body{fields: fields})
	}
	return list
}

// object reads one object.
func (b *body) object(name string) field[*body] {
	f := read[map[string]json.RawMessage](b, name, "object")
	return field[*body]{present: f.present, null: f.null, value: &body{fields: f.value}}
}

// A presence is a field of any type.
type presence interface{ given() bool }

// require refuses the body when the field has no value.
func (b *body) require(name string, f presence) {
	if !f.given() {
		b.fail(invalid("Invalid request: '%s' is a required property", name))
	}
}

// notNull refuses the body when the field is null.
func (b *body) notNull(name string, f field[string]) {
	if f.null {
		b.fail(invalid("Invalid request: '%s' None is not of type string", name))
	}
}
