package bare

import (
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

func TestGroup(t *testing.T) {
	db, err := Open(t.TempDir(), dbms.Sync, "CREATE TABLE item (n INTEGER)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	insert, err := db.Prepare("INSERT INTO item VALUES (?)")
	if err != nil {
		t.Fatal(err)
	}
	for _, calls := range []bool{true, false} {
		err := db.Group(wide+3, calls, func(i int) error {
			insert.BindInt64(1, int64(i))
			return Run(insert)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for table, want := range map[string]int64{"item": 2 * (wide + 3), "dbos_transaction": wide + 3} {
		if got := count(t, db, table); got != want {
			t.Errorf("%s has %d rows, want %d", table, got, want)
		}
	}
}

func count(t *testing.T, db *DB, table string) int64 {
	t.Helper()
	stmt, err := db.Prepare("SELECT count(*) FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stmt.Step(); err != nil {
		t.Fatal(err)
	}
	n := stmt.ColumnInt64(0)
	if err := stmt.Reset(); err != nil {
		t.Fatal(err)
	}
	return n
}
