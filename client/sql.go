package client

import (
	"context"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/proto/dbos/v1/dbosv1connect"
)

// Query runs one reading statement on a snapshot. Arguments are nil, int64,
// float64, string or []byte. The Rows must be closed.
func (c *Client) Query(ctx context.Context, sql string, args ...any) (*Rows, error) {
	values, err := encode(args)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	stream, err := c.sql.Query(ctx, &dbosv1.QueryRequest{Sql: sql, Args: values})
	if err != nil {
		stop()
		return nil, rebuild(dbosv1connect.SqlServiceQueryProcedure, err)
	}
	r := &Rows{
		stream: stream, stop: stop, procedure: dbosv1connect.SqlServiceQueryProcedure,
		received: func() []*dbosv1.Row { return stream.Msg().GetRows().GetRows() },
	}
	if !stream.Receive() || stream.Msg().GetHeader() == nil {
		err := rebuild(dbosv1connect.SqlServiceQueryProcedure, ended(stream.Err()))
		r.Close()
		return nil, err
	}
	header := stream.Msg().GetHeader()
	r.columns, r.at = header.Columns, &dbosv1.Moment{Lsn: header.Lsn, Time: header.At}
	return r, nil
}

// Rows is the result of Query or QueryAt, read one row at a time.
type Rows struct {
	stream    batches
	received  func() []*dbosv1.Row // of the message that the stream holds
	procedure string
	stop      context.CancelFunc
	columns   []string
	types     []string
	at        *dbosv1.Moment
	batch     []*dbosv1.Row
	row       []any
	err       error
}

// batches is a stream of rows.
type batches interface {
	Receive() bool
	Err() error
	Close() error
}

// Columns returns the names of the columns. They may repeat.
func (r *Rows) Columns() []string { return r.columns }

// Types returns the columns' types as the warehouse calls them: "BIGINT". Of
// rows from Query, whose engine types values and not columns, it is nil.
func (r *Rows) Types() []string { return r.types }

// At returns the state that is read.
func (r *Rows) At() *dbosv1.Moment { return r.at }

// Next moves to the next row. At the end, or on an error, it returns false.
func (r *Rows) Next() bool {
	for len(r.batch) == 0 {
		if !r.stream.Receive() {
			r.err = rebuild(r.procedure, cut(r.stream.Err()))
			return false
		}
		r.batch = r.received()
	}
	r.row, r.batch = r.batch[0].Anys(), r.batch[1:]
	return true
}

// Values returns the current row: nil, int64, float64, string or []byte for
// each column, and from QueryAt bool, time.Time and *big.Int too. The caller
// may keep it.
func (r *Rows) Values() []any { return r.row }

// Err returns the error that ended Next, if any.
func (r *Rows) Err() error { return r.err }

// Close ends the query. It may be called more than once.
func (r *Rows) Close() error {
	r.stop()
	r.stream.Close()
	return nil
}

// A Result is what a writing statement did.
type Result struct {
	// Changed is the number of rows that the statement itself inserted,
	// updated or deleted. It is known of statements that return no rows.
	Changed int64
	// Columns and Rows are what the statement returned (RETURNING); Columns
	// is empty for a statement that returns nothing.
	Columns []string
	Rows    [][]any
}

// Exec runs one statement as a transaction, which is durable when it returns.
// Arguments are as for Query. After abi.Unavailable it is not known whether
// the statement has run.
func (c *Client) Exec(ctx context.Context, sql string, args ...any) (Result, error) {
	values, err := encode(args)
	if err != nil {
		return Result{}, err
	}
	res, err := c.sql.Exec(ctx, &dbosv1.ExecRequest{Sql: sql, Args: values})
	if err != nil {
		return Result{}, rebuild(dbosv1connect.SqlServiceExecProcedure, err)
	}
	result := Result{Changed: res.GetChanged(), Columns: res.Columns}
	for _, row := range res.Rows {
		result.Rows = append(result.Rows, row.Anys())
	}
	return result, nil
}

func encode(args []any) ([]*dbosv1.Value, error) {
	row, err := dbosv1.NewRow(args)
	if err != nil {
		return nil, abi.Errorf("client.encode", abi.Invalid, "arguments", "%w", err)
	}
	return row.Values, nil
}
