package pinterest

import (
	"bytes"
	"context"
	"sync"

	"github.com/pinterest-go/pinterest/internal/keylock"
)

// Ledger keeps the records of [CreateOnce]: its intents and their results.
// There are three:
//
//   - [NewMemoryLedger] keeps them for the life of a process.
//   - fileledger.Open, of the module github.com/pinterest-go/pinterest/fileledger,
//     keeps them on disk, for any number of processes of one machine.
//   - sqlstore.OpenLedger, of the module github.com/pinterest-go/pinterest/sqlstore,
//     keeps them in PostgreSQL, for any number of machines, or in SQLite.
//
// The methods are for authors of ledgers. Package pinteresttest/ledgertest tests
// implementations.
type Ledger interface {
	// Lock locks the names exclusively, across all processes that use the ledger. It
	// waits until it has all of them, or until ctx ends. It takes them in an order
	// that cannot deadlock with other callers. The locks of a process that dies are
	// released. The caller uses the context held, which is derived from ctx, for
	// everything it does under the locks: held ends when a lock is lost, such as one
	// whose lease has expired.
	Lock(ctx context.Context, names ...string) (held context.Context, unlock func(), err error)
	// Load returns the record with this name, or nil if there is none.
	Load(ctx context.Context, name string) (record []byte, err error)
	// Save replaces the records with these names. If it fails, it has replaced none
	// of them. If it returns nil, they survive a crash of the process. If ctx is derived
	// from the context held of a lock that was lost, also by context.WithoutCancel, a
	// ledger whose locks can be lost must refuse: another process may have them, and have
	// saved more.
	Save(ctx context.Context, records map[string][]byte) error
}

// MemoryLedger is a [Ledger] for one process. Its records end with the process.
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
