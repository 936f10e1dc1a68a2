package pinteresttest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A call is a request that the server is processing.
type call struct {
	request *Request // its entry in the request log
	op      *operation
	params  map[string]string // of the path
	query   url.Values
	account string    // user name
	now     time.Time // when it is performed
	refusal error     // why it is refused, whatever its content
	usage   usage     // of its quotas
}

// serve lists what happens to every request, in order.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if isAuthorizePage(r.URL.Path) {
		s.servePage(w, r)
		return
	}
	c, err := s.receive(r)
	if err != nil {
		breakOff(w, io.EOF, nil) // the client closed the connection within the body
		return
	}
	o := s.respond(r, c)
	s.decorate(w.Header(), c, o)
	s.requestLog.finish(c.request, o)
	o.answer.send(w, r, o.delivery)
}

// An outcome is the result of a request.
type outcome struct {
	answer    answer
	delivery  Delivery
	committed bool
	fault     *Fault // the one applied; nil for none
}

// respond performs a request, unless a fault prevents it. A fault with AfterCommit
// applies only to a request that succeeds.
func (s *Server) respond(r *http.Request, c *call) outcome {
	if c.usage.exceeded {
		return s.perform(c)
	}
	fault, giveBack := s.script.pick(r, c.request)
	if fault == nil {
		return s.perform(c)
	}

	if !fault.AfterCommit && s.clock.wait(r.Context(), fault.Delay) != nil {
		return outcome{delivery: Close, fault: fault} // the client has canceled
	}
	var o outcome
	if fault.performs() {
		o = s.perform(c)
	}
	if fault.AfterCommit {
		if o.answer.status >= http.StatusBadRequest {
			giveBack()
			return o
		}
		if s.clock.wait(r.Context(), fault.Delay) != nil {
			return outcome{delivery: Close, fault: fault, committed: o.committed}
		}
	}
	o.delivery, o.fault = fault.Delivery, fault
	if fault.replaces() {
		o.answer = fault.answer(c.success())
	}
	return o
}

// largestBody is larger than the largest image in base64.
const largestBody = 64 << 20

// receive reads a request, finds its operation and its account, adds it to the
// request log and counts it against the quotas.
func (s *Server) receive(r *http.Request) (*call, error) {
	var body []byte
	var err error
	if r.ContentLength <= largestBody { // otherwise it is refused unread
		body, err = io.ReadAll(io.LimitReader(r.Body, largestBody+1))
		r.Body = http.NoBody
	}

	c := &call{query: r.URL.Query(), now: s.clock.Now()}
	c.op, c.params, c.refusal = s.route(r.Method, r.URL)
	if max(r.ContentLength, int64(len(body))) > largestBody {
		c.refusal = errTooLarge
	}
	c.account = s.tokens.known(bearer(r.Header)).account
	operation, category, kind := "", "", ""
	if c.op != nil {
		operation, category = c.op.id, c.op.category
	}
	if operation == opToken || operation == opRevoke {
		c.account, kind = s.tokenOwner(operation, body)
	}
	c.request = &Request{
		Operation: operation,
		Method:    r.Method,
		Path:      r.URL.EscapedPath(),
		Query:     c.query,
		Header:    r.Header,
		Body:      body,
		Account:   c.account,
		Grant:     kind,
		At:        c.now,
	}
	s.requestLog.add(c.request)
	if kind == "refresh_token" {
		form, _ := url.ParseQuery(string(body))
		s.noteReuse(c.request, s.tokens.known(form.Get("refresh_token")))
	}
	c.usage = s.quotas.take(category, c.account, c.now)
	if c.usage.exceeded {
		c.refusal = errThrottled
		s.requestLog.throttled(c.request)
	}
	return c, err
}

func bearer(h http.Header) string {
	_, token, _ := strings.Cut(h.Get("Authorization"), " ")
	return strings.TrimSpace(token)
}

// perform executes the request and builds its answer.
func (s *Server) perform(c *call) outcome {
	c.now = s.clock.Now()
	value, err := s.execute(c)
	a := answer{status: c.success(), header: http.Header{}}
	if err != nil {
		r := reject(http.StatusInternalServerError, 500, err.Error())
		errors.As(err, &r)
		a.status, a.code, value = r.status, r.code, r.body
		if value == nil {
			value = errorJSON{r.code, r.message}
		}
	}
	if value != nil {
		a.body = mustMarshal(value)
	}
	write := err == nil && c.request.Method != http.MethodGet
	return outcome{answer: a, committed: write}
}

// success returns the status of the operation's success.
func (c *call) success() int {
	if c.op == nil {
		return http.StatusOK
	}
	return c.op.status
}

// decorate sets the headers that every answer has.
func (s *Server) decorate(h http.Header, c *call, o outcome) {
	h.Set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
	h.Set("X-Pinterest-Rid", c.request.ID)
	h.Set("X-Pinterest-Rid-128bit", hex128(c.request.ID))
	h.Set("Pinterest-Version", "7c1e9a4")
	h.Set("Pinterest-Generated-By", "tpp-api-prod-fake")
	h.Set("X-Envoy-Upstream-Service-Time", "12")
	h.Set("X-Cdn", "fastly")
	c.usage.header(h, s.rateHeaders, c.request.number)
	if c.usage.exceeded {
		h.Set("X-Envoy-Ratelimited", "true")
		if s.retryAfter {
			h.Set("Retry-After", strconv.FormatInt(c.usage.reset, 10))
		}
	}
	if len(o.answer.body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	override(h, o.answer.header)
	if o.fault != nil {
		override(h, o.fault.Header)
	}
}

// override replaces headers with others. A header without values is removed.
func override(h, with http.Header) {
	for name, values := range with {
		h.Del(name)
		for _, v := range values {
			h.Add(name, v)
		}
	}
}

// mustMarshal encodes JSON. The answers are plain structs, which cannot fail.
func mustMarshal(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return raw
}
