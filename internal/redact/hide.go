package redact

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// Hide returns an error with the text of err, without the credentials in it;
// nil for nil. Errors that others made may hold more than they say, so err
// itself is kept where printing does not find it. Errors.Is sees through it. Errors.As
// finds those errors in err whose text is clean and that cannot hold more than that, and
// a clean copy of an *oauth2.RetrieveError. If this is so for all of err, it can be
// unwrapped.
func (s *Secrets) Hide(err error) error {
	if err == nil {
		return nil
	}
	left := maxParts
	found, shown := s.harmless(err, &left)
	return hiddenError{
		text: s.Clean(err.Error()),
		is:   func(target error) bool { return errors.Is(err, target) },
		as: func(target any) bool {
			return slices.ContainsFunc(found, func(part error) bool { return errors.As(part, target) })
		},
		unwrap: func() error { return err },
		shown:  shown,
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

// maxParts is how many errors in an error are looked at. The rest is hidden.
const maxParts = 100

// harmless returns the errors in the tree of err that hold no credential, each with
// all that it wraps. whole says that err is the one.
func (s *Secrets) harmless(err error, left *int) (found []error, whole bool) {
	*left--
	if v := reflect.ValueOf(err); *left < 0 || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, false
	}
	parts := unwrapped(err)
	whole = s.saysAll(err, len(parts)) && s.isClean(err.Error())
	for _, part := range parts {
		inner, clean := s.harmless(part, left)
		found, whole = append(found, inner...), whole && clean
	}
	if whole {
		return []error{err}, true
	}
	if retrieve, ok := err.(*oauth2.RetrieveError); ok { //nolint:errorlint // the tree is walked here, node by node
		found = append([]error{s.cleanRetrieve(retrieve)}, found...)
	}
	return found, false
}

// unwrapped returns the errors that err wraps directly.
func unwrapped(err error) []error {
	var parts []error
	switch e := err.(type) { //nolint:errorlint // the tree is walked here, node by node
	case interface{ Unwrap() error }:
		parts = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		parts = slices.Clone(e.Unwrap())
	}
	return slices.DeleteFunc(parts, func(part error) bool { return part == nil })
}

// trusted are the packages whose errors say all that matters of what they hold.
var trusted = []string{
	"errors", "fmt", "context", "io/fs", "os", "syscall", "net", "net/url", "crypto/tls", "crypto/x509", "encoding/json",
	"github.com/pinterest-go/pinterest",
}

// saysAll reports whether err holds no credential besides its text and the errors that
// it wraps, of which there are so many. Nobody knows who else uses what a type of
// others' refers to, and under which lock. So only texts in the error itself are read.
func (s *Secrets) saysAll(err error, parts int) bool {
	if _, ok := err.(hiddenError); ok { //nolint:errorlint // this very one
		return true
	}
	kinds := kindsOf(reflect.TypeOf(err))
	v := reflect.Indirect(reflect.ValueOf(err))
	switch {
	case kinds.trusted:
		return true
	case !kinds.plain:
		return false
	case v.Kind() == reflect.String:
		return s.isClean(v.String())
	}
	inside := 0
	for _, i := range kinds.errors {
		if f := v.Field(i); !f.IsZero() {
			inside++
		}
	}
	return inside <= parts && !slices.ContainsFunc(kinds.texts, func(i int) bool { return !s.isClean(v.Field(i).String()) })
}

func (s *Secrets) isClean(text string) bool { return s.Clean(text) == text }

// kinds says what values of a type of errors are made of.
type kinds struct {
	trusted bool
	plain   bool  // texts, numbers, times and errors alone
	texts   []int // the fields of a struct that are texts
	errors  []int // and those that are errors
}

var (
	knownKinds sync.Map // of kinds, by reflect.Type
	errorType  = reflect.TypeFor[error]()
	timeType   = reflect.TypeFor[time.Time]()
)

// kindsOf returns the kinds of a type, or of what it points to.
func kindsOf(t reflect.Type) kinds {
	if known, ok := knownKinds.Load(t); ok {
		return known.(kinds)
	}
	elem := t
	if t.Kind() == reflect.Pointer {
		elem = t.Elem()
	}
	k := kinds{trusted: slices.Contains(trusted, elem.PkgPath()), plain: isPlain(elem)}
	if elem.Kind() == reflect.Struct {
		k.plain = true
		for i := range elem.NumField() {
			switch f := elem.Field(i).Type; {
			case f.Kind() == reflect.String:
				k.texts = append(k.texts, i)
			case isPlain(f), f == timeType:
			case f.Implements(errorType):
				k.errors = append(k.errors, i)
			default:
				k.plain = false
			}
		}
	}
	knownKinds.Store(t, k)
	return k
}

// isPlain reports whether a type is of texts, numbers or truth values.
func isPlain(t reflect.Type) bool {
	k := t.Kind()
	return k == reflect.String || reflect.Bool <= k && k <= reflect.Complex128 && k != reflect.Uintptr
}

// cleanRetrieve returns a copy of an error without credentials: without the request,
// and with a clean body.
func (s *Secrets) cleanRetrieve(from *oauth2.RetrieveError) *oauth2.RetrieveError {
	clean := &oauth2.RetrieveError{
		Body:      []byte(s.CleanBody(from.Body, len(from.Body), false)),
		ErrorCode: s.Clean(from.ErrorCode), ErrorDescription: s.Clean(from.ErrorDescription), ErrorURI: s.Clean(from.ErrorURI),
	}
	if r := from.Response; r != nil {
		clean.Response = &http.Response{
			Status: s.Clean(r.Status), StatusCode: r.StatusCode, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
			Header: s.CleanHeader(r.Header), Body: http.NoBody, ContentLength: r.ContentLength,
		}
	}
	return clean
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
