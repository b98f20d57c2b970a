package undo

import (
	"context"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
)

// A Scratch opens an empty database of the same engine, to run statements on,
// and says how to be rid of it.
type Scratch func(ctx context.Context) (db dbms.DB, discard func() error, err error)

// Procedure is the name of the undo's transaction in the history.
const Procedure = "prov.undo"

// PlanUndo says what Do would do, and changes nothing. With the policy Abort it
// succeeds, and lists what Do would refuse for.
//
// Errors: abi.Invalid for options that say nothing or contradict each other,
// abi.NotFound for a run, principal or function without a commit, abi.Trimmed when
// the history does not go back to the seeds, and those of prov.Service.Resolve.
func PlanUndo(ctx context.Context, s *prov.Service, scratch Scratch, o Options) (*Plan, error) {
	return nil, abi.Errorf("prov.undo", abi.Unsupported, "", "this build does not have it yet")
}

// Do undoes, as one recorded transaction, or changes nothing. It plans while the
// system works, and again for what came in between once it is alone with the
// tables; the plan that it returns is what was done. With the policy Abort and
// work that followed the error is of kind abi.Conflict, and the plan is returned with it.
func Do(ctx context.Context, s *prov.Service, scratch Scratch, o Options) (*Plan, error) {
	return nil, abi.Errorf("prov.undo", abi.Unsupported, "", "this build does not have it yet")
}
