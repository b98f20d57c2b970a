package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// undoCommand takes back what chosen work did.
func (c *cli) undoCommand() *cobra.Command {
	target := &dbosv1.UndoTarget{}
	var agreed consent
	var policy string
	cmd := &cobra.Command{
		Use:   "undo [RUN...]",
		Short: "Take back what runs, a principal or a function did, and what followed from it",
		Long: `undo computes what the tables would be if the chosen work had never been done,
and makes them so in one transaction, which a restore takes back. Later work that
would have done the same without it stays as it is. Work that would not has
followed from it, and --policy says what becomes of that:

  cascade         it is undone too
  only-untouched  it stays, and so do the rows that it depends on
  abort           nothing is undone if there is any

It shows first what will happen and what cannot be taken back, and asks. Without
--policy it asks for one too, if anything has followed; with --yes it is abort.
Ctrl-C before the end changes nothing.

` + momentHelp,
		Example: `  dbos undo order-42 --dry-run
  dbos undo --principal token:mallory --since '18:05'
  dbos undo --function reprice --since '2h ago' --policy only-untouched --yes`,
		Args:              c.arguments(0, -1),
		ValidArgsFunction: c.completeRuns(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			target.Runs = args
			if len(args) == 0 && target.Principal == "" && target.Function == "" {
				return usageError("name runs, or give --principal or --function", "undo what?")
			}
			var err error
			if target.Policy, err = parsePolicy(policy); err != nil {
				return err
			}
			return c.undo(cmd.Context(), target, agreed)
		},
	}
	f := cmd.Flags()
	f.StringVar(&target.Principal, "principal", "", "what was done in the name of `P`")
	f.StringVar(&target.Function, "function", "", "what runs of the workflow `F` did (F@VERSION: of one version)")
	f.StringVar(&target.Since, "since", "", "only what was done since the `MOMENT`")
	f.StringVar(&policy, "policy", "", "what becomes of work that followed: `POLICY` is cascade, only-untouched or abort")
	agreed.flags(cmd)
	completeFlag(cmd, "policy", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return policyNames(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

var undoPolicies = []struct {
	number dbosv1.UndoPolicy
	name   string
}{
	{dbosv1.UndoPolicy_UNDO_POLICY_CASCADE, "cascade"},
	{dbosv1.UndoPolicy_UNDO_POLICY_ONLY_UNTOUCHED, "only-untouched"},
	{dbosv1.UndoPolicy_UNDO_POLICY_ABORT, "abort"},
}

func policyNames() []string {
	var names []string
	for _, p := range undoPolicies {
		names = append(names, p.name)
	}
	return names
}

// parsePolicy reads a policy's name; none is unspecified.
func parsePolicy(name string) (dbosv1.UndoPolicy, error) {
	if name == "" {
		return dbosv1.UndoPolicy_UNDO_POLICY_UNSPECIFIED, nil
	}
	for _, p := range undoPolicies {
		if p.name == name {
			return p.number, nil
		}
	}
	return 0, usageError("the policies are "+strings.Join(policyNames(), ", "), "there is no policy %q", name)
}

func policyName(number dbosv1.UndoPolicy) string {
	for _, p := range undoPolicies {
		if p.number == number {
			return p.name
		}
	}
	return ""
}

// An undoJSON is what an undo did, or would do.
type undoJSON struct {
	DryRun    bool           `json:"dry_run"`
	Done      bool           `json:"done"`
	ID        string         `json:"id,omitempty"`
	Policy    string         `json:"policy"`
	From      *momentJSON    `json:"from,omitempty"` // restore to it to take the undo back
	Rows      int64          `json:"rows"`
	Chain     []linkJSON     `json:"chain"`
	Tables    []effectJSON   `json:"tables"`
	Conflicts []conflictJSON `json:"conflicts"`
	External  []externalJSON `json:"external"`
	Cancelled []runRefJSON   `json:"cancelled"`
	Examined  int64          `json:"examined"`
	Innocent  int64          `json:"innocent"`
	Warnings  []string       `json:"warnings"`
	LSN       int64          `json:"lsn,omitempty"`
	Alone     float64        `json:"alone_seconds,omitempty"`
	Error     *errorJSON     `json:"error,omitempty"`
}

// A linkJSON is one piece of work.
type linkJSON struct {
	Execution string     `json:"execution,omitempty"`
	Name      string     `json:"name"`
	Principal string     `json:"principal,omitempty"`
	LSN       int64      `json:"lsn"`
	At        *time.Time `json:"at"`
	Seed      bool       `json:"seed"`
	Undone    bool       `json:"undone"`
	Follows   string     `json:"follows,omitempty"`
	Why       string     `json:"why,omitempty"`
}

// A conflictJSON is something about which a person should decide.
type conflictJSON struct {
	Table     string `json:"table,omitempty"`
	Key       string `json:"key,omitempty"`
	Execution string `json:"execution,omitempty"`
	LSN       int64  `json:"lsn,omitempty"`
	Problem   string `json:"problem"`
}

func undoOf(p *dbosv1.UndoPlan, dryRun bool, err error) undoJSON {
	rows, _ := effects(p.GetTables())
	j := undoJSON{
		DryRun: dryRun, Done: err == nil && !dryRun, ID: p.GetId(), Policy: policyName(p.GetPolicy()), From: momentOf(p.GetFrom()), Rows: rows,
		Chain: []linkJSON{}, Tables: effectsOf(p.GetTables()), Conflicts: []conflictJSON{}, External: externalOf(p.GetExternal()),
		Cancelled: runRefsOf(p.GetCancelled()), Examined: p.GetExamined(), Innocent: p.GetInnocent(),
		Warnings: append([]string{}, p.GetWarnings()...), LSN: p.GetLsn(), Alone: p.GetAloneSeconds(), Error: errorOf(err),
	}
	for _, l := range p.GetChain() {
		j.Chain = append(j.Chain, linkJSON{l.Execution, l.Name, l.Principal, l.Lsn, moment(l.At), l.Seed, l.Undone, l.Follows, l.Why})
	}
	for _, x := range p.GetConflicts() {
		j.Conflicts = append(j.Conflicts, conflictJSON{x.Table, x.Key, x.Execution, x.Lsn, x.Problem})
	}
	return j
}

func (c *cli) undo(ctx context.Context, target *dbosv1.UndoTarget, agreed consent) error {
	if err := agreed.check(c); err != nil {
		return err
	}
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	asked := target.Policy
	if agreed.yes {
		if asked == dbosv1.UndoPolicy_UNDO_POLICY_UNSPECIFIED {
			target.Policy = dbosv1.UndoPolicy_UNDO_POLICY_ABORT
		}
		return c.undoNow(ctx, s, target, nil)
	}
	plan, err := c.planUndo(ctx, s, target)
	if err != nil || agreed.dryRun && c.json {
		return c.reportJSON(plan != nil, undoOf(plan, true, err), err)
	}
	if err := c.printUndoPlan(plan); err != nil {
		return err
	}
	useful := undoes(plan)
	if agreed.dryRun || !useful {
		return c.printUndone(undoText(target), useful)
	}
	if asked == dbosv1.UndoPolicy_UNDO_POLICY_UNSPECIFIED && decisions(plan) {
		if plan, err = c.choosePolicy(ctx, s, target, plan); err != nil {
			return err
		}
	}
	rows, tables := effects(plan.Tables)
	question := fmt.Sprintf("%s undone, and %s of %s change.", count(undone(plan), "piece")+" of work will be", count(int(rows), "row"), count(tables, "table"))
	if err := c.confirm(ctx, question); err != nil {
		return err
	}
	return c.undoNow(ctx, s, target, plan)
}

func (c *cli) planUndo(ctx context.Context, s *session, target *dbosv1.UndoTarget) (*dbosv1.UndoPlan, error) {
	t := c.track("looking for what followed")
	defer t.end()
	return s.PlanUndo(ctx, target, t.show)
}

// undoes reports whether a plan changes anything.
func undoes(p *dbosv1.UndoPlan) bool {
	rows, _ := effects(p.Tables)
	return rows > 0 || len(p.Cancelled) > 0
}

// undone counts the pieces of work that are taken back.
func undone(p *dbosv1.UndoPlan) int {
	n := 0
	for _, l := range p.Chain {
		if l.Undone {
			n++
		}
	}
	return n
}

// followers counts the work that was not named.
func followers(p *dbosv1.UndoPlan) int {
	n := 0
	for _, l := range p.Chain {
		if !l.Seed {
			n++
		}
	}
	return n
}

// decisions reports whether policies differ in what they do.
func decisions(p *dbosv1.UndoPlan) bool { return followers(p) > 0 || len(p.Conflicts) > 0 }

// choosePolicy asks what becomes of the work that followed, and returns the
// plan for it.
func (c *cli) choosePolicy(ctx context.Context, s *session, target *dbosv1.UndoTarget, cascade *dbosv1.UndoPlan) (*dbosv1.UndoPlan, error) {
	answer, err := c.ask(ctx, `What becomes of the work that followed?
  cascade         undo it too, as shown above
  only-untouched  keep it, and the rows that it depends on
  abort           change nothing
Type one of them: `)
	if err != nil {
		return nil, err
	}
	policy, err := parsePolicy(answer)
	switch {
	case err != nil || answer == "":
		return nil, abi.Errorf("dbos.ask", abi.Canceled, "", "the answer was none of them; nothing was changed")
	case policy == dbosv1.UndoPolicy_UNDO_POLICY_ABORT:
		return nil, abi.Errorf("dbos.ask", abi.Canceled, "", "as you said; nothing was changed")
	}
	target.Policy = policy
	if policy == dbosv1.UndoPolicy_UNDO_POLICY_CASCADE {
		return cascade, nil
	}
	plan, err := c.planUndo(ctx, s, target)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(c.out)
	return plan, c.printUndoPlan(plan)
}

// undoNow does it. shown is the plan that a person has agreed to, nil if nobody
// was asked.
func (c *cli) undoNow(ctx context.Context, s *session, target *dbosv1.UndoTarget, shown *dbosv1.UndoPlan) error {
	before := s.lastLSN(ctx)
	t := c.track("undoing")
	plan, err := s.Undo(ctx, target, t.show)
	t.end()
	if err != nil {
		c.explainBroken(s, err, "prov.undo", before)
	}
	if c.json {
		return c.reportJSON(true, undoOf(plan, false, err), err)
	}
	if err != nil && plan != nil {
		if printErr := c.printUndoPlan(plan); printErr != nil {
			return printErr
		}
		fmt.Fprintln(c.out)
	}
	if err != nil {
		return explainPolicy(err)
	}
	return c.printDone(plan, shown)
}

// explainPolicy adds what can be done about work that followed.
func explainPolicy(err error) error {
	if abi.KindOf(err) != abi.Conflict || abi.HintOf(err) != "" {
		return err
	}
	return abi.Errorf("prov.undo", abi.Conflict, "", "%s; nothing was changed", sentence(err)).
		WithHint("--policy cascade undoes what followed too, --policy only-untouched keeps it; add --dry-run to see which")
}

// undoText is the command that does what was looked at.
func undoText(t *dbosv1.UndoTarget) string {
	words := []string{"dbos", "undo"}
	for _, run := range t.Runs {
		words = append(words, shellWord(run))
	}
	for _, f := range []struct{ flag, value string }{
		{"--principal", t.Principal}, {"--function", t.Function}, {"--since", t.Since}, {"--policy", policyName(t.Policy)},
	} {
		if f.value != "" {
			words = append(words, f.flag, shellWord(f.value))
		}
	}
	return strings.Join(words, " ")
}

// printUndoPlan says what will happen, before it does.
func (c *cli) printUndoPlan(p *dbosv1.UndoPlan) error {
	d := c.document()
	d.line("%s", c.screen.paint(chainText(p), bold))
	c.undoBody(d, p)
	return d.err
}

// chainText sums up the chain.
func chainText(p *dbosv1.UndoPlan) string {
	seeds := len(p.Chain) - followers(p)
	text := count(seeds, "piece") + " of work to undo, and " + strconv.Itoa(followers(p)) + " that followed from it"
	switch p.Policy {
	case dbosv1.UndoPolicy_UNDO_POLICY_CASCADE:
		text += " (cascade: undone too)"
	case dbosv1.UndoPolicy_UNDO_POLICY_ONLY_UNTOUCHED:
		text += " (only-untouched: kept)"
	}
	return fmt.Sprintf("%s. Of %s looked at, %s.", text,
		plural(int(p.Examined), "1 later transaction that was", "%d later transactions that were"),
		plural(int(p.Innocent), "1 stays as it is", "%d stay as they are"))
}

// undoBody prints what a plan and a report have in common.
func (c *cli) undoBody(d *document, p *dbosv1.UndoPlan) {
	if len(p.Chain) > 0 {
		d.gap()
		d.table(chainTable(p.Chain, d.now), false)
	}
	d.gap()
	if rows, _ := effects(p.Tables); rows == 0 {
		d.line("No row changes.")
	} else {
		d.table(effectTable(p.Tables), true)
	}
	if len(p.Cancelled) > 0 {
		d.heading(bold, "%s", plural(len(p.Cancelled), "1 unfinished run is cancelled:", "%d unfinished runs are cancelled:"))
		d.table(runRefs(p.Cancelled), false)
	}
	if len(p.Conflicts) > 0 {
		d.heading(red, "%s", plural(len(p.Conflicts), "1 conflict, which a person should look at:", "%d conflicts, which a person should look at:"))
		d.table(conflictTable(p.Conflicts), false)
	}
	d.external(p.External)
	d.warnings(p.Warnings)
}

func chainTable(chain []*dbosv1.UndoLink, now time.Time) *table {
	t := &table{columns: []column{
		{title: "WORK", least: 12}, {title: "NAME", least: 8}, {title: "BY", least: 6}, {title: "AT"}, {title: "UNDONE"}, {title: "WHY", least: 12},
	}}
	for _, l := range chain {
		work := l.Execution
		if work == "" {
			work = fmt.Sprintf("LSN %d", l.Lsn)
		}
		state, why := cell{"yes", yellow}, l.Why
		if !l.Undone {
			state = cell{"no", plain}
		}
		if why == "" && l.Follows != "" {
			why = "followed from " + l.Follows
		}
		t.add(cell{work, bold}, cell{l.Name, plain}, cell{l.Principal, plain}, cell{shortClock(l.At.AsTime(), now), plain}, state, cell{why, plain})
	}
	return t
}

func conflictTable(conflicts []*dbosv1.UndoConflict) *table {
	t := &table{columns: []column{
		{title: "TABLE", least: 8, optional: true}, {title: "ROW", least: 8, optional: true}, {title: "WORK", least: 12, optional: true}, {title: "PROBLEM", least: 16},
	}}
	for _, x := range conflicts {
		work := x.Execution
		if work == "" && x.Lsn != 0 {
			work = fmt.Sprintf("LSN %d", x.Lsn)
		}
		t.add(cell{x.Table, bold}, cell{x.Key, plain}, cell{work, plain}, cell{x.Problem, red})
	}
	return t
}

// sameUndo reports whether what was done is what was shown.
func sameUndo(p, shown *dbosv1.UndoPlan) bool {
	return shown != nil && len(p.Chain) == len(shown.Chain) && len(p.Conflicts) == len(shown.Conflicts) &&
		len(p.External) == len(shown.External) && slices.Equal(p.Warnings, shown.Warnings) && sameEffects(p.Tables, shown.Tables)
}

// printDone says what an undo has done, and what to do next. What was shown
// before is not shown again.
func (c *cli) printDone(p, shown *dbosv1.UndoPlan) error {
	d := c.document()
	if p.Lsn == 0 {
		d.line("%s", chainText(p))
		c.undoBody(d, p)
		d.gap()
		d.line("Nothing was changed.")
		return d.err
	}
	rows, tables := effects(p.Tables)
	d.line("%s", c.screen.paint(fmt.Sprintf("Undone: %s of work; %s of %s changed.", count(undone(p), "piece"), count(int(rows), "row"), count(tables, "table")), green))
	d.fields(field{"done in", fmt.Sprintf("LSN %d; writers of these tables waited for %s", p.Lsn, took(seconds(p.AloneSeconds))), plain})
	if !sameUndo(p, shown) {
		d.gap()
		d.line("%s", chainText(p))
		c.undoBody(d, p)
		d.gap()
	}
	tablesOf := &dbosv1.RestoreTarget{}
	for _, t := range p.Tables {
		tablesOf.Tables = append(tablesOf.Tables, t.Table)
	}
	slices.Sort(tablesOf.Tables)
	d.line("To take it back, with all that is done to these tables from now on: %s", c.screen.paint(printable(restoreText(p.From.GetLsn(), tablesOf)), bold))
	return d.err
}
