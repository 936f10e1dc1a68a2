package redact

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// tallyError is changed by all who use it, under its own lock.
type tallyError struct {
	mu   sync.Mutex
	seen map[string]int
	last string
}

func (e *tallyError) Error() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range 2000 {
		e.seen[strconv.Itoa(i%100)]++
	}
	e.last = strconv.Itoa(len(e.seen))
	return "the pool is empty"
}

// What an error of others refers to belongs to them: reading it without their lock is a
// race, and with a map the end of the process.
func TestHideReadsNothingOfOthers(t *testing.T) {
	t.Parallel()
	own := &tallyError{seen: map[string]int{}}
	s := New(secretApp)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				got := s.Hide(fmt.Errorf("dialing: %w", own))
				assert.EqualError(t, got, "dialing: the pool is empty")
			}
		})
	}
	wg.Wait()
}

// The errors of this test are those of others, with what they may be made of.
type (
	plainError struct {
		Name  string
		code  int
		at    time.Time
		cause error
	}
	lockError    struct{ Mu sync.Mutex }
	mapError     struct{ Values map[string]string }
	listError    struct{ Values []string }
	pointerError struct{ Config *url.Userinfo }
	anyError     struct{ Value any }
	funcError    struct{ F func() }
	deepError    struct{ Inner struct{ Text string } }
	requestError struct{ *http.Request }
	listOfErrors []error
	secondError  struct{ first, second error }
	numberError  int
)

func (e *plainError) Error() string { return "refused by " + strconv.Itoa(e.code) + e.at.Format("06") }
func (e *plainError) Unwrap() error { return e.cause }
func (*lockError) Error() string    { return "refused" }
func (mapError) Error() string      { return "refused" }
func (listError) Error() string     { return "refused" }
func (pointerError) Error() string  { return "refused" }
func (anyError) Error() string      { return "refused" }
func (funcError) Error() string     { return "refused" }
func (deepError) Error() string     { return "refused" }
func (requestError) Error() string  { return "refused" }
func (listOfErrors) Error() string  { return "refused" }
func (e secondError) Error() string { return "refused" }
func (e secondError) Unwrap() error { return e.first }
func (numberError) Error() string   { return "refused" }
func nested(err error, n int) error {
	for range n {
		err = fmt.Errorf("again: %w", err)
	}
	return err
}

func TestHideFindsByType(t *testing.T) {
	t.Parallel()
	s := New(secretApp)
	secret := &plainError{Name: secretApp}
	for name, tt := range map[string]struct {
		err   error
		found bool
	}{
		"text":                            {textError("refused"), true},
		"a number":                        {numberError(5), true},
		"plain":                           {&plainError{Name: "proxy", code: 5}, true},
		"plain, with a cause":             {&plainError{Name: "proxy", cause: io.EOF}, true},
		"a path":                          {&fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, true},
		"a number of the system":          {syscall.ENOENT, true},
		"the network":                     {&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{}, Err: syscall.ECONNREFUSED}, true},
		"a name":                          {&net.DNSError{Err: "no such host", Name: "api.example"}, true},
		"a URL":                           {&url.Error{Op: "Get", URL: "https://api.example", Err: context.DeadlineExceeded}, true},
		"a certificate":                   {x509.UnknownAuthorityError{Cert: &x509.Certificate{}}, true},
		"JSON":                            {&json.UnmarshalTypeError{Value: "string", Type: reflect.TypeFor[int](), Field: "id"}, true},
		"wrapped":                         {fmt.Errorf("dialing: %w", io.EOF), true},
		"joined":                          {errors.Join(io.EOF, fs.ErrExist), true},
		"deep":                            {nested(io.EOF, 50), true},
		"too deep":                        {nested(io.EOF, 200), false},
		"a lock":                          {&lockError{}, false},
		"a map":                           {mapError{}, false},
		"a list":                          {listError{}, false},
		"a pointer":                       {pointerError{}, false},
		"anything":                        {anyError{}, false},
		"a function":                      {funcError{}, false},
		"a struct":                        {deepError{}, false},
		"a request":                       {requestError{}, false},
		"a list of errors":                {listOfErrors{io.EOF}, false},
		"an answer":                       {&oauth2.RetrieveError{Response: &http.Response{}}, false},
		"nil":                             {(*plainError)(nil), false},
		"plain, with a credential":        {secret, false},
		"a credential in the text":        {textError(secretApp), false},
		"an error that is not unwrapped":  {secondError{io.EOF, secret}, false},
		"a URL with a credential":         {&url.Error{Op: "Get", URL: "https://a:b@api.example", Err: io.EOF}, false},
		"the network, with a credential":  {&net.OpError{Op: "dial", Net: "tcp", Err: secret}, false},
		"plain, with a credential inside": {&plainError{cause: secret}, false},
	} {
		if name == "nil" {
			left := maxParts
			found, whole := s.harmless(tt.err, &left)
			assert.Empty(t, found)
			assert.False(t, whole)
			continue
		}
		got := s.Hide(tt.err)
		if tt.found {
			assert.Equal(t, tt.err, errors.Unwrap(got), name)
		} else {
			require.NoError(t, errors.Unwrap(got), name)
		}
		assertHidden(t, got)
	}
}

// What is hidden hides nothing else: a harmless error in it is found.
func TestHideFindsWhatIsHarmlessInside(t *testing.T) {
	t.Parallel()
	s := New(secretApp)
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for name, err := range map[string]error{
		"in a map's":        errors.Join(mapError{}, dial),
		"in a credential's": fmt.Errorf("%s: %w", secretApp, dial),
		"in a field's":      &plainError{Name: secretApp, cause: fmt.Errorf("dialing: %w", dial)},
		"hidden twice":      New().Hide(errors.Join(mapError{}, dial)),
	} {
		got := s.Hide(err)
		require.NotContains(t, got.Error(), secretApp, name)
		found, ok := errors.AsType[*net.OpError](got)
		require.True(t, ok, name)
		assert.Same(t, dial, found, name)
		require.ErrorIs(t, got, syscall.ECONNREFUSED, name)
		_, ok = errors.AsType[mapError](got)
		assert.False(t, ok, name)
		_, ok = errors.AsType[*plainError](got)
		assert.False(t, ok, name)
		var timeout net.Error
		assert.ErrorAs(t, got, &timeout, "%s, as an interface", name)
	}
}

// The names of headers are compared in any spelling.
func TestCleanHeaderInAnySpelling(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"set-cookie", "COOKIE", "authorization", "Proxy-authorization"} {
		got := New().CleanHeader(http.Header{name: {"_session=0123"}})
		assert.Equal(t, Mark, strings.Join(got[name], ","), name)
	}
	assert.Equal(t, "https://x.example/?"+Mark, New().CleanHeader(http.Header{strings.ToLower("Location"): {"https://x.example/?a=b"}})[strings.ToLower("Location")][0])
}
