package main

import (
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/bench/internal/bare"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

// content reads what the workload leaves behind.
var content = map[string]string{
	"empty":   `SELECT count(*) FROM item`,
	"insert":  `SELECT group_concat(owner || ':' || n || ':' || note, ' ' ORDER BY id) FROM item`,
	"message": `SELECT count(*) FROM message`,
}

// TestSidesDoTheSame keeps the comparison fair: the procedure for the engine
// and the one for bare SQLite leave the same rows.
func TestSidesDoTheSame(t *testing.T) {
	for _, w := range workloads() {
		t.Run(w.name, func(t *testing.T) {
			engine, floor := engineContent(t, w), floorContent(t, w)
			if engine != floor {
				t.Errorf("the engine left %q, bare SQLite %q", engine, floor)
			}
		})
	}
}

const procedures = 3

func engineContent(t *testing.T, w workload) (text string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), dbms.Options{Durability: dbms.Async})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrate(t.Context(), db, w); err != nil {
		t.Fatal(err)
	}
	call := abi.Call{Procedure: "bench." + w.name}
	for n := range int64(procedures) {
		if _, err := db.Update(t.Context(), call, func(tx dbms.Tx) error { return w.engine(tx, 7, n) }); err != nil {
			t.Fatal(err)
		}
	}
	err = db.View(t.Context(), func(tx dbms.Tx) error {
		rows, err := tx.Query(dbms.SQL("SELECT CAST((" + content[w.name] + ") AS TEXT)"))
		if err != nil {
			return err
		}
		defer rows.Close()
		rows.Next()
		return rows.Scan(&text)
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func floorContent(t *testing.T, w workload) string {
	t.Helper()
	db, err := bare.Open(t.TempDir(), dbms.Async, w.schema)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	procedure, err := w.prepare(db)
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(procedures) {
		if err := db.Group(1, true, func(int) error { return procedure(7, n) }); err != nil {
			t.Fatal(err)
		}
	}
	read, err := db.Prepare(content[w.name])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read.Step(); err != nil {
		t.Fatal(err)
	}
	text := read.ColumnText(0)
	if err := read.Reset(); err != nil {
		t.Fatal(err)
	}
	return text
}
