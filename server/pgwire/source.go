package pgwire

import (
	"context"

	"github.com/dbos-go/dbos"
)

// A Source answers statements over the tables as they were at a moment. A
// moment is text as people write it; "" is now.
type Source interface {
	// Query runs one statement of DuckDB's dialect, and refuses what does not
	// read. Arguments are nil, bool, int64, float64, string, []byte, time.Time
	// or *big.Int. The rows hold what they need until they are closed or the context
	// ends, which also ends the statement.
	Query(ctx context.Context, at, sql string, args ...any) (Rows, error)
	// Moment returns the state that a text names.
	Moment(ctx context.Context, at string) (Moment, error)
}

// A Describer is a Source that can say what a statement takes and returns
// without running it. A type that it does not know is "". Without one, parameters whose
// type the client does not tell have none.
type Describer interface {
	Describe(ctx context.Context, at, sql string) (params []string, columns []Column, err error)
}

// Rows are the result of a statement.
type Rows interface {
	Columns() []Column
	Next() bool
	// Values returns the current row: nil, bool, int64, float64, string, []byte,
	// time.Time or *big.Int; what is none of these is a string as DuckDB prints
	// it.
	Values() []any
	Err() error
	Close() error
}

// A Column has a name and a type, as DuckDB writes it.
type Column = dbos.HistoryColumn

// A Moment is a state of the database.
type Moment = dbos.Moment

// Of returns the history of a system of this process as a Source.
func Of(sys *dbos.System) Source { return system{sys} }

type system struct{ sys *dbos.System }

func (s system) Query(ctx context.Context, at, sql string, args ...any) (Rows, error) {
	rows, err := s.sys.History().Query(ctx, at, sql, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (s system) Moment(ctx context.Context, at string) (Moment, error) {
	return s.sys.History().Moment(ctx, at)
}

func (s system) Describe(ctx context.Context, at, sql string) ([]string, []Column, error) {
	d, err := s.sys.History().Describe(ctx, at, sql)
	return d.Params, d.Columns, err
}
