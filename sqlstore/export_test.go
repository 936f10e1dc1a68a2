package sqlstore

import "time"

// SetLease has a lease last shorter, for tests that wait for its end.
func (s *Store) SetLease(lease, renew time.Duration) { s.lease, s.renew = lease, renew }

// Page is how many accounts Due reads at a time.
const Page = page
