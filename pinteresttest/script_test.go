package pinteresttest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Two requests may have seen the same fault before either takes it.
func TestFaultIsTakenOnce(t *testing.T) {
	srv := NewServer()
	defer srv.Close()
	srv.Inject(ServerError(500))
	seen := srv.script.faults[0]
	assert.True(t, srv.script.take(seen))
	assert.False(t, srv.script.take(seen))

	srv.Inject(ServerError(500))
	seen = srv.script.faults[0]
	srv.ClearFaults()
	assert.False(t, srv.script.take(seen), "cleared after it was seen")
}

func TestClearedFaultDoesNotComeBack(t *testing.T) {
	srv := NewServer()
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
	require.NoError(t, err)

	srv.Inject(ServerError(500).Repeat(2))
	_, giveBack := srv.script.pick(r, &Request{})
	srv.ClearFaults()
	giveBack()
	assert.Empty(t, srv.PendingFaults())
}
