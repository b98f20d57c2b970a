package undo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
)

var (
	runQuery  = dbms.System(`SELECT name, state, principal FROM sched_task WHERE id = $1`)
	stepQuery = dbms.System(`SELECT seq, name, output, error, finished_at FROM wf_step WHERE execution = $1 AND kind = 'step' ORDER BY seq`)
)

// report says what the walk has found out. tx sees the present.
func (u *undoing) report(tx dbms.Tx) (*Plan, error) {
	w := u.walk
	at := u.w.Position()
	p := &Plan{
		From:   prov.Moment{LSN: w.pos, Time: at.Time, Text: fmt.Sprintf("LSN %d", w.pos)},
		Policy: u.o.Policy, Chain: []Link{}, Tables: w.tallies(), Conflicts: []Conflict{},
		External: []prov.ExternalStep{}, Unfinished: []prov.RunPlan{},
	}
	for _, k := range w.works {
		if k.earlier {
			continue
		}
		l := k.Link
		if l.Execution != "" {
			if err := p.run(tx, &l); err != nil {
				return nil, err
			}
		}
		p.Chain = append(p.Chain, l)
	}
	slices.SortFunc(p.Chain, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.LSN, b.LSN), strings.Compare(a.Execution, b.Execution))
	})
	slices.SortFunc(p.External, func(a, b prov.ExternalStep) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Run, b.Run)) })
	slices.SortFunc(p.Unfinished, func(a, b prov.RunPlan) int { return strings.Compare(a.ID, b.ID) })
	p.Conflicts = append(p.Conflicts, w.pinned...)
	for _, lsn := range slices.Sorted(maps.Keys(w.undecided)) {
		p.Conflicts = append(p.Conflicts, w.undecided[lsn])
	}
	written := slices.Collect(maps.Values(w.overwritten))
	slices.SortFunc(written, func(a, b Conflict) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(a.Key, b.Key))
	})
	p.Conflicts = append(p.Conflicts, written...)
	for _, innocent := range w.ran {
		p.Examined++
		if innocent {
			p.Innocent++
		}
	}
	u.warn(p)
	return p, nil
}

// tallies count the rows that differ, by table.
func (w *walk) tallies() []TableRows {
	list := []TableRows{}
	for _, e := range inOrder(w.over.differs(latest, nil)) {
		if n := len(list); n == 0 || list[n-1].Name != e.id.table {
			list = append(list, TableRows{Name: e.id.table})
		}
		t, v := &list[len(list)-1], e.as(latest)
		switch {
		case v.actual == nil:
			t.Back++
		case v.repaired == nil:
			t.Removed++
		default:
			t.Changed++
		}
	}
	return list
}

// run adds what is known of a run.
func (p *Plan) run(tx dbms.Tx, l *Link) error {
	state := ""
	err := each(tx, runQuery, func(row []dbms.Value) error {
		l.Name, state, l.Principal = text(row[0]), text(row[1]), abi.Principal(text(row[2]))
		return nil
	}, l.Execution)
	if err != nil || !l.Undone {
		return err
	}
	switch state {
	case "queued", "running", "waiting":
		p.Unfinished = append(p.Unfinished, prov.RunPlan{ID: l.Execution, Name: l.Name, State: state})
	}
	rows, err := tx.Query(stepQuery, l.Execution)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		s := prov.ExternalStep{Run: l.Execution}
		var output, failure *string
		if err := rows.Scan(&s.Step, &s.Name, &output, &failure, &s.At); err != nil {
			return err
		}
		if output != nil {
			s.Output = *output
		}
		if failure != nil {
			s.Error = *failure
		}
		p.External = append(p.External, s)
	}
	return rows.Err()
}

// warn adds what is no conflict and should be known.
func (u *undoing) warn(p *Plan) {
	if n := len(u.walk.blind); n > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("later transactions that changed rows and did not record what they read (%d) stay unless they changed the same rows", n))
	}
	for _, name := range slices.Sorted(maps.Keys(u.source.gone)) {
		p.Warnings = append(p.Warnings, fmt.Sprintf("table %s has been dropped, renamed or given another key since: what was done to it before stays", name))
	}
	for _, name := range slices.Sorted(maps.Keys(u.walk.keyless)) {
		p.Warnings = append(p.Warnings, fmt.Sprintf("table %s has no primary key, so nothing tells its rows apart: what was done to it stays", name))
	}
}
