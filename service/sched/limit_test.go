package sched_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
)

// A queue's limit holds over all workers, however many claim at the same
// time, and does not keep tasks from being executed.
func TestLimitHoldsOverAllWorkers(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, s *sched.Service) {
		const limit, tasks, workers = 3, 90, 4
		update(t, db, func(tx dbms.Tx) error {
			if err := s.PutQueue(tx, "q", limit, 0); err != nil {
				return err
			}
			for i := range tasks {
				if _, err := s.Submit(tx, &sched.Task{ID: fmt.Sprint(i), Name: "job", Queue: "q", Codec: "json", Input: "1"}); err != nil {
					return err
				}
			}
			return nil
		})
		var active, done atomic.Int64
		var all sync.WaitGroup
		for i := range workers {
			if !s.Shared() && i > 0 {
				break // it has one owner
			}
			worker := fmt.Sprint("w", i)
			own, err := sched.New(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			update(t, db, func(tx dbms.Tx) error { return own.Register(tx, worker, time.Hour) })
			all.Go(func() {
				for done.Load() < tasks && !t.Failed() {
					got, _, _, err := own.Take(t.Context(), abi.Call{Procedure: "test"}, worker, []string{"job"}, 5)
					if err != nil {
						t.Error(err)
					}
					if n := active.Add(int64(len(got))); n > limit {
						t.Errorf("%d tasks run at once, at most %d may", n, limit)
					}
					for _, task := range got {
						active.Add(-1)
						done.Add(1)
						err := own.Conclude(t.Context(), abi.Call{Procedure: "test"}, sched.Lease{ID: task.ID, Epoch: task.Epoch},
							sched.Outcome{State: sched.Succeeded, Output: new("1")}, true)
						if err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
	})
}
