//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// edit returns the catalog to be changed.
func (a *applier) edit() *catalog {
	if !a.cloned {
		a.catalog, a.cloned = a.catalog.clone(), true
	}
	return a.catalog
}

// defined follows a changed definition.
func (a *applier) defined(ctx context.Context, commit dbms.LSN, ch *dbms.Change) error {
	c := a.edit()
	name := ch.Table
	if ch.Renamed != "" {
		name = ch.Renamed
	}
	t := c.current[name]
	if ch.Op == dbms.Drop {
		if t == nil {
			return nil
		}
		return a.dropped(ctx, t, ch.LSN, commit, opDrop)
	}
	d := c.define(t, ch)
	if t == nil {
		_, err := a.made(ctx, d)
		return err
	}
	if !slices.Equal(d.KeyPhysical, t.last().KeyPhysical) {
		return a.remake(ctx, t, commit, ch)
	}
	if len(d.Added) > 0 {
		if err := a.split(ctx); err != nil {
			return err
		}
		c = a.edit()
		t = c.current[name]
	}
	old, columns := t.last(), len(t.columns)
	t.add(d)
	delete(c.current, old.Name)
	c.current[d.Name] = t
	if err := t.widen(ctx, a.s, columns); err != nil {
		return err
	}
	if err := a.refill(ctx, t, old, columns, defaultsOf(ch)); err != nil {
		return err
	}
	return a.keep(ctx, t, d)
}

// made adds a table.
func (a *applier) made(ctx context.Context, d *definition) (*table, error) {
	c := a.edit()
	t := &table{id: len(c.tables)}
	c.tables = append(c.tables, t)
	t.add(d)
	c.current[d.Name] = t
	if err := t.create(ctx, a.s); err != nil {
		return nil, err
	}
	return t, a.keep(ctx, t, d)
}

// remake ends a table whose rows are identified by something else from now on, and
// goes on with the same rows in a new one.
func (a *applier) remake(ctx context.Context, old *table, commit dbms.LSN, ch *dbms.Change) error {
	from := old.last()
	// The rows are read before they are ended, and the store sees in one statement only what was
	// there when it began.
	d := a.edit().define(nil, ch)
	t, err := a.made(ctx, d)
	if err != nil {
		return err
	}
	match, defaults := matchColumns(from, d), defaultsOf(ch)
	keys := make([]int, len(d.Keys))
	for i, k := range d.Keys {
		keys[i] = slices.Index(d.Columns, k)
	}
	dec, e := newDecoder(old, from, from), newEncoder(t)
	v := version{lsn: ch.LSN, commit: uint32(commit - ch.LSN), op: opBase, row: make([]dbms.Value, len(d.Columns)), key: make([]dbms.Value, len(keys))}
	err = a.fill(ctx, "warehouse", fmt.Sprintf("live_%d", t.id), nil, func(add func(...driver.Value) error) error {
		return a.s.query(ctx, func(raw []driver.Value) error {
			key, row, err := dec.row(raw)
			if err != nil {
				return err
			}
			for i, m := range match {
				if m >= 0 {
					v.row[i] = row[m]
				} else {
					v.row[i] = defaults[d.Columns[i]]
				}
			}
			for i, k := range keys {
				if k >= 0 {
					v.key[i] = v.row[k]
				} else {
					v.key[i] = key[min(i, len(key)-1)]
				}
			}
			return add(e.all(&v)...)
		}, fmt.Sprintf("SELECT %s FROM %s", dec.list(""), old.live()))
	})
	if err != nil {
		return err
	}
	return a.dropped(ctx, old, ch.LSN, commit, opDrop)
}

// defaultsOf returns what rows have in columns that are new, by column.
func defaultsOf(ch *dbms.Change) map[string]dbms.Value {
	defaults := map[string]dbms.Value{}
	for i, v := range ch.Defaults {
		if v != nil && i < len(ch.Columns) {
			defaults[ch.Columns[i]] = v
		}
	}
	return defaults
}

// dropped ends a table and all its rows.
func (a *applier) dropped(ctx context.Context, t *table, lsn, commit dbms.LSN, op uint8) error {
	_, err := a.s.exec(ctx, fmt.Sprintf(`INSERT INTO %s (lsn, commit, op, odd, key_odd, end_lsn, end_commit, end_op, %s)
		SELECT lsn, commit, op, odd, key_odd, %d, %d, %d, %s FROM %s`,
		t.closed(), t.physicalList(""), lsn, commit-lsn, op, t.physicalList(""), t.live()))
	if err != nil {
		return err
	}
	if _, err := a.s.exec(ctx, "DELETE FROM "+t.live()); err != nil {
		return err
	}
	last := t.last()
	d := &definition{LSN: lsn, Name: last.Name, Dropped: true}
	a.catalog.forget(t)
	t.add(d)
	return a.keep(ctx, t, d)
}

// keep writes a definition down.
func (a *applier) keep(ctx context.Context, t *table, d *definition) error {
	body, err := json.Marshal(d)
	if err != nil {
		return abi.Errorf("warehouse.spool", abi.Invalid, "table "+d.Name, "%w", err)
	}
	_, err = a.s.exec(ctx, `INSERT INTO warehouse.definition SELECT $1, $2, coalesce(max(n), 0) + 1, $3 FROM warehouse.definition`,
		t.id, int64(d.LSN), string(body))
	return err
}

// refill gives live rows what they have in the columns from the n-th on: the default of a
// column that is new, the same value in another type of one that changed.
func (a *applier) refill(ctx context.Context, t *table, old *definition, n int, defaults map[string]dbms.Value) error {
	d := t.last()
	fresh := map[int]dbms.Value{} // by column
	convert := false
	for i, p := range d.Physical {
		if p < n {
			continue
		}
		if t.columns[p].Replaces >= 0 {
			convert = true
			continue
		}
		if v := defaults[d.Columns[i]]; v != nil {
			fresh[p] = v
		}
	}
	for p, v := range fresh {
		if _, fits := t.columns[p].put(v); !fits {
			convert = true
		}
	}
	d.Refilled = convert || len(fresh) > 0
	if convert {
		return a.rewrite(ctx, t, old, fresh)
	}
	for p, v := range fresh {
		value, _ := t.columns[p].put(v)
		expr, arg := t.columns[p].parameter(1, value)
		if _, err := a.s.exec(ctx, fmt.Sprintf("UPDATE %s SET %s = %s", t.live(), physicalName(p), expr), arg); err != nil {
			return err
		}
	}
	return nil
}

// rewrite makes all live rows anew: each value is read exactly and put where the
// newest definition wants it. Versions stay what they are.
func (a *applier) rewrite(ctx context.Context, t *table, old *definition, fresh map[int]dbms.Value) error {
	d := t.last()
	_, err := a.s.exec(ctx, fmt.Sprintf("CREATE OR REPLACE TEMP TABLE rewritten AS SELECT * FROM %s LIMIT 0", t.live()))
	if err != nil {
		return err
	}
	before := make([]int, len(d.Physical)) // of each column: where the value is now, -1 for nowhere
	for i, p := range d.Physical {
		before[i] = p
		if t.columns[p].Replaces >= 0 && !slices.Contains(old.Physical, p) {
			before[i] = t.columns[p].Replaces
		}
	}
	err = a.fill(ctx, "temp", "rewritten", nil, func(add func(...driver.Value) error) error {
		out := make([]driver.Value, liveNumber+len(t.columns))
		return a.s.query(ctx, func(row []driver.Value) error {
			copy(out, row)
			if err := rewriteRow(t, d, before, fresh, out); err != nil {
				return err
			}
			return add(out...)
		}, "SELECT * FROM "+t.live())
	})
	if err != nil {
		return err
	}
	if _, err := a.s.exec(ctx, "DELETE FROM "+t.live()); err != nil {
		return err
	}
	_, err = a.s.exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT * FROM rewritten", t.live()))
	return err
}

// rewriteRow changes a row of the live table in place.
func rewriteRow(t *table, d *definition, before []int, fresh map[int]dbms.Value, row []driver.Value) error {
	odd := map[int]dbms.Value{}
	if text, ok := row[0].(string); ok {
		var err error
		if odd, err = oddCells(text); err != nil {
			return err
		}
	}
	cells := row[liveNumber:]
	exact := func(p int) dbms.Value {
		if v, ok := odd[p]; ok {
			return v
		}
		return t.columns[p].get(cells[p])
	}
	for i, p := range d.Physical {
		v, isFresh := fresh[p]
		if before[i] == p && !isFresh {
			continue
		}
		if !isFresh {
			v = exact(before[i])
		}
		value, fits := t.columns[p].put(v)
		if !fits {
			odd[p] = v
		}
		cells[p] = value
	}
	var o oddRow
	for p := range t.columns {
		if v, ok := odd[p]; ok {
			o.add(p, v)
		}
	}
	for _, p := range d.KeyPhysical {
		if v, ok := odd[p]; ok {
			o.addKey(p, v)
		}
	}
	row[0], row[1] = oddText(o.cells), oddText(o.key)
	return nil
}
