package pinterest

import (
	"context"
	"iter"
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
}

// String names the client by its base URL; it prints no credentials.
func (c *Client) String() string { return "pinterest.Client(" + c.base.String() + ")" }

// GoString keeps %#v from printing more than String does.
func (c *Client) GoString() string { return c.String() }

// do is the path of a call, whole and in order.
func (c *Client) do(ctx context.Context, cl *call) error {
	if err := cl.prepare(ctx, c); err != nil { // once: nothing invalid is sent
		return c.refuse(ctx, cl, cl.invalid(err))
	}
	if cl.opts.dryRun != nil {
		cl.describe(ctx, c)
		return nil
	}
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

// Do carries one operation along the whole path of a call: validation, pacing,
// token, attempts, the table, look-up, decoding. The answer's JSON goes into
// out, a pointer, which may be nil where no result is wanted. Every failure is
// an *[Error].
//
// A result can say that it is not complete: see [Completer]. Most code calls
// [Call], which makes the result.
func (c *Client) Do(ctx context.Context, op Operation, req Request, out any, opts ...CallOption) error {
	return c.do(ctx, &call{op: op, req: req, out: out, opts: callOptions{list: opts}})
}

// Call carries out one operation and returns its result. It is what the service
// methods of this package are made of, and those of any other:
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

// List returns one page of a list.
func List[T any](ctx context.Context, c *Client, op Operation, req Request, opts ...CallOption) (*Page[T], error) {
	return Call[Page[T]](ctx, c, op, req, opts...)
}

// All iterates over the items of a list, asking for each page when it is
// reached, with the last page's bookmark as its query parameter "bookmark". It
// ends after the last page, or with the first error; pages that do not come to an
// end (10,000, or 20 empty ones in a row, or equal ones) are [ErrEndlessPages].
// Each run over the iterator begins anew.
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
