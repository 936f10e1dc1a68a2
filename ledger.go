package pinterest

import (
	"bytes"
	"context"
	"sync"

	"github.com/pinterest-go/pinterest/internal/keylock"
)

// Ledger keeps what [CreateOnce] intends to make and what came of it. [NewMemoryLedger] keeps it for the life of a process; the module
// github.com/pinterest-go/pinterest/fileledger keeps it on disk, for any number
// of processes of one machine. A test suite for others is in package
// pinteresttest/ledgertest.
type Ledger interface {
	// Lock waits until the caller alone holds all of the names, across all
	// processes that use the ledger, and returns how to give them back. It takes
	// them in an order that cannot deadlock with other callers. The locks of a
	// process that dies are given back. held is a context made from ctx that ends,
	// when a lock is lost, such as one whose lease has run
	// out: what is done under the locks is done with it.
	Lock(ctx context.Context, names ...string) (held context.Context, unlock func(), err error)
	// Load returns the record under name, or nil when there is none.
	Load(ctx context.Context, name string) (record []byte, err error)
	// Save replaces the records under these names: all of them, or none when it
	// fails. When it returns nil they survive a crash of the process.
	Save(ctx context.Context, records map[string][]byte) error
}

// MemoryLedger is a [Ledger] for one process: it forgets everything when the
// process ends.
type MemoryLedger struct {
	locks   keylock.Locks
	mu      sync.Mutex
	records map[string][]byte
}

// NewMemoryLedger returns an empty ledger.
func NewMemoryLedger() *MemoryLedger {
	return &MemoryLedger{records: map[string][]byte{}}
}

// Lock implements [Ledger].
func (l *MemoryLedger) Lock(ctx context.Context, names ...string) (held context.Context, unlock func(), err error) {
	unlock, err = l.locks.Lock(ctx, names...)
	return ctx, unlock, err
}

// Load implements [Ledger].
func (l *MemoryLedger) Load(_ context.Context, name string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.records[name]), nil
}

// Save implements [Ledger].
func (l *MemoryLedger) Save(_ context.Context, records map[string][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, record := range records {
		l.records[name] = bytes.Clone(record)
	}
	return nil
}
