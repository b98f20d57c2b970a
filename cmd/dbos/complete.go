package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// A completer offers words for an argument or flag.
type completer = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective)

// completionTime bounds how long a person waits after pressing Tab.
const completionTime = 500 * time.Millisecond

// recent returns the newest runs if a node or a server answers at once.
// Completion never opens a directory.
func (c *cli) recent(ctx context.Context, live bool) []*dbosv1.Run {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	t, err := c.target()
	if err != nil {
		return nil
	}
	node, err := answering(ctx, t)
	if err != nil {
		return nil
	}
	defer node.close()
	runs, err := node.List(ctx, &dbosv1.RunFilter{Live: live, Limit: 200})
	if err != nil {
		return nil
	}
	return runs
}

// completeRuns offers IDs of runs, with what they are.
func (c *cli) completeRuns(live bool) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var words []string
		for _, r := range c.recent(cmd.Context(), live) {
			if !slices.Contains(args, r.Id) {
				words = append(words, cobra.CompletionWithDesc(r.Id, r.Workflow+", "+stateName(r.State)))
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeWorkflows offers the names of workflows that ran lately.
func (c *cli) completeWorkflows(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && cmd.Name() == "start" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, r := range c.recent(cmd.Context(), false) {
		words = append(words, r.Workflow)
	}
	slices.Sort(words)
	return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
}

// completeFlag offers words for a flag, which must exist.
func completeFlag(cmd *cobra.Command, flag string, complete completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // a misspelt flag in this package
	}
}
