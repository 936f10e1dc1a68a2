//go:build !race

package pinterest_test

// chaosCreatesOfAMix is how many creates TestChaos makes in each mix.
const chaosCreatesOfAMix = 10_000
