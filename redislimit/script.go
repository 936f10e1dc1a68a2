package redislimit

import (
	"context"
	_ "embed" // the script
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pinterest-go/pinterest"
)

//go:embed bucket.lua
var source string

var script = redis.NewScript(source)

// request is one run of the script.
type request struct {
	operation     string
	cost          int
	first, second int64 // their meaning depends on the operation
	limits        []limit
	epochs        []float64 // of the reservation; nil: there is none
}

// reply is what the script returned for the limits, in their order.
type reply struct {
	now     float64
	results []result
}

// result is what it returned for one limit.
type result struct {
	a, b float64 // their meaning depends on the operation
	state
}

// state is where a limit stood when Redis was last asked about it. Times are on
// the limiter's clock.
type state struct {
	quota        pinterest.Quota
	epoch        float64
	held, ends   time.Time // zero: it is not held; the end is not known
	used, others float64   // in the window that ends then
	doubted      bool      // an answer named another end
	unsent       bool      // the hold could not be sent to Redis
}

// run runs the script. It fails with a *downError when Redis does not answer, and
// at once while the circuit is open. If the reply is lost, or if the client sends
// the request again on a new connection, the reservation is lost as well: that
// costs one permit and no more.
func (l *Limiter) run(ctx context.Context, q request) (*reply, error) {
	began := l.clock.Now()
	if err := l.circuit.admit(began); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	text, err := script.Run(bounded, l.client, q.keys(), q.args(l, began)...).Text()
	cancel()
	if err != nil {
		if own := endedBy(ctx, bounded, err); own != nil {
			return nil, own
		}
		return nil, l.circuit.failed(err, l)
	}
	a, err := l.read(text, len(q.limits))
	if err != nil {
		return nil, l.circuit.failed(err, l)
	}
	l.circuit.succeeded()
	return a, nil
}

// endedBy returns the error of the caller's own context if that was the reason for
// err, so that Redis is not blamed for it.
func endedBy(ctx, bounded context.Context, err error) error {
	end, _ := bounded.Deadline()
	own, ok := ctx.Deadline()
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ok && own.Equal(end) && errors.As(err, &timeout) && timeout.Timeout():
		return context.DeadlineExceeded // the socket's deadline came a moment before the context's
	}
	return nil
}

func (q *request) keys() []string {
	keys := make([]string, len(q.limits))
	for i := range q.limits {
		keys[i] = q.limits[i].key
	}
	return keys
}

func (q *request) args(l *Limiter, now time.Time) []any {
	args := make([]any, 0, 5+3*len(q.limits))
	args = append(args, q.operation, "", q.cost, q.first, q.second)
	if l.ours {
		args[1] = now.UnixMicro()
	}
	for i := range q.limits {
		quota, epoch := &q.limits[i].first, ""
		if q.operation == observe {
			quota = &q.limits[i].quota
		}
		if q.epochs != nil {
			epoch = strconv.FormatFloat(q.epochs[i], 'f', 0, 64)
		}
		args = append(args, quota.Limit, int64(quota.Window/time.Second), epoch)
	}
	return args
}

// read reads a reply, which is big-endian doubles.
func (l *Limiter) read(text string, limits int) (*reply, error) {
	const each = 10
	size := 8 * (1 + each*limits)
	if limits > 0 && len(text) != size && len(text) != 8 {
		return nil, fmt.Errorf("the script's reply has %d bytes, want %d", len(text), size)
	}
	number := func(i int) float64 { return math.Float64frombits(binary.BigEndian.Uint64([]byte(text[8*i : 8*i+8]))) }
	a := &reply{now: number(0)}
	// On the limiter's clock. Redis read its own a moment earlier, so the times are
	// a little late rather than early.
	now := l.clock.Now()
	at := func(i int) (t time.Time) {
		if n := number(i); n > a.now {
			t = now.Add(time.Duration(n-a.now) * time.Microsecond)
		}
		return t
	}
	for i := 1; 8*i < len(text); i += each {
		a.results = append(a.results, result{number(i), number(i + 1), state{
			quota: pinterest.Quota{Limit: int(number(i + 2)), Window: time.Duration(number(i+3)) * time.Second},
			epoch: number(i + 4), held: at(i + 5), ends: at(i + 6),
			used: number(i + 7), others: number(i + 8), doubted: number(i+9) > 0,
		}})
	}
	return a, nil
}

// The operations of the script.
const (
	reserve = "reserve"
	confirm = "confirm"
	give    = "give"
	observe = "observe"
	hold    = "hold"
	usage   = "usage"
)

// downError says that Redis does not answer.
type downError struct{ err error }

func (e *downError) Error() string { return "redislimit: Redis is away: " + e.err.Error() }
func (e *downError) Unwrap() error { return e.err }

func isDown(err error) bool {
	_, ok := errors.AsType[*downError](err)
	return ok
}
