package pinterest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pinterest-go/pinterest/internal/redact"
)

// invalid is the error of a call that was not sent because it is wrong.
func (cl *call) invalid(err error) error {
	e := &Error{Operation: cl.op.ID, Class: ClassInvalid, Disposition: DispositionFix, Phase: PhaseNotSent}
	var fields fieldErrors
	var field FieldError
	switch {
	case errors.As(err, &fields):
		e.Fields = fields
	case errors.As(err, &field):
		e.Fields = []FieldError{field}
	default:
		e.causes = []error{err}
	}
	return e
}

// notBegun is the error of a create whose turn did not come before its
// context ended.
func (cl *call) notBegun(err error) error {
	return &Error{
		Operation: cl.op.ID, Class: ClassCanceled, Disposition: DispositionPark, Phase: PhaseNotSent,
		Message: "an equal create of this client is under way", causes: []error{err},
	}
}

// describe puts the request that would be sent into the caller's DryRun.
func (cl *call) describe(ctx context.Context, c *Client) {
	req := cl.request(ctx, c, []string{"Bearer " + redact.Mark})
	*cl.opts.dryRun = DryRun{Method: req.Method, URL: req.URL.String(), Header: req.Header, Body: slices.Clone(cl.body)}
}

// shared returns the options that the reads of a look-up have in common with
// the create: whose account is looked at, and how soon.
func (cl *call) shared() []CallOption {
	opts := []CallOption{AtPriority(cl.opts.priority)}
	if cl.opts.adAccount == "" {
		return opts
	}
	return append(opts, AdAccount(cl.opts.adAccount))
}

// respond fills the caller's Response.
func (cl *call) respond(r *run, at *attempt) {
	if cl.opts.response == nil {
		return
	}
	res := Response{
		Status: at.record.Status, RequestID: at.record.RequestID, Attempts: slices.Clone(r.attempts),
		Adopted: r.adopted, Odd: r.c.secrets.hide(at.odd),
	}
	if at.resp != nil {
		res.Header = at.resp.Header
		res.Rate = at.rate
	}
	*cl.opts.response = res
}

// secrets knows the credentials that a client has used, so that they can be
// taken out of whatever a server or a transport says.
type secrets struct {
	mu     sync.Mutex
	app    []string // the app's own, which stay
	tokens []string // those of the account, which rotate
}

// maxTokens is how many tokens are remembered: an old one in a late error is of
// no use to anyone.
const maxTokens = 16

func (s *secrets) addToken(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if v != "" && !slices.Contains(s.tokens, v) {
			s.tokens = append(s.tokens, v)
		}
	}
	if n := len(s.tokens) - maxTokens; n > 0 {
		s.tokens = slices.Delete(s.tokens, 0, n)
	}
}

// clean returns text without credentials.
func (s *secrets) clean(text string) string {
	if text == "" {
		return ""
	}
	s.mu.Lock()
	values := slices.Concat(s.app, s.tokens)
	s.mu.Unlock()
	return redact.String(text, values...)
}

// cleanBody cleans a body. A credential that a cut went through is no longer
// found whole, so what may be its beginning goes, too.
func (s *secrets) cleanBody(body []byte, cut bool) string {
	if len(body) > errorBodyLimit {
		body, cut = body[:errorBodyLimit], true
	}
	text := s.clean(string(body))
	if !cut {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range slices.Concat(s.app, s.tokens) {
		for n := len(secret) - 1; n > 0; n-- {
			if rest, ok := strings.CutSuffix(text, secret[:n]); ok {
				text = rest
				break
			}
		}
	}
	return text
}

// cleanID is clean for a request id. The API's are digits, which need none.
func (s *secrets) cleanID(id string) string {
	if strings.Trim(id, "0123456789") == "" {
		return id
	}
	return s.clean(id)
}

// hide returns an error with err's text, less the credentials in it. Errors
// that others made may hold more than they say, so err itself is kept where
// printing does not find it, and can be unwrapped only when its text is clean.
func (s *secrets) hide(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	clean := s.clean(text)
	return hiddenError{
		text:   clean,
		is:     func(target error) bool { return errors.Is(err, target) },
		unwrap: func() error { return err },
		shown:  clean == text,
	}
}

// hiddenError is an error that prints nothing but its text.
type hiddenError struct {
	text   string
	is     func(target error) bool
	unwrap func() error
	shown  bool
}

func (e hiddenError) Error() string        { return e.text }
func (e hiddenError) GoString() string     { return strconv.Quote(e.text) }
func (e hiddenError) Is(target error) bool { return e.is(target) }

func (e hiddenError) Unwrap() error {
	if !e.shown {
		return nil
	}
	return e.unwrap()
}
