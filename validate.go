package pinterest

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// Check collects what is wrong with a request, so that a caller learns all of
// it at once. It is what the Validate methods of this package are made of:
//
//	func (c CampaignCreate) Validate() error {
//		var check pinterest.Check
//		check.ID("ad_account_id", c.AdAccountID)
//		check.Length("name", c.Name, 255)
//		return check.Err()
//	}
type Check struct{ problems problems }

// Err returns what was found, each a [FieldError], or nil.
func (c *Check) Err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return c.problems
}

// Add notes a problem of a field, such as "must not be negative". The value is
// shortened, and without credentials: the query of a URL, its user and password, and
// what has the shape of a token are left out.
func (c *Check) Add(field, value, problem string) {
	c.problems = append(c.problems, FieldError{Field: field, Value: shorten(value), Problem: problem})
}

// Required checks that value is more than spaces.
func (c *Check) Required(field, value string) {
	if strings.TrimSpace(value) == "" {
		c.Add(field, value, "is required")
	}
}

// ID checks that value is a numeric id.
func (c *Check) ID(field, value string) {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		c.Add(field, value, idProblem(field))
	}
}

// OptionalID checks that value is a numeric id or empty.
func (c *Check) OptionalID(field, value string) {
	if value != "" {
		c.ID(field, value)
	}
}

// Length checks that value is valid UTF-8 of at most limit characters: the API
// counts characters, not bytes.
func (c *Check) Length(field, value string, limit int) {
	if n := utf8.RuneCountInString(value); n > limit {
		c.Add(field, value, fmt.Sprintf("must have at most %d characters, has %d", limit, n))
	}
	if !utf8.ValidString(value) {
		c.Add(field, strings.ToValidUTF8(value, "?"), "must be valid UTF-8")
	}
}

// Link checks that value is an absolute http or https URL of at most limit
// characters.
func (c *Check) Link(field, value string, limit int) {
	c.Length(field, value, limit)
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "":
		c.Add(field, value, "must be an absolute URL, such as https://shop.example/p/1")
	case u.Scheme != "http" && u.Scheme != "https":
		c.Add(field, value, "must be an http or https URL")
	}
}

// OptionalLink checks that value is such a URL or empty.
func (c *Check) OptionalLink(field, value string, limit int) {
	if value != "" {
		c.Link(field, value, limit)
	}
}

// Range checks that value is from low to high.
func (c *Check) Range(field string, value, low, high int) {
	if value < low || value > high {
		c.Add(field, strconv.Itoa(value), fmt.Sprintf("must be from %d to %d", low, high))
	}
}

// OneOf checks that value is one of those allowed. It is for fields of which the API
// refuses all other values.
func OneOf[T ~string](c *Check, field string, value T, allowed ...T) {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if value == a {
			return
		}
		names[i] = strconv.Quote(string(a))
	}
	c.Add(field, string(value), "must be "+strings.Join(names, " or "))
}

// idProblem says what is wrong with an id, and what is mistaken for one most often.
func idProblem(field string) string {
	problem := "must be the numeric id"
	switch field {
	case "board_id":
		problem += ", not the board's name"
	case "section_id", "board_section_id":
		problem += ", not the section's name"
	case "pin_id", "parent_pin_id":
		problem += ", not the pin's URL"
	}
	return problem
}

// shorten keeps an error readable, and what may be secret out of it: the query of a
// URL is never part of the value shown.
func shorten(value string) string {
	const (
		limit = 60      // characters
		most  = 4 << 10 // bytes, of a value that may be an image
	)
	// A password may have any characters, if it was not escaped.
	if end := strings.LastIndex(value, "@"); end >= 0 && strings.Contains(value[:end], ":") {
		scheme, _, ok := strings.Cut(value[:end], "//")
		if ok {
			scheme += "//"
		} else {
			scheme = ""
		}
		value = scheme + redact.Mark + value[end:]
	}
	value = redact.String(value[:min(len(value), most)])
	if u, query, ok := strings.Cut(value, "?"); ok && strings.Contains(u, "://") && query != "" {
		value = u + "?" + more
	}
	if utf8.RuneCountInString(value) <= limit {
		return value
	}
	return string([]rune(value)[:limit]) + more
}

// problems is every wrong field of a request, in one line.
type problems []FieldError

// Unwrap returns each of them.
func (p problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, f := range p {
		errs[i] = f
	}
	return errs
}

func (p problems) Error() string {
	parts := make([]string, len(p))
	for i, f := range p {
		parts[i] = f.Error()
	}
	return strings.Join(parts, "; ")
}

// validator is what bodies and options may be: it finds what the API would refuse.
type validator interface{ Validate() error }

// validate asks v or, where v is a list, each of its elements. Validate may have a
// pointer receiver where a value was given.
func validate(v any) error {
	if v == nil {
		return nil
	}
	value := reflect.ValueOf(v)
	if v, ok := asValidator(value); ok {
		return v.Validate()
	}
	list := reflect.Indirect(value)
	if list.Kind() != reflect.Slice && list.Kind() != reflect.Array || !mayValidate(list.Type().Elem()) {
		return nil
	}
	var found problems
	var others []error
	for i := range list.Len() {
		at := "[" + strconv.Itoa(i) + "]"
		fields, rest := fieldErrors(validateElement(list.Index(i)))
		for _, f := range fields {
			f.Field = strings.TrimSuffix(at+"."+f.Field, ".")
			found = append(found, f)
		}
		for _, err := range rest {
			others = append(others, fmt.Errorf("%s: %w", at, err))
		}
	}
	if len(found) > 0 {
		others = append([]error{found}, others...)
	}
	return errors.Join(others...)
}

var validatorType = reflect.TypeFor[validator]()

// mayValidate reports whether elements of this type, or pointers to them, can be
// asked.
func mayValidate(t reflect.Type) bool {
	return t.Kind() == reflect.Interface || t.Implements(validatorType) || reflect.PointerTo(t).Implements(validatorType)
}

func validateElement(v reflect.Value) error {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return FieldError{Problem: "must not be nil"}
	}
	if v, ok := asValidator(v); ok {
		return v.Validate()
	}
	return nil
}

// asValidator returns v, or a pointer to a copy of it, as what can be asked.
func asValidator(v reflect.Value) (validator, bool) {
	switch {
	case !v.IsValid(): // the nil of an interface
		return nil, false
	case v.Type().Implements(validatorType):
		return v.Interface().(validator), true
	case !reflect.PointerTo(v.Type()).Implements(validatorType):
		return nil, false
	}
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p.Interface().(validator), true
}

// fieldErrors returns every [FieldError] in the tree of err, and the errors in
// it that say something else or more.
func fieldErrors(err error) (fields []FieldError, others []error) {
	switch e := err.(type) { //nolint:errorlint // the tree is walked here, node by node
	case nil:
		return nil, nil
	case FieldError:
		return []FieldError{e}, nil
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			f, o := fieldErrors(part)
			fields, others = append(fields, f...), append(others, o...)
		}
		return fields, others
	}
	fields, _ = fieldErrors(errors.Unwrap(err))
	return fields, []error{err}
}
