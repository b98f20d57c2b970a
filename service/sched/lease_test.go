package sched_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
)

// A worker that is late may extend its lease until a steady worker declares it
// dead. Then its tasks are others', and it can have no new ones.
func TestLeases(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, s *sched.Service) {
		if !s.Shared() {
			t.Skip("the owner of the database needs no lease")
		}
		set := func(text string) {
			t.Helper()
			update(t, db, func(tx dbms.Tx) error {
				_, err := tx.Exec(dbms.System("UPDATE sched_worker SET " + text))
				return err
			})
		}
		beat := func(worker string) sched.Pulse {
			t.Helper()
			p, err := s.Beat(t.Context(), abi.Call{Procedure: "test"}, sched.Heartbeat{Worker: worker, Lease: time.Hour, Limit: 10, Recoveries: 5})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		enter := func(id string) *sched.Task {
			t.Helper()
			task := &sched.Task{ID: id, Name: "job", Codec: "json", Input: "1", Worker: new("b")}
			added, err := s.Enter(t.Context(), abi.Call{Procedure: "test"}, task)
			if err != nil || !added {
				t.Fatalf("task %s: %v, %v", id, added, err)
			}
			return task
		}
		update(t, db, func(tx dbms.Tx) error {
			return errors.Join(s.Register(tx, "a", time.Hour), s.Register(tx, "b", time.Hour))
		})
		if task := enter("first"); task.State != sched.Running {
			t.Fatalf("a worker with a lease got %+v", task)
		}
		wantHeld(t, db, s, "first", true)

		set("lease_until = 1 WHERE id = 'b'") // long ago
		wantHeld(t, db, s, "first", false)
		if p := beat("a"); len(p.Buried) > 0 || !p.Alive {
			t.Fatalf("a worker that has just come declared another dead: %+v", p)
		}
		if p := beat("b"); !p.Alive {
			t.Fatalf("a worker that is late, and not declared dead, cannot extend its lease: %+v", p)
		}
		wantHeld(t, db, s, "first", true)

		set("lease_until = 1 WHERE id = 'b'")
		set("steady_since = 0 WHERE id = 'a'")
		if p := beat("a"); !slices.Equal(p.Buried, []string{"b"}) || p.Recovered != 1 {
			t.Fatalf("the steady worker's pulse is %+v", p)
		}
		if p := beat("b"); p.Alive {
			t.Fatal("a dead worker extended its lease")
		}
		if task := enter("second"); task.State != sched.Queued || task.Worker != nil {
			t.Fatalf("a dead worker got %+v", task)
		}
		tasks, _, _, err := s.Take(t.Context(), abi.Call{Procedure: "test"}, "b", []string{"job"}, 10)
		if err != nil || len(tasks) > 0 {
			t.Fatalf("a dead worker claimed %+v, %v", tasks, err)
		}
		tasks, _, _, err = s.Take(t.Context(), abi.Call{Procedure: "test"}, "a", []string{"job"}, 10)
		if err != nil || len(tasks) != 2 || tasks[0].ID != "first" || tasks[0].Epoch != 2 || tasks[0].Recoveries != 1 {
			t.Fatalf("the living worker claimed %+v, %v", tasks, err)
		}
		err = s.Conclude(t.Context(), abi.Call{Procedure: "test"}, sched.Lease{ID: "first", Epoch: 1}, sched.Outcome{State: sched.Succeeded, Output: new("1")}, false)
		if !errors.Is(err, abi.Fenced) {
			t.Fatalf("a dead worker finished a task: %v", err)
		}
	})
}

// wantHeld checks whether a task is shown as held, alone and in lists.
func wantHeld(t *testing.T, db dbms.DB, s *sched.Service, id string, want bool) {
	t.Helper()
	err := db.View(t.Context(), func(tx dbms.Tx) error {
		task, err := s.Get(tx, id)
		if err != nil {
			return err
		}
		found := []sched.Task{*task}
		for _, live := range []bool{false, true} {
			list, err := s.List(tx, sched.Filter{Live: live})
			if err != nil {
				return err
			}
			found = append(found, list...)
		}
		for _, task := range found {
			if task.Held == nil || *task.Held != want {
				return fmt.Errorf("task %+v is shown as held: %v; want %v", task, task.Held, want)
			}
		}
		if len(found) != 3 {
			return fmt.Errorf("%d rows", len(found))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
