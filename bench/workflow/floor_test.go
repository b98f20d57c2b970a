package main

import (
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/bare"
	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
)

// written counts what a workflow leaves behind, by table.
const written = `SELECT (SELECT count(*) FROM sched_task WHERE state = 'succeeded' AND output IS NOT NULL AND finished_at IS NOT NULL),
	(SELECT count(*) FROM wf_step WHERE output IS NOT NULL), (SELECT count(*) FROM item)`

// TestFloorWritesWhatWorkflowsWrite keeps the comparison fair: when the
// workflows come to write other rows, the floor must follow.
func TestFloorWritesWhatWorkflowsWrite(t *testing.T) {
	for _, l := range []load{
		{name: "no step"}, {name: "3 steps", steps: 3}, {name: "2 transactions", steps: 2, transaction: true},
	} {
		t.Run(l.name, func(t *testing.T) {
			l.Comparison, l.callers, l.durability = &measure.Comparison{Dir: t.TempDir()}, 2, dbms.Async
			if workflows, floor := workflowRows(t, l), floorRows(t, l); workflows != floor {
				t.Errorf("tasks, journal entries and items: the workflows wrote %v, the floor %v", workflows, floor)
			}
		})
	}
}

func workflowRows(t *testing.T, l load) (rows [3]int64) {
	t.Helper()
	sys, err := l.open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	workflow := l.define(sys)
	for caller := range l.callers {
		run, err := workflow.Start(t.Context(), caller)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Result(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	err = sys.View(t.Context(), func(tx *dbos.Tx) error {
		return tx.QueryRow(written).Scan(&rows[0], &rows[1], &rows[2])
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func floorRows(t *testing.T, l load) (rows [3]int64) {
	t.Helper()
	schema, err := l.schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	db, err := bare.Open(t.TempDir(), l.durability, schema)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := writes{load: l, db: db}
	if err := w.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := w.all(); err != nil {
		t.Fatal(err)
	}
	count, err := db.Prepare(written)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := count.Step(); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		rows[i] = count.ColumnInt64(i)
	}
	if err := count.Reset(); err != nil {
		t.Fatal(err)
	}
	return rows
}
