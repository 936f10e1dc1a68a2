package pinterest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
)

// CreateOnce is for authors of operations: it carries out a create at most once for
// a key of the caller's, such as the id of a job, across repeated calls and
// crashes. [PinsService.CreateOnce] is the method for pins. CreateOnce needs a
// [Ledger] ([WithLedger]): it records the intent there before it sends anything,
// and the result after. The request needs a [Lookup].
//
// A key belongs to an account. A call with a key that has a result returns that
// result from the ledger and sends nothing. If a crash left a key with an intent
// only, the create is looked up first: a result is adopted, and a create that is
// shown to be absent is sent. If neither can be shown, the call ends uncertain and
// the intent stays for the next call. After a create that certainly failed, the
// key can be used again. CreateOnce refuses a key that was used for other content.
//
// If the create succeeded and the ledger could not record it, CreateOnce returns
// both the result and an error that wraps the ledger's. The next call with the key
// finds the result.
func CreateOnce[T any](ctx context.Context, c *Client, key string, op Operation, req Request, opts ...CallOption) (*T, error) {
	out := new(T)
	cl := &call{op: op, req: req, out: out, opts: callOptions{list: opts, jobKey: key}}
	err := cl.prepare(ctx, c)
	if err == nil {
		err = cl.checkOnce(c)
	}
	if err != nil {
		return nil, c.refuse(ctx, cl, cl.invalid(err))
	}
	if cl.opts.dryRun != nil { // nothing is sent, so nothing is recorded
		cl.describe(ctx, c)
		return out, nil
	}
	o, err := newOnce(c, cl)
	if err != nil {
		return nil, c.refuse(ctx, cl, cl.invalid(err))
	}
	held, unlock, err := c.ledger.Lock(ctx, o.keyName, o.contentName)
	if err != nil {
		return nil, c.refuse(ctx, cl, cl.ledgerError(err))
	}
	defer unlock()
	made, err := o.run(held)
	if !made {
		return nil, err
	}
	return out, err
}

func (cl *call) checkOnce(c *Client) error {
	switch {
	case cl.opts.jobKey == "":
		return FieldError{Field: "key", Problem: "must not be empty"}
	case c.ledger == nil:
		return errors.New("CreateOnce needs a ledger, such as WithLedger(NewMemoryLedger())")
	case cl.opts.withoutLookup:
		return errors.New("CreateOnce cannot keep its promise with RetryWithoutLookup")
	case cl.lookup == nil:
		return errors.New("CreateOnce needs a Lookup: without one nobody can tell whether the create took effect")
	case cl.op.Kind != KindCreate:
		return fmt.Errorf("CreateOnce is for creates, %s is a %s", cl.op.ID, cl.op.Kind)
	}
	return nil
}

// once is one run of CreateOnce.
type once struct {
	c  *Client
	cl *call // the create, prepared

	content     string // identifies all that it is made from
	keyName     string // the record of the key
	contentName string // the lock of equal creates
}

func newOnce(c *Client, cl *call) (*once, error) {
	body, err := json.Marshal(cl.req.Body)
	if err != nil {
		return nil, err
	}
	content := append([]string{cl.op.ID, string(body), string(cl.lookup.want), cl.req.query(cl.opts.adAccount).Encode()}, cl.req.Path...)
	return &once{
		c: c, cl: cl, content: hex.EncodeToString([]byte(fingerprint(content...))),
		keyName: c.ledgerName("key", cl.opts.jobKey), contentName: c.contentName(cl.lookup),
	}, nil
}

// ledgerName names a record of the account in the ledger.
func (c *Client) ledgerName(kind, name string) string {
	return strings.Join([]string{kind, url.PathEscape(c.appID), url.PathEscape(c.name), url.PathEscape(name)}, "/")
}

// contentName names the lock of equal creates in the ledger.
func (c *Client) contentName(l *lookup) string {
	return c.ledgerName("content", hex.EncodeToString([]byte(l.key)))
}

// onceRecord is the record of a key in the ledger.
type onceRecord struct {
	State   string          `json:"state"`
	Content string          `json:"content"`         // identifies the create
	Want    *Uncertain      `json:"want,omitzero"`   // with onceIntent: the create to look up
	Result  json.RawMessage `json:"result,omitzero"` // with onceDone: the result
}

const (
	onceIntent = "intent" // it is about to be sent, or was sent
	onceDone   = "done"   // it took effect
	onceFailed = "failed" // it certainly failed: the key is free again
)

// run starts from the key's record and ends with a result or an error.
func (o *once) run(ctx context.Context) (made bool, err error) {
	rec, err := o.load(ctx)
	if err != nil {
		return false, err
	}
	switch rec.State {
	case onceDone:
		o.c.doneUnsent(ctx, o.cl, func(*Event) {})
		return true, nil
	case onceIntent:
		verdict, err := o.resume(ctx, *rec.Want)
		switch verdict {
		case verdictFound:
			o.c.adopt(ctx, o.cl)
			return o.finish(ctx, nil)
		case verdictUnknown:
			return false, err
		case verdictAbsent:
		}
	}
	// Until stays zero: a process that dies with this intent may have sent the
	// create again and again, up to its last moment.
	want := newUncertain(o.cl, rand.Text(), o.c.apiClock, o.c.clock.Now())
	if err := o.save(ctx, onceRecord{State: onceIntent, Want: want}, nil); err != nil {
		return false, o.refuse(ctx, err)
	}
	return o.finish(ctx, o.c.carryOut(ctx, o.cl))
}

// load reads the key's record, and its result into that of the call.
func (o *once) load(ctx context.Context) (rec onceRecord, err error) {
	data, err := o.c.ledger.Load(ctx, o.keyName)
	if err != nil {
		return rec, o.refuse(ctx, err)
	}
	if data == nil {
		return rec, nil
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, o.damaged(ctx, fmt.Errorf("cannot be read: %w", err))
	}
	if rec.State != onceFailed && rec.Content != o.content {
		err := FieldError{Field: "key", Value: o.cl.opts.jobKey, Problem: "was used for a create with other content: use another key for a changed one"}
		return rec, o.c.refuse(ctx, o.cl, o.cl.invalid(err))
	}
	whole := false
	switch rec.State {
	case onceDone:
		whole = json.Unmarshal(rec.Result, o.cl.out) == nil && o.id() != ""
	case onceIntent:
		whole = rec.Want != nil && rec.Want.Operation == o.cl.op.ID && bytes.Equal(rec.Want.Want, o.cl.lookup.want) && rec.Want.check() == nil
	case onceFailed:
		whole = true
	}
	if !whole {
		return rec, o.damaged(ctx, errors.New("is not one of this library's"))
	}
	return rec, nil
}

// id returns the id of the call's result.
func (o *once) id() string {
	id, _ := o.cl.lookup.result()
	return id
}

// resume finds out what became of an intent that has no result.
func (o *once) resume(ctx context.Context, want Uncertain) (verdict, error) {
	leave, err := o.c.registry.enter(ctx, o.cl)
	if err != nil {
		return verdictUnknown, o.c.refuse(ctx, o.cl, o.cl.notBegun(err))
	}
	defer leave()
	verdict, err := o.c.resolve(ctx, o.cl, &want)
	if verdict != verdictUnknown {
		return verdict, nil
	}
	return verdict, o.c.unresolved(ctx, o.cl, want, fmt.Errorf("an earlier call with the key %q was interrupted: %w", o.cl.opts.jobKey, err))
}

// refuse ends a call that did not come to its create, since the ledger failed.
func (o *once) refuse(ctx context.Context, err error) error {
	return o.c.refuse(ctx, o.cl, o.cl.ledgerError(err))
}

// damaged ends a call whose record no later call can read either.
func (o *once) damaged(ctx context.Context, err error) error {
	return o.c.refuse(ctx, o.cl, o.cl.newError(ClassLedger, DispositionReview, fmt.Errorf("the record of key %q %w", o.cl.opts.jobKey, err)))
}

// finish records the outcome of the create.
func (o *once) finish(ctx context.Context, err error) (made bool, _ error) {
	// The outcome must be recorded even if the caller's context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	var e *Error
	switch {
	case err == nil:
		if err := o.record(ctx); err != nil {
			o.c.registry.disown(o.id())
			return true, fmt.Errorf("%s made %s, but that was not recorded: %w", o.cl.op.ID, o.id(), o.cl.ledgerError(err))
		}
		return true, nil
	case errors.As(err, &e) && e.Uncertain != nil:
		return false, o.keep(ctx, err, onceRecord{State: onceIntent, Want: e.Uncertain})
	case errors.Is(err, ErrUncertain):
		return false, err // the intent stands
	}
	return false, o.keep(ctx, err, onceRecord{State: onceFailed})
}

// keep records how a create failed. If that fails, too, it adds the reason to err.
func (o *once) keep(ctx context.Context, err error, rec onceRecord) error {
	if unsaved := o.save(ctx, rec, nil); unsaved != nil {
		return withError(err, o.cl.ledgerError(unsaved))
	}
	return err
}

// record saves the result and, in the same step, the key it belongs to, so that no
// other key of equal content adopts it.
func (o *once) record(ctx context.Context) error {
	result, err := json.Marshal(o.cl.out)
	if err != nil {
		return err
	}
	owner := map[string][]byte{o.c.ledgerName("owner", o.id()): []byte(o.cl.owner())}
	return o.save(ctx, onceRecord{State: onceDone, Result: result}, owner)
}

// save saves the key's record together with more records.
func (o *once) save(ctx context.Context, rec onceRecord, more map[string][]byte) error {
	rec.Content = o.content
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	records := map[string][]byte{o.keyName: data}
	maps.Copy(records, more)
	return o.c.ledger.Save(ctx, records)
}

// ledgerError returns the error of a ledger that failed.
func (cl *call) ledgerError(err error) *Error {
	return cl.newError(ClassLedger, DispositionPark, fmt.Errorf("the ledger failed: %w", err))
}

// ownerOf returns to which create a thing belongs, by what this client and the
// ledger know; "" if nobody knows.
func (c *Client) ownerOf(ctx context.Context, cl *call, id string) (string, error) {
	if owner := c.registry.ownerOf(id); owner != "" || c.ledger == nil {
		return owner, nil
	}
	owner, err := c.ledger.Load(ctx, c.ledgerName("owner", id))
	if err != nil {
		return "", cl.ledgerError(err)
	}
	return string(owner), nil
}

// recordOwner records in the ledger, if there is one, to which create a thing belongs.
func (c *Client) recordOwner(ctx context.Context, cl *call, id string) error {
	if c.ledger == nil {
		return nil
	}
	if err := c.ledger.Save(ctx, map[string][]byte{c.ledgerName("owner", id): []byte(cl.owner())}); err != nil {
		return cl.ledgerError(err)
	}
	return nil
}
