package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// forkCommand makes a system of its own as of a moment.
func (c *cli) forkCommand() *cobra.Command {
	at := ""
	cmd := &cobra.Command{
		Use:   "fork --at MOMENT TARGET",
		Short: "Make an independent copy of the system as of a moment",
		Long: `fork makes a whole system of its own as of a moment: tables, runs and journals.
TARGET is, of a directory, another one that is not there yet or is empty; of a
PostgreSQL database, the URL of an empty one. The original is only read.
(dbos migrate carries a fork to another engine.)

Runs that were unfinished then go on in the fork as soon as a program opens and
launches it, with everything that they do outside of the database. To look at it
without that, use dbos, which executes nothing.

` + momentHelp,
		Example: `  dbos fork --at '16 minutes ago' before
  dbos sql -d before 'select * from stock'
  dbos fork -d postgres://shop@db/shop --at run:order-42 postgres://shop@db/what_if`,
		Args: c.arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if at == "" {
				return usageError("such as --at '16 minutes ago', or --at now", "--at is missing")
			}
			return c.fork(cmd.Context(), at, args[0])
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "the `MOMENT`")
	return cmd
}

// A forkJSON is what a fork holds.
type forkJSON struct {
	At         *momentJSON     `json:"at"`
	Location   string          `json:"location"`
	Tables     []forkTableJSON `json:"tables"`
	Unfinished int64           `json:"unfinished_runs"`
	Warnings   []string        `json:"warnings"`
}

// A forkTableJSON is a table of a fork.
type forkTableJSON struct {
	Name     string `json:"name"`
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum"`
}

func forkOf(r *dbosv1.ForkReport) forkJSON {
	j := forkJSON{At: momentOf(r.Moment), Location: r.Location, Tables: []forkTableJSON{}, Unfinished: r.Unfinished, Warnings: append([]string{}, r.Warnings...)}
	for _, t := range r.Tables {
		j.Tables = append(j.Tables, forkTableJSON{t.Name, t.Rows, t.Checksum})
	}
	return j
}

func (c *cli) fork(ctx context.Context, at, name string) error {
	target, err := parseTarget(name)
	if err == nil && target.url == "" {
		err = checkVacant(name, target.dir)
	}
	if err != nil {
		return err
	}
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	t := c.track("forking")
	report, err := s.Fork(ctx, at, target.open(), t.show)
	t.end()
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(forkOf(report))
	}
	return c.printFork(report, name)
}

// checkVacant refuses a directory that has something in it, before anything
// is done.
func checkVacant(given, abs string) error {
	resource := "directory " + given
	entries, err := os.ReadDir(abs)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return abi.Errorf("dbos.fork", abi.Invalid, resource, "%w", errors.Unwrap(err))
	case len(entries) > 0:
		return abi.Errorf("dbos.fork", abi.Exists, resource, "it is not empty: it has %s", entries[0].Name()).
			WithHint("name one that is not there yet, such as %s", shellWord(filepath.Clean(directoryName(given))+"-fork"))
	}
	return nil
}

func (c *cli) printFork(r *dbosv1.ForkReport, name string) error {
	d := c.document()
	t := &table{columns: []column{{title: "TABLE", least: 8}, {title: "ROWS", right: true}, {title: "CHECKSUM"}}}
	rows := int64(0)
	for _, f := range r.Tables {
		rows += f.Rows
		t.add(cell{f.Name, bold}, cell{strconv.FormatInt(f.Rows, 10), plain}, cell{f.Checksum[:min(len(f.Checksum), 16)], dim})
	}
	d.table(t, true)
	d.warnings(r.Warnings)
	d.gap()
	d.line("%s of %s, as of %s", count(int(rows), "row"), count(len(r.Tables), "table"), printable(momentText(r.Moment, c.now())))
	if r.Unfinished > 0 {
		d.line("%s outside of the database.", plural(int(r.Unfinished),
			"1 run is unfinished. It goes on when a program launches the fork, with what it does",
			"%d runs are unfinished. They go on when a program launches the fork, with what they do"))
	}
	d.line("To look at it: %s", c.screen.paint(fmt.Sprintf("dbos ps --all -d %s", printable(shellWord(name))), bold))
	return d.err
}
