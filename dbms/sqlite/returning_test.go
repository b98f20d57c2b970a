package sqlite_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

// A statement with RETURNING has done its work even if nobody reads its rows.
func TestReturningWithoutReading(t *testing.T) {
	db, err := sqlite.Open(t.Context(), t.TempDir(), dbms.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	update := func(fn func(tx dbms.Tx) error) error {
		_, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, fn)
		return err
	}
	if err := update(func(tx dbms.Tx) error {
		if _, err := tx.Exec(dbms.SQL("CREATE TABLE t (id INTEGER PRIMARY KEY)")); err != nil {
			return err
		}
		if _, err := tx.Query(dbms.SQL("INSERT INTO t VALUES (1), (2) RETURNING id")); err != nil {
			return err
		}
		rows, err := tx.Query(dbms.SQL("INSERT INTO t VALUES (3), (4) RETURNING id"))
		if err != nil {
			return err
		}
		var got []int
		for rows.Next() {
			var id int
			if err := rows.Scan(&id); err != nil {
				return err
			}
			got = append(got, id)
		}
		if fmt.Sprint(got) != "[3 4]" {
			return fmt.Errorf("returned %v", got)
		}
		if _, err := tx.Query(dbms.SQL("INSERT INTO t VALUES (1) RETURNING id")); !errors.Is(err, abi.Exists) {
			return fmt.Errorf("a duplicate gave %w", err)
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.View(t.Context(), func(tx dbms.Tx) error {
		rows, err := tx.Query(dbms.SQL("SELECT count(*) FROM t"))
		if err != nil {
			return err
		}
		defer rows.Close()
		var n int
		if !rows.Next() || rows.Scan(&n) != nil || n != 4 {
			return fmt.Errorf("%d rows, want 4", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
