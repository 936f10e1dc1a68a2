//go:build race

package pinterest_test

// chaosCreatesOfAMix is how many creates TestChaos makes in each mix. With the race
// detector it makes fewer; script/test runs it without, too.
const chaosCreatesOfAMix = 1_000
