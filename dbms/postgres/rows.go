package postgres

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// fetchRows is how many rows are fetched at a time.
const fetchRows = 500

// rows is the result of a query: the rows that have come, and a portal for
// the others.
type rows struct {
	tx       *tx
	next     *rows // open before this one
	stmt     *statement
	portal   string
	chunk    [][]dbms.Value
	row      []dbms.Value // the current one
	complete bool         // there is nothing behind chunk
	closed   bool
	err      error
}

// Columns implements dbms.Rows.
func (r *rows) Columns() []string { return r.stmt.columns }

// Next implements dbms.Rows.
func (r *rows) Next() bool {
	r.row = nil
	if r.closed {
		return false
	}
	if r.tx.state.Load() == txOver {
		r.err = errEnded
		r.closed = true
		return false
	}
	if len(r.chunk) == 0 && !r.complete {
		r.err = r.fetch()
	}
	if len(r.chunk) == 0 || r.err != nil {
		r.Close()
		return false
	}
	r.row, r.chunk = r.chunk[0], r.chunk[1:]
	return true
}

// fetch gets the next rows from the server.
func (r *rows) fetch() error {
	if err := r.tx.enter(); err != nil {
		return err
	}
	defer r.tx.leave()
	got, err := r.tx.conn.fetch(r.stmt, r.portal, fetchRows)
	if err != nil {
		// A savepoint that is older than the portal cannot undo this alone.
		savepoints := r.tx.mode.savepoints
		r.tx.mode.savepoints = false
		defer func() { r.tx.mode.savepoints = savepoints }()
		return r.tx.fail(r.stmt.text, err, true)
	}
	if r.chunk, r.complete = got.rows, got.complete; r.complete {
		r.tx.done = append(r.tx.done, r.portal)
	}
	return nil
}

// Scan implements dbms.Rows.
func (r *rows) Scan(dest ...any) error {
	if r.row == nil {
		return abi.Errorf("dbms.scan", abi.Invalid, "row", "there is none; call Next first, and Scan only while it returns true")
	}
	return dbms.ScanValues(r.row, dest...)
}

// Err implements dbms.Rows.
func (r *rows) Err() error { return r.err }

// Close implements dbms.Rows.
func (r *rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed, r.row, r.chunk = true, nil, nil
	if r.complete || !r.tx.state.CompareAndSwap(txIdle, txBusy) {
		return nil
	}
	defer r.tx.state.CompareAndSwap(txBusy, txIdle)
	if !r.tx.conn.broken && !r.tx.conn.failed {
		r.tx.conn.front.SendClose(&pgproto3.Close{ObjectType: 'P', Name: r.portal})
		r.tx.conn.unsynced = true
	}
	return nil
}
