package dbos

import (
	"context"

	"github.com/dbos-go/dbos/warehouse"
)

// Query runs one reading statement of DuckDB's dialect over the tables as they
// were at a moment ("" is now), history.* and prov.*. It sees what was
// committed before the call. Close the rows.
func (h *History) Query(ctx context.Context, at, sql string, args ...any) (*HistoryRows, error) {
	w, m, err := h.at(ctx, at)
	if err != nil {
		return nil, err
	}
	lsn := m.LSN
	if at == "" || at == now {
		lsn = 0 // the tables as they are: cheaper
	}
	rows, err := w.Query(ctx, lsn, sql, args...)
	if err != nil {
		return nil, err
	}
	seen := h.sys.views.begin()
	r := &HistoryRows{rows: rows, at: m, seen: seen, ctx: ctx, place: -1}
	if seen != nil {
		seen.rec.begin()
		seen.view.LSN, seen.view.At = m.LSN, m.Time
		r.place = seen.rec.statement(h.sys.statements.get(sql), args, false)
	}
	return r, nil
}

// now is the moment's text.
const now = "now"

// at opens the warehouse, brought up to date, and finds a moment.
func (h *History) at(ctx context.Context, text string) (*warehouse.Warehouse, Moment, error) {
	if err := h.Flush(ctx); err != nil {
		return nil, Moment{}, err
	}
	if text == "" {
		text = now
	}
	m, err := h.sys.prov.Resolve(ctx, text)
	if err != nil {
		return nil, Moment{}, err
	}
	w, err := h.open(ctx, "dbos.history")
	return w, m, err
}

// Describe says what a statement of Query takes and gives, without running it.
func (h *History) Describe(ctx context.Context, at, sql string) (HistoryDescription, error) {
	w, m, err := h.at(ctx, at)
	if err != nil {
		return HistoryDescription{}, err
	}
	return w.Describe(ctx, m.LSN, sql)
}

// HistoryRows is the result of Query, read one row at a time as dbms.Rows is.
// That somebody read them is written down, too.
type HistoryRows struct {
	rows  *warehouse.Rows
	at    Moment
	ctx   context.Context // of who reads
	seen  *viewing
	place int
	n     int64
	over  bool
}

// At is the moment that was read.
func (r *HistoryRows) At() Moment { return r.at }

// Columns describes the columns in order. Names may repeat.
func (r *HistoryRows) Columns() []HistoryColumn { return r.rows.Columns() }

// Next moves to the next row. At the end, or on an error, it returns false
// and closes the rows.
func (r *HistoryRows) Next() bool {
	if r.rows.Next() {
		r.n++
		return true
	}
	r.end()
	return false
}

// Values returns the current row: nil, bool, int64, float64, string, []byte,
// time.Time or *big.Int; what is none of these is a string as DuckDB
// writes it. The slice is the caller's.
func (r *HistoryRows) Values() []any { return r.rows.Values() }

// Err returns the error that ended Next, if any.
func (r *HistoryRows) Err() error { return r.rows.Err() }

// Close releases the rows. It may be called more than once.
func (r *HistoryRows) Close() error {
	r.rows.Close()
	r.end()
	return r.rows.Err()
}

func (r *HistoryRows) end() {
	if r.over || r.seen == nil {
		return
	}
	r.over = true
	if r.rows.Err() == nil {
		r.seen.rec.rows(r.place, r.n)
	}
	r.seen.end(r.ctx, "history")
}
