package prov

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// RestoreOptions say what goes back to which moment.
type RestoreOptions struct {
	// To is the moment, as of ParseMoment.
	To string
	// App restricts it to the tables that an application's migrations made,
	// and Tables to the named ones. If both are empty everything goes back: all applications'
	// tables, and the runs, journals, messages and queues with them.
	App    string
	Tables []string
	// Principal on whose behalf it is done.
	Principal abi.Principal
	// After runs in the transaction, after the rows are back. It is how services
	// fence work in progress.
	After func(tx dbms.Tx) error
	// Progress may be nil.
	Progress func(Progress)
}

// A RestorePlan says what a restore changes, or has changed.
type RestorePlan struct {
	To     Moment      `json:"to"`
	From   Moment      `json:"from"` // the state that it replaces: restore to it to take the restore back
	Tables []TablePlan `json:"tables"`
	// Resumes are runs that were unfinished then, and go on from there.
	Resumes []RunPlan `json:"resumes"`
	// Vanish are runs that began since.
	Vanish []RunPlan `json:"vanish"`
	// External are steps done since outside of the database, which nothing
	// takes back: compensate them by hand.
	External []ExternalStep `json:"external"`
	// Messages is how many messages come back.
	Messages int64    `json:"messages"`
	Warnings []string `json:"warnings,omitempty"`
	// LSN is the restore's own commit; 0 in a plan.
	LSN dbms.LSN `json:"lsn,omitempty"`
	// Took is how long the transaction was alone with the tables.
	Took time.Duration `json:"took,omitempty"`
}

// A TablePlan counts one table's rows that a restore changes.
type TablePlan struct {
	Name string `json:"name"`
	Applied
	// Definition says what happens to the table itself: "" nothing, "made again",
	// "emptied", "changed" (it has other columns now).
	Definition string `json:"definition,omitempty"`
}

// A RunPlan is a run that a restore concerns.
type RunPlan struct {
	ID    string `json:"id"`
	Name  string `json:"name"`  // of the workflow
	State string `json:"state"` // now; "" if it is not there
	Then  string `json:"then"`  // as of the moment; "" if it was not there
	Steps int    `json:"steps"` // of its journal that are taken back
}

// An ExternalStep is one that was done outside of the database.
type ExternalStep struct {
	Run    string    `json:"run"`
	Step   int       `json:"step"`
	Name   string    `json:"name"`
	Output string    `json:"output"`
	Error  string    `json:"error,omitempty"`
	At     time.Time `json:"at"`
}

// PlanRestore says what Restore would do, and changes nothing.
func (s *Service) PlanRestore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	return nil, notYet("prov.restore")
}

// Restore puts tables back to a moment in one recorded transaction, or changes nothing. Nobody
// changes the tables meanwhile, application triggers do not fire, and foreign
// keys hold at its end. It can be taken back by a restore to plan.From.
func (s *Service) Restore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	return nil, notYet("prov.restore")
}
