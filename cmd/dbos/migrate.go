package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos"
)

// migrateCommand copies a system from one engine to another.
func (c *cli) migrateCommand() *cobra.Command {
	var from, to string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "migrate --from URL --to URL",
		Short: "Copy a system to another engine",
		Long: `migrate copies a whole system, from a directory to PostgreSQL or back: runs,
journals, queues, the application's tables with their rows, keys, checks and
indexes, and which of its migrations have run. The target must be empty. It is
one transaction: if it fails, nothing is there, and it can be repeated.

No program may have the source open. Every value is checked before anything is
written, and the rows of both sides are compared by checksums. Not copied are
the history, views, triggers and functions; what else could not be carried over
is named. Runs continue when a program opens the target.`,
		Example: `  dbos migrate --from file:shop-data --to postgres://shop@db/shop --dry-run
  dbos migrate --from file:shop-data --to postgres://shop@db/shop
  dbos migrate --from postgres://shop@db/shop --to file:shop-data-2`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for flag, value := range map[string]*string{"from": &from, "to": &to} {
				if *value == "" {
					return usageError("", "--%s is missing", flag)
				}
			}
			return c.migrate(cmd.Context(), from, to, dryRun)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "`URL` of the system: file:DIRECTORY or postgres://USER@HOST/DATABASE")
	f.StringVar(&to, "to", "", "`URL` to copy it to")
	f.BoolVar(&dryRun, "dry-run", false, "check everything, write nothing")
	return cmd
}

// A migrateJSON is what was copied, or would be.
type migrateJSON struct {
	DryRun   bool           `json:"dry_run"`
	Done     bool           `json:"done"`
	Tables   []copiedJSON   `json:"tables"`
	Left     []string       `json:"not_carried_over"`
	Findings []findingsJSON `json:"findings"`
	Error    *errorJSON     `json:"error,omitempty"`
}

// A copiedJSON is one table. The checksums are of the rows as they were
// written, and as the target has them.
type copiedJSON struct {
	Name    string `json:"name"`
	Rows    int64  `json:"rows"`
	Created bool   `json:"created"`
	Source  string `json:"source_checksum"`
	Target  string `json:"target_checksum,omitempty"`
}

// A findingsJSON is a value that does not fit into its column.
type findingsJSON struct {
	Table   string `json:"table"`
	Column  string `json:"column"`
	Row     string `json:"row"`
	Problem string `json:"problem"`
}

func (c *cli) migrate(ctx context.Context, from, to string, dryRun bool) error {
	source, err := parseTarget(from)
	if err != nil {
		return err
	}
	target, err := parseTarget(to)
	if err != nil {
		return err
	}
	if source.url == "" {
		if err := checkDirectory(directoryName(from), source.dir); err != nil {
			return err
		}
	}
	progress := &copyProgress{cli: c, terminal: newScreen(c.err, c.noColor).terminal}
	report, err := dbos.Copy(ctx, source.open(), target.open(), dbos.CopyOptions{DryRun: dryRun, Progress: progress.show})
	progress.end()
	if report == nil {
		return err
	}
	if c.json {
		j := migrateOf(report, dryRun, err)
		if printErr := c.printJSON(j); printErr != nil {
			return printErr
		}
		return err
	}
	if len(report.Findings) > 0 {
		if printErr := findingTable(report).print(c.out, c.screen); printErr != nil {
			return printErr
		}
	}
	if err != nil {
		return err
	}
	return c.printCopied(report, target, dryRun)
}

// open is the URL for dbos.Open.
func (t target) open() string {
	if t.url != "" {
		return t.url
	}
	return "file:" + t.dir
}

func migrateOf(r *dbos.CopyReport, dryRun bool, err error) migrateJSON {
	j := migrateJSON{DryRun: dryRun, Done: err == nil && !dryRun, Tables: []copiedJSON{}, Left: []string{}, Findings: []findingsJSON{}, Error: errorOf(err)}
	for _, t := range r.Tables {
		j.Tables = append(j.Tables, copiedJSON{t.Name, t.Rows, t.Created, t.Source, t.Target})
	}
	j.Left = append(j.Left, r.Left...)
	for _, f := range r.Findings {
		j.Findings = append(j.Findings, findingsJSON{f.Table, f.Column, f.Row, f.Problem})
	}
	return j
}

// findingTable lists the values that do not fit.
func findingTable(r *dbos.CopyReport) *table {
	t := &table{columns: []column{{title: "TABLE"}, {title: "COLUMN"}, {title: "ROW", least: 8}, {title: "PROBLEM", least: 16}}}
	for _, f := range r.Findings {
		t.add(cell{f.Table, bold}, cell{f.Column, plain}, cell{f.Row, plain}, cell{f.Problem, red})
	}
	return t
}

// printCopied prints the tables with their checksums, and what is missing.
func (c *cli) printCopied(r *dbos.CopyReport, to target, dryRun bool) error {
	t := &table{columns: []column{{title: "TABLE", least: 8}, {title: "ROWS", right: true}, {title: "SOURCE"}, {title: "TARGET"}}}
	rows := int64(0)
	for _, copied := range r.Tables {
		rows += copied.Rows
		t.add(cell{copied.Name, bold}, cell{fmt.Sprint(copied.Rows), plain}, cell{copied.Source, dim}, cell{copied.Target, dim})
	}
	if err := t.print(c.out, c.screen); err != nil {
		return err
	}
	for _, left := range r.Left {
		fmt.Fprintf(c.err, "note: not carried over: %s\n", printable(left))
	}
	what := count(int(rows), "row") + " of " + count(len(r.Tables), "table")
	if dryRun {
		_, err := fmt.Fprintf(c.out, "%s would be copied; nothing was written\n", what)
		return err
	}
	place := "that directory"
	if to.url != "" {
		place = "that URL"
	}
	_, err := fmt.Fprintf(c.out, "%s copied, and compared by checksums; history begins anew\nRuns continue when the program opens %s.\n", what, place)
	return err
}

// A copyProgress shows how far a copy is: on a terminal in place, elsewhere as
// a line now and then.
type copyProgress struct {
	cli      *cli
	terminal bool
	last     time.Time
	shown    bool
}

// phases are what a copy does, for people.
var phases = map[string]string{"check": "checking", "copy": "copying", "verify": "comparing"}

func (p *copyProgress) show(now dbos.CopyProgress) {
	pause := 5 * time.Second
	if p.terminal {
		pause = 100 * time.Millisecond
	}
	if p.last.IsZero() {
		p.last = time.Now()
	}
	if time.Since(p.last) < pause {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf("%s %s: %d", phases[now.Phase], printable(now.Table), now.Rows)
	if now.Total > 0 {
		line += fmt.Sprintf(" of %s", count(int(now.Total), "row"))
	} else {
		line += " rows"
	}
	if p.terminal {
		p.shown = true
		fmt.Fprintf(p.cli.err, "\r%s\x1b[K", line)
		return
	}
	fmt.Fprintln(p.cli.err, line)
}

// end removes the line.
func (p *copyProgress) end() {
	if p.shown {
		fmt.Fprint(p.cli.err, "\r\x1b[K")
	}
}
