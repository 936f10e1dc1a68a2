package fileledger

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFileURI(t *testing.T) {
	for _, tt := range []struct{ path, volume, want string }{
		{"/var/lib/app/ledger.sqlite", "", "file:/var/lib/app/ledger.sqlite"},
		{"ledger/ledger.sqlite", "", "file:ledger/ledger.sqlite"},
		{"/what?/100%/a b/ledger.sqlite", "", "file:/what%3F/100%25/a%20b/ledger.sqlite"},
		{"C:/Users/Anna Berg/ledger.sqlite", "C:", "file:/C:/Users/Anna%20Berg/ledger.sqlite"},
	} {
		assert.Equal(t, tt.want, fileURI(tt.path, tt.volume))
	}
}
