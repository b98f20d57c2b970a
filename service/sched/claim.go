package sched

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// Claim gives the worker queued tasks of the named workflows, at most limit:
// first tasks of no queue, then queue by queue within the queues' limits, in
// each by priority and then in order of arrival.
func (s *Service) Claim(tx dbms.Tx, worker string, names []string, limit int) ([]Task, error) {
	if s.shared != nil {
		tasks, _, err := s.claimShared(tx, worker, names, limit, true)
		return tasks, err
	}
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	queues, err := s.queues(tx)
	if err != nil {
		return nil, err
	}
	var claimed []Task
	for _, q := range queues {
		free, err := s.free(tx, q, worker, limit-len(claimed))
		if err != nil {
			return nil, err
		}
		if free <= 0 {
			continue
		}
		tasks, err := s.claim(tx, q.name, string(list), free, worker)
		if err != nil {
			return nil, err
		}
		for i := range tasks {
			tasks[i].Limited = q.limited()
		}
		claimed = append(claimed, tasks...)
	}
	if len(claimed) > 0 {
		tx.Notify(Changed)
	}
	return claimed, nil
}

type queue struct {
	name                   string
	concurrency, perWorker int
}

func (q queue) limited() bool { return q.concurrency > 0 || q.perWorker > 0 }

// queues returns all queues; the first is that of the tasks without one.
func (s *Service) queues(tx dbms.Tx) ([]queue, error) {
	rows, err := tx.Query(s.q.QueueList)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	queues := []queue{{}}
	for rows.Next() {
		var q queue
		if err := rows.Scan(&q.name, &q.concurrency, &q.perWorker); err != nil {
			return nil, err
		}
		queues = append(queues, q)
	}
	return queues, rows.Err()
}

// free returns how many tasks of the queue the worker may claim, at most
// limit.
func (s *Service) free(tx dbms.Tx, q queue, worker string, limit int) (int, error) {
	if limit <= 0 || !q.limited() {
		return limit, nil
	}
	rows, err := tx.Query(s.q.TaskRunning, q.name, worker)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var all, mine int
	if rows.Next() {
		if err := rows.Scan(&all, &mine); err != nil {
			return 0, err
		}
	}
	if q.concurrency > 0 {
		limit = min(limit, q.concurrency-all)
	}
	if q.perWorker > 0 {
		limit = min(limit, q.perWorker-mine)
	}
	return limit, rows.Err()
}

func (s *Service) claim(tx dbms.Tx, where, names string, limit int, worker string) ([]Task, error) {
	found, err := s.claimed(tx, where, names, limit, worker)
	if err != nil {
		return nil, err
	}
	// RETURNING promises no order.
	slices.SortFunc(found, func(a, b claimed) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.seq, b.seq))
	})
	tasks := make([]Task, len(found))
	for i, c := range found {
		tasks[i] = c.Task
	}
	return tasks, nil
}

// A claimed is a task with its place in the order of arrival.
type claimed struct {
	Task
	seq int64
}

// claimed runs the statement of a claim. where is a queue, or, on an engine
// that many machines share, ranges of the index of queued tasks.
func (s *Service) claimed(tx dbms.Tx, where, names string, limit int, worker string) ([]claimed, error) {
	rows, err := tx.Query(s.q.TaskClaim, where, names, limit, worker, tx.Now())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []claimed
	for rows.Next() {
		c := claimed{Task: Task{State: Running, Worker: &worker}}
		err := rows.Scan(&c.seq, &c.Priority, &c.ID, &c.Name, &c.Queue, &c.Codec, &c.Input, &c.Parent,
			&c.Principal, &c.Version, &c.Epoch, &c.Attempt, &c.Recoveries)
		if err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, rows.Err()
}

// Outlook says what a dispatcher has to do: whether tasks are queued, and
// when the next waiting task is due (nil for none).
func (s *Service) Outlook(tx dbms.Tx) (queued bool, due *time.Time, err error) {
	queued, err = exists(tx, s.q.TaskReady)
	if err != nil {
		return false, nil, err
	}
	rows, err := tx.Query(s.q.TaskNextDue)
	if err != nil {
		return false, nil, err
	}
	defer rows.Close()
	if rows.Next() {
		if err := rows.Scan(&due); err != nil {
			return false, nil, err
		}
	}
	return queued, due, rows.Err()
}

// Due queues the waiting tasks whose time has come, at most limit, and
// returns how many.
func (s *Service) Due(tx dbms.Tx, limit int) (int64, error) {
	return tx.Exec(s.q.TaskDue, tx.Now(), limit)
}
