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
	first, second int64 // what they mean depends on the operation
	limits        []limit
	epochs        []float64 // of what was reserved; nil: nothing was
}

// answer is what the script said of the limits, in their order.
type reply struct {
	now     float64
	results []result
}

// about is what it said of one limit.
type result struct {
	a, b float64 // what they mean depends on the operation
	state
}

// state is where a limit stood when Redis was last asked of it. Times are by our
// clock.
type state struct {
	quota        pinterest.Quota
	epoch        float64
	held, ends   time.Time // zero: it is not, and not known
	used, others float64   // in the window that ends then
	doubted      bool      // an answer told of another end
	unsent       bool      // Redis does not know that it is held
}

// ask runs the script. It fails with a *downError when Redis does not answer, and
// at once while it is known not to. What was reserved is lost if the answer is, or
// if the client asks again on a new connection: that costs a permit, and no more.
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
		return nil, l.circuit.lost(err, l)
	}
	a, err := l.read(text, len(q.limits))
	if err != nil {
		return nil, l.circuit.lost(err, l)
	}
	l.circuit.back()
	return a, nil
}

// endedBy returns the error of the caller's own context if it was the reason for
// err, and Redis is not to blame.
func endedBy(ctx, bounded context.Context, err error) error {
	end, _ := bounded.Deadline()
	own, ok := ctx.Deadline()
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case ok && own.Equal(end) && errors.As(err, &timeout) && timeout.Timeout():
		return context.DeadlineExceeded // the socket was a moment ahead of the context
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

// read reads an answer: big-endian doubles.
func (l *Limiter) read(text string, limits int) (*reply, error) {
	const each = 10
	size := 8 * (1 + each*limits)
	if limits > 0 && len(text) != size && len(text) != 8 {
		return nil, fmt.Errorf("the script's answer has %d bytes, and not %d", len(text), size)
	}
	number := func(i int) float64 { return math.Float64frombits(binary.BigEndian.Uint64([]byte(text[8*i : 8*i+8]))) }
	a := &reply{now: number(0)}
	// By our clock: Redis looked at its own some time before this. So we are
	// late rather than early.
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

// downError says that Redis could not be asked.
type downError struct{ err error }

func (e *downError) Error() string { return "redislimit: Redis is away: " + e.err.Error() }
func (e *downError) Unwrap() error { return e.err }

func isDown(err error) bool {
	_, ok := errors.AsType[*downError](err)
	return ok
}
