package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/pinterest-go/pinterest"
)

// advice turns the disposition of an error into what a person can do.
func advice(o outcome, now time.Time) []string {
	var e *pinterest.Error
	if o.err == nil || !errors.As(o.err, &e) {
		if o.kind == kindUncertain {
			return uncertain(o)
		}
		return []string{"To do: see to that, and run the same command again: it looks on the board before it sends."}
	}
	if o.kind == kindNotDone {
		return []string{"To do: run the same command again: it sends only what is missing."}
	}
	switch e.Disposition {
	case pinterest.DispositionFix:
		return withRequest(fix(e), e)
	case pinterest.DispositionReauthorize:
		return []string{"To do: the account is disconnected. Get a new access token, set PINTEREST_ACCESS_TOKEN to it, and run the same command again."}
	case pinterest.DispositionPark:
		return []string{park(e, now)}
	case pinterest.DispositionUncertain:
		return uncertain(o)
	case pinterest.DispositionReview, pinterest.DispositionNone:
	}
	return withRequest([]string{"To do: this needs a person who knows the account. Trying again does not help by itself."}, e)
}

// fix says what is wrong with the pin, the app or the token.
func fix(e *pinterest.Error) []string {
	if len(e.Fields) > 0 {
		var list []string
		for _, f := range e.Fields {
			list = append(list, "To do: change the row: "+ownNames(f.Error())+".")
		}
		return list
	}
	switch e.Class {
	case pinterest.ClassTrialAccess:
		return []string{"To do: an app with trial access may publish in the sandbox only: use -sandbox, with a sandbox token and a board made there."}
	case pinterest.ClassMissingScope:
		scope := "boards:read, pins:read and pins:write"
		if e.RequiredScope != "" {
			scope = e.RequiredScope
		}
		return []string{"To do: make an access token with the scope " + scope + "."}
	case pinterest.ClassBlockedLink:
		return []string{"To do: change link: Pinterest does not accept this one. A shortened link is the usual cause."}
	case pinterest.ClassNotFound:
		return []string{"To do: check -board and board_section_id: one of them is not there, or not this account's."}
	case pinterest.ClassTooLarge:
		return []string{"To do: make the row smaller."}
	default:
		return []string{"To do: change what Pinterest complains of, and run the same command again."}
	}
}

// park says when trying again makes sense.
func park(e *pinterest.Error, now time.Time) string {
	when := "later"
	if wait := e.RetryAt.Sub(now); !e.RetryAt.IsZero() && wait > 0 {
		layout := "15:04:05"
		if wait > 12*time.Hour {
			layout = "2 January 15:04"
		}
		when = fmt.Sprintf("after %s (in %s)", e.RetryAt.In(now.Location()).Format(layout), seconds(wait))
	}
	text := "To do: run the same command again " + when + "."
	switch e.Class {
	case pinterest.ClassMediaUnreachable:
		return text + " Until then see that image_url can be opened without signing in, as a JPEG or PNG."
	case pinterest.ClassBlocked:
		return text + " Pinterest takes the account's pins for spam: slow down."
	default:
		return text
	}
}

// uncertain says how to find out.
func uncertain(o outcome) []string {
	return []string{fmt.Sprintf("To do: the pin may be on the board. Run the same command again: it looks there first, and sends "+
		"the pin only when it is shown to be absent. By hand: look on board %s for a new pin %q.", o.row.pin.BoardID, o.row.name())}
}

// withRequest adds the id that Pinterest's support asks for.
func withRequest(list []string, e *pinterest.Error) []string {
	if e.RequestID != "" {
		list = append(list, "Request id, for Pinterest's support: "+e.RequestID)
	}
	return list
}
