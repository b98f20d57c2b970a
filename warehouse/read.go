//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Tables returns the tracked tables as they were defined at a moment, 0 being the
// newest, by name.
func (w *Warehouse) Tables(ctx context.Context, at dbms.LSN) ([]Table, error) {
	at, c, err := w.check("warehouse.tables", at)
	if err != nil {
		return nil, err
	}
	var list []Table
	for _, t := range c.tables {
		if d := t.at(at); d != nil {
			list = append(list, Table{Name: d.Name, Columns: d.Columns, Types: d.Types, KeyColumns: d.Keys, Schema: d.Schema, Since: d.LSN})
		}
	}
	slices.SortFunc(list, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// lookUp returns the table of a name at a moment.
func (w *Warehouse) lookUp(op, name string, at dbms.LSN) (dbms.LSN, *table, *definition, error) {
	at, c, err := w.check(op, at)
	if err != nil {
		return 0, nil, nil, err
	}
	t, d := c.find(name, at)
	if t == nil {
		return 0, nil, nil, w.noTable(op, c, name, at)
	}
	return at, t, d, nil
}

func (w *Warehouse) noTable(op string, c *catalog, name string, at dbms.LSN) error {
	known, dropped := c.ever(name)
	e := abi.Errorf(op, abi.NotFound, "table "+name, "there is none at LSN %d", at)
	switch {
	case dropped > 0:
		return e.WithHint("it was dropped at LSN %d: ask for a moment before", dropped)
	case known:
		return e.WithHint("there was one at another moment: history.%s has all of it", quote(name))
	}
	return e
}

// Rows runs fn for each row that a table had at a moment, 0 being the newest,
// in no order: its key and its values, parallel to the table's KeyColumns and Columns, exactly as
// the engine gives them. fn may keep them.
func (w *Warehouse) Rows(ctx context.Context, name string, at dbms.LSN, fn func(key, row []dbms.Value) error) error {
	const op = "warehouse.rows"
	at, t, d, err := w.lookUp(op, name, at)
	if err != nil {
		return err
	}
	s, ctx, err := w.session(ctx, op)
	if err != nil {
		return err
	}
	defer w.finish(s)
	dec := newDecoder(t, d, d)
	return s.query(ctx, func(raw []driver.Value) error {
		key, row, err := dec.row(raw)
		if err != nil {
			return err
		}
		return fn(key, row)
	}, fmt.Sprintf("SELECT %s FROM %s WHERE lsn <= %d UNION ALL SELECT %s FROM %s WHERE lsn <= %d AND end_lsn > %d",
		dec.list(""), t.live(), at, dec.list(""), t.closed(), at, at))
}

// Row returns the values of one row at a moment, 0 being the newest; nil if
// there was no such row.
func (w *Warehouse) Row(ctx context.Context, name string, key []dbms.Value, at dbms.LSN) (row []dbms.Value, err error) {
	const op = "warehouse.row"
	at, t, d, err := w.lookUp(op, name, at)
	if err != nil {
		return nil, err
	}
	if len(key) != len(d.KeyPhysical) {
		return nil, abi.Errorf(op, abi.Invalid, "key", "it has %d values, that of table %s has %d", len(key), name, len(d.KeyPhysical))
	}
	s, ctx, err := w.session(ctx, op)
	if err != nil {
		return nil, err
	}
	defer w.finish(s)
	where, args := t.keyIs(d, key)
	dec := newDecoder(t, d, d)
	err = s.query(ctx, func(raw []driver.Value) error {
		_, row, err = dec.row(raw)
		return err
	}, fmt.Sprintf("SELECT %s FROM %s WHERE lsn <= %d AND %s UNION ALL SELECT %s FROM %s WHERE lsn <= %d AND end_lsn > %d AND %s",
		dec.list(""), t.live(), at, where, dec.list(""), t.closed(), at, at, where), args...)
	return row, err
}

// keyIs is the condition that a row has the key.
func (t *table) keyIs(d *definition, key []dbms.Value) (string, []any) {
	var cond strings.Builder
	var args []any
	var odd oddRow
	for i, p := range d.KeyPhysical {
		value, fits := t.columns[p].put(key[i])
		if !fits {
			odd.addKey(p, key[i])
		}
		expr, arg := t.columns[p].parameter(len(args)+1, value)
		args = append(args, arg)
		fmt.Fprintf(&cond, "%s IS NOT DISTINCT FROM %s AND ", physicalName(p), expr)
	}
	if text := oddText(odd.key); text != nil {
		args = append(args, text)
		fmt.Fprintf(&cond, "key_odd = $%d", len(args))
	} else {
		cond.WriteString("key_odd IS NULL")
	}
	return cond.String(), args
}

// A decoder makes values of rows of the store.
type decoder struct {
	t *table
	// columns are, for each column of the definition that is asked for, where its value is in the
	// rows that are read; -1 if it is nowhere.
	columns []int
	keys    []int
	fetched []int // the columns to select, after odd
	at      map[int]int
}

// newDecoder reads rows that were written while a table was defined as stored, and
// gives them the columns of the definition wanted.
func newDecoder(t *table, wanted, stored *definition) *decoder {
	dec := &decoder{t: t, at: map[int]int{}}
	fetch := func(p int) int {
		if _, there := dec.at[p]; !there {
			dec.at[p] = len(dec.fetched)
			dec.fetched = append(dec.fetched, p)
		}
		return p
	}
	for _, p := range wanted.Physical {
		from := -1
		for _, q := range t.chain(p) {
			if slices.Contains(stored.Physical, q) {
				from = fetch(q)
				break
			}
		}
		if from < 0 && stored != wanted {
			from = fetch(p) // the column is newer: rows have its default, or NULL
		}
		dec.columns = append(dec.columns, from)
	}
	for _, p := range stored.KeyPhysical {
		dec.keys = append(dec.keys, fetch(p))
	}
	return dec
}

// list is what to select.
func (dec *decoder) list(prefix string) string {
	names := []string{prefix + "odd"}
	for _, p := range dec.fetched {
		names = append(names, prefix+physicalName(p))
	}
	return strings.Join(names, ", ")
}

// width is how many columns list has.
func (dec *decoder) width() int { return 1 + len(dec.fetched) }

// row decodes what list has selected.
func (dec *decoder) row(raw []driver.Value) (key, row []dbms.Value, err error) {
	var odd map[int]dbms.Value
	if text, ok := raw[0].(string); ok {
		if odd, err = oddCells(text); err != nil {
			return nil, nil, err
		}
	}
	values := make([]dbms.Value, len(dec.columns)+len(dec.keys))
	get := func(p int) dbms.Value {
		if p < 0 {
			return nil
		}
		if v, ok := odd[p]; ok {
			return v
		}
		return dec.t.columns[p].get(raw[1+dec.at[p]])
	}
	for i, p := range dec.columns {
		values[i] = get(p)
	}
	for i, p := range dec.keys {
		values[len(dec.columns)+i] = get(p)
	}
	n := len(dec.columns)
	return values[n:], values[:n:n], nil
}
