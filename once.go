package pinterest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
// key can be used again. Other content with a key that has a result is an
// [ErrKeyReused]. With a key whose earlier create is unresolved it ends uncertain, and
// the error has the [Uncertain] of that create: [Resolve] settles it and the key.
// [Response].Origin says where the result came from.
//
// If the create succeeded and the ledger could not record it, CreateOnce returns
// both the result and an error that wraps the ledger's. The next call with the key
// finds the result. If the lock was lost, the call ends uncertain instead, because an
// equal create with another key may have adopted the result.
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
	held, unlock, err := c.ledger.Lock(ctx, c.keyName(key), c.contentName(cl.lookup))
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
	c       *Client
	cl      *call  // the create, prepared
	content string // identifies all that it is made from
}

func newOnce(c *Client, cl *call) (*once, error) {
	body, err := json.Marshal(cl.req.Body)
	if err != nil {
		return nil, err
	}
	content := append([]string{cl.op.ID, string(body), string(cl.lookup.want), cl.req.query(cl.opts.adAccount).Encode()}, cl.req.Path...)
	return &once{c: c, cl: cl, content: hex.EncodeToString([]byte(fingerprint(content...)))}, nil
}

// ledgerName names a record of the account in the ledger.
func (c *Client) ledgerName(kind, name string) string {
	return strings.Join([]string{kind, url.PathEscape(c.appID), url.PathEscape(c.name), url.PathEscape(name)}, "/")
}

// keyName names the record and the lock of a key.
func (c *Client) keyName(key string) string { return c.ledgerName("key", key) }

// contentName names the lock of equal creates.
func (c *Client) contentName(l *lookup) string {
	return c.ledgerName("content", hex.EncodeToString([]byte(l.key)))
}

// keyRecord is the record of a key in the ledger.
type keyRecord struct {
	State   keyState        `json:"state"`
	Content string          `json:"content"`         // identifies the create
	Want    *Uncertain      `json:"want,omitzero"`   // with keyIntent: the create to look up
	Result  json.RawMessage `json:"result,omitzero"` // with keyDone: the result ...
	Wanted  json.RawMessage `json:"wanted,omitzero"` // ... and the Want of its Lookup
}

type keyState string

const (
	keyFree   keyState = ""       // it has no record
	keyIntent keyState = "intent" // its create is about to be sent, or was sent
	keyDone   keyState = "done"   // it took effect
	keyFailed keyState = "failed" // it certainly failed: the key is free again
)

// run starts from the key's record and ends with a result or an error.
func (o *once) run(ctx context.Context) (made bool, err error) {
	rec, e := o.load(ctx)
	if e != nil {
		return false, o.c.refuse(ctx, o.cl, e)
	}
	switch rec.State {
	case keyDone:
		o.c.adopt(ctx, o.cl, OriginLedger)
		return true, nil
	case keyIntent:
		verdict, err := o.c.settle(ctx, o.cl, *rec.Want, fmt.Sprintf("an earlier call with the key %q was interrupted", o.cl.opts.jobKey))
		switch verdict {
		case verdictFound:
			o.c.adopt(ctx, o.cl, OriginLookup)
			return o.finish(ctx, rec.Want, nil)
		case verdictUnknown:
			if e, ok := errors.AsType[*Error](err); ok && e.Uncertain != nil && rec.Want.Until.IsZero() {
				err = withError(err, o.record(ctx, keyRecord{State: keyIntent, Want: e.Uncertain}))
			}
			return false, err
		case verdictAbsent:
		}
	case keyFree, keyFailed:
	}
	// Until stays zero: a process that dies with this intent may have sent the
	// create again and again, up to its last moment.
	want := newUncertain(o.cl, rand.Text(), o.c.apiClock, o.c.clock.Now())
	o.cl.name = want.id() // also if an earlier attempt of the key was resolved just now
	if err := o.c.saveKey(ctx, o.cl, keyRecord{State: keyIntent, Content: o.content, Want: want}); err != nil {
		return false, o.c.refuse(ctx, o.cl, o.cl.ledgerError(err))
	}
	return o.finish(ctx, want, o.c.carryOut(ctx, o.cl))
}

// load reads the key's record, and its result into that of the call.
func (o *once) load(ctx context.Context) (rec keyRecord, e *Error) {
	if rec, e = o.c.loadKey(ctx, o.cl); e != nil {
		return rec, e
	}
	used := rec.State == keyIntent || rec.State == keyDone
	switch want := rec.Want; {
	case used && rec.Content != o.content:
		return rec, o.otherContent(&rec)
	case rec.State == keyIntent && (want.Operation != o.cl.op.ID || !bytes.Equal(want.Want, o.cl.lookup.want)),
		rec.State == keyDone && (json.Unmarshal(rec.Result, o.cl.out) != nil || o.id() == ""):
		return rec, o.cl.damaged(errForeignRecord)
	}
	return rec, nil
}

// otherContent is the error of a key that was used for other content. As long as
// nobody knows what became of that, it may still take effect: a new key for the new
// content could make a second thing.
func (o *once) otherContent(rec *keyRecord) *Error {
	if rec.State == keyIntent {
		return o.c.unresolved(o.cl, *rec.Want, fmt.Errorf("an earlier call with the key %q and other content may have taken effect: resolve it first", o.cl.opts.jobKey))
	}
	err := FieldError{Field: "key", Value: o.cl.opts.jobKey, Problem: "was used for a create with other content"}
	return o.cl.invalid(errors.Join(err, ErrKeyReused))
}

// loadKey reads the record of the call's key.
func (c *Client) loadKey(ctx context.Context, cl *call) (rec keyRecord, e *Error) {
	data, err := c.ledger.Load(ctx, c.keyName(cl.opts.jobKey))
	if err != nil {
		return rec, cl.ledgerError(err)
	}
	if data == nil {
		return rec, nil
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, cl.damaged(fmt.Errorf("cannot be read: %w", err))
	}
	switch rec.State {
	case keyDone, keyFailed:
		return rec, nil
	case keyIntent:
		if rec.Want != nil && rec.Want.check() == nil {
			return rec, nil
		}
	case keyFree: // is no record
	}
	return rec, cl.damaged(errForeignRecord)
}

var errForeignRecord = errors.New("is not one of this library's")

// id returns the id of the call's result.
func (o *once) id() string {
	id, _ := o.cl.lookup.made()
	return id
}

// damaged is the error of a key whose record no later call can read either.
func (cl *call) damaged(err error) *Error {
	return cl.newError(ClassLedger, DispositionReview, fmt.Errorf("the record of key %q %w", cl.opts.jobKey, err))
}

// finish records the outcome of the create with this intent.
func (o *once) finish(held context.Context, want *Uncertain, err error) (made bool, _ error) {
	var e *Error
	switch {
	case err == nil:
		if err := o.record(held, keyRecord{State: keyDone}); err != nil {
			o.c.registry.disown(o.id())
			o.c.registry.leaveOpen(o.cl.pending, want)
			err = fmt.Errorf("%s made %s, but that was not recorded: %w", o.cl.op.ID, o.id(), err)
			if o.cl.caller.Err() != nil || o.cl.lostLock(held) != nil { // an equal create may have adopted it by now
				return false, o.c.unresolved(o.cl, *want, err)
			}
			return true, err
		}
		return true, nil
	case errors.As(err, &e) && e.Uncertain != nil:
		return false, withError(err, o.record(held, keyRecord{State: keyIntent, Want: e.Uncertain}))
	case errors.Is(err, ErrUncertain):
		return false, err // the intent stands
	}
	return false, withError(err, o.record(held, keyRecord{State: keyFailed}))
}

// record saves the record of the key, also if the caller's context has ended. If the
// locks were lost it saves nothing, because another process may have them by now, and
// have recorded more.
func (o *once) record(held context.Context, rec keyRecord) error {
	err := o.cl.lostLock(held)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(held), ownTime)
		defer cancel()
		rec.Content = o.content
		err = o.c.saveKey(ctx, o.cl, rec)
	}
	if err != nil {
		return o.cl.ledgerError(err)
	}
	return nil
}

// lostLock returns why locks of the ledger were lost, nil if they are held. held is
// their context, which is derived from the caller's.
func (cl *call) lostLock(held context.Context) error {
	select {
	case <-cl.caller.Done():
		return nil // that has ended both
	default:
		return context.Cause(held)
	}
}

// saveKey saves the record of the call's key. With keyDone, the call has the result, and
// in the same step it saves to which create that belongs, so that no other key of equal
// content adopts it.
func (c *Client) saveKey(ctx context.Context, cl *call, rec keyRecord) (err error) {
	records := map[string][]byte{}
	if rec.State == keyDone {
		if rec.Result, err = json.Marshal(cl.out); err != nil {
			return err
		}
		rec.Wanted = cl.lookup.want
		c.addOwner(records, cl)
	}
	if records[c.keyName(cl.opts.jobKey)], err = json.Marshal(rec); err != nil {
		return err
	}
	return c.ledger.Save(ctx, records)
}

// addOwner adds the record that says to which create the call's result belongs.
func (c *Client) addOwner(records map[string][]byte, cl *call) {
	id, _ := cl.lookup.made()
	records[c.ledgerName("owner", id)] = []byte(cl.owner())
}

// ledgerError returns the error of a ledger that failed, or that the caller's context did
// not let finish.
func (cl *call) ledgerError(err error) *Error {
	if cl.caller.Err() != nil && (errors.Is(err, cl.caller.Err()) || errors.Is(err, context.Cause(cl.caller))) {
		return cl.newError(ClassCanceled, DispositionPark, fmt.Errorf("at the ledger: %w", err))
	}
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

// resolveKey is what the ledger says of the key of a create that is resolved. done
// means that the key has a result of what u wants, which is now that of the call. If a
// later create of the key is unresolved, that replaces u: what u says of an earlier one
// is over.
func (c *Client) resolveKey(ctx context.Context, cl *call, u *Uncertain) (rec keyRecord, done bool, e *Error) {
	if c.ledger == nil || u.Key == "" {
		return rec, false, nil
	}
	rec, e = c.loadKey(ctx, cl)
	switch {
	case e != nil:
		return rec, false, e
	case rec.State == keyDone && bytes.Equal(rec.Wanted, cl.lookup.want):
		if json.Unmarshal(rec.Result, cl.out) != nil {
			return rec, false, cl.damaged(errForeignRecord)
		}
		return rec, true, nil
	case rec.State == keyIntent && rec.Want.ID != u.ID && bytes.Equal(rec.Want.Want, cl.lookup.want):
		*u = *rec.Want
	}
	return rec, false, nil
}

// recordResolved records in the ledger, if there is one, what [Resolve] has found out: to
// which create a result belongs and, of a [CreateOnce], what became of its key. rec is
// the record of the key.
func (c *Client) recordResolved(ctx context.Context, cl *call, u *Uncertain, rec keyRecord, found bool) error {
	switch asked := rec.State == keyIntent && rec.Want.ID == u.ID; {
	case c.ledger == nil:
	case asked && found:
		return c.saveKey(ctx, cl, keyRecord{State: keyDone, Content: rec.Content})
	case asked:
		return c.saveKey(ctx, cl, keyRecord{State: keyFailed, Content: rec.Content})
	case found:
		owner := map[string][]byte{}
		c.addOwner(owner, cl)
		return c.ledger.Save(ctx, owner)
	}
	return nil
}
