package prov

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// RestoreOptions say what goes back to which moment.
type RestoreOptions struct {
	// To is the moment, as of ParseMoment.
	To string
	// App restricts it to the tables of an application, and Tables to the named
	// ones. If both are empty everything goes back: all applications'
	// tables, and the runs, journals and messages with them.
	App    string
	Tables []string
	// Principal on whose behalf it is done.
	Principal abi.Principal
	// Before and After run in the transaction, before rows change and after they are
	// back, if everything goes back. It is how services fence work in progress.
	Before func(tx dbms.Tx) error
	After  func(tx dbms.Tx) error
	// Progress may be nil.
	Progress func(Progress)
}

// A Progress is how far something long is.
type Progress struct {
	Phase string `json:"phase"`
	Table string `json:"table,omitempty"`
	Rows  int64  `json:"rows"`
	Total int64  `json:"total"` // 0 while it is not known
}

// A RestorePlan says what a restore changes, or has changed.
type RestorePlan struct {
	To   Moment `json:"to"`
	From Moment `json:"from"` // the state that it replaces: restore to it to take the restore back
	// Tables are those with rows that change, or with another definition.
	Tables []TablePlan `json:"tables"`
	// Resumes are runs that were unfinished then, and go on from there; Vanish are
	// runs that began since. At most maxRuns of each are listed, and all are counted.
	Resumes     []RunPlan `json:"resumes"`
	ResumeCount int64     `json:"resume_count"`
	Vanish      []RunPlan `json:"vanish"`
	VanishCount int64     `json:"vanish_count"`
	// External are steps done since outside of the database, which nothing
	// takes back: compensate them by hand.
	External []ExternalStep `json:"external"`
	// Messages is how many messages come back.
	Messages int64    `json:"messages"`
	Warnings []string `json:"warnings,omitempty"`
	// LSN is the restore's own commit; 0 in a plan.
	LSN dbms.LSN `json:"lsn,omitempty"`
	// Took is how long the transaction was alone with the tables.
	Took time.Duration `json:"took,omitempty"`

	runs map[string]*RunPlan // by ID, while it is made
}

// maxRuns is how many runs a plan lists.
const maxRuns = 1000

// A TablePlan counts one table's rows that a restore changes.
type TablePlan struct {
	Name string `json:"name"`
	Applied
	// Definition says what happens to the table itself: "" nothing, "made again",
	// "emptied", "changed" (it has other columns now).
	Definition string `json:"definition,omitempty"`
}

// A RunPlan is a run that a restore concerns.
type RunPlan struct {
	ID    string `json:"id"`
	Name  string `json:"name"`  // of the workflow
	State string `json:"state"` // now; "" if it is not there
	Then  string `json:"then"`  // as of the moment; "" if it was not there
	Steps int    `json:"steps"` // of its journal that are taken back
}

// An ExternalStep is one that was done outside of the database.
type ExternalStep struct {
	Run    string    `json:"run"`
	Step   int       `json:"step"`
	Name   string    `json:"name"`
	Output string    `json:"output"`
	Error  string    `json:"error,omitempty"`
	At     time.Time `json:"at"`
}

// unfinished are the states of runs that go on.
var unfinished = []string{"queued", "running", "waiting"}

// run returns the plan of a run, which is noted when it is asked for first.
func (p *RestorePlan) run(id string) *RunPlan {
	if p.runs == nil {
		p.runs = map[string]*RunPlan{}
	}
	r := p.runs[id]
	if r == nil {
		r = &RunPlan{ID: id}
		p.runs[id] = r
	}
	return r
}

// note looks at a row of the services' tables that changes. Its columns are
// those of the moment.
func (p *RestorePlan) note(table string, columns []string, d warehouse.Difference) {
	field := func(row []dbms.Value, name string) dbms.Value {
		if i := slices.Index(columns, name); i >= 0 && row != nil {
			return row[i]
		}
		return nil
	}
	one := d.From
	if one == nil {
		one = d.To
	}
	switch table {
	case "sched_task":
		r := p.run(textOf(field(one, "id")))
		r.Name, r.State, r.Then = textOf(field(one, "name")), textOf(field(d.From, "state")), textOf(field(d.To, "state"))
	case "wf_step":
		if d.From == nil || d.To != nil {
			return
		}
		id := textOf(field(d.From, "execution"))
		p.run(id).Steps++
		if textOf(field(d.From, "kind")) == "step" {
			p.External = append(p.External, ExternalStep{
				Run: id, Step: int(numberOf(field(d.From, "seq"))), Name: textOf(field(d.From, "name")),
				Output: textOf(field(d.From, "output")), Error: textOf(field(d.From, "error")),
				At: time.UnixMicro(numberOf(field(d.From, "finished_at"))).UTC(),
			})
		}
	}
}

var liveRuns = dbms.System(`SELECT id, name, state FROM sched_task WHERE state IN ('queued', 'running', 'waiting') ORDER BY seq`)

// live notes the unfinished runs whose rows do not change: they were unfinished
// then too. tx sees the state that is replaced.
func (p *RestorePlan) live(tx dbms.Tx) error {
	return each(tx, liveRuns, func(row []dbms.Value) error {
		r := p.run(textOf(row[0]))
		if r.Name == "" {
			r.Name, r.State, r.Then = textOf(row[1]), textOf(row[2]), textOf(row[2])
		}
		return nil
	})
}

// settle sorts the runs into lists, when all rows have been seen.
func (p *RestorePlan) settle() {
	for _, r := range p.runs {
		switch {
		case r.Then == "" && r.State != "":
			p.VanishCount++
			p.Vanish = append(p.Vanish, *r)
		case slices.Contains(unfinished, r.Then):
			p.ResumeCount++
			p.Resumes = append(p.Resumes, *r)
		}
	}
	p.runs = nil
	for _, list := range []*[]RunPlan{&p.Resumes, &p.Vanish} {
		slices.SortFunc(*list, func(a, b RunPlan) int { return cmp.Compare(a.ID, b.ID) })
		if len(*list) > maxRuns {
			*list = slices.Clone((*list)[:maxRuns])
			p.warn("only %d runs of a list are shown", maxRuns)
		}
	}
	slices.SortFunc(p.External, func(a, b ExternalStep) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Run, b.Run), cmp.Compare(a.Step, b.Step))
	})
	slices.SortFunc(p.Tables, func(a, b TablePlan) int { return cmp.Compare(a.Name, b.Name) })
	p.Warnings = slices.Compact(p.Warnings)
}

func (p *RestorePlan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}
