// Package kernel is Level 1: what a node of DBOS needs of its machine. Today
// that is a clock that never runs backwards, the exclusive ownership of a
// data directory, and the identity of the running process.
package kernel
