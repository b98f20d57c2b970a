package sched

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// keepDead is how long dead workers are remembered: longer than any statement
// runs that was sent in their name.
const keepDead = 10 * time.Minute

// Register adds a worker. Where many machines share the database it holds a
// lease for so long, by the server's clock, which Beat extends. Otherwise it owns
// the database, so that every other worker is dead.
func (s *Service) Register(tx dbms.Tx, worker string, lease time.Duration) error {
	if s.shared == nil {
		if _, err := tx.Exec(s.q.WorkerExpire, worker, tx.Now()); err != nil {
			return err
		}
		_, err := tx.Exec(s.q.WorkerInsert, worker, tx.Now())
		return err
	}
	if _, err := tx.Exec(s.q.WorkerPurge, keepDead.Microseconds()); err != nil {
		return err
	}
	_, err := tx.Exec(s.q.WorkerInsert, worker, tx.Now(), lease.Microseconds())
	return err
}

// A Heartbeat is what a worker says to stay alive.
type Heartbeat struct {
	Worker     string
	Lease      time.Duration // from now
	Limit      int           // of tasks to recover and to wake
	Recoveries int           // how many deaths of its workers a task may see
}

// A Pulse is the answer to a heartbeat.
type Pulse struct {
	Alive     bool           // the lease is extended; if not, the worker is dead
	Buried    []string       // workers that were declared dead
	Stuck     []string       // workers that are late and hold their own row: break their connections
	Recovered int            // tasks of dead workers that were queued again
	Due       int            // tasks whose time had come
	Rest      *time.Duration // until the next one's time comes
	Poisoned  bool           // there are tasks for Condemn
	More      bool           // another heartbeat has work at once
}

// Beat extends a worker's lease, queues the tasks of dead workers again, and
// those whose time has come: one statement, where many machines share the
// database. When a worker has died, all watchers of all topics are woken: nobody
// knows which notifications it still owed.
func (s *Service) Beat(ctx context.Context, call abi.Call, b Heartbeat) (p Pulse, err error) {
	seen := int64(0)
	_, err = s.shared.UpdateReadCommitted(ctx, call, func(tx dbms.Tx) error {
		rows, err := tx.Query(s.q.WorkerBeat, b.Worker, b.Lease.Microseconds(), tx.Now(), b.Limit, b.Recoveries)
		if err != nil {
			return err
		}
		defer rows.Close()
		var poisoned int
		var next *time.Time
		var buried, stuck string
		if rows.Next() {
			err = rows.Scan(&p.Alive, &buried, &stuck, &p.Recovered, &p.Due, &next, &poisoned, &seen)
		}
		if err == nil {
			err = errors.Join(json.Unmarshal([]byte(buried), &p.Buried), json.Unmarshal([]byte(stuck), &p.Stuck))
		}
		if err != nil {
			return err
		}
		if next != nil {
			p.Rest = new(next.Sub(tx.Now()))
		}
		p.Poisoned = poisoned > 0
		p.More = p.Recovered == b.Limit || p.Due == b.Limit
		switch {
		case len(p.Buried) > 0:
			tx.Notify(dbms.AllTopics)
		case p.Recovered+p.Due > 0:
			tx.Notify(Ready)
			tx.Notify(Changed)
		}
		return rows.Close()
	})
	if err != nil {
		return Pulse{}, err
	}
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	s.claims.seen = seen
	s.claims.queues = nil // limits may have changed
	return p, nil
}

// Strays returns the leases that a worker holds, for it to compare with what
// it executes.
func (s *Service) Strays(tx dbms.Tx, worker string) ([]Lease, error) {
	rows, err := tx.Query(s.q.TaskStrays, worker)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var held []Lease
	for rows.Next() {
		var l Lease
		if err := rows.Scan(&l.ID, &l.Epoch); err != nil {
			return nil, err
		}
		held = append(held, l)
	}
	return held, rows.Err()
}

// Yield gives a task back that the caller holds and does not execute.
func (s *Service) Yield(tx dbms.Tx, l Lease) error {
	n, err := tx.Exec(s.q.TaskYield, l.ID, l.Epoch)
	if n > 0 {
		tx.Notify(Ready)
		tx.Notify(Changed)
	}
	return err
}

// Recover queues tasks that dead workers left running, at most limit, and
// returns how many. worker is the living one that asks.
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
	n, err := tx.Exec(s.q.TaskRelease, worker)
	if err != nil {
		return err
	}
	if n > 0 {
		tx.Notify(Ready)
	}
	_, err = tx.Exec(s.q.WorkerDelete, worker)
	return err
}
