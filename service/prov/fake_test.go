package prov

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// A record is a warehouse as plain as can be: all commits, and every question
// answered by going through them from the first. It begins with the empty database.
type record struct {
	mu      sync.Mutex
	commits []dbms.Commit
	failed  error // what Diff fails with, half-way
}

func (w *record) Spool(ctx context.Context, db dbms.DB, upto dbms.LSN) (dbms.LSN, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		var last dbms.LSN
		if n := len(w.commits); n > 0 {
			last = w.commits[n-1].LSN
		}
		if upto > 0 && last >= upto {
			return last, nil
		}
		list, err := db.Changes(ctx, last, 1000)
		if err != nil || len(list) == 0 {
			return last, err
		}
		w.commits = append(w.commits, list...)
	}
}

func (w *record) Position() warehouse.Moment {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.commits) == 0 {
		return warehouse.Moment{}
	}
	c := w.commits[len(w.commits)-1]
	return warehouse.Moment{LSN: c.LSN, Time: c.Time}
}

func (w *record) Oldest() (m warehouse.Moment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.commits) > 0 {
		m.Time = w.commits[0].Time // of the empty database
	}
	return m
}
func (w *record) Status() warehouse.Status {
	return warehouse.Status{Newest: w.Position(), Sealed: w.Position()}
}
func (w *record) Seal(context.Context) error   { return nil }
func (w *record) Expire(context.Context) error { return nil }
func (w *record) Close() error                 { return nil }

func (w *record) LSNAt(_ context.Context, at time.Time) (lsn dbms.LSN, err error) {
	for _, c := range w.commits {
		if !c.Time.After(at) {
			lsn = c.LSN
		}
	}
	return lsn, nil
}

func (w *record) Commits(_ context.Context, f warehouse.Filter) (list []warehouse.Commit, err error) {
	for _, c := range w.commits {
		if c.LSN > f.After && (f.Upto == 0 || c.LSN <= f.Upto) && (f.Execution == "" || f.Execution == c.Call.Execution) && (f.Limit == 0 || len(list) < f.Limit) {
			list = append(list, warehouse.Commit{Commit: c})
		}
	}
	return list, nil
}

// A recorded table as of a moment.
type recorded struct {
	table dbms.Change
	rows  map[string][2][]dbms.Value // key and row, by the key as text
}

// state goes through the commits up to an LSN.
func (w *record) state(at dbms.LSN) map[string]*recorded {
	w.mu.Lock()
	defer w.mu.Unlock()
	tables := map[string]*recorded{}
	for _, commit := range w.commits {
		for _, c := range commit.Changes {
			if c.LSN > at {
				return tables
			}
			t := tables[c.Table]
			switch c.Op {
			case dbms.Define:
				if c.Renamed != "" {
					t = tables[c.Renamed]
					delete(tables, c.Renamed)
				}
				tables[c.Table] = redefined(t, c)
			case dbms.Drop:
				delete(tables, c.Table)
			case dbms.Delete:
				delete(t.rows, fmt.Sprintf("%#v", c.Key))
			default:
				t.rows[fmt.Sprintf("%#v", c.Key)] = [2][]dbms.Value{c.Key, c.Row}
			}
		}
	}
	return tables
}

// redefined is a table with a new definition, whose columns are found by name.
func redefined(t *recorded, c dbms.Change) *recorded {
	n := &recorded{table: c, rows: map[string][2][]dbms.Value{}}
	if t == nil {
		return n
	}
	for key, r := range t.rows {
		row := make([]dbms.Value, len(c.Columns))
		for i, name := range c.Columns {
			if at := slices.Index(t.table.Columns, name); at >= 0 {
				row[i] = r[1][at]
			} else if i < len(c.Defaults) {
				row[i] = c.Defaults[i]
			}
		}
		n.rows[key] = [2][]dbms.Value{r[0], row}
	}
	return n
}

func (w *record) Tables(_ context.Context, at dbms.LSN) (list []warehouse.Table, err error) {
	for _, t := range w.state(at) {
		c := t.table
		list = append(list, warehouse.Table{Name: c.Table, Columns: c.Columns, Types: c.Types, KeyColumns: c.KeyColumns, Schema: c.Schema, Since: c.LSN})
	}
	slices.SortFunc(list, func(a, b warehouse.Table) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (w *record) Rows(_ context.Context, table string, at dbms.LSN, fn func(key, row []dbms.Value) error) error {
	t := w.state(at)[table]
	if t == nil {
		return abi.Errorf("warehouse.rows", abi.NotFound, "table "+table, "it was not there")
	}
	for _, r := range t.rows {
		if err := fn(r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

func (w *record) Diff(_ context.Context, table string, from, to dbms.LSN, fn func(warehouse.Difference) error) error {
	a, b := w.state(from)[table], w.state(to)[table]
	if b == nil {
		return abi.Errorf("warehouse.diff", abi.NotFound, "table "+table, "it was not there")
	}
	if a != nil {
		a = redefined(a, b.table)
	} else {
		a = &recorded{}
	}
	n := 0
	for key, r := range a.rows {
		if same := b.rows[key]; fmt.Sprintf("%#v", same[1]) != fmt.Sprintf("%#v", r[1]) {
			if err := fn(warehouse.Difference{Key: r[0], From: r[1], To: same[1]}); err != nil {
				return err
			}
			if n++; w.failed != nil && n > 1 {
				return w.failed
			}
		}
	}
	for key, r := range b.rows {
		if _, there := a.rows[key]; !there {
			if err := fn(warehouse.Difference{Key: r[0], To: r[1]}); err != nil {
				return err
			}
		}
	}
	return nil
}
