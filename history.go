package dbos

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/service/prov/undo"
)

// What History tells and takes: see packages prov and undo.
type (
	// A Moment is a state of the database: that as of its LSN.
	Moment = prov.Moment
	// HistoryStatus says what is kept of history, and how far behind it is.
	HistoryStatus = prov.Status
	// HistoryProgress is how far something long is.
	HistoryProgress = prov.Progress
	// A ForkReport says what a fork has.
	ForkReport = prov.ForkReport
	// RestoreOptions say what goes back to which moment.
	RestoreOptions = prov.RestoreOptions
	// A RestorePlan says what a restore changes, or has changed.
	RestorePlan = prov.RestorePlan
	// An ExternalStep is one that nothing takes back.
	ExternalStep = prov.ExternalStep
	// UndoOptions say whose work is undone.
	UndoOptions = undo.Options
	// An UndoPlan says what an undo changes, or has changed.
	UndoPlan = undo.Plan
	// An UndoPolicy says what becomes of later work that followed.
	UndoPolicy = undo.Policy
)

// The policies of an undo.
const (
	UndoCascade       = undo.Cascade
	UndoOnlyUntouched = undo.OnlyUntouched
	UndoAbort         = undo.Abort
)

// A History is the past of a system: what was, who did it and why, and the
// ways back. Its methods may be called from any goroutine.
//
// Moments are written as text: "now", "16 minutes ago", "2026-11-21 18:05",
// "18:05:30", RFC 3339, "LSN 1234", "run:ID" (what the run saw first), or
// "run:ID/3" (what its step 3 saw). One that cannot be read is an abi.Invalid
// error, one that is not there is abi.NotFound, and one that is no longer kept is
// abi.Trimmed; all name the bounds.
//
// In a build without cgo, and in a system opened with NoWarehouse or NoHistory,
// everything but Status is refused with abi.Unsupported.
type History struct {
	sys *System
}

// History returns the system's past.
func (s *System) History() *History { return &History{sys: s} }

// A HistoryColumn describes a column of a result.
type HistoryColumn struct {
	Name string
	Type string // as the column store calls it: "BIGINT", "DECIMAL(18,3)"
}

// Moment returns the state that a text names.
func (h *History) Moment(ctx context.Context, text string) (Moment, error) {
	return Moment{}, notYet("dbos.moment")
}

// Status says what is kept of history, and how far behind it is. It answers
// also where there is no warehouse; Problem then says why.
func (h *History) Status(ctx context.Context) (HistoryStatus, error) {
	return HistoryStatus{}, notYet("dbos.history")
}

// Flush brings all that was committed before the call into the warehouse.
func (h *History) Flush(ctx context.Context) error { return notYet("dbos.history") }

// Seal brings all that was committed before the call into the warehouse's
// archive.
func (h *History) Seal(ctx context.Context) error { return notYet("dbos.history") }

// Rebuild makes the warehouse's file again from its archive. The old one
// serves until the new one is whole. progress may be nil.
func (h *History) Rebuild(ctx context.Context, progress func(HistoryProgress)) error {
	return notYet("dbos.history")
}

// Query runs one reading statement of DuckDB's dialect over the tables as they
// were at a moment ("" is now), history.* and prov.*. It sees what was
// committed before the call. Close the rows.
func (h *History) Query(ctx context.Context, at, sql string, args ...any) (*HistoryRows, error) {
	return nil, notYet("dbos.history")
}

// HistoryRows is the result of Query: see dbms.Rows for how to read it.
type HistoryRows struct {
	at Moment
}

// At is the moment that was read.
func (r *HistoryRows) At() Moment { return r.at }

// Columns describes the columns in order. Names may repeat.
func (r *HistoryRows) Columns() []HistoryColumn { return nil }

// Next moves to the next row. At the end, or on an error, it returns false
// and closes the rows.
func (r *HistoryRows) Next() bool { return false }

// Values returns the current row: nil, bool, int64, float64, string, []byte,
// time.Time or *big.Int; what is none of these is a string as DuckDB
// writes it. The slice is the caller's.
func (r *HistoryRows) Values() []any { return nil }

// Err returns the error that ended Next, if any.
func (r *HistoryRows) Err() error { return nil }

// Close releases the rows. It may be called more than once.
func (r *HistoryRows) Close() error { return nil }

// Fork makes a system of its own, as of a moment, at a URL where there is none
// yet. Its unfinished runs go on when it is launched. progress may be nil.
func (h *History) Fork(ctx context.Context, at, url string, progress func(HistoryProgress)) (*ForkReport, error) {
	return nil, notYet("dbos.fork")
}

// PlanRestore says what Restore would do, and does nothing.
func (h *History) PlanRestore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	return nil, notYet("dbos.restore")
}

// Restore puts tables back to a moment, as one recorded transaction, which
// another restore takes back. Runs that were unfinished then go on from there, on all
// nodes; what they are doing now does not count. The principal is the context's
// unless the options name one.
func (h *History) Restore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	return nil, notYet("dbos.restore")
}

// PlanUndo says what Undo would do, and does nothing.
func (h *History) PlanUndo(ctx context.Context, o UndoOptions) (*UndoPlan, error) {
	return nil, notYet("dbos.undo")
}

// Undo takes back what chosen runs, principals or functions did, and what
// followed from it, as one recorded transaction. With the policy UndoAbort and work that followed
// it returns the plan and an error of kind abi.Conflict.
func (h *History) Undo(ctx context.Context, o UndoOptions) (*UndoPlan, error) {
	return nil, notYet("dbos.undo")
}

// ReplayOptions choose runs to replay. Runs that have not ended, and those of
// workflows that this program has not registered, are skipped.
type ReplayOptions struct {
	// Runs are IDs. If there are none, all runs that were started since Since.
	Runs []string
	// Since is a moment; "" is the beginning of what is kept.
	Since string
	// Names keeps runs of these workflows only; none means all.
	Names []string
	// Limit is the largest number of runs, the newest first; 0 means all.
	Limit int
	// Progress may be nil.
	Progress func(HistoryProgress)
}

// Replayed says how one run went when it was replayed.
type Replayed struct {
	Run      string `json:"run"`
	Workflow string `json:"workflow"`
	Steps    int    `json:"steps"` // that were replayed
	// Same says that all was as it is recorded.
	Same bool `json:"same"`
	// Divergence is the first difference, nil if there is none.
	Divergence *Divergence `json:"divergence,omitempty"`
	// Recorded is how the run ended, and Replayed how it ended now: its output as
	// JSON, or "error: " and the error.
	Recorded string `json:"recorded"`
	Replayed string `json:"replayed"`
	// EndsDifferently says that these two are not the same.
	EndsDifferently bool `json:"ends_differently"`
	// Skipped says why the run could not be replayed, nil if it was.
	Skipped *Failure `json:"skipped,omitempty"`
}

// A Divergence is the first difference between a run and its replay.
type Divergence struct {
	Seq  int    `json:"seq"`            // of the step; 0 for the run's own outcome
	Step string `json:"step,omitempty"` // its name
	// Kind is "step" (another one came, or none), "statement", "arguments", "rows"
	// (their number), "changes" (what is in the changed rows), "output".
	Kind string `json:"kind"`
	// Statement that differs, counted from 1 within the step; 0 if none does.
	Statement int    `json:"statement,omitempty"`
	Recorded  string `json:"recorded"` // as text
	Replayed  string `json:"replayed"`
	Detail    string `json:"detail"` // in words
}

// A ReplayReport counts the replayed runs.
type ReplayReport struct {
	Runs             int           `json:"runs"` // that were replayed
	Same             int           `json:"same"`
	Diverged         int           `json:"diverged"`
	EndedDifferently int           `json:"ended_differently"` // of those that diverged
	Skipped          int           `json:"skipped"`
	Steps            int           `json:"steps"`
	Took             time.Duration `json:"took"`
}

// Replay runs recorded runs again with this program's functions, each of their
// transactions on the state that it saw, and compares what they do with what is
// recorded. It happens on a scratch copy: nothing is changed, and external steps
// are not done but give their recorded outcome. each, which may be nil, is called
// for every run in turn, from one goroutine.
//
// A run that diverges goes on, to see how it would have ended: its own changes are
// kept for it. An external step that is not recorded then ends the replay.
func (h *History) Replay(ctx context.Context, o ReplayOptions, each func(Replayed)) (*ReplayReport, error) {
	return nil, notYet("dbos.replay")
}

func notYet(op string) error {
	return abi.Errorf(op, abi.Unsupported, "history", "this build does not have it yet")
}
