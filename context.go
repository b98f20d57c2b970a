package dbos

import (
	"context"
	"strconv"
)

// A Context is what a workflow function does its steps with. It is a
// context.Context that ends when the run is cancelled or the system closes.
// Do not keep it after the function's end, and use it in the function's own
// goroutine only: the order of steps must be the same each time.
type Context interface {
	context.Context
	// RunID returns the run's ID.
	RunID() string
	// System returns the system that executes the run.
	System() *System

	execution() *execution
}

type runContext struct {
	context.Context
	run *execution
}

func (c *runContext) RunID() string         { return c.run.task.ID }
func (c *runContext) System() *System       { return c.run.sys }
func (c *runContext) execution() *execution { return c.run }

type executionKey struct{}

// Value finds the execution, so that a context derived from a Context still
// belongs to its run.
func (c *runContext) Value(key any) any {
	switch key.(type) {
	case executionKey:
		return c.run
	case principalKey:
		return c.run.task.Principal
	}
	return c.Context.Value(key)
}

// executionOf returns the execution that ctx belongs to, or nil.
func executionOf(ctx context.Context) *execution {
	e, _ := ctx.Value(executionKey{}).(*execution)
	return e
}

type idempotencyKey struct{}

// IdempotencyKey returns, inside the function of a Step, a key that is the
// same whenever this step of this run is tried, also after a crash: pass it to
// services that recognise repeated requests. Elsewhere it is "".
func IdempotencyKey(ctx context.Context) string {
	key, _ := ctx.Value(idempotencyKey{}).(string)
	return key
}

// A stepContext is the context of a step's function. It does not belong to the
// run: what a step does is not part of the journal.
type stepContext struct {
	context.Context
	run *execution
	seq int
}

func (c *stepContext) Value(key any) any {
	switch key.(type) {
	case executionKey:
		return (*execution)(nil)
	case principalKey:
		return c.run.task.Principal
	case idempotencyKey:
		return c.run.key(c.seq)
	}
	return c.Context.Value(key)
}

// key names a step of the run for all time.
func (e *execution) key(seq int) string { return e.task.ID + "/" + strconv.Itoa(seq) }
