package dbos

import (
	"context"
	"errors"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/service/prov/undo"
	"github.com/dbos-go/dbos/warehouse"
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
	// A RunPlan is a run that a restore or an undo concerns.
	RunPlan = prov.RunPlan
	// UndoOptions say whose work is undone.
	UndoOptions = undo.Options
	// An UndoPlan says what an undo changes, or has changed.
	UndoPlan = undo.Plan
	// An UndoPolicy says what becomes of later work that followed.
	UndoPolicy = undo.Policy
)

// What Query tells: see package warehouse.
type (
	// A HistoryColumn describes a column of a result. Type is the column store's
	// own name of it, such as BIGINT or DECIMAL(18,3).
	HistoryColumn = warehouse.Column
	// A HistoryDescription says what a statement takes and gives.
	HistoryDescription = warehouse.Description
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

// open returns the warehouse.
func (h *History) open(ctx context.Context, op string) (*warehouse.Warehouse, error) {
	if err := h.sys.options.houseless(op); err != nil {
		return nil, err
	}
	return h.sys.prov.Warehouse(ctx)
}

// Moment returns the state that a text names.
func (h *History) Moment(ctx context.Context, text string) (Moment, error) {
	if err := h.Flush(ctx); err != nil {
		return Moment{}, err
	}
	return h.sys.prov.Resolve(ctx, text)
}

// Status says what is kept of history, and how far behind it is. It answers
// also where there is no warehouse; Problem then says why.
func (h *History) Status(ctx context.Context) (HistoryStatus, error) {
	if err := h.sys.options.houseless("dbos.history"); err != nil {
		text := err.Error()
		if e, ok := errors.AsType[*abi.Error](err); ok && e.Hint != "" {
			text += "; " + e.Hint
		}
		return HistoryStatus{Problem: text, Retention: h.sys.options.retention()}, nil
	}
	st, err := h.sys.prov.Status(ctx)
	if st.Dir == "" {
		st.Dir = h.sys.houseDir()
	}
	return st, err
}

// Flush brings all that was committed before the call into the warehouse.
func (h *History) Flush(ctx context.Context) error {
	if err := h.sys.options.houseless("dbos.history"); err != nil {
		return err
	}
	if err := h.sys.views.flush(ctx); err != nil {
		return err
	}
	_, err := h.sys.prov.Flush(ctx)
	return err
}

// Seal brings all that was committed before the call into the warehouse's
// archive.
func (h *History) Seal(ctx context.Context) error {
	if err := h.Flush(ctx); err != nil {
		return err
	}
	w, err := h.open(ctx, "dbos.history")
	if err != nil {
		return err
	}
	return w.Seal(ctx)
}

// Rebuild makes the warehouse's file again from its archive. The old one
// serves until the new one is whole. progress may be nil.
func (h *History) Rebuild(ctx context.Context, progress func(HistoryProgress)) error {
	if err := h.sys.options.houseless("dbos.history"); err != nil {
		return err
	}
	return h.sys.prov.Rebuild(ctx, progress)
}
