package dbos

import (
	"context"

	"github.com/google/uuid"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
)

// MaxStart is the largest number of runs that StartMany queues at once.
const MaxStart = dbms.MaxBatch

// StartMany queues a run for each input, all or none, in one transaction: much
// cheaper than as many Starts. Each gets a random ID, and the options hold for
// all of them. To repeat it safely, start runs with IDs one by one.
//
// In a workflow use Start, or StartIn inside a Transaction.
func (d *Definition[In, Out]) StartMany(ctx context.Context, inputs []In, opts ...StartOption) ([]*Run[Out], error) {
	const op = "dbos.start"
	if executionOf(ctx) != nil {
		return nil, abi.Errorf(op, abi.Unsupported, "StartMany", "it is no step of a workflow").
			WithHint("use Start, or StartIn inside dbos.Transaction")
	}
	if len(inputs) > MaxStart {
		return nil, abi.Errorf(op, abi.Invalid, "inputs", "there are %d; at most %d are queued at once", len(inputs), MaxStart)
	}
	s := d.sys
	like, err := s.task(d.def.name, "", s.principal(ctx), append([]StartOption{ID("many")}, opts...))
	if err != nil {
		return nil, err
	}
	if like.ID != "many" {
		return nil, abi.Errorf(op, abi.Invalid, "option ID", "it names one run").WithHint("start runs with IDs one by one")
	}
	entries, runs := make([]sched.Entry, len(inputs)), make([]*Run[Out], len(inputs))
	for i, in := range inputs {
		input, err := encode(s.options.codec, "input of workflow "+d.def.name, in)
		if err != nil {
			return nil, err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, abi.Errorf(op, abi.Unavailable, "random source", "%w", err)
		}
		entries[i] = sched.Entry{ID: id.String(), Input: input}
		runs[i] = &Run[Out]{sys: s, id: entries[i].ID}
	}
	if err := s.Launch(ctx); err != nil || len(inputs) == 0 {
		return runs, err
	}
	return runs, s.tasks.SubmitMany(ctx, s.call("sched.submit", like.Principal), like, entries)
}
