package pinterest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
)

// Client calls the Pinterest API for one account. It is safe for concurrent
// use.
type Client struct {
	Pins     *PinsService
	Boards   *BoardsService
	Sections *SectionsService
	Account  *AccountService

	*core    // of the app
	*account // of the account
}

// String names the client by its base URL; it prints no credentials.
func (c *Client) String() string { return "pinterest.Client(" + c.base.String() + ")" }

// GoString keeps %#v from printing more than String does.
func (c *Client) GoString() string { return c.String() }

// do is the path of a call, whole and in order.
func (c *Client) do(ctx context.Context, cl *call) error {
	if err := cl.prepare(c); err != nil { // once: nothing invalid is sent
		return c.refuse(cl, cl.invalid(err))
	}
	if cl.opts.dryRun != nil {
		cl.describe(ctx, c)
		return nil
	}
	done, err := c.creates.enter(ctx, cl) // once: equal creates go one after another
	if err != nil {
		return c.refuse(cl, cl.notBegun(err))
	}
	defer done()
	r := c.begin(cl)
	for {
		at := r.begin(ctx) // each attempt: a record of its own
		at.pace()          // its turn, below the rate limits
		at.authorize()     // a token, renewed when it is due, and a timeout of its own
		at.send()          // one exchange on the wire
		at.read()          // the body: whole, bounded, drained and closed
		at.decode()        // the caller's value, where the answer is a success
		at.end()           // the time it took
		if !at.failed {
			r.succeed(at)
			return nil
		}
		if again, err := r.act(ctx, at); !again { // the table: fail, refresh once, or look up and back off
			return err
		}
	}
}

// Request is what [Client.Do] sends: the values for one [Operation].
type Request struct {
	Path  []string   // values for the placeholders of Operation.Path, in their order
	Query url.Values // query parameters
	// Body is sent as JSON; nil sends none. A Body with a method Validate() error
	// is asked before anything is sent.
	Body any
	// Lookup finds out whether a create whose answer was lost took effect. Without
	// one such a create is never sent again and ends uncertain.
	Lookup *Lookup

	check func() error // further validation, before anything is sent
}

// Do carries one operation along the whole path of a call: validation, token,
// attempts, the table, look-up, decoding. The answer's JSON goes into out, a
// pointer, which may be nil. Every failure is an *[Error].
//
// It is how all methods of this package call the API, exported for operations
// that have no method yet.
func (c *Client) Do(ctx context.Context, op Operation, req Request, out any, opts ...CallOption) error {
	return c.do(ctx, &call{op: op, req: req, out: out, opts: callOptions{list: opts}, seek: req.Lookup.seeker(op)})
}

// invoke is Do for a service method: it makes the value that is returned.
func invoke[T any](ctx context.Context, c *Client, op Operation, req Request, opts []CallOption) (*T, error) {
	out := new(T)
	if err := c.Do(ctx, op, req, out, opts...); err != nil {
		return nil, err
	}
	return out, nil
}

// call is what was asked for: made once, the same for every attempt.
type call struct {
	op   Operation
	req  Request
	out  any
	opts callOptions

	basic []string   // the Authorization of a token call: the app's credentials
	form  url.Values // a form in place of a JSON body

	seek   *seeker // how to look a create up; nil: there is no way
	intent *intent // the books of equal creates

	url         url.URL
	contentType []string // nil: there is no body
	body        []byte
}

// prepare checks everything that can be checked without the API, and encodes
// the request so that every attempt sends the same bytes.
func (cl *call) prepare(c *Client) error {
	if err := cl.opts.apply(c); err != nil {
		return err
	}
	if cl.req.check != nil {
		if err := cl.req.check(); err != nil {
			return err
		}
	}
	if v := reflect.ValueOf(cl.out); cl.out != nil && (v.Kind() != reflect.Pointer || v.IsNil()) {
		return fmt.Errorf("out must be a pointer to a value, is %T", cl.out)
	}
	cl.op.Kind = cl.op.kind()
	cl.url = *c.base
	if err := cl.op.expand(&cl.url, cl.req.Path); err != nil {
		return err
	}
	if v, ok := cl.req.Body.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	query := cl.req.Query
	if cl.opts.adAccount != "" {
		query = maps.Clone(query)
		if query == nil {
			query = url.Values{}
		}
		query.Set("ad_account_id", cl.opts.adAccount)
	}
	if len(query) > 0 {
		cl.url.RawQuery = query.Encode()
	}
	return cl.encode()
}

func (cl *call) encode() error {
	switch {
	case cl.form != nil:
		cl.body = []byte(cl.form.Encode())
		cl.contentType = contentForm
	case cl.req.Body != nil:
		body, err := json.Marshal(cl.req.Body)
		if err != nil {
			return fmt.Errorf("encoding the request body: %w", err)
		}
		cl.body = body
		cl.contentType = contentJSON
	}
	return nil
}

var (
	contentJSON = []string{"application/json"}
	contentForm = []string{"application/x-www-form-urlencoded"}
)

// request makes the HTTP request of one attempt, its body from the start.
func (cl *call) request(ctx context.Context, c *Client, authorization []string) *http.Request {
	u := cl.url // the transport's own: what it does to it ends with the attempt
	header := http.Header{"Accept": contentJSON, "User-Agent": c.userAgent, "Authorization": authorization}
	if cl.contentType != nil {
		header["Content-Type"] = cl.contentType
	}
	req := (&http.Request{
		Method: cl.op.Method, URL: &u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if cl.body != nil {
		req.ContentLength = int64(len(cl.body))
		req.Body = io.NopCloser(bytes.NewReader(cl.body))
		// HTTP/2 asks for the body again when a stream was refused.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(cl.body)), nil }
	}
	return req
}
