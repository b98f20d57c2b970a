//go:build cgo

package pgwire_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/server/pgwire"
)

// A shop is a Source with the tables of a shop, now and as they were at LSN 42,
// in DuckDB in memory.
type shop struct {
	now, past *sql.DB
	open      atomic.Int64 // rows that were not closed
	began     chan string  // has the statements endless and forever when they run
}

const lsnNow = 100

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{now: newDuck(t, 2), past: newDuck(t, 0), began: make(chan string, 10)}
	t.Cleanup(func() {
		if n := s.open.Load(); n != 0 {
			t.Errorf("%d results were not closed", n)
		}
	})
	return s
}

func newDuck(t testing.TB, orders int) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, statement := range []string{
		"CREATE SCHEMA history", "CREATE SCHEMA prov",
		`CREATE TABLE orders (id BIGINT NOT NULL, item VARCHAR, n INTEGER, price DECIMAL(10,2), placed TIMESTAMP, paid BOOLEAN,
			note BLOB, weight DOUBLE, total HUGEINT)`,
		"CREATE TABLE history.orders (id BIGINT, item VARCHAR, dbos_lsn BIGINT, dbos_end_lsn BIGINT)",
		"CREATE TABLE prov.calls (lsn BIGINT, at TIMESTAMPTZ, principal VARCHAR, procedure VARCHAR)",
		`CREATE TABLE "odd name" ("a ""b""" VARCHAR)`,
		fmt.Sprintf(`INSERT INTO orders SELECT i, 'item ' || i, i, i + 0.99, TIMESTAMP '2026-11-21 18:05:00.5', i %% 2 = 0, '\x00\xFF'::BLOB, i / 10,
			170141183460469231731687303715884105727 FROM range(1, %d + 1) r(i)`, orders),
		"INSERT INTO orders (id) VALUES (1000)",
	} {
		if _, err := db.Exec(strings.Replace(statement, " at TIMESTAMPTZ", ` "at" TIMESTAMPTZ`, 1)); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return db
}

func (s *shop) Query(ctx context.Context, at, query string, args ...any) (pgwire.Rows, error) {
	db := s.now
	if at == "LSN 42" {
		db = s.past
	}
	if verb, _, _ := strings.Cut(strings.ToLower(query), " "); verb != "select" && verb != "with" && verb != "describe" && verb != "show" && verb != "explain" {
		return nil, abi.Errorf("warehouse.query", abi.Denied, "statement", "it does not only read")
	}
	if query == endless || query == forever {
		s.began <- query
	}
	if query == endless {
		s.open.Add(1)
		return &endlessRows{ctx: ctx, shop: s}, nil
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, abi.Errorf("warehouse.query", abi.Invalid, "statement", "%w", err)
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		rows.Close()
		return nil, err
	}
	s.open.Add(1)
	r := &duckRows{Rows: rows, shop: s}
	for _, t := range types {
		r.columns = append(r.columns, pgwire.Column{Name: t.Name(), Type: t.DatabaseTypeName()})
	}
	return r, nil
}

func (s *shop) Moment(_ context.Context, at string) (pgwire.Moment, error) {
	switch at {
	case "now":
		return pgwire.Moment{LSN: lsnNow, Text: at}, nil
	case "16 minutes ago", "LSN 42":
		return pgwire.Moment{LSN: 42, Text: at}, nil
	}
	return pgwire.Moment{}, abi.Errorf("prov.moment", abi.Trimmed, "moment "+at, "history begins at LSN 7").WithHint("ask for a later moment")
}

type duckRows struct {
	*sql.Rows
	shop    *shop
	columns []pgwire.Column
	closed  bool
}

func (r *duckRows) Columns() []pgwire.Column { return r.columns }

func (r *duckRows) Close() error {
	if !r.closed {
		r.closed = true
		r.shop.open.Add(-1)
	}
	return r.Rows.Close()
}

func (r *duckRows) Values() []any {
	values, dest := make([]any, len(r.columns)), make([]any, len(r.columns))
	for i := range values {
		dest[i] = &values[i]
	}
	if err := r.Scan(dest...); err != nil {
		panic(err)
	}
	for i, v := range values {
		if b, ok := v.([]byte); ok && r.columns[i].Type == "UUID" {
			v = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
			values[i] = v
		}
		switch v := v.(type) {
		case nil, bool, int64, float64, string, []byte, time.Time, *big.Int:
		case int8:
			values[i] = int64(v)
		case int16:
			values[i] = int64(v)
		case int32:
			values[i] = int64(v)
		case uint32:
			values[i] = int64(v)
		case float32:
			values[i] = float64(v)
		case duckdb.Decimal:
			values[i] = v.String()
		case duckdb.Interval:
			values[i] = fmt.Sprintf("%d months %d days %s", v.Months, v.Days, time.UnixMicro(v.Micros).UTC().Format("15:04:05"))
		default:
			values[i] = fmt.Sprint(v)
		}
	}
	return values
}

// endlessRows never end but with their context. DuckDB's own cannot do that:
// its driver takes the whole result first.
type endlessRows struct {
	ctx    context.Context
	shop   *shop
	n      int64
	closed bool
}

func (r *endlessRows) Columns() []pgwire.Column {
	return []pgwire.Column{{Name: "i", Type: "BIGINT"}, {Name: "text", Type: "VARCHAR"}}
}

func (r *endlessRows) Next() bool    { r.n++; return r.ctx.Err() == nil }
func (r *endlessRows) Values() []any { return []any{r.n, strings.Repeat("x", 1000)} }
func (r *endlessRows) Err() error    { return r.ctx.Err() }
func (r *endlessRows) Close() error {
	if !r.closed {
		r.closed = true
		r.shop.open.Add(-1)
	}
	return nil
}

// A describingShop knows the types of parameters too.
type describingShop struct{ *shop }

func (s describingShop) Describe(ctx context.Context, at, query string) ([]string, []pgwire.Column, error) {
	conn, err := s.now.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	var params []string
	var columns []pgwire.Column
	err = conn.Raw(func(raw any) error {
		prepared, err := raw.(*duckdb.Conn).PrepareContext(ctx, query)
		if err != nil {
			return abi.Errorf("warehouse.describe", abi.Invalid, "statement", "%w", err)
		}
		defer prepared.Close()
		st := prepared.(*duckdb.Stmt)
		for i := range st.NumInput() {
			t, err := st.ParamType(i + 1)
			if err != nil {
				return err
			}
			params = append(params, map[duckdb.Type]string{
				duckdb.TYPE_BIGINT: "BIGINT", duckdb.TYPE_VARCHAR: "VARCHAR", duckdb.TYPE_BLOB: "BLOB", duckdb.TYPE_DECIMAL: "DECIMAL(18,3)",
				duckdb.TYPE_TIMESTAMP: "TIMESTAMP", duckdb.TYPE_DOUBLE: "DOUBLE", duckdb.TYPE_BOOLEAN: "BOOLEAN", duckdb.TYPE_HUGEINT: "HUGEINT",
				duckdb.TYPE_INTEGER: "INTEGER",
			}[t])
		}
		n, err := st.ColumnCount()
		if err != nil {
			return err
		}
		for i := range n {
			name, err := st.ColumnName(i)
			if err != nil {
				return err
			}
			columns = append(columns, pgwire.Column{Name: name}) // its type is found by probing
		}
		return nil
	})
	return params, columns, err
}

// serve opens an endpoint that closes with the test.
func serve(t testing.TB, source pgwire.Source, opts ...pgwire.Option) *pgwire.Endpoint {
	t.Helper()
	e, err := pgwire.Serve(source, "127.0.0.1:0", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func url(e *pgwire.Endpoint) string { return "postgres://ada@" + e.Addr() + "/shop" }
