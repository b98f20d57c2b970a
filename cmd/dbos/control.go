package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/client"
)

// cancelCommand calls runs off.
func (c *cli) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN...",
		Short: "Cancel runs",
		Long: `cancel stops runs and the unfinished runs that they started. A step that is
running is told to stop; what is recorded stays. Cancelling a cancelled run does
nothing, and one that has finished otherwise cannot be cancelled.`,
		Example:           `  dbos cancel order-42`,
		Args:              c.arguments(1, -1),
		ValidArgsFunction: c.completeRuns(true),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.control(cmd.Context(), args, "cancelled", (*client.Client).Cancel)
		},
	}
}

// resumeCommand continues runs.
func (c *cli) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume RUN...",
		Short: "Continue failed or cancelled runs",
		Long: `resume continues failed or cancelled runs from their journals: steps that
succeeded are not repeated. A run that is unfinished is left alone, and one that
succeeded cannot be resumed.`,
		Example:           `  dbos resume order-42`,
		Args:              c.arguments(1, -1),
		ValidArgsFunction: c.completeRuns(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.control(cmd.Context(), args, "resumed", (*client.Client).Resume)
		},
	}
}

// A controlJSON says how it went with one run.
type controlJSON struct {
	ID    string     `json:"id"`
	Done  bool       `json:"done"`
	Error *errorJSON `json:"error,omitempty"`
}

// control does something to each run, and to all even if one fails. The exit
// code is that of the first failure.
func (c *cli) control(ctx context.Context, ids []string, done string, do func(*client.Client, context.Context, string) error) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	var first error
	var results []controlJSON
	for _, id := range ids {
		err := do(s.Client, ctx, id)
		if ctx.Err() != nil {
			return err
		}
		results = append(results, controlJSON{ID: id, Done: err == nil, Error: errorOf(err)})
		if err != nil {
			printError(c.err, err, c.command)
			if first == nil {
				first = reported{err}
			}
			continue
		}
		if !c.json {
			fmt.Fprintf(c.out, "%s %s\n", printable(id), done)
		}
	}
	if c.json {
		if err := c.printJSON(results); err != nil {
			return err
		}
	}
	return first
}
