//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// momentFunction is dbos_lsn(moment): the LSN of a moment. The optimizer calls it
// once, before the query runs, so that the store can skip what is not of that moment.
type momentFunction struct {
	w     *Warehouse
	input duckdb.TypeInfo
}

// Config says what the function takes and gives.
func (f *momentFunction) Config() duckdb.ScalarFuncConfig {
	result, _ := duckdb.NewTypeInfo(duckdb.TYPE_BIGINT) // it is a type that there is
	return duckdb.ScalarFuncConfig{InputTypeInfos: []duckdb.TypeInfo{f.input}, ResultTypeInfo: result}
}

// Executor returns what computes it.
func (f *momentFunction) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{RowContextExecutor: func(ctx context.Context, values []driver.Value) (any, error) {
		if ctx == nil {
			ctx = context.Background()
		}
		lsn, err := f.w.resolve(ctx, values[0])
		return int64(lsn), err
	}}
}

// registerFunctions adds the functions that are written in Go.
func (w *Warehouse) registerFunctions(ctx context.Context) error {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return storeError("warehouse.open", ctx, err)
	}
	defer conn.Close()
	var functions []duckdb.ScalarFunc
	for _, t := range []duckdb.Type{duckdb.TYPE_VARCHAR, duckdb.TYPE_BIGINT, duckdb.TYPE_TIMESTAMP_TZ} {
		input, err := duckdb.NewTypeInfo(t)
		if err != nil {
			return storeError("warehouse.open", ctx, err)
		}
		functions = append(functions, &momentFunction{w: w, input: input})
	}
	if err := duckdb.RegisterScalarUDFSet(conn, "dbos_lsn", functions...); err != nil {
		return storeError("warehouse.open", ctx, err)
	}
	return nil
}

// resolve returns the LSN of a moment as a query writes it, if it can be
// asked for.
func (w *Warehouse) resolve(ctx context.Context, v driver.Value) (dbms.LSN, error) {
	var lsn dbms.LSN
	var err error
	switch x := v.(type) {
	case int64:
		lsn, err = w.committed(ctx, dbms.LSN(x))
	case time.Time:
		lsn, err = w.LSNAt(ctx, x)
	case string:
		lsn, err = w.resolveText(ctx, x)
	default:
		err = abi.Errorf("warehouse.query", abi.Invalid, "moment", "%T is none", v)
	}
	if err != nil {
		return 0, err
	}
	lsn, _, err = w.check("warehouse.query", lsn)
	return lsn, err
}

// committed returns the LSN of the last commit up to an LSN, which may be that
// of a change in the middle of a transaction. 0 is the newest.
func (w *Warehouse) committed(ctx context.Context, lsn dbms.LSN) (dbms.LSN, error) {
	if st, _ := w.now(); lsn <= st.Oldest.LSN || lsn >= st.Position.LSN {
		return lsn, nil
	}
	s, ctx, err := w.session(ctx, "warehouse.query")
	if err != nil {
		return 0, err
	}
	defer w.finish(s)
	row, err := s.one(ctx, `SELECT max(lsn) FROM warehouse.commit WHERE lsn <= $1`, int64(lsn))
	if err != nil {
		return 0, err
	}
	found, ok := row[0].(int64)
	if !ok {
		return lsn, nil // before the first commit
	}
	st, _ := w.now()
	return max(st.Oldest.LSN, dbms.LSN(found)), nil
}

func (w *Warehouse) resolveText(ctx context.Context, text string) (dbms.LSN, error) {
	if w.o.Resolve != nil {
		return w.o.Resolve(ctx, text)
	}
	text = strings.TrimSpace(text)
	if text == "now" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimPrefix(text, "LSN")), 10, 64); err == nil {
		return w.committed(ctx, dbms.LSN(n))
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, abi.Errorf("warehouse.query", abi.Invalid, fmt.Sprintf("moment %q", text), "it is neither an LSN nor a time").
			WithHint("write it as 1234 or as 2026-11-21T18:05:00Z")
	}
	return w.LSNAt(ctx, at)
}

// LSNAt returns the LSN of the state as of a time: that of all commits at or before
// it. A time before the oldest state that is kept, or after the newest one by the clock of the
// database, is an error that names the bounds.
func (w *Warehouse) LSNAt(ctx context.Context, t time.Time) (dbms.LSN, error) {
	const op = "warehouse.lsn"
	st, _ := w.now()
	what := "time " + t.Format(time.RFC3339Nano)
	if t.After(w.o.Now()) && t.After(st.Position.Time) {
		return 0, abi.Errorf(op, abi.Invalid, what, "it is in the future").WithHint("ask for a moment from %s to %s", st.Oldest, st.Position)
	}
	if t.Before(st.Oldest.Time) {
		return 0, abi.Errorf(op, abi.Trimmed, what, "history begins at %s", st.Oldest).WithHint("ask for a moment from %s to %s", st.Oldest, st.Position)
	}
	s, ctx, err := w.session(ctx, op)
	if err != nil {
		return 0, err
	}
	defer w.finish(s)
	row, err := s.one(ctx, `SELECT max(lsn) FROM warehouse.commit WHERE time <= $1 AND lsn <= $2`, t.UTC(), int64(st.Position.LSN))
	if err != nil {
		return 0, err
	}
	lsn, ok := row[0].(int64)
	if !ok || dbms.LSN(lsn) < st.Oldest.LSN {
		if st.Oldest.LSN == 0 && !ok {
			return 0, abi.Errorf(op, abi.Trimmed, what, "history begins at %s", st.Oldest).WithHint("ask for a moment from %s to %s", st.Oldest, st.Position)
		}
		return st.Oldest.LSN, nil
	}
	for _, g := range st.Gaps {
		if t.After(g.After.Time) && t.Before(g.Upto.Time) {
			return 0, abi.Errorf(op, abi.Trimmed, what, "nobody has the history between %s and %s", g.After, g.Upto).
				WithHint("ask for a moment up to %s or from %s on", g.After, g.Upto)
		}
	}
	return dbms.LSN(lsn), nil
}

// asTime returns a time of the driver's.
func asTime(v driver.Value) (time.Time, bool) {
	t, ok := v.(time.Time)
	return t, ok
}
