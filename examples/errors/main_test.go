package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	assert.Equal(t, `published: pin 813744226421000003
fix: show the author that link must be an absolute URL, such as https://shop.example/p/1
park: enqueue the job again, not before 4h0m0s from now (blocked)
review: tell a person: Not permitted., request 4826385600000003
uncertain: store e.Uncertain as JSON, and call Pins.Resolve with it later
reauthorize: pause the account, and ask its owner to connect it again
`, out.String())
}
