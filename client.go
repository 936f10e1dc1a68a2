package pinterest

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
)

// Client calls the Pinterest API for one account. It is safe for concurrent
// use.
type Client struct {
	Pins     *PinsService
	Boards   *BoardsService
	Sections *SectionsService
	Account  *AccountService

	*core    // of the app
	*account // of the account

	user atomic.Pointer[PinterestUser] // whom it calls for; nil until that is known
}

// String returns the base URL, without credentials.
func (c *Client) String() string { return "pinterest.Client(" + c.base.String() + ")" }

// Format keeps every verb of fmt from printing more than String does.
func (c *Client) Format(f fmt.State, verb rune) { formatAs(f, verb, c.String()) }

// do is the whole path of a call, in order.
func (c *Client) do(ctx context.Context, cl *call) error {
	if err := cl.prepare(ctx, c); err != nil { // once: nothing invalid is sent
		return c.refuse(ctx, cl, cl.invalid(err))
	}
	if cl.opts.dryRun != nil {
		cl.describe(ctx, c)
		return nil
	}
	if err := c.admit(ctx, cl); err != nil { // once: not when the app is shut down
		return c.refuse(ctx, cl, err)
	}
	return c.carryOut(ctx, cl)
}

// carryOut sends a prepared call, as often as it takes.
func (c *Client) carryOut(ctx context.Context, cl *call) error {
	leave, err := c.registry.enter(ctx, cl) // once: equal creates go one after another
	if err != nil {
		return c.refuse(ctx, cl, cl.notBegun(err))
	}
	defer leave()
	r := c.begin(ctx, cl)
	for {
		at := r.attempt() // each attempt: a record of its own
		at.pace()         // its turn, below the rate limits
		at.authorize()    // a token, refreshed when it is due, and a timeout of its own
		at.send()         // one HTTP exchange
		at.read()         // the body: whole, bounded, drained and closed
		at.decode()       // the caller's value, where the answer is a success
		at.end()          // the time it took
		if !at.failed {
			r.succeed(at)
			return nil
		}
		if again, err := r.act(at); !again { // the table: fail, refresh once, or look up and back off
			return err
		}
	}
}

// Do carries out an operation that this package has no method for: see
// "Operations of your own" in the package documentation. The call takes the same
// path as every other: validation, pacing, token, attempts, the table, look-up,
// decoding. The JSON of the answer is decoded into out, a pointer, which is nil if
// no result is wanted. Every failure is an *[Error].
//
// With a nil out and no [Request].Lookup, the body of a success is not decoded. A
// create then counts as done after every 2xx, even if the body is empty or no JSON.
//
// A result can report that it is incomplete: see [Completer]. Most code uses
// [Call], which allocates the result.
func (c *Client) Do(ctx context.Context, op Operation, req Request, out any, opts ...CallOption) error {
	return c.do(ctx, &call{op: op, req: req, out: out, opts: callOptions{list: opts}})
}

// Call is for authors of operations: it carries out one operation and returns its
// result. The service methods of this package are calls of it, List, All or
// [CreateOnce], and methods in other packages look the same:
//
//	func (s *PinsService) Get(ctx context.Context, id string, opts ...pinterest.CallOption) (*pinterest.Pin, error) {
//		return pinterest.Call[pinterest.Pin](ctx, s.client, pinterest.OpPinsGet, pinterest.Request{Path: []string{id}}, opts...)
//	}
func Call[T any](ctx context.Context, c *Client, op Operation, req Request, opts ...CallOption) (*T, error) {
	out := new(T)
	if err := c.Do(ctx, op, req, out, opts...); err != nil {
		return nil, err
	}
	return out, nil
}

// List is for authors of operations: it returns one page of a list.
func List[T any](ctx context.Context, c *Client, op Operation, req Request, opts ...CallOption) (*Page[T], error) {
	return Call[Page[T]](ctx, c, op, req, opts...)
}

// All is for authors of operations: it iterates over the items of a list and
// fetches each page when the iteration reaches it. It ends after the last page or
// with the first error, which is [ErrEndlessPages] if the pages do not come to an
// end. Each loop over the iterator starts from the beginning.
func All[T any](ctx context.Context, c *Client, op Operation, req Request, opts ...CallOption) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for page, err := range pages[T](ctx, c, op, req, opts) {
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Items {
				if !yield(&page.Items[i], nil) {
					return
				}
			}
		}
	}
}
