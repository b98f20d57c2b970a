//go:build race

package dbmstest

// raced says that the race detector is on. An engine in pure Go is then some
// twenty times slower.
const raced = true

// slowness is the factor of times that an engine must be given.
const slowness = 5
