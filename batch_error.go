package pinterest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pinterest-go/pinterest/internal/errbody"
)

// itemError classifies the failure of one item by the same table as a whole
// answer. Nothing is sent again for it: its caller decides. A failure that is nil
// is an item of which the answer says nothing, and one of no bytes is an item whose
// value is incomplete. For a create that is not enough to call it a success.
func (at *attempt) itemError(failure json.RawMessage) *Error {
	r := at.run
	create := r.cl.op.Kind == KindCreate
	if len(failure) == 0 && !create {
		return nil
	}
	item := attempt{run: r, resp: at.resp, failed: true}
	item.record.RequestID = at.record.RequestID
	item.failure.Operation = r.cl.op
	if len(failure) == 0 {
		item.failure.Phase, item.failure.Reason = PhaseUnanswered, ReasonGarbled
		item.err = errors.New("the answer says nothing of this item")
		if failure != nil {
			item.err = errors.New("the answer lacks the result of this item, or its id")
		}
	} else {
		item.readFailure(failure)
	}
	rule := r.c.table.classify(&item.failure)
	wait := r.parkTime(&item, rule)
	if rule.Action == ActionBackOff {
		// Asked of a run of its own, so that the wait does not grow from item to item.
		delay, _ := (&run{c: r.c, cl: r.cl}).delay(&item, rule)
		wait = max(wait, delay)
	}
	e := r.newError(&item, rule, wait)
	if create && rule.Ambiguous {
		e.Disposition, e.RetryAt = DispositionUncertain, time.Time{}
	}
	e.Status, e.Body = at.resp.StatusCode, Body(r.cl.secrets.CleanBody(failure, errorBodyLimit, false))
	return e
}

// readFailure reads what an answer says of an item that failed.
func (at *attempt) readFailure(failure json.RawMessage) {
	at.body = parseItemFailure(failure)
	setDefault(&at.body.Message, at.body.CodeName)
	setDefault(&at.body.Message, "the answer does not say why")
	at.failure.Phase, at.failure.Status, at.failure.Code = PhaseAnswered, statusCode(failure), at.body.Code
	setDefault(&at.failure.Status, statusOfCode(at.body.Code))
	if at.failure.Status == http.StatusUnauthorized && at.failure.Code != 3 && at.failure.Code != 7 && at.failure.Code != 29 {
		at.failure.Status = http.StatusForbidden // it is not the token: the answer as a whole was a success
	}
	at.failure.Message = strings.TrimSpace(at.body.Message + " " + at.body.Detail)
}

// parseItemFailure reads a failure. Its own code and message count first. Where it
// lacks them, they come from the lists and objects of failures inside it.
func parseItemFailure(failure json.RawMessage) errbody.Body {
	body := parseFailures(failure)
	members := jsonObject(failure)
	for _, name := range itemFailures {
		if !says(members[name]) {
			continue
		}
		inner := parseFailures(members[name])
		setDefault(&body.Code, inner.Code)
		setDefault(&body.Message, inner.Message)
		if len(inner.Fields) > 0 { // read with the names that batch answers have
			body.Fields = inner.Fields
		}
	}
	return body
}

// parseFailures reads an object, a list of them of which the first decides, or
// words.
func parseFailures(failure json.RawMessage) errbody.Body {
	list := jsonList(failure)
	if list == nil {
		list = []json.RawMessage{failure}
	}
	var body errbody.Body
	var words []string
	for i, one := range list {
		part := parseOneFailure(one)
		if i == 0 {
			body, body.Fields = part, nil
		}
		body.Fields = append(body.Fields, part.Fields...)
		if part.Message != "" && !slices.Contains(words, part.Message) {
			words = append(words, part.Message)
		}
	}
	body.Message = strings.Join(words, "; ")
	return body
}

// The names that batch answers have for what other errors call by another name.
var failureNames = []struct{ theirs, ours string }{
	{"error_code", "code"}, {"error_type", "code"}, {"error_message", "message"},
}

func parseOneFailure(failure json.RawMessage) errbody.Body {
	var words string
	if json.Unmarshal(failure, &words) == nil {
		return errbody.Body{Message: words}
	}
	members := jsonObject(failure)
	for _, name := range failureNames {
		if value, ok := members[name.theirs]; ok && !says(members[name.ours]) {
			members[name.ours] = value
		}
	}
	data, _ := json.Marshal(members) //nolint:errchkjson // it was read from JSON
	body := errbody.Parse(data)
	for _, name := range []string{"messages", "error_messages"} {
		var list []string
		if json.Unmarshal(members[name], &list) == nil {
			setDefault(&body.Message, strings.Join(list, "; "))
		}
	}
	var attribute string
	if json.Unmarshal(members["attribute"], &attribute) == nil && attribute != "" {
		body.Fields = append(body.Fields, errbody.Field{Name: attribute, Problem: body.Message})
	}
	return body
}

// statusOfCode returns the HTTP status that an inner code comes with, since an
// item has none of its own.
func statusOfCode(code int) int {
	switch code {
	case 2, 3, 7:
		return http.StatusUnauthorized
	case 29:
		return http.StatusForbidden
	case 30, 40, 50, 2031, 4180, 4842, 4997:
		return http.StatusNotFound
	case 5:
		return http.StatusMethodNotAllowed
	case 58:
		return http.StatusConflict
	case 8, 9:
		return http.StatusTooManyRequests
	}
	if code >= 400 && code <= 599 { // a status in the place of a code
		return code
	}
	return http.StatusBadRequest
}
