package sched

import (
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Submit adds a task. A worker in t.Worker makes it that worker's at once,
// under epoch 1, without a claim; otherwise it is queued. It reports whether
// the task is new: with an ID that exists nothing is changed, and the caller
// compares.
func (s *Service) Submit(tx dbms.Tx, t *Task) (added bool, err error) {
	if t.Queue != "" {
		if known, err := exists(tx, s.q.QueueGet, t.Queue); err != nil {
			return false, err
		} else if !known {
			return false, abi.Errorf("sched.submit", abi.NotFound, "queue "+t.Queue, "there is no such queue").
				WithHint("create it with dbos.NewQueue before the first run is submitted")
		}
	}
	t.CreatedAt = tx.Now()
	t.State = Queued
	if t.Worker != nil {
		t.State, t.Epoch, t.Attempt = Running, 1, 1
		t.StartedAt = &t.CreatedAt
	}
	n, err := tx.Exec(s.q.TaskInsert, t.ID, t.Name, t.Queue, string(t.State), t.Priority, t.Codec, t.Input,
		t.Parent, t.Principal, t.Version, t.Worker, t.Epoch, t.Attempt, t.CreatedAt, t.StartedAt)
	if err != nil || n == 0 {
		return false, err
	}
	if t.State == Queued {
		tx.Notify(Ready)
	}
	tx.Notify(Changed)
	return true, nil
}

// PutQueue creates a queue or changes its limits; 0 is no limit.
func (s *Service) PutQueue(tx dbms.Tx, name string, concurrency, perWorker int) error {
	if err := abi.CheckName("sched.queue", "queue", name); err != nil {
		return err
	}
	if concurrency < 0 || perWorker < 0 {
		return abi.Errorf("sched.queue", abi.Invalid, "concurrency of queue "+name, "%d is negative", min(concurrency, perWorker)).
			WithHint("pass 0 for no limit")
	}
	_, err := tx.Exec(s.q.QueuePut, name, concurrency, perWorker)
	tx.Notify(Ready)
	return err
}

// exists reports whether a query returns a row.
func exists(tx dbms.Tx, q *dbms.Query, args ...any) (bool, error) {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	return rows.Next(), rows.Err()
}
