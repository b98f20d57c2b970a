package prov

import (
	"context"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// A job is one table's part of a restore.
type job struct {
	r    *restoring
	now  *dbms.Change     // nil: it is not there
	then *warehouse.Table // nil: it was not there
	plan TablePlan
	// rekeyed says that rows are identified otherwise now: all are removed, and
	// those of the moment inserted.
	rekeyed bool
	columns []int // for each of now's columns its place in then's, or -1
	// given are the rows that differ, if somebody knows them already.
	given []warehouse.Difference
}

// classify compares the two definitions.
func (j *job) classify() {
	p := j.r.plan
	switch {
	case j.then == nil:
		j.plan.Definition = "emptied"
		p.warn("table %s was made since: it is emptied and stays", j.plan.Name)
		return
	case j.now == nil:
		j.plan.Definition = "made again"
		p.warn("table %s was dropped since: it is made again, without its indexes, triggers and views", j.plan.Name)
		return
	}
	var added []string
	for _, name := range j.now.Columns {
		i := slices.IndexFunc(j.then.Columns, func(c string) bool { return strings.EqualFold(c, name) })
		j.columns = append(j.columns, i)
		if i < 0 {
			added = append(added, name)
		}
	}
	for i, name := range j.then.Columns {
		if !slices.Contains(j.columns, i) {
			j.plan.Definition = "changed"
			p.warn("column %s of table %s is not there any more: its values do not come back", name, j.plan.Name)
		}
	}
	if len(added) > 0 {
		j.plan.Definition = "changed"
		p.warn("table %s has got columns since (%s): rows that are there keep them, rows that come back have their defaults", j.plan.Name, strings.Join(added, ", "))
	}
	if !slices.EqualFunc(j.now.KeyColumns, j.then.KeyColumns, strings.EqualFold) {
		j.rekeyed, j.plan.Definition = true, "changed"
		p.warn("table %s has another key now: all its rows are written anew", j.plan.Name)
	}
}

// count adds a difference to the plan.
func (j *job) count(d warehouse.Difference) {
	switch {
	case d.From == nil:
		j.plan.Back++
	case d.To == nil:
		j.plan.Removed++
	default:
		j.plan.Changed++
	}
	if n := j.plan.Changed + j.plan.Back + j.plan.Removed; n%progressRows == 0 {
		j.r.options.Progress(Progress{Phase: "restore", Table: j.plan.Name, Rows: n})
	}
	if IsService(j.plan.Name) && !j.r.copying {
		j.r.plan.note(j.plan.Name, j.then.Columns, d)
	}
}

// progressRows is how often somebody is told how far something is.
const progressRows = 10_000

// tally counts what do would change. tx sees the state that is replaced.
func (j *job) tally(ctx context.Context, tx dbms.Tx) error {
	from, to := j.r.plan.From.LSN, j.r.to.LSN
	switch {
	case j.then == nil, j.rekeyed:
		err := each(tx, dbms.System("SELECT count(*) FROM "+quote(j.plan.Name)), func(row []dbms.Value) error {
			j.plan.Removed = numberOf(row[0])
			return nil
		})
		if err != nil || j.then == nil {
			return err
		}
		fallthrough
	case j.now == nil:
		return j.r.past.Rows(ctx, j.plan.Name, to, func(_, row []dbms.Value) error {
			j.count(warehouse.Difference{To: row})
			return nil
		})
	}
	return j.r.past.Diff(ctx, j.plan.Name, from, to, func(d warehouse.Difference) error {
		j.count(d)
		return nil
	})
}

// do makes the table's rows those of the moment.
func (j *job) do(ctx context.Context, tx dbms.Tx, q *quietude) error {
	switch {
	case j.now == nil:
		return j.again(ctx, tx, q)
	case j.then == nil, j.rekeyed:
		if err := q.begin(j.now.Table); err != nil {
			return err
		}
		n, err := tx.Exec(statement(j.now.Table, "DELETE FROM "+quote(j.now.Table)))
		j.plan.Removed = n
		if err != nil || j.then == nil {
			return err
		}
		return j.fill(ctx, tx, *j.now)
	}
	return j.difference(ctx, tx, q)
}

// again makes a table that has been dropped.
func (j *job) again(ctx context.Context, tx dbms.Tx, q *quietude) error {
	if _, err := tx.Exec(statement(j.then.Name, j.then.Schema)); err != nil {
		return abi.Errorf("prov.restore", abi.KindOf(err), "table "+j.then.Name, "it was dropped, and cannot be made again: %w", err).
			WithHint("make it as it was, or restore the other tables by name")
	}
	if err := q.begin(j.then.Name); err != nil {
		return err
	}
	j.columns = nil
	for i := range j.then.Columns {
		j.columns = append(j.columns, i)
	}
	return j.fill(ctx, tx, dbms.Change{Table: j.then.Name, Columns: j.then.Columns, KeyColumns: j.then.KeyColumns})
}

// fill inserts all rows of the moment into a table that has none.
func (j *job) fill(ctx context.Context, tx dbms.Tx, t dbms.Change) error {
	s, err := j.r.dialect.shape(tx, t)
	if err != nil {
		return err
	}
	shared := s.only(j.columns)
	if j.rekeyed {
		unplaced := *shared
		unplaced.place, unplaced.key = "", nil
		shared = &unplaced
	}
	a := newApplier(j.r.dialect, shared)
	a.over = false
	err = j.r.past.Rows(ctx, j.plan.Name, j.r.to.LSN, func(key, row []dbms.Value) error {
		j.count(warehouse.Difference{To: row})
		return a.put(tx, key, j.project(row))
	})
	if err != nil {
		return err
	}
	if err := a.flush(tx); err != nil {
		return err
	}
	for _, text := range j.r.dialect.continued(s) {
		if err := each(tx, dbms.System(text), func([]dbms.Value) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// project makes a row of then one of the columns that are there now too.
func (j *job) project(row []dbms.Value) []dbms.Value {
	if len(j.columns) == len(row) && slices.IsSorted(j.columns) && j.columns[0] == 0 {
		return row
	}
	list := make([]dbms.Value, 0, len(j.columns))
	for _, i := range j.columns {
		if i >= 0 {
			list = append(list, row[i])
		}
	}
	return list
}

// only is the shape with those columns whose place is not negative.
func (s *shape) only(places []int) *shape {
	if !slices.Contains(places, -1) {
		return s
	}
	c := *s
	c.columns = nil
	renumbered := map[int]int{}
	for i, place := range places {
		if place >= 0 {
			renumbered[i] = len(c.columns)
			c.columns = append(c.columns, s.columns[i])
		}
	}
	c.uniques = nil
	for _, set := range s.uniques {
		var list []int
		for _, i := range set {
			if n, ok := renumbered[i]; ok {
				list = append(list, n)
			}
		}
		c.uniques = append(c.uniques, list)
	}
	return &c
}

// difference writes the rows that differ.
//
// Where rows can be in each other's way (two that exchange a unique value, two
// keys that the engine takes for one), those that are are removed first, in a walk of
// their own; what is then written meets nobody.
func (j *job) difference(ctx context.Context, tx dbms.Tx, q *quietude) error {
	full, err := j.r.dialect.shape(tx, *j.now)
	if err != nil {
		return err
	}
	s := full.only(j.columns)
	a := newApplier(j.r.dialect, s)
	write := func(d warehouse.Difference) error {
		if d.To == nil {
			return nil
		}
		return a.put(tx, d.Key, j.project(d.To))
	}
	walk := func(each func(d warehouse.Difference) error) error {
		err := j.walk(ctx, func(d warehouse.Difference) error {
			if err := q.begin(j.now.Table); err != nil {
				return err
			}
			return each(d)
		})
		if err != nil {
			return err
		}
		return a.flush(tx)
	}
	if s.exact && !s.whole && !s.loose && len(s.uniques) == 0 {
		return walk(func(d warehouse.Difference) error {
			j.count(d)
			if d.To == nil {
				return a.remove(tx, d.Key)
			}
			return write(d)
		})
	}
	err = walk(func(d warehouse.Difference) error {
		j.count(d)
		if d.From == nil || d.To != nil && !s.moves(j.project(d.From), j.project(d.To)) {
			return nil
		}
		return a.remove(tx, d.Key)
	})
	if err != nil || j.plan.Changed+j.plan.Back == 0 {
		return err
	}
	return walk(write)
}

// moves reports whether a row that changes has to be removed first.
func (s *shape) moves(from, to []dbms.Value) bool {
	if s.whole || s.loose {
		return true
	}
	for _, set := range s.uniques {
		for _, i := range set {
			if !same(from[i], to[i]) {
				return true
			}
		}
	}
	return false
}

// same reports whether two values are exactly the same.
func same(a, b dbms.Value) bool {
	if x, ok := a.([]byte); ok {
		y, ok := b.([]byte)
		return ok && string(x) == string(y)
	}
	if _, ok := b.([]byte); ok {
		return false
	}
	return a == b
}

// A quietude keeps triggers and foreign keys from acting on tables, from each
// table's first row on.
type quietude struct {
	tx      dbms.Tx
	dialect dialect
	tables  []string
	restore []func() error
}

func (q *quietude) begin(table string) error {
	if n := len(q.tables); n > 0 && q.tables[n-1] == table || slices.Contains(q.tables, table) {
		return nil
	}
	restore, err := q.dialect.quiet(q.tx, []string{table})
	q.tables, q.restore = append(q.tables, table), append(q.restore, restore)
	return err
}

// loud lets them act again.
func (q *quietude) loud() error {
	for _, restore := range slices.Backward(q.restore) {
		if err := restore(); err != nil {
			return err
		}
	}
	return nil
}

// end lets them act again, and checks that foreign keys hold.
func (q *quietude) end() error {
	if err := q.loud(); err != nil {
		return err
	}
	broken, err := q.dialect.check(q.tx, q.tables)
	if err == nil && len(broken) > 0 {
		err = brokenKeys(strings.Join(broken, "; "))
	}
	return err
}
