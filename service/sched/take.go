package sched

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Take is Claim in a transaction of its own, for the dispatcher of a worker.
// more says that another call may find something: at once if again is 0,
// otherwise after so long.
func (s *Service) Take(ctx context.Context, call abi.Call, worker string, names []string, limit int) (tasks []Task, more bool, again time.Duration, err error) {
	if s.shared == nil {
		_, err = s.db.Update(ctx, call, func(tx dbms.Tx) error {
			tasks, err = s.Claim(tx, worker, names, limit)
			return err
		})
		return tasks, len(tasks) == limit, 0, err
	}
	c := &s.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := time.Now()
	c.raise(begun)
	full := !begun.Before(c.full)
	var seen []queue
	_, err = s.shared.UpdateReadCommitted(ctx, call, func(tx dbms.Tx) error {
		tasks, seen, err = s.claimShared(tx, worker, names, limit, full)
		return err
	})
	if err != nil {
		return nil, false, 0, err
	}
	short := len(tasks) < limit
	if short {
		for _, q := range seen {
			if !q.limited() {
				c.exhausted([]string{q.name})
			}
		}
	}
	switch {
	case full:
		c.owed = !short
		c.full = time.Now().Add(min(lookBack*time.Since(begun), maxLookBack))
	default:
		c.owed = true
	}
	if short && c.owed {
		again = max(time.Until(c.full), time.Millisecond)
	}
	return tasks, !short || c.owed, again, nil
}

// Refresh makes the next Take read the queues' limits again.
func (s *Service) Refresh() {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	s.claims.queues = nil
}

// claimShared claims where many workers do so at the same time. full says to
// read from the beginning. It returns the queues too. The caller holds
// s.claims.mu, or is a test.
//
// READ COMMITTED is enough: see task_claim, and for queues with limits
// queue_lock.
func (s *Service) claimShared(tx dbms.Tx, worker string, names []string, limit int, full bool) ([]Task, []queue, error) {
	c := &s.claims
	list, err := json.Marshal(names)
	if err != nil {
		return nil, nil, err
	}
	if c.queues == nil || full {
		if c.queues, err = s.queues(tx); err != nil {
			return nil, nil, err
		}
	}
	waiting, err := s.probe(tx, string(list), full)
	if err != nil {
		return nil, nil, err
	}
	var all []Task
	for rest := c.queues; len(rest) > 0 && len(all) < limit; {
		// Neighbours without limits are asked together.
		n := 1
		for !rest[0].limited() && n < len(rest) && !rest[n].limited() {
			n++
		}
		group := rest[:n]
		rest = rest[n:]
		free := limit - len(all)
		if group[0].limited() {
			if !slices.Contains(waiting, group[0].name) {
				continue
			}
			if free, err = s.lockQueue(tx, group[0].name, worker, free); err != nil {
				return nil, nil, err
			}
			if free <= 0 {
				continue
			}
		}
		tasks, err := s.claimGroup(tx, group, string(list), free, worker, full)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, tasks...)
	}
	if len(all) > 0 {
		tx.Notify(Changed)
	}
	return all, c.queues, nil
}

// probe returns which of the queues with limits have something to claim.
func (s *Service) probe(tx dbms.Tx, names string, full bool) ([]string, error) {
	var spans []span
	for _, q := range s.claims.queues {
		if q.limited() {
			spans = append(spans, s.claims.spans(q.name, full)...)
		}
	}
	if len(spans) == 0 {
		return nil, nil
	}
	where, err := json.Marshal(number(spans))
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(s.q.TaskProbe, string(where), names)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		found = append(found, name)
	}
	return found, rows.Err()
}

// lockQueue locks a queue with limits for the rest of the transaction and
// returns how many of its tasks the worker may claim, at most limit.
func (s *Service) lockQueue(tx dbms.Tx, name, worker string, limit int) (int, error) {
	rows, err := tx.Query(s.q.QueueLock, name)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	q := queue{name: name}
	if rows.Next() {
		if err := rows.Scan(&q.concurrency, &q.perWorker); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	return s.free(tx, q, worker, limit)
}

// claimGroup claims from some queues, in their order.
func (s *Service) claimGroup(tx dbms.Tx, group []queue, names string, limit int, worker string, full bool) ([]Task, error) {
	var spans []span
	place := map[string]int{}
	for i, q := range group {
		spans = append(spans, s.claims.spans(q.name, full)...)
		place[q.name] = i
	}
	where, err := json.Marshal(number(spans))
	if err != nil {
		return nil, err
	}
	found, err := s.claimed(tx, string(where), names, limit, worker)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b claimed) int {
		return cmp.Or(cmp.Compare(place[a.Queue], place[b.Queue]), cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.seq, b.seq))
	})
	tasks := make([]Task, len(found))
	for i, t := range found {
		s.claims.claimed(t.Queue, t.Priority, t.seq)
		tasks[i] = t.Task
		tasks[i].Limited = group[0].limited()
	}
	return tasks, nil
}
