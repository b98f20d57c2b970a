//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/abi"
)

// A session is one connection to the column store. It belongs to one goroutine
// at a time. It is the driver's own, because database/sql would look at every value of
// every row once more.
type session struct {
	*duckdb.Conn
	release func() // ends the context of what is done with it
}

func namedValues(args []any) []driver.NamedValue {
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return named
}

// exec runs statements and returns how many rows the last one changed.
func (s *session) exec(ctx context.Context, text string, args ...any) (int64, error) {
	res, err := s.ExecContext(ctx, text, namedValues(args))
	if err != nil {
		return 0, storeError("warehouse.exec", ctx, err)
	}
	return res.RowsAffected()
}

// query runs fn for each row of a result. The values are only valid within it.
func (s *session) query(ctx context.Context, fn func(row []driver.Value) error, text string, args ...any) error {
	rows, err := s.QueryContext(ctx, text, namedValues(args))
	if err != nil {
		return storeError("warehouse.query", ctx, err)
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	for n := 0; ; n++ {
		if n%1024 == 1023 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return storeError("warehouse.query", ctx, err)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}

// one returns the first row of a result, nil if there is none.
func (s *session) one(ctx context.Context, text string, args ...any) (row []driver.Value, err error) {
	err = s.query(ctx, func(r []driver.Value) error {
		if row == nil {
			row = append(row, r...)
		}
		return nil
	}, text, args...)
	return row, err
}

// storeError makes an error of this project of one of the column store's. Its text stays whole:
// it says where in the statement the mistake is.
func storeError(op string, ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	text := err.Error()
	kind := abi.Unavailable
	switch {
	case strings.Contains(text, "No space left"), strings.Contains(text, "Out of Memory Error"):
		kind = abi.Exhausted
	case strings.Contains(text, "INTERNAL Error"), strings.Contains(text, "FATAL Error"):
		kind = abi.Unavailable
	case strings.Contains(text, "Permission Error"), strings.Contains(text, "read-only mode"):
		kind = abi.Denied
	case strings.Contains(text, "Error"):
		kind = abi.Invalid
	}
	return abi.Errorf(op, kind, "", "%w", err)
}

// quote returns a name as the column store reads it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal returns text as the column store reads it.
func literal(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }
