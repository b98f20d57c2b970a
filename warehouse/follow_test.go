//go:build cgo

package warehouse_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/dbms/footprint"
	"github.com/dbos-go/dbos/warehouse"
)

// TestDefinitionsAreFollowed changes definitions as the engines record it.
func TestDefinitionsAreFollowed(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		w := openAt(t, t.TempDir(), warehouse.Options{})
		do(t, db, `CREATE TABLE item (id bigint PRIMARY KEY, name text, note text)`)
		first := do(t, db, `INSERT INTO item VALUES (1, 'tea', 'old'), (2, 'salt', 'old')`)
		spool(t, w, db)
		do(t, db, `ALTER TABLE item ADD COLUMN price bigint DEFAULT 7`)
		do(t, db, `ALTER TABLE item RENAME COLUMN name TO title`)
		do(t, db, `ALTER TABLE item DROP COLUMN note`)
		second := do(t, db, `UPDATE item SET price = 8 WHERE id = 2`)
		spool(t, w, db)
		do(t, db, `ALTER TABLE item RENAME TO thing`)
		third := do(t, db, `INSERT INTO thing (id, title) VALUES (3, 'new')`)
		last := do(t, db, `DROP TABLE thing`)
		spool(t, w, db)
		expect(t, "at first", ask(t, w, first, `SELECT * FROM item ORDER BY id`), "1 tea old", "2 salt old")
		expect(t, "then", ask(t, w, second, `SELECT id, title, price FROM item ORDER BY id`), "1 tea 7", "2 salt 8")
		expect(t, "third", ask(t, w, third, `SELECT id, title, price FROM thing ORDER BY id`), "1 tea 7", "2 salt 8", "3 new 7")
		expect(t, "history", ask(t, w, 0, `SELECT id, title, note FROM history.thing WHERE dbos_op = 'insert' ORDER BY id`), "1 tea old", "2 salt old", "3 new <nil>")
		if _, err := tryAsk(t.Context(), w, 0, `FROM thing`); !errors.Is(err, abi.Invalid) {
			t.Errorf("a dropped table can be asked: %v", err)
		}
		if err := w.Rows(t.Context(), "thing", last, nil); !errors.Is(err, abi.NotFound) || abi.HintOf(err) == "" {
			t.Errorf("rows of a dropped table: %v", err)
		}
	})
}

// TestTypeChanges is what only one engine can: a column of another type.
func TestTypeChanges(t *testing.T) {
	f := newFeed("postgres")
	of := define("t", "id|bigint", "v|numeric(10,2)")
	first := f.commit(of, put(of, dbms.Insert, int64(1), "12.50"), put(of, dbms.Insert, int64(2), "NaN"))
	changed := define("t", "id|bigint", "v|text")
	f.commit(changed)
	second := f.commit(put(changed, dbms.Insert, int64(3), "x"))
	w := openAt(t, t.TempDir(), warehouse.Options{Retention: -1})
	spool(t, w, f)
	expect(t, "before", ask(t, w, first, `SELECT id, v FROM t ORDER BY id`), "1 12.50", "2 <nil>")
	expect(t, "after", ask(t, w, second, `SELECT id, v FROM t ORDER BY id`), "1 12.50", "2 NaN", "3 x")
	row, err := w.Row(t.Context(), "t", []dbms.Value{int64(2)}, first)
	if err != nil || row[1] != "NaN" {
		t.Errorf("the row is %v, %v", row, err)
	}
	expect(t, "odd", ask(t, w, first, `SELECT dbos_odd FROM history.t WHERE id = 2`), `{"v":{"text":"NaN"}}`)
}

func TestNewWarehouseOfAnOldDatabase(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		do(t, db, `CREATE TABLE item (id bigint PRIMARY KEY, name text)`, `CREATE TABLE line (text text)`)
		do(t, db, `INSERT INTO item VALUES (1, 'a'), (2, 'b')`, `INSERT INTO line VALUES ('x'), ('x')`)
		if _, err := db.Trim(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		w := openAt(t, t.TempDir(), warehouse.Options{})
		base := spool(t, w, db)
		expect(t, "a snapshot", ask(t, w, 0, `SELECT * FROM item ORDER BY id`), "1 a", "2 b")
		expect(t, "a snapshot", ask(t, w, 0, `SELECT * FROM line`), "x", "x")
		do(t, db, `UPDATE item SET name = 'c' WHERE id = 1`, `DELETE FROM line`)
		spool(t, w, db)
		expect(t, "now", ask(t, w, 0, `SELECT * FROM item ORDER BY id`), "1 c", "2 b")
		expect(t, "now", ask(t, w, 0, `SELECT * FROM line`))
		expect(t, "then", ask(t, w, base, `SELECT i.name FROM item i ORDER BY id`), "a", "b")
		if _, err := w.Query(t.Context(), base-1, `FROM item`); !errors.Is(err, abi.Trimmed) {
			t.Errorf("before the snapshot: %v", err)
		}
		changes, err := w.ChangesOf(t.Context(), base, 0)
		if err != nil || len(changes) != 3 {
			t.Errorf("there are %v, %v", changes, err)
		}
	})
}

func TestGap(t *testing.T) {
	w, f := oneTable(t)
	before := f.lsn
	of := f.tables["t"].def
	f.commit(put(of, dbms.Update, int64(1), "lost"), put(of, dbms.Insert, int64(5), "five"))
	f.commit(define("u", "id|INTEGER"))
	f.commit(put(of, dbms.Update, int64(1), "found"))
	after := f.lsn
	f.trimmed = f.lsn
	spool(t, w, f)
	f.commit(put(of, dbms.Delete, int64(5)))
	spool(t, w, f)
	all := `SELECT id, name FROM t ORDER BY id`
	expect(t, "before the gap", ask(t, w, before, all), "1 c")
	expect(t, "after the gap", ask(t, w, after, all), "1 found", "5 five")
	expect(t, "now", ask(t, w, 0, all), "1 found")
	if _, err := w.Query(t.Context(), before+1, all); !errors.Is(err, abi.Trimmed) {
		t.Errorf("within the gap: %v", err)
	}
	st := w.Status()
	if len(st.Gaps) != 1 || st.Gaps[0].After.LSN != before || st.Gaps[0].Upto.LSN != after {
		t.Errorf("the gaps are %v", st.Gaps)
	}
	if _, err := w.LSNAt(t.Context(), st.Gaps[0].Upto.Time.Add(-time.Microsecond)); !errors.Is(err, abi.Trimmed) {
		t.Errorf("a time within the gap: %v", err)
	}
	if lsn, err := w.LSNAt(t.Context(), st.Gaps[0].Upto.Time); err != nil || lsn != after {
		t.Errorf("the end of the gap is %d, %v", lsn, err)
	}
}

func TestFootprints(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		err := db.Migrate(t.Context(), dbms.Migrations{Owner: "prov", Steps: []dbms.Migration{{Version: 1, Name: "text", SQL: "CREATE TABLE prov_text (id bigint PRIMARY KEY, text text)"}}})
		if err != nil {
			t.Fatal(err)
		}
		sql := "SELECT * FROM item WHERE id = $1"
		print := footprint.Footprint{
			Statements: []footprint.Statement{{Text: footprint.TextID(sql), Args: []dbms.Value{int64(7)}, Rows: 1}},
			Reads:      []footprint.Read{{Table: "wf_event", Key: []dbms.Value{"run", "key"}}, {Table: "sched_task", Key: []dbms.Value{"run"}}},
		}
		lsn, err := db.Update(t.Context(), abi.Call{Procedure: "shop.look", Principal: "user:eve", Execution: "order-1", Step: 2}, func(tx dbms.Tx) error {
			tx.Record(print.Encode())
			_, err := tx.Exec(dbms.System("INSERT INTO prov_text VALUES ($1, $2)"), footprint.TextID(sql), sql)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w := openAt(t, t.TempDir(), warehouse.Options{})
		spool(t, w, db)
		expect(t, "statements", ask(t, w, 0, `SELECT principal, sql, args, rows FROM prov.statements WHERE principal = 'user:eve'`), "user:eve "+sql+" [7] 1")
		expect(t, "reads", ask(t, w, 0, `SELECT "table", key FROM prov.reads WHERE lsn = $1 ORDER BY 1`, int64(lsn)), "sched_task run", `wf_event ["run","key"]`)
		expect(t, "as the engine has it", ask(t, w, 0, `SELECT procedure, execution, step FROM dbos_transaction WHERE lsn = $1`, int64(lsn)), "shop.look order-1 2")
		list, err := w.Commits(t.Context(), warehouse.Filter{Principal: "user:eve"})
		if err != nil || len(list) != 1 || list[0].LSN != lsn || len(list[0].Footprint.Reads) != 2 || list[0].Call.Step != 2 || list[0].Snapshot >= lsn {
			t.Errorf("the commits are %+v, %v", list, err)
		}
	})
}
