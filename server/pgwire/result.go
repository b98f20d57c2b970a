package pgwire

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A result is what a statement gives: rows, or only a tag.
type result struct {
	// fields are nil if the statement returns no rows.
	fields []field
	rows   Rows
	// tag says what was done: "SELECT", "SET". The number of rows is added
	// where counted says so.
	tag     string
	counted bool
	// copied is how the rows are sent if not as rows.
	copied *copyFormat
}

func (r *result) close() {
	if r.rows != nil {
		r.rows.Close()
	}
}

// done returns the tag for a number of rows.
func (r *result) done(n int64) *pgproto3.CommandComplete {
	tag := r.tag
	if r.counted {
		tag += " " + strconv.FormatInt(n, 10)
	}
	return &pgproto3.CommandComplete{CommandTag: []byte(tag)}
}

// command returns a result without rows.
func command(tag string) *result { return &result{tag: tag} }

// fixed are rows in memory.
type fixed struct {
	columns []Column
	rows    [][]any
	next    int
}

func (f *fixed) Columns() []Column { return f.columns }
func (f *fixed) Values() []any     { return f.rows[f.next-1] }
func (f *fixed) Err() error        { return nil }
func (f *fixed) Close() error      { return nil }
func (f *fixed) Next() bool {
	f.next++
	return f.next <= len(f.rows)
}

// table returns a result of texts.
func table(tag string, names []string, rows ...[]any) *result {
	f := &fixed{rows: rows}
	for _, name := range names {
		f.columns = append(f.columns, Column{Name: name, Type: "VARCHAR"})
	}
	return &result{fields: fieldsOf(f.columns), rows: f, tag: tag}
}

// flushBytes is about how much is collected before it is sent.
const flushBytes = 64 << 10

// sendRows sends rows until there are no more or, with a limit above zero, so
// many. It reports how many, and whether the limit ended it.
func (s *session) sendRows(ctx context.Context, r *result, fields []field, limit int64) (n int64, more bool, err error) {
	row := &pgproto3.DataRow{Values: make([][]byte, len(fields))}
	scratch := make([]byte, 0, 512) // not nil: an empty text is not NULL
	for limit <= 0 || n < limit {
		if err := ctx.Err(); err != nil {
			return n, false, err
		}
		if !r.rows.Next() {
			return n, false, r.rows.Err()
		}
		scratch = scratch[:0]
		values := r.rows.Values()
		for i := range fields {
			row.Values[i] = nil
			if values[i] == nil {
				continue
			}
			begin := len(scratch)
			if scratch, err = fields[i].encode(scratch, values[i], s.settings.location); err != nil {
				return n, false, err
			}
			row.Values[i] = scratch[begin:len(scratch):len(scratch)]
		}
		s.wire.Send(row)
		n++
		if s.unsent += len(scratch) + 5*len(fields); s.unsent > flushBytes {
			if err := s.flush(); err != nil {
				return n, false, err
			}
		}
	}
	return n, true, nil
}

// description is what a client is told about the columns.
func description(fields []field) *pgproto3.RowDescription {
	d := &pgproto3.RowDescription{}
	for _, f := range fields {
		d.Fields = append(d.Fields, pgproto3.FieldDescription{
			Name: []byte(f.name), DataTypeOID: f.oid, DataTypeSize: f.size(), TypeModifier: f.typmod, Format: f.format,
		})
	}
	return d
}
