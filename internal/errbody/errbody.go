// Package errbody reads the body of an error answer, whatever its shape.
package errbody

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Body is what could be read of an error answer. The zero value says that
// nothing could.
type Body struct {
	Code       int    // a numeric code, sent as a number or as a string of digits
	CodeName   string // a code that is a word
	Message    string
	Detail     string // message_detail, data, reason: more words, for matching
	Fields     []Field
	Details    json.RawMessage
	Scope      string        // the missing scope
	RequestID  string        // request_id of the body, where there is no header
	RetryAfter time.Duration // 0: not said
}

// Field is one entry of a list of field errors.
type Field struct{ Name, Value, Problem string }

// maxDepth bounds how deep nested error objects are followed.
const maxDepth = 4

// Parse reads data. It accepts every shape that has been seen of Pinterest and
// of the services in front of it: flat {code, message}, {error: {...}},
// {error: "word", error_description}, {details: {...}}, {errors: [...]},
// {meta: {...}}; codes as numbers, as digits and as words; and bodies that end
// in the middle, of which it keeps what came. What is not JSON gives a zero Body.
func Parse(data []byte) Body {
	var p parser
	p.object(data, maxDepth)
	return p.Body
}

// parser is a Body in the making.
type parser struct {
	Body
	coded bool // CodeName comes from a code, not from an "error" that is a word
}

func (b *parser) object(data []byte, depth int) {
	if depth == 0 {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return
	}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return
		}
		start := int(dec.InputOffset())
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			// The body ends inside this value: keep what an object there holds.
			rest := bytes.TrimLeft(data[start:], ": \t\r\n")
			b.member(key, rest, depth)
			return
		}
		b.member(key, value, depth)
	}
}

// member takes one key of an object. The outermost word for a thing wins,
// since inner objects explain outer ones.
func (b *parser) member(key string, value json.RawMessage, depth int) {
	switch strings.ToLower(key) {
	case "code":
		b.code(value)
	case "message", "error_description":
		first(&b.Message, text(value))
	case "error":
		if isObject(value) {
			b.object(value, depth-1)
			return
		}
		b.word(text(value))
	case "message_detail", "data", "reason", "type":
		words := text(value)
		if words == "" && len(value) > 0 && (value[0] == '{' || value[0] == '[') {
			words = string(value) // an object or a list: the words in it count, too
		}
		first(&b.Detail, words)
	case "details":
		if b.Details == nil && json.Valid(value) && string(value) != "null" {
			b.Details = bytes.Clone(value)
		}
		b.details(value, depth)
	case "errors":
		b.fields(value)
	case "required", "required_scope", "required_permission":
		first(&b.Scope, text(value))
	case "request_id", "requestid":
		first(&b.RequestID, text(value))
	case "retry_after", "retryafter":
		if b.RetryAfter == 0 {
			b.RetryAfter = seconds(value)
		}
	case "meta":
		b.object(value, depth-1)
	}
}

// details reads the object under "details": further members, and a single
// field error where it names a field itself.
func (b *parser) details(value json.RawMessage, depth int) {
	if !isObject(value) {
		return
	}
	b.object(value, depth-1)
	if f := field(value); f.Name != "" {
		b.Fields = append(b.Fields, f)
	}
}

func (b *parser) fields(value json.RawMessage) {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return
	}
	for _, item := range list {
		if f := field(item); f != (Field{}) {
			b.Fields = append(b.Fields, f)
		}
	}
}

func field(value json.RawMessage) Field {
	if s := text(value); s != "" && !isObject(value) {
		return Field{Problem: s}
	}
	var f struct{ Field, Name, Path, Value, Message, Reason, Type json.RawMessage }
	if json.Unmarshal(value, &f) != nil {
		return Field{}
	}
	out := Field{Value: text(f.Value)}
	first(&out.Name, text(f.Field), text(f.Name), text(f.Path))
	first(&out.Problem, text(f.Message), text(f.Reason), text(f.Type))
	return out
}

// code reads a code that may be a number, digits in a string, or a word.
func (b *parser) code(value json.RawMessage) {
	s := text(value)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if b.Code == 0 && n == math.Trunc(n) && math.Abs(n) <= math.MaxInt32 {
			b.Code = int(n)
		}
		return
	}
	if s != "" && !b.coded {
		b.CodeName, b.coded = s, true
	}
}

// word takes a name such as "RATE_LIMITED"; words with spaces are a message.
func (b *parser) word(s string) {
	if strings.ContainsRune(s, ' ') {
		first(&b.Detail, s)
		return
	}
	// Beside a code ("error": "Forbidden", "code": "missing_scope") it says less.
	first(&b.CodeName, s)
}

func first(dst *string, values ...string) {
	for _, v := range values {
		if *dst == "" {
			*dst = v
		}
	}
}

func isObject(value json.RawMessage) bool { return len(value) > 0 && value[0] == '{' }

// text returns a string, or a number as it was written; "" for all else, a
// string that was cut off included up to its end.
func text(value json.RawMessage) string {
	if len(value) == 0 {
		return ""
	}
	switch c := value[0]; {
	case c == '"':
		var s string
		if json.Unmarshal(value, &s) == nil {
			return s
		}
		if json.Unmarshal(append(bytes.Clone(value), '"'), &s) == nil {
			return s
		}
	case c == '-' || c >= '0' && c <= '9':
		return string(value)
	}
	return ""
}

// seconds reads a number of seconds, in a string or not; what is negative or
// not a number is not said, what is absurdly long saturates.
func seconds(value json.RawMessage) time.Duration {
	n, err := strconv.ParseFloat(text(value), 64)
	if err != nil || math.IsNaN(n) || n <= 0 {
		return 0
	}
	if n >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(n * float64(time.Second))
}
