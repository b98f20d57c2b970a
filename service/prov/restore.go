package prov

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// RestoreProcedure is the name of the restore's transaction in the history.
const RestoreProcedure = "prov.restore"

// kept are the tables that are never put back: who executes runs now, which
// queues the programs have that run now, what fences came before, and provenance itself.
var kept = []string{"sched_worker", "sched_queue", "sched_fence", "prov_"}

func isKept(table string) bool { return hasPrefix(table, kept) }

// PlanRestore says what Restore would do, and changes nothing.
func (s *Service) PlanRestore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	r, err := s.restoring(ctx, &o)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(tx dbms.Tx) error {
		r.begin(r.past.Position().LSN)
		if err := r.survey(ctx, tx); err != nil {
			return err
		}
		for _, j := range r.jobs {
			if err := j.tally(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.finish(), nil
}

// Restore puts tables back to a moment in one recorded transaction, or changes nothing. Nobody
// changes the tables meanwhile, application triggers do not fire, and foreign
// keys hold at its end. It can be taken back by a restore to plan.From.
func (s *Service) Restore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	r, err := s.restoring(ctx, &o)
	if err != nil {
		return nil, err
	}
	if r.alone, err = r.names(ctx); err != nil {
		return nil, err
	}
	call := abi.Call{Procedure: RestoreProcedure, Principal: o.Principal}
	var began time.Time
	lsn, err := s.db.UpdateExclusive(ctx, call, r.alone, func(tx dbms.Tx) error {
		began = time.Now()
		if _, err := r.past.Spool(ctx, s.db, tx.LSN()); err != nil {
			return err
		}
		r.begin(tx.LSN())
		return r.rewrite(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	p := r.finish()
	p.LSN, p.Took = lsn, time.Since(began)
	return p, nil
}

// A restoring is one restore, or the planning of it.
type restoring struct {
	s       *Service
	past    past
	options RestoreOptions
	dialect dialect
	to      Moment
	copying bool     // a copy is moved: nobody asks for runs
	alone   []string // the tables that nobody else changes; nil in a plan
	plan    *RestorePlan
	jobs    []*job
}

// restoring resolves what the options say. The warehouse has everything then that
// was committed before.
func (s *Service) restoring(ctx context.Context, o *RestoreOptions) (*restoring, error) {
	if o.App != "" && len(o.Tables) > 0 {
		return nil, abi.Errorf("prov.restore", abi.Invalid, "options", "both an application and tables are named").
			WithHint("name one of them")
	}
	for _, t := range o.Tables {
		if IsService(t) {
			return nil, abi.Errorf("prov.restore", abi.Invalid, "table "+t, "it belongs to the system, whose tables only make sense together").
				WithHint("restore everything, or tables of the application")
		}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	d, err := dialectOf(s.db)
	if err != nil {
		return nil, err
	}
	to, err := s.Resolve(ctx, o.To)
	if err != nil {
		return nil, err
	}
	w, err := s.past(ctx)
	if err != nil {
		return nil, err
	}
	return &restoring{s: s, past: w, options: *o, dialect: d, to: to}, nil
}

func (r *restoring) everything() bool { return r.options.App == "" && len(r.options.Tables) == 0 }

// begin forgets what an earlier try has found.
func (r *restoring) begin(from dbms.LSN) {
	r.jobs = nil
	at := r.past.Position()
	r.plan = &RestorePlan{
		To: r.to, From: Moment{LSN: from, Time: at.Time, Text: fmt.Sprintf("LSN %d", from)},
		Tables: []TablePlan{}, Resumes: []RunPlan{}, Vanish: []RunPlan{}, External: []ExternalStep{},
	}
}

// finish completes the plan.
func (r *restoring) finish() *RestorePlan {
	for _, j := range r.jobs {
		if t := j.plan; t.Definition != "" || t.Applied != (Applied{}) {
			r.plan.Tables = append(r.plan.Tables, t)
		}
		if j.plan.Name == "ipc_message" {
			r.plan.Messages = j.plan.Back
		}
	}
	r.plan.settle()
	return r.plan
}

// names are the tables that are there and may be changed.
func (r *restoring) names(ctx context.Context) ([]string, error) {
	var names []string
	err := r.s.db.View(ctx, func(tx dbms.Tx) error {
		names = nil
		tables, err := r.s.db.Tables(tx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			in, err := r.concerns(ctx, tx, t.Table)
			if err != nil {
				return err
			}
			if in {
				names = append(names, t.Table)
			}
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		names = []string{"prov_text"} // the list must not be empty, which would mean all
	}
	return names, err
}

// concerns reports whether a table goes back.
func (r *restoring) concerns(ctx context.Context, tx dbms.Tx, table string) (bool, error) {
	switch {
	case isKept(table):
		return false, nil
	case len(r.options.Tables) > 0:
		return containsFold(r.options.Tables, table), nil
	case r.options.App == "":
		return true, nil
	case IsService(table):
		return false, nil
	}
	return r.owns(ctx, tx, table)
}

func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}

var applicationOwners = dbms.System(`SELECT DISTINCT owner FROM dbos_migration WHERE owner LIKE 'app:%' ORDER BY owner`)

// owns reports whether a table is the named application's: in a database of one
// application all are that are not the services'.
func (r *restoring) owns(_ context.Context, tx dbms.Tx, table string) (bool, error) {
	var owners []string
	err := each(tx, applicationOwners, func(row []dbms.Value) error {
		owners = append(owners, strings.TrimPrefix(textOf(row[0]), "app:"))
		return nil
	})
	switch {
	case err != nil:
		return false, err
	case len(owners) > 0 && !slices.Contains(owners, r.options.App):
		return false, abi.Errorf("prov.restore", abi.NotFound, "application "+r.options.App, "the database has tables of %s", strings.Join(owners, ", ")).
			WithHint("name one of them, or tables")
	case len(owners) > 1:
		return false, abi.Errorf("prov.restore", abi.Invalid, "application "+r.options.App, "the applications %s share the database, and nothing says whose table %s is",
			strings.Join(owners, ", "), table).WithHint("name the tables")
	}
	return true, nil
}

// survey finds out what is to be done with which table, comparing the
// definitions of now, as tx sees them, with those of the moment.
func (r *restoring) survey(ctx context.Context, tx dbms.Tx) error {
	now, err := r.s.db.Tables(tx)
	if err != nil {
		return err
	}
	then, err := r.past.Tables(ctx, r.to.LSN)
	if err != nil {
		return err
	}
	for _, name := range r.options.Tables {
		if !hasTable(now, then, name) {
			return abi.Errorf("prov.restore", abi.NotFound, "table "+name, "there is none of that name, neither now nor at %s", r.to).
				WithHint("see the tables of a moment with: dbos sql --at MOMENT '\\dt'")
		}
	}
	slices.SortFunc(then, func(a, b warehouse.Table) int { return cmp.Compare(a.Since, b.Since) }) // who is referred to is older
	for _, t := range now {
		in, err := r.concerns(ctx, tx, t.Table)
		if err != nil {
			return err
		}
		if in && r.alone != nil && !slices.Contains(r.alone, t.Table) {
			return abi.Errorf("prov.restore", abi.Conflict, "table "+t.Table, "it was made while the restore began").WithHint("try again")
		}
		if in {
			j := &job{r: r, now: &t, then: findTable(then, t.Table), plan: TablePlan{Name: t.Table}}
			r.jobs = append(r.jobs, j)
			j.classify()
		}
	}
	for _, t := range then {
		in, err := r.concerns(ctx, tx, t.Name)
		if err != nil {
			return err
		}
		if in && !slices.ContainsFunc(now, func(c dbms.Change) bool { return strings.EqualFold(c.Table, t.Name) }) {
			if t.Schema == "" {
				r.plan.warn("table %s was dropped since, and its definition is not known: it does not come back", t.Name)
				continue
			}
			j := &job{r: r, then: &t, plan: TablePlan{Name: t.Name}}
			r.jobs = append(r.jobs, j)
			j.classify()
		}
	}
	if slices.ContainsFunc(r.jobs, func(j *job) bool { return j.plan.Name == "sched_task" }) {
		return r.plan.live(tx)
	}
	return nil
}

func hasTable(now []dbms.Change, then []warehouse.Table, name string) bool {
	return findTable(then, name) != nil || slices.ContainsFunc(now, func(c dbms.Change) bool { return strings.EqualFold(c.Table, name) })
}

func findTable(tables []warehouse.Table, name string) *warehouse.Table {
	i := slices.IndexFunc(tables, func(t warehouse.Table) bool { return strings.EqualFold(t.Name, name) })
	if i < 0 {
		return nil
	}
	return &tables[i]
}

// rewrite does it, within the transaction.
func (r *restoring) rewrite(ctx context.Context, tx dbms.Tx) error {
	if err := r.survey(ctx, tx); err != nil {
		return err
	}
	if r.everything() && r.options.Before != nil {
		if err := r.options.Before(tx); err != nil {
			return err
		}
	}
	q := &quietude{tx: tx, dialect: r.dialect}
	for _, j := range r.jobs {
		if err := j.do(ctx, tx, q); err != nil {
			return err
		}
	}
	if err := q.end(); err != nil {
		return err
	}
	if r.everything() && r.options.After != nil {
		return r.options.After(tx)
	}
	return nil
}

// String is the moment for people.
func (m Moment) String() string {
	if m.Time.IsZero() {
		return fmt.Sprintf("LSN %d", m.LSN)
	}
	return fmt.Sprintf("%s (LSN %d)", m.Time.Format("2006-01-02 15:04:05.999999Z07:00"), m.LSN)
}
