package server

import (
	"context"
	"encoding/json"
	"time"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// watchPause is the shortest time between two listings of a Watch: a busy
// node changes runs thousands of times a second, and nobody reads as fast.
const watchPause = 100 * time.Millisecond

// runService implements dbosv1connect.RunServiceHandler.
type runService struct {
	sys     *dbos.System
	closing context.Context // done when the door closes
}

func (s *runService) Start(ctx context.Context, req *dbosv1.StartRequest) (*dbosv1.StartResponse, error) {
	input := json.RawMessage(req.Input)
	if len(input) == 0 {
		input = json.RawMessage("null")
	}
	if !json.Valid(input) {
		return nil, abi.Errorf("server.start", abi.Invalid, "input", "it is not JSON").
			WithHint(`write a JSON value, such as '{"item":"hat"}', '"text"' or 42`)
	}
	var opts []dbos.StartOption
	if req.Id != "" {
		opts = append(opts, dbos.ID(req.Id))
	}
	if req.Queue != "" {
		opts = append(opts, dbos.OnQueueNamed(req.Queue))
	}
	if req.Priority != 0 {
		opts = append(opts, dbos.Priority(int(req.Priority)))
	}
	id, err := s.sys.StartNamed(ctx, req.Workflow, input, opts...)
	if err != nil {
		return nil, err
	}
	return &dbosv1.StartResponse{Id: id}, nil
}

func (s *runService) List(ctx context.Context, req *dbosv1.ListRequest) (*dbosv1.ListResponse, error) {
	runs, err := s.list(ctx, req.Filter)
	if err != nil {
		return nil, err
	}
	return &dbosv1.ListResponse{Runs: runs}, nil
}

func (s *runService) list(ctx context.Context, f *dbosv1.RunFilter) ([]*dbosv1.Run, error) {
	filter, err := runFilter(f)
	if err != nil {
		return nil, err
	}
	infos, err := s.sys.Runs(ctx, filter)
	if err != nil {
		return nil, err
	}
	runs := make([]*dbosv1.Run, len(infos))
	for i, info := range infos {
		runs[i] = runMessage(info)
		runs[i].Input, runs[i].Output = "", ""
	}
	return runs, nil
}

func (s *runService) Watch(ctx context.Context, req *dbosv1.WatchRequest, stream *connect.ServerStream[dbosv1.WatchResponse]) error {
	watcher := s.sys.Watch("runs")
	defer watcher.Close()
	pause := time.NewTimer(watchPause)
	defer pause.Stop()
	for {
		runs, err := s.list(ctx, req.Filter)
		if err != nil {
			return err
		}
		if err := stream.Send(&dbosv1.WatchResponse{Runs: runs}); err != nil {
			return err
		}
		pause.Reset(watchPause)
		if err := wait(ctx, s.closing, pause.C); err != nil {
			return err
		}
		if err := wait(ctx, s.closing, watcher.C()); err != nil {
			return err
		}
	}
}

// wait returns nil after a receive from c, and an error when the call or the
// door ends first.
func wait[T any](ctx, closing context.Context, c <-chan T) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-closing.Done():
		return errClosing
	}
}

func (s *runService) Get(ctx context.Context, req *dbosv1.GetRequest) (*dbosv1.GetResponse, error) {
	info, err := s.sys.Lookup(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	steps, err := s.sys.Journal(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	events, err := s.sys.Events(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	return &dbosv1.GetResponse{
		Run:    runMessage(info),
		Steps:  messages(steps, stepMessage),
		Events: messages(events, eventMessage),
	}, nil
}

func (s *runService) Cancel(ctx context.Context, req *dbosv1.CancelRequest) (*dbosv1.CancelResponse, error) {
	if err := s.sys.Cancel(ctx, req.Id); err != nil {
		return nil, err
	}
	return &dbosv1.CancelResponse{}, nil
}

func (s *runService) Resume(ctx context.Context, req *dbosv1.ResumeRequest) (*dbosv1.ResumeResponse, error) {
	if err := s.sys.Resume(ctx, req.Id); err != nil {
		return nil, err
	}
	return &dbosv1.ResumeResponse{}, nil
}

// Wait waits by the outcome and then reads the run, whose state says more
// than the outcome's error.
func (s *runService) Wait(ctx context.Context, req *dbosv1.WaitRequest) (*dbosv1.WaitResponse, error) {
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(s.closing, func() { stop(errClosing) })()
	_, outcomeErr := s.sys.Outcome(waiting, req.Id)
	if waiting.Err() != nil {
		return nil, context.Cause(waiting)
	}
	info, err := s.sys.Lookup(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	if info.FinishedAt == nil {
		// The waiting failed, not the run.
		return nil, outcomeErr
	}
	return &dbosv1.WaitResponse{Run: runMessage(info)}, nil
}

var errClosing = abi.Errorf("server.close", abi.Unavailable, "node", "it is closing its door").
	WithHint("ask again when the program runs again")
