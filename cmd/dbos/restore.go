package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// restoreCommand puts tables back to a moment.
func (c *cli) restoreCommand() *cobra.Command {
	target := &dbosv1.RestoreTarget{}
	var agreed consent
	cmd := &cobra.Command{
		Use:   "restore --to MOMENT",
		Short: "Put everything, or chosen tables, back to a moment",
		Long: `restore puts the whole system back to what it was at a moment: the application's
tables and the runs with their journals. With --app or --table only those tables
go back, and runs stay as they are.

It shows first what will happen, in numbers, and what cannot be taken back, and
asks. Then it does it as one transaction: all or nothing, recorded in history,
and taken back by another restore. Programs may go on meanwhile; those that write
to the tables wait for the moment that it takes. Ctrl-C before the end changes
nothing.

` + momentHelp,
		Example: `  dbos restore --to '16 minutes ago' --dry-run
  dbos restore --to '18:05'
  dbos restore --to 'LSN 5123' --table prices --table stock --yes`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if target.To == "" {
				return usageError("such as --to '16 minutes ago'", "--to is missing")
			}
			if target.App != "" && len(target.Tables) > 0 {
				return usageError("", "--app and --table exclude each other")
			}
			return c.restore(cmd.Context(), target, agreed)
		},
	}
	f := cmd.Flags()
	f.StringVar(&target.To, "to", "", "the `MOMENT`")
	f.StringVar(&target.App, "app", "", "only the tables of the application `NAME`")
	f.StringArrayVarP(&target.Tables, "table", "t", nil, "only the table `NAME`; may be repeated")
	agreed.flags(cmd)
	return cmd
}

// momentHelp explains moments to those who ask a command for help.
const momentHelp = `A MOMENT is "16 minutes ago", "2h30m ago", "18:05" (today), "2026-11-21 18:05:30"
(local time), RFC 3339, "LSN 5123", or "run:order-42" (what a run saw when it
began) and "run:order-42/3" (what its step 3 saw).`

// flags adds the flags that a consent has.
func (o *consent) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do it without asking")
}

// A restoreJSON is what a restore did, or would do.
type restoreJSON struct {
	DryRun   bool           `json:"dry_run"`
	Done     bool           `json:"done"`
	To       *momentJSON    `json:"to,omitempty"`
	From     *momentJSON    `json:"from,omitempty"` // restore to it to take the restore back
	Rows     int64          `json:"rows"`
	Tables   []effectJSON   `json:"tables"`
	Resumed  []runRefJSON   `json:"resumed"`
	Vanished []runRefJSON   `json:"vanished"`
	Resumes  int64          `json:"resumed_count"`
	Vanishes int64          `json:"vanished_count"`
	External []externalJSON `json:"external"`
	Messages int64          `json:"messages"`
	Warnings []string       `json:"warnings"`
	LSN      int64          `json:"lsn,omitempty"`
	Alone    float64        `json:"alone_seconds,omitempty"`
	Error    *errorJSON     `json:"error,omitempty"`
}

func restoreOf(p *dbosv1.RestorePlan, dryRun bool, err error) restoreJSON {
	rows, _ := effects(p.GetTables())
	return restoreJSON{
		DryRun: dryRun, Done: err == nil && !dryRun, To: momentOf(p.GetTo()), From: momentOf(p.GetFrom()), Rows: rows,
		Tables: effectsOf(p.GetTables()), Resumed: runRefsOf(p.GetResumed()), Vanished: runRefsOf(p.GetVanished()),
		External: externalOf(p.GetExternal()), Messages: p.GetMessages(), Warnings: append([]string{}, p.GetWarnings()...),
		LSN: p.GetLsn(), Alone: p.GetAloneSeconds(), Error: errorOf(err),
		Resumes: max(p.GetResumedCount(), int64(len(p.GetResumed()))), Vanishes: max(p.GetVanishedCount(), int64(len(p.GetVanished()))),
	}
}

func (c *cli) restore(ctx context.Context, target *dbosv1.RestoreTarget, agreed consent) error {
	if err := agreed.check(c); err != nil {
		return err
	}
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	var plan *dbosv1.RestorePlan
	if !agreed.yes {
		t := c.track("looking at what would change")
		plan, err = s.PlanRestore(ctx, target, t.show)
		t.end()
		if err != nil || agreed.dryRun && c.json {
			return c.reportJSON(plan != nil, restoreOf(plan, true, err), err)
		}
		if err := c.printRestorePlan(plan, target); err != nil {
			return err
		}
		rows, tables := effects(plan.Tables)
		useful := rows > 0 || notable(plan)
		if agreed.dryRun || !useful {
			return c.printUndone(restoreText(plan.To.GetLsn(), target), useful)
		}
		question := fmt.Sprintf("%s of %s will change.", count(int(rows), "row"), count(tables, "table"))
		if err := c.confirm(ctx, question); err != nil {
			return err
		}
		// Later is not another moment.
		target.To = fmt.Sprintf("LSN %d", plan.To.Lsn)
	}
	return c.restoreNow(ctx, s, target, plan)
}

// notable reports whether a restore changes tables though no rows.
func notable(plan *dbosv1.RestorePlan) bool {
	for _, t := range plan.Tables {
		if len(t.Notes) > 0 {
			return true
		}
	}
	return false
}

// restoreNow does it. shown is the plan that a person has agreed to, nil if
// nobody was asked.
func (c *cli) restoreNow(ctx context.Context, s *session, target *dbosv1.RestoreTarget, shown *dbosv1.RestorePlan) error {
	before := s.lastLSN(ctx)
	t := c.track("restoring")
	plan, err := s.Restore(ctx, target, t.show)
	t.end()
	if err != nil {
		c.explainBroken(s, err, "prov.restore", before)
	}
	if c.json {
		return c.reportJSON(true, restoreOf(plan, false, err), err)
	}
	if err != nil {
		return err
	}
	return c.printRestored(plan, target, shown)
}

// sameEffects reports whether two reports have the same rows.
func sameEffects(a, b []*dbosv1.TableEffect) bool {
	return slices.EqualFunc(a, b, func(x, y *dbosv1.TableEffect) bool { return proto.Equal(x, y) })
}

// sameRestore reports whether what was done is what was shown.
func sameRestore(p, shown *dbosv1.RestorePlan) bool {
	return shown != nil && p.ResumedCount == shown.ResumedCount && p.VanishedCount == shown.VanishedCount && p.Messages == shown.Messages &&
		len(p.External) == len(shown.External) && slices.Equal(p.Warnings, shown.Warnings) && sameEffects(p.Tables, shown.Tables)
}

// printRestorePlan says what will happen, before it does.
func (c *cli) printRestorePlan(p *dbosv1.RestorePlan, target *dbosv1.RestoreTarget) error {
	d := c.document()
	d.fields(
		field{"back to", momentText(p.To, c.now()), bold},
		field{"from", momentText(p.From, c.now()), plain},
		field{"of", extent(target), plain},
	)
	c.restoreBody(d, p)
	return d.err
}

// extent is what a restore is limited to.
func extent(t *dbosv1.RestoreTarget) string {
	switch {
	case t.App != "":
		return "the tables of the application " + t.App + "; runs stay as they are"
	case len(t.Tables) > 0:
		return strings.Join(t.Tables, ", ") + "; other tables and runs stay as they are"
	}
	return "everything: all tables, with the runs and their journals"
}

// restoreBody prints what a plan and a report have in common.
func (c *cli) restoreBody(d *document, p *dbosv1.RestorePlan) {
	d.gap()
	if rows, _ := effects(p.Tables); rows == 0 && !notable(p) {
		d.line("Nothing differs: no row changes.")
	} else {
		d.table(effectTable(p.Tables), true)
	}
	if n := max(p.ResumedCount, int64(len(p.Resumed))); n > 0 {
		d.heading(bold, "%s", plural(int(n), "1 run goes on from where it was then:", "%d runs go on from where they were then:"))
		d.table(runRefs(p.Resumed), false)
	}
	if n := max(p.VanishedCount, int64(len(p.Vanished))); n > 0 {
		d.heading(bold, "%s", plural(int(n), "1 run began since; it will never have been:", "%d runs began since; they will never have been:"))
		d.table(runRefs(p.Vanished), false)
	}
	if p.Messages > 0 {
		d.gap()
		d.line("%s back.", plural(int(p.Messages), "1 message comes", "%d messages come"))
	}
	d.external(p.External)
	d.warnings(p.Warnings)
}

// plural renders a number of things in words that depend on it.
func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

// restoreText is a command that restores to an LSN what the target limits it
// to.
func restoreText(lsn int64, target *dbosv1.RestoreTarget) string {
	text := "dbos restore --to " + strconv.FormatInt(lsn, 10)
	if target.GetApp() != "" {
		text += " --app " + shellWord(target.App)
	}
	for _, t := range target.GetTables() {
		text += " --table " + shellWord(t)
	}
	return text
}

// shellWord quotes a word for a shell, if need be.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@+,=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// printUndone ends a report after which nothing was changed.
func (c *cli) printUndone(command string, useful bool) error {
	d := c.document()
	d.line("")
	d.line("Nothing was changed.")
	if useful {
		d.line("To do it: %s", c.screen.paint(printable(command), bold))
	}
	return d.err
}

// printRestored says what has happened, and what to do next. What was shown
// before is not shown again.
func (c *cli) printRestored(p *dbosv1.RestorePlan, target *dbosv1.RestoreTarget, shown *dbosv1.RestorePlan) error {
	d := c.document()
	rows, tables := effects(p.Tables)
	if p.Lsn == 0 {
		d.line("Nothing differed from %s; nothing was changed.", momentText(p.To, c.now()))
		return d.err
	}
	d.line("%s", c.screen.paint(fmt.Sprintf("Restored: %s of %s are as they were.", count(int(rows), "row"), count(tables, "table")), green))
	d.fields(
		field{"back to", momentText(p.To, c.now()), bold},
		field{"of", extent(target), plain},
		field{"done in", fmt.Sprintf("LSN %d; writers of these tables waited for %s", p.Lsn, took(seconds(p.AloneSeconds))), plain},
	)
	if !sameRestore(p, shown) {
		c.restoreBody(d, p)
		d.gap()
	}
	d.line("To take it back, with all that is done from now on: %s", c.screen.paint(printable(restoreText(p.From.GetLsn(), target)), bold))
	return d.err
}
