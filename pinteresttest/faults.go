package pinteresttest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ServerError is an error answer of the API with any status, such as 500 or 403. A
// 401 is better provoked by [Server.ExpireToken], after which a refresh works, or by
// [Server.RevokeAccount], after which it does not.
func ServerError(status int) Fault { return Fault{Status: status} }

// HTMLError is an answer of a gateway in front of the API: a status with an HTML page.
func HTMLError(status int) Fault {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return Fault{
		Status: status,
		Body:   "<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>",
	}
}

// Throttled is a 429 with code 8. Its Retry-After header is retryAfter, rounded up
// to whole seconds. If retryAfter is zero there is no such header.
func Throttled(retryAfter time.Duration) Fault {
	f := Fault{Status: http.StatusTooManyRequests, Code: 8, Message: errThrottled.message}
	if retryAfter > 0 {
		seconds := int64((retryAfter + time.Second - 1) / time.Second)
		f.Header = http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}}
	}
	return f
}

// SpamBlock is the 429 with code 9 for an account that is blocked from creating pins.
func SpamBlock() Fault {
	return Fault{
		Status: http.StatusTooManyRequests, Code: 9,
		Message: "Sorry! You've hit a block (Pins) we have in place to combat spam.",
	}
}

// BlockedLink is the 429 with code 9 for a link that may not be pinned.
func BlockedLink() Fault {
	return Fault{
		Status: http.StatusTooManyRequests, Code: 9,
		Message: "Sorry! We blocked this link because it may lead to spam.",
	}
}

// SomethingWentWrong is the 400 with code 2787 of a failure in the API itself,
// after which a pin may or may not exist.
func SomethingWentWrong() Fault {
	return Fault{Status: http.StatusBadRequest, Code: 2787, Message: "Sorry! Something went wrong on our end."}
}

// CouldNotFetchImage is the 400 for an image that the API could not load.
func CouldNotFetchImage() Fault {
	return Fault{Status: http.StatusBadRequest, Code: 1, Message: "Sorry we could not fetch the image."}
}

// NoExclusiveAccess is the 409 for a board that another write is changing.
func NoExclusiveAccess() Fault {
	return Fault{
		Status: http.StatusConflict, Code: http.StatusConflict,
		Message: "Could not get exclusive access to the board to create a new section.",
	}
}

// ConnectionReset ends the connection with a TCP reset instead of an answer.
func ConnectionReset() Fault { return Fault{Delivery: Reset} }

// NoAnswer closes the connection instead of answering.
func NoAnswer() Fault { return Fault{Delivery: Close} }

// Truncated sends half of the operation's answer and closes the connection. The
// request took effect.
func Truncated() Fault { return Fault{Delivery: Truncate} }

// Garbled answers with half of the operation's JSON in a complete answer. The
// request took effect.
func Garbled() Fault { return Fault{Delivery: Garble} }

// Hanging never answers, however long the client waits.
func Hanging() Fault { return Fault{Delivery: Hang} }

// Slow performs and answers the request d after its arrival, on the server's clock,
// and not at all if the client has canceled by then. With AfterTheCommit the
// request is performed at once and only the answer is late.
func Slow(d time.Duration) Fault { return Fault{Delay: d} }
