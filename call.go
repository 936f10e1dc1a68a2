package pinterest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// call is what was asked for: made once, the same for every attempt.
type call struct {
	op   Operation
	req  Request
	out  any
	opts callOptions

	lookup  *lookup        // how to look a create up; nil: there is no way
	pending *pendingCreate // the record of equal creates

	url         url.URL
	contentType []string // nil: there is no body
	body        []byte
	stream      *streamBody     // in place of body
	download    *download       // takes the answer in place of out
	secrets     *redact.Secrets // those of the account, and of this call
}

var errNilContext = errors.New("the context is nil")

// prepare checks everything that can be checked without the API, and encodes
// the request so that every attempt sends the same bytes.
func (cl *call) prepare(ctx context.Context, c *Client) error {
	cl.secrets = c.secrets
	if ctx == nil {
		return errNilContext
	}
	if err := cl.op.check(); err != nil {
		return err
	}
	if err := cl.opts.apply(c); err != nil {
		return err
	}
	if v := reflect.ValueOf(cl.out); cl.out != nil && (v.Kind() != reflect.Pointer || v.IsNil()) {
		return fmt.Errorf("out must be a pointer to a value, is %T", cl.out)
	}
	if isNilPointer(cl.req.Options) {
		cl.req.Options = nil // so that callers may pass a nil *PinListOptions
	}
	if isNilPointer(cl.req.Body) {
		return fmt.Errorf("the body is a nil %T", cl.req.Body)
	}
	cl.op.Kind = cl.op.kind()
	if err := errors.Join(cl.address(c), validate(cl.req.Options), validate(cl.req.Body)); err != nil {
		return err
	}
	if len(cl.req.Secrets) > 0 || cl.opts.token != "" {
		cl.secrets = cl.secrets.With(append(slices.Clip(cl.req.Secrets), cl.opts.token)...)
	}
	if cl.req.Lookup != nil {
		lookup, err := cl.req.Lookup.bind(cl.op.ID, cl.out)
		if err != nil {
			return err
		}
		cl.lookup, cl.out = lookup, lookup.out
	}
	return cl.encode()
}

func isNilPointer(v any) bool {
	p := reflect.ValueOf(v)
	return p.Kind() == reflect.Pointer && p.IsNil()
}

// address makes the URL.
func (cl *call) address(c *Client) error {
	if cl.req.URL != "" {
		return cl.foreignAddress()
	}
	if cl.op.Auth == AuthApp && c.appAuth == nil {
		return errNoOAuth
	}
	cl.url = *c.base
	if err := cl.op.expand(&cl.url, cl.req.Path); err != nil {
		return err
	}
	if query := cl.query(); len(query) > 0 {
		// A comma needs no escaping, and not every server reads an escaped one as the
		// end of an array's element.
		cl.url.RawQuery = strings.ReplaceAll(query.Encode(), "%2C", ",")
	}
	return nil
}

// foreignAddress takes another host than the API's. Its query is a signature.
func (cl *call) foreignAddress() error {
	u, err := url.Parse(cl.req.URL)
	if err != nil || u.Host == "" || u.User != nil || !isSecure(u) {
		return FieldError{Field: "Request.URL", Problem: "must be an absolute https URL without user and password, or http to a loopback address"}
	}
	if len(cl.req.Path) > 0 || len(cl.req.Query) > 0 || cl.req.Options != nil {
		return FieldError{Field: "Request.URL", Problem: "excludes Path, Query and Options"}
	}
	u.Fragment = ""
	cl.url = *u
	cl.req.Secrets = append(slices.Clip(cl.req.Secrets), u.RawQuery)
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		plain, _ := url.QueryUnescape(value) // "" where it is not escaped well
		cl.req.Secrets = append(cl.req.Secrets, value, plain)
	}
	return nil
}

// foreign reports whether the request goes to another host than the API's.
func (cl *call) foreign() bool { return cl.req.URL != "" }

// query returns all query parameters, in a map of the call's own.
func (cl *call) query() url.Values {
	var query url.Values
	if cl.req.Options != nil {
		query = cl.req.Options.Query()
	}
	if len(cl.req.Query) == 0 && cl.opts.adAccount == "" {
		return query
	}
	all := url.Values{}
	maps.Copy(all, query)
	maps.Copy(all, cl.req.Query)
	if cl.opts.adAccount != "" {
		all.Set("ad_account_id", cl.opts.adAccount)
	}
	return all
}

func (cl *call) encode() error {
	switch body := cl.req.Body.(type) {
	case nil:
	case url.Values:
		cl.body, cl.contentType = []byte(body.Encode()), contentForm
	case *Stream:
		stream, err := body.open()
		if err != nil {
			return err
		}
		cl.stream, cl.contentType = stream, []string{body.ContentType}
	default:
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encoding the request body: %w", err)
		}
		cl.body, cl.contentType = data, contentJSON
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
	header := http.Header{"Accept": contentJSON, "User-Agent": c.userAgent}
	if authorization != nil {
		header["Authorization"] = authorization
	}
	if cl.contentType != nil {
		header["Content-Type"] = cl.contentType
	}
	if cl.download != nil {
		cl.download.ask(header)
	}
	req := (&http.Request{
		Method: cl.op.Method, URL: &u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	switch {
	case cl.stream != nil:
		req.ContentLength, req.Body = cl.stream.size, cl.stream.again(ctx)
	case cl.body != nil:
		req.ContentLength = int64(len(cl.body))
		req.Body = io.NopCloser(bytes.NewReader(cl.body))
		if cl.op.Kind != KindCreate {
			// HTTP/2 asks for the body again when a stream was refused. A create is
			// never sent again behind our back.
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(cl.body)), nil }
		}
	}
	return req
}

// invalid is the error of a call that was not sent because it is wrong.
func (cl *call) invalid(err error) *Error {
	e := &Error{Operation: cl.op.ID, Class: ClassInvalid, Disposition: DispositionFix, Phase: PhaseNotSent}
	e.Fields, e.causes = fieldErrors(err)
	for i, cause := range e.causes {
		e.causes[i] = cl.secrets.Hide(cause)
	}
	return e
}

// notBegun is the error of a create whose turn did not come before its
// context ended.
func (cl *call) notBegun(err error) *Error {
	return &Error{
		Operation: cl.op.ID, Class: ClassCanceled, Disposition: DispositionPark, Phase: PhaseNotSent,
		Message: "an equal create of this client is under way", causes: []error{err},
	}
}

// describe puts the request that would be sent into the caller's DryRun.
func (cl *call) describe(ctx context.Context, c *Client) {
	authorization := []string{"Bearer " + redact.Mark}
	switch {
	case cl.foreign():
		authorization = nil
	case cl.op.Auth == AuthApp:
		authorization = []string{"Basic " + redact.Mark}
	}
	req := cl.request(ctx, c, authorization)
	if cl.foreign() && req.URL.RawQuery != "" {
		req.URL.RawQuery = redact.Mark
	}
	*cl.opts.dryRun = DryRun{Method: req.Method, URL: cl.secrets.Clean(req.URL.String()), Header: req.Header, Body: slices.Clone(cl.body)}
}

// shared returns the options that the reads of a look-up have in common with
// the create: whose account is looked at, and how soon.
func (cl *call) shared() []CallOption {
	opts := []CallOption{AtPriority(cl.opts.priority)}
	if cl.opts.adAccount != "" {
		opts = append(opts, AdAccount(cl.opts.adAccount))
	}
	if cl.opts.token != "" {
		opts = append(opts, UsingToken(cl.opts.token))
	}
	return opts
}

// respond fills the caller's Response.
func (cl *call) respond(r *run, at *attempt) {
	if cl.opts.response == nil {
		return
	}
	res := Response{
		Call: r.call, Status: at.record.Status, RequestID: at.record.RequestID, Attempts: slices.Clone(r.attempts),
		Adopted: r.adopted, DecodeError: cl.secrets.Hide(at.decodeErr),
	}
	if at.resp != nil {
		res.Header = at.resp.Header
		res.Rate = at.rate
	}
	*cl.opts.response = res
}
