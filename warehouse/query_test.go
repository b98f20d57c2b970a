//go:build cgo

package warehouse_test

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// define is a Define change of a table whose first column is its key.
func define(name string, columns ...string) dbms.Change {
	ch := dbms.Change{Op: dbms.Define, Table: name, Schema: "CREATE TABLE " + name}
	for _, c := range columns {
		column, typ, _ := strings.Cut(c, "|")
		ch.Columns, ch.Types = append(ch.Columns, column), append(ch.Types, typ)
	}
	ch.KeyColumns = ch.Columns[:1]
	return ch
}

func put(of dbms.Change, op dbms.Op, row ...dbms.Value) dbms.Change {
	ch := dbms.Change{Op: op, Table: of.Table, Columns: of.Columns, KeyColumns: of.KeyColumns, Key: row[:1], Row: row}
	if op == dbms.Delete {
		ch.Row = nil
	}
	return ch
}

// oneTable is a warehouse of a table of three commits: made, changed, emptied.
func oneTable(t *testing.T) (*warehouse.Warehouse, *feed) {
	f := newFeed("sqlite")
	f.commit(define("t", "id|INTEGER", "name|TEXT"))
	of := f.tables["t"].def
	f.commit(put(of, dbms.Insert, int64(1), "a"), put(of, dbms.Insert, int64(2), "b"))
	f.commit(put(of, dbms.Update, int64(1), "c"), put(of, dbms.Delete, int64(2)))
	w := openAt(t, t.TempDir(), warehouse.Options{Retention: -1})
	spool(t, w, f)
	return w, f
}

func TestQueriesOnlyRead(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret.csv")
	if err := os.WriteFile(secret, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, _ := oneTable(t)
	for _, sql := range []string{
		"INSERT INTO t VALUES (3, 'x')", "UPDATE t SET name = 'x'", "DELETE FROM t", "DROP VIEW t", "CREATE TABLE x (a int)", "TRUNCATE warehouse.live_0",
		"INSERT INTO warehouse.live_0 SELECT * FROM warehouse.live_0", "DROP TABLE warehouse.live_0", "CREATE TEMP TABLE x AS SELECT 1",
		"ATTACH '" + dir + "/other.duckdb' AS o", "DETACH warehouse", "COPY t TO '" + dir + "/out.csv'", "COPY (SELECT 1) TO '" + dir + "/out.csv'",
		"EXPORT DATABASE '" + dir + "/out'", "IMPORT DATABASE '" + dir + "'", "INSTALL httpfs", "LOAD httpfs", "PRAGMA database_list", "PRAGMA enable_profiling", "CALL force_checkpoint()",
		"SET memory_limit = '1GB'", "SET VARIABLE dbos_at = 0", "RESET threads", "USE warehouse", "BEGIN", "COMMIT", "ROLLBACK", "CHECKPOINT", "VACUUM",
		"SELECT * FROM read_csv('" + secret + "')", "SELECT * FROM '" + secret + "'", "SELECT * FROM read_text('" + secret + "')", "SELECT * FROM read_blob('/etc/passwd')",
		"SELECT * FROM glob('/*')", "SELECT * FROM read_parquet('" + dir + "/*')", "SELECT * FROM parquet_metadata('x')", "SELECT * FROM sniff_csv('" + secret + "')",
		"SELECT * FROM query('DROP TABLE x')", "SELECT * FROM query_table('t')", "SELECT * FROM force_checkpoint()", "SELECT * FROM checkpoint()",
		"SELECT * FROM json_execute_serialized_sql('{}')", "SELECT * FROM arrow_scan(1, 2, 3)", "SELECT * FROM enable_logging('x')", "SELECT * FROM duckdb_secrets()",
		"SELECT (SELECT max(column0) FROM read_csv('" + secret + "'))", "WITH x AS (SELECT * FROM read_csv('" + secret + "')) SELECT * FROM x",
		"SELECT 1; SELECT 2", "SELECT 1; DROP VIEW t", "EXPLAIN ANALYZE DELETE FROM t", "EXPLAIN COPY t TO 'x'", "PREPARE x AS SELECT 1", "EXECUTE x",
		"SELECT write_log('x')", "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "", " ; ", "-- nothing", "SELEC 1", "SELECT nothing FROM t", "SELECT * FROM \x00",
	} {
		rows, err := w.Query(t.Context(), 0, sql)
		if err == nil {
			rows.Close()
			t.Errorf("%q was run", sql)
			continue
		}
		if kind := abi.KindOf(err); kind != abi.Invalid && kind != abi.Denied {
			t.Errorf("%q: %v is of kind %q", sql, err, kind)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("there are %v, %v", entries, err)
	}
	expect(t, "afterwards", ask(t, w, 0, "SELECT * FROM t"), "1 c")
}

func TestQueriesOfAllShapes(t *testing.T) {
	w, _ := oneTable(t)
	for sql, want := range map[string]string{
		"FROM t": "1 c", "VALUES (1, 'x')": "1 x", "TABLE t": "1 c", "SELECT count(*) FROM history.t;": "3", "WITH x AS (FROM t) SELECT name FROM x -- end": "c",
		"SELECT main.t.id FROM main.t": "1", "SELECT * FROM range(2)": "0 1", "SHOW TABLES": "dbos_transaction t", "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database() AND table_schema = 'main' AND table_name NOT LIKE 'dbos%'": "t",
		`SELECT [1, 2], {'a': 1}, '"x"'::JSON, INTERVAL 1 DAY, '12:00'::TIME`: `[1, 2] {'a': 1} "x" 1 day 12:00:00`,
		"PIVOT (SELECT id, name FROM t) ON name IN ('c') USING max(id)":       "1", "SELECT * FROM t_at(1)": "", "SELECT a.name || b.name FROM t a, t_at(3) b WHERE a.id = b.id": "", // at 3 only the definition and the first insert
	} {
		got := strings.Join(ask(t, w, 0, sql), " ")
		if want != "" && got != want {
			t.Errorf("%s gives %q, want %q", sql, got, want)
		}
	}
	if plan := ask(t, w, 0, "EXPLAIN SELECT * FROM t"); len(plan) == 0 {
		t.Error("EXPLAIN says nothing")
	}
}

func TestResultTypes(t *testing.T) {
	w, _ := oneTable(t)
	rows, err := w.Query(t.Context(), 0, `SELECT NULL, true, 1::TINYINT, 2::UBIGINT, 18446744073709551615::UBIGINT, 170141183460469231731687303715884105727::HUGEINT, 1.5::FLOAT,
		'x', 'x'::BLOB, 1.50::DECIMAL(10,2), DATE '2026-11-21', TIMESTAMP '2026-11-21 10:00:00.5', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID, $1, $2, $3`,
		int64(7), "it's", []byte{1})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	huge, _ := new(big.Int).SetString("170141183460469231731687303715884105727", 10)
	want := []any{nil, true, int64(1), int64(2), new(big.Int).SetUint64(1<<64 - 1), huge, 1.5, "x", []byte("x"), "1.50",
		time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 10, 0, 0, 5e8, time.UTC), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", int64(7), "it's", []byte{1}}
	for i, v := range rows.Values() {
		if fmt.Sprintf("%T %v", v, v) != fmt.Sprintf("%T %v", want[i], want[i]) {
			t.Errorf("column %d is %T %v, want %T %v", i, v, v, want[i], want[i])
		}
	}
	var types []string
	for _, c := range rows.Columns() {
		types = append(types, c.Type)
	}
	if got := strings.Join(types[1:13], " "); got != "BOOLEAN TINYINT UBIGINT UBIGINT HUGEINT FLOAT VARCHAR BLOB DECIMAL(10,2) DATE TIMESTAMP UUID" {
		t.Errorf("the types are %s", got)
	}
}

func TestDescribe(t *testing.T) {
	w, _ := oneTable(t)
	d, err := w.Describe(t.Context(), 0, "SELECT id, name, 1.5 AS x FROM t")
	if err != nil || len(d.Params) != 0 || fmt.Sprint(d.Columns) != "[{id BIGINT} {name VARCHAR} {x DECIMAL(2,1)}]" {
		t.Errorf("it takes and gives %v, %v", d, err)
	}
	d, err = w.Describe(t.Context(), 0, "SELECT name FROM t WHERE id = $1 AND name = $2")
	if err != nil || fmt.Sprint(d.Params) != "[BIGINT VARCHAR]" || fmt.Sprint(d.Columns) != "[{name VARCHAR}]" {
		t.Errorf("it takes and gives %v, %v", d, err)
	}
	if _, err := w.Describe(t.Context(), 0, "DELETE FROM warehouse.live_0"); !errors.Is(err, abi.Denied) {
		t.Errorf("a DELETE is described: %v", err)
	}
}

func TestMomentsOutOfBounds(t *testing.T) {
	w, f := oneTable(t)
	for at, kind := range map[dbms.LSN]abi.Kind{-1: abi.Invalid, f.lsn + 1: abi.Invalid} {
		_, err := w.Query(t.Context(), at, "FROM t")
		if !errors.Is(err, kind) || !strings.Contains(err.Error()+abi.HintOf(err), fmt.Sprint(f.lsn)) {
			t.Errorf("at %d: %v", at, err)
		}
	}
	for _, sql := range []string{"FROM t_at(1000)", "FROM t_at('yesterday')", "FROM t_at(-1)"} {
		if _, err := tryAsk(t.Context(), w, 0, sql); !errors.Is(err, abi.Invalid) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	last := f.commits[len(f.commits)-1]
	if lsn, err := w.LSNAt(t.Context(), last.Time); err != nil || lsn != last.LSN {
		t.Errorf("the LSN at the last commit is %d, %v", lsn, err)
	}
	if lsn, err := w.LSNAt(t.Context(), last.Time.Add(-time.Microsecond)); err != nil || lsn != f.commits[1].LSN {
		t.Errorf("the LSN before the last commit is %d, %v", lsn, err)
	}
	if _, err := w.LSNAt(t.Context(), f.commits[0].Time.Add(-time.Hour)); !errors.Is(err, abi.Trimmed) {
		t.Errorf("before the first commit: %v", err)
	}
	if _, err := w.LSNAt(t.Context(), time.Now().Add(time.Hour)); !errors.Is(err, abi.Invalid) {
		t.Errorf("in the future: %v", err)
	}
	expect(t, "at a time", ask(t, w, 0, "SELECT name FROM t_at($1) ORDER BY id", f.commits[1].Time.Format(time.RFC3339Nano)), "a", "b")
	if _, err := w.Row(t.Context(), "t", nil, 0); !errors.Is(err, abi.Invalid) {
		t.Errorf("a row of no key: %v", err)
	}
	if err := w.Rows(t.Context(), "u", 0, nil); !errors.Is(err, abi.NotFound) {
		t.Errorf("rows of no table: %v", err)
	}
}

func TestNamesOfAllSorts(t *testing.T) {
	f := newFeed("postgres")
	names := []string{"order", `a.b "c"`, "Table", "table", "SELECT", "über", "x y", "main", "history", "warehouse"}
	for i, name := range names {
		def := define(name, "id|bigint", "dbos_lsn|bigint", "A|text", "a|text", `%s "x".y|text`, "lsn|bigint")
		f.commit(def, put(def, dbms.Insert, int64(i), int64(2), "x", "y", "z", int64(3)))
	}
	w := openAt(t, t.TempDir(), warehouse.Options{Retention: -1})
	spool(t, w, f)
	shown := slices.Clone(names)
	shown[3] = "table_1" // the store does not tell names apart by case
	for i, name := range shown {
		q := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		want := fmt.Sprintf("%d 2 x y z 3", i)
		expect(t, name, ask(t, w, 0, "SELECT * FROM "+q), want)
		macro := `"` + strings.ReplaceAll(name, `"`, `""`) + `_at"`
		expect(t, name, ask(t, w, 0, "SELECT * FROM "+macro+"($1)", int64(f.lsn)), want)
		expect(t, name, ask(t, w, 0, `SELECT id, "dbos_lsn_1", "A", "a_1", "%s ""x"".y", lsn FROM history.`+q), want)
	}
	expect(t, "changes", ask(t, w, 0, `SELECT count(DISTINCT "table") FROM prov.changes`), fmt.Sprint(len(names)))
}
