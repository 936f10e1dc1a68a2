package pinterest

import "net/url"

// Request is what is sent: the values for one [Operation].
type Request struct {
	Path []string // values for the placeholders of Operation.Path, in their order

	// Query are query parameters. An array that the API wants joined by commas is
	// one value with commas in it, a repeated one has several values, and a deep
	// object is one parameter for each of its keys, such as "parameters[start]".
	Query url.Values
	// Options are query parameters that are made when the call begins, such as a
	// *[PinListOptions]. If they have a method Validate() error, it is asked before
	// anything is sent. A nil pointer stands for none. Query takes precedence.
	Options interface{ Query() url.Values }

	// Body is sent as JSON, but for url.Values, which are sent as a form, and a
	// *[Stream]. nil sends none. A Body, or the elements of a list, with a method
	// Validate() error is asked before anything is sent: see [Check]. A nil pointer is
	// refused.
	Body any

	// Lookup, a [Lookup], finds out whether a create whose answer was lost took
	// effect. Without one such a create is never sent again and ends uncertain.
	Lookup AnyLookup

	// URL sends the request to another host in place of the API's, such as the
	// storage that takes uploads. It is https, or http to a loopback address. The
	// request carries no credentials, is not paced, and the URL's query is
	// redacted wherever it could be shown. Operation.Path is not used then.
	URL string
	// Secrets are values of this request that must not appear in an error, an
	// event or a log line, such as the signature in an upload's form.
	Secrets []string
}

// Completer is a result that can tell whether it is one. A 2xx answer that is
// decoded into a result whose Complete returns false is not a complete answer: a
// read is sent again, a create is looked up, as if the answer had been cut off.
//
// A create's result is incomplete, too, when nothing at all could be decoded
// into it, or when its [Lookup] finds no id in it.
type Completer interface{ Complete() bool }
