//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/dbos-go/dbos/dbms"
)

// Diff runs fn for each row of a table that is not the same at two moments, in
// no order; either may be the earlier one, and 0 is the newest. Values are parallel to the columns
// of the table at to, or at from if there is no such table at to; a column that there was not
// at from has in From what the row had in it later, or NULL. What it costs grows with the
// number of rows that are different, not with that of changes between or rows in the table.
func (w *Warehouse) Diff(ctx context.Context, name string, from, to dbms.LSN, fn func(Difference) error) error {
	const op = "warehouse.diff"
	from, _, err := w.check(op, from)
	if err != nil {
		return err
	}
	to, c, err := w.check(op, to)
	if err != nil {
		return err
	}
	before, fromDef := c.find(name, from)
	after, toDef := c.find(name, to)
	if before == nil && after == nil {
		return w.noTable(op, c, name, to)
	}
	if from == to {
		return nil
	}
	switch {
	case before == after:
		return w.diffVersions(ctx, before, fromDef, toDef, from, to, fn)
	case before == nil:
		return w.Rows(ctx, name, to, func(key, row []dbms.Value) error { return fn(Difference{Key: key, To: row}) })
	case after == nil:
		return w.Rows(ctx, name, from, func(key, row []dbms.Value) error { return fn(Difference{Key: key, From: row}) })
	}
	return w.diffTables(ctx, name, fromDef, toDef, from, to, fn)
}

// diffVersions compares two moments of one table: of the rows that changed between,
// those whose values are not the same in the end.
func (w *Warehouse) diffVersions(ctx context.Context, t *table, fromDef, toDef *definition, from, to dbms.LSN, fn func(Difference) error) error {
	s, ctx, err := w.session(ctx, "warehouse.diff")
	if err != nil {
		return err
	}
	defer w.finish(s)
	old, fresh := newDecoder(t, toDef, fromDef), newDecoder(t, toDef, toDef)
	low, high := min(from, to), max(from, to)
	// What was valid at the earlier moment and is no longer at the later one; what
	// is valid at the later one and began after the earlier one.
	ended := func(list string) string {
		return fmt.Sprintf("SELECT lsn, key_odd, %s, %s FROM %s WHERE end_lsn > %d AND end_lsn <= %d AND lsn <= %d",
			list, t.physicalList(""), t.closed(), low, high, low)
	}
	begun := func(list string) string {
		return fmt.Sprintf(`SELECT lsn, key_odd, %s, %s FROM %s WHERE lsn > %d AND lsn <= %d
			UNION ALL SELECT lsn, key_odd, %s, %s FROM %s WHERE lsn > %d AND lsn <= %d AND end_lsn > %d`,
			list, t.physicalList(""), t.live(), low, high, list, t.physicalList(""), t.closed(), low, high, high)
	}
	a, b := ended("odd"), begun("odd")
	if from > to {
		a, b = b, a
	}
	text := fmt.Sprintf("SELECT a.lsn, b.lsn, %s, %s FROM (%s) a FULL JOIN (%s) b ON %s", old.list("a."), fresh.list("b."), a, b,
		toDef.sameKey("a", "b", true))
	return s.query(ctx, func(raw []driver.Value) error {
		var d Difference
		var err error
		if raw[0] != nil {
			if d.Key, d.From, err = old.row(raw[2 : 2+old.width()]); err != nil {
				return err
			}
		}
		if raw[1] != nil {
			if d.Key, d.To, err = fresh.row(raw[2+old.width():]); err != nil {
				return err
			}
		}
		if d.From != nil && d.To != nil && equalRows(d.From, d.To) {
			return nil
		}
		return fn(d)
	}, text)
}

// diffTables compares two tables of one name: it was dropped and made again.
func (w *Warehouse) diffTables(ctx context.Context, name string, fromDef, toDef *definition, from, to dbms.LSN, fn func(Difference) error) error {
	place := make([]int, len(toDef.Columns))
	for i, column := range toDef.Columns {
		place[i] = slices.Index(fromDef.Columns, column)
	}
	old := map[rowKey]Difference{}
	err := w.Rows(ctx, name, from, func(key, row []dbms.Value) error {
		values := make([]dbms.Value, len(place))
		for i, p := range place {
			if p >= 0 {
				values[i] = row[p]
			}
		}
		old[keyOf(key)] = Difference{Key: key, From: values}
		return nil
	})
	if err != nil {
		return err
	}
	err = w.Rows(ctx, name, to, func(key, row []dbms.Value) error {
		k := keyOf(key)
		d, both := old[k]
		delete(old, k)
		if both && equalRows(d.From, row) {
			return nil
		}
		return fn(Difference{Key: key, From: d.From, To: row})
	})
	if err != nil {
		return err
	}
	for _, d := range old {
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}

// equalRows compares values exactly.
func equalRows(a, b []dbms.Value) bool {
	return slices.EqualFunc(a, b, func(x, y dbms.Value) bool { return keyOf([]dbms.Value{x}) == keyOf([]dbms.Value{y}) })
}
