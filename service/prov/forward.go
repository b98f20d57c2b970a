package prov

import (
	"context"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// Defined reports whether the tables of the copy are defined now as they were at a
// moment, without a change between.
func (m *Machine) Defined(ctx context.Context, at dbms.LSN) (bool, error) {
	all, err := m.past.Tables(ctx, at)
	if err != nil {
		return false, err
	}
	for _, t := range m.tables {
		o := findTable(all, t.Name)
		if o == nil || o.Since != t.Since {
			return false, nil
		}
	}
	return true, nil
}

// Forward is Seek to a later state by somebody who knows the way: changes are all
// that the commits after At and up to the LSN have made, in their order, and no table was defined
// otherwise meanwhile (see Defined). It asks the column store nothing, so that many small steps
// are cheap.
func (m *Machine) Forward(ctx context.Context, lsn dbms.LSN, changes []warehouse.Change) error {
	if lsn < m.at.LSN {
		return abi.Errorf("prov.forward", abi.Invalid, "LSN", "%d is before %d, where the copy is", lsn, m.at.LSN)
	}
	if len(changes) == 0 {
		m.at = Moment{LSN: lsn}
		return nil
	}
	r := &restoring{s: m.source, past: m.past, to: Moment{LSN: lsn}, copying: true, options: RestoreOptions{Progress: func(Progress) {}}}
	var err error
	if r.dialect, err = dialectOf(m.db); err != nil {
		return err
	}
	given := differences(changes)
	err = m.alone(ctx, func(tx dbms.Tx) error {
		r.begin(m.at.LSN)
		if m.now == nil {
			if m.now, err = m.db.Tables(tx); err != nil {
				return err
			}
		}
		now := m.now
		q := &quietude{tx: tx, dialect: r.dialect}
		for _, t := range m.tables {
			list := given[t.Name]
			i := slices.IndexFunc(now, func(c dbms.Change) bool { return strings.EqualFold(c.Table, t.Name) })
			if len(list) == 0 || i < 0 {
				continue
			}
			j := &job{r: r, now: &now[i], then: &t, plan: TablePlan{Name: t.Name}, given: list}
			j.classify()
			j.rekeyed = !r.dialect.placed() && slices.Equal(t.KeyColumns, []string{rowKey})
			if err := j.do(ctx, tx, q); err != nil {
				return err
			}
		}
		return q.loud() // their rows have been so, with the same foreign keys
	})
	if err == nil {
		m.at = Moment{LSN: lsn}
	}
	return err
}

// differences returns what changes come to, for each table one for each row, in
// the order in which the rows were changed first.
func differences(changes []warehouse.Change) map[string][]warehouse.Difference {
	given := map[string][]warehouse.Difference{}
	place := map[string]int{}
	for _, c := range changes {
		id := c.Table + "\x00" + string(dbms.MarshalValues(c.Key))
		list := given[c.Table]
		if i, ok := place[id]; ok {
			list[i].To = c.After
			continue
		}
		place[id] = len(list)
		given[c.Table] = append(list, warehouse.Difference{Key: c.Key, From: c.Before, To: c.After})
	}
	for table, list := range given {
		given[table] = slices.DeleteFunc(list, func(d warehouse.Difference) bool { return d.From == nil && d.To == nil })
	}
	return given
}
