//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"sync"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Rows are the result of a query, read one row at a time. They must be closed.
// They belong to one goroutine. A cancelled context, and the warehouse's Close, close them.
type Rows struct {
	mu      sync.Mutex // between that goroutine and who cancels
	stop    func() bool
	w       *Warehouse
	s       *session
	set     *viewSet
	ctx     context.Context
	rows    driver.Rows
	columns []Column
	raw     []driver.Value
	values  []any
	err     error
}

// Query runs one SELECT (or WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) of DuckDB's SQL
// on the state as of an LSN, 0 being the newest. It cannot change anything nor
// read a file. $1, $2, … are the arguments.
//
//   - "t" is table t as it was, and "t_at"(moment) as it was at another moment: an LSN, a time
//     or what Options.Resolve understands.
//   - history."t" is every version of every row, with the columns dbos_lsn and dbos_end_lsn (the LSNs of
//     the change that began and ended it; NULL if it is valid), dbos_commit and dbos_end_commit (of their
//     transactions: prov.calls.lsn), dbos_op and dbos_end_op, dbos_odd (the exact values of cells that do
//     not fit their column's type, NULL if all do) and dbos_key (of tables without a primary key).
//   - prov.calls, prov.statements, prov.reads, prov.changes and prov.tables are who did what when.
//
// Errors of the statement are of kind abi.Invalid, with the store's own text, which
// says where the mistake is; what is forbidden is abi.Denied; a moment outside of what is kept
// is abi.Trimmed or abi.Invalid.
func (w *Warehouse) Query(ctx context.Context, at dbms.LSN, text string, args ...any) (*Rows, error) {
	r, err := w.ask(ctx, at)
	if err != nil {
		return nil, err
	}
	if err := r.run(text, args); err != nil {
		r.Close()
		return nil, err
	}
	r.stop = context.AfterFunc(r.ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.s != nil && r.err == nil {
			r.err = context.Cause(r.ctx)
		}
		r.close()
	})
	return r, nil
}

// ask prepares a connection for questions about a moment.
func (w *Warehouse) ask(ctx context.Context, at dbms.LSN) (*Rows, error) {
	const op = "warehouse.query"
	at, c, err := w.check(op, at)
	if err != nil {
		return nil, err
	}
	s, ctx, err := w.session(ctx, op)
	if err != nil {
		return nil, err
	}
	_, set, err := w.viewsAt(ctx, c, at)
	if err != nil {
		w.finish(s)
		return nil, err
	}
	r := &Rows{w: w, s: s, set: set, ctx: ctx}
	for _, text := range []string{
		"USE " + quote(set.name),
		fmt.Sprintf("SET VARIABLE dbos_at = %d", at),
		"BEGIN TRANSACTION READ ONLY",
	} {
		if _, err := s.exec(ctx, text); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

// check returns the moment that is meant by an LSN, and what was defined then.
func (w *Warehouse) check(op string, at dbms.LSN) (dbms.LSN, *catalog, error) {
	st, c := w.now()
	switch {
	case at == 0:
		return st.Position.LSN, c, nil
	case at < 0 || at > st.Position.LSN:
		return 0, nil, abi.Errorf(op, abi.Invalid, fmt.Sprintf("LSN %d", at), "it has not happened yet: the newest is %s", st.Position).
			WithHint("spool first, or ask for a moment from %s to %s", st.Oldest, st.Position)
	case at < st.Oldest.LSN:
		return 0, nil, abi.Errorf(op, abi.Trimmed, fmt.Sprintf("LSN %d", at), "history begins at %s", st.Oldest).
			WithHint("ask for a moment from %s to %s", st.Oldest, st.Position)
	}
	for _, g := range st.Gaps {
		if at > g.After.LSN && at < g.Upto.LSN {
			return 0, nil, abi.Errorf(op, abi.Trimmed, fmt.Sprintf("LSN %d", at), "nobody has the history between %s and %s", g.After, g.Upto).
				WithHint("ask for a moment up to %s or from %s on", g.After, g.Upto)
		}
	}
	return at, c, nil
}

// run checks and runs a statement.
func (r *Rows) run(text string, args []any) error {
	explain, err := checkStatement(r.ctx, r.s, text)
	if err != nil {
		return err
	}
	values, err := arguments(args)
	if err != nil {
		return err
	}
	if err := r.start(text, values); err != nil {
		return err
	}
	if explain || !r.needsText() {
		return nil
	}
	// Values of types that Go has nothing like are asked for as the store prints them.
	columns := r.columns
	r.rows.Close()
	r.rows = nil
	err = r.start(asText(text, columns), values)
	if err != nil && r.ctx.Err() == nil {
		err = r.start(text, values) // it cannot stand in parentheses
	}
	r.columns = columns
	return err
}

func (r *Rows) start(text string, values []any) error {
	rows, err := r.s.QueryContext(r.ctx, text, namedValues(values))
	if err != nil {
		return storeError("warehouse.query", r.ctx, err)
	}
	r.rows = rows
	names := rows.Columns()
	types := rows.(driver.RowsColumnTypeDatabaseTypeName)
	r.columns = make([]Column, len(names))
	for i, name := range names {
		r.columns[i] = Column{Name: name, Type: types.ColumnTypeDatabaseTypeName(i)}
	}
	r.raw, r.values = make([]driver.Value, len(names)), make([]any, len(names))
	return nil
}

// plainTypes are those that Values gives as they are.
var plainTypes = map[string]bool{"BOOLEAN": true, "TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "UTINYINT": true,
	"USMALLINT": true, "UINTEGER": true, "UBIGINT": true, "HUGEINT": true, "UHUGEINT": true, "FLOAT": true, "DOUBLE": true, "VARCHAR": true,
	"BLOB": true, "DATE": true, "TIMESTAMP": true, "TIMESTAMPTZ": true, "TIMESTAMP_S": true, "TIMESTAMP_MS": true, "TIMESTAMP_NS": true}

func isPlain(name string) bool {
	return plainTypes[name] || strings.HasPrefix(name, "DECIMAL(") && strings.HasSuffix(name, ")")
}

func (r *Rows) needsText() bool {
	for _, c := range r.columns {
		if !isPlain(c.Type) {
			return true
		}
	}
	return false
}

// asText makes columns of other types text.
func asText(text string, columns []Column) string {
	names, list := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i] = fmt.Sprintf("c%d", i)
		list[i] = names[i]
		if !isPlain(c.Type) {
			list[i] += "::VARCHAR"
		}
		list[i] += " AS " + quote(c.Name)
	}
	return fmt.Sprintf("SELECT %s FROM (%s\n) AS t(%s)", strings.Join(list, ", "), trimmed(text), strings.Join(names, ", "))
}

// trimmed is a statement as it can stand in parentheses.
func trimmed(text string) string { return strings.TrimRight(text, "; \t\r\n") }

// arguments makes values that the store takes.
func arguments(args []any) ([]any, error) {
	values := make([]any, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return nil, abi.Errorf("warehouse.query", abi.Invalid, fmt.Sprintf("argument $%d", i+1), "%w", err)
		}
		values[i] = v
	}
	return values, nil
}

// Columns returns the names and types of the result's columns.
func (r *Rows) Columns() []Column { return r.columns }

// Next moves to the next row. At the end, or on an error, it returns false and
// closes the rows.
func (r *Rows) Next() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows == nil || r.err != nil {
		return false
	}
	if err := r.rows.Next(r.raw); err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = storeError("warehouse.query", r.ctx, err)
		}
		r.close()
		return false
	}
	for i, v := range r.raw {
		r.values[i] = plain(v)
	}
	return true
}

// Values returns the current row: nil, bool, int64, float64, string, []byte, time.Time or
// *big.Int (a HUGEINT, or what does not fit int64); values of other types are
// text as DuckDB prints them. The slice is only valid until Next.
func (r *Rows) Values() []any { return r.values }

// plain makes a value of the types that Values gives.
func plain(v driver.Value) any {
	switch x := v.(type) {
	case int8:
		return int64(x)
	case int16:
		return int64(x)
	case int32:
		return int64(x)
	case uint8:
		return int64(x)
	case uint16:
		return int64(x)
	case uint32:
		return int64(x)
	case uint64:
		if int64(x) < 0 {
			return new(big.Int).SetUint64(x)
		}
		return int64(x)
	case float32:
		return float64(x)
	case duckdb.Decimal:
		return decimalText(x)
	case nil, bool, int64, float64, string, []byte, *big.Int:
		return v
	}
	if t, ok := asTime(v); ok {
		return t
	}
	return fmt.Sprint(v)
}

// decimalText prints a decimal with all its places, as the store does.
func decimalText(d duckdb.Decimal) string {
	if d.Scale == 0 {
		return d.Value.String()
	}
	text, _ := class{Kind: kindDecimal, Width: d.Width, Scale: d.Scale}.undecimal(d).(string)
	return text
}

// Err returns the error that ended Next, if any.
func (r *Rows) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close gives the rows back. It may be called more than once.
func (r *Rows) Close() error {
	if r.stop != nil {
		r.stop()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.close()
}

// close is Close for who has the lock.
func (r *Rows) close() error {
	if r.s == nil {
		return nil
	}
	s := r.s
	r.s = nil
	if r.rows != nil {
		r.rows.Close()
		r.rows = nil
	}
	background := context.Background()
	s.exec(background, "ROLLBACK") // fails if there is no transaction, which is as good
	_, err := s.exec(background, "USE warehouse")
	r.w.dropViews(background, s, r.set)
	r.w.finish(s)
	return err
}
