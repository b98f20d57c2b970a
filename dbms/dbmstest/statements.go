package dbmstest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineStatements is about running statements.
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
	t.Run("bad", func(t *testing.T) { examineBadStatements(t, d, e) })
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

func examineBadStatements(t *testing.T, d *database, e Engine) {
	for _, sql := range append([]string{
		"", " ", ";", "-- nothing", "/* nothing */", "SELEKT", "SELECT * FROM nowhere", "SELECT nothing FROM t",
		"SELECT 1; SELECT 2", "SELECT 'open", "SELECT nofunction(1)", "\x00", "SELECT $0", "SELECT :name", "SELECT @name", "SELECT $name",
	}, e.Dialect.Malformed...) {
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
