package sqlstore

import "time"

// SetLease makes leases shorter, for tests that wait for their end.
func (s *Store) SetLease(lease, renew time.Duration) { s.lease, s.renew = lease, renew }

// Page is how many accounts Due reads at a time.
const Page = page
