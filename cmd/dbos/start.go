package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// startCommand starts a run and, if asked, waits for it.
func (c *cli) startCommand() *cobra.Command {
	req := &dbosv1.StartRequest{}
	var wait bool
	cmd := &cobra.Command{
		Use:   "start WORKFLOW [INPUT]",
		Short: "Start a run of a workflow",
		Long: `start records a run of a workflow, durably, and prints its ID. INPUT is a JSON
value, or - to read it from standard input; without it the input is null.

With --id the command may be repeated: it starts at most one run. The exit code
of --wait is 1 if the run fails; Ctrl-C ends the waiting, not the run.`,
		Example: `  dbos start checkout '{"item":"hat","count":2}' --id order-42
  dbos start report '"2026-05"' --wait
  jq .order order.json | dbos start checkout -`,
		Args:              c.arguments(1, 2),
		ValidArgsFunction: c.completeWorkflows,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Workflow = args[0]
			if len(args) > 1 {
				input, err := c.argument(args[1])
				if err != nil {
					return err
				}
				req.Input = input
			}
			return c.start(cmd.Context(), req, wait)
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Id, "id", "", "`ID` of the run (default a new one)")
	f.StringVar(&req.Queue, "queue", "", "put the run on the queue `NAME`")
	f.Int32Var(&req.Priority, "priority", 0, "higher `N` goes first in its queue")
	f.BoolVar(&wait, "wait", false, "wait for the run and print its output")
	return cmd
}

// argument returns an argument's text: "-" stands for standard input.
func (c *cli) argument(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	// One byte more than the node takes, so that it is the node who refuses.
	text, err := io.ReadAll(io.LimitReader(c.in, maxInput+1))
	if err != nil {
		return "", abi.Errorf("dbos.read", abi.Unavailable, "standard input", "%w", err)
	}
	if len(text) > maxInput {
		return "", abi.Errorf("dbos.read", abi.Exhausted, "standard input", "it has more than %d bytes", maxInput).
			WithHint("put large data into a table or file, and pass its name")
	}
	return string(text), nil
}

// maxInput bounds what is read from standard input, in bytes.
const maxInput = 4 << 20

func (c *cli) start(ctx context.Context, req *dbosv1.StartRequest, wait bool) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	id, err := s.Start(ctx, req)
	if err != nil {
		return err
	}
	if wait {
		return c.await(ctx, s, id)
	}
	if c.json {
		return c.printJSON(struct {
			ID string `json:"id"`
		}{id})
	}
	fmt.Fprintln(c.out, id)
	idle, err := s.idle(ctx)
	if idle {
		fmt.Fprintf(c.err, "note: no program has the %s open; the run begins when one does\n", s.place())
	}
	return err
}

// await waits for a run and prints how it ended.
func (c *cli) await(ctx context.Context, s *session, id string) error {
	if err := executed(ctx, s, id); err != nil {
		return err
	}
	run, err := s.Wait(ctx, id)
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintf(c.err, "note: run %s goes on; see dbos show %s\n", printable(id), printable(id))
		}
		return err
	}
	return c.ended(run)
}

// executed refuses to wait for a run that nobody executes: it might be for
// ever, and would keep a directory from the program that could.
func executed(ctx context.Context, s *session, id string) error {
	if idle, err := s.idle(ctx); err != nil || !idle {
		return err
	}
	res, err := s.Get(ctx, id)
	if err != nil || res.Run.FinishedAt != nil {
		return err
	}
	return abi.Errorf("dbos.wait", abi.Unavailable, fmt.Sprintf("run %s", id), "it is recorded, but no program has the %s open to execute it", s.place()).
		WithHint("start the program; dbos start with the same --id and --wait then waits for this run")
}

// ended prints a finished run's output, or fails with its failure.
func (c *cli) ended(run *dbosv1.Run) error {
	if c.json {
		if err := c.printJSON(runOf(run)); err != nil {
			return err
		}
		if run.State != dbosv1.RunState_RUN_STATE_SUCCEEDED {
			return reported{errUnsuccessful}
		}
		return nil
	}
	if run.State == dbosv1.RunState_RUN_STATE_SUCCEEDED {
		_, err := fmt.Fprintln(c.out, run.Output)
		return err
	}
	return abi.Errorf("dbos.wait", abi.Other, fmt.Sprintf("run %s", run.Id), "it %s: %s", stateName(run.State), run.Failure.GetMessage()).
		WithHint("dbos show %s has the steps", run.Id)
}
