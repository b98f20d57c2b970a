package server

import (
	"context"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

func (s *historyService) PlanRestore(ctx context.Context, req *dbosv1.PlanRestoreRequest, stream *connect.ServerStream[dbosv1.PlanRestoreResponse]) error {
	o, err := restoreOptions(req.Target)
	if err != nil {
		return err
	}
	r := report(stream.Send, func(p *dbosv1.Progress) *dbosv1.PlanRestoreResponse {
		return &dbosv1.PlanRestoreResponse{Part: &dbosv1.PlanRestoreResponse_Progress{Progress: p}}
	})
	o.Progress = r.progress
	plan, err := s.sys.History().PlanRestore(ctx, o)
	r.end()
	if plan != nil {
		result := &dbosv1.PlanRestoreResponse{Part: &dbosv1.PlanRestoreResponse_Result{Result: restoreMessage(plan)}}
		if sendErr := stream.Send(result); err == nil {
			err = sendErr
		}
	}
	return err
}

func (s *historyService) Restore(ctx context.Context, req *dbosv1.RestoreRequest, stream *connect.ServerStream[dbosv1.RestoreResponse]) error {
	o, err := restoreOptions(req.Target)
	if err != nil {
		return err
	}
	r := report(stream.Send, func(p *dbosv1.Progress) *dbosv1.RestoreResponse {
		return &dbosv1.RestoreResponse{Part: &dbosv1.RestoreResponse_Progress{Progress: p}}
	})
	o.Progress = r.progress
	plan, err := s.sys.History().Restore(ctx, o)
	r.end()
	if plan != nil { // also with an error: it says what stands against it
		result := &dbosv1.RestoreResponse{Part: &dbosv1.RestoreResponse_Result{Result: restoreMessage(plan)}}
		if sendErr := stream.Send(result); err == nil {
			err = sendErr
		}
	}
	return err
}

func restoreOptions(t *dbosv1.RestoreTarget) (dbos.RestoreOptions, error) {
	if t.GetTo() == "" {
		return dbos.RestoreOptions{}, missing("server.restore", "to")
	}
	return dbos.RestoreOptions{To: t.To, App: t.App, Tables: t.Tables}, nil
}

func (s *historyService) PlanUndo(ctx context.Context, req *dbosv1.PlanUndoRequest, stream *connect.ServerStream[dbosv1.PlanUndoResponse]) error {
	o, err := undoOptions(req.Target)
	if err != nil {
		return err
	}
	r := report(stream.Send, func(p *dbosv1.Progress) *dbosv1.PlanUndoResponse {
		return &dbosv1.PlanUndoResponse{Part: &dbosv1.PlanUndoResponse_Progress{Progress: p}}
	})
	o.Progress = r.progress
	plan, err := s.sys.History().PlanUndo(ctx, o)
	r.end()
	if plan != nil {
		result := &dbosv1.PlanUndoResponse{Part: &dbosv1.PlanUndoResponse_Result{Result: undoMessage(plan)}}
		if sendErr := stream.Send(result); err == nil {
			err = sendErr
		}
	}
	return err
}

func (s *historyService) Undo(ctx context.Context, req *dbosv1.UndoRequest, stream *connect.ServerStream[dbosv1.UndoResponse]) error {
	o, err := undoOptions(req.Target)
	if err != nil {
		return err
	}
	r := report(stream.Send, func(p *dbosv1.Progress) *dbosv1.UndoResponse {
		return &dbosv1.UndoResponse{Part: &dbosv1.UndoResponse_Progress{Progress: p}}
	})
	o.Progress = r.progress
	plan, err := s.sys.History().Undo(ctx, o)
	r.end()
	if plan != nil { // also with an error: it says what stands against it
		result := &dbosv1.UndoResponse{Part: &dbosv1.UndoResponse_Result{Result: undoMessage(plan)}}
		if sendErr := stream.Send(result); err == nil {
			err = sendErr
		}
	}
	return err
}

// policies by their numbers.
var policies = map[dbosv1.UndoPolicy]dbos.UndoPolicy{
	dbosv1.UndoPolicy_UNDO_POLICY_UNSPECIFIED:    dbos.UndoCascade,
	dbosv1.UndoPolicy_UNDO_POLICY_CASCADE:        dbos.UndoCascade,
	dbosv1.UndoPolicy_UNDO_POLICY_ONLY_UNTOUCHED: dbos.UndoOnlyUntouched,
	dbosv1.UndoPolicy_UNDO_POLICY_ABORT:          dbos.UndoAbort,
}

func undoOptions(t *dbosv1.UndoTarget) (dbos.UndoOptions, error) {
	policy, ok := policies[t.GetPolicy()]
	if !ok {
		return dbos.UndoOptions{}, abi.Errorf("server.undo", abi.Invalid, "argument policy", "there is no policy number %d", t.GetPolicy())
	}
	return dbos.UndoOptions{
		Runs: t.GetRuns(), Principal: abi.Principal(t.GetPrincipal()), Function: t.GetFunction(), Since: t.GetSince(), Policy: policy,
	}, nil
}
