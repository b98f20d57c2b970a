package postgres

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// system opens a new system of its own, which is closed and dropped at the
// test's end.
func system(t *testing.T, o dbms.Options, parameters ...string) *DB {
	t.Helper()
	return node(t, pgtest.Need(t).URL(pgtest.Schema(t), parameters...), o)
}

// node opens one more node of a system.
func node(t *testing.T, url string, o dbms.Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// value returns the one value of a query.
func value(t *testing.T, db *DB, sql string, args ...any) (v dbms.Value, err error) {
	t.Helper()
	err = db.View(t.Context(), func(tx dbms.Tx) error {
		rows, err := tx.Query(dbms.SQL(sql), args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan((*any)(&v)); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return v, err
}

// TestResults: what the types of the server become.
func TestResults(t *testing.T) {
	db := system(t, dbms.Options{})
	for sql, want := range map[string]dbms.Value{
		"true": int64(1), "false": int64(0), "1::smallint": int64(1), "-2::int": int64(-2), "'9223372036854775807'::bigint": int64(math.MaxInt64),
		"1::oid": int64(1), "0.1::real": float64(float32(0.1)), "0.1::double precision": 0.1, "'NaN'::float8": "NaN", "'-inf'::float8": math.Inf(-1),
		"12::numeric": int64(12), "1.50::numeric": "1.50", "1e30::numeric": "1000000000000000000000000000000", "sum(v) FROM (VALUES (1::bigint), (2)) AS x (v)": int64(3),
		"'x'::text": "x", "'x'::varchar(3)": "x", "'x'::char(3)": "x  ", "'x'::name": "x", "''": "", "'\\x00ff'::bytea": []byte{0, 255}, "''::bytea": []byte{},
		"'{\"a\": 1}'::jsonb": `{"a": 1}`, "'{\"a\":1}'::json": `{"a":1}`, "ARRAY[1, NULL, 3]": "{1,NULL,3}", "ROW(1, 'a')": "(1,a)",
		"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "'2001-02-03'::date": "2001-02-03", "'1 day 02:03'::interval": "1 day 02:03:00",
		"'2001-02-03 04:05:06.000007+02'::timestamptz": time.Date(2001, 2, 3, 2, 5, 6, 7000, time.UTC).UnixMicro(),
		"'infinity'::timestamptz":                      "infinity", "'2001-02-03 04:05:06'::timestamp": "2001-02-03 04:05:06", "NULL::int": nil, "NULL": nil,
	} {
		got, err := value(t, db, "SELECT "+sql)
		if f, ok := got.(float64); ok && math.IsNaN(f) {
			got = "NaN"
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %T %v, error %v; want %T %v", sql, got, got, err, want, want)
		}
	}
}

// TestArguments: arguments find their way into columns of other types.
func TestArguments(t *testing.T) {
	db := system(t, dbms.Options{})
	at := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	for i, c := range []struct {
		typ  string
		arg  any
		want dbms.Value
	}{
		{"boolean", true, int64(1)}, {"smallint", 7, int64(7)}, {"integer", int64(-7), int64(-7)}, {"numeric(10,2)", 7, "7.00"}, {"numeric", 0.25, "0.25"},
		{"real", 0.5, 0.5}, {"text", 7, "7"}, {"text", 0.5, "0.5"}, {"timestamptz", at, at.UnixMicro()}, {"timestamp", at, "2001-02-03 04:05:06.000007"}, {"date", at, "2001-02-03"},
		{"bigint", at, at.UnixMicro()}, {"jsonb", `{"a": 1}`, `{"a": 1}`}, {"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
		{"bytea", []byte{1, 0}, []byte{1, 0}}, {"bytea", "text", []byte("text")}, {"integer[]", "{1,2}", "{1,2}"}, {"inet", "10.0.0.1", "10.0.0.1"}, {"bigint", nil, nil},
	} {
		table := fmt.Sprint("t", i)
		_, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
			if _, err := tx.Exec(dbms.SQL("CREATE TABLE " + table + " (v " + c.typ + ")")); err != nil {
				return err
			}
			_, err := tx.Exec(dbms.SQL("INSERT INTO "+table+" VALUES ($1)"), c.arg)
			return err
		})
		got, readErr := value(t, db, "SELECT v FROM "+table)
		if err != nil || readErr != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%T %v in a column of type %s: %T %v, errors %v, %v; want %T %v", c.arg, c.arg, c.typ, got, got, err, readErr, c.want, c.want)
		}
	}
	if _, err := value(t, db, "SELECT $1::text", "a\x00b"); abi.KindOf(err) != abi.Invalid {
		t.Errorf("text with NUL: %v, want kind %q", err, abi.Invalid)
	}
	if got, err := value(t, db, "SELECT $1 + $2", int64(1)<<40, 2); err != nil || got != int64(1)<<40+2 {
		t.Errorf("a sum of two arguments: %v, %v", got, err)
	}
}
