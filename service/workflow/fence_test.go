package workflow_test

import (
	"errors"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// TestFenceOfARestore: when tasks have been put back to a moment, executors from
// before can write nothing, under whatever epoch they held: neither for a
// run that goes on, nor for one that vanished and was started again under its ID.
func TestFenceOfARestore(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, tasks *sched.Service, s *workflow.Service) {
		call := abi.Call{Procedure: "test"}
		start := func(id string) (epoch int) {
			t.Helper()
			task := sched.Task{ID: id, Name: "job", Codec: "json", Input: "1", Worker: new("w")}
			if added, err := tasks.Enter(t.Context(), call, &task); err != nil || !added || task.State != sched.Running {
				t.Fatal(task.State, added, err)
			}
			return task.Epoch
		}
		record := func(id string, epoch int) error {
			return s.RecordAlone(t.Context(), call, id, epoch, &workflow.Step{Seq: 1, Kind: workflow.External, Name: "charge", Output: new("1"), Attempts: 1})
		}
		held := map[string]int{"run": 1, "vanishes": start("vanishes")}
		// What a restore does: the first was running then, the second was not there.
		must(t, update(t, db, func(tx dbms.Tx) error {
			if err := tasks.RaiseGround(tx); err != nil {
				return err
			}
			if _, err := tx.Exec(dbms.System("DELETE FROM sched_task WHERE id = 'vanishes'")); err != nil {
				return err
			}
			n, err := tasks.Requeue(tx)
			if err == nil && n != 1 {
				t.Errorf("%d tasks are queued again, want 1", n)
			}
			return err
		}))
		refused := func(when string) {
			t.Helper()
			for id, epoch := range held {
				if err := record(id, epoch); !errors.Is(err, abi.Fenced) {
					t.Errorf("%s, who held run %q before the restore records a step: %v", when, id, err)
				}
				err := update(t, db, func(tx dbms.Tx) error {
					return s.Record(tx, id, epoch, &workflow.Step{Seq: 2, Kind: workflow.Transaction, Name: "pay", Output: new("1"), Attempts: 1})
				})
				if !errors.Is(err, abi.Fenced) {
					t.Errorf("%s, who held run %q before the restore commits a transaction step: %v", when, id, err)
				}
				err = tasks.Conclude(t.Context(), call, sched.Lease{ID: id, Epoch: epoch}, sched.Outcome{State: sched.Succeeded, Output: new("1")}, false)
				if !errors.Is(err, abi.Fenced) && !errors.Is(err, abi.NotFound) {
					t.Errorf("%s, who held run %q before the restore finishes it: %v", when, id, err)
				}
			}
		}
		refused("after the restore")
		now := map[string]int{"vanishes": start("vanishes")}
		must(t, update(t, db, func(tx dbms.Tx) error {
			claimed, err := tasks.Claim(tx, "w", []string{"job"}, 10)
			if err == nil && (len(claimed) != 1 || claimed[0].ID != "run") {
				t.Fatalf("claimed are %+v", claimed)
			}
			if err == nil {
				now["run"] = claimed[0].Epoch
			}
			return err
		}))
		refused("when both run again")
		for id, epoch := range now {
			if err := record(id, epoch); err != nil || epoch <= held[id] {
				t.Errorf("who holds run %q now, under epoch %d: %v", id, epoch, err)
			}
		}
	})
}
