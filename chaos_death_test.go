package pinterest_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/pinterest-go/pinterest"
)

// death is the end of a process during a call. From then on the call reaches neither
// the ledger nor the network.
type death struct {
	after int32 // steps before it dies
	steps atomic.Int32
}

type deathKey struct{}

var errDead = errors.New("the process is dead")

func (d *death) dead() bool { return d.steps.Load() > d.after }

// step returns errDead if the process dies before its next step.
func step(ctx context.Context) error {
	d, ok := ctx.Value(deathKey{}).(*death)
	if ok && d.steps.Add(1) > d.after {
		return errDead
	}
	return nil
}

// mortalTransport can die before a request, or after it, so that the answer is lost.
type mortalTransport struct{ http.RoundTripper }

func (m mortalTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := step(r.Context()); err != nil {
		return nil, err
	}
	res, err := m.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := step(r.Context()); err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	return res, nil
}

// mortalLedger can die before a record is read, and before or after it is written.
type mortalLedger struct{ pinterest.Ledger }

func (m mortalLedger) Load(ctx context.Context, name string) ([]byte, error) {
	if err := step(ctx); err != nil {
		return nil, err
	}
	return m.Ledger.Load(ctx, name)
}

func (m mortalLedger) Save(ctx context.Context, records map[string][]byte) error {
	if err := step(ctx); err != nil {
		return err
	}
	if err := m.Ledger.Save(ctx, records); err != nil {
		return err
	}
	return step(ctx)
}
