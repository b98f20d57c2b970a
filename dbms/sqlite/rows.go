package sqlite

import (
	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// rows is the result of a running statement.
type rows struct {
	stmt *statement
	tx   *tx // whose end ends the rows; nil for the engine's own
	err  error
	open bool // on a row
	done bool
	// ahead says that the first step was made when the query began.
	ahead bool
}

// begin makes the first step of a statement that writes, so that its work is
// done and its error is known whether or not somebody reads its rows.
func (r *rows) begin() error {
	r.ahead = true
	var err error
	if r.open, err = r.stmt.step(); err != nil || !r.open {
		r.stmt.release()
		r.done = true
	}
	return err
}

func (r *rows) Columns() []string { return r.stmt.columns }

func (r *rows) Next() bool {
	if r.tx != nil {
		if err := r.tx.enter(); err != nil {
			r.err = err
			return false
		}
		defer r.tx.leave()
	}
	if r.ahead {
		r.ahead = false
		return r.open
	}
	if r.done {
		return false
	}
	r.open, r.err = r.stmt.step()
	if r.err != nil && r.tx != nil {
		r.err = r.tx.explain(r.err)
	}
	if !r.open {
		r.finish()
	}
	return r.open
}

func (r *rows) Err() error { return r.err }

func (r *rows) Close() error {
	if r.tx != nil {
		if err := r.tx.enter(); err != nil {
			return nil // the transaction's end has closed the rows, or will
		}
		defer r.tx.leave()
	}
	r.finish()
	return nil
}

// finish releases the statement.
func (r *rows) finish() {
	if !r.done {
		r.done, r.open = true, false
		r.stmt.release()
	}
}

func (r *rows) Scan(dest ...any) error {
	if r.tx != nil {
		if err := r.tx.enter(); err != nil {
			return err
		}
		defer r.tx.leave()
	}
	if !r.open || r.ahead {
		return abi.Errorf("sqlite.scan", abi.Invalid, "rows", "there is no current row").
			WithHint("call Scan only after Next has returned true")
	}
	if len(dest) != len(r.stmt.columns) {
		return abi.Errorf("sqlite.scan", abi.Invalid, "destinations", "the rows have %d columns, got %d", len(r.stmt.columns), len(dest))
	}
	for i, d := range dest {
		if err := r.scan(i, d); err != nil {
			return abi.Errorf("sqlite.scan", abi.Invalid, "column "+r.stmt.columns[i], "%w", err)
		}
	}
	return nil
}

// scan copies a column, without a detour through Value where it can.
func (r *rows) scan(i int, dest any) error {
	raw := r.stmt.raw
	switch d := dest.(type) {
	case *int64:
		if raw.ColumnType(i) == sqlite.TypeInteger {
			*d = raw.ColumnInt64(i)
			return nil
		}
	case *int:
		if raw.ColumnType(i) == sqlite.TypeInteger {
			*d = int(raw.ColumnInt64(i))
			return nil
		}
	case *string:
		if raw.ColumnType(i) == sqlite.TypeText {
			*d = raw.ColumnText(i)
			return nil
		}
	}
	return dbms.Assign(dest, r.value(i))
}

// value returns a column as it is stored.
func (r *rows) value(i int) dbms.Value {
	raw := r.stmt.raw
	switch raw.ColumnType(i) {
	case sqlite.TypeInteger:
		return raw.ColumnInt64(i)
	case sqlite.TypeFloat:
		return raw.ColumnFloat(i)
	case sqlite.TypeText:
		return raw.ColumnText(i)
	case sqlite.TypeBlob:
		b := make([]byte, raw.ColumnLen(i))
		raw.ColumnBytes(i, b)
		return b
	}
	return nil
}
