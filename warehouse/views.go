//go:build cgo

package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// What a query sees are views, in a catalog of their own in memory: of all tables as
// they were defined at a moment, of their history, and of prov. They are the same for
// all moments between two definitions; the moment itself is a variable of the connection.
//
// The names are the application's; those of the tables below are not, so nothing
// that a table or a column is called can get in the way.
type viewSet struct {
	name string
	refs int // queries that use it
	used int64
}

// keptViews is how many catalogs of views are kept that nobody uses.
const keptViews = 4

// moment is the LSN that a connection asks about. The store's optimizer
// knows its value, and skips what cannot be of that moment.
const momentVariable = `getvariable('dbos_at')::BIGINT`

// viewsAt returns the catalog of views for a moment, to be given back by dropViews.
func (w *Warehouse) viewsAt(ctx context.Context, c *catalog, at dbms.LSN) (dbms.LSN, *viewSet, error) {
	since := c.since(at)
	w.viewing.Lock()
	defer w.viewing.Unlock()
	set := w.views[since]
	if set == nil {
		s, err := w.connect(ctx)
		if err != nil {
			return 0, nil, err
		}
		defer s.Close()
		set = &viewSet{name: fmt.Sprintf("dbos_%d", since)}
		// It takes a moment, and others may need them: who cancels does not stop it.
		background := context.WithoutCancel(ctx)
		if err := makeViews(background, s, c, since, set.name); err != nil {
			for _, text := range []string{"ROLLBACK", "USE warehouse", "DETACH DATABASE IF EXISTS " + quote(set.name)} {
				s.exec(background, text) // what there is to undo
			}
			return 0, nil, err
		}
		w.views[since] = set
	}
	set.refs++
	return since, set, nil
}

// dropViews gives a catalog of views back.
func (w *Warehouse) dropViews(ctx context.Context, s *session, set *viewSet) {
	w.viewing.Lock()
	defer w.viewing.Unlock()
	set.refs--
	w.viewUses++
	set.used = w.viewUses
	for len(w.views) > keptViews {
		var oldest *viewSet
		var key dbms.LSN
		for since, v := range w.views {
			if v.refs == 0 && (oldest == nil || v.used < oldest.used) {
				oldest, key = v, since
			}
		}
		if oldest == nil {
			return
		}
		if _, err := s.exec(ctx, "DETACH DATABASE IF EXISTS "+quote(oldest.name)); err != nil {
			w.warn("views of an earlier definition cannot be removed", "error", err)
		}
		delete(w.views, key)
	}
}

// makeViews makes a catalog of views of what is defined at a moment.
func makeViews(ctx context.Context, s *session, c *catalog, at dbms.LSN, name string) error {
	statements := []string{
		"ATTACH ':memory:' AS " + quote(name),
		"USE " + quote(name),
		"BEGIN TRANSACTION",
		"CREATE SCHEMA history",
		"CREATE SCHEMA prov",
		"CREATE MACRO dbos_time(microseconds) AS make_timestamptz(microseconds)",
	}
	used := newNames("dbos_transaction")
	for _, t := range c.tables {
		if d := t.at(at); d != nil {
			statements = append(statements, tableViews(t, d, used.unique(d.Name))...)
		}
	}
	statements = append(statements, historyViews(c, at)...)
	statements = append(statements, provViews(c, at)...)
	statements = append(statements, "COMMIT")
	for _, text := range statements {
		if _, err := s.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// names makes names unique as the store tells them apart: not by case.
type names map[string]bool

func newNames(taken ...string) names {
	n := names{}
	for _, name := range taken {
		n[strings.ToLower(name)] = true
	}
	return n
}

func (n names) unique(name string) string {
	candidate := name
	for i := 1; n[strings.ToLower(candidate)]; i++ {
		candidate = fmt.Sprintf("%s_%d", name, i)
	}
	n[strings.ToLower(candidate)] = true
	return candidate
}

// versions is a query of the versions of a table that are valid at a moment: the columns of
// a definition by their names.
func (t *table) versions(d *definition, moment string) string {
	var list strings.Builder
	used := newNames()
	for i, p := range d.Physical {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "%s AS %s", t.shown(p), quote(used.unique(d.Columns[i])))
	}
	if len(d.Physical) == 0 {
		list.WriteString("NULL AS empty")
	}
	return fmt.Sprintf("SELECT %s FROM %s WHERE lsn <= %s UNION ALL SELECT %s FROM %s WHERE lsn <= %s AND end_lsn > %s",
		list.String(), t.live(), moment, list.String(), t.closed(), moment, moment)
}

// shown is the expression of a column: in a version from before the column
// changed its type, the value is in the column before.
func (t *table) shown(p int) string {
	before := t.columns[p].Replaces
	if before < 0 {
		return physicalName(p)
	}
	return fmt.Sprintf("coalesce(%s, try_cast(%s AS %s))", physicalName(p), t.shown(before), t.columns[p].stored())
}

// tableViews are the view of a table at the connection's moment, and the macro of it at another.
func tableViews(t *table, d *definition, name string) []string {
	return []string{
		fmt.Sprintf("CREATE VIEW main.%s AS %s", quote(name), t.versions(d, momentVariable)),
		fmt.Sprintf("CREATE MACRO main.%s(moment) AS TABLE %s", quote(name+"_at"), t.versions(d, "dbos_lsn(moment)")),
	}
}

// Columns of views in history after the table's own.
var historyColumns = []string{"dbos_lsn", "dbos_end_lsn", "dbos_op", "dbos_end_op", "dbos_commit", "dbos_end_commit", "dbos_key", "dbos_odd"}

// historyViews are all versions of each table, by the name that it had last. Tables
// of the same name are one after the other in one view.
func historyViews(c *catalog, at dbms.LSN) (statements []string) {
	byName := map[string][]*table{}
	var order []string
	for _, t := range c.tables {
		d := t.named(at)
		if d == nil {
			continue
		}
		if byName[d.Name] == nil {
			order = append(order, d.Name)
		}
		byName[d.Name] = append(byName[d.Name], t)
	}
	used := newNames()
	for _, name := range order {
		list := byName[name]
		slices.Reverse(list) // the columns of the newest first
		parts := make([]string, len(list))
		for i, t := range list {
			parts[i] = t.history(at)
		}
		statements = append(statements, fmt.Sprintf("CREATE VIEW history.%s AS %s", quote(used.unique(name)), strings.Join(parts, " UNION ALL BY NAME ")))
	}
	return statements
}

// named is the newest definition up to a moment, before the table was dropped.
func (t *table) named(at dbms.LSN) (d *definition) {
	for _, n := range t.defs {
		if n.LSN <= at && !n.Dropped {
			d = n
		}
	}
	return d
}

// history is a query of all versions of a table. It has every column that there was.
func (t *table) history(at dbms.LSN) string {
	columns := t.everColumns(at)
	var list strings.Builder
	for _, col := range columns {
		fmt.Fprintf(&list, "%s AS %s, ", t.shown(col.physical), quote(col.name))
	}
	d := t.named(at)
	key := "NULL::VARCHAR"
	if d.keyless() {
		key = physicalName(d.KeyPhysical[0]) + "::VARCHAR"
	}
	odd := "odd"
	for _, col := range columns {
		odd = fmt.Sprintf("replace(%s, %s, %s)", odd, literal(`"`+physicalName(col.physical)+`":`), literal(jsonName(col.name)+`:`))
	}
	own := "lsn AS dbos_lsn, %s AS dbos_end_lsn, " + opName("op") + " AS dbos_op, %s AS dbos_end_op, lsn + commit AS dbos_commit, %s AS dbos_end_commit, " +
		key + " AS dbos_key, CASE WHEN odd IS NOT NULL THEN " + strings.ReplaceAll(odd, "%", "%%") + " END AS dbos_odd"
	ended := "CASE WHEN end_lsn <= " + momentVariable + " THEN %s END"
	return fmt.Sprintf("(SELECT %s"+own+" FROM %s WHERE lsn <= %s UNION ALL SELECT %s"+own+" FROM %s WHERE lsn <= %s)",
		list.String(), "NULL::BIGINT", "NULL::VARCHAR", "NULL::BIGINT", t.live(), momentVariable,
		list.String(), fmt.Sprintf(ended, "end_lsn"), fmt.Sprintf(ended, opName("end_op")), fmt.Sprintf(ended, "end_lsn + end_commit"),
		t.closed(), momentVariable)
}

// opName is the expression of an operation's name.
func opName(column string) string {
	return fmt.Sprintf("CASE %s WHEN %d THEN 'insert' WHEN %d THEN 'update' WHEN %d THEN 'delete' WHEN %d THEN 'drop' ELSE 'base' END",
		column, opInsert, opUpdate, opDelete, opDrop)
}

// A shownColumn is a column of a view.
type shownColumn struct {
	name     string
	physical int
}

// everColumns are the columns of the newest definition, and then those that are
// no more.
func (t *table) everColumns(at dbms.LSN) (columns []shownColumn) {
	used := newNames(historyColumns...)
	seen := map[int]bool{}
	for i := len(t.defs) - 1; i >= 0; i-- {
		d := t.defs[i]
		if d.LSN > at || d.Dropped {
			continue
		}
		for j, p := range d.Physical {
			if seen[p] {
				continue
			}
			for _, q := range t.chain(p) {
				seen[q] = true
			}
			columns = append(columns, shownColumn{name: used.unique(d.Columns[j]), physical: p})
		}
	}
	return columns
}
