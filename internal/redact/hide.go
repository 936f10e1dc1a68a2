package redact

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"

	"golang.org/x/oauth2"
)

// Hide returns an error with the text of err, without the credentials in it;
// nil for nil. Errors that others made may hold more than they say, so err
// itself is kept where printing does not find it. It can be unwrapped only when its
// text is clean and nothing in it holds a credential, a request or an answer.
// Errors.Is sees through it either way, and errors.As finds a clean copy of an
// *oauth2.RetrieveError.
func (s *Secrets) Hide(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := s.Clean(text)
	return hiddenError{
		text:   clean,
		is:     func(target error) bool { return errors.Is(err, target) },
		as:     func(target any) bool { return s.copyAs(err, target) },
		unwrap: func() error { return err },
		shown:  clean == text && !s.holds(err),
	}
}

// hiddenError is an error that prints nothing but its text. What it wraps is
// reached through functions, because fmt prints fields that are not exported.
type hiddenError struct {
	text   string
	is     func(target error) bool
	as     func(target any) bool
	unwrap func() error
	shown  bool
}

func (e hiddenError) Error() string        { return e.text }
func (e hiddenError) GoString() string     { return strconv.Quote(e.text) }
func (e hiddenError) Is(target error) bool { return e.is(target) }
func (e hiddenError) As(target any) bool   { return !e.shown && e.as(target) }

func (e hiddenError) Unwrap() error {
	if !e.shown {
		return nil
	}
	return e.unwrap()
}

// copyAs sets target, if it is for an *oauth2.RetrieveError and there is one in err,
// to a copy without credentials: without the request, and with a clean body.
func (s *Secrets) copyAs(err error, target any) bool {
	to, ok := target.(**oauth2.RetrieveError)
	if !ok {
		return false
	}
	from, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok || from == nil {
		return false
	}
	*to = &oauth2.RetrieveError{
		Body:      []byte(s.CleanBody(from.Body, len(from.Body), false)),
		ErrorCode: s.Clean(from.ErrorCode), ErrorDescription: s.Clean(from.ErrorDescription), ErrorURI: s.Clean(from.ErrorURI),
	}
	if r := from.Response; r != nil {
		(*to).Response = &http.Response{
			Status: s.Clean(r.Status), StatusCode: r.StatusCode, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
			Header: s.CleanHeader(r.Header), Body: http.NoBody, ContentLength: r.ContentLength,
		}
	}
	return true
}

// CleanHeader returns the headers of an answer without credentials. Cookies are
// such, and so may be the query of the URL of a redirect.
func (s *Secrets) CleanHeader(header http.Header) http.Header {
	clean := make(http.Header, len(header))
	for name, values := range header {
		kept := make([]string, len(values))
		for i, value := range values {
			kept[i] = s.cleanField(name, value)
		}
		clean[s.Clean(name)] = kept
	}
	return clean
}

// holds reports whether anything in err, or in what it wraps, is a credential or may
// be one. It reads only what an error has for itself: its fields, and other errors
// in them. Behind a pointer to anything else others may be at work.
func (s *Secrets) holds(err error) bool {
	in := inspection{secrets: s, left: 10_000}
	return in.error(err)
}

// inspection is one look through an error.
type inspection struct {
	secrets *Secrets
	left    int // how many values may still be looked at
}

var errorType = reflect.TypeFor[error]()

// error looks through err and all that it wraps.
func (in *inspection) error(err error) bool {
	if err == nil {
		return false
	}
	v := reflect.ValueOf(err)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if in.value(v) {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked here, node by node
	case interface{ Unwrap() error }:
		return in.error(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if in.error(part) {
				return true
			}
		}
	}
	return false
}

func (in *inspection) value(v reflect.Value) bool {
	if in.left--; in.left < 0 {
		return true // nobody knows
	}
	if v.IsValid() && !v.IsZero() && carries(v.Type()) {
		return true
	}
	switch v.Kind() { //nolint:exhaustive // the others hold no text
	case reflect.String:
		return in.unclean(v.String())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return in.unclean(string(v.Bytes()))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			if in.value(v.Index(i)) {
				return true
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if in.value(it.Key()) || in.value(it.Value()) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if in.value(v.Field(i)) {
				return true
			}
		}
	case reflect.Interface:
		return !v.IsNil() && in.value(v.Elem())
	case reflect.Pointer:
		return !v.IsNil() && v.Type().Implements(errorType) && in.value(v.Elem())
	}
	return false
}

func (in *inspection) unclean(text string) bool { return in.secrets.Clean(text) != text }

// carries reports whether values of a type carry credentials as a rule: requests,
// answers, headers, forms, tokens, and pointers to them.
func carries(t reflect.Type) bool {
	if t.Implements(errorType) {
		return false
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.PkgPath() {
	case "net/http", "golang.org/x/oauth2":
		return !t.Implements(errorType) && !reflect.PointerTo(t).Implements(errorType)
	case "net/url":
		return t.Name() == "URL" || t.Name() == "Userinfo" || t.Name() == "Values"
	}
	return false
}
