package dbmstest

import (
	"errors"
	"slices"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineRows is about reading the result of a query.
func examineRows(t *testing.T, d *database) {
	d.exec("DELETE FROM t")
	d.exec("INSERT INTO t VALUES (1, 10), (2, 20), (3, NULL)")
	d.update(func(tx dbms.Tx) error {
		rows, err := tx.Query(dbms.SQL("SELECT id, v AS value FROM t ORDER BY id"))
		if err != nil {
			return err
		}
		if got := rows.Columns(); !slices.Equal(got, []string{"id", "value"}) {
			t.Errorf("columns %q", got)
		}
		var id, v int64
		wantKind(t, rows.Scan(&id, &v), abi.Invalid, "Scan before Next")
		if !rows.Next() {
			t.Fatalf("no first row: %v", rows.Err())
		}
		wantKind(t, rows.Scan(&id), abi.Invalid, "Scan into too few")
		wantKind(t, rows.Scan(&id, &v, &v), abi.Invalid, "Scan into too many")
		var text string
		wantKind(t, rows.Scan(&id, &text), abi.Invalid, "Scan of an integer into a string")
		for range 2 {
			if err := rows.Scan(&id, &v); err != nil || id != 1 || v != 10 {
				t.Errorf("Scan: %d, %d, error %v", id, v, err)
			}
		}
		rows.Next()
		rows.Next()
		wantKind(t, rows.Scan(&id, &v), abi.Invalid, "Scan of NULL into an int64")
		var maybe *int64
		if err := rows.Scan(&id, &maybe); err != nil || id != 3 || maybe != nil {
			t.Errorf("Scan of NULL: %d, %v, error %v", id, maybe, err)
		}
		for range 2 {
			if rows.Next() || rows.Err() != nil {
				t.Errorf("Next after the last row, or an error: %v", rows.Err())
			}
		}
		wantKind(t, rows.Scan(&id, &maybe), abi.Invalid, "Scan after the last row")
		if err := rows.Close(); err != nil || rows.Close() != nil {
			t.Errorf("close: %v", err)
		}
		return returning(t, tx)
	})
	d.want(4, "SELECT count(*) FROM t")
}

// returning: a query that writes has done its work when Query returns, whether
// or not anybody reads its rows.
func returning(t *testing.T, tx dbms.Tx) error {
	var ids []int64
	err := each(tx, dbms.SQL("INSERT INTO t VALUES (7, 70), (8, 80) RETURNING id"), func(r dbms.Rows) error {
		var id int64
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if !slices.Equal(ids, []int64{7, 8}) {
		t.Errorf("RETURNING gives %d, want 7 and 8", ids)
	}
	if err != nil {
		return err
	}
	for i, read := range []func(dbms.Rows){
		func(r dbms.Rows) { r.Close() },
		func(r dbms.Rows) { r.Next(); r.Close() },
		func(dbms.Rows) {}, // left open
	} {
		rows, err := tx.Query(dbms.SQL("UPDATE t SET v = $1 WHERE id >= 7 RETURNING id"), i)
		if err != nil {
			return err
		}
		read(rows)
		if n, err := integer(tx, "SELECT count(*) FROM t WHERE id >= 7 AND v = $1", i); err != nil || n != 2 {
			t.Errorf("way %d of not reading the rows: %d of 2 are updated, error %v", i, n, err)
		}
	}
	_, err = tx.Query(dbms.SQL("INSERT INTO t VALUES (9, 9), (7, 7) RETURNING id"))
	wantKind(t, err, abi.Exists, "Query of an insert that fails")
	return run("DELETE FROM t WHERE id = 8")(tx)
}

// examineNestedRows: rows of the same query, inside its own rows, are their
// own.
func examineNestedRows(t *testing.T, d *database) {
	for _, q := range []*dbms.Query{
		dbms.SQL("SELECT id FROM t WHERE id >= $1 ORDER BY id LIMIT 3"), dbms.System("SELECT id FROM t WHERE id >= $1 ORDER BY id LIMIT 3"), bound(t),
	} {
		for range 2 {
			pairs := 0
			d.update(func(tx dbms.Tx) error {
				pairs = 0
				return each(tx, q, func(outer dbms.Rows) error {
					var a, b, again int64
					if err := outer.Scan(&a); err != nil {
						return err
					}
					return each(tx, q, func(inner dbms.Rows) error {
						pairs++
						if err := errors.Join(inner.Scan(&b), outer.Scan(&again)); err != nil {
							return err
						}
						if b < a || again != a {
							t.Errorf("the inner rows, from %d on, have %d; the outer row became %d", a, b, again)
						}
						return nil
					}, a)
				}, 1)
			})
			if pairs != 3+3+2 { // of 1, 2, 3 and 7
				t.Errorf("%q inside itself gives %d pairs, want 8", q.Name, pairs)
			}
		}
	}
}

// bound is a service's query.
func bound(t *testing.T) *dbms.Query {
	var queries struct{ From *dbms.Query }
	source := "-- name: from\nSELECT id FROM t WHERE id >= $1 ORDER BY id LIMIT 3;\n"
	if err := dbms.Bind(&queries, source); err != nil {
		t.Fatal(err)
	}
	return queries.From
}

// examineOpenRows: rows that a function leaves open are closed with its
// transaction, and hold up neither the commit nor anybody else.
func examineOpenRows(t *testing.T, d *database) {
	var rows dbms.Rows
	var late dbms.Tx
	fn := func(tx dbms.Tx) error {
		late = tx
		var err error
		if rows, err = tx.Query(dbms.SQL("SELECT id FROM t")); err != nil {
			return err
		}
		rows.Next()
		if _, err := tx.Exec(dbms.SQL("UPDATE t SET v = 1")); err != nil {
			return err
		}
		_, err = tx.Query(dbms.SQL("SELECT v FROM t"))
		return err
	}
	check := func(what string) {
		var id int64
		if rows.Next() || rows.Err() == nil {
			t.Errorf("%s: rows go on after its end", what)
		}
		if rows.Scan(&id) == nil {
			t.Errorf("%s: Scan works after its end", what)
		}
		rows.Close()
		_, err := late.Exec(dbms.SQL("UPDATE t SET v = 99"))
		wantKind(t, err, abi.Closed, what+", Exec after its end")
		_, err = late.Query(dbms.SQL("SELECT v FROM t"))
		wantKind(t, err, abi.Closed, what+", Query after its end")
	}
	d.update(fn)
	check("transaction")
	d.view(func(tx dbms.Tx) error {
		late = tx
		var err error
		rows, err = tx.Query(dbms.SQL("SELECT id FROM t"))
		return err
	})
	check("view")
	d.exec("ALTER TABLE t ADD COLUMN w bigint")
	d.exec("ALTER TABLE t DROP COLUMN w")
	d.want(4, "SELECT sum(v) FROM t")
}
