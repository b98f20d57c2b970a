package sched

import (
	"github.com/dbos-go/dbos/dbms"
)

// Register adds a worker that owns its database alone, so that every other
// worker is dead.
func (s *Service) Register(tx dbms.Tx, worker string) error {
	if _, err := tx.Exec(s.q.WorkerExpire, worker, tx.Now()); err != nil {
		return err
	}
	_, err := tx.Exec(s.q.WorkerInsert, worker, tx.Now())
	return err
}

// Recover queues tasks that dead workers left running, at most limit, and
// returns how many. worker is the living one.
func (s *Service) Recover(tx dbms.Tx, worker string, limit int) (int64, error) {
	n, err := tx.Exec(s.q.TaskRecover, worker, limit)
	if n > 0 {
		tx.Notify(Ready)
		tx.Notify(Changed)
	}
	return n, err
}

// Condemn fails the queued tasks whose workers died more than limit times,
// lest they take down one worker after the other for ever.
func (s *Service) Condemn(tx dbms.Tx, limit int, failure string) error {
	_, err := s.ended(tx, s.q.TaskPoisoned, limit, failure, tx.Now())
	return err
}

// Retire gives a worker's tasks back and removes it.
func (s *Service) Retire(tx dbms.Tx, worker string) error {
	if _, err := tx.Exec(s.q.TaskRelease, worker); err != nil {
		return err
	}
	_, err := tx.Exec(s.q.WorkerDelete, worker)
	return err
}
