package server

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// A batch of rows is sent when it has so many, or so many bytes.
const (
	batchRows  = 256
	batchBytes = 64 << 10
)

// sqlService implements dbosv1connect.SqlServiceHandler.
type sqlService struct {
	sys   *dbos.System
	time  time.Duration // of one query
	slots chan struct{} // one for each query under way
}

func (s *sqlService) Query(ctx context.Context, req *dbosv1.QueryRequest, stream *connect.ServerStream[dbosv1.QueryResponse]) error {
	if err := checkStatement(req.Sql); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.time, errStatementTime(s.time))
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := s.sys.View(ctx, func(tx *dbos.Tx) error {
		lsn := tx.LSN() // first: an engine may have to begin again to know it
		rows, err := tx.Query(req.Sql, arguments(req.Args)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		header := &dbosv1.QueryHeader{
			Columns: messages(rows.Columns(), text), Lsn: int64(lsn), At: timestamppb.New(tx.Now()),
		}
		if err := stream.Send(&dbosv1.QueryResponse{Part: &dbosv1.QueryResponse_Header{Header: header}}); err != nil {
			return err
		}
		return sendRows(rows, stream)
	})
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func errStatementTime(d time.Duration) error {
	return abi.Errorf("server.query", abi.Timeout, "statement", "it took longer than %v, with the time to read its rows", d).
		WithHint("ask for fewer rows, or read them faster")
}

// sendRows streams the rows in batches.
func sendRows(rows dbms.Rows, stream *connect.ServerStream[dbosv1.QueryResponse]) error {
	b := &batcher{send: func(rows *dbosv1.RowBatch) error {
		return stream.Send(&dbosv1.QueryResponse{Part: &dbosv1.QueryResponse_Rows{Rows: rows}})
	}}
	columns := len(rows.Columns())
	for rows.Next() {
		row, n, err := readRow(rows, columns)
		if err == nil {
			err = b.add(row, n)
		}
		if err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return b.flush()
}

// A batcher sends rows in batches. A small result is one batch.
type batcher struct {
	send  func(*dbosv1.RowBatch) error
	batch *dbosv1.RowBatch
	size  int
}

// add takes a row of n bytes.
func (b *batcher) add(row *dbosv1.Row, n int) error {
	if b.size+n > batchBytes || len(b.batch.GetRows()) == batchRows {
		if err := b.flush(); err != nil {
			return err
		}
	}
	if b.batch == nil {
		b.batch = &dbosv1.RowBatch{}
	}
	b.batch.Rows = append(b.batch.Rows, row)
	b.size += n
	return nil
}

func (b *batcher) flush() error {
	if b.batch == nil {
		return nil
	}
	err := b.send(b.batch)
	b.batch, b.size = nil, 0
	return err
}

// readRow returns the current row and its size in bytes.
func readRow(rows dbms.Rows, columns int) (*dbosv1.Row, int, error) {
	values, dest := make([]any, columns), make([]any, columns)
	for i := range values {
		dest[i] = &values[i]
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, 0, err
	}
	return rowMessage(values)
}

// rowMessage returns a row and its size in bytes.
func rowMessage(values []any) (*dbosv1.Row, int, error) {
	row, err := dbosv1.NewRow(values)
	if err != nil {
		return nil, 0, abi.Errorf("server.query", abi.Unsupported, "result", "%w", err)
	}
	n := proto.Size(row)
	if n > MaxRow {
		return nil, 0, abi.Errorf("server.query", abi.Exhausted, "result", "a row has %d bytes; at most %d are sent", n, MaxRow).
			WithHint("select fewer columns, or a part of the value with substr()")
	}
	return row, n, nil
}

func (s *sqlService) Exec(ctx context.Context, req *dbosv1.ExecRequest) (*dbosv1.ExecResponse, error) {
	if err := checkStatement(req.Sql); err != nil {
		return nil, err
	}
	var res *dbosv1.ExecResponse
	err := s.sys.Update(ctx, "sql.exec", func(tx *dbos.Tx) (err error) {
		res, err = exec(tx, req.Sql, arguments(req.Args))
		return err
	})
	return res, err
}

// exec runs a statement, once. Of one that returns rows it collects these, of
// any other it counts the rows that were changed.
func exec(tx *dbos.Tx, sql string, args []any) (*dbosv1.ExecResponse, error) {
	if !returnsRows(sql) {
		n, err := tx.Exec(sql, args...)
		return &dbosv1.ExecResponse{Changed: &n}, err
	}
	rows, err := tx.Query(sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	res := &dbosv1.ExecResponse{Columns: messages(rows.Columns(), text)}
	size := 0
	for rows.Next() { // also if there are none: this is what runs the statement
		row, n, err := readRow(rows, len(res.Columns))
		if err != nil {
			return nil, err
		}
		if size += n; size > MaxReturned {
			return nil, abi.Errorf("server.exec", abi.Exhausted, "result", "the statement returns more than %d bytes; nothing was changed", MaxReturned).
				WithHint("return fewer rows or columns")
		}
		res.Rows = append(res.Rows, row)
	}
	return res, rows.Err()
}

func arguments(values []*dbosv1.Value) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v.Any()
	}
	return args
}
