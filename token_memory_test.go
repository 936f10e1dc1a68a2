package pinterest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest/storetest"
)

func TestMemoryTokenStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) pinterest.TokenStore { return pinterest.NewMemoryTokenStore() })
}

func TestMemoryTokenStorePrintsNoTokens(t *testing.T) {
	s := pinterest.NewMemoryTokenStore()
	_, err := s.Save(t.Context(), "alice", &pinterest.Token{AccessToken: secretAccess, RefreshToken: secretRefresh})
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, value := range []any{s, struct{ s *pinterest.MemoryTokenStore }{s}, struct{ S pinterest.TokenStore }{s}, []any{s}} {
			assertClean(t, verb, fmt.Sprintf(verb, value))
		}
	}
}

func TestMemoryTokenStoreNil(t *testing.T) {
	_, err := pinterest.NewMemoryTokenStore().Save(t.Context(), "alice", nil)
	assert.ErrorContains(t, err, "the token is nil")
}
