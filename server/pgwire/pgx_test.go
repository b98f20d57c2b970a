//go:build cgo

package pgwire_test

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/dbos-go/dbos/server/pgwire"
)

// modes are pgx's ways to run a query: the extended protocol with prepared
// statements, without, with parameters whose types pgx tells, and the simple protocol.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

// onModes runs a test with every mode, on a source that knows the types of parameters and
// on one that does not.
func onModes(t *testing.T, test func(t *testing.T, conn *pgx.Conn)) {
	plain := newShop(t)
	for name, source := range map[string]pgwire.Source{"plain": plain, "describing": describingShop{plain}} {
		e := serve(t, source)
		for _, mode := range modes {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				config, err := pgx.ParseConfig(url(e))
				if err != nil {
					t.Fatal(err)
				}
				config.DefaultQueryExecMode = mode
				conn, err := pgx.ConnectConfig(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close(context.Background())
				test(t, conn)
			})
		}
	}
}

func TestValues(t *testing.T) {
	onModes(t, func(t *testing.T, conn *pgx.Conn) {
		var (
			id, n                       int64
			item                        string
			price                       pgtype.Numeric
			placed                      time.Time
			paid                        bool
			note                        []byte
			weight                      float64
			total                       pgtype.Numeric
			noItem, noNote, noPaid, nop any
		)
		err := conn.QueryRow(t.Context(), "SELECT * FROM orders WHERE id = $1", 2).Scan(&id, &item, &n, &price, &placed, &paid, &note, &weight, &total)
		if err != nil {
			t.Fatal(err)
		}
		if id != 2 || item != "item 2" || n != 2 || !paid || weight != 0.2 || !reflect.DeepEqual(note, []byte{0, 255}) {
			t.Errorf("got %v %q %v %v %v %x", id, item, n, paid, weight, note)
		}
		if want := time.Date(2026, 11, 21, 18, 5, 0, 5e8, time.UTC); !placed.Equal(want) {
			t.Errorf("placed at %v, want %v", placed, want)
		}
		if want := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1)); total.Int.Cmp(want) != 0 || total.Exp != 0 {
			t.Errorf("the total is %v, want %v", total, want)
		}
		if v, err := price.Float64Value(); err != nil || v.Float64 != 2.99 {
			t.Errorf("the price is %v (%v)", v, err)
		}
		err = conn.QueryRow(t.Context(), "SELECT item, note, paid, price FROM orders WHERE id = $1", 1000).Scan(&noItem, &noNote, &noPaid, &nop)
		if err != nil || noItem != nil || noNote != nil || noPaid != nil || nop != nil {
			t.Errorf("NULLs are %v %v %v %v (%v)", noItem, noNote, noPaid, nop, err)
		}
	})
}

func TestLiterals(t *testing.T) {
	onModes(t, func(t *testing.T, conn *pgx.Conn) {
		for _, tt := range []struct {
			sql  string
			want any
		}{
			{"SELECT 9223372036854775807", int64(math.MaxInt64)},
			{"SELECT '-9223372036854775808'::BIGINT", int64(math.MinInt64)},
			{"SELECT 7::SMALLINT", int16(7)},
			{"SELECT 0.1::DOUBLE", 0.1},
			{"SELECT 1e300::DOUBLE", 1e300},
			{"SELECT 'infinity'::DOUBLE", math.Inf(1)},
			{"SELECT 0.5::FLOAT", float32(0.5)},
			{"SELECT true", true},
			{"SELECT 'snow ☃'", "snow ☃"},
			{"SELECT ''", ""},
			{"SELECT DATE '2026-11-21'", time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)},
			{"SELECT DATE '1969-07-20'", time.Date(1969, 7, 20, 0, 0, 0, 0, time.UTC)},
			{"SELECT TIMESTAMPTZ '2026-11-21 18:05:00.123456+00'", time.Date(2026, 11, 21, 18, 5, 0, 123456000, time.UTC)},
			{"SELECT [1, 2]::VARCHAR", "[1, 2]"},
			{"SELECT NULL", nil},
		} {
			var got any
			if err := conn.QueryRow(t.Context(), tt.sql).Scan(&got); err != nil {
				t.Errorf("%s: %v", tt.sql, err)
				continue
			}
			if at, ok := got.(time.Time); ok {
				got = at.UTC()
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s: got %#v, want %#v", tt.sql, got, tt.want)
			}
		}
	})
}

func TestParameters(t *testing.T) {
	onModes(t, func(t *testing.T, conn *pgx.Conn) {
		for _, tt := range []struct {
			where string
			arg   any
			want  int
		}{
			{"id = $1", int64(2), 1},
			{"id >= $1", 2, 2},
			{"item = $1", "item 1", 1},
			{"item LIKE $1", "item%", 2},
			{"weight < $1", 0.15, 1},
			{"paid = $1", true, 1},
			{"placed < $1", time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC), 2},
			{"placed > $1", time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC), 0},
			{"price = $1", pgtype.Numeric{Int: big.NewInt(199), Exp: -2, Valid: true}, 1},
			{"item IS NOT DISTINCT FROM $1", nil, 1},
			{"total > $1", pgtype.Numeric{Int: new(big.Int).Lsh(big.NewInt(1), 100), Valid: true}, 2},
		} {
			var got int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE "+tt.where, tt.arg).Scan(&got); err != nil {
				t.Errorf("%s with %v: %v", tt.where, tt.arg, err)
				continue
			}
			if got != tt.want {
				t.Errorf("%s with %v: %d rows, want %d", tt.where, tt.arg, got, tt.want)
			}
		}
	})
}

// TestTypedParameters has the client tell the types, as JDBC does.
func TestTypedParameters(t *testing.T) {
	conn, err := pgconn.Connect(t.Context(), url(serve(t, newShop(t))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, tt := range []struct {
		sql    string
		oid    uint32
		format int16
		value  string
		want   string
	}{
		{"SELECT $1 + 1", pgtype.Int4OID, 0, "41", "42"},
		{"SELECT $1 + 1", pgtype.Int8OID, 1, "\x00\x00\x00\x00\x00\x00\x00\x29", "42"},
		{"SELECT $1 + 1", pgtype.NumericOID, 0, "0.25", "1.25"},
		{"SELECT $1", pgtype.NumericOID, 0, "-123456789012345678901234567890", "-123456789012345678901234567890"},
		{"SELECT $1 - 1", pgtype.DateOID, 0, "2026-11-21", "2026-11-20"},
		{"SELECT $1", pgtype.ByteaOID, 0, `\x00ff`, `\x00ff`},
		{"SELECT $1", pgtype.ByteaOID, 1, "\x00\xff", `\x00ff`},
		{"SELECT $1", pgtype.TextOID, 1, "it's", "it's"},
		{"SELECT NOT $1", pgtype.BoolOID, 0, "t", "f"},
		{"SELECT $1", pgtype.UUIDOID, 0, "8c1f7f90-2b5e-4b57-8f0a-111111111111", "8c1f7f90-2b5e-4b57-8f0a-111111111111"},
		{"SELECT count(*) FROM orders WHERE id = ANY($1)", pgtype.Int8ArrayOID, 0, "{1,2,NULL}", "2"},
		{"SELECT count(*) FROM orders WHERE item = ANY($1)", pgtype.TextArrayOID, 0, `{"item 1","it,\"em"}`, "1"},
		{"SELECT $1 || 'x'", 0, 0, "a", "ax"},
		{"SELECT id FROM orders WHERE id = $1", 0, 0, "2", "2"},
		{"SELECT id FROM orders LIMIT $1", 0, 0, "1", "1"},
		{"SELECT $1 + 1", 0, 0, "41", "42"}, // only its text says that it is a number
	} {
		res := conn.ExecParams(t.Context(), tt.sql, [][]byte{[]byte(tt.value)}, []uint32{tt.oid}, []int16{tt.format}, nil).Read()
		if res.Err != nil {
			t.Errorf("%s with %q: %v", tt.sql, tt.value, res.Err)
			continue
		}
		if got := string(res.Rows[0][0]); got != tt.want {
			t.Errorf("%s with %q: got %s, want %s", tt.sql, tt.value, got, tt.want)
		}
	}
	for _, tt := range []struct {
		oid         uint32
		format      int16
		value, code string
	}{
		{pgtype.Int4OID, 0, "many", "22P02"},
		{pgtype.Int8OID, 1, "\x01", "22P03"},
		{pgtype.PointOID, 1, "\x01", "0A000"},
		{pgtype.TextOID, 0, "a\x00b", "22021"},
	} {
		res := conn.ExecParams(t.Context(), "SELECT $1", [][]byte{[]byte(tt.value)}, []uint32{tt.oid}, []int16{tt.format}, nil).Read()
		wantState(t, res.Err, tt.code)
	}
}

func wantState(t *testing.T, err error, code string) *pgconn.PgError {
	t.Helper()
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Code != code {
		t.Errorf("got %v, want SQLSTATE %s", err, code)
		return &pgconn.PgError{}
	}
	return e
}

func TestErrors(t *testing.T) {
	onModes(t, func(t *testing.T, conn *pgx.Conn) {
		for _, tt := range []struct {
			sql, code string
			position  int32
		}{
			{"SELECT * FORM orders", "42601", 15},
			{"SELECT *\nFROM orders\nWHERE nosuch = 1", "42703", 28},
			{"SELECT '☃', nosuch FROM orders", "42703", 13},
			{"SELECT * FROM nosuch", "42P01", 15},
			{"SELECT nosuch(1)", "42883", 8},
			{"SELECT 'a'::INTEGER", "22P02", 11},
			{"SELECT nosuch." + `"` + "id" + `"` + " FROM orders", "42P01", 8},
			{"SELECT id FROM orders GROUP BY item", "42803", 8},
			{"INSERT INTO orders VALUES (1)", "25006", 0},
			{"  drop table orders", "25006", 0},
			{"WITH x AS (SELECT 1) INSERT INTO orders (id) SELECT 1", "25006", 0},
			{"EXPLAIN ANALYZE DELETE FROM orders", "25006", 0},
			{"COPY orders FROM STDIN", "25006", 0},
			{"COPY orders TO '/tmp/x'", "42501", 0},
			{"EXECUTE x", "0A000", 0},
			{"SELCT 1", "42601", 0},
			{"SET nosuch = 1", "42704", 0},
			{"SET dbos.at = '1 year ago'", "22008", 0},
			{"SET client_encoding = 'latin1'", "22023", 0},
			{"SET transaction_read_only = off", "25006", 0},
			{"SHOW dbos.nosuch", "42704", 0},
			{"SELECT * FROM information_schema.nosuch", "42P01", 0},
		} {
			_, err := conn.Exec(t.Context(), tt.sql)
			if e := wantState(t, err, tt.code); e.Position != tt.position {
				t.Errorf("%s: the error is at %d, want %d (%s)", tt.sql, e.Position, tt.position, e.Message)
			}
		}
		// The session goes on.
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 3 {
			t.Errorf("%d rows (%v), want 3", n, err)
		}
	})
}

// TestStandardLibrary goes through database/sql, as most Go programs do.
func TestStandardLibrary(t *testing.T) {
	db, err := sql.Open("pgx", url(serve(t, newShop(t))))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	prepared, err := db.PrepareContext(t.Context(), "SELECT item FROM orders WHERE id = $1")
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	for id, want := range map[int64]sql.NullString{1: {String: "item 1", Valid: true}, 1000: {}} {
		var got sql.NullString
		if err := prepared.QueryRowContext(t.Context(), id).Scan(&got); err != nil || got != want {
			t.Errorf("order %d has %v (%v), want %v", id, got, err, want)
		}
	}
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRowContext(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d rows (%v), want 3", n, err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if tx, err = db.BeginTx(t.Context(), &sql.TxOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "DELETE FROM orders"); err == nil {
		t.Error("rows were deleted")
	}
	_, err = tx.ExecContext(t.Context(), "SELECT 1")
	wantState(t, err, "25P02")
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}
