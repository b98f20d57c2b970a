package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// One process of a machine has the warehouse of a shared database open: a
// program, which a session reaches by its door, or another command, which ends
// soon. So calls that find it taken are made again for a while, as a directory
// is waited for.

// heldPause is how long is waited between two calls.
const heldPause = 20 * time.Millisecond

// held reports whether an error is that of a warehouse that another process
// has open.
func (s *session) held(err error) bool {
	e, ok := errors.AsType[*abi.Error](err)
	return ok && e.Kind == abi.Owned && s.house != "" && strings.Contains(e.Resource, s.house)
}

// patient makes a call until the warehouse is free for it.
func patient[T any](ctx context.Context, s *session, call func() (T, error)) (T, error) {
	patience, cancel := context.WithTimeout(ctx, ownerPatience)
	defer cancel()
	for {
		v, err := call()
		if !s.held(err) {
			return v, err
		}
		select {
		case <-time.After(heldPause):
		case <-patience.Done():
			if ctx.Err() != nil {
				return v, context.Cause(ctx)
			}
			return v, heldError(err)
		}
	}
}

// heldError explains who has the warehouse.
func heldError(err error) error {
	e, ok := errors.AsType[*abi.Error](err)
	if !ok {
		return err
	}
	return abi.Errorf("dbos.connect", abi.Owned, "this machine's warehouse of the database", "%w, and does not answer at a door", e.Err).
		WithHint("if it is your program, add after dbos.Open: door, err := server.Serve(sys); if it is another dbos command, wait until it ends")
}

// QueryAt is the client's.
func (s *session) QueryAt(ctx context.Context, at, sql string, args ...any) (*client.Rows, error) {
	return patient(ctx, s, func() (*client.Rows, error) { return s.Client.QueryAt(ctx, at, sql, args...) })
}

// HistoryStatus is the client's.
func (s *session) HistoryStatus(ctx context.Context, open bool) (*dbosv1.HistoryServiceStatusResponse, error) {
	return patient(ctx, s, func() (*dbosv1.HistoryServiceStatusResponse, error) { return s.Client.HistoryStatus(ctx, open) })
}

// Fork is the client's.
func (s *session) Fork(ctx context.Context, at, target string, progress client.ProgressFunc) (*dbosv1.ForkReport, error) {
	return patient(ctx, s, func() (*dbosv1.ForkReport, error) { return s.Client.Fork(ctx, at, target, progress) })
}

// PlanRestore is the client's.
func (s *session) PlanRestore(ctx context.Context, t *dbosv1.RestoreTarget, progress client.ProgressFunc) (*dbosv1.RestorePlan, error) {
	return patient(ctx, s, func() (*dbosv1.RestorePlan, error) { return s.Client.PlanRestore(ctx, t, progress) })
}

// Restore is the client's.
func (s *session) Restore(ctx context.Context, t *dbosv1.RestoreTarget, progress client.ProgressFunc) (*dbosv1.RestorePlan, error) {
	return patient(ctx, s, func() (*dbosv1.RestorePlan, error) { return s.Client.Restore(ctx, t, progress) })
}

// PlanUndo is the client's.
func (s *session) PlanUndo(ctx context.Context, t *dbosv1.UndoTarget, progress client.ProgressFunc) (*dbosv1.UndoPlan, error) {
	return patient(ctx, s, func() (*dbosv1.UndoPlan, error) { return s.Client.PlanUndo(ctx, t, progress) })
}

// Undo is the client's.
func (s *session) Undo(ctx context.Context, t *dbosv1.UndoTarget, progress client.ProgressFunc) (*dbosv1.UndoPlan, error) {
	return patient(ctx, s, func() (*dbosv1.UndoPlan, error) { return s.Client.Undo(ctx, t, progress) })
}

// Resolve is the client's.
func (s *session) Resolve(ctx context.Context, at string) (*dbosv1.Moment, error) {
	return patient(ctx, s, func() (*dbosv1.Moment, error) { return s.Client.Resolve(ctx, at) })
}
