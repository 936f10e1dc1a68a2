// Package apiclock learns how far the API's clock is from ours.
package apiclock

import (
	"net/http"
	"sync"
	"time"
)

// maxAge is how long what was learned from a quick answer is preferred to what
// slower ones say: clocks drift and are set.
const maxAge = 10 * time.Minute

// Offset is how far the API's clock is from ours, as the Date headers of its
// answers tell. The zero value knows nothing yet. It is safe for concurrent use.
type Offset struct {
	mu     sync.Mutex
	known  bool
	lower  time.Duration // the API's time minus ours is at least this
	spread time.Duration // how long the exchange took that it was learned from
	at     time.Time
}

// Observe learns from the headers of one answer, sent and received at these
// times by our clock. Between two answers the quicker one says more; an old one
// is replaced. A Date that is missing or cannot be read teaches nothing.
func (o *Offset) Observe(h http.Header, sent, received time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	spread := received.Sub(sent)
	if o.known && spread >= o.spread && received.Sub(o.at) < maxAge {
		return
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	o.known, o.lower, o.spread, o.at = true, date.Sub(received), spread, received
}

// Known reports whether anything was learned.
func (o *Offset) Known() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known
}

// Offset returns what to add to our time for the API's, never too much; 0
// while nothing is known.
func (o *Offset) Offset() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lower
}
