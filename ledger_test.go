package pinterest_test

import (
	"testing"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest/ledgertest"
)

func TestMemoryLedger(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) pinterest.Ledger { return pinterest.NewMemoryLedger() })
}
