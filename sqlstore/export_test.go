package sqlstore

import "time"

// SetLease has a lease last shorter, for tests that wait for its end.
func (s *Store) SetLease(lease, renew time.Duration) { s.locks.lease, s.locks.renew = lease, renew }

// SetLease is that of a ledger.
func (l *Ledger) SetLease(lease, renew time.Duration) { l.locks.lease, l.locks.renew = lease, renew }

// LoadSQL is the statement with which Load reads a record.
func (l *Ledger) LoadSQL() string { return l.load }

// SaveSQL is the statement with which Save saves so many records under so many
// locks.
func (l *Ledger) SaveSQL(records, locks int) string { return l.saveSQL(records, locks) }

// PruneSQL is the statement of Prune.
func (l *Ledger) PruneSQL() string { return l.prune }

const (
	// Page is how many accounts Due reads at a time.
	Page = page
	// SaveChunk is how many records one statement of Save saves.
	SaveChunk = saveChunk
	// PruneBatch is how many records Prune deletes at a time.
	PruneBatch = pruneBatch
)

// ID is the key of a name in the tables.
func ID(name string) []byte { return id(name) }
