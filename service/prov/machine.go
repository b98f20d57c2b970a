package prov

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// A Machine is the time machine: a scratch copy of the database that can be
// moved to any moment, forward and back, at a cost that goes with the distinct
// rows between. Its methods are called by one goroutine at a time.
type Machine struct {
	source *Service
	past   past
	db     dbms.DB
	at     Moment
	tables []warehouse.Table // as of at
	now    []dbms.Change     // as the copy has them; nil if nobody has looked
}

// NewMachine makes a copy of the source in scratch, a database of the same engine with the services' tables, without rows,
// which stays the caller's. The copy is as of now: see At. It has foreign keys, indexes, views and
// triggers of the application too, as they are now.
func NewMachine(ctx context.Context, source *Service, scratch dbms.DB) (*Machine, error) {
	_, now, err := source.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	w, err := source.past(ctx)
	if err != nil {
		return nil, err
	}
	m := &Machine{source: source, past: w, db: scratch}
	return m, m.build(ctx, now, false)
}

// MachineProcedure is the name of the machine's transactions in the scratch.
const MachineProcedure = "prov.seek"

// build fills the scratch from nothing.
func (m *Machine) build(ctx context.Context, at Moment, clear bool) error {
	b, err := newBuilding(ctx, m.source, m.past, m.db, at)
	if err != nil {
		return err
	}
	err = m.alone(ctx, func(tx dbms.Tx) error {
		if clear {
			if err := m.clear(tx); err != nil {
				return err
			}
		}
		return b.run(ctx, tx)
	})
	if err == nil {
		m.at, m.tables = at, b.tables
	}
	return err
}

func (m *Machine) alone(ctx context.Context, fn func(tx dbms.Tx) error) error {
	_, err := m.db.UpdateExclusive(ctx, abi.Call{Procedure: MachineProcedure, Principal: abi.System}, nil, fn)
	return err
}

// clear removes everything from the scratch.
func (m *Machine) clear(tx dbms.Tx) error {
	d, err := dialectOf(m.db)
	if err != nil {
		return err
	}
	drops, err := d.drops(tx)
	if err != nil {
		return err
	}
	for _, text := range drops {
		if _, err := tx.Exec(dbms.SQL(text)); err != nil {
			return err
		}
	}
	tables, err := m.db.Tables(tx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := tx.Exec(dbms.System("DELETE FROM " + quote(t.Table))); err != nil {
			return err
		}
	}
	return nil
}

// Seek moves the copy to the state as of an LSN. Where tables were defined otherwise then, the
// copy is made from nothing. What others have done in the copy since
// the last Seek is overwritten only where rows differ between the moments: roll it back. After an error the
// machine is where it was.
func (m *Machine) Seek(ctx context.Context, lsn dbms.LSN) error {
	m.now = nil
	to := Moment{LSN: lsn} // its time is nobody's concern
	if lsn == m.at.LSN {
		return nil
	}
	if lsn <= m.past.Oldest().LSN || lsn > m.past.Position().LSN {
		var err error
		if to, err = m.source.Resolve(ctx, fmt.Sprintf("LSN %d", lsn)); err != nil {
			return err
		}
	}
	all, err := m.past.Tables(ctx, lsn)
	if err != nil {
		return err
	}
	tables := slices.DeleteFunc(inOrder(all), func(t warehouse.Table) bool { return slices.Contains(left, strings.ToLower(t.Name)) })
	if !alike(m.tables, tables) {
		return m.build(ctx, to, true)
	}
	r := &restoring{s: m.source, past: m.past, to: to, copying: true, options: RestoreOptions{Progress: func(Progress) {}}}
	if r.dialect, err = dialectOf(m.db); err != nil {
		return err
	}
	err = m.alone(ctx, func(tx dbms.Tx) error {
		r.begin(m.at.LSN)
		now, err := m.db.Tables(tx)
		if err != nil {
			return err
		}
		q := &quietude{tx: tx, dialect: r.dialect}
		for _, t := range tables {
			i := slices.IndexFunc(now, func(c dbms.Change) bool { return strings.EqualFold(c.Table, t.Name) })
			if i < 0 {
				return abi.Errorf("prov.seek", abi.Conflict, "table "+t.Name, "somebody has dropped it from the copy")
			}
			j := &job{r: r, now: &now[i], then: &t, plan: TablePlan{Name: t.Name}}
			j.classify()
			// A copy's rows have other places than the source's, if places cannot be chosen.
			j.rekeyed = !r.dialect.placed() && slices.Equal(t.KeyColumns, []string{rowKey})
			if err := j.do(ctx, tx, q); err != nil {
				return err
			}
		}
		return q.end()
	})
	if err == nil {
		m.at, m.tables = to, tables
	}
	return err
}

// alike reports whether tables are defined in the same way.
func alike(a, b []warehouse.Table) bool {
	if len(a) != len(b) {
		return false
	}
	for _, t := range a {
		o := findTable(b, t.Name)
		if o == nil || o.Schema != t.Schema || !slices.Equal(o.Columns, t.Columns) || !slices.Equal(o.KeyColumns, t.KeyColumns) {
			return false
		}
	}
	return true
}

// At is where the machine is.
func (m *Machine) At() dbms.LSN { return m.at.LSN }

// DB is the copy.
func (m *Machine) DB() dbms.DB { return m.db }

// Close releases the machine; the scratch database stays open.
func (m *Machine) Close() error { return nil }
