//go:build cgo

package warehouse_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/warehouse"
)

// openAt opens a warehouse that is closed when the test ends.
func openAt(t *testing.T, dir string, o warehouse.Options) *warehouse.Warehouse {
	t.Helper()
	o.Threads = 2
	w, err := warehouse.Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// do runs statements as one transaction and returns its LSN.
func do(t *testing.T, db dbms.DB, statements ...string) dbms.LSN {
	t.Helper()
	lsn, err := db.Update(t.Context(), abi.Call{Procedure: "test.do", Principal: "user:ada"}, func(tx dbms.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(dbms.SQL(s)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v: %v", statements, err)
	}
	return lsn
}

func spool(t *testing.T, w *warehouse.Warehouse, db dbms.DB) dbms.LSN {
	t.Helper()
	lsn, err := w.Spool(t.Context(), db, 0)
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

// ask returns the rows of a query, their values joined by a space.
func ask(t *testing.T, w *warehouse.Warehouse, at dbms.LSN, sql string, args ...any) []string {
	t.Helper()
	list, err := tryAsk(t.Context(), w, at, sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return list
}

func tryAsk(ctx context.Context, w *warehouse.Warehouse, at dbms.LSN, sql string, args ...any) ([]string, error) {
	rows, err := w.Query(ctx, at, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []string{}
	for rows.Next() {
		var b strings.Builder
		for i, v := range rows.Values() {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprint(&b, v)
		}
		list = append(list, b.String())
	}
	return list, rows.Err()
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestHistoryIsSQL(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		w := openAt(t, t.TempDir(), warehouse.Options{})
		do(t, db, `CREATE TABLE "order" (id bigint PRIMARY KEY, "Item.name" text, price double precision)`)
		first := do(t, db, `INSERT INTO "order" VALUES (1, 'tea', 2.5), (2, 'salt', 1)`)
		second := do(t, db, `UPDATE "order" SET price = 3 WHERE id = 1`, `DELETE FROM "order" WHERE id = 2`)
		if got := spool(t, w, db); got != second {
			t.Errorf("spooled up to %d, want %d", got, second)
		}
		all := `SELECT id, "Item.name", price FROM "order" ORDER BY id`
		expect(t, "now", ask(t, w, 0, all), "1 tea 3")
		expect(t, "then", ask(t, w, first, all), "1 tea 2.5", "2 salt 1")
		expect(t, "both", ask(t, w, 0, `SELECT a.price, b.price FROM "order" a JOIN "order_at"($1) b USING (id)`, int64(first)), "3 2.5")
		expect(t, "who", ask(t, w, 0, `SELECT c.principal, dbos_op, price, dbos_end_op FROM history."order" h JOIN prov.calls c ON c.lsn = h.dbos_commit
			WHERE id = 2`), "user:ada insert 1 delete")
		expect(t, "times", ask(t, w, 0, `SELECT epoch_us(dbos_time(1234567890123456)), dbos_lsn($1)`, int64(first)), fmt.Sprintf("1234567890123456 %d", first))
		expect(t, "changes", ask(t, w, 0, `SELECT op, key FROM prov.changes WHERE "table" = 'order' ORDER BY change, key`),
			"insert 1", "insert 2", "update 1", "delete 2")
	})
}
