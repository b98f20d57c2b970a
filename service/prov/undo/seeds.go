package undo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/warehouse"
)

// check refuses options that say nothing or contradict each other.
func (o *Options) check() error {
	bad := func(resource, format string, args ...any) *abi.Error {
		return abi.Errorf("prov.undo", abi.Invalid, resource, format, args...)
	}
	if o.Policy == "" {
		o.Policy = Cascade
	}
	switch {
	case o.Policy != Cascade && o.Policy != OnlyUntouched && o.Policy != Abort:
		return bad("policy", "%q is none", o.Policy).WithHint("it is %s, %s or %s", Cascade, OnlyUntouched, Abort)
	case len(o.Runs) == 0 && o.Principal == "" && o.Function == "":
		return bad("options", "nothing is named").WithHint("name runs, a principal or a function")
	case o.Since != "" && o.Principal == "" && o.Function == "":
		return bad("since", "runs are undone as a whole").WithHint("since goes with a principal or a function")
	}
	for _, run := range o.Runs {
		if err := abi.CheckName("prov.undo", "run", run); err != nil {
			return err
		}
	}
	return nil
}

// seeds say which commits are to be undone.
type seeds struct {
	o     *Options
	since prov.Moment
	runs  map[string]bool // named ones
	// ofFunction are the runs of the function.
	ofFunction map[string]bool
	first      dbms.LSN // of all their commits
}

// findSeeds finds where the work begins that the options name.
func findSeeds(ctx context.Context, s *prov.Service, w store, o *Options) (*seeds, error) {
	sd := &seeds{o: o, runs: map[string]bool{}, ofFunction: map[string]bool{}}
	if o.Since != "" {
		var err error
		sd.since, err = s.Resolve(ctx, o.Since)
		if errors.Is(err, abi.Trimmed) && w.Oldest().LSN == 0 {
			err = nil // nothing was before: since the beginning
		}
		if err != nil {
			return nil, err
		}
	}
	for _, run := range o.Runs {
		sd.runs[run] = true
		if err := sd.begin(ctx, s, w, "run "+run, run, warehouse.Filter{Execution: run, Limit: 1}); err != nil {
			return nil, err
		}
	}
	if o.Function != "" {
		if err := sd.function(ctx, w); err != nil {
			return nil, err
		}
	}
	var err error
	switch {
	case o.Function != "" && len(sd.ofFunction) == 0:
		err = sd.begin(ctx, s, w, "function "+o.Function, "", warehouse.Filter{After: sd.since.LSN, Procedure: o.Function, Principal: o.Principal, Limit: 1})
	case o.Function != "":
		sd.lower(max(sd.since.LSN, w.Oldest().LSN) + 1)
	case o.Principal != "":
		err = sd.begin(ctx, s, w, "principal "+string(o.Principal), "", warehouse.Filter{After: sd.since.LSN, Principal: o.Principal, Limit: 1})
	}
	if err != nil {
		return nil, err
	}
	return sd, sd.whole(w)
}

// begin finds the first commit that a filter lets through.
func (sd *seeds) begin(ctx context.Context, s *prov.Service, w store, what, run string, f warehouse.Filter) error {
	list, err := w.Commits(ctx, f)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		sd.lower(list[0].LSN)
		return nil
	}
	oldest, newest := w.Oldest(), w.Position()
	bounds := fmt.Sprintf("between LSN %d (%s) and LSN %d (%s)", oldest.LSN, stamp(oldest), newest.LSN, stamp(newest))
	if run != "" {
		there := false
		err := s.DB().View(ctx, func(tx dbms.Tx) error {
			return each(tx, dbms.System(`SELECT 1 FROM sched_task WHERE id = $1`), func([]dbms.Value) error { there = true; return nil }, run)
		})
		if err != nil {
			return err
		}
		if there && oldest.LSN > 0 {
			return abi.Errorf("prov.undo", abi.Trimmed, what, "it has done nothing %s, which is what history has", bounds)
		}
		if there {
			return abi.Errorf("prov.undo", abi.NotFound, what, "it has done nothing yet").WithHint("cancel it instead")
		}
	}
	if sd.since.LSN > 0 {
		bounds = "since " + sd.since.String()
	}
	return abi.Errorf("prov.undo", abi.NotFound, what, "there is no transaction of it %s", bounds)
}

func stamp(m warehouse.Moment) string {
	if m.Time.IsZero() {
		return "the beginning"
	}
	return m.Time.UTC().Format("2006-01-02 15:04:05Z07:00")
}

func (sd *seeds) lower(lsn dbms.LSN) {
	if sd.first == 0 || lsn < sd.first {
		sd.first = lsn
	}
}

// function finds the runs of a workflow, "name" or "name@version".
func (sd *seeds) function(ctx context.Context, w store) error {
	name, version, versioned := strings.Cut(sd.o.Function, "@")
	sql, args := `SELECT DISTINCT id FROM history."sched_task" WHERE name = $1`, []any{name}
	if versioned {
		sql, args = sql+` AND version = $2`, append(args, version)
	}
	rows, err := w.Query(ctx, 0, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if id, ok := rows.Values()[0].(string); ok {
			sd.ofFunction[id] = true
		}
	}
	return rows.Err()
}

// whole refuses seeds of whose beginning history knows nothing.
func (sd *seeds) whole(w store) error {
	if oldest := w.Oldest(); sd.first <= oldest.LSN {
		return abi.Errorf("prov.undo", abi.Trimmed, "history", "it begins at LSN %d (%s), and the work to undo before that", oldest.LSN, stamp(oldest))
	}
	for _, g := range w.Status().Gaps {
		if g.Upto.LSN >= sd.first {
			return abi.Errorf("prov.undo", abi.Trimmed, "history", "what was done between LSN %d (%s) and LSN %d (%s) is not known", g.After.LSN, stamp(g.After), g.Upto.LSN, stamp(g.Upto))
		}
	}
	return nil
}

// named says why a commit is a seed, or "".
func (sd *seeds) named(c *commit) string {
	run := c.call.Execution
	if sd.runs[run] {
		return "it was named"
	}
	o := sd.o
	if o.Principal == "" && o.Function == "" || c.lsn <= sd.since.LSN || strings.HasPrefix(c.call.Procedure, "prov.") {
		return ""
	}
	if o.Principal != "" && c.call.Principal != o.Principal {
		return ""
	}
	why := "it was done on behalf of " + string(o.Principal)
	if o.Function != "" {
		if !sd.ofFunction[run] && (run != "" || c.call.Procedure != o.Function) {
			return ""
		}
		if why = "it is a run of " + o.Function; run == "" {
			why = "it is a call of " + o.Function
		}
	}
	return why
}
