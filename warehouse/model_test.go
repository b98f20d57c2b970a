//go:build cgo

package warehouse_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// TestModel compares the warehouse with a plain model of a random history: rows
// at all moments, differences between any two, changes, single rows.
func TestModel(t *testing.T) {
	// Each history opens some files, so unless somebody asks for more there are
	// few, of another seed each time.
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		n := "12"
		if testing.Short() {
			n = "4"
		}
		if err := checks.Value.Set(n); err != nil {
			t.Fatal(err)
		}
		defer checks.Value.Set(checks.DefValue)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := newFeed(rapid.SampledFrom([]string{"sqlite", "postgres"}).Draw(t, "engine"))
		dir, err := os.MkdirTemp("", "warehouse")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w, err := warehouse.Open(t.Context(), dir, warehouse.Options{Retention: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { w.Close() }()
		g := generator{t: t, f: f}
		for range rapid.IntRange(1, 12).Draw(t, "commits") {
			g.transaction()
			switch rapid.IntRange(0, 7).Draw(t, "then") {
			case 0, 1:
				check(t, w, f)
			case 2:
				if _, err := w.Spool(t.Context(), f, 0); err != nil {
					t.Fatal(err)
				}
				if err := w.Seal(t.Context()); err != nil {
					t.Fatal(err)
				}
			case 3:
				w = g.reopen(w, dir)
			}
		}
		check(t, w, f)
		if err := w.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		w = g.rebuild(w, dir)
		check(t, w, f)
	})
}

// A generator makes random transactions.
type generator struct {
	t *rapid.T
	f *feed
	n int // names given out
}

func (g *generator) reopen(w *warehouse.Warehouse, dir string) *warehouse.Warehouse {
	if err := w.Close(); err != nil {
		g.t.Fatal(err)
	}
	w, err := warehouse.Open(g.t.Context(), dir, warehouse.Options{Retention: -1})
	if err != nil {
		g.t.Fatal(err)
	}
	return w
}

func (g *generator) rebuild(w *warehouse.Warehouse, dir string) *warehouse.Warehouse {
	if err := w.Close(); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Remove(dir + "/warehouse.duckdb"); err != nil {
		g.t.Fatal(err)
	}
	if err := warehouse.Rebuild(g.t.Context(), dir, warehouse.Options{}, nil); err != nil {
		g.t.Fatal(err)
	}
	w, err := warehouse.Open(g.t.Context(), dir, warehouse.Options{Retention: -1})
	if err != nil {
		g.t.Fatal(err)
	}
	return w
}

// types are declarations of both engines.
var types = []string{"", "INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", "bigint", "text", "double precision", "bytea", "numeric(10,2)", "numeric",
	"boolean", "timestamp with time zone", "timestamp without time zone", "date", "jsonb", "text[]"}

// transaction commits some changes, most of them of rows.
func (g *generator) transaction() {
	var changes []dbms.Change
	before := maps.Clone(g.f.tables)
	for i, t := range g.f.tables {
		before[i] = modelTable{def: t.def, rows: maps.Clone(t.rows)}
	}
	work := feed{tables: before}
	for range rapid.IntRange(1, 6).Draw(g.t, "changes") {
		ch, ok := g.change(&work)
		if ok {
			work.apply(&ch)
			changes = append(changes, ch)
		}
	}
	g.f.commit(changes...)
}

func (g *generator) change(now *feed) (dbms.Change, bool) {
	names := slices.Sorted(maps.Keys(now.tables))
	if len(names) == 0 || rapid.IntRange(0, 9).Draw(g.t, "define") == 0 {
		return g.define(now, names), true
	}
	table := now.tables[rapid.SampledFrom(names).Draw(g.t, "table")]
	ch := dbms.Change{Table: table.def.Table, Op: dbms.Insert, Columns: table.def.Columns, KeyColumns: table.def.KeyColumns}
	row := make([]dbms.Value, len(ch.Columns))
	for i := range row {
		row[i] = g.value()
	}
	if row[0] == nil {
		row[0] = int64(5)
	}
	ch.Key, ch.Row = row[:1], row
	old, there := table.rows[id(ch.Key)]
	if there {
		ch.Op, ch.Key = dbms.Update, old.key
		if rapid.Bool().Draw(g.t, "delete") {
			ch.Op, ch.Row = dbms.Delete, nil
		}
	}
	return ch, true
}

func (g *generator) value() dbms.Value {
	if rapid.IntRange(0, 2).Draw(g.t, "plain") > 0 {
		return int64(rapid.IntRange(0, 5).Draw(g.t, "number"))
	}
	return rapid.SampledFrom(awkward).Draw(g.t, "value")
}

// define makes, changes, renames or drops a table.
func (g *generator) define(now *feed, names []string) dbms.Change {
	fresh := []string{`t`, `T`, `order`, `a.b`, `q"uo'te`, `dbos_lsn`, `ä`, `x_at`, `%s`}
	fresh = slices.DeleteFunc(fresh, func(n string) bool { return slices.Contains(names, n) })
	name := rapid.SampledFrom(fresh).Draw(g.t, "name")
	kind := 0
	if len(names) > 0 {
		kind = rapid.IntRange(0, 6).Draw(g.t, "definition")
	}
	if kind == 0 {
		ch := dbms.Change{Op: dbms.Define, Table: name, Columns: []string{"Key", "dbos_lsn", "%d"}, KeyColumns: []string{"Key"}}
		for range ch.Columns {
			ch.Types = append(ch.Types, rapid.SampledFrom(types).Draw(g.t, "type"))
		}
		return ch
	}
	ch := now.tables[rapid.SampledFrom(names).Draw(g.t, "table")].def
	ch.Columns, ch.Types, ch.Renamed, ch.Defaults = slices.Clone(ch.Columns), slices.Clone(ch.Types), "", nil
	last := len(ch.Columns) - 1
	switch kind {
	case 1:
		return dbms.Change{Op: dbms.Drop, Table: ch.Table}
	case 2:
		ch.Renamed, ch.Table = ch.Table, name
	case 3, 4:
		g.n++
		ch.Columns, ch.Types = append(ch.Columns, fmt.Sprintf("new %d", g.n)), append(ch.Types, rapid.SampledFrom(types).Draw(g.t, "type"))
		ch.Defaults = make([]dbms.Value, len(ch.Columns))
		ch.Defaults[last+1] = g.value()
	case 5:
		if last > 0 {
			ch.Columns, ch.Types = ch.Columns[:last], ch.Types[:last]
		}
	case 6:
		g.n++
		ch.Columns[last] = fmt.Sprintf("renamed %d", g.n)
		if last == 0 {
			ch.KeyColumns = []string{ch.Columns[0]}
		}
		ch.Types[last] = rapid.SampledFrom(types).Draw(g.t, "type")
	}
	return ch
}

// check spools and compares everything.
func check(t *rapid.T, w *warehouse.Warehouse, f *feed) {
	if got, err := w.Spool(t.Context(), f, 0); err != nil || got != f.lsn {
		t.Fatalf("spooled up to %d, %v, want %d", got, err, f.lsn)
	}
	moments := slices.Sorted(maps.Keys(f.states))[1:]
	for _, lsn := range moments {
		checkRows(t, w, f, lsn)
	}
	from, to := rapid.SampledFrom(moments).Draw(t, "from"), rapid.SampledFrom(moments).Draw(t, "to")
	checkDiff(t, w, f, from, to)
	checkChanges(t, w, f)
}

func checkRows(t tester, w *warehouse.Warehouse, f *feed, lsn dbms.LSN) {
	tables, err := w.Tables(t.Context(), lsn)
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != len(f.states[lsn]) {
		t.Fatalf("at %d there are the tables %v, want %v", lsn, tables, f.states[lsn])
	}
	for _, table := range tables {
		want := f.states[lsn][table.Name]
		if !slices.Equal(table.Columns, want.def.Columns) {
			t.Fatalf("at %d table %s has the columns %q, want %q", lsn, table.Name, table.Columns, want.def.Columns)
		}
		n := 0
		err := w.Rows(t.Context(), table.Name, lsn, func(key, row []dbms.Value) error {
			n++
			if want := want.rows[id(key)]; !same(row, want.row) {
				t.Fatalf("at %d table %s key %#v is\n%#v, want\n%#v", lsn, table.Name, key, row, want.row)
			}
			one, err := w.Row(t.Context(), table.Name, key, lsn)
			if err == nil && !same(one, row) {
				t.Fatalf("at %d table %s row %#v is\n%#v, want\n%#v", lsn, table.Name, key, one, row)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n != len(want.rows) {
			t.Fatalf("at %d table %s has %d rows, want %d", lsn, table.Name, n, len(want.rows))
		}
	}
}

func checkDiff(t tester, w *warehouse.Warehouse, f *feed, from, to dbms.LSN) {
	for name, want := range f.states[to] {
		was, there := f.states[from][name]
		if !there || was.def.Schema != want.def.Schema || !slices.Equal(was.def.Columns, want.def.Columns) {
			continue // what is in columns of another definition is tested by name
		}
		n := 0
		err := w.Diff(t.Context(), name, from, to, func(d warehouse.Difference) error {
			n++
			k := id(d.Key)
			if !same(d.From, was.rows[k].row) || !same(d.To, want.rows[k].row) || same(d.From, d.To) {
				t.Fatalf("from %d to %d table %s key %s is\n%#v and %#v, want\n%#v and %#v", from, to, name, k, d.From, d.To, was.rows[k].row, want.rows[k].row)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		different := 0
		for k, r := range want.rows {
			if old, ok := was.rows[k]; !ok || !same(old.row, r.row) {
				different++
			}
		}
		for k := range was.rows {
			if _, ok := want.rows[k]; !ok {
				different++
			}
		}
		if n != different {
			t.Fatalf("from %d to %d table %s has %d differences, want %d", from, to, name, n, different)
		}
	}
}

// checkChanges compares the changes of all commits with the feed.
func checkChanges(t tester, w *warehouse.Warehouse, f *feed) {
	got, err := w.ChangesOf(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range f.commits {
		for _, ch := range c.Changes {
			if ch.Op == dbms.Define || ch.Op == dbms.Drop {
				continue
			}
			if n == len(got) {
				t.Fatalf("change %d of %s is missing", ch.LSN, ch.Table)
			}
			g := got[n]
			n++
			if g.LSN != ch.LSN || g.Commit != c.LSN || g.Table != ch.Table || g.Op != ch.Op || !same(g.Key, ch.Key) || !same(g.After, ch.Row) {
				t.Fatalf("change is %+v, want %+v", g, ch)
			}
		}
	}
	if n != len(got) {
		t.Fatalf("there are %d changes, want %d", len(got), n)
	}
}

// A tester is what tests of Go and of rapid have in common.
type tester interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

// same compares values exactly: 1 is not 1.0, and zero is not minus zero.
func same(a, b []dbms.Value) bool {
	return (a == nil) == (b == nil) && slices.EqualFunc(a, b, func(x, y dbms.Value) bool {
		if f, ok := x.(float64); ok {
			g, ok := y.(float64)
			return ok && math.Float64bits(f) == math.Float64bits(g)
		}
		return fmt.Sprintf("%T %#v", x, x) == fmt.Sprintf("%T %#v", y, y)
	})
}
