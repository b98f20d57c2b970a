package server

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// historyService implements dbosv1connect.HistoryServiceHandler.
type historyService struct {
	sys   *dbos.System
	time  time.Duration // of one query
	slots chan struct{} // one for each query under way
}

func (s *historyService) Describe(ctx context.Context, req *dbosv1.DescribeRequest) (*dbosv1.DescribeResponse, error) {
	if err := checkStatement(req.Sql); err != nil {
		return nil, err
	}
	d, err := s.sys.History().Describe(ctx, req.At, req.Sql)
	if err != nil {
		return nil, err
	}
	res := &dbosv1.DescribeResponse{Params: messages(d.Params, text)}
	for _, c := range d.Columns {
		res.Columns = append(res.Columns, &dbosv1.HistoryColumn{Name: text(c.Name), Type: text(c.Type)})
	}
	return res, nil
}

func (s *historyService) Resolve(ctx context.Context, req *dbosv1.ResolveRequest) (*dbosv1.ResolveResponse, error) {
	m, err := s.sys.History().Moment(ctx, momentOrNow(req.At))
	if err != nil {
		return nil, err
	}
	return &dbosv1.ResolveResponse{Moment: momentMessage(m)}, nil
}

func momentOrNow(at string) string {
	if at == "" {
		return "now"
	}
	return at
}

func (s *historyService) Status(ctx context.Context, req *dbosv1.HistoryServiceStatusRequest) (*dbosv1.HistoryServiceStatusResponse, error) {
	res, err := s.status(ctx)
	if err != nil || !req.Open || res.Opened || !res.Available || res.Failure != nil {
		return res, err
	}
	if err := s.sys.History().Flush(ctx); err != nil {
		return nil, err
	}
	return s.status(ctx)
}

func (s *historyService) status(ctx context.Context) (*dbosv1.HistoryServiceStatusResponse, error) {
	status, err := s.sys.History().Status(ctx)
	if err != nil {
		return nil, err
	}
	return statusMessage(status), nil
}

func (s *historyService) Seal(ctx context.Context, _ *dbosv1.SealRequest, stream *connect.ServerStream[dbosv1.SealResponse]) error {
	if err := s.sys.History().Seal(ctx); err != nil {
		return err
	}
	status, err := s.status(ctx)
	if err != nil {
		return err
	}
	return stream.Send(&dbosv1.SealResponse{Part: &dbosv1.SealResponse_Result{Result: status}})
}

func (s *historyService) Rebuild(ctx context.Context, _ *dbosv1.RebuildRequest, stream *connect.ServerStream[dbosv1.RebuildResponse]) error {
	r := report(stream.Send, func(p *dbosv1.Progress) *dbosv1.RebuildResponse {
		return &dbosv1.RebuildResponse{Part: &dbosv1.RebuildResponse_Progress{Progress: p}}
	})
	err := s.sys.History().Rebuild(ctx, r.progress)
	r.end()
	if err != nil {
		return err
	}
	status, err := s.status(ctx)
	if err != nil {
		return err
	}
	return stream.Send(&dbosv1.RebuildResponse{Part: &dbosv1.RebuildResponse_Result{Result: status}})
}

func (s *historyService) Fork(ctx context.Context, req *dbosv1.ForkRequest, stream *connect.ServerStream[dbosv1.ForkResponse]) error {
	for name, value := range map[string]string{"at": req.At, "target": req.Target} {
		if value == "" {
			return missing("server.fork", name)
		}
	}
	r := report(stream.Send, func(p *dbosv1.Progress) *dbosv1.ForkResponse {
		return &dbosv1.ForkResponse{Part: &dbosv1.ForkResponse_Progress{Progress: p}}
	})
	made, err := s.sys.History().Fork(ctx, req.At, req.Target, r.progress)
	r.end()
	if err != nil {
		return err
	}
	return stream.Send(&dbosv1.ForkResponse{Part: &dbosv1.ForkResponse_Result{Result: forkMessage(made)}})
}

func missing(op, argument string) error {
	return abi.Errorf(op, abi.Invalid, "argument "+argument, "it is missing")
}

// Replay streams every run as it is replayed, so that a long listing is seen
// while it grows.
func (s *historyService) Replay(ctx context.Context, req *dbosv1.ReplayRequest, stream *connect.ServerStream[dbosv1.ReplayResponse]) error {
	if req.Limit < 0 {
		return abi.Errorf("server.replay", abi.Invalid, "argument limit", "%d is negative", req.Limit)
	}
	r := report(stream.Send, func(p *dbosv1.Progress) *dbosv1.ReplayResponse {
		return &dbosv1.ReplayResponse{Part: &dbosv1.ReplayResponse_Progress{Progress: p}}
	})
	// A client who has gone ends the replay by its context.
	each := func(run dbos.Replayed) {
		r.send(&dbosv1.ReplayResponse{Part: &dbosv1.ReplayResponse_Run{Run: replayedMessage(run)}})
	}
	done, err := s.sys.History().Replay(ctx, dbos.ReplayOptions{
		Runs: req.Runs, Since: req.Since, Names: req.Workflows, Limit: int(req.Limit), Progress: r.progress,
	}, each)
	r.end()
	if err != nil {
		return err
	}
	return stream.Send(&dbosv1.ReplayResponse{Part: &dbosv1.ReplayResponse_Result{Result: replayMessage(done)}})
}

// progressPause is the shortest time between two messages of progress.
const progressPause = 100 * time.Millisecond

// A reporter sends the progress of a call without ever holding the call up:
// what works may hold locks, and the client may have stopped reading. The
// latest progress wins.
type reporter[M any] struct {
	sending func(*M) error
	wrap    func(*dbosv1.Progress) *M
	latest  chan *dbosv1.Progress
	stop    chan struct{}
	ended   chan struct{}
	mu      sync.Mutex // of sending
}

// report begins to send what progress is told. end must be called before
// anything else is sent.
func report[M any](send func(*M) error, wrap func(*dbosv1.Progress) *M) *reporter[M] {
	r := &reporter[M]{sending: send, wrap: wrap,
		latest: make(chan *dbosv1.Progress, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	go r.run()
	return r
}

func (r *reporter[M]) run() {
	defer close(r.ended)
	pause := time.NewTimer(progressPause)
	defer pause.Stop()
	for {
		select {
		case p := <-r.latest:
			if !r.send(r.wrap(p)) {
				return
			}
		case <-r.stop:
			return
		}
		pause.Reset(progressPause)
		select {
		case <-pause.C:
		case <-r.stop:
			return
		}
	}
}

// send reports whether the client still listens.
func (r *reporter[M]) send(m *M) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sending(m) == nil
}

// progress notes how far the call is. It never waits.
func (r *reporter[M]) progress(p dbos.HistoryProgress) {
	m := progressMessage(p)
	for {
		select {
		case r.latest <- m:
			return
		default:
		}
		select {
		case <-r.latest: // an older one
		default:
		}
	}
}

// end waits until nothing is being sent.
func (r *reporter[M]) end() {
	close(r.stop)
	<-r.ended
}

func (s *historyService) Query(ctx context.Context, req *dbosv1.HistoryServiceQueryRequest, stream *connect.ServerStream[dbosv1.HistoryServiceQueryResponse]) error {
	if err := checkStatement(req.Sql); err != nil {
		return err
	}
	if writes(req.Sql) {
		return abi.Errorf("server.history", abi.Denied, "statement", "it changes something, and history is only read").
			WithHint("write through SqlService.Exec, in the engine's own dialect")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.time, errStatementTime(s.time))
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := s.query(ctx, req, stream)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (s *historyService) query(ctx context.Context, req *dbosv1.HistoryServiceQueryRequest, stream *connect.ServerStream[dbosv1.HistoryServiceQueryResponse]) error {
	rows, err := s.sys.History().Query(ctx, req.At, req.Sql, arguments(req.Args)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	header := &dbosv1.HistoryHeader{Columns: messages(rows.Columns(), columnMessage), At: momentMessage(rows.At())}
	if err := stream.Send(&dbosv1.HistoryServiceQueryResponse{Part: &dbosv1.HistoryServiceQueryResponse_Header{Header: header}}); err != nil {
		return err
	}
	b := &batcher{send: func(rows *dbosv1.RowBatch) error {
		return stream.Send(&dbosv1.HistoryServiceQueryResponse{Part: &dbosv1.HistoryServiceQueryResponse_Rows{Rows: rows}})
	}}
	for rows.Next() {
		row, n, err := rowMessage(rows.Values())
		if err == nil {
			err = b.add(row, n)
		}
		if err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return b.flush()
}
