package pinterest

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// fieldErrors is every wrong field of a request, found before it is sent.
type fieldErrors []FieldError

// Is makes what Validate finds answer to ErrInvalid.
func (e fieldErrors) Is(target error) bool { return target == ErrInvalid }

// Unwrap returns each of them.
func (e fieldErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, f := range e {
		errs[i] = f
	}
	return errs
}

func (e fieldErrors) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Error()
	}
	return strings.Join(parts, "; ")
}

// checker collects what is wrong with a request, so that a caller learns all
// of it at once.
type checker struct{ errs fieldErrors }

// err returns what was found, or nil.
func (c *checker) err() error {
	if len(c.errs) == 0 {
		return nil
	}
	return c.errs
}

func (c *checker) add(field, value, problem string) {
	c.errs = append(c.errs, FieldError{Field: field, Value: shorten(value), Problem: problem})
}

// id wants a numeric id.
func (c *checker) id(field, value string) {
	if problem := idProblem(field, value); problem != "" {
		c.add(field, value, problem)
	}
}

// optionalID wants a numeric id or nothing.
func (c *checker) optionalID(field, value string) {
	if value != "" {
		c.id(field, value)
	}
}

// length wants at most limit characters: the API counts characters, not bytes.
func (c *checker) length(field, value string, limit int) {
	if n := utf8.RuneCountInString(value); n > limit {
		c.add(field, value, fmt.Sprintf("must have at most %d characters, has %d", limit, n))
	}
	if !utf8.ValidString(value) {
		c.add(field, strings.ToValidUTF8(value, "?"), "must be valid UTF-8")
	}
}

// name wants something other than spaces.
func (c *checker) name(value string) {
	if strings.TrimSpace(value) == "" {
		c.add("name", value, "is required")
	}
}

// link wants an absolute http or https URL of at most limit characters.
func (c *checker) link(field, value string, limit int) {
	c.length(field, value, limit)
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "":
		c.add(field, value, "must be an absolute URL, such as https://shop.example/p/1")
	case u.Scheme != "http" && u.Scheme != "https":
		c.add(field, value, "must be an http or https URL")
	}
}

// optionalLink wants such a URL or nothing.
func (c *checker) optionalLink(field, value string, limit int) {
	if value != "" {
		c.link(field, value, limit)
	}
}

// oneOf wants one of the values. It is used where the API refuses all others.
func oneOf[T ~string](c *checker, field string, value T, allowed ...T) {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		if value == a {
			return
		}
		names[i] = strconv.Quote(string(a))
	}
	c.add(field, string(value), "must be "+strings.Join(names, " or "))
}

// requireID wants a numeric id.
func requireID(field, value string) error {
	if problem := idProblem(field, value); problem != "" {
		return FieldError{Field: field, Value: shorten(value), Problem: problem}
	}
	return nil
}

// idProblem says what is wrong with an id, and what is mistaken for one most often.
func idProblem(field, value string) string {
	if value != "" && strings.Trim(value, "0123456789") == "" {
		return ""
	}
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

// shorten keeps an error readable, and what may be signed out of it: the query
// of a URL is never part of the value shown.
func shorten(value string) string {
	if u, query, ok := strings.Cut(value, "?"); ok && strings.Contains(u, "://") && query != "" {
		value = u + "?..."
	}
	const limit = 60
	if utf8.RuneCountInString(value) <= limit {
		return value
	}
	return string([]rune(value)[:limit]) + "..."
}
