package client

import (
	"context"
	"iter"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/proto/dbos/v1/dbosv1connect"
)

// Start records a run, durably, and returns its ID. With an ID in the request
// it may be repeated after any failure: it starts at most one run.
func (c *Client) Start(ctx context.Context, req *dbosv1.StartRequest) (string, error) {
	res, err := c.runs.Start(ctx, req)
	return res.GetId(), rebuild(dbosv1connect.RunServiceStartProcedure, err)
}

// List returns the runs that match the filter, newest first, without their
// inputs and outputs. A nil filter matches all.
func (c *Client) List(ctx context.Context, f *dbosv1.RunFilter) ([]*dbosv1.Run, error) {
	res, err := c.runs.List(ctx, &dbosv1.ListRequest{Filter: f})
	return res.GetRuns(), rebuild(dbosv1connect.RunServiceListProcedure, err)
}

// Watch yields what List returns, at once and after every change, until ctx
// ends or the node goes away, which is the error yielded last.
func (c *Client) Watch(ctx context.Context, f *dbosv1.RunFilter) iter.Seq2[[]*dbosv1.Run, error] {
	return func(yield func([]*dbosv1.Run, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		const procedure = dbosv1connect.RunServiceWatchProcedure
		stream, err := c.runs.Watch(ctx, &dbosv1.WatchRequest{Filter: f})
		if err != nil {
			yield(nil, rebuild(procedure, err))
			return
		}
		defer stream.Close()
		for stream.Receive() {
			if !yield(stream.Msg().Runs, nil) {
				return
			}
		}
		yield(nil, rebuild(procedure, ended(stream.Err())))
	}
}

// Get returns a run with its journal and events, or abi.NotFound.
func (c *Client) Get(ctx context.Context, id string) (*dbosv1.GetResponse, error) {
	res, err := c.runs.Get(ctx, &dbosv1.GetRequest{Id: id})
	return res, rebuild(dbosv1connect.RunServiceGetProcedure, err)
}

// Cancel stops a run and its unfinished children. Cancelling a cancelled run
// does nothing; a finished one is an abi.Conflict.
func (c *Client) Cancel(ctx context.Context, id string) error {
	_, err := c.runs.Cancel(ctx, &dbosv1.CancelRequest{Id: id})
	return rebuild(dbosv1connect.RunServiceCancelProcedure, err)
}

// Resume continues a cancelled or failed run from its journal.
func (c *Client) Resume(ctx context.Context, id string) error {
	_, err := c.runs.Resume(ctx, &dbosv1.ResumeRequest{Id: id})
	return rebuild(dbosv1connect.RunServiceResumeProcedure, err)
}

// Wait returns the run once it has finished; its state says how. The run does
// not notice when ctx ends the waiting.
func (c *Client) Wait(ctx context.Context, id string) (*dbosv1.Run, error) {
	res, err := c.runs.Wait(ctx, &dbosv1.WaitRequest{Id: id})
	return res.GetRun(), rebuild(dbosv1connect.RunServiceWaitProcedure, err)
}
