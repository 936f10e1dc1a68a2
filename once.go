package pinterest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// CreateOnce makes a pin at most once for a key of the caller's, such as the
// id of a job, however often it is called and whatever crashed in between. It
// needs a [Ledger] ([WithLedger]): the intent is recorded there before anything
// is sent, and the result after.
//
// The same key gives the same pin, from the ledger, without a call. A key that
// a crash left at its intent is looked up first: what was made is adopted, what
// is shown absent is sent, and what cannot be known ends uncertain, with the
// intent kept for the next call. A create that failed for certain leaves its
// key free to be tried again. A key that was used for other content is refused.
//
// Where the pin was made but the ledger could not record it, both the pin and
// an error that wraps the ledger's are returned; the next call with the key will
// find the pin.
//
// Operation pins/create: https://developers.pinterest.com/docs/api/v5/pins-create
func (s *PinsService) CreateOnce(ctx context.Context, key string, pin PinCreate, opts ...CallOption) (*Pin, error) {
	pin = pin.marked()
	if err := s.checkOnce(key, pin, opts); err != nil {
		return nil, (&call{op: OpPinsCreate}).invalid(err)
	}
	if (callOptions{list: opts}).chosen().dryRun != nil { // nothing is sent, and so nothing recorded
		return s.Create(ctx, pin, opts...)
	}
	o, err := newOnce(s.client, key, pin, opts)
	if err != nil {
		return nil, err
	}
	unlock, err := o.ledger.Lock(ctx, o.keyName(), o.contentName())
	if err != nil {
		return nil, ledgerError(err)
	}
	defer unlock()
	return o.run(ctx)
}

func (s *PinsService) checkOnce(key string, pin PinCreate, opts []CallOption) error {
	switch o := (callOptions{list: opts}).chosen(); {
	case s.client.ledger == nil:
		return errors.New("CreateOnce needs a ledger: use WithLedger")
	case o.withoutLookup:
		return errors.New("CreateOnce cannot keep its promise with RetryWithoutLookup")
	}
	var c Check
	c.Required("key", key)
	return errors.Join(c.Err(), pin.Validate())
}

// newOnce makes what one CreateOnce needs.
func newOnce(c *Client, key string, pin PinCreate, opts []CallOption) (*once, error) {
	lookup, err := pin.want().lookup().bind(nil)
	if err != nil {
		return nil, err
	}
	opts = append(slices.Clone(opts), func(o *callOptions) { o.jobKey = key })
	cl := &call{op: OpPinsCreate, lookup: lookup, opts: callOptions{list: opts}.chosen()}
	return &once{c: c, ledger: c.ledger, key: key, pin: pin, cl: cl, opts: opts}, nil
}

// once is one run of CreateOnce, with its locks held.
type once struct {
	c      *Client
	ledger Ledger
	key    string
	pin    PinCreate
	cl     *call // the create, for what identifies its pin
	opts   []CallOption
}

// onceRecord is what the ledger holds under a key.
type onceRecord struct {
	State   string     `json:"state"`
	Content string     `json:"content"`       // identifies the PinCreate
	Want    *Uncertain `json:"want,omitzero"` // onceIntent: what to look for
	Pin     *Pin       `json:"pin,omitzero"`  // onceDone: the result
}

// whole reports whether the record is one that this library writes.
func (r *onceRecord) whole() bool {
	switch r.State {
	case onceDone:
		return r.Pin != nil && r.Pin.Complete()
	case onceIntent:
		return r.Want != nil && r.Want.Operation == OpPinsCreate.ID && r.Want.check() == nil
	}
	return r.State == onceFailed
}

const (
	onceIntent = "intent" // it was or is about to be sent
	onceDone   = "done"   // it was made
	onceFailed = "failed" // it failed for certain: the key is free again
)

func (o *once) keyName() string { return "key/" + o.key }

// run takes the key from what the ledger knows of it to a pin or an error.
func (o *once) run(ctx context.Context) (*Pin, error) {
	rec, err := o.load(ctx)
	if err != nil {
		return nil, err
	}
	switch rec.State {
	case onceDone:
		return rec.Pin, nil
	case onceIntent:
		pin, absent, err := o.resume(ctx, *rec.Want)
		if !absent {
			return pin, err
		}
	}
	if err := o.begin(ctx); err != nil {
		return nil, err
	}
	pin, err := o.c.Pins.Create(ctx, o.pin, o.opts...)
	return o.finish(ctx, pin, err)
}

func (o *once) load(ctx context.Context) (onceRecord, error) {
	var rec onceRecord
	data, err := o.ledger.Load(ctx, o.keyName())
	if err != nil || data == nil {
		return rec, ledgerError(err)
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, ledgerError(fmt.Errorf("the record of key %q cannot be read: %w", o.key, err))
	}
	switch {
	case !rec.whole():
		return rec, ledgerError(fmt.Errorf("the record of key %q is not one of this library's", o.key))
	case rec.State != onceFailed && rec.Content != o.content():
		err := FieldError{Field: "key", Value: o.key, Problem: "was used for a pin with other content"}
		return rec, (&call{op: OpPinsCreate}).invalid(err)
	}
	return rec, nil
}

// resume finds out what became of an intent that has no result.
func (o *once) resume(ctx context.Context, want Uncertain) (pin *Pin, absent bool, err error) {
	claims, err := o.claims(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, c := range claims {
		if c.Key == o.key {
			// It was made, and claimed; only the result was not recorded.
			pin, err = o.c.Pins.Get(ctx, c.ID, o.opts...)
			if err == nil {
				pin, err = o.finish(ctx, pin, nil)
			}
			return pin, false, err
		}
		want.NotIDs = append(want.NotIDs, c.ID)
	}
	res, err := o.c.Pins.Resolve(ctx, want, o.opts...)
	switch res.Outcome {
	case OutcomeAbsent:
		return nil, true, nil
	case OutcomeCreated:
		pin, err = o.finish(ctx, res.Result, nil)
		return pin, false, err
	case OutcomeUnknown:
	}
	return nil, false, &Error{
		Operation: OpPinsCreate.ID, Class: ClassUnknown, Disposition: DispositionUncertain, Uncertain: &want,
		Message: fmt.Sprintf("an earlier call with the key %q was interrupted", o.key), causes: []error{err},
	}
}

// claimed is an entry of the list of pins that were made of one content.
type claimed struct {
	ID  string `json:"id"`
	Key string `json:"key"`
}

// claims returns the pins of the content, with the keys they belong to.
func (o *once) claims(ctx context.Context) (list []claimed, err error) {
	data, err := o.ledger.Load(ctx, o.contentName())
	if err == nil && data != nil {
		err = json.Unmarshal(data, &list)
	}
	return list, ledgerError(err)
}

// claim records that the pin belongs to the key, so that no other key of equal
// content adopts it. It comes before the result is recorded: a crash between
// the two leaves the key's own claim, which does not stand in its way.
func (o *once) claim(ctx context.Context, id string) error {
	list, err := o.claims(ctx)
	if err != nil {
		return err
	}
	list = append(list, claimed{ID: id, Key: o.key})
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return ledgerError(o.ledger.Save(ctx, o.contentName(), data))
}

func (o *once) contentName() string { return "made/" + hex.EncodeToString([]byte(o.cl.lookup.key)) }

// begin records the intent, before anything is sent.
func (o *once) begin(ctx context.Context) error {
	// Until stays zero: a process that dies with this intent may have sent the
	// pin again and again, up to its last moment.
	want := newUncertain(o.cl, o.c.apiClock, o.c.clock.Now())
	return o.save(ctx, onceRecord{State: onceIntent, Want: want})
}

// finish records what came of it.
func (o *once) finish(ctx context.Context, pin *Pin, err error) (*Pin, error) {
	// The caller's context may have ended; what is known must be kept all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownTime)
	defer cancel()
	var e *Error
	switch {
	case err == nil:
		if saveErr := o.record(ctx, pin); saveErr != nil {
			o.c.registry.disown(o.cl.lookup.key, pin.ID)
			return pin, fmt.Errorf("the pin %s was made, but not recorded: %w", pin.ID, saveErr)
		}
		return pin, nil
	case errors.As(err, &e) && e.Uncertain != nil:
		return nil, withError(err, o.save(ctx, onceRecord{State: onceIntent, Want: e.Uncertain}))
	case errors.Is(err, ErrUncertain):
		return nil, err // the intent stands
	}
	return nil, withError(err, o.save(ctx, onceRecord{State: onceFailed}))
}

// record keeps the result: that the pin is the key's, and then the pin.
func (o *once) record(ctx context.Context, pin *Pin) error {
	if err := o.claim(ctx, pin.ID); err != nil {
		return err
	}
	return o.save(ctx, onceRecord{State: onceDone, Pin: pin})
}

func (o *once) save(ctx context.Context, rec onceRecord) error {
	rec.Content = o.content()
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return ledgerError(o.ledger.Save(ctx, o.keyName(), data))
}

// content identifies everything the pin is made from.
func (o *once) content() string {
	data, err := json.Marshal(o.pin)
	if err != nil {
		return ""
	}
	return hex.EncodeToString([]byte(fingerprint(string(data), o.pin.Marker)))
}

// ledgerError is a failure of the caller's ledger.
func ledgerError(err error) error {
	if err == nil {
		return nil
	}
	return &Error{
		Operation: OpPinsCreate.ID, Class: ClassLedger, Disposition: DispositionPark, Phase: PhaseNotSent,
		causes: []error{fmt.Errorf("the ledger failed: %w", err)},
	}
}
