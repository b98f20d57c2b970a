package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// first is the first telling: the operator looks, takes back what the thief did and
// what followed from it, and leaves everybody else's work alone.
func (s *story) first(ctx context.Context) (*dbos.UndoPlan, map[string]string, error) {
	as := dbos.WithPrincipal(ctx, operator)
	h := s.shop.sys.History()
	s.title("The operator looks")
	if err := s.ask(as, `SELECT id, price, stock FROM item ORDER BY id`); err != nil {
		return nil, nil, err
	}
	s.say("Coffee for a cent? Who has changed prices today?")
	err := s.ask(as, `
		SELECT c.principal, c.procedure, i.id, count(*) AS times, min(i.price) AS lowest, max(i.price) AS highest
		FROM history.item i JOIN prov.calls c ON c.lsn = i.dbos_commit
		WHERE c.procedure <> 'dbms.migrate' AND c.execution IS NULL
		GROUP BY ALL ORDER BY ALL`)
	if err != nil {
		return nil, nil, err
	}
	s.say("What else did %s do, and how many orders got coffee at that price?", thief)
	err = s.ask(as, fmt.Sprintf(`SELECT procedure, count(*) AS calls FROM prov.calls WHERE principal = '%s' GROUP BY ALL ORDER BY ALL`, thief))
	if err != nil {
		return nil, nil, err
	}
	if err := s.ask(as, `SELECT state, count(*) AS orders, sum(amount) AS cents FROM orders WHERE item = 'coffee' AND amount < 100 GROUP BY ALL ORDER BY ALL`); err != nil {
		return nil, nil, err
	}

	s.title("First telling: undo what the thief did, and no more")
	since := s.began.Add(-time.Second).UTC().Format(time.RFC3339)
	s.say("$ dbos undo --principal %s --since %s --dry-run", thief, since)
	o := dbos.UndoOptions{Principal: thief, Since: since, Policy: dbos.UndoCascade, By: operator}
	before, err := s.orderRows(as, "")
	if err != nil {
		return nil, nil, err
	}
	plan, err := h.PlanUndo(as, o)
	if err != nil {
		return nil, nil, err
	}
	s.tellUndo(plan)
	s.say("$ dbos undo --principal %s --since %s --yes", thief, since)
	done, err := h.Undo(as, o)
	if err != nil {
		return nil, nil, err
	}
	s.say("Done in one transaction, LSN %d.", done.LSN)
	if err := s.compensate(as, done.External); err != nil {
		return nil, nil, err
	}
	if err := s.ask(as, `SELECT id, price, stock FROM item ORDER BY id`); err != nil {
		return nil, nil, err
	}
	return done, before, s.checkUndo(as, done, before)
}

// tellUndo writes a plan for people.
func (s *story) tellUndo(p *dbos.UndoPlan) {
	seeds, followers := 0, []string{}
	for _, l := range p.Chain {
		switch {
		case l.Seed:
			seeds++
		default:
			followers = append(followers, l.Execution)
		}
	}
	s.say("%d pieces of work are taken back, and %d that followed from them; %d later transactions were looked at, %d of them are innocent and stay.",
		seeds, len(followers), p.Examined, p.Innocent)
	if len(followers) > 0 {
		s.say("They followed, because they would have gone differently: %s", some(followers))
	}
	for _, t := range p.Tables {
		s.say("  %-8s %d changed, %d brought back, %d removed", t.Name, t.Changed, t.Back, t.Removed)
	}
	s.say("%d steps outside of the database cannot be taken back; they have to be compensated.", len(p.External))
	for _, c := range p.Conflicts {
		s.say("  conflict: %s %s %s: %s", c.Table, c.Key, c.Execution, c.Problem)
	}
}

func some(list []string) string {
	if len(list) <= 6 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:6], ", "), len(list)-6)
}

// compensate gives back what cards were charged for orders that are undone.
func (s *story) compensate(ctx context.Context, steps []dbos.ExternalStep) error {
	voided := map[string]bool{}
	for _, e := range steps {
		if voided[e.Run] || e.Name != "charge" || slices.Contains(s.resuming, e.Run) { // a run that goes on charges once more, with the same key
			continue
		}
		if err := s.payments.Void(ctx, "undo-"+e.Run, e.Run); err != nil {
			return err
		}
		voided[e.Run] = true
	}
	s.say("The payment service gave back the money of %d orders.", len(voided))
	return nil
}

// checkUndo fails unless the thief's work is gone, everybody else's is as it
// was, and every piece and cent is accounted for.
func (s *story) checkUndo(ctx context.Context, p *dbos.UndoPlan, before map[string]string) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	followed := map[string]bool{}
	for _, l := range p.Chain {
		if l.Undone {
			followed[l.Execution] = true
		}
	}
	after, err := s.orderRows(ctx, "")
	if err != nil {
		return err
	}
	kept := 0
	for id, row := range before {
		switch _, honest := s.honest[id]; {
		case followed[id] && after[id] != "":
			problem("order %s is undone and still there", id)
		case !honest && !followed[id]:
			problem("order %s of the thief is not undone", id)
		case !followed[id] && after[id] != row:
			problem("order %s was %s and is %s", id, row, after[id])
		case !followed[id]:
			kept++
		}
	}
	for id, o := range s.honest {
		if followed[id] && o.Item != "coffee" && o.Item != "lamp" && o.Item != "mug" {
			problem("order %s of %s followed from nothing the thief did", id, o.Item)
		}
	}
	prices, err := s.prices(ctx)
	if err != nil {
		return err
	}
	if prices["coffee"] != 1290 || prices["lamp"] != 6900 {
		problem("the prices are %v", prices)
	}
	audit, err := s.shop.audit(ctx)
	if err != nil {
		return err
	}
	if !audit.ok() {
		problem("the audit finds %v %v", audit.Stock, audit.Ledger)
	}
	s.say("%d honest orders are as they were. Stock: every piece is accounted for. Ledger: one charge for each confirmed order.", kept)
	return errors.Join(problems...)
}

// second is the second telling: the operator takes the undo back, and puts
// everything back to the moment before the thief came.
func (s *story) second(ctx context.Context, undone *dbos.UndoPlan, before map[string]string) error {
	as := dbos.WithPrincipal(ctx, operator)
	s.title("Second telling: everything back to the moment before")
	s.say("The undo is a transaction as any other, so a restore takes it back.")
	if _, err := s.restore(as, fmt.Sprintf("LSN %d", undone.From.LSN)); err != nil {
		return err
	}
	after, err := s.orderRows(as, "")
	if err != nil {
		return err
	}
	if err := same(before, after); err != nil {
		return err
	}
	s.say("All %d orders are as they were before the undo.", len(after))

	s.say("When did %s come?", thief)
	if err := s.ask(as, fmt.Sprintf(`SELECT min(lsn) AS first, max(lsn) AS last, count(*) AS calls FROM prov.calls WHERE principal = '%s'`, thief)); err != nil {
		return err
	}
	first, err := s.single(as, fmt.Sprintf(`SELECT min(lsn) - 1 FROM prov.calls WHERE principal = '%s'`, thief))
	if err != nil {
		return err
	}
	calm, err := s.orderRows(as, "LSN "+first)
	if err != nil {
		return err
	}
	done, err := s.restore(as, "LSN "+first)
	if err != nil {
		return err
	}
	// As of the restore: runs that were under way go on at once.
	if after, err = s.orderRows(as, fmt.Sprintf("LSN %d", done.LSN)); err != nil {
		return err
	}
	if err := same(calm, after); err != nil {
		return err
	}
	if err := s.compensate(as, done.External); err != nil {
		return err
	}
	return s.reopened(as, len(after))
}

// restore shows what a restore would do, and does it.
func (s *story) restore(ctx context.Context, to string) (*dbos.RestorePlan, error) {
	h := s.shop.sys.History()
	s.say("$ dbos restore --to '%s' --dry-run", to)
	plan, err := h.PlanRestore(ctx, dbos.RestoreOptions{To: to, Principal: operator})
	if err != nil {
		return nil, err
	}
	s.tellRestore(plan)
	s.say("$ dbos restore --to '%s' --yes", to)
	done, err := h.Restore(ctx, dbos.RestoreOptions{To: to, Principal: operator})
	if err != nil {
		return nil, err
	}
	s.say("Done in one transaction, LSN %d, which was alone for %v; `dbos restore --to 'LSN %d'` takes it back.",
		done.LSN, done.Took.Round(time.Millisecond), done.From.LSN)
	return done, nil
}

// reopened lets the runs finish that had been under way, and counts everything.
func (s *story) reopened(ctx context.Context, orders int) error {
	for _, id := range s.resuming {
		if _, err := s.shop.sys.Outcome(ctx, id); err != nil {
			return err
		}
	}
	if err := s.ask(ctx, `SELECT id, price, stock FROM item ORDER BY id`); err != nil {
		return err
	}
	prices, err := s.prices(ctx)
	if err != nil {
		return err
	}
	if prices["coffee"] != 1290 || prices["lamp"] != 6900 {
		return fmt.Errorf("the prices are %v", prices)
	}
	audit, err := s.shop.audit(ctx)
	if err != nil {
		return err
	}
	if !audit.ok() {
		return fmt.Errorf("the audit finds %v %v", audit.Stock, audit.Ledger)
	}
	s.say("The shop is as it was before %s came: %d orders, every piece and cent accounted for.", thief, orders)
	return nil
}

// tellRestore writes a plan for people.
func (s *story) tellRestore(p *dbos.RestorePlan) {
	for _, t := range p.Tables {
		s.say("  %-12s %d changed, %d brought back, %d removed", t.Name, t.Changed, t.Back, t.Removed)
	}
	s.say("%d runs resume, %d runs vanish; %d steps outside of the database were done since and have to be compensated.",
		p.ResumeCount, p.VanishCount, len(p.External))
	s.resuming = nil
	for _, r := range p.Resumes {
		s.resuming = append(s.resuming, r.ID)
	}
}

// same fails unless two sets of orders are the same.
func same(want, got map[string]string) error {
	var problems []error
	for id, row := range want {
		if got[id] != row {
			problems = append(problems, abi.Errorf("shop.story", abi.Corrupt, "order "+id, "it was %s and is %s", row, got[id]))
		}
	}
	for id := range got {
		if want[id] == "" {
			problems = append(problems, abi.Errorf("shop.story", abi.Corrupt, "order "+id, "it should not be there"))
		}
	}
	return errors.Join(problems...)
}
