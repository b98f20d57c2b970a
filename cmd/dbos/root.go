package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const rootHelp = `dbos shows and controls the durable runs of a data directory or of a PostgreSQL
database, asks about its past, and puts it back. It talks to the program that owns the directory, or opens a directory
that nobody owns; a database it opens beside the programs that share it. It
executes nothing itself.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 the state or a
permission does not allow it, 5 nobody answers or out of time, 130 interrupted.`

const rootExamples = `  dbos ps                                    what runs now
  dbos show order-42                         one run, step by step
  dbos start checkout '{"item":"hat"}'       start a run
  dbos sql 'select state, count(*) from sched_task group by 1'
  dbos sql --at '16 minutes ago' 'select * from stock'
  dbos restore --to '16 minutes ago' --dry-run`

// usageTemplate is shorter than cobra's.
const usageTemplate = `Usage:{{if .HasParent}}
  {{.UseLine}}{{else}}
  {{.CommandPath}} COMMAND [ARGUMENTS]

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if and .HasParent .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if not .HasParent}}

dbos COMMAND --help shows how a command is used.{{end}}
`

// root returns the command tree.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:                        "dbos",
		Short:                      "Show and control durable runs",
		Long:                       rootHelp,
		Example:                    rootExamples,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       c.unknown,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE:          c.begin,
	}
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetIn(c.in)
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&c.data, "data", "d", "", "data `DIRECTORY`, or postgres://USER@HOST/DATABASE (default $DBOS_DATA, or ./dbos-data)")
	flags.BoolVar(&c.json, "json", false, "print JSON for programs")
	flags.BoolVar(&c.noColor, "no-color", false, "print without color (also: NO_COLOR=1)")
	root.AddCommand(
		c.startCommand(), c.psCommand(), c.showCommand(), c.cancelCommand(), c.resumeCommand(),
		c.sqlCommand(), c.serveCommand(), c.historyCommand(), c.forkCommand(), c.restoreCommand(), c.undoCommand(), c.replayCommand(),
		c.statusCommand(), c.migrateCommand(), c.versionCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		cmd.Flags().SortFlags = false
	}
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		c.command = cmd.CommandPath()
		return usageError("", "%s", err)
	})
	return root
}

// begin runs when the command line is understood.
func (c *cli) begin(cmd *cobra.Command, _ []string) error {
	c.begun = true
	c.screen = newScreen(c.out, c.noColor)
	return nil
}

// unknown refuses arguments of dbos itself: they are commands that it does
// not have.
func (c *cli) unknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "dbos help lists the commands"
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		hint = "did you mean dbos " + strings.Join(similar, " or dbos ") + "?"
	}
	return usageError(hint, "there is no command %q", args[0])
}

// arguments returns a check that a command has from min to max arguments; a
// negative max is no limit.
func (c *cli) arguments(min, max int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		c.command = cmd.CommandPath()
		switch {
		case len(args) < min:
			missing := strings.Fields(cmd.Use)[1+len(args)]
			return usageError("", "%s: %s is missing", cmd.Name(), strings.TrimSuffix(missing, "..."))
		case max == 0 && len(args) > 0:
			return usageError("", "%s takes no arguments, got %q", cmd.Name(), args[0])
		case max > 0 && len(args) > max:
			return usageError("", "%s: %q is one argument too many", cmd.Name(), args[max])
		}
		return nil
	}
}

// A usage is an error of the command line.
type usage struct {
	problem, hint string
}

func (u *usage) Error() string { return u.problem }

func usageError(hint, format string, args ...any) error {
	return &usage{problem: fmt.Sprintf(format, args...), hint: hint}
}
