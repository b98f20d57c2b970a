package sched

import (
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Submit adds a task. A worker in t.Worker makes it that worker's at once,
// under t.Epoch, without a claim; otherwise it is queued. It reports whether
// the task is new: with an ID that exists nothing is changed, and the caller
// compares.
func (s *Service) Submit(tx dbms.Tx, t *Task) (added bool, err error) {
	if err := checkPriority(t); err != nil {
		return false, err
	}
	if t.Queue != "" {
		if known, err := exists(tx, s.q.QueueGet, t.Queue); err != nil {
			return false, err
		} else if !known {
			return false, noQueue(t.Queue)
		}
	}
	t.CreatedAt = tx.Now()
	added, err = s.insert(tx, t)
	if err == nil && !added && t.Worker != nil && s.shared != nil {
		// The task is there, or the worker has lost its lease.
		t.Worker = nil
		added, err = s.insert(tx, t)
	}
	if err != nil || !added {
		return false, err
	}
	if t.State == Queued {
		tx.Notify(Ready)
	}
	tx.Notify(Changed)
	return true, nil
}

func (s *Service) insert(tx dbms.Tx, t *Task) (added bool, err error) {
	t.State, t.Epoch, t.Attempt, t.StartedAt = Queued, 0, 0, nil
	if t.Worker != nil {
		// Where processes share the database the statement adds its ground.
		t.State, t.Epoch, t.Attempt, t.StartedAt = Running, 1+int(s.ground.Load()), 1, &t.CreatedAt
	}
	args := []any{t.ID, t.Name, t.Queue, string(t.State), t.Priority, t.Codec, t.Input,
		t.Parent, t.Principal, t.Version, t.Worker, t.Epoch, t.Attempt, t.CreatedAt, t.StartedAt}
	if s.shared == nil {
		n, err := tx.Exec(s.q.TaskInsert, args...)
		return n > 0, err
	}
	rows, err := tx.Query(s.q.TaskInsert, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if added = rows.Next(); added {
		err = rows.Scan(&t.Epoch)
	}
	if err == nil {
		err = rows.Err()
	}
	return added, err
}

func noQueue(name string) error {
	return abi.Errorf("sched.submit", abi.NotFound, "queue "+name, "there is no such queue").
		WithHint("create it with dbos.NewQueue before the first run is submitted")
}

// MaxPriority is the highest priority; the lowest is its negative.
const MaxPriority = 1 << 53

func checkPriority(t *Task) error {
	if t.Priority > MaxPriority || t.Priority < -MaxPriority {
		return abi.Errorf("sched.submit", abi.Invalid, "priority", "%d is outside ±%d", t.Priority, MaxPriority)
	}
	return nil
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
	tx.Notify(Queues)
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
