package pinterest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// call is what the caller asked for. It is built once and is the same for every
// attempt.
type call struct {
	op     Operation
	req    Request
	out    any
	opts   callOptions
	caller context.Context // which may end before the contexts that are derived from it

	number uint64 // counted by the app, from 1; 0 while it has none

	lookup  *lookup        // how to look a create up; nil if there is no way
	pending *pendingCreate // the record of equal creates
	name    string         // of a stored create

	url         url.URL
	contentType []string // nil if there is no body
	body        []byte
	stream      *streamBody     // instead of body
	download    *download       // takes the answer instead of out
	secrets     *redact.Secrets // of the account and of this call
}

// count returns the call's number, which it gets when it is first asked for. It
// is the same in the events of the call, its Response and its Error.
func (cl *call) count(c *Client) uint64 {
	if cl.number == 0 {
		cl.number = c.calls.Add(1)
	}
	return cl.number
}

var errNilContext = errors.New("the context is nil")

// prepare checks everything that can be checked without the API. It also encodes
// the request, so that every attempt sends the same bytes.
func (cl *call) prepare(ctx context.Context, c *Client) error {
	cl.secrets, cl.caller = c.secrets, ctx
	if ctx == nil {
		return errNilContext
	}
	if err := checkAccount(c.name); err != nil {
		return err
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
	if isNilPointer(cl.req.Body) {
		return fmt.Errorf("the body is a nil %T", cl.req.Body)
	}
	if cl.op.AppAuth && cl.opts.ownToken {
		return FieldError{Field: "UsingToken", Problem: "must not be used here: " + cl.op.ID + " takes the app's credentials, not a token"}
	}
	cl.op.Kind = cl.op.kind()
	if err := errors.Join(cl.address(c), validate(cl.req.options()), validate(cl.req.Body)); err != nil {
		return err
	}
	if len(cl.req.Secrets) > 0 || cl.opts.token != "" {
		cl.secrets = cl.secrets.With(append(slices.Clip(cl.req.Secrets), cl.opts.token)...)
	}
	if isNilPointer(cl.req.Lookup) {
		return FieldError{Field: "Request.Lookup", Problem: "must not be a nil pointer"}
	}
	if cl.req.Lookup != nil {
		lookup, err := cl.req.Lookup.bind(cl)
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

// address builds the URL.
func (cl *call) address(c *Client) error {
	if cl.req.URL != "" {
		return cl.foreignAddress()
	}
	if cl.op.AppAuth && c.appAuth == nil {
		return errNoOAuth
	}
	cl.url = *c.base
	if err := cl.op.expand(&cl.url, cl.req.Path); err != nil {
		return err
	}
	if query := cl.req.query(cl.opts.adAccount); len(query) > 0 {
		// A comma needs no escaping, and some servers do not split an array at an
		// escaped one.
		cl.url.RawQuery = strings.ReplaceAll(query.Encode(), "%2C", ",")
	}
	return nil
}

// foreignAddress sets the URL of another host than the API's. The values of its
// query are treated as secrets, because one of them is usually a signature.
func (cl *call) foreignAddress() error {
	u, err := url.Parse(cl.req.URL)
	if err != nil || u.Host == "" || u.User != nil || !isSecure(u) {
		return FieldError{Field: "Request.URL", Problem: "must be an absolute https URL without user and password, or http to a loopback address"}
	}
	if len(cl.req.Path) > 0 || len(cl.req.Query) > 0 || cl.req.options() != nil {
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

func (cl *call) encode() error {
	switch body := cl.req.Body.(type) {
	case nil:
	case url.Values:
		cl.body, cl.contentType = []byte(body.Encode()), contentForm
	case Stream:
		return FieldError{Field: "Request.Body", Problem: "must be a pointer to the Stream: &pinterest.Stream{...}"}
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

// request builds the HTTP request of one attempt, with the whole body.
func (cl *call) request(ctx context.Context, c *Client, authorization []string) *http.Request {
	u := cl.url // a copy, because a transport may change it
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
	if cl.stream != nil {
		req.ContentLength, req.Body = cl.stream.size, cl.stream.again(ctx)
		return req
	}
	// net/http sends a request again by itself, after a reset for instance, if it has
	// no body or a GetBody. A create has a body, if an empty one, and no GetBody, so
	// that it is not sent behind our back.
	if create := cl.op.Kind == KindCreate; create || cl.body != nil {
		req.ContentLength = int64(len(cl.body))
		req.Body = cl.newBody()
		if !create {
			req.GetBody = func() (io.ReadCloser, error) { return cl.newBody(), nil }
		}
	}
	return req
}

func (cl *call) newBody() io.ReadCloser { return io.NopCloser(bytes.NewReader(cl.body)) }

// owner names the create as the owner of its result, if it has a name: the key of a
// CreateOnce, or that of a stored create.
func (cl *call) owner() string {
	if cl.opts.jobKey != "" {
		return keyPrefix + cl.opts.jobKey
	}
	return cl.name
}

// invalid is the error of a call that was not sent because it is wrong.
func (cl *call) invalid(err error) *Error {
	fields, causes := fieldErrors(err)
	e := Error{Operation: cl.op.ID, Call: cl.number, Class: ClassInvalid, Disposition: DispositionFix, Phase: PhaseNotSent, Fields: fields}
	return newError(cl.secrets, e, causes...)
}

// notBegun is the error of a create whose context ended while it waited for its
// turn.
func (cl *call) notBegun(err error) *Error {
	return cl.newError(ClassCanceled, DispositionPark, fmt.Errorf("waiting for equal creates of this client: %w", err))
}

// describe puts the request that would be sent into the caller's DryRun.
func (cl *call) describe(ctx context.Context, c *Client) {
	authorization := []string{"Bearer " + redact.Mark}
	switch {
	case cl.foreign():
		authorization = nil
	case cl.op.AppAuth:
		authorization = []string{"Basic " + redact.Mark}
	}
	req := cl.request(ctx, c, authorization)
	if cl.foreign() && req.URL.RawQuery != "" {
		req.URL.RawQuery = redact.Mark
	}
	d := DryRun{Method: req.Method, URL: cl.secrets.Clean(req.URL.String()), Header: req.Header}
	switch {
	case cl.body == nil:
	case cl.op.AppAuth: // a form of credentials
		d.Body = []byte(cl.secrets.Clean(string(cl.body)))
	default: // what the caller wrote stays, even if it has the shape of a credential
		d.Body = []byte(cl.secrets.CleanKnown(string(cl.body)))
	}
	*cl.opts.dryRun = d
}

// shared returns the options of the create that also apply to the reads of a
// look-up: ad account, token, user and priority.
func (cl *call) shared() []CallOption {
	opts := []CallOption{AtPriority(cl.opts.priority)}
	if cl.opts.adAccount != "" {
		opts = append(opts, AdAccount(cl.opts.adAccount))
	}
	if cl.opts.token != "" {
		opts = append(opts, UsingToken(cl.opts.token))
	}
	if cl.opts.user != nil {
		opts = append(opts, ForUser(*cl.opts.user))
	}
	return opts
}

// sharedWithPolicy returns these and the options for retrying. The reads of a running
// create have the client's policy; a Resolve is nothing but its reads.
func (cl *call) sharedWithPolicy() []CallOption {
	opts := append(cl.shared(), AttemptTimeout(cl.opts.timeout))
	if cl.opts.override != nil {
		opts = append(opts, Retry(*cl.opts.override))
	}
	return opts
}

// respond fills the caller's Response.
func (cl *call) respond(r *run, at *attempt) {
	if cl.opts.response == nil {
		return
	}
	res := Response{
		Call: cl.count(r.c), Status: at.record.Status, RequestID: at.record.RequestID, Attempts: slices.Clone(r.attempts),
		Origin: r.origin, DecodeError: cl.secrets.Hide(at.decodeErr),
	}
	if at.resp != nil {
		res.Header = cl.secrets.CleanHeader(at.resp.Header)
		res.Rate = at.rate
	}
	*cl.opts.response = res
}
