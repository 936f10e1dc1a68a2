package pinteresttest

import (
	"net/http"
	"strings"
	"time"
)

// Forever, as [Fault.Times], makes a fault hit every request it applies to.
const Forever = -1

// A Fault is something that goes wrong with a request. Its first fields say
// which requests it hits, the others what happens to them. The zero Fault hits
// the next request and changes nothing about it.
//
// Without AfterCommit a fault strikes before anything else: the request is not
// looked at, so it is not refused either for its token or a value in it. Its
// quota is used up all the same, and a request beyond the quota meets no fault.
type Fault struct {
	Name      string // for the reader of PendingFaults
	Operation string // such as "pins/create"; empty for every operation

	// Match is a further condition, if there is one. The body was read from the
	// request already and is given apart.
	Match func(r *http.Request, body []byte) bool

	Skip   int     // how many of the requests it applies to pass first
	Times  int     // how many it hits then; 0 means one, Forever all
	Chance float64 // with which probability it hits one; 0 means always

	// AfterCommit lets the request take effect first. Requests that do not
	// succeed, for a missing board for instance, are then not hit.
	AfterCommit bool

	// The answer instead of the operation's own, if Status, Code, Message or
	// Body is set. Status alone gives a JSON error of that status; without a
	// Status it is the one of the operation's success. Body goes before the
	// JSON made of Code and Message; one that begins with "<" is sent as HTML.
	Status  int
	Code    int
	Message string
	Body    string

	// Header is added to the answer, the operation's own as well. A name with
	// no values takes that header off it.
	Header http.Header

	Delivery Delivery      // how the answer travels
	Delay    time.Duration // on the server's clock, before it does
}

// On makes the fault hit one operation only, such as "pins/create".
func (f Fault) On(operation string) Fault {
	f.Operation = operation
	return f
}

// AfterTheCommit lets the request take effect before the fault strikes.
func (f Fault) AfterTheCommit() Fault {
	f.AfterCommit = true
	return f
}

// Repeat makes the fault hit n requests, or all with [Forever].
func (f Fault) Repeat(n int) Fault {
	f.Times = n
	return f
}

// After lets n requests pass before the fault hits.
func (f Fault) After(n int) Fault {
	f.Skip = n
	return f
}

// Delayed makes the fault strike only d, on the server's clock, after the
// request has arrived.
func (f Fault) Delayed(d time.Duration) Fault {
	f.Delay = d
	return f
}

// Named gives the fault a name to be recognized by in [Server.PendingFaults].
func (f Fault) Named(name string) Fault {
	f.Name = name
	return f
}

// replaces reports whether the fault has an answer of its own.
func (f *Fault) replaces() bool {
	return f.Status != 0 || f.Code != 0 || f.Message != "" || f.Body != ""
}

// performs reports whether the request takes effect although the fault strikes:
// when the fault needs the operation's own answer, or comes after it.
func (f *Fault) performs() bool {
	return f.AfterCommit || !f.replaces() && f.Delivery.answers()
}

// answer is the fault's own answer. success is the status of the operation's.
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
