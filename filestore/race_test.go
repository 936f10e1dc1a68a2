//go:build unix && race

package filestore_test

// callers is fewer, since the race detector makes each some ten times slower.
const callers = 150
