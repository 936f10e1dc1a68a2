//go:build race

package seamtest_test

// raceDetector says whether this test was built with the race detector.
const raceDetector = true
