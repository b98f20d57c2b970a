package undo

import (
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
)

// A Policy says what becomes of later work that followed from the seeds.
type Policy string

const (
	// Cascade takes it back too. It is the default.
	Cascade Policy = "cascade"
	// OnlyUntouched lets it stand, and with it the seeds' changes to the rows
	// that it depends on, which are listed as conflicts.
	OnlyUntouched Policy = "only-untouched"
	// Abort undoes nothing if there is any, or if something cannot be decided.
	Abort Policy = "abort"
)

// Options say what is undone. At least one of Runs, Principal and Function must be
// given; with more than one, Runs are undone besides what both Principal and Function name.
type Options struct {
	// Runs are IDs of executions. What they started is undone with them.
	Runs []string
	// Principal chooses the work that was done on its behalf.
	Principal abi.Principal
	// Function chooses runs of a workflow, "name" or "name@version" of the
	// application, and transactions outside of runs by their procedure's name.
	Function string
	// Since is a moment (prov.ParseMoment): older work of the Principal or
	// Function stays. Empty means all that history has.
	Since string
	// Policy; "" is Cascade.
	Policy Policy
	// By is on whose behalf the undo is done.
	By abi.Principal
	// Cancel stops an undone run that is unfinished, inside the undo's
	// transaction, and reports whether it was. nil leaves them as they are.
	Cancel func(tx dbms.Tx, run string) (bool, error)
	// Progress may be nil. It is called from the goroutine of the caller.
	Progress func(prov.Progress)
}

// A Plan says what an undo changes, or has changed.
type Plan struct {
	// From is the state that the plan is for: restore to it to take the undo back.
	From   prov.Moment `json:"from"`
	Policy Policy      `json:"policy"`
	// Chain is the seeds and what followed from them, in the order of their
	// first commits.
	Chain []Link `json:"chain"`
	// Tables counts the rows that change, by table.
	Tables []TableRows `json:"tables"`
	// Conflicts are what a person should look at.
	Conflicts []Conflict `json:"conflicts"`
	// External are steps of undone runs outside of the database, which
	// nothing takes back: compensate them by hand.
	External []prov.ExternalStep `json:"external"`
	// Unfinished are undone runs that have not ended; Undo cancels them.
	Unfinished []prov.RunPlan `json:"unfinished"`
	// Examined is how many later transactions were run again, and Innocent how
	// many of them stay.
	Examined int64    `json:"examined"`
	Innocent int64    `json:"innocent"`
	Warnings []string `json:"warnings,omitempty"`
	// ID of the undo in prov_undo, and LSN of its commit; "" and 0 in a plan.
	ID  string   `json:"id,omitempty"`
	LSN dbms.LSN `json:"lsn,omitempty"`
	// Took is how long the transaction was alone with the tables.
	Took time.Duration `json:"took,omitempty"`
}

// A Link of the chain is one piece of work.
type Link struct {
	// Execution is the run's ID, or "" for a transaction outside of runs.
	Execution string        `json:"execution,omitempty"`
	Name      string        `json:"name"` // of the workflow or procedure
	Principal abi.Principal `json:"principal,omitempty"`
	LSN       dbms.LSN      `json:"lsn"` // of its first commit that matters
	At        time.Time     `json:"at"`
	Seed      bool          `json:"seed"`   // it was named, or started by what was named
	Undone    bool          `json:"undone"` // it is taken back; followers that are kept are not
	// Follows is the work that it followed from: a run's ID, or "LSN 123".
	Follows string `json:"follows,omitempty"`
	// Why it is here, in words.
	Why string `json:"why"`
}

// TableRows counts one table's rows that change.
type TableRows struct {
	Name string `json:"name"`
	prov.Applied
}

// A Conflict is a row or a transaction about which a person should decide.
type Conflict struct {
	Table     string   `json:"table,omitempty"`
	Key       string   `json:"key,omitempty"` // of the row, as text
	Execution string   `json:"execution,omitempty"`
	LSN       dbms.LSN `json:"lsn,omitempty"` // of the transaction
	Problem   string   `json:"problem"`
}
