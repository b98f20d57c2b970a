package prov

import (
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A RowState is what a row shall be.
type RowState struct {
	Key []dbms.Value // by the table's key columns
	Row []dbms.Value // by all its columns, as Change.Columns names them; nil: it shall not be there
}

// Applied counts rows that were changed.
type Applied struct {
	Changed int64 `json:"changed"` // they were there and are there
	Back    int64 `json:"back"`    // they were not there
	Removed int64 `json:"removed"`
}

// Apply makes rows of a table what they shall be, whatever they are, by few
// statements over many rows each. No key is twice among them. The table is one of db.Tables as tx sees it. A
// row of a table without a key gets the place it has in Key on the embedded engine, and any on PostgreSQL.
// Constraints are checked as by any statement, and triggers fire: see Rewrite.
func Apply(tx dbms.Tx, db dbms.DB, table dbms.Change, rows []RowState) (Applied, error) {
	var done Applied
	d, err := dialectOf(db)
	if err != nil {
		return done, err
	}
	s, err := d.shape(tx, table)
	if err != nil {
		return done, err
	}
	a := newApplier(d, s)
	for _, r := range rows {
		if r.Row == nil || s.whole {
			if err := a.remove(tx, r.Key); err != nil {
				return done, err
			}
		}
		if r.Row != nil && !s.whole {
			if err := a.look(tx, r.Key); err != nil {
				return done, err
			}
		}
	}
	if err := a.flush(tx); err != nil {
		return done, err
	}
	var puts int64
	for _, r := range rows {
		if r.Row != nil {
			puts++
			if err := a.put(tx, r.Key, r.Row); err != nil {
				return done, err
			}
		}
	}
	if err := a.flush(tx); err != nil {
		return done, err
	}
	if s.whole { // some of the removed ones are put again
		a.found = max(0, a.removed-(int64(len(rows))-puts))
		a.removed -= a.found
	}
	return Applied{Changed: a.found, Back: puts - a.found, Removed: a.removed}, nil
}

// An applier writes rows of one table, many by one statement.
type applier struct {
	dialect dialect
	shape   *shape
	most    int // rows a statement
	removes []any
	looks   []any
	puts    []any
	bytes   int // of puts
	over    bool
	removed int64
	found   int64
	cache   map[statementKey]*dbms.Query
}

// A statementKey tells an applier's statements apart.
type statementKey struct {
	kind kind
	rows int
}

// A kind of statement.
type kind int

const (
	writes kind = iota
	removes
	counts
)

// maxBytes bounds what waits to be written.
const maxBytes = 4 << 20

func newApplier(d dialect, s *shape) *applier {
	return &applier{dialect: d, shape: s, most: d.rows(len(s.columns) + 1), over: !s.whole, cache: map[statementKey]*dbms.Query{}}
}

// query is the statement of a kind over n rows, made once.
func (a *applier) query(k kind, n int) (*dbms.Query, error) {
	key := statementKey{k, n}
	if q := a.cache[key]; q != nil {
		return q, nil
	}
	var text string
	switch k {
	case writes:
		text = a.dialect.write(a.shape, n, a.over)
	case removes:
		text = a.dialect.remove(a.shape, n)
	default:
		text = a.dialect.count(a.shape, n)
	}
	q := dbms.SQL(text)
	if IsService(a.shape.name) { // a name of its own lets the engine keep the prepared form
		parsed, err := dbms.ParseQueries("-- name: prov_apply\n" + text)
		if err != nil {
			return nil, err
		}
		q = parsed["prov_apply"]
	}
	a.cache[key] = q
	return q, nil
}

func appendValues(list []any, values []dbms.Value) []any {
	for _, v := range values {
		list = append(list, v)
	}
	return list
}

// look counts the row with a key, if it is there, at the latest with flush.
func (a *applier) look(tx dbms.Tx, key []dbms.Value) error {
	a.looks = appendValues(a.looks, key)
	if len(a.looks) >= a.most*len(a.shape.key) {
		return a.flushLooks(tx)
	}
	return nil
}

func (a *applier) flushLooks(tx dbms.Tx) error {
	err := a.run(counts, a.looks, a.shape.keyColumns(), func(q *dbms.Query, args []any) error {
		return each(tx, q, func(row []dbms.Value) error { a.found += numberOf(row[0]); return nil }, args...)
	})
	a.looks = a.looks[:0]
	return err
}

// remove removes the row with a key, at the latest with flush.
func (a *applier) remove(tx dbms.Tx, key []dbms.Value) error {
	if len(key) != len(a.shape.key) {
		return abi.Errorf("prov.apply", abi.Invalid, "table "+a.shape.name, "a key of %d values for %d columns", len(key), len(a.shape.key))
	}
	a.removes = appendValues(a.removes, key)
	if len(a.removes) >= a.most*len(a.shape.key) {
		return a.flushRemoves(tx)
	}
	return nil
}

// put writes a row, at the latest with flush. Removals before it are done first.
func (a *applier) put(tx dbms.Tx, key, row []dbms.Value) error {
	if len(row) != len(a.shape.columns) {
		return abi.Errorf("prov.apply", abi.Invalid, "table "+a.shape.name, "a row of %d values for %d columns", len(row), len(a.shape.columns))
	}
	if a.placed() {
		a.puts = append(a.puts, key[0])
	}
	for _, v := range row {
		a.puts = append(a.puts, v)
		switch x := v.(type) {
		case string:
			a.bytes += len(x)
		case []byte:
			a.bytes += 2 * len(x)
		}
	}
	if a.bytes >= maxBytes || len(a.puts) >= a.most*a.width() {
		return a.flush(tx)
	}
	return nil
}

// placed says that rows are written with their place.
func (a *applier) placed() bool { return a.shape.place != "" && a.dialect.placed() }

// width is how many values a row that waits has.
func (a *applier) width() int {
	if a.placed() {
		return len(a.shape.columns) + 1
	}
	return len(a.shape.columns)
}

func (a *applier) flush(tx dbms.Tx) error {
	if err := a.flushLooks(tx); err != nil {
		return err
	}
	if err := a.flushRemoves(tx); err != nil {
		return err
	}
	columns := a.shape.columns
	if len(columns) < a.width() {
		columns = append([]shapeColumn{{name: a.shape.place}}, columns...)
	}
	err := a.run(writes, a.puts, columns, func(q *dbms.Query, args []any) error {
		_, err := tx.Exec(q, args...)
		return err
	})
	a.puts, a.bytes = a.puts[:0], 0
	return err
}

func (a *applier) flushRemoves(tx dbms.Tx) error {
	err := a.run(removes, a.removes, a.shape.keyColumns(), func(q *dbms.Query, args []any) error {
		n, err := tx.Exec(q, args...)
		a.removed += n
		return err
	})
	a.removes = a.removes[:0]
	return err
}

// run calls do for pieces of the values, of few different sizes so that few
// statements are prepared.
func (a *applier) run(k kind, values []any, columns []shapeColumn, do func(q *dbms.Query, args []any) error) error {
	for width := len(columns); len(values) > 0; {
		n := a.dialect.piece(len(values)/width, a.most)
		q, err := a.query(k, n)
		if err != nil {
			return err
		}
		if err := do(q, a.dialect.args(columns, values[:n*width])); err != nil {
			return abi.Errorf("prov.apply", abi.KindOf(err), "table "+a.shape.name, "%w", err).WithHint("%s", abi.HintOf(err))
		}
		values = values[n*width:]
	}
	return nil
}

// Rewrite runs fn, which applies rows to the tables, so that the tables'
// application triggers do not fire and foreign keys need not hold in between; they
// must hold at its end, or the error is abi.Conflict and names rows that break
// them. tx is that of db.UpdateExclusive over the tables. History records every change as ever.
func Rewrite(tx dbms.Tx, db dbms.DB, tables []string, fn func() error) error {
	d, err := dialectOf(db)
	if err != nil {
		return err
	}
	restore, err := d.quiet(tx, tables)
	if err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	if err := restore(); err != nil {
		return err
	}
	broken, err := d.check(tx, tables)
	if err == nil && len(broken) > 0 {
		err = brokenKeys(strings.Join(broken, "; "))
	}
	return err
}

func brokenKeys(rows string) error {
	return abi.Errorf("prov.rewrite", abi.Conflict, "foreign keys", "%s", rows).
		WithHint("take the other table along, or a moment at which both fit")
}
