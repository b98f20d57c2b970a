//go:build cgo

package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A feed is a database of which there is only the history, and a model of what it
// says. It is fast, and can say what no engine would in a short test.
type feed struct {
	dbms.DB
	engine  string
	commits []dbms.Commit
	lsn     dbms.LSN
	// states are the tables after each commit.
	states  map[dbms.LSN]map[string]modelTable
	tables  map[string]modelTable
	trimmed dbms.LSN // what Changes does not have any more
	most    int      // commits that it gives at once, if it is not 0
}

// A modelTable is a table as it is: its definition, and its rows by key.
type modelTable struct {
	def  dbms.Change
	rows map[string]modelRow
}

type modelRow struct{ key, row []dbms.Value }

func newFeed(engine string) *feed {
	return &feed{engine: engine, states: map[dbms.LSN]map[string]modelTable{0: {}}, tables: map[string]modelTable{}}
}

func (f *feed) Status() dbms.Status { return dbms.Status{Engine: f.engine, LastLSN: f.lsn} }

func (f *feed) Changes(ctx context.Context, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	if after < f.trimmed {
		return nil, abi.Errorf("feed.changes", abi.Trimmed, "", "gone")
	}
	if f.most > 0 {
		limit = min(limit, f.most)
	}
	n, found := slices.BinarySearchFunc(f.commits, after, func(c dbms.Commit, lsn dbms.LSN) int { return int(c.LSN - lsn) })
	if found {
		n++
	}
	return slices.Clone(f.commits[n:min(n+limit, len(f.commits))]), ctx.Err()
}

// View and Tables are what a base snapshot needs: a transaction that reads the model.
func (f *feed) View(ctx context.Context, fn func(dbms.Tx) error) error { return fn(&feedTx{f: f}) }

func (f *feed) Tables(dbms.Tx) (list []dbms.Change, err error) {
	for _, name := range slices.Sorted(maps.Keys(f.tables)) {
		list = append(list, f.tables[name].def)
	}
	return list, nil
}

// commit ends a transaction with these changes, which get their numbers, and
// applies them to the model.
func (f *feed) commit(changes ...dbms.Change) dbms.LSN {
	for i := range changes {
		f.lsn++
		changes[i].LSN = f.lsn
		f.apply(&changes[i])
	}
	f.lsn++
	at := time.UnixMicro(1_700_000_000_000_000 + int64(f.lsn)*1_000_000).UTC()
	f.commits = append(f.commits, dbms.Commit{LSN: f.lsn, Time: at, Snapshot: f.lsn - 1, Changes: changes,
		Call: abi.Call{Procedure: "feed.commit", Principal: abi.Principal(fmt.Sprintf("user:%d", f.lsn%3)), Execution: "run", Step: 1, Start: at}})
	state := map[string]modelTable{}
	for name, t := range f.tables {
		state[name] = modelTable{def: t.def, rows: maps.Clone(t.rows)}
	}
	f.states[f.lsn] = state
	return f.lsn
}

func (f *feed) apply(ch *dbms.Change) {
	switch ch.Op {
	case dbms.Define:
		old := f.tables[ch.Table]
		if ch.Renamed != "" {
			old = f.tables[ch.Renamed]
			delete(f.tables, ch.Renamed)
		}
		f.tables[ch.Table] = old.redefine(ch)
	case dbms.Drop:
		delete(f.tables, ch.Table)
	case dbms.Delete:
		delete(f.tables[ch.Table].rows, id(ch.Key))
	default:
		f.tables[ch.Table].rows[id(ch.Key)] = modelRow{key: ch.Key, row: ch.Row}
	}
}

// redefine returns the table with its rows as the new definition has them.
func (t modelTable) redefine(ch *dbms.Change) modelTable {
	fresh := modelTable{def: *ch, rows: map[string]modelRow{}}
	for k, r := range t.rows {
		row := make([]dbms.Value, len(ch.Columns))
		for i, name := range ch.Columns {
			from := slices.Index(t.def.Columns, name)
			if from < 0 && len(ch.Columns) == len(t.def.Columns) {
				from = i // renamed
			}
			switch {
			case from >= 0:
				row[i] = r.row[from]
			case ch.Defaults != nil:
				row[i] = ch.Defaults[i]
			}
		}
		fresh.rows[k] = modelRow{key: r.key, row: row}
	}
	return fresh
}

// A feedTx reads whole tables, which is all that a snapshot does.
type feedTx struct {
	dbms.Tx
	f *feed
}

func (tx *feedTx) LSN() dbms.LSN  { return tx.f.lsn }
func (tx *feedTx) Now() time.Time { return tx.f.commits[len(tx.f.commits)-1].Time }

func (tx *feedTx) Query(q *dbms.Query, _ ...any) (dbms.Rows, error) {
	for name, t := range tx.f.tables {
		columns := ""
		for i, c := range t.def.Columns {
			if i > 0 {
				columns += ", "
			}
			columns += `"` + c + `"`
		}
		if q.Text("") == fmt.Sprintf(`SELECT %s FROM "%s"`, columns, name) {
			return &feedRows{rows: slices.Collect(maps.Values(t.rows))}, nil
		}
	}
	return nil, errors.New("no such table: " + q.Text(""))
}

type feedRows struct {
	dbms.Rows
	rows []modelRow
	at   int
}

func (r *feedRows) Next() bool { r.at++; return r.at <= len(r.rows) }
func (r *feedRows) Scan(dest ...any) error {
	for i, v := range r.rows[r.at-1].row {
		*dest[i].(*any) = v
	}
	return nil
}
func (r *feedRows) Err() error   { return nil }
func (r *feedRows) Close() error { return nil }

// awkward are values that a store may lose or alter.
var awkward = []dbms.Value{nil, int64(0), int64(1), int64(-1), int64(math.MaxInt64), int64(math.MinInt64), int64(1 << 53), int64(1<<53 + 1),
	0.0, math.Copysign(0, -1), 1.0, 0.1, -2.5, 1e300, 5e-324, math.Inf(1), float64(1 << 60), "", "a", "A", "0", "1", "1.0", "1.50", "007", "x'y\"z\\", "\x00", "a\x00b",
	"\xff\xfe", "ä€𝄞", "{\"c0\":1}", "2026-11-21", "2026-11-21 10:00:00", "infinity", "NaN", "12345678901234567890", "null",
	[]byte{}, []byte{0}, []byte("a"), []byte{0xff, 0}, []byte("text")}

// id is a text that only the same values have.
func id(values []dbms.Value) (text string) {
	for _, v := range values {
		text += fmt.Sprintf("%T %#v,", v, v)
	}
	return text
}
