package pinterest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestOptHasThreeStates(t *testing.T) {
	for want, update := range map[string]pinterest.PinUpdate{
		`{}`:             {},
		`{"title":"t"}`:  {Title: pinterest.Set("t")},
		`{"title":""}`:   {Title: pinterest.Set("")},
		`{"title":null}`: {Title: pinterest.Null[string]()},
		`{"board_section_id":null,"link":"https://x.example"}`: {BoardSectionID: pinterest.Null[string](), Link: pinterest.Set("https://x.example")},
	} {
		data, err := json.Marshal(update)
		require.NoError(t, err)
		assert.Equal(t, want, string(data))
		var again pinterest.PinUpdate
		require.NoError(t, json.Unmarshal(data, &again))
		assert.Equal(t, update, again)
	}
}

func TestOptReads(t *testing.T) {
	set, null, unset := pinterest.Set(0), pinterest.Null[int](), pinterest.Opt[int]{}
	v, ok := set.Get()
	assert.True(t, ok)
	assert.Zero(t, v)
	_, ok = null.Get()
	assert.False(t, ok)
	assert.True(t, null.IsNull())
	assert.False(t, set.IsZero())
	assert.True(t, unset.IsZero())
	assert.Equal(t, []string{"0", "null", "unset"}, []string{set.String(), null.String(), unset.String()})
	data, err := json.Marshal(pinterest.Set(false))
	require.NoError(t, err)
	assert.Equal(t, "false", string(data))
}
