//go:build unix && !race

package filestore_test

// callers is how many goroutines each process calls with.
const callers = 1000
