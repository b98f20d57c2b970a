package client

import (
	"context"

	"connectrpc.com/connect"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/proto/dbos/v1/dbosv1connect"
)

// QueryAt runs one reading statement of the warehouse's dialect (DuckDB's) over
// the tables as they were at a moment, history.* and prov.*. An empty moment
// is now, with all that was committed before the call. Arguments are nil,
// int64, float64, string, []byte, bool, time.Time or *big.Int, and so are the
// values of the rows. The Rows must be closed.
//
// A node without a warehouse answers abi.Unsupported.
func (c *Client) QueryAt(ctx context.Context, at, sql string, args ...any) (*Rows, error) {
	values, err := encode(args)
	if err != nil {
		return nil, err
	}
	const procedure = dbosv1connect.HistoryServiceQueryProcedure
	ctx, stop := context.WithCancel(ctx)
	stream, err := c.history.Query(ctx, &dbosv1.HistoryServiceQueryRequest{Sql: sql, Args: values, At: at})
	if err != nil {
		stop()
		return nil, rebuild(procedure, err)
	}
	r := &Rows{
		stream: stream, stop: stop, procedure: procedure,
		received: func() []*dbosv1.Row { return stream.Msg().GetRows().GetRows() },
	}
	if !stream.Receive() || stream.Msg().GetHeader() == nil {
		err := rebuild(procedure, ended(stream.Err()))
		r.Close()
		return nil, err
	}
	header := stream.Msg().GetHeader()
	r.at = header.At
	for _, column := range header.Columns {
		r.columns = append(r.columns, column.Name)
		r.types = append(r.types, column.Type)
	}
	return r, nil
}

// DescribeAt says what parameters a statement has and what columns its result,
// without running it: see QueryAt.
func (c *Client) DescribeAt(ctx context.Context, at, sql string) (*dbosv1.DescribeResponse, error) {
	res, err := c.history.Describe(ctx, &dbosv1.DescribeRequest{Sql: sql, At: at})
	return res, rebuild(dbosv1connect.HistoryServiceDescribeProcedure, err)
}

// Resolve returns the state that a moment names: "16 minutes ago", "LSN 1234",
// "run:order-42". The errors of moments name the bounds.
func (c *Client) Resolve(ctx context.Context, at string) (*dbosv1.Moment, error) {
	res, err := c.history.Resolve(ctx, &dbosv1.ResolveRequest{At: at})
	return res.GetMoment(), rebuild(dbosv1connect.HistoryServiceResolveProcedure, err)
}

// HistoryStatus says what is kept of history, and how far behind it is. With
// open the warehouse is opened if nothing has needed it yet.
func (c *Client) HistoryStatus(ctx context.Context, open bool) (*dbosv1.HistoryServiceStatusResponse, error) {
	res, err := c.history.Status(ctx, &dbosv1.HistoryServiceStatusRequest{Open: open})
	return res, rebuild(dbosv1connect.HistoryServiceStatusProcedure, err)
}

// A ProgressFunc is told how far a call is. It is called from one goroutine.
type ProgressFunc = func(*dbosv1.Progress)

// Seal brings the warehouse's archive up to date.
func (c *Client) Seal(ctx context.Context, progress ProgressFunc) (*dbosv1.HistoryServiceStatusResponse, error) {
	return follow[dbosv1.HistoryServiceStatusResponse](ctx, dbosv1connect.HistoryServiceSealProcedure, c.history.Seal, &dbosv1.SealRequest{}, progress)
}

// Rebuild makes the warehouse's file again from its archive.
func (c *Client) Rebuild(ctx context.Context, progress ProgressFunc) (*dbosv1.HistoryServiceStatusResponse, error) {
	return follow[dbosv1.HistoryServiceStatusResponse](ctx, dbosv1connect.HistoryServiceRebuildProcedure, c.history.Rebuild, &dbosv1.RebuildRequest{}, progress)
}

// Fork makes an independent system as of a moment at the target, a URL as the
// node sees it.
func (c *Client) Fork(ctx context.Context, at, target string, progress ProgressFunc) (*dbosv1.ForkReport, error) {
	return follow[dbosv1.ForkReport](ctx, dbosv1connect.HistoryServiceForkProcedure, c.history.Fork, &dbosv1.ForkRequest{At: at, Target: target}, progress)
}

// PlanRestore says what Restore would do.
func (c *Client) PlanRestore(ctx context.Context, t *dbosv1.RestoreTarget, progress ProgressFunc) (*dbosv1.RestorePlan, error) {
	return follow[dbosv1.RestorePlan](ctx, dbosv1connect.HistoryServicePlanRestoreProcedure, c.history.PlanRestore, &dbosv1.PlanRestoreRequest{Target: t}, progress)
}

// Restore puts tables back to a moment, as one transaction. With an error
// there may be a plan too, which says what stands against it. After an error
// of kind abi.Canceled, abi.Timeout or abi.Unavailable it may have been done:
// it has if there is a transaction of the procedure prov.restore.
func (c *Client) Restore(ctx context.Context, t *dbosv1.RestoreTarget, progress ProgressFunc) (*dbosv1.RestorePlan, error) {
	return follow[dbosv1.RestorePlan](ctx, dbosv1connect.HistoryServiceRestoreProcedure, c.history.Restore, &dbosv1.RestoreRequest{Target: t}, progress)
}

// PlanUndo says what Undo would do.
func (c *Client) PlanUndo(ctx context.Context, t *dbosv1.UndoTarget, progress ProgressFunc) (*dbosv1.UndoPlan, error) {
	return follow[dbosv1.UndoPlan](ctx, dbosv1connect.HistoryServicePlanUndoProcedure, c.history.PlanUndo, &dbosv1.PlanUndoRequest{Target: t}, progress)
}

// Undo takes back work and what followed from it, as one transaction. With an
// error there may be a plan too: see Restore.
func (c *Client) Undo(ctx context.Context, t *dbosv1.UndoTarget, progress ProgressFunc) (*dbosv1.UndoPlan, error) {
	return follow[dbosv1.UndoPlan](ctx, dbosv1connect.HistoryServiceUndoProcedure, c.history.Undo, &dbosv1.UndoRequest{Target: t}, progress)
}

// Replay runs recorded runs again with the functions of the node's program and
// compares; each is called for every run, in turn.
func (c *Client) Replay(ctx context.Context, req *dbosv1.ReplayRequest, progress ProgressFunc, each func(*dbosv1.Replayed)) (*dbosv1.ReplayReport, error) {
	const procedure = dbosv1connect.HistoryServiceReplayProcedure
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := c.history.Replay(ctx, req)
	if err != nil {
		return nil, rebuild(procedure, err)
	}
	defer stream.Close()
	return parts[dbosv1.ReplayReport](procedure, stream, progress, func(m *dbosv1.ReplayResponse) {
		if run := m.GetRun(); run != nil {
			each(run)
		}
	})
}

// A part is one response of a call that streams its progress and then its
// result.
type part[M, R any] interface {
	*M
	GetProgress() *dbosv1.Progress
	GetResult() *R
}

// follow makes a call that streams its progress, and returns its result. It
// may return an error with it.
func follow[R, Q, M any, P part[M, R]](
	ctx context.Context, procedure string,
	call func(context.Context, *Q) (*connect.ServerStreamForClient[M], error), req *Q, progress ProgressFunc,
) (*R, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := call(ctx, req)
	if err != nil {
		return nil, rebuild(procedure, err)
	}
	defer stream.Close()
	return parts[R, M, P](procedure, stream, progress, nil)
}

// parts reads a stream to its end.
func parts[R, M any, P part[M, R]](procedure string, stream *connect.ServerStreamForClient[M], progress ProgressFunc, other func(P)) (*R, error) {
	var result *R
	for stream.Receive() {
		m := P(stream.Msg())
		switch {
		case m.GetProgress() != nil:
			if progress != nil {
				progress(m.GetProgress())
			}
		case m.GetResult() != nil:
			result = m.GetResult()
		case other != nil:
			other(m)
		}
	}
	if err := stream.Err(); err != nil || result == nil {
		return result, rebuild(procedure, ended(err))
	}
	return result, nil
}
