package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// psCommand lists runs.
func (c *cli) psCommand() *cobra.Command {
	filter := &dbosv1.RunFilter{}
	var all, watch bool
	var stateList []string
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List runs: what runs, since when, by whom",
		Long: `ps lists the unfinished runs, newest first: what runs, in which state, since
when, who started it, and what it waits for.

With --watch the listing follows every change, also over restarts of the
program, until Ctrl-C. With --json it is then one line of JSON a change.`,
		Example: `  dbos ps
  dbos ps --all --limit 20
  dbos ps --state failed,cancelled --workflow checkout
  dbos ps --all --json | jq -r '.[].id'`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if filter.States, err = parseStates(stateList); err != nil {
				return err
			}
			if filter.Limit < 1 {
				return usageError("", "--limit %d is below 1", filter.Limit)
			}
			filter.Live = !all && len(stateList) == 0
			if watch {
				return c.watch(cmd.Context(), filter)
			}
			return c.ps(cmd.Context(), filter)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&all, "all", "a", false, "finished runs too")
	f.StringSliceVar(&stateList, "state", nil, "only runs in one of the `STATES`, separated by commas")
	f.StringVar(&filter.Workflow, "workflow", "", "only runs of the workflow `NAME`")
	f.StringVar(&filter.Queue, "queue", "", "only runs on the queue `NAME`")
	f.StringVar(&filter.Parent, "parent", "", "only runs that the run `ID` started")
	f.Int32Var(&filter.Limit, "limit", 100, "at most `N` runs")
	f.BoolVarP(&watch, "watch", "w", false, "follow the changes")
	completeFlag(cmd, "state", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return stateNames(), cobra.ShellCompDirectiveNoFileComp
	})
	completeFlag(cmd, "workflow", c.completeWorkflows)
	completeFlag(cmd, "parent", c.completeRuns(false))
	return cmd
}

func (c *cli) ps(ctx context.Context, filter *dbosv1.RunFilter) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	runs, err := s.List(ctx, filter)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(runsOf(runs))
	}
	return c.printRuns(c.out, runs, filter)
}

// printRuns prints a listing, and what it does not show.
func (c *cli) printRuns(w io.Writer, runs []*dbosv1.Run, filter *dbosv1.RunFilter) error {
	if len(runs) == 0 {
		text := "no runs"
		if filter.Live {
			text = "nothing is running (dbos ps --all shows what has finished)"
		}
		_, err := fmt.Fprintln(w, c.screen.paint(text, dim))
		return err
	}
	if err := runTable(runs, c.now()).print(w, c.screen); err != nil {
		return err
	}
	if len(runs) < int(filter.Limit) {
		return nil
	}
	_, err := fmt.Fprintln(w, c.screen.paint(fmt.Sprintf("the newest %d; --limit shows more", len(runs)), dim))
	return err
}
