// Package sqlite is the embedded engine of Level 2: one data directory, one
// owner process, SQLite in WAL mode underneath.
//
// One writer goroutine runs transaction functions one after the other, to
// completion, as H-Store and VoltDB run stored procedures: that is
// serializability without locks. It takes everything that is waiting, runs it
// inside one SQLite transaction, commits once and then acknowledges all of them: group commit.
// Readers use snapshot connections of their own and never wait for it.
//
// docs/design/sqlite.md says why, and why not otherwise.
package sqlite
