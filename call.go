package pinterest

import (
	"context"
	"errors"
	"slices"
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
func (cl *call) describe(ctx context.Context) {
	req := cl.request(ctx, redact.Mark)
	if cl.basic != nil {
		req.Header.Set("Authorization", "Basic "+redact.Mark)
	}
	*cl.opts.dryRun = DryRun{Method: req.Method, URL: req.URL.String(), Header: req.Header, Body: slices.Clone(cl.body)}
}

// shared returns the options that the reads of a look-up have in common with
// the create: whose account is looked at.
func (cl *call) shared() []CallOption {
	if cl.opts.adAccount == "" {
		return nil
	}
	return []CallOption{AdAccount(cl.opts.adAccount)}
}

// respond fills the caller's Response.
func (cl *call) respond(r *run, at *attempt) {
	if cl.opts.response == nil {
		return
	}
	res := Response{
		Status: at.record.Status, RequestID: at.record.RequestID, Attempts: slices.Clone(r.attempts),
		Adopted: r.adopted, Odd: at.odd,
	}
	if at.resp != nil {
		res.Header = at.resp.Header
		res.Rate, _ = parseRateLimit(at.resp.Header)
	}
	*cl.opts.response = res
}

// secrets knows the credentials that a client has used, so that they can be
// taken out of whatever a server or a transport says.
type secrets struct {
	mu     sync.Mutex
	values []string
}

// maxSecrets is how many are remembered: tokens rotate, and an old one in a
// late error is of no use to anyone.
const maxSecrets = 16

func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if v != "" && !slices.Contains(s.values, v) {
			s.values = append(s.values, v)
		}
	}
	if n := len(s.values) - maxSecrets; n > 0 {
		s.values = slices.Delete(s.values, 0, n)
	}
}

// clean returns text without credentials.
func (s *secrets) clean(text string) string {
	if text == "" {
		return ""
	}
	s.mu.Lock()
	values := slices.Clone(s.values)
	s.mu.Unlock()
	return redact.String(text, values...)
}

// hide returns err, or an error that prints without the credentials in its text.
func (s *secrets) hide(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := s.clean(text); clean != text {
		return hiddenError{clean, err}
	}
	return err
}

// hiddenError answers errors.Is for the error it hides, and shows only its
// cleaned text: unwrapping it would print what was taken out.
type hiddenError struct {
	text   string
	hidden error
}

func (e hiddenError) Error() string        { return e.text }
func (e hiddenError) Is(target error) bool { return errors.Is(e.hidden, target) }
func (e hiddenError) GoString() string     { return e.text }
