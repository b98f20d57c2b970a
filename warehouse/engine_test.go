//go:build cgo

package warehouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/warehouse"
)

// engineColumns are columns of all sorts, and what may be put into them.
var engineColumns = map[string]map[string][]any{
	"sqlite": {
		"i INTEGER": {int64(math.MaxInt64), int64(-1), "not a number", 1.5, []byte{0, 255}}, "r REAL": {1.0, -0.1, int64(3), "x", math.Inf(1)},
		"t TEXT": {"a", "", "ä€", int64(5), 2.5, []byte("blob")}, "b BLOB": {[]byte{}, []byte{1, 2}, "text", int64(7), 1.5}, "n NUMERIC": {int64(1), 1.5, "2.50", "x", int64(1<<53 + 1)},
		"d DATETIME": {"2026-11-21 10:00:00", int64(1700000000)}, "u": {int64(1), "x", 2.5, []byte{3}}, "p DECIMAL(10,2)": {int64(1), 2.25, "3.10"}, "l BOOLEAN": {int64(0), int64(1), true},
	},
	"postgres": {
		"i bigint": {int64(math.MaxInt64), int64(-1)}, "s smallint": {int64(-5)}, "r double precision": {1.0, -0.1, math.Inf(1), math.Copysign(0, -1)}, "f real": {0.1, 3.5},
		"t text": {"a", "", "ä€"}, "b bytea": {[]byte{}, []byte{0, 255}}, "n numeric": {"1.50", "12345678901234567890.123", "7", "NaN"}, "p numeric(10,2)": {"1.5", "-0.05", "3"},
		"w numeric(30)": {"123456789012345678901234567890", "5"}, "l boolean": {true, false}, "z timestamptz": {time.Date(2026, 11, 21, 10, 0, 0, 123456000, time.UTC)}, "j jsonb": {`{"a":[1,2]}`, `"x"`},
		"o timestamp": {"2026-11-21 10:00:00.5", "infinity", "0044-03-15 12:00:00 BC"}, "d date": {"2026-11-21", "-infinity"}, "a text[]": {`{a,"b c"}`}, "g uuid": {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"},
	},
}

// TestValuesOfEngines compares what is in a table at each moment with what the engine said
// at that moment.
func TestValuesOfEngines(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		columns := engineColumns[db.Status().Engine]
		var list, names []string
		for c := range columns {
			list, names = append(list, c), append(names, strings.Fields(c)[0])
		}
		do(t, db, "CREATE TABLE v (id bigint PRIMARY KEY, "+strings.Join(list, ", ")+")")
		w := openAt(t, t.TempDir(), warehouse.Options{})
		moments := map[dbms.LSN]map[string][]dbms.Value{}
		random := rand.New(rand.NewPCG(3, 5))
		for n := range 60 {
			key := int64(random.IntN(12))
			lsn, err := db.Update(t.Context(), abi.Call{Procedure: "test.put"}, func(tx dbms.Tx) error {
				if _, err := tx.Exec(dbms.SQL("DELETE FROM v WHERE id = $1"), key); err != nil || n%5 == 4 {
					return err
				}
				args := []any{key}
				marks := "$1"
				for i, c := range list {
					var arg any
					if choices := columns[c]; random.IntN(5) > 0 {
						arg = choices[random.IntN(len(choices))]
					}
					args = append(args, arg)
					marks += fmt.Sprintf(", $%d", i+2)
				}
				_, err := tx.Exec(dbms.SQL("INSERT INTO v (id, "+strings.Join(names, ", ")+") VALUES ("+marks+")"), args...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			moments[lsn] = engineRows(t, db, "SELECT id, "+strings.Join(names, ", ")+" FROM v")
			if n%7 == 0 {
				spool(t, w, db)
			}
		}
		spool(t, w, db)
		for lsn, want := range moments {
			got := 0
			err := w.Rows(t.Context(), "v", lsn, func(key, row []dbms.Value) error {
				got++
				if !same(row, want[id(key)]) {
					t.Errorf("at %d row %v is\n%#v, want\n%#v", lsn, key, row, want[id(key)])
				}
				return nil
			})
			if err != nil || got != len(want) {
				t.Fatalf("at %d there are %d rows, %v, want %d", lsn, got, err, len(want))
			}
		}
	})
}

// engineRows are the rows that the engine gives, by the first column.
func engineRows(t *testing.T, db dbms.DB, sql string) map[string][]dbms.Value {
	list := map[string][]dbms.Value{}
	err := db.View(t.Context(), func(tx dbms.Tx) error {
		rows, err := tx.Query(dbms.SQL(sql))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			row := make([]dbms.Value, len(rows.Columns()))
			dest := make([]any, len(row))
			for i := range row {
				dest[i] = (*any)(&row[i])
			}
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			list[id(row[:1])] = row
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
