package dbos

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A Tx is one transaction over everything: SQL, and the starting of workflows
// (Definition.StartIn). SQL is the engine's own dialect with placeholders $1,
// $2, …; it may read every table and write the application's own. A Tx is
// valid only inside the function it was passed to, in that goroutine.
//
// Arguments are nil, bool, integers, floats, string, []byte, json.RawMessage,
// time.Time (stored as microseconds since 1970) and types based on these.
type Tx struct {
	tx  dbms.Tx
	sys *System
	ctx context.Context
	run *execution // nil outside of workflows
	rec *recorder  // nil if nothing is recorded
}

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(sql string, args ...any) (int64, error) {
	text := t.sys.statements.get(sql)
	place := t.rec.statement(text, args, true)
	n, err := t.tx.Exec(text.query, args...)
	if err == nil {
		t.rec.rows(place, n)
	}
	return n, err
}

// Query runs a statement that returns rows. Close them.
func (t *Tx) Query(sql string, args ...any) (dbms.Rows, error) {
	text := t.sys.statements.get(sql)
	place := t.rec.statement(text, args, false)
	rows, err := t.tx.Query(text.query, args...)
	if err != nil || place < 0 {
		return rows, err
	}
	t.rec.rows(place, 0)
	return &recordedRows{Rows: rows, rec: t.rec, place: place}, nil
}

// QueryRow runs a statement that returns at most one row of interest.
func (t *Tx) QueryRow(sql string, args ...any) *Row {
	rows, err := t.Query(sql, args...)
	return &Row{rows: rows, err: err}
}

// Now returns the transaction's time, which is fixed and recorded with it.
func (t *Tx) Now() time.Time { return t.tx.Now() }

// LSN returns the snapshot that the transaction reads.
func (t *Tx) LSN() dbms.LSN { return t.tx.LSN() }

// Notify wakes the watchers of a topic (System.Watch) if the transaction
// commits.
func (t *Tx) Notify(topic string) { t.tx.Notify(topic) }

// A Row is the result of QueryRow.
type Row struct {
	rows dbms.Rows
	err  error
}

// Scan copies the row's columns to dest, as dbms.Assign does, and ends the
// query. Without a row the error is of kind abi.NotFound.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return abi.Errorf("dbos.scan", abi.NotFound, "row", "the query returned none")
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}

// Update runs fn as one transaction outside of a workflow; name says what it
// does, for the record. If fn returns an error nothing is changed. fn may run
// more than once and must not wait for anything: see dbms.DB.Update.
//
// In a workflow use Transaction.
func (s *System) Update(ctx context.Context, name string, fn func(tx *Tx) error) error {
	if e := executionOf(ctx); e != nil && e.again != nil {
		return abi.Errorf("dbos.update", abi.Denied, "transaction "+name, "run %s is being replayed, which changes nothing", e.task.ID).
			WithHint("change tables in steps only, by dbos.Transaction")
	}
	rec := s.recorder()
	_, err := s.db.Update(ctx, s.call(name, s.principal(ctx)), func(tx dbms.Tx) error {
		rec.begin()
		if err := fn(&Tx{tx: tx, sys: s, ctx: ctx, rec: rec}); err != nil {
			return err
		}
		return rec.seal(tx)
	})
	if err == nil {
		rec.committed()
	}
	return err
}

// View runs fn on a snapshot, which cannot be written.
func (s *System) View(ctx context.Context, fn func(tx *Tx) error) error {
	v := s.views.begin()
	err := s.db.View(ctx, func(tx dbms.Tx) error {
		return fn(&Tx{tx: tx, sys: s, ctx: ctx, rec: v.saw(tx)})
	})
	v.end(ctx, "view")
	return err
}

// Watch returns a watcher of a topic. The system itself notifies "runs" when
// any run changes its state, and "run:ID" at news of one run.
func (s *System) Watch(topic string) dbms.Watcher { return s.db.Watch(topic) }

// Changes returns the committed transactions after an LSN, with every changed
// row: see dbms.DB.Changes.
func (s *System) Changes(ctx context.Context, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	return s.db.Changes(ctx, after, limit)
}
