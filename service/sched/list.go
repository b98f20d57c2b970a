package sched

import (
	"encoding/json"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A Filter selects tasks; zero fields select all.
type Filter struct {
	Live   bool // only unfinished ones
	States []State
	Name   string
	Queue  string
	Parent string
	Since  time.Time // created then or later
	Limit  int       // 1 to MaxList; 0 means 100
}

// MaxList is the largest Filter.Limit.
const MaxList = 10_000

// List returns the selected tasks, the newest first.
func (s *Service) List(tx dbms.Tx, f Filter) ([]Task, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > MaxList {
		return nil, abi.Errorf("sched.list", abi.Invalid, "limit", "%d is outside 1 to %d", f.Limit, MaxList)
	}
	var states *string
	if len(f.States) > 0 {
		list, err := json.Marshal(f.States)
		if err != nil {
			return nil, err
		}
		states = new(string(list))
	}
	var since int64
	if !f.Since.IsZero() {
		since = f.Since.UnixMicro()
	}
	q := s.q.TaskList
	if f.Live {
		q = s.q.TaskListLive
	}
	rows, err := tx.Query(q, states, f.Name, f.Queue, f.Parent, since, f.Limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tasks []Task
	for rows.Next() {
		var t Task
		if err := t.scan(rows); err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, rows.Err()
}

// Count returns how many tasks there are in each unfinished state.
func (s *Service) Count(tx dbms.Tx) (map[State]int, error) {
	rows, err := tx.Query(s.q.TaskCount)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[State]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		counts[State(state)] = n
	}
	return counts, rows.Err()
}
