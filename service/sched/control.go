package sched

import (
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Cancel cancels a task and the unfinished tasks it started. Cancelling a
// cancelled task does nothing; any other finished one is an abi.Conflict.
func (s *Service) Cancel(tx dbms.Tx, id, failure string) error {
	if s.shared != nil {
		if _, err := exists(tx, s.q.TaskLock, id); err != nil {
			return err
		}
	}
	t, err := s.Get(tx, id)
	if err != nil {
		return err
	}
	if t.State == Succeeded || t.State == Failed {
		return abi.Errorf("sched.cancel", abi.Conflict, "run "+id, "it has already %s", t.State)
	}
	for {
		ended, err := s.ended(tx, s.q.TaskCancel, id, failure, tx.Now())
		if ended > 0 {
			tx.Notify(Cancelled)
		}
		// A child that was about to be started when its parent was cancelled
		// is seen the next time.
		if err != nil || ended == 0 || s.shared == nil {
			return err
		}
	}
}

// ended runs a query that ends tasks and returns their IDs, and tells who
// waits for them. It returns how many there were.
func (s *Service) ended(tx dbms.Tx, q *dbms.Query, args ...any) (int, error) {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	awaited := map[string]bool{}
	for rows.Next() {
		var id string
		var waits bool
		if err := rows.Scan(&id, &waits); err != nil {
			return 0, err
		}
		awaited[id] = waits
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for id, waits := range awaited {
		if err := s.News(tx, id, waits); err != nil {
			return 0, err
		}
	}
	tx.Notify(Changed)
	return len(awaited), nil
}

// Resume queues a failed or cancelled task again; it continues from its
// journal. Resuming an unfinished task does nothing; a succeeded one is an
// abi.Conflict.
func (s *Service) Resume(tx dbms.Tx, t *Task) error {
	if t.State == Succeeded {
		return abi.Errorf("sched.resume", abi.Conflict, "run "+t.ID, "it has already succeeded").
			WithHint("start a new run")
	}
	n, err := tx.Exec(s.q.TaskResume, t.ID)
	if n > 0 {
		tx.Notify(Ready)
		tx.Notify(Changed)
	}
	return err
}

// Get returns a task, or an error of kind abi.NotFound.
func (s *Service) Get(tx dbms.Tx, id string) (*Task, error) {
	rows, err := tx.Query(s.q.TaskGet, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, err
		}
		return nil, notFound("sched.get", id)
	}
	t := &Task{}
	return t, t.scan(rows)
}
