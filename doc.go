// Package dbos is what a Go program imports to be durable: Level 4 of a
// database-oriented operating system. All state of a program, its own tables,
// its workflows and their journals, is rows of one transactional database, so
// that a program which is killed at any instant continues where it stopped,
// without losing or repeating work.
//
//	sys, err := dbos.Open(ctx, "file:shop-data")
//	checkout := dbos.Workflow(sys, "checkout", Checkout) // func(dbos.Context, Order) (Receipt, error)
//	run, err := checkout.Start(ctx, order, dbos.ID("order-42"))
//	receipt, err := run.Result(ctx)
//
// # Workflows
//
// A workflow is an ordinary function that does its work in steps. Each
// finished step is recorded in the workflow's journal. When the process dies,
// the next one runs the function again from its beginning; steps that are
// recorded return what they returned before instead of doing their work, so
// the function arrives where it was. For this to hold the function must be
// deterministic outside of its steps: it reads the clock, draws random numbers
// and talks to the world in steps only. The system compares each step with the
// journal and stops a run that does something else, with an error that shows
// the first difference.
//
//   - [Transaction] runs SQL. Its changes and its journal entry are one
//     commit: it happens exactly once.
//   - [Step] does anything else. It is repeated until its outcome has been
//     recorded: at least once, with an [IdempotencyKey] that stays the same.
//   - [Sleep] waits durably, for milliseconds or months.
//   - Start, with a workflow's [Context], starts a child workflow;
//     [Run.Result] waits for it.
//   - [SetEvent] publishes a value for [GetEvent] to wait for.
//
// A waiting workflow takes a row in a table: no goroutine, no timer, no
// memory.
//
// # What survives
//
// Inputs, outcomes and errors are stored as JSON. A step returns what will be
// read back after a crash, also when there is no crash: values and errors go
// through their stored form. Errors keep their text, their chain, and, when
// they are registered with [RegisterError], their identity for errors.Is and
// errors.As.
package dbos
