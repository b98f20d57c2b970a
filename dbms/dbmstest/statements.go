package dbmstest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineStatements is about running statements and reading their rows.
func examineStatements(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.exec("CREATE TABLE t (id bigint PRIMARY KEY NOT NULL, v bigint)")
	d.exec("CREATE TABLE child (id bigint REFERENCES t (id) ON DELETE CASCADE)")
	t.Run("counts", func(t *testing.T) { examineCounts(t, d) })
	t.Run("rows", func(t *testing.T) { examineRows(t, d) })
	t.Run("nested", func(t *testing.T) { examineNestedRows(t, d) })
	t.Run("left open", func(t *testing.T) { examineOpenRows(t, d) })
	t.Run("placeholders", func(t *testing.T) { examinePlaceholders(t, d) })
	t.Run("by engine", func(t *testing.T) { examineTexts(t, d, e) })
	t.Run("after a definition", func(t *testing.T) { examineRedefined(t, d) })
	t.Run("bad", func(t *testing.T) { examineBadStatements(t, d) })
}

// examineCounts: Exec counts the rows of the statement itself.
func examineCounts(t *testing.T, d *database) {
	d.update(func(tx dbms.Tx) error {
		for _, c := range []struct {
			sql  string
			want int64
		}{
			{"INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)", 3},
			{"INSERT INTO child VALUES (1), (1), (2)", 3},
			{"SELECT * FROM t", 0},
			{"UPDATE t SET v = 9 WHERE id > 1", 2},
			{"UPDATE t SET v = 9 WHERE id > 100", 0},
			{"INSERT INTO t VALUES (1, 5), (4, 5) ON CONFLICT DO NOTHING", 1},
			{"INSERT INTO t VALUES (1, 5), (5, 5) ON CONFLICT (id) DO UPDATE SET v = 6", 2},
			{"CREATE TABLE more (v bigint)", 0},
			{"DELETE FROM t WHERE id = 1", 1}, // and two children
			{"SELECT 1", 0},
			{"DELETE FROM t", 4},
			{"DROP TABLE more", 0},
		} {
			n, err := tx.Exec(dbms.SQL(c.sql))
			if err != nil {
				return fmt.Errorf("%s: %w", c.sql, err)
			}
			if n != c.want {
				t.Errorf("%s: %d rows, want %d", c.sql, n, c.want)
			}
		}
		return nil
	})
	d.want(0, "SELECT count(*) FROM child")
}

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
		if rows.Next() || rows.Next() || rows.Err() != nil {
			t.Errorf("Next after the last row, or an error: %v", rows.Err())
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

func examinePlaceholders(t *testing.T, d *database) {
	d.want(21, "SELECT $2 * 10 + $1", 1, 2)
	d.want(33, "SELECT $1 * 10 + $1", 3)
	d.want(12, "SELECT $1 + $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 + $10 + $11 + $12", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
	d.update(func(tx dbms.Tx) error {
		for _, args := range [][]any{{}, {1}, {1, 2, 3}} {
			_, err := tx.Exec(dbms.SQL("SELECT $1, $2"), args...)
			wantKind(t, err, abi.Invalid, fmt.Sprintf("%d arguments for two", len(args)))
			_, err = tx.Query(dbms.SQL("SELECT $1, $2"), args...)
			wantKind(t, err, abi.Invalid, fmt.Sprintf("%d arguments for two", len(args)))
		}
		return nil
	})
}

// examineTexts: a query with a text for this engine runs that one.
func examineTexts(t *testing.T, d *database, e Engine) {
	queries, err := dbms.ParseQueries("-- name: q\nSELECT 1\n-- name: q engine: " + e.Name + "\nSELECT 2\n-- name: q engine: other\nSELECT 3\n")
	if err != nil {
		t.Fatal(err)
	}
	d.view(func(tx dbms.Tx) error {
		return each(tx, queries["q"], func(r dbms.Rows) error {
			var n int
			err := r.Scan(&n)
			if n != 2 {
				t.Errorf("the engine ran variant %d", n)
			}
			return err
		})
	})
	if got := d.Status().Engine; got != e.Name {
		t.Errorf("Status has engine %q, want %q", got, e.Name)
	}
}

// examineRedefined: a query that engines keep prepared follows its tables'
// definitions.
func examineRedefined(t *testing.T, d *database) {
	q := dbms.SQL("SELECT * FROM shape")
	d.exec("CREATE TABLE shape (a bigint)")
	columns := func() (names []string) {
		look := func(tx dbms.Tx) error {
			rows, err := tx.Query(q)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var dest []any
				for range rows.Columns() {
					dest = append(dest, new(any))
				}
				if err := rows.Scan(dest...); err != nil {
					return err
				}
			}
			names = rows.Columns()
			return rows.Err()
		}
		d.view(look)
		inView := names
		d.update(look)
		if !slices.Equal(inView, names) {
			t.Errorf("a view has columns %q, a transaction %q", inView, names)
		}
		return names
	}
	d.exec("INSERT INTO shape VALUES (1)")
	columns()
	d.exec("ALTER TABLE shape ADD COLUMN b bigint")
	if got := columns(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("columns after ADD COLUMN: %q", got)
	}
	d.exec("ALTER TABLE shape DROP COLUMN a")
	if got := columns(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("columns after DROP COLUMN: %q", got)
	}
	d.exec("DROP TABLE shape")
	_, err := d.try("SELECT * FROM shape")
	wantKind(t, err, abi.Invalid, "a table that was dropped")
}

func examineBadStatements(t *testing.T, d *database) {
	for _, sql := range []string{
		"", " ", ";", "-- nothing", "/* nothing */", "SELEKT", "SELECT", "SELECT * FROM nowhere", "SELECT nothing FROM t",
		"SELECT 1; SELECT 2", "SELECT 'open", "SELECT nofunction(1)", "\x00", "SELECT $0", "SELECT :name", "SELECT @name", "SELECT $name",
	} {
		_, err := d.try(sql)
		wantKind(t, err, abi.Invalid, fmt.Sprintf("Exec %q", sql))
		err = d.View(t.Context(), func(tx dbms.Tx) error {
			return each(tx, dbms.SQL(sql), func(dbms.Rows) error { return nil })
		})
		wantKind(t, err, abi.Invalid, fmt.Sprintf("Query %q", sql))
	}
	d.exec("SELECT 1; -- and a comment\n ")
	for _, c := range []struct {
		sql  string
		kind abi.Kind
	}{
		{"INSERT INTO child VALUES (12345)", abi.Conflict},
		{"INSERT INTO t VALUES (NULL, 1)", abi.Invalid},
		{"INSERT INTO t SELECT id, v FROM t", abi.Exists},
	} {
		_, err := d.try(c.sql)
		wantKind(t, err, c.kind, c.sql)
	}
}
