// Package undo takes back what chosen work did, and what followed from it,
// and leaves the rest: selective undo, a part of the service prov.
//
// Work is an execution (a workflow's run), or a transaction outside of one.
// From the history it computes the state that would be there if the chosen work, the
// seeds, had never been done: every later transaction that could have seen a difference is
// run again from its recorded statements, once on the state that it saw and once on the
// repaired one. If the statements return the same, whoever issued them would have
// issued the same: the transaction is innocent, and what its statements do to the
// repaired rows is kept (so an honest "stock = stock - 1" survives). If not, its work
// followed from the seeds, and the Policy decides.
//
// Deciding (walk.go, merge.go, causes.go, overlay.go: which transactions, which rows)
// is apart from doing (stage.go: running statements on a scratch copy; undo.go: the one
// transaction that changes the database). The history comes from the warehouse, in terms
// of today's tables (source.go).
package undo
