package pinterest

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
)

// Request is for authors of operations: it contains the values for one call of an
// [Operation].
type Request struct {
	Path []string // values for the placeholders of Operation.Path, in their order

	// Query are query parameters. If the API wants an array joined by commas, use one
	// value with commas in it. If it wants a repeated parameter, use several values.
	// A deep object is one parameter for each of its keys, such as
	// "parameters[start]".
	Query url.Values
	// Options are query parameters as a value, such as a *[PinListOptions]. If it has
	// a method Validate() error, that is called before anything is sent. A nil
	// pointer means no options. Query takes precedence.
	Options interface{ Query() url.Values }

	// Body is sent as JSON, except that url.Values are sent as a form and a *[Stream]
	// as it is. nil means no body. If the body or, for a list, its elements have a
	// method Validate() error, be it one of their pointers, that is called before
	// anything is sent: see [Check].
	Body any

	// Lookup is a [Lookup]. It finds out whether a create took effect when the answer
	// was lost. Without one, such a create is never sent again and ends uncertain.
	Lookup AnyLookup

	// URL sends the request to another host instead of the API's, such as the storage
	// for uploads. It must be https, or http to a loopback address. The request
	// carries no credentials and is not paced. The URL's query is redacted in errors,
	// events and log lines. Operation.Path is not used.
	URL string
	// Secrets are values of this request that must not appear in an error, an
	// event or a log line, such as the signature in an upload's form. They are
	// redacted as they are and escaped for a URL, a form, JSON or HTML. Values of
	// less than four characters are not redacted.
	Secrets []string
}

// String prints nothing of the request, which may have credentials anywhere in it.
func (r Request) String() string { return "pinterest.Request" }

// Format keeps every verb of fmt from printing more than String does.
func (r Request) Format(f fmt.State, verb rune) { formatAs(f, verb, r.String()) }

// LogValue keeps structured logs from printing more than String does.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText keeps encoders (JSON, XML, YAML, ...) from writing more than String does.
func (r Request) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// GobEncode returns an error: the credentials are not encoded.
func (r Request) GobEncode() ([]byte, error) { return nil, errNoEncoding }

// options returns the Options, or nil for a nil pointer, so that callers may pass a
// nil *PinListOptions.
func (r *Request) options() interface{ Query() url.Values } {
	if isNilPointer(r.Options) {
		return nil
	}
	return r.Options
}

// query returns all query parameters. It does not change the caller's maps.
func (r *Request) query(adAccount string) url.Values {
	var query url.Values
	if o := r.options(); o != nil {
		query = o.Query()
	}
	if len(r.Query) == 0 && adAccount == "" {
		return query
	}
	all := url.Values{}
	maps.Copy(all, query)
	maps.Copy(all, r.Query)
	if adAccount != "" {
		all.Set("ad_account_id", adAccount)
	}
	return all
}

// Completer is for authors of operations: it is a result that can report whether
// it is complete. If Complete returns false after a 2xx answer was decoded, the
// library treats the answer as cut off: it sends a read again and looks a create
// up. An answer with the status 204 to a write is an exception: the write has
// certainly taken effect, so the call succeeds with a zero result, and
// [Response].DecodeError says that the result is missing.
//
// The result of a create is also incomplete if it is still the zero value after
// decoding, or an empty map or list, or if its [Lookup] finds no id in it. Of a
// [BatchResult] this applies to each item: one that is incomplete has an Err, and the
// call succeeds.
type Completer interface{ Complete() bool }
