package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
	"github.com/dbos-go/dbos/dbms/sqlite"
	"github.com/dbos-go/dbos/dbms/transfer"
)

// patient is for transactions that copy much.
var patient = dbms.Options{Timeout: time.Minute}

func openSQLite(t *testing.T) dbms.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), patient)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func openPostgres(t *testing.T) dbms.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), pgtest.Need(t).URL(pgtest.Schema(t)), patient)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// service brings the tables of a service to a database.
func service(t *testing.T, db dbms.DB, integers string) {
	t.Helper()
	err := db.Migrate(t.Context(), dbms.Migrations{Owner: "sched", Steps: []dbms.Migration{{Version: 1, Name: "init", SQL: `
		CREATE TABLE sched_task (id text NOT NULL PRIMARY KEY, state text NOT NULL, n ` + integers + `);
		CREATE TABLE sched_worker (id text NOT NULL PRIMARY KEY);`}}})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, dbms.System(`INSERT INTO sched_worker (id) VALUES ('me')`))
}

// application brings the application's tables to a database, by a script that
// is the database's own.
func application(t *testing.T, db dbms.DB, script string) error {
	t.Helper()
	return db.Migrate(t.Context(), dbms.Migrations{Owner: "app:shop", Application: true,
		Steps: []dbms.Migration{{Version: 1, Name: "shop", SQL: script}}})
}

func exec(t *testing.T, db dbms.DB, q *dbms.Query, args ...any) {
	t.Helper()
	if err := try(t, db, q, args...); err != nil {
		t.Fatal(err)
	}
}

func try(t *testing.T, db dbms.DB, q *dbms.Query, args ...any) error {
	t.Helper()
	_, err := db.Update(t.Context(), abi.Call{Procedure: "test", Principal: "user:test"}, func(tx dbms.Tx) error {
		_, err := tx.Exec(q, args...)
		return err
	})
	return err
}

// all returns the rows of a query as text.
func all(t *testing.T, db dbms.DB, sql string) (list []string) {
	t.Helper()
	err := db.View(t.Context(), func(tx dbms.Tx) error {
		list = nil
		rows, err := tx.Query(dbms.SQL(sql))
		if err != nil {
			return err
		}
		defer rows.Close()
		row, dest := make([]any, len(rows.Columns())), make([]any, len(rows.Columns()))
		for i := range row {
			dest[i] = &row[i]
		}
		for rows.Next() {
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			list = append(list, strings.TrimSuffix(fmt.Sprintln(row...), "\n"))
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return list
}

const sqliteShop = `
	CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, price REAL CHECK (price > 0 AND name <> ')'), -- CHECK (not this)
		stock INT NOT NULL DEFAULT 7, picture BLOB, note, made TEXT DEFAULT CURRENT_TIMESTAMP, half GENERATED ALWAYS AS (stock / 2));
	CREATE TABLE "line of" (item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE, "no" INTEGER, text TEXT, PRIMARY KEY (item, "no")) WITHOUT ROWID;
	CREATE INDEX item_stock ON item (stock DESC) WHERE stock > 0;
	CREATE INDEX item_name ON item (name COLLATE NOCASE);
	CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree (id));
	CREATE TABLE log (line TEXT);
	CREATE VIEW cheap AS SELECT * FROM item WHERE price < 1;
	CREATE TRIGGER quiet AFTER INSERT ON log BEGIN SELECT 1; END;`

// filledSQLite is a system with all sorts of rows.
func filledSQLite(t *testing.T) dbms.DB {
	t.Helper()
	db := openSQLite(t)
	service(t, db, "INTEGER")
	if err := application(t, db, sqliteShop); err != nil {
		t.Fatal(err)
	}
	exec(t, db, dbms.System(`INSERT INTO sched_task VALUES ('a', 'queued', 1), ('B', 'done', NULL), ('ä', '', -9223372036854775808)`))
	exec(t, db, dbms.SQL(
		`INSERT INTO item (id, name, price, stock, picture, note) VALUES (1, 'hat', 1.5, 3, x'00ff', 4), (9, 'it''s', $1, -3, NULL, 5), (12, 'gone', 1, 1, x'', NULL)`), math.MaxFloat64)
	exec(t, db, dbms.SQL(`DELETE FROM item WHERE id = 12`))
	exec(t, db, dbms.SQL(`INSERT INTO "line of" VALUES (1, 2, 'two'), (1, 1, ''), (9, 0, NULL)`))
	exec(t, db, dbms.SQL(`INSERT INTO tree VALUES (2, NULL), (1, 2), (3, 3)`))
	exec(t, db, dbms.SQL(`WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 12345) INSERT INTO log SELECT 'line ' || (n % 100) FROM c`))
	return db
}

func TestSQLiteToPostgres(t *testing.T) {
	from, to := filledSQLite(t), openPostgres(t)
	service(t, to, "bigint")
	exec(t, to, dbms.System(`DELETE FROM sched_worker`))
	dry, err := transfer.Copy(t.Context(), from, to, transfer.Options{DryRun: true, Principal: "user:test"})
	if err != nil {
		t.Fatal(err)
	}
	if found := all(t, to, `SELECT count(*) FROM sched_task`); found[0] != "0" {
		t.Errorf("the dry run has written %s rows", found[0])
	}
	phases := map[string]bool{}
	report, err := transfer.Copy(t.Context(), from, to, transfer.Options{Principal: "user:test",
		Progress: func(p transfer.Progress) { phases[p.Phase] = true }})
	if err != nil {
		t.Fatal(err)
	}
	if len(phases) != 3 {
		t.Errorf("the progress told of %v", phases)
	}
	if len(dry.Tables) != len(report.Tables) || !slices.Equal(report.Owners, []string{"app:shop"}) {
		t.Errorf("%+v and %+v", dry, report)
	}
	for i, table := range report.Tables {
		if table.Source != table.Target || table.Source != dry.Tables[i].Source || table.Created == (table.Name == "sched_task") {
			t.Errorf("%+v", table)
		}
	}
	if want := []string{"trigger quiet", "view cheap", "index item_name"}; !slices.Equal(report.Left, want) {
		t.Errorf("not carried over: %q, want %q", report.Left, want)
	}
	checkPostgresShop(t, to)
	if err := application(t, to, "another text of the same step"); err != nil {
		t.Errorf("the application's migration: %v", err)
	}
	_, err = transfer.Copy(t.Context(), from, to, transfer.Options{Principal: "user:test"})
	if !errors.Is(err, abi.Exists) || abi.HintOf(err) == "" {
		t.Errorf("a second copy: %v", err)
	}

	back := openSQLite(t)
	service(t, back, "INTEGER")
	exec(t, back, dbms.System(`DELETE FROM sched_worker`))
	if _, err := transfer.Copy(t.Context(), to, back, transfer.Options{Principal: "user:test"}); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`SELECT * FROM sched_task ORDER BY id`, `SELECT id, name, price, stock, picture, note FROM item ORDER BY id`, `SELECT * FROM "line of" ORDER BY item, "no"`,
		`SELECT line, count(*) FROM log GROUP BY line ORDER BY line`, `SELECT * FROM tree ORDER BY id`,
	} {
		if diff := cmp.Diff(all(t, from, sql), all(t, back, sql)); diff != "" {
			t.Errorf("%s, there and back again: %s", sql, diff)
		}
	}
	checkNumbers(t, back)
}

// checkPostgresShop looks at the tables that were made.
func checkPostgresShop(t *testing.T, db dbms.DB) {
	t.Helper()
	if found := all(t, db, `SELECT id, price, picture FROM item ORDER BY id`); len(found) != 2 || !strings.HasPrefix(found[0], "1 1.5 [0 255]") {
		t.Errorf("items %q", found)
	}
	if found := all(t, db, `SELECT id FROM sched_task ORDER BY id COLLATE "C"`); !slices.Equal(found, []string{"B", "a", "ä"}) {
		t.Errorf("tasks %q", found)
	}
	if found := all(t, db, `SELECT indexname FROM pg_indexes WHERE tablename = 'item' AND indexname = 'item_stock'`); len(found) != 1 {
		t.Errorf("the index is missing")
	}
	for what, sql := range map[string]string{
		"a check": `INSERT INTO item (name, price) VALUES ('free', 0)`, "a unique column": `INSERT INTO item (name) VALUES ('hat')`,
		"a column that is not null": `INSERT INTO item (stock) VALUES (1)`, "a reference": `INSERT INTO "line of" VALUES (77, 1)`,
	} {
		if err := try(t, db, dbms.SQL(sql)); err == nil {
			t.Errorf("%s was not carried over", what)
		}
	}
	checkNumbers(t, db)
	exec(t, db, dbms.SQL(`DELETE FROM item WHERE name = 'new'`))
}

// checkNumbers looks whether automatic keys continue after the largest one
// that ever was, and defaults are in place.
func checkNumbers(t *testing.T, db dbms.DB) {
	t.Helper()
	exec(t, db, dbms.SQL(`INSERT INTO item (name) VALUES ('new')`))
	if found := all(t, db, `SELECT id > 12, stock, made IS NOT NULL FROM item WHERE name = 'new'`); !slices.Equal(found, []string{"1 7 1"}) {
		t.Errorf("a new item: number above 12, stock, made: %q", found)
	}
}

func TestMisfitsAreReportedFirst(t *testing.T) {
	from, to := openSQLite(t), openPostgres(t)
	service(t, from, "INTEGER")
	service(t, to, "bigint")
	exec(t, to, dbms.System(`DELETE FROM sched_worker`))
	err := application(t, from, `
		CREATE TABLE item (name TEXT PRIMARY KEY, stock INTEGER, price REAL, picture BLOB, code VARCHAR(5), kind INTEGER NOT NULL DEFAULT 0);
		INSERT INTO item VALUES ('ok', 1, 1, x'00', 'c', 0), ('a', 'many', 1, NULL, 'c', 0), ('b', 1.5, 1, NULL, 'c', 0), ('c', 1, 'cheap', NULL, 'c', 0),
			('d', 1, 1, 'text', 'c', 0), ('e', 1, 1, NULL, x'80', 0), ('f' || char(0), 1, 1, NULL, 'c', 0), (CAST(x'ff' AS TEXT), 1, 1, NULL, 'c', 0), ('g', x'', 1, NULL, 'c', 0);`)
	if err != nil {
		t.Fatal(err)
	}
	report, err := transfer.Copy(t.Context(), from, to, transfer.Options{Principal: "user:test"})
	if !errors.Is(err, abi.Invalid) || !strings.Contains(err.Error(), `table item, column stock, row with name "a": "many" is no integer (bigint)`) {
		t.Errorf("got %v", err)
	}
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.Column+" of "+f.Row)
	}
	want := []string{`stock of name "a"`, `stock of name "b"`, `price of name "c"`, `picture of name "d"`, `code of name "e"`,
		`name of name "f\x00"`, `name of name "\xff"`, `stock of name "g"`}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("findings: %s", diff)
	}
	if found := all(t, to, `SELECT count(*) FROM pg_tables WHERE tablename = 'item' AND schemaname = current_schema()`); found[0] != "0" {
		t.Error("something was written")
	}
}

// TestIntoTheApplicationsOwnTables copies into tables that the application's
// migrations have made for the engine, with types of their own.
func TestIntoTheApplicationsOwnTables(t *testing.T) {
	from, to := openSQLite(t), openPostgres(t)
	service(t, from, "INTEGER")
	service(t, to, "bigint")
	exec(t, to, dbms.System(`DELETE FROM sched_worker`))
	err := application(t, from, `
		CREATE TABLE parent (id INTEGER PRIMARY KEY, yes INTEGER, at INTEGER, amount TEXT, doc TEXT, tiny INTEGER, uid TEXT, x REAL);
		CREATE TABLE aa_child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id));
		INSERT INTO parent VALUES (5, 1, 1700000000123456, '12.50', '{"b": [1, 2.0], "a": "<"}', -7, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 2.5), (6, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
		INSERT INTO aa_child VALUES (1, 5);`)
	if err != nil {
		t.Fatal(err)
	}
	err = application(t, to, `
		CREATE TABLE parent (x float8, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, yes boolean, at timestamptz, amount numeric(10, 2), doc jsonb,
			tiny smallint, uid uuid, more text DEFAULT 'none');
		CREATE TABLE aa_child (id bigserial PRIMARY KEY, parent bigint REFERENCES parent (id));`)
	if err != nil {
		t.Fatal(err)
	}
	report, err := transfer.Copy(t.Context(), from, to, transfer.Options{Principal: "user:test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range report.Tables {
		if table.Created || table.Source != table.Target {
			t.Errorf("%+v", table)
		}
	}
	if found := all(t, to, `SELECT yes, at, amount::text, doc ->> 'a', tiny, uid::text, more FROM parent WHERE id = 5`); !slices.Equal(found,
		[]string{"1 1700000000123456 12.50 < -7 a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 none"}) {
		t.Errorf("the row is %q", found)
	}
	exec(t, to, dbms.SQL(`INSERT INTO parent (tiny) VALUES (1)`))
	exec(t, to, dbms.SQL(`INSERT INTO aa_child (parent) VALUES (7)`))

	exec(t, to, dbms.SQL(`DELETE FROM aa_child`))
	exec(t, to, dbms.SQL(`DELETE FROM parent`))
	exec(t, from, dbms.SQL(`UPDATE parent SET tiny = 40000, yes = 2, doc = 'no' WHERE id = 5`))
	report, err = transfer.Copy(t.Context(), from, to, transfer.Options{Principal: "user:test"})
	if !errors.Is(err, abi.Invalid) || len(report.Findings) != 3 {
		t.Errorf("%v, %+v", err, report.Findings)
	}
	exec(t, to, dbms.SQL(`ALTER TABLE parent DROP COLUMN x`))
	if _, err := transfer.Copy(t.Context(), from, to, transfer.Options{Principal: "user:test"}); !errors.Is(err, abi.Conflict) {
		t.Errorf("a missing column: %v", err)
	}
}

func TestCopyStops(t *testing.T) {
	from, to := filledSQLite(t), openSQLite(t)
	service(t, to, "INTEGER")
	exec(t, to, dbms.System(`DELETE FROM sched_worker`))
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	_, err := transfer.Copy(ctx, from, to, transfer.Options{Principal: "user:test", Progress: func(p transfer.Progress) {
		if p.Phase == "copy" {
			cancel(enough)
		}
	}})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if found := all(t, to, `SELECT name FROM sqlite_schema WHERE name IN ('item', 'log')`); len(found) != 0 {
		t.Errorf("it has left %q", found)
	}
	if _, err := transfer.Copy(t.Context(), from, to, transfer.Options{Principal: "user:test"}); err != nil {
		t.Errorf("again: %v", err)
	}
}
