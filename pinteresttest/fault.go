package pinteresttest

import (
	"net/http"
	"strings"
	"time"
)

// Forever, as [Fault.Times], applies a fault to every request that it matches.
const Forever = -1

// A Fault is something that goes wrong with a request. Its first fields select the
// requests, the others say what happens to them. The zero Fault applies to the
// next request and changes nothing about it.
//
// Without AfterCommit a fault applies before anything else: the request is not
// checked, so it is not refused for its token or for an invalid value. It still
// counts against the quotas, and a request that exceeds a quota is refused without
// a fault.
type Fault struct {
	Name      string // to recognize it in PendingFaults
	Operation string // its id in the API description, such as "pins/create"; empty for every operation

	// Match is a further condition, if not nil. The request's body has already been
	// read and is passed as body.
	Match func(r *http.Request, body []byte) bool

	Skip   int     // how many matching requests pass first
	Times  int     // how many it applies to then; 0 means one, Forever all
	Chance float64 // the probability that it applies to a request; 0 means always

	// AfterCommit lets the request take effect first. The fault then does not apply
	// to requests that fail, for example because the board does not exist.
	AfterCommit bool

	// These replace the operation's answer, if any of them is set. Status alone
	// gives a JSON error of that status. Without a Status it is that of the
	// operation's success. Body takes precedence over the JSON made of Code and
	// Message. A Body that begins with "<" is sent as HTML.
	Status  int
	Code    int
	Message string
	Body    string

	// Header is added to the answer, replaced or not. A name with no values removes
	// that header.
	Header http.Header

	Delivery Delivery      // how the answer is sent
	Delay    time.Duration // before that, on the server's clock
}

// On limits the fault to one operation. It takes the id of the official API
// description, such as "pins/create" or "boards/list_pins".
func (f Fault) On(operation string) Fault {
	f.Operation = operation
	return f
}

// AfterTheCommit lets the request take effect before the fault applies.
func (f Fault) AfterTheCommit() Fault {
	f.AfterCommit = true
	return f
}

// Repeat applies the fault to n requests, or to all with [Forever].
func (f Fault) Repeat(n int) Fault {
	f.Times = n
	return f
}

// After lets n matching requests pass before the fault applies.
func (f Fault) After(n int) Fault {
	f.Skip = n
	return f
}

// Delayed delays the fault until d after the request's arrival, on the server's
// clock.
func (f Fault) Delayed(d time.Duration) Fault {
	f.Delay = d
	return f
}

// Named gives the fault a name, by which it is recognized in [Server.PendingFaults].
func (f Fault) Named(name string) Fault {
	f.Name = name
	return f
}

// replaces reports whether the fault replaces the operation's answer.
func (f *Fault) replaces() bool {
	return f.Status != 0 || f.Code != 0 || f.Message != "" || f.Body != ""
}

// performs reports whether the request takes effect although the fault applies:
// when the fault needs the operation's answer, or applies after it.
func (f *Fault) performs() bool {
	return f.AfterCommit || !f.replaces() && f.Delivery.answers()
}

// answer returns the fault's answer. success is the status of the operation's
// success.
func (f *Fault) answer(success int) answer {
	a := answer{status: f.Status, code: f.Code, header: http.Header{}}
	if a.status == 0 {
		a.status = success
	}
	if a.code == 0 && f.Body == "" && a.status >= http.StatusBadRequest {
		a.code = a.status // as the placeholders of the API description do
	}
	switch {
	case f.Body != "":
		a.body = []byte(f.Body)
	case a.code != 0 || f.Message != "":
		message := f.Message
		if message == "" {
			message = http.StatusText(a.status)
		}
		a.body = mustMarshal(errorJSON{a.code, message})
	}
	if strings.HasPrefix(f.Body, "<") {
		a.header.Set("Content-Type", "text/html; charset=utf-8")
	}
	return a
}
