//go:build !race

package dbmstest

// raced says that the race detector is on.
const raced = false

// slowness is the factor of times that an engine must be given.
const slowness = 1
