package pinterest

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Result is what became of one create of [CreateAll].
type Result[T any] struct {
	// Value is what was made; nil if Err says that nothing was, or that nobody can tell.
	// It has both if a [CreateOnce] succeeded and the ledger could not record it.
	Value    *T
	Err      error // as Create or CreateOnce returns it
	Response Response
}

// defaultConcurrency is how many creates of a batch are carried out at a time.
const defaultConcurrency = 8

// Concurrency limits how many creates of a [CreateAll] are carried out at a time.
// The default is 8. Other calls refuse it.
func Concurrency(n int) CallOption { return func(o *callOptions) { o.concurrency = &n } }

// CreateAll is for authors of operations: it carries out n creates, a limited number
// at a time ([Concurrency]), and returns what became of each, in their order.
// [PinsService.CreateAll] is the method for pins. create makes the one of this index,
// from 0, and passes on the options, which are opts and one for the Response of the
// result. ResponseTo, RawTo and DryRunTo are for one call and are refused.
//
// One that fails does not stop the others. When the context has ended, the rest is
// not sent: each has an error that says so.
func CreateAll[T any](ctx context.Context, n int, create func(ctx context.Context, i int, opts ...CallOption) (*T, error), opts ...CallOption) []Result[T] {
	results := make([]Result[T], n)
	concurrency, err := batchOptions(opts)
	var (
		next     atomic.Int64 // the index of the next create, plus 1
		workers  sync.WaitGroup
		once     sync.Once
		panicked any
	)
	for range min(concurrency, n) {
		workers.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					once.Do(func() { panicked = v })
				}
			}()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				r := &results[i]
				item := func(o *callOptions) { o.response, o.concurrency, o.refused = &r.Response, nil, err }
				r.Value, r.Err = create(ctx, i, append(slices.Clip(opts), item)...)
			}
		})
	}
	workers.Wait()
	if panicked != nil {
		panic(panicked) // of an observer, say: it belongs to the caller's goroutine
	}
	return results
}

// batchOptions returns how many creates are carried out at a time, and what is wrong
// with the options.
func batchOptions(opts []CallOption) (concurrency int, err error) {
	var o callOptions
	for _, opt := range opts {
		if opt != nil { // each call refuses it
			opt(&o)
		}
	}
	var c Check
	for _, single := range []struct {
		option string
		used   bool
	}{{"ResponseTo", o.response != nil}, {"RawTo", o.raw != nil}, {"DryRunTo", o.dryRun != nil}} {
		if single.used {
			c.Add(single.option, "", "is for one call, and cannot be used with CreateAll: each result has its Response")
		}
	}
	concurrency = defaultConcurrency
	if o.concurrency != nil {
		if concurrency = *o.concurrency; concurrency < 1 {
			c.Add("Concurrency", strconv.Itoa(concurrency), "must be at least 1")
		}
	}
	return max(1, concurrency), c.Err()
}
